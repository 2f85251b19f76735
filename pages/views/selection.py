"""Which galaxy is open and which are selected: the session's memory of them, by which every page shows the same.

A selection is a list of steps, each an outline on a map or a set of galaxies found elsewhere, with what it did to the
steps before. The steps are what a link holds and what an export says of how the selection was made.
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.views import outlines, selection_history, selection_link
from pages.views.page_address import PANELS, changed_parts, put_into_address
from pages.views.readers import Galaxies
from pages.views.selection_steps import (
    MODES,
    Hidden,
    Selection,
    Step,
    after,
    found_step,
    invert_step,
    leave_out,
    outline_step,
)


def select_outline(
    galaxies: Galaxies,
    projection: str,
    x: list,
    y: list,
    mode: str = "new",
    hidden: Hidden | None = None,
) -> None:
    """Select what lies inside an outline; every galaxy of the catalog is tested, drawn or not.

    Those that somebody took off the map by its legend, ``hidden``, are left out.
    """
    if projection not in galaxies.projection_names or mode not in MODES or not 3 <= len(x) == len(y):
        return
    extent = galaxies.extent(projection)
    step, rows = outline_step(galaxies, projection, outlines.keep_corners(x, y, extent), mode)
    if hidden is not None:
        step, rows = leave_out(galaxies, step, rows, hidden)
    add_step(galaxies, step, rows)


def select_rows(galaxies: Galaxies, rows: np.ndarray | None, mode: str = "new", how: str = "galaxies picked") -> None:
    """Select some galaxies; ``how`` says in words which they are. None forgets the selection."""
    if rows is not None:
        add_step(galaxies, *found_step(galaxies, rows, mode, how))
    elif selected(galaxies) is not None:
        remember(galaxies)
        _keep(galaxies, None)


def invert(galaxies: Galaxies) -> None:
    """Select all others instead of the selected galaxies."""
    add_step(galaxies, *invert_step())


def add_step(galaxies: Galaxies, step: Step, rows: np.ndarray) -> None:
    """Let a step, which selects ``rows``, do what its mode says to the selection."""
    remember(galaxies)
    _keep(galaxies, after(selected(galaxies), step, rows, len(galaxies)))


def remember(galaxies: Galaxies) -> None:
    """Before the selection or the filters are changed: keep what they are, for undo."""
    selection_history.remember(galaxies, selected(galaxies))


def travel(galaxies: Galaxies, back: bool) -> bool:
    """Undo the last step of selecting or filtering, or redo it; False where there is none."""
    then = selection_history.travel(galaxies, selected(galaxies), back)
    if then is not None:
        st.session_state.setdefault("filters", {})[galaxies.name] = then[1]
        _keep(galaxies, then[0])
    return then is not None


def _keep(galaxies: Galaxies, found: Selection | None) -> None:
    if found is None:
        _memory().pop(galaxies.name, None)
    else:
        _memory()[galaxies.name] = found
    _put_link(galaxies, found)


def _memory() -> dict[str, Selection]:
    return st.session_state.setdefault("selections", {})


def selected(galaxies: Galaxies) -> Selection | None:
    """The selection in this catalog, taken from the link the first time."""
    stamps = st.session_state.setdefault("selection_stamps", {})
    if stamps.setdefault(galaxies.name, galaxies.stamp) != galaxies.stamp:
        # made again meanwhile: rows are other galaxies now, and those that a link names are looked up anew
        stamps[galaxies.name] = galaxies.stamp
        for kind in ("selections", "selection_past", "selection_future", "kept", "filter_words"):
            st.session_state.get(kind, {}).pop(galaxies.name, None)
        st.session_state.pop("selection_link_read", None)
    found = _memory().get(galaxies.name)
    asked = st.query_params.get("selected")
    if found is None and asked and st.session_state.get("selection_link_read") != asked:
        st.session_state["selection_link_read"] = asked
        found = selection_link.read(galaxies, asked)
        if found is not None:
            _memory()[galaxies.name] = found
    return found


def selected_rows(galaxies: Galaxies) -> np.ndarray | None:
    """Rows of the selected galaxies that pass the filters, int32 in order; None where nothing was selected."""
    found = selected(galaxies)
    if found is None:
        return None
    kept = st.session_state.get("kept", {}).get(galaxies.name)
    return found.rows if kept is None else found.rows[kept[found.rows]]


def describe(galaxies: Galaxies) -> str:
    """How the selection was made, in words."""
    found = selected(galaxies)
    if found is None:
        return "nothing selected"
    text = "; ".join(MODES.get(step.mode, "") + step.how for step in found.steps)
    filters = st.session_state.get("filter_words", {}).get(galaxies.name)
    return f"{text}; filtered by {filters}" if filters else text


def outlines_drawn(galaxies: Galaxies) -> list[dict]:
    """The outlines of the selection, in the units of the maps they were drawn on."""
    found, drawn = selected(galaxies), []
    for step in found.steps if found else ():
        if step.corners:
            x, y = outlines.corners_of(list(step.corners), galaxies.extent(step.projection))
            drawn.append({"map": step.projection, "x": x.round(5).tolist(), "y": y.round(5).tolist()})
    return drawn


def n_hidden(galaxies: Galaxies) -> int:
    """How many selected galaxies do not pass the filters."""
    found = selected(galaxies)
    return 0 if found is None else len(found.rows) - len(selected_rows(galaxies))


def write_link(galaxies: Galaxies) -> None:
    """Put the selection into the address, or take it out where it is too long for one."""
    _put_link(galaxies, selected(galaxies))


def _put_link(galaxies: Galaxies, found: Selection | None) -> None:
    letters = selection_link.letters_of(galaxies, found.steps) if found else None
    st.session_state["selection_link_read"] = letters
    put_into_address("selected", letters)


def is_linked(galaxies: Galaxies) -> bool:
    """Whether the address holds the whole selection."""
    return selected(galaxies) is None or "selected" in st.query_params


def follow_address(galaxies: Galaxies) -> None:
    """At the start of a page: show what the browser's buttons for back and forward put into the address."""
    state = st.session_state
    changed = changed_parts((state.get("page"), galaxies.name))
    if "galaxy" in changed:
        for key in ("galaxy", "galaxy_of_link"):
            state.pop(key, None)
    if "selected" in changed:
        _memory().pop(galaxies.name, None)
        state.pop("selection_link_read", None)
    if "filters" in changed:
        state.get("filters", {}).pop(galaxies.name, None)
    for panel in PANELS:
        if panel in changed:
            state.pop(panel, None)
    if (row := open_row(galaxies)) is not None:  # opened on another page, or in a catalog that has it, too
        put_into_address("galaxy", str(galaxies.ids[row]))


