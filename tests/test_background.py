"""What visitors share in the background: one queue whoever asks first, and memory that is given back."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

from pages.views import background


class Left:
    """Something of a visitor, with a reference to itself."""

    def __init__(self):
        self.me = self


def test_what_was_set_aside_and_left_behind_is_collected():
    thing = Left()
    there = weakref.ref(thing)
    gc.collect()
    gc.freeze()
    del thing
    gc.collect()
    assert there() is not None, "the usual collection does not look at it"
    background.tidy()
    assert there() is None and gc.get_freeze_count() > 0
    gc.unfreeze()


def test_a_page_that_begins_sets_aside_what_is_there():
    """So that Streamlit, which looks for garbage after each run of a page, has little to look at."""
    gc.unfreeze()
    n_before = len(gc.get_objects())
    background.tidy_later()
    assert gc.get_freeze_count() > 0.9 * n_before and len(gc.get_objects()) < 0.1 * n_before
    gc.unfreeze()


def test_it_is_known_who_left(monkeypatch):
    here = {"a", "b"}
    monkeypatch.setattr(background, "_is_here", lambda visitor: visitor in here)
    monkeypatch.setattr(background, "_seen", set())
    for name in ("a", "b"):
        monkeypatch.setattr(background, "visitor", lambda name=name: name)
        background.tidy_later()
    assert not background.somebody_left()
    here.remove("b")
    assert background.somebody_left() and not background.somebody_left(), "is told once"
    gc.unfreeze()


def test_all_who_ask_at_once_get_the_same_queue():
    background._queue.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: background.queue(), range(64)))) == 1
