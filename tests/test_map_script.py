"""What the map's script does when Streamlit calls it and cleans up after it in an unlucky order: no click is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from map_in_browser import corners, drag

from galaxy_core.map_layers import extent_of
from pages.views import readers
from pages.views.colouring import colour_by
from pages.views.colours import Colouring
from pages.views.galaxy_map import component, payload
from pages.views.outlines import mark_of

pytestmark = pytest.mark.browser

ROW = 7
LOOK = payload.MapLook("map-0", "tiny", "umap", "UMAP", "", "tiny", "tiny-umap", True)
LOAD = """async ([script, messages, css]) => {
    const style = document.head.appendChild(document.createElement('style'));
    style.textContent = css;
    document.body.innerHTML = '<div id="map" style="width:600px;height:500px"></div>'
        + '<div id="second" style="width:600px;height:500px"></div>'
        + '<div id="marks"></div><div id="hover"></div><div id="view"></div>';
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const whatStreamlitCalls = (await import(url)).default;
    window.told = [];
    window.setMarks = (message) => { messages.marks = message; call('marks', 2); };
    window.setMap = (message) => { messages.map = message; call('map', 0); };
    window.setView = (message) => { messages.view = message; call('view', 3); };
    window.call = (role, number) => whatStreamlitCalls({
        data: new Uint8Array(messages[role]), parentElement: document.getElementById(role),
        setTriggerValue: (name, events) => window.told.push({ number, events }),
    });
}"""


@pytest.fixture
def page(chromium, tiny_root):
    """An empty page with the script; ``call(role, number)`` is a call by Streamlit, which returns its clean-up."""
    galaxies = readers.open_catalog(tiny_root, "tiny")
    x, y = galaxies.coordinates("umap")
    messages = {
        "map": payload.map_message(LOOK, x, y, colour_by(galaxies, "class"), None, "s"),
        "marks": payload.marks_message("tiny", len(galaxies), 0, None, {}, None, {}, []),
        "hover": payload.pack({"role": "hover", "group": "tiny"}),
        "view": payload.pack({"role": "view", "group": "tiny"}),
        "second": payload.map_message(replace(LOOK, map_id="map-1"), x, y, colour_by(galaxies, "class"), None, "t"),
    }
    script = component.scripts() + (component.FOLDER / "component.js").read_text(encoding="utf-8")
    context = chromium.new_context(viewport={"width": 800, "height": 700})
    page = context.new_page()
    page.goto("about:blank")
    page.evaluate(LOAD, [script, {role: list(message) for role, message in messages.items()}, component.style()])
    yield page
    context.close()


def click(page, row: int = ROW) -> None:
    page.wait_for_selector(".atlas-map[data-drawn]")
    place = page.evaluate(f"window.galaxyAtlas.maps.get('map-0').pixelOf({row})")
    page.mouse.click(*place)


def rows_told(page) -> list[tuple[int, int]]:
    """By which call each galaxy was told."""
    return [(one["number"], event["row"]) for one in page.evaluate("window.told") for event in one["events"]]


def test_a_click_is_told_after_a_late_clean_up(page):
    page.evaluate("() => { call('map', 0); const late = call('marks', 1); call('marks', 2); late(); }")
    click(page)
    assert [number for number, _ in rows_told(page)] == [2]


def test_a_click_while_nobody_listens_is_told_later(page):
    page.evaluate("() => { call('map', 0); call('marks', 1)(); }")
    click(page)
    assert rows_told(page) == []
    page.evaluate("() => { call('marks', 2); }")
    assert [number for number, _ in rows_told(page)] == [2]


def test_what_was_not_seen_is_told_with_the_next_call_that_starts_anew(page):
    page.evaluate("() => { call('map', 0); window.end = call('marks', 1); }")
    click(page)
    page.evaluate("() => { end(); call('marks', 2); }")
    told = rows_told(page)
    assert [number for number, _ in told] == [1, 2] and len({row for _, row in told}) == 1


def test_a_map_stays_after_a_late_clean_up_and_is_gone_after_its_own(page):
    page.evaluate("() => { const late = call('map', 0); window.end = call('map', 1); late(); }")
    known = "() => window.galaxyAtlas.maps.has('map-0')"
    assert page.evaluate(known)
    page.evaluate("() => { call('marks', 1); }")
    click(page)
    assert len(rows_told(page)) == 1
    page.evaluate("() => end()")
    assert not page.evaluate(known)


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


def test_no_frame_without_a_picture_stays_after_a_click(page):
    page.evaluate("() => { call('map', 0); call('marks', 1); call('hover', 2); }")
    click(page)
    page.wait_for_timeout(300)
    assert page.locator(".atlas-tip").is_hidden()
    assert [one for one in page.evaluate("window.told") if one["number"] == 2] == []


def test_undo_and_redo_are_told_by_button_and_key_where_there_is_something_to(page):
    page.evaluate("() => { call('map', 0); call('marks', 1); }")
    page.wait_for_selector(".atlas-map[data-drawn]")
    undo, redo = page.locator('[data-tool="undo"]'), page.locator('[data-tool="redo"]')
    assert undo.is_hidden() and redo.is_hidden(), "not offered here"
    both, none = (payload.marks_message("tiny", 90, 0, None, {}, None, {}, [], can) for can in ((1, 1), (0, 0)))
    page.evaluate("(message) => setMarks(message)", list(both))
    undo.click()
    page.locator(".atlas-paper").focus()
    page.keyboard.press("Control+Shift+Z")
    page.keyboard.press("Control+z")
    events = page.evaluate("window.told").pop()["events"]
    assert [(event["kind"], event.get("whatever")) for event in events] == [
        ("undo", None),
        ("redo", True),
        ("undo", True),
    ]
    n_told = len(page.evaluate("window.told"))
    page.evaluate("(message) => setMarks(message)", list(none))
    assert undo.is_disabled() and redo.is_disabled()
    page.keyboard.press("Control+z")  # a tag may be what was done last
    assert len(page.evaluate("window.told")) == n_told + 1


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


def test_a_map_that_is_coloured_anew_before_the_answer_marks_what_was_clicked(page):
    page.evaluate("() => { call('map', 0); call('marks', 1); }")
    click(page)
    the_map = "window.galaxyAtlas.maps.get('map-0')"
    clicked = page.evaluate(f"[{the_map}.openRow, {the_map}.openPlace]")
    page.evaluate(f"() => {{ {the_map}.message.stamp = 'of other colours'; call('map', 2); }}")
    assert clicked[1] and page.evaluate(f"[{the_map}.openRow, {the_map}.openPlace]") == clicked


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


def test_two_maps_that_ask_at_once_are_both_answered(page, tiny_root):
    page.evaluate("() => { call('map', 0); call('second', 1); call('view', 2); }")
    page.wait_for_function("document.querySelectorAll('.atlas-map[data-drawn]').length === 2")
    page.locator('[data-tool="pictures"]').first.click()
    page.wait_for_function("window.told.length >= 2")
    asked = page.evaluate("window.told.at(-1).events")  # the server may hear of this one only
    assert {event["map"]: event["stamp"] for event in asked} == {"map-0": "s", "map-1": "t"}
    galaxies = readers.open_catalog(tiny_root, "tiny")
    by = colour_by(galaxies, "class")
    views = [component.view_message(galaxies, "tiny", event, "umap", by, None, event["stamp"]) for event in asked]
    packed = {f"view_{k}": np.frombuffer(view, np.uint8) for k, view in enumerate(views)}
    answer = payload.pack({"role": "view", "group": "tiny"}, **packed)
    page.evaluate("(answer) => setView(answer)", list(answer))
    n_pictures = "(id) => window.galaxyAtlas.maps.get(id).root.querySelectorAll('.atlas-picture').length"
    assert page.evaluate(n_pictures, "map-0") > 3 and page.evaluate(n_pictures, "map-1") > 3
    assert page.evaluate("window.galaxyAtlas.channels.get('tiny/view').asked.size") == 0


def test_an_outline_is_told_with_what_the_legend_hides(page):
    page.evaluate("() => { call('map', 0); call('marks', 1); }")
    page.wait_for_selector(".atlas-map[data-drawn]")
    page.locator(".atlas-legend button").nth(1).click()
    page.locator('[data-tool="box"]').click()
    drag(page, corners(page))
    (told,) = page.evaluate("window.told")
    (event,) = told["events"]
    assert event["hidden"] == [1] and event["map"] == "map-0" and event["stamp"] == "s" and len(event["x"]) == 4
