"""The button above a map that opens the filters: what to filter by, limits or groups, and how many galaxies pass."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import streamlit as st

from pages.views import editions, frame, selection, words
from pages.views.colouring import colour_choices
from pages.views.filters import (
    DIGITS,
    beyond_floats,
    change,
    drop_all,
    everything_of,
    filters_of,
    group_names,
    is_whole,
    keep_of,
    passes,
    step_of,
)
from pages.views.readers import Galaxies
from pages.views.selection_steps import MODES

VERBS = {"new": "Select", "add": "Add", "subtract": "Subtract", "intersect": "Keep only"}


def draw_filters(galaxies: Galaxies, on_change) -> None:
    """A button that opens the filters; ``on_change`` is called in the callback of each change."""
    asked, choices = filters_of(galaxies), colour_choices(galaxies)
    keep = keep_of(galaxies)
    label = f"Filters ({len(asked)})" if asked else "Filters"
    with st.popover(label, icon=":material/filter_alt:", width="stretch"):
        widget = f"filter-new-{galaxies.name}-{len(asked)}"  # empty again after each choice

        def added() -> None:
            if st.session_state[widget] is not None:
                change(galaxies, st.session_state[widget], everything_of(galaxies, st.session_state[widget]))
                on_change()

        st.selectbox(
            "Filter by",
            [key for key in choices if key not in asked],
            index=None,
            format_func=choices.get,
            key=widget,
            placeholder="add a column",
            on_change=added,
        )
        for key in list(asked):
            _draw_filter(galaxies, key, choices.get(key, key), on_change)
        if keep is None:
            st.caption("Every galaxy is shown. Filters hide the others, here and in every selection.")
        else:
            st.caption(
                f"{int(keep.sum()):,} of {words.count(len(galaxies))} pass"
                + (" all filters." if len(asked) > 1 else " the filter.")
            )
            _draw_select(galaxies, keep, on_change)


def _draw_select(galaxies: Galaxies, keep: np.ndarray, on_change) -> None:
    """A button that selects the galaxies that pass; and what it does to a selection, where there is one."""
    mode, box, n_pass = "new", f"filter-mode-{galaxies.name}", int(keep.sum())
    with st.container(horizontal=True, vertical_alignment="center"):
        if selection.selected_rows(galaxies) is not None:
            mode = st.selectbox(
                "What this does to the selection",
                list(MODES),
                format_func=str.capitalize,
                key=box,
                label_visibility="collapsed",
                width=130,
            )

        def select() -> None:
            mode = st.session_state.get(box, "new")  # chosen just now, maybe
            selection.add_step(galaxies, *step_of(galaxies, filters_of(galaxies), mode))
            if mode == "subtract":  # nothing that is left passes them
                drop_all(galaxies)
            on_change()

        label = f"{VERBS[mode]} these {n_pass:,}" if n_pass != 1 else f"{VERBS[mode]} this one"
        why = "For pictures, differences, tags and a table. They stay selected when the filters change."
        if mode == "subtract":
            label += " and drop the filters"
            why = "Nothing that stays selected passes the filters: they would hide all of it. Undo is above the map."
        st.button(
            label,
            icon=":material/select_all:",
            disabled=n_pass == 0,
            key=f"filter-select-{galaxies.name}",
            on_click=select,
            width="stretch",
            help=why,
        )


def _draw_filter(galaxies: Galaxies, key: str, name: str, on_change) -> None:
    """One filter: its column, limits or groups, how many galaxies it leaves, and a way to drop it."""
    values, widget = filters_of(galaxies)[key], f"filter-{galaxies.name}-{key}"
    n_left = int(passes(galaxies, key, values).sum())
    head, drop = st.columns([6, 1], vertical_alignment="center")
    head.markdown(f"**{frame.plain(name)}**: {words.count(n_left)} pass")

    def changed(new: list | None) -> None:
        if key in filters_of(galaxies):  # and not dropped meanwhile: see `editions`
            change(galaxies, key, new)
            on_change()

    about = {"icon": ":material/close:", "help": "Remove this filter"}
    drop.button("", key=f"{widget}-drop", on_click=lambda: changed(None), **about)
    everything = everything_of(galaxies, key)
    if any(isinstance(value, str) for value in everything):
        called = group_names(galaxies, key)
        chosen = [value for value in values if value in everything]
        box = editions.key_showing(widget, chosen)
        st.multiselect(
            name,
            everything,
            chosen,
            format_func=lambda value: called.get(value, value),
            key=box,
            label_visibility="collapsed",
            on_change=lambda: editions.is_shown(widget, box) and changed(list(st.session_state[box])),
        )
        return
    _draw_limits(galaxies, key, everything, changed)


def _draw_limits(galaxies: Galaxies, key: str, everything: list, changed: Callable[[list], None]) -> None:
    """Two boxes for the least and the largest number; text where numbers of a browser would not tell ids apart."""
    values, widget = filters_of(galaxies)[key], f"filter-{galaxies.name}-{key}"
    step, whole = (everything[1] - everything[0]) / 100 or 1.0, is_whole(galaxies, key)
    is_text = beyond_floats(galaxies, key) is not None
    for place, (column, word) in enumerate(zip(st.columns(2), ("from", "to"), strict=True)):
        shown = _typed(values[place]) if is_text else float(values[place])
        box = editions.key_showing(f"{widget}-{word}", shown)

        def limited(place=place, box=box, name=f"{widget}-{word}") -> None:
            if not editions.is_shown(name, box):
                return
            now, limit = filters_of(galaxies).get(key, values), st.session_state[box]
            with suppress(ValueError):  # then the box shows the limit as it was
                limit = int(limit.replace(",", "")) if is_text else limit
                changed([*now[:place], limit, *now[place + 1 :]])

        if is_text:
            column.text_input(word, shown, key=box, on_change=limited)
            continue
        column.number_input(
            word,
            value=shown,
            step=float(max(1, round(step))) if whole else step,
            format="%.0f" if whole else f"%.{DIGITS}g",
            key=box,
            on_change=limited,
        )


def _typed(limit: float) -> str:
    """A limit as it is typed; links of older versions have it as a float."""
    return str(int(limit) if np.isfinite(float(limit)) else limit)
