"""`folder:PATH`: images in a folder, flat, in one subfolder a class, or beside a `labels.csv`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.image_files import (
    FITS_SUFFIXES,
    FileImages,
    find_named_images,
    image_ids,
    list_with_unread,
    readable,
)
from galaxy_core.catalogs.table_files import find_tables, further_tables, read_table, unread_tables
from galaxy_core.catalogs.tables import (
    FILE_COLUMNS,
    ID_COLUMNS,
    OTHER_ID_COLUMNS,
    clean_text,
    constant_scale,
    find_column,
    folder_of,
    select_rows,
)
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.places import Place

LABELS = "labels.csv"
TIFF_SUFFIXES = (".tif", ".tiff")
MAX_TRIED = 5  # damaged files, before a catalog's TIFFs are taken for pictures
# subfolders that say how a download was cut up, not what is in the pictures
NOT_CLASSES = {"", "image", "images", "train", "training", "test", "val", "valid", "validation", "data"}


def read(root: Path | str) -> Catalog:
    """Read a folder of images.

    With a ``labels.csv`` (or ``.ecsv``, ``.fits``, ``.vot``, ``.parquet``, ``.tbl``), its file column or id column
    (galaxy_id, GalaxyID, objid, file, ...) names the images, and its class column is called class, class5 or label.
    Without one, ``galaxy_id`` is the file name and the class is the subfolder, where there are several.

    Parameters
    ----------
    root : path

    Returns
    -------
    Catalog
        ``linear`` where most files are FITS, or TIFF like the first of them.
    """
    folder = folder_of(root, "folder")
    tables = find_tables(folder, ("labels",))
    names, unread = list_with_unread(folder)
    names = [name for name in names if name not in tables]
    if not names:
        wanted = "put JPEG, PNG, TIFF, WebP or FITS files there, in subfolders if you like"
        raise CatalogError("; ".join([f"No image in {folder}", *unread, wanted]) + ".")
    unread += further_tables(tables) if tables else unread_tables(folder, "labels")
    unread += notes_of_first(folder, names)
    found = _from_labels(folder / tables[0], names, unread) if tables else _from_files(names, unread)
    table, images, report = found
    linear = _mostly_linear(FileImages(folder, images))
    return Catalog(
        table=table,
        load_image=FileImages(folder, images, linear),
        layout="folder",
        source=str(root),
        report=report,
        linear=linear,
        pixel_scale_arcsec=constant_scale(table),
    )


def notes_of_first(folder: Path | Place, names: Sequence[str]) -> list[str]:
    """What is to be told of how the first FITS file is read, such as which extension; the others are like it."""
    first = [name for name in names if name.lower().endswith(FITS_SUFFIXES)][:1]
    with suppress(ImageError, IndexError):
        return [f"{first[0]}: {note.rstrip('.')}" for note in FileImages(folder, first).read(0).notes]
    return []


def _mostly_linear(images: FileImages) -> bool:
    """Whether most files hold linear flux: FITS does, and TIFF if the first that can be read does."""
    names = [name.lower() for name in images.names]
    tiffs = [row for row, name in enumerate(names) if name.endswith(TIFF_SUFFIXES)]
    n_fits = sum(name.endswith(FITS_SUFFIXES) for name in names)
    if n_fits * 2 > len(names) or (n_fits + len(tiffs)) * 2 <= len(names):  # whatever the TIFFs are
        return n_fits * 2 > len(names)
    for row in tiffs[:MAX_TRIED]:
        with suppress(ImageError):
            return images.read(row).linear
    return False


def _from_labels(labels: Path | Place, names: list[str], unread: list[str]):
    table, notes = read_table(labels)
    id_column = find_column(table.columns, ID_COLUMNS)
    file_column = find_column(table.columns, FILE_COLUMNS)
    if id_column is None and file_column is None:
        id_column = find_column(table.columns, OTHER_ID_COLUMNS)
    if id_column is None and file_column is None:
        raise CatalogError(
            f"{labels} has no column that names the galaxies (it has {', '.join(map(str, table.columns[:8]))}); "
            "call that column galaxy_id or file."
        )
    found = find_named_images(table, (*FILE_COLUMNS, *ID_COLUMNS, *OTHER_ID_COLUMNS), names)
    images = found[1] if found else pd.Series(index=table.index, dtype=object)
    if id_column is not None:
        ids = clean_text(table.pop(id_column))
    else:
        named = dict(zip(names, image_ids(names), strict=True))
        ids = images.map(named, na_action="ignore").fillna(clean_text(table[file_column]))
    return select_rows(table, ids, images, names, [*unread, *notes])


def _from_files(names: list[str], notes: list[str]):
    table = pd.DataFrame(index=range(len(names)))
    parents = [readable(name.rpartition("/")[0].rpartition("/")[2]) for name in names]
    classes = [parent if parent.lower() not in NOT_CLASSES else None for parent in parents]
    if len({name for name in classes if name}) > 1:
        table["class"] = pd.array(classes, dtype="str")
    return select_rows(table, pd.Series(image_ids(names)), pd.Series(names, dtype=object), names, notes)
