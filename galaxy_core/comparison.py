"""How good is a clustering? Scores that cannot flatter.

The silhouette of a galaxy (Rousseeuw 1987) is ``(b - a) / max(a, b)``: `a` its mean distance to its own cluster, `b` to the
nearest other one. Published silhouettes often leave the unclustered galaxies out, and so improve the more is left out. The
strict silhouette here is the mean over *all* galaxies, unclustered ones counting 0; the flattering one stands beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from galaxy_core.clustering import UNCLUSTERED
from galaxy_core.vectors import check_length, check_vectors, has_class

EXACT_LIMIT = 20_000
"""Up to so many clustered galaxies every distance is used; beyond, those to a random reference sample of this size."""

LEAST_PER_CLUSTER = 100
"""Every cluster has at least so many galaxies (or all it has) in the reference sample, so none goes unmeasured."""

CHUNK_ELEMENTS = 8_000_000
"""Distances held at once (64 MB)."""

N_BOOTSTRAP = 1_000


@dataclass(frozen=True)
class SilhouetteScore:
    """The mean silhouette in one space.

    Attributes
    ----------
    strict : float
        Mean over all galaxies, unclustered ones counting 0.
    strict_interval : tuple of float
        95 % interval of ``strict``, by bootstrap over galaxies.
    clustered : float or None
        The flattering mean, over clustered galaxies alone; None with fewer than two clusters.
    n_reference : int
        Galaxies that distances were measured to.
    exact : bool
        True where these were all the clustered galaxies.
    """

    strict: float
    strict_interval: tuple[float, float]
    clustered: float | None
    n_reference: int
    exact: bool


@dataclass(frozen=True)
class ClusteringScores:
    """Everything the manifest and the pages say about one clustering.

    Attributes
    ----------
    n_galaxies, n_clusters : int
    sizes : tuple of int
        Galaxies in cluster 0, 1, ...
    coverage : float
        Share of the galaxies that have a cluster.
    fitted_space, embedding : SilhouetteScore
        The silhouette in the space the clusters were fitted in, and in the embedding.
    ami, ari : float or None
        Adjusted mutual information and adjusted Rand index with the classes, over galaxies that have a class; the
        unclustered count as one more group. None without at least two classes.
    n_classes : int
    """

    n_galaxies: int
    n_clusters: int
    sizes: tuple[int, ...]
    coverage: float
    fitted_space: SilhouetteScore
    embedding: SilhouetteScore
    ami: float | None = None
    ari: float | None = None
    n_classes: int = 0

    def as_dict(self) -> dict:
        """Return the scores as plain values that JSON can hold."""
        return asdict(self)


def measure_clustering(
    vectors_fitted: np.ndarray,
    vectors_embedding: np.ndarray,
    labels: np.ndarray,
    seed: int,
    classes: np.ndarray | None = None,
    silhouettes_fitted: np.ndarray | None = None,
) -> ClusteringScores:
    """Score a clustering in the space it was fitted in and in the embedding.

    Parameters
    ----------
    vectors_fitted : array, shape (n_galaxies, n_fitted)
    vectors_embedding : array, shape (n_galaxies, n_features)
        The same array where the embedding itself was clustered: it is then measured once.
    labels : int array, shape (n_galaxies,)
        Cluster labels, -1 for unclustered.
    seed : int
        Of the bootstrap and of the reference sample.
    classes : array of str or None, shape (n_galaxies,), optional
    silhouettes_fitted : float array, shape (n_galaxies,), optional
        `silhouette_samples` of the fitted space, where the caller has them already.
    """
    labels = np.asarray(labels)
    if silhouettes_fitted is None:
        silhouettes_fitted = silhouette_samples(vectors_fitted, labels, seed)
    fitted_space = score_silhouettes(silhouettes_fitted, labels, seed)
    embedding = fitted_space
    if vectors_embedding is not vectors_fitted:
        embedding = score_silhouettes(silhouette_samples(vectors_embedding, labels, seed), labels, seed)
    sizes = np.unique(labels[labels != UNCLUSTERED], return_counts=True)[1]
    ami, ari, n_classes = agreement_with_classes(labels, classes)
    return ClusteringScores(
        n_galaxies=len(labels),
        n_clusters=len(sizes),
        sizes=tuple(int(size) for size in sizes),
        coverage=float((labels != UNCLUSTERED).mean()),
        fitted_space=fitted_space,
        embedding=embedding,
        ami=ami,
        ari=ari,
        n_classes=n_classes,
    )


def silhouette_samples(
    vectors: np.ndarray, labels: np.ndarray, seed: int, exact_limit: int = EXACT_LIMIT
) -> np.ndarray:
    """Silhouette of every galaxy; unclustered galaxies, and all where there are fewer than two clusters, have 0.

    Up to ``exact_limit`` clustered galaxies the values are exact (those of ``sklearn.metrics.silhouette_samples``). Beyond,
    mean distances are taken to a random reference sample of that many galaxies, drawn cluster by cluster in proportion to
    size. Only a strip of the distance table is held at a time.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
    labels : int array, shape (n_galaxies,)
    seed : int
        Of the reference sample.
    exact_limit : int

    Returns
    -------
    float32 array, shape (n_galaxies,)
    """
    from sklearn.metrics.pairwise import euclidean_distances

    vectors = check_vectors(vectors, "A silhouette")
    labels = check_length(labels, len(vectors), "the labels")
    silhouettes = np.zeros(len(vectors), dtype=np.float32)
    clustered = np.flatnonzero(labels != UNCLUSTERED)
    names, cluster = np.unique(labels[clustered], return_inverse=True)
    if len(names) < 2:
        return silhouettes

    points = vectors[clustered].astype(np.float64)
    points -= points.mean(axis=0)  # small numbers lose fewer digits when squared
    reference = sample_reference(cluster, exact_limit, np.random.default_rng(seed))
    is_reference = np.zeros(len(points), dtype=bool)
    is_reference[reference] = True
    indicator = np.zeros((len(reference), len(names)))  # (reference, cluster): 1 where the galaxy is in the cluster
    indicator[np.arange(len(reference)), cluster[reference]] = 1
    n_per_cluster = indicator.sum(axis=0)

    n_rows = max(1, CHUNK_ELEMENTS // len(reference))
    for start in range(0, len(points), n_rows):
        rows = np.arange(start, min(start + n_rows, len(points)))
        distances = euclidean_distances(points[rows], points[reference])
        # a galaxy's distance to itself is exactly 0: the expansion of the square leaves a rounding error there
        own_column = np.searchsorted(reference, rows[is_reference[rows]])
        distances[np.flatnonzero(is_reference[rows]), own_column] = 0
        totals = distances @ indicator  # (rows, cluster): summed distance to each cluster
        own = cluster[rows]
        n_others = n_per_cluster[own] - is_reference[rows]
        within = totals[np.arange(len(rows)), own] / np.maximum(n_others, 1)
        means = totals / n_per_cluster
        means[np.arange(len(rows)), own] = np.inf
        between = means.min(axis=1)
        larger = np.maximum(within, between)
        values = np.where(larger > 0, (between - within) / np.where(larger > 0, larger, 1), 0)
        silhouettes[clustered[rows]] = np.where(n_others > 0, values, 0)  # alone in its cluster: 0 by definition
    return silhouettes


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


def score_silhouettes(silhouettes: np.ndarray, labels: np.ndarray, seed: int) -> SilhouetteScore:
    """Average per-galaxy silhouettes, the strict way and the flattering one.

    Parameters
    ----------
    silhouettes : float array, shape (n_galaxies,)
        From `silhouette_samples` with the default ``exact_limit`` and the same ``seed``.
    labels : int array, shape (n_galaxies,)
    seed : int
    """
    clustered = labels != UNCLUSTERED
    n_clustered = int(clustered.sum())
    cluster = np.unique(labels[clustered], return_inverse=True)[1]
    n_clusters = int(cluster.max(initial=-1)) + 1
    return SilhouetteScore(
        strict=float(np.mean(silhouettes, dtype=np.float64)),
        strict_interval=bootstrap_interval(silhouettes, np.random.default_rng(seed)),
        clustered=float(np.mean(silhouettes[clustered], dtype=np.float64)) if n_clusters >= 2 else None,
        n_reference=len(sample_reference(cluster, EXACT_LIMIT, np.random.default_rng(seed))) if n_clusters else 0,
        exact=n_clustered <= EXACT_LIMIT,
    )


def bootstrap_interval(values: np.ndarray, rng: np.random.Generator, n_resamples: int = N_BOOTSTRAP) -> tuple:
    """95 % interval of the mean of ``values``: percentiles of the means of resamples (Efron 1979).

    Parameters
    ----------
    values : float array, shape (n,)
    rng : numpy.random.Generator
    n_resamples : int

    Returns
    -------
    tuple of float
        Lower and upper bound.
    """
    values = np.asarray(values, dtype=np.float64)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(n_resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def agreement_with_classes(labels: np.ndarray, classes: np.ndarray | None) -> tuple[float | None, float | None, int]:
    """Adjusted mutual information and adjusted Rand index with the classes, and the number of classes."""
    if classes is None:
        return None, None, 0
    classes = check_length(np.asarray(classes, dtype=object), len(labels), "the class column")
    known = has_class(classes)
    names, codes = np.unique(classes[known].astype(str), return_inverse=True)
    if len(names) < 2:
        return None, None, len(names)
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    ami = adjusted_mutual_info_score(codes, labels[known])
    ari = adjusted_rand_score(codes, labels[known])
    return float(ami), float(ari), len(names)
