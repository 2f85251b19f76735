"""The steps that a selection is made of: what each says of itself, which galaxies it selects, what they come to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from galaxy_core.similarity import most_similar
from pages.views import outlines, readers, words
from pages.views.colours import Colouring
from pages.views.readers import Galaxies

MODES = {"new": "", "add": "and ", "subtract": "without ", "intersect": "and only "}
INVERT = "invert"  # the mode of a step that selects all others instead
MAX_LINKED_IDS = 60  # a longer list of ids does not fit into an address


@dataclass(frozen=True)
class Step:
    """One step of a selection; its galaxies are in the `Selection` it led to.

    Attributes
    ----------
    mode : str
        One of `MODES`, or `INVERT`.
    how : str
        What was selected, in words.
    ids : tuple of str or None
        The galaxies, where they were found elsewhere and are few enough for a link.
    projection, corners : str, tuple of int
        The outline and the map it was drawn on; empty for galaxies found elsewhere.
    filters : dict or None
        The filters they passed, as in `pages.views.filters`.
    like : tuple of str and int, or None
        Id of the galaxy that they are most like, and how many were asked for.
    hidden : dict or None
        The groups that were hidden on the map while the outline was drawn, as in `Hidden`: they are left out.
    """

    mode: str
    how: str
    ids: tuple[str, ...] | None = None
    projection: str = ""
    corners: tuple[int, ...] = ()
    filters: dict[str, list] | None = None
    like: tuple[str, int] | None = None
    hidden: dict[str, list[str]] | None = None


@dataclass(frozen=True)
class Hidden:
    """Galaxies that somebody took off a map by its legend.

    Attributes
    ----------
    rows : bool array, shape (n,)
    words : str
        What their groups are called.
    groups : dict of str to list of str
        The column of the colours and its groups, as in `pages.views.filters`; empty where a link cannot name them.
    """

    rows: np.ndarray
    words: str
    groups: dict[str, list[str]]


@dataclass(frozen=True)
class Selection:
    """The steps and the galaxies they come to, int32 rows in order."""

    steps: tuple[Step, ...]
    rows: np.ndarray

    @property
    def like(self) -> str | None:
        """Id of the galaxy that the selected ones are like; None where there is none, or more than one."""
        found: set[str] = set()
        for step in self.steps:
            if step.mode == INVERT:
                found.clear()
            elif step.like and step.mode != "subtract":
                found.add(step.like[0])
        return found.pop() if len(found) == 1 else None


def outline_step(galaxies: Galaxies, projection: str, kept: list[int], mode: str) -> tuple[Step, np.ndarray]:
    """The step of an outline, from its corners as `outlines.keep_corners` gives them; and the rows inside, sorted."""
    corners = outlines.corners_of(kept, galaxies.extent(projection))
    rows, x, y = galaxies.around(projection, outlines.box_of(*corners))
    rows = np.sort(rows[outlines.inside_polygon(x, y, *corners)])
    how = f"an outline of {len(kept) // 2} corners on {words.name_of(projection)}"
    return Step(mode, how, projection=projection, corners=tuple(kept)), rows.astype(np.int32)


def leave_out(galaxies: Galaxies, step: Step, rows: np.ndarray, hidden: Hidden) -> tuple[Step, np.ndarray]:
    """The step of an outline without the galaxies that were hidden there; and the rows that are left."""
    if not hidden.rows[rows].any():
        return step, rows
    how, left = f"{step.how}, without what was hidden there ({hidden.words})", rows[~hidden.rows[rows]]
    if not hidden.groups:  # only the galaxies themselves can be told
        return found_step(galaxies, left, step.mode, how)
    return replace(step, how=how, hidden=hidden.groups), left


def hidden_groups(colouring: Colouring, groups: list[str]) -> Hidden:
    """What a legend hides, from what filters call it."""
    called = dict(zip(colouring.keys, colouring.names, strict=True))
    names = ", ".join(called.get(group, group) for group in groups)
    return Hidden(colouring.is_among(groups), names, {colouring.key: groups} if colouring.key else {})


def found_step(galaxies: Galaxies, rows: np.ndarray, mode: str, how: str) -> tuple[Step, np.ndarray]:
    """The step of galaxies found elsewhere; and their rows, sorted."""
    rows = np.unique(np.asarray(rows, dtype=np.int32))
    few = len(rows) <= MAX_LINKED_IDS
    return Step(mode, how, ids=tuple(str(galaxies.ids[row]) for row in rows) if few else None), rows


def like_step(galaxies: Galaxies, galaxy_id: str, n: int, mode: str) -> tuple[Step, np.ndarray]:
    """The step of the ``n`` galaxies most like one; and their rows, sorted. Raises GalaxyError without an embedding."""
    rows, _ = most_similar(readers.vectors(galaxies), galaxies.row_of[galaxy_id], n)
    return Step(mode, f"the {len(rows):,} most like {galaxy_id}", like=(galaxy_id, n)), np.sort(rows).astype(np.int32)


def invert_step() -> tuple[Step, np.ndarray]:
    """The step that selects all others instead; it has no galaxies of its own."""
    return Step(INVERT, "then all others instead"), np.zeros(0, dtype=np.int32)


def after(before: Selection | None, step: Step, rows: np.ndarray, n_galaxies: int) -> Selection:
    """The selection after one more step, which selects ``rows``."""
    if step.mode == INVERT:
        others = np.ones(n_galaxies, dtype=bool)
        others[before.rows if before else []] = False
        rows = np.flatnonzero(others).astype(np.int32)
    else:
        rows = outlines.combine(before.rows if before else None, rows, step.mode)
    kept = before.steps if before and step.mode != "new" else ()
    return Selection((*kept, step), rows)
