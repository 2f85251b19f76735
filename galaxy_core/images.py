"""Bytes or a file in, float32 ``(bands, height, width)`` out, and back to PNG or WebP; FITS is in `fits_images`.

Uploads are hostile until proven otherwise: sizes are read from the header and limited before any pixel is decoded, and
whatever a decoder raises on a damaged file becomes one `ImageError` sentence. Pixels stay where the detector put them:
the EXIF orientation of a camera is ignored, and of an animation only the first frame is read.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from galaxy_core.errors import ImageError

if TYPE_CHECKING:
    from astropy.io import fits
    from scipy.sparse import csr_array

MAX_BYTES = 256 * 2**20  # of a file
MAX_PIXELS = 64 * 10**6  # height x width
MAX_SIDE_PX = 65_500
MAX_BANDS = 64
PICTURE_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
READABLE = "PNG, JPEG, TIFF, WebP or FITS"
# Values that mean white, by pillow mode; modes not named here are linear.
_WHITE = {"L": 255.0, "RGB": 255.0, "I;16": 65535.0, "I;16B": 65535.0}


@dataclass(frozen=True)
class AstroImage:
    """One decoded image.

    Attributes
    ----------
    pixels : ndarray of float32, shape (bands, height, width)
        Display images: [0, 1], 8-bit values over 255 and 16-bit values over 65535. Linear ones: units of the file, with
        NaN where the file has it.
    linear : bool
        True for FITS and for TIFF of floats or 32-bit integers.
    header : astropy.io.fits.Header or None
        Of the FITS extension the pixels came from.
    file_format : {"PNG", "JPEG", "TIFF", "WEBP", "FITS"}
    name : str
    bits : int
        Bits per value in the file: 8 or 16 for display images, 8 to 64 for linear ones.
    """

    pixels: np.ndarray = field(repr=False)
    linear: bool
    header: fits.Header | None = field(repr=False)
    file_format: str
    name: str
    bits: int = 8


def decode_image(data: bytes, name: str) -> AstroImage:
    """Decode a PNG, JPEG, TIFF, WebP or FITS file (plain, gzipped, or tile-compressed) held in memory.

    Alpha is composited on black (the sky), palettes and CMYK become RGB, and a 16-bit colour PNG is read at 8 bits.

    Parameters
    ----------
    data : bytes
    name : str
        What error messages call the file; its extension is not trusted.

    Raises
    ------
    ImageError
        One sentence: not an image, damaged, too large, or without a finite pixel.
    """
    if not data:
        raise ImageError(f"{name} is empty (0 bytes); choose a {READABLE} file.")
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name} is larger than {MAX_BYTES // 2**20} MiB; cut out a smaller region first.")
    if data.startswith((b"SIMPLE  =", b"\x1f\x8b")):
        from galaxy_core.fits_images import decode_fits

        pixels, header, bits = decode_fits(data, name)
        return AstroImage(pixels, True, header, "FITS", name, bits)
    return _decode_picture(data, name)


def read_image(path: str | Path) -> AstroImage:
    """Decode the image file at ``path``; see `decode_image`."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(f"{path} is larger than {MAX_BYTES // 2**20} MiB; cut out a smaller region first.")
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"Cannot read {path}: {error.strerror or error}; check the path and its permissions."
        ) from None
    return decode_image(data, path.name)


def check_size(height: int, width: int, name: str) -> None:
    """Raise `ImageError` for an image of no pixels or of more than the limits, before anything is decoded."""
    if height < 1 or width < 1:
        raise ImageError(f"{name} has no pixels ({width} x {height}).")
    if height * width > MAX_PIXELS or max(height, width) > MAX_SIDE_PX:
        raise ImageError(
            f"{name} is {width} x {height} pixels, over the limit of {MAX_PIXELS // 10**6} megapixels"
            f" and {MAX_SIDE_PX:,} pixels a side; cut out a smaller region first."
        )


def _decode_picture(data: bytes, name: str) -> AstroImage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pillow warns of large images; check_size refuses them
        try:
            deep = _decode_deep_tiff(data, name)
            if deep is not None:
                return deep
            with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as picture:
                check_size(picture.height, picture.width, name)
                file_format = "JPEG" if picture.format == "MPO" else picture.format
                picture.load()
                pixels, linear, bits = _picture_pixels(picture)
        except ImageError:
            raise
        except Image.DecompressionBombError:
            raise ImageError(
                f"{name} claims far too many pixels; the limit is {MAX_PIXELS // 10**6} million."
            ) from None
        except Image.UnidentifiedImageError:
            raise ImageError(f"{name} is not an image this can read; choose a {READABLE} file.") from None
        except Exception as error:  # decoders raise nearly anything on damaged input: all of it means one thing
            raise ImageError(
                f"{name} is damaged or of an unusual kind ({_first_line(error)}); save it again."
            ) from None
    return AstroImage(pixels, linear, None, file_format, name, bits)


def _decode_deep_tiff(data: bytes, name: str) -> AstroImage | None:
    """TIFF of more than 8 bits a value, which pillow reads in part or not at all; None for anything else."""
    if not data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return None
    from galaxy_core.tiff_images import decode_tiff

    decoded = decode_tiff(data, name)
    if decoded is None:
        return None
    if not np.isfinite(decoded[0]).any():
        raise ImageError(f"{name} has no finite pixel; nothing can be shown or denoised.")
    return AstroImage(decoded[0], decoded[1], None, "TIFF", name, decoded[2])


