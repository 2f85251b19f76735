"""Single answers beside the images of a folder: a `labels.csv` with a survey, a question and an answer in each row.

An image may have several rows, of which a catalog keeps one; here all are read.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.csv_tables import csv_form
from galaxy_core.catalogs.image_folder import LABELS
from galaxy_core.catalogs.tables import FILE_COLUMNS, ID_COLUMNS, clean_text, find_column, strip_names
from galaxy_core.errors import CatalogError

ANSWER_COLUMNS = ("survey", "question", "answer")


def read_answers(catalog: Catalog) -> pd.DataFrame:
    """All answers about the images of a catalog of layout ``folder``, a row each, without repeated rows.

    Returns
    -------
    pandas.DataFrame
        ``row`` (of the catalog), ``survey``, ``question`` (the whole text where there is a column ``question_text``)
        and ``answer``, all as written.

    Raises
    ------
    CatalogError
        No such table, or not its columns.
    """
    path = Path(catalog.source).expanduser() / LABELS
    if catalog.layout != "folder" or not path.is_file():
        raise CatalogError(
            f"{catalog.layout}:{catalog.source} has no {LABELS} with the columns {', '.join(ANSWER_COLUMNS)}; "
            "give a folder of images with one."
        )
    try:
        with warnings.catch_warnings():
            # of fields without a name: the catalog's reader has refused those that are not empty
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            # "None" is an answer; lines with too many fields were told of by the catalog's reader
            options = {"dtype": str, "keep_default_na": False, "encoding_errors": "replace", "on_bad_lines": "skip"}
            table = pd.read_csv(path, **csv_form(path), **options)
    except (OSError, ValueError) as error:
        raise CatalogError(f"Cannot read {path} as a table ({error}); check that the file is complete.") from error
    table = strip_names(table)
    names = {name: find_column(table.columns, (name,)) for name in ANSWER_COLUMNS}
    missing = [name for name, column in names.items() if column is None]
    if missing:
        raise CatalogError(f"{path} has no column {' and no '.join(missing)}; it takes {', '.join(ANSWER_COLUMNS)}.")
    names["question"] = find_column(table.columns, ("question_text",)) or names["question"]
    id_column = find_column(table.columns, ID_COLUMNS)
    key = id_column or find_column(table.columns, FILE_COLUMNS)
    known = catalog.galaxy_ids if id_column else clean_text(catalog.table[key]).to_numpy()
    rows = clean_text(table[key]).map({name: row for row, name in enumerate(known)})
    answers = pd.DataFrame({name: table[column].str.strip() for name, column in names.items()})
    answers.insert(0, "row", rows)
    return answers[rows.notna()].astype({"row": int}).drop_duplicates().reset_index(drop=True)
