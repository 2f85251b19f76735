"""The one selection of the Frame page, and its open object: set by the image and by the diagrams, shown on all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

SAME_PX = 2.0  # an object found anew, in another search of the frame, lies as near as that
IMAGE = "the image"


def selected_rows(key: str) -> np.ndarray:
    """Selected rows of the catalogue of a task, int64, in order; none where they are of another."""
    of, rows, _ = st.session_state.get("sky-selected", ("", (), ""))
    return np.asarray(rows, dtype=np.int64) if of == key else np.empty(0, dtype=np.int64)


def select(key: str, rows: Sequence[int], where: str) -> None:
    """Select rows, in a place that is then the only one with an outline of its own."""
    st.session_state["sky-selected"] = (key, np.unique(np.asarray(rows, dtype=np.int64)).tolist(), where)
    for place in list(_epochs()):
        if place != where:
            _epochs()[place] += 1


def select_in_diagram(key: str, rows: Sequence[int], place: str) -> None:
    """Select what was outlined in a diagram; an empty outline clears only what was selected in the same one.

    A diagram whose outline is taken away, since the selection was made elsewhere, tells of an empty one itself.
    """
    where = st.session_state.get("sky-selected", ("", (), ""))[2]
    if len(rows) or where == place:
        select(key, rows, place)


def clear(key: str) -> None:
    """Forget the selection."""
    select(key, [], "")


def _epochs() -> dict[str, int]:
    return st.session_state.setdefault("sky-epochs", {})


def outline_number(place: str) -> int:
    """Changes when the selection was made elsewhere, so that a diagram's own outline goes."""
    return _epochs().setdefault(place, 0)


def opened_row(key: str, objects: pd.DataFrame) -> int | None:
    """Row of the open object; after another search of the same frame the object at its place."""
    of, row, x, y = st.session_state.get("sky-opened", ("", 0, 0.0, 0.0))
    if not of:
        return None
    if of == key and row < len(objects):
        return int(row)
    if len(objects) == 0:
        return None
    away = np.hypot(objects["x"].to_numpy() - x, objects["y"].to_numpy() - y)
    nearest = int(np.argmin(away))
    return nearest if away[nearest] <= SAME_PX else None


def open_object(key: str, objects: pd.DataFrame, row: int) -> None:
    """Open an object's card."""
    place = objects.iloc[row]
    st.session_state["sky-opened"] = (key, int(row), float(place["x"]), float(place["y"]))


def close() -> None:
    """Close the card."""
    st.session_state.pop("sky-opened", None)


def forget_other_frame(stamp: str) -> None:
    """Close the card and forget the selection where another frame is looked at."""
    if st.session_state.get("sky-frame") != stamp:
        st.session_state["sky-frame"] = stamp
        st.session_state.pop("sky-opened", None)
        st.session_state.pop("sky-selected", None)


def rows_of_points(state: object, n_objects: int) -> list[int]:
    """Row numbers in ``customdata`` of what was selected in a diagram, each once and in order.

    Examples
    --------
    >>> rows_of_points({"selection": {"points": [{"customdata": [4]}, {"customdata": 2}, {"customdata": [4]}]}}, 5)
    [2, 4]
    >>> rows_of_points({"selection": {"points": [{"customdata": [7]}, {"point_index": 0}]}}, 5), rows_of_points(None, 5)
    ([], [])
    """
    selection = state.get("selection") if hasattr(state, "get") else None
    points = (selection.get("points") if hasattr(selection, "get") else None) or []
    rows = set()
    for point in points:
        data = point.get("customdata")
        data = data[0] if isinstance(data, list | tuple) and data else data
        if isinstance(data, int | float) and 0 <= data < n_objects:
            rows.add(int(data))
    return sorted(rows)


def rows_in_box(objects: pd.DataFrame, box: object) -> list[int]:
    """Rows of the objects whose centre lies in a box (x0, y0, x1, y1), counted from the frame's corner.

    Examples
    --------
    >>> rows_in_box(pd.DataFrame({"x": [0.0, 9.0], "y": [0.0, 9.0]}), [0, 0, 5, 5]), rows_in_box(pd.DataFrame(), "no")
    ([0], [])
    """
    try:
        x0, y0, x1, y1 = (float(value) - 0.5 for value in box)
    except (TypeError, ValueError):
        return []
    x, y = objects["x"].to_numpy(), objects["y"].to_numpy()
    return np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)).tolist()
