"""The silhouette of every galaxy: does it lie nearer its own cluster than the next one?

With ``a`` its mean distance to the others of its cluster and ``b`` that to the nearest other cluster, the silhouette is
``(b - a) / max(a, b)`` (Rousseeuw 1987, J. Comput. Appl. Math. 20, 53): 1 deep inside, 0 on a border, below 0 in the
wrong cluster. Unclustered galaxies, and all where there are fewer than two clusters, have 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from galaxy_core.clustering import UNCLUSTERED
from galaxy_core.vectors import check_length, check_vectors

EXACT_LIMIT = 20_000
"""Up to so many clustered galaxies every distance is used; beyond, those to a random reference sample of this size."""

LEAST_PER_CLUSTER = 100
"""Every cluster has at least so many galaxies (or all it has) in the reference sample, so none goes unmeasured."""

N_GROUPS = 8
"""Parts of the reference sample that are left out in turn to see how much the mean depends on it."""

CHUNK_ELEMENTS = 8_000_000
"""Distances held at once (64 MB)."""


@dataclass(frozen=True)
class Silhouettes:
    """Silhouettes of all galaxies of one clustering in one space.

    Attributes
    ----------
    values : float32 array, shape (n_galaxies,)
    n_clustered, n_clusters : int
    n_reference : int
        Galaxies that distances were measured to: all clustered ones, or a sample of them.
    reference_error : float
        Standard error of the mean of ``values`` that comes from using a sample; 0 where all were used.
    """

    values: np.ndarray = field(repr=False)
    n_clustered: int
    n_clusters: int
    n_reference: int
    reference_error: float


def silhouette_samples(vectors: np.ndarray, labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Silhouette of every galaxy, a float32 array of shape (n_galaxies,): the values of `measure_silhouettes`."""
    return measure_silhouettes(vectors, labels, seed).values


