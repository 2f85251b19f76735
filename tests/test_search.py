"""Search by id, part of an id, and position: what is found, in which order, and what is said where nothing is."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import make_catalog
from streamlit.testing.v1 import AppTest

from galaxy_core.errors import PositionError
from galaxy_core.sky import sexagesimal
from pages.views import readers, search


def page(root):
    """A page with nothing but the search."""
    from pathlib import Path

    import streamlit as st

    from pages.views import readers, search, selection

    galaxies = readers.open_catalog(Path(root), "tiny")

    @st.fragment(key="card")
    def draw_marks():
        st.text("marks")

    @st.fragment(key="below")
    def draw_below():
        rows = selection.selected_rows(galaxies)
        st.text("none" if rows is None else f"{rows.tolist()} by {selection.describe(galaxies)}")

    draw_marks()
    search.draw_search(galaxies, lambda galaxies, row: None)
    draw_below()


@pytest.fixture
def app(tiny_root, drawn):
    return AppTest.from_function(page, kwargs={"root": str(tiny_root)}, default_timeout=120).run()


@pytest.fixture
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def named(tiny, ids, **columns):
    """A catalog of these ids and columns in memory."""
    catalog = pd.DataFrame({"galaxy_id": pd.Series(ids, dtype=object), **columns})
    return replace(tiny, catalog=catalog, name=f"named-{hash(tuple(ids))}", stamp=(len(ids),))


def type_in(app, text: str):
    return app.text_input(key="find").set_value(text).run()


def captions(app) -> str:
    assert not app.exception
    return "\n".join(element.value for element in (*app.caption, *app.warning, *app.error)).replace("\\", "")


def test_an_empty_box_shows_nothing(app, drawn):
    for text in ("", "   "):
        app = type_in(app, text)
        assert not drawn and not captions(app) and not app.button


def test_a_part_of_an_id(app, drawn):
    app = type_in(app, "TINY-0004")
    assert "10 ids contain “TINY-0004”" in captions(app)
    assert [item["row"] for item in drawn["data"]["items"]] == list(range(40, 50))
    assert drawn["data"]["items"][0]["caption"] == "tiny-00040"


def test_more_than_are_shown(app, drawn):
    app = type_in(app, "tiny")
    assert "90 ids contain “tiny”; the first 24 are shown." in captions(app)
    assert len(drawn["data"]["items"]) == search.N_SHOWN
    assert app.button(key="select-found").label == "Select all 90 on the map"


def test_what_is_found_becomes_the_selection(app):
    app = type_in(app, "tiny-0004")
    app = app.button(key="select-found").click().run()
    assert f"{list(range(40, 50))} by search “tiny-0004”" in [text.value for text in app.text][-1]


def test_the_exact_id_comes_first_then_the_beginning(tiny):
    found = search.find_ids(named(tiny, ["a12", "12b", "x", "12", "3124"]), "12")
    assert found.tolist() == [3, 1, 0, 4]


def test_ids_of_any_kind(tiny):
    galaxies = named(tiny, ["Галактика 7", "a.b*c", "ÅB", "150.1 2.2", "same", "same2"])
    for text, rows in (("гал", [0]), (".b*", [1]), ("åb", [2]), ("150.1 2.2", [3]), ("SAME", [4, 5]), ("\\d", [])):
        assert search.find_ids(galaxies, text).tolist() == rows
    assert search.find_ids(galaxies, "").tolist() == [] and search.find_ids(named(tiny, []), "a").tolist() == []
    assert search.search(galaxies, "150.1 2.2").rows.tolist() == [3]  # an id that reads like a position is an id


@pytest.mark.parametrize("style", ["degrees", "sexagesimal"])
def test_a_position_finds_the_galaxy_there(app, drawn, tiny, style):
    ra, dec = tiny.catalog.loc[17, ["ra_deg", "dec_deg"]]
    place = f"{ra:.7f} {dec:+.7f}" if style == "degrees" else " ".join(sexagesimal(ra, dec))
    app = type_in(app, place)
    assert "1 galaxy within 10″ of" in captions(app) and app.button(key="select-found").label == "Select it on the map"
    assert [item["row"] for item in drawn["data"]["items"]] == [17] and drawn["data"]["items"][0]["caption"].endswith(
        "″"
    )


def test_the_nearest_comes_first_and_says_how_far(tiny):
    galaxies = named(tiny, ["a", "b", "c", "d"], ra_deg=[10, 10, np.nan, 10.0], dec_deg=[0.002, 0.001, 0, 5.0])
    found = search.search(galaxies, '10 0 20"')
    assert found.rows.tolist() == [1, 0] and found.captions == ("3.60″", "7.20″")
    assert search.search(galaxies, "10 0 6d").rows.tolist() == [1, 0, 3]
    nothing = search.search(galaxies, "50 -40")
    assert len(nothing.rows) == 0 and "no galaxy within 10″ of 03:20:00.00 -40:00:00.0" in nothing.sentence


def test_nothing_found_is_said(app, drawn):
    app = type_in(app, "quasar")
    assert "No id of this catalog contains “quasar”" in captions(app) and not drawn and not app.button
    assert "30\", 0.5' or 0.02 deg" in captions(app)


def test_the_search_by_picture_lies_over_nothing(tiny_root, drawn, monkeypatch):
    monkeypatch.setattr(search, "find_model", lambda model, root: None)
    app = AppTest.from_function(page, kwargs={"root": str(tiny_root)}, default_timeout=120).run()
    assert [part.label for part in app.expander] == ["Search by picture"] and not app.exception


def test_a_radius_without_a_unit_is_told_its_forms(app):
    app = type_in(app, "149.4863 2.4819 0.02")
    assert "needs a unit" in app.warning[0].value and "nor is it a position" not in captions(app)


def test_a_bad_position_is_one_sentence(app, tiny):
    app = type_in(app, "150.1 95")
    assert len(app.warning) == 1 and "declination" in app.warning[0].value and not app.button
    with pytest.raises(PositionError):
        search.search(tiny, "25:00:00 +2:00:00")


@pytest.mark.parametrize("columns", [{}, {"ra_deg": [np.nan, np.nan], "dec_deg": [np.nan, np.nan]}, {"ra_deg": [1, 2]}])
def test_a_catalog_without_coordinates_says_so(tiny, columns):
    assert "no coordinates" in search.search(named(tiny, ["a", "b"], **columns), "150.1 2.2").sentence


def test_one_galaxy(tmp_path):
    make_catalog(tmp_path, n=1)
    galaxies = readers.open_catalog(tmp_path, "tiny")
    assert "1 id contains “tiny”." in search.search(galaxies, "tiny").sentence


def test_a_million_ids_take_a_moment(tiny):
    galaxies = named(tiny, [f"J{i:07d}" for i in range(1_000_000)])
    assert search.find_ids(galaxies, "J0999999").tolist() == [999_999]
    start = time.thread_time()
    assert len(search.find_ids(galaxies, "99999")) == 19
    assert time.thread_time() - start < 1
