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

ROWS, COLUMNS = 256, 512
"""Distances held at once, from so many galaxies to so many of the reference: 1 MB, as fits a processor's cache."""


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
    to_reference = DistanceSums(points, reference, cluster, group)
    sum_without = np.zeros(N_GROUPS)  # sums of silhouettes with one group of the reference left out
    for start in range(0, len(points), ROWS):
        rows = np.arange(start, min(start + ROWS, len(points)))
        totals, counts = to_reference.by_cluster(rows)
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


class DistanceSums:
    """Sums of the distances from galaxies to those of the reference, by cluster and group.

    A galaxy that is itself in the reference counts neither in the sum nor in the number.

    Parameters
    ----------
    points : float64 array, shape (n, n_features)
    reference : int array, shape (n_reference,)
        Sorted rows of ``points``.
    cluster : int array, shape (n,)
    group : int array, shape (n_reference,)
    """

    def __init__(self, points: np.ndarray, reference: np.ndarray, cluster: np.ndarray, group: np.ndarray):
        from scipy.sparse import csr_matrix

        self.shape = int(cluster.max()) + 1, int(group.max()) + 1
        self.points, self.squares = points, np.einsum("ij,ij->i", points, points)
        sums = cluster[reference] * self.shape[1] + group
        order = np.argsort(sums, kind="stable")  # what goes into one sum lies together
        self.sums = sums[order]
        self.sizes = np.bincount(sums, minlength=self.shape[0] * self.shape[1]).astype(np.float64)
        self.column = np.full(len(points), -1)
        self.column[reference[order]] = np.arange(len(reference))
        # the product of these with (x, 1, x^2) is the squared distance
        there, squares = points[reference[order]], self.squares[reference[order]]
        self.there = np.column_stack([-2 * there, squares, np.ones(len(reference))])
        self.blocks = []
        for start in range(0, len(reference), COLUMNS):
            block = slice(start, min(start + COLUMNS, len(reference)))
            first, last = self.sums[block][0], self.sums[block][-1]
            size = block.stop - block.start
            gather = csr_matrix((np.ones(size), (self.sums[block] - first, np.arange(size))), (last - first + 1, size))
            self.blocks.append((block, slice(first, last + 1), gather))

    def by_cluster(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums and numbers of galaxies: float64 arrays, shape (n_rows, n_clusters, n_groups)."""
        here = np.column_stack([self.points[rows], np.ones(len(rows)), self.squares[rows]]).T
        own, totals = self.column[rows], np.zeros((len(self.sizes), len(rows)))
        space = np.empty((COLUMNS, len(rows)))
        for block, sums, gather in self.blocks:
            distances = np.matmul(self.there[block], here, out=space[: block.stop - block.start])
            np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
            itself = np.flatnonzero((own >= block.start) & (own < block.stop))
            # to itself the distance is 0, but its square, expanded, leaves a rounding error there
            distances[own[itself] - block.start, itself] = 0
            totals[sums] += gather @ distances
        counts, itself = np.tile(self.sizes, (len(rows), 1)), np.flatnonzero(own >= 0)
        counts[itself, self.sums[own[itself]]] -= 1
        return totals.T.reshape(len(rows), *self.shape), counts.reshape(len(rows), *self.shape)


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
