"""Undo and redo of what is selected and filtered: the moments before each step, and those that were left by undo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.views.readers import Galaxies
from pages.views.selection_steps import Selection, Step

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
    past = _moments("selection_past", galaxies)
    past.append(_moment(galaxies, selected))
    del past[: -max(1, min(MOST_STEPS, MOST_BYTES * 8 // max(1, len(galaxies))))]
    _moments("selection_future", galaxies).clear()


def travel(galaxies: Galaxies, selected: Selection | None, back: bool) -> tuple[Selection | None, dict] | None:
    """One moment back or forward: what was selected then, and the filters; None where there is no such moment."""
    past, future = (_moments(kind, galaxies) for kind in ("selection_past", "selection_future"))
    source, target = (past, future) if back else (future, past)
    now = _moment(galaxies, selected)
    while source and source[-1].is_like(now):  # where the browser's button went back already
        source.pop()
    if not source:
        return None
    target.append(now)
    moment = source.pop()
    filters = {key: list(values) for key, values in moment.filters.items()}
    if moment.bits is None:
        return None, filters
    rows = np.flatnonzero(np.unpackbits(moment.bits, count=len(galaxies))).astype(np.int32)
    return Selection(moment.steps, rows), filters


def is_possible(galaxies: Galaxies) -> tuple[bool, bool]:
    """Whether there is something to undo, and something to redo."""
    return bool(_moments("selection_past", galaxies)), bool(_moments("selection_future", galaxies))


def _moments(kind: str, galaxies: Galaxies) -> list[Moment]:
    return st.session_state.setdefault(kind, {}).setdefault(galaxies.name, [])


def _moment(galaxies: Galaxies, selected: Selection | None) -> Moment:
    filters = st.session_state.get("filters", {}).get(galaxies.name, {})
    filters = {key: list(values) for key, values in filters.items()}
    if selected is None:
        return Moment((), None, filters)
    chosen = np.zeros(len(galaxies), dtype=bool)
    chosen[selected.rows] = True
    return Moment(selected.steps, np.packbits(chosen), filters)
