"""Stretches for the screen: always three bands in [0, 1], sky dark, order kept, colours kept."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.visualization import AsinhStretch, LinearStretch, ManualInterval, ZScaleInterval
from astropy.visualization.lupton_rgb import RGBImageMappingLupton

from galaxy_core.noise import estimate_sky
from galaxy_core.stretch import METHODS, brighten, residual_to_display, stretch_display, stretch_image, to_display


def frame(n_bands=1, sky=1000.0, sigma=5.0, peak=3000.0, seed=0, scale=4.0):
    rows, columns = np.indices((60, 64))
    light = peak * np.exp(-np.hypot(rows - 30, columns - 32) / scale)
    noise = np.random.default_rng(seed).normal(sky, sigma, (n_bands, 60, 64))
    return (light + noise).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_bands", [1, 2, 3, 4, 5])
def test_always_three_bands_in_range(method, n_bands):
    shown = stretch_image(frame(n_bands), method)
    assert shown.shape == (3, 60, 64) and shown.dtype == np.float32
    assert shown.min() >= 0 and shown.max() <= 1 and shown[:, 30, 32].min() > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_units_and_zero_point_do_not_matter(method):
    image = frame(3)
    shown = stretch_image(image, method)
    np.testing.assert_allclose(stretch_image(image * 1e-9 + 3e-7, method), shown, atol=5e-3)


@pytest.mark.parametrize("method", ["asinh", "linear", "lupton"])
def test_sky_is_dark_and_brighter_is_brighter(method):
    shown = stretch_image(frame(), method)[0]
    assert np.median(shown[:10]) < 0.1
    along = stretch_image(frame(sigma=1e-3), method)[0, 30, 32:]
    assert (np.diff(along[:12]) <= 1e-6).all()


def test_asinh_against_the_formula():
    """Sky 0, sigma 1, white at the 99.8th percentile: asinh(x / 3) / asinh(white / 3)."""
    image = frame(sky=0.0, sigma=1.0, scale=1.5)
    white = np.percentile(image, 99.8)
    want = np.clip(np.arcsinh(image[0] / 3) / np.arcsinh(white / 3), 0, 1)
    np.testing.assert_allclose(stretch_image(image, "asinh")[0], want, atol=0.015)


def test_lupton_keeps_colour_where_asinh_bleaches():
    bands = frame(3, sigma=0.5)
    bands[0] = 1000 + (bands[0] - 1000) * 0.5  # bluest band: half as bright, but for its own zero point
    bands[:, 10:13, 10:13] += np.array([300.0, 150.0, 0.0])[:, None, None]  # a blue source
    shown = stretch_image(bands, "lupton")
    red, green, blue = shown[:, 11, 11]
    assert blue > green > red
    signal = (bands[:, 11, 11] - 1000)[::-1]
    assert red / blue < 0.1 and green / blue == pytest.approx(signal[1] / signal[2] / 2, rel=0.25)


@pytest.mark.parametrize("method", ["asinh", "linear", "zscale"])
def test_of_two_bands_the_second_is_red_and_green_their_mean(method):
    bands = frame(2, sigma=0.1)
    bands[1, 5:8, 5:8] += 2000  # a red source
    red, green, blue = shown = stretch_image(bands, method)
    assert red[6, 6] > 0.5 > 0.1 > blue[6, 6]
    np.testing.assert_allclose(green, shown[[0, 2]].mean(axis=0), atol=1e-6)


def test_five_bands_show_the_middle_three_reddest_red():
    bands = frame(5, sigma=0.1)
    bands[3, 5:8, 5:8] += 2000
    red, green, blue = stretch_image(bands, "asinh")[:, 6, 6]
    assert red > 0.8 and max(green, blue) < 0.1


def test_pure_noise_stays_dark():
    noise = np.random.default_rng(0).normal(50, 3, (1, 80, 80))
    assert to_display(noise, linear=True).mean() < 0.2


def test_contrast_brightens():
    image = frame()
    means = [stretch_image(image, method, c).mean() for method in METHODS for c in (0.5, 1, 4)]
    assert (np.diff(np.reshape(means, (4, 3)), axis=1) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_reference_sets_the_limits(method):
    """A fainter image shown with the limits of a brighter one is darker: two panels can be compared."""
    image = frame(3)
    fainter = 1000 + (image - 1000) * 0.3
    alone, beside = stretch_image(fainter, method), stretch_image(fainter, method, reference=image)
    assert beside.mean() < 0.9 * alone.mean()
    np.testing.assert_array_equal(stretch_image(image, method, reference=image), stretch_image(image, method))


def test_display_images_pass_through():
    colour = np.random.default_rng(1).random((3, 9, 8), dtype=np.float32)
    np.testing.assert_array_equal(to_display(colour, linear=False), colour)
    np.testing.assert_array_equal(to_display(colour[:1], linear=False), np.repeat(colour[:1], 3, axis=0))
    five = np.concatenate([colour, colour[:2]])
    np.testing.assert_array_equal(to_display(five, linear=False), colour)
    assert to_display(colour * 3 - 1, linear=False).min() == 0


@pytest.mark.parametrize("method", METHODS)
def test_nan_constant_and_one_pixel(method):
    holed = frame(3)
    holed[:, 4:6] = np.nan
    holed[0, 8, 8] = np.inf
    assert np.isfinite(stretch_image(holed, method)).all()
    for odd in (np.full((1, 5, 5), 7.0), np.full((3, 5, 5), np.nan), np.ones((3, 1, 1)), np.zeros((2, 1, 3))):
        shown = stretch_image(odd, method)
        assert shown.shape == (3, *odd.shape[1:]) and np.isfinite(shown).all()


def test_unknown_method():
    for stretch in (stretch_image, stretch_display):
        with pytest.raises(ValueError, match="asinh"):
            stretch(frame(), "sepia")


def saturated(n_bands=1):
    image = frame(n_bands, sigma=4)
    image[:, 5:9, 5:9] = 65535  # a star: more than 0.2 % of the pixels
    return image


HARD = {
    "equal": np.full((1, 20, 20), 7.0),
    "equal in 8 bits": np.full((3, 20, 20), 200 / 255),
    "all NaN": np.full((3, 9, 9), np.nan),
    "one pixel": np.ones((1, 1, 1)),
    "two pixels": np.array([[[1.0, 2.0]]]),
    "saturated star": saturated(),
    "negative sky": frame(1, sky=-500.0),
    "all below zero": -np.abs(frame(3)),
    "four bands": frame(4),
    "half NaN": np.where(np.arange(64) < 32, np.nan, frame(3)),
    "infinite": np.where(np.random.default_rng(3).random((3, 60, 64)) < 0.1, -np.inf, frame(3)),
    "huge": frame(3) * 1e30,
    "tiny": frame(3) * 1e-36,
    "black in 8 bits": np.zeros((3, 16, 16)),
    "one count in 8 bits": np.eye(16)[None].repeat(3, axis=0) / 255,
    "whole numbers": np.arange(12).reshape(1, 3, 4),
}


@pytest.mark.parametrize("stretch", [stretch_image, stretch_display])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", HARD)
@pytest.mark.filterwarnings("error")
def test_hard_images(name, method, stretch):
    for contrast in (0.25, 1.0, 8.0):
        shown = stretch(HARD[name], method, contrast)
        assert shown.shape == (3, *HARD[name].shape[1:]) and shown.dtype == np.float32
        assert np.isfinite(shown).all() and shown.min() >= 0 and shown.max() <= 1
    if name.startswith(("equal", "all NaN", "one pixel", "black")):
        assert not shown.any(), "nothing there, nothing shown"
    elif name in ("saturated star", "negative sky", "four bands"):
        assert stretch(HARD[name], method)[:, 30, 32].max() > 0.01, "the galaxy beside a star, or below zero, is seen"


@pytest.mark.parametrize("name", ["saturated star", "negative sky", "one count in 8 bits", "two pixels"])
def test_linear_asinh_and_zscale_are_those_of_astropy(name):
    """astropy's stretch of the same limits; the limits of zscale are astropy's own."""
    band = np.asarray(HARD[name][:1], dtype=np.float32)
    sky = estimate_sky(band)
    white = max(np.percentile(band, 99.8), sky.level + 15 * sky.sigma)
    white = white if white > sky.level else band.max()
    unit = ManualInterval(sky.level, white)(band[0].astype(float))
    np.testing.assert_allclose(stretch_image(band, "linear")[0], LinearStretch()(unit), atol=1e-5)
    sigma = max(sky.sigma, np.diff(np.unique(band)).min())
    bend = np.clip(3 * sigma / (white - sky.level), 1e-3, 1)
    np.testing.assert_allclose(stretch_image(band, "asinh")[0], AsinhStretch(bend)(unit), atol=1e-4)
    low, high = ZScaleInterval().get_limits(band)
    if high > low:
        want = ZScaleInterval()(band[0])
        np.testing.assert_allclose(stretch_image(band, "zscale")[0], want, atol=1e-5)


def test_lupton_is_that_of_astropy():
    bands = frame(3, sigma=3)
    bands[0] = 1000 + 0.4 * (bands[0] - 1000)
    bands[:, 5:9, 5:9] += np.array([9000.0, 3000.0, 1000.0])[:, None, None]  # brighter than the screen
    scaled, variances = [], []
    for band in bands[::-1]:
        sky = estimate_sky(band)
        white = max(np.percentile(band, 99.8), sky.level + 15 * sky.sigma) - sky.level
        scaled.append((band - sky.level) / white)
        variances.append((sky.sigma / white) ** 2)
    bend = max(3 * np.sqrt(np.mean(variances) / 3), 1e-3)
    mapping = RGBImageMappingLupton(interval=ManualInterval(0, 1), stretch=AsinhStretch(bend))
    want = np.moveaxis(mapping.make_rgb_image(*scaled, output_dtype=np.float64), -1, 0)
    shown = stretch_image(bands, "lupton")
    above_sky = (
        np.mean(scaled, axis=0) > 1e-5
    )  # below it astropy shows black, and here a band above its sky still shows
    assert above_sky.mean() > 0.6 and np.max(scaled) > 1.2, "some pixels are too bright for the screen"
    np.testing.assert_allclose(shown[:, above_sky], want[:, above_sky], atol=2e-3)


def eight_bit():
    """A galaxy redder than its surroundings on a sky cut at zero, as survey JPEGs are."""
    image = np.round(frame(3, sky=-2.0, sigma=2.0, peak=220.0)) * np.array([1.0, 0.7, 0.5])[:, None, None]
    return (np.clip(np.round(image), 0, 255) / 255).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_eight_bit_colours_stay_red_first_and_in_balance(method):
    image = eight_bit()
    shown = stretch_display(image, method, 0.25)
    red, green, blue = shown[:, 30, 40]
    assert red > green > blue > 0
    if method == "linear":
        np.testing.assert_allclose(shown[:, 30, 40] / red, image[:, 30, 40] / image[0, 30, 40], atol=0.05)


def test_one_count_of_eight_bits_is_no_signal():
    """The sky is cut at zero, so nothing but the step of the values says what noise is."""
    image = np.zeros((1, 64, 64), np.float32)
    image[:, 20:40, 20:40] = 0.8
    image[:, 2, 2] = 1 / 255
    assert stretch_image(image, "asinh")[0, 2, 2] < 0.1
    assert AsinhStretch(1e-3)(np.array([1 / 255 / 0.8]))[0] > 0.25, "as a curve that knows no step would show it"


def test_brighten_divides_white():
    image = np.array([0.0, 0.2, 0.4, 0.9], np.float32)
    np.testing.assert_allclose(brighten(image, 2), [0, 0.4, 0.8, 1])
    np.testing.assert_array_equal(brighten(image, 1), image)


def test_residual_in_any_unit_looks_the_same():
    """A nanojansky in watts is 1e-35."""
    values = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    small = residual_to_display(values * np.float32(1e-35), limit=4e-35)
    np.testing.assert_allclose(small, residual_to_display(values, limit=4.0), rtol=1e-5)


def test_residual_colours_are_about_zero():
    values = np.array([[[-2.0, -1.0, 0.0, 1.0, 2.0, np.nan]]])
    shown = residual_to_display(values, limit=1.0)[:, 0]
    np.testing.assert_array_equal(shown[:, 2], 0)
    np.testing.assert_array_equal(shown[:, 5], 0)
    np.testing.assert_array_equal(shown[:, 0], shown[:, 1])
    assert shown[2, 1] > shown[0, 1] and shown[0, 3] > shown[2, 3], "blue below, orange above"
    bands = np.concatenate([values * 0.5, values * 1.5])
    np.testing.assert_allclose(residual_to_display(bands, 1.0)[:, 0], shown, atol=1e-6, err_msg="the mean over bands")
