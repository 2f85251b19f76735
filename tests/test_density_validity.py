"""Density-based validity of a clustering: against its definition written out in full, and at the extremes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from galaxy_core.comparison import measure_clustering
from galaxy_core.density_validity import measure_dbcv


def two_arcs(n_each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two interlocked half circles: no method that goes by centres can part them."""
    angle = np.random.default_rng(seed).uniform(0, np.pi, 2 * n_each)
    labels = np.repeat([0, 1], n_each)
    x = np.where(labels, 1 - np.cos(angle), np.cos(angle))
    y = np.where(labels, 0.5 - np.sin(angle), np.sin(angle))
    return np.column_stack([x, y]) + np.random.default_rng(1).normal(scale=0.03, size=(2 * n_each, 2)), labels


def test_dbcv_knows_dense_regions_of_any_shape_and_the_silhouette_does_not():
    vectors, arcs = two_arcs(200)
    halves = (vectors[:, 0] > 0.5).astype(int)
    by_density = [measure_clustering(vectors, vectors, part, 0, method="hdbscan") for part in (arcs, halves)]
    assert by_density[0].dbcv > 0.3 > 0 > by_density[1].dbcv and by_density[0].n_dbcv == 400
    assert by_density[0].fitted_space.strict < by_density[1].fitted_space.strict
    fitted = measure_clustering(vectors, vectors[:, :1], arcs, 0, method="hdbscan")  # the embedding is another space
    assert fitted.dbcv == by_density[0].dbcv
    assert measure_clustering(vectors, vectors, arcs, 0, method="kmeans").dbcv is None
    assert measure_clustering(vectors, vectors, arcs, 0).n_dbcv == 0


def test_dbcv_counts_the_unclustered_and_says_how_many_it_is_of():
    vectors, labels = two_arcs(200)
    whole, _ = measure_dbcv(vectors, labels, seed=0)
    far = np.vstack([vectors, np.random.default_rng(2).normal(size=(400, 2)) + 50])
    with_noise, n = measure_dbcv(far, np.append(labels, [-1] * 400), seed=0)
    assert with_noise == pytest.approx(whole / 2) and n == 800
    many, arcs = two_arcs(700)
    sampled, n = measure_dbcv(many, arcs, seed=0, limit=600)
    assert n == 600 and sampled == pytest.approx(measure_dbcv(many, arcs, seed=0)[0], abs=0.2)
    assert measure_dbcv(many, arcs, seed=0, limit=600) == (sampled, n)


def dbcv_by_definition(points: np.ndarray, labels: np.ndarray) -> float:
    """Moulavi et al. 2014 written out, with powers in numbers that reach to 10^4932."""
    distances, power, core = cdist(points, points), np.longdouble(points.shape[1]), np.zeros(len(points))
    members = [np.flatnonzero(labels == label) for label in np.unique(labels[labels >= 0])]
    for inside in members:
        for i in inside:
            others = distances[i, inside[inside != i]].astype(np.longdouble)
            core[i] = float(np.mean(others**-power) ** (-1 / power))
    reach = np.maximum(distances, np.maximum.outer(core, core))
    sparseness, inner = [], []
    for inside in members:
        tree = minimum_spanning_tree(reach[np.ix_(inside, inside)]).tocoo()
        inner_nodes = np.flatnonzero(np.bincount([*tree.row, *tree.col]) > 1)
        sparseness.append(tree.data[np.isin(tree.row, inner_nodes) & np.isin(tree.col, inner_nodes)].max())
        inner.append(inside[inner_nodes])
    value = 0.0
    for k, inside in enumerate(members):
        apart = min(reach[np.ix_(inner[k], other)].min() for j, other in enumerate(inner) if j != k)
        value += len(inside) / len(points) * (apart - sparseness[k]) / max(apart, sparseness[k])
    return value


@pytest.mark.parametrize("n_features", [2, 20, 384])
@pytest.mark.parametrize("scale", [1e-6, 1, 20])
def test_dbcv_is_that_of_the_definition_whatever_the_number_and_unit_of_the_features(n_features, scale):
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(60, n_features)), rng.normal(size=(80, n_features)) / 2 + 15 / np.sqrt(n_features)
    points, labels = (np.concatenate([near, far]) + 1e6) * scale, np.repeat([0, 1], [60, 80])  # far from nought
    labels[::17] = -1
    assert measure_dbcv(points, labels, seed=0)[0] == pytest.approx(dbcv_by_definition(points, labels), abs=1e-6)


def test_dbcv_of_what_has_no_dense_regions_is_not_a_number_nobody_understands():
    vectors, labels = np.random.default_rng(0).normal(size=(200, 400)), np.arange(200) % 5 - 1
    value, n = measure_dbcv(vectors * 1e-3, labels, seed=0)  # distances to the power of 400 leave every float
    assert -1 <= value <= 1 and n == 200
    twice = np.concatenate([vectors, vectors])  # every galaxy is there twice
    assert -1 <= measure_dbcv(twice, np.tile(labels, 2), seed=0)[0] <= 1
    assert measure_dbcv(np.ones((20, 2)), np.repeat([0, 1], 10), seed=0)[0] in (None, 0)
    pairs = np.random.default_rng(0).normal(size=(6, 2)) + 9 * np.repeat([0, 1], 3)[:, None]
    assert measure_dbcv(pairs, np.repeat([0, 1], 3), seed=0)[0] == pytest.approx(1, abs=0.5), "three are enough"
    for few in ([-1], [0], [0, 1], [0, 0, 0], [0, 0, 0, 1, 1]):
        assert measure_dbcv(np.random.default_rng(0).normal(size=(len(few), 2)), np.array(few), seed=0) == (None, 0)
