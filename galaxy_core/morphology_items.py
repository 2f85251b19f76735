"""What there is to classify: files and galaxies of a catalog, each with what gives its picture when its turn comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import display_part
from galaxy_core.catalogs.image_files import image_ids
from galaxy_core.central_object import CROPS, cropped
from galaxy_core.errors import GalaxyError
from galaxy_core.images import read_image, resize_square

Item = tuple[str, Callable[[], np.ndarray]]  # galaxy_id, and what gives its display image (3, height, width)
Notes = list[tuple[str, str]]  # names of files, and a sentence on how each was read


def read_display(
    path: Path, field_fraction: float | None = None, hdu: int | str | None = None, notes: Notes | None = None
) -> np.ndarray:
    """The image of a file as people see it, float32 (3, height, width) in [0, 1], cut by `display_part`.

    ``notes`` gets what is to be told of how it was read; ``hdu`` is the extension of a FITS file.
    """
    image = read_image(path, hdu)
    if notes is not None:
        notes += ((path.name, note) for note in image.notes)
    return display_part(image.pixels, image.linear, field_fraction, image.name)


def file_items(
    paths: Sequence[Path],
    field_fraction: float | None = None,
    crop: str = CROPS[0],
    names: Sequence[str] | None = None,
    hdu: int | str | None = None,
    notes: Notes | None = None,
) -> Iterator[Item]:
    """Files to classify; a galaxy is called like its file, with folders only where that would not be unique."""
    fraction = field_fraction if crop == CROPS[0] else 1.0  # the object is looked for in the whole field
    for name, path in zip(names or image_ids([path.as_posix() for path in paths]), paths, strict=True):
        yield name, lambda path=path: cropped(read_display(path, fraction, hdu, notes), crop)


def catalog_items(
    catalog: Catalog, rows: Iterable[int] | None = None, crop: str = CROPS[0], as_files: bool = False
) -> Iterator[Item]:
    """Galaxies of a catalog to classify: of all rows, or of some. The object is looked for in the whole field.

    ``as_files``: of images in a catalog that does not know its field as much is looked at as of files.
    """
    fraction = catalog.field_fraction if crop == CROPS[0] else 1.0
    fraction = None if as_files and crop == CROPS[0] and fraction == 1 else fraction
    ids = catalog.galaxy_ids
    for row in range(len(catalog)) if rows is None else rows:
        yield str(ids[row]), lambda row=int(row): cropped(_row_part(catalog, row, fraction), crop)


def _row_part(catalog: Catalog, row: int, fraction: float | None) -> np.ndarray:
    return display_part(catalog.load_image(row), catalog.linear, fraction, str(catalog.galaxy_ids[row]))


def read_stamp(item: Item, size_px: int) -> tuple[str, np.ndarray | None, str | None]:
    """Id, stamp (3, size_px, size_px), and a sentence in place of the stamp if the image cannot be read."""
    name, load = item
    try:
        return name, np.clip(resize_square(load(), size_px), 0, 1), None
    except (GalaxyError, OSError, ValueError, MemoryError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return name, None, said if name in said else f"{name}: {said}"
