"""The selected galaxies: how many, pictures of them, what sets them apart, what they are, and a table to take away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st

from galaxy_core import exports
from pages.views import cluster_labels, filters, frame, most_like, selection, tagging, words
from pages.views.downloads import download_button
from pages.views.readers import Galaxies
from pages.views.selection_differences import draw_composition, draw_differences
from pages.views.selection_gallery import draw_gallery

PICTURES, DIFFERENT, COMPOSITION, TAGS = "Pictures", "Differences", "Composition", "Tags"


def draw_region(
    galaxies: Galaxies,
    on_open: Callable[[Galaxies, int], None],
    on_tag: Callable[[Galaxies], None] | None = None,
    on_filter: Callable[[], None] | None = None,
) -> None:
    """Everything about the selected galaxies; how to select some, where none are.

    Parameters
    ----------
    on_open : callable
        Called with ``galaxies`` and the row of a picture that was clicked.
    on_tag : callable, optional
        Called with ``galaxies`` after the selection was tagged.
    on_filter : callable, optional
        Called after the filters were dropped, which is offered where they hide selected galaxies.
    """
    rows = selection.selected_rows(galaxies)
    if rows is None:
        st.caption(
            "Draw a box or a lasso on the map, or select what passes the filters: pictures, differences, a table."
        )
        return
    draw_header(galaxies, rows)
    n_hidden = selection.n_hidden(galaxies)
    if n_hidden:
        draw_hidden(galaxies, n_hidden, on_filter)
    if len(rows) == 0:
        if not n_hidden:
            st.caption("No galaxy is selected. Draw a larger outline, or add another one to it.")
        return
    # Only the part that is looked at is computed.
    section = st.segmented_control(
        "Show",
        [PICTURES, DIFFERENT, COMPOSITION, TAGS],
        default=PICTURES,
        required=True,
        key="selection-section",
        label_visibility="collapsed",
    )
    with frame.panel():
        if section == PICTURES:
            draw_gallery(galaxies, rows, on_open)
        elif section == DIFFERENT:
            draw_differences(galaxies, rows)
        elif section == COMPOSITION:
            draw_composition(galaxies, rows)
        else:
            tagging.draw_selection_tags(galaxies, rows, on_tag)


def draw_header(galaxies: Galaxies, rows: np.ndarray) -> None:
    """Count and share, how they were selected, the exports, and the way back."""
    how, like = selection.describe(galaxies), most_like.reference_of(galaxies)
    with st.container(horizontal=True, vertical_alignment="center", key="selection-header"):
        st.markdown(
            f"**{words.count(len(rows))}**, {words.share(len(rows), len(galaxies))} of the catalog", width="content"
        )
        with st.popover("Export", icon=":material/download:", disabled=len(rows) == 0):
            st.caption(
                "Ids, coordinates, every column of the catalog, clusters, anomaly, trust and tags, with where they"
                " come from: catalog, model, checksum of the manifest, and how they were selected."
            )
            for fmt, (label, ending, media_type) in exports.FORMATS.items():
                download_button(
                    label,
                    partial(export_of, galaxies, rows, how, fmt, like),
                    f"{galaxies.name}-selection.{ending}",
                    media_type,
                    key=f"export-{fmt}",
                    width="stretch",
                )
        st.button(
            "Invert",
            icon=":material/flip:",
            on_click=invert,
            args=(galaxies,),
            key="invert-selection",
            help="Select all other galaxies of the catalog instead. Undo is above the map.",
        )
        st.button("Clear", icon=":material/close:", on_click=clear, args=(galaxies,), key="clear-selection")
    if not selection.is_linked(galaxies):
        how += "; too long for a link: tag these galaxies to share them"
    st.caption(frame.plain(how))


def draw_hidden(galaxies: Galaxies, n: int, on_filter: Callable[[], None] | None) -> None:
    """How many selected galaxies the filters hide, and a way to see them."""
    with st.container(horizontal=True, vertical_alignment="center", key="selection-hidden"):
        st.caption(f"{n:,} more {'is' if n == 1 else 'are'} selected, and hidden by the filters.")

        def drop() -> None:
            selection.remember(galaxies)
            filters.drop_all(galaxies)
            on_filter()

        if on_filter is not None:
            st.button("Drop the filters", icon=":material/filter_alt_off:", on_click=drop, key="drop-filters")


def export_of(galaxies: Galaxies, rows: np.ndarray, how: str, fmt: str, like: int | None = None) -> bytes:
    """The file of an export; made when somebody clicks, outside of any page.

    Parameters
    ----------
    rows : int array, shape (n_selected,)
    how : str
        How they were selected.
    fmt : str
        One of `galaxy_core.exports.FORMATS`.
    like : int, optional
        Row of the galaxy they were selected to be like: the similarity to it is a column, and orders the table.
    """
    similarity = None
    if like is not None and most_like.has_embedding(galaxies):
        similarity = most_like.similarities_of(galaxies, like, rows)
        order = np.argsort(-similarity, kind="stable")
        rows, similarity = rows[order], similarity[order]
    table = exports.selection_table(
        galaxies.catalog,
        galaxies.clusters,
        rows,
        anomaly=galaxies.anomaly,
        trust={name: galaxies.trust(name) for name in galaxies.projection_names},
        tags=tagging.tags_of_export(galaxies) if tagging.tag_names(galaxies) else None,
        similarity=similarity,
    )
    names = cluster_labels.named_clusters(galaxies)
    known = exports.provenance(galaxies.root, galaxies.manifest, len(rows), how, cluster_names=names)
    return exports.export_selection(table, known, fmt)


def invert(galaxies: Galaxies) -> None:
    """Select all others; what hangs on the selection is drawn again."""
    selection.invert(galaxies)
    st.rerun(["card", "below"])


def clear(galaxies: Galaxies) -> None:
    """Forget the selection; the map, the panel and what hangs on them are drawn again."""
    selection.select_rows(galaxies, None)
    st.rerun(["card", "below"])
