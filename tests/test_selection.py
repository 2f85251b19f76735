"""Selections and what a link keeps of them, through the map page."""

from __future__ import annotations

import base64
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_catalog

from galaxy_core import artifacts
from galaxy_core.map_layers import extent_of
from pages.views import map_choices, map_events, outlines, presenting, readers, selection, selection_link
from pages.views.colouring import colour_by

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
    text = "\n".join(str(element.value) for kind in kinds for element in kind)
    return re.sub(r"\\([^\w\s])", r"\1", text)


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
        selected=link_of(tiny, *steps),
        filters=outlines.to_link({"mass": [1, 2], "radius_arcsec": [0, 100], "anomaly": [10**400, 1e999]}),
    )  # fmt: skip
    assert not app.exception and not app.error and selected(app) == [3]
    text = text_of(app)
    for word in ("isomap", "1 galaxy of the link", "weight", "mass", "nobody", "“anomaly” as asked"):
        assert word in text, word
    assert list(app.session_state["filters"]["tiny"]) == ["radius_arcsec"]


@pytest.mark.parametrize(
    "letters",
    [
        "", "eJ", "%%", outlines.to_link(7), outlines.to_link([["n"]]), outlines.to_link([[1, 2, 3]]),
        outlines.to_link([["n", "umap", [1, 2, 3, 4, 5, 6], "", [0, 1, 0, 1], {"class": ["spiral"]}]]),
        base64.urlsafe_b64encode(zlib.compress(b"[" * 150_000)).decode("ascii"),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_link_cut_short_is_a_sentence(open_app, tiny_root, letters):
    app = open_app(tiny_root, MAP, catalog="tiny", selected=letters, filters=letters)
    assert not app.exception and not app.error
    assert not letters or "cut short" in text_of(app)


def test_back_and_forward_show_what_the_address_says(open_app, tiny_root, tiny):
    picked = link_of(tiny, ["n", "picked", ["tiny-00003", "tiny-00005"]])
    app = open_app(tiny_root, MAP, catalog="tiny", galaxy="tiny-00004", selected=picked)
    assert app.session_state["galaxy"] == "tiny-00004" and selected(app) == [3, 5]
    app.query_params["galaxy"], app.query_params["filters"] = "tiny-00007", outlines.to_link({"class": ["spiral"]})
    del app.query_params["selected"]
    app.run()
    assert not app.exception and app.session_state["galaxy"] == "tiny-00007"
    assert "tiny" not in app.session_state["selections"] and app.session_state["filters"]["tiny"]["class"] == ["spiral"]
    del app.query_params["galaxy"]
    app.query_params["panel"] = "about"
    app.run()
    assert not app.exception and "galaxy" not in app.session_state and app.session_state["panel"] == "about"


def test_back_after_another_catalog_is_that_catalog_as_it_was(open_app, broken_root):
    make_catalog(broken_root, "other")
    picked = outlines.to_link([["n", "picked", ["tiny-00003", "tiny-00005"]]])
    app = open_app(broken_root, MAP, catalog="tiny", galaxy="tiny-00004", selected=picked)
    before = dict(app.query_params)
    app.selectbox(key="catalog").set_value("other").run()
    assert dict(app.query_params) == {"catalog": "other"}
    app.session_state["galaxy"] = "other-00001"
    for name, value in before.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception and app.selectbox(key="catalog").value == "tiny" and selected(app) == [3, 5]
    assert app.session_state["galaxy"] == "tiny-00004" and dict(app.query_params) == before


def test_what_was_open_is_open_after_another_page_and_in_the_address(open_app, tiny_root, tiny):
    app = open_app(tiny_root, MAP, catalog="tiny", galaxy="tiny-00004")
    app.switch_page("pages/5_Models.py").run()
    app.query_params.clear()
    app.query_params["catalog"] = "tiny"
    app.switch_page(MAP).run()
    assert not app.exception and app.session_state["galaxy"] == "tiny-00004"
    assert app.query_params["galaxy"] == "tiny-00004"


def test_names_in_an_address_are_shown_as_they_are(open_app, tiny_root):
    names = {"catalog": "*c*", "galaxy": "**g**", "map": "`m`", "colour": "[k](http://k)"}
    app = open_app(tiny_root, MAP, **names)
    said = [str(warning.value) for warning in app.warning]
    assert len(said) == 4 and not any(name in "\n".join(said) for name in names.values())
    assert all(name in text_of(app) for name in names.values())


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


def test_an_outline_on_a_map_that_is_made_again_says_so(open_app, broken_root):
    app = open_app(broken_root, MAP, catalog="tiny")
    galaxies = readers.open_catalog(broken_root, "tiny")
    corners = outline(galaxies, [0, 20, 20, 0], [-20, -20, 20, 20])
    ends = [float(f"{end:.7g}") for end in vars(galaxies.extent("umap")).values()]
    steps = [["n", "umap", corners, outlines.mark_of(galaxies.extent("umap")), ends]]
    app = open_app(broken_root, MAP, catalog="tiny", selected=link_of(galaxies, *steps))
    assert "made again" not in text_of(app) and app.query_params["selected"] == link_of(galaxies, *steps)
    make_catalog(broken_root, n=60)
    app.run()
    assert not app.exception and "The map UMAP was made again" in text_of(app)


def test_an_outline_on_a_kept_map_that_grew_stays_where_it_was(broken_root, monkeypatch):
    import streamlit as st

    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "query_params", {})
    galaxies = readers.open_catalog(broken_root, "tiny")
    selection.select_outline(galaxies, "umap", [0, 20, 20, 0], [-20, -20, 20, 20])
    letters, before = st.query_params["selected"], selection.selected_rows(galaxies).tolist()
    table = artifacts.read_table(broken_root, "tiny", "projections")
    table.loc[before[0], ["umap_x", "umap_y"]] = 30, 25  # the place of one that was added, far outside
    artifacts.write_table(broken_root, "tiny", "projections", table)
    made = galaxies.manifest.projections
    for kept in ({"kept": {"n_fitted": 89, "n_placed": 1}}, {}):
        manifest = replace(galaxies.manifest, projections=made | {"umap": made["umap"] | kept})
        artifacts.write_manifest(broken_root, "tiny", manifest)
        grown = readers.open_catalog(broken_root, "tiny")
        st.session_state.clear()
        found = selection_link.read(grown, letters)
        (said,) = st.session_state["link_problems"]
        assert ("Galaxies were added to the map UMAP" if kept else "UMAP was made again") in said
        assert (found.rows.tolist() == before[1:]) is bool(kept)


def test_an_outline_leaves_out_what_the_legend_hides(tiny, monkeypatch):
    import streamlit as st

    by_class = colour_by(tiny, "class")
    look = map_choices.MapLook("map-0", "tiny", "umap", "", "", "", "", dark=True)
    monkeypatch.setattr(st, "session_state", {"maps_shown": {"map-0": (look, by_class, None, "s")}})
    monkeypatch.setattr(st, "query_params", {})
    box = {"kind": "outline", "projection": "umap", "x": [-50, 50, 50, -50], "y": [-50, -50, 50, 50], "mode": "new"}
    box |= {"map": "map-0", "stamp": "s", "hidden": [by_class.names.index("spiral")]}
    map_events.handle(tiny, [box])
    assert selection.selected_rows(tiny).tolist() == np.flatnonzero(tiny.catalog["class"] != "spiral").tolist()
    how = "an outline of 4 corners on UMAP, without what was hidden there (spiral)"
    assert selection.describe(tiny) == how and len(selection.outlines_drawn(tiny)) == 1
    for whole in ({"hidden": []}, {"hidden": [3]}, {"stamp": "of other colours"}, {"map": "gone"}):
        map_events.handle(tiny, [box | whole])
        assert len(selection.selected_rows(tiny)) == 90 and len(selection.outlines_drawn(tiny)) == 1


def test_a_link_holds_an_outline_and_what_was_hidden_there(tiny, monkeypatch):
    import streamlit as st

    monkeypatch.setattr(st, "query_params", {})
    box = {"kind": "outline", "projection": "umap", "x": [-50, 50, 50, -50], "y": [-50, -50, 50, 50], "mode": "new"}
    box |= {"map": "map-0", "stamp": "s"}
    look = map_choices.MapLook("map-0", "tiny", "umap", "", "", "", "", dark=True)
    unclustered = len(colour_by(tiny, "hdbscan_label").names)
    for column, hidden in (("class", [0]), ("hdbscan_label", [unclustered]), ("hdbscan_label", [1])):
        shown = {"maps_shown": {"map-0": (look, colour_by(tiny, column), None, "s")}}
        monkeypatch.setattr(st, "session_state", shown)
        map_events.handle(tiny, [box | {"hidden": hidden}])
        here = selection.selected(tiny)
        assert 0 < len(here.rows) < 90 and selection.is_linked(tiny)
        again = selection_link.read(tiny, st.query_params["selected"])
        assert again.rows.tolist() == here.rows.tolist() and again.steps == here.steps
        assert "link_problems" not in st.session_state
    letter, name, corners, mark, ends, groups, marks = outlines.from_link(st.query_params["selected"])[0]
    other = outlines.to_link([[letter, name, corners, mark, ends, groups, dict.fromkeys(marks, "00000000")]])
    selection_link.read(tiny, other)
    assert "The clustering HDBSCAN was made again" in st.session_state["link_problems"][0]
    assert (
        selection_link.read(tiny, outlines.to_link([[letter, name, corners, mark, ends, {"gone": ["x"]}, {}]])) is None
    )
    assert "“gone”, which this catalog does not have" in st.session_state["link_problems"][1]


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
    again = selection_link.read(tiny, st.query_params["selected"])
    assert again.rows.tolist() == selection.selected_rows(tiny).tolist()
    assert [drawn["map"] for drawn in selection.outlines_drawn(tiny)] == ["umap"]
    selection.select_rows(tiny, np.arange(80), how="a long list")
    assert "selected" not in st.query_params and not selection.is_linked(tiny)
    selection.select_rows(tiny, None)
    assert selection.selected_rows(tiny) is None and selection.is_linked(tiny)
    monkeypatch.setattr(selection_link, "MOST_LETTERS", 500)  # a page of a longer address would not load again
    for place in np.random.default_rng(0).normal(0, 9, (3, 2, 30)):
        selection.select_outline(tiny, "umap", *place.tolist(), "add")
    assert "selected" not in st.query_params and not selection.is_linked(tiny)
    selection.select_rows(tiny, None)
    selection.select_outline(tiny, "no such map", [0, 1, 1], [0, 0, 1])
    selection.select_outline(tiny, "umap", [0, 1], [0, 0])
    assert selection.selected_rows(tiny) is None
