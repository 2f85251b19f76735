"""Forms in which votes on a question tree are stated, and the ways from one to another.

- *counts*: how many volunteers gave an answer;
- *conditional* shares: of those who were asked the question, so that its answers add up to 1; NaN where nobody was;
- *cumulative* shares: multiplied down the tree, of all volunteers, so that a question's answers add up to the share
  that was led there, and to 0 where nobody was.

All are float64 arrays, one row a galaxy and one column an answer in the order of a `trees.Tree`.

The Kaggle challenge has cumulative shares with one exception, seen in its rows: "anything odd?" counts as asked of
everybody. Its answers always add up to 1, also where volunteers saw a star or an artifact and were never asked; "what
is odd?" adds up to the share of "something odd". Every other question adds up to what led there, to 1e-6 of rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galaxy_core.errors import CatalogError
from galaxy_core.trees import GZ2, Tree

KAGGLE_EVERYBODY = ("something-odd",)

# Question and answers of the columns of Hart et al. 2016, in the order of the Kaggle columns.
_HART = (
    ("t01_smooth_or_features", "a01_smooth", "a02_features_or_disk", "a03_star_or_artifact"),
    ("t02_edgeon", "a04_yes", "a05_no"),
    ("t03_bar", "a06_bar", "a07_no_bar"),
    ("t04_spiral", "a08_spiral", "a09_no_spiral"),
    ("t05_bulge_prominence", "a10_no_bulge", "a11_just_noticeable", "a12_obvious", "a13_dominant"),
    ("t06_odd", "a14_yes", "a15_no"),
    ("t07_rounded", "a16_completely_round", "a17_in_between", "a18_cigar_shaped"),
    ("t08_odd_feature", "a19_ring", "a20_lens_or_arc", "a21_disturbed", "a22_irregular", "a23_other", "a24_merger",
     "a38_dust_lane"),
    ("t09_bulge_shape", "a25_rounded", "a26_boxy", "a27_no_bulge"),
    ("t10_arms_winding", "a28_tight", "a29_medium", "a30_loose"),
    ("t11_arms_number", "a31_1", "a32_2", "a33_3", "a34_4", "a36_more_than_4", "a37_cant_tell"),
)  # fmt: skip
HART_STEMS = tuple(f"{question}_{answer}" for question, *answers in _HART for answer in answers)
KAGGLE_COLUMNS = tuple(
    f"Class{task}.{place}" for task, (_, *answers) in enumerate(_HART, 1) for place in range(1, len(answers) + 1)
)
# Columns of the tree that hold the answers in Kaggle's order: by question, then by the number of the answer.
_BY_NUMBER = [
    GZ2.index[question.key, answer.key]
    for question in sorted(GZ2.questions, key=lambda question: question.task)
    for answer in sorted(question.answers, key=lambda answer: answer.number)
]
TO_KAGGLE = np.array(_BY_NUMBER)
FROM_KAGGLE = np.argsort(TO_KAGGLE)


def hart_columns(form: str = "debiased") -> tuple[str, ...]:
    """Columns of Hart et al. 2016 in Kaggle's order; ``form`` is how they end.

    Examples
    --------
    >>> hart_columns()[:2], KAGGLE_COLUMNS[-1], hart_columns("weighted_fraction")[-1]
    (('t01_smooth_or_features_a01_smooth_debiased', 't01_smooth_or_features_a02_features_or_disk_debiased'), 'Class11.6', 't11_arms_number_a37_cant_tell_weighted_fraction')
    """  # noqa: E501
    return tuple(f"{stem}_{form}" for stem in HART_STEMS)


def asked_shares(cumulative: np.ndarray, tree: Tree = GZ2, everybody: Sequence[str] = ()) -> np.ndarray:
    """Share of all volunteers who were led to each question.

    Parameters
    ----------
    cumulative : ndarray, shape (n_galaxies, n_answers)
    tree : Tree
    everybody : sequence of str
        Questions counted as asked of everybody, besides the first: `KAGGLE_EVERYBODY` for the challenge.

    Returns
    -------
    ndarray of float64, shape (n_galaxies, n_questions)
        A sum over the answers that lead there.
    """
    cumulative = _checked(cumulative, tree)
    return np.stack([_led(cumulative, tree, question.key, everybody) for question in tree.questions], axis=1)


def cumulative_from_conditional(
    conditional: np.ndarray, tree: Tree = GZ2, everybody: Sequence[str] = (), asked: np.ndarray | None = None
) -> np.ndarray:
    """Multiply shares of those asked down the tree.

    Parameters
    ----------
    conditional : ndarray, shape (n_galaxies, n_answers)
        NaN where nobody was asked, or where it is not known.
    tree, everybody
        As in `asked_shares`.
    asked : ndarray, shape (n_galaxies, n_questions), optional
        Share of all volunteers each question was asked of; by default those who were led there. With the totals that
        `conditional_from_cumulative` divided by, the way back is exact for tables that were rounded.

    Returns
    -------
    ndarray of float64, shape (n_galaxies, n_answers)
        0 where nobody was led to the question; NaN where somebody was and the answers are not known.
    """
    conditional = _checked(conditional, tree)
    cumulative = np.zeros_like(conditional)
    for place, (key, part) in enumerate(tree.slices.items()):  # each question comes after those that lead to it
        share = _led(cumulative, tree, key, everybody) if asked is None else np.asarray(asked, np.float64)[:, place]
        cumulative[:, part] = np.where(share[:, None] == 0, 0.0, share[:, None] * conditional[:, part])
    return cumulative


def conditional_from_cumulative(cumulative: np.ndarray, tree: Tree = GZ2) -> tuple[np.ndarray, np.ndarray]:
    """Divide cumulative shares by their question's own total, so that its answers add up to 1.

    Parameters
    ----------
    cumulative : ndarray, shape (n_galaxies, n_answers)
        With or without questions that count as asked of everybody.
    tree : Tree

    Returns
    -------
    conditional : ndarray of float64, shape (n_galaxies, n_answers)
        NaN where a question's answers add up to 0, or where one of them is NaN.
    totals : ndarray of float64, shape (n_galaxies, n_questions)
    """
    cumulative = _checked(cumulative, tree)
    totals = _totals(cumulative, tree)
    return _over(cumulative, totals, tree), totals


def kaggle_from_conditional(conditional: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
    """Shares of those asked, in the tree's order, as the challenge's ``Class1.1`` to ``Class11.6``.

    Shares are of all volunteers, but for "anything odd?", which counts as asked of everybody: its two columns are NaN
    where nobody was, as for a star that nobody took for a galaxy.
    """
    return cumulative_from_conditional(conditional, GZ2, KAGGLE_EVERYBODY, asked)[:, TO_KAGGLE]


def conditional_from_kaggle(kaggle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The challenge's 37 columns as shares of those asked, in the tree's order, and each question's total.

    Examples
    --------
    >>> row = np.zeros((1, 37))
    >>> row[0, :3], row[0, 13:15], row[0, 15:18] = (0.6, 0.3, 0.1), (0, 1), (0.45, 0.15, 0)
    >>> shares, totals = conditional_from_kaggle(row)
    >>> shares[0, GZ2.slices["how-rounded"]].round(2).tolist(), totals[0, 1].round(2).item()
    ([0.75, 0.25, 0.0], 0.6)
    """
    return conditional_from_cumulative(_checked(kaggle, GZ2)[:, FROM_KAGGLE], GZ2)


