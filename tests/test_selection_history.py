"""Undo and redo of what is selected and filtered."""

from __future__ import annotations

import numpy as np
import pytest
import streamlit as st

from galaxy_core import artifacts, tags
from pages.views import (
    filters,
    map_events,
    readers,
    selection,
    selection_history,
    selection_link,
    tagged,
    tagger,
    tagging,
)
from pages.views.galaxy_map import component
from pages.views.selection_steps import Selection, like_step

BOX = {"x": [0, 20, 20, 0], "y": [-20, -20, 20, 20]}


@pytest.fixture
def tiny(tiny_root, monkeypatch):
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "query_params", {})
    return readers.open_catalog(tiny_root, "tiny")


def now(tiny) -> tuple:
    """All that undo brings back: what is selected and shown, how, and what the address says."""
    rows = selection.selected_rows(tiny)
    shown = None if rows is None else rows.tolist()
    link = {key: value for key, value in st.query_params.items() if key in ("selected", "filters")}
    return shown, selection.describe(tiny), selection.outlines_drawn(tiny), dict(filters.filters_of(tiny)), link


def do(tiny, kind: str, **event) -> set[str]:
    return map_events.handle(tiny, [{"kind": kind} | event])


def test_every_kind_of_step_is_undone_and_redone(tiny):
    def add_filter() -> None:
        filters.change(tiny, "class", ["spiral"])
        filters.keep_of(tiny)

    def subtract_filter() -> None:
        selection.add_step(tiny, *filters.step_of(tiny, filters.filters_of(tiny), "subtract"))
        filters.drop_all(tiny)
        filters.keep_of(tiny)

    steps = [
        lambda: do(tiny, "outline", projection="umap", mode="new", **BOX),
        lambda: do(tiny, "outline", projection="umap", mode="subtract", x=[0, 5, 5], y=[0, 0, 5]),
        lambda: selection.add_step(tiny, *like_step(tiny, "tiny-00004", 70, "add")),
        add_filter,
        subtract_filter,
        lambda: selection.invert(tiny),
        lambda: selection.select_rows(tiny, np.arange(80), how="more than a link holds"),
        lambda: do(tiny, "clear"),
        lambda: selection.select_rows(tiny, np.array([3])),
    ]
    moments = [now(tiny)]
    for step in steps:
        step()
        moments.append(now(tiny))
    assert len({str(moment) for moment in moments[:-2]}) == len(steps) - 1
    for moment in moments[-2::-1]:
        assert do(tiny, "undo") and now(tiny) == moment
    assert selection_history.is_possible(tiny) == (False, True) and not do(tiny, "undo")
    for moment in moments[1:]:
        assert do(tiny, "redo") and now(tiny) == moment
    assert selection_history.is_possible(tiny) == (True, False) and not do(tiny, "redo")


def test_the_key_undoes_what_was_done_last_be_it_a_tag(tiny, tmp_path, monkeypatch):
    path = tmp_path / "tags.sqlite"
    for module in (tagged, tagger, tagging):
        monkeypatch.setattr(module, "path_of", lambda _: path)
    tags.tag_galaxies(path, "ring", ["tiny-00001"], tagging.person())  # on another day: not of this visit
    st.session_state |= {"key_tags": {"tiny": ["ring"]}, "galaxy": "tiny-00004"}
    key = {"whatever": True}

    def state() -> tuple[int, int]:
        rows = selection.selected_rows(tiny)
        return -1 if rows is None else len(rows), len(tags.galaxies_with(path, "ring"))

    do(tiny, "outline", projection="umap", mode="new", **BOX)
    n = state()[0]
    do(tiny, "key", key="1")
    do(tiny, "clear")
    assert state() == (-1, 2)
    assert do(tiny, "undo", **key) == {map_events.SELECTION} and state() == (n, 2)
    assert do(tiny, "undo", **key) == {map_events.TAGS} and state() == (n, 1)
    assert do(tiny, "redo", **key) == {map_events.TAGS} and state() == (n, 2)
    assert do(tiny, "undo") == {map_events.SELECTION} and state() == (-1, 2), (
        "the button above the map leaves tags alone"
    )
    assert do(tiny, "undo", **key) == {map_events.TAGS} and state() == (-1, 1)
    assert do(tiny, "undo", **key) == set() and state() == (-1, 1)
    assert do(tiny, "redo", **key) == {map_events.TAGS} and state() == (-1, 2), "what was undone last comes back first"
    assert do(tiny, "redo", **key) == {map_events.SELECTION} and state() == (n, 2)
    assert do(tiny, "redo", **key) == {map_events.SELECTION} and state() == (-1, 2)
    for _ in range(selection_history.MOST_STEPS + 9):
        do(tiny, "key", key="1")
    assert do(tiny, "undo") == {map_events.SELECTION} and state()[0] == n, "no number of tags forgets a selection"
    selection.select_rows(tiny, np.array([5]))
    assert do(tiny, "redo", **key) == set(), "nothing is left to redo"
    do(tiny, "key", key="1")
    selection.remember(tiny)  # before a step that the browser's button took back
    assert do(tiny, "undo", **key) == {map_events.TAGS} and state()[0] == 1, "not what was selected before the tag"


