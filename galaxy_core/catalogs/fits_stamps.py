"""`fits-stamps:PATH`: linear-flux FITS stamps, one a file or one an extension, with or without a catalog table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from astropy.io import fits

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.image_files import (
    FITS_SUFFIXES,
    FileImages,
    find_named_images,
    image_ids,
    list_with_unread,
    listed_states,
    on_web,
    read_stored,
    state_of,
    without_suffix,
)
from galaxy_core.catalogs.image_folder import notes_of_first
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
from galaxy_core.images import AstroImage, decode_image
from galaxy_core.places import Place, place_of

TABLES = ("catalog", "labels")
HDU_COLUMNS = ("hdu", "gal_hdu", "extension")
EMPTY_PRIMARY = fits.PrimaryHDU().header.tostring().encode("ascii")


class Stamp(NamedTuple):
    """One extension of a FITS file."""

    file: str
    extension: int
    start: int  # first byte of the header
    n_bytes: int  # header and data
    label: str  # EXTNAME


@dataclass(frozen=True)
class ExtensionImages:
    """``load_image`` of stamps that are extensions: each knows its bytes, so one stamp is one small read."""

    folder: Path | Place
    stamps: Sequence[Stamp] = field(repr=False)

    def __call__(self, i: int) -> np.ndarray:
        return self.read(i).pixels

    def read(self, i: int) -> AstroImage:
        """The image of row ``i`` as its extension holds it."""
        stamp = self.stamps[i]
        name = f"{stamp.file}[{stamp.extension}]"
        path = self.folder / stamp.file
        try:
            if isinstance(path, Path):
                with open(path, "rb") as file:
                    file.seek(stamp.start)
                    data = file.read(stamp.n_bytes)
            else:
                data = read_stored(path, stamp.start, stamp.n_bytes)
        except OSError as error:
            raise ImageError(f"Cannot read {name}: {error.strerror}; check that the file is still there.") from error
        alone = stamp.extension == 0
        return decode_image(data if alone else EMPTY_PRIMARY + data, name, 0 if alone else 1)

    def take(self, rows: Sequence[int]) -> ExtensionImages:
        """The images of some rows, for another process."""
        folder = self.folder.absolute() if isinstance(self.folder, Path) else self.folder
        return ExtensionImages(folder, [self.stamps[row] for row in rows])

    def states(self, rows: Sequence[int]) -> list[str] | None:
        """Each stamp's place in its file, and what `state_of` tells of that; None on the web."""
        if on_web(self.folder):
            return None
        stamps = [self.stamps[row] for row in rows]
        state = {file: state_of(self.folder, file, self._listed) for file in {stamp.file for stamp in stamps}}
        return [f"{stamp.file} {stamp.start} {stamp.n_bytes} {state[stamp.file]}" for stamp in stamps]

    @cached_property
    def _listed(self) -> dict[str, str]:
        return listed_states(self.folder)


def read(root: Path | str) -> Catalog:
    """Read FITS stamps.

    ``catalog.csv`` (or ``.ecsv``, ``.fits``, ``.vot``, ``.parquet``, ``.tbl``) names the galaxies by an id column
    (galaxy_id, IDENT, ...) and their stamps by an ``hdu`` column (numbers or names of extensions of ``stamps.fits``, or
    of the file its file column names), else by a file column or the id. Without a catalog, every file is a galaxy, or
    every extension where there is one file.

    Parameters
    ----------
    root : path
        A folder, or one FITS file whose extensions are the stamps.

    Returns
    -------
    Catalog
        ``linear`` is True; images are in the units of the files.
    """
    folder, names, unread = _files_of(root)
    if not names:
        wanted = "stamps are read from .fits, .fits.gz and .fits.fz files"
        raise CatalogError("; ".join([f"No FITS file in {folder}", *unread, wanted]) + ".")
    tables = find_tables(folder, TABLES, names[0] if len(names) == 1 else "")
    names = [name for name in names if name not in tables]
    table, notes = read_table(folder / tables[0]) if tables else (None, unread_tables(folder, TABLES[0]))
    columns, notes = [] if table is None else table.columns, [*unread, *further_tables(tables), *notes]
    of_files = None if table is None else find_named_images(table, FILE_COLUMNS, names)
    if find_column(columns, HDU_COLUMNS) or (len(names) == 1 and of_files is None):
        table, report, load_image = _from_extensions(folder, table, names, notes)
    else:
        table, images, report = _from_files(table, names, [*notes, *notes_of_first(folder, names)])
        load_image = FileImages(folder, images, linear=True)
    return Catalog(
        table=table,
        load_image=load_image,
        layout="fits-stamps",
        source=str(root),
        report=report,
        linear=True,
        pixel_scale_arcsec=constant_scale(table),
    )


def _files_of(root: Path | str) -> tuple[Path | Place, list[str], list[str]]:
    """The folder, the FITS files in it that hold stamps, and a sentence on images that are not read."""
    place = place_of(root)
    if place.name.lower().endswith(FITS_SUFFIXES) and place.is_file():
        return place.parent, [place.name], []
    folder = folder_of(root, "fits-stamps")
    return folder, *list_with_unread(folder, FITS_SUFFIXES)


