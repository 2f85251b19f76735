"""Which galaxies look alike: exact nearest neighbours by the cosine of the angle between embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from galaxy_core.vectors import VectorError, check_vectors

BLOCK_ROWS, BLOCK_COLUMNS = 1024, 16_384
"""Galaxies compared at once, and with how many (64 MB of float32): many on both sides, or memory is waited for."""
SHARD_ROWS = 8192
"""Galaxies whose neighbours are one unit of work."""
READ_ROWS = 65_536
"""Galaxies whose vectors are looked at together where all are compared with one."""


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
    """Rows of a catalog in pieces of some thousands, for `neighbors_of_rows`."""
    for start in range(0, n_galaxies, SHARD_ROWS):
        yield start, min(start + SHARD_ROWS, n_galaxies)


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
    for first in range(start, stop, BLOCK_ROWS):
        rows = np.arange(first, min(first + BLOCK_ROWS, stop))
        best = np.full((len(rows), k), -np.inf, dtype=np.float32), np.zeros((len(rows), k), dtype=np.int64)
        for begin in range(0, len(unit), BLOCK_COLUMNS):
            cosines = unit[rows] @ unit[begin : begin + BLOCK_COLUMNS].T
            np.round(cosines, 6, out=cosines)  # below float32's error two similarities are one: the row order decides
            own = np.flatnonzero((rows >= begin) & (rows < begin + BLOCK_COLUMNS))
            cosines[own, rows[own] - begin] = -np.inf
            best = _better(*best, cosines, begin)
        similarity[first - start : first - start + len(rows)], index[first - start : first - start + len(rows)] = best
    return index, np.clip(similarity, -1, 1)


def _better(values: np.ndarray, columns: np.ndarray, cosines: np.ndarray, begin: int) -> tuple[np.ndarray, np.ndarray]:
    """The best of each row, (n_rows, k), with what some more columns hold, from number ``begin`` on."""
    n_rows, k = values.shape
    limit = values[:, -1:]
    if begin == 0 and k < cosines.shape[1]:  # nothing is known yet: of the first columns the best alone
        above = cosines >= np.partition(cosines, -k, axis=1)[:, -k][:, None]
    else:
        above = cosines > limit  # of equal ones those before come first
    rows, found = np.nonzero(above)
    rows = np.concatenate([np.repeat(np.arange(n_rows), k), rows])
    columns = np.concatenate([columns.ravel(), found + begin])
    values = np.concatenate([values.ravel(), cosines[above]])
    order = np.lexsort((columns, -values, rows))
    first = np.searchsorted(rows[order], np.arange(n_rows))
    chosen = order[first[:, None] + np.arange(k)]
    return values[chosen], columns[chosen]


def most_similar(vectors: np.ndarray, row: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` galaxies most similar to one, without itself: exact, for any ``k``, in one pass over the vectors.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features), or what gives some of its rows
        Such as `galaxy_core.artifacts.StoredVectors`; read in blocks, never copied as a whole.
    row, k : int

    Returns
    -------
    index : int64 array, shape (at most k,)
        The most similar first, equal ones by row; a galaxy whose vector is not finite is like none.
    similarity : float64 array, same shape

    Examples
    --------
    >>> index, similarity = most_similar(np.array([[1.0, 0], [0, 1], [3, 0], [1, 1]]), 0, 2)
    >>> index.tolist(), similarity.tolist()
    ([2, 3], [1.0, 0.707107])
    """
    cosines = similarities_to(vectors, np.asarray(vectors[np.array([row])])[0])
    cosines[row] = np.nan
    return best_of(cosines, k)


def similarities_to(vectors: np.ndarray, vector: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Cosine similarity of galaxies, all or some rows of them, to one vector; float64 (n,), NaN where not finite.

    Rounded to 6 digits: below the error of float32 two similarities are one. A zero vector has similarity 0.
    """
    n = len(vectors) if rows is None else len(rows)
    cosines, vector = np.empty(n), unit_vectors(np.asarray(vector, dtype=np.float32)[None])[0]
    for start in range(0, n, READ_ROWS):
        stop = min(start + READ_ROWS, n)
        part = np.arange(start, stop) if rows is None else rows[start:stop]
        if rows is None and isinstance(vectors, np.ndarray):
            part = slice(start, stop)  # not copied
        block = np.asarray(vectors[part], dtype=np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            lengths = np.sqrt(np.vecdot(block, block))  # a fifth of the time of np.linalg.norm
            cosines[start:stop] = (block @ vector) / np.where(lengths > 0, lengths, 1)
    return np.clip(np.round(cosines, 6), -1, 1)


def best_of(similarities: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows, int64, and values of the ``k`` largest similarities, equal ones by row; what is not finite is left out."""
    known = np.flatnonzero(np.isfinite(similarities))
    k = max(0, min(k, len(known)))
    if k == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    limit = np.partition(similarities[known], -k)[-k]
    candidates = known[similarities[known] >= limit]
    rows = candidates[np.argsort(-similarities[candidates], kind="stable")[:k]]
    return rows, similarities[rows]


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
