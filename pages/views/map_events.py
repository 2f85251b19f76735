"""What a visitor does on a map, the same on every page: open a galaxy, outline a selection, press a key."""

from __future__ import annotations

import re

import streamlit as st

from pages.views import filters, page_address, presenting, selection, selection_history, tagging
from pages.views.galaxy_map import component, payload
from pages.views.readers import Galaxies
from pages.views.selection_steps import Hidden, hidden_groups

GALAXY, SELECTION, FILTERS, TAGS = "galaxy", "selection", "filters", "tags"


def handle(galaxies: Galaxies, events: list[dict]) -> set[str]:
    """Do what the events say, in order.

    Parameters
    ----------
    events : list of dict
        As `galaxy_map.component.draw_marks` hands them over. They come from a browser: what makes no sense is ignored.

    Returns
    -------
    set of str
        What is different now: `GALAXY`, `SELECTION`, `FILTERS`, `TAGS`.
    """
    changed = set()
    for event in events:
        kind = event.get("kind")
        if kind == "open" and isinstance(event.get("row"), int) and 0 <= event["row"] < len(galaxies):
            selection.open_galaxy(galaxies, event["row"])
            changed.add(GALAXY)
        elif kind == "outline" and isinstance(event.get("x"), list) and isinstance(event.get("y"), list):
            drawn = (event.get("projection"), event["x"], event["y"], event.get("mode"))
            selection.select_outline(galaxies, *drawn, hidden_on_map(event))
            changed.add(SELECTION)
        elif kind == "clear":
            selection.select_rows(galaxies, None)
            changed.add(SELECTION)
        elif kind in ("undo", "redo"):
            turn = turn_last if event.get("whatever") else travel
            changed |= turn(galaxies, back=kind == "undo")
        elif kind == "key" and event.get("key") in presenting.STEPS:
            presenting.step(galaxies, presenting.STEPS[event["key"]])
            changed.add(GALAXY)
        elif kind == "key" and (said := tagging.handle_key(galaxies, str(event.get("key")))):
            st.toast(said)
            changed.add(TAGS)
    return changed


def travel(galaxies: Galaxies, back: bool) -> set[str]:
    """Undo the last step of selecting or filtering, or redo it; what is different now."""
    before = dict(filters.filters_of(galaxies))
    if not selection.travel(galaxies, back):
        return set()
    filters.write_link(galaxies)
    filters.keep_of(galaxies)
    return {SELECTION} if filters.filters_of(galaxies) == before else {SELECTION, FILTERS}


def turn_last(galaxies: Galaxies, back: bool) -> set[str]:
    """Undo what this visitor did last, a step of selecting, filtering or tagging, or redo it; what is different now."""
    while selection_history.is_of_tags(galaxies, selection.selected(galaxies), back):
        if said := tagging.turn(galaxies, back):
            st.toast(said)
            return {TAGS}
        selection_history.forget_last(galaxies, back)
    return travel(galaxies, back)


def keep_in_address(parts: dict) -> None:
    """Know what the maps put into the address, so that it stays there when another part of it is written."""
    for name in page_address.OF_VIEW:
        if isinstance(text := parts.get(name), str) and re.fullmatch(r"[-\w.]{0,1000}", text, re.ASCII):
            page_address.put_into_address(name, text or None)


def hidden_on_map(event: dict) -> Hidden | None:
    """What the legend hid on the map that an outline was drawn on.

    None where all were to be seen, or the map has other colours by now.
    """
    look, colouring, _, stamp = component.maps_shown().get(event.get("map"), (None, None, None, None))
    codes = [code for code in event.get("hidden") or () if isinstance(code, int)]
    if look is None or stamp != event.get("stamp") or not codes:
        return None
    groups = {**dict(enumerate(colouring.keys)), len(payload.palette_of(colouring, look.dark)) - 1: colouring.nothing}
    return hidden_groups(colouring, [groups[code] for code in sorted(codes) if code in groups])
