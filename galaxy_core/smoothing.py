"""Bring out where galaxies crowd: each vector becomes the mean of its neighbourhood, once or a few times.

A network trained on pairs of views spreads galaxies as evenly as it can (Wang & Isola 2020, ICML), so that differences
of single galaxies hide where there are more of them. Averaging over neighbours removes these differences: one step of
mean shift with every galaxy moved (Fukunaga & Hostetler 1975, IEEE Trans. Inf. Theory 21, 32; "blurring", Cheng 1995,
IEEE Trans. Pattern Anal. Mach. Intell. 17, 790). It sharpens clusters, and would sharpen accidents: what it does to
data without groups (`galaxy_core.stability.measure_null`) belongs beside every clustering of it.
"""

from __future__ import annotations

import numpy as np

N_NEIGHBORS = 80
N_STEPS = 2
LARGEST_SHARE = 0.01
"""A neighbourhood has at most this share of all galaxies, so that small catalogs are not averaged into one point."""


def neighborhood_size(n_neighbors: int, n_galaxies: int) -> int:
    """Galaxies that are averaged, the galaxy itself included: two at least where there are two, a hundredth at most.

    Examples
    --------
    >>> neighborhood_size(80, 26_093), neighborhood_size(80, 2_000), neighborhood_size(80, 1)
    (80, 20, 1)
    """
    return min(n_neighbors, max(2, int(LARGEST_SHARE * n_galaxies)), n_galaxies)


def smooth(vectors: np.ndarray, n_neighbors: int, n_steps: int) -> list[np.ndarray]:
    """The vectors before and after each step.

    Parameters
    ----------
    vectors : float32 array, shape (n_galaxies, n_features)
    n_neighbors : int
        Galaxies averaged, itself included; those nearest by Euclidean distance, found anew in each step.
    n_steps : int

    Returns
    -------
    list of float32 arrays, shape (n_galaxies, n_features)
        ``n_steps + 1`` of them; the first is ``vectors``.
    """
    levels = [vectors]
    for _ in range(n_steps):
        levels.append(mean_of_nearest(levels[-1], levels[-1], n_neighbors))
    return levels


def smooth_new(new_vectors: np.ndarray, levels: list[np.ndarray], n_neighbors: int) -> np.ndarray:
    """New galaxies smoothed among the old, which stay as they are: each is averaged with its nearest old ones.

    Parameters
    ----------
    new_vectors : float32 array, shape (m, n_features)
    levels : list of arrays
        From `smooth`.
    n_neighbors : int
    """
    placed = new_vectors
    for level in levels[:-1]:
        if n_neighbors > 1:
            among = mean_of_nearest(placed, level, n_neighbors - 1)
            placed = (placed + (n_neighbors - 1) * among) / np.float32(n_neighbors)
    return placed


def mean_of_nearest(vectors: np.ndarray, reference: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Mean of the ``n_neighbors`` vectors of ``reference`` nearest to each of ``vectors``: float32, (m, n_features)."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(reference)
    nearest = index.kneighbors(vectors, return_distance=False)
    means = np.zeros(vectors.shape, dtype=np.float32)
    for column in nearest.T:  # one neighbour of all galaxies at a time: memory stays that of the vectors
        means += reference[column]
    return means / np.float32(n_neighbors)
