"""The frame viewer in a page: drawing it, and the channels beside it for finer pixels and for marks and clicks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import streamlit as st

from pages.views.galaxy_map.payload import pack
from pages.views.image_viewer import component as image_viewer
from pages.views.sky_viewer import payload
from pages.views.sky_viewer.payload import VIEWER_ID
from pages.views.sky_work import SkyWork

FOLDER = Path(__file__).parent
SHARED = ("pixels.js", "viewer.js", "gestures.js", "tools.js")  # of the image viewer
HEIGHT_PX = 640


@cache
def _mount():
    files = [*(image_viewer.FOLDER / name for name in SHARED), FOLDER / "sky.js", FOLDER / "component.js"]
    style = [image_viewer.FOLDER / "viewer.css", FOLDER / "sky.css"]
    script, css = ("\n".join(path.read_text(encoding="utf-8") for path in paths) for paths in (files, style))
    return st.components.v2.component("galaxy_atlas_sky", css=css, js=script, isolate_styles=False)


def draw_viewer(work: SkyWork, stamp: str, name: str, stem: str) -> None:
    """Draw the frame; what a zoom asks for is answered in a fragment of its own.

    ``stamp`` is that of the frame: the view stays while it is the same, also where it is searched anew.
    """
    with st.container(key=f"viewer-box-{VIEWER_ID}", height=HEIGHT_PX, border=False):
        _mount()(key=f"viewer-{VIEWER_ID}", data=_message(work, work.key, stamp, name, stem), height="stretch")
    with st.container(key=f"viewer-channel-{VIEWER_ID}"):
        _draw_detail(work, stamp)


@st.fragment
def _draw_detail(work: SkyWork, stamp: str) -> None:
    key = f"channel-{VIEWER_ID}"
    asked = (st.session_state.get(key) or {}).get("region") or {}
    message = payload.detail_message(work, stamp, asked.get("seen")) if asked.get("stamp") == stamp else None
    _mount()(key=key, data=message or pack({"role": "detail", "id": VIEWER_ID}), on_region_change=lambda: None)


@st.cache_resource(max_entries=4, show_spinner=False)
def _message(_work: SkyWork, key: str, stamp: str, name: str, stem: str) -> bytes:
    return payload.sky_message(_work, stamp, name, stem)


def draw_marks(
    work: SkyWork, opened: int | None, centre: bool, selected: np.ndarray, on_event: Callable[[dict], None]
) -> None:
    """The channel of the marks; to be drawn where a click is to change something.

    ``on_event`` is called with what was done: a ``kind``, "open" with ``row``, "box" with ``box`` (x0, y0, x1, y1
    from the frame's corner), or "clear". ``centre``: whether the view moves to the open object.
    """
    key = f"marks-{VIEWER_ID}"

    def changed() -> None:
        seen = st.session_state.get("sky-seen", 0)
        for event in st.session_state[key]["events"] or []:  # from a browser: what makes no sense is ignored
            if isinstance(event, dict) and isinstance(event.get("number"), int) and event["number"] > seen:
                st.session_state["sky-seen"] = event["number"]
                if event.get("stamp") == work.key:
                    on_event(event)

    message = payload.marks_message(work, st.session_state.get("sky-seen", 0), opened, centre, selected)
    with st.container(key=f"viewer-channel-marks-{VIEWER_ID}"):
        _mount()(key=key, data=message, on_events_change=changed)
