"""What is known of each galaxy of a catalog, as arrays a network learns from: votes in every form, and its class.

Releases state votes as numbers, as shares of those asked, or multiplied down the tree; a catalog of classes has none.
Here they all become the same 37 columns (`galaxy_core.vote_tree`), with NaN for what is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.counting import count
from galaxy_core.galaxy_zoo import AS_CAST, DEBIASED, read_column
from galaxy_core.vote_tree import (
    COLUMN_OF,
    N_ANSWERS,
    N_QUESTIONS,
    PARENT,
    QUESTION_KEYS,
    QUESTION_OF,
    SLICES,
    asked_share,
    place_of,
    question_sums,
    to_conditional,
    to_cumulative,
)

N_VOLUNTEERS = 40  # who look at a galaxy, where a release does not say: Galaxy Zoo 2 asked 36 to 52
TREE_TOLERANCE = 0.05  # the answers of a question may add up to so much more or less than they should
N_NAMED = 3  # of the galaxies a sentence is about
_ARTIFACT = COLUMN_OF["smooth-or-featured", "artifact"]
_AFTER_ODD = [QUESTION_KEYS.index(key) for key in ("something-odd", "odd-feature")]


@dataclass(frozen=True)
class Labels:
    """Labels of the galaxies of one or more catalogs, row by row.

    Attributes
    ----------
    conditional : ndarray of float32, shape (n, 37)
        Vote fractions among those asked, as released: debiased ones need not add up to 1. NaN where not known and where
        nobody was asked.
    cumulative : ndarray of float32, shape (n, 37)
        Multiplied down the tree, which they obey. NaN where not known.
    released : ndarray of float32, shape (n, 37)
        As the catalog states them, its zeros for questions nobody was asked included.
    counts : ndarray of float32, shape (n, 37)
        Numbers of votes; where a release has only fractions, those of its volunteers, or of `N_VOLUNTEERS`, who answer
        so. 0 if unknown.
    counted : ndarray of bool, shape (n,)
        Whether ``counts`` are real.
    cumulative_release : ndarray of bool, shape (n,)
        Whether ``released`` is multiplied down the tree.
    classes : ndarray of int64, shape (n,)
        Place in the list of class names; -1 where there is none, or one not on the list.
    """

    conditional: np.ndarray
    cumulative: np.ndarray
    released: np.ndarray
    counts: np.ndarray
    counted: np.ndarray
    cumulative_release: np.ndarray
    classes: np.ndarray

    @property
    def has_votes(self) -> np.ndarray:
        """Bool, shape (n,): whether the answers to any question are known."""
        return np.isfinite(self.conditional).any(axis=1)


def read_labels(
    catalog: Catalog, class_names: Sequence[str] = (), classes_beside_votes: bool = True, form: str = "released"
) -> tuple[Labels, list[str]]:
    """Labels of a catalog, and sentences about what in it could not be used.

    Parameters
    ----------
    class_names : sequence of str
        Classes to number; galaxies of others are told and keep only their votes.
    classes_beside_votes : bool
        Whether to read classes of a catalog that has votes.
    form : {"released", "cast", "debiased"}
        Which votes, where a table states them debiased and as they were cast: those its reader chose, or one form.
        Debiased ones are unknown where a table has one form only; that form counts as cast.
    """
    n = len(catalog)
    columns, as_cast = _columns(catalog, form)
    released, cumulative_release, surveys = _answers(catalog.table, columns)
    notes, counts = [], np.zeros((n, N_ANSWERS), np.float32)
    if catalog.answer_kind == "count":
        votes = np.where(released >= 0, released, np.nan)
        broken = _asked_of_too_many(votes, surveys)
        notes = _told_broken(catalog.galaxy_ids[broken.any(axis=1)])
        counts = np.where((broken | np.isnan(question_sums(votes)))[:, QUESTION_OF], 0, votes)
        conditional = to_conditional(counts, least_asked=0.5)
        released = cumulative = to_cumulative(conditional)
        cumulative_release = True
    else:
        debiased = any(column.endswith(DEBIASED) for column in columns)
        conditional, cumulative, broken = _fractions(released, cumulative_release, debiased)
        notes = _told_broken(catalog.galaxy_ids[broken])
        counts = _pseudo_counts(catalog, conditional, cumulative)
    # shares of votes as cast, of a known number of volunteers, are numbers of votes
    counted = catalog.answer_kind == "count" or (as_cast and "total_classifications" in catalog.table)
    classes = np.full(n, -1, dtype=np.int64)
    if class_names and "class" in catalog.table and (classes_beside_votes or not np.isfinite(conditional).any()):
        classes, more = number_classes(catalog.table["class"], class_names)
        notes += more
    return (
        Labels(
            conditional=conditional.astype(np.float32),
            cumulative=cumulative.astype(np.float32),
            released=released.astype(np.float32),
            counts=counts.astype(np.float32),
            counted=np.full(n, counted),
            cumulative_release=np.full(n, cumulative_release),
            classes=classes,
        ),
        notes,
    )


def has_both_forms(catalog: Catalog) -> bool:
    """Whether a catalog states votes debiased and, beside them, as they were cast."""
    return bool(_cast_columns(catalog))


def _cast_columns(catalog: Catalog) -> list[str]:
    """The columns with votes as cast of a catalog whose answers are debiased; none where one of them is missing."""
    names = [c.removesuffix(DEBIASED) + AS_CAST for c in catalog.answer_columns if c.endswith(DEBIASED)]
    return names if names and all(name in catalog.table for name in names) else []


def _columns(catalog: Catalog, form: str) -> tuple[list[str], bool]:
    """Answer columns in a form, and whether they were chosen as those of the votes as cast."""
    cast = _cast_columns(catalog)
    if form == "cast" and cast:
        return cast, True
    if form == "debiased" and not cast:
        return [], False
    return list(catalog.answer_columns), False


def join_labels(parts: Sequence[Labels]) -> Labels:
    """Labels of several catalogs, one after the other."""
    return Labels(
        **{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Labels)}
    )


def number_classes(names: pd.Series, class_names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Place of each class in ``class_names``, int64 (n,), -1 for others, and a sentence about the others.

    Examples
    --------
    >>> number_classes(pd.Series(["spiral", None, "blob"]), ["edge_on", "spiral"])
    (array([ 1, -1, -1]), ['1 galaxy is of classes that are not learned (blob) and counts for its votes alone'])
    """
    places = {name: place for place, name in enumerate(class_names)}
    known = names.notna().to_numpy() & (names.astype("str").str.strip() != "").to_numpy()
    found = np.array([places.get(str(name), -1) if is_name else -1 for name, is_name in zip(names, known, strict=True)])
    others = names[known & (found < 0)].astype("str")
    if others.empty:
        return found.astype(np.int64), []
    told = ", ".join(sorted(others.unique())[:5])
    return found.astype(np.int64), [
        f"{count(len(others), 'galaxy is', 'galaxies are')} of classes that are not learned ({told}) and"
        f" {'counts for its' if len(others) == 1 else 'count for their'} votes alone"
    ]


