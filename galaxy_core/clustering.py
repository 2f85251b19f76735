"""Group galaxies whose vectors lie together: HDBSCAN and k-means, on whatever space the caller names.

A new method is one more function and one more entry in `METHODS`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galaxy_core.vectors import VectorError, check_vectors

UNCLUSTERED = -1
"""The label of a galaxy that belongs to no cluster."""

SMALLEST_CLUSTER_SHARE = 0.01
SMALLEST_CLUSTER_FLOOR = 15
"""HDBSCAN's default ``min_cluster_size``: a hundredth of the galaxies (261 of 26,000), and never fewer than 15."""


@dataclass(frozen=True)
class Clustering:
    """Which cluster each galaxy belongs to.

    Attributes
    ----------
    labels : int32 array, shape (n_galaxies,)
        0 for the largest cluster, 1 for the next, ...; -1 for unclustered galaxies.
    membership : float32 array, shape (n_galaxies,)
        How firmly a galaxy sits in its cluster, from 0 (at its border, or unclustered) to 1; each method says how it
        measures this.
    method : str
    params : dict
        Every parameter as used, after defaults: what the manifest keeps.
    """

    labels: np.ndarray
    membership: np.ndarray
    method: str
    params: dict

    @property
    def n_clusters(self) -> int:
        """Number of clusters, unclustered galaxies aside."""
        return int(self.labels.max(initial=UNCLUSTERED)) + 1


def fit_clustering(method: str, vectors: np.ndarray, seed: int, **params) -> Clustering:
    """Cluster ``vectors``; the same vectors, seed and parameters give the same clusters.

    Parameters
    ----------
    method : {"hdbscan", "kmeans"}
    vectors : array, shape (n_galaxies, n_features)
    seed : int
        For the methods that draw random numbers.
    **params
        See `cluster_hdbscan` and `cluster_kmeans`.

    Raises
    ------
    VectorError
        Unusable vectors, an unknown method, or a parameter no clustering can be made with.
    """
    if method not in METHODS:
        raise VectorError(f"There is no clustering method {method!r}; choose one of {', '.join(METHODS)}.")
    vectors = check_vectors(vectors, f"Clustering with {method}")
    labels, membership, params = METHODS[method](vectors, seed, **params)
    return Clustering(order_by_size(labels), membership.astype(np.float32), method, params)


def default_min_cluster_size(n_galaxies: int) -> int:
    """Return the fewest galaxies that HDBSCAN calls a cluster unless told.

    Examples
    --------
    >>> default_min_cluster_size(26_093), default_min_cluster_size(300)
    (261, 15)
    """
    return max(SMALLEST_CLUSTER_FLOOR, round(SMALLEST_CLUSTER_SHARE * n_galaxies))


