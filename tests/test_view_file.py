"""A view in one file: what it holds, and that it works in a real Chromium that may load nothing."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE_MS, make_catalog
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from galaxy_core import artifacts, map_layers
from pages.views import readers, view_file, view_file_parts, words
from pages.views.colouring import colour_by
from pages.views.colours import Colouring
from pages.views.galaxy_map import payload
from pages.views.galaxy_map.payload import MapLook
from pages.views.outlines import mark_of
from pages.views.view_file import View, make_view_file
from scripts.benchmarks.many_galaxies import write_many

MAP = "window.galaxyAtlas.maps.get('map-0')"
HOSTILE = '</script><img src=x onerror="window.hacked=1"><b>'
SELECTED = np.arange(0, 90, 3, dtype=np.int32)


@pytest.fixture(scope="module")
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def view_on(galaxies, colour="class", maps=("umap",), dark=True, **changes) -> View:
    colouring = changes.pop("colouring", None) or colour_by(galaxies, colour)
    looks = tuple(
        MapLook(f"map-{k}", galaxies.name, name, f"{words.name_of(name)}, by {colouring.title}", "", "", "", dark)
        for k, name in enumerate(maps)
    )
    return View(looks=looks, colouring=colouring, dark=dark, **({"how": "an outline on UMAP"} | changes))


def block(made: bytes, name: str) -> dict:
    """A packed message of the file."""
    found = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', made.decode("utf-8"))
    return payload.unpack(base64.b64decode(found[1]))


def held(made: bytes) -> dict:
    """What the file's own script knows."""
    found = re.search(r'<script type="application/json" id="atlas-view">(.*?)</script>', made.decode("utf-8"))
    return json.loads(found[1])


@pytest.fixture
def open_file(chromium, tmp_path):
    """Function ``open_file(made, **context)``: the file from disk, in a browser that has no network."""
    contexts, asked, problems = [], [], []

    def open_it(made: bytes, **options):
        path = tmp_path / f"view-{len(contexts)}.html"
        path.write_bytes(made)
        context = chromium.new_context(**({"viewport": {"width": 1440, "height": 900}, "offline": True} | options))
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    loaded = [url for url in asked if not url.startswith(("data:", "blob:"))]
    assert len(loaded) == len(contexts) and all(url.startswith("file:") for url in loaded) and not problems


def lonely_row(galaxies) -> int:
    places = np.stack(galaxies.coordinates("umap"), axis=1)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return int(distances.min(axis=1).argmax())


@pytest.mark.browser
def test_points_hover_click_and_gallery_work_without_a_network(tiny, open_file):
    row, opened = lonely_row(tiny), (lonely_row(tiny) + 1) % 90
    page = open_file(make_view_file(tiny, view_on(tiny, selected=SELECTED, open_row=opened)))
    page.wait_for_selector(".atlas-map[data-drawn]")
    assert page.evaluate(f"{MAP}.points.n") == 90
    x, y = page.evaluate(f"{MAP}.pixelOf({row})")
    painted = page.evaluate(
        f"""([x, y]) => {{
            const map = {MAP}, box = map.paper.getBoundingClientRect();
            const at = [(x - box.left) * map.ratio, (y - box.top) * map.ratio].map(Math.floor);
            return [Array.from(map.sheet.context.getImageData(...at, 1, 1).data.slice(0, 3)), map.background];
        }}""",
        [x, y],
    )
    assert np.abs(np.subtract(*painted)).max() > 10
    assert page.locator("#card h2").inner_text() == f"tiny-{opened:05d}"

    page.mouse.move(x, y)
    page.wait_for_selector(".atlas-tip b")
    assert f"tiny-{row:05d}\n{tiny.catalog['class'][row].replace('_', ' ')}\nHDBSCAN: " in page.inner_text(".atlas-tip")
    page.mouse.click(x, y)
    expect(page.locator("#card h2")).to_have_text(f"tiny-{row:05d}")
    ra = f"{tiny.catalog['ra_deg'][row]:.5f}°"
    assert ra in page.inner_text("#card") and page.evaluate("document.querySelector('#card img').naturalWidth") == 64

    sizes = page.evaluate(
        """async () => {
            const images = [...document.querySelectorAll('#selection-saved .picture-grid img')];
            await Promise.all(images.map((image) => image.decode()));
            return images.map((image) => image.naturalWidth);
        }"""
    )
    assert sizes == [64] * len(SELECTED)
    marked = page.evaluate(f"Array.from({MAP}.chosenOf({MAP}.points)).reduce((a, b) => a + b)")
    assert marked == len(SELECTED)
    page.locator("#selection-saved .picture-grid button").first.click()
    assert int(page.locator("#card h2").inner_text().removeprefix("tiny-")) in SELECTED


