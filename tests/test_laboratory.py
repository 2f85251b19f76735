"""The laboratory: what is computed live is what would be stored, and what is saved is that."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import make_catalog
from sklearn.metrics import davies_bouldin_score, silhouette_samples

from galaxy_core import (
    artifacts,
    clustering,
    laboratory,
    laboratory_limits,
    laboratory_work,
    pipeline,
    spaces,
    stability,
)
from galaxy_core.errors import ArtifactError, GalaxyError
from galaxy_core.laboratory import Task
from pages.views import laboratory_choices, laboratory_result, laboratory_save, readers
from tests.pipeline_child import run
from tests.pipeline_runs import write_images

PAGE = "pages/2_Clusters.py"
KMEANS = {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 3, "n_init": 2}}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Artifacts that the pipeline made, of 60 galaxies in three classes."""
    root = tmp_path_factory.mktemp("made")
    run(write_images(tmp_path_factory.mktemp("catalog"), 60, broken=()), root)
    return root


@pytest.fixture
def work(tmp_path):
    """Function ``work(root, settings, kind="cluster", **more)``: reports and trial of a task, in this process."""

    def do(root: Path, settings: dict, kind: str = "cluster", name: str = "tiny", **more):
        reports: list[dict] = []
        task = vars(Task(kind, str(root), name, settings=settings, **more)) | {"key": "task"}
        laboratory_work.run_task(task, reports.append, tmp_path)
        result = reports[-1]["result"]
        return reports, laboratory._read_trial(tmp_path / result) if result else None

    return do


def with_embedding(root: Path, vectors: np.ndarray) -> None:
    """Replace the embedding of the small catalog; the manifest agrees with it."""
    manifest, ids = artifacts.read_manifest(root, "tiny"), artifacts.read_table(root, "tiny", "catalog")["galaxy_id"]
    artifacts.write_embedding(root, "tiny", "toy", ids, vectors.astype(np.float32))
    artifacts.write_manifest(root, "tiny", manifest)


# ---------------------------------------------------------------- what is computed


def test_data_without_groups_are_clustered_at_the_same_settings(tiny_root, work):
    reports, trial = work(tiny_root, KMEANS | {"space": "pca_3"}, "null")
    rows = [report["row"] for report in reports if "row" in report]
    assert trial is None and len(rows) == 2 * laboratory_work.LIVE_DRAWS
    embedding, seed = artifacts.read_embedding(tiny_root, "tiny", "toy")[1], 0
    shuffled, even = stability.draws_of(seed, laboratory_work.LIVE_DRAWS)[::3]
    for row, (kind, draw_seed) in zip(rows, (shuffled, even), strict=False):  # in turns: either is soon there
        flat = spaces.fit_space("pca_3", stability.data_without_groups(embedding, kind, draw_seed), seed).vectors
        labels = clustering.fit_clustering("kmeans", flat, draw_seed, n_clusters=3, n_init=2).labels
        assert row["strict"] == pytest.approx(silhouette_samples(flat, labels).mean(), abs=1e-6)
    assert len({row["strict"] for row in rows}) == len(rows) and {row["n_clusters"] for row in rows} == {3}


def test_scores_are_those_of_the_definitions(tiny_root, work):
    settings = {"method": "hdbscan", "space": "pca_3", "params": {"min_cluster_size": 12, "min_samples": 4}}
    reports, trial = work(tiny_root, settings)
    embedding = artifacts.read_embedding(tiny_root, "tiny", "toy")[1].astype(np.float64)
    centred = embedding - embedding.mean(axis=0)
    space = centred @ np.linalg.svd(centred, full_matrices=False)[2][:3].T
    inside = trial.labels >= 0
    expected = np.zeros(90)
    expected[inside] = silhouette_samples(space[inside], trial.labels[inside])
    assert 0 < inside.sum() < 90 and not trial.is_sample  # else the strict and the flattering would be the same
    assert trial.silhouettes == pytest.approx(expected, abs=1e-4)
    measured = trial.about["scores"]
    assert measured["fitted_space"]["strict"] == pytest.approx(expected.mean(), abs=1e-4)
    assert measured["fitted_space"]["clustered"] == pytest.approx(expected[inside].mean(), abs=1e-4)
    of_embedding = silhouette_samples(embedding[inside], trial.labels[inside]).sum() / 90
    assert measured["embedding"]["strict"] == pytest.approx(of_embedding, abs=1e-4)
    assert measured["davies_bouldin"] == pytest.approx(
        davies_bouldin_score(space[inside], trial.labels[inside]), abs=1e-3
    )
    assert len([report for report in reports if "fraction" in report]) >= 3


