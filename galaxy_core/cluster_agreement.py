"""How far two groupings of the same galaxies agree: contingency tables, matched clusters, ARI and AMI.

A grouping is an int array of one code a galaxy, -1 where it has none. For a clustering -1 is "unclustered", which may
count as one more group or be left out; for classes it is "unknown" and is always left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

NONE = -1
N_SHUFFLES = 20
"""Of one grouping, for what two would share by chance."""


@dataclass(frozen=True)
class Contingency:
    """How many galaxies are in each group of one grouping and each of another.

    Attributes
    ----------
    counts : int64 array, shape (n_rows, n_columns)
    rows, columns : tuple of int
        Codes of the groups; -1 for the galaxies without one.
    """

    counts: np.ndarray
    rows: tuple[int, ...]
    columns: tuple[int, ...]


def contingency(first: np.ndarray, second: np.ndarray) -> Contingency:
    """Count the galaxies of each pair of groups; groups of nobody are left out, -1 comes last.

    Parameters
    ----------
    first, second : int array, shape (n,)
        Codes from -1.

    Examples
    --------
    >>> table = contingency(np.array([0, 0, 1, -1]), np.array([2, 2, 0, 0]))
    >>> table.counts.tolist(), table.rows, table.columns
    ([[0, 2], [1, 0], [1, 0]], (0, 1, -1), (0, 2))
    """
    if len(first) != len(second):
        raise ValueError(f"the groupings have {len(first)} and {len(second)} galaxies")
    if not len(first):
        return Contingency(np.zeros((0, 0), np.int64), (), ())
    a, b = _last_is_none(first), _last_is_none(second)
    shape = int(a.max()) + 1, int(b.max()) + 1
    counts = np.bincount(a * shape[1] + b, minlength=shape[0] * shape[1]).reshape(shape)
    rows, columns = np.flatnonzero(counts.any(axis=1)), np.flatnonzero(counts.any(axis=0))
    return Contingency(counts[np.ix_(rows, columns)], _codes_of(rows, first), _codes_of(columns, second))


def _last_is_none(codes: np.ndarray) -> np.ndarray:
    codes = np.asarray(codes, dtype=np.int64)
    return np.where(codes < 0, codes.max(initial=NONE) + 1, codes)


def _codes_of(kept: np.ndarray, codes: np.ndarray) -> tuple[int, ...]:
    largest = int(np.max(codes, initial=NONE))
    return tuple(int(code) if code <= largest else NONE for code in kept)


def match(table: Contingency) -> list[tuple[int, int]]:
    """Pair each row with at most one column so that the pairs hold the most galaxies (Kuhn 1955).

    Galaxies in no cluster of one grouping can only be paired with those in no cluster of the other.

    Returns
    -------
    list of (int, int)
        Places in the table, the pair with most galaxies first; pairs of nobody are left out.
    """
    from scipy.optimize import linear_sum_assignment

    allowed = np.equal.outer(np.array(table.rows) < 0, np.array(table.columns) < 0)
    counts = np.where(allowed, table.counts, 0)
    pairs = zip(*(places.tolist() for places in linear_sum_assignment(counts, maximize=True)), strict=True)
    return sorted((pair for pair in pairs if counts[pair]), key=lambda pair: (-counts[pair], pair))


def on_diagonal(table: Contingency) -> Contingency:
    """The same table with matched groups on the diagonal, the largest pair first; -1 stays last."""
    pairs = [pair for pair in match(table) if table.rows[pair[0]] >= 0]
    orders = []
    for axis, codes in enumerate((table.rows, table.columns)):
        matched = [pair[axis] for pair in pairs]
        sizes = table.counts.sum(axis=1 - axis)
        rest = sorted(set(range(len(codes))) - set(matched), key=lambda k: (codes[k] < 0, -sizes[k], k))
        orders.append(matched + rest)
    rows, columns = orders
    counts = table.counts[np.ix_(rows, columns)] if len(rows) and len(columns) else table.counts
    return Contingency(counts, tuple(table.rows[k] for k in rows), tuple(table.columns[k] for k in columns))


def agreeing_share(first: np.ndarray, second: np.ndarray) -> float:
    """Share of all galaxies in matched clusters; one that only one of the two leaves unclustered disagrees.

    Examples
    --------
    >>> agreeing_share(np.array([0, 0, 1, -1]), np.array([1, 1, 1, -1]))
    0.75
    """
    table = contingency(first, second)
    agreeing = sum(int(table.counts[pair]) for pair in match(table))
    return agreeing / len(first) if len(first) else float("nan")


def chance_share(first: np.ndarray, second: np.ndarray, seed: int = 0) -> float:
    """The same of groupings that know nothing of one another, the mean over `N_SHUFFLES` shuffles of one of them.

    The pairs are chosen for holding the most galaxies, so that chance pairs more of them than the sizes of the groups
    alone would: of 2,000 galaxies in forty groups each three times as many.

    Examples
    --------
    >>> float(chance_share(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])))
    0.5
    """
    rng = np.random.default_rng(seed)
    return float(np.mean([agreeing_share(first, rng.permutation(second)) for _ in range(N_SHUFFLES)]))


def adjusted_rand(counts: np.ndarray) -> float:
    """Adjusted Rand index of a contingency table (Hubert & Arabie 1985, J. Classif. 2, 193, their eq. 5).

    1 where both group alike, 0 as expected of chance; not a number with fewer than two galaxies.
    """
    n = counts.sum()
    if n < 2:
        return float("nan")
    together = _pairs(counts).sum()
    rows, columns = _pairs(counts.sum(axis=1)).sum(), _pairs(counts.sum(axis=0)).sum()
    expected, largest = rows * columns / _pairs(n), (rows + columns) / 2
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def _pairs(n):
    n = np.asarray(n, dtype=np.float64)
    return n * (n - 1) / 2


def adjusted_mutual_information(counts: np.ndarray) -> float:
    """Adjusted mutual information of a contingency table (Vinh et al. 2010, JMLR 11, 2837, arithmetic mean).

    1 where both group alike, 0 as expected of chance; not a number with fewer than two galaxies.
    """
    n = int(counts.sum())
    if n < 2:
        return float("nan")
    if 1 in counts.shape:
        return 1.0 if counts.shape == (1, 1) else 0.0
    from sklearn.metrics.cluster import expected_mutual_information

    shares, rows, columns = counts / n, counts.sum(axis=1) / n, counts.sum(axis=0) / n
    known = counts > 0
    mutual = float((shares[known] * np.log(shares[known] / np.outer(rows, columns)[known])).sum())
    expected = float(expected_mutual_information(counts, n))
    mean = (_entropy(rows) + _entropy(columns)) / 2
    return 1.0 if mean == expected else (mutual - expected) / (mean - expected)


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


MEASURES = {"ari": adjusted_rand, "ami": adjusted_mutual_information}


def agreement_matrix(
    groupings: Mapping[str, np.ndarray], measure: str, as_group: Mapping[str, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """The agreement of every two groupings.

    Parameters
    ----------
    groupings : dict of str to int array, shape (n,)
    measure : {"ari", "ami"}
    as_group : dict of str to bool
        Whether the galaxies of code -1 count as one more group of a grouping; else they are left out.

    Returns
    -------
    values : float64 array, shape (k, k)
        NaN where fewer than two galaxies are left.
    n_galaxies : int64 array, shape (k, k)
        On how many galaxies each was measured.
    """
    names = list(groupings)
    values, n_galaxies = np.full((len(names),) * 2, np.nan), np.zeros((len(names),) * 2, np.int64)
    for i, first in enumerate(names):
        for j, second in enumerate(names[: i + 1]):
            table = contingency(groupings[first], groupings[second])
            rows = [k for k, code in enumerate(table.rows) if code >= 0 or as_group[first]]
            columns = [k for k, code in enumerate(table.columns) if code >= 0 or as_group[second]]
            counts = table.counts[np.ix_(rows, columns)] if rows and columns else np.zeros((0, 0), np.int64)
            counts = counts[counts.any(axis=1)][:, counts.any(axis=0)]
            n_galaxies[i, j] = n_galaxies[j, i] = counts.sum()
            values[i, j] = values[j, i] = MEASURES[measure](counts)
    return values, n_galaxies
