"""Where questions, answers and the branches between them lie when a question tree is drawn.

A question tree is no tree: ten answers of Galaxy Zoo 2 lead to "Anything odd?". So questions stand one below the other,
each after all that lead to it, with its answers as rows below. Branches run in lanes to the left of them: all that lead
to one question share a lane, and grow wider as they meet. Nothing is as wide as the number of answers, so the drawing
fits a phone, and a branch's width is free to say how many volunteers took it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxy_core.trees import GZ2, Tree
from galaxy_core.vote_forms import asked_shares, cumulative_from_conditional

GAP = 0.6  # rows between the answers of a question and the next question


@dataclass(frozen=True)
class QuestionNode:
    """A question: its row, how many answers deep it lies at least, and the share of all volunteers asked (None: ?)."""

    key: str
    text: str
    row: float
    depth: int
    asked: float | None


@dataclass(frozen=True)
class AnswerNode:
    """An answer: its row, its share of those asked with an interval, and its share of all volunteers; None if unknown.

    ``leading`` is True for the largest share of a question that the leading answers come by.
    """

    question: str
    key: str
    text: str
    row: float
    share: float | None
    low: float | None
    high: float | None
    of_all: float | None
    leading: bool


@dataclass(frozen=True)
class Branch:
    """From the row of an answer along a lane to the row of the question it leads to; width as share of volunteers."""

    question: str
    answer: str
    leads_to: str
    start_row: float
    end_row: float
    lane: int
    share: float | None
    leading: bool


@dataclass(frozen=True)
class Trunk:
    """A stretch of a lane, from row to row, with the share of all volunteers who came that far on it, as far as known.

    Releases leave out questions in the middle of a tree: ways through these add nothing; None if there is no other.
    """

    leads_to: str
    start_row: float
    end_row: float
    lane: int
    share: float | None
    leading: bool


@dataclass(frozen=True)
class TreeLayout:
    """A drawing in rows and lanes, before it has pixels; lane 0 is nearest to the text."""

    tree: Tree
    n_rows: float
    n_lanes: int
    questions: tuple[QuestionNode, ...]
    answers: tuple[AnswerNode, ...]
    branches: tuple[Branch, ...]
    trunks: tuple[Trunk, ...]


def lay_out_tree(
    tree: Tree = GZ2,
    conditional: np.ndarray | None = None,
    asked: np.ndarray | None = None,
    interval: tuple[np.ndarray, np.ndarray] | None = None,
) -> TreeLayout:
    """Place a question tree, empty or filled with the votes on one galaxy.

    Parameters
    ----------
    tree : Tree
    conditional : ndarray, shape (n_answers,), optional
        Shares of those who were asked, as given or as expected; NaN where they are not known.
    asked : ndarray, shape (n_questions,), optional
        Share of all volunteers who were asked each question, in [0, 1]; by default those whose answers lead there.
    interval : pair of ndarray, shape (n_answers,), optional
        Lower and upper end of each share's interval.

    Returns
    -------
    TreeLayout
    """
    given = np.full(tree.n_answers, np.nan) if conditional is None else np.asarray(conditional, dtype=np.float64)
    of_all = cumulative_from_conditional(given[None], tree, asked=None if asked is None else np.asarray(asked)[None])[0]
    reached = asked_shares(of_all[None], tree)[0] if asked is None else np.asarray(asked, dtype=np.float64)
    if conditional is None:
        reached = np.full(len(tree.questions), np.nan)
    low, high = interval if interval is not None else (np.full(tree.n_answers, np.nan),) * 2
    rows, n_rows = _rows(tree)
    path, depths = _path(tree, given), _depths(tree)
    questions = tuple(
        QuestionNode(q.key, q.text, rows[q.key, ""], depths[q.key], _known(reached[i]))
        for i, q in enumerate(tree.questions)
    )
    answers = tuple(
        AnswerNode(q.key, a.key, a.text, rows[q.key, a.key], *map(_known, (given[i], low[i], high[i], of_all[i])),
                   path.get(q.key) == a.key)
        for q in tree.questions for a in q.answers for i in [tree.index[q.key, a.key]]
    )  # fmt: skip
    lanes = _lanes(tree, rows)
    branches = tuple(
        Branch(q.key, a.key, a.leads_to, rows[q.key, a.key], rows[a.leads_to, ""], lanes[a.leads_to],
               _known(of_all[tree.index[q.key, a.key]]), path.get(q.key) == a.key)
        for q in tree.questions for a in q.answers if a.leads_to
    )  # fmt: skip
    n_lanes = max(lanes.values(), default=-1) + 1
    return TreeLayout(tree, n_rows, n_lanes, questions, answers, branches, _trunks(branches))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rows(tree: Tree) -> tuple[dict[tuple[str, str], float], float]:
    """Row of each question (with "" as answer) and of each answer, and the number of rows."""
    rows, row = {}, 0.0
    for question in tree.questions:
        rows[question.key, ""] = row
        for place, answer in enumerate(question.answers, 1):
            rows[question.key, answer.key] = row + place
        row += 1 + len(question.answers) + GAP
    return rows, row - GAP


def _depths(tree: Tree) -> dict[str, int]:
    depths = {}
    for question in tree.questions:
        depths[question.key] = min((depths[earlier] + 1 for earlier, _ in tree.ways[question.key]), default=0)
    return depths


def _path(tree: Tree, conditional: np.ndarray) -> dict[str, str]:
    """The leading answer to each question that the leading answers come by."""
    path, key = {}, tree.questions[0].key
    while key:
        shares = np.nan_to_num(conditional[tree.slices[key]])
        if shares.max() <= 0:
            break
        answer = tree.by_key[key].answers[int(shares.argmax())]
        path[key], key = answer.key, answer.leads_to
    return path


def _lanes(tree: Tree, rows: dict[tuple[str, str], float]) -> dict[str, int]:
    """A lane for all branches that lead to a question: the nearest that is free between their first row and its own."""
    spans = {key: (min(rows[way] for way in ways), rows[key, ""]) for key, ways in tree.ways.items() if ways}
    lanes: dict[str, int] = {}
    for key, (start, end) in sorted(spans.items(), key=lambda item: item[1][1] - item[1][0]):
        taken = {
            lanes[other] for other, (first, last) in spans.items() if other in lanes and first < end and start < last
        }
        lanes[key] = next(lane for lane in range(len(spans)) if lane not in taken)
    return lanes


def _trunks(branches: tuple[Branch, ...]) -> tuple[Trunk, ...]:
    """Each lane cut where a branch joins it, with what has come together by then."""
    trunks = []
    for target in dict.fromkeys(branch.leads_to for branch in branches):
        joining = sorted((b for b in branches if b.leads_to == target), key=lambda branch: branch.start_row)
        for place, branch in enumerate(joining):
            end = joining[place + 1].start_row if place + 1 < len(joining) else branch.end_row
            known = [b.share for b in joining[: place + 1] if b.share is not None]
            total = sum(known) if known else None
            leading = any(b.leading for b in joining[: place + 1])
            trunks.append(Trunk(target, branch.start_row, end, branch.lane, total, leading))
    return tuple(trunks)
