"""Fits on a sample: the sample is fair and keeps what is rare, the others are placed, and the catalog says so."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from galaxy_core import artifacts, cluster_steps, sampling, steps
from galaxy_core.artifacts.staging import Staging
from galaxy_core.clustering import fit_clustering, predict
from galaxy_core.pipeline import rerun_steps
from galaxy_core.placing import open_beside
from galaxy_core.principal import principal_axes
from galaxy_core.projection import fit_projection, place
from galaxy_core.sampling import draw_sample, share_out, stratified_sample
from galaxy_core.vectors import VectorError
from pages.views import about_map
from tests.pipeline_child import run
from tests.pipeline_runs import write_images


def crowd(n: int = 3_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Three groups of 60, 39 and 1 per cent of the galaxies, and the group of each."""
    rng = np.random.default_rng(seed)
    group = np.searchsorted([0.6, 0.99], (np.arange(n) + 0.5) / n)
    rng.shuffle(group)
    return (8 * np.eye(3, 6)[group] + rng.normal(size=(n, 6))).astype(np.float32), group


def test_the_sample_is_fair_seeded_and_keeps_the_rare():
    vectors, group = crowd()
    sample = stratified_sample(vectors, 600, seed=1)
    assert len(np.unique(sample)) == 600 and (np.diff(sample) > 0).all()
    np.testing.assert_array_equal(sample, stratified_sample(vectors, 600, seed=1))
    assert (sample != stratified_sample(vectors, 600, seed=2)).any()
    share = np.bincount(group[sample], minlength=3) / 600
    np.testing.assert_allclose(share, [0.6, 0.39, 0.01], atol=0.03)
    assert share[2] > 0


def test_a_handful_of_strange_galaxies_is_in_every_sample():
    vectors, _ = crowd(20_000)
    vectors[[17, 4_444, 19_999]] += 60  # far from every centre; drawn at random, each is in one sample of twenty
    for seed in range(4):
        assert set(stratified_sample(vectors, 1_000, seed)) & {17, 4_444, 19_999}


