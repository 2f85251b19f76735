"""Filters: which galaxies are shown at all. Any column, several together, each with how many it leaves, in a link."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import streamlit as st
from pandas.api.types import is_integer_dtype

from pages.views import clustering_marks, outlines, page_address, selection, tagged
from pages.views.colouring import TAGS, colour_by, colour_choices
from pages.views.readers import Galaxies
from pages.views.selection_steps import Step

Filters = dict[str, list]
"""Column -> two limits, least and largest, for numbers; for groups, what `Colouring.keys` calls them."""

DIGITS = 9
"""Of a limit, where it is typed and where it is told: a Julian date needs so many."""
LARGEST = sys.float_info.max
EXACT = 2**53
"""Whole numbers below it are told apart by float64, and by browsers."""


def filters_of(galaxies: Galaxies) -> Filters:
    """The filters of this catalog, taken from the link the first time."""
    memory, stamps = (st.session_state.setdefault(kind, {}) for kind in ("filters", "filter_stamps"))
    asked = st.query_params.get("filters")
    if galaxies.name not in memory:
        memory[galaxies.name] = {}
        if asked:
            memory[galaxies.name] = read_link(galaxies, asked)
    elif stamps.get(galaxies.name, galaxies.stamp) != galaxies.stamp:  # made again meanwhile, with other columns
        memory[galaxies.name] = fitting(galaxies, memory[galaxies.name])
        clustering_marks.note_changes(galaxies, memory[galaxies.name], _marks().get(galaxies.name))
    stamps[galaxies.name] = galaxies.stamp
    return memory[galaxies.name]


def read_link(galaxies: Galaxies, letters: str) -> Filters:
    """The filters a link holds, as far as they fit this catalog."""
    try:
        asked, marks = outlines.from_link(letters), None
        if isinstance(asked, list):  # that name clusters, and of which clusterings
            asked, marks = asked
        asked = {str(key): list(values) for key, values in asked.items()}
    except (ValueError, TypeError, AttributeError):
        page_address.note("The filters of this link cannot be read; it was probably cut short when it was copied.")
        return {}
    fits = fitting(galaxies, asked)
    clustering_marks.note_changes(galaxies, fits, marks)
    return fits


def fitting(galaxies: Galaxies, asked: Filters) -> Filters:
    """Those filters whose column is here and still holds what it held, numbers or groups; the others are told."""
    choices, found = colour_choices(galaxies), {}
    for key, values in asked.items():
        if key not in choices:
            page_address.note(f"This catalog cannot be filtered by “{key}”, which it does not have.")
            continue
        if colour_by(galaxies, key).values is None:
            fits = all(isinstance(value, str) for value in values)
        else:
            fits = len(values) == 2 and all(isinstance(v, int | float) and abs(v) <= LARGEST for v in values)
        if fits:
            found[key] = values
        else:
            page_address.note(f"This catalog cannot be filtered by “{key}” as asked: it holds something else there.")
    return found


def keep_of(galaxies: Galaxies) -> np.ndarray | None:
    """Which galaxies pass all filters, bool (n,); None where there is no filter. Selections count those only."""
    asked = filters_of(galaxies)
    keep = passes_all(galaxies, asked) if asked else None
    st.session_state.setdefault("kept", {})[galaxies.name] = keep
    st.session_state.setdefault("filter_words", {})[galaxies.name] = describe(galaxies)
    return keep


def passes_all(galaxies: Galaxies, asked: Filters) -> np.ndarray:
    """Which galaxies pass all of some filters, bool (n,)."""
    keep = np.ones(len(galaxies), dtype=bool)
    for key, values in asked.items():
        keep &= passes(galaxies, key, values)
    return keep


def passes(galaxies: Galaxies, key: str, values: list) -> np.ndarray:
    """Which galaxies pass one filter; a galaxy without a value passes only where "no value" was chosen by name."""
    if key not in colour_choices(galaxies):
        return np.zeros(len(galaxies), dtype=bool)  # a tag column whose last tag was removed
    if key == TAGS:
        return _has_tag(galaxies, values)
    colouring = colour_by(galaxies, key)
    if colouring.values is not None:
        if (exact := beyond_floats(galaxies, key)) is not None:
            return exact.between(*values).fillna(False).to_numpy(bool)
        with np.errstate(invalid="ignore", over="ignore"):
            low, high = np.asarray(values, dtype=colouring.values.dtype)  # 0.1 in float32 is not the 0.1 of the limit
            return (colouring.values >= low) & (colouring.values <= high)
    return colouring.is_among(values)


def _has_tag(galaxies: Galaxies, values: list) -> np.ndarray:
    """Which galaxies have one of some tags; a galaxy of several has one colour only, and passes by each."""
    colouring = colour_by(galaxies, TAGS)
    passed = (colouring.codes < 0) & (colouring.nothing in values)
    for name in values:
        passed |= tagged.tag_codes(galaxies, name)
    return passed


def is_whole(galaxies: Galaxies, key: str) -> bool:
    """Whether a column of the catalog holds whole numbers."""
    return key in galaxies.catalog and is_integer_dtype(galaxies.catalog[key].dtype)


def beyond_floats(galaxies: Galaxies, key: str) -> pd.Series | None:
    """A column of whole numbers so large that floats take two neighbours for one, as ids of surveys are."""
    if not is_whole(galaxies, key) or not (np.abs(colour_by(galaxies, key).values) >= EXACT).any():
        return None
    return galaxies.catalog[key]


def describe(galaxies: Galaxies, asked: Filters | None = None) -> str:
    """The filters in words, those of this catalog or others; empty where there are none."""
    choices, parts = colour_choices(galaxies), []
    for key, values in (filters_of(galaxies) if asked is None else asked).items():
        limits = len(values) == 2 and not any(isinstance(value, str) for value in values)
        text = " to ".join(_limit_text(value) for value in values) if limits else ""
        if not limits:
            called = group_names(galaxies, key) if key in choices else {}
            text = " or ".join(called.get(value, str(value)) for value in values)
        parts.append(f"{choices.get(key, key)}: {text or 'nothing'}")
    return "; ".join(parts)


def _limit_text(value: float) -> str:
    if isinstance(value, int) and abs(value) >= EXACT:
        return str(value)  # an id
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e20 else f"{value:.{DIGITS}g}"


def group_names(galaxies: Galaxies, key: str) -> dict[str, str]:
    """How the groups of a column are shown, by what filters call them: a cluster's name can change while it is used."""
    colouring = colour_by(galaxies, key)
    return dict(zip(colouring.keys, colouring.names, strict=True))


