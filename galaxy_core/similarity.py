"""Which galaxies look alike: exact nearest neighbours by the cosine of the angle between embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from galaxy_core.vectors import VectorError, check_vectors

CHUNK_ELEMENTS = 16_000_000
"""Similarities held at once (64 MB of float32), so memory does not grow with the square of the catalog."""
SHARD_ROWS = 8192
"""Galaxies, at least one block of them, whose neighbours are one unit of work."""


def nearest_neighbors(vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` most similar other galaxies of every galaxy, most similar first.

    Every pair is compared: the answer is exact. A galaxy is never its own neighbour, though its exact duplicate is.
    Equal similarities are ordered by row, so the same vectors always give the same table. A zero vector has no
    direction; its similarity to everything is 0.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
        Of any length: the angle alone counts.
    k : int
        Neighbours a galaxy. A catalog of ``k`` galaxies or fewer gives the ``n_galaxies - 1`` there are.

    Returns
    -------
    index : int32 array, shape (n_galaxies, min(k, n_galaxies - 1))
        Row numbers of the neighbours.
    similarity : float32 array, same shape
        Cosine similarity, from -1 to 1.
    """
    vectors = check_vectors(vectors, "Finding neighbours")
    if k < 1:
        raise VectorError(f"The number of neighbours must be at least 1, but it is {k}.")
    n_galaxies = len(vectors)
    k = min(k, n_galaxies - 1)
    index = np.empty((n_galaxies, k), dtype=np.int32)
    similarity = np.empty((n_galaxies, k), dtype=np.float32)
    if k == 0:
        return index, similarity

    unit = unit_vectors(vectors)
    for start, stop in row_shards(n_galaxies):
        index[start:stop], similarity[start:stop] = neighbors_of_rows(unit, start, stop, k)
    return index, similarity


def row_shards(n_galaxies: int) -> Iterator[tuple[int, int]]:
    """Rows of a catalog in pieces of some thousands, for `neighbors_of_rows`: whole blocks of similarities."""
    size = _block(n_galaxies) * max(1, SHARD_ROWS // _block(n_galaxies))
    for start in range(0, n_galaxies, size):
        yield start, min(start + size, n_galaxies)


def neighbors_of_rows(unit: np.ndarray, start: int, stop: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`nearest_neighbors` of the rows ``start`` to ``stop`` alone.

    Parameters
    ----------
    unit : float32 array, shape (n_galaxies, n_features)
        See `unit_vectors`.
    start, stop : int
        Of one of `row_shards`: other pieces may round differently in the last digit.
    k : int
        Smaller than the number of galaxies.
    """
    index = np.empty((stop - start, k), dtype=np.int32)
    similarity = np.empty((stop - start, k), dtype=np.float32)
    n_rows = _block(len(unit))
    for first in range(start, stop, n_rows):
        rows = np.arange(first, min(first + n_rows, stop))
        cosines = unit[rows] @ unit.T  # (rows, n)
        np.round(cosines, 6, out=cosines)  # below float32's error two similarities are one, and the row order decides
        cosines[np.arange(len(rows)), rows] = -np.inf
        kth_best = -np.partition(-cosines, k - 1, axis=1)[:, k - 1]
        for row, cosines_of_row, limit in zip(rows, cosines, kth_best, strict=True):
            candidates = np.flatnonzero(cosines_of_row >= limit)  # in row order, ties at the limit included
            best = candidates[np.argsort(-cosines_of_row[candidates], kind="stable")[:k]]
            index[row - start], similarity[row - start] = best, cosines_of_row[best]
    return index, np.clip(similarity, -1, 1)


def _block(n_galaxies: int) -> int:
    return max(1, CHUNK_ELEMENTS // n_galaxies)


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Scale every row to length one; a row of zeros stays zeros.

    Examples
    --------
    >>> unit_vectors(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)  # dividing by it first keeps the squares from overflowing
    scaled = vectors / np.where(largest > 0, largest, 1)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length > 0, length, 1)
