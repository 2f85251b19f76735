"""Filters: what passes them, exactly, and what a link keeps of them, through the map page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from card_page import write_back
from conftest import make_catalog

from galaxy_core import artifacts, tags
from pages.views import filters, outlines, readers
from tests.test_selection import MAP, outline, selected, text_of


@pytest.fixture
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def test_filters_of_a_link_hide_galaxies_everywhere(open_app, tiny_root, tiny):
    radius = tiny.catalog["radius_arcsec"].to_numpy()
    everything = outline(tiny, [-50, 50, 50, -50], [-50, -50, 50, 50])
    asked = {"radius_arcsec": [2.0, 4.0], "class": ["edge on", "spiral"]}
    app = open_app(
        tiny_root, MAP, catalog="tiny", filters=outlines.to_link(asked),
        selected=outlines.to_link([["n", "umap", everything]]),
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


def test_what_passes_the_filters_is_selected_and_its_link_holds_the_filters(open_app, tiny_root, tiny):
    radius = tiny.catalog["radius_arcsec"].to_numpy()
    asked = {"radius_arcsec": [2.0, 6.0]}
    app = open_app(tiny_root, MAP, catalog="tiny", filters=outlines.to_link(asked))
    wanted = np.flatnonzero((radius >= 2) & (radius <= 6))
    app.button(key="filter-select-tiny").click().run()
    assert not app.exception and selected(app) == wanted.tolist() and f"**{len(wanted)} galaxies**" in text_of(app)
    assert "what passes radius [arcsec]: 2 to 6" in text_of(app)
    letters = app.query_params["selected"]
    assert outlines.from_link(letters) == [["n", "", asked]]
    app.number_input(key="filter-tiny-radius_arcsec-from").set_value(4.0).run()  # the step keeps what it was made of
    assert selected(app) == wanted.tolist()
    app.selectbox(key="filter-mode-tiny").set_value("subtract")  # and clicked before the button says so
    app.button(key="filter-select-tiny").click().run()
    left = np.flatnonzero((radius >= 2) & (radius < 4)).tolist()
    assert selected(app) == left and app.session_state["kept"]["tiny"] is None, "nothing left would pass the filter"
    assert f"**{len(left)} galaxies**" in text_of(app) and "filters" not in app.query_params
    again = open_app(tiny_root, MAP, catalog="tiny", selected=app.query_params["selected"])
    assert selected(again) == left
    both = outlines.to_link([["n", "x", asked | {"mass": [0, 1]}], ["a", "y", {"class": 3}]])
    for letters in (both, outlines.to_link([["n", "x", {"class": 3}]])):
        lost = open_app(tiny_root, MAP, catalog="tiny", selected=letters)
        assert not lost.exception and not lost.session_state["selections"].get("tiny")


def test_whole_numbers_are_filtered_as_they_are(open_app, broken_root):
    """Plates and ids have neighbours that floats, or a limit rounded to six digits, take for one another."""
    first = 587722984435351614  # an objID of the SDSS
    objid, gap = first + np.arange(90), pd.array([None, *range(89)], dtype="Int64")
    write_back(broken_root, "tiny", plate=np.arange(90) + 2**25, gap=gap, objid=objid, other=pd.array(objid, "Int64"))
    galaxies = readers.open_catalog(broken_root, "tiny")
    assert np.flatnonzero(filters.passes(galaxies, "plate", [2**25 + 3, 2**25 + 4])).tolist() == [3, 4]
    for column in ("plate", "objid"):
        assert filters.passes(galaxies, column, filters.everything_of(galaxies, column)).all()
    assert np.flatnonzero(filters.passes(galaxies, "gap", [0, 2])).tolist() == [1, 2, 3]
    assert np.flatnonzero(filters.passes(galaxies, "other", [first + 3, first + 4])).tolist() == [3, 4]
    app = open_app(broken_root, MAP, catalog="tiny", filters=outlines.to_link({"objid": [first, first + 5]}))
    app.text_input(key="filter-tiny-objid-from").set_value(f"{first + 4:,}").run()
    app.text_input(key="filter-tiny-objid-from-1").set_value("many").run()  # which is no limit: it stays what it was
    assert not app.exception and "2 of 90 galaxies pass" in text_of(app)
    assert app.text_input(key="filter-tiny-objid-from-2").value == str(first + 4)
    told = f"objid: {first + 4} to {first + 5}; jd: 2459001.25 to 3.5"
    assert filters.describe(galaxies, app.session_state["filters"]["tiny"] | {"jd": [2459001.25, 3.5]}) == told


def test_limits_are_as_exact_as_the_catalog(broken_root):
    """Neither what is near a limit passes, nor what float32 takes for it; 0.1 as float32 is not less than 0.1."""
    jd, snr = 2459000.5 + np.arange(90) / 20, np.r_[-0.05, np.linspace(0, 1e5, 89)]
    write_back(broken_root, "tiny", jd=jd, snr=snr, share=np.full(90, 0.1, dtype=np.float32))
    galaxies = readers.open_catalog(broken_root, "tiny")
    assert np.array_equal(filters.passes(galaxies, "jd", [2459001.0, 2459001.2]), (jd >= 2459001) & (jd <= 2459001.2))
    assert np.array_equal(filters.passes(galaxies, "snr", [0.0, 1e5]), snr >= 0)
    assert filters.passes(galaxies, "share", [0.1, 0.1]).all()


def test_a_galaxy_of_several_tags_passes_by_each(broken_root):
    galaxies = readers.open_catalog(broken_root, "tiny")
    path = artifacts.tags_path(broken_root, "tiny")
    tags.tag_galaxies(path, "ring", galaxies.ids[:10], "ann")
    tags.tag_galaxies(path, "merger", galaxies.ids[5:8], "ann")  # rarer: the map shows this one
    assert np.flatnonzero(filters.passes(galaxies, "tags", ["ring"])).tolist() == list(range(10))
    assert np.flatnonzero(filters.passes(galaxies, "tags", ["merger"])).tolist() == [5, 6, 7]
    assert np.flatnonzero(filters.passes(galaxies, "tags", ["merger", "no tag"])).tolist() == [5, 6, 7, *range(10, 90)]


def test_filters_of_a_catalog_that_is_made_again_are_kept_where_they_fit(open_app, broken_root):
    asked = {"mass": [0, 2], "grade": ["A"], "radius_arcsec": [0, 5]}
    write_back(broken_root, "tiny", mass=np.ones(90), grade=np.array(["A", "B"] * 45, dtype=object))
    app = open_app(broken_root, MAP, catalog="tiny", filters=outlines.to_link(asked))
    assert list(app.session_state["filters"]["tiny"]) == list(asked)
    make_catalog(broken_root)
    write_back(broken_root, "tiny", grade=np.arange(90.0))
    app.run()
    assert not app.exception and app.session_state["filters"]["tiny"] == {"radius_arcsec": [0, 5]}
    assert "filtered by “mass”" in text_of(app) and "filtered by “grade”" in text_of(app)


def test_filters_against_pandas(tiny):
    radius = tiny.catalog["radius_arcsec"]
    low, high = float(np.float32(radius[7])), float(np.float32(radius[8]))
    limits = sorted((low, high))
    assert np.array_equal(filters.passes(tiny, "radius_arcsec", limits), radius.astype("float32").between(*limits))
    assert np.array_equal(filters.passes(tiny, "class", ["spiral"]), tiny.catalog["class"] == "spiral")
    none = filters.passes(tiny, "hdbscan_label", ["unclustered"])
    assert np.array_equal(none, tiny.labels("hdbscan") < 0) and none.any()
    assert not filters.passes(tiny, "tags", ["merger"]).any()
