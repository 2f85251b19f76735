"""Tags on the open galaxy and on a selection: by mouse, by keyboard, with undo; every visitor sees the same tags."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from galaxy_core import tags
from galaxy_core.errors import GalaxyError
from galaxy_core.tags import Step
from pages.views import editions, frame, selection, selection_history, words
from pages.views.readers import Galaxies
from pages.views.tagged import (
    lost_sentence,
    model_hash,
    path_of,
    tag_codes,
    tag_counts,
    tag_names,
    tag_rows,
    tags_by_row,
    tags_of_export,
)
from pages.views.tagger import draw_who, person, turn_step

__all__ = [
    "draw_galaxy_tags",
    "draw_selection_tags",
    "draw_who",
    "handle_key",
    "key_tags",
    "person",
    "tag_codes",
    "tag_counts",
    "tag_names",
    "tag_rows",
    "tags_by_row",
    "tags_of_export",
]

N_KEYS = 9
OnChange = Callable[[Galaxies], None]


def draw_galaxy_tags(galaxies: Galaxies, row: int, on_change: OnChange | None = None) -> None:
    """The tags of one galaxy, each a button that sets it or takes it; a box for a new one; undo; and who is tagging.

    Parameters
    ----------
    on_change : callable, optional
        Called with ``galaxies`` after a tag was set or taken, before the page is drawn again.
    """
    with frame.panel():
        galaxy_id, numbered = str(galaxies.ids[row]), key_tags(galaxies)
        held = tags.tags_of_galaxy(path_of(galaxies), galaxy_id)
        names = held["tag"].tolist()
        st.session_state["tags_seen"] = {"of": (galaxies.name, row), "tags": set(names)}
        options = numbered + [tag for tag in names if tag not in numbered]
        with st.container(key="tags-card", gap="small"):
            if options:
                key = editions.key_showing(f"tags-{galaxies.name}-{row}", names)
                st.pills(
                    "Tags",
                    options,
                    selection_mode="multi",
                    default=names,
                    format_func=lambda tag: f"{numbered.index(tag) + 1} · " * (tag in numbered) + frame.plain(tag),
                    key=key,
                    help=_who_said_what(held),
                    on_change=_toggle,
                    args=(galaxies, galaxy_id, names, key, on_change),
                )
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                key = editions.key_showing("add-tag", None)  # empty again after each
                about = (galaxies, galaxy_id, key, on_change)
                _draw_box(galaxies, names, key, "Add a tag", _add_from_box, about)
                _draw_undo(galaxies, "card", on_change)
                draw_who("card")
            _show_said("card")


def draw_selection_tags(galaxies: Galaxies, rows: np.ndarray | None, on_change: OnChange | None = None) -> None:
    """Give a tag to all galaxies of a selection or take it from them, with undo; and what tags they have.

    Parameters
    ----------
    rows : int array or None
        None or empty for no selection.
    on_change : callable, optional
        As for `draw_galaxy_tags`.
    """
    with frame.panel():
        if rows is None or len(rows) == 0:
            st.caption("Select galaxies on the map to tag them all at once.")
            return
        with st.container(key="tags-selection", gap="small"):
            inside = {tag: int(tag_codes(galaxies, tag)[rows].sum()) for tag in tag_names(galaxies)}
            _draw_box(galaxies, [], "selection-tag", "A tag for the whole selection")
            chosen = st.session_state.get("selection-tag")
            n_have = inside.get(_as_written(galaxies, chosen), 0) if chosen else 0
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                about = (galaxies, rows, on_change)
                _draw_change("tag", f"Tag {words.count(len(rows))}", not chosen or n_have == len(rows), *about)
                if n_have:
                    _draw_change("untag", f"Take it from {words.count(n_have)}", False, *about)
                _draw_undo(galaxies, "selection", on_change)
                draw_who("selection")
            _show_said("selection")
            found = [f"{frame.plain(tag)} ({n:,})" for tag, n in inside.items() if n]
            if found:
                st.caption(
                    f"Tags of these {words.count(len(rows))}: {', '.join(found)}. “The unusual” learns a tag and ranks"
                    " the other galaxies by it."
                )
            if lost := lost_sentence(galaxies):
                st.caption(lost)


def handle_key(galaxies: Galaxies, key: str) -> str | None:
    """Keys ``1`` to ``9`` set or take that tag of `key_tags` on the open galaxy, ``u`` undoes.

    Returns
    -------
    str or None
        What was done, or why not, in a sentence; None for any other key.
    """
    try:
        if key.lower() == "u":
            return turn(galaxies, back=True) or "There is nothing of yours to undo."
        if len(key) != 1 or key not in "123456789":
            return None
        numbered, row = key_tags(galaxies), selection.open_row(galaxies)
        if row is None:
            return "Open a galaxy first; then the keys 1 to 9 tag it."
        if int(key) > len(numbered):
            return f"There is no tag with the number {key} yet; add one in the card."
        tag, galaxy_id, seen = numbered[int(key) - 1], str(galaxies.ids[row]), _seen(galaxies, row)
        change = tags.untag_galaxies if tag in seen else tags.tag_galaxies
        step = change(path_of(galaxies), tag, [galaxy_id], person(), model_hash(galaxies))
        seen ^= {tag}
        selection_history.note_tags(galaxies, step)
        return _sentence(step, galaxy_id) or f"“{frame.plain(tag)}” is not on {frame.plain(galaxy_id)}."
    except GalaxyError as error:
        return str(error)


def turn(galaxies: Galaxies, back: bool) -> str:
    """Undo the visitor's last step of tagging, or redo it: what was done, in a sentence, empty where there is none."""
    try:
        step = turn_step(galaxies, "undo" if back else "redo")
    except GalaxyError as error:
        return str(error)
    selection_history.note_tags(galaxies, step)
    return _sentence(step)


