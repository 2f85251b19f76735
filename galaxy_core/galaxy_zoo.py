"""The question tree of Galaxy Zoo 2 as data, and how the columns of each release map onto it.

Eleven questions with 37 answers, each with the question it leads to: Willett et al. 2013, MNRAS 435, 2835, figure 1 and
table 2. Names are those of the newer releases (``smooth-or-featured``); the numbers are those of the Kaggle challenge
(``Class7.2``: question 7, second answer) and of Hart et al. 2016, MNRAS 461, 3663 (``t07_..._a17_...``). `votes` reads
what volunteers said of one galaxy along this tree, and the simulator walks it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

FORMS = "debiased|weighted_fraction|fraction|count|weighted_count|weight"
HART = re.compile(rf"t(?P<task>\d\d)_(?P<question>.+)_a(?P<number>\d\d)_(?P<answer>.+?)_(?:{FORMS})")
KAGGLE = re.compile(r"Class(?P<task>\d+)\.(?P<place>\d+)")
RELEASE = re.compile(r"(?P<question>.+)_(?P<answer>[^_]+)")


@dataclass(frozen=True)
class Answer:
    """An answer: its name in columns, its number in Hart et al. 2016, its words, the question it leads to ("" ends)."""

    key: str
    number: int
    text: str
    leads_to: str = ""


@dataclass(frozen=True)
class Question:
    """A question: its name in columns, its number in Willett et al. 2013, its words, its answers."""

    key: str
    task: int
    text: str
    answers: tuple[Answer, ...]

    @property
    def leads_to(self) -> str | None:
        """Where every answer leads alike; None where that depends on the answer."""
        targets = {answer.leads_to for answer in self.answers}
        return targets.pop() if len(targets) == 1 else None


def _question(key: str, task: int, text: str, leads_to: str, *answers: tuple) -> Question:
    # an answer is (key, number, text), and leads where its question does unless it names a place of its own
    return Question(
        key, task, text, tuple(Answer(*(answer if len(answer) > 3 else (*answer, leads_to))) for answer in answers)
    )


QUESTIONS = (
    _question(
        "smooth-or-featured", 1, "Smooth, or with features or a disk?", "",
        ("smooth", 1, "smooth", "how-rounded"),
        ("featured-or-disk", 2, "features or disk", "disk-edge-on"),
        ("artifact", 3, "star or artifact", ""),
    ),
    _question(
        "how-rounded", 7, "How rounded is it?", "something-odd",
        ("round", 16, "completely round"), ("in-between", 17, "in between"), ("cigar", 18, "cigar shaped"),
    ),
    _question(
        "disk-edge-on", 2, "A disk viewed edge-on?", "",
        ("yes", 4, "edge on", "bulge-shape"), ("no", 5, "not edge on", "bar"),
    ),
    _question(
        "bulge-shape", 9, "A bulge at the centre, and what shape?", "something-odd",
        ("round", 25, "rounded"), ("boxy", 26, "boxy"), ("no-bulge", 27, "no bulge"),
    ),
    _question("bar", 3, "A bar through the centre?", "has-spiral-arms", ("yes", 6, "bar"), ("no", 7, "no bar")),
    _question(
        "has-spiral-arms", 4, "Any sign of spiral arms?", "",
        ("yes", 8, "spiral", "spiral-winding"), ("no", 9, "no spiral", "bulge-size"),
    ),
    _question(
        "spiral-winding", 10, "How tightly wound are the arms?", "spiral-arm-count",
        ("tight", 28, "tight"), ("medium", 29, "medium"), ("loose", 30, "loose"),
    ),
    _question(
        "spiral-arm-count", 11, "How many spiral arms?", "bulge-size",
        ("1", 31, "1"), ("2", 32, "2"), ("3", 33, "3"), ("4", 34, "4"),
        ("more-than-4", 36, "more than 4"), ("cant-tell", 37, "can't tell"),
    ),
    _question(
        "bulge-size", 5, "How prominent is the central bulge?", "something-odd",
        ("dominant", 13, "dominant"), ("obvious", 12, "obvious"),
        ("just-noticeable", 11, "just noticeable"), ("no", 10, "no bulge"),
    ),
    _question(
        "something-odd", 6, "Anything odd?", "",
        ("yes", 14, "something odd", "odd-feature"), ("no", 15, "nothing odd", ""),
    ),
    _question(
        "odd-feature", 8, "What is odd?", "",
        ("ring", 19, "ring"), ("lens-or-arc", 20, "lens or arc"), ("disturbed", 21, "disturbed"),
        ("irregular", 22, "irregular"), ("other", 23, "other"), ("merger", 24, "merger"),
        ("dust-lane", 38, "dust lane"),
    ),
)  # fmt: skip
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
    """Earlier answers of which a volunteer gave exactly one before being asked a question; none for the first.

    Questions whose answers all lead to the same place are left out of the way, so that a sum over the gates is the
    share of volunteers asked with as few factors as can be.

    Examples
    --------
    >>> gates("bulge-size")
    (('disk-edge-on', 'no'),)
    >>> gates("something-odd")
    (('smooth-or-featured', 'smooth'), ('smooth-or-featured', 'featured-or-disk'))
    """
    ways = {(q.key, answer.key) for q in QUESTIONS for answer in q.answers if answer.leads_to == key}
    whole = True
    while whole:
        whole = [q for q in QUESTIONS if q is not FIRST and all((q.key, a.key) in ways for a in q.answers)]
        for question in whole:
            ways -= {(question.key, answer.key) for answer in question.answers}
            ways |= set(gates(question.key))
    order = [(q.key, answer.key) for q in QUESTIONS for answer in q.answers]
    return tuple(sorted(ways, key=order.index))
