"""The 37 answers as columns of arrays: which question each belongs to, and which answer leads to each question.

Columns are in the order of the Kaggle challenge, ``Class1.1`` to ``Class11.6``; questions in the order of their number
in Willett et al. 2013. Two forms of the same votes:

- conditional: share of those who were asked the question; its answers add up to 1. NaN where nobody was asked.
- cumulative: multiplied down the tree, a share of all volunteers; the answers of a question add up to the share of the
  answer that leads to it, and to 0 where nobody was asked. "Anything odd?" (question 6) is asked of everybody in the
  challenge's table: its answers add up to 1 for every galaxy, artifacts included, and those of "what is odd?" (8) to
  Class6.1.

Every question then has one answer that leads to it, or none, and both forms hold the same numbers.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from galaxy_core.galaxy_zoo import BY_KEY, BY_TASK, VoteColumn

N_QUESTIONS, N_ANSWERS = 11, 37
# questions whose way there splits and joins again (bulge size: with arms or without) count from where it split
LEADING_ANSWER = {
    "disk-edge-on": ("smooth-or-featured", "featured-or-disk"),
    "bar": ("disk-edge-on", "no"),
    "has-spiral-arms": ("disk-edge-on", "no"),
    "bulge-size": ("disk-edge-on", "no"),
    "how-rounded": ("smooth-or-featured", "smooth"),
    "odd-feature": ("something-odd", "yes"),
    "bulge-shape": ("disk-edge-on", "yes"),
    "spiral-winding": ("has-spiral-arms", "yes"),
    "spiral-arm-count": ("has-spiral-arms", "yes"),
}

QUESTION_KEYS = tuple(BY_TASK[task].key for task in range(1, N_QUESTIONS + 1))
_ANSWERS = [
    (key, answer.key, place)
    for key in QUESTION_KEYS
    for place, answer in enumerate(sorted(BY_KEY[key].answers, key=lambda answer: answer.number), 1)
]
COLUMN_OF = {(key, answer): column for column, (key, answer, _) in enumerate(_ANSWERS)}
CUMULATIVE_COLUMNS = tuple(f"Class{BY_KEY[key].task}.{place}" for key, _, place in _ANSWERS)
CONDITIONAL_COLUMNS = tuple(f"{key}_{answer}_fraction" for key, answer, _ in _ANSWERS)
QUESTION_OF = np.array([QUESTION_KEYS.index(key) for key, _, _ in _ANSWERS])  # (37,)
_ENDS = np.searchsorted(QUESTION_OF, np.arange(N_QUESTIONS + 1)).tolist()
SLICES = tuple(slice(*ends) for ends in pairwise(_ENDS))  # columns of each question
PARENT = np.array([COLUMN_OF[LEADING_ANSWER[k]] if k in LEADING_ANSWER else -1 for k in QUESTION_KEYS])  # (11,)


def _in_order() -> tuple[int, ...]:
    """Questions, each after the one whose answer leads to it."""
    order: list[int] = []
    while len(order) < N_QUESTIONS:
        order += [
            q for q in range(N_QUESTIONS) if q not in order and (PARENT[q] < 0 or QUESTION_OF[PARENT[q]] in order)
        ]
    return tuple(order)


ORDER = _in_order()


def place_of(column: VoteColumn) -> int | None:
    """Which of the 37 columns an answer column of a catalog is, or None."""
    return COLUMN_OF.get((column.question, column.answer))


def question_sums(values: np.ndarray) -> np.ndarray:
    """Sums over the answers of each question, shape (..., 11), of values (..., 37); NaN where an answer is."""
    return np.stack([values[..., part].sum(axis=-1) for part in SLICES], axis=-1)


def asked_share(cumulative: np.ndarray) -> np.ndarray:
    """Share of all volunteers who were asked each question, shape (..., 11), of cumulative fractions (..., 37)."""
    return np.where(PARENT < 0, 1.0, cumulative[..., np.maximum(PARENT, 0)])


def to_cumulative(conditional: np.ndarray) -> np.ndarray:
    """Cumulative form of conditional fractions, shape (..., 37).

    Answers of a question that nobody was asked are 0 if the tree says so, and NaN if only they themselves are unknown.

    Examples
    --------
    >>> conditional = np.full(37, np.nan)
    >>> conditional[SLICES[0]], conditional[SLICES[6]] = (0.8, 0, 0.2), (0.5, 0.5, 0)
    >>> to_cumulative(conditional)[SLICES[6]].tolist(), to_cumulative(conditional)[SLICES[1]].tolist()
    ([0.4, 0.4, 0.0], [0.0, 0.0])
    """
    cumulative = np.array(conditional, dtype=np.result_type(conditional, np.float32))
    for q in ORDER:
        if PARENT[q] >= 0:
            led = cumulative[..., PARENT[q], None]
            cumulative[..., SLICES[q]] = np.where(led == 0, 0, led * cumulative[..., SLICES[q]])
    return cumulative


def to_conditional(cumulative: np.ndarray, least_asked: float = 5e-6) -> np.ndarray:
    """Conditional form of cumulative fractions, shape (..., 37); NaN where nobody was asked.

    Parameters
    ----------
    least_asked : float
        A smaller sum over a question is what rounding to six digits left of nothing.
    """
    values = np.array(cumulative, dtype=np.result_type(cumulative, np.float32))
    sums = question_sums(values)[..., QUESTION_OF]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums > least_asked, values / sums, np.nan)
