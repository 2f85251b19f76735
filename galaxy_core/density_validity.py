"""Density-based validity of a clustering: are its dense regions apart? (DBCV; Moulavi et al. 2014, SDM, 839.)

A cluster's sparseness is the largest step inside its minimum spanning tree, its separation the least step from there to
another cluster's, both in mutual reachability distances; its validity is their difference over the larger of the two.
"""

from __future__ import annotations

import numpy as np

from galaxy_core.clustering import UNCLUSTERED

DBCV_LIMIT = 5_000
"""DBCV is measured on a random sample of so many galaxies where there are more: it holds all their distances."""

ROWS = 500
"""Galaxies whose core distance is measured at once."""


def measure_dbcv(
    vectors: np.ndarray, labels: np.ndarray, seed: int, limit: int = DBCV_LIMIT
) -> tuple[float | None, int]:
    """The mean validity of the clusters, weighted by size with unclustered galaxies as 0, and of how many it is.

    Clusters of which fewer than three galaxies are drawn count as unclustered. None where no number is defined, such as
    of galaxies that are all the same.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
    labels : int array, shape (n_galaxies,)
    seed : int
        Of the sample.
    limit : int
    """
    rows = np.arange(len(labels))
    if len(labels) > limit:
        rows = np.sort(np.random.default_rng(seed).choice(len(labels), limit, replace=False))
    names, code, sizes = np.unique(labels[rows], return_inverse=True, return_counts=True)
    kept = (names != UNCLUSTERED) & (sizes >= 3)
    if kept.sum() < 2:
        return None, 0
    from hdbscan.validity import internal_minimum_spanning_tree

    clusters = [np.flatnonzero(code == k) for k in np.flatnonzero(kept)]
    reach = mutual_reachability(vectors[rows].astype(np.float64), clusters)
    sparseness, inner = np.zeros(len(clusters)), []
    for k, inside in enumerate(clusters):
        own = reach[np.ix_(inside, inside)]
        unit = own.mean() or 1.0  # tiny distances are taken for equal there
        nodes, edges = internal_minimum_spanning_tree(own / unit)
        sparseness[k] = unit * edges[:, 2].max()
        inner.append(inside[nodes])
    value = 0.0
    for k, nodes in enumerate(inner):
        others = np.concatenate([other for j, other in enumerate(inner) if j != k])
        apart = reach[np.ix_(nodes, others)].min()
        if not max(apart, sparseness[k]) > 0:
            return None, 0
        value += len(clusters[k]) / len(rows) * (apart - sparseness[k]) / max(apart, sparseness[k])
    return float(value), len(rows)


def mutual_reachability(points: np.ndarray, clusters: list[np.ndarray]) -> np.ndarray:
    """Largest of the distance of two galaxies and of the core distance of each in its own cluster, of every pair.

    The core distance is the mean of the distances to the power of minus the number of features, to the power of minus
    one over that number (definition 1). It is taken in logarithms: of some hundred features these powers leave the
    floats for all that is much nearer or further than 1, and `hdbscan.validity`, which takes them, is then wrong
    without a sign.

    Parameters
    ----------
    points : float64 array, shape (n, n_features)
    clusters : list of int array
        Rows of each; galaxies in none have no core distance.

    Returns
    -------
    float64 array, shape (n, n)
    """
    from scipy.special import logsumexp
    from sklearn.metrics import euclidean_distances

    distances, power = euclidean_distances(points - points.mean(axis=0)), points.shape[1]
    np.fill_diagonal(distances, 0)
    core = np.zeros(len(points))
    for inside in clusters:
        for some in np.array_split(inside, len(inside) // ROWS + 1):
            with np.errstate(divide="ignore"):
                logs = np.log(distances[np.ix_(some, inside)])
            logs[np.isneginf(logs)] = np.inf  # a galaxy itself and its duplicates do not count, as there
            means = logsumexp(-power * logs, axis=1) - np.log(len(inside) - 1)
            core[some] = np.where(np.isneginf(means), 0, np.exp(-means / power))
    return np.maximum(distances, np.maximum(core[:, None], core[None, :]), out=distances)
