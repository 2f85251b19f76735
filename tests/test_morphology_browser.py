"""The Morphology page in a real Chromium: an upload is classified, tree and maps are really drawn, on a phone."""

from __future__ import annotations

import re

import pytest
from conftest import make_catalog
from test_morphology_page import NAMES, png_bytes, small_net

from galaxy_core.models import save_model
from pages.views.morphology_words import class_words

pytestmark = pytest.mark.browser

DRAWN = "(place) => [...document.querySelectorAll(place)].every((image) => image.complete && image.naturalWidth > 0)"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with a catalog and a small untrained model."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root, n=12)
    save_model(root / "models" / "vote_regressor", small_net(), {"catalogs": ["gz2:gz2"]})
    return root


def test_an_upload_on_a_phone_and_its_row(visit):
    page = visit("/Morphology", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    files = [{"name": "мой δ.png", "mimeType": "image/png", "buffer": png_bytes()}]
    page.locator("input[type=file]").set_input_files(files)
    page.locator(".pixel-maps").wait_for()
    heading = page.locator("h3", has_text=" · ").first.inner_text()
    name, share = re.match(r"(.+) · (?:< )?(\d+) %", heading).groups()
    assert name in map(class_words, NAMES) and 20 <= int(share) <= 100
    assert page.locator(".morphology-top .answer.leading").inner_text() == name
    for place, n in ((".question-tree", 1), (".turned img", 13), (".pixel-maps img", 3), (".morphology-top img", 1)):
        assert page.locator(place).count() == n and page.evaluate(DRAWN, place), place
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the row (CSV)").click()
    assert download.value.suggested_filename == "мой δ_morphology.csv"
    with open(download.value.path(), encoding="utf-8") as table:
        header, row = table.read().strip().splitlines()
    assert header.replace('"', "").startswith("galaxy_id,class,probability_round_smooth,")
    assert class_words(row.split(",")[1].strip('"')) == name and "Class11.6_high" in header
