"""What cannot be clustered: too few galaxies, equal ones, none; and what means nothing, in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from blobs import blobs

from galaxy_core.clustering import METHODS, fit_clustering, predict
from galaxy_core.vectors import VectorError


@pytest.mark.parametrize("n_galaxies", [1, 2, 14, 29])
def test_hdbscan_with_too_few_galaxies_clusters_none(n_galaxies):
    vectors = np.random.default_rng(0).normal(size=(n_galaxies, 4)).astype(np.float32)
    clustering = fit_clustering("hdbscan", vectors, seed=0)
    assert (clustering.labels == -1).all() and (clustering.membership == 0).all() and clustering.n_clusters == 0


def test_no_cluster_is_said_in_a_note():
    vectors, _ = blobs((120,))
    clustering = fit_clustering("hdbscan", vectors, seed=0, min_cluster_size=60)
    assert (clustering.labels == -1).all()
    assert clustering.notes == ("hdbscan found no cluster, so all 120 galaxies are unclustered",)
    assert fit_clustering("hdbscan", blobs((60, 60))[0], seed=0).notes == ()


@pytest.mark.parametrize(
    ("method", "n", "params", "why"),
    [
        ("hdbscan", 20, {}, "20 galaxies cannot be parted into two clusters of at least 15"),
        ("hdbscan", 40, {"min_cluster_size": 21}, "40 galaxies cannot be parted into two clusters of at least 21"),
        ("dbscan", 9, {"min_samples": 10}, "9 galaxies are fewer than 10 neighbours"),
        ("dbscan", 12, {"alike": True}, "all of them have the same vector"),
    ],
)
def test_where_there_can_be_no_cluster_the_note_says_why(method, n, params, why):
    vectors = np.ones((n, 3)) if params.pop("alike", False) else np.random.default_rng(0).normal(size=(n, 3))
    found = fit_clustering(method, vectors, seed=0, **params)
    assert found.n_clusters == 0 and found.notes == (f"all galaxies are unclustered, because {why}",)


def test_min_samples_larger_than_the_catalog_does_not_crash():
    vectors, _ = blobs((10, 10))
    assert fit_clustering("hdbscan", vectors, seed=0, min_cluster_size=4, min_samples=300).labels.shape == (20,)


def test_identical_galaxies():
    vectors = np.ones((80, 5), dtype=np.float32)
    for method in ("hdbscan", "dbscan"):
        assert (fit_clustering(method, vectors, seed=0).labels == -1).all()
    for method in ("kmeans", "gmm", "agglomerative"):
        with pytest.raises(VectorError, match="needs 8 different vectors, but the 80 galaxies have 1"):
            fit_clustering(method, vectors, seed=0)


@pytest.mark.parametrize("method", list(METHODS))
def test_one_galaxy_is_unclustered_or_one_sentence(method):
    vectors = np.ones((1, 5), dtype=np.float32)
    if method in ("hdbscan", "dbscan"):
        clustering = fit_clustering(method, vectors, seed=0)
        assert clustering.labels.tolist() == [-1] and clustering.notes
        assert predict(clustering, vectors)[0].tolist() == [-1]
    else:
        with pytest.raises(VectorError, match="but there is 1 galaxy; ask for fewer clusters"):
            fit_clustering(method, vectors, seed=0)


@pytest.mark.parametrize("method", list(METHODS))
def test_nan_is_named_with_a_count(method):
    vectors = np.zeros((100, 4), dtype=np.float32)
    vectors[[3, 50], 1] = np.nan
    with pytest.raises(VectorError, match="2 of 100 galaxies have NaN or infinite values"):
        fit_clustering(method, vectors, seed=0)


@pytest.mark.parametrize(
    ("method", "params", "sentence"),
    [
        ("kmeans", {"n_clusters": 30}, "needs 30 different vectors"),
        ("kmeans", {"n_clusters": 0}, "at least one cluster"),
        ("hdbscan", {"min_cluster_size": 1}, "at least 2"),
        ("hdbscan", {"min_samples": 0}, "at least 1"),
        ("hdbscan", {"cluster_selection_method": "best"}, "'eom' or 'leaf'"),
        ("hdbscan", {"min_cluster_size": 21}, "clusters of at least 21 galaxies among 20; ask for a smaller"),
        ("hdbscan", {"min_cluster_size": 5, "min_cluster_share": 0.1}, "not both"),
        ("hdbscan", {"min_cluster_share": 0.7}, "up to 0.5"),
        ("kmeans", {"n_clusters": "many"}, "n_clusters must be a whole number, not 'many'"),
        ("kmeans", {"n_clusters": 2.5}, "whole number"),
        ("kmeans", {"eps": 1}, "kmeans has no parameter 'eps'; it has n_clusters, n_init"),
        ("gmm", {"n_clusters": 30}, "needs 30 different vectors"),
        ("gmm", {"covariance": "round"}, "full, tied, diag, spherical"),
        ("agglomerative", {"n_clusters": 30}, "needs 30 different vectors"),
        ("agglomerative", {"linkage": "nearest"}, "ward, average, complete, single"),
        ("agglomerative", {"n_sample": 5}, "between n_clusters and 20,000"),
        ("hdbscan", {"min_cluster_share": "abc"}, "min_cluster_share must be a number, not 'abc'"),
        ("dbscan", {"eps": 0.0}, "eps above 0"),
        ("dbscan", {"eps": "abc"}, "eps must be a number, not 'abc'"),
        ("dbscan", {"eps": np.inf}, "eps must be a number, not inf"),
        ("dbscan", {"min_samples": 1}, "at least 2"),
        ("fuzzy", {}, "choose one of hdbscan, kmeans, dbscan, agglomerative, gmm"),
    ],
)
def test_impossible_parameters_are_one_sentence(method, params, sentence):
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(VectorError, match=sentence):
        fit_clustering(method, vectors, seed=0, **params)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_the_libraries_do_not_take_is_one_sentence(seed):
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(VectorError, match=f"A seed must be a number from 0 to 4,294,967,295, not {seed}"):
        fit_clustering("kmeans", vectors, seed=seed, n_clusters=2)


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.zeros(7), np.zeros((7, 0))])
def test_no_table_is_one_sentence(vectors):
    with pytest.raises(VectorError, match="needs"):
        fit_clustering("kmeans", vectors, seed=0)
