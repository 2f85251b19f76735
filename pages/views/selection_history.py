"""Undo and redo of what is selected and filtered: the moments before each step, and those that were left by undo.

Among them stands when the visitor tagged, for Ctrl+Z undoes what was done last; the database of tags knows the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from galaxy_core import tags
from pages.views.readers import Galaxies
from pages.views.selection_steps import Selection, Step

TAGS = "tags"  # in the place of a moment: a step of tagging
MOST_STEPS = 50
MOST_BYTES = 2**25  # of the moments of one visitor in one catalog: all 50 up to five million galaxies


@dataclass(frozen=True)
class Moment:
    """What was selected, a bit for each galaxy so that fifty take little room, and filtered by; None for nothing."""

    steps: tuple[Step, ...]
    bits: np.ndarray | None
    filters: dict[str, list]

    def is_like(self, other: Moment) -> bool:
        """Whether the same is selected, in the same way, and shown."""
        same = (self.steps, self.filters) == (other.steps, other.filters)
        return same and np.array_equal(self.bits, other.bits)


def remember(galaxies: Galaxies, selected: Selection | None) -> None:
    """Before something is changed: keep what is selected and filtered by now. What was undone cannot be redone then."""
    past, future = _histories(galaxies)
    past.append(_moment(galaxies, selected))
    while len(past) - past.count(TAGS) > max(1, min(MOST_STEPS, MOST_BYTES * 8 // max(1, len(galaxies)))):
        past.pop(0)
    future.clear()


def note_tags(galaxies: Galaxies, step: tags.Step | None) -> None:
    """A step of tagging was made, undone or redone, by whatever button; nothing where there was none."""
    past, future = _histories(galaxies)
    if step is not None and step.kind in ("undo", "redo"):
        source, target = (past, future) if step.kind == "undo" else (future, past)
        if (last := _last(source, of_tags=True)) is not None:
            target.append(source.pop(last))
    elif step is not None:
        tag_steps(galaxies).append(step.step)
        past.append(TAGS)
        future[:] = [moment for moment in future if moment != TAGS]


def tag_steps(galaxies: Galaxies) -> list[int]:
    """Numbers of the steps of tagging made in this tab of the browser: others may be open under the same name."""
    return st.session_state.setdefault("tag_steps", {}).setdefault(galaxies.name, [])


def travel(galaxies: Galaxies, selected: Selection | None, back: bool) -> tuple[Selection | None, dict] | None:
    """One moment back or forward: what was selected then, and the filters; None where there is no such moment."""
    past, future = _histories(galaxies)
    source, target = (past, future) if back else (future, past)
    now = _moment(galaxies, selected)
    while (last := _last(source)) is not None and source[last].is_like(now):  # where the browser's button went back
        source.pop(last)
    if last is None:
        return None
    target.append(now)
    moment = source.pop(last)
    filters = {key: list(values) for key, values in moment.filters.items()}
    if moment.bits is None:
        return None, filters
    rows = np.flatnonzero(np.unpackbits(moment.bits, count=len(galaxies))).astype(np.int32)
    return Selection(moment.steps, rows), filters


def is_possible(galaxies: Galaxies) -> tuple[bool, bool]:
    """Whether there is a step of selecting or filtering to undo, and one to redo."""
    past, future = (_last(history) is not None for history in _histories(galaxies))
    return past, future


def is_of_tags(galaxies: Galaxies, selected: Selection | None, back: bool) -> bool:
    """Whether what was done last, or undone last, was a step of tagging; moments that are as now are forgotten."""
    history, now = _histories(galaxies)[0 if back else 1], _moment(galaxies, selected)
    while history and history[-1] != TAGS and history[-1].is_like(now):
        history.pop()
    return history[-1:] == [TAGS]


def forget_last(galaxies: Galaxies, back: bool) -> None:
    """Forget a step of tagging that turned out to be gone."""
    _histories(galaxies)[0 if back else 1].pop()


def _histories(galaxies: Galaxies) -> list[list]:
    """What was done, and what was undone, each a list of moments and `TAGS`, the latest last."""
    kinds = ("selection_past", "selection_future")
    return [st.session_state.setdefault(kind, {}).setdefault(galaxies.name, []) for kind in kinds]


def _last(history: list, of_tags: bool = False) -> int | None:
    """Place of the last step of tagging, or of the last other one; None where there is none."""
    return next((k for k in reversed(range(len(history))) if (history[k] == TAGS) == of_tags), None)


def _moment(galaxies: Galaxies, selected: Selection | None) -> Moment:
    filters = st.session_state.get("filters", {}).get(galaxies.name, {})
    filters = {key: list(values) for key, values in filters.items()}
    if selected is None:
        return Moment((), None, filters)
    chosen = np.zeros(len(galaxies), dtype=bool)
    chosen[selected.rows] = True
    return Moment(selected.steps, np.packbits(chosen), filters)
