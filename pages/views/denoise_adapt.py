"""Adapt the model to the image looked at, on a button: no clean image needed, and kept only if it helps."""

from __future__ import annotations

import streamlit as st

from galaxy_core.work_tasks import Task
from pages.views import background
from pages.views.denoise_work import ADAPTED, Adapted, Work, adapt_key, adapt_task

TITLE = "Adapted to this image"
SECONDS = {30: "30 seconds", 60: "1 minute", 180: "3 minutes"}
HELP = """The model goes on learning from this image alone: it guesses pixels that are hidden from it (Noise2Self).
One pixel in sixteen is set aside; if the adapted model is not better there, you are told, and it is not used."""


def _asked() -> dict[str, int]:
    """Seconds asked for, by the work they were asked for."""
    return st.session_state.setdefault("denoise-adapt-asked", {})


def tasks(work_key: str, work: Work | None) -> dict[str, Task]:
    """The task of adapting to this image, where it was asked for, by its method; none before it is denoised."""
    seconds = _asked().get(work_key)
    return {} if work is None or seconds is None else {ADAPTED: adapt_task(work_key, work, seconds)}


def version(work_key: str, work: Work) -> Adapted | None:
    """What adapting to this image made, once it is done."""
    asked = tasks(work_key, work)
    return background.queue().result(asked[ADAPTED].key) if asked else None


def is_offered(work_key: str, work: Work) -> bool:
    """Whether the adapted version is one to look at: asked for, and not found to be no better."""
    made = version(work_key, work)
    return bool(tasks(work_key, work)) and (made is None or made.improved)


def draw(work_key: str, work: Work) -> None:
    """Button, time limit and, once it is done, what came of it. Progress and cancel are those of all work."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seconds = st.selectbox(
            "Time to adapt", list(SECONDS), 1, format_func=SECONDS.get, key="denoise-adapt-seconds", width=160
        )
        st.button(
            "Adapt to this image",
            icon=":material/model_training:",
            on_click=_ask,
            args=(work_key, seconds),
            help=HELP,
            key="denoise-adapt",
        )
    made = version(work_key, work)
    if made is not None:
        say = st.success if made.improved else st.info
        say(made.sentence, icon=":material/check:" if made.improved else ":material/undo:")
        if made.warning:
            st.warning(made.warning, icon=":material/warning:")


def _ask(work_key: str, seconds: int) -> None:
    _asked()[work_key] = seconds
    stopped = st.session_state.setdefault("denoise-stopped", set())
    stopped.discard(adapt_key(work_key, seconds))  # if it was cancelled before
