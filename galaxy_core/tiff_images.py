"""TIFF as scientists write it: floats, 16- and 32-bit integers, any number of bands; 8-bit pictures are pillow's."""

from __future__ import annotations

import numpy as np
import tifffile

from galaxy_core.errors import ImageError
from galaxy_core.image_limits import check_size, inflates_within, shown_name
from galaxy_core.picture_layout import MAX_SCAN_PIXELS
from galaxy_core.tiff_layout import TiffPage

_UNCOMPRESSED_OR_ZIP = (1, 8, 32946)  # of TIFF's compressions, what needs no further library
_PACKINGS = {1, 2, 3, 4, 5, 7, 8, 32946, 32773, 50000}  # none, fax, LZW, JPEG, deflate, PackBits, Zstandard
_BLACK_IS_HIGH, _RGB, _CMYK = 0, 2, 5  # photometric interpretations
_BELONGS_TO_ALPHA, _ALPHA = 1, 2  # of an extra sample: colours already multiplied by it, or not yet


def decode_deep(page: TiffPage, name: str) -> tuple[np.ndarray, bool, int] | None:
    """First image of a TIFF of more than 8 bits a value, or None where pillow should read it.

    Returns
    -------
    pixels : ndarray of float32, shape (bands, height, width)
        16-bit unsigned over 65535, on black where transparent; all other kinds in the file's units, and colours blue
        first: linear bands are in order of wavelength.
    linear : bool
        False for 16-bit unsigned.
    bits : int

    Raises
    ------
    ImageError
        Over the limits, of complex values, or packed in a way that is not read.
    """
    check_packing(page, name)
    with tifffile.TiffFile(page.file) as file:
        first = file.pages[0]
        if first.dtype is None or first.dtype.itemsize == 1 or first.compression not in _UNCOMPRESSED_OR_ZIP:
            return None
        if first.dtype.kind == "c":
            raise ImageError(f"{shown_name(name)} has complex values; save their amplitude as float32 instead.")
        bands = first.samplesperpixel
        check_size(first.imagelength, first.imagewidth, name, bands, first.dtype.itemsize)
        if first.imagedepth != 1 or first.photometric not in (_BLACK_IS_HIGH, 1, _RGB, _CMYK):
            raise ImageError(f"{shown_name(name)} is a TIFF of unusual colours; save it as grey or RGB.")
        values, axes = first.asarray(maxworkers=1), first.axes
        photometric, extra = int(first.photometric), tuple(int(kind) for kind in first.extrasamples)
    page.file.close()
    if values.dtype.kind not in "iuf" or values.ndim not in (2, 3):
        raise ImageError(f"{shown_name(name)} is a TIFF of unusual values; save it as integers or floats.")
    bands = np.atleast_3d(values) if axes[-1] == "S" or values.ndim == 2 else np.moveaxis(values, 0, -1)
    display = values.dtype == np.uint16
    pixels = np.empty((bands.shape[2], *bands.shape[:2]), dtype=np.float32)
    for band in range(len(pixels)):
        np.divide(bands[..., band], np.float32(65535 if display else 1), out=pixels[band], casting="unsafe")
    bits = 8 * values.dtype.itemsize
    if display:
        return _to_light(pixels, photometric, extra), False, bits
    colours = photometric == _RGB and (
        len(pixels) == 3 or (len(pixels) == 4 and set(extra) & {_BELONGS_TO_ALPHA, _ALPHA})
    )
    return np.ascontiguousarray(pixels[2::-1]) if colours else pixels, True, bits


def check_packing(page: TiffPage, name: str) -> None:
    """Raise `ImageError` for packings that are not read, and for strips that unpack to more than their pixels."""
    packing = (page.tags.get(259) or (1,))[0]
    if packing not in _PACKINGS:
        raise ImageError(
            f"{shown_name(name)} is a TIFF packed in a way that is not read (number {packing}); save it with LZW or"
            " deflate, or not packed."
        )
    width, height = page.tags[256][0], page.tags[257][0]
    n_strips = max(len(page.strips), 1)
    if packing == 7 and page.file.getvalue().count(b"\xff\xda") / n_strips * width * height > MAX_SCAN_PIXELS:
        raise ImageError(f"{shown_name(name)} is drawn in too many scans for its size; save it again.")
    sides = (page.tags.get(322) or (width,))[0], (page.tags.get(323) or page.tags.get(278) or (height,))[0]
    if page.tags.get(322) or page.tags.get(323):
        check_size(sides[1], sides[0], name)  # a tile is unpacked whole
    if packing in (8, 32946):
        bits = max(page.tags.get(258) or (1,))
        samples = 1 if (page.tags.get(284) or (1,))[0] == 2 else page.tags.get(277, (1,))[0]
        limit = -(-min(sides[0], 2 * width + 512) * bits * samples // 8) * min(sides[1], 2 * height + 512) + 4096
        view = memoryview(page.file.getvalue())
        for start, n_bytes in page.strips:
            if not inflates_within(view[start : start + n_bytes], limit, 15):
                raise ImageError(f"{shown_name(name)} has a strip that unpacks to more than its pixels; save it again.")


def _to_light(pixels: np.ndarray, photometric: int, extra: tuple[int, ...]) -> np.ndarray:
    """Display bands as they shine: ink inverted, and transparent pixels on black."""
    if photometric == _BLACK_IS_HIGH:
        np.subtract(1, pixels, out=pixels)
    elif photometric == _CMYK and len(pixels) >= 4:
        np.subtract(1, pixels, out=pixels)
        pixels[:3] *= pixels[3]
        return np.ascontiguousarray(pixels[:3])
    colours = {_RGB: 3}.get(photometric, 1)
    if len(pixels) == colours + 1 and extra and extra[0] in (_BELONGS_TO_ALPHA, _ALPHA):
        if extra[0] == _ALPHA:
            pixels[:colours] *= pixels[colours]
        return np.ascontiguousarray(pixels[:colours])
    return pixels
