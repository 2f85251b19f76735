"""Linear frames: light is kept, the sky stays, correlated noise is not taken for sources, errors follow the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from galaxy_core import linear_denoising as linear
from galaxy_core.correlated_noise import CORRELATION_MAX, NOISE_SPACING_PX, differences_noise, noise_correlation
from galaxy_core.linear_denoising import correct_in_sigmas, linear_noise_sigma, sky_map
from galaxy_core.noise import PUBLISHED_SIGMA, estimate_noise


def noise(shape=(128, 128), width=0.0, seed=0):
    """White noise, or smoothed by a Gaussian of ``width`` pixels, of standard deviation one."""
    values = np.random.default_rng(seed).standard_normal(shape)
    values = ndimage.gaussian_filter(values, width, mode="wrap") if width else values
    return (values / (values.std() or 1)).astype(np.float32)


def star(shape=(128, 128), x=64, y=64, peak=6.0, width=2.0):
    rows, columns = np.indices(shape)
    return (peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))).astype(np.float32)


def smoothing(width=2.0, std=None):
    """A model that smooths whatever it is shown, and knows as little as ``std`` of its noise."""

    def run(tiles, sigma):
        smooth = ndimage.gaussian_filter(tiles, (0, width, width))
        return smooth - tiles, None if std is None else np.full_like(tiles, std * sigma)

    return run


def test_a_model_that_changes_nothing_gives_no_correction():
    correction, std = correct_in_sigmas([noise() + star()], lambda tile, sigma: (np.zeros_like(tile), None))[0]
    assert not correction.any() and std is None


def test_white_noise_goes_and_the_light_of_a_source_stays():
    signal = noise() + star()
    correction, _ = correct_in_sigmas([signal], smoothing())[0]
    assert (signal + correction)[:40].std() < 0.25
    rows, columns = np.indices(signal.shape)
    for radius in (4, 6, 9):
        inside = np.hypot(rows - 64, columns - 64) <= radius
        # a plain smoothing would lose 10 to 40 % of the light out of these circles
        assert correction[inside].sum() == pytest.approx(0, abs=0.015 * float(star()[inside].sum()) + 0.5 * radius)


def test_gaps_in_a_source_take_no_light_of_the_pixels_that_are_left():
    """Shown as sky, a masked pixel would be filled by the model at the expense of its neighbours."""
    signal = noise() + star(peak=8.0)
    rows, columns = np.indices(signal.shape)
    masked = np.random.default_rng(1).random(signal.shape) < 0.2
    correction, _ = correct_in_sigmas([np.where(masked, np.float32(np.nan), signal)], smoothing())[0]
    assert not correction[masked].any()
    inside = ~masked & (np.hypot(rows - 64, columns - 64) <= 6)
    assert correction[inside].sum() == pytest.approx(0, abs=0.02 * float(star(peak=8.0)[inside].sum()) + 3)


def test_the_mean_of_the_sky_is_kept():
    """A model that darkens everything by a tenth of the noise darkens nothing, nor what lies around a gap."""
    holed = noise()
    holed[40:90, 40:90] = np.nan
    for made in correct_in_sigmas([noise(), holed], lambda tile, sigma: (np.full_like(tile, -0.1 * sigma), None)):
        assert np.abs(made[0]).max() < 1e-4


def test_correlation_is_one_for_white_noise_and_grows_with_smoothing():
    assert noise_correlation(noise()) == 1
    assert noise_correlation(noise() + star(peak=50)) == 1
    sequence = [noise_correlation(noise((256, 256), width)) for width in (0.0, 0.55, 0.65, 0.85)]
    assert sequence == sorted(sequence) and sequence[2] > 1.9 and sequence[3] == CORRELATION_MAX


def test_what_reaches_farther_than_drizzling_is_light_and_not_noise():
    assert noise_correlation(noise((256, 256), 2.5)) == 1
    rng = np.random.default_rng(2)
    faint = ndimage.gaussian_filter((rng.random((256, 256)) < 0.02) * rng.exponential(40, (256, 256)), 2.0)
    assert noise_correlation((noise((256, 256)) + faint - faint.mean()).astype(np.float32)) < 1.3


def test_the_wings_of_a_star_keep_no_light_of_its_untouched_core():
    """Circles around a star whose core is far too bright to denoise hold the same light before and after."""
    signal = noise((128, 128)) + star(peak=300, width=3)
    correction, _ = correct_in_sigmas([signal], smoothing())[0]
    rows, columns = np.indices(signal.shape)
    for radius in (8, 11, 15):
        inside = np.hypot(rows - 64, columns - 64) <= radius
        assert abs(float(correction[inside].sum())) < 0.002 * float(signal[inside].sum())


def test_correlation_by_hand():
    """Smoothed by a Gaussian of w pixels, noise has the autocorrelation exp(-r^2 / 4 w^2)."""
    width, lags = 0.7, np.arange(-2, 3)
    spectrum = np.exp(-((2 * np.pi * np.fft.fftfreq(4096)) ** 2) * width**2)
    along = np.fft.ifft(spectrum).real
    expected = (along[np.abs(lags)] / along[0]).sum()  # the root of its square, since the kernel is separable
    assert noise_correlation(noise((512, 512), width)) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize(("width", "said"), [(0.0, 0.02), (0.0, 0.8), (1.0, 0.08), (1.0, 0.8)])
def test_errors_hold_what_blank_sky_shows_whatever_the_model_says(width, said):
    """Too little, as of noise that neighbours share, or too much, as of a sky that is emptier than any trained on."""
    bright = star((256, 256), 128, 128, peak=200)
    signal = noise((256, 256), width)
    ((correction, std),) = correct_in_sigmas([signal + bright], smoothing(0.5 if width else 2.0, std=said))
    sky, off = bright < 0.01, np.abs(signal + correction) / std
    assert np.mean(off[sky] < 1) == pytest.approx(0.68, abs=0.05)
    assert np.mean(off[sky] < 2) == pytest.approx(0.95, abs=0.02)
    assert std[128, 128] == pytest.approx(1)  # left as it was: the noise itself


def test_errors_of_a_tile_without_sky_are_those_the_model_says():
    lit = noise() + 5
    assert correct_in_sigmas([lit], smoothing(std=0.2))[0][1][64, 64] == pytest.approx(
        np.hypot(linear.LEFT_OF_ERROR * 0.2, linear.RETURNED_NOISE), abs=0.01
    )


@pytest.mark.parametrize("low", [0.001, 0.4])
def test_dead_pixels_are_those_of_plain_filters(low):
    """Looked for at the low pixels alone, with the same result."""
    rng = np.random.default_rng(4)
    signal = (3 * rng.standard_normal((131, 90)) - 40 * (rng.random((131, 90)) < low)).astype(np.float32)
    signal[50:60, 20:30], signal[:, 70] = -30, -50
    around = ndimage.median_filter(signal[::4, ::4], 9, mode="nearest").repeat(4, 0).repeat(4, 1)[:131, :90]
    flat = ndimage.maximum_filter(ndimage.maximum_filter(signal, 3) == ndimage.minimum_filter(signal, 3), 3)
    expected = (signal < linear.FAR_BELOW) & ((signal < around + linear.FAR_BELOW) | flat)
    np.testing.assert_array_equal(linear.dead_pixels(signal, signal), expected)
    assert expected[55, 25] and expected[:, 70].all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (19, 20)])
def test_too_little_sky_counts_as_white(shape):
    assert noise_correlation(noise(shape, 0.0)) == 1
    assert noise_correlation(np.zeros((64, 64), np.float32)) == 1


def test_the_model_is_told_what_correlated_noise_amounts_to():
    """Scaled down by the correlation: the noise of a pixel is then less than the model is told."""
    seen = []

    def run(tile, sigma):
        seen.append((sigma, tile.std()))
        return np.zeros_like(tile), None

    correct_in_sigmas([noise((256, 256), 0.7)], run)[0]
    correct_in_sigmas([noise((256, 256))], run)[0]
    assert [sigma for sigma, _ in seen] == [PUBLISHED_SIGMA] * 2
    assert seen[0][1] < 0.5 * seen[1][1] and seen[1][1] == pytest.approx(PUBLISHED_SIGMA, rel=0.05)


def test_gaps_get_no_correction_and_the_error_of_their_noise():
    signal = noise() + star()
    signal[10:20, 10:20] = np.nan
    signal[64, 64] = np.inf
    correction, std = correct_in_sigmas([signal], smoothing(std=0.1))[0]
    assert np.isfinite(correction).all() and not correction[10:20, 10:20].any() and correction[64, 64] == 0
    assert (std[10:20, 10:20] == 1).all() and std[64, 64] == 1


def test_bright_pixels_stay_as_they_were_with_the_error_of_their_noise():
    signal = noise() + star(peak=400, width=4)
    correction, std = correct_in_sigmas([signal], smoothing(std=0.1))[0]
    core = signal > 60
    assert core.any() and not correction[core].any()
    np.testing.assert_allclose(std[core], 1, atol=1e-5)


@pytest.mark.parametrize("width", [0.0, 0.7])
def test_errors_of_sources_are_what_comes_back_with_their_light(width):
    """White or not: as far as pixels share their noise, more of it comes back than the norm of the smoothing."""
    rows, columns = np.indices((256, 256)) % 32 - 16
    light = (6 * np.exp(-(rows**2 + columns**2) / 18)).astype(np.float32)
    light[:, 128:] = 0
    signal = light + noise((256, 256), width)
    ((correction, std),) = correct_in_sigmas([signal], smoothing(std=0.2))
    off = np.abs(signal + correction - light) / std
    assert np.mean(off[light > 2] < 1) == pytest.approx(0.68, abs=0.06)
    assert std[16, 16] == pytest.approx(linear.RETURNED_NOISE, abs=0.03) if width == 0 else std[16, 16] > 0.7


def test_noise_given_back_is_the_norm_of_the_smoothing():
    point = np.zeros((41, 41))
    point[20, 20] = 1
    left = point
    for _ in range(linear.FLUX_PASSES):
        left = left - ndimage.gaussian_filter(left, linear.FLUX_SCALE_PX)
    assert np.sqrt(((point - left) ** 2).sum()) == pytest.approx(linear.RETURNED_NOISE, abs=0.005)


def test_noise_of_a_frame_is_measured_with_and_without_correlation():
    assert linear_noise_sigma(5 * noise((300, 300)) + 1000) == pytest.approx(5, rel=0.03)
    assert linear_noise_sigma(np.full((40, 40), 3.0)) == 0
    for width, part in ((0.7, 1), (1.0, 1), (1.3, 1), (1.6, 0.96), (2.0, 0.87)):
        assert linear_noise_sigma(5 * noise((300, 300), width) + 1000) == pytest.approx(5 * part, rel=0.05), width


def test_only_noise_that_pixels_share_is_measured_over_more_of_them():
    """To the last digit: white noise, small stamps, light alone, and a galaxy whose light differs over six pixels."""
    galaxy = star((64, 64), 32, 32, 500.0, 9.0)
    white, small = [noise((64, 64)), noise((64, 64), 0.5)], [noise((63, 70), 1.3), noise((2, 5), 1.3)]
    for band in (*white, *small, galaxy, white[0] + galaxy):
        assert differences_noise(band) == estimate_noise(band, NOISE_SPACING_PX)
    assert differences_noise(noise((64, 64), 1.3) + galaxy) < 1.1 < estimate_noise(galaxy, 6)


def test_sky_follows_a_slope_in_frames_and_is_one_number_in_stamps():
    slope = np.linspace(0, 200, 300, dtype=np.float32)[None] + 1000 + noise((300, 300))
    level = sky_map(slope)
    assert level.dtype == np.float32 and np.abs(level - slope).mean() < 2
    stamp = sky_map(slope[:100, :100])
    assert (stamp == stamp[0, 0]).all()
    holed = slope.copy()
    holed[100:110] = np.nan
    assert np.isfinite(sky_map(holed)).all()


def test_light_left_out_around_sources_is_what_it_is_everywhere():
    """Worked out in windows, to the last bit what the formula gives on the whole tile."""
    signal = noise((256, 256)) / 50 + star((256, 256), 60, 50, 9.0) + star((256, 256), 250, 200, 90.0)
    correction = (noise((256, 256), seed=1) - noise((256, 256), 1.0, seed=1)).astype(np.float32)
    signal = signal - correction
    share = np.clip(1.5 - star((256, 256), 250, 200, 1.5), 0, 1).astype(np.float32)

    def smooth(values):
        return ndimage.gaussian_filter(values, linear.FLUX_SCALE_PX, mode="nearest")

    brightest = ndimage.maximum_filter(signal + correction, linear.SOURCE_WINDOW_PX, mode="nearest")
    low, high = linear.SOURCE_SIGMA
    step = np.clip((brightest - low) / (high - low), 0, 1)
    source = ndimage.gaussian_filter(step * step * (3 - 2 * step), linear.SOURCE_EDGE_PX, mode="nearest")
    left, part = correction, share / np.maximum(smooth(share), 0.05)
    for _ in range(linear.FLUX_PASSES):
        left = left - part * smooth(left)
    light, counted = linear._light_left_out(signal, correction, share)
    assert 0 < (source > 0).mean() < 0.2
    np.testing.assert_array_equal(counted, source)
    np.testing.assert_array_equal(light, source * (correction - left))


def test_tiles_worked_on_together_come_out_as_alone_and_share_calls():
    tiles = [noise((256, 256)), noise((256, 256), 0.7), noise((256, 200))]
    for tile, place in zip(tiles, ((50, 60), (200, 30), (128, 100)), strict=True):
        tile[place] = 20
    calls = []

    def run(shown, sigma):
        calls.append(shown.shape)
        return smoothing(1.0, 0.1)(shown, sigma)

    together = correct_in_sigmas(tiles, run)
    assert calls == [(1, 256, 256), (1, 256, 256), (1, 256, 200), (3, 48, 48)]
    for tile, (correction, std) in zip(tiles, together, strict=True):
        ((alone, alone_std),) = correct_in_sigmas([tile], smoothing(1.0, 0.1))
        np.testing.assert_allclose(correction, alone, atol=1e-6)
        np.testing.assert_allclose(std, alone_std, atol=1e-6)