def test_the_farthest_hundredth_of_a_cell_is_a_stratum_of_its_own(monkeypatch):
    monkeypatch.setattr(sampling, "SHARD", 300)
    vectors = (
        np.random.default_rng(0).normal(size=(2_000, 3)).astype(np.float32) + 40 * np.repeat([0, 1], 1_000)[:, None]
    )
    strata = sampling.find_strata(vectors, 2, seed=0)
    for half in (slice(0, 1_000), slice(1_000, 2_000)):
        distance = np.linalg.norm(vectors[half] - vectors[half].mean(axis=0), axis=1)
        usual, far = sorted(set(strata[half].tolist()))
        assert far == usual + 1 and set(np.flatnonzero(strata[half] == far)) == set(np.argsort(-distance)[:10])
    monkeypatch.setattr(sampling, "N_TO_FIND_CELLS", 200)  # of the whole catalog, however it is sorted
    first, second = np.split(sampling.find_strata(vectors, 2, seed=0) // 2, 2)
    assert not set(first) & set(second)


@pytest.mark.parametrize("size", [1, 2, 30])
def test_identical_and_few_galaxies(size):
    sample = stratified_sample(np.ones((30, 2), np.float32), size, seed=0)
    assert len(np.unique(sample)) == size
    rows = stratified_sample(np.ones((1_000, 2), np.float32), 100, seed=0)
    assert abs(rows.mean() - 499.5) < 100, "at random, not the first of the catalog"  # standard error 27


def test_no_sample_is_drawn_where_all_fit():
    vectors, _ = crowd(40)
    assert draw_sample(vectors, 40, 0) is None and draw_sample(vectors, 0, 0) is None
    assert len(draw_sample(vectors, 39, 0)) == 39
    vectors[3, 0] = np.nan
    with pytest.raises(VectorError, match="1 of 40 galaxies have NaN"):
        draw_sample(vectors, 39, 0)
    with pytest.raises(VectorError, match="negative"):
        draw_sample(vectors, -1, 0)


@pytest.mark.parametrize("counts", [[5], [1, 1, 1], [1_000, 3, 0, 50], [40, 40, 1]])
def test_shares_add_up_and_never_ask_for_more_than_there_is(counts):
    counts = np.array(counts)
    for size in range(1, counts.sum() + 1):
        wanted = share_out(counts, size)
        assert wanted.sum() == size and (wanted <= counts).all() and (wanted >= 0).all()
    assert share_out(np.array([970, 10, 10, 10]), 40).tolist() == [25, 5, 5, 5], "floors take no more than half"


def test_components_added_up_over_shards_are_those_of_the_whole(monkeypatch):
    vectors, _ = crowd(500)
    mean, axes, total = principal_axes(vectors, 3)
    monkeypatch.setattr("galaxy_core.principal.SHARD", 7)
    monkeypatch.setattr(sampling, "SHARD", 7)
    in_parts = principal_axes(vectors, 3)
    values, found = np.linalg.eigh(np.cov(vectors.T.astype(np.float64), bias=True))
    np.testing.assert_allclose(np.abs(axes @ found[:, ::-1][:, :3]), np.eye(3), atol=1e-9)
    np.testing.assert_allclose([mean.sum(), total], [in_parts[0].sum(), in_parts[2]], rtol=1e-9)
    np.testing.assert_allclose(axes, in_parts[1], atol=1e-9)
    np.testing.assert_allclose(total, values.sum())
    for turned in (vectors, -vectors):  # so that a map is the same on every machine, and as scikit-learn's
        axes = principal_axes(turned[:, ::-1], 3)[1]
        assert (axes[np.arange(3), np.abs(axes).argmax(axis=1)] > 0).all()


@pytest.mark.parametrize("method", ["umap", "tsne", "lda", "pca"])
def test_a_sampled_map_has_everyone_and_is_the_fit_where_it_was_fitted(method, monkeypatch):
    monkeypatch.setattr("galaxy_core.placer.SHARD", 50)
    vectors, group = crowd(240)
    sample, classes = draw_sample(vectors, 120, 0), group.astype(str).astype(object)
    classes[group == 2] = None
    whole = fit_projection(method, vectors, 0, classes=classes, sample=sample)
    part = fit_projection(method, vectors[sample], 0, classes=classes[sample])
    assert whole.coordinates.shape == (240, 2) and np.isfinite(whole.coordinates).all()
    if method == "pca":
        assert "n_fitted" not in whole.params
        np.testing.assert_array_equal(whole.coordinates, fit_projection("pca", vectors, 0).coordinates)
        return
    assert whole.params["n_fitted"] == 120
    np.testing.assert_array_equal(whole.coordinates[sample], part.coordinates)
    others = np.setdiff1d(np.arange(240), sample)[:5]
    nearest = np.linalg.norm(whole.coordinates[sample] - whole.coordinates[others, None], axis=2).argmin(axis=1)
    assert (group[sample][nearest] == group[others]).all()
    if method == "lda":  # t-SNE places galaxies together
        np.testing.assert_allclose(whole.coordinates[others], place(part, vectors[others]), atol=1e-5)


@pytest.mark.parametrize("method, params", [("hdbscan", {"min_cluster_size": 60}), ("kmeans", {"n_clusters": 2})])
def test_a_sampled_clustering_finds_the_same_groups_and_says_so(method, params):
    vectors, group = crowd(1_500)
    sample = draw_sample(vectors, 500, 0)
    fitted = fit_clustering(method, vectors, 0, sample=sample, **params)
    assert fitted.measures["n_fitted"] == 500
    assert any("sample of 500 of the 1,500" in note for note in fitted.notes)
    if method == "hdbscan":
        assert fitted.params["min_cluster_size"] == 20 and fitted.params["min_samples"] == 4  # of 60 and 10 in all
    for name in (0, 1):
        own = fitted.labels[group == name]
        assert (own[own >= 0] == name).mean() > 0.99  # numbered by size in the whole catalog
    labels, _ = predict(fitted, vectors[:9])
    where = np.setdiff1d(np.arange(9), sample)
    np.testing.assert_array_equal(labels[where], fitted.labels[where])


def test_what_dbscan_calls_dense_is_as_dense_in_a_sample():
    rng = np.random.default_rng(0)
    crowds = np.repeat([[0, 0], [8, 8]], 1_000, axis=0) + rng.normal(size=(2_000, 2))
    vectors = np.concatenate([crowds, rng.uniform(-20, 20, (2_000, 2))]).astype(np.float32)
    whole = fit_clustering("dbscan", vectors, 0, eps=0.6, min_samples=24)
    part = fit_clustering("dbscan", vectors, 0, sample=draw_sample(vectors, 1_000, 0), eps=0.6, min_samples=24)
    assert whole.n_clusters == part.n_clusters == 2 and part.params == {"eps": 0.6, "min_samples": 6}
    assert (whole.labels == part.labels).mean() > 0.9  # with 24 of a quarter of the galaxies, 0.80


def test_the_embedding_of_many_is_mapped_not_read(tmp_path):
    staging = Staging(tmp_path, "many", tmp_path / "many", None)
    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    for part, rows in enumerate((slice(0, 30), slice(30, 50))):
        artifacts.write_embedding(tmp_path, "many", "m", [str(i) for i in range(50)[rows]], vectors[rows], part)
    mapped = steps.read_vectors(staging, "m", 50, fit_limit=20)
    assert isinstance(mapped, np.memmap) and not isinstance(steps.read_vectors(staging, "m", 50, 50), np.memmap)
    np.testing.assert_array_equal(mapped, vectors)
    table = pd.DataFrame({"galaxy_id": [str(i) for i in range(50)]})
    manifest = artifacts.Manifest("many", model="m")
    galaxies = steps.read_embedded(staging, manifest, table, SimpleNamespace(fit_limit=20, seed=0), "f")
    assert galaxies.sampled == [20] and len(galaxies.of_sample().table) == len(galaxies.of_sample().vectors) == 20
    np.testing.assert_array_equal(galaxies.of_sample().vectors, vectors[galaxies.sample])


def test_a_catalog_above_the_limit_says_what_was_fitted_on_how_many(tmp_path, monkeypatch):
    tried, trials = [], cluster_steps.Trials
    monkeypatch.setattr(cluster_steps, "Trials", lambda *given: tried.append(len(given[0].vectors)) or trials(*given))
    run(write_images(tmp_path / "images"), tmp_path / "root")
    whole = artifacts.read_manifest(tmp_path / "root", "sample")
    before = {table: artifacts.read_table(tmp_path / "root", "sample", table) for table in ("projections", "clusters")}
    assert not any("n_fitted" in made["params"] for made in whole.projections.values())
    rerun_steps(tmp_path / "root", "sample", lambda config: replace(config, fit_limit=25))
    manifest = artifacts.read_manifest(tmp_path / "root", "sample")
    assert set(tried) == {38, 25}  # what clusterings are put to is put to what they were fitted on
    assert manifest.config["fit_limit"] == 25 and "--fit-limit 25" in artifacts.mend_command("r", "sample", manifest)
    fitted = {made["method"]: made["params"].get("n_fitted") for made in manifest.projections.values()}
    assert fitted and all((n is None) if method == "pca" else (n == 25) for method, n in fitted.items())
    assert all(made["measures"]["n_fitted"] == 25 for made in manifest.clusterings.values())
    assert any("sample of 25 of the 38 galaxies" in note for note in manifest.report)
    again = rerun_steps(tmp_path / "root", "sample", lambda config: config)
    assert again.unchanged
    assert rerun_steps(tmp_path / "root", "sample", lambda config: replace(config, fit_limit=0)).manifest.projections
    for table, made in before.items():  # in the order of the manifest's names
        np.testing.assert_array_equal(made, artifacts.read_table(tmp_path / "root", "sample", table)[made.columns])


def test_the_page_says_what_was_fitted_on_how_many():
    manifest = artifacts.Manifest(
        "big",
        projections={"umap": {"params": {"n_fitted": 100_000}}, "pca": {"params": {}}},
        clusterings={"hdbscan": {"measures": {"n_fitted": 100_000}}, "old": {}},
    )
    many = type("Many", (), {"__len__": lambda self: 240_000, "manifest": manifest})()
    said = about_map.fitted_sentence(many)
    assert said.startswith("Fitted on a stratified sample of 100,000 of the 240,000 galaxies: UMAP, the clustering")
    small = type("Small", (), {"__len__": lambda self: 9, "manifest": artifacts.Manifest("small")})()
    assert about_map.fitted_sentence(small) == ""


def test_a_new_galaxy_is_put_beside_the_most_similar_not_between_two_crowds():
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(0, 1, (40, 5)), rng.normal(3, 1, (40, 5))]).astype(np.float32)
    coordinates = np.concatenate([rng.normal(0, 1, (40, 2)), rng.normal(100, 1, (40, 2))])
    new = (vectors[:40] + vectors[40:]) / 2  # half-way in the embedding
    placed = open_beside(vectors, coordinates)(new)
    assert placed.dtype == np.float32 and placed.shape == (40, 2)
    assert (np.linalg.norm(placed[:, None] - coordinates, axis=2).min(axis=1) < 3).all()
    for k in range(3):  # re-derived galaxy by galaxy
        distance = np.linalg.norm(vectors - new[k], axis=1)
        near = np.argsort(distance)[:15]
        spacing = np.sort(np.linalg.norm(coordinates - coordinates[near[0]], axis=1))[5]
        near = near[np.linalg.norm(coordinates[near] - coordinates[near[0]], axis=1) <= 2 * spacing]
        expected = np.average(coordinates[near], axis=0, weights=1 / distance[near] ** 2)
        np.testing.assert_allclose(placed[k], expected, rtol=1e-3)


def test_twins_are_put_on_their_twin_and_one_galaxy_is_enough():
    vectors = np.arange(24, dtype=np.float32).reshape(8, 3)
    coordinates = np.arange(16, dtype=float).reshape(8, 2) ** 2
    np.testing.assert_allclose(open_beside(vectors, coordinates)(vectors), coordinates, atol=1e-3)
    alone = open_beside(vectors[:1], coordinates[:1])
    np.testing.assert_allclose(alone(vectors), np.zeros((8, 2)) + coordinates[0])
