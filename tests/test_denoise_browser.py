"""Denoising in a real Chromium: an upload, the line between before and after, zoom in all panels, cancel, a phone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from conftest import make_catalog

from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig

pytestmark = pytest.mark.browser

UNIT = "1e-17 erg/s/cm2/Angstrom"  # as spectral cubes have it: too long for one line
SCALES = """() => {
    const {viewer} = document.querySelector('.iv'), {full_width, full_height} = viewer.message;
    return viewer.panels.map((panel) => {
        const {width, height} = panel.canvas;
        return viewer.scaleOf(panel) / Math.min(width / full_width, height / full_height);
    });
}"""
PIXEL = """() => {
    const canvas = document.querySelector('.iv-panel canvas'), {width, height} = canvas;
    return canvas.getContext('2d').getImageData(width / 2 | 0, height / 4 | 0, 1, 1).data.slice(0, 3).join();
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with a catalog and a small untrained model."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root, n=12)
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(root / "models" / "contrastive_denoiser", ContrastiveDenoiser(config))
    return root


def frame_file(folder: Path, height: int, width: int) -> Path:
    """A frame on disk, where the browser takes it from: what is handed over in memory takes seconds for each 10 MB."""
    pixels = np.random.default_rng(0).normal(100, 5, (height, width)).astype(np.int16)
    pixels[height // 2 - 3 : height // 2 + 3, width // 2 - 3 : width // 2 + 3] += 500
    hdu = fits.PrimaryHDU(pixels)
    hdu.header["BUNIT"] = UNIT
    hdu.writeto(folder / "field.fits")
    return folder / "field.fits"


@pytest.fixture
def opened(visit, tmp_path):
    """Function ``opened(height, width, **context)``: the page with an upload of that size in the viewer."""

    def upload(height: int, width: int, **context):
        page = visit("/Denoise", **context)
        page.locator("input[type=file]").set_input_files(frame_file(tmp_path, height, width))
        page.wait_for_selector(".iv[data-drawn]")
        page.get_by_role("heading", name="Before and after").wait_for()
        page.locator(".iv").scroll_into_view_if_needed()
        return page

    return upload


def centre_of(page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_line_zoom_values_and_stretch(opened):
    page = opened(300, 420)
    divider = page.locator(".iv-divider")
    x, y = centre_of(page, ".iv-divider")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 150, y, steps=4)
    page.mouse.up()
    page.wait_for_function("+document.querySelector('.iv-divider').getAttribute('aria-valuenow') < 45")
    divider.press("ArrowRight")
    divider.press("End")
    page.wait_for_function("document.querySelector('.iv-divider').getAttribute('aria-valuenow') === '100'")

    x, y = centre_of(page, ".iv-residual canvas")
    page.mouse.move(x, y)
    values = page.locator(".iv-values")
    page.wait_for_function("document.querySelector('.iv-values').innerText.includes('residual')")
    text = values.inner_text()
    assert re.search(rf"x \d+, y \d+ · input [-\d.]+ · galaxy atlas [-\d.]+ · residual [-\d.]+ {UNIT}", text), text
    page.mouse.wheel(0, -240)
    page.wait_for_function(f"({SCALES})()[0] > 1.3")
    scales = page.evaluate(SCALES)
    assert len(scales) == 2 and scales[0] == pytest.approx(scales[1]), "all panels show the same part"
    page.locator(".iv-compare canvas").press("0")
    page.wait_for_function(f"({SCALES})()[0] === 1")
    page.locator(".iv-compare canvas").press("+")
    page.wait_for_function(f"({SCALES})()[0] > 1.3")
    page.locator(".iv-compare canvas").dblclick(position={"x": 200, "y": 200})
    page.wait_for_function(f"({SCALES})()[0] === 1")

    before = page.evaluate(PIXEL)
    page.get_by_label("Invert").check()
    page.wait_for_function(f"({PIXEL})() !== '{before}'")
    page.get_by_label("Invert").uncheck()
    page.wait_for_function(f"({PIXEL})() === '{before}'")
    page.get_by_role("button", name="Side by side").click()
    page.wait_for_function("document.querySelectorAll('.iv-panel').length === 3")
    page.locator(".iv-legend button").first.click()
    assert page.locator(".iv-legend button").first.get_attribute("aria-pressed") == "true"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save what you see as PNG").click()
    assert download.value.suggested_filename == "field_view.png"


def test_zooming_into_a_large_frame_brings_its_own_pixels(opened):
    page = opened(1240, 1300)
    assert page.evaluate("document.querySelector('.iv').viewer.message.factor") == 2
    x, y = centre_of(page, ".iv-residual canvas")
    page.mouse.move(x, y)
    page.wait_for_function("document.querySelector('.iv-values').innerText.includes('mean of 2 x 2 px')")
    for _ in range(6):
        page.mouse.wheel(0, -240)
    page.wait_for_function("(document.querySelector('.iv').dataset.detail || '').endsWith(',1')")
    page.wait_for_function("!document.querySelector('.iv-values').innerText.includes('mean of')")


def test_work_is_cancelled_and_the_page_stays_awake(visit, tmp_path):
    page = visit("/Denoise")
    page.locator("input[type=file]").set_input_files(frame_file(tmp_path, 4800, 4800))
    page.locator(".st-key-denoise-cancel button").click()
    page.get_by_text("Stopped; what was done by then is kept.").wait_for()
    assert page.locator(".iv").count() == 0
    page.get_by_role("button", name="Go on").click()
    page.locator(".st-key-denoise-cancel button").click()
    page.get_by_text("Stopped; what was done by then is kept.").wait_for()
    page.get_by_text("Example", exact=True).click()
    page.wait_for_selector(".iv[data-drawn]")
    assert page.locator("[data-testid=stException]").count() == 0


def test_another_of_many_files_is_looked_at(visit, tmp_path):
    """A click in the list, which is drawn by itself, must draw the page anew; `AppTest` always does."""
    (tmp_path / "note.png").write_text("Dear astronomer")
    other = fits.PrimaryHDU(np.random.default_rng(1).normal(0, 1, (60, 70)).astype(np.float32))
    other.header["BUNIT"] = "<i>Jy</i>"
    other.writeto(tmp_path / "other.fits")
    page = visit("/Denoise")
    files = [frame_file(tmp_path, 60, 70), tmp_path / "note.png", tmp_path / "other.fits"]
    page.locator("input[type=file]").set_input_files(files)
    page.wait_for_function("document.querySelector('.iv-scale')?.innerText.endsWith('/Angstrom')")
    page.locator(".st-key-denoise-file-2 button").click()
    page.wait_for_function("document.querySelector('.iv-scale')?.innerText.endsWith(' <i>Jy</i>')")
    page.locator(".st-key-denoise-file-1 button").click()
    page.locator("[data-testid=stAlert]").get_by_text("is not an image this can read").wait_for()
    assert page.locator(".iv").count() == 0


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_phone(opened, scheme):
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme, "has_touch": True, "is_mobile": True}
    page = opened(200, 200, **options)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    words = page.locator(".st-key-denoise-facts .stMarkdownEllipsis", has_text=UNIT)
    assert words.evaluate("(one) => one.scrollWidth <= one.clientWidth"), "none is cut"
    box = page.locator(".iv-compare").bounding_box()
    assert 300 <= box["width"] <= 390 and 300 <= box["height"] <= 600
    page.locator(".iv-compare canvas").tap(position={"x": 60, "y": 150})
    page.wait_for_function("document.querySelector('.iv-values').innerText.includes('residual')")
    page.get_by_role("button", name="Zoom in (+)").tap()
    page.wait_for_function(f"({SCALES})()[0] > 1.3")
