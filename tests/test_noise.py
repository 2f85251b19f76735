"""The published noise against its moments and its naive form; estimates against known truth."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.noise import PUBLISHED_SIGMA, add_published_noise, between_counts, estimate_noise, estimate_sky


def rng(seed=0):
    return np.random.default_rng(seed)


def test_level_one_is_the_published_formula():
    counts = rng(1).integers(0, 256, (3, 50, 60), dtype=np.uint8)
    draw = rng(7)
    poisson = draw.poisson(counts.astype(float) + 150)
    gauss = draw.normal(0, 10, counts.shape)
    want = np.uint8(np.clip(poisson - 150 + gauss, 0, 255))
    noisy = add_published_noise(counts, rng(7))
    assert noisy.dtype == np.uint8
    np.testing.assert_array_equal(noisy, want)


@pytest.mark.parametrize("level", [0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("count", [110, 140])
def test_moments_away_from_the_clips(level, count):
    """Mean c - 1/2 (fractions are cut), variance level^2 (c + 150 + 100) + 1/12 of the cut."""
    noisy = add_published_noise(np.full(200_000, count, np.uint8), rng(3), level).astype(float)
    sigma = level * np.sqrt(count + 250)
    assert noisy.mean() == pytest.approx(count - 0.5, abs=5 * sigma / np.sqrt(200_000))
    # at a quarter of the noise, shot counts come in steps of 0.25: the cut is still nearly uniform
    assert noisy.std() == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.01)


def test_clipping_at_black_and_white():
    black = add_published_noise(np.zeros(100_000, np.uint8), rng(4))
    assert black.min() == 0 and (black == 0).mean() == pytest.approx(0.52, abs=0.03)
    white = add_published_noise(np.full(100_000, 255, np.uint8), rng(5))
    assert (white == 255).mean() == pytest.approx(0.49, abs=0.03)


def test_level_zero_and_determinism():
    counts = rng(1).integers(0, 256, 1000, dtype=np.uint8)
    np.testing.assert_array_equal(add_published_noise(counts, rng(), 0.0), counts)
    np.testing.assert_array_equal(add_published_noise(counts, rng(9)), add_published_noise(counts, rng(9)))
    assert (add_published_noise(counts, rng(9)) != add_published_noise(counts, rng(10))).any()


def test_levels_scale_one_deviation():
    counts = np.full(5000, 128, np.uint8)
    one, half = (add_published_noise(counts, rng(6), level).astype(float) - 128 for level in (1.0, 0.5))
    np.testing.assert_allclose(half, one / 2, atol=1.0)


def test_published_sigma_in_image_units():
    assert pytest.approx(0.0620, abs=5e-5) == PUBLISHED_SIGMA


def field(n_stars=25, sky=100.0, sigma=4.0, shape=(200, 220), seed=0):
    rows, columns = np.indices(shape)
    image = rng(seed).normal(sky, sigma, shape)
    for _ in range(n_stars):
        row, column, peak = rng(seed + _ + 1).uniform([0, 0, 20], [*shape, 4000])
        image += peak * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8)
    return image.astype(np.float32)


def test_sky_is_seen_between_the_stars():
    sky = estimate_sky(field())
    assert sky.level == pytest.approx(100, abs=0.6) and sky.sigma == pytest.approx(4, rel=0.06)
    plain = np.mean(field())
    assert abs(plain - 100) > 5, "the mean would be fooled"


def test_sky_beneath_faint_sources_is_the_mode_of_what_clipping_leaves():
    """Of three pixels in ten there is light; the median is off by four tenths of the noise, and two clips too few."""
    values = rng(2).normal(0, 1, 100_000)
    values[:30_000] += rng(3).exponential(6, 30_000)
    sky = estimate_sky(values)
    assert abs(sky.level) < 0.06 < 0.4 < np.median(values)
    assert sky.sigma == pytest.approx(1.165, rel=0.01)


def test_whole_numbers_are_spread_about_themselves():
    counts = rng(1).poisson(3, (300, 300)).astype(np.float32)
    spread = between_counts(counts)
    np.testing.assert_array_equal(np.rint(spread), counts)
    assert (spread - counts).mean() == pytest.approx(0, abs=0.005)
    assert between_counts(spread) is spread


def test_sky_of_pure_noise_is_unbiased():
    sky = estimate_sky(rng(2).normal(-3, 0.5, (400, 400)))
    assert sky.level == pytest.approx(-3, abs=0.01) and sky.sigma == pytest.approx(0.5, rel=0.01)


def test_sky_in_tiny_units_and_with_holes():
    image = field() * 1e-13
    image[:50, :50] = np.nan
    image[60, 60] = np.inf
    sky = estimate_sky(image)
    assert sky.level == pytest.approx(1e-11, rel=0.01) and sky.sigma == pytest.approx(4e-13, rel=0.06)


def test_sky_at_the_extremes():
    assert estimate_sky(np.full((9, 9), 5.0)) == estimate_sky(np.full((1, 1, 1), 5.0))
    assert (estimate_sky(np.full(4, 5.0)).level, estimate_sky(np.full(4, 5.0)).sigma) == (5.0, 0.0)
    nothing = estimate_sky(np.full((3, 3), np.nan))
    assert (nothing.level, nothing.sigma) == (0.0, 0.0)
    sparse = np.zeros(1000)
    sparse[:100] = rng().normal(50, 5, 100)
    assert estimate_sky(sparse).level == 0.0


def test_noise_ignores_smooth_light():
    rows, columns = np.indices((128, 128))
    smooth = 3000 * np.exp(-((rows - 64) ** 2 + (columns - 64) ** 2) / (2 * 30.0**2)) + 5 * rows - 2 * columns
    for sigma in (1.0, 5.0):
        noisy = smooth + rng(1).normal(0, sigma, smooth.shape)
        for spacing in (1, 3):
            assert estimate_noise(noisy, spacing) == pytest.approx(sigma, rel=0.05 if spacing == 1 else 0.25)
    assert estimate_noise(smooth) < 0.1


def test_noise_against_the_kernel_written_out():
    image = rng(3).normal(0, 2, (9, 11)).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
    response = [(image[y - 1 : y + 2, x - 1 : x + 2] * kernel).sum() for y in range(1, 8) for x in range(1, 10)]
    assert estimate_noise(image) == pytest.approx(1.4826 * np.median(np.abs(response)), rel=1e-4)


def test_spacing_sees_correlated_noise():
    white = rng(4).normal(0, 1, (300, 300))
    drizzled = sum(np.roll(white, (dy, dx), (0, 1)) for dy in (0, 1) for dx in (0, 1)) / 2  # of unit variance
    assert estimate_noise(drizzled, 1) < 0.75
    assert estimate_noise(drizzled, 3) == pytest.approx(1.0, rel=0.03)


def test_noise_of_a_clipped_display_image():
    clean = np.zeros((128, 128), np.uint8)
    rows, columns = np.indices(clean.shape)
    clean = (200 * np.exp(-np.hypot(rows - 64, columns - 64) / 25)).astype(np.uint8)
    noisy = add_published_noise(clean, rng(5)) / np.float32(255)
    assert estimate_noise(noisy) == pytest.approx(PUBLISHED_SIGMA, rel=0.15)


def test_neither_black_nor_white_is_without_noise():
    image = np.repeat(np.float32([[0, 0.5, 1]]), 60, axis=1).repeat(60, axis=0)
    image[:, 60:120] += rng(1).normal(0, 0.05, (60, 60))
    assert estimate_noise(image) == pytest.approx(0.05, rel=0.06)


def test_noise_is_the_mean_square_over_bands_and_survives_holes():
    bands = np.stack([rng(6).normal(0, s, (200, 200)) for s in (1.0, 7.0)])
    assert estimate_noise(bands) == pytest.approx(5.0, rel=0.03)
    bands[:, 20:60, 20:60] = np.nan
    assert estimate_noise(bands) == pytest.approx(5.0, rel=0.03)


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (1, 2, 2), (3, 3)])
def test_noise_of_tiny_images(shape):
    value = estimate_noise(np.ones(shape, np.float32))
    assert value == 0.0
    assert np.isfinite(estimate_noise(rng().normal(size=shape)))
    assert estimate_noise(np.full(shape, np.nan)) == 0.0