def _seen(galaxies: Galaxies, row: int) -> set[str]:
    """The tags that the visitor sees on the card of a galaxy, or none before it is drawn.

    By these a key sets or takes a tag: it never takes one that somebody else gave just now.
    """
    known = st.session_state.setdefault("tags_seen", {})
    if known.get("of") != (galaxies.name, row):
        known |= {"of": (galaxies.name, row), "tags": set()}
    return known["tags"]


def key_tags(galaxies: Galaxies) -> list[str]:
    """The tags on the keys 1 to 9: the most used when this visit began, then as they come; none changes its place."""
    known = st.session_state.setdefault("key_tags", {}).setdefault(galaxies.name, [])
    known += [tag for tag in _offered(galaxies) if tag not in known]
    del known[N_KEYS:]
    return list(known)


def _draw_box(galaxies: Galaxies, held: list[str], key: str, label: str, on_change=None, args: tuple = ()) -> None:
    offered = [tag for tag in _offered(galaxies) if tag not in held]
    chosen = st.session_state.get(key)
    st.selectbox(
        label,
        offered + ([chosen] if chosen and chosen not in offered else []),
        index=None,
        key=key,
        placeholder=f"{label} …",
        label_visibility="collapsed",
        accept_new_options=True,
        on_change=on_change,
        args=args,
    )


def _offered(galaxies: Galaxies) -> list[str]:
    """Tags to choose from, without the answers given below the map."""
    return [tag for tag in tags.wanted(tag_names(galaxies)) if tags.fold(tag) != tags.INTERESTING]


def _draw_change(
    verb: str, label: str, disabled: bool, galaxies: Galaxies, rows: np.ndarray, on_change: OnChange | None
) -> None:
    st.button(
        label,
        key=f"{verb}-selection",
        type="primary" if verb == "tag" else "secondary",
        disabled=disabled,
        on_click=_tag_rows,
        args=(galaxies, verb, rows, on_change),
    )


