"""What the readers share: tables with ids that stay text, and rows that are kept, or counted and left out.

Object ids have 18 digits, more than a float64 holds, so an id column is read as text and never anything else.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from galaxy_core.catalogs.catalog import ReadReport
from galaxy_core.catalogs.missing import without_sentinels
from galaxy_core.catalogs.positions import DEC_COLUMNS, RA_COLUMNS, below_zero, degrees_of
from galaxy_core.column_notes import notes_of, own_id, set_notes
from galaxy_core.errors import CatalogError
from galaxy_core.places import Place, place_of

ID_COLUMNS = ("galaxy_id", "galaxyid", "id_str", "id", "objid", "dr7objid", "object_id", "iauname", "ident", "asset_id")
OTHER_ID_COLUMNS = ("number", "source_id", "sourceid", "objectid", "coadd_object_id", "targetid")  # for want of those
FILE_COLUMNS = ("file", "filename", "file_loc", "file_name", "path", "image", "image_id", "name")
CLASS_COLUMNS = ("class", "class5", "label")
GROUP_COLUMNS = ("split_group", "source_frame")
TEXT_COLUMNS = (*ID_COLUMNS, *FILE_COLUMNS, *CLASS_COLUMNS, *GROUP_COLUMNS)
ITS_OWN_COLUMNS = ("galaxy_id", "ra_deg", "dec_deg", "class", "split_group")
MOST_CLASSES = 100  # that are believed of any number of galaxies
HEAD_BYTES = 65536  # of a table, to see how it is written
SPACES = r"\s+"
RULE = r"[-,;|+:\s]+"
FRACTION = re.compile(r'(?:^|;)[\s"]*[-+]?\d+([.,])\d+[\s"]*(?=;|$)')
WHOLE = r"\s*[-+]?\d+\s*"


def folder_of(root: Path | str, layout: str) -> Path | Place:
    """``root`` as a path or a place in a store, once it is known to be a folder."""
    folder = place_of(root)
    local = isinstance(folder, Path)  # whose own methods raise for a name that is too long
    if not (os.path.isdir(folder) if local else folder.is_dir()):
        reason = "is a file" if (os.path.exists(folder) if local else folder.exists()) else "does not exist"
        raise CatalogError(f"{layout}:{root} {reason}; give the path of the folder that holds the catalog.")
    return folder


def find_column(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """First of ``names`` that is among ``columns``, spelled like that or else in any case; as the file spells it."""
    columns = list(columns)
    spelled = {str(column).strip().lower(): column for column in columns} | {column: column for column in columns}
    return next((spelled[name] for name in names if name in spelled), None)


def read_csv(path: Path | Place, keep: Callable[[str], bool] | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Read a CSV file, plain or gzipped, with ids, file names and classes as text; `csv_form` says what passes as one.

    A column of whole numbers that floats would round, because it has gaps, is text as well.

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
        form = csv_form(path, data)

        def load(**options) -> pd.DataFrame:
            return pd.read_csv(path if data is None else io.BytesIO(data), **(form | options))

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            header = load(nrows=0, encoding_errors="replace").columns
            text = {column: str for column in header if _is_text(column)}
            options = {"dtype": text, "low_memory": False, "usecols": keep, "on_bad_lines": "warn"}
            try:
                table = load(**options)
            except UnicodeDecodeError:
                caught.clear()  # the lines that were left out will be told of once more
                options["encoding"] = "latin-1"
                table = load(**options)
                notes.append(f"{path.name} is not UTF-8 and was read as Latin-1")
            said = [str(warning.message) for warning in caught]
            if rounded := _rounded(table):
                again = load(**options | {"dtype": text | dict.fromkeys(rounded, str)})[rounded]
                whole = [name for name in rounded if again[name].dropna().astype(str).str.fullmatch(WHOLE).all()]
                table[whole] = again[whole]
    except (OSError, EOFError, ValueError, zlib.error, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CatalogError(f"Cannot read {path} as a table ({reason}); check that the file is complete.") from error
    if any("loss of data" in message for message in said):  # fields without a name were cut off, and were not empty
        raise CatalogError(
            f"The lines of {path} have more fields than its first line has names; name every column, and put text with "
            "commas in quotes."
        )
    if form["sep"] == "|":  # there may be one before the first and behind the last column
        table = table[[name for name in table if not name.startswith("Unnamed: ")]]
        table = table.apply(lambda column: column.str.strip() if column.dtype == "str" else column)
    skipped = sum(message.count("Skipping line") for message in said)
    if skipped:
        notes.append(f"{skipped:,} lines of {path.name} have too many fields and were left out")
    return strip_names(table), notes


def csv_form(path: Path | Place, data: bytes | None = None) -> dict:
    """How a table is written, by its first lines, as `pandas.read_csv` takes it.

    Lines that begin with ``#`` may come before the names, as in exports of the app; where no line of names follows, the
    last of them is it, as astropy and TOPCAT write. Names apart by semicolons (with decimal commas, as spreadsheets
    write in half of Europe), tabs, bars (as psql and Markdown have them) or spaces are as good as by commas, and UTF-16
    is as good as UTF-8. Units with a rule below them, as VizieR has between names and rows, are left out.

    Parameters
    ----------
    data : bytes, optional
        What is in the file, where that has been read already.
    """
    packed = "gzip" if path.name.endswith(".gz") else None
    with open(path, "rb") if data is None else io.BytesIO(data) as file:
        head = (gzip.GzipFile(fileobj=file) if packed else file).read(HEAD_BYTES)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    lines = re.split(r"\r\n?|\n", head.decode("utf-16" if wide else "utf-8-sig", "replace"))
    first = next((k for k, line in enumerate(lines) if line.strip() and not line.startswith(("#", "+-"))), 0)
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
    skipped = [*range(first), *range(start, start + ruled)]  # units, and a rule below them, as of VizieR
    decimal = "," if separator == ";" and {mark for row in rows for mark in FRACTION.findall(row)} == {","} else "."
    # a comma at the end of each line is no reason to take the first column for names of rows
    common = {"index_col": False, "skipinitialspace": True, "compression": packed}
    encoding = "utf-16" if wide else "utf-8"
    return {"sep": separator, "decimal": decimal, "encoding": encoding, "skiprows": skipped, **common, **more}


def _names_in(line: str) -> tuple[str, list[str]]:
    """What names in a line are apart by, and the names."""
    most = max(",;\t|", key=line.count)
    separator = most if most in line else SPACES
    names = line.split() if separator == SPACES else line.strip().split(separator)
    return separator, [name.strip().strip('"') for name in names]


def _names_a_galaxy(names: Sequence[str]) -> bool:
    return find_column(names, (*ID_COLUMNS, *FILE_COLUMNS)) is not None


def _rounded(table: pd.DataFrame) -> list[str]:
    """Columns of floats among which are some that stand for several whole numbers."""
    most = table.select_dtypes("float64").abs().max()
    return most.index[most >= 2**53].tolist()


def strip_names(table: pd.DataFrame) -> pd.DataFrame:
    """The table without spaces around the names of its columns, but where another column is called like that."""
    return table.rename(columns={name: name.strip() for name in table if name.strip() not in table})


def _is_text(column: str) -> bool:
    name = column.strip().lower()
    return name in TEXT_COLUMNS or name.endswith("objid")


def clean_text(values: pd.Series) -> pd.Series:
    """A column as stripped text with blanks as nulls; whole numbers once written as floats lose their ``.0``."""
    text = values.astype("str").str.strip().str.replace(r"^(\d+)\.0+$", r"\1", regex=True)
    return text.where(text.notna() & (text != ""))


def select_rows(
    table: pd.DataFrame, ids: pd.Series, images: pd.Series, names: Sequence[str], notes: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str], ReadReport]:
    """Keep the rows that are galaxies: with an id, with an image, and the first of each id; count the others.

    Parameters
    ----------
    table : pandas.DataFrame
    ids, images : pandas.Series
        ``galaxy_id`` and image of each row of ``table``, null where there is none; ids are called like the column they
        are from, if any.
    names : sequence of str
        All images there are.
    notes : sequence of str

    Returns
    -------
    table : pandas.DataFrame
        With ``galaxy_id`` as first column and the common columns under their own names; `galaxy_core.column_notes` of
        it has units, descriptions, and name and type of the column the ids are from.
    images : list
        Image of each row of the returned table.
    report : ReadReport
    """
    has_id, has_image = ids.notna(), images.notna()
    usable = has_id & has_image
    repeated = usable & ids.where(usable).duplicated(keep="first")
    keep = usable & ~repeated
    chosen = images[keep].tolist()
    kept, more_notes = standard_columns(table[keep].drop(columns="galaxy_id", errors="ignore"))
    kept, missing = without_sentinels(kept)
    kept.insert(0, "galaxy_id", ids[keep].astype("str"))
    if "split_group" in kept:  # a stamp of no known frame goes by itself
        kept["split_group"] = kept["split_group"].fillna(kept["galaxy_id"])
    report = ReadReport(
        n_rows=len(table),
        n_galaxies=int(keep.sum()),
        n_rows_without_image=int((has_id & ~has_image).sum()),
        n_images_without_row=len(set(names) - set(images.dropna())),
        n_duplicate_rows=int(repeated.sum()),
        n_null_rows=int((~has_id).sum()),
        notes=(*notes, *more_notes, *missing, *_rounded_ids(ids)),
    )
    said = notes_of(table)
    own = own_id(ids[keep].astype("str"), said)
    said = {name: of_it for name, of_it in said.items() if name in kept and name not in ITS_OWN_COLUMNS}
    return set_notes(kept.reset_index(drop=True), said | ({"galaxy_id": own} if own else {})), chosen, report


def _rounded_ids(ids: pd.Series) -> list[str]:
    """A sentence on ids that went through floats on their way here, so that several became one."""
    rounded = ids[ids.notna() & ids.astype("str").str.fullmatch(r"\d(?:\.\d+)?[eE]\+\d+")]
    if rounded.empty:
        return []
    return [f"{len(rounded):,} ids such as {rounded.iloc[0]} have lost digits; write them as whole numbers or as text"]


def standard_columns(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rename and check position, class and frame columns, wherever the release has them under any usual name."""
    notes: list[str] = []
    if "release_split" not in table:
        table = table.rename(columns={"split": "release_split"})  # ``split`` is ours to say
    for name, spellings in (
        ("ra_deg", RA_COLUMNS),
        ("dec_deg", DEC_COLUMNS),
        ("class", CLASS_COLUMNS),
        ("split_group", GROUP_COLUMNS),
    ):
        column = find_column(table.columns, spellings)
        if column is not None and name == "class" and (n_different := table[column].nunique()) > _most_classes(table):
            notes.append(f"{column} has {n_different:,} different values, so it was not taken for the class")
            table = table.rename(columns={column: "catalog_class"} if column == name else {})
        elif column is not None:
            table = table.rename(columns={column: name})
    for name, low, high in (("ra_deg", 0.0, 360.0), ("dec_deg", -90.0, 90.0)):
        if name in table:
            degrees = degrees_of(table[name], in_hours=name == "ra_deg")
            if name == "ra_deg" and (below := below_zero(degrees)).any():
                degrees = degrees.mask(below, degrees + 360)
                notes.append(f"{below.sum():,} right ascensions below 0 were read as 360 degrees more")
            table[name] = degrees.where(degrees.between(low, high))
            if n_bad := int(table[name].isna().sum()):
                notes.append(f"{n_bad:,} galaxies have no usable {name} (degrees, {low:g} to {high:g})")
    for name in ("class", "split_group"):
        if name in table:
            table[name] = clean_text(table[name])
    first = [name for name in ITS_OWN_COLUMNS if name in table]
    return table[[*first, *(column for column in table if column not in first)]], notes


def _most_classes(table: pd.DataFrame) -> int:
    """Of more the column numbers the galaxies, as ``label`` of photutils does."""
    return max(MOST_CLASSES, len(table) // 2)


def clean_answers(table: pd.DataFrame, columns: Sequence[str], kind: str) -> tuple[pd.DataFrame, list[str]]:
    """Votes as float32, null where they are no number, negative, or as fractions above 1; nulls are counted."""
    votes = table[list(columns)].apply(pd.to_numeric, errors="coerce").astype("float32")
    votes = votes.where((votes >= 0) & (votes <= (1.0 if kind == "fraction" else 1e9)))
    table = table.assign(**{column: votes[column] for column in votes})
    n_gaps = int(votes.isna().any(axis=1).sum())
    return table, [f"{n_gaps:,} galaxies have answers without a usable number"] if n_gaps else []


def constant_scale(table: pd.DataFrame) -> float | None:
    """Pixel scale in arcseconds if the table has a ``pixel_scale_arcsec`` column with one positive value."""
    if "pixel_scale_arcsec" not in table:
        return None
    scales = pd.to_numeric(table["pixel_scale_arcsec"], errors="coerce").dropna().unique()
    return float(scales[0]) if len(scales) == 1 and scales[0] > 0 else None
