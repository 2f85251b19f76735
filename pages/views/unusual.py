"""The most unusual galaxies, and a list of them that learns from "interesting" and "not interesting".

Answers are tags, so they are kept with who gave them and when, everybody's count, and they leave with every export.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import active, artifacts, tags
from galaxy_core.errors import GalaxyError
from galaxy_core.tags import INTERESTING, NOT_INTERESTING
from pages.views import frame, readers, selection, tagged, tagging, words
from pages.views.gallery import picture_label
from pages.views.readers import Galaxies
from pages.views.selection_gallery import pictures

BATCH = 12
LIST = 48
ANSWERS = (INTERESTING, NOT_INTERESTING)
OnOpen = Callable[[Galaxies, int], None]


def draw_unusual(galaxies: Galaxies, on_open: OnOpen) -> None:
    """A batch of galaxies to judge, the ranking as it is now, and its top as a selection.

    Parameters
    ----------
    on_open : callable
        Called with ``galaxies`` and the row of a picture that was clicked.
    """
    if galaxies.anomaly is None:
        command = artifacts.mend_command(galaxies.root, galaxies.name, galaxies.manifest)
        st.info("How unusual each galaxy is has not been measured yet. This measures it, and keeps what is there:")
        st.code(command, language="bash", wrap_lines=True)
        return
    with frame.panel():
        rows, interesting = answers(galaxies)
        batch, scores = batch_of(galaxies)
        draw_state(rows, interesting)
        if len(batch):
            draw_batch(galaxies, batch, scores, dict(zip(rows.tolist(), interesting.tolist(), strict=True)), on_open)
        else:
            st.caption("Every galaxy has an answer.")
        draw_actions(galaxies, batch, len(rows))
        draw_list(galaxies, scores, rows, interesting, on_open)


def draw_state(rows: np.ndarray, interesting: np.ndarray) -> None:
    """What the order of the galaxies rests on, in a sentence."""
    found, others = int(interesting.sum()), int((~interesting).sum())
    if len(rows) == 0:
        text = (
            "**Which of these are interesting?** They are the most unusual galaxies; the list learns from your answers."
        )
    elif not found:
        text = f"**{others:,} not interesting, none interesting yet.** What is like these goes down in the list."
    else:
        text = f"**{found:,} interesting, {others:,} not.** What is like the interesting ones goes up in the list."
    st.markdown(
        text,
        help="The number under a picture: without answers, how unusual the galaxy is, by an isolation forest and the"
        " distance to its neighbours in the embedding (1 is the most unusual of the catalog). After the first"
        " “interesting”, how much it is like what was called interesting rather than not, from 0 to 1. Answers are"
        " kept as tags; those of all visitors count.",
    )


def draw_batch(
    galaxies: Galaxies, batch: list[int], scores: np.ndarray, given: dict[int, bool], on_open: OnOpen
) -> None:
    """The galaxies to judge; the keys i and n answer for the first without an answer."""
    next_row = next((row for row in batch if row not in given), None)
    with st.container(horizontal=True, key="unusual-batch"):
        for row, image in zip(batch, readers.thumbnails(galaxies, batch), strict=True):
            with st.container(key=f"unusual-tile-{row}{'-next' if row == next_row else ''}", width="content", gap=None):
                galaxy_id = str(galaxies.ids[row])
                label = picture_label(galaxy_id, image, f"{scores[row]:.3f}")
                called = frame.plain(galaxy_id)
                st.button(label, key=f"unusual-open-{row}", help=called, on_click=on_open, args=(galaxies, row))
                with st.container(horizontal=True, gap=None, horizontal_alignment="center"):
                    _draw_answers(galaxies, row, given.get(row), row == next_row)


def _draw_answers(galaxies: Galaxies, row: int, given: bool | None, with_keys: bool) -> None:
    for answer, is_it, icon in ((INTERESTING, True, "thumb_up"), (NOT_INTERESTING, False, "thumb_down")):
        st.button(
            "",
            icon=f":material/{icon}:",
            key=f"unusual-{'yes' if is_it else 'no'}-{row}",
            type="primary" if given is is_it else "tertiary",
            help=frame.plain(f"{answer.capitalize()}: {galaxies.ids[row]}"),
            shortcut=answer[0] if with_keys else None,
            on_click=give_answer,
            args=(galaxies, answer, [row]),
        )


def draw_actions(galaxies: Galaxies, batch: list[int], n_answers: int) -> None:
    """What concerns more than one galaxy: the rest of the batch, undo, and starting over."""
    given = set(answers(galaxies)[0].tolist())
    rest = [row for row in batch if row not in given]
    with st.container(horizontal=True, vertical_alignment="center", key="unusual-actions"):
        st.button(
            f"None of the {'other ' if len(rest) < len(batch) else ''}{len(rest)} is interesting",
            icon=":material/skip_next:",
            key="unusual-none",
            type="primary",
            disabled=not rest,
            on_click=give_answer,
            args=(galaxies, NOT_INTERESTING, rest),
        )
        st.button("Undo", icon=":material/undo:", key="unusual-undo", on_click=undo_answer, args=(galaxies,))
        with st.popover("Start over", icon=":material/restart_alt:", disabled=n_answers == 0):
            st.write(
                f"Take back all {n_answers:,} answers, also those of others? Undo brings them back, one kind at a time."
            )
            st.button("Take back all answers", key="unusual-restart", on_click=start_over, args=(galaxies,))
        tagging.draw_who("unusual")
    kind, text = st.session_state.pop("unusual_said", ("", ""))
    if kind:
        (frame.show_problem if kind == "error" else st.caption)(text)


def draw_list(
    galaxies: Galaxies, scores: np.ndarray, rows: np.ndarray, interesting: np.ndarray, on_open: OnOpen
) -> None:
    """The top of the ranking without what is not interesting, and its selection on the map."""
    order = ranking(scores, rows[~interesting])
    how = "the most unusual galaxies" if len(rows) == 0 else f"ranked by {words.count(len(rows), 'answer', 'answers')}"
    st.markdown(f"**The top of the list**, {how}")
    with st.container(horizontal=True, vertical_alignment="bottom", key="unusual-select"):
        top = st.number_input("How many", 1, len(galaxies), min(100, len(galaxies)), key="unusual-top", width=140)
        st.button(
            f"Select the top {top:,} on the map",
            icon=":material/select_all:",
            key="unusual-select-top",
            on_click=select_top,
            args=(galaxies, order[:top], f"most unusual, top {top:,} {how}"),
        )
    shown = order[:LIST]
    pictures(galaxies, shown, [f"{scores[row]:.3f}" for row in shown], "unusual-list", on_open)


def answers(galaxies: Galaxies) -> tuple[np.ndarray, np.ndarray]:
    """Rows that were judged, in order, and whether each was interesting."""
    yes, no = (tagged.tag_rows(galaxies, answer) for answer in ANSWERS)
    rows = np.concatenate([yes, no]).astype(np.int64)
    interesting = np.repeat([True, False], [len(yes), len(no)])
    order = np.argsort(rows, kind="stable")
    return rows[order], interesting[order]


def batch_of(galaxies: Galaxies) -> tuple[list[int], np.ndarray]:
    """The galaxies on the table, and the score of all; new ones when all have an answer, or when asked for."""
    rows, _ = answers(galaxies)
    version = tuple(tagged.tag_version(galaxies, answer) for answer in ANSWERS)  # also of “Interesting”
    batch, scores = _ranked(galaxies, tagged.path_of(galaxies), galaxies.stamp, version)
    shown = _batches().get(galaxies.name)
    if not shown or max(shown) >= len(galaxies) or set(shown) <= set(rows.tolist()):
        shown = _batches()[galaxies.name] = [int(row) for row in batch]
    return shown, scores


def ranking(scores: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Rows by score, the highest first, without some."""
    kept = np.ones(len(scores), bool)
    kept[left_out] = False
    rows = np.flatnonzero(kept)
    return rows[np.argsort(-scores[rows], kind="stable")]


