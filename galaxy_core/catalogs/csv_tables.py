"""Tables in CSV, and what passes as one: how a file is written is told by its first lines."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core.catalogs.tables import FILE_COLUMNS, ID_COLUMNS, TEXT_COLUMNS, find_column, strip_names
from galaxy_core.column_notes import TYPE, UNIT, set_notes
from galaxy_core.counting import count
from galaxy_core.errors import CatalogError
from galaxy_core.places import Place

HEAD_BYTES = 65536  # of a table, to see how it is written
GZIP = b"\x1f\x8b"
BEFORE = ("#", "+-", "sep=")  # of lines before the names; the last tells Excel what fields are apart by
SPACES = r"\s+"
RULE = r"[-,;|+:\s]+"
NAMELESS = r"Unnamed: \d+(\.\d+)?"  # as pandas calls columns without a name, such as its own row numbers
FRACTION = re.compile(r'(?:^|;)[\s"]*[-+]?\d+([.,])\d+[\s"]*(?=;|$)')
UNITS = r"deg(rees?)?|rad|h(our(angle)?)?|arc(sec|min)|mag|dex|px|pix(els?)?|[kMG]?pc|km.{1,5}s.{0,5}|[num]?Jy|nmgy|yr"
MOST_LOOKED_AT = 20
OLD_ENCODING = "cp1252"
NO_VALUE = ("--", "---", "...", "INDEF")  # as NED, CDS and IRAF write it, beside what pandas knows
MOST_EXACT = 2**53  # whole numbers beyond are rounded where a column with gaps becomes one of floats


def read_csv(path: Path | Place, keep: Callable[[str], bool] | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV file, plain or gzipped, with ids, file names and classes as text; `csv_form` says what passes as one.

    A column of whole numbers that floats would round, because it has gaps, is text as well. Other whole numbers with
    gaps are floats, and `galaxy_core.column_notes` of the table has their type.

    Parameters
    ----------
    path : Path or Place
    keep : callable, optional
        ``keep(column)`` says which columns to read; all if absent.

    Returns
    -------
    table : pandas.DataFrame
    notes : list of str
        Sentences on what could not be read.
    """
    notes: list[str] = []
    try:
        data = None if isinstance(path, Path) else path.read_bytes()
        form, units = _written(path, data)

        def load(**options) -> pd.DataFrame:
            return pd.read_csv(path if data is None else io.BytesIO(data), **(form | options))

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            header = load(nrows=0, encoding_errors="replace").columns
            text = {column: str for column in header if _is_text(column)}
            options = {"dtype": text, "low_memory": False, "usecols": keep, "on_bad_lines": "warn"}
            options["na_values"] = NO_VALUE
            options["dtype_backend"] = "numpy_nullable"  # whole numbers stay whole where there are gaps
            try:
                table = load(**options)
            except UnicodeDecodeError:
                caught.clear()  # the lines that were left out will be told of once more
                form |= {"encoding": OLD_ENCODING, "encoding_errors": "replace"}
                header, table = load(nrows=0).columns, load(**options)
                notes.append(f"{path.name} is not UTF-8 and was read as Windows-1252")
            said = [str(warning.message) for warning in caught]
    except (OSError, EOFError, ValueError, zlib.error, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CatalogError(f"Cannot read {path} as a table ({reason}); check that the file is complete.") from error
    if any("loss of data" in message for message in said):  # fields without a name were cut off, and were not empty
        raise CatalogError(
            f"The lines of {path} have more fields than its first line has names; name every column, and put text with "
            "commas in quotes."
        )
    gapped = {name.strip(): {TYPE: "int64"} for name in table if _has_gaps(table[name])}
    table = pd.DataFrame({name: _as_numpy(table[name]) for name in table}, index=table.index)
    if form["sep"] == "|":
        table = table.apply(lambda column: column.str.strip() if column.dtype == "str" else column)
    nameless = [name for name in table if re.fullmatch(NAMELESS, name)]
    if lost := sum(table[name].notna().any() and table[name].dtype.kind != "i" for name in nameless):  # not row numbers
        told = count(lost, f"column of {path.name} has", f"columns of {path.name} have")
        notes.append(f"{told} no name and {'was' if lost == 1 else 'were'} left out")
    table = table.drop(columns=nameless)
    skipped = sum(message.count("Skipping line") for message in said)
    if skipped:
        told = count(skipped, f"line of {path.name} has", f"lines of {path.name} have")
        notes.append(f"{told} too many fields and {'was' if skipped == 1 else 'were'} left out")
    table = strip_names(table)
    of_columns = {name.strip(): {UNIT: unit} for name, unit in zip(header, units, strict=False) if unit}
    of_columns = {name: of_columns.get(name, {}) | gapped.get(name, {}) for name in of_columns | gapped}
    return set_notes(table, of_columns), notes


def csv_form(path: Path | Place, data: bytes | None = None) -> dict:
    """How a table is written, by its first lines, as `pandas.read_csv` takes it.

    Lines that begin with ``#`` may come before the names, as in exports of the app; where no line of names follows, the
    last of them is it, as astropy and TOPCAT write. Names apart by semicolons (with decimal commas, as spreadsheets
    write in half of Europe), tabs, bars (as psql and Markdown have them) or spaces are as good as by commas, and UTF-16
    is as good as UTF-8. Units between names and rows are left out, and so is a rule below them, as VizieR has it.

    Parameters
    ----------
    data : bytes, optional
        What is in the file, where that has been read already.
    """
    return _written(path, data)[0]


def _written(path: Path | Place, data: bytes | None) -> tuple[dict, list[str]]:
    """`csv_form`, and the unit of each column where there are units."""
    with open(path, "rb") if data is None else io.BytesIO(data) as file:
        # by its bytes: browsers unpack what they download, and leave the name
        packed = "gzip" if file.read(len(GZIP)) == GZIP else None
        file.seek(0)
        head = (gzip.GzipFile(fileobj=file) if packed else file).read(HEAD_BYTES)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = re.split(r"\r\n?|\n", head.decode("utf-16" if wide else "utf-8-sig", "replace"))
    first = next((k for k, line in enumerate(lines) if line.strip() and not line.startswith(BEFORE)), 0)
    if re.search(r"[\0-\x08\x0e-\x1f]", lines[first]):
        raise CatalogError(f"Cannot read {path} as a table: it is no text; save it as CSV (UTF-8) where it was made.")
    separator, names = _names_in(lines[first])
    more: dict = {}
    if first and not _names_a_galaxy(names):
        hidden, commented = _names_in(re.sub(r"^#+\s*(?=[^,;])", "", lines[first - 1]))
        if _names_a_galaxy(commented):
            separator, names, more = hidden, commented, {"names": commented, "header": None}
    start = first if more else first + 1
    rows = lines[start:]
    # text of one column may have spaces in it
    if separator == SPACES and not (_names_a_galaxy(names) and rows and len(rows[0].split()) >= len(names) > 1):
        separator = ","
    ruled = next((k for k, row in enumerate(rows[:2], 1) if "--" in row and not re.sub(RULE, "", row)), 0)
    decimal = "," if separator == ";" and {mark for row in rows for mark in FRACTION.findall(row)} == {","} else "."
    fields = _fields(rows[: MOST_LOOKED_AT + 1], separator)
    ruled = ruled or int(_are_units(fields, decimal))
    units = fields[0] if ruled and re.sub(RULE, "", rows[0]) and len(fields[0]) == len(names) else []
    skipped = [*range(first), *range(start, start + ruled)]  # units, and a rule below them, as of VizieR
    # a comma at the end of each line is no reason to take the first column for names of rows
    common = {"index_col": False, "skipinitialspace": True, "compression": packed}
    encoding = "utf-16" if wide else "utf-8"
    form = {"sep": separator, "decimal": decimal, "encoding": encoding, "skiprows": skipped, **common, **more}
    return form, [unit.strip("()" if ruled > 1 else "()[]") for unit in units]  # [pc] is a logarithm for VizieR


def _names_in(line: str) -> tuple[str, list[str]]:
    """What names in a line are apart by, and the names."""
    most = max(",;\t|", key=line.count)
    separator = most if most in line else SPACES
    names = line.split() if separator == SPACES else line.strip().split(separator)
    return separator, [name.strip().strip('"') for name in names]


def _fields(rows: Sequence[str], separator: str) -> list[list[str]]:
    apart = " " if separator == SPACES else separator
    lines = csv.reader((row for row in rows if row.strip()), delimiter=apart, skipinitialspace=True)
    return [[field.strip() for field in line] for line in lines]


def _are_units(fields: Sequence[Sequence[str]], decimal: str) -> bool:
    """Whether the first line has units: no number, and one of `UNITS` where all below have numbers."""
    above, below = (fields[0], fields[1:]) if len(fields) > 1 else ([], [])
    if any(_is_number(field, decimal) for field in above):
        return False
    for k, field in enumerate(above):
        if re.fullmatch(UNITS, field.strip("[]()")):
            values = [row[k] for row in below if k < len(row) and row[k]]
            if values and all(_is_number(value, decimal) for value in values):
                return True
    return False


def _is_number(field: str, decimal: str) -> bool:
    try:
        float(field.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _names_a_galaxy(names: Sequence[str]) -> bool:
    return find_column(names, (*ID_COLUMNS, *FILE_COLUMNS)) is not None


def _has_gaps(column: pd.Series) -> bool:
    return column.dtype == "Int64" and column.hasnans and not column.isna().all()


def _as_numpy(column: pd.Series) -> pd.Series:
    """A column of nullable values as readers take it; `read_csv` says what becomes of gaps."""
    kind = column.dtype
    if isinstance(kind, pd.StringDtype):
        return column.astype("str")
    if kind == "boolean" and column.hasnans:
        return column.astype(object).where(column.notna(), np.nan)
    if _has_gaps(column) and max(-int(column.min()), int(column.max())) > MOST_EXACT:
        return column.astype("str")
    return column.astype("float64" if column.hasnans else getattr(kind, "numpy_dtype", kind))


def _is_text(column: str) -> bool:
    name = column.strip().lower()
    return name in TEXT_COLUMNS or name.endswith("objid")
