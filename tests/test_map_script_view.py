"""What the map's script shows: its window by size, finger, key and link; and which groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from map_in_browser import corners
from map_script import LOOK, script_page

from galaxy_core.map_layers import extent_of
from pages.views import readers
from pages.views.colours import Colouring
from pages.views.galaxy_map import payload
from pages.views.outlines import mark_of

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium, tiny_root):
    yield from script_page(chromium, tiny_root)


def test_a_map_that_comes_back_follows_its_size(page):
    page.evaluate("() => { call('map', 0)(); call('map', 1); }")
    page.wait_for_selector(".atlas-map[data-drawn]")
    width = "window.galaxyAtlas.maps.get('map-0').sheet.width"
    before = page.evaluate(width)
    page.evaluate("() => { document.getElementById('map').style.width = '400px'; }")
    page.wait_for_function(f"{width} < {before}")
    assert np.isclose(before - page.evaluate(width), 200, atol=2)


def test_a_window_of_another_size_and_back_shows_the_same(page):
    page.evaluate("() => { call('map', 0); }")
    page.wait_for_selector(".atlas-map[data-drawn]")
    the_map = "window.galaxyAtlas.maps.get('map-0')"
    page.evaluate(f"{the_map}.zoomBy(6, 100, 300)")

    def resized(width: int, height: int) -> list[float]:
        page.evaluate(
            "(size) => { document.getElementById('map').style.cssText = size; }",
            f"width: {width}px; height: {height}px",
        )
        page.wait_for_function(
            f"""() => {{ const {{ paper, sheet, ratio }} = {the_map}, box = paper.getBoundingClientRect();
                return [["width", sheet.width], ["height", sheet.height]]
                    .every(([side, pixels]) => pixels === Math.round(box[side] * ratio)); }}"""
        )
        return page.evaluate(f"[{the_map}.view.x, {the_map}.view.y, {the_map}.view.scale]")

    before = resized(600, 500)
    for size in ((300, 500), (600, 330), (250, 330)):
        small = resized(*size)
        assert small[:2] == before[:2] and small[2] < before[2]
        whole = page.evaluate(f"{the_map}.viewOf({the_map}.message.extent).scale")
        assert small[2] / whole == pytest.approx(6)  # six times the whole map, and as much of it
        assert resized(600, 500) == pytest.approx(before)


def test_the_middle_of_a_crowd_is_told_from_its_edge_and_a_lone_point_is_whole(page):
    far, turn = np.sqrt(-2 * np.log(1 - (np.arange(20_000) + 0.5) / 20_000)), 2.399963 * np.arange(20_000)
    x, y = (far * np.cos(turn)).astype(np.float32), (far * np.sin(turn)).astype(np.float32)  # a Gaussian, evenly filled
    crowd = payload.map_message(LOOK, x, y, Colouring("class", np.zeros(20_000, np.int32), ("one",)), None, "crowd")
    page.evaluate("(map) => setMap(map)", list(crowd))
    page.wait_for_selector(".atlas-map[data-drawn]")
    opacity = """([rows, zoom]) => {
        const map = window.galaxyAtlas.maps.get('map-0'), { sheet, points, colours, background } = map;
        map.view = { x: 0, y: 0, scale: zoom * map.viewOf(map.message.extent).scale };
        map.paint(sheet, map.ratio);
        return rows.map((row) => {
            const i = points.rows.indexOf(row), [px, py] = map.toPaper(points.x[i], points.y[i]).map(Math.round);
            return (sheet.pixels[4 * (py * sheet.width + px)] - background[0]) / (colours[0][0] - background[0]);
        });
    }"""
    inner, outer = page.evaluate(opacity, [[50, 19_990], 1])
    assert inner > 0.97 and 0.5 < outer < 0.75
    assert page.evaluate(opacity, [[0, 1, 2], 40]) == pytest.approx([1, 1, 1], abs=0.1)


@pytest.mark.parametrize("tool", ["pan", "lasso"])
def test_the_finger_that_is_lifted_last_leaves_the_map_as_two_have_turned_it(page, tool):
    page.evaluate("() => { call('map', 0); call('marks', 1); }")
    page.wait_for_selector(".atlas-map[data-drawn]")
    page.click(f'[data-tool="{tool}"]')
    the_map, (left, top), _ = "window.galaxyAtlas.maps.get('map-0')", *corners(page, 0, 0, 1, 1)
    view = f"[{the_map}.view.x, {the_map}.view.y, {the_map}.view.scale]"
    page.evaluate(f"{the_map}.paper.setPointerCapture = () => {{}}")  # which knows real fingers only

    def touch(kind: str, finger: int, x: int) -> None:
        how = {"pointerId": finger, "pointerType": "touch", "clientX": left + x, "clientY": top + 200, "button": 0}
        page.evaluate(f"([kind, how]) => {the_map}.paper.dispatchEvent(new PointerEvent(kind, how))", [kind, how])

    whole = page.evaluate(view)
    touch("pointerdown", 1, 250)
    touch("pointerdown", 2, 350)
    for apart in (30, 60, 100):
        touch("pointermove", 1, 250 - apart)
        touch("pointermove", 2, 350 + apart)
    turned = page.evaluate(view)
    assert turned[2] == pytest.approx(3 * whole[2])
    touch("pointerup", 2, 450)
    for x in (152, 154, 156):
        touch("pointermove", 1, x)
    touch("pointerup", 1, 156)
    after = page.evaluate(view)
    assert after[2] == turned[2]
    assert (turned[0] - after[0]) * turned[2] == pytest.approx(6) and after[1] == pytest.approx(turned[1])
    assert page.evaluate("window.told") == []


def test_a_hidden_tag_stays_hidden_when_another_is_used_more(page, tiny_root):
    x, y = readers.open_catalog(tiny_root, "tiny").coordinates("umap")
    codes = np.where(np.arange(90) < 40, 0, np.where(np.arange(90) < 60, 1, -1)).astype(np.int32)
    first = Colouring("tag", codes, ("star", "ring"), nothing="no tag")
    swapped = Colouring("tag", np.where(codes < 0, -1, 1 - codes), ("ring", "bar", "star"), nothing="no tag")
    page.evaluate("(map) => setMap(map)", list(payload.map_message(LOOK, x, y, first, None, "1")))
    page.wait_for_selector(".atlas-map[data-drawn]")
    page.locator(".atlas-legend button", has_text="star").click()
    page.locator(".atlas-legend button", has_text="no tag").click()
    page.evaluate("(map) => setMap(map)", list(payload.map_message(LOOK, x, y, swapped, None, "2")))
    assert page.locator(".atlas-legend button.off").all_inner_texts() == ["star", "no tag"]


def test_a_place_in_a_link_is_the_same_on_a_map_that_has_grown(page, tiny_root):
    x, y = readers.open_catalog(tiny_root, "tiny").coordinates("umap")
    home = tuple(vars(extent_of(x, y)).values())
    x, y = np.r_[x, x.max() + 3].astype(np.float32), np.r_[y, y.min() - 9].astype(np.float32)
    codes = Colouring("class", np.zeros(91, np.int32), ("one",))
    grown = payload.map_message(replace(LOOK, home=home), x, y, codes, None, "grown")
    the_map, seen = "window.galaxyAtlas.maps.get('map-0')", []
    show = (
        f"(place) => {{ {the_map}.takePlace(place); const {{ x, y, scale }} = {the_map}.view; return [x, y, scale]; }}"
    )
    for message in (None, list(grown)):
        page.evaluate("(map) => { map ? setMap(map) : call('map', 0); }", message)
        scale = page.evaluate(f"{the_map}.viewOf({list(home)}).scale")
        seen.append(page.evaluate(show, "0.25_0.3_7.5"))
        assert page.evaluate(f"{the_map}.placeShown()") == "0.25_0.3_7.5" and seen[-1][2] == pytest.approx(7.5 * scale)
        assert page.evaluate(f"{the_map}.message.mark") == mark_of(extent_of(x[:90], y[:90]))
        whole = page.evaluate(f"{the_map}.viewOf({the_map}.message.extent)")
        for nonsense in ("", "0.5_0.5", "0.5_9_2", "0.5_0.5_0.01", "0.5_0.5_99999", "0.5_0.5_x"):
            assert page.evaluate(show, nonsense) == [whole["x"], whole["y"], whole["scale"]], nonsense
        assert page.evaluate(f"{the_map}.placeShown()") == ""
    assert seen[0] == pytest.approx(seen[1])


def test_the_map_is_moved_by_keys_and_groups_say_whether_they_are_shown(page):
    page.evaluate("() => { call('map', 0); call('marks', 1); }")
    page.wait_for_selector(".atlas-map[data-drawn]")
    at = "window.galaxyAtlas.maps.get('map-0').pixelOf(7)"
    before, told = page.evaluate(at), page.evaluate("window.told.length")
    page.locator(".atlas-paper").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowDown", "ArrowDown"):
        page.keyboard.press(f"Shift+{key}")
    now = page.evaluate(at)
    assert before[0] - now[0] == pytest.approx(2 * (before[1] - now[1])) and now[0] < before[0] - 50
    assert page.evaluate("window.told.length") == told, "no other galaxy is opened"
    group = page.locator(".atlas-legend button").first
    assert group.get_attribute("aria-pressed") == "true"
    group.press("Enter")
    assert group.get_attribute("aria-pressed") == "false"


def test_keys_are_the_same_with_caps_lock(page):
    page.evaluate("() => { call('map', 0); call('marks', 1); }")
    page.wait_for_selector(".atlas-map[data-drawn]")
    page.locator(".atlas-paper").focus()
    page.keyboard.press("B")
    assert page.get_attribute('[data-tool="box"]', "aria-pressed") == "true"
    page.keyboard.press("U")
    assert page.evaluate("window.told.at(-1).events.map((event) => event.key)") == ["u"]