def give_answer(galaxies: Galaxies, answer: str, rows: list[int]) -> None:
    """Keep an answer; while little is known, an interesting galaxy brings a new batch at once."""
    known = set(answers_or_none(galaxies, INTERESTING))
    path, person = tagged.path_of(galaxies), tagging.person()
    done = _attempt(lambda: tags.tag_galaxies(path, answer, galaxies.ids[rows], person, tagged.model_hash(galaxies)))
    if done and answer == INTERESTING and len(known) < active.N_EAGER and not known & set(rows):
        _batches().pop(galaxies.name, None)


def undo_answer(galaxies: Galaxies) -> None:
    """Undo the visitor's last answer; the galaxies it was about are on the table again."""
    before = [set(answers_or_none(galaxies, answer)) for answer in ANSWERS]
    if _attempt(lambda: tags.undo(tagged.path_of(galaxies), tagging.person(), ANSWERS), "There is nothing to undo."):
        after = [set(answers_or_none(galaxies, answer)) for answer in ANSWERS]
        changed = sorted((before[0] ^ after[0]) | (before[1] ^ after[1]))[:BATCH]
        shown = _batches().get(galaxies.name, [])
        _batches()[galaxies.name] = (changed + [row for row in shown if row not in changed])[:BATCH]


def start_over(galaxies: Galaxies) -> None:
    """Take back every answer on galaxies of this catalog."""
    path, person = tagged.path_of(galaxies), tagging.person()
    for answer in ANSWERS:
        ids = galaxies.ids[answers_or_none(galaxies, answer)]
        _attempt(partial(tags.untag_galaxies, path, answer, ids, person))
    _batches().pop(galaxies.name, None)


def select_top(galaxies: Galaxies, rows: np.ndarray, how: str) -> None:
    """Make the top of the ranking the selection."""
    selection.select_rows(galaxies, rows, how=how)
    st.session_state["unusual_said"] = ("done", f"{words.count(len(rows))} selected on the map.")
    st.rerun(["card", "below"])


def answers_or_none(galaxies: Galaxies, answer: str) -> list[int]:
    """Rows with an answer; none where they cannot be read, which the panel says when it is drawn."""
    try:
        return tagged.tag_rows(galaxies, answer).tolist()
    except GalaxyError:
        return []


def _attempt(act: Callable, nothing: str = "") -> bool:
    try:
        done = act() is not None
        st.session_state["unusual_said"] = ("", "") if done else ("done" if nothing else "", nothing)
        return done
    except GalaxyError as error:
        st.session_state["unusual_said"] = ("error", str(error))
        return False


def _batches() -> dict[str, list[int]]:
    return st.session_state.setdefault("unusual_batch", {})


@st.cache_resource(max_entries=2, show_spinner="Preparing the embedding …")
def _space(_galaxies: Galaxies, root: Path, name: str, stamp: tuple) -> active.Space:
    return active.make_space(readers.embedding(_galaxies))


@st.cache_resource(max_entries=8, show_spinner=False)
def _ranked(_galaxies: Galaxies, path: Path, stamp: tuple, version: tuple) -> tuple[np.ndarray, np.ndarray]:
    space = _space(_galaxies, _galaxies.root, _galaxies.name, stamp)
    return active.choose_batch(space, _galaxies.anomaly, *answers(_galaxies), BATCH)
