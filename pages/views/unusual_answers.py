"""What visitors answered about unusual galaxies, and what that teaches: which to ask about next, the score of all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import active, active_checks, tags
from galaxy_core.errors import GalaxyError
from galaxy_core.tags import INTERESTING, opposite_of
from pages.views import readers, selection_history, tagged, tagger, tagging
from pages.views.readers import Galaxies

BATCH = 12


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


def check_of(galaxies: Galaxies, tag: str) -> active_checks.Check | None:
    """How well what was learned ranks galaxies it did not learn from; None where that cannot be told."""
    return _check(galaxies, tagged.path_of(galaxies), galaxies.stamp, tag, version_of(galaxies, tag))


def give_answer(galaxies: Galaxies, tag: str, is_it: bool, rows: list[int]) -> None:
    """Keep an answer; while little is known, an interesting galaxy brings a new batch at once."""
    known, answer = set(answers_or_none(galaxies, tag)), tag if is_it else opposite_of(tag)
    path, person = tagged.path_of(galaxies), tagging.person()
    done = _attempt(
        galaxies, lambda: tags.tag_galaxies(path, answer, galaxies.ids[rows], person, tagged.model_hash(galaxies))
    )
    if done and is_it and len(known) < active.N_EAGER and not known & set(rows):
        _batches().pop((galaxies.name, tag), None)


def undo_answer(galaxies: Galaxies, tag: str) -> None:
    """Undo the visitor's last answer; the galaxies it was about are on the table again."""
    both = (tag, opposite_of(tag))
    before = [set(answers_or_none(galaxies, answer)) for answer in both]
    if _attempt(galaxies, partial(tagger.turn_step, galaxies, "undo", both), "There is nothing to undo."):
        after = [set(answers_or_none(galaxies, answer)) for answer in both]
        changed = sorted((before[0] ^ after[0]) | (before[1] ^ after[1]))[:BATCH]
        shown = _batches().get((galaxies.name, tag), [])
        _batches()[galaxies.name, tag] = (changed + [row for row in shown if row not in changed])[:BATCH]


def start_over(galaxies: Galaxies, tag: str) -> None:
    """Take back every answer on galaxies of this catalog; of a tag only the refusals, for it may be used elsewhere."""
    path, person = tagged.path_of(galaxies), tagging.person()
    for answer in (INTERESTING, opposite_of(INTERESTING)) if tag == INTERESTING else (opposite_of(tag),):
        ids = galaxies.ids[answers_or_none(galaxies, answer)]
        _attempt(galaxies, partial(tags.untag_galaxies, path, answer, ids, person))
    _batches().pop((galaxies.name, tag), None)


def answers_or_none(galaxies: Galaxies, answer: str) -> list[int]:
    """Rows with an answer; none where they cannot be read, which the panel says when it is drawn."""
    try:
        return tagged.tag_rows(galaxies, answer).tolist()
    except GalaxyError:
        return []


def _attempt(galaxies: Galaxies, act: Callable, nothing: str = "") -> bool:
    try:
        step = act()
        selection_history.note_tags(galaxies, step)
        done = step is not None
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
