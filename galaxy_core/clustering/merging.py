"""The method that starts from single galaxies and merges what is nearest: agglomerative clustering."""

from __future__ import annotations

import numpy as np

from galaxy_core.clustering.centres import check_different, whole
from galaxy_core.clustering.result import Fit, Predict, blocks, margin
from galaxy_core.placer import Placer
from galaxy_core.vectors import VectorError

LARGEST_MERGED = 20_000
"""Galaxies that are merged, at most: with the distances of all pairs of so many that takes 3 GB of memory."""

LINKAGES = ("ward", "average", "complete", "single")


def cluster_agglomerative(
    vectors: np.ndarray, seed: int, *, n_clusters: int = 8, linkage: str = "ward", n_sample: int = LARGEST_MERGED
) -> Fit:
    """Agglomerative clustering: the two nearest groups are merged until ``n_clusters`` are left.

    Needs the distance of every pair, so that above ``n_sample`` galaxies a random sample of that size is merged and
    every other galaxy joins the cluster of its nearest neighbour in the sample; a note says so. Every galaxy gets a
    label. Membership is the margin ``1 - d_own / d_next`` of the distances to the mean of the own cluster and to the
    nearest other mean.

    Parameters
    ----------
    n_clusters : int
    linkage : {"ward", "average", "complete", "single"}
        How near two groups are: by the growth of the squared distances to their means (Ward 1963), or by the mean, the
        largest or the least distance between their galaxies.
    n_sample : int
        Galaxies that are merged, at most.
    """
    n_clusters, n_sample = whole(n_clusters, "n_clusters"), whole(n_sample, "n_sample")
    if linkage not in LINKAGES:
        raise VectorError(f"Agglomerative clustering has the linkage {', '.join(LINKAGES)}, not {linkage!r}.")
    if n_clusters < 1 or not n_clusters <= n_sample <= LARGEST_MERGED:
        raise VectorError(
            "Agglomerative clustering needs at least one cluster and an n_sample between n_clusters and "
            f"{LARGEST_MERGED:,}, but got {n_clusters} and {n_sample:,}."
        )
    sampled = len(vectors) > n_sample
    rows = np.arange(len(vectors))
    if sampled:
        rows = np.sort(np.random.default_rng(seed).choice(len(vectors), n_sample, replace=False))
    sample = vectors[rows]
    check_different(sample, n_clusters, "Agglomerative clustering")
    merged = np.zeros(len(sample), dtype=np.int64)
    if n_clusters > 1:
        from sklearn.cluster import AgglomerativeClustering

        merged = AgglomerativeClustering(n_clusters, linkage=linkage).fit(sample.astype(np.float64)).labels_
    means = np.stack([sample[merged == label].mean(axis=0) for label in range(n_clusters)])

    placer = Placer(open_merged, lambda: {"merged": merged, "sample": sample, "means": means})
    labels = merged[nearest_rows(vectors, sample)] if sampled else merged
    if sampled:
        labels[rows] = merged  # also where a galaxy has a twin in another cluster
    params = {"n_clusters": n_clusters, "linkage": linkage, "n_sample": len(sample)}
    note = (
        f"a random sample of {n_sample:,} of the {len(vectors):,} galaxies was merged; every other galaxy has the "
        "cluster of its nearest neighbour in the sample"
    )
    return Fit(labels, _margin(vectors, means, labels), params, placer, notes=(note,) if sampled else ())


def open_merged(merged: np.ndarray, sample: np.ndarray, means: np.ndarray) -> Predict:
    """Gives galaxies to the cluster ``merged`` of their nearest neighbour in ``sample``."""

    def predict(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels = merged[nearest_rows(table, sample)]
        return labels, _margin(table, means, labels)

    return predict


def nearest_rows(vectors: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Row of the nearest vector of ``reference`` for each of ``vectors``; ints, shape (n_galaxies,)."""
    from sklearn.metrics import pairwise_distances_argmin

    return pairwise_distances_argmin(vectors, reference)


def _margin(vectors: np.ndarray, means: np.ndarray, labels: np.ndarray) -> np.ndarray:
    from sklearn.metrics.pairwise import euclidean_distances

    parts = [
        margin(euclidean_distances(vectors[rows], means), labels[rows]) for rows in blocks(len(vectors), len(means))
    ]
    return np.concatenate(parts)
