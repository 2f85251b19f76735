"""The picture of a galaxy that models and people see: display stretch, central part of the field."""

from __future__ import annotations

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.image_files import GALAXY_ZOO_FIELD, GALAXY_ZOO_PX
from galaxy_core.errors import ImageError
from galaxy_core.stretch import to_display

CENTRE = 0.5  # of each side of what is looked at: a galaxy without a pixel there is not seen


def load_display(catalog: Catalog, row: int) -> np.ndarray:
    """Row ``row`` as a display image, float32 (3, height, width) in [0, 1], cut to the catalog's ``field_fraction``.

    Raises
    ------
    galaxy_core.errors.ImageError
        If the image cannot be read.
    """
    return central_part(to_display(catalog.load_image(row), catalog.linear), catalog.field_fraction)


def usual_fraction(pixels: np.ndarray, linear: bool) -> float:
    """Central share of each side that models see when nobody says: all, but of Galaxy Zoo's own images as trained."""
    return GALAXY_ZOO_FIELD if pixels.shape[1:] == (GALAXY_ZOO_PX, GALAXY_ZOO_PX) and not linear else 1.0


def display_part(pixels: np.ndarray, linear: bool, fraction: float | None, name: str) -> np.ndarray:
    """The central part of an image as models and people see it; raises `ImageError` where it shows no galaxy at all.

    Pixels without a value are shown black, as sky is, so a galaxy that was masked would be told from nothing. Where
    ``fraction`` is None, it is `usual_fraction` of the image.
    """
    if fraction is None:
        fraction = usual_fraction(pixels, linear)
    if not np.isfinite(central_part(pixels, CENTRE * fraction)).any():
        raise ImageError(f"{name} has no finite pixels in its central part.")
    return central_part(to_display(pixels, linear), fraction)


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
