"""Which galaxy is open and which are selected: the session's memory, and the part of it that a link carries.

A selection is a list of steps, each an outline on a map or a set of galaxies found elsewhere, with what it did to the
steps before. The steps are what a link holds and what an export says of how the selection was made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.views import outlines, words
from pages.views.readers import Galaxies, rows_of

MODES = {"new": "", "add": "and ", "subtract": "without ", "intersect": "and only "}
OF_VIEW = ("view", "hidden", "view2", "hidden2")  # parts of the address that the maps write: galaxy_map/component.js
OF_CATALOG = ("galaxy", "selected", "filters", *OF_VIEW)  # parts of the address
MAX_LINKED_IDS = 60  # a longer list of ids does not fit into an address


@dataclass(frozen=True)
class Step:
    """One step of a selection.

    Attributes
    ----------
    mode : str
        One of `MODES`.
    how : str
        What was selected, in words.
    projection, corners : str, tuple of int
        The outline and the map it was drawn on; empty for galaxies found elsewhere.
    rows : int32 array
        Galaxies found elsewhere, inside the outline or through the filters.
    filters : dict or None
        The filters they passed, as in `pages.views.filters`.
    """

    mode: str
    how: str
    rows: np.ndarray
    projection: str = ""
    corners: tuple[int, ...] = ()
    filters: dict[str, list] | None = None


@dataclass(frozen=True)
class Selection:
    """The steps and the galaxies they come to, int32 rows in order."""

    steps: tuple[Step, ...]
    rows: np.ndarray


def select_outline(
    galaxies: Galaxies,
    projection: str,
    x: list,
    y: list,
    mode: str = "new",
    hidden: tuple[np.ndarray, str] | None = None,
) -> None:
    """Select what lies inside an outline; every galaxy of the catalog is tested, drawn or not.

    Those that somebody took off the map by its legend are left out: ``hidden`` says which they are, bool (n,), and what
    they are called. An outline that holds some of them no longer says what is selected, so it is not kept as one.
    """
    if projection not in galaxies.projection_names or mode not in MODES or not 3 <= len(x) == len(y):
        return
    extent = galaxies.extent(projection)
    step = _outline_step(galaxies, projection, outlines.keep_corners(x, y, extent), mode)
    if hidden is not None and hidden[0][step.rows].any():
        shown = step.rows[~hidden[0][step.rows]]
        step = Step(mode, f"{step.how}, without what was hidden there ({hidden[1]})", shown)
    add_step(galaxies, step)


def _outline_step(galaxies: Galaxies, projection: str, kept: list[int], mode: str) -> Step:
    corners = outlines.corners_of(kept, galaxies.extent(projection))
    rows, x, y = galaxies.around(projection, outlines.box_of(*corners))
    rows = np.sort(rows[outlines.inside_polygon(x, y, *corners)])
    how = f"an outline of {len(kept) // 2} corners on {words.name_of(projection)}"
    return Step(mode, how, rows.astype(np.int32), projection, tuple(kept))


def select_rows(galaxies: Galaxies, rows: np.ndarray | None, mode: str = "new", how: str = "galaxies picked") -> None:
    """Select some galaxies; ``how`` says in words which they are. None forgets the selection."""
    if rows is None:
        _memory().pop(galaxies.name, None)
        put_into_address("selected", None)
        return
    add_step(galaxies, Step(mode, how, np.unique(np.asarray(rows, dtype=np.int32))))


def add_step(galaxies: Galaxies, step: Step) -> None:
    """Let a step do what its mode says to the selection."""
    before = None if step.mode == "new" else _selection(galaxies)
    steps = (*before.steps, step) if before else (step,)
    rows = outlines.combine(before.rows if before else None, step.rows, step.mode)
    _memory()[galaxies.name] = Selection(steps, rows)
    write_link(galaxies)


def _memory() -> dict[str, Selection]:
    return st.session_state.setdefault("selections", {})


def _selection(galaxies: Galaxies) -> Selection | None:
    """The selection in this catalog, taken from the link the first time."""
    stamps = st.session_state.setdefault("selection_stamps", {})
    if stamps.setdefault(galaxies.name, galaxies.stamp) != galaxies.stamp:
        # made again meanwhile: rows are other galaxies now, and those that a link names are looked up anew
        stamps[galaxies.name] = galaxies.stamp
        for kind in ("selections", "kept", "filter_words"):
            st.session_state.get(kind, {}).pop(galaxies.name, None)
        st.session_state.pop("selection_link_read", None)
    found = _memory().get(galaxies.name)
    asked = st.query_params.get("selected")
    if found is None and asked and st.session_state.get("selection_link_read") != asked:
        st.session_state["selection_link_read"] = asked
        found = read_link(galaxies, asked)
        if found is not None:
            _memory()[galaxies.name] = found
    return found


def selected_rows(galaxies: Galaxies) -> np.ndarray | None:
    """Rows of the selected galaxies that pass the filters, int32 in order; None where nothing was selected."""
    found = _selection(galaxies)
    if found is None:
        return None
    kept = st.session_state.get("kept", {}).get(galaxies.name)
    return found.rows if kept is None else found.rows[kept[found.rows]]


def describe(galaxies: Galaxies) -> str:
    """How the selection was made, in words."""
    found = _selection(galaxies)
    if found is None:
        return "nothing selected"
    text = "; ".join(MODES[step.mode] + step.how for step in found.steps)
    filters = st.session_state.get("filter_words", {}).get(galaxies.name)
    return f"{text}; filtered by {filters}" if filters else text


def outlines_drawn(galaxies: Galaxies) -> list[dict]:
    """The outlines of the selection, in the units of the maps they were drawn on."""
    found, drawn = _selection(galaxies), []
    for step in found.steps if found else ():
        if step.corners:
            x, y = outlines.corners_of(list(step.corners), galaxies.extent(step.projection))
            drawn.append({"map": step.projection, "x": x.round(5).tolist(), "y": y.round(5).tolist()})
    return drawn


def write_link(galaxies: Galaxies) -> None:
    """Put the selection into the address, or take it out where it is too long for one."""
    found, parts = _selection(galaxies), []
    for step in found.steps if found else ():
        if step.corners:
            mark = outlines.mark_of(galaxies.extent(step.projection))
            parts.append([step.mode[0], step.projection, list(step.corners), mark])
        elif step.filters:
            parts.append([step.mode[0], "", step.filters])
        elif len(step.rows) <= MAX_LINKED_IDS:
            parts.append([step.mode[0], step.how, [str(galaxies.ids[row]) for row in step.rows]])
        else:
            parts = []
            break
    letters = outlines.to_link(parts) if parts else None
    st.session_state["selection_link_read"] = letters
    put_into_address("selected", letters)


def follow_address(galaxies: Galaxies) -> None:
    """At the start of a page: show what the browser's buttons for back and forward put into the address.

    Everything else that changes the address on this page does so by `put_into_address`, which remembers what it left.
    """
    state, here = st.session_state, (st.session_state.get("page"), galaxies.name)
    now = {name: st.query_params.get(name) for name in (*OF_CATALOG, "panel")}
    left = state.setdefault("address_left", {})
    changed = [name for name in now if now[name] != left.get(name)] if state.get("address_of") == here else []
    if "galaxy" in changed:
        for key in ("galaxy", "galaxy_of_link"):
            state.pop(key, None)
    if "selected" in changed:
        _memory().pop(galaxies.name, None)
        state.pop("selection_link_read", None)
    if "filters" in changed:
        state.get("filters", {}).pop(galaxies.name, None)
    if "panel" in changed:
        state.pop("panel", None)
    state["address_of"] = here
    left.update(now)
    if (row := open_row(galaxies)) is not None:  # opened on another page, or in a catalog that has it, too
        put_into_address("galaxy", str(galaxies.ids[row]))


def put_into_address(parameter: str, value: str | None) -> None:
    """Set a part of the address, or drop it; nothing is sent where it is so already."""
    st.session_state.setdefault("address_left", {})[parameter] = value
    if value is None:
        st.query_params.pop(parameter, None)
    elif st.query_params.get(parameter) != value:
        st.query_params[parameter] = value


def forget_link() -> None:
    """Take out of the address what belongs to the catalog that was just left."""
    for parameter in OF_CATALOG:
        put_into_address(parameter, None)
    st.session_state.pop("link_problems", None)


def is_linked(galaxies: Galaxies) -> bool:
    """Whether the address holds the whole selection."""
    return _selection(galaxies) is None or "selected" in st.query_params


def read_link(galaxies: Galaxies, letters: str) -> Selection | None:
    """The selection a link holds; None, with a sentence in `link_problems`, where it makes no sense here."""
    from pages.views import filters  # which needs this module

    modes = {mode[0]: mode for mode in MODES}
    steps, lost, rows = [], 0, None
    try:
        for letter, name, values, *mark in outlines.from_link(letters):
            if isinstance(values, dict):
                fitting = filters.fitting(galaxies, {key: list(limits) for key, limits in values.items()})
                if len(fitting) < len(values):
                    continue  # which has been told; fewer filters would select more
                step = filters.step_of(galaxies, fitting, modes[letter])
            elif all(isinstance(value, str) for value in values):
                known = rows_of(galaxies, values)
                found = [known[value] for value in values if value in known]
                lost += len(values) - len(found)
                step = Step(modes[letter], str(name)[:200], np.array(sorted(set(found)), dtype=np.int32))
            elif name not in galaxies.projection_names:
                note(f"The link selects galaxies on a map “{name}” that this catalog does not have.")
                continue
            else:
                if mark and mark[0] != outlines.mark_of(galaxies.extent(name)):  # older links have none
                    note(
                        f"The map {words.name_of(name)} was made again since this outline was drawn on it: other"
                        " galaxies may lie inside now."
                    )
                corners = [int(np.clip(value, 0, 65535)) for value in values]
                step = _outline_step(galaxies, name, corners[: len(corners) // 2 * 2], modes[letter])
            steps.append(step)
            rows = outlines.combine(rows, step.rows, step.mode)
    except (ValueError, TypeError, KeyError):
        note("The selection of this link cannot be read; it was probably cut short when it was copied.")
        return None
    if lost:
        note(f"{words.count(lost)} of the link's selection are not in this catalog.")
    return Selection(tuple(steps), rows) if steps else None


def note(sentence: str) -> None:
    """Keep a sentence about this link for `link_problems`."""
    problems = st.session_state.setdefault("link_problems", [])
    if sentence not in problems:
        problems.append(sentence)


def link_problems() -> list[str]:
    """What a link asked for and could not be shown."""
    return st.session_state.get("link_problems", [])


def open_row(galaxies: Galaxies) -> int | None:
    """Row of the open galaxy, None where none is open or this catalog does not have it."""
    if "galaxy" not in st.session_state and "galaxy" in st.query_params:
        st.session_state["galaxy"] = st.session_state["galaxy_of_link"] = st.query_params["galaxy"]
    asked = st.session_state.get("galaxy")
    return None if asked is None else galaxies.row_of.get(asked)


def lost_galaxy(galaxies: Galaxies) -> str | None:
    """The galaxy that a link asked for and this catalog does not have."""
    asked = st.session_state.get("galaxy_of_link")
    if asked is None or asked != st.session_state.get("galaxy"):
        return None
    return None if asked in galaxies.row_of else asked


def address() -> dict[str, str]:
    """What a link to another page of this app carries along: the catalog and the open galaxy."""
    state, link = st.session_state, st.query_params
    catalog = state.get("catalog") or link.get("catalog") or state.get("catalog_before")
    return ({"catalog": catalog} if catalog else {}) | open_address()


def open_address() -> dict[str, str]:
    """The open galaxy as part of an address; `st.switch_page` takes no more, the catalog is bound to its widget."""
    galaxy = st.session_state.get("galaxy") or st.query_params.get("galaxy")
    return {"galaxy": galaxy} if galaxy else {}


def open_galaxy(galaxies: Galaxies, row: int) -> None:
    """Open a galaxy on every page, and in the address."""
    st.session_state["galaxy"] = str(galaxies.ids[row])
    if galaxies.are_many:
        galaxies.row_of.remember(st.session_state["galaxy"], row)
    put_into_address("galaxy", st.session_state["galaxy"])
