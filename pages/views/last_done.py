"""The order in which a visitor selected and tagged, by which Ctrl+Z finds what was done last."""

from __future__ import annotations

import streamlit as st

from galaxy_core.tags import Step
from pages.views.readers import Galaxies

SELECTION, TAGS = "selection", "tags"
MOST = 200  # kinds of steps remembered; each undo has its own memory of what the steps were


def note(galaxies: Galaxies, kind: str) -> None:
    """Something new was done; what was undone before is not redone by the key any more."""
    done = _order(galaxies, back=True)
    done.append(kind)
    del done[:-MOST]
    _order(galaxies, back=False).clear()


def note_turned(galaxies: Galaxies, kind: str, back: bool) -> None:
    """The last step of a kind was undone, or redone, by whatever button."""
    source = _order(galaxies, back)
    places = [place for place, known in enumerate(source) if known == kind]
    if places:
        source.pop(places[-1])
        _order(galaxies, not back).append(kind)


def note_tags(galaxies: Galaxies, step: Step | None) -> None:
    """A step of tagging was made, undone or redone; nothing where there was none."""
    if step is None:
        return
    if step.kind in ("undo", "redo"):
        note_turned(galaxies, TAGS, back=step.kind == "undo")
    else:
        note(galaxies, TAGS)


def kind_of_last(galaxies: Galaxies, back: bool) -> str | None:
    """What the next undo, or redo, is of; None where nothing is known to be left."""
    order = _order(galaxies, back)
    return order[-1] if order else None


def drop_last(galaxies: Galaxies, back: bool) -> None:
    """Forget a step that turned out to be gone."""
    _order(galaxies, back).pop()


def _order(galaxies: Galaxies, back: bool) -> list[str]:
    return st.session_state.setdefault("done" if back else "undone", {}).setdefault(galaxies.name, [])
