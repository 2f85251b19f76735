"""Are these votes possible on their question tree? Rows that are not: counted, named, and left out by who asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_core.errors import CatalogError
from galaxy_core.trees import GZ2, Tree, gates
from galaxy_core.vote_forms import KAGGLE_COLUMNS, KAGGLE_EVERYBODY, TO_KAGGLE, hart_columns

MOST_VOTES = 1e9  # of a galaxy; what is infinite counts as more
# How far sums may be off: the challenge rounds to 1e-6 or finer; Hart et al. each share to 1e-3, seven in a question.
TOLERANCE = {"kaggle": 1.5e-6, "conditional": 4e-3, "debiased": 1e-6, "count": 0.5}
N_NAMED = 3
_OF_ONE = {"come": "comes", "have": "has", "lack": "lacks"}


@dataclass(frozen=True)
class VoteProblem:
    """One thing that is wrong, and the rows where it is.

    Attributes
    ----------
    kind : str
        "duplicate", "missing", "range", "empty" or "tree".
    text : str
        What is wrong, as the end of "3 galaxies ...".
    rows : ndarray of int
        Rows of the table, from 0.
    ids : tuple of str
        Their galaxies.
    """

    kind: str
    text: str
    rows: np.ndarray
    ids: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """How many rows, what is wrong with them, and the first by name."""
        n, named = len(self.rows), ", ".join(self.ids[:N_NAMED]) + (", ..." if len(self.ids) > N_NAMED else "")
        verb, _, rest = self.text.partition(" ")
        what = f"galaxy {_OF_ONE.get(verb, verb)}" if n == 1 else f"galaxies {verb}"
        return f"{n:,} {what} {rest} and cannot be used: {named}."


@dataclass(frozen=True)
class VoteReport:
    """What a check found: ``usable`` is True for the rows without a problem."""

    problems: tuple[VoteProblem, ...]
    usable: np.ndarray


def vote_columns(form: str, tree: Tree = GZ2) -> tuple[str, ...]:
    """Columns of votes in the order of the tree, as each form's release spells them.

    Parameters
    ----------
    form : {"kaggle", "conditional", "debiased", "count"}
        The challenge; weighted and debiased shares of Hart et al. 2016 for Galaxy Zoo 2, shares ending in ``_fraction``
        for other trees; numbers of votes of galaxy-datasets.

    Examples
    --------
    >>> [vote_columns(form)[3] for form in TOLERANCE]
    ['Class7.1', 't07_rounded_a16_completely_round_weighted_fraction', 't07_rounded_a16_completely_round_debiased', 'how-rounded-gz2_round']
    """  # noqa: E501
    if form == "count":
        return tree.columns(released=True)
    if tree is not GZ2:
        return tuple(f"{column}_fraction" for column in tree.columns(released=True))
    ending = {"conditional": "weighted_fraction", "debiased": "debiased"}
    ordered = np.empty(tree.n_answers, dtype=object)
    ordered[TO_KAGGLE] = KAGGLE_COLUMNS if form == "kaggle" else hart_columns(ending[form])
    return tuple(ordered)


def check_votes(
    table: pd.DataFrame,
    form: str,
    tree: Tree = GZ2,
    columns: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    tolerance: float | None = None,
) -> VoteReport:
    """Which rows of a table of votes break the tree, and how.

    Parameters
    ----------
    table : DataFrame
    form : {"kaggle", "conditional", "debiased", "count"}
        Cumulative shares of the challenge, shares of those asked, shares that were debiased (these need not add up, so
        only their range is checked), or numbers of votes.
    tree : Tree
    columns : sequence of str, optional
        One for each answer of the tree, or for each in questions that are released; `vote_columns` by default.
    ids : sequence of str, optional
        Names of the galaxies; column ``galaxy_id`` by default, else the table's index.
    tolerance : float, optional
        How far sums may be off; `TOLERANCE` by default.

    Returns
    -------
    VoteReport
        A row has the first problem that applies: an id that came before, a number that is missing, one out of range,
        no vote on the first question, sums that break the tree.

    Raises
    ------
    CatalogError
        Columns are not in the table.
    """
    columns = tuple(columns or vote_columns(form, tree))
    if absent := [column for column in columns if column not in table]:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise CatalogError(f"The table of votes has no column {absent[0]}{more}; give the file as it was released.")
    names = _names(table, ids)
    numbers = [pd.to_numeric(table[c], errors="coerce").to_numpy(np.float64, na_value=np.nan) for c in columns]
    values = np.stack(numbers, axis=1).reshape(len(table), len(columns))
    full, present = _on_tree(values, tree, len(columns))
    # NaN is no news where a question was put to nobody
    missing = np.isnan(values).any(axis=1) if form != "conditional" else _half_missing(full, tree, present)
    known = np.nan_to_num(full)
    found = {
        "duplicate": (names.duplicated().to_numpy(), "come again under the same id"),
        "missing": (missing, "lack a number for an answer"),
        "range": (_out_of_range(known, form), _RANGE["count" if form == "count" else "share"]),
        "empty": (known[:, tree.slices[tree.questions[0].key]].sum(axis=1) <= 0, "got no vote on the first question"),
        "tree": (_breaks(known, form, tree, present, TOLERANCE[form] if tolerance is None else tolerance), _TREE[form]),
    }
    problems, usable = [], np.ones(len(table), dtype=bool)
    for kind, (wrong, text) in found.items():
        rows = np.flatnonzero(wrong & usable)
        usable[rows] = False
        if len(rows):
            problems.append(VoteProblem(kind, text, rows, tuple(names.iloc[rows])))
    return VoteReport(tuple(problems), usable)


_RANGE = {
    "count": "have a number of votes that is negative, not whole or without end",
    "share": "have a share outside of 0 to 1",
}
_TREE = {
    "kaggle": "have answers that do not add up to the share that led to their question",
    "conditional": "have answers to a question that do not add up to 1",
    "debiased": "have shares that break the tree",
    "count": "have more answers to a question than votes that led to it",
}


def _names(table: pd.DataFrame, ids: Sequence[str] | None) -> pd.Series:
    if ids is None:
        ids = table.get("galaxy_id", table.index)
    return pd.Series(np.asarray(ids, dtype=object), dtype=object).astype(str)


def _on_tree(values: np.ndarray, tree: Tree, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Values with a column for every answer, and which questions of the tree have columns."""
    if n_columns == tree.n_answers:
        return values, np.ones(len(tree.questions), dtype=bool)
    present = np.array([question.released for question in tree.questions])
    places = [place for question in tree.questions if question.released for place in _places(tree, question.key)]
    if len(places) != n_columns:
        raise CatalogError(
            f"{tree.title} has {tree.n_answers} answers, {len(places)} of them released, and not {n_columns};"
            " give one column for each."
        )
    full = np.zeros((len(values), tree.n_answers))
    full[:, places] = values
    return full, present


