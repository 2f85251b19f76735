"""`gz2:PATH`: Galaxy Zoo 2 as released: images from Zenodo 3565489, votes of Hart et al. 2016 (MNRAS 461, 3663)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.csv_tables import read_csv
from galaxy_core.catalogs.image_files import GALAXY_ZOO_FIELD, FileImages, find_images, list_images
from galaxy_core.catalogs.tables import clean_answers, clean_text, folder_of, missing_answers, select_rows
from galaxy_core.errors import CatalogError
from galaxy_core.places import Place
from galaxy_core.vote_forms import hart_columns

VOTES, MAPPING = ("gz2_hart16.csv", "gz2_hart16.csv.gz"), ("gz2_filename_mapping.csv",)
METADATA = ("dr7objid", "ra", "dec", "sample", "gz2_class", "total_classifications", "total_votes")
# An answer's three numbers in order of preference: corrected for redshift bias, weighted by user, raw.
ANSWER_SUFFIXES = ("_debiased", "_weighted_fraction", "_fraction")
# Class strings start with: E smooth, by shape; Se edge-on; S or SB disk, bulge a to d, then arms as number and winding.
CLASSES = (
    ("round_smooth", "Er"),
    ("in_between_smooth", "Ei"),
    ("cigar_smooth", "Ec"),
    ("edge_on", "Se"),
    ("spiral", r"SB?[abcd][1234+?][tml]"),
    ("disk_without_arms", r"SB?[abcd]"),
    ("artifact", "A"),
)


def read(root: Path | str) -> Catalog:
    """Read ``images/<asset_id>.jpg``, ``gz2_filename_mapping.csv`` and ``gz2_hart16.csv`` (or ``.csv.gz``).

    Parameters
    ----------
    root : path
        Folder with all three; images may lie in any subfolder.

    Returns
    -------
    Catalog
        ``galaxy_id`` is the SDSS DR7 objid. ``answer_columns`` are the debiased fractions of the 37 answers; the
        weighted fractions are kept beside them. ``class`` is the coarse meaning of ``gz2_class``.
    """
    folder = folder_of(root, "gz2")
    votes_file, mapping_file = (_first_file(folder, names) for names in (VOTES, MAPPING))
    table, notes = read_csv(votes_file, keep=lambda column: column in METADATA or column.endswith(ANSWER_SUFFIXES[:2]))
    suffix = next((end for end in ANSWER_SUFFIXES if any(column.endswith(end) for column in table)), None)
    if "dr7objid" not in table or suffix is None:
        raise CatalogError(
            f"{votes_file} lacks dr7objid or the answer columns (t01_..._debiased); fetch the file again."
        )
    answers = tuple(column for column in table.columns if column.endswith(suffix))
    notes += missing_answers(votes_file.name, hart_columns(suffix.removeprefix("_")), answers)
    table, more_notes = clean_answers(table, [c for c in table.columns if c.endswith(ANSWER_SUFFIXES)], "fraction")
    if "gz2_class" in table:
        table["class"] = coarse_class(table["gz2_class"])
    names = list_images(folder)
    ids = clean_text(table.pop("dr7objid"))
    images, mapping_notes = _images_of(ids, mapping_file, names)
    table, images, report = select_rows(table, ids, images, names, [*notes, *mapping_notes, *more_notes])
    return Catalog(
        table=table,
        load_image=FileImages(folder, images),
        layout="gz2",
        source=str(root),
        report=report,
        answer_columns=answers,
        answer_kind="fraction",
        field_fraction=GALAXY_ZOO_FIELD,
    )


def _first_file(folder: Path | Place, names: tuple[str, ...]) -> Path | Place:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CatalogError(
        f"{folder} has no {names[0]}; run `python scripts/fetch_catalog.py gz2_original --root {folder}` to fetch it."
    )


def _images_of(ids: pd.Series, mapping_file: Path | Place, names: list[str]) -> tuple[pd.Series, list[str]]:
    mapping, notes = read_csv(mapping_file)
    if not {"objid", "asset_id"} <= set(mapping.columns):
        raise CatalogError(f"{mapping_file} lacks the columns objid and asset_id; fetch the file again.")
    objects, images = clean_text(mapping["objid"]), find_images(clean_text(mapping["asset_id"]), names)
    known = pd.DataFrame({"id": objects, "image": images}).dropna()
    n_repeated = int(known["id"].duplicated().sum())
    if n_repeated:
        notes.append(f"{n_repeated:,} rows of {mapping_file.name} give a galaxy a second image; the first was used")
    image_of = known.drop_duplicates("id").set_index("id")["image"]
    return ids.map(image_of).astype(object), notes


def coarse_class(gz2_class: pd.Series) -> pd.Series:
    """What a GZ2 class string says at its start, or null.

    Examples
    --------
    >>> coarse_class(pd.Series(["Er", "Ei(o)", "Ser", "SBc2m", "Sb+t", "SBb", "A"])).tolist()
    ['round_smooth', 'in_between_smooth', 'edge_on', 'spiral', 'spiral', 'disk_without_arms', 'artifact']
    >>> coarse_class(pd.Series(["Sb(m)", "SBc(l)", "Sc?t(m)"])).tolist()  # in brackets a merger or a lens, not arms
    ['disk_without_arms', 'disk_without_arms', 'spiral']
    """

    def classify(text: object) -> str | None:
        if not isinstance(text, str):
            return None
        return next((name for name, pattern in CLASSES if re.match(pattern, text.strip())), None)

    return gz2_class.map({text: classify(text) for text in gz2_class.unique()})
