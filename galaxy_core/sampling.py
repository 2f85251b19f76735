"""Which galaxies a map or a clustering is fitted on where there are too many for all of them; the others are placed.

The sample is stratified by a coarse partition of the embedding: k-means cells, each split into what is usual in it and
the few galaxies farthest from its centre. Every stratum is drawn from in proportion to its size, so that densities are
those of the catalog, but a few of its galaxies are always in: a rare kind is not lost by chance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galaxy_core.vectors import VectorError, check_vectors

N_CELLS = 64
N_TO_FIND_CELLS = 20_000
"""Galaxies that the cells are found among."""

FAR_SHARE = 0.01
"""Of the galaxies of a cell, those farthest from its centre are a stratum of their own."""

STRATUM_FLOOR = 20
"""Galaxies of each stratum in the sample, or all where it has fewer."""

SHARD = 20_000
"""Galaxies placed at once: memory while placing does not grow with the catalog."""


def draw_sample(vectors: np.ndarray, limit: int, seed: int) -> np.ndarray | None:
    """Rows to fit on; None, for all of them, up to ``limit`` galaxies and where ``limit`` is 0.

    Raises
    ------
    VectorError
        The limit is negative, or the vectors are not finite.
    """
    if limit < 0:
        raise VectorError(f"The number of galaxies that fits are made on cannot be negative, but is {limit}.")
    if not 0 < limit < len(vectors):
        return None
    return stratified_sample(check_vectors(vectors, "Drawing a sample"), limit, seed)


def stratified_sample(vectors: np.ndarray, size: int, seed: int, n_cells: int = N_CELLS) -> np.ndarray:
    """Draw galaxies from everywhere in the embedding; the same vectors, size and seed give the same sample.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
        Read in blocks: it may be a file mapped into memory.
    size : int
        Galaxies wanted, at most ``n_galaxies``.
    seed : int
    n_cells : int
        Of the partition, at most; there are ten galaxies of the sample for each stratum at least.

    Returns
    -------
    int64 array, shape (size,)
        Rows, sorted.
    """
    if not 1 <= size <= len(vectors):
        raise VectorError(f"A sample of {size:,} cannot be drawn from {len(vectors):,} galaxies.")
    rng = np.random.default_rng(seed)
    strata = find_strata(vectors, min(n_cells, max(1, size // 20)), seed)
    wanted = share_out(np.bincount(strata), size)
    order = rng.permutation(len(vectors))
    by_stratum = order[np.argsort(strata[order], kind="stable")]  # in random order within each
    starts = np.cumsum(np.bincount(strata)) - np.bincount(strata)
    return np.sort(
        np.concatenate([by_stratum[start : start + n] for start, n in zip(starts, wanted, strict=True)])
    ).astype(np.int64)


def find_strata(vectors: np.ndarray, n_cells: int, seed: int) -> np.ndarray:
    """Stratum of every galaxy, int32 (n,): twice its k-means cell, and one more where it is far from the centre."""
    from sklearn.cluster import KMeans

    n_galaxies = len(vectors)
    some = np.random.default_rng(seed).permutation(n_galaxies)[:N_TO_FIND_CELLS]
    some = np.asarray(vectors[np.sort(some)], dtype=np.float32)
    n_cells = min(n_cells, len(np.unique(some, axis=0)))
    fitted = KMeans(n_clusters=n_cells, n_init=1, random_state=seed).fit(some)
    cell, distance = np.empty(n_galaxies, np.int32), np.empty(n_galaxies, np.float32)
    for start in range(0, n_galaxies, SHARD):
        apart = fitted.transform(np.asarray(vectors[start : start + SHARD], dtype=np.float32))
        cell[start : start + SHARD] = apart.argmin(axis=1)
        distance[start : start + SHARD] = apart.min(axis=1)
    limits = np.full(n_cells, np.inf)
    for name in np.unique(cell):
        limits[name] = np.quantile(distance[cell == name], 1 - FAR_SHARE)
    return 2 * cell + (distance > limits[cell])


def share_out(counts: np.ndarray, size: int, floor: int = STRATUM_FLOOR) -> np.ndarray:
    """How many to draw from each stratum: in proportion, with a floor, ``size`` together.

    Parameters
    ----------
    counts : int array, shape (n_strata,)
    size : int
        At most the sum of ``counts``.
    floor : int
        Of each stratum; all of it where it has fewer. Smaller where the floors alone would be more than half of
        ``size``.

    Returns
    -------
    int array, shape (n_strata,)

    Examples
    --------
    >>> share_out(np.array([9_000, 990, 10]), 1_000).tolist()
    [877, 113, 10]
    """
    counts = np.asarray(counts)
    least = np.minimum(counts, min(floor, size // (2 * max(1, np.count_nonzero(counts)))))
    left = counts - least
    exact = left * ((size - least.sum()) / max(1, left.sum()))
    extra = np.floor(exact).astype(np.int64)
    short = size - int(least.sum() + extra.sum())
    order = np.argsort(-(exact - extra), kind="stable")
    order = order[extra[order] < left[order]]
    extra[order[:short]] += 1
    return least + extra


def in_shards(function: Callable[[np.ndarray], object], vectors: np.ndarray) -> list:
    """What a function returns for each `SHARD` of rows, in order."""
    return [function(np.asarray(vectors[start : start + SHARD])) for start in range(0, len(vectors), SHARD)]


def fitted_words(n_fitted: int, n_galaxies: int, how: str) -> str:
    """Sentence on a fit that did not see every galaxy.

    Examples
    --------
    >>> fitted_words(100_000, 240_000, "placed on the finished map")
    'fitted on a stratified sample of 100,000 of the 240,000 galaxies; the others were placed on the finished map'
    """
    return f"fitted on a stratified sample of {n_fitted:,} of the {n_galaxies:,} galaxies; the others were {how}"
