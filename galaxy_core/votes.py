"""What volunteers said of one galaxy, question after question along the tree of `galaxy_zoo`.

Releases state votes in three ways: as numbers, as shares of those who were asked a question, and as shares multiplied
down the tree. All become shares of those who were asked, beside the share of all volunteers who were.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from galaxy_core.galaxy_zoo import AS_CAST, BY_KEY, DEBIASED, FIRST, QUESTIONS, VoteColumn, gates, plain, read_column

Key = tuple[str, str]  # survey and question

_MOST = 0.5  # of the volunteers


@dataclass(frozen=True)
class AnswerShare:
    """An answer in words, its key, its share of those asked in [0, 1], and the number of votes where it is known."""

    key: str
    text: str
    share: float
    n_votes: int | None = None


@dataclass(frozen=True)
class QuestionVotes:
    """A question that somebody was asked about the galaxy.

    Attributes
    ----------
    key, survey, text : str
        As in `galaxy_zoo.VoteColumn`.
    answers : tuple of AnswerShare
        In the order of the catalog.
    asked : float or None
        Share of all volunteers who were asked, in [0, 1], from the answers before; None where it cannot be known.
    n_asked : int or None
        Their number, where the catalog has numbers.
    """

    key: str
    survey: str
    text: str
    answers: tuple[AnswerShare, ...]
    asked: float | None = None
    n_asked: int | None = None

    @property
    def leading(self) -> AnswerShare:
        """The answer with the largest share."""
        return max(self.answers, key=lambda answer: answer.share)


@dataclass(frozen=True)
class GalaxyVotes:
    """The questions on the way most volunteers took, in order, and the others.

    With numbers of votes, the way has every question that half of the volunteers or more were asked, of any project;
    ``n_volunteers`` is their number.
    """

    path: tuple[QuestionVotes, ...]
    rest: tuple[QuestionVotes, ...]
    n_volunteers: int | None = None


def read_votes(values: Mapping[str, object], columns: Sequence[str], kind: str) -> GalaxyVotes:
    """The votes of one galaxy.

    Parameters
    ----------
    values : mapping of str to number
        The galaxy's row of the catalog; nulls and what is absent are answers nobody counted.
    columns : sequence of str
        Columns that hold votes, as the catalog states them.
    kind : {"fraction", "count"}

    Examples
    --------
    >>> row = {"smooth-or-featured_smooth": 9, "smooth-or-featured_artifact": 1, "how-rounded_round": 6, "bar_yes": 0}
    >>> found = read_votes(row, list(row), "count")
    >>> [(q.text, q.leading.text, q.leading.share, q.asked) for q in found.path]
    [('Smooth, or with features or a disk?', 'smooth', 0.9, 1.0), ('How rounded is it?', 'completely round', 1.0, 0.6)]
    """
    groups = _groups(values, columns)
    shares = {key: _shares(key, answers, groups, kind) for key, answers in groups.items()}
    n_asked = {key: round(sum(value for _, value in answers)) for key, answers in groups.items()}
    volunteers = {survey: _n_volunteers(survey, n_asked) for survey, _ in groups}
    given = {key: _as_given(values, answers) or _by_key(shares[key]) for key, answers in groups.items()}
    survey = max(volunteers, key=volunteers.get, default="") if kind == "count" else next(iter(volunteers), "")
    questions = []
    for key, answers in groups.items():
        count = n_asked[key] if kind == "count" else None
        asked = _asked(key, given) if count is None else min(count / max(volunteers[key[0]], 1), 1.0)
        text = _text(key, answers[0][0], survey)
        questions.append(QuestionVotes(key[1], key[0], text, shares[key], asked, count))
    path = _path([question for question in questions if question.survey == survey])
    rest = sorted((question for question in questions if question not in path), key=_place)
    return GalaxyVotes(path, tuple(rest), volunteers[survey] if kind == "count" and groups else None)


def _number(value: object) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _groups(values: Mapping[str, object], columns: Sequence[str]) -> dict[Key, list[tuple[VoteColumn, float]]]:
    """Answers with a value, by survey and question; questions without a vote are left out."""
    read = [read_column(column) for column in columns]
    surveys = {column.survey for column in read if column.survey}
    groups: dict[Key, list[tuple[VoteColumn, float]]] = {}
    for column in read:
        value = _number(values.get(column.column))
        if value is not None:
            ending = column.question.rpartition("-")[2]
            own = column.survey or (ending if ending in surveys and column.question not in BY_KEY else "")
            groups.setdefault((own, column.question), []).append((column, value))
    return {key: answers for key, answers in groups.items() if sum(value for _, value in answers) > 0}


def _shares(key: Key, answers: list, groups: dict, kind: str) -> tuple[AnswerShare, ...]:
    """Answers as shares of those who were asked; released fractions stay as they are."""
    total = sum(value for _, value in answers)
    if kind != "count":
        total = max(total, _led_here(key, groups)) if answers[0][0].cumulative else 1.0
    return tuple(
        AnswerShare(column.answer, column.answer_text, value / total, round(value) if kind == "count" else None)
        for column, value in answers
    )


def _led_here(key: Key, groups: dict) -> float:
    """Share of all volunteers whose answers led to a question, where values were multiplied down the tree.

    The challenge counts "anything odd?" as asked of everybody, as the first question is.
    """
    if key[1] in (FIRST.key, "something-odd"):
        return 1.0
    earlier = gates(key[1]) if key[1] in BY_KEY else ()
    return sum(value for name, answer in earlier for c, value in groups.get((key[0], name), ()) if c.answer == answer)


def _n_volunteers(survey: str, n_asked: dict[Key, int]) -> int:
    first = n_asked.get((survey, FIRST.key))
    return first or max(n for (name, _), n in n_asked.items() if name == survey)


def _as_given(values: Mapping[str, object], answers: list) -> dict[str, float] | None:
    """Shares before they were debiased, where the catalog keeps them: these say who was asked what came next."""
    raw = {
        column.answer: _number(values.get(column.column.removesuffix(DEBIASED) + AS_CAST))
        for column, _ in answers
        if column.column.endswith(DEBIASED)
    }
    return raw if raw and None not in raw.values() and len(raw) == len(answers) else None


def _by_key(answers: tuple[AnswerShare, ...]) -> dict[str, float]:
    return {answer.key: answer.share for answer in answers}


def _asked(key: Key, given: dict[Key, dict[str, float]]) -> float | None:
    """Share of all volunteers who came to a question: the product of the answers before it, over every way there."""
    survey, name = key
    if name == FIRST.key:
        return 1.0
    total = 0.0
    for earlier, answer in gates(name) if name in BY_KEY else ():
        before = _asked((survey, earlier), given)
        if before is None or (survey, earlier) not in given:
            return None
        total += before * given[survey, earlier].get(answer, 0.0)
    return min(total, 1.0) if name in BY_KEY else None


def _text(key: Key, column: VoteColumn, survey: str) -> str:
    """The question in words; of another survey than most of the galaxy's votes with its name."""
    if column.question in BY_KEY:
        text = column.question_text
    else:
        text = plain(column.question.removesuffix(f"-{key[0]}") if key[0] else column.question) + "?"
    return text if key[0] == survey or not key[0] else f"{text} ({key[0]})"


def _path(questions: list[QuestionVotes]) -> tuple[QuestionVotes, ...]:
    """The questions most volunteers came by, each after the answer that leads to it."""
    found, path = {question.key: question for question in questions}, []
    key = next((question.key for question in QUESTIONS if question.key in found), "")
    while key in BY_KEY:
        question = found.get(key)
        if question is None:  # not released: on, where all its answers lead to one place
            key = BY_KEY[key].leads_to or ""
            continue
        if path and question.n_asked is not None and question.n_asked < _MOST * path[-1].leading.n_votes:
            break  # this project asked most of them something else
        path.append(question)
        leading = next((a for a in BY_KEY[key].answers if a.key == question.leading.key), None)
        key = (leading.leads_to if leading else BY_KEY[key].leads_to) or ""
    others = [q for q in questions if q.key not in BY_KEY and q.n_asked is not None and q.asked >= _MOST]
    return (*path, *others) or tuple(questions[:1])


def _place(question: QuestionVotes) -> int:
    """Order of the tree; questions it does not have come last."""
    keys = list(BY_KEY)
    return keys.index(question.key) if question.key in BY_KEY else len(keys)