def step_of(galaxies: Galaxies, asked: Filters, mode: str) -> tuple[Step, np.ndarray]:
    """What passes some filters as a step of a selection, whose link holds these and not the galaxies; and its rows."""
    rows = np.flatnonzero(passes_all(galaxies, asked)).astype(np.int32)
    return Step(mode, f"what passes {describe(galaxies, asked)}", filters=dict(asked)), rows


def everything_of(galaxies: Galaxies, key: str) -> list:
    """A filter that lets everything through, to begin with."""
    colouring = colour_by(galaxies, key)
    if colouring.values is None:
        return [*colouring.keys, *([colouring.nothing] if (colouring.codes < 0).any() else [])]
    if (exact := beyond_floats(galaxies, key)) is not None:
        return [int(exact.min()), int(exact.max())]
    known = colouring.values[np.isfinite(colouring.values)]
    return [float(known.min()), float(known.max())] if len(known) else [0.0, 0.0]


def change(galaxies: Galaxies, key: str, values: list | None) -> None:
    """Set a filter, or drop it; and write all of them into the address."""
    asked = filters_of(galaxies)
    selection.remember(galaxies)
    if values is None:
        asked.pop(key, None)
    else:
        asked[key] = values
    write_link(galaxies)


def drop_all(galaxies: Galaxies) -> None:
    """Show every galaxy again."""
    filters_of(galaxies).clear()
    write_link(galaxies)


def write_link(galaxies: Galaxies) -> None:
    """Put the filters into the address, and where they name clusters, of which clusterings these are."""
    asked = filters_of(galaxies)
    marks = _marks()[galaxies.name] = clustering_marks.marks_of(galaxies, asked)
    letters = outlines.to_link([asked, marks] if marks else asked) if asked else None
    page_address.put_into_address("filters", letters)


def _marks() -> dict[str, dict[str, str]]:
    return st.session_state.setdefault("filter_marks", {})
