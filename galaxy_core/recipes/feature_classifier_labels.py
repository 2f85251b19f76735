"""Which class each galaxy is of, for `feature_classifier`: one of eight that votes make, or as the catalog says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.vectors import has_class
from galaxy_core.vote_classes import EIGHT_CLASSES, eight_classes
from galaxy_core.vote_forms import FROM_KAGGLE
from galaxy_core.vote_labels import number_classes, read_labels

SOURCES = ("auto", "votes", "catalog")


def classes_to_learn(
    catalogs: Sequence[Catalog], source: str, class_names: Sequence[str] = ()
) -> tuple[tuple[str, ...], np.ndarray, list[str]]:
    """Names of the classes, and which each galaxy is of, catalog after catalog.

    Parameters
    ----------
    source : {"auto", "votes", "catalog"}
        "votes": the eight classes at the end of the leading answers (`galaxy_core.vote_classes`). "catalog": those of
        the catalogs' own tables. "auto": the former where a catalog has votes for them, else the latter.
    class_names : sequence of str
        Of the catalogs' own classes, only these; none: all there are.

    Returns
    -------
    tuple of str
    ndarray of int64, shape (n,)
        Place in the names; -1 where the class is not known, or is not to be learned.
    list of str
        A sentence on each catalog of which galaxies are left out.

    Raises
    ------
    ModelError
        Fewer than two classes have galaxies, or one of ``class_names`` has none.
    """
    if source not in SOURCES:
        raise ModelError(f"There are no classes from '{source}'; set labels_from to {', '.join(SOURCES)}.")
    names, labels = EIGHT_CLASSES, []
    if source != "catalog":
        labels = [labels_of(catalog, EIGHT_CLASSES) for catalog in catalogs]
    if source == "catalog" or (source == "auto" and not any((part >= 0).any() for part in labels)):
        there = own_classes(catalogs)
        if unknown := sorted(set(class_names) - set(there)):
            raise ModelError(
                f"No galaxy of these catalogs is of class {', '.join(unknown)}; set model.class_names to some of"
                f" {', '.join(there) or 'none, as there are no classes'}."
            )
        names = tuple(class_names) or there
        labels = [labels_of(catalog, names) for catalog in catalogs]
    joined = np.concatenate(labels)
    if len(np.unique(joined[joined >= 0])) < 2:
        wanted = "votes" if source == "votes" else "votes or a column of classes"
        raise ModelError(f"These catalogs do not have galaxies of two classes to tell apart; give one with {wanted}.")
    notes = [
        f"{catalog.layout}:{Path(catalog.source).name}: {(part < 0).sum():,} of {len(part):,} galaxies are of no class"
        " that is learned and were left out"
        for catalog, part in zip(catalogs, labels, strict=True)
        if (part < 0).any()
    ]
    return names, joined, notes


def labels_of(catalog: Catalog, class_names: Sequence[str]) -> np.ndarray:
    """Place of each galaxy's class in ``class_names``, int64 (n,); -1 where it is not known or another.

    The eight classes of votes are read from the votes, any others from the catalog's table.
    """
    if tuple(class_names) == EIGHT_CLASSES:
        return eight_classes(read_labels(catalog)[0].conditional[:, FROM_KAGGLE]).astype(np.int64)
    if "class" not in catalog.table:
        return np.full(len(catalog), -1, dtype=np.int64)
    return number_classes(catalog.table["class"], class_names)[0]


def own_classes(catalogs: Sequence[Catalog]) -> tuple[str, ...]:
    """Names of all classes in the tables of catalogs, in alphabetical order."""
    found: set[str] = set()
    for catalog in catalogs:
        if "class" in catalog.table:
            names = catalog.table["class"].to_numpy(dtype=object)
            found |= {str(name) for name in names[has_class(names)]}
    return tuple(sorted(found))