@pytest.mark.browser
def test_outlines_in_the_file_select_and_the_saved_selection_comes_back(tiny, open_file):
    view = view_on(tiny, maps=("umap", "pca"), dark=False, selected=SELECTED)
    page = open_file(make_view_file(tiny, view), viewport={"width": 390, "height": 844})
    expect(page.locator(".atlas-map[data-drawn]")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 251, 248)"
    page.locator('[data-tool="box"]').first.click()
    box = page.locator(".atlas-paper").first.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    page.wait_for_selector("#selection-here:not([hidden])")
    left = page.evaluate(f"{MAP}.toMap({MAP}.sheet.width / 2, 0)[0]")
    inside = np.flatnonzero(tiny.coordinates("umap")[0] < left)
    assert 10 < len(inside) < 80
    assert page.inner_text("#chosen-count").startswith(f"{len(inside)} galaxies, ")
    with page.expect_download() as download:
        page.click("#save-ids")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines == ["galaxy_id", *(f"tiny-{row:05d}" for row in inside)]
    page.click("#back-to-saved")
    page.wait_for_selector("#selection-here", state="hidden")
    assert page.evaluate(f"Array.from({MAP}.chosenOf({MAP}.points)).reduce((a, b) => a + b)") == len(SELECTED)


@pytest.fixture
def hostile(tiny):
    """The same galaxies, with ids, classes and columns that would like to be HTML."""
    catalog = tiny.catalog.copy()
    catalog["galaxy_id"] = [f"{HOSTILE}{row}" for row in range(90)]
    catalog["class"] = f"spiral{HOSTILE}"
    catalog[f"size{HOSTILE}"] = "<!--<script>"
    return replace(tiny, catalog=catalog)


@pytest.mark.browser
def test_names_that_look_like_html_stay_text(hostile, open_file):
    view = view_on(hostile, selected=SELECTED, open_row=4, how=HOSTILE, filters=HOSTILE, link={"catalog": HOSTILE})
    made = make_view_file(hostile, view)
    assert HOSTILE.encode() not in made and b"<img src=x" not in made
    page = open_file(made)
    page.wait_for_selector(".atlas-map[data-drawn]")
    assert page.locator("#card h2").inner_text() == f"{HOSTILE}4"
    row = lonely_row(hostile)
    page.mouse.move(*page.evaluate(f"{MAP}.pixelOf({row})"))
    page.wait_for_selector(".atlas-tip b")
    assert page.inner_text(".atlas-tip b") == f"{HOSTILE}{row}"
    page.mouse.click(*page.evaluate(f"{MAP}.pixelOf({row})"))
    expect(page.locator("#card h2")).to_have_text(f"{HOSTILE}{row}")
    assert HOSTILE in page.inner_text("#provenance") and HOSTILE in page.inner_text(".atlas-legend")
    assert page.evaluate("window.hacked") is None


@pytest.mark.browser
def test_a_sampled_map_says_so_and_does_not_offer_outlines(tiny, open_file, monkeypatch):
    monkeypatch.setattr(map_layers, "MAX_POINTS", 50)
    monkeypatch.setattr(map_layers, "SAMPLE_SIZE", 30)
    made = make_view_file(tiny, view_on(tiny))
    assert b"This file draws 90 galaxies as density and 30 of them" in made
    assert set(view_file._peaks(tiny, view_on(tiny), [np.array([4, 8])])) == {4, 8}
    page = open_file(made)
    page.wait_for_selector(".atlas-map[data-drawn]")
    assert page.evaluate(f"{MAP}.points.n") == 30
    assert page.locator('[data-tool="lasso"]').is_hidden() and page.locator('[data-tool="fit"]').is_visible()


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


@pytest.mark.browser
def test_the_file_shows_the_part_of_the_map_that_was_seen_and_hides_what_was_hidden(tiny, open_file):
    by = view_on(tiny).colouring
    place = f"0.25_0.5_3_{mark_of(tiny.extent('umap'))}"
    page = open_file(make_view_file(tiny, view_on(tiny, link={"view": place, "hidden": by.marks[1]})))
    page.wait_for_selector(".atlas-map[data-drawn]")
    assert page.locator(".atlas-legend button.off").all_inner_texts() == [by.names[1]]
    shown, whole = page.evaluate(f"[{MAP}.view, {MAP}.viewOf({MAP}.message.extent)]")
    assert shown["scale"] == pytest.approx(3 * whole["scale"]) and shown["y"] == pytest.approx(whole["y"])
    page.locator('[data-tool="fit"]').click()
    assert page.evaluate(f"{MAP}.view.scale") == whole["scale"]
