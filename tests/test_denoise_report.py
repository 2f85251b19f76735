"""The report: one page, whole in itself, that says what was done and cannot be turned against its reader."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from galaxy_core.before_after import make_reference, measure_version
from galaxy_core.before_after_table import Line, make_table
from galaxy_core.denoise_report import Report, make_report
from galaxy_core.denoising import DenoiseResult

MADE = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def source_at(x: float, y: float) -> np.ndarray:
    rows, columns = np.mgrid[:60, :90]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 2.5**2)).astype(np.float32)


def result_of(
    name: str = "field.fits", uncertainty: bool = False, linear: bool = True, bands: int = 1
) -> DenoiseResult:
    rng = np.random.default_rng(0)
    clean = np.zeros((bands, 60, 90), np.float32)
    clean += source_at(33, 23)
    image = clean + rng.normal(0, 0.05, clean.shape).astype(np.float32)
    return DenoiseResult(
        image=image,
        denoised=clean,
        noise_sigma=0.05,
        noise_given=False,
        linear=linear,
        header=None,
        name=name,
        file_format="FITS" if linear else "PNG",
        bits=32 if linear else 8,
        model_name="contrastive_denoiser",
        seconds=1.0,
        uncertainty=np.full_like(image, 0.01) if uncertainty else None,
    )


def report_of(result: DenoiseResult, **changes) -> str:
    reference = make_reference(result.image, result.denoised, result.noise_sigma, result.linear)
    before, after = (measure_version(reference, pixels) for pixels in (result.image, result.denoised))
    lines = make_table(reference, {"Input": before, "Galaxy Atlas": after}, "adu", 1.0)
    fields = {"result": result, "unit": "adu", "scale": 1.0, "model_title": "Galaxy Atlas", "measured": after}
    report = Report(**fields | {"lines": lines, "titles": ["Input", "Galaxy Atlas"]} | changes)
    return make_report(report, MADE).decode("utf-8")


def test_it_says_what_was_done_and_needs_no_network():
    result = replace(result_of(), weights_sha256="ab" * 32)
    page = report_of(result, settings={"Noise added": "gaussian"})
    for text in ("field.fits", "2026-11-20 12:30 UTC", "contrastive_denoiser", "ab" * 32, "Noise added", "Sky noise"):
        assert text in page
    assert "default-src 'none'" in page and "<script" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page), "nothing is loaded"
    assert page.count("data:image/png;base64,") == 3 and "estimated from the pixels" in page
    assert "blue −0.2 adu, orange +0.2 adu" in page, "four times the noise"


def test_uncertainty_and_other_versions_are_shown():
    result = result_of(uncertainty=True)
    page = report_of(result, others={"Wavelets": result.image})
    assert page.count("data:image/png;base64,") == 5 and "Uncertainty" in page and "Wavelets" in page


def test_gained_and_lost_are_circles_on_the_image():
    result = result_of()
    result.image[:] += source_at(63, 43)  # in the input only
    page = report_of(result)
    assert page.count("<circle") == 1 and "stroke-dasharray" in page and "1 lost" in page


def test_fits_is_drawn_with_its_first_row_at_the_bottom():
    """As astronomers see it, and the page shows it; circles stay on their sources."""
    for linear in (True, False):
        result = result_of(linear=linear)
        result.denoised[:] += source_at(63, 43)  # found only after
        page = report_of(result)
        cx, cy = (float(re.search(f'{name}="([0-9.]+)"', page).group(1)) for name in ("cx", "cy"))
        shown = re.findall(r"base64,([^\"]+)", page)[1]
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown))).convert("L"), dtype=float)
        assert (cx, cy) == pytest.approx((63.5, 60 - 43.5 if linear else 43.5), abs=0.5)
        scale = len(picture) / 60
        row, other, column = (int(scale * place) for place in (cy, 60 - cy, cx))
        assert picture[row, column] > picture[other, column] + 50


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.fits", "Galaxie é 星.fits", 'a"b&c.fits'])
def test_names_are_text(name):
    page = report_of(result_of(name))
    assert "<img src=x" not in page and page.count("<h1>") == 1
    assert "星" not in name or "星" in page
    words = "<img src=x>"  # as a header's unit may be
    assert words not in report_of(result_of(), lines=[Line(words, words, (words,))], titles=[words], unit=words)


@pytest.mark.parametrize(("linear", "bands"), [(True, 1), (True, 3), (True, 5), (False, 1), (False, 3)])
def test_all_kinds_of_images(linear, bands):
    assert "</html>" in report_of(result_of("a.png", linear=linear, bands=bands))
