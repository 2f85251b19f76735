"""Clusterings: found where they are, absent where they are not, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from blobs import PARAMS, blobs
from sklearn.metrics import adjusted_rand_score

from galaxy_core.clustering import (
    METHODS,
    default_min_cluster_size,
    density,
    fit_clustering,
    k_distances,
    predict,
    summarize_k_distances,
)
from galaxy_core.clustering.result import names_by_size, renumber
from galaxy_core.vectors import VectorError


@pytest.mark.parametrize(("method", "params"), PARAMS.items())
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


def test_min_cluster_share_is_a_size_that_fits_the_catalog():
    vectors, _ = blobs((200, 200))
    clustering = fit_clustering("hdbscan", vectors, seed=0, min_cluster_share=0.1)
    assert clustering.params["min_cluster_size"] == 40
    assert fit_clustering("hdbscan", vectors[:50], seed=0, min_cluster_share=0.1).params["min_cluster_size"] == 15


def test_repeated_galaxies_share_a_cluster():
    vectors = np.repeat(np.random.default_rng(0).normal(size=(3, 8)), 40, axis=0).astype(np.float32)
    for method, params in PARAMS.items():
        clustering = fit_clustering(method, vectors, seed=0, **params)
        assert clustering.n_clusters == 3, method
        assert adjusted_rand_score(np.repeat(np.arange(3), 40), clustering.labels) == 1.0
        assert np.isfinite(clustering.membership).all()


@pytest.mark.parametrize(("labels", "ordered"), [([5, 2, -1, 2, 5], [0, 1, -1, 1, 0]), ([-1, -1], [-1, -1])])
def test_the_order_by_size_breaks_ties_by_the_first_galaxy(labels, ordered):
    assert renumber(labels, names_by_size(labels)).tolist() == ordered


@pytest.mark.parametrize(("method", "params"), PARAMS.items())
def test_new_galaxies_join_the_cluster_they_lie_in(method, params):
    vectors, truth = blobs((60, 200, 120))
    clustering = fit_clustering(method, vectors[::2], seed=1, **params)
    before = clustering.labels.copy()
    labels, membership = predict(clustering, vectors[1::2])
    placed = labels >= 0
    assert placed.mean() > 0.85
    # the largest group is cluster 0, and so on: numbers mean the same as for the galaxies it was fitted on
    assert (labels == np.array([2, 0, 1])[truth[1::2]])[placed].all()
    assert labels.dtype == np.int32 and membership.dtype == np.float32
    assert membership.min() >= 0 and membership.max() <= 1
    np.testing.assert_array_equal(clustering.labels, before)
    with pytest.raises(VectorError, match="vectors of 10 features, but the new ones have 9"):
        predict(clustering, vectors[:, :9])


@pytest.mark.parametrize(("method", "params"), PARAMS.items())
def test_galaxies_it_was_fitted_on_are_placed_where_they_are(method, params):
    vectors, _ = blobs((60, 200, 120), apart=6.0)
    clustering = fit_clustering(method, vectors, seed=1, **params)
    labels, membership = predict(clustering, vectors)
    same = labels == clustering.labels
    if method == "hdbscan":  # its approximate prediction takes a galaxy for a new one beside its twin
        assert same.mean() > 0.9
    else:
        assert same.all()
        np.testing.assert_allclose(membership, clustering.membership, atol=2e-3)


def test_a_galaxy_far_from_everything_is_unclustered_to_density_methods():
    vectors, _ = blobs((150, 150))
    for method in ("hdbscan", "dbscan"):
        labels, membership = predict(fit_clustering(method, vectors, seed=0), np.full((1, 10), 500.0))
        assert labels.tolist() == [-1] and membership.tolist() == [0]


def test_dbscan_is_the_librarys_but_for_border_galaxies(monkeypatch):
    """And the same in strips, as it is done where all pairs do not fit into memory."""
    from sklearn.cluster import DBSCAN

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(600, 2)).astype(np.float32)
    bare = DBSCAN(eps=0.2, min_samples=8).fit(vectors)
    core = np.isin(np.arange(600), bare.core_sample_indices_)
    assert bare.labels_.max() > 2 and 0.2 < core.mean() < 0.8
    whole = fit_clustering("dbscan", vectors, seed=0, eps=0.2, min_samples=8)
    monkeypatch.setattr(density, "PAIRS_AT_ONCE", 7 * 600)
    strips = fit_clustering("dbscan", vectors, seed=0, eps=0.2, min_samples=8)
    np.testing.assert_array_equal(whole.labels, strips.labels)
    np.testing.assert_array_equal(whole.labels == -1, bare.labels_ == -1)
    assert adjusted_rand_score(whole.labels[core], bare.labels_[core]) == 1.0
    for row in np.flatnonzero(~core & (whole.labels >= 0)):
        distances = np.linalg.norm(vectors[core] - vectors[row], axis=1)
        assert whole.labels[row] == whole.labels[core][distances.argmin()]
        assert whole.membership[row] == pytest.approx(1 - distances.min() / 0.2, abs=1e-4)


def test_k_distances_are_those_of_a_full_table_and_bend_at_the_elbow():
    vectors = np.random.default_rng(0).normal(size=(60, 3))
    table = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.testing.assert_allclose(k_distances(vectors, 4), np.sort(np.sort(table, axis=1)[:, 4]), rtol=1e-5)
    curve = np.concatenate([np.linspace(0, 1, 91), np.linspace(1, 11, 11)[1:]])  # two straight lines that meet at 1
    summary = summarize_k_distances(curve, 11)
    assert summary["elbow"] == pytest.approx(1) and summary["elbow_share"] == pytest.approx(0.9)
    assert len(summary["share"]) == len(summary["distance"]) == 11 and summary["distance"][-1] == 11
    clustering = fit_clustering("dbscan", vectors, seed=0)
    assert clustering.params["eps"] == clustering.measures["k_distance"]["elbow"]
    assert clustering.params["min_samples"] == 6 and clustering.measures["k_distance"]["k"] == 5


def test_agglomerative_merges_a_sample_and_says_so():
    vectors, truth = blobs((300, 500))
    clustering = fit_clustering("agglomerative", vectors, seed=0, n_clusters=2, n_sample=100)
    assert "sample of 100 of the 800 galaxies" in clustering.notes[0] and clustering.params["n_sample"] == 100
    assert adjusted_rand_score(truth, clustering.labels) == 1.0
    whole = fit_clustering("agglomerative", vectors, seed=0, n_clusters=2)
    assert whole.notes == () and whole.params["n_sample"] == 800


def test_membership_of_a_mixture_is_the_posterior():
    vectors, _ = blobs((100, 100), n_features=2, apart=2.0)
    clustering = fit_clustering("gmm", vectors, seed=0, n_clusters=2)
    density_of = []
    for label in range(2):  # by hand, with the moments weighted by the posterior
        weight = np.where(clustering.labels == label, clustering.membership, 1 - clustering.membership)[:, None]
        mean = (weight * vectors).sum(axis=0) / weight.sum()
        centred = vectors - mean
        spread = (weight * centred).T @ centred / weight.sum()
        exponent = -0.5 * np.einsum("ij,jk,ik->i", centred, np.linalg.inv(spread), centred)
        density_of.append(weight.mean() * np.exp(exponent) / np.sqrt(np.linalg.det(spread)))
    posterior = np.max(density_of, axis=0) / np.sum(density_of, axis=0)
    np.testing.assert_allclose(clustering.membership, posterior, atol=0.03)
    assert np.isfinite(clustering.measures["bic"])


def test_inertia_of_kmeans_is_the_sum_of_squares():
    vectors, _ = blobs((50, 50, 50), apart=3.0)
    clustering = fit_clustering("kmeans", vectors, seed=0, n_clusters=3)
    groups = [vectors[clustering.labels == label] for label in range(3)]
    wanted = sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups)
    assert clustering.measures["inertia"] == pytest.approx(wanted, rel=1e-3)
