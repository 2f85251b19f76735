"""Names of tags: which are possible, which are the same tag, and which two no galaxy has at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from galaxy_core.errors import TagError

INTERESTING, NOT_INTERESTING = "interesting", "not interesting"
REFUSAL = "not "  # begins the tag of galaxies that were looked at and refused another tag
MAX_LENGTH = 60


def check_tag(name: str) -> str:
    """A tag's name, trimmed.

    Raises
    ------
    TagError
        It is empty, longer than 60 characters, or holds a comma, a semicolon (they separate tags in exports) or a
        control character.

    Examples
    --------
    >>> check_tag("  слияние галактик ")
    'слияние галактик'
    >>> check_tag("ring, faint")
    Traceback (most recent call last):
    galaxy_core.errors.TagError: 'ring, faint' cannot be a tag: use 1 to 60 characters, no commas or semicolons.
    """
    text = unicodedata.normalize("NFC", name.strip()) if isinstance(name, str) else ""
    kinds = [unicodedata.category(character) for character in text]
    visible = any(kind[0] not in "CZM" for kind in kinds)
    if not visible or len(text) > MAX_LENGTH or set(kinds) & {"Cc", "Cs", "Zl", "Zp"} or set(text) & set(",;"):
        shown = repr(name if len(str(name)) <= MAX_LENGTH else f"{str(name)[:MAX_LENGTH]}…")
        raise TagError(f"{shown} cannot be a tag: use 1 to {MAX_LENGTH} characters, no commas or semicolons.")
    return text


def fold(name: str) -> str:
    """What two spellings of one tag share: neither case nor width matters.

    Examples
    --------
    >>> fold("Straße") == fold("STRASSE"), fold("ring") == fold("rings")
    (True, False)
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def opposite_of(tag: str) -> str:
    """The tag that no galaxy has beside this one.

    Examples
    --------
    >>> opposite_of("ring"), opposite_of("Not ring"), opposite_of(INTERESTING) == NOT_INTERESTING
    ('not ring', 'ring', True)
    """
    tag = tag.strip()
    is_refusal = tag[: len(REFUSAL)].casefold() == REFUSAL and tag[len(REFUSAL) :].strip()
    return tag[len(REFUSAL) :].strip() if is_refusal else f"{REFUSAL}{tag}"


def wanted(names: Iterable[str]) -> list[str]:
    """The tags among some that say what a galaxy is, without those that refuse another one of them.

    Examples
    --------
    >>> wanted(["ring", "not ring", "not sure", "Not interesting"])
    ['ring', 'not sure']
    """
    names = list(names)
    known = {fold(name) for name in (*names, INTERESTING)}
    return [
        name for name in names if not (name[: len(REFUSAL)].casefold() == REFUSAL and fold(opposite_of(name)) in known)
    ]
