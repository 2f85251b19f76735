"""The table beside images: CSV, or what astronomers' programs write: ECSV, FITS, VOTable, Parquet and IPAC."""

from __future__ import annotations

import gzip
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core.catalogs.csv_tables import GZIP, OLD_ENCODING, read_csv
from galaxy_core.catalogs.positions import DEC_COLUMNS, RA_COLUMNS, degrees_in
from galaxy_core.catalogs.tables import find_column, find_position, strip_names
from galaxy_core.column_notes import DESCRIPTION, UNIT, Notes, noted, notes_of
from galaxy_core.counting import count
from galaxy_core.errors import CatalogError, GalaxyError
from galaxy_core.image_limits import shown_name
from galaxy_core.places import Place

CSV = (".csv", ".csv.gz")
FITS = (".fits", ".fits.gz")
ENDINGS = (*CSV, ".ecsv", *FITS, ".vot", ".parquet", ".tbl")
# of tables that nobody reads here
OTHER_ENDINGS = (".votable", ".xml", ".tsv", ".tex", ".dat", ".mrt", ".xlsx", ".xls", ".ods")
ECSV_HEAD = b"# %ECSV"
MOST_NAMED = 5
FURTHER = "tables that are not read"  # how many, in what astropy calls the meta of a table


def find_tables(folder: Path | Place, stems: Sequence[str], images: str = "") -> list[str]:
    """Tables in a folder that are called like one of these, with any of `ENDINGS`, but for a file of images.

    The first is the one to read.
    """
    names = (stem + ending for stem in stems for ending in ENDINGS)
    return [name for name in names if name != images and (folder / name).is_file()]


def further_tables(tables: Sequence[str]) -> list[str]:
    """A sentence on tables of `find_tables` that are not read; none where there are none."""
    return [f"{tables[0]} was read, and {_named(tables[1:])} not; keep the one that is meant"] if tables[1:] else []


