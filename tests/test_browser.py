"""The app in a real Chromium: from page to page, denoising an upload, a phone. The map itself: test_map_browser.py."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from conftest import PROJECT, blob, make_catalog, settle
from PIL import Image

pytestmark = pytest.mark.browser

WEIGHTS = PROJECT / "artifacts" / "models" / "contrastive_denoiser"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with two catalogs, and the shipped model where there is one."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    make_catalog(root, "other", 12)
    if WEIGHTS.exists():
        (root / "models").mkdir()
        (root / "models" / WEIGHTS.name).symlink_to(WEIGHTS)
    return root


def png_of(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_catalog_and_galaxy_go_along_to_the_clusters(visit):
    page = visit("/Galaxy_map?catalog=tiny&galaxy=tiny-00004")
    page.get_by_role("heading", name="tiny-00004").wait_for()
    page.get_by_role("link", name="Clusters").click()
    page.get_by_role("heading", name="What it means").wait_for()
    settle(page)
    assert page.locator(".st-key-open-strip").get_by_text("tiny-00004").count() == 1
    page.locator("[class*=st-key-gallery-typical] button").first.click()
    page.wait_for_function("!document.querySelector('.st-key-open-strip').innerText.includes('tiny-00004')")


def test_overview_leads_to_the_map(visit):
    page = visit("/?catalog=tiny")
    assert page.title() == "Galaxy Atlas"
    button = page.locator(".st-key-gallery-samples button").first
    name = button.locator("img").get_attribute("alt")
    button.click()
    page.get_by_role("heading", name="Galaxy map").wait_for()
    page.get_by_role("heading", name=name).wait_for()


def test_catalog_is_kept_across_a_page_that_has_none(visit):
    page = visit("/Galaxy_map?catalog=tiny")
    page.get_by_role("link", name="Denoise").click()
    page.get_by_role("heading", name="Denoise").wait_for()
    page.get_by_role("link", name="Galaxy map").click()
    page.get_by_text("90 galaxies").filter(has_text="UMAP by").first.wait_for()


@pytest.fixture
def denoise_page(visit):
    if not (WEIGHTS / "weights.safetensors").exists():
        message = f"the shipped model is missing: {WEIGHTS}; make it with scripts/train.py contrastive_denoiser"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    page = visit("/Denoise")
    page.get_by_role("heading", name="Denoise").wait_for()
    return page


def test_denoise_an_upload_and_download_the_result(denoise_page):
    noisy = (255 * blob(1)).astype(np.uint8).transpose(1, 2, 0)
    noisy = (noisy + np.random.default_rng(0).normal(0, 15, noisy.shape)).clip(0, 255).astype(np.uint8)
    files = {"name": "mine.png", "mimeType": "image/png", "buffer": png_of(noisy)}
    denoise_page.locator("input[type=file]").set_input_files(files)
    button = denoise_page.locator("[data-testid=stDownloadButton] button", has_text="denoised").first
    button.wait_for()
    with denoise_page.expect_download() as download:
        button.click()
    denoised = np.asarray(Image.open(download.value.path()).convert("RGB"), dtype=float)
    sky = (slice(0, 10), slice(0, 10))
    assert denoised.shape == noisy.shape and denoised[sky].std() < 0.5 * noisy[sky].astype(float).std()


def test_a_bad_upload_is_one_sentence(denoise_page):
    files = {"name": "broken.png", "mimeType": "image/png", "buffer": b"this is no picture"}
    denoise_page.locator("input[type=file]").set_input_files(files)
    error = denoise_page.locator("[data-testid=stAlert]").first
    error.wait_for()
    assert "broken.png" in error.inner_text() and "Traceback" not in error.inner_text()
    assert denoise_page.locator("[data-testid=stException]").count() == 0


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_phone_shows_everything_in_one_column(visit, scheme):
    page = visit(
        "/Galaxy_map?catalog=tiny&galaxy=tiny-00004", viewport={"width": 390, "height": 844}, color_scheme=scheme
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    chart, image = page.locator(".atlas-paper").bounding_box(), page.locator("img.galaxy-image").bounding_box()
    assert 300 <= chart["width"] <= 390 and image["y"] > chart["y"] + chart["height"] - 1
    red, green, blue = page.evaluate(
        "getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/[0-9]+/g).map(Number)"
    )[:3]
    assert (max(red, green, blue) < 60) if scheme == "dark" else (min(red, green, blue) > 200)
