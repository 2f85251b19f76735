"""The address of the map in a real Chromium: what it holds, and that others see the same by it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import make_catalog

from pages.views import readers
from pages.views.colouring import colour_by
from tests.browsers import settle
from tests.map_in_browser import MAP, corners, drag, lonely_row, n_marked

pytestmark = pytest.mark.browser
VIEW = f"[{MAP}.view.x, {MAP}.view.y, {MAP}.view.scale / {MAP}.viewOf({MAP}.message.extent).scale]"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with two catalogs."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    make_catalog(root, "other", 30)
    return root


def test_a_link_shows_the_same_in_another_browser(visit, root):
    page = visit("/Galaxy_map?catalog=other")
    page.click('[data-tool="box"]')
    drag(page, corners(page, right=0.6))
    page.wait_for_function(f"() => {MAP}.chosen")
    page.click('[data-tool="pan"]')
    row = lonely_row(root, "other")
    page.mouse.click(*page.evaluate(f"{MAP}.pixelOf({row})"))
    page.get_by_role("heading", name=f"other-{row:05d}").wait_for()
    page.wait_for_url(f"**galaxy=other-{row:05d}**")
    assert "catalog=other" in page.url
    other = visit("/" + page.url.split("/", 3)[3])
    other.get_by_role("heading", name=f"other-{row:05d}").wait_for()
    other.wait_for_function(f"() => {MAP}.chosen")
    assert n_marked(other) == n_marked(page) > 0
    assert other.evaluate(f"{MAP}.openRow") == row


def test_the_address_holds_what_is_on_the_map_without_a_step_back_for_each_turn_of_the_wheel(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    steps, row = page.evaluate("history.length"), lonely_row(root)
    assert "view=" not in page.url
    page.mouse.move(*page.evaluate(f"{MAP}.pixelOf({row})"))
    for _ in range(4):
        page.mouse.wheel(0, -120)
        page.wait_for_timeout(400)
    group = page.evaluate(f"{MAP}.points.codes[{MAP}.points.rows.indexOf({row})]")
    hidden = (group + 1) % 3
    page.click(f'.atlas-legend [data-code="{hidden}"]')
    page.wait_for_url("**hidden=*")
    page.wait_for_url("**view=*")
    page.wait_for_timeout(500)
    assert page.evaluate("history.length") == steps
    page.mouse.click(*page.evaluate(f"{MAP}.pixelOf({row})"))
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for()
    page.wait_for_url("**galaxy=tiny*")
    seen = page.evaluate(VIEW)
    assert "view=" in page.url and "hidden=" in page.url and seen[2] > 3
    for size in ((1440, 900), (700, 1000)):
        other = visit("/" + page.url.split("/", 3)[3], viewport=dict(zip(("width", "height"), size, strict=True)))
        assert np.allclose(other.evaluate(VIEW), seen, rtol=2e-3)
        assert other.evaluate(f"[...{MAP}.hidden]") == [hidden]
        assert other.locator(".atlas-legend button.off").count() == 1
    page.mouse.dblclick(*corners(page)[0])
    page.wait_for_function("!location.search.includes('view=')")
    page.go_back()
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for(state="detached")
    assert np.allclose(page.evaluate(VIEW), seen, rtol=2e-3)
    page.get_by_role("combobox", name="Catalog").click()
    page.get_by_role("option", name="other").click()
    page.wait_for_function(f"{MAP}.message.group === 'other'")
    assert page.evaluate(f"{MAP}.hidden.size") == 0
    page.wait_for_url("**Galaxy_map?catalog=other")
    page.go_back()
    page.wait_for_function(f"{MAP}.message.group === 'tiny'")
    assert page.evaluate(f"[...{MAP}.hidden]") == [hidden] and np.allclose(page.evaluate(VIEW), seen, rtol=2e-3)


@pytest.fixture
def slow_visit(visit):
    """A page, and its answers of the server: kept back while ``kept`` is a list."""
    page, line = visit("/Galaxy_map?catalog=tiny"), SimpleNamespace(kept=None)

    def connect(browser):
        server = browser.connect_to_server()
        line.send = browser.send
        server.on_message(lambda message: browser.send(message) if line.kept is None else line.kept.append(message))

    def release():
        kept, line.kept = line.kept, None
        for message in kept:
            line.send(message)

    line.release = release
    page.route_web_socket("**/_stcore/stream*", connect)
    page.reload()
    settle(page)
    return page, line


def test_back_to_another_map_keeps_its_view_however_long_the_server_takes(slow_visit):
    page, line = slow_visit
    page.mouse.move(*corners(page)[0])
    page.mouse.wheel(0, -120)
    page.click('.atlas-legend [data-code="1"]')
    page.wait_for_function("location.search.includes('view=') && location.search.includes('hidden=')")
    seen, shown = page.evaluate(VIEW), page.evaluate("location.search")
    page.get_by_role("combobox", name="Catalog").click()
    page.get_by_role("option", name="other").click()
    page.wait_for_url("**Galaxy_map?catalog=other")
    page.wait_for_function(f"{MAP}.message.group === 'other'")
    line.kept = []
    page.go_back()
    page.wait_for_timeout(600)  # longer than a view rests until it is written
    assert page.evaluate("location.search") == shown
    line.release()
    page.wait_for_function(f"{MAP}.message.group === 'tiny'")
    assert page.evaluate(f"[...{MAP}.hidden]") == [1] and np.allclose(page.evaluate(VIEW), seen, rtol=2e-3)


def test_an_answer_that_comes_after_the_button_back_does_not_undo_it(slow_visit, root):
    page, line = slow_visit
    row, before = lonely_row(root), page.evaluate("location.search")
    page.mouse.click(*page.evaluate(f"{MAP}.pixelOf({row})"))
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for()
    page.wait_for_url("**galaxy=tiny*")
    page.wait_for_timeout(500)
    line.kept = []
    page.mouse.move(*corners(page)[0])
    page.mouse.wheel(0, -120)
    page.wait_for_function("location.search.includes('view=')")
    page.wait_for_timeout(500)  # the server knows of the view, and the browser not yet that it does
    assert line.kept
    page.go_back()
    line.release()
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for(state="detached")
    page.wait_for_function("(text) => location.search === text", arg=before)


def test_back_to_another_colouring_hides_what_was_hidden_there(slow_visit):
    page, _ = slow_visit
    page.click('.atlas-legend [data-code="1"]')
    page.wait_for_function("location.search.includes('hidden=')")
    page.get_by_role("radio", name="The unusual").click()
    page.wait_for_url("**panel=unusual*")
    settle(page)
    page.get_by_role("combobox", name="Colour", exact=True).click()
    page.get_by_role("option", name="Cluster, HDBSCAN").click()
    page.wait_for_function(f"{MAP}.message.title.includes('HDBSCAN') && !location.search.includes('hidden=')")
    page.go_back()
    page.wait_for_function(f"!{MAP}.message.title.includes('HDBSCAN')")
    assert page.evaluate(f"[...{MAP}.hidden]") == [1] and "hidden=" in page.url


def test_two_things_done_before_the_first_is_answered_do_not_end_the_visit(slow_visit):
    page, line = slow_visit
    page.get_by_role("radio", name="The unusual").click()
    page.wait_for_url("**panel=unusual*")
    settle(page)
    line.kept = []
    page.get_by_role("combobox", name="Colour", exact=True).click()
    page.get_by_role("option", name="Cluster, HDBSCAN").click()
    page.wait_for_timeout(600)
    page.go_back()
    page.wait_for_timeout(1200)
    line.release()
    page.wait_for_function("!document.querySelector('[data-stale=true]')", timeout=15_000)
    settle(page)
    assert page.get_by_role("dialog").count() == 0


def test_a_view_of_a_map_that_was_made_again_is_the_whole_map(visit):
    page = visit("/Galaxy_map?catalog=tiny&view=0.2_0.3_9_00000000&hidden=1_00000000")
    page.wait_for_function("!location.search.includes('view=') && !location.search.includes('hidden=')")
    assert page.evaluate(VIEW)[2] == 1 and page.evaluate(f"{MAP}.hidden.size") == 0
    page.get_by_text("Groups that this link hides are not here any more").wait_for()


def test_a_link_hides_groups_by_their_names_and_older_links_by_their_places(visit, root):
    by_class = colour_by(readers.open_catalog(root, "tiny"), "class")
    marks = by_class.marks
    for hidden, codes in ((f"{marks[2]}-{marks[0]}", {0, 2}), (f"1_{by_class.mark}", {1})):
        page = visit(f"/Galaxy_map?catalog=tiny&hidden={hidden}")
        assert set(page.evaluate(f"[...{MAP}.hidden]")) == codes and not page.get_by_text("this link").count()
        written = "-".join(sorted(marks[code] for code in codes))
        page.wait_for_function("(text) => location.search.endsWith('hidden=' + text)", arg=written)
