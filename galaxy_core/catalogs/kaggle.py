"""`kaggle:PATH`: Galaxy Zoo, The Galaxy Challenge (Kaggle 2013): 61,578 SDSS galaxies with 37 vote fractions each.

The fractions are multiplied down the decision tree: the answers of a question sum to the fraction that led to it, not
to 1.
"""

from __future__ import annotations

import re
from pathlib import Path

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.csv_tables import read_csv
from galaxy_core.catalogs.image_files import GALAXY_ZOO_FIELD, FileImages, find_images, list_images
from galaxy_core.catalogs.tables import (
    ID_COLUMNS,
    clean_answers,
    clean_text,
    find_column,
    folder_of,
    missing_answers,
    select_rows,
)
from galaxy_core.errors import CatalogError
from galaxy_core.vote_forms import KAGGLE_COLUMNS

IMAGES, SOLUTIONS = "images_training_rev1", "training_solutions_rev1.csv"
ANSWER = re.compile(r"class(\d+\.\d+)", re.IGNORECASE)  # databases change the case of names


def read(root: Path | str) -> Catalog:
    """Read ``images_training_rev1/<GalaxyID>.jpg`` and ``training_solutions_rev1.csv``.

    Parameters
    ----------
    root : path
        Folder with both.

    Returns
    -------
    Catalog
        ``answer_columns`` are ``Class1.1`` to ``Class11.6`` as released: cumulative fractions.
    """
    folder = folder_of(root, "kaggle")
    solutions, image_folder = folder / SOLUTIONS, folder / IMAGES
    for path in (solutions, image_folder):
        if not path.exists():
            raise CatalogError(
                f"{folder} has no {path.name}; unpack both it and the rest of the Kaggle download there."
            )
    table, notes = read_csv(solutions)
    id_column = find_column(table.columns, ID_COLUMNS)
    spelled = {column: ANSWER.sub(r"Class\1", column) for column in table.columns if ANSWER.fullmatch(column)}
    table, answers = table.rename(columns=spelled), tuple(spelled.values())
    if id_column is None or not answers:
        raise CatalogError(f"{solutions} lacks the GalaxyID or the Class columns; fetch the file again.")
    notes += missing_answers(solutions.name, KAGGLE_COLUMNS, answers)
    table, more_notes = clean_answers(table, answers, "fraction")
    ids = clean_text(table[id_column])
    names = list_images(image_folder)
    table, images, report = select_rows(
        table.drop(columns=id_column), ids, find_images(ids, names), names, [*notes, *more_notes]
    )
    return Catalog(
        table=table,
        load_image=FileImages(image_folder, images),
        layout="kaggle",
        source=str(root),
        report=report,
        answer_columns=answers,
        answer_kind="fraction",
        field_fraction=GALAXY_ZOO_FIELD,
    )
