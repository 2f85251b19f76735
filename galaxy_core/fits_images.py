"""FITS in and out: plain, gzipped and tile-compressed images, with every limit checked before pixels are decoded."""

from __future__ import annotations

import io
import warnings
import zlib

import numpy as np
from astropy.io import fits

from galaxy_core.errors import ImageError
from galaxy_core.images import MAX_PIXELS, check_size

MAX_VALUES = 3 * MAX_PIXELS  # of a cube: bands x height x width
MAX_UNZIPPED_BYTES = 8 * MAX_PIXELS
MAX_HEADER_BYTES = 1000 * 2880  # 36,000 cards; astropy takes half a minute for ten times as many
# Cards that describe how the old pixels were stored; the new ones are plain float32.
_STORAGE_CARDS = ("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM", "ZDATASUM", "ZHECKSUM", "DATAMIN", "DATAMAX")


def decode_fits(data: bytes, name: str) -> tuple[np.ndarray, fits.Header, int]:
    """First image of a FITS file: the first extension with two- or three-dimensional pixels.

    Parameters
    ----------
    data : bytes
        The file, possibly gzipped.
    name : str
        What error messages call it.

    Returns
    -------
    pixels : ndarray of float32, shape (bands, height, width)
        In the file's units: BSCALE, BZERO and byte order are undone, BLANK is NaN.
    header : astropy.io.fits.Header
    bits : int
        Bits per value in the file.
    """
    if data.startswith(b"\x1f\x8b"):
        data = _gunzip(data, name)
    if not any(data.startswith(b"END     ", card) for card in range(0, min(len(data), MAX_HEADER_BYTES), 80)):
        raise ImageError(f"{name} is a damaged FITS file (its header has no end); fetch or save it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damage that astropy warns of and repairs is not the user's worry
            with fits.open(io.BytesIO(data), memmap=False) as hdus:
                for hdu in hdus:
                    if is_image(hdu):
                        return (*image_of(hdu, name), abs(hdu.header.get("BITPIX", -32)))
    except ImageError:
        raise
    except Exception as error:  # astropy raises nearly anything on a damaged file
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise ImageError(f"{name} is a damaged FITS file ({text}); fetch or save it again.") from None
    raise ImageError(f"{name} is a FITS file without an image: no extension has two- or three-dimensional pixels.")


def is_image(hdu: fits.hdu.base._BaseHDU) -> bool:
    """Whether an extension holds pixels of two or three dimensions (axes of length 1 in front are ignored)."""
    if not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU):
        return False
    return _image_shape(hdu.shape) is not None


def image_of(hdu: fits.hdu.base._BaseHDU, name: str) -> tuple[np.ndarray, fits.Header]:
    """Pixels, float32 (bands, height, width), and header of one image extension.

    Raises
    ------
    ImageError
        When the extension is over the size limits or has no finite pixel.
    """
    shape = _image_shape(hdu.shape)
    if shape is None:
        raise ImageError(f"{name} has {len(hdu.shape)}-dimensional data where an image was expected.")
    check_size(shape[1], shape[2], name)
    if np.prod(shape, dtype=np.int64) > MAX_VALUES:
        raise ImageError(
            f"{name} is a cube of {shape[0]} bands, over the limit of {MAX_VALUES // 10**6} million values."
        )
    if hdu.data is None:
        raise ImageError(f"{name} has an image header without pixels.")
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = np.ascontiguousarray(hdu.data, dtype=np.float32).reshape(shape)
    if not np.isfinite(pixels).any():
        raise ImageError(f"{name} has no finite pixel; nothing can be shown or denoised.")
    return pixels, hdu.header.copy()


def encode_fits(pixels: np.ndarray, header: fits.Header | None, history: list[str]) -> bytes:
    """FITS file of float32 pixels with the cards of ``header`` (WCS, units, ...) and HISTORY cards added.

    Parameters
    ----------
    pixels : ndarray, shape (bands, height, width) or (height, width)
        One band is written as a two-dimensional image.
    header : astropy.io.fits.Header or None
        Cards that describe how the old pixels were stored are left out.
    history : list of str
        One sentence a HISTORY entry.
    """
    values = np.asarray(pixels, dtype=np.float32)
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = fits.Header() if header is None else header.copy(strip=True)
        for card in _STORAGE_CARDS:
            kept.remove(card, ignore_missing=True, remove_all=True)
        hdu = fits.PrimaryHDU(values, header=kept)
        for sentence in history:
            hdu.header.add_history(sentence.encode("ascii", "replace").decode())
        buffer = io.BytesIO()
        hdu.writeto(buffer, output_verify="silentfix+ignore")
    return buffer.getvalue()


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Array shape as (bands, height, width), or None when it is no image."""
    while len(shape) > 3 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) not in (2, 3) or 0 in shape:
        return None
    return (1, *shape) if len(shape) == 2 else tuple(shape)


def _gunzip(data: bytes, name: str) -> bytes:
    """Unzipped bytes, refused as soon as they are no FITS file or pass the limit."""
    try:
        unzip = zlib.decompressobj(wbits=31)
        start = unzip.decompress(data, 80)
        if not start.startswith(b"SIMPLE  ="):
            raise ImageError(f"{name} is gzipped, but there is no FITS file inside.")
        rest = unzip.decompress(unzip.unconsumed_tail, MAX_UNZIPPED_BYTES)
    except zlib.error:
        raise ImageError(f"{name} is a damaged gzip file; fetch it again.") from None
    if unzip.unconsumed_tail:
        raise ImageError(
            f"{name} unzips to more than {MAX_UNZIPPED_BYTES // 10**6} MB; cut out a smaller region first."
        )
    if not unzip.eof:
        raise ImageError(f"{name} is a gzip file cut short; fetch it again.")
    return start + rest