@pytest.mark.parametrize(
    ("method", "space", "params"),
    [
        ("dbscan", "embedding", {"eps": None, "min_samples": None}),
        ("agglomerative", "lda_2", {"n_clusters": 3, "linkage": "average", "n_sample": 8000}),
        ("gmm", "pca_2", {"n_clusters": 3, "covariance": "diag"}),
        ("kmeans", "pca_4", {"n_clusters": 3, "n_init": 2}),
    ],
)
def test_every_method_gives_all_galaxies_a_place(tiny_root, work, method, space, params):
    _, trial = work(tiny_root, {"method": method, "space": space, "params": params})
    assert len(trial.labels) == len(trial.silhouettes) == 90 and trial.n_clusters >= 1
    assert ("k_distance" in trial.about["measures"]) == (method == "dbscan")


def test_above_the_limit_a_sample_is_clustered_and_named(tiny_root, work, monkeypatch):
    monkeypatch.setattr(laboratory_limits, "LARGEST", 40)
    _, trial = work(tiny_root, KMEANS)
    assert trial.is_sample and len(np.unique(trial.rows)) == len(trial.labels) == 40
    assert (trial.of_all(trial.labels, -1)[trial.rows] == trial.labels).all()
    assert "random sample of 40 of the 90 galaxies" in laboratory_result.sentences(trial)[0]
    galaxies = readers.open_catalog(tiny_root, "tiny")
    assert "a random sample of 40 of the 90 galaxies" in laboratory_choices.what_is_clustered(galaxies, KMEANS)


def test_in_a_sample_what_counts_galaxies_is_brought_to_its_share(tiny_root, work, monkeypatch):
    monkeypatch.setattr(laboratory_limits, "LARGEST", 30)
    settings = {"method": "hdbscan", "space": "embedding", "params": {"min_cluster_size": 24, "min_samples": 9}}
    _, trial = work(tiny_root, settings)  # three classes of 30 galaxies, of which ten each are in the sample
    assert (trial.about["params"]["min_cluster_size"], trial.about["params"]["min_samples"]) == (8, 4)
    said = " ".join(laboratory_result.sentences(trial))
    assert "min cluster size from 24 to 8, min samples from 9 to 4" in said
    galaxies = readers.open_catalog(tiny_root, "tiny")
    assert "brought to its share" in laboratory_choices.what_is_clustered(galaxies, settings)
    params = {"parameter": "min_cluster_size", "values": (24, 0.5)}
    reports, _ = work(tiny_root, {**settings, "params": {"min_samples": 9}}, "sweep", **params)
    made, failed = (report["row"] for report in reports if "row" in report)
    assert (made["value"], made["n_clusters"]) == (24, trial.n_clusters), "the value that was asked for"
    assert failed["value"] == 0.5 and "whole number" in failed["failed"]


def test_the_limits_of_26_000_galaxies():
    limit = laboratory_limits.largest_sample
    assert min(limit(m, "embedding", 192, False) for m in ("kmeans", "agglomerative")) > 26_093
    assert limit("hdbscan", "umap_10", 10, True) > 26_093 > limit("hdbscan", "embedding", 192, False)
    assert limit("kmeans", "umap_2_of_pca_16", 2, False) < limit("kmeans", "umap_2_of_pca_16", 2, True)


def test_a_made_space_is_kept_until_the_embedding_changes(broken_root, work, tmp_path):
    settings = {**KMEANS, "space": "pca_2"}
    work(broken_root, settings)
    (kept,) = tmp_path.glob("space-*.npy")
    np.save(kept, np.repeat(np.arange(3.0), 30)[:, None].astype(np.float32))  # proves that it is read again
    _, trial = work(broken_root, settings)
    assert trial.labels.tolist() == np.repeat([0, 1, 2], 30).tolist()
    before = laboratory_work.checksum_of(artifacts.read_manifest(broken_root, "tiny"))
    with_embedding(broken_root, np.random.default_rng(0).normal(size=(90, 8)))
    assert laboratory_work.checksum_of(artifacts.read_manifest(broken_root, "tiny")) != before
    work(broken_root, settings)
    assert len(list(tmp_path.glob("space-*.npy"))) == 2


def test_a_sweep_reports_one_fit_after_the_other(tiny_root, work):
    more = {"parameter": "n_clusters", "values": (2, 3, 200)}
    settings = {**KMEANS, "params": {"n_init": 2}}
    reports, trial = work(tiny_root, settings, "sweep", **more)
    rows = [report["row"] for report in reports if "row" in report]
    assert [row["value"] for row in rows] == [2, 3, 200] and trial is None
    assert rows[1]["strict"] == pytest.approx(work(tiny_root, KMEANS)[1].about["scores"]["fitted_space"]["strict"])
    assert "up to 60" in rows[2]["failed"]


