"""The pipeline: the same files from the same input, tiny catalogs, broken images, and its commands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galaxy_core import artifacts
from galaxy_core.artifacts.staging import open_staging
from galaxy_core.catalogs import read_catalog
from galaxy_core.cluster_steps import check_settings
from galaxy_core.errors import ArtifactError, CatalogError, ImageError
from galaxy_core.image_steps import limit_catalog
from galaxy_core.pipeline import PipelineConfig, run_pipeline
from galaxy_core.splits import split_of
from tests.pipeline_child import CONFIG, EMBEDDER, run
from tests.pipeline_runs import BROKEN, N, hashes, write_images

PROJECT = Path(__file__).resolve().parents[1]


def test_makes_every_table(pipeline_root):
    manifest = artifacts.read_manifest(pipeline_root, "sample")
    assert artifacts.verify(pipeline_root, "sample") == []
    assert manifest.n_galaxies == N - len(BROKEN)
    projections = artifacts.read_table(pipeline_root, "sample", "projections")
    assert list(projections) == [
        "galaxy_id",
        *(f"{name}_{end}" for name in ("pca", "lda") for end in ("x", "y", "trust")),
    ]
    clusters = artifacts.read_table(pipeline_root, "sample", "clusters")
    assert {"kmeans_3_label", "kmeans_2_silhouette"} <= set(clusters)
    index, similarity = artifacts.read_neighbors(pipeline_root, "sample", "means")
    _, vectors = artifacts.read_embedding(pipeline_root, "sample", "means")
    np.testing.assert_allclose(similarity[0], vectors[index[0]] @ vectors[0], atol=1e-5)
    assert manifest.clusterings["kmeans_2"]["space"] == "pca_3"
    assert 0 <= manifest.clusterings["kmeans_3"]["scores"]["coverage"] <= 1
    assert artifacts.read_space(pipeline_root, "sample", "pca_3").shape == (N - len(BROKEN), 3)
    assert set(manifest.timings) == {*manifest.config["steps"], "total"}
    assert sorted(path.name for path in pipeline_root.iterdir()) == ["sample"]


def test_images_that_cannot_be_decoded_are_left_out_and_named(pipeline_root):
    manifest = artifacts.read_manifest(pipeline_root, "sample")
    table = artifacts.read_table(pipeline_root, "sample", "catalog")
    assert not {"105", "116", "140"} & set(table["galaxy_id"])
    (said,) = [sentence for sentence in manifest.report if sentence.startswith("3 images that cannot be decoded")]
    assert "(105, 116, 140); of the first: 105.png" in said and not said.endswith(".")


def test_split_is_that_of_the_rule(pipeline_root):
    table = artifacts.read_table(pipeline_root, "sample", "catalog")
    assert table["split"].tolist() == [split_of(galaxy_id) for galaxy_id in table["galaxy_id"]]


def test_two_runs_give_the_same_files(galaxy_folder, pipeline_root, tmp_path):
    run(galaxy_folder, tmp_path)
    assert hashes(tmp_path) == hashes(pipeline_root)


def test_a_rerun_of_a_complete_run_changes_nothing(galaxy_folder, pipeline_root):
    before = (pipeline_root / "sample/manifest.json").read_bytes()
    result = run(galaxy_folder, pipeline_root)
    assert result.unchanged and all(step.reused for step in result.steps)
    assert (pipeline_root / "sample/manifest.json").read_bytes() == before


def test_no_image_can_be_decoded(tmp_path):
    images = write_images(tmp_path / "images", 3, broken=(0, 1, 2))
    with pytest.raises(CatalogError, match=r"None of the 3 images of .* can be decoded\. Of the first: .*100\.png"):
        run(images, tmp_path / "root")
    assert artifacts.list_catalogs(tmp_path / "root") == []


@pytest.mark.parametrize("n", [1, 2, 5])
def test_tiny_catalogs_have_a_map_and_say_what_they_lack(tmp_path, n):
    images = write_images(tmp_path / "images", n, broken=())
    manifest = run(images, tmp_path / "root").manifest
    assert artifacts.verify(tmp_path / "root", "sample") == []
    assert "pca" in manifest.projections
    assert artifacts.read_neighbors(tmp_path / "root", "sample", "means")[0].shape == (n, n - 1)
    if n == 1:
        assert any("kmeans_3" in sentence for sentence in manifest.report)
        assert (artifacts.read_table(tmp_path / "root", "sample", "clusters")["kmeans_3_label"] == -1).all()


def test_lda_learns_from_training_galaxies_only(galaxy_folder, pipeline_root, tmp_path):
    """Other labels for the galaxies held out must not move one point of the map."""
    catalog = read_catalog(f"folder:{galaxy_folder}")
    table = catalog.table.copy()
    held_out = np.array([split_of(galaxy_id) != "train" for galaxy_id in table["galaxy_id"]])
    assert 0 < held_out.sum() < len(table)
    table["class"] = np.where(held_out, "a", table["class"].astype(object))
    run_pipeline(replace(catalog, table=table), EMBEDDER, tmp_path, "sample", CONFIG)
    for column in ("lda_x", "lda_y"):
        before, after = (
            artifacts.read_table(root, "sample", "projections")[column] for root in (pipeline_root, tmp_path)
        )
        np.testing.assert_array_equal(before, after)


def test_the_default_clusterings_can_be_made_and_are_named_as_before():
    clusterings = PipelineConfig().clusterings
    assert {"hdbscan", "kmeans_8"} <= set(clusterings)
    assert clusterings["hdbscan"]["space"] == "umap_10" and clusterings["kmeans_8"]["space"] == "embedding"
    for settings in clusterings.values():
        check_settings(settings, has_classes=False)


def test_a_second_run_at_the_same_time_is_refused(galaxy_folder, tmp_path):
    with open_staging(tmp_path, "sample"), pytest.raises(ArtifactError, match="Another run"):
        run(galaxy_folder, tmp_path)


def test_limit_draws_at_random_and_keeps_the_order(galaxy_folder):
    catalog = read_catalog(f"folder:{galaxy_folder}")
    few = limit_catalog(catalog, 10, seed=1)
    rows = [catalog.table["galaxy_id"].tolist().index(galaxy_id) for galaxy_id in few.galaxy_ids]
    assert len(few) == 10 and rows == sorted(rows) and rows != list(range(10))
    good = next(k for k, row in enumerate(rows) if row not in BROKEN)
    np.testing.assert_array_equal(few.load_image(good), catalog.load_image(rows[good]))
    assert limit_catalog(catalog, 0, 0) is catalog and limit_catalog(catalog, 99, 0) is catalog


def test_an_image_that_fails_only_sometimes_is_left_out_not_mixed_up(galaxy_folder, tmp_path):
    """Vectors stay with their own galaxies when others fail."""
    catalog = read_catalog(f"folder:{galaxy_folder}")

    def load_image(i: int) -> np.ndarray:
        if i % 2:
            raise ImageError("odd")
        return catalog.load_image(i)

    run_pipeline(replace(catalog, load_image=load_image), EMBEDDER, tmp_path, "sample", CONFIG)
    ids, vectors = artifacts.read_embedding(tmp_path, "sample", "means")
    by_id = dict(zip(catalog.galaxy_ids, range(len(catalog)), strict=True))
    assert all(by_id[galaxy_id] % 2 == 0 for galaxy_id in ids)
    whole_ids, whole = _whole(galaxy_folder, tmp_path)
    for galaxy_id, vector in zip(ids, vectors, strict=True):
        np.testing.assert_array_equal(vector, whole[whole_ids.index(galaxy_id)])


def _whole(galaxy_folder: Path, tmp_path: Path) -> tuple[list[str], np.ndarray]:
    run(galaxy_folder, tmp_path / "whole")
    ids, vectors = artifacts.read_embedding(tmp_path / "whole", "sample", "means")
    return list(ids), vectors


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing:here", "--name", "x"], 1, "is not LAYOUT:PATH"),
        (["synthetic:5", "--name", "a/b"], 1, "cannot name a catalog"),
        (["synthetic:5"], 2, "--name"),
        (["synthetic:5", "--name", "x", "--limit", "-1"], 2, "cannot be negative"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(tmp_path, arguments, code, words):
    command = [sys.executable, str(PROJECT / "scripts/run_pipeline.py"), *arguments, "--artifacts", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr
    assert code == 2 or done.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


def call(script: str, *arguments: str) -> subprocess.CompletedProcess:
    """A script of the project, run as a user does."""
    command = [sys.executable, str(PROJECT / "scripts" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_cluster_and_project_scripts(pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    options = ["--clustering", "kmeans_4", "--set", "n_clusters=4", "--artifacts", str(tmp_path)]
    done = call("cluster.py", "sample", *options)
    assert done.returncode == 0, done.stderr
    assert "kmeans_4: 4 clusters hold 100 % of all galaxies; strict silhouette" in done.stdout
    assert artifacts.read_manifest(tmp_path, "sample").clusterings["kmeans_4"]["params"]["n_clusters"] == 4
    done = call("project.py", "sample", "--seed", "7", "--artifacts", str(tmp_path))
    assert done.returncode == 0 and "2 maps of 38 galaxies" in done.stdout
    assert re.search(
        r"pca: keeps [\d.]+ % of the 12 nearest, over all galaxies; trustworthiness 0\.\d+ \[", done.stdout
    )
    assert artifacts.read_manifest(tmp_path, "sample").seed == 7
    done = call("project.py", "nowhere", "--artifacts", str(tmp_path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "is missing; choose one of sample, or make it again with" in done.stderr
