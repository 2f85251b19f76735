"""Clusterings: found where they are, absent where they are not, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from galaxy_core.clustering import METHODS, default_min_cluster_size, fit_clustering, order_by_size
from galaxy_core.vectors import VectorError


def blobs(sizes: tuple[int, ...], n_features: int = 10, apart: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Round groups of unit width, one on each axis, in a shuffled order; and the group of each galaxy."""
    rng = np.random.default_rng(5)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = apart * np.eye(len(sizes), n_features)
    return (centres[truth] + rng.normal(size=(len(truth), n_features))).astype(np.float32), truth


@pytest.mark.parametrize(("method", "params"), [("hdbscan", {}), ("kmeans", {"n_clusters": 3})])
def test_well_separated_groups_are_found_and_numbered_by_size(method, params):
    vectors, truth = blobs((60, 200, 120))
    clustering = fit_clustering(method, vectors, seed=1, **params)
    clustered = clustering.labels >= 0
    assert clustering.n_clusters == 3
    assert clustered.mean() > 0.9
    assert adjusted_rand_score(truth[clustered], clustering.labels[clustered]) == 1.0
    sizes = np.bincount(clustering.labels[clustered])
    assert list(sizes) == sorted(sizes, reverse=True)
    assert clustering.labels.dtype == np.int32 and clustering.membership.dtype == np.float32
    assert clustering.membership.min() >= 0 and clustering.membership.max() <= 1


@pytest.mark.parametrize("method", list(METHODS))
def test_same_seed_same_clusters(method):
    vectors = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    first, second = (fit_clustering(method, vectors, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_array_equal(first.membership, second.membership)
    assert first.params == second.params


def test_hdbscan_leaves_scattered_galaxies_out():
    vectors, _ = blobs((150, 150))
    scattered = np.random.default_rng(1).uniform(-80, 80, size=(30, 10)).astype(np.float32)
    clustering = fit_clustering("hdbscan", np.vstack([vectors, scattered]), seed=0)
    assert (clustering.labels[300:] == -1).mean() > 0.9
    assert (clustering.membership[clustering.labels == -1] == 0).all()


def test_hdbscan_default_size_is_a_share_with_a_floor_and_is_recorded():
    assert default_min_cluster_size(26_093) == 261
    assert default_min_cluster_size(40) == 15
    vectors, _ = blobs((40, 40))
    assert fit_clustering("hdbscan", vectors, seed=0).params["min_cluster_size"] == 15


def test_kmeans_membership_is_the_margin_between_the_two_nearest_centres():
    vectors, _ = blobs((50, 50, 50), apart=3.0)
    clustering = fit_clustering("kmeans", vectors, seed=0, n_clusters=3)
    centres = np.array([vectors[clustering.labels == label].mean(axis=0) for label in range(3)])
    for row in range(0, 150, 7):
        distances = sorted(np.linalg.norm(vectors[row] - centre) for centre in centres)
        assert clustering.membership[row] == pytest.approx(1 - distances[0] / distances[1], abs=2e-3)


def test_one_cluster_of_kmeans_holds_everything():
    vectors, _ = blobs((20, 20))
    clustering = fit_clustering("kmeans", vectors, seed=0, n_clusters=1)
    assert (clustering.labels == 0).all() and (clustering.membership == 1).all()


@pytest.mark.parametrize("n_galaxies", [1, 2, 14, 29])
def test_hdbscan_with_too_few_galaxies_clusters_none(n_galaxies):
    vectors = np.random.default_rng(0).normal(size=(n_galaxies, 4)).astype(np.float32)
    clustering = fit_clustering("hdbscan", vectors, seed=0)
    assert (clustering.labels == -1).all() and (clustering.membership == 0).all() and clustering.n_clusters == 0


def test_oversized_min_cluster_size_clusters_none():
    vectors, _ = blobs((60, 60))
    assert (fit_clustering("hdbscan", vectors, seed=0, min_cluster_size=500).labels == -1).all()


def test_min_samples_larger_than_the_catalog_does_not_crash():
    vectors, _ = blobs((10, 10))
    assert fit_clustering("hdbscan", vectors, seed=0, min_cluster_size=4, min_samples=300).labels.shape == (20,)


def test_identical_galaxies():
    vectors = np.ones((80, 5), dtype=np.float32)
    assert (fit_clustering("hdbscan", vectors, seed=0).labels == -1).all()
    with pytest.raises(VectorError, match="needs 8 different vectors, but the 80 galaxies have 1"):
        fit_clustering("kmeans", vectors, seed=0)


def test_repeated_galaxies_share_a_cluster():
    vectors = np.repeat(np.random.default_rng(0).normal(size=(3, 8)), 40, axis=0).astype(np.float32)
    for method, params in (("hdbscan", {}), ("kmeans", {"n_clusters": 3})):
        clustering = fit_clustering(method, vectors, seed=0, **params)
        assert clustering.n_clusters == 3
        assert adjusted_rand_score(np.repeat(np.arange(3), 40), clustering.labels) == 1.0
        assert np.isfinite(clustering.membership).all()


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
        ("fuzzy", {}, "choose one of hdbscan, kmeans"),
    ],
)
def test_impossible_parameters_are_one_sentence(method, params, sentence):
    vectors = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(VectorError, match=sentence):
        fit_clustering(method, vectors, seed=0, **params)


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.zeros(7), np.zeros((7, 0))])
def test_no_table_is_one_sentence(vectors):
    with pytest.raises(VectorError, match="needs"):
        fit_clustering("kmeans", vectors, seed=0)


def test_order_by_size_breaks_ties_by_the_first_galaxy():
    assert order_by_size(np.array([5, 2, -1, 2, 5])).tolist() == [0, 1, -1, 1, 0]
    assert order_by_size(np.array([-1, -1])).tolist() == [-1, -1]
