"""Which galaxy is open and which are selected: pure functions of clicks and outlines, and the session's memory."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.views.readers import Galaxies


def clicked_row(event: dict) -> int | None:
    """Row of the galaxy that was clicked; None for an outline, or where nothing was hit.

    Examples
    --------
    >>> clicked_row({"selection": {"points": [{"customdata": 11}], "box": [], "lasso": []}})
    11
    """
    selection = event.get("selection", {})
    points = selection.get("points", [])
    if selection.get("box") or selection.get("lasso") or not points:
        return None
    row = points[0].get("customdata")
    row = row[0] if isinstance(row, list | tuple) and row else row
    return None if row is None or row == [] else int(row)


def outlined_rows(event: dict, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Rows of all galaxies inside the boxes and lassos of an event; None where it has none.

    Every galaxy of the catalog is tested, also those of groups that are hidden in the legend.
    """
    selection = event.get("selection", {})
    outlines = [corners_of(box) for box in selection.get("box", [])]
    outlines += [(lasso["x"], lasso["y"]) for lasso in selection.get("lasso", [])]
    if not outlines:
        return None
    inside = np.zeros(len(x), dtype=bool)
    for px, py in outlines:
        inside |= inside_polygon(x, y, np.asarray(px, float), np.asarray(py, float))
    return np.flatnonzero(inside).astype(np.int32)


def corners_of(box: dict) -> tuple[list[float], list[float]]:
    """Corners of a box given by two opposite ones."""
    (x0, x1), (y0, y1) = box["x"][:2], box["y"][:2]
    return [x0, x1, x1, x0], [y0, y0, y1, y1]


def inside_polygon(x: np.ndarray, y: np.ndarray, px: np.ndarray, py: np.ndarray) -> np.ndarray:
    """Which points lie inside a closed polygon, by the even-odd rule.

    Parameters
    ----------
    x, y : array, shape (n,)
    px, py : array, shape (m,)
        Corners in order; the last is joined to the first.

    Returns
    -------
    bool array, shape (n,)
        False where a coordinate is not a number.
    """
    inside = np.zeros(len(x), dtype=bool)
    if len(px) < 3:
        return inside
    near = np.flatnonzero((x >= px.min()) & (x <= px.max()) & (y >= py.min()) & (y <= py.max()))
    xn, yn = np.asarray(x, float)[near], np.asarray(y, float)[near]
    crossings = np.zeros(len(near), dtype=bool)
    for x0, y0, x1, y1 in zip(px, py, np.roll(px, -1), np.roll(py, -1), strict=True):
        if y0 == y1:
            continue
        straddles = (y0 > yn) != (y1 > yn)
        crossings ^= straddles & (xn < x0 + (yn - y0) * (x1 - x0) / (y1 - y0))
    inside[near] = crossings
    return inside


def find_galaxies(ids: np.ndarray, text: str, limit: int = 50) -> list[str]:
    """Ids that match: the exact one, else those that begin with the text, then those that contain it.

    Examples
    --------
    >>> find_galaxies(np.array(["a12", "12", "123"], dtype=object), "12")
    ['12', '123', 'a12']
    """
    text = text.strip().lower()
    if not text:
        return []
    found = [galaxy_id for galaxy_id in ids if text in galaxy_id.lower()]
    found.sort(key=lambda galaxy_id: (galaxy_id.lower() != text, not galaxy_id.lower().startswith(text)))
    return found[:limit]


def open_row(galaxies: Galaxies) -> int | None:
    """Row of the open galaxy, None where none is open or this catalog does not have it."""
    if "galaxy" not in st.session_state and "galaxy" in st.query_params:
        st.session_state["galaxy"] = st.session_state["galaxy_of_link"] = st.query_params["galaxy"]
    return galaxies.row_of.get(st.session_state.get("galaxy"))


def lost_galaxy(galaxies: Galaxies) -> str | None:
    """The galaxy that a link asked for and this catalog does not have."""
    asked = st.session_state.get("galaxy_of_link")
    return asked if asked == st.session_state.get("galaxy") and asked not in galaxies.row_of else None


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
    st.query_params["galaxy"] = st.session_state["galaxy"]


def selected_rows(galaxies: Galaxies) -> np.ndarray | None:
    """Rows inside the last outline drawn on a map of this catalog, None without one."""
    rows = st.session_state.get("selected_rows", {}).get(galaxies.name)
    return None if rows is None or (len(rows) and rows[-1] >= len(galaxies)) else rows


def select_rows(galaxies: Galaxies, rows: np.ndarray | None) -> None:
    """Keep the rows inside an outline; None forgets them."""
    st.session_state.setdefault("selected_rows", {})[galaxies.name] = rows
