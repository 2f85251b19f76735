"""Which pixels mattered, drawn: beside and over the image, in colours that diverge from zero."""

from __future__ import annotations

import html

import numpy as np
import streamlit as st

from galaxy_core.images import encode_png, fit_screen
from galaxy_core.masks import luminance
from galaxy_core.occlusion import Occlusion
from galaxy_core.saved_images import stem_of
from galaxy_core.work_tasks import FAILED, RUNNING, STOPPED, WAITING, Task
from pages.views import background, denoise_files, frame, morphology_words
from pages.views.downloads import download_button
from pages.views.gallery import data_address
from pages.views.morphology_work import Seen
from pages.views.question_tree import percent
from pages.views.words import number

POLL_S = 0.7
LEAST = 0.01  # a change that is smaller may be none in whole percent, and is not blown up to full colour
FOR, AGAINST = (0.95, 0.60, 0.15), (0.20, 0.55, 0.95)
ZERO = {"dark": (0.10, 0.12, 0.18), "light": (0.95, 0.95, 0.96)}
OVER = 0.8  # of the colour that is strongest, over the image
HELP = """One patch of the image after the other is covered with the image's own sky, and the model is asked again.
Orange: without the patch the number falls, so these pixels speak for it. Blue: without it the number rises. Each pixel
shows the mean over the patches that cover it. It says what the model looked at, not what is true."""


def draw_pixels(seen: Seen, task: Task) -> None:
    """The map of what mattered, once it is there; until then how far it is."""
    st.subheader("Which pixels mattered", anchor=False, help=HELP)
    queue = background.queue()
    standing, made = queue.standing(task.key), queue.result(task.key)
    with st.container(key="morphology-pixels"):  # of a height of its own: nothing below moves when the maps are there
        if made is not None:
            _draw_maps(seen, made)
        elif standing.state == FAILED:
            frame.show_problem(standing.error)
        elif standing.state == STOPPED:
            st.caption("Stopped.")
        else:
            st.fragment(_wait, run_every=POLL_S)(task.key)


def _wait(key: str) -> None:
    standing = background.queue().standing(key)
    if standing.state not in (WAITING, RUNNING):
        st.rerun(scope="app")
    far = denoise_files.place_text(standing) if standing.state == WAITING else f"{100 * standing.fraction:.0f} %"
    st.progress(min(standing.fraction, 1.0), f"Covering one patch after the other: {far}")


def choices_of(seen: Seen) -> dict[int, str]:
    """Predictions that can be asked about: classes, the likeliest first, then the leading answers along the tree."""
    told, n = seen.told, len(seen.told.class_names)
    order = np.argsort(-seen.probabilities, kind="stable")
    choices = {int(k): f"Class: {morphology_words.class_words(told.class_names[k])}" for k in order}
    path = [] if told.cumulative is None else morphology_words.leading_path(told)
    return choices | {n + column: morphology_words.answer_words(column) for column in path}


@st.fragment
def _draw_maps(seen: Seen, made: Occlusion) -> None:
    choices = choices_of(seen)
    key = f"morphology-for-{seen.told.galaxy_ids[0]}"
    k = st.columns([1, 1])[0].selectbox("What they mattered for", list(choices), format_func=choices.get, key=key)
    mattered = made.map_of(k)
    limit = max(float(np.abs(mattered).max()), LEAST)
    maps = {
        "over the image": overlay(seen.stamp, mattered, limit),
        "by itself": coloured(mattered, limit, frame.is_dark()),
    }
    pictures = {"as the model sees it": seen.stamp} | maps
    figures = [
        f'<figure><img class="galaxy-image" src="{data_address(encode_png(picture))}" alt="{html.escape(name)}">'
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, picture in pictures.items()
    ]
    st.html(f'<div class="pixel-maps">{"".join(figures)}</div>{scale_html(limit, frame.is_dark())}')
    st.caption(frame.plain(sentence_of(made, k, choices[k])))
    download_button(
        "Save the picture (PNG)",
        lambda: encode_png(fit_screen(np.concatenate(list(pictures.values()), axis=2), 1536)),
        f"{stem_of(seen.name)}_pixels.png",
        "image/png",
        icon=":material/download:",
    )


def sentence_of(made: Occlusion, k: int, name: str) -> str:
    """What the most telling patch does."""
    (row, column), covered = made.most_telling(k)
    size = f"{made.patch_px} x {made.patch_px} px"
    if abs(covered - made.whole[k]) < LEAST:
        return f"No patch of {size} changes “{name}” by a percentage point."
    return (
        f"“{name}”: {percent(float(made.whole[k]))} with nothing covered; covering {size} around x = {column}, "
        f"y = {row} changes it most, to {percent(covered)}."
    )


def coloured(mattered: np.ndarray, limit: float, dark: bool) -> np.ndarray:
    """A signed map in colours, float32 (3, height, width): blue below zero, orange above, as quiet as the page at zero.

    Parameters
    ----------
    mattered : ndarray, shape (height, width)
    limit : float
        What is shown in full colour.
    """
    share, colour = _share_and_colour(mattered, limit)
    zero = np.float32(ZERO["dark" if dark else "light"])[:, None, None]
    return zero * (1 - share) + colour * share


def overlay(stamp: np.ndarray, mattered: np.ndarray, limit: float) -> np.ndarray:
    """The same over an image in grey, the stronger the less of the image is seen; float32 (3, height, width)."""
    share, colour = _share_and_colour(mattered, limit)
    grey = np.repeat(luminance(stamp)[None], 3, axis=0)
    return (grey * (1 - OVER * share) + colour * OVER * share).astype(np.float32)


def _share_and_colour(mattered: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    share = np.clip(np.abs(mattered) / limit, 0, 1)[None].astype(np.float32)
    sides = (np.float32(side)[:, None, None] for side in (FOR, AGAINST))
    above, below = sides
    return share, np.where(mattered[None] >= 0, above, below)


def scale_html(limit: float, dark: bool) -> str:
    """The colour scale, with zero in its middle."""
    against, zero, speaks = (
        "rgb({} {} {})".format(*(round(255 * c) for c in colour))
        for colour in (AGAINST, ZERO["dark" if dark else "light"], FOR)
    )
    text = number(100 * limit)
    return (
        f'<div class="pixel-scale"><span>−{text}</span><i style="background: linear-gradient(90deg, {against}, {zero},'
        f' {speaks})"></i><span>+{text}</span><b>percentage points lost when covered; zero in the middle</b></div>'
    )
