"""The most unusual galaxies, and a list that learns: from "interesting" and "not interesting", or from any other tag.

Answers are tags, so they are kept with who gave them and when, everybody's count, and they leave with every export.
What refuses the tag "ring" is the tag "not ring".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import active, active_checks, artifacts, tags
from galaxy_core.errors import GalaxyError
from galaxy_core.tags import INTERESTING, opposite_of
from pages.views import frame, readers, selection, tagged, tagging, words
from pages.views.gallery import picture_label
from pages.views.readers import Galaxies
from pages.views.selection_gallery import pictures, where_of

BATCH = 12
PER_PAGE = 48
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


def draw_list(
    galaxies: Galaxies, tag: str, scores: np.ndarray, rows: np.ndarray, interesting: np.ndarray, on_open: OnOpen
) -> None:
    """The top of the ranking without what is refused, or has the tag already, and its selection on the map."""
    order = ranking(scores, rows[~interesting] if tag == INTERESTING else rows)
    how = "the most unusual galaxies" if len(rows) == 0 else f"ranked by {words.count(len(rows), 'answer', 'answers')}"
    if tag != INTERESTING:
        how = f"without those that have the tag “{tag}” or were refused"
    st.markdown(f"**The top of the list**, {frame.plain(how)}")
    draw_check(galaxies, tag, interesting)
    with st.container(horizontal=True, vertical_alignment="bottom", key="unusual-select"):
        top = st.number_input("How many", 1, len(galaxies), min(100, len(galaxies)), key="unusual-top", width=140)
        listed, named = order[:top], f"most unusual, top {top:,} {how}"
        if tag != INTERESTING:
            taught = f"{interesting.sum():,} that are and {(~interesting).sum():,} that are not"
            named = f"most likely “{tag}”, top {top:,} by what {taught} taught"
        st.button(
            f"Select the top {len(listed):,} on the map",
            disabled=len(listed) == 0,
            icon=":material/select_all:",
            key="unusual-select-top",
            on_click=select_top,
            args=(galaxies, listed, named),
        )
        n_pages = -(-len(listed) // PER_PAGE)
        page = st.pagination(n_pages, key=f"unusual-page-{tag}-{n_pages}") if n_pages > 1 else 1
    shown = listed[(page - 1) * PER_PAGE : page * PER_PAGE]
    if len(shown):
        st.caption(where_of((page - 1) * PER_PAGE, len(shown), len(listed)))
    pictures(galaxies, shown, [f"{scores[row]:.3f}" for row in shown], "unusual-list", on_open)


def draw_check(galaxies: Galaxies, tag: str, found: np.ndarray) -> None:
    """How well the ranking does on galaxies it did not learn from, where that can be told."""
    check = _check(galaxies, tagged.path_of(galaxies), galaxies.stamp, tag, version_of(galaxies, tag))
    kind = "interesting" if tag == INTERESTING else "tagged"
    if check is not None:
        st.caption(
            f"Judged on {check.n_found:,} {kind} galaxies and {check.n_background:,} drawn at random, each ranked by"
            f" what the others taught: {words.share(check.auc, 1)} of such pairs are in the right order, 50 % by"
            " chance.",
            help="By cross-validation, a fifth of them left out at a time. Galaxies that this list itself brought up"
            " make it look better than it is; those at random that are of the kind make it look worse.",
        )
    elif tag != INTERESTING and found.any():
        st.caption(f"From {active_checks.LEAST_FOUND} tagged galaxies on it is said here how well the ranking does.")


def answers(galaxies: Galaxies, tag: str = INTERESTING) -> tuple[np.ndarray, np.ndarray]:
    """Rows that were judged, in order, and whether each was interesting, or got the tag."""
    yes, no = (tagged.tag_rows(galaxies, answer) for answer in (tag, opposite_of(tag)))
    rows = np.concatenate([yes, no]).astype(np.int64)
    interesting = np.repeat([True, False], [len(yes), len(no)])
    order = np.argsort(rows, kind="stable")
    return rows[order], interesting[order]


def version_of(galaxies: Galaxies, tag: str) -> tuple:
    """Changes with every answer, however the tag was first written."""
    return tuple(tagged.tag_version(galaxies, answer) for answer in (tag, opposite_of(tag)))


def batch_of(galaxies: Galaxies, tag: str) -> tuple[list[int], np.ndarray]:
    """The galaxies on the table, and the score of all; new ones when all have an answer, or when asked for."""
    rows, _ = answers(galaxies, tag)
    batch, scores = _ranked(galaxies, tagged.path_of(galaxies), galaxies.stamp, tag, version_of(galaxies, tag))
    shown = _batches().get((galaxies.name, tag))
    if not shown or max(shown) >= len(galaxies) or set(shown) <= set(rows.tolist()):
        shown = _batches()[galaxies.name, tag] = [int(row) for row in batch]
    return shown, scores


def ranking(scores: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Rows by score, the highest first, without some."""
    kept = np.ones(len(scores), bool)
    kept[left_out] = False
    rows = np.flatnonzero(kept)
    return rows[np.argsort(-scores[rows], kind="stable")]


