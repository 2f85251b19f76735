"""The most unusual galaxies, and a list that learns: from "interesting" and "not interesting", or from any other tag.

Answers are tags, so they are kept with who gave them and when, everybody's count, and they leave with every export.
What refuses the tag "ring" is the tag "not ring".
"""

from __future__ import annotations

import numpy as np
import streamlit as st

from galaxy_core import artifacts, tags
from galaxy_core.tags import INTERESTING, opposite_of
from pages.views import frame, readers, tagged, tagging, words
from pages.views.gallery import picture_label
from pages.views.readers import Galaxies
from pages.views.selection_gallery import OnOpen
from pages.views.unusual_answers import answers, batch_of, give_answer, start_over, undo_answer
from pages.views.unusual_list import draw_list


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
        tag = choose_tag(galaxies)
        rows, found = answers(galaxies, tag)
        batch, scores = batch_of(galaxies, tag)
        draw_state(tag, found)
        if len(batch):
            draw_batch(galaxies, tag, batch, scores, dict(zip(rows.tolist(), found.tolist(), strict=True)), on_open)
        else:
            st.caption("Every galaxy has an answer.")
        draw_actions(galaxies, tag, batch, found)
        draw_list(galaxies, tag, scores, rows, found, on_open)


def choose_tag(galaxies: Galaxies) -> str:
    """What to learn: what is interesting, or a tag that galaxies of this catalog have."""
    names = [tag for tag in tags.wanted(tagged.tag_names(galaxies)) if tags.fold(tag) != INTERESTING]
    key = f"unusual-learn-{galaxies.name}"
    chosen = st.session_state.get(key, INTERESTING)
    return st.selectbox(
        "Learn from",
        [INTERESTING, *names, *({chosen} - {INTERESTING, *names})],  # the last galaxy may have lost the chosen one
        format_func=lambda tag: "interesting or not" if tag == INTERESTING else f"the tag “{tag}”",
        key=key,
        width=280,
        persist_state="session",
        help="Give a tag to a few galaxies, on their cards or by a selection, and the others are ranked by how likely"
        " they have it.",
    )


def draw_state(tag: str, interesting: np.ndarray) -> None:
    """What the order of the galaxies rests on, in a sentence."""
    found, others = int(interesting.sum()), int((~interesting).sum())
    if tag != INTERESTING:
        st.markdown(
            f"**{found:,} tagged “{frame.plain(tag)}”, {others:,} refused.** "
            + ("What is like the tagged ones goes up in the list." if found else "Tag one to begin with."),
            help="The number under a picture: how much the galaxy is like those that have the tag, and not like those"
            " refused and some drawn at random, from 0 to 1. What you refuse gets the tag"
            f" “{frame.plain(opposite_of(tag))}”. The answers of all visitors count.",
        )
        return
    if len(interesting) == 0:
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
    galaxies: Galaxies, tag: str, batch: list[int], scores: np.ndarray, given: dict[int, bool], on_open: OnOpen
) -> None:
    """The galaxies to judge; the keys i (y for a tag) and n answer for the first without an answer."""
    next_row = next((row for row in batch if row not in given), None)
    with st.container(horizontal=True, key="unusual-batch"):
        for row, image in zip(batch, readers.thumbnails(galaxies, batch), strict=True):
            with st.container(key=f"unusual-tile-{row}{'-next' if row == next_row else ''}", width="content", gap=None):
                galaxy_id = str(galaxies.ids[row])
                label = picture_label(galaxy_id, image, f"{scores[row]:.3f}")
                called = frame.plain(galaxy_id)
                st.button(label, key=f"unusual-open-{row}", help=called, on_click=on_open, args=(galaxies, row))
                with st.container(horizontal=True, gap=None, horizontal_alignment="center"):
                    _draw_answers(galaxies, tag, row, given.get(row), row == next_row)


def _draw_answers(galaxies: Galaxies, tag: str, row: int, given: bool | None, with_keys: bool) -> None:
    yes = "i" if tag == INTERESTING else "y"
    for answer, is_it, icon in ((tag, True, "thumb_up"), (opposite_of(tag), False, "thumb_down")):
        st.button(
            "",
            icon=f":material/{icon}:",
            key=f"unusual-{'yes' if is_it else 'no'}-{row}",
            type="primary" if given is is_it else "tertiary",
            help=frame.plain(f"{answer[:1].upper()}{answer[1:]}: {galaxies.ids[row]}"),
            shortcut=(yes if is_it else "n") if with_keys else None,
            on_click=give_answer,
            args=(galaxies, tag, is_it, [row]),
        )


def draw_actions(galaxies: Galaxies, tag: str, batch: list[int], found: np.ndarray) -> None:
    """What concerns more than one galaxy: the rest of the batch, undo, and starting over."""
    given = set(answers(galaxies, tag)[0].tolist())
    rest = [row for row in batch if row not in given]
    with st.container(horizontal=True, vertical_alignment="center", key="unusual-actions"):
        st.button(
            f"None of the {'other ' if len(rest) < len(batch) else ''}{len(rest)} is "
            + (tag if tag == INTERESTING else f"“{frame.plain(tag)}”"),
            icon=":material/skip_next:",
            key="unusual-none",
            type="primary",
            disabled=not rest,
            on_click=give_answer,
            args=(galaxies, tag, False, rest),
        )
        st.button("Undo", icon=":material/undo:", key="unusual-undo", on_click=undo_answer, args=(galaxies, tag))
        n = len(found) if tag == INTERESTING else int((~found).sum())
        what = "answer" if tag == INTERESTING else "refusal"
        with st.popover("Start over", icon=":material/restart_alt:", disabled=n == 0):
            st.write(
                f"Take back {words.count(n, what, f'{what}s')}, also those of others? Undo brings them back"
                + (", one kind at a time." if tag == INTERESTING else ". The tag itself stays where it is.")
            )
            st.button(f"Take back all {what}s", key="unusual-restart", on_click=start_over, args=(galaxies, tag))
        tagging.draw_who("unusual")
    kind, text = st.session_state.pop("unusual_said", ("", ""))
    if kind:
        (frame.show_problem if kind == "error" else st.caption)(text)
