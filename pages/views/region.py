"""The galaxies inside an outline on the map: how many, what they are, pictures of them, and a table to take away."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from pages.views import figures, selection, words
from pages.views.colouring import colour_by, colour_choices
from pages.views.gallery import gallery
from pages.views.readers import Galaxies

N_PICTURES = 36
MAX_GROUPS = 20


def draw_region(galaxies: Galaxies, on_open: Callable[[Galaxies, int], None]) -> None:
    """Everything about the outlined galaxies; how to outline some, where none are."""
    rows = selection.selected_rows(galaxies)
    st.subheader("Selection")
    if rows is None:
        st.caption("Draw a box or a lasso on the map (the tools are above it, at its right) to see what lies inside.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{words.count(len(rows))}**, {words.share(len(rows), len(galaxies))} of the catalog")
        st.download_button(
            "Download as CSV",
            data=lambda: csv_of(galaxies, rows),
            file_name=f"{galaxies.name}-selection.csv",
            mime="text/csv",
            icon=":material/download:",
            disabled=len(rows) == 0,
            on_click="ignore",
            help="Their ids, coordinates, classes, votes and clusters.",
        )
        st.button("Clear", icon=":material/close:", on_click=clear, args=(galaxies,))
    if len(rows) == 0:
        st.caption("No galaxy lies inside the outline.")
        return
    pictures, composition = st.columns([2, 1], gap="medium")
    with pictures:
        chosen = spread(rows, N_PICTURES)
        what = (
            "All of them" if len(chosen) == len(rows) else f"{len(chosen)} of them, picked evenly through the catalog"
        )
        st.caption(what)
        gallery(galaxies, chosen.tolist(), "region", on_open=on_open)
    with composition:
        draw_composition(galaxies, rows)


def draw_composition(galaxies: Galaxies, rows: np.ndarray) -> None:
    """Shares of the classes, or of the clusters of the first clustering, inside and overall."""
    key = next((k for k in colour_choices(galaxies) if k == "class" or k.endswith("_label")), "split")
    colouring = colour_by(galaxies, key)
    if 0 < len(colouring.names) <= MAX_GROUPS:
        figure = figures.composition_figure(colouring.codes, colouring.names, rows, f"Selection by {colouring.title}")
        st.plotly_chart(figure, key="composition", config=figures.chart_config(f"{galaxies.name}-composition"))


def spread(rows: np.ndarray, n: int) -> np.ndarray:
    """At most ``n`` of the rows, at equal steps.

    Examples
    --------
    >>> spread(np.arange(10), 4).tolist(), spread(np.arange(3), 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    if len(rows) <= n:
        return rows
    return rows[np.linspace(0, len(rows) - 1, n).round().astype(int)]


def csv_of(galaxies: Galaxies, rows: np.ndarray) -> bytes:
    """The rows of the catalog with their clusters, as CSV."""
    table = galaxies.catalog.iloc[rows]
    columns = [column for column in galaxies.clusters.columns if column.endswith(("_label", "_membership"))]
    return table.join(galaxies.clusters[columns]).to_csv(index=False).encode("utf-8")


def clear(galaxies: Galaxies) -> None:
    """Forget the outline; a new key makes the chart drop it too."""
    selection.select_rows(galaxies, None)
    st.session_state["n_cleared"] = st.session_state.get("n_cleared", 0) + 1
    st.rerun(["map", "region"])