def _from_files(table: pd.DataFrame | None, names: list[str], notes: list[str]):
    own_ids = pd.Series(image_ids(names))
    if table is None:
        return select_rows(pd.DataFrame(index=own_ids.index), own_ids, pd.Series(names, dtype=object), names, notes)
    id_column, file_column = find_column(table.columns, ID_COLUMNS), find_column(table.columns, FILE_COLUMNS)
    if id_column is None and file_column is None:
        id_column = find_column(table.columns, OTHER_ID_COLUMNS)
    if id_column is None and file_column is None:
        raise CatalogError("The catalog has no column that names the stamps; call it galaxy_id or file.")
    found = find_named_images(table, (*FILE_COLUMNS, *ID_COLUMNS, *OTHER_ID_COLUMNS), names)
    images = found[1] if found else pd.Series(index=table.index, dtype=object)
    if id_column is None:
        ids = images.map(dict(zip(names, own_ids, strict=True)), na_action="ignore")
        ids = ids.fillna(clean_text(table[file_column]))
    else:
        ids = clean_text(table.pop(id_column))
    return select_rows(table, ids, images, names, notes)


def _from_extensions(folder: Path | Place, table: pd.DataFrame | None, names: list[str], notes: list[str]):
    files = None  # of each row; None where there is only one
    of_files = None if table is None else find_named_images(table, ("gal_filename", *FILE_COLUMNS), names)
    if of_files is not None:
        files = of_files[1]
        wanted = sorted(files.dropna().unique())
    else:
        wanted = [name for name in names if len(names) == 1 or without_suffix(name) == "stamps"]
        if len(wanted) != 1:
            raise CatalogError(
                f"{folder} has {len(names)} FITS files; name each row's in a file column of the catalog."
            )
    stamps, notes = {}, list(notes)
    for name in wanted:
        found, whole = image_extensions(folder, name)
        stamps |= {f"{stamp.file}[{stamp.extension}]": stamp for stamp in found}
        if not whole:
            notes.append(f"{name} cannot be read to its end, so stamps are missing; fetch or copy it again")
    with suppress(ImageError, IndexError):  # the others are like the first
        first = ExtensionImages(folder, list(stamps.values())[:1]).read(0)
        notes += [f"{next(iter(stamps))}: {note.rstrip('.')}" for note in first.notes]
    labels = {key: stamp.label for key, stamp in stamps.items()}
    if table is None:
        images = pd.Series(list(stamps), dtype=object)
        ids = pd.Series([label or key for key, label in labels.items()], dtype=object)
        ids = ids.where(~ids.duplicated(keep=False), images)  # extensions of one name are told apart by number
        table = pd.DataFrame(index=images.index)
    else:
        id_column, hdu_column = find_column(table.columns, ID_COLUMNS), find_column(table.columns, HDU_COLUMNS)
        if hdu_column is not None:
            images = _by_extension(table[hdu_column], wanted[0] if files is None else files, stamps)
        else:
            images = _by_name_or_order(table, id_column, labels, folder)
        ids = clean_text(table.pop(id_column)) if id_column else images.map(labels, na_action="ignore").fillna(images)
    table, chosen, report = select_rows(table, ids, images, list(stamps), notes)
    return table, report, ExtensionImages(folder, [stamps[key] for key in chosen])


def _by_extension(extensions: pd.Series, files: pd.Series | str, stamps: dict[str, Stamp]) -> pd.Series:
    """Stamps by number, or by name where an extension is the only one of its file that is called so."""
    said = clean_text(extensions)
    images = files + "[" + said + "]"
    named: dict[str, list[str]] = {}
    for key, stamp in stamps.items():
        named.setdefault(f"{stamp.file}[{stamp.label.upper()}]", []).append(key)
    by_name = (files + "[" + said.str.upper() + "]").map({name: k[0] for name, k in named.items() if len(k) == 1})
    return images.where(images.isin(list(stamps)), by_name).astype(object)


def _by_name_or_order(
    table: pd.DataFrame, id_column: str | None, labels: dict[str, str], folder: Path | Place
) -> pd.Series:
    if id_column is not None:
        ids, key_of = clean_text(table[id_column]), {label: key for key, label in labels.items() if label}
        any_case = {label.upper(): key for label, key in key_of.items()}  # astropy writes names of extensions so
        images = ids.map(key_of).astype(object).fillna(ids.str.upper().map(any_case).astype(object))
        if images.notna().any():
            return images
    if len(table) != len(labels):
        raise CatalogError(
            f"The catalog in {folder} has {len(table)} rows for {len(labels)} stamps and no hdu column; add one "
            "that gives each row's extension."
        )
    return pd.Series(list(labels), index=table.index, dtype=object)


def image_extensions(folder: Path | Place, name: str) -> tuple[list[Stamp], bool]:
    """Where the images of a FITS file lie, from its headers alone, and whether the file is there to its end."""
    if name.lower().endswith(".gz"):
        raise CatalogError(
            f"{folder / name} is gzipped, so its stamps cannot be read one by one; run gunzip on it first."
        )
    stamps, whole, path = [], True, folder / name
    try:
        size = path.stat().st_size if isinstance(path, Path) else path.size()
        with path.open("rb") as file:
            extension, start = 0, 0
            while start < size and file.peek(1)[:1] != b"\0":  # zeros behind the last extension are padding
                header = fits.Header.fromfile(file)
                whole = file.tell() + header.data_size <= size
                end = file.tell() + header.data_size_padded
                is_image = (
                    extension == 0 or header.get("XTENSION", "").strip() == "IMAGE" or header.get("ZIMAGE", False)
                )
                if is_image and header.get("ZNAXIS", header.get("NAXIS", 0)) >= 2:
                    stamps.append(Stamp(name, extension, start, end - start, str(header.get("EXTNAME", ""))))
                file.seek(end)
                extension, start = extension + 1, end
    except (OSError, ValueError, KeyError, EOFError) as error:
        if not stamps:
            raise CatalogError(f"Cannot read {path} as FITS ({error}); check that the download is complete.") from error
        whole = False
    return stamps, whole
