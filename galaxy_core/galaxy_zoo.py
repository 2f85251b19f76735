"""The question tree of Galaxy Zoo 2, and how the columns of each release map onto it.

The tree itself is data in `trees`, beside those of later projects. `votes` reads what volunteers said of one galaxy
along this one, `vote_tables` does so for whole catalogs, and the simulator walks it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from galaxy_core.trees import GZ2, Answer, Question
from galaxy_core.trees import gates as _gates

DEBIASED, AS_CAST = "_debiased", "_weighted_fraction"  # how columns end where a table states votes in both forms
FORMS = "debiased|weighted_fraction|fraction|count|weighted_count|weight"
HART = re.compile(rf"t(?P<task>\d\d)_(?P<question>.+)_a(?P<number>\d\d)_(?P<answer>.+?)_(?:{FORMS})")
KAGGLE = re.compile(r"Class(?P<task>\d+)\.(?P<place>\d+)")
RELEASE = re.compile(r"(?P<question>.+)_(?P<answer>[^_]+)")

QUESTIONS = GZ2.questions
BY_KEY = {question.key: question for question in QUESTIONS}
BY_TASK = {question.task: question for question in QUESTIONS}
FIRST = QUESTIONS[0]

# Other words of later projects for the same thing; what has none here (clumps, mergers) is a question of its own.
SAME_QUESTIONS = {"edge-on-bulge": "bulge-shape"}
SAME_ANSWERS = {
    "smooth-or-featured": {"features": "featured-or-disk", "featured": "featured-or-disk", "problem": "artifact"},
    "how-rounded": {"completely": "round", "cigar-shaped": "cigar"},
    "bulge-shape": {"rounded": "round", "none": "no-bulge"},
    "spiral-arm-count": {"5-plus": "more-than-4"},
    "bulge-size": {"none": "no"},
}
LATER_ANSWERS = {"strong", "weak", "large", "moderate", "small"}  # to questions of the tree, of bars and bulges


@dataclass(frozen=True)
class VoteColumn:
    """What a column of votes is about.

    Attributes
    ----------
    column : str
    question, answer : str
        Keys of the tree where it has them, else as the column spells them.
    survey : str
        The project the question was asked in, such as "hubble"; empty where the column names none.
    question_text, answer_text : str
        In words.
    cumulative : bool
        Whether its value was multiplied down the tree: a share of all volunteers, not of those who were asked.
    """

    column: str
    question: str
    survey: str
    answer: str
    question_text: str
    answer_text: str
    cumulative: bool = False


@lru_cache(maxsize=4096)
def read_column(column: str) -> VoteColumn:
    """Question and answer of a column of votes, of any release.

    Examples
    --------
    >>> read_column("Class7.2").question, read_column("Class7.2").answer
    ('how-rounded', 'in-between')
    >>> read_column("t03_bar_a06_bar_debiased").answer_text
    'bar'
    >>> found = read_column("clump-count-hubble_5-plus")
    >>> found.question_text, found.answer_text, found.question in BY_KEY
    ('clump count hubble', '5 plus', False)
    """
    if match := KAGGLE.fullmatch(column):
        question, place = BY_TASK.get(int(match["task"])), int(match["place"])
        answers = sorted(question.answers, key=lambda answer: answer.number) if question else []
        if 1 <= place <= len(answers):
            return _column(column, question, "", answers[place - 1], cumulative=True)
        return VoteColumn(column, f"Class{match['task']}", "", match["place"], f"Class {match['task']}", match["place"])
    if match := HART.fullmatch(column):
        question = BY_TASK.get(int(match["task"]))
        answers = {answer.number: answer for answer in question.answers} if question else {}
        if int(match["number"]) in answers:
            return _column(column, question, "", answers[int(match["number"])])
        return VoteColumn(
            column, match["question"], "", match["answer"], plain(match["question"]), plain(match["answer"])
        )
    if match := RELEASE.fullmatch(column.removesuffix("_fraction")):
        return _release_column(column, match["question"], match["answer"])
    return VoteColumn(column, "votes", "", column, "votes", plain(column))


def read_vote(column: str) -> tuple[VoteColumn, str] | None:
    """The same of a column that is surely of votes on the tree, and in which form; None for any other column.

    Examples
    --------
    >>> found, form = read_vote("t07_rounded_a18_cigar_shaped_weighted_fraction")
    >>> found.question_text, found.answer_text, form
    ('How rounded is it?', 'cigar shaped', 'weighted fraction')
    >>> read_vote("bar_length") is None, read_vote("Class9") is None, read_vote("bar-dr5_strong")[0].survey
    (True, True, 'dr5')
    """
    form = re.search(rf"_({FORMS})$", column)
    found = read_column(column if form is None or HART.fullmatch(column) else column[: form.start()])
    known = {answer.key for answer in BY_KEY[found.question].answers} if found.question in BY_KEY else set()
    if not known or found.answer not in known | LATER_ANSWERS:
        return None
    return found, form[1].replace("_", " ") if form else ""


def _release_column(column: str, name: str, answer_name: str) -> VoteColumn:
    known = next((key for key in (*BY_KEY, *SAME_QUESTIONS) if re.fullmatch(rf"{key}(-[a-z0-9]+)?", name)), None)
    if known is None:
        return VoteColumn(column, name, "", answer_name, plain(name), plain(answer_name))
    question, survey = BY_KEY[SAME_QUESTIONS.get(known, known)], name[len(known) + 1 :]
    key = SAME_ANSWERS.get(question.key, {}).get(answer_name, answer_name)
    answer = next((answer for answer in question.answers if answer.key == key), None)
    if answer is None:  # a bar may be strong or weak in later projects
        return VoteColumn(column, question.key, survey, answer_name, question.text, plain(answer_name))
    return _column(column, question, survey, answer)


def _column(column: str, question: Question, survey: str, answer: Answer, cumulative: bool = False) -> VoteColumn:
    return VoteColumn(column, question.key, survey, answer.key, question.text, answer.text, cumulative)


def plain(name: str) -> str:
    """A name without its dashes and underscores."""
    return re.sub(r"[-_]+", " ", name)


@lru_cache(maxsize=64)
def gates(key: str) -> tuple[tuple[str, str], ...]:
    """Earlier answers on the Galaxy Zoo 2 tree of which a volunteer gave exactly one before being asked a question.

    Examples
    --------
    >>> gates("bulge-size")
    (('disk-edge-on', 'no'),)
    """
    return _gates(GZ2, key)