def measure_silhouettes(
    vectors: np.ndarray, labels: np.ndarray, seed: int, exact_limit: int = EXACT_LIMIT
) -> Silhouettes:
    """Measure the silhouette of every galaxy.

    Up to ``exact_limit`` clustered galaxies the values are exact (those of ``sklearn.metrics.silhouette_samples``).
    Beyond, mean distances are taken to a random reference sample of about that many, drawn cluster by cluster in
    proportion to size; the error this makes is estimated by leaving out an eighth of the sample in turn (the
    delete-a-group jackknife), but for clusters that are in it whole. Only a strip of the table of distances is held at
    a time.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
    labels : int array, shape (n_galaxies,)
        -1 for unclustered galaxies.
    seed : int
        Of the reference sample.
    exact_limit : int
    """
    vectors = check_vectors(vectors, "A silhouette")
    labels = check_length(labels, len(vectors), "the labels")
    values = np.zeros(len(vectors), dtype=np.float32)
    clustered = np.flatnonzero(labels != UNCLUSTERED)
    names, cluster = np.unique(labels[clustered], return_inverse=True)
    if len(names) < 2:
        return Silhouettes(values, len(clustered), len(names), len(clustered), 0.0)

    points = vectors[clustered].astype(np.float64)
    points -= points.mean(axis=0)  # small numbers lose fewer digits when squared
    rng = np.random.default_rng(seed)
    reference = sample_reference(cluster, exact_limit, rng)
    sampled = len(reference) < len(points)
    group = groups_of(cluster, reference, rng) if sampled else np.zeros(len(reference), dtype=int)
    sum_without = np.zeros(N_GROUPS)  # sums of silhouettes with one group of the reference left out
    n_rows = max(1, CHUNK_ELEMENTS // len(reference))
    for start in range(0, len(points), n_rows):
        rows = np.arange(start, min(start + n_rows, len(points)))
        totals, counts = distances_by_cluster(points, rows, reference, cluster, group)
        total, count = totals.sum(axis=2), counts.sum(axis=2)
        values[clustered[rows]] = silhouettes_of(total, count, cluster[rows])
        for part in range(N_GROUPS if sampled else 0):
            without = total - totals[:, :, part], count - counts[:, :, part]
            sum_without[part] += silhouettes_of(*without, cluster[rows]).sum()

    means = sum_without / len(vectors)
    share_unseen = 1 - len(reference) / len(points)  # a sample of nearly everything is nearly exact
    error = np.sqrt(share_unseen * (N_GROUPS - 1) / N_GROUPS * ((means - means.mean()) ** 2).sum())
    return Silhouettes(values, len(clustered), len(names), len(reference), float(error))


def sample_reference(cluster: np.ndarray, n_sample: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted positions to measure distances to: all, or about ``n_sample`` in proportion to the clusters' sizes.

    Parameters
    ----------
    cluster : int array, shape (n,)
        Cluster of each clustered galaxy, 0, 1, ...
    n_sample : int
    rng : numpy.random.Generator
    """
    if len(cluster) <= n_sample:
        return np.arange(len(cluster))
    sizes = np.bincount(cluster)
    wanted = np.maximum(np.round(sizes * (n_sample / len(cluster))).astype(int), LEAST_PER_CLUSTER)
    chosen = [
        rng.choice(np.flatnonzero(cluster == label), size=min(size, count), replace=False)
        for label, (size, count) in enumerate(zip(sizes, wanted, strict=True))
    ]
    return np.sort(np.concatenate(chosen))


def groups_of(cluster: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which part of the reference sample each galaxy of it is left out with; `N_GROUPS` for those that never are.

    A cluster that is in the sample whole was not drawn, and adds nothing to the error. Without it, as without the only
    galaxy of an outlier's cluster, the others would have another nearest cluster, which is no matter of chance.
    """
    group = rng.permutation(len(reference)) % N_GROUPS
    drawn = np.bincount(cluster[reference]) < np.bincount(cluster)
    return np.where(drawn[cluster[reference]], group, N_GROUPS)


def distances_by_cluster(
    points: np.ndarray, rows: np.ndarray, reference: np.ndarray, cluster: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Summed distances from ``rows`` to the reference galaxies of each cluster and group, and how many these are.

    A galaxy that is itself in the reference counts neither in the sum nor in the number.

    Returns
    -------
    totals, counts : float64 arrays, shape (n_rows, n_clusters, n_groups)
    """
    from scipy.sparse import csr_matrix
    from sklearn.metrics.pairwise import euclidean_distances

    n_clusters, n_groups = int(cluster.max()) + 1, int(group.max()) + 1
    column = cluster[reference] * n_groups + group
    # sparse: a table of all clusters for each reference galaxy would grow with the product of the two
    gather = csr_matrix(
        (np.ones(len(reference)), (column, np.arange(len(reference)))), (n_clusters * n_groups, len(reference))
    )
    distances = euclidean_distances(points[reference], points[rows])
    position = np.minimum(np.searchsorted(reference, rows), len(reference) - 1)
    itself = reference[position] == rows
    # to itself the distance is 0, but its square, expanded, leaves a rounding error there
    distances[position[itself], np.flatnonzero(itself)] = 0
    counts = np.tile(np.bincount(column, minlength=n_clusters * n_groups).astype(np.float64), (len(rows), 1))
    counts[np.flatnonzero(itself), column[position[itself]]] -= 1
    shape = (len(rows), n_clusters, n_groups)
    return (gather @ distances).T.reshape(shape), counts.reshape(shape)


def silhouettes_of(totals: np.ndarray, counts: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Silhouettes from summed distances and numbers of galaxies, each (n_rows, n_clusters), and the rows' clusters.

    A galaxy alone in its cluster has 0, as Rousseeuw defines it.
    """
    rows = np.arange(len(own))
    means = np.where(counts > 0, totals / np.maximum(counts, 1), np.inf)
    within = np.where(counts[rows, own] > 0, means[rows, own], 0)
    means[rows, own] = np.inf
    between = means.min(axis=1)
    larger = np.maximum(within, between)
    defined = (counts[rows, own] > 0) & (larger > 0) & np.isfinite(larger)
    return np.where(defined, (np.where(defined, between, 0) - within) / np.where(defined, larger, 1), 0)
