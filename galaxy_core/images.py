"""Bytes or a file in, float32 ``(bands, height, width)`` out, and back to PNG.

Uploads are hostile until proven otherwise: a file's own account of itself is read first (`fits_layout`,
`picture_layout`, `tiff_layout`) and held against the limits (`image_limits`), so that what reaches a decoder is of
bounded size; and whatever a decoder still raises becomes one `ImageError` sentence. Pixels stay where the detector put
them: a camera's orientation is told, not followed, and of an animation only the first frame is read.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from galaxy_core.errors import ImageError
from galaxy_core.image_limits import READABLE, check_bytes, safe_name, shown_name

if TYPE_CHECKING:
    from astropy.io import fits
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class AstroImage:
    """One decoded image.

    Attributes
    ----------
    pixels : ndarray of float32, shape (bands, height, width)
        Display images: [0, 1], 8-bit values over 255 and 16-bit values over 65535, red first. Linear ones: units of the
        file, with NaN where the file has it; bands as in the file, but colours of a TIFF blue first, by wavelength.
    linear : bool
        True for FITS and for TIFF of floats or 32-bit integers.
    header : astropy.io.fits.Header or None
        Of the FITS extension the pixels came from.
    file_format : {"PNG", "JPEG", "TIFF", "WEBP", "FITS"}
    name : str
        Of the file, made safe for any page and any disk; see `galaxy_core.image_limits.safe_name`.
    bits : int
        Bits per value in the file: 8 or 16 for display images, 8 to 64 for linear ones.
    notes : tuple of str
        What a user ought to know of how the file was read, one sentence each: the extension or frame that is shown,
        an orientation that was not followed, transparency, damaged header cards.
    """

    pixels: np.ndarray = field(repr=False)
    linear: bool
    header: fits.Header | None = field(repr=False)
    file_format: str
    name: str
    bits: int = 8
    notes: tuple[str, ...] = ()


def decode_image(data: bytes, name: str, hdu: int | str | None = None) -> AstroImage:
    """Decode a PNG, JPEG, TIFF, WebP or FITS file (plain, gzipped, or tile-compressed) held in memory.

    Transparent pixels are shown on black (the sky), palettes and CMYK become RGB, and 16 bits stay 16 bits.

    Parameters
    ----------
    data : bytes
    name : str
        What error messages call the file; its extension is not trusted.
    hdu : int or str, optional
        Extension of a FITS file, by number (0 is the primary one) or EXTNAME; absent, the first with an image. See
        `galaxy_core.fits_images.list_images`. Pictures have only number 0.

    Raises
    ------
    ImageError
        One sentence: not an image, damaged, too large, without that extension, or without a finite pixel.
    """
    if not data:
        raise ImageError(f"{shown_name(name)} is empty (0 bytes); choose a {READABLE} file.")
    check_bytes(len(data), name)
    if data.startswith((b"SIMPLE  =", b"\x1f\x8b")):
        from galaxy_core.fits_images import decode_fits

        pixels, header, bits, notes = decode_fits(data, name, hdu)
        return AstroImage(pixels, True, header, "FITS", safe_name(name), bits, notes)
    from galaxy_core.picture_images import decode_picture

    pixels, linear, file_format, bits, notes = decode_picture(data, name)
    if hdu is not None and str(hdu).strip() != "0":
        raise ImageError(
            f"{shown_name(name)} is no FITS file, so it has no extension {shown_name(str(hdu))!r} to choose."
        )
    return AstroImage(pixels, linear, None, file_format, safe_name(name), bits, notes)


def read_image(path: str | Path, hdu: int | str | None = None) -> AstroImage:
    """Decode the image file at ``path``; see `decode_image`."""
    path = Path(path)
    shown = shown_name(str(path))
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ImageError(f"Cannot read {shown}: it is no ordinary file; choose a {READABLE} file.")
        check_bytes(path.stat().st_size, str(path))
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "that is no path"
        raise ImageError(f"Cannot read {shown}: {why}; check the path and its permissions.") from None
    return decode_image(data, path.name, hdu)


def as_counts(image: np.ndarray, white: int = 255) -> np.ndarray:
    """Display values in [0, 1] as unsigned integers 0..``white`` (rounded, clipped, NaN as 0), same shape."""
    scaled = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=1.0, neginf=0.0) * np.float32(white)
    return np.rint(np.clip(scaled, 0, white)).astype(np.uint8 if white == 255 else np.uint16)


def encode_png(image: np.ndarray) -> bytes:
    """8-bit PNG of a display image in [0, 1], shape (1 or 3, height, width); same input, same bytes."""
    counts = as_counts(image)
    if counts.ndim != 3 or counts.shape[0] not in (1, 3):
        raise ImageError(f"A PNG has 1 or 3 bands, and this image has shape {counts.shape}.")
    values = counts[0] if counts.shape[0] == 1 else np.ascontiguousarray(np.moveaxis(counts, 0, -1))
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format="PNG", compress_level=6)
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
