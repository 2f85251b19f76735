"""The simulator's light, seeing, noise and display against what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, gammainc, gammaincinv

from galaxy_core.simulator import observe
from galaxy_core.simulator.field import add_neighbours, add_star
from galaxy_core.simulator.light import (
    add_blob,
    edge_on_disc,
    integrate,
    make_frame,
    moffat,
    ring,
    sersic,
    spiral_pattern,
)


def fwhm_of(image: np.ndarray, pixel_scale: float) -> float:
    """Full width at half maximum of the row through the peak, interpolated."""
    row = image[np.unravel_index(image.argmax(), image.shape)[0]].astype(float)
    half, peak = row.max() / 2, int(row.argmax())
    right = peak + np.flatnonzero(row[peak:] < half)[0]
    left = peak - np.flatnonzero(row[peak::-1] < half)[0]
    x_right = right - (half - row[right]) / (row[right - 1] - row[right])
    x_left = left + (half - row[left]) / (row[left + 1] - row[left])
    return (x_right - x_left) * pixel_scale


# --- light


@pytest.mark.parametrize("n", [0.6, 1.0, 2.0, 4.0, 6.0])
@pytest.mark.parametrize(("r50_px", "axis_ratio"), [(6.0, 0.5), (10.0, 1.0)])
def test_sersic_holds_its_analytic_flux(n, r50_px, axis_ratio):
    frame, edge = make_frame(801, 0.3), 395 * 0.3
    image = sersic(frame, r50_px * 0.3, n, axis_ratio, 30.0)
    x, y, angle = frame.x_arcsec, frame.y_arcsec, np.radians(30)
    along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / axis_ratio
    inside = np.hypot(along, across) < edge
    b = gammaincinv(2 * n, 0.5)
    expected = gammainc(2 * n, b * (edge / (r50_px * 0.3)) ** (1 / n))  # flux inside the ellipse, in closed form
    assert image[inside].sum(dtype=float) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("n", [1.0, 4.0])
def test_sersic_pixels_match_a_naive_integral(n):
    frame = make_frame(41, 0.25)
    r50, q, x0, y0 = 1.6, 0.6, 0.07, -0.04
    image = sersic(frame, r50, n, q, 25.0, x0, y0)
    b, angle = gammaincinv(2 * n, 0.5), np.radians(25)
    # the total flux by a numerical integral over radius, not by the formula under test
    radius = np.linspace(0, 600 * r50 if n > 2 else 60 * r50, 4_000_001)
    total = np.trapezoid(2 * np.pi * q * radius * np.exp(-b * ((radius / r50) ** (1 / n) - 1)), radius)
    step = (np.arange(101) - 50) / 101 * 0.25
    for row, column in [(20, 20), (21, 20), (20, 26), (5, 33)]:
        x = (column - 20) * 0.25 + step[None, :] - x0
        y = (row - 20) * 0.25 + step[:, None] - y0
        along, across = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / q
        light = np.exp(-b * ((np.hypot(along, across) / r50) ** (1 / n) - 1))
        assert image[row, column] == pytest.approx(light.mean() * 0.25**2 / total, rel=4e-3)


def test_integrate_beats_sampling_at_centres():
    frame = make_frame(21, 1.0)
    image = integrate(lambda x, y: np.exp(-(x**2 + y**2) / 2), frame, 0.0, 0.0, ())
    exact = (np.sqrt(2 * np.pi) * erf(0.5 / np.sqrt(2))) ** 2
    assert abs(image[10, 10] - exact) < 0.2 * abs(1.0 - exact)  # 1 is the value at the centre


def test_edge_on_disc_flux_and_dust():
    frame = make_frame(401, 0.2)
    clean = edge_on_disc(frame, 3.0, 0.5, 40.0)
    assert clean.shape == (1, 401, 401)
    assert clean.sum(dtype=float) == pytest.approx(1.0, rel=1e-3)
    dusty = edge_on_disc(frame, 3.0, 0.5, 40.0, (0.75, 1.0, 1.4)).sum((1, 2))
    assert 1 > dusty[0] > dusty[1] > dusty[2] > 0.3  # g is dimmed most


def test_ring_and_blob_have_unit_flux():
    frame = make_frame(401, 0.05)
    radius = np.hypot(frame.x_arcsec, frame.y_arcsec)
    assert ring(radius, 5.0, 0.7).sum(dtype=float) * 0.05**2 == pytest.approx(1.0, rel=1e-3)
    image = np.zeros((3, 401, 401), np.float32)
    add_blob(image, frame, np.array([1.0, 2.0, 3.0]), 1.3, -2.0, 0.4)
    assert image.sum((1, 2)) == pytest.approx([1.0, 2.0, 3.0], rel=1e-3)


@pytest.mark.parametrize("n_arms", [1, 2, 5])
def test_arms_move_light_and_make_none(n_arms):
    theta = np.linspace(-np.pi, np.pi, 3601)[:-1].astype(np.float32)[None, :]
    radius = np.array([[0.3], [1.0], [4.0]], np.float32)
    contrast = spiral_pattern(radius, theta, n_arms, 18.0, -1, np.float32(0.4), 2.5)
    assert np.abs(contrast.mean(axis=1)).max() < 1e-4
    assert contrast.min() >= -1
    assert (
        (contrast[1] > contrast[1, np.arange(-1, 3599)]) & (contrast[1] >= np.roll(contrast[1], -1))
    ).sum() == n_arms


# --- seeing


@pytest.mark.parametrize("size", [96, 97])
def test_seeing_conserves_flux_and_has_its_width(size):
    frame = make_frame(size, 0.15)
    light = np.zeros((3, size, size), np.float32)
    light[:, 40, 50] = (1.0, 10.0, 100.0)
    seen = observe.convolve(light, frame, 1.3)
    assert seen.dtype == np.float32
    assert seen.sum((1, 2), dtype=float) == pytest.approx([1.0, 10.0, 100.0], rel=1e-4)
    for band, factor in enumerate(observe.SEEING_IN_BANDS):
        assert np.unravel_index(seen[band].argmax(), (size, size)) == (40, 50)
        assert fwhm_of(seen[band], 0.15) == pytest.approx(1.3 * factor, rel=0.02)


def test_registration_moves_a_band():
    frame = make_frame(64, 0.2)
    light = np.zeros((3, 64, 64), np.float32)
    light[:, 32, 32] = 1
    seen = observe.convolve(light, frame, 1.2, ((0.4, -0.2), (0.0, 0.0), (0.0, 0.0)))
    assert np.unravel_index(seen[0].argmax(), (64, 64)) == (31, 34)
    assert np.unravel_index(seen[1].argmax(), (64, 64)) == (32, 32)


def test_moffat_is_a_moffat():
    frame = make_frame(201, 0.1)
    spread = moffat(frame, 1.5, 3.0)
    assert spread.sum(dtype=float) == pytest.approx(1.0, rel=1e-3)
    core = 1.5 / (2 * np.sqrt(2 ** (1 / 3.0) - 1))
    naive = 2.0 / (np.pi * core**2) * (1 + (2.5 / core) ** 2) ** -3.0 * 0.1**2
    assert spread[100, 125] == pytest.approx(naive, rel=2e-3)


def test_star_is_a_point_source():
    frame = make_frame(128, 0.2)
    image = np.zeros((3, 128, 128), np.float32)
    add_star(image, frame, np.array([30.0, 50.0, 20.0], np.float32), 1.2, 0.9, -1.3)
    assert image.sum((1, 2)) == pytest.approx([30.0, 50.0, 20.0], rel=0.01)
    assert (image[1] * frame.x_arcsec).sum() / image[1].sum() == pytest.approx(0.9, abs=0.02)
    assert (image[1] * frame.y_arcsec).sum() / image[1].sum() == pytest.approx(-1.3, abs=0.02)
    assert fwhm_of(image[1], 0.2) == pytest.approx(1.2, rel=0.05)
    before = image.copy()
    add_star(image, frame, np.ones(3, np.float32), 1.2, 1000.0, 0.0)  # outside: nothing happens
    assert np.array_equal(image, before)


def test_neighbours_stay_where_they_are_at_every_size():
    sums = []
    for size in (64, 128):
        frame = make_frame(size, 25.6 / size)
        image = np.zeros((3, size, size), np.float32)
        add_neighbours(image, frame, 6, 10.0, np.random.default_rng(3))
        sums.append(image[1].reshape(16, size // 16, 16, size // 16).sum((1, 3)))
    assert np.corrcoef(sums[0].ravel(), sums[1].ravel())[0, 1] > 0.999


# --- sky, noise and display


@pytest.mark.parametrize("pixel_scale", [0.15, 0.396, 0.8])
def test_empty_sky_is_flat_without_noise(pixel_scale):
    empty = np.zeros((3, 40, 40), np.float32)
    flat = observe.develop(empty, pixel_scale, 0.1, (0, 0, 0), np.random.default_rng(0), noise_factor=0.0)
    assert flat[0].min() == flat[0].max() == pytest.approx(0.1, abs=0.02)
    black = observe.develop(empty, pixel_scale, -0.02, (0, 0, 0), np.random.default_rng(0), noise_factor=0.0)
    assert black.max() == 0
    noisy = observe.develop(empty, pixel_scale, -0.02, (0, 0, 0), np.random.default_rng(0), noise_factor=1.0)
    assert 0 < noisy.std() < 0.1


def test_noise_is_that_of_the_electrons():
    flux = 3.0
    level = np.full((3, 200, 200), flux, np.float32)
    noise = observe.add_noise(level, 1.0, np.random.default_rng(2)) - level
    for band in range(3):
        gain = observe.ELECTRONS_PER_NMGY[band]
        sky = observe.SKY_NMGY_PER_ARCSEC2[band] * 0.396**2
        expected = np.sqrt((flux + sky) * gain + observe.READ_NOISE_ELECTRONS[band] ** 2) / gain
        assert noise[band].std() == pytest.approx(expected, rel=0.02)
    halved = observe.add_noise(level, 0.5, np.random.default_rng(2)) - level
    assert halved.std() == pytest.approx(noise.std() / 2, rel=0.01)


def test_small_galaxies_have_blotchy_noise():
    def correlation(pixel_scale):
        empty = np.zeros((3, 128, 128), np.float32)
        luma = observe.develop(empty, pixel_scale, 0.1, (0, 0, 0), np.random.default_rng(0), 1.0).mean(0)
        return np.corrcoef(luma[:, 1:].ravel(), luma[:, :-1].ravel())[0, 1]

    assert correlation(0.12) > 0.8 > 0.6 > correlation(0.6)


def test_stretch_keeps_hue_and_order():
    ramp = np.linspace(0, 30, 300, dtype=np.float32)
    linear = np.stack([ramp, 0.8 * ramp, 0.3 * ramp])[:, None, :]
    image = observe.lupton(linear, 0.0)[:, 0]
    assert image.min() == 0
    assert image.max() <= 1
    assert np.all(np.diff(image[0]) >= -1e-6)
    ratio = image[2, 1:] / image[0, 1:]
    assert np.ptp(ratio) < 1e-4


def test_color_compression_spares_brightness():
    rng = np.random.default_rng(0)
    grey = np.repeat(np.rint(rng.uniform(0, 255, (1, 50, 50))) / 255, 3, axis=0).astype(np.float32)
    assert np.abs(observe.compress_color(grey) - grey).max() < 1.01 / 255
    noise = (0.4 + rng.normal(0, 0.03, (3, 128, 128))).astype(np.float32)
    squeezed = observe.compress_color(noise)
    assert (squeezed[0] - squeezed[1]).std() < 0.3 * (noise[0] - noise[1]).std()
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs(np.tensordot(luma, squeezed - noise, 1)).max() < 1.5 / 255
