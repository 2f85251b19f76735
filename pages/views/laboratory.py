"""The laboratory: cluster anew with other settings, see what comes of it beside what is stored, and keep it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from galaxy_core import laboratory, laboratory_work
from galaxy_core.laboratory import CANCELLED, DONE, FAILED, WAITING, Job, Task
from galaxy_core.sweeps import parse_values
from galaxy_core.work_tasks import Standing
from pages.views import (
    background,
    denoise_files,
    frame,
    laboratory_choices,
    laboratory_null,
    laboratory_result,
    laboratory_save,
    laboratory_sweep,
)
from pages.views.readers import Galaxies

ONE, SWEEP = "One clustering", "A sweep"
EVERY_S = 0.5
MOST_VALUES = 60
FORMS = {ONE: "cluster", SWEEP: "sweep"}
STARTS = {"cluster": "Cluster", "sweep": "Sweep"}


@st.cache_resource
def _laboratory() -> laboratory.Laboratory:
    """One for all visitors."""
    return laboratory.open_laboratory(background.queue())


def draw_laboratory(galaxies: Galaxies, projection: str | None, on_change: Callable[[], None], on_select) -> None:
    """The whole panel.

    ``on_change`` is called in the callback of what changes the panel from within a part of it, ``on_select`` in that
    of what selects galaxies.
    """
    mode = st.segmented_control(
        "What to do", [ONE, SWEEP], default=ONE, required=True, key="lab-mode", label_visibility="collapsed"
    )
    kind = FORMS[mode]
    running, shown = _settle(galaxies, kind)
    settings = laboratory_choices.draw_choices(galaxies, kind == "sweep")
    values = laboratory_choices.draw_values(galaxies, settings["method"]) if kind == "sweep" else ""
    st.caption(laboratory_choices.what_is_clustered(galaxies, settings))
    if running is None:
        args = (galaxies, kind, settings, values)
        st.button(STARTS[kind], type="primary", icon=":material/play_arrow:", key=f"lab-start-{kind}", on_click=_start,
                  args=args)  # fmt: skip
    else:
        draw_running(galaxies, kind, on_change)
    if problem := _memory(galaxies).get(f"{kind}-problem"):
        frame.show_problem(problem)
    if shown is not None and shown.state == FAILED:
        frame.show_problem(shown.error)
    elif shown is not None and kind == "cluster" and shown.trial is not None:
        laboratory_result.draw_result(
            galaxies, projection, shown, on_select, lambda: _draw_null(galaxies, shown, on_change)
        )
    elif shown is not None and kind == "sweep" and running is None:
        laboratory_sweep.draw_curves(galaxies, shown)
        if shown.state == CANCELLED:
            st.caption("The sweep was stopped; these are the fits it had made.")
    with st.container(key="lab-keep"):
        kept = shown if kind == "cluster" and shown is not None and shown.trial is not None else None
        draw_keeping(galaxies, kept, on_change)


def _draw_null(galaxies: Galaxies, shown: Job, on_change: Callable[[], None]) -> None:
    """What data without groups give at the settings of the result that is shown, or the button that asks for it."""
    if shown.trial.n_clusters < 2:
        return  # nothing that could be compared
    running, null = _settle(galaxies, "null")
    if running is not None and running.task.settings == shown.task.settings:
        draw_running(galaxies, "null", on_change)
    elif null is not None and null.task.settings == shown.task.settings and null.state == DONE:
        laboratory_null.draw_null(shown.trial, null)
    else:
        st.button(laboratory_null.LABEL, icon=":material/shuffle:", key="lab-start-null", on_click=_start,
                  args=(galaxies, "null", shown.task.settings, ""), help=laboratory_null.HELP)  # fmt: skip
        if null is not None and null.task.settings == shown.task.settings:
            laboratory_null.draw_null(shown.trial, null)


def _memory(galaxies: Galaxies) -> dict:
    """What this visitor did with this catalog: ``{"cluster-running": Job, "cluster-shown": Job, ...}``."""
    checksum = laboratory_work.checksum_of(galaxies.manifest)
    return st.session_state.setdefault("laboratory", {}).setdefault((str(galaxies.root), galaxies.name, checksum), {})


def _settle(galaxies: Galaxies, kind: str) -> tuple[Job | None, Job | None]:
    """What runs and what is shown, after what is over became what is shown."""
    memory = _memory(galaxies)
    running: Job | None = memory.get(f"{kind}-running")
    if running is not None and running.is_over:
        memory[f"{kind}-running"] = None
        if running.state != CANCELLED or running.rows:
            memory[f"{kind}-shown"] = running
        return None, memory.get(f"{kind}-shown")
    return running, memory.get(f"{kind}-shown")


def _task(galaxies: Galaxies, kind: str, **more) -> Task:
    checksum = laboratory_work.checksum_of(galaxies.manifest)
    return Task(kind, str(Path(galaxies.root).resolve()), galaxies.name, checksum, **more)


def _start(galaxies: Galaxies, kind: str, settings: dict, values: str) -> None:
    """Ask for what the widgets say."""
    memory = _memory(galaxies)
    if kind != "sweep" and memory.get("null-running") is not None:  # of a result that is shown no longer
        laboratory.cancel(_laboratory(), memory.pop("null-running"), background.visitor())
    memory[f"{kind}-problem"] = ""
    more: dict = {"settings": settings}
    if kind == "sweep":
        try:
            parsed = parse_values(values)
        except laboratory_work.VectorError as error:
            memory["sweep-problem"] = str(error)
            return
        if len(parsed) > MOST_VALUES:
            memory["sweep-problem"] = f"A live sweep takes up to {MOST_VALUES} values, not {len(parsed)}; name fewer."
            return
        more |= {"parameter": laboratory_choices.SWEPT[settings["method"]], "values": tuple(parsed)}
    memory[f"{kind}-running"] = laboratory.submit(_laboratory(), _task(galaxies, kind, **more), background.visitor())


def change_artifacts(galaxies: Galaxies, kind: str, name: str, settings: dict | None = None) -> None:
    """Ask for a clustering to be kept ("save") or dropped ("remove")."""
    memory = _memory(galaxies)
    memory["keep-done"] = ""
    task = _task(galaxies, kind, name=name, settings=settings or {})
    memory["keep-running"] = laboratory.submit(_laboratory(), task, background.visitor())


def draw_keeping(galaxies: Galaxies, shown: Job | None, on_change: Callable[[], None]) -> None:
    """Save what is shown, delete what was saved, and how far that is."""
    memory = _memory(galaxies)
    running: Job | None = memory.get("keep-running")
    if running is not None and not running.is_over:
        draw_running(galaxies, "keep", on_change)
        return
    if running is not None:
        memory["keep-running"] = None
        memory["keep-done"] = (running.state, running.task.kind, running.task.name, running.error)
    if memory.get("keep-done"):
        laboratory_save.draw_outcome(*memory["keep-done"])
    laboratory_save.draw_save(galaxies, shown, change_artifacts)
    laboratory_save.draw_delete(galaxies, change_artifacts)


def draw_running(galaxies: Galaxies, kind: str, on_change: Callable[[], None]) -> None:
    """Progress and a way to stop, drawn again every half second by itself; then the page shows what came of it."""

    @st.fragment(run_every=EVERY_S, key=f"lab-running-{kind}")
    def follow() -> None:
        job: Job | None = _memory(galaxies).get(f"{kind}-running")
        if job is None or job.is_over:
            st.rerun(scope="app")
        with st.container(horizontal=True, vertical_alignment="center", key=f"lab-progress-{kind}"):
            st.button("Cancel", icon=":material/close:", key=f"lab-cancel-{kind}", on_click=stop)
            st.progress(job.fraction, text=progress_text(job, laboratory.place_of(_laboratory(), job)))
        if job.task.kind == "sweep" and job.rows:
            laboratory_sweep.draw_curves(galaxies, job)
        elif job.task.kind == "null":
            laboratory_null.draw_null(_memory(galaxies)["cluster-shown"].trial, job)

    def stop() -> None:
        job = _memory(galaxies).get(f"{kind}-running")
        if job is not None:
            laboratory.cancel(_laboratory(), job, background.visitor())
            if not job.is_over:  # somebody else waits for it too
                _memory(galaxies)[f"{kind}-running"] = None
        on_change()

    follow()


def progress_text(job: Job, place: int) -> str:
    """What is being done, or where in the queue it waits.

    Examples
    --------
    >>> progress_text(Job(Task("cluster", "artifacts", "demo")), 2)
    'Waiting, 2nd in the queue'
    """
    if job.state == WAITING:
        return denoise_files.place_text(Standing(WAITING, place=place)).capitalize()
    return "Finishing" if job.state == DONE else f"{frame.plain(job.stage or 'Starting')} …"
