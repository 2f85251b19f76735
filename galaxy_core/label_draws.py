"""Which labels a method is given when it is given few, and classes that are counted as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from galaxy_core.errors import CatalogError


def merge_classes(classes: Sequence[str], merges: Sequence[str]) -> np.ndarray:
    """Classes, array of str (n,), where those of each merge are one, called as the merge is written.

    Parameters
    ----------
    merges : sequence of str
        Each names two classes or more with ``+`` between them.

    Raises
    ------
    CatalogError
        A merge names one class, a class that is not there, or one that another merge names.

    Examples
    --------
    >>> merge_classes(["spiral", "edge_on", "cigar"], ["edge_on+cigar"]).tolist()
    ['spiral', 'edge_on+cigar', 'edge_on+cigar']
    """
    merged = np.asarray(classes, dtype=object).copy()
    known, taken = {str(name) for name in classes}, set()
    for merge in merges:
        names = [name.strip() for name in merge.split("+")]
        if len(set(names)) < 2 or len(names) != len(set(names)):
            raise CatalogError(f"'{merge}' does not merge two classes; write them as in edge_on+cigar_smooth.")
        for name in names:
            if name not in known:
                raise CatalogError(f"'{merge}' names no class '{name}'; there are {', '.join(sorted(known))}.")
            if name in taken:
                raise CatalogError(f"The class '{name}' is merged twice; write all it goes with in one merge.")
            taken.add(name)
            merged[np.asarray(classes, dtype=object) == name] = "+".join(names)
    return merged


def draw_labels(classes: np.ndarray, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Rows, int64 and ascending, whose labels are given: the same share of each class, drawn at random.

    A draw of a smaller share with the same seed is part of that of a larger one. Of every class there is one galaxy at
    least, so that all classes can be learned; shares are rounded to whole galaxies class by class.

    Parameters
    ----------
    classes : int array, shape (n,)
        Of all galaxies; those of ``rows`` are 0 or more.
    rows : int array
        The galaxies to draw from.
    share : float
        Above 0, up to 1.

    Examples
    --------
    >>> draw_labels(np.array([0] * 10 + [1] * 2), np.arange(12), 0.2, seed=0).shape
    (3,)
    """
    if not 0 < share <= 1:
        raise CatalogError(f"A share of the labels is above 0 and at most 1, and {share:g} is not.")
    rows, drawn = np.unique(rows), []
    for code in np.unique(classes[rows]).tolist():
        members = rows[classes[rows] == code]
        order = np.random.default_rng([seed, code]).permutation(members)
        drawn.append(order[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(drawn)) if drawn else np.zeros(0, np.int64)