def open_row(galaxies: Galaxies) -> int | None:
    """Row of the open galaxy, None where none is open or this catalog does not have it."""
    if "galaxy" not in st.session_state and "galaxy" in st.query_params:
        asked = _id_of(galaxies, st.query_params["galaxy"])
        st.session_state["galaxy"] = st.session_state["galaxy_of_link"] = asked
    asked = st.session_state.get("galaxy")
    return None if asked is None else galaxies.row_of.get(asked)


def _id_of(galaxies: Galaxies, asked: str) -> str:
    """The id that a link asks for, which may have been typed in other capitals; as asked where there is none."""
    from pages.views import search  # which needs this module

    found = [] if asked in galaxies.row_of else search.find_ids(galaxies, asked)[:1]  # the same one comes first
    return next((name for row in found if (name := str(galaxies.ids[row])).casefold() == asked.casefold()), asked)


def lost_galaxy(galaxies: Galaxies) -> str | None:
    """The galaxy that a link asked for and this catalog does not have."""
    asked = st.session_state.get("galaxy_of_link")
    if asked is None or asked != st.session_state.get("galaxy"):
        return None
    return None if asked in galaxies.row_of else asked


def open_galaxy(galaxies: Galaxies, row: int) -> None:
    """Open a galaxy on every page, and in the address."""
    st.session_state["galaxy"] = str(galaxies.ids[row])
    if galaxies.are_many:
        galaxies.row_of.remember(st.session_state["galaxy"], row)
    put_into_address("galaxy", st.session_state["galaxy"])
