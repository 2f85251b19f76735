"""Selections, filters and what a link keeps of them, through the map page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from card_page import write_back
from conftest import make_catalog

from galaxy_core.map_layers import extent_of
from pages.views import filters, outlines, presenting, readers, selection

MAP = "pages/1_Galaxy_map.py"


@pytest.fixture
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def link_of(tiny, *steps) -> str:
    return outlines.to_link(list(steps))


def outline(tiny, x, y, projection="umap") -> list[int]:
    return outlines.keep_corners(np.array(x, float), np.array(y, float), extent_of(*tiny.coordinates(projection)))


def text_of(app) -> str:
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def selected(app) -> list[int]:
    return app.session_state["selections"]["tiny"].rows.tolist()


def test_a_link_selects_the_same_galaxies(open_app, tiny_root, tiny):
    x, y = tiny.coordinates("umap")
    corners = outline(tiny, [0, 20, 20, 0], [-20, -20, 20, 20])
    app = open_app(tiny_root, MAP, catalog="tiny", selected=link_of(tiny, ["n", "umap", corners]))
    inside = outlines.inside_polygon(x, y, *outlines.corners_of(corners, extent_of(x, y)))
    assert not app.exception and selected(app) == np.flatnonzero(inside).tolist() and 0 < inside.sum() < 90
    assert f"{inside.sum()} galaxies" in text_of(app)
    app.run()
    assert selected(app) == np.flatnonzero(inside).tolist()


def test_a_link_of_several_steps(open_app, tiny_root, tiny):
    corners = outline(tiny, [-50, 50, 50, -50], [-50, -50, 50, 50])
    steps = [["n", "umap", corners], ["s", "galaxies picked", ["tiny-00003", "tiny-00005"]]]
    app = open_app(tiny_root, MAP, catalog="tiny", selected=link_of(tiny, *steps))
    assert selected(app) == [row for row in range(90) if row not in (3, 5)]


def test_a_link_to_what_is_gone_says_so_and_shows_the_rest(open_app, tiny_root, tiny):
    steps = [["n", "picked", ["tiny-00003", "gone-1"]], ["a", "isomap", [1, 2, 3, 4, 5, 6]]]
    app = open_app(
        tiny_root, MAP, catalog="tiny", galaxy="nobody", colour="weight", map="isomap", second="som",
        selected=link_of(tiny, *steps), filters=outlines.to_link({"mass": [1, 2], "radius_arcsec": [0, 100]}),
    )  # fmt: skip
    assert not app.exception and not app.error and selected(app) == [3]
    text = text_of(app)
    for word in ("isomap", "1 galaxy of the link", "weight", "mass", "nobody"):
        assert word in text, word
    assert list(app.session_state["filters"]["tiny"]) == ["radius_arcsec"]


@pytest.mark.parametrize(
    "letters", ["", "eJ", "%%", outlines.to_link(7), outlines.to_link([["n"]]), outlines.to_link([[1, 2, 3]])]
)
def test_a_link_cut_short_is_a_sentence(open_app, tiny_root, letters):
    app = open_app(tiny_root, MAP, catalog="tiny", selected=letters, filters=letters)
    assert not app.exception and not app.error
    assert not letters or "cut short" in text_of(app)


def test_filters_of_a_link_hide_galaxies_everywhere(open_app, tiny_root, tiny):
    radius = tiny.catalog["radius_arcsec"].to_numpy()
    everything = outline(tiny, [-50, 50, 50, -50], [-50, -50, 50, 50])
    asked = {"radius_arcsec": [2.0, 4.0], "class": ["edge on", "spiral"]}
    app = open_app(
        tiny_root, MAP, catalog="tiny", filters=outlines.to_link(asked),
        selected=link_of(tiny, ["n", "umap", everything]),
    )  # fmt: skip
    wanted = (radius >= 2) & (radius <= 4) & (np.arange(90) % 3 != 1)
    assert np.array_equal(app.session_state["kept"]["tiny"], wanted) and 0 < wanted.sum() < 30
    text = text_of(app)
    assert f"{wanted.sum()} of 90 galaxies pass all filters" in text
    assert f"**{wanted.sum()} galaxies**" in text  # the selection counts only what is shown


def test_a_filter_is_added_changed_and_dropped(open_app, tiny_root, tiny):
    app = open_app(tiny_root, MAP, catalog="tiny")
    app.selectbox(key="filter-new-tiny-0").set_value("radius_arcsec").run()
    assert "**radius [arcsec]**: 90 galaxies pass" in text_of(app)
    app.number_input(key="filter-tiny-radius_arcsec-from").set_value(5.0).run()
    n = int((tiny.catalog["radius_arcsec"] >= 5).sum())
    assert f"{n} of 90 galaxies pass" in text_of(app) and app.query_params["filters"]
    app.selectbox(key="filter-new-tiny-1").set_value("class").run()
    app.multiselect(key="filter-tiny-class").set_value([]).run()
    assert "0 of 90 galaxies pass" in text_of(app) and not app.exception
    app.button(key="filter-tiny-class-drop").click().run()
    app.button(key="filter-tiny-radius_arcsec-drop").click().run()
    assert app.session_state["kept"]["tiny"] is None and "filters" not in app.query_params


def test_whole_numbers_are_filtered_as_they_are(broken_root):
    """Plates and ids have neighbours that float32, or a limit rounded to six digits, takes for one another."""
    write_back(broken_root, "tiny", plate=np.arange(90) + 2**25, gap=pd.array([None, *range(89)], dtype="Int64"))
    galaxies = readers.open_catalog(broken_root, "tiny")
    assert np.flatnonzero(filters.passes(galaxies, "plate", [2**25 + 3, 2**25 + 4])).tolist() == [3, 4]
    assert filters.passes(galaxies, "plate", filters._everything(galaxies, "plate")).all()
    assert np.flatnonzero(filters.passes(galaxies, "gap", [0, 2])).tolist() == [1, 2, 3]


def test_what_was_selected_in_a_catalog_that_is_made_again_is_looked_up_anew(open_app, broken_root):
    """Rows are other galaxies then: those a link names are found again, an old filter is no index into new rows."""
    ids = ["tiny-00003", "tiny-00080"]
    app = open_app(broken_root, MAP, catalog="tiny", selected=outlines.to_link([["n", "picked", ids]]))
    assert selected(app) == [3, 80]
    make_catalog(broken_root, n=60)
    app.run()
    assert not app.exception and selected(app) == [3]
    app.switch_page("pages/2_Clusters.py").run()
    assert not app.exception


def test_filters_against_pandas(tiny):
    radius = tiny.catalog["radius_arcsec"]
    low, high = float(np.float32(radius[7])), float(np.float32(radius[8]))
    limits = sorted((low, high))
    assert np.array_equal(filters.passes(tiny, "radius_arcsec", limits), radius.astype("float32").between(*limits))
    assert np.array_equal(filters.passes(tiny, "class", ["spiral"]), tiny.catalog["class"] == "spiral")
    none = filters.passes(tiny, "hdbscan_label", ["unclustered"])
    assert np.array_equal(none, tiny.labels("hdbscan") < 0) and none.any()
    assert not filters.passes(tiny, "tags", ["merger"]).any()


def test_next_and_previous_go_round():
    rows = np.array([2, 5, 9])
    seen, row = [], None
    for _ in range(4):
        row = presenting.next_row(rows, row, 1)
        seen.append(row)
    assert seen == [2, 5, 9, 2] and presenting.next_row(rows, 2, -1) == 9
    assert presenting.next_row(np.array([4]), 4, 1) == 4


def test_presentation_is_entered_by_link_and_left_by_button(open_app, tiny_root):
    app = open_app(tiny_root, MAP, catalog="tiny", present="true", galaxy="tiny-00004")
    assert not app.exception and app.session_state["present"] is True
    app.button(key="leave-presentation").click().run()
    assert app.session_state["present"] is False and not app.exception


def test_the_way_a_selection_was_made_is_told(tiny, monkeypatch):
    import streamlit as st

    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "query_params", {})
    assert selection.describe(tiny) == "nothing selected" and selection.selected_rows(tiny) is None
    selection.select_outline(tiny, "umap", [-50, 50, 50, -50], [-50, -50, 50, 50])
    selection.select_rows(tiny, np.array([1, 2]), "subtract", "galaxies tagged star")
    assert selection.selected_rows(tiny).tolist() == [0, *range(3, 90)]
    assert selection.describe(tiny) == "an outline of 4 corners on UMAP; without galaxies tagged star"
    again = selection.read_link(tiny, st.query_params["selected"])
    assert again.rows.tolist() == selection.selected_rows(tiny).tolist()
    assert [drawn["map"] for drawn in selection.outlines_drawn(tiny)] == ["umap"]
    selection.select_rows(tiny, np.arange(80), how="a long list")
    assert "selected" not in st.query_params and not selection.is_linked(tiny)
    selection.select_rows(tiny, None)
    assert selection.selected_rows(tiny) is None and selection.is_linked(tiny)
    selection.select_outline(tiny, "no such map", [0, 1, 1], [0, 0, 1])
    selection.select_outline(tiny, "umap", [0, 1], [0, 0])
    assert selection.selected_rows(tiny) is None
