"""The viewer in a page: drawing it, and the channel beside it that answers what is zoomed into."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

from pages.views import presenting, words
from pages.views.galaxy_map.payload import pack
from pages.views.image_viewer import payload
from pages.views.image_viewer.payload import Shown

FOLDER = Path(__file__).parent
SCRIPTS = ("pixels.js", "viewer.js", "gestures.js", "tools.js", "component.js")
HEIGHT_PX = 620
MARK_TITLES = {
    "kept": "Sources found in the input and in this version",
    "gained": "Sources found in this version and not in the input",
    "lost": "Sources found in the input and not in this version",
}


@cache
def _mount():
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = (FOLDER / "viewer.css").read_text(encoding="utf-8")
    return st.components.v2.component("galaxy_atlas_viewer", css=style, js=script, isolate_styles=False)


def draw_viewer(shown: Shown) -> None:
    """Draw the viewer; what a zoom asks for is answered in a fragment of its own."""
    with st.container(key=f"viewer-box-{shown.viewer_id}", height=presenting.height(HEIGHT_PX), border=False):
        _mount()(key=f"viewer-{shown.viewer_id}", data=_message(shown, shown.stamp, shown.right), height="stretch")
    with st.container(key=f"viewer-channel-{shown.viewer_id}"):
        _draw_detail(shown)


@st.fragment
def _draw_detail(shown: Shown) -> None:
    key = f"channel-{shown.viewer_id}"
    asked = (st.session_state.get(key) or {}).get("region") or {}
    same = asked.get("stamp") == shown.stamp and asked.get("right") == shown.right
    message = payload.detail_message(shown, asked.get("seen")) if same else None
    _mount()(
        key=key,
        data=message or pack({"role": "detail", "id": shown.viewer_id}),
        on_region_change=lambda: None,
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _message(_shown: Shown, stamp: str, right: str) -> bytes:
    limits = payload.shift_limits(
        payload.limits_of(_shown.before, _shown.linear, _shown.scale), *payload.coding(_shown)
    )
    residual = words.number(payload.residual_limit(_shown) * _shown.scale)
    uncertainty = words.number(payload.uncertainty_limit(_shown) * _shown.scale)
    return payload.viewer_message(
        _shown,
        limits,
        {
            "mark_titles": MARK_TITLES,
            "scales": {
                "residual": f"blue −{residual}, orange +{residual} {_shown.unit}",
                "uncertainty": f"violet 0, yellow {uncertainty} {_shown.unit}",
            },
        },
    )
