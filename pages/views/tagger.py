"""Who is tagging: the name that is kept with every tag, and what of theirs is undone."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import streamlit as st

from galaxy_core import tags
from pages.views import editions, frame, selection_history
from pages.views.readers import Galaxies
from pages.views.tagged import path_of


def person() -> str:
    """Who is tagging: the user who is signed in, else the name typed by the visitor, else a number for this visit."""
    if getattr(st.user, "is_logged_in", False):
        user = st.user.to_dict()
        return str(user.get("name") or user.get("email") or tags.ANYBODY)
    visit = st.session_state.setdefault("tagger_visit", f"{tags.ANYBODY} {secrets.token_hex(2)}")
    return st.session_state.get("tagger_name") or visit


def turn_step(galaxies: Galaxies, kind: str, names: Sequence[str] | None = None) -> tags.Step | None:
    """Undo or redo (``kind``) a step of tagging, of some tags if named: of this tab, then of the person before it."""
    turn, path, own = getattr(tags, kind), path_of(galaxies), selection_history.tag_steps(galaxies)
    return turn(path, person(), names, own) or turn(path, person(), names)


def draw_who(place: str) -> None:
    """The name under which this visitor tags, and a box to give one; ``place`` tells two of them on one page apart."""
    with st.popover(f":material/person: {frame.plain(person())}", type="tertiary", help="Who is tagging"):
        if getattr(st.user, "is_logged_in", False):
            st.caption("Your tags are kept under the name you signed in with.")
            return
        box, name = f"tagger-{place}", st.session_state.get("tagger_name", "")
        key = editions.key_showing(box, name)
        st.text_input(
            "Your name",
            name,
            key=key,
            placeholder=person(),
            max_chars=80,
            on_change=_keep_name,
            args=(box, key),
            help="Kept with every tag you set, with the time and the model. Only you can undo what you did.",
        )


def _keep_name(box: str, key: str) -> None:
    if editions.is_shown(box, key):
        st.session_state["tagger_name"] = st.session_state[key].strip()
