"""The curve behind the sensitivity slider: of the model that searches, or not drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.frame_catalog import FrameConfig
from pages.views import sky_sensitivity

SHIPPED = Path(__file__).resolve().parents[1] / "artifacts"


def test_the_shipped_model_has_a_curve_that_falls_in_purity_and_grows_in_completeness():
    points, injection = sky_sensitivity.measured_curve(SHIPPED, "segmenter")
    assert len(points) >= 5 and injection["n_injected"] > 1000
    purity, found = (np.array([point[name] for point in points]) for name in ("purity", "completeness"))
    assert (np.diff(purity) < 0).all() and found[-1] > found[0] + 0.1
    metrics = json.loads((SHIPPED / "models" / "segmenter" / "metrics.json").read_text())
    first = metrics["injection"]["methods"]["segmenter"][0]
    faint = [one for one in first["completeness"] if one["snr"][0] >= 3 and one["snr"][1] <= 10]
    expected = sum(one["n"] * one["share"] for one in faint) / sum(one["n"] for one in faint)
    assert points[0]["completeness"] == pytest.approx(expected)


def test_the_figure_marks_what_was_chosen():
    points, _ = sky_sensitivity.measured_curve(SHIPPED, "segmenter")
    figure = sky_sensitivity.curve_figure(points, 30.0)
    assert figure.layout.shapes[0].x0 == 30.0 and len(figure.data) == 2
    np.testing.assert_allclose(figure.data[1].y, [100 * point["purity"] for point in points])


@pytest.mark.parametrize(
    "text", [None, "{", "[]", "{}", '{"injection": {"methods": {"segmenter": []}}}', '{"injection": 3}']
)
def test_metrics_that_are_missing_or_damaged_draw_nothing(tmp_path, text):
    folder = tmp_path / "models" / "segmenter"
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"")
    if text is not None:
        (folder / "metrics.json").write_text(text)
    assert sky_sensitivity.measured_curve(tmp_path, "segmenter") is None


def test_the_page_shows_it(open_app, tmp_path):
    from sky_frames import band_bytes
    from test_frame_page import upload

    app = upload(open_app(tmp_path, "pages/6_Frame.py"), ("field.fits", band_bytes()))
    assert "What the sensitivity buys" in "".join(chart.proto.spec for chart in app.get("plotly_chart"))
    assert "source-free places of 9 real" in " ".join(one.value for one in app.caption)


def test_config_defaults_lie_on_the_curve():
    points, _ = sky_sensitivity.measured_curve(SHIPPED, "segmenter")
    rates = [point["rate"] for point in points]
    assert min(rates) <= FrameConfig().false_per_megapixel <= max(rates)
