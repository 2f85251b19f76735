"""What a cluster is rich in: classes, votes and measurements, corrected for multiple tests; and a name from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from galaxy_core.differences import Difference, compare_selection, draw
from galaxy_core.galaxy_zoo import VoteColumn, read_vote

SIGNIFICANT = 0.05
LEAST_EFFECT = 0.147
"""Below this a Cliff's delta is called negligible (Romano et al. 2006), and names no cluster."""
LEAST_EXPECTED = 10
"""Galaxies of a rare value to be expected by chance, below which the rank-sum test is not near its normal limit."""
_PARTS = {"spiral-arm-count": "arms", "spiral-winding": "arms", "bulge-size": "bulge", "bulge-shape": "bulge"}


@dataclass(frozen=True)
class Enrichment:
    """How a cluster differs from all other galaxies in one column, after correction for multiple tests.

    Attributes
    ----------
    difference : galaxy_core.differences.Difference
        Effect size and interval.
    p_value : float
        Two-sided, of this comparison alone.
    p_adjusted : float
        Of this comparison among all of the cluster and of the other clusters; see `enrichments`.
    """

    difference: Difference
    p_value: float
    p_adjusted: float

    @property
    def is_enriched(self) -> bool:
        """Whether the difference stands after the correction."""
        return bool(self.p_adjusted < SIGNIFICANT)


def enrichments(
    n_galaxies: int,
    members: np.ndarray,
    numbers: Mapping[str, np.ndarray],
    categories: Mapping[str, tuple[np.ndarray, tuple[str, ...]]],
    n_clusters: int,
    seed: int = 0,
) -> tuple[Enrichment, ...]:
    """In which columns a cluster differs from all other galaxies, those that stand first, the largest effect first.

    Effects and their bootstrap intervals are those of `differences.compare_selection`; a column without values in the
    cluster or in the rest is left out. Each p-value is that of the rank-sum test of Mann & Whitney (1947), or of the
    exact one of Fisher (1922) where `rank_sum_p` says so, corrected over the columns by Holm (1979), who asks nothing
    of how the columns depend on one another (votes add up to one), and times the number of clusters, since all are
    looked at.

    Parameters
    ----------
    n_galaxies, members, numbers, categories, seed
        See `differences.compare_selection`.
    n_clusters : int
        Clusters of the clustering.
    """
    is_rest = np.ones(n_galaxies, dtype=bool)
    is_rest[members] = False
    sides = members, np.flatnonzero(is_rest)
    numbers = {c: v for c, v in numbers.items() if all(np.isfinite(v[side]).any() for side in sides)}
    found = compare_selection(n_galaxies, members, numbers, categories, seed=seed)
    if not found.items:
        return ()
    rng = np.random.default_rng(seed)  # the very galaxies that were compared: drawn in the same order
    ours, theirs = draw(sides[0], found.n_selected_used, rng), draw(sides[1], found.n_rest_used, rng)
    items, p_values = [], []
    for item in found.items:
        values = numbers[item.column] if item.value is None else _is_value(categories[item.column], item.value)
        p_values.append(rank_sum_p(values[ours], values[theirs]))
        items.append(item)
    adjusted = np.minimum(1, holm(np.array(p_values)) * max(1, n_clusters))
    listed = [Enrichment(i, float(p), float(a)) for i, p, a in zip(items, p_values, adjusted, strict=True)]
    listed += [other for item in listed if (other := _complement(item, categories, members)) is not None]
    return tuple(sorted(listed, key=lambda e: (not e.is_enriched, -np.nan_to_num(abs(e.difference.effect), nan=-1))))


def _is_value(category: tuple[np.ndarray, tuple[str, ...]], value: str) -> np.ndarray:
    codes, names = category
    return np.where(codes < 0, np.nan, (codes == names.index(value)).astype(np.float64))


def _complement(item: Enrichment, categories: Mapping, members: np.ndarray) -> Enrichment | None:
    """The other of two categories, of which only one is compared: all signs turned round."""
    one = item.difference
    if one.value is None:
        return None
    codes, names = categories[one.column]
    present = np.unique(codes[codes >= 0])
    if len(present) != 2:
        return None
    other = next(names[code] for code in present if names[code] != one.value)
    turned = (-one.effect, -one.high, -one.low, 1 - one.selected, 1 - one.rest)
    difference = Difference(one.column, other, *turned, one.n_selected, one.n_rest)
    return Enrichment(difference, item.p_value, item.p_adjusted)


