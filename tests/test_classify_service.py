"""The service behind the classify command: batches, turned images, names, and a table that is whole or not there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ExportError
from galaxy_core.morphology import classify_images, classify_items, join_morphologies
from galaxy_core.morphology_items import catalog_items, file_items
from galaxy_core.morphology_table import write_morphologies
from tests.classify_runs import save_picture, small_net


def test_batches_make_no_difference(tmp_path):
    catalog, model = read_catalog("synthetic:7"), small_net()
    items = list(catalog_items(catalog))
    whole, *_ = (made for made, _ in classify_items(items, model))
    parts = join_morphologies([made for made, _ in classify_items(items, model, batch=3)])
    assert parts.galaxy_ids.tolist() == catalog.galaxy_ids.tolist() == whole.galaxy_ids.tolist()
    np.testing.assert_allclose(parts.concentrations, whole.concentrations, rtol=1e-3)
    assert whole.out_of_distribution is None and len(whole) == 7
    write_morphologies(tmp_path / "a.parquet", iter([parts]))
    batches = (made for made, _ in classify_items(items, model, batch=3))
    assert write_morphologies(tmp_path / "b.parquet", batches) == 7
    assert write_morphologies(tmp_path / "c.CSV", [parts]) == 7 == len(pd.read_csv(tmp_path / "c.CSV"))
    first, second = (pd.read_parquet(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    pd.testing.assert_frame_equal(first, second, rtol=1e-3, atol=1e-4)


def test_turning_an_image_changes_nothing_but_rounding():
    stamps = np.random.default_rng(0).random((2, 3, 32, 32)).astype(np.float32)
    one = classify_images(stamps, small_net(), ["a", "b"])
    other = classify_images(np.rot90(stamps, axes=(2, 3)).copy(), small_net(), ["a", "b"])
    np.testing.assert_allclose(other.class_probabilities, one.class_probabilities, atol=1e-5)
    np.testing.assert_allclose(other.cumulative.high, one.cumulative.high, atol=1e-3)


def test_a_killed_write_leaves_nothing(tmp_path):
    def batches():
        yield classify_images(np.zeros((1, 3, 32, 32), np.float32), small_net(), ["a"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_morphologies(tmp_path / "a.csv", batches())
    assert not list(tmp_path.iterdir())
    with pytest.raises(ExportError, match="is a folder"):
        (tmp_path / "b.csv").mkdir()
        write_morphologies(tmp_path / "b.csv", iter(()))


def test_files_of_one_name_keep_their_folders(tmp_path):
    paths = [save_picture(tmp_path / folder / "x.png") for folder in ("a", "b")]
    names = [name for name, _ in file_items(paths)]
    assert len(set(names)) == 2 and all(name.endswith(("a/x", "b/x")) for name in names)
