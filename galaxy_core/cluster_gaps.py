"""Is there a gap between clusters, where fewer galaxies lie than on either side? Without one they cut up a continuum.

A silhouette cannot tell: a bent continuum, such as half a ring, is parted better than any even cloud of its covariance.
Nor can the density of single galaxies, where there are many features: it changes more by how far a galaxy lies from the
middle of its group than from one group to the next. So galaxies are counted along the line that joins two clusters.
"""

from __future__ import annotations

import numpy as np

from galaxy_core.clustering import UNCLUSTERED
from galaxy_core.similarity import unit_vectors

FEWEST = 15
"""Galaxies in a cluster, at least: of fewer no more than two or three are in any place along a line."""

STEPS = 6
"""From the middle of one cluster to that of the other."""

CHUNK = 32_768


def measure_gaps(labels: np.ndarray, vectors: np.ndarray) -> dict[int, float]:
    """By how much fewer galaxies lie somewhere between a cluster and the next than on either side of that place.

    Between every two clusters the galaxies whose nearest mean is one of theirs are counted in steps along the line from
    mean to mean, those of no cluster, too, so that what a method left out in between closes a gap. The gap is one minus
    the count in the emptiest step over the lower of the highest counts before and behind it, each with its counting
    error against a gap: the depth of a valley between two modes. A cut through a continuum has 0 to 0.3, and up to 0.6
    where that is curled up tightly in many dimensions; groups far apart have 1. Galaxies of one half are counted along
    lines through the means of the other half, as means lean towards the galaxies that they are of. Clusters bent around
    one another have no gap along any line.

    Parameters
    ----------
    labels : int array, shape (n_galaxies,)
        -1 for unclustered.
    vectors : float array, shape (n_galaxies, n_features)
        The embedding; directions alone count, as in cosine similarity.

    Returns
    -------
    dict of int to float
        From 0 to 1, of the other cluster where it is least; clusters of fewer than `FEWEST` galaxies are left out.
    """
    names, sizes = np.unique(labels[labels != UNCLUSTERED], return_counts=True)
    names = names[sizes >= FEWEST]
    if len(names) < 2:
        return {}
    halves = np.empty(len(labels), dtype=np.int8)
    halves[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % 2  # of each cluster, too
    sums, members = np.zeros((2, len(names), vectors.shape[1])), np.zeros((2, len(names), 1))
    for rows in _chunks(len(labels)):
        unit = unit_vectors(vectors[rows])
        for half, name in np.ndindex(2, len(names)):
            ours = (halves[rows] == half) & (labels[rows] == names[name])
            sums[half, name] += unit[ours].sum(axis=0, dtype=np.float64)
            members[half, name] += ours.sum()
    means = sums / members
    counts = np.zeros((len(names), len(names), STEPS + 1))
    for rows in _chunks(len(labels)):
        unit = unit_vectors(vectors[rows])
        for half in (0, 1):
            counts += _along_lines(unit[halves[rows] == half].astype(np.float64), means[1 - half])
    counts += counts.transpose(1, 0, 2)[:, :, ::-1]  # both ends of each line
    return dict(zip(names.tolist(), _valleys(counts).min(axis=1).tolist(), strict=True))


def _chunks(n: int):
    return (slice(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK))


def _along_lines(points: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Points by their nearest mean, by every other mean, and by the step from the first to the second."""
    inner, between = points @ means.T, means @ means.T
    squares = np.diag(between)
    nearest = (inner - squares / 2).argmax(axis=1)
    counts = np.zeros((len(means), len(means), STEPS + 1))
    for other in range(len(means)):
        along = inner[:, other] - inner[np.arange(len(points)), nearest] - between[nearest, other] + squares[nearest]
        length = squares[other] + squares[nearest] - 2 * between[nearest, other]
        step = np.rint(STEPS * along / np.where(length > 0, length, np.inf))
        here = (nearest != other) & (length > 0) & (step >= 0) & (step <= STEPS)
        np.add.at(counts, (nearest[here], other, step[here].astype(np.int64)), 1)
    return counts


def _valleys(counts: np.ndarray) -> np.ndarray:
    """Depth of the deepest valley along each line, from 0 to 1; 1 from a cluster to itself."""
    before = np.maximum.accumulate(counts, axis=2)[:, :, :-2]
    behind = np.maximum.accumulate(counts[:, :, ::-1], axis=2)[:, :, -3::-1]
    lowest, peak = counts[:, :, 1:-1], np.minimum(before, behind)
    depth = 1 - (lowest + np.sqrt(lowest) + 1) / (peak - np.sqrt(peak) + 1)
    depth = depth.max(axis=2).clip(0)
    np.fill_diagonal(depth, 1)
    return depth