def _picture_pixels(picture: Image.Image) -> tuple[np.ndarray, bool, int]:
    """Pixels, whether they are linear, and bits per value of a loaded pillow image."""
    if picture.mode in ("LA", "La", "RGBA", "RGBa", "PA") or (picture.mode == "P" and "transparency" in picture.info):
        rgba = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.new("RGB", rgba.size)
        picture.paste(rgba, mask=rgba.getchannel("A"))
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode not in ("L", "RGB", "F") and not picture.mode.startswith("I"):
        picture = picture.convert("RGB")
    values = np.asarray(picture)
    white = _WHITE.get(picture.mode)
    bands = values[..., None] if values.ndim == 2 else values
    pixels = np.empty((bands.shape[2], *bands.shape[:2]), dtype=np.float32)
    for band in range(bands.shape[2]):  # band by band: no second copy of a large image
        np.divide(bands[..., band], np.float32(white or 1.0), out=pixels[band], casting="unsafe")
    return pixels, white is None, 8 * values.dtype.itemsize


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__


def as_counts(image: np.ndarray, white: int = 255) -> np.ndarray:
    """Display values in [0, 1] as unsigned integers 0..``white`` (rounded, clipped, NaN as 0), same shape."""
    scaled = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=1.0, neginf=0.0) * np.float32(white)
    return np.rint(np.clip(scaled, 0, white)).astype(np.uint8 if white == 255 else np.uint16)


def encode_png(image: np.ndarray) -> bytes:
    """8-bit PNG of a display image in [0, 1], shape (1 or 3, height, width); same input, same bytes."""
    return _encode(as_counts(image), "PNG", compress_level=6)


def encode_png16(image: np.ndarray) -> bytes:
    """16-bit grey PNG of a display image in [0, 1], shape (1, height, width)."""
    if image.shape[0] != 1:
        raise ImageError(f"A 16-bit PNG is written for grey images only, and this has {image.shape[0]} bands.")
    return _encode(as_counts(image, 65535), "PNG", compress_level=6)


def encode_webp(image: np.ndarray, quality: int = 90) -> bytes:
    """8-bit WebP of a display image in [0, 1], shape (1 or 3, height, width); same input, same bytes."""
    return _encode(as_counts(image), "WEBP", quality=quality, method=4)


def _encode(counts: np.ndarray, file_format: str, **options: int) -> bytes:
    if counts.ndim != 3 or counts.shape[0] not in (1, 3):
        raise ImageError(f"A {file_format} has 1 or 3 bands, and this image has shape {counts.shape}.")
    values = counts[0] if counts.shape[0] == 1 else np.ascontiguousarray(np.moveaxis(counts, 0, -1))
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format=file_format, **options)
    return buffer.getvalue()


def resize_square(image: np.ndarray, size_px: int) -> np.ndarray:
    """Central square of an image, averaged over area down to, or interpolated bilinearly up to, ``size_px``.

    Parameters
    ----------
    image : ndarray, shape (bands, height, width)
        The square is the largest that fits, of side ``min(height, width)``.
    size_px : int

    Returns
    -------
    ndarray of float32, shape (bands, size_px, size_px)
        The mean is kept when shrinking; NaN reaches only the pixels it overlaps.
    """
    side = min(image.shape[1:])
    top, left = (image.shape[1] - side) // 2, (image.shape[2] - side) // 2
    square = np.asarray(image[:, top : top + side, left : left + side], dtype=np.float32)
    if side == size_px:
        return np.ascontiguousarray(square)
    if side % size_px == 0:  # the usual case, and exact: sums of whole pixels
        factor = side // size_px
        rows = sum(square[:, k::factor] for k in range(1, factor)) + square[:, ::factor]
        columns = sum(rows[..., k::factor] for k in range(1, factor)) + rows[..., ::factor]
        return columns / np.float32(factor * factor)
    weights = _resize_weights(side, size_px)
    return np.stack([(weights @ (weights @ band).T).T for band in square]).astype(np.float32, copy=False)


def fit_screen(image: np.ndarray, size_px: int = 512) -> np.ndarray:
    """Image enlarged or reduced by a whole factor, the nearest to ``size_px`` a side, without smoothing or distortion.

    Enlarged pixels are repeated; reduced ones averaged, less than one factor's width being cut from the far edges.
    """
    side = max(image.shape[1:])
    if side <= size_px:
        factor = max(size_px // side, 1)
        return image.repeat(factor, axis=1).repeat(factor, axis=2)
    factor = min(round(side / size_px), *image.shape[1:])
    if factor <= 1:
        return image
    height, width = (length - length % factor for length in image.shape[1:])
    blocks = image[:, :height, :width].reshape(len(image), height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(2, 4), dtype=np.float32)


@lru_cache(maxsize=64)
def _resize_weights(side: int, size_px: int) -> csr_array:
    """Sparse matrix (size_px, side), rows summing to 1: area overlap when shrinking, bilinear when growing."""
    from scipy.sparse import csr_array

    scale = side / size_px
    old, new = np.arange(side), np.arange(size_px)[:, None]
    if scale > 1:
        overlap = np.minimum(old + 1, (new + 1) * scale) - np.maximum(old, new * scale)
        weights = np.clip(overlap, 0, None)
        weights[weights < 1e-9] = 0  # rounding: a neighbour that is only touched must not bring its NaN in
    else:
        centres = np.clip((new + 0.5) * scale - 0.5, 0, side - 1)
        weights = np.clip(1 - np.abs(centres - old), 0, None)
    return csr_array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