def test_what_is_drawn_again_follows_what_was_undone(tiny):
    do(tiny, "outline", projection="umap", mode="new", **BOX)
    filters.change(tiny, "class", ["spiral"])
    assert do(tiny, "undo") == {map_events.SELECTION, map_events.FILTERS}
    assert do(tiny, "undo") == {map_events.SELECTION} and selection.selected_rows(tiny) is None


def test_a_new_step_forgets_what_was_undone(tiny):
    for row in (1, 2):
        selection.select_rows(tiny, np.array([row]))
    do(tiny, "undo")
    selection.select_rows(tiny, np.array([5]), "add")
    assert selection.selected_rows(tiny).tolist() == [1, 5]
    assert selection_history.is_possible(tiny) == (True, False)


def test_what_the_browser_took_back_is_no_step_that_does_nothing(tiny):
    selection.select_rows(tiny, np.array([1]))
    selection.select_rows(tiny, np.array([2]))
    letters = st.query_params["selected"]
    do(tiny, "clear")
    st.query_params["selected"] = letters  # as the button "back" does
    st.session_state["selections"].clear()
    st.session_state.pop("selection_link_read")
    assert selection.selected_rows(tiny).tolist() == [2]
    do(tiny, "undo")
    assert selection.selected_rows(tiny).tolist() == [1]


def test_clearing_nothing_is_no_step(tiny):
    do(tiny, "clear")
    assert selection_history.is_possible(tiny) == (False, False)


def test_the_opposite_of_the_opposite(tiny):
    selection.select_rows(tiny, np.array([2, 7]))
    selection.invert(tiny)
    assert selection.selected_rows(tiny).tolist() == [row for row in range(90) if row not in (2, 7)]
    again = selection_link.read(tiny, st.query_params["selected"])
    assert np.array_equal(again.rows, selection.selected_rows(tiny)) and again.steps == selection.selected(tiny).steps
    selection.invert(tiny)
    assert selection.selected_rows(tiny).tolist() == [2, 7]


def test_a_million_galaxies_take_little_room(tiny, monkeypatch):
    class Many:
        name, stamp = "many", ()

        def __len__(self) -> int:
            return 1_000_000

    everything = Selection((), np.arange(1_000_000, dtype=np.int32))
    for _ in range(selection_history.MOST_STEPS + 9):
        selection_history.remember(Many(), everything)
    past = st.session_state["selection_past"]["many"]
    assert len(past) == selection_history.MOST_STEPS
    assert sum(moment.bits.nbytes for moment in past) < selection_history.MOST_BYTES
    found, _ = selection_history.travel(Many(), None, back=True)
    assert np.array_equal(found.rows, everything.rows) and found.rows.dtype == np.int32
    monkeypatch.setattr(selection_history, "MOST_BYTES", 300_000)
    selection_history.remember(Many(), everything)
    assert len(past) == 2


def test_a_catalog_that_is_made_again_has_no_past(tiny):
    selection.select_rows(tiny, np.array([3, 80]))
    st.session_state["selection_stamps"]["tiny"] = ("before",)
    selection.selected(tiny)
    assert selection_history.is_possible(tiny) == (False, False), "rows are other galaxies now"


def test_steps_do_not_keep_their_galaxies(tiny):
    for _ in range(3):
        do(tiny, "outline", projection="umap", mode="add", x=[-50, 50, 50, -50], y=[-50, -50, 50, 50])
    held = [value for step in selection.selected(tiny).steps for value in vars(step).values()]
    assert not any(isinstance(value, np.ndarray) for value in held)


