"""What a question tree is made of, and who is asked what on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

Way = tuple[str, str]  # a question, and the answer that leads on


@dataclass(frozen=True)
class Answer:
    """An answer: its name in columns, its number in the release, its words, the question it leads to ("" ends)."""

    key: str
    number: int
    text: str
    leads_to: str = ""


@dataclass(frozen=True)
class Question:
    """A question: its name in columns, its number in the paper, its words, its answers.

    ``released`` is False where the galaxy-datasets release of the project has no columns for it.
    """

    key: str
    task: int
    text: str
    answers: tuple[Answer, ...]
    released: bool = True

    @property
    def leads_to(self) -> str | None:
        """Where every answer leads alike; None where that depends on the answer."""
        targets = {answer.leads_to for answer in self.answers}
        return targets.pop() if len(targets) == 1 else None


@dataclass(frozen=True)
class Tree:
    """The questions of a project, each after all that lead to it, the one everybody is asked first.

    Arrays of votes have one column an answer, in this order.

    Attributes
    ----------
    key : str
        Of the project, as its columns end: "gz2", "hubble", "candels".
    title, reference : str
        Its name, and where its questions are published.
    questions : tuple of Question
    """

    key: str
    title: str
    reference: str
    questions: tuple[Question, ...]

    @cached_property
    def by_key(self) -> dict[str, Question]:
        """Questions by their names."""
        return {question.key: question for question in self.questions}

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Columns of each question's answers."""
        found, start = {}, 0
        for question in self.questions:
            found[question.key] = slice(start, start + len(question.answers))
            start += len(question.answers)
        return found

    @cached_property
    def index(self) -> dict[Way, int]:
        """Column of each answer."""
        order = [(question.key, answer.key) for question in self.questions for answer in question.answers]
        return {way: column for column, way in enumerate(order)}

    @cached_property
    def ways(self) -> dict[str, tuple[Way, ...]]:
        """Answers that lead straight to each question; none to the first."""
        leads = [((q.key, a.key), a.leads_to) for q in self.questions for a in q.answers]
        return {q.key: tuple(way for way, target in leads if target == q.key) for q in self.questions}

    @property
    def n_answers(self) -> int:
        """Number of columns of an array of votes."""
        return len(self.index)

    def columns(self, released: bool = False) -> tuple[str, ...]:
        """Names of the answers' columns as galaxy-datasets writes them; all, or those a release has.

        Examples
        --------
        >>> from galaxy_core.trees import TREES
        >>> TREES["hubble"].columns()[3:5]
        ('how-rounded-hubble_completely', 'how-rounded-hubble_in-between')
        """
        asked = [question for question in self.questions if question.released or not released]
        return tuple(f"{q.key}-{self.key}_{a.key}" for q in asked for a in q.answers)


def make_question(key: str, task: int, text: str, leads_to: str, *answers: tuple, released: bool = True) -> Question:
    """A question from its row of a table; an answer leads where its question does unless it names another place.

    Examples
    --------
    >>> bar = make_question("bar", 3, "A bar?", "arms", ("yes", 1, "bar"), ("no", 2, "no bar", "bulge"))
    >>> [answer.leads_to for answer in bar.answers]
    ['arms', 'bulge']
    """
    made = (Answer(*(answer if len(answer) > 3 else (*answer, leads_to))) for answer in answers)
    return Question(key, task, text, tuple(made), released)


def gates(tree: Tree, key: str) -> tuple[Way, ...]:
    """Earlier answers of which a volunteer gave exactly one before being asked a question; none for the first.

    Questions whose answers all lead to the same place are left out of the way, so that a sum over the gates is the
    share of volunteers asked with as few factors as can be.

    Examples
    --------
    >>> from galaxy_core.trees import GZ2
    >>> gates(GZ2, "bulge-size")
    (('disk-edge-on', 'no'),)
    >>> gates(GZ2, "something-odd")
    (('smooth-or-featured', 'smooth'), ('smooth-or-featured', 'featured-or-disk'))
    """
    found, whole = set(tree.ways[key]), True
    while whole:
        whole = [q for q in tree.questions[1:] if all((q.key, a.key) in found for a in q.answers)]
        for question in whole:
            found -= {(question.key, answer.key) for answer in question.answers}
            found |= set(gates(tree, question.key))
    return tuple(sorted(found, key=tree.index.__getitem__))
