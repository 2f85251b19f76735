"""One name for a galaxy from its votes: of eight classes, as Galaxy Zoo 2 writes it, or to stratify a split by."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from galaxy_core.trees import GZ2, Way

# The answers that make each class, each in reply to the question the one before led to.
_EIGHT: dict[str, tuple[Way, ...]] = {
    **{
        f"{name}_smooth": (("smooth-or-featured", "smooth"), ("how-rounded", answer))
        for name, answer in (("round", "round"), ("in_between", "in-between"), ("cigar", "cigar"))
    },
    **{
        f"edge_on_{name}": (
            ("smooth-or-featured", "featured-or-disk"),
            ("disk-edge-on", "yes"),
            ("bulge-shape", answer),
        )
        for name, answer in (("rounded_bulge", "round"), ("boxy_bulge", "boxy"), ("no_bulge", "no-bulge"))
    },
    **{
        name: (("smooth-or-featured", "featured-or-disk"), ("disk-edge-on", "no"), ("has-spiral-arms", answer))
        for name, answer in (("spiral", "yes"), ("disk_without_arms", "no"))
    },
}
EIGHT_CLASSES = tuple(_EIGHT)
SUPER_RARE = "super rare"

_ROUND = dict(zip(("round", "in-between", "cigar"), "ric", strict=True))
_EDGE = dict(zip(("round", "boxy", "no-bulge"), "rbn", strict=True))
_BULGE = dict(zip(("no", "just-noticeable", "obvious", "dominant"), "dcba", strict=True))
_ARMS = dict(zip(("1", "2", "3", "4", "more-than-4", "cant-tell"), "1234+?", strict=True))
_WOUND = dict(zip(("tight", "medium", "loose"), "tml", strict=True))
_ODD_ANSWERS = ("ring", "lens-or-arc", "disturbed", "irregular", "other", "merger", "dust-lane")
_ODD = dict(zip(_ODD_ANSWERS, "rldiomu", strict=True))
_ARMS_OF_CLASS = re.compile(r"[1234+?][tml](?=\(.\)$)")


def eight_class_shares(conditional: np.ndarray) -> np.ndarray:
    """Expected share of volunteers whose answers make each of the eight classes.

    The classes end where the tree of Galaxy Zoo 2 has said what a galaxy is: smooth ones by how round they are, disks
    seen edge-on by their bulge, other disks by their arms [1]_. What is left to 1 are stars and artifacts.

    Parameters
    ----------
    conditional : ndarray, shape (n_galaxies, 37)
        Shares of those who were asked, in the order of the tree; NaN where nobody was.

    Returns
    -------
    ndarray of float64, shape (n_galaxies, 8)
        In the order of `EIGHT_CLASSES`; NaN where an answer that somebody was asked for is not known.

    References
    ----------
    .. [1] M. Young & F. Lan, "galactic-clustering", University of Utah, github.com/mkcyoung/galactic-clustering.
    """
    conditional = np.asarray(conditional, dtype=np.float64)
    shares = np.ones((len(conditional), len(_EIGHT)))
    for place, ways in enumerate(_EIGHT.values()):
        for way in ways:
            given = conditional[:, GZ2.index[way]]
            shares[:, place] = np.where(shares[:, place] == 0, 0.0, shares[:, place] * given)
    return shares


def eight_classes(conditional: np.ndarray) -> np.ndarray:
    """The class at the end of the leading answers, one question after the other.

    Returns
    -------
    ndarray of int8, shape (n_galaxies,)
        Place in `EIGHT_CLASSES`; -1 for a star, an artifact, or where a question on the way has no answer.
    """
    leading = _leading(conditional)
    codes = np.full(len(leading["bar"]), -1, dtype=np.int8)
    for code, ways in enumerate(_EIGHT.values()):
        codes[np.all([leading[question] == answer for question, answer in ways], axis=0)] = code
    return codes


def gz2_classes(conditional: np.ndarray) -> list[str]:
    """The class of each galaxy as Galaxy Zoo 2 writes it: "Er", "Sen", "SBc2m(r)", "A"; "" where votes do not tell.

    E and how round (r, i, c); Se and the bulge (r, b, n); S or SB, the bulge from none (d) to dominant (a), and the
    arms by number and winding; in brackets what is odd, where most found something [1]_. Each is the leading answer.

    Parameters
    ----------
    conditional : ndarray, shape (n_galaxies, 37)
        As in `eight_class_shares`. The published classes use debiased shares.

    References
    ----------
    .. [1] K. W. Willett et al. 2013, MNRAS 435, 2835, appendix A.
    """
    leading = _leading(conditional)
    return [_gz2_class({key: answers[row] for key, answers in leading.items()}) for row in range(len(conditional))]


def reduce_classes(classes: Sequence[str], least: int = 12, super_rare: int = 3) -> list[str]:
    """Classes of Galaxy Zoo 2 with rare ones merged, so that every part of a stratified split gets some of each.

    Parameters
    ----------
    classes : sequence of str
        As `gz2_classes` or the release writes them.
    least : int
        A class with fewer galaxies that ends in an odd feature loses the number and the winding of its arms.
    super_rare : int
        What then has this many galaxies or fewer becomes one class, `SUPER_RARE`.

    Notes
    -----
    With both defaults the 818 classes of the 239,267 galaxies are 433 [1]_.

    References
    ----------
    .. [1] Z. Aaronson, K. Schoenrock & J. Stone, "Galaxy Morphology Classification",
       github.com/zachaa/Galaxy_Morphology_Classification.

    Examples
    --------
    >>> reduce_classes(["Er"] * 20 + ["Sc2m(r)", "Sc3t(r)"] * 2 + ["Sb+l"])[-5:]
    ['Sc(r)', 'Sc(r)', 'Sc(r)', 'Sc(r)', 'super rare']
    """
    counts = _counts(classes)
    merged = [_ARMS_OF_CLASS.sub("", name) if counts[name] < least else name for name in classes]
    counts = _counts(merged)
    return [SUPER_RARE if counts[name] <= super_rare else name for name in merged]


def _counts(names: Sequence[str]) -> dict[str, int]:
    found, numbers = np.unique(np.asarray(names, dtype=object).astype(str), return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))


def _leading(conditional: np.ndarray) -> dict[str, np.ndarray]:
    """Key of the leading answer to each question, "" where none has a share; the first of equals."""
    conditional = np.nan_to_num(np.asarray(conditional, dtype=np.float64))
    found = {}
    for question in GZ2.questions:
        shares = conditional[:, GZ2.slices[question.key]]
        keys = np.array([answer.key for answer in question.answers], dtype=object)[shares.argmax(axis=1)]
        found[question.key] = np.where(shares.max(axis=1) > 0, keys, "")
    return found


def _gz2_class(leading: dict[str, str]) -> str:
    first = leading["smooth-or-featured"]
    if first == "artifact":
        return "A"
    if first == "smooth":
        name = "E" + _ROUND.get(leading["how-rounded"], "")
    elif first == "featured-or-disk" and leading["disk-edge-on"] == "yes":
        name = "Se" + _EDGE.get(leading["bulge-shape"], "")
    elif first == "featured-or-disk":
        name = ("SB" if leading["bar"] == "yes" else "S") + _BULGE.get(leading["bulge-size"], "")
        if leading["has-spiral-arms"] == "yes":
            name += _ARMS.get(leading["spiral-arm-count"], "") + _WOUND.get(leading["spiral-winding"], "")
    else:
        return ""
    odd = _ODD.get(leading["odd-feature"]) if leading["something-odd"] == "yes" else None
    return f"{name}({odd})" if odd else name
