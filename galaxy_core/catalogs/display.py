"""The picture of a galaxy that models and people see: display stretch, central part of the field."""

from __future__ import annotations

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.stretch import to_display


def load_display(catalog: Catalog, row: int) -> np.ndarray:
    """Row ``row`` as a display image, float32 (3, height, width) in [0, 1], cut to the catalog's ``field_fraction``.

    Raises
    ------
    galaxy_core.errors.ImageError
        If the image cannot be read.
    """
    return central_part(to_display(catalog.load_image(row), catalog.linear), catalog.field_fraction)


def central_part(image: np.ndarray, fraction: float) -> np.ndarray:
    """Central ``fraction`` of each side of an image (bands, height, width); at least one pixel.

    Examples
    --------
    >>> central_part(np.zeros((3, 424, 424)), 256 / 424).shape
    (3, 256, 256)
    """
    height, width = image.shape[1:]
    rows, columns = (max(1, round(side * fraction)) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[:, top : top + rows, left : left + columns]