BAD = [
    ({"n_clusters": 95}, "kmeans", "ask for fewer clusters"),
    ({"n_clusters": 80}, "kmeans", "up to 60 clusters"),
    ({"min_cluster_size": 91}, "hdbscan", "ask for a smaller"),
    ({"n_clusters": 0}, "gmm", "at least one cluster"),
    ({"eps": 0.0}, "dbscan", "eps above 0"),
]


@pytest.mark.parametrize(("params", "method", "said"), BAD)
def test_impossible_parameters_are_one_sentence(tiny_root, work, params, method, said):
    with pytest.raises(GalaxyError, match=said):
        work(tiny_root, {"method": method, "space": "embedding", "params": params})


def test_identical_galaxies_one_galaxy_and_no_cluster(broken_root, tmp_path_factory, work):
    with_embedding(broken_root, np.ones((90, 8)))
    with pytest.raises(GalaxyError, match="different vectors"):
        work(broken_root, KMEANS)
    _, trial = work(broken_root, {"method": "hdbscan", "space": "embedding", "params": {"min_cluster_size": 5}})
    said = "All galaxies are unclustered, because all of them have the same vector."  # and are no continuum
    assert trial.n_clusters == 0 and laboratory_result.sentences(trial)[-1] == said
    one = tmp_path_factory.mktemp("one")
    make_catalog(one, "tiny", 1)
    with pytest.raises(GalaxyError, match="fewer clusters"):
        work(one, KMEANS)


def test_nan_in_the_embedding_is_said(broken_root, work, monkeypatch):
    ids, vectors = artifacts.read_embedding(broken_root, "tiny", "toy")
    broken = np.where(np.arange(90)[:, None] == 3, np.nan, vectors).astype(np.float32)
    monkeypatch.setattr(artifacts, "read_embedding", lambda *_: (ids, broken))
    with pytest.raises(GalaxyError, match="1 of 90 galaxies have NaN"):
        work(broken_root, KMEANS)


# ---------------------------------------------------------------- kept among the artifacts


def test_saved_is_what_was_shown_and_can_be_deleted(made, tmp_path, work, monkeypatch):
    root = shutil.copytree(made, tmp_path / "root")
    _, trial = work(root, KMEANS, name="sample")
    before = artifacts.read_table(root, "sample", "clusters")
    task = {"kind": "save", "root": str(root), "catalog": "sample", "name": "моя 3", "settings": KMEANS}
    laboratory_work.run_task(task, lambda report: None, tmp_path)
    after = artifacts.read_table(root, "sample", "clusters")
    assert (after["моя 3_label"].to_numpy() == trial.labels).all()
    assert after["моя 3_silhouette"].to_numpy() == pytest.approx(trial.silhouettes, abs=1e-5)
    pd.testing.assert_frame_equal(after[before.columns], before)
    with pytest.raises(ArtifactError, match="already"):
        laboratory_work.run_task(task, lambda report: None, tmp_path)
    galaxies = readers.open_catalog(root, "sample")
    assert "моя 3" in laboratory_save.saved_names(galaxies)
    laboratory_work.run_task({**task, "kind": "remove"}, lambda report: None, tmp_path)
    pd.testing.assert_frame_equal(artifacts.read_table(root, "sample", "clusters"), before, check_like=True)

    def open_late(*where):  # another app saves under this name before this one may change the catalog
        monkeypatch.undo()
        pipeline.add_clusterings(root, "sample", {"моя 3": {**KMEANS, "params": {"n_clusters": 2}}})
        return open_staging(*where)

    open_staging = pipeline.open_staging
    monkeypatch.setattr(pipeline, "open_staging", open_late)
    with pytest.raises(ArtifactError, match="already"):
        laboratory_work.run_task(task, lambda report: None, tmp_path)
    assert artifacts.read_manifest(root, "sample").clusterings["моя 3"]["params"]["n_clusters"] == 2


@pytest.mark.parametrize("name", ["", "../x", "a/b", "Kmeans_8", "[x]", " x"])
def test_a_bad_name_is_refused(tiny_root, name):
    with pytest.raises(ArtifactError):
        laboratory_work.check_new_name(artifacts.read_manifest(tiny_root, "tiny"), name)


def test_a_catalog_of_unknown_making_cannot_be_added_to(tiny_root, work):
    with pytest.raises(ArtifactError, match="run_pipeline"):
        work(tiny_root, KMEANS, "save")
