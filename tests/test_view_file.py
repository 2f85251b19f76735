"""A view in one file: what it holds, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_catalog
from streamlit.testing.v1 import AppTest
from view_files import SELECTED, block, held, view_on

from galaxy_core import artifacts
from pages.views import readers, view_file, view_file_parts, words
from pages.views.colouring import colour_by
from pages.views.colours import Colouring
from pages.views.view_file import View, make_view_file
from scripts.benchmarks.many_galaxies import write_many


def test_the_columns_of_facts_say_what_the_tables_say(tiny):
    rows = np.array([0, 7, 88])
    header, arrays = view_file_parts.facts_of(tiny, rows, colour_by(tiny, "radius_arcsec"))
    assert header["ids"] == ["tiny-00000", "tiny-00007", "tiny-00088"]
    columns = {column["name"]: column for column in header["columns"]}
    names = columns["Class"]["names"]
    wanted = tiny.catalog["class"].str.replace("_", " ").to_numpy()[rows].tolist()
    assert [names[code] for code in arrays[columns["Class"]["values"]]] == wanted
    groups = columns["HDBSCAN"]
    labels = [words.cluster_name(int(label)) for label in tiny.labels("hdbscan")[rows]]
    assert [groups["names"][code] for code in arrays[groups["values"]]] == labels
    assert groups["member"] == [name != "unclustered" for name in groups["names"]]
    shares = arrays[groups["membership"]].view(np.float32)
    assert np.array_equal(shares, tiny.clusters["hdbscan_membership"].to_numpy()[rows])
    place = columns["RA, Dec"]
    assert np.allclose(arrays[place["values"]] / 1e7, tiny.catalog["ra_deg"][rows], atol=1e-7)
    assert np.allclose(arrays[place["more"]] / 1e7 - 90, tiny.catalog["dec_deg"][rows], atol=1e-7)
    below = [(tiny.anomaly < tiny.anomaly[row]).mean() * 100 for row in rows]
    assert np.allclose(arrays[columns["Unusual"]["values"]].view(np.float32), below, rtol=1e-5)
    radius = arrays[columns["radius [arcsec]"]["values"]].view(np.float32)
    assert np.allclose(radius, tiny.catalog["radius_arcsec"][rows])


def test_what_is_unknown_is_left_out(tiny):
    catalog = tiny.catalog.copy()
    catalog.loc[0, ["ra_deg", "dec_deg", "class"]] = np.nan, np.nan, None
    header, arrays = view_file_parts.facts_of(replace(tiny, catalog=catalog), np.array([0, 1]), None)
    columns = {column["name"]: column for column in header["columns"]}
    assert arrays[columns["RA, Dec"]["values"]][0] == view_file_parts.NOWHERE
    assert arrays[columns["Class"]["values"]][0] == view_file_parts.NOBODY != arrays[columns["Class"]["values"]][1]


def test_provenance_is_that_of_the_exports(tiny, tiny_root):
    view = view_on(tiny, selected=SELECTED, filters="radius: 1 to 3", link={"catalog": "tiny", "map": "umap"})
    text = view_file.provenance_html(tiny, view)
    manifest = tiny_root / "tiny" / artifacts.MANIFEST_FILE
    for wanted in (artifacts.sha256_of_file(manifest), "synthetic:90", "toy", "an outline on UMAP", "radius: 1 to 3"):
        assert wanted in text
    assert "Galaxy_map?catalog=tiny&amp;map=umap" in text and "<dd>30</dd>" in text


def test_filters_and_missing_pictures(broken_root):
    for part in (broken_root / "tiny" / "thumbnails").iterdir():
        part.unlink()
    galaxies = readers.open_catalog(broken_root, "tiny")
    keep = np.arange(90) < 40
    made = make_view_file(galaxies, view_on(galaxies, keep=keep, selected=SELECTED, open_row=3))
    assert set(block(made, "atlas-map-0")["row"]) == set(range(40))
    assert held(made)["pictures"] == {} and b"There is no picture of this galaxy." in made


@pytest.mark.parametrize("n", [1, 2])
def test_a_catalog_of_one_or_two(tmp_path, n):
    make_catalog(tmp_path, "few", n)
    galaxies = readers.open_catalog(tmp_path, "few")
    made = make_view_file(galaxies, view_on(galaxies, selected=np.arange(n, dtype=np.int32), open_row=0))
    assert block(made, "atlas-facts")["ids"] == [f"few-{row:05d}" for row in range(n)]
    empty = make_view_file(galaxies, View(how="nothing selected", selected=np.empty(0, np.int32)))
    assert b"0 galaxies" in empty and b"Click any point" in empty


def test_positions_that_are_no_numbers_are_not_points(tiny):
    projections = tiny.projections.copy()
    projections.loc[[5, 6], "umap_x"] = np.nan
    galaxies = replace(tiny, projections=projections)
    made = make_view_file(galaxies, view_on(galaxies, selected=np.array([5, 6], np.int32), open_row=5))
    assert len(block(made, "atlas-map-0")["row"]) == 88 and 5 in block(made, "atlas-facts")["row"]
    numbers = Colouring("all", values=np.full(90, np.nan))
    assert make_view_file(tiny, view_on(tiny, colouring=numbers))


def test_the_file_of_26_093_galaxies_is_small(tiny_root, tmp_path):
    write_many(tiny_root, "tiny", tmp_path, "many", 26_093)
    galaxies = readers.open_catalog(tmp_path, "many")
    selected = np.arange(0, 26_093, 20, dtype=np.int32)
    made = make_view_file(galaxies, view_on(galaxies, selected=selected, open_row=9))
    assert len(block(made, "atlas-map-0")["row"]) == 26_093 and len(made) < 10e6
    assert made.count(b"data-row=") >= view_file_parts.N_PICTURES


SCRIPT = """
import streamlit as st
from pathlib import Path
from pages.views import map_choices, readers, selection, view_file
from pages.views.colouring import colour_by
from pages.views.galaxy_map import component
galaxies = readers.open_catalog(Path({root!r}), "tiny")
look = map_choices.look_of(galaxies, "umap", "class", None, "map-0")
component.draw_map(galaxies, look, colour_by(galaxies, "class"), None, ())
selection.select_rows(galaxies, [3, 5], how="galaxies picked")
selection.open_galaxy(galaxies, 7)
view_file.draw_download(galaxies)
st.session_state["view"] = view_file.view_of(galaxies)
"""


def test_the_button_saves_what_the_visitor_sees(tiny, tiny_root):
    app = AppTest.from_string(SCRIPT.format(root=str(tiny_root)), default_timeout=120).run()
    assert not app.exception
    assert any("one HTML file" in button.label for button in app.get("download_button"))
    view = app.session_state["view"]
    assert [look.projection for look in view.looks] == ["umap"] and view.open_row == 7
    assert view.selected.tolist() == [3, 5] and "galaxies picked" in view.how and view.link["catalog"] == "tiny"
    made = view_file.maker(tiny, view)()  # as the server calls it: outside of any page
    assert b"tiny-00007</h2>" in made and held(made)["open"] == 7
    make = view_file.maker(tiny, view, address := {"hidden": "1"})
    address |= {"view": "0.2_0.3_4_x", "hidden": None}  # after the button was drawn, without a run that draws it again
    made = make()
    assert held(made)["address"].endswith("&view=0.2_0.3_4_x") and b"&amp;view=0.2_0.3_4_x</dd>" in made
