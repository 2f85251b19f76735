"""Presentation mode: nothing on the screen but maps and galaxies, large type, and keys to go from one to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.views import frame, selection
from pages.views.readers import Galaxies

if TYPE_CHECKING:
    import plotly.graph_objects as go

STEPS = {"ArrowRight": 1, "ArrowLeft": -1}
MAP_HELP = """For a meeting: no menus, large type. Click the map, then arrow keys open the next galaxy: of the
selection where there is one, else of the catalog."""
STYLE = Path(__file__).with_name("presenting.css")


def is_on() -> bool:
    """Whether the visitor presents now."""
    return bool(st.session_state.get("present"))


def height(pixels: int) -> int:
    """Height of the maps: more of the screen where there is nothing else on it."""
    return round(1.15 * pixels) if is_on() else pixels


def for_the_room(figure: go.Figure) -> go.Figure:
    """The same figure, while somebody presents with type as large as the rest of the page: Plotly's is in pixels."""
    if is_on():
        figure.update_layout(font_size=16, title_font_size=20)
        figure.update_xaxes(tickfont_size=15, title_font_size=16)
        figure.update_yaxes(tickfont_size=15, title_font_size=16)
        figure.update_annotations(font_size=15)
    return figure


def draw_switch(how: str = MAP_HELP) -> None:
    """The way into presentation mode in the sidebar, and out of it at the top of the page."""
    with st.sidebar:
        st.toggle(
            "Present",
            key="present",
            bind="query-params",
            help=how,
        )
    if is_on():
        frame.put_style("stage", STYLE, f":root {{ --atlas-stage: {'#000' if frame.is_dark() else '#fff'}; }}")
        st.button(
            "Leave the presentation", icon=":material/close_fullscreen:", on_click=leave, key="leave-presentation"
        )


def leave() -> None:
    """Back to the page with everything."""
    st.session_state["present"] = False


def step(galaxies: Galaxies, by: int) -> None:
    """Open the next or the previous galaxy of the selection, or of those that pass the filters."""
    rows = selection.selected_rows(galaxies)
    if rows is None or len(rows) == 0:
        kept = st.session_state.get("kept", {}).get(galaxies.name)
        rows = np.arange(len(galaxies)) if kept is None else np.flatnonzero(kept)
    if len(rows):
        selection.open_galaxy(galaxies, next_row(rows, selection.open_row(galaxies), by))


def next_row(rows: np.ndarray, row: int | None, by: int) -> int:
    """The row after (or before) an open one among sorted rows, round and round.

    Examples
    --------
    >>> rows = np.array([2, 5, 9])
    >>> next_row(rows, 5, 1), next_row(rows, 9, 1), next_row(rows, 6, -1), next_row(rows, None, -1)
    (9, 2, 5, 9)
    """
    if row is None:
        return int(rows[0 if by > 0 else -1])
    place = int(np.searchsorted(rows, row, side="right" if by > 0 else "left"))
    return int(rows[(place if by > 0 else place - 1) % len(rows)])
