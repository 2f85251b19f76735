"""Questions and answers as people read them on a page of Galaxy Zoo, found on the tree of Galaxy Zoo 2 by their words.

Surveys word the same question in different ways ("center", "centre"; "Features", "Features or disk"), and ask some that
the tree has not (clumps, symmetry, tidal debris): those have no counterpart, and nothing is guessed.
"""

from __future__ import annotations

import re

from galaxy_core.trees import GZ2, Question

# The first question with a set of words that are all in the text; "smooth" comes before "rounded", as the first
# question of the tree names both, and a bulge's prominence before its shape.
_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("disk-edge-on", ("edge", "on")),
    ("smooth-or-featured", ("smooth",)),
    ("how-rounded", ("how", "rounded")),
    ("bulge-size", ("prominent", "bulge")),
    ("bulge-shape", ("bulge",)),
    ("bar", ("bar",)),
    ("spiral-winding", ("tightly", "arms")),
    ("spiral-arm-count", ("how", "many", "arms")),
    ("has-spiral-arms", ("sign", "spiral")),
    ("odd-feature", ("odd", "features")),
    ("something-odd", ("anything", "odd")),
    ("odd-feature", ("what", "odd")),
)


def find_question(text: str) -> str | None:
    """Key of the question of the tree that a text asks, or None.

    Examples
    --------
    >>> find_question("Is there any sign of a bar feature through the center of the galaxy?")
    'bar'
    >>> find_question("How many clumps are there?") is None
    True
    """
    words = set(_words(text))
    return next((key for key, wanted in _WORDS if words.issuperset(wanted)), None)


def find_answer(question: str, text: str) -> str | None:
    """Key of the answer to a question of the tree that a text gives, or None.

    An answer's own words, or some of them that no other answer to the question has.

    Examples
    --------
    >>> find_answer("smooth-or-featured", "Features"), find_answer("spiral-arm-count", "More than 4")
    ('featured-or-disk', 'more-than-4')
    >>> find_answer("odd-feature", "Overlapping") is None, find_answer("bulge-shape", "No") is None
    (True, True)
    """
    said = _words(text)
    known = _known(GZ2.by_key[question])
    exact = [key for key, spellings in known.items() if said in spellings]
    if exact or not said or (len(said) == 1 and said[0] in ("yes", "no")):
        return exact[0] if exact else None
    partly = [key for key, spellings in known.items() if any(set(said) <= set(words) for words in spellings)]
    return partly[0] if len(partly) == 1 else None


def _known(question: Question) -> dict[str, tuple[list[str], list[str]]]:
    return {answer.key: (_words(answer.text), _key_words(question, answer.key)) for answer in question.answers}


def _key_words(question: Question, key: str) -> list[str]:
    # "yes" and "no" answer a question that leaves nothing else; of a bulge's size "no" is one of four answers
    plain = {answer.key for answer in question.answers} == {"yes", "no"}
    return _words(key) if plain or key not in ("yes", "no") else []


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", str(text).lower().replace("'", "").replace("’", ""))
