"""What the map's script does when Streamlit calls it and cleans up after it in an unlucky order: no click is lost."""

from __future__ import annotations

import numpy as np
import pytest
from map_in_browser import corners, drag
from map_script import click, rows_told, script_page

from pages.views import readers
from pages.views.colouring import colour_by
from pages.views.galaxy_map import component, payload

pytestmark = pytest.mark.browser


@pytest.fixture
def page(chromium, tiny_root):
    yield from script_page(chromium, tiny_root)


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


def test_a_map_that_is_coloured_anew_before_the_answer_marks_what_was_clicked(page):
    page.evaluate("() => { call('map', 0); call('marks', 1); }")
    click(page)
    the_map = "window.galaxyAtlas.maps.get('map-0')"
    clicked = page.evaluate(f"[{the_map}.openRow, {the_map}.openPlace]")
    page.evaluate(f"() => {{ {the_map}.message.stamp = 'of other colours'; call('map', 2); }}")
    assert clicked[1] and page.evaluate(f"[{the_map}.openRow, {the_map}.openPlace]") == clicked


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


def test_the_legend_keeps_its_colours_in_high_contrast_and_its_dots_round(page):
    page.emulate_media(forced_colors="active")
    page.evaluate("() => { document.getElementById('map').style.width = '9rem'; call('map', 0); }")
    page.wait_for_selector(".atlas-map[data-drawn]")
    dot = page.locator(".atlas-legend button i").first
    page.evaluate("() => document.querySelector('.atlas-legend button').append(' a long name of a class'.repeat(9))")
    wanted, shown = dot.evaluate("one => [one.style.backgroundColor, getComputedStyle(one).backgroundColor]")
    box = dot.bounding_box()
    assert shown == wanted and box["width"] == pytest.approx(box["height"], abs=0.1)