def test_widgets_of_filters_show_what_was_brought_back(open_app, tiny_root):
    app = open_app(tiny_root, "pages/1_Galaxy_map.py", catalog="tiny")
    app.selectbox(key="filter-new-tiny-0").set_value("radius_arcsec").run()
    first = app.number_input(key="filter-tiny-radius_arcsec-from").value
    app.number_input(key="filter-tiny-radius_arcsec-from").set_value(5.0).run()
    app.session_state["filters"]["tiny"]["radius_arcsec"][0] = first  # as undo does
    app.run()
    assert not app.exception and app.number_input(key="filter-tiny-radius_arcsec-from-1").value == first
    app.selectbox(key="filter-new-tiny-1").set_value("class").run()
    app.multiselect(key="filter-tiny-class").set_value(["spiral"]).run()
    app.session_state["filters"]["tiny"]["class"] = ["edge on"]
    app.run()
    assert not app.exception and app.multiselect(key="filter-tiny-class-1").value == ["edge on"]


def test_a_browser_that_has_not_heard_of_an_undo_yet_filters_by_what_was_brought_back(open_app, tiny_root):
    app = open_app(tiny_root, "pages/1_Galaxy_map.py", catalog="tiny")
    app.selectbox(key="filter-new-tiny-0").set_value("radius_arcsec").run()
    whole = list(app.session_state["filters"]["tiny"]["radius_arcsec"])
    app.number_input(key="filter-tiny-radius_arcsec-from").set_value(5.0).run()
    before = app._tree.get_widget_states()
    app.session_state["filters"]["tiny"]["radius_arcsec"][0] = whole[0]  # as `selection.travel` does
    app.run()
    app._run(before)  # the next event, sent with the limit that was undone
    assert not app.exception and app.session_state["filters"]["tiny"]["radius_arcsec"] == whole


def test_a_browser_that_has_not_heard_of_it_yet_brings_no_dropped_filter_back(open_app, tiny_root):
    app = open_app(tiny_root, "pages/1_Galaxy_map.py", catalog="tiny")
    app.selectbox(key="filter-new-tiny-0").set_value("radius_arcsec").run()
    app.number_input(key="filter-tiny-radius_arcsec-from").set_value(5.0).run()
    app.selectbox(key="filter-new-tiny-1").set_value("class").run()
    app.multiselect(key="filter-tiny-class").set_value(["spiral"]).run()
    before = app._tree.get_widget_states()
    for column in ("radius_arcsec", "class"):
        app.button(key=f"filter-tiny-{column}-drop").click().run()
    app._run(before)
    assert not app.exception and app.session_state["filters"]["tiny"] == {}


def test_selected_galaxies_that_filters_hide_are_told_and_shown(open_app, tiny_root):
    app = open_app(tiny_root, "pages/1_Galaxy_map.py", catalog="tiny")
    app.selectbox(key="filter-new-tiny-0").set_value("class").run()
    app.multiselect(key="filter-tiny-class").set_value(["spiral"]).run()
    app.button(key="filter-select-tiny").click().run()
    app.multiselect(key="filter-tiny-class").set_value(["edge on"]).run()
    said = [str(element.value) for element in (*app.caption, *app.markdown)]
    assert any("30 more are selected, and hidden by the filters" in text for text in said)
    assert not any("No galaxy is selected" in text for text in said)
    app.button(key="drop-filters").click().run()
    assert not app.exception and app.session_state["filters"]["tiny"] == {}
    assert any("**30 galaxies**" in str(element.value) for element in app.markdown)
    assert artifacts.read_table(tiny_root, "tiny", "catalog")["class"].eq("spiral").sum() == 30


def test_the_map_offers_what_can_be_undone(open_app, tiny_root, monkeypatch):
    told = []
    monkeypatch.setattr(component, "draw_marks", lambda *args: told.append(args[-2:]))
    app = open_app(tiny_root, "pages/1_Galaxy_map.py", catalog="tiny")
    history = told[-1][1]
    assert not app.exception and history == (False, False)
    app.selectbox(key="filter-new-tiny-0").set_value("class").run()
    app.button(key="filter-select-tiny").click().run()
    assert told[-1][1] == (True, False)
    drawn_again = []
    monkeypatch.setattr(st, "rerun", drawn_again.append)
    monkeypatch.setattr(map_events, "handle", lambda *_: {map_events.SELECTION, map_events.FILTERS})
    told[-1][0]([{"kind": "undo"}])
    assert drawn_again == [["map", "card", "below"]], "maps before their marks"


def test_what_was_asked_before_the_last_answer_takes_nothing_out_of_the_address(tiny):
    st.session_state |= {"page": "Galaxy map", "address_of": ("Galaxy map", "tiny")}
    selection.select_rows(tiny, np.array([1]))
    selection.open_galaxy(tiny, 3)
    whole = dict(st.query_params)
    st.query_params.clear()  # as a slow browser asks, that has not got this yet
    map_events.keep_in_address({"view": "0.1_0.2_3_00000000"})
    assert st.query_params == whole | {"view": "0.1_0.2_3_00000000"}
