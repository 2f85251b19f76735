"""What a visitor does on the map while the rest of the page is still on its way is done once it is there."""

from __future__ import annotations

import pytest
from conftest import make_catalog

pytestmark = pytest.mark.browser

MAP = "window.galaxyAtlas.maps.get('map-0')"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    return root


def test_a_click_before_its_channel_is_not_lost(visit):
    page = visit("/Galaxy_map?catalog=tiny")
    page.evaluate("window.galaxyAtlas.channels.delete('tiny/marks')")  # as if it had not come yet
    page.mouse.click(*page.evaluate(f"{MAP}.pixelOf(7)"))
    opened = page.evaluate(f"{MAP}.openRow")
    page.wait_for_timeout(500)
    assert page.get_by_role("heading", name="tiny-").count() == 0
    page.locator(".st-key-gallery-starters button").first.click()  # draws the channel again
    page.get_by_role("heading", name=f"tiny-{opened:05d}").wait_for()


def test_a_picture_asked_for_before_its_channel_comes(visit):
    page = visit("/Galaxy_map?catalog=tiny")
    page.evaluate("window.kept = window.galaxyAtlas.channels.get('tiny/hover')")
    page.evaluate("window.galaxyAtlas.channels.delete('tiny/hover')")
    page.mouse.move(*page.evaluate(f"{MAP}.pixelOf(7)"))
    page.wait_for_selector(".atlas-tip")
    page.wait_for_timeout(400)
    assert page.locator(".atlas-tip img").count() == 0
    page.evaluate("window.kept.tell('events', [{ row: 3, map: 'map-0' }])")  # draws the channel again
    page.wait_for_selector(".atlas-tip img")
