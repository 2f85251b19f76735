"""Classical denoisers: each takes noise away, keeps units and gaps, scales with the noise, and survives odd images."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from galaxy_core import classical
from galaxy_core.classical import METHODS, TITLES
from galaxy_core.errors import ImageError

SIGMA = 0.06


def galaxy(bands: int = 1, size: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth round galaxy in [0, 1], clean and with white noise of `SIGMA`, float32 (bands, size, size)."""
    rows, columns = np.indices((size, size)) - (size - 1) / 2
    clean = np.repeat(0.8 * np.exp(-np.hypot(rows, columns) / 8)[None], bands, axis=0).astype(np.float32)
    return clean, (clean + np.random.default_rng(seed).normal(0, SIGMA, clean.shape)).astype(np.float32)


def test_every_method_has_a_title_and_bm3d_is_there_only_where_installed():
    assert {"wavelet", "nl_means", "total_variation"} <= set(METHODS) <= set(TITLES)
    try:
        import bm3d  # noqa: F401
    except ImportError:
        assert "bm3d" not in METHODS


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("bands", [1, 3, 5])
def test_noise_is_taken_away_from_any_number_of_bands(name, bands):
    clean, noisy = galaxy(bands)
    restored = METHODS[name](noisy, SIGMA)
    assert restored.shape == noisy.shape and restored.dtype == np.float32
    assert np.std(restored - clean) < 0.5 * SIGMA
    assert restored.sum() == pytest.approx(noisy.sum(), rel=0.04)


@pytest.mark.parametrize("name", METHODS)
def test_units_and_pedestal_change_nothing(name):
    _, noisy = galaxy()
    restored = METHODS[name](noisy, SIGMA)
    scaled = METHODS[name](noisy * 1e4 + 3e4, SIGMA * 1e4)
    np.testing.assert_allclose((scaled - 3e4) / 1e4, restored, atol=2e-3 * SIGMA * 10)


@pytest.mark.parametrize("name", METHODS)
def test_every_band_is_told_its_own_noise(name):
    _, noisy = galaxy(3)
    units = np.array([1.0, 50.0, 0.01], np.float32)
    expected = METHODS[name](noisy, SIGMA) * units[:, None, None]
    restored = METHODS[name](noisy * units[:, None, None], SIGMA * units)
    np.testing.assert_allclose(restored / expected, 1, atol=2e-3)
    quiet = METHODS[name](noisy, [SIGMA, 0, SIGMA])
    assert np.array_equal(quiet[1], noisy[1]) and np.std(quiet[0] - noisy[0]) > 0.5 * SIGMA


@pytest.mark.parametrize("name", METHODS)
def test_gaps_stay_and_do_not_spread(name):
    _, noisy = galaxy()
    holed = noisy.copy()
    holed[0, :, 10] = np.nan
    holed[0, 5, 5] = np.inf
    restored = METHODS[name](holed, SIGMA)
    assert np.isnan(restored[0, :, 10]).all() and np.isposinf(restored[0, 5, 5])
    assert np.isfinite(restored).sum() == np.isfinite(holed).sum()
    lifted = METHODS[name](holed + 1, SIGMA) - 1
    np.testing.assert_allclose(lifted, restored, atol=0.02 * SIGMA, err_msg="a gap is no hole in the sky")


@pytest.mark.parametrize("name", [name for name in METHODS if name != "bm3d"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 7), (3, 2, 2), (1, 5, 3), (2, 33, 47)])
def test_small_and_odd_images_come_back_in_their_shape(name, shape):
    noisy = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    restored = METHODS[name](noisy, 1.0)
    assert restored.shape == shape and np.isfinite(restored).all()


@pytest.mark.parametrize("name", METHODS)
def test_nothing_to_remove(name):
    _, noisy = galaxy()
    np.testing.assert_array_equal(METHODS[name](noisy, 0.0), noisy)
    flat = np.full((1, 32, 32), 7.5, np.float32)
    np.testing.assert_allclose(METHODS[name](flat, 0.1), flat, rtol=1e-5)
    empty = np.full((1, 16, 16), np.nan, np.float32)
    assert np.isnan(METHODS[name](empty, 0.1)).all()


@pytest.mark.parametrize("name", METHODS)
def test_bad_input_is_one_sentence(name):
    with pytest.raises(ImageError, match="zero or more"):
        METHODS[name](galaxy()[0], np.nan)
    with pytest.raises(ImageError, match="bands, rows and columns"):
        METHODS[name](galaxy()[0][0], 1.0)


def test_total_variation_and_non_local_means_are_scikit_images():
    """The same numbers as calling scikit-image on the image in its own units, at strengths scaled with the noise."""
    _, noisy = galaxy()
    tv = denoise_tv_chambolle(noisy[0].astype(np.float64), weight=classical.TV_STRENGTH * SIGMA)
    np.testing.assert_allclose(METHODS["total_variation"](noisy, SIGMA)[0], tv, atol=1e-4)
    nl = denoise_nl_means(
        noisy[0].astype(np.float64),
        patch_size=classical.NL_PATCH_PX,
        patch_distance=classical.NL_REACH_PX,
        h=classical.NL_STRENGTH * SIGMA,
        sigma=SIGMA,
    )
    np.testing.assert_allclose(METHODS["nl_means"](noisy, SIGMA)[0], nl, atol=1e-4)


def test_haar_wavelets_are_orthonormal_and_invert():
    values = np.random.default_rng(2).normal(0, 1, (16, 24))
    parts = classical._haar(values)
    assert sum(np.sum(part**2) for part in parts) == pytest.approx(np.sum(values**2))
    np.testing.assert_allclose(classical._inverse_haar(*parts), values, atol=1e-12)
    # a step between two columns of a pair is seen by the detail across alone
    step = np.tile([0.0, 1.0], (4, 2))
    mean, across, down, diagonal = classical._haar(step)
    assert (across != 0).all() and not down.any() and not diagonal.any() and (mean == 1).all()


def test_bayes_shrink_threshold_by_hand():
    """Noise variance over signal sigma, of a subband whose variance is known; pure noise is removed altogether."""
    assert classical._bayes_threshold(np.full((4, 4), 2.0)) == pytest.approx(1 / np.sqrt(3))
    assert classical._bayes_threshold(np.full((4, 4), 0.5)) == np.inf
    np.testing.assert_array_equal(classical._soft(np.array([-3.0, -0.5, 0.5, 2.0]), 1.0), [-2, 0, 0, 1])
    assert not classical._soft(np.array([5.0]), np.inf).any()


def test_colour_is_denoised_with_the_other_bands():
    """Non-local means compares patches of all bands at once: a band comes out otherwise than alone."""
    _, noisy = galaxy(3)
    alone = METHODS["nl_means"](noisy[:1], SIGMA)
    together = METHODS["nl_means"](noisy, SIGMA)[:1]
    assert not np.allclose(alone, together, atol=0.01 * SIGMA)
