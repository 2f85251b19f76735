"""Denoise images: drop them in, compare before and after, see what was gained and lost, and take the result away."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import streamlit as st

from galaxy_core import artifacts
from galaxy_core.errors import GalaxyError
from galaxy_core.work_tasks import FAILED, Task
from pages.views import (
    background,
    denoise_adapt,
    denoise_files,
    denoise_on_map,
    denoise_panels,
    denoise_sources,
    denoise_work,
    frame,
    presenting,
)
from pages.views.denoise_sources import CATALOG, EXAMPLE, UPLOAD
from pages.views.denoise_work import Item, Options

PRESENT_HELP = "For a meeting: no menus, large type. Drag the line between before and after; + and - zoom."


def choose_items(root: Path) -> tuple[list[Item], Options, int]:
    """What to denoise, how the one that is looked at is taken, and which that is."""
    sources = [UPLOAD, CATALOG, EXAMPLE] if artifacts.list_catalogs(root) else [UPLOAD, EXAMPLE]
    source = denoise_sources.choose_source(sources, UPLOAD, "denoise-source")
    if source == UPLOAD:
        items = denoise_sources.uploads()
        if not items:
            return [], Options(), 0
        *places, first = st.columns(4, vertical_alignment="bottom")
    else:
        first, *places = st.columns(4, vertical_alignment="bottom")
        items = denoise_sources.catalog_galaxy(root, first) if source == CATALOG else denoise_sources.example(first)
    place = denoise_files.chosen_place(len(items))
    added = denoise_sources.added_noise(source, *places[:2])
    return items, denoise_panels.choose_options(items[place], added, places[2], first), place


def denoise_tasks(items: list[Item], added: tuple[str, float] | None, root: Path) -> list[Task]:
    """One task an image."""
    return [denoise_work.denoise_task(item, denoise_panels.options_of(item, added), root) for item in items]


def work_on(tasks: list[Task], task: Task, place: int) -> dict[str, Task]:
    """Have everything done that is wanted, with progress; the tasks of the other versions of the image looked at."""
    queue, before = background.queue(), None
    work = queue.result(task.key)
    while True:
        others = denoise_panels.version_tasks(task.key, work)
        denoise_files.work_on(tasks, [task, *others.values()])
        before, work = work, queue.result(task.key)
        if work is before or not denoise_panels.version_tasks(task.key, work):
            break
    denoise_files.follow(tasks, [task, *others.values()], place)
    return others


def show(item: Item, task: Task, others: dict[str, Task], options: Options, root: Path) -> None:
    """Everything about one denoised image."""
    queue = background.queue()
    work = queue.result(task.key)
    if work is None:
        if queue.standing(task.key).state == FAILED:
            denoise_panels.remember_facts(item, "", denoise_files.images_in(item))
        return
    denoise_panels.remember_facts(item, work.unit, work.extensions)
    chosen = denoise_panels.choose_version(task.key, work)
    made = [version for version in (queue.result(one.key) for one in others.values()) if version]
    versions = [version for version in made if version.improved]
    version = next((version for version in versions if version.method == chosen), None)
    denoise_panels.draw_viewer(task.key, work, version)
    denoise_panels.draw_facts(work)
    denoise_adapt.draw(task.key, work)
    denoise_panels.draw_downloads(work, version, versions, options)
    denoise_panels.draw_table(work, versions)
    denoise_on_map.draw(root, work.image, work.result)
    if work.result.linear:
        st.info(denoise_panels.LINEAR_NOTE, icon=":material/straighten:")


root = frame.open_page("Denoise")
presenting.draw_switch(PRESENT_HELP)
st.caption("Take the noise out of an image, and look at what was taken out: a good residual shows noise and no galaxy.")
with frame.panel():
    with st.container(key="denoise-choices"):
        items, options, place = choose_items(root)
    if items:
        tasks = denoise_tasks(items, options.added, root)
        others = work_on(tasks, tasks[place], place)
        denoise_files.draw_errors(tasks[place], others)
        show(items[place], tasks[place], others, options, root)
        denoise_files.draw_download_all(tasks)
    else:
        denoise_files.want_nothing()
        with suppress(GalaxyError, OSError):  # a model that is not there is missed once there is an image
            background.queue().get_ready(background.visitor(), denoise_work.first_job(root))
