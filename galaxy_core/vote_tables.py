"""Columns of a catalog as an array of votes on its question tree: whichever release it comes from.

A catalog's answer columns are Kaggle's cumulative shares, the debiased or weighted shares of Hart et al. 2016, numbers
of votes of the newer releases, or shares under their names. All become shares of those who were asked, in the order of
a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_core.errors import CatalogError
from galaxy_core.galaxy_zoo import read_column
from galaxy_core.trees import GZ2, TREES, Tree
from galaxy_core.vote_forms import (
    KAGGLE_EVERYBODY,
    asked_shares,
    conditional_from_cumulative,
    cumulative_from_conditional,
    fractions_from_counts,
)

_OURS = {"", "gz2"}  # surveys in names of columns that mean Galaxy Zoo 2


@dataclass(frozen=True)
class VoteTable:
    """Votes of the galaxies of a table on one tree.

    Attributes
    ----------
    tree : Tree
    conditional : ndarray of float64, shape (n_galaxies, n_answers)
        Shares of those who were asked; NaN where nobody was, or where the table does not say. As released: debiased
        shares need not add up to 1.
    n_asked : ndarray of float64, shape (n_galaxies, n_questions), or None
        Number of volunteers who answered each question, where the table has numbers.
    odd_of_everybody : bool
        Whether "anything odd?" was counted as asked of everybody, as in the Kaggle challenge.
    """

    tree: Tree
    conditional: np.ndarray
    n_asked: np.ndarray | None = None
    odd_of_everybody: bool = False

    @property
    def cumulative(self) -> np.ndarray:
        """Shares of all volunteers, (n_galaxies, n_answers); NaN from a question on that the table leaves out."""
        return cumulative_from_conditional(self.conditional, self.tree, self._everybody)

    @property
    def asked(self) -> np.ndarray:
        """Share of all volunteers who were asked each question, (n_galaxies, n_questions); NaN where not known."""
        if self.n_asked is None:
            return asked_shares(self.cumulative, self.tree, self._everybody)
        first = self.n_asked[:, :1]
        return np.minimum(self.n_asked / np.where(first > 0, first, np.nan), 1.0)

    @property
    def _everybody(self) -> tuple[str, ...]:
        return KAGGLE_EVERYBODY if self.odd_of_everybody else ()


def find_tree(columns: Sequence[str]) -> tuple[Tree, dict[str, int]] | None:
    """The tree that answer columns belong to, and each column's place on it; None where they are of no tree.

    Columns of several projects at once are of the one with most columns.

    Examples
    --------
    >>> tree, places = find_tree(["clumpy-appearance-hubble_yes", "clumpy-appearance-hubble_no"])
    >>> tree.title, list(places.values())
    ('Galaxy Zoo: Hubble', [6, 7])
    >>> find_tree(["Class7.1"])[1], find_tree(["bar-dr5_strong", "sky"])
    ({'Class7.1': 3}, None)
    """
    found = [(tree, _places_on(tree, columns)) for tree in TREES.values()]
    tree, places = max(found, key=lambda pair: len(pair[1]))
    return (tree, places) if places else None


def read_vote_table(table: pd.DataFrame, columns: Sequence[str], kind: str) -> VoteTable:
    """Votes of many galaxies.

    Parameters
    ----------
    table : DataFrame
    columns : sequence of str
        Columns that hold votes, as the catalog states them.
    kind : {"fraction", "count"}

    Raises
    ------
    CatalogError
        The columns are of no tree, or one of them is not in the table.

    Examples
    --------
    >>> table = pd.DataFrame({"Class1.1": [0.6], "Class1.2": [0.4], "Class1.3": [0.0], "Class7.1": [0.6]})
    >>> votes = read_vote_table(table.assign(**{"Class7.2": 0.0, "Class7.3": 0.0}), [*table, "Class7.2", "Class7.3"], "fraction")
    >>> votes.conditional[0, :6].tolist()
    [0.6, 0.4, 0.0, 1.0, 0.0, 0.0]
    """  # noqa: E501
    found = find_tree(columns)
    if found is None:
        raise CatalogError("None of the columns holds votes on a known question tree; name them as a release does.")
    tree, places = found
    if absent := [column for column in places if column not in table]:
        raise CatalogError(f"The table has no column {absent[0]}; read the catalog again.")
    values = np.full((len(table), tree.n_answers), np.nan)
    for column, place in places.items():
        values[:, place] = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    if kind == "count":
        return VoteTable(tree, *fractions_from_counts(_known_questions(values, tree, places), tree))
    if tree is GZ2 and any(read_column(column).cumulative for column in places):
        known = _known_questions(values, tree, places)
        return VoteTable(tree, conditional_from_cumulative(known, tree)[0], odd_of_everybody=True)
    return VoteTable(tree, values)


def _known_questions(values: np.ndarray, tree: Tree, places: dict[str, int]) -> np.ndarray:
    """Answers without a column are 0 beside some that have one, so that these can be added up."""
    values, present = values.copy(), np.isin(np.arange(tree.n_answers), list(places.values()))
    for part in tree.slices.values():
        if present[part].any():
            values[:, np.arange(part.start, part.stop)[~present[part]]] = 0
    return values


def _places_on(tree: Tree, columns: Sequence[str]) -> dict[str, int]:
    """Each column's place on a tree, of those that are on it; the one of Galaxy Zoo 2 knows columns of any release."""
    if tree is GZ2:
        read = {column: read_column(str(column)) for column in columns}
        found = {c: GZ2.index.get((about.question, about.answer)) for c, about in read.items() if about.survey in _OURS}
    else:
        order = {name: place for place, name in enumerate(tree.columns())}
        found = {column: order.get(str(column).removesuffix("_fraction")) for column in columns}
    return {column: place for column, place in found.items() if place is not None}
