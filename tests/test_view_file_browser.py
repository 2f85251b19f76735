"""The file of a view in a browser without a network: points, outlines, names, and what was seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE_MS
from playwright.sync_api import expect
from view_files import MAP, SELECTED, view_on

from galaxy_core import map_layers
from pages.views import view_file
from pages.views.outlines import mark_of
from pages.views.view_file import make_view_file

HOSTILE = '</script><img src=x onerror="window.hacked=1"><b>'


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