def unread_tables(folder: Path | Place, stem: str) -> list[str]:
    """A sentence on tables in a folder that are not read because of what they are called; none where there are none."""
    names = [item.name for item in folder.iterdir()] if isinstance(folder, Path) else dict(folder.children())
    endings = (*(ending for ending in ENDINGS if ending not in FITS), *OTHER_ENDINGS)
    found = sorted(name for name in names if name.lower().removesuffix(".gz").endswith(endings) and name[0] != ".")
    forms = f"{', '.join(ENDINGS[1:-1])} or {ENDINGS[-1]}"
    told = f"{_named(found)} not read: only a file called {stem}{ENDINGS[0]}, {forms} is"
    other = any(name.lower().endswith(OTHER_ENDINGS) for name in found)
    return [told + "; TOPCAT, astropy or a spreadsheet makes one of others" * other] if found else []


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(shown_name(name) for name in names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    return f"{shown} {'was' if len(names) == 1 else 'were'}"


def read_table(path: Path | Place) -> tuple[pd.DataFrame, list[str]]:
    """A table with ids as text, and sentences on what could not be read, such as columns of arrays.

    Raises
    ------
    CatalogError
    """
    if path.name.endswith(CSV) and not _is_ecsv(path):
        table, notes = read_csv(path)
        if notes_of(table):
            _to_degrees(table)
        return table, notes
    # imported here, since a table in CSV takes neither pyarrow nor astropy
    import pyarrow as pa

    from galaxy_core.catalogs.parquet_tables import MASK, joined_frame, read_flat, read_schema

    notes: list[str] = []
    if path.suffix == ".parquet":
        try:
            part, names = read_flat(path), read_schema(path).names
        except (OSError, pa.ArrowException) as error:
            raise _damaged(path, error) from error
        arrays = [name for name in names if name not in part.column_names and not name.endswith(MASK)]
    else:
        part, arrays, notes = _flatten(_read_astropy(path), path.name)
    if arrays:
        notes.append(f"{_named(arrays)} left out: a column holds one number or text for each galaxy, no array")
    table = joined_frame([part])
    _to_degrees(table)
    return strip_names(table), notes


def _damaged(path: Path | Place, error: Exception) -> CatalogError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return CatalogError(f"Cannot read {path} as a table ({reason}); check that the file is complete.")


def _is_ecsv(path: Path | Place) -> bool:
    try:
        if not isinstance(path, Path):
            return path.read_bytes(0, len(ECSV_HEAD)) == ECSV_HEAD
        with path.open("rb") as file:
            return file.read(len(ECSV_HEAD)) == ECSV_HEAD
    except OSError:
        return False  # whoever reads it says why


def _read_votable(file: io.BytesIO):
    """The first table of a VOTable; positions that it says are of B1950 are called so."""
    from astropy.io import votable

    found = votable.parse(file)
    systems, chosen = list(found.iter_coosys()), found.get_first_table()
    old = {one.ID for one in systems if "FK4" in str(one.system).upper() or "1950" in str(one.equinox)}
    table = chosen.to_table(use_names_over_ids=True)
    table.meta[FURTHER] = sum(1 for _ in found.iter_tables()) - 1
    fields = zip(table.colnames, chosen.fields, strict=True)
    return _with_equinox(table, [name for name, field in fields if field.ref in old])


def _with_equinox(table, names: Sequence[str]):
    """The table, its positions called by their equinox where they are among these columns, which are of B1950."""
    for name in names:
        plain = name.strip().lower()
        if plain in (*RA_COLUMNS, *DEC_COLUMNS) and not plain.endswith(("2000", "icrs")):
            table.rename_column(name, f"{name}_B1950")
    return table


def _read_astropy(path: Path | Place):
    """The first table of a FITS, VOTable, ECSV or IPAC file, as astropy has it."""
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that no standard knows, and of more tables in the file
        try:
            packed = path.read_bytes()
            data = io.BytesIO(gzip.decompress(packed) if packed.startswith(GZIP) else packed)
            if path.name.endswith(FITS):
                return _read_fits(data)
            if path.suffix == ".vot":
                return _read_votable(data)
            is_ipac = path.suffix == ".tbl"
            return Table.read(data, format="ascii.ipac") if is_ipac else _read_ecsv(data)  # which may be called .csv
        except GalaxyError:
            raise
        except Exception as error:  # of these calls alone: each of astropy's readers raises its own
            raise _damaged(path, error) from error


def _read_ecsv(file: io.BytesIO):
    """An ECSV table: with rows whose ids begin with ``#``, unless there are comments between the rows."""
    from astropy.table import Table

    try:
        return Table.read(file, format="ecsv")
    except ValueError:
        file.seek(0)
        return Table.read(file, format="ascii.ecsv")


def _flatten(table, name: str):
    """A `pyarrow.Table`, names of columns that do not fit in it, and notes; what is masked is null."""
    import pyarrow as pa

    said, notes = _notes_of(table), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _unfold(table)
        more = [column for column in table.colnames if _holds_more(table[column])]
        table.remove_columns(more)
        try:
            table.convert_bytestring_to_unicode()
        except UnicodeDecodeError:
            _decode(table)
            notes.append(f"{name} is not UTF-8 and was read as Windows-1252")
        if (further := table.meta.get(FURTHER, 0)) > 0:
            told = count(further, "more table in it was", "more tables in it were")
            notes.append(f"the first table of {name} was read; {told} not")
        part = pa.Table.from_pandas(table.to_pandas(index=False), preserve_index=False)
    return noted(part, said), more, notes


def _decode(table) -> None:
    """Columns of bytes as text."""
    for name in [name for name in table.colnames if table[name].dtype.kind == "S"]:
        column = table[name]
        table[name] = type(column)(np.strings.decode(column, OLD_ENCODING, "replace"))


def _notes_of(table) -> Notes:
    """Units and descriptions of columns of an `astropy.table.Table`; TOPCAT leaves the latter in cards of FITS."""
    said = {}
    for place, column in enumerate(table.itercols(), start=1):
        about = column.info.description or table.meta.get(f"TCOMM{place}", "")
        said[column.info.name] = {UNIT: str(column.info.unit or ""), DESCRIPTION: str(about).strip()}
    return said


def _read_fits(file: io.BytesIO):
    """The first table that is of objects (SExtractor puts headers of images before it); undefined logicals are null."""
    from astropy.io import fits
    from astropy.table import MaskedColumn, Table

    with fits.open(file, logical_as_bytes=True) as hdus:  # or what is undefined would be False
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise ValueError("there is none in it")
        chosen = next((hdu for hdu in tables if hdu.name != "LDAC_IMHEAD"), tables[0])
        table = Table.read(chosen, format="fits")
        for name in [column.name for column in chosen.columns if column.format in ("L", "1L")]:
            letters = np.asarray(table[name])
            table[name] = MaskedColumn(letters == b"T", mask=letters == b"")
        table.meta[FURTHER] = sum(hdu.name != "LDAC_IMHEAD" for hdu in tables) - 1
    return _with_equinox(table, table.colnames if _is_of_1950(chosen.header) else ())


def _is_of_1950(header) -> bool:
    frame = header.get("RADESYS", header.get("RADECSYS", ""))
    return str(frame).strip().upper().startswith("FK4") or header.get("EQUINOX") == 1950


def _to_degrees(table: pd.DataFrame) -> None:
    """Positions that the file gives in hours or radians as degrees, as if it had given them so."""
    from astropy.units import Unit

    for spellings in (RA_COLUMNS, DEC_COLUMNS):
        name, named_deg = find_position(table, spellings)
        unit = notes_of(table).get(name, {}).get(UNIT)
        if unit and pd.api.types.is_numeric_dtype(table[name]):
            scale = degrees_in(Unit(unit, parse_strict="silent"), spellings is RA_COLUMNS) / named_deg
            if scale != 1:
                table[name] = table[name].astype("float64") * scale


def _unfold(table) -> None:
    """Columns of coordinates as two of degrees, of times as dates; the first, as of photutils, are the positions."""
    from astropy.coordinates import SkyCoord
    from astropy.time import Time

    known = find_column(table.colnames, RA_COLUMNS)
    for name in [name for name in table.colnames if isinstance(table[name], SkyCoord) and table[name].ndim == 1]:
        try:
            place, before = table[name].icrs, "" if known is None else f"{name}_"
        except Exception:  # of this call alone: as of altitudes without a place and a time, each frame its own
            continue
        table[f"{before}ra_deg"], table[f"{before}dec_deg"] = place.ra.deg, place.dec.deg
        table.remove_column(name)
        known = name
    for name in [name for name in table.colnames if isinstance(table[name], Time)]:
        table[name] = table[name].datetime64


def _holds_more(column) -> bool:
    """Whether a column has arrays, complex numbers or objects of astropy, where one number or text should be."""
    if not hasattr(column, "dtype"):  # as of times that are differences
        return True
    arrays = column.dtype.kind == "O" and any(isinstance(value, np.ndarray | list | tuple) for value in column)
    return column.ndim > 1 or arrays or column.dtype.kind == "c"
