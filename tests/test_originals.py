"""A galaxy's own image: found again by id, the very pixels models saw, and one sentence where it is gone or changed."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from astropy.io import fits
from conftest import blob

from galaxy_core import artifacts, originals
from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.embedding import Embedder, encode_thumbnail
from galaxy_core.errors import CatalogError
from galaxy_core.images import encode_png, resize_square
from galaxy_core.originals import find_original, looks_alike, open_originals
from galaxy_core.pipeline import PipelineConfig, run_pipeline

N = 12


def mean_colour(images: np.ndarray) -> np.ndarray:
    """A stand-in for a network: three numbers of unit length for each image."""
    means = images.mean(axis=(2, 3)) + 0.01 * images[:, :, 8, 8]
    return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """A folder of colour images of 40 px, named with more than ASCII."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(N):
        (folder / f"галактика {i:02d}.png").write_bytes(encode_png(blob(i, 40)))
    return folder


def published(root, catalog, limit=0) -> artifacts.Manifest:
    config = PipelineConfig(seed=3, limit=limit, projections={"pca": {"method": "pca"}}, clusterings={})
    run_pipeline(catalog, Embedder("toy", "x", 16, 3, mean_colour), root, "mine", config)
    return artifacts.read_manifest(root, "mine")


def thumbnails_of(root, manifest) -> dict[str, bytes]:
    ids = artifacts.read_table(root, manifest.name, "catalog")["galaxy_id"]
    images = artifacts.read_thumbnails(root, manifest.name, list(range(len(ids))))
    return dict(zip(ids, images, strict=True))


def test_found_by_id_also_where_the_artifacts_hold_some_at_random(folder, tmp_path):
    catalog = read_catalog(f"folder:{folder}")
    manifest = published(tmp_path, catalog, limit=5)
    opened = open_originals(manifest)
    stored = thumbnails_of(tmp_path, manifest)
    assert len(stored) == 5 and list(stored) != list(catalog.galaxy_ids[:5])
    for galaxy_id, thumbnail in stored.items():
        original, problem = find_original(opened, galaxy_id, thumbnail)
        row = catalog.galaxy_ids.tolist().index(galaxy_id)
        assert problem == "" and not original.linear
        np.testing.assert_array_equal(original.pixels, catalog.load_image(row))
        np.testing.assert_array_equal(original.display, load_display(catalog, row))


def test_linear_stamps_keep_their_units(tmp_path):
    folder = tmp_path / "stamps"
    folder.mkdir()
    for i in range(4):
        fits.PrimaryHDU(blob(i, 32)[0] * 5000 - 700).writeto(folder / f"s{i}.fits")
    manifest = published(tmp_path, read_catalog(f"fits-stamps:{folder}"))
    for galaxy_id, thumbnail in thumbnails_of(tmp_path, manifest).items():
        original, problem = find_original(open_originals(manifest), galaxy_id, thumbnail)
        assert problem == "" and original.linear and original.pixels.shape == (1, 32, 32)
        assert original.pixels.min() < -400 and original.display.shape == (3, 32, 32)


def test_simulated_galaxies_are_drawn_again_without_their_catalog(tmp_path, monkeypatch):
    catalog = read_catalog("synthetic:6@2")
    manifest = published(tmp_path, catalog)
    monkeypatch.setattr(originals, "read_catalog", None)  # a million rows would be made for one image
    opened = open_originals(manifest)
    stored = thumbnails_of(tmp_path, manifest)
    original, problem = find_original(opened, "sim-2-000004", stored["sim-2-000004"])
    np.testing.assert_array_equal(original.pixels, catalog.load_image(4))
    assert problem == ""
    for stranger in ("sim-2-000006", "sim-0-000001", "sim-2-4", "other", ""):
        found, problem = find_original(opened, stranger)
        assert found is None and "no longer has" in problem


def test_source_that_is_gone_changed_or_unreadable_is_one_sentence(folder, tmp_path):
    manifest = published(tmp_path, read_catalog(f"folder:{folder}"))
    stored, opened = thumbnails_of(tmp_path, manifest), open_originals(manifest)
    ids = list(stored)
    (folder / f"{ids[0]}.png").write_bytes(encode_png(blob(99, 40)))
    (folder / f"{ids[1]}.png").write_bytes(b"no picture")
    (folder / f"{ids[2]}.png").unlink()
    said = []
    for galaxy_id in ids[:3]:
        found, problem = find_original(opened, galaxy_id, stored[galaxy_id])
        assert found is None and problem.count("\n") == 0 and problem.endswith(".")
        said.append(problem)
    assert "has changed" in said[0] and "cannot be read" in said[1] and "cannot be read" in said[2]
    assert find_original(opened, ids[3], stored[ids[3]])[0] is not None
    shutil.rmtree(folder)
    with pytest.raises(CatalogError, match="does not exist"):
        open_originals(manifest)


def test_manifest_that_names_no_source(tmp_path):
    with pytest.raises(CatalogError, match="thumbnails"):
        open_originals(artifacts.Manifest(name="mine"))
    with pytest.raises(CatalogError, match="no number"):
        open_originals(artifacts.Manifest(name="mine", layout="synthetic", source="many"))


def test_relative_source_is_found_from_the_working_directory_and_from_the_project(folder, tmp_path, monkeypatch):
    manifest = artifacts.Manifest(name="mine", layout="folder", source="images")
    monkeypatch.chdir(tmp_path)
    assert find_original(open_originals(manifest), "галактика 03")[0] is not None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(CatalogError):
        open_originals(manifest)
    monkeypatch.setattr(originals, "PROJECT", tmp_path)
    assert find_original(open_originals(manifest), "галактика 03")[0] is not None
    assert os.getcwd() == str(elsewhere)


def test_thumbnails_of_one_image_look_alike_and_those_of_two_do_not():
    for i in range(12):
        image = blob(i, 100)
        for side in (100, 64):
            for quality in (83, 85, 87):  # also another encoder's bytes
                assert looks_alike(image, encode_thumbnail(resize_square(image, side), quality), 85)
        assert not looks_alike(blob(i + 1, 100), encode_thumbnail(image, 85), 85)
    assert looks_alike(image, b"broken", 85), "nothing to compare with"
    black = np.zeros((3, 20, 20), np.float32)
    assert looks_alike(black, encode_thumbnail(black, 85), 85)
    assert not looks_alike(black + 1, encode_thumbnail(black, 85), 85)
