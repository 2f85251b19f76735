"""What the viewer is sent: values come back as they were, large frames fit, and hostile regions do no harm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pages.views.galaxy_map.payload import unpack
from pages.views.image_viewer import payload
from pages.views.image_viewer.payload import Shown


def shown(pixels: np.ndarray, linear: bool = True, scale: float = 1.0, **changes) -> Shown:
    after = pixels * np.float32(0.5)
    titles = {name: name for name in ("before", "after", "residual", "uncertainty")}
    marks = {"kept": np.zeros((0, 3), np.float32), "gained": np.float32([[1, 2, 3]]), "lost": np.zeros((0, 3), "f4")}
    fields = {"viewer_id": "v", "stamp": "s", "right": "model", "name": "a.fits", "stem": "a", "before": pixels}
    fields |= {"after": after, "uncertainty": None, "titles": titles, "unit": "adu", "scale": scale, "sigma": 2.0}
    return Shown(**fields | {"linear": linear, "fits": linear, "marks": marks} | changes)


def message_of(image: Shown) -> dict:
    limits = payload.limits_of(image.before, image.linear, image.scale)
    limits = payload.shift_limits(limits, *payload.coding(image))
    return unpack(payload.viewer_message(image, limits, {"scales": {}, "mark_titles": {}}))


def decoded(message: dict, kind: str, header: dict | None = None) -> np.ndarray:
    """Values as the browser computes them, (bands, height, width)."""
    header = header or message
    codes = message[kind].view(np.float16).astype(np.float64).reshape(-1, message["height"], message["width"])
    offsets = np.array(header["offsets"]) if kind in ("before", "after") else np.zeros(len(codes))
    return codes * header["gain"] + offsets[:, None, None]


def test_counts_of_a_picture_arrive_exactly():
    counts = np.arange(3 * 16 * 16).reshape(3, 16, 16) % 256
    message = message_of(shown(np.float32(counts / 255), False, 255.0, sigma=0.01))
    assert np.array_equal(np.rint(decoded(message, "before")), counts)
    assert message["limits"]["full"][0] == {"black": 0.0, "white": 255.0, "sigma": 1.0}
    assert message["curve"] == "linear" and message["flip"] is False


def test_noise_of_a_linear_frame_arrives_beside_a_bright_star():
    pixels = np.random.default_rng(0).normal(1000, 2, (1, 100, 120)).astype(np.float32)
    pixels[0, 50, 60] = 5e6
    message = message_of(shown(pixels))
    error = np.abs(decoded(message, "before") - pixels)
    sky = np.abs(pixels - 1000) < 20
    assert error[sky].max() < 0.05 * 2.0, "a small part of the noise"
    assert error[0, 50, 60] < 1e-3 * 5e6 and message["flip"] is True and message["first_pixel"] == 1


def test_residual_is_exact_where_nothing_changed_and_gaps_stay():
    pixels = np.random.default_rng(0).normal(0, 2, (1, 30, 30)).astype(np.float32)
    pixels[0, 3, 4] = np.nan
    message = message_of(replace(shown(pixels), after=pixels))
    residual = decoded(message, "residual")
    assert np.isnan(residual[0, 3, 4]) and np.nansum(np.abs(residual)) == 0


def test_a_large_frame_is_reduced_to_means_and_a_region_comes_in_full():
    pixels = np.random.default_rng(0).normal(50, 2, (1, 2000, 2600)).astype(np.float32)
    image = shown(pixels, uncertainty=np.ones_like(pixels))
    message = message_of(image)
    assert message["factor"] == 2 and message["before"].size <= payload.MAX_VALUES
    assert (message["full_width"], message["full_height"]) == (2600, 2000)
    means = pixels[0].reshape(1000, 2, 1300, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(decoded(message, "before")[0], means, rtol=0, atol=0.02)
    detail = unpack(payload.detail_message(image, [1000, 700, 1200, 800]))
    assert detail["factor"] == 1 and detail["x0"] <= 940 and detail["y0"] <= 670
    part = pixels[0, detail["y0"] :, detail["x0"] :][: detail["height"], : detail["width"]]
    np.testing.assert_allclose(decoded(detail, "before", message)[0], part, rtol=0, atol=0.02)
    assert "uncertainty" in detail


@pytest.mark.parametrize("seen", [None, [], [1, 2], ["a", 1, 2, 3], [9e9, 9e9, 9e9, 9e9], [-5, -5, 0, 0], [5, 5, 1, 1]])
def test_any_region_gives_some_pixels(seen):
    detail = unpack(payload.detail_message(shown(np.ones((1, 20, 30), np.float32)), seen))
    assert detail["width"] >= 1 and detail["height"] >= 1
    assert detail["x0"] + detail["width"] <= 30 and detail["y0"] + detail["height"] <= 20


@pytest.mark.parametrize("factor", [1, 2, 3, 7, 50])
def test_means_keep_the_edges(factor):
    band = np.random.default_rng(0).random((10, 17)).astype(np.float32)
    small = payload.reduce_mean(band, factor)
    assert small.shape == (-(-10 // factor), -(-17 // factor))
    last = band[(small.shape[0] - 1) * factor :, (small.shape[1] - 1) * factor :]
    assert small[-1, -1] == pytest.approx(last.mean(), rel=1e-5)


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
def test_bands_and_limits(bands):
    pixels = np.random.default_rng(0).normal(10, 1, (bands, 64, 64)).astype(np.float32)
    message = message_of(shown(pixels))
    n_shown = 1 if bands == 1 else 3
    assert decoded(message, "before").shape[0] == n_shown == len(message["offsets"])
    for name in ("percentile", "zscale", "minmax"):
        assert len(message["limits"][name]) == n_shown
        assert all(limit["white"] > limit["black"] for limit in message["limits"][name])


def test_flat_and_nearly_empty_images():
    gaps = np.full((1, 8, 8), np.nan, np.float32)
    gaps[0, 0, 0] = 1
    for pixels in (np.zeros((1, 1, 1), np.float32), np.full((3, 4, 4), 7, np.float32), gaps):
        message = message_of(shown(pixels, sigma=0.0))
        assert decoded(message, "before")[0, 0, 0] == pytest.approx(pixels[0, 0, 0])
