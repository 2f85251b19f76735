"""Denoised images as files: in the format, bit depth and size of the input, or as FITS with every digit."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image

from galaxy_core.errors import ImageError
from galaxy_core.images import as_counts, encode_png

if TYPE_CHECKING:
    from galaxy_core.denoising import DenoiseResult

JPEG_QUALITY = 95
KEPT = ("exif", "icc_profile", "dpi")  # what pillow carries from one file to the next
ORIENTATION, COLOUR_PROFILE = 274, 34675  # tags of TIFF
WHAT = {
    "denoised": "denoised image",
    "residual": "residual = input - denoised image",
    "uncertainty": "one standard deviation of each denoised pixel",
}
# Of an uncertainty, whether or not it is of a linear frame, whose blank sky shows what was left of its noise.
HOW_SURE = {
    True: "Too narrow where pixels share their noise over more than about 2 px, for light below half the noise of a"
    " pixel, and for sources so bright that their own photons add to the noise of the sky.",
    False: "Too narrow where pixels share their noise over more than about 1.3 px, and too wide where there is hardly"
    " any noise beside detail: the one looks like the other.",
}


def encode_result(result: DenoiseResult, as_fits: bool = False) -> dict[str, bytes]:
    """Files to save, by name: the denoised image, the residual, and the uncertainty where there is one.

    FITS, float TIFF and bands no picture has become FITS with header and HISTORY; 16 bits stay 16 bits; all else is
    8-bit PNG. In a picture of the residual zero is mid-grey, black and white are -1 and +1 of full scale; with
    ``as_fits`` pictures become FITS too, in [0, 1] and unrounded. An uncertainty is always FITS.
    """
    stem = stem_of(result.name)
    extra = {} if result.uncertainty is None else {f"{stem}_uncertainty.fits": encode_part(result, "uncertainty")}
    if as_fits or needs_fits(result):
        return {f"{stem}_{what}.fits": encode_part(result, what) for what in ("denoised", "residual")} | extra
    pictures = {f"{stem}_denoised.png": result.denoised, f"{stem}_residual.png": 0.5 + 0.5 * result.residual}
    encode = encode_png_deep if result.bits == 16 else encode_png
    return {name: encode(values) for name, values in pictures.items()} | extra


def needs_fits(result: DenoiseResult) -> bool:
    """Whether no picture holds a result: linear, or of neither one band nor three."""
    return result.linear or len(result.image) not in (1, 3)


def encode_part(result: DenoiseResult, what: str) -> bytes:
    """FITS file of the ``"denoised"`` image, the ``"residual"`` or the ``"uncertainty"``, with header and HISTORY."""
    from galaxy_core.fits_images import encode_fits

    return encode_fits(getattr(result, what), result.header, history_of(result, what))


def encode_like(result: DenoiseResult, source: bytes) -> bytes:
    """The denoised image in the format and at the bit depth of the file it came from.

    JPEG is written at quality 95 without subsampling of colour, WebP without loss, TIFF with its own kind of numbers;
    a gzipped FITS file, and one named ``.fz``, is compressed again, without loss. Colour profile and orientation of a
    picture are carried over; where it has 8 bits, the rest of its EXIF and its resolution, too.

    Parameters
    ----------
    result : DenoiseResult
    source : bytes
        The file that was read.
    """
    if result.file_format == "FITS":
        return _fits_like(encode_part(result, "denoised"), source, result.name)
    if result.file_format == "TIFF" and (result.linear or result.bits != 8):
        return _tiff_like(result.denoised, result.linear, source)
    if result.file_format == "PNG" and result.bits == 16:
        return encode_png_deep(result.denoised, **_carried(source))
    counts = as_counts(result.denoised)
    picture = Image.fromarray(counts[0] if len(counts) == 1 else np.ascontiguousarray(np.moveaxis(counts, 0, -1)))
    options = {"JPEG": {"quality": JPEG_QUALITY, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = options.get(
        result.file_format, {"compression": "tiff_adobe_deflate"} if result.file_format == "TIFF" else {}
    )
    buffer = io.BytesIO()
    try:
        picture.save(buffer, format=result.file_format, **options, **_carried(source))
    except (OSError, RuntimeError, ValueError) as error:  # pillow's, or its libraries', of what was carried over
        raise ImageError(f"{result.name} cannot be written as {result.file_format} ({error}); use FITS.") from None
    return buffer.getvalue()


def history_of(result: DenoiseResult, what: str) -> list[str]:
    """HISTORY of a result: which model, with which weights, told which noise, did what."""
    noise = result.noise_sigmas, result.noise_given, result.bands
    return history(what, result.model_name, result.weights_sha256, *noise, result.keeps_light)


def history(
    what: str,
    model_name: str,
    weights_sha256: str,
    sigmas: tuple[float, ...],
    noise_given: bool,
    bands: tuple[str, ...],
    keeps_light: bool = True,
) -> list[str]:
    """Sentences for HISTORY cards; ``what`` is a key of `WHAT`, the rest as in `DenoiseResult`."""
    weights = f", weights sha256 {weights_sha256[:12]}" if weights_sha256 else ""
    origin = "given by the user" if noise_given else "estimated from the pixels"
    named = zip(bands, sigmas, strict=True) if len(bands) == len(sigmas) > 1 else [("", sigma) for sigma in sigmas[:1]]
    noise = ", ".join(f"{name} {sigma:.6g}".strip() for name, sigma in named)
    said = [f"Galaxy Atlas: {WHAT[what]}, model {model_name}{weights}.", f"Sky noise sigma {noise}, {origin}."]
    if what == "uncertainty":
        said.append(HOW_SURE[keeps_light])
    kept = "Sky and flux scale are the input's; NaN, dead, saturated and very bright pixels are unchanged."
    return [*said, kept] if keeps_light else said


def stem_of(name: str) -> str:
    """File name without its extension, nor that of a compression: ``frame`` of ``a/frame.fits.gz``."""
    stem = PurePath(name).name
    for suffix in (".gz", ".fz"):
        stem = stem[: -len(suffix)] if stem.lower().endswith(suffix) else stem
    return PurePath(stem).stem if stem else stem


def encode_png_deep(image: np.ndarray, icc_profile: bytes = b"", exif: bytes = b"", **_: object) -> bytes:
    """16-bit PNG of a display image in [0, 1], shape (1 or 3, height, width), which pillow writes for grey only."""
    bands, height, width = image.shape
    counts = np.moveaxis(as_counts(image, 65535), 0, -1).astype(">u2")
    lines = np.zeros((height, 1 + 2 * bands * width), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = np.ascontiguousarray(counts).view(np.uint8).reshape(height, -1)
    kind = struct.pack(">IIBBBBB", width, height, 16, 0 if bands == 1 else 2, 0, 0, 0)
    chunks = [(b"IHDR", kind), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")]
    if exif:
        chunks.insert(1, (b"eXIf", exif.removeprefix(b"Exif\0\0")))
    if icc_profile:
        chunks.insert(1, (b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile)))
    framed = (
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _carried(source: bytes) -> dict[str, object]:
    """EXIF, colour profile and resolution of a picture, as far as they can be read and still hold."""
    try:
        with Image.open(io.BytesIO(source)) as picture:
            info, mode, file_format = dict(picture.info), picture.mode, picture.format
            turned = picture.getexif().get(ORIENTATION) if file_format == "TIFF" else None
    except Exception:  # of a damaged file: its pixels were read another way
        return {}
    kept = {key: info[key] for key in KEPT if info.get(key)}
    if not all(0 < value < np.inf for value in kept.get("dpi", ())):
        kept.pop("dpi")  # 0/0 of a TIFF that does not know
    if turned:
        kept["tiffinfo"] = {ORIENTATION: turned}
    if mode not in ("L", "RGB", "I;16", "I;16B"):
        kept.pop("icc_profile", None)  # of palettes, CMYK and the like: the pixels are RGB or grey now
    return kept


def _tiff_like(pixels: np.ndarray, linear: bool, source: bytes) -> bytes:
    """TIFF of more than 8 bits, with the kind of numbers and the order of axes of the first image of ``source``."""
    with tifffile.TiffFile(io.BytesIO(source)) as file:
        page = file.pages[0]
        dtype, last = np.dtype(page.dtype), page.axes[-1:] == "S"
        kind = getattr(page.photometric, "name", "")
        turned, profile = (page.tags.valueof(tag) for tag in (ORIENTATION, COLOUR_PROFILE))
    values = pixels if linear else pixels * np.float32(65535)
    if linear and kind == "RGB" and len(values) == 3:
        values = values[::-1]  # read blue first
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(np.nan_to_num(values.astype(np.float64))), limits.min, limits.max)
    values = values[0] if len(values) == 1 else np.moveaxis(values, 0, -1) if last else values
    options = {"photometric": "rgb" if len(pixels) == 3 and (kind == "RGB" or not linear) else "minisblack"}
    if values.ndim == 3:
        options["planarconfig"] = "contig" if last else "separate"
    if profile and kind == options["photometric"].upper():
        options["iccprofile"] = profile
    if turned:
        options["extratags"] = [(ORIENTATION, "H", 1, turned, True)]
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.ascontiguousarray(values.astype(dtype)), compression="zlib", metadata=None, **options)
    return buffer.getvalue()


def _fits_like(plain: bytes, source: bytes, name: str) -> bytes:
    if source.startswith(b"\x1f\x8b"):
        return gzip.compress(plain, 6, mtime=0)
    if not name.lower().endswith(".fz"):
        return plain
    from astropy.io import fits

    from galaxy_core.fits_tiles import without_times

    buffer = io.BytesIO()
    with fits.open(io.BytesIO(plain)) as hdus:
        packed = fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="GZIP_2", quantize_level=0)
        fits.HDUList([fits.PrimaryHDU(), packed]).writeto(buffer, output_verify="silentfix+ignore")
    return without_times(buffer.getvalue(), name)
