"""What makes some galaxies different from the rest: every column by one effect size, with a bootstrap interval.

The effect size is Cliff's delta (Cliff 1993, Psychological Bulletin 114, 494), the chance that a selected galaxy has
the larger value minus the chance that it has the smaller one::

    delta = P(selected > rest) - P(selected < rest)          in [-1, 1], 0 for no difference

It asks only which of two values is larger, so neither outliers nor the unit or a logarithm change it, unlike Cohen's d;
and for a yes or no, such as "is a spiral", it is exactly the difference of the two shares. Numbers and categories
therefore stand in one ranking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MAX_EACH = 30_000  # galaxies compared on either side; of more, as many are drawn at random
N_RESAMPLES = 400
LEVEL = 0.95
MAX_VALUES = 40  # of one category column, the most frequent
RESAMPLES_AT_ONCE = 50


@dataclass(frozen=True)
class Difference:
    """How the selected galaxies differ from the rest in one number, or in the share of one category.

    Attributes
    ----------
    column : str
    value : str or None
        The category whose share is compared; None for a number.
    effect, low, high : float
        Cliff's delta, or the difference of shares, and its bootstrap interval; NaN where nothing can be compared.
    selected, rest : float
        Median of either side, or share.
    n_selected, n_rest : int
        Galaxies with a value.
    """

    column: str
    value: str | None
    effect: float
    low: float
    high: float
    selected: float
    rest: float
    n_selected: int
    n_rest: int

    @property
    def is_different(self) -> bool:
        """Whether the interval leaves out 0."""
        return bool(self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Differences:
    """All columns, those that differ first, the largest effect first.

    Attributes
    ----------
    items : tuple of Difference
    n_selected, n_rest : int
        Galaxies on either side.
    n_selected_used, n_rest_used : int
        Galaxies that were compared; fewer where a side was too large and drawn from at random.
    seed, n_resamples, level
        Of the bootstrap.
    """

    items: tuple[Difference, ...]
    n_selected: int
    n_rest: int
    n_selected_used: int
    n_rest_used: int
    seed: int
    n_resamples: int
    level: float = LEVEL

    @property
    def sampled(self) -> bool:
        """Whether a side was too large to be compared in full."""
        return self.n_selected_used < self.n_selected or self.n_rest_used < self.n_rest


def compare_selection(
    n_galaxies: int,
    rows: np.ndarray,
    numbers: Mapping[str, np.ndarray],
    categories: Mapping[str, tuple[np.ndarray, tuple[str, ...]]],
    *,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    max_each: int = MAX_EACH,
) -> Differences:
    """Rank columns by how much the selected galaxies differ in them from all others.

    Parameters
    ----------
    n_galaxies : int
    rows : int array, shape (n_selected,)
        Rows of the selected galaxies, each once.
    numbers : dict of str to float array, shape (n_galaxies,)
        NaN where a galaxy has no value.
    categories : dict of str to (int array of shape (n_galaxies,), tuple of str)
        Code of each galaxy, -1 for none, and the names of the codes.
    seed, n_resamples, max_each : int

    Returns
    -------
    Differences

    Notes
    -----
    Both sides are resampled, all columns with the same galaxies, and delta follows from the placements of the
    galaxies, its first-order (Hoeffding) terms as in DeLong et al. 1988, Biometrics 44, 837. A resample can only
    repeat what was seen, so each side also gets one imagined galaxy, above or below all others by chance: none of ten
    galaxies is not held for none at all (Agresti & Caffo 2000, American Statistician 54, 280, do so for shares).
    """
    rng = np.random.default_rng(seed)
    rows = np.asarray(rows, dtype=np.int64)
    is_rest = np.ones(n_galaxies, dtype=bool)
    is_rest[rows] = False
    others = np.flatnonzero(is_rest)
    ours, theirs = draw(rows, max_each, rng), draw(others, max_each, rng)
    labels = [(column, None) for column in numbers]
    selected = [np.asarray(values[ours], dtype=np.float64) for values in numbers.values()]
    rest = [np.asarray(values[theirs], dtype=np.float64) for values in numbers.values()]
    for column, (codes, names) in categories.items():
        for code in frequent_codes(codes[ours], codes[theirs]):
            labels.append((column, names[code]))
            selected.append(one_of(codes[ours], code))
            rest.append(one_of(codes[theirs], code))
    items = measure(labels, selected, rest, rng, n_resamples)
    items.sort(key=lambda item: (not item.is_different, -np.nan_to_num(abs(item.effect), nan=-1)))
    return Differences(tuple(items), len(rows), len(others), len(ours), len(theirs), seed, n_resamples)


def draw(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """At most ``n`` of the rows, each as likely as any other."""
    return rows if len(rows) <= n else np.sort(rng.choice(rows, n, replace=False, shuffle=False))


def frequent_codes(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The codes that occur on either side, the `MAX_VALUES` most frequent of them; of two, one says it all."""
    counts = np.bincount(ours[ours >= 0], minlength=1)
    more = np.bincount(theirs[theirs >= 0], minlength=1)
    total = np.zeros(max(len(counts), len(more)), dtype=np.int64)
    total[: len(counts)] += counts
    total[: len(more)] += more
    order = np.argsort(-total, kind="stable")
    order = order[total[order] > 0]
    return order[:1] if len(order) == 2 else order[:MAX_VALUES] if len(order) > 1 else order[:0]


