"""TIFF as scientists write it: floats, 16- and 32-bit integers, any number of bands; 8-bit pictures are pillow's."""

from __future__ import annotations

import io

import numpy as np
import tifffile

from galaxy_core.errors import ImageError
from galaxy_core.images import MAX_BANDS, check_size

_UNCOMPRESSED_OR_ZIP = {1, 8, 32946}  # of TIFF's compressions, what needs no further library


def decode_tiff(data: bytes, name: str) -> tuple[np.ndarray, bool, int] | None:
    """First image of a TIFF of more than 8 bits, or None where pillow should read it.

    Returns
    -------
    pixels : ndarray of float32, shape (bands, height, width)
        16-bit unsigned over 65535; all other kinds in the file's units.
    linear : bool
        False for 16-bit unsigned.
    bits : int
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        if page.dtype is None or page.dtype.itemsize == 1 or page.compression not in _UNCOMPRESSED_OR_ZIP:
            return None
        check_size(page.imagelength, page.imagewidth, name)
        if page.samplesperpixel > MAX_BANDS:
            raise ImageError(f"{name} has {page.samplesperpixel} bands, over the limit of {MAX_BANDS}.")
        values, axes = page.asarray(), page.axes
    if values.dtype.kind not in "iuf" or values.ndim not in (2, 3):
        return None
    bands = np.atleast_3d(values) if axes[-1] == "S" or values.ndim == 2 else np.moveaxis(values, 0, -1)
    display = values.dtype == np.uint16
    pixels = np.empty((bands.shape[2], *bands.shape[:2]), dtype=np.float32)
    for band in range(len(pixels)):
        np.divide(bands[..., band], np.float32(65535 if display else 1), out=pixels[band], casting="unsafe")
    return pixels, not display, 8 * values.dtype.itemsize