def fractions_from_counts(counts: np.ndarray, tree: Tree = GZ2) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of votes as shares of those who answered the question.

    Returns
    -------
    conditional : ndarray of float64, shape (n_galaxies, n_answers)
        NaN where nobody answered.
    n_asked : ndarray of float64, shape (n_galaxies, n_questions)
    """
    return conditional_from_cumulative(counts, tree)


def counts_from_fractions(conditional: np.ndarray, n_asked: np.ndarray, tree: Tree = GZ2) -> np.ndarray:
    """Numbers of votes from shares and the number of those who answered each question; whole numbers, 0 for NaN."""
    conditional = _checked(conditional, tree)
    n_asked = np.nan_to_num(np.asarray(n_asked, dtype=np.float64))
    sizes = [len(question.answers) for question in tree.questions]
    return np.rint(np.nan_to_num(conditional) * np.repeat(n_asked, sizes, axis=1))


def _checked(values: np.ndarray, tree: Tree) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != tree.n_answers:
        raise CatalogError(
            f"A table of votes of {tree.title} has one row a galaxy and {tree.n_answers} columns, not the shape"
            f" {values.shape}; choose the columns of its answers."
        )
    return values


def _led(cumulative: np.ndarray, tree: Tree, key: str, everybody: Sequence[str]) -> np.ndarray:
    ways = tree.ways[key]
    if not ways or key in everybody:
        return np.ones(len(cumulative))
    return cumulative[:, [tree.index[way] for way in ways]].sum(axis=1)


def _totals(values: np.ndarray, tree: Tree) -> np.ndarray:
    return np.add.reduceat(values, [part.start for part in tree.slices.values()], axis=1)


def _over(values: np.ndarray, totals: np.ndarray, tree: Tree) -> np.ndarray:
    sizes = [len(question.answers) for question in tree.questions]
    return values / np.repeat(np.where(totals > 0, totals, np.nan), sizes, axis=1)
