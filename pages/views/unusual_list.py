"""The top of the ranking of unusual galaxies: pages of pictures, how far to trust it, and its selection on the map."""

from __future__ import annotations

import numpy as np
import streamlit as st

from galaxy_core import active_checks
from galaxy_core.tags import INTERESTING
from pages.views import frame, selection, words
from pages.views.readers import Galaxies
from pages.views.selection_gallery import OnOpen, pictures, where_of
from pages.views.unusual_answers import check_of

PER_PAGE = 48


def draw_list(
    galaxies: Galaxies, tag: str, scores: np.ndarray, rows: np.ndarray, interesting: np.ndarray, on_open: OnOpen
) -> None:
    """The top of the ranking without what is refused, or has the tag already, and its selection on the map."""
    order = ranking(scores, rows[~interesting] if tag == INTERESTING else rows)
    how = "the most unusual galaxies" if len(rows) == 0 else f"ranked by {words.count(len(rows), 'answer', 'answers')}"
    if tag != INTERESTING:
        how = f"without those that have the tag “{tag}” or were refused"
    st.markdown(f"**The top of the list**, {frame.plain(how)}")
    draw_check(galaxies, tag, interesting)
    with st.container(horizontal=True, vertical_alignment="bottom", key="unusual-select"):
        top = st.number_input("How many", 1, len(galaxies), min(100, len(galaxies)), key="unusual-top", width=140)
        listed = order[:top]

        def select() -> None:
            n = st.session_state["unusual-top"]  # typed just now, maybe
            named = f"most unusual, top {n:,} {how}"
            if tag != INTERESTING:
                taught = f"{interesting.sum():,} that are and {(~interesting).sum():,} that are not"
                named = f"most likely “{tag}”, top {n:,} by what {taught} taught"
            select_top(galaxies, order[:n], named)

        st.button(
            f"Select the top {len(listed):,} on the map",
            disabled=len(listed) == 0,
            icon=":material/select_all:",
            key="unusual-select-top",
            on_click=select,
        )
        n_pages = -(-len(listed) // PER_PAGE)
        page = st.pagination(n_pages, key=f"unusual-page-{tag}-{n_pages}") if n_pages > 1 else 1
    shown = listed[(page - 1) * PER_PAGE : page * PER_PAGE]
    if len(shown):
        st.caption(where_of((page - 1) * PER_PAGE, len(shown), len(listed)))
    pictures(galaxies, shown, [f"{scores[row]:.3f}" for row in shown], "unusual-list", on_open)


def draw_check(galaxies: Galaxies, tag: str, found: np.ndarray) -> None:
    """How well the ranking does on galaxies it did not learn from, where that can be told."""
    check = check_of(galaxies, tag)
    kind = "interesting" if tag == INTERESTING else "tagged"
    if check is not None:
        st.caption(
            f"Judged on {check.n_found:,} {kind} galaxies and {check.n_background:,} drawn at random, each ranked by"
            f" what the others taught: {words.share(check.auc, 1)} of such pairs are in the right order, 50 % by"
            " chance.",
            help="By cross-validation, a fifth of them left out at a time. Galaxies that this list itself brought up"
            " make it look better than it is; those at random that are of the kind make it look worse.",
        )
    elif tag != INTERESTING and found.any():
        st.caption(f"From {active_checks.LEAST_FOUND} tagged galaxies on it is said here how well the ranking does.")


def ranking(scores: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Rows by score, the highest first, without some."""
    kept = np.ones(len(scores), bool)
    kept[left_out] = False
    rows = np.flatnonzero(kept)
    return rows[np.argsort(-scores[rows], kind="stable")]


def select_top(galaxies: Galaxies, rows: np.ndarray, how: str) -> None:
    """Make the top of the ranking the selection."""
    selection.select_rows(galaxies, rows, how=how)
    st.session_state["unusual_said"] = ("done", f"{words.count(len(rows))} selected on the map.")
    st.rerun(["card", "below"])
