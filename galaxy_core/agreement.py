"""How far do clusters agree with what people saw: with classes, and with the volunteers' leading answers?

These numbers are for looking at a clustering after it was chosen, never for choosing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from galaxy_core.galaxy_zoo import read_column
from galaxy_core.vectors import check_length, has_class

LEAST_ANSWERED = 100
"""A question that fewer galaxies have a leading answer to is left out."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of a clustering with a grouping made by people, over the galaxies that have a group.

    Unclustered galaxies count as one more cluster.

    Attributes
    ----------
    ami, ari : float or None
        Adjusted mutual information (Vinh, Epps & Bailey 2010) and adjusted Rand index (Hubert & Arabie 1985): 0 by
        chance, 1 for the same grouping. None with fewer than two groups.
    homogeneity, completeness : float or None
        Rosenberg & Hirschberg 2007: 1 where every cluster holds one group only, and where every group is in one cluster
        only. Neither is corrected for chance: many small clusters are homogeneous by themselves.
    n_classes, n_galaxies : int
        Groups, and galaxies that have one.
    """

    ami: float | None = None
    ari: float | None = None
    homogeneity: float | None = None
    completeness: float | None = None
    n_classes: int = 0
    n_galaxies: int = 0


def measure_agreement(labels: np.ndarray, classes: np.ndarray | None) -> Agreement:
    """Compare clusters with classes.

    Parameters
    ----------
    labels : int array, shape (n_galaxies,)
        -1 for unclustered.
    classes : array of str or None, shape (n_galaxies,), or None
        None, NaN and "" are galaxies without a class; they are left out.
    """
    if classes is None:
        return Agreement()
    classes = check_length(np.asarray(classes, dtype=object), len(labels), "the class column")
    known = has_class(classes)
    names, codes = np.unique(classes[known].astype(str), return_inverse=True)
    if len(names) < 2:
        return Agreement(n_classes=len(names), n_galaxies=int(known.sum()))
    from sklearn import metrics

    found = np.asarray(labels)[known]
    homogeneity, completeness, _ = metrics.homogeneity_completeness_v_measure(codes, found)
    return Agreement(
        float(metrics.adjusted_mutual_info_score(codes, found)),
        float(metrics.adjusted_rand_score(codes, found)),
        float(homogeneity),
        float(completeness),
        len(names),
        int(known.sum()),
    )


def agreement_with_votes(
    labels: np.ndarray, votes: Mapping[str, np.ndarray], columns: Sequence[str], least: int = LEAST_ANSWERED
) -> dict[str, dict]:
    """Compare clusters with the leading answers to each question.

    Parameters
    ----------
    labels : int array, shape (n_galaxies,)
    votes : mapping of str to float array (n_galaxies,), such as a table
        Vote fractions or counts; NaN where nobody was asked.
    columns : sequence of str
        Columns of ``votes``, as the catalog states them.
    least : int
        Questions that fewer galaxies have an answer to are left out.

    Returns
    -------
    dict
        ``{question: {"text", "ami", "ari", "homogeneity", "completeness", "n_classes", "n_galaxies"}}``, the highest
        AMI first. A question of one survey is named ``question (survey)``.
    """
    questions: dict[tuple[str, str], list[str]] = {}
    for column in columns:
        about = read_column(column)
        name = f"{about.question} ({about.survey})" if about.survey else about.question
        questions.setdefault((name, about.question_text), []).append(column)
    measured = {}
    for (name, text), of_question in questions.items():
        leading = leading_answers(np.column_stack([np.asarray(votes[c], dtype=np.float64) for c in of_question]))
        agreement = measure_agreement(labels, np.array([*of_question, None], dtype=object)[leading])
        if agreement.ami is not None and agreement.n_galaxies >= least:
            measured[name] = {"text": text, **asdict(agreement)}
    return dict(sorted(measured.items(), key=lambda item: -item[1]["ami"]))


def leading_answers(shares: np.ndarray) -> np.ndarray:
    """Position of the answer most volunteers gave; -1 where nobody was asked, nobody answered, or two tie.

    Parameters
    ----------
    shares : float array, shape (n_galaxies, n_answers)

    Returns
    -------
    int array, shape (n_galaxies,)

    Examples
    --------
    >>> leading_answers(np.array([[0.2, 0.8], [0.5, 0.5], [np.nan, np.nan], [0, 0]])).tolist()
    [1, -1, -1, -1]
    """
    filled = np.where(np.isfinite(shares), shares, 0.0)
    most = filled.max(axis=1, keepdims=True)
    sole = (most[:, 0] > 0) & ((filled == most).sum(axis=1) == 1)
    return np.where(sole, filled.argmax(axis=1), -1)
