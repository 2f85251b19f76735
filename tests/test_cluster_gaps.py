"""Gaps between clusters: against the definition written out, and of continua and groups that are known."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.cluster_gaps import measure_gaps
from galaxy_core.clustering import fit_clustering
from galaxy_core.similarity import neighbors_of_rows, unit_vectors
from pages.views.verdict import GAP, WIDE_GAP

K = 12


def neighbours(vectors: np.ndarray, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    unit = unit_vectors(vectors.astype(np.float32))
    return neighbors_of_rows(unit, 0, len(unit), k)


def by_definition(labels, index, similarity) -> dict[int, float]:
    """The densest way between every two clusters, by trying every galaxy as a place to pass (Floyd & Warshall)."""
    n, density, where = len(labels), similarity[:, -1].astype(float), labels.copy()
    names = np.unique(labels[labels >= 0])
    for a in np.flatnonzero(labels >= 0):
        most = [(labels[index[a]] == b).sum() + (labels[a] == b) / 2 for b in names]
        where[a] = names[int(np.argmax(most))]
    way = np.full((n, n), -np.inf)
    for a in range(n):
        for b in index[a]:
            way[a, b] = way[b, a] = min(density[a], density[b])
    way[(where[:, None] == where) & (where >= 0)] = np.inf  # inside a cluster every place can be reached
    for middle in range(n):
        way = np.maximum(way, np.minimum(way[:, [middle]], way[[middle]]))
    found = {}
    for a in names:
        shares = []
        for b in np.setdiff1d(names, [a]):
            densest = way[np.ix_(where == a, where == b)].max()
            shares += [(density[labels == one] > densest).mean() for one in (a, b)]
        if (labels == a).sum() > index.shape[1]:
            found[int(a)] = min(shares)
    return found


@pytest.mark.parametrize("n_clusters", [2, 5])
def test_gaps_agree_with_their_definition(n_clusters):
    rng = np.random.default_rng(n_clusters)
    vectors = rng.normal(size=(90, 4)) + 2 * np.eye(4)[rng.integers(0, 3, 90)]
    labels = fit_clustering("kmeans", vectors, 0, n_clusters=n_clusters).labels.copy()
    labels[rng.random(90) < 0.4] = -1  # ways lead through these, too
    labels[labels == n_clusters - 1] = 7
    index, similarity = neighbours(vectors, 5)
    found = measure_gaps(labels, index, similarity)
    assert found == pytest.approx(by_definition(labels, index, similarity)) and len(found) >= 2


def on_sphere(flat: np.ndarray, seed: int) -> np.ndarray:
    """Places of a plane, with a little noise, on a sphere of eight dimensions, as embeddings are."""
    vectors = np.ones((len(flat), 8))
    vectors[:, :2] = flat * 0.3
    return vectors + 0.02 * np.random.default_rng(seed).normal(size=vectors.shape)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_parts_of_half_a_ring_have_no_gap_though_they_are_round_and_come_back(k):
    rng = np.random.default_rng(0)
    angle = np.pi * rng.random(2000)
    vectors = on_sphere(np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=(2000, 2)), 1)
    labels = fit_clustering("kmeans", vectors, 0, n_clusters=k).labels
    gaps = measure_gaps(labels, *neighbours(vectors))
    assert len(gaps) == k and sum(gap < GAP for gap in gaps.values()) > k / 2


@pytest.mark.parametrize(("apart", "least", "most"), [(0, 0, 0.1), (4.5, GAP, 0.9), (10, 1, 1)])
def test_the_further_two_clouds_are_apart_the_wider_is_the_gap(apart, least, most):
    flat = np.random.default_rng(0).normal(size=(2000, 2))
    flat[:1000, 0] += apart
    vectors = on_sphere(flat / 3, 1)
    labels = fit_clustering("gmm", flat, 0, n_clusters=2, covariance="tied").labels
    gaps = measure_gaps(labels, *neighbours(vectors))
    assert len(gaps) == 2 and least <= min(gaps.values()) <= max(gaps.values()) <= most


def test_a_few_galaxies_that_were_put_wrongly_close_no_gap_and_labels_at_random_have_none():
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 2
    vectors = on_sphere(rng.normal(size=(1000, 2)) / 3 + 5 * labels[:, None], 1)
    near = neighbours(vectors)
    labels[:20] = 1 - labels[:20]
    assert min(measure_gaps(labels, *near).values()) > WIDE_GAP
    assert max(measure_gaps(rng.integers(0, 5, 1000), *near).values()) < 0.1


def test_where_there_is_nothing_to_part_or_to_go_by_there_is_no_number():
    index, similarity = neighbours(np.random.default_rng(0).normal(size=(40, 3)))
    assert measure_gaps(np.zeros(40, int), index, similarity) == {}
    assert measure_gaps(np.full(40, -1), index, similarity) == {}
    assert measure_gaps(np.arange(40) % 2, index[:, :0], similarity[:, :0]) == {}
    few = np.r_[np.zeros(28, int), np.ones(12, int)]
    assert set(measure_gaps(few, index, similarity)) == {0}
    same = np.ones((40, K), np.float32)  # all galaxies alike
    assert measure_gaps(np.arange(40) % 2, index, same) == {0: 0.0, 1: 0.0}
