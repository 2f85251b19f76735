"""What kind of galaxy is it: an image in; its class, the votes to expect, and what both depend on, out."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from galaxy_core.work_tasks import FAILED, Task
from pages.views import (
    background,
    denoise_files,
    frame,
    morphology_nearest,
    morphology_panels,
    morphology_pixels,
    morphology_sources,
    morphology_work,
    presenting,
)
from pages.views.morphology_sources import Source
from pages.views.morphology_work import PAGE, Model, Seen

INTRODUCTION = (
    "What kind of galaxy is it? Its class, and what the volunteers of Galaxy Zoo would answer, with 90 % intervals."
)
PRESENT_HELP = "For a meeting: no menus, large type. The choice of an image is there again once you leave."


def work_on(tasks: list[Task], place: int, model: Model) -> tuple[Seen | None, Task | None]:
    """Have all images classified, with progress, the one looked at first; then see which of its pixels mattered."""
    queue, task = background.queue(), tasks[place]
    denoise_files.work_on(tasks, [task], PAGE)
    seen, pixels = queue.result(task.key), None
    if seen is not None:
        pixels = morphology_work.pixels_task(task.key, seen, model)
        morphology_work.want_pixels_last(pixels, task, tasks)
    denoise_files.follow(
        tasks,
        [task],
        place,
        PAGE,
        lambda key, standing: morphology_panels.state_words(queue.result(key), denoise_files.state_text(standing)),
    )
    denoise_files.draw_errors(task, {}, PAGE)
    return seen, pixels


def show(source: Source, seen: Seen, pixels: Task, tasks: list[Task], model: Model, root: Path) -> None:
    """Everything about one classified image, and the rows of all ``tasks`` that are done to take home."""
    for note in (source.note, *seen.notes):
        if note:
            st.caption(frame.plain(note))
    left, right = st.columns(2, gap="medium")
    with left:
        morphology_panels.draw_answer(seen, model)
        morphology_panels.draw_downloads(seen, tasks)
        morphology_panels.draw_trust(model, seen.told.class_names)
    with right:
        morphology_panels.draw_tree(seen)
    morphology_panels.draw_turned(seen)
    morphology_pixels.draw_pixels(seen, pixels)
    morphology_nearest.draw_nearest(root, seen.square, seen.name, source.place)


root = frame.open_page("Morphology")
presenting.draw_switch(PRESENT_HELP)
st.caption(INTRODUCTION)
with frame.panel():
    model = morphology_sources.choose_model(root)
    with st.container(key="morphology-choices"):
        sources, fraction = morphology_sources.choose_sources(root)
        place = denoise_files.chosen_place(len(sources), PAGE) if sources else 0
        if sources:
            morphology_sources.choose_extension(sources[place])
    if sources:
        with st.spinner("Loading the model …", show_time=False):
            morphology_work.net_of(model)  # what is wrong with it is said once, not of every image
        tasks = [
            morphology_work.seen_task(s.item, s.galaxy_id, morphology_sources.chosen_extension(s), fraction, model)
            for s in sources
        ]
        seen, pixels = work_on(tasks, place, model)
        if seen is not None:
            morphology_sources.remember_extensions(sources[place], seen.extensions)
            show(sources[place], seen, pixels, tasks, model, root)
        elif background.queue().standing(tasks[place].key).state == FAILED:
            morphology_sources.remember_extensions(sources[place], denoise_files.images_in(sources[place].item))
    else:
        denoise_files.want_nothing(PAGE)
