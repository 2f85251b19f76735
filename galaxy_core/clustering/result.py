"""What every clustering gives back, and how its clusters are numbered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

UNCLUSTERED = -1
"""The label of a galaxy that belongs to no cluster."""

BECAUSE = "all galaxies are unclustered, because "
"""How the note begins that says why there can be no cluster, whatever the galaxies are."""

Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""New vectors, (m, n_features) float32 -> the method's own labels and memberships, each (m,)."""


@dataclass(frozen=True)
class Fit:
    """What a method hands to `galaxy_core.clustering.fit_clustering`, under its own numbers of clusters.

    Attributes
    ----------
    labels : int array, shape (n_galaxies,)
        Any number for a cluster; -1 for unclustered galaxies.
    membership : float array, shape (n_galaxies,)
    params : dict
        Every parameter as used.
    predict : callable
    measures : dict
        What the fit says of itself, such as ``inertia``.
    notes : tuple of str
        Sentences a reader of the result must know.
    """

    labels: np.ndarray
    membership: np.ndarray
    params: dict
    predict: Predict
    measures: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clustering:
    """Which cluster each galaxy belongs to.

    Attributes
    ----------
    labels : int32 array, shape (n_galaxies,)
        0 for the largest cluster, 1 for the next, ...; -1 for unclustered galaxies.
    membership : float32 array, shape (n_galaxies,)
        How firmly a galaxy sits in its cluster, from 0 (at its border, or unclustered) to 1; what that is differs from
        method to method (`galaxy_core.clustering.MEMBERSHIP`).
    method : str
    params : dict
        Every parameter as used, after defaults: what the manifest keeps.
    measures : dict
        What the fit says of itself, in plain numbers: ``inertia`` of k-means, ``bic`` of a mixture, the ``k_distance``
        curve of DBSCAN.
    notes : tuple of str
        Sentences a reader must know, such as that a sample was clustered.
    n_features : int
        Length of the vectors it was fitted on.
    place : callable
        Used by `galaxy_core.clustering.predict`.
    """

    labels: np.ndarray
    membership: np.ndarray
    method: str
    params: dict
    measures: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_features: int = 0
    place: Predict | None = field(default=None, repr=False, compare=False)

    @property
    def n_clusters(self) -> int:
        """Number of clusters, unclustered galaxies aside."""
        return int(self.labels.max(initial=UNCLUSTERED)) + 1


def names_by_size(labels: np.ndarray) -> np.ndarray:
    """The clusters' own numbers, the largest cluster first; unclustered is none of them.

    Examples
    --------
    >>> names_by_size(np.array([4, 7, 7, -1, 4, 7])).tolist()
    [7, 4]
    """
    labels = np.asarray(labels)
    names, first, sizes = np.unique(labels[labels != UNCLUSTERED], return_index=True, return_counts=True)
    return names[np.lexsort((first, -sizes))]


def renumber(labels: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Positions of ``labels`` in ``names``, int32; -1 for what is not among them."""
    labels, ordered = np.asarray(labels), np.full(len(labels), UNCLUSTERED, dtype=np.int32)
    if len(names):
        order = np.argsort(names)
        found = order[np.minimum(np.searchsorted(names, labels, sorter=order), len(names) - 1)]
        known = names[found] == labels
        ordered[known] = found[known]
    return ordered


def margin(distances: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Membership from distances to centres, ``1 - d_own / d_next``: 1 on the own centre, 0 where two clusters meet.

    Parameters
    ----------
    distances : array, shape (n_galaxies, n_centres)
    own : int array, shape (n_galaxies,)
        The centre of each galaxy's cluster.

    Returns
    -------
    array, shape (n_galaxies,)
        1 throughout where there is one centre; 0 for a galaxy nearer to another centre than to its own.
    """
    if distances.shape[1] == 1:
        return np.ones(len(distances))
    rows = np.arange(len(distances))
    nearest = distances[rows, own]
    others = distances.copy()
    others[rows, own] = np.inf
    following = others.min(axis=1)
    return np.clip(1 - nearest / np.where(following > 0, following, 1), 0, 1)


def blocks(n_rows: int, n_columns: int, n_elements: int = 16_000_000) -> list[slice]:
    """Slices of rows such that a table of ``n_columns`` for each holds at most ``n_elements``.

    Examples
    --------
    >>> blocks(5, 10, 20)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, n_elements // max(1, n_columns))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def nowhere(n_galaxies: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and memberships of galaxies that are in no cluster."""
    return np.full(n_galaxies, UNCLUSTERED), np.zeros(n_galaxies)