def _draw_undo(galaxies: Galaxies, place: str, on_change: OnChange | None) -> None:
    for verb, help_text in (
        ("undo", "Undo the last thing you did to tags; U on the map does it, too"),
        ("redo", "Do again what you last undid of it"),
    ):
        st.button(
            f"{verb.capitalize()} tag",
            icon=f":material/{verb}:",
            key=f"{verb}-tags-{place}",
            type="tertiary",
            help=help_text,
            on_click=lambda verb=verb: _attempt(
                place,
                galaxies,
                on_change,
                lambda: turn_step(galaxies, verb),
                f"Nothing to {verb}.",
            ),
        )


def _toggle(galaxies: Galaxies, galaxy_id: str, before: list[str], key: str, on_change: OnChange | None) -> None:
    now = st.session_state[key]
    for verb, names in (("tag", set(now) - set(before)), ("untag", set(before) - set(now))):
        for tag in sorted(names):
            _change(galaxies, verb, tag, [galaxy_id], "card", on_change)


def _add_from_box(galaxies: Galaxies, galaxy_id: str, key: str, on_change: OnChange | None) -> None:
    tag = st.session_state[key]
    if tag and editions.is_shown("add-tag", key):
        _change(galaxies, "tag", tag, [galaxy_id], "card", on_change)


def _tag_rows(galaxies: Galaxies, verb: str, rows: np.ndarray, on_change: OnChange | None) -> None:
    _change(galaxies, verb, st.session_state["selection-tag"], galaxies.ids[rows], "selection", on_change)


def _change(galaxies: Galaxies, verb: str, tag: str, galaxy_ids, place: str, on_change: OnChange | None) -> None:
    change = {"tag": tags.tag_galaxies, "untag": tags.untag_galaxies}[verb]
    about = (path_of(galaxies), tag, galaxy_ids, person(), model_hash(galaxies))
    _attempt(place, galaxies, on_change, lambda: change(*about), "No galaxy has this tag.")


def _attempt(place: str, galaxies: Galaxies, on_change: OnChange | None, act: Callable, nothing: str) -> None:
    """Do something to tags and keep what to say about it, an error too: a callback has no place to show it."""
    try:
        step = act()
        selection_history.note_tags(galaxies, step)
        said = ("done", _sentence(step) or nothing)
    except GalaxyError as error:
        said = ("error", str(error))
    st.session_state["tags_said"] = {place: said}
    if on_change and said[0] == "done":
        on_change(galaxies)


def _show_said(place: str) -> None:
    """What was done last, once, where it was done."""
    kind, text = st.session_state.get("tags_said", {}).pop(place, ("", ""))
    if kind == "error":
        frame.show_problem(text)
    elif kind:
        st.caption(text)


def _sentence(step: Step | None, galaxy_id: str = "") -> str:
    """What a step did, in words; empty for none."""
    if step is None:
        return ""
    verb = {"tag": "is now on", "untag": "is taken from", "undo": "is undone for", "redo": "is done again for"}[
        step.kind
    ]
    whom = frame.plain(galaxy_id) or words.count(step.n_galaxies)
    same = step.n_galaxies - step.n_changed if step.kind in ("tag", "untag") and not galaxy_id else 0
    had = "had it already" if step.kind == "tag" else "did not have it"
    return f"“{frame.plain(step.tag)}” {verb} {whom}" + (f" ({same:,} {had})." if same else ".")


def _as_written(galaxies: Galaxies, tag: str) -> str:
    return next((name for name in tag_names(galaxies) if tags.fold(name) == tags.fold(tag)), tag)


def _who_said_what(held) -> str:
    lines = ["Click a tag to set or to take it."]
    for line in held.itertuples():
        when = line.made_utc[:16].replace("T", " ")
        lines.append(f"- {frame.plain(line.tag)}: {frame.plain(line.who)}, {when} UTC")
    return "\n".join(lines)