def _answers(table: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, bool, list[str | None]]:
    """Values of the 37 answers, float64 (n, 37); whether they are cumulative; and the survey of each question."""
    found: dict[tuple[int, str], dict[int, str]] = {}
    cumulative = False
    for name in columns:
        column = read_column(name)
        place = place_of(column)
        if place is not None:
            found.setdefault((int(QUESTION_OF[place]), column.survey), {})[place] = name
            cumulative |= column.cumulative
    values, surveys = np.full((len(table), N_ANSWERS), np.nan), [None] * N_QUESTIONS
    for (question, survey), places in found.items():
        part = SLICES[question]
        # a survey that offers other answers asks another question: the shares of the rest would mean something else
        if len(places) == part.stop - part.start and np.isnan(values[:, part]).all():
            for place, name in places.items():
                values[:, place] = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            surveys[question] = survey
    return values, cumulative, surveys


def _asked_of_too_many(votes: np.ndarray, surveys: Sequence[str | None]) -> np.ndarray:
    """Questions with more answers than votes led to them, in the same survey; bool (n, 11).

    A few more may be left of votes that were cleaned or weighted: `TREE_TOLERANCE` of all who looked at the galaxy.
    """
    sums, led = question_sums(votes), votes[:, np.maximum(PARENT, 0)]
    same = [PARENT[q] >= 0 and surveys[q] == surveys[QUESTION_OF[PARENT[q]]] for q in range(N_QUESTIONS)]
    return same & (sums - led > np.fmax(TREE_TOLERANCE * sums[:, :1], 1.5))


def _fractions(released: np.ndarray, is_cumulative: bool, debiased: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both forms of released fractions, without questions whose answers break the tree; and which galaxies have one."""
    values = np.where((released >= 0) & (released <= 1), released, np.nan)
    sums = question_sums(values)
    if is_cumulative:
        asked = asked_share(values)  # NaN where it is not known how many were led here: no rule to break
    else:
        # debiasing moves each answer alone (sums from 0.2 to 2.4 in Hart et al. 2016), so there is no rule to break
        asked = sums if debiased else (sums > 0).astype(float)
    broken = np.abs(sums - asked) > TREE_TOLERANCE
    values[(broken | np.isnan(sums))[:, QUESTION_OF]] = np.nan
    if is_cumulative:
        conditional, cumulative = to_conditional(values), values
    else:
        conditional = np.where(question_sums(values)[:, QUESTION_OF] > 0, values, np.nan)
        cumulative = to_cumulative(to_conditional(conditional))
    return conditional, cumulative, broken.any(axis=1)


def _told_broken(ids: np.ndarray) -> list[str]:
    """A sentence on galaxies whose answers break the tree, the first of them by name; none where there is none."""
    named = ", ".join(map(str, ids[:N_NAMED])) + (", ..." if len(ids) > N_NAMED else "")
    told = f"{count(len(ids), 'galaxy has', 'galaxies have')} answers that break the question tree ({named})"
    return [f"{told}; those questions were left out"] if len(ids) else []


def _pseudo_counts(catalog: Catalog, conditional: np.ndarray, cumulative: np.ndarray) -> np.ndarray:
    """Votes that the volunteers of each galaxy would have given, float (n, 37)."""
    given, cast = cumulative, _cast_columns(catalog)
    if cast:
        # debiasing moves shares, not people: who was asked is what was answered as it was given
        weighted = _answers(catalog.table, cast)[0]
        given = to_cumulative(to_conditional(weighted))
    volunteers = np.full(len(catalog), float(N_VOLUNTEERS))
    if "total_classifications" in catalog.table:
        told = pd.to_numeric(catalog.table["total_classifications"], errors="coerce").to_numpy(float, na_value=np.nan)
        volunteers = np.where(np.isfinite(told) & (told > 0), told, volunteers)
    asked = asked_share(given)
    # who saw a star or an artifact was asked nothing more, though both tables state this question for everybody
    asked[:, _AFTER_ODD] *= 1 - np.nan_to_num(given[:, _ARTIFACT, None])
    return np.nan_to_num(to_conditional(conditional) * asked[:, QUESTION_OF] * volunteers[:, None])