def _places(tree: Tree, key: str) -> range:
    return range(tree.slices[key].start, tree.slices[key].stop)


def _half_missing(full: np.ndarray, tree: Tree, present: np.ndarray) -> np.ndarray:
    """Rows where some answers to a question are known and others are not, or all of the first are unknown."""
    unknown = np.isnan(full)
    some = np.zeros(len(full), dtype=bool)
    for here, part in zip(present, tree.slices.values(), strict=True):
        lost = unknown[:, part]
        some |= here & (lost.any(axis=1) if part.start == 0 else lost.any(axis=1) & ~lost.all(axis=1))
    return some


def _out_of_range(known: np.ndarray, form: str) -> np.ndarray:
    if form == "count":
        return ((known < 0) | (known != np.rint(known)) | (known > MOST_VOTES)).any(axis=1)
    return ((known < 0) | (known > 1 + 1e-9)).any(axis=1)


def _breaks(known: np.ndarray, form: str, tree: Tree, present: np.ndarray, tolerance: float) -> np.ndarray:
    """Rows where a question's answers do not add up to what they should."""
    if form == "debiased":
        return np.zeros(len(known), dtype=bool)
    totals = np.add.reduceat(known, [part.start for part in tree.slices.values()], axis=1)
    if form == "conditional":  # 0 where nobody was asked
        return ((np.abs(totals - 1) > tolerance) & (totals > tolerance))[:, present].any(axis=1)
    wrong, order = np.zeros(len(known), dtype=bool), list(tree.slices)
    for place, key in enumerate(order):
        before = gates(tree, key)  # as few rounded numbers to add up as can be
        if not present[place] or not all(present[order.index(question)] for question, _ in before):
            continue
        if form == "count" and before:  # a volunteer may have stopped before
            wrong |= totals[:, place] - known[:, [tree.index[way] for way in before]].sum(axis=1) > tolerance
        elif form == "kaggle":
            everybody = not before or key in KAGGLE_EVERYBODY
            led = 1.0 if everybody else known[:, [tree.index[way] for way in before]].sum(axis=1)
            wrong |= np.abs(totals[:, place] - led) > tolerance
    return wrong