def cluster_hdbscan(
    vectors: np.ndarray,
    seed: int,
    *,
    min_cluster_size: int | None = None,
    min_samples: int = 10,
    cluster_selection_method: str = "eom",
) -> tuple[np.ndarray, np.ndarray, dict]:
    """HDBSCAN (Campello, Moulavi & Sander 2013): clusters are dense regions that persist as density is thresholded.

    Membership is HDBSCAN's own probability: the density at which a galaxy leaves its cluster over the cluster's
    highest. Draws no random numbers. Fewer galaxies than ``min_cluster_size`` cannot hold a cluster: all are
    unclustered.

    Parameters
    ----------
    min_cluster_size : int, optional
        Fewest galaxies in a cluster; `default_min_cluster_size` unless given.
    min_samples : int
        Neighbours that set the local density: more means smoother clusters and more unclustered galaxies.
    cluster_selection_method : {"eom", "leaf"}
        "eom" takes the most persistent clusters of the tree, "leaf" its smallest ones.
    """
    n_galaxies = len(vectors)
    min_cluster_size = default_min_cluster_size(n_galaxies) if min_cluster_size is None else int(min_cluster_size)
    if min_cluster_size < 2 or min_samples < 1:
        raise VectorError(
            "HDBSCAN needs a min_cluster_size of at least 2 and min_samples of at least 1, "
            f"but got {min_cluster_size} and {min_samples}."
        )
    if cluster_selection_method not in ("eom", "leaf"):
        raise VectorError(f"HDBSCAN selects clusters by 'eom' or 'leaf', not by {cluster_selection_method!r}.")
    params = {
        "min_cluster_size": min_cluster_size,
        "min_samples": int(min_samples),
        "cluster_selection_method": cluster_selection_method,
    }
    # Identical vectors have no structure to find, and HDBSCAN never calls the whole catalog one cluster.
    if n_galaxies < 2 * min_cluster_size or (vectors == vectors[0]).all():
        return np.full(n_galaxies, UNCLUSTERED), np.zeros(n_galaxies), params

    import hdbscan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # duplicates have infinite density: a 0/0 it repairs itself
        fitted = hdbscan.HDBSCAN(
            **{**params, "min_samples": min(int(min_samples), n_galaxies - 1)}, core_dist_n_jobs=1
        ).fit(vectors.astype(np.float64))
    return fitted.labels_, np.nan_to_num(fitted.probabilities_, nan=1.0), params


def cluster_kmeans(
    vectors: np.ndarray, seed: int, *, n_clusters: int = 8, n_init: int = 10
) -> tuple[np.ndarray, np.ndarray, dict]:
    """k-means (Lloyd 1982, started by k-means++): ``n_clusters`` centres that leave the least squared distance.

    Every galaxy gets a label. Membership is the margin ``1 - d1 / d2`` of the distances to the nearest and the second
    nearest centre: 1 on a centre, 0 where two clusters meet (and 1 throughout when there is one cluster).

    Parameters
    ----------
    n_clusters : int
        k.
    n_init : int
        Starts from different centres; the best is kept.
    """
    if n_clusters < 1 or n_init < 1:
        raise VectorError(f"k-means needs at least one cluster and one start, but got {n_clusters} and {n_init}.")
    n_different = len(np.unique(vectors, axis=0)) if len(vectors) <= 100_000 else len(vectors)
    if n_different < n_clusters:
        raise VectorError(
            f"k-means with {n_clusters} clusters needs {n_clusters} different vectors, but the {len(vectors):,} "
            f"galaxies have {n_different}; ask for fewer clusters."
        )
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):  # several threads add up centres in an order that changes by run
        fitted = KMeans(n_clusters=n_clusters, n_init=n_init, random_state=seed).fit(vectors)
    if n_clusters == 1:
        membership = np.ones(len(vectors))
    else:
        nearest, second = np.partition(fitted.transform(vectors), 1, axis=1)[:, :2].T
        membership = 1 - nearest / np.where(second > 0, second, 1)
    return fitted.labels_, membership, {"n_clusters": int(n_clusters), "n_init": int(n_init)}


METHODS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray, dict]]] = {
    "hdbscan": cluster_hdbscan,
    "kmeans": cluster_kmeans,
}
"""Name of a method -> the function that returns its labels, memberships and parameters as used."""


def order_by_size(labels: np.ndarray) -> np.ndarray:
    """Renumber clusters so that 0 is the largest; equal sizes by their first galaxy; unclustered stays -1.

    Examples
    --------
    >>> order_by_size(np.array([4, 7, 7, -1, 4, 7])).tolist()
    [1, 0, 0, -1, 1, 0]
    """
    labels = np.asarray(labels)
    names, first, sizes = np.unique(labels[labels != UNCLUSTERED], return_index=True, return_counts=True)
    ordered = np.full(len(labels), UNCLUSTERED, dtype=np.int32)
    for rank, position in enumerate(np.lexsort((first, -sizes))):
        ordered[labels == names[position]] = rank
    return ordered
