"""One folder with every harm a vote table can have, read as users read it: counted, named, left out; and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tree_walks import count_walks

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.images import encode_png
from galaxy_core.recipes import vote_regressor
from galaxy_core.vote_forms import KAGGLE_COLUMNS, fractions_from_counts, kaggle_from_conditional
from galaxy_core.vote_labels import read_labels
from galaxy_core.vote_tree import SLICES

SOUND = kaggle_from_conditional(fractions_from_counts(count_walks(n_galaxies=9, seed=4)[1:2])[0])[0]
COLUMNS = list(KAGGLE_COLUMNS)
SEEN = ("sound", "gap", "broken", "zero", "repeated")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Kaggle's layout: a sound row, one with NaN, one that breaks the tree, one of zeros, one twice, one unseen."""
    rows = {name: SOUND.copy() for name in (*SEEN, "unseen")}
    rows["gap"][0] = np.nan
    rows["broken"][:3] = 0.9
    rows["zero"][:] = 0.0
    table = pd.DataFrame(list(rows.values()), columns=COLUMNS)
    table.insert(0, "GalaxyID", list(rows))
    pd.concat([table, table[table["GalaxyID"] == "repeated"]]).to_csv(
        tmp_path / "training_solutions_rev1.csv", index=False
    )
    images = tmp_path / "images_training_rev1"
    images.mkdir()
    for name in (*SEEN, "nameless"):
        (images / f"{name}.jpg").write_bytes(encode_png(np.full((3, 8, 8), 0.5, np.float32)))
    return tmp_path


def test_every_harm_is_counted_and_said(folder):
    catalog = read_catalog(f"kaggle:{folder}")
    assert catalog.galaxy_ids.tolist() == list(SEEN)
    report = catalog.report
    assert (report.n_rows_without_image, report.n_images_without_row, report.n_duplicate_rows) == (1, 1, 1)
    said = " | ".join(report.sentences())
    for text in (
        "5 galaxies from 7 rows",
        "1 row has no image",
        "1 image has no row",
        "1 row repeats a galaxy_id; the first of each was kept (",
        "1 galaxy has answers without a usable number",
    ):
        assert text in said
    labels, notes = read_labels(catalog)
    first = SLICES[0]
    assert np.isfinite(labels.cumulative[[0, 4]]).all() and labels.has_votes[[0, 4]].all()
    assert np.isnan(labels.cumulative[[1, 2], first]).all(), "a question with a gap, or with 2.7 answers, is not known"
    assert not labels.counts[3].any() and np.isfinite(labels.counts).all()
    assert len(notes) == 1 and "answers that break the question tree (broken, zero); those questions" in notes[0]


@pytest.mark.parametrize("keep", [["GalaxyID"], COLUMNS])
def test_wrong_columns_are_one_sentence(folder, keep):
    path = folder / "training_solutions_rev1.csv"
    pd.read_csv(path)[keep].to_csv(path, index=False)
    with pytest.raises(CatalogError, match="lacks the GalaxyID or the Class columns; fetch the file again") as caught:
        read_catalog(f"kaggle:{folder}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("columns", ["dr7objid,ra", "specobjid,t01_smooth_or_features_a01_smooth_debiased"])
def test_wrong_columns_of_galaxy_zoo_2_are_one_sentence(tmp_path, columns):
    (tmp_path / "gz2_hart16.csv").write_text(f"{columns}\n1,0.5\n")
    (tmp_path / "gz2_filename_mapping.csv").write_text("objid,sample,asset_id\n1,original,1\n")
    with pytest.raises(CatalogError, match="lacks dr7objid or the answer columns") as caught:
        read_catalog(f"gz2:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_a_table_without_any_votes_is_not_trained_on(folder, tmp_path):
    path = folder / "training_solutions_rev1.csv"
    table = pd.read_csv(path)
    table[COLUMNS] = np.nan
    table.to_csv(path, index=False)
    with pytest.raises(ModelError, match="No galaxy of these catalogs has votes or one of the classes"):
        vote_regressor.train([read_catalog(f"kaggle:{folder}")], tmp_path / "model")
