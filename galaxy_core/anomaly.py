"""How unusual each galaxy is, in the embedding: two scores of different kinds, and the mean of their ranks.

The isolation forest asks whether a galaxy has an extreme value along some axis; the distance to its neighbours asks
whether others look like it. On real galaxies the first finds odd frames (tinted sky, satellite trails, galaxies larger
than the stamp), the second mergers, overlaps and odd surroundings.

The forest sees the embedding along its principal axes, every one of them: its cuts are parallel to the axes, and the
unusual differs from the rest mostly along axes of little variance. Of 280 altered images (trails, overlaps, swapped
colours, stars, cuts), 66 % score above 99 % of the 26,093 real galaxies that the forest was fitted on; with only the
components that hold 95 % of the variance it is 18 %, with the first 40 of 192 it is 1 %.

References
----------
Liu, Ting & Zhou 2008, Isolation forest, ICDM 2008, 413
Ramaswamy, Rastogi & Shim 2000, Efficient algorithms for mining outliers from large data sets, SIGMOD 2000, 427
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from galaxy_core.vectors import VectorError, check_vectors

N_TREES = 500
"""With the 100 of the paper, another seed gives another order: rank correlation 0.81 on 26,093 galaxies, here 0.95."""

MAX_SAMPLES = 256
"""Galaxies in each tree, as in the paper."""

FIT_LIMIT = 100_000
"""Galaxies, drawn at random where there are more, that the axes are found from and the trees draw from."""

CHUNK_ROWS = 16_384
"""Galaxies scored at once."""


@dataclass(frozen=True)
class AnomalyScores:
    """How unusual each galaxy is; every array is float32 of shape (n_galaxies,), larger for the more unusual.

    Attributes
    ----------
    isolation_forest : ndarray
        ``2 ** (-E(h) / c)`` of Liu et al. (2008, eq. 2), from 0 to 1: E(h) is the mean number of cuts that isolate the
        galaxy in a tree, c that of a random search tree.
    neighbor_distance : ndarray
        Distance to the last of the stored neighbours, see `neighbor_distances`.
    anomaly : ndarray
        Mean of the percentile ranks of the two, from 0 to 1, the most unusual.
    """

    isolation_forest: np.ndarray = field(repr=False)
    neighbor_distance: np.ndarray = field(repr=False)
    anomaly: np.ndarray = field(repr=False)


def score_anomalies(
    vectors: np.ndarray,
    similarity: np.ndarray,
    seed: int,
    *,
    n_trees: int = N_TREES,
    progress: Callable[[int, int], None] | None = None,
) -> AnomalyScores:
    """Score every galaxy.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
        The embedding.
    similarity : array, shape (n_galaxies, k)
        Cosine similarity to each galaxy's nearest, from `similarity.nearest_neighbors`.
    seed : int
        Of the forest.
    n_trees : int
    progress : callable, optional
        Called with the number of galaxies that the forest has scored, and of all.

    Raises
    ------
    VectorError
        Vectors that are not finite, neighbours of other galaxies, or no trees.
    """
    vectors = check_vectors(vectors, "An anomaly score")
    if np.shape(similarity)[:1] != vectors.shape[:1]:
        raise VectorError(
            f"There are {len(vectors):,} galaxies, but neighbours of shape {np.shape(similarity)}; make both from the"
            " same embedding."
        )
    isolation = isolation_scores(vectors, seed, n_trees, progress)
    distance = neighbor_distances(similarity)
    anomaly = (percentile_ranks(isolation) + percentile_ranks(distance)) / 2
    return AnomalyScores(isolation, distance, anomaly.astype(np.float32))


def isolation_scores(
    vectors: np.ndarray, seed: int, n_trees: int = N_TREES, progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Isolation forest of the embedding along its principal axes, a float32 array of shape (n_galaxies,).

    Turning the embedding changes nothing but the random cuts. One galaxy alone, and galaxies that are all alike, have
    0.5.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest

    if n_trees < 1:
        raise VectorError(f"An isolation forest needs at least 1 tree, but {n_trees} are asked for.")
    vectors = check_vectors(vectors, "An isolation forest")
    if len(vectors) == 1 or (vectors == vectors[0]).all():
        return np.full(len(vectors), 0.5, np.float32)
    rng = np.random.default_rng(seed)
    learn = vectors
    if len(vectors) > FIT_LIMIT:
        learn = vectors[np.sort(rng.choice(len(vectors), FIT_LIMIT, replace=False))]
    axes = PCA(svd_solver="covariance_eigh").fit(learn.astype(np.float64))
    forest = IsolationForest(
        n_estimators=n_trees, max_samples=min(MAX_SAMPLES, len(learn)), random_state=int(rng.integers(2**31))
    )
    forest.fit(axes.transform(learn).astype(np.float32))
    scores = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        scores[rows] = -forest.score_samples(axes.transform(vectors[rows]).astype(np.float32))
        if progress:
            progress(min(start + CHUNK_ROWS, len(vectors)), len(vectors))
    return scores


def neighbor_distances(similarity: np.ndarray) -> np.ndarray:
    """Distance of each galaxy to its k-th nearest (Ramaswamy et al. 2000), between unit vectors.

    Between unit vectors at an angle whose cosine is s the distance is ``sqrt(2 - 2 s)``, so the stored neighbours tell
    it and no second search is needed.

    Parameters
    ----------
    similarity : array, shape (n_galaxies, k)
        Nearest first.

    Returns
    -------
    float32 array, shape (n_galaxies,)
        From 0 to 2; NaN where k is 0, since one galaxy has no neighbour.

    Examples
    --------
    >>> neighbor_distances(np.array([[1.0, 0.5], [1.0, -1.0]])).tolist()
    [1.0, 2.0]
    """
    similarity = np.asarray(similarity)
    if similarity.shape[1] == 0:
        return np.full(len(similarity), np.nan, np.float32)
    return np.sqrt(np.clip(2 - 2 * similarity[:, -1].astype(np.float64), 0, 4)).astype(np.float32)


def percentile_ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each value among all, from 0 for the least to 1 for the greatest; equal values share their mean rank.

    NaN, and a value without others to compare it with, have 0.5.

    Examples
    --------
    >>> percentile_ranks(np.array([3.0, 1.0, 2.0])).tolist()
    [1.0, 0.0, 0.5]
    """
    from scipy.stats import rankdata

    values = np.asarray(values, dtype=np.float64)
    ranks = np.full(len(values), 0.5)
    known = np.isfinite(values)
    if known.sum() > 1:
        ranks[known] = (rankdata(values[known]) - 1) / (known.sum() - 1)
    return ranks
