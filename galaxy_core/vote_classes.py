"""One of eight classes for a galaxy from its votes, and the classes of Galaxy Zoo 2 to stratify a split by."""

from __future__ import annotations

import re
from collections import Counter
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


def reduce_classes(classes: Sequence[str], least: int = 12, super_rare: int = 3) -> list[str]:
    """Classes of Galaxy Zoo 2 with rare ones merged, so that every part of a stratified split gets some of each.

    Parameters
    ----------
    classes : sequence of str
        As the release writes them, "Er" or "SBc2m(r)": in brackets what is odd, before that the number and winding of
        arms (K. W. Willett et al. 2013, MNRAS 435, 2835, appendix A).
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
    counts = Counter(classes)
    merged = [_ARMS_OF_CLASS.sub("", name) if counts[name] < least else name for name in classes]
    counts = Counter(merged)
    return [SUPER_RARE if counts[name] <= super_rare else name for name in merged]


def _leading(conditional: np.ndarray) -> dict[str, np.ndarray]:
    """Key of the leading answer to each question, "" where none has a share; the first of equals."""
    conditional = np.nan_to_num(np.asarray(conditional, dtype=np.float64))
    found = {}
    for question in GZ2.questions:
        shares = conditional[:, GZ2.slices[question.key]]
        keys = np.array([answer.key for answer in question.answers], dtype=object)[shares.argmax(axis=1)]
        found[question.key] = np.where(shares.max(axis=1) > 0, keys, "")
    return found
