"""`galaxy-zoo:PATH`: Galaxy Zoo releases in Parquet: GZ Hubble, CANDELS, DECaLS, DESI, GZ2, ...

Two forms: shards with the images inside, as on Hugging Face (``data/train-*.parquet``), and catalogs with a
``filename`` column beside an ``images/`` folder. Answers are numbers of votes, in columns like
``smooth-or-featured-hubble_smooth``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.image_files import FileImages, find_images, image_ids, list_images
from galaxy_core.catalogs.parquet_images import ParquetImages, has_image, image_column_of
from galaxy_core.catalogs.parquet_tables import joined_frame, read_flat, read_schema
from galaxy_core.catalogs.tables import FILE_COLUMNS, ID_COLUMNS, clean_answers, clean_text, find_column, select_rows
from galaxy_core.errors import CatalogError
from galaxy_core.places import Place, place_of

# question, with its survey, then answer; questions of one word are known by their total, or by these fractions
QUESTION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
OF_ONE_WORD = re.compile(r"(bar|merging)_[a-z0-9-]+_fraction")
TOTAL, FRACTION = "_total-votes", "_fraction"
SHARD = re.compile(r"(?P<name>.*)-(?P<number>\d{5})-of-(?P<total>\d{5})(-[0-9a-f]+)?\.parquet")


def read(root: Path | str) -> Catalog:
    """Read a Galaxy Zoo release in Parquet.

    Parameters
    ----------
    root : path
        A folder with the Parquet files in it, in ``data/`` or in ``tiny/``; or one Parquet file.

    Returns
    -------
    Catalog
        ``answer_columns`` are numbers of votes, or fractions where the release has only those. The release's own split
        is kept as ``release_split``.
    """
    path = place_of(root)
    folder = path.parent if path.is_file() else path
    files = _parquet_files(path)
    try:
        image_column = image_column_of(read_schema(files[0]))
        table = _read_tables(files)
        present = has_image(files, image_column) if image_column else None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CatalogError(f"Cannot read the Parquet files in {folder} ({reason}); fetch them again.") from error
    except StopIteration:
        raise CatalogError(
            f"The Parquet files in {folder} do not all hold images; keep one release a folder."
        ) from None
    answers, kind = answer_columns(table.columns)
    table, notes = clean_answers(table, answers, kind)
    notes = _missing_shards(files) + notes
    if image_column is not None:
        rows = pd.Series(np.arange(len(table)), dtype=object).where(present, None)
        table, chosen, report = select_rows(table, _ids(table), rows, rows.dropna().tolist(), notes)
        load_image = ParquetImages(files, image_column, np.array(chosen, dtype=np.int64))
    else:
        base = folder / "images" if (folder / "images").is_dir() else folder
        names = list_images(base)
        table, chosen, report = select_rows(table, _ids(table), _files_of(table, names, files[0]), names, notes)
        load_image = FileImages(base, chosen)
    return Catalog(
        table=table,
        load_image=load_image,
        layout="galaxy-zoo",
        source=str(root),
        report=report,
        answer_columns=tuple(answers),
        answer_kind=kind,
    )


def answer_columns(columns: Iterable[str]) -> tuple[list[str], str]:
    """Columns that hold votes, and whether those are a "count" or a "fraction" ("" if there are none).

    Examples
    --------
    >>> answer_columns(["id_str", "bar-dr12_yes", "bar-dr12_yes_fraction", "bar-dr12_total-votes", "dec"])
    (['bar-dr12_yes'], 'count')
    >>> answer_columns(["bar-dr12_yes_fraction", "bar_no_fraction", "bar_length"])
    (['bar-dr12_yes_fraction', 'bar_no_fraction'], 'fraction')
    >>> answer_columns(["bar_total-votes", "bar_weak", "bar_weak_fraction", "bar_weak_debiased"])
    (['bar_weak'], 'count')
    """
    columns = [str(column) for column in columns]
    totals = {column.removesuffix(TOTAL) for column in columns if column.endswith(TOTAL)}
    answers = [
        column
        for column in columns
        if not column.endswith(TOTAL)
        # more words say what else was made of an answer: smooth-or-featured_smooth_debiased, ..._concentration
        and column.removesuffix(FRACTION).count("_") == 1
        and (
            column.partition("_")[0] in totals
            or QUESTION.fullmatch(column.partition("_")[0])
            or OF_ONE_WORD.fullmatch(column)
        )
    ]
    counts = [column for column in answers if not column.endswith(FRACTION)]
    return (counts, "count") if counts else (answers, "fraction") if answers else ([], "")


def _parquet_files(path: Path | Place) -> list[Path] | list[Place]:
    if path.is_file() and path.suffix == ".parquet":
        return [path]
    if path.suffix == ".parquet" and not path.exists():
        raise CatalogError(f"{path} does not exist; give a Parquet file, or the folder that holds some.")
    for folder in (path, path / "data", path / "tiny"):
        if files := sorted(file for file in folder.glob("*.parquet") if not file.name.startswith(".")):
            return files
    raise CatalogError(
        f"{path} has no .parquet file, nor data/ or tiny/ with some; run "
        f"`python scripts/fetch_catalog.py gz_hubble --size tiny --root {path}` for a first one."
    )


def _read_tables(files: list[Path] | list[Place]) -> pd.DataFrame:
    """All columns but images and other nested ones, of all files in order."""
    parts = []
    for file in files:
        part = read_flat(file)
        split = re.search(r"(?:^|[-_])(train|test|validation)(?:[-_.]|$)", file.name)
        if split and "release_split" not in part.column_names:
            part = part.append_column("release_split", pa.array([split[1]] * len(part), pa.string()))
        parts.append(part)
    return joined_frame(parts)


def _ids(table: pd.DataFrame) -> pd.Series:
    column = find_column(table.columns, ID_COLUMNS)
    if column is not None:
        return clean_text(table[column])
    file_column = find_column(table.columns, FILE_COLUMNS)
    if file_column is None:
        return pd.Series([f"{row:06d}" for row in table.index], index=table.index)
    names = clean_text(table[file_column])
    unique = sorted(names.dropna().unique())
    return names.map(dict(zip(unique, image_ids(unique), strict=True))).rename(None)


def _files_of(table: pd.DataFrame, names: list[str], file: Path | Place) -> pd.Series:
    column = find_column(table.columns, (*FILE_COLUMNS, *ID_COLUMNS))
    if column is None:
        raise CatalogError(f"{file} has neither images nor a column that names them; call that column filename.")
    keys = clean_text(table[column])
    if "subfolder" in table:
        keys = (table["subfolder"].astype("str") + "/" + keys).where(table["subfolder"].notna(), keys)
    return find_images(keys, names)


def _missing_shards(files: list[Path] | list[Place]) -> list[str]:
    shards = [match for file in files if (match := SHARD.fullmatch(file.name))]
    expected = {match["name"]: int(match["total"]) for match in shards}
    return [
        f"only {present} of {total} {name} shards are here"
        for name, total in expected.items()
        if (present := sum(match["name"] == name for match in shards)) < total
    ]
