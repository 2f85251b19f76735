"""What one cluster is: its typical and its border galaxies, how dense it is, what lies next to it, its mean picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galaxy_core.differences import draw
from galaxy_core.errors import ImageError
from galaxy_core.images import decode_image

MAX_CANDIDATES = 2_000
"""Medoids are looked for among so many members nearest the mean."""

MAX_REFERENCE = 2_000
"""Their mean distance is taken to so many members, drawn at random; to all where there are no more."""


def medoids(vectors: np.ndarray, members: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The ``n`` members of least mean distance to the other members, the medoid of the cluster first.

    Exact for up to `MAX_REFERENCE` members; beyond, candidates are those nearest the mean, and their distances are
    taken to a random sample of the members (Kaufman & Rousseeuw 1990, ch. 2 and 3).

    Parameters
    ----------
    vectors : float array, shape (n_galaxies, n_features)
    members : int array, shape (n_members,)
        Rows of the cluster.
    n : int
    seed : int
        Of the sample.

    Returns
    -------
    int array, shape (min(n, n_members),)
    """
    if not len(members):
        return np.zeros(0, dtype=np.int64)
    reference = draw(members, MAX_REFERENCE, np.random.default_rng(seed))
    candidates = members
    if len(members) > MAX_CANDIDATES:
        to_mean = _squared_to(vectors, members, centre_of(vectors, members))
        candidates = members[np.sort(np.argpartition(to_mean, MAX_CANDIDATES)[:MAX_CANDIDATES])]
    from scipy.spatial.distance import cdist

    mean = cdist(vectors[candidates], vectors[reference]).mean(axis=1)
    return candidates[np.argsort(mean, kind="stable")[:n]]


def centre_of(vectors: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Mean vector of some galaxies, float64 of shape (n_features,)."""
    return vectors[members].mean(axis=0, dtype=np.float64)


def _squared_to(vectors: np.ndarray, rows: np.ndarray, point: np.ndarray) -> np.ndarray:
    away = vectors[rows] - point.astype(vectors.dtype)
    return np.einsum("ij,ij->i", away, away)


def border_members(members: np.ndarray, silhouettes: np.ndarray, membership: np.ndarray, n: int) -> np.ndarray:
    """The ``n`` members as near the next cluster as their own: silhouette nearest 0; equal ones by least membership.

    With fewer than two clusters every silhouette is 0, and membership alone decides.

    Parameters
    ----------
    members : int array, shape (n_members,)
    silhouettes, membership : float array, shape (n_galaxies,)
    n : int

    Examples
    --------
    >>> border_members(np.array([0, 2, 3]), np.array([0.5, 0, -0.1, 0.05]), np.ones(4), 2).tolist()
    [3, 2]
    """
    order = np.lexsort((membership[members], np.abs(silhouettes[members])))
    return members[order[:n]]


def random_members(members: np.ndarray, n: int, seed: int) -> np.ndarray:
    """``n`` members drawn at random, all where there are no more; the same for the same seed."""
    return draw(members, n, np.random.default_rng(seed))


def centre_distances(vectors: np.ndarray, labels: np.ndarray) -> tuple[tuple[int, ...], np.ndarray]:
    """Distance between the means of every two clusters.

    Returns
    -------
    labels : tuple of int
        Of the clusters, in order; unclustered galaxies have no mean.
    distances : float64 array, shape (n_clusters, n_clusters)
    """
    present = np.unique(labels[labels >= 0])
    centres = np.array([centre_of(vectors, np.flatnonzero(labels == label)) for label in present])
    centres = centres.reshape(len(present), vectors.shape[1])
    return tuple(int(label) for label in present), np.linalg.norm(centres[:, None] - centres[None], axis=2)


def nearest_cluster(vectors: np.ndarray, labels: np.ndarray, label: int) -> tuple[int, float] | None:
    """The other cluster of nearest mean, and the distance of the means; None where there is no other."""
    present, distances = centre_distances(vectors, labels)
    if label not in present or len(present) < 2:
        return None
    row = distances[present.index(label)].copy()
    row[present.index(label)] = np.inf
    return present[int(row.argmin())], float(row.min())


def neighbour_shares(labels: np.ndarray, neighbors: np.ndarray, label: int) -> dict[int, float]:
    """Where the nearest neighbours of a cluster's galaxies are: label to share of them, the largest first.

    Parameters
    ----------
    labels : int array, shape (n_galaxies,)
    neighbors : int array, shape (n_galaxies, k)
        Rows of the nearest neighbours of each galaxy.
    label : int

    Examples
    --------
    >>> neighbour_shares(np.array([0, 0, 1, -1]), np.array([[1, 2], [0, 3], [1, 0], [2, 0]]), 0)
    {0: 0.5, -1: 0.25, 1: 0.25}
    """
    found = labels[neighbors[labels == label]]
    names, counts = np.unique(found, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {int(names[k]): float(counts[k] / found.size) for k in order}


def neighbour_distance(similarity: np.ndarray, rows: np.ndarray) -> float:
    """Mean distance of some galaxies to their k-th nearest neighbour, between vectors of length one.

    Parameters
    ----------
    similarity : float array, shape (n_galaxies, k)
        Cosine similarity to the k nearest galaxies, the nearest first; of a cosine c the distance is sqrt(2 - 2c).
    rows : int array
    """
    if not len(rows) or not similarity.shape[1]:
        return float("nan")
    return float(np.sqrt(np.maximum(0, 2 - 2 * similarity[rows, -1].astype(np.float64))).mean())


def mean_picture(images: Sequence[bytes]) -> tuple[np.ndarray | None, int]:
    """The mean of pictures as they are shown, and of how many; those of another size or kind than the first are not in.

    Returns
    -------
    float32 array in [0, 1], shape (bands, height, width), or None
        None where there is no picture that can be decoded.
    int
    """
    total, n = None, 0
    for data in images:
        try:
            pixels = decode_image(data, "a thumbnail").pixels if data else None
        except ImageError:
            continue
        if pixels is None or (total is not None and pixels.shape != total.shape):
            continue
        total = pixels.astype(np.float64) if total is None else total + pixels
        n += 1
    return (None, 0) if total is None else ((total / n).astype(np.float32), n)
