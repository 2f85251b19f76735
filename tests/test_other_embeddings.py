"""Embeddings by further models while the catalog changes: made of the galaxies there are, or said to be gone."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxy_core import artifacts
from galaxy_core.artifacts.staging import open_staging
from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import Embedder
from galaxy_core.errors import ModelError
from galaxy_core.map_keeping import n_moving
from galaxy_core.pipeline import add_embedding, run_pipeline
from scripts import run_pipeline as command
from tests.pipeline_child import CONFIG, EMBEDDER, means
from tests.pipeline_runs import write_images

SEEN: list[int] = []


def inverted(images: np.ndarray) -> np.ndarray:
    SEEN.append(len(images))
    return means(1 - images)


OTHER = Embedder("other", "1", 16, 12, inverted)


def find(model: str) -> Embedder:
    if model != "other":
        raise ModelError(f"There is no model {model!r}.")
    return OTHER


def make(images: Path, root: Path, find_embedder=find, **changed):
    SEEN.clear()
    catalog, config = read_catalog(f"folder:{images}"), replace(CONFIG, **changed)
    return run_pipeline(catalog, EMBEDDER, root, "sample", config, find_embedder=find_embedder)


def grow(images: Path, *names: str) -> None:
    for name in names:
        Image.new("RGB", (20, 20), (250, 120, 0)).save(images / f"images/{name}.png")
    table = pd.read_csv(images / "labels.csv", dtype=str)
    pd.concat([table, pd.DataFrame({"galaxy_id": names})]).to_csv(images / "labels.csv", index=False)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """Images of 12 galaxies, one broken, and artifacts with an embedding by one more model; not to be changed."""
    folder = tmp_path_factory.mktemp("first")
    images = write_images(folder / "images", 12, broken=(2,))
    make(images, folder / "root")
    add_embedding(read_catalog(f"folder:{images}"), OTHER, folder / "root", "sample")
    return folder


@pytest.fixture
def made(first, tmp_path) -> tuple[Path, Path]:
    """A copy of both."""
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return tmp_path / "images", tmp_path / "root"


def test_they_are_made_of_the_new_galaxies_too(made):
    images, root = made
    before = dict(zip(*artifacts.read_embedding(root, "sample", "other"), strict=True))
    grow(images, "200", "201")
    result = make(images, root)
    assert sum(SEEN) == 2 and result.notes == ()
    ids, vectors = artifacts.read_embedding(root, "sample", "other")
    assert ids.tolist() == artifacts.read_table(root, "sample", "catalog")["galaxy_id"].tolist() and len(ids) == 13
    after = dict(zip(ids, vectors, strict=True))
    assert all((after[name] == before[name]).all() for name in before)
    assert artifacts.read_neighbors(root, "sample", "other")[0].shape == (13, 12)
    assert result.manifest.config["models"]["other"]["fingerprint"] == "1"
    assert artifacts.verify(root, "sample") == [] and make(images, root).unchanged


@pytest.mark.parametrize("find_embedder", [None, lambda model: find("gone")])
def test_one_whose_model_is_gone_is_said_to_be_dropped(made, find_embedder):
    images, root = made
    assert make(images, root, None, seed=2).notes == ()  # the galaxies are the same: no model is needed
    assert artifacts.list_embeddings(root, "sample") == ["means", "other"]
    grow(images, "200")
    (said,) = make(images, root, find_embedder).notes
    assert said.startswith("the embedding by other was of other galaxies or images and is gone") and "embed.py" in said
    assert artifacts.list_embeddings(root, "sample") == ["means"] and artifacts.verify(root, "sample") == []


def test_a_damaged_one_is_made_again(made):
    """The command that says what is damaged is also the one that mends it."""
    images, root = made
    path = root / "sample/embedding/other/part-00001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    make(images, root)
    assert sum(SEEN) == 4 and path.read_bytes() == whole and artifacts.verify(root, "sample") == []


def test_the_command_finds_the_model_and_says_what_moves(made, monkeypatch, capsys):
    images, root = made
    monkeypatch.setattr("galaxy_core.embedding.find_model", lambda model, _: model)
    monkeypatch.setattr("galaxy_core.embedding.load_embedder", lambda model, _: {"other": OTHER}.get(model, EMBEDDER))
    monkeypatch.setattr("galaxy_core.pipeline.PipelineConfig", lambda **given: replace(CONFIG, **given))
    words = ["run_pipeline.py", f"folder:{images}", "--name", "sample", "--artifacts", str(root)]

    monkeypatch.setattr(sys, "argv", words)
    grow(images, "200")
    with open_staging(root, "sample"):
        assert command.main() == 1  # and nothing is read, embedded or advised before
    told = capsys.readouterr()
    assert told.err.startswith("Another run is making the catalog sample now") and not told.out
    assert command.main() == 0
    assert "the places of 11 galaxies on them change" in capsys.readouterr().out
    assert artifacts.list_embeddings(root, "sample") == ["means", "other"]
    images.joinpath("images/200.png").unlink()
    monkeypatch.setattr(sys, "argv", [*words, "--keep-maps"])
    assert command.main() == 0 and "Maps are made anew" not in capsys.readouterr().out


def test_galaxies_move_where_maps_could_be_kept_and_come_out_otherwise(made):
    images, root = made
    now = read_catalog(f"folder:{images}").table["galaxy_id"]
    by = (EMBEDDER.name, EMBEDDER.fingerprint)
    assert n_moving(root, "sample", now, *by) == 0 and len(now) == 12  # one cannot be decoded, as before
    grown = pd.concat([now, pd.Series(["200"])], ignore_index=True)
    assert n_moving(root, "sample", grown, *by) == n_moving(root, "sample", now[::-1], *by) == 11
    assert n_moving(root, "sample", now[:5], *by) == 4 and n_moving(root, "sample", "x" + now, *by) == 0
    assert n_moving(root, "sample", grown, "means", "version 2") == n_moving(root, "sample", grown, "other", "1") == 0
    assert n_moving(root, "new", grown, *by) == 0
    path = root / "sample/manifest.json"
    manifest = artifacts.read_manifest(root, "sample")
    manifest.config["steps"]["projections"]["result"]["kept"] = "of before"
    path.write_text(json.dumps(manifest.to_dict()))
    assert n_moving(root, "sample", now, *by) == 11  # where they were kept before, all follow from who is there now
    (root / "sample/catalog.parquet").write_bytes(b"damaged")
    assert n_moving(root, "sample", grown, *by) == 0  # there is nothing to keep: the run mends
