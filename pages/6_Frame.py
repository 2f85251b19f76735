"""From a survey frame to a catalogue: find its objects, measure and compare them, and take them away or to the map."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from galaxy_core.saved_images import stem_of
from pages.views import (
    background,
    denoise_files,
    frame,
    sky_card,
    sky_panels,
    sky_selection,
    sky_send,
    sky_sources,
    sky_work,
)
from pages.views.sky_selection import IMAGE
from pages.views.sky_sources import PAGE, SkyItem
from pages.views.sky_viewer import component
from pages.views.sky_work import SkyWork

INTRODUCTION = (
    "Drop a frame of the sky: its objects are found, separated and measured; see them on the image and in diagrams, "
    "open one, and take the catalogue away."
)


def show(item: SkyItem, work: SkyWork, root: Path) -> None:
    """Everything about one searched frame: the image with its objects, and what a click on it changes."""
    sky_selection.forget_other_frame(item.stamp)
    sky_panels.draw_counts(work, root)
    with st.container(key="sky-page"):
        component.draw_viewer(work, item.stamp, item.name, stem_of(work.frame.name))
        draw_linked(work, root)


@st.fragment
def draw_linked(work: SkyWork, root: Path) -> None:
    """What shows the selection and the open object, drawn again when either changes."""
    objects = work.catalog.objects
    selected = sky_selection.selected_rows(work.key)
    opened = sky_selection.opened_row(work.key, objects)

    def on_event(event: dict) -> None:
        row = event.get("row")
        if event.get("kind") == "open" and isinstance(row, int) and 0 <= row < len(objects):
            sky_selection.open_object(work.key, objects, row)
        elif event.get("kind") == "box":
            sky_selection.select(work.key, sky_selection.rows_in_box(objects, event.get("box")), IMAGE)
        elif event.get("kind") == "clear":
            sky_selection.clear(work.key)

    centre = st.session_state.pop("sky-centre", False)
    component.draw_marks(work, opened, centre, selected, on_event)
    with st.container(key="sky-below"):
        if len(objects):
            sky_panels.draw_diagrams(work, selected, opened)
        sky_panels.draw_downloads(work)
        if len(objects):
            sky_send.draw_send(work, selected, root)
    with st.container(key="sky-side"), frame.panel():
        sky_card.draw_card(work, opened, root)


root = frame.open_page("Frame")
st.caption(INTRODUCTION)
with frame.panel():
    files = st.container()
    choices = st.container(horizontal=True, vertical_alignment="bottom", key="sky-choices")
    with files:
        items = sky_sources.choose_items(root, choices)
    if items:
        config = sky_panels.choose_config(root, choices, items[0].digest)
        tasks = [sky_work.search_task(item, config, root) for item in items]
        place = denoise_files.chosen_place(len(tasks), PAGE)
        denoise_files.work_on(tasks, [tasks[place]], PAGE)
        denoise_files.follow(tasks, [tasks[place]], place, PAGE)
        denoise_files.draw_errors(tasks[place], {}, PAGE)
        work = background.queue().result(tasks[place].key)
        if work is not None:
            show(items[place], work, root)
    else:
        denoise_files.want_nothing(PAGE)