def one_of(codes: np.ndarray, code: int) -> np.ndarray:
    """1 for galaxies of a category, 0 for those of another, NaN for those of none."""
    return np.where(codes < 0, np.nan, (codes == code).astype(np.float64))


def placements(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of the others below each value minus the share above it; their mean is Cliff's delta.

    Parameters
    ----------
    values, others : float array, shape (n,) and (m,)

    Returns
    -------
    float64 array, shape (n,)
        NaN for a value that is NaN, and for all where the others hold none.
    """
    others = np.sort(others[~np.isnan(others)])
    if not len(others):
        return np.full(len(values), np.nan)
    below = np.searchsorted(others, values, side="left")
    above = len(others) - np.searchsorted(others, values, side="right")
    return np.where(np.isnan(values), np.nan, (below - above) / len(others))


def measure(
    labels: list[tuple[str, str | None]],
    selected: list[np.ndarray],
    rest: list[np.ndarray],
    rng: np.random.Generator,
    n_resamples: int,
) -> list[Difference]:
    """The difference in each column, in their order."""
    if not labels or not len(selected[0]) or not len(rest[0]):
        return []
    # Counted from either side the placements have opposite signs; both averages are delta.
    ours = np.column_stack([placements(a, b) for a, b in zip(selected, rest, strict=True)])
    theirs = -np.column_stack([placements(b, a) for a, b in zip(selected, rest, strict=True)])
    counts = [np.isfinite(side).sum(axis=0) for side in (ours, theirs)]
    comparable = (counts[0] > 0) & (counts[1] > 0)
    effects = np.full(len(labels), np.nan)
    effects[comparable] = np.nanmean(ours[:, comparable], axis=0)
    resampled = resampled_means(ours, rng, n_resamples) + resampled_means(theirs, rng, n_resamples) - effects
    resampled = np.clip(resampled, -1, 1)
    low, high = np.full((2, len(labels)), np.nan)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    # A resample in which a sparse column has no value at all says nothing of it.
    if comparable.any():
        low[comparable], high[comparable] = np.nanquantile(resampled[:, comparable], tails, axis=0)
    items = []
    for k, (column, value) in enumerate(labels):
        middle = np.nanmean if value is not None else np.nanmedian
        sides = [
            float(middle(s)) if n else float("nan") for s, n in ((selected[k], counts[0][k]), (rest[k], counts[1][k]))
        ]
        numbers = (float(x) for x in (effects[k], low[k], high[k]))
        items.append(Difference(column, value, *numbers, *sides, int(counts[0][k]), int(counts[1][k])))
    return items


def resampled_means(values: np.ndarray, rng: np.random.Generator, n_resamples: int) -> np.ndarray:
    """Means of each column over galaxies drawn with replacement, plus what one imagined galaxy may change.

    Parameters
    ----------
    values : float array, shape (n, n_columns)
        In [-1, 1]; NaN where a galaxy has no value.
    rng : numpy.random.Generator
    n_resamples : int

    Returns
    -------
    float64 array, shape (n_resamples, n_columns)
    """
    n, n_columns = values.shape
    known = np.isfinite(values)
    filled, weights = np.where(known, values, 0).astype(np.float32), known.astype(np.float32)
    means = np.empty((n_resamples, n_columns))
    for start in range(0, n_resamples, RESAMPLES_AT_ONCE):
        size = min(RESAMPLES_AT_ONCE, n_resamples - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            means[start : start + size] = (counts @ filled) / (counts @ weights)
    # The imagined galaxy is drawn once on average in as many draws as there are values: half the time at either end.
    imagined = rng.poisson(0.5, means.shape) - rng.poisson(0.5, means.shape)
    return means + imagined / np.maximum(known.sum(axis=0), 1)
