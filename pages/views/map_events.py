"""What a visitor does on a map, the same on every page: open a galaxy, outline a selection, press a key."""

from __future__ import annotations

import streamlit as st

from pages.views import presenting, selection, tagging
from pages.views.readers import Galaxies

GALAXY, SELECTION, TAGS = "galaxy", "selection", "tags"


def handle(galaxies: Galaxies, events: list[dict]) -> set[str]:
    """Do what the events say, in order.

    Parameters
    ----------
    events : list of dict
        As `galaxy_map.component.draw_marks` hands them over. They come from a browser: what makes no sense is ignored.

    Returns
    -------
    set of str
        What is different now: `GALAXY`, `SELECTION`, `TAGS`.
    """
    changed = set()
    for event in events:
        kind = event.get("kind")
        if kind == "open" and isinstance(event.get("row"), int) and 0 <= event["row"] < len(galaxies):
            selection.open_galaxy(galaxies, event["row"])
            changed.add(GALAXY)
        elif kind == "outline" and isinstance(event.get("x"), list) and isinstance(event.get("y"), list):
            selection.select_outline(galaxies, event.get("projection"), event["x"], event["y"], event.get("mode"))
            changed.add(SELECTION)
        elif kind == "clear":
            selection.select_rows(galaxies, None)
            changed.add(SELECTION)
        elif kind == "key" and event.get("key") in presenting.STEPS:
            presenting.step(galaxies, presenting.STEPS[event["key"]])
            changed.add(GALAXY)
        elif kind == "key" and (said := tagging.handle_key(galaxies, str(event.get("key")))):
            st.toast(said)
            changed.add(TAGS)
    return changed