def give_answer(galaxies: Galaxies, tag: str, is_it: bool, rows: list[int]) -> None:
    """Keep an answer; while little is known, an interesting galaxy brings a new batch at once."""
    known, answer = set(answers_or_none(galaxies, tag)), tag if is_it else opposite_of(tag)
    path, person = tagged.path_of(galaxies), tagging.person()
    done = _attempt(lambda: tags.tag_galaxies(path, answer, galaxies.ids[rows], person, tagged.model_hash(galaxies)))
    if done and is_it and len(known) < active.N_EAGER and not known & set(rows):
        _batches().pop((galaxies.name, tag), None)


def undo_answer(galaxies: Galaxies, tag: str) -> None:
    """Undo the visitor's last answer; the galaxies it was about are on the table again."""
    both = (tag, opposite_of(tag))
    before = [set(answers_or_none(galaxies, answer)) for answer in both]
    if _attempt(lambda: tags.undo(tagged.path_of(galaxies), tagging.person(), both), "There is nothing to undo."):
        after = [set(answers_or_none(galaxies, answer)) for answer in both]
        changed = sorted((before[0] ^ after[0]) | (before[1] ^ after[1]))[:BATCH]
        shown = _batches().get((galaxies.name, tag), [])
        _batches()[galaxies.name, tag] = (changed + [row for row in shown if row not in changed])[:BATCH]


def start_over(galaxies: Galaxies, tag: str) -> None:
    """Take back every answer on galaxies of this catalog; of a tag only the refusals, for it may be used elsewhere."""
    path, person = tagged.path_of(galaxies), tagging.person()
    for answer in (INTERESTING, opposite_of(INTERESTING)) if tag == INTERESTING else (opposite_of(tag),):
        ids = galaxies.ids[answers_or_none(galaxies, answer)]
        _attempt(partial(tags.untag_galaxies, path, answer, ids, person))
    _batches().pop((galaxies.name, tag), None)


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


def _batches() -> dict[tuple[str, str], list[int]]:
    return st.session_state.setdefault("unusual_batch", {})


@st.cache_resource(max_entries=2, show_spinner="Preparing the embedding …")
def _space(_galaxies: Galaxies, root: Path, name: str, stamp: tuple) -> active.Space:
    return active.make_space(readers.embedding(_galaxies))


@st.cache_resource(max_entries=8, show_spinner=False)
def _ranked(_galaxies: Galaxies, path: Path, stamp: tuple, tag: str, version: tuple) -> tuple[np.ndarray, np.ndarray]:
    space = _space(_galaxies, _galaxies.root, _galaxies.name, stamp)
    return active.choose_batch(space, _galaxies.anomaly, *answers(_galaxies, tag), BATCH)


@st.cache_resource(max_entries=32, show_spinner=False)
def _check(_galaxies: Galaxies, path: Path, stamp: tuple, tag: str, version: tuple) -> active_checks.Check | None:
    space = _space(_galaxies, _galaxies.root, _galaxies.name, stamp)
    return active_checks.check_ranking(space, *answers(_galaxies, tag))