def rank_sum_p(selected: np.ndarray, rest: np.ndarray) -> float:
    """Two-sided p-value of the rank-sum test, by its normal limit with the variance corrected for ties.

    The variance of U is ``n m / 12 (N + 1 - sum(t^3 - t) / (N (N - 1)))`` with t the sizes of the ties (Lehmann 1975,
    Nonparametrics, eq. 1.20). That limit is far off where nearly all galaxies have the same value, such as "not of this
    class": one of two such galaxies among fifteen would have p = 1e-15, and has 0.015. So of two values, and where
    fewer than `LEAST_EXPECTED` galaxies of another than the most frequent value are to be expected on a side, the test
    is that of Fisher (1922) of how many there are. NaN values are left out; not a number where a side is empty, 1 where
    all are the same.
    """
    from scipy.special import erfc
    from scipy.stats import fisher_exact

    selected, rest = selected[~np.isnan(selected)], rest[~np.isnan(rest)]
    n, m = len(selected), len(rest)
    if not n or not m:
        return float("nan")
    values, times = np.unique(np.concatenate([selected, rest]), return_counts=True)
    total, most = n + m, values[times.argmax()]
    n_others = total - int(times.max())
    expected = min(n, m) * n_others / total
    if len(values) > 1 and n_others <= total / 2 and (len(values) == 2 or expected < LEAST_EXPECTED):
        ours, theirs = int((selected != most).sum()), int((rest != most).sum())
        return float(fisher_exact([[ours, n - ours], [theirs, m - theirs]]).pvalue)
    pooled = np.sort(rest)
    below = np.searchsorted(pooled, selected, side="left") + np.searchsorted(pooled, selected, side="right")
    excess = below.sum() / 2 - n * m / 2  # U minus its mean
    ties = times.astype(np.float64)
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    return float(erfc(abs(excess) / np.sqrt(2 * variance))) if variance > 0 else 1.0


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values corrected for being the smallest of many (Holm 1979, Scand. J. Statist. 6, 65); NaN stays NaN.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted, known = np.full(len(p_values), np.nan), np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


def suggest_name(found: Sequence[Enrichment], answers: Sequence[str] = ()) -> str:
    """A name from what a cluster is rich in; empty where nothing tells it from the rest.

    First the category it differs in most: by name where it is more frequent, two where neither holds half of the
    cluster, "not" where it is missing. Then a number or vote, each enriched after the correction and not negligible.

    Parameters
    ----------
    found : sequence of Enrichment
        The largest effect first.
    answers : sequence of str
        Columns that are votes: only a high share names a cluster, by the answer.
    """
    telling = [e.difference for e in found if e.is_enriched and abs(e.difference.effect) >= LEAST_EFFECT]
    parts = [kind] if (kind := _kind([item for item in telling if item.value is not None])) else []
    for item in telling:
        phrase = _phrase(item, answers) if item.value is None else ""
        if phrase and not any(phrase in part or part in phrase for part in parts):
            parts.append(phrase)
    return ", ".join(parts[:2])


def _kind(items: list[Difference]) -> str:
    """The categories of a cluster in a few words."""
    names = {item: item.value.replace("_", " ") for item in items}
    more = [item for item in items if item.effect > 0]
    if items and items[0].effect < 0 and not (more and more[0].effect >= -items[0].effect):
        return f"not {names[items[0]]}"
    both = len(more) > 1 and more[0].selected < 0.5 and more[0].column == more[1].column
    return f"{names[more[0]]} or {names[more[1]]}" if both else names[more[0]] if more else ""


def _phrase(item: Difference, answers: Sequence[str]) -> str:
    if vote := read_vote(item.column):
        return answer_phrase(vote[0]) if item.effect > 0 else ""
    if item.column in answers:
        stem = item.column.removesuffix("_fraction").removesuffix("_count")
        return stem.rpartition("_")[2].replace("-", " ") if item.effect > 0 else ""
    name = item.column.replace("_", " ").replace("-", " ")
    return f"{'high' if item.effect > 0 else 'low'} {name}"


def answer_phrase(vote: VoteColumn) -> str:
    """An answer in the words of a galaxy's card, with the part of the galaxy it is about; empty for "can't tell".

    Examples
    --------
    >>> [answer_phrase(read_vote(column)[0]) for column in ("Class7.3", "Class11.2", "Class5.1", "Class5.4")]
    ['cigar shaped', '2 arms', 'no bulge', 'dominant bulge']
    """
    part, text = _PARTS.get(vote.question, ""), vote.answer_text
    if vote.answer == "cant-tell":
        return ""
    if vote.question == "spiral-arm-count" and vote.answer == "1":
        part = "arm"
    return text if part in text else f"{text} {part}"
