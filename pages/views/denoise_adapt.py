"""Adapt the model to the image looked at, on a button: no clean image needed, and kept only if it helps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import streamlit as st

from galaxy_core.before_after import measure_version
from galaxy_core.denoising import denoise_image
from galaxy_core.work_tasks import DONE, Report, Task
from pages.views import background, loaded_models
from pages.views.denoise_work import Version, Work

METHOD, TITLE = "adapted", "Adapted to this image"
SECONDS = {30: "30 seconds", 60: "1 minute", 180: "3 minutes"}
ADAPTING = 0.8  # of the work, when denoising begins
HELP = """The model goes on learning from this image alone: it guesses pixels that are hidden from it (Noise2Self).
One pixel in sixteen is set aside; if the adapted model is not better there, you are told, and it is not used."""


@dataclass(frozen=True)
class Adapted(Version):
    """The image denoised by the adapted model, and how that was judged."""

    improved: bool = False
    sentence: str = ""
    warning: str = ""


def _asked() -> dict[str, int]:
    """Seconds asked for, by the work they were asked for."""
    return st.session_state.setdefault("denoise-adapt-asked", {})


def tasks(work_key: str, work: Work | None) -> dict[str, Task]:
    """The task of adapting to this image, where it was asked for, by its method; none before it is denoised."""
    seconds = _asked().get(work_key)
    return {} if work is None or seconds is None else {METHOD: adapt_task(work_key, work, seconds)}


def adapt_task(work_key: str, work: Work, seconds: int) -> Task:
    """Adapt for so long, denoise with the result and measure it."""
    return Task(_key(work_key, seconds), work.result.name, lambda report: _adapt(work, seconds, report))


def _key(work_key: str, seconds: int) -> str:
    return hashlib.sha1(f"{work_key} {METHOD} {seconds}".encode()).hexdigest()


def _adapt(work: Work, seconds: int, report: Report) -> Adapted:
    from galaxy_core.adaptation import adapt

    model = loaded_models.load_denoiser(work.model_file.parent, work.model_file.stat().st_mtime_ns)
    adapted = adapt(work.image, model, seconds, lambda done: report(ADAPTING * done))
    pixels, measured = work.result.denoised, work.after
    if adapted.improved:
        told = work.result.noise_sigma if work.result.noise_given else None
        pixels = denoise_image(work.image, adapted, told, lambda d: report(ADAPTING + (0.95 - ADAPTING) * d)).denoised
        measured = measure_version(work.reference, pixels)
    numbers = f"{adapted.error_before:.4g} before, {adapted.error_after:.4g} after, in units of the noise it is told"
    judged = f"error on pixels set aside, their own noise included: {numbers}; {adapted.n_steps} steps"
    if adapted.improved:
        sentence = f"The adapted model is better on this image ({judged})."
    else:
        sentence = f"The shipped model is kept: adapting did not make it better beyond chance ({judged})."
    return Adapted(METHOD, pixels, measured, adapted.improved, sentence, adapted.warning)


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
    asked = tasks(work_key, work)
    if not asked:
        return
    key = asked[METHOD].key
    version = background.queue().result(key) if background.queue().standing(key).state == DONE else None
    if version is not None:
        say = st.success if version.improved else st.info
        say(version.sentence, icon=":material/check:" if version.improved else ":material/undo:")
        if version.warning:
            st.warning(version.warning, icon=":material/warning:")


def _ask(work_key: str, seconds: int) -> None:
    _asked()[work_key] = seconds
    st.session_state.setdefault("denoise-stopped", set()).discard(_key(work_key, seconds))  # if it was cancelled before
