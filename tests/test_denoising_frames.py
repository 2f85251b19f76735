"""Frames of linear units denoised: noise goes, flux, bright and odd pixels and the sky stay, in any unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from denoiser_stand_ins import Identity, Smooth, frame, linear
from scipy import ndimage

from galaxy_core.denoising import denoise_image
from galaxy_core.images import read_image
from galaxy_core.linear_denoising import linear_noise_sigma
from galaxy_core.models import load_model
from galaxy_core.noise import estimate_sky

ROOT = Path(__file__).resolve().parents[1]


def test_linear_noise_reaches_the_model_at_its_published_strength():
    """Whatever the units, the model sees noise of 0.062 and half that, sky near zero, and nothing above one."""
    seen = []

    class Spy(Identity):
        def denoise(self, images, noise_sigma=None):
            seen.append((float(noise_sigma[0]), images.numpy().copy()))
            return super().denoise(images, noise_sigma)

    _, noisy = frame(sky=5e-9, sigma=1e-10, stars=((150, 140, 1e-8),))
    result = denoise_image(linear(noisy[None]), Spy())
    assert result.noise_sigma == pytest.approx(1e-10, rel=0.03)
    assert {round(sigma, 4) for sigma, _ in seen} == {0.062, 0.031}
    for sigma, images in seen:
        assert images.max() <= 1
        if min(images.shape[2:]) < 200:
            continue  # a window around the star
        corner = images[0, 0, :60, :60]
        assert corner.std() == pytest.approx(sigma, rel=0.1) and abs(corner.mean() - 0.02) < 0.01


def test_linear_frame_loses_noise_and_keeps_flux():
    """From 5 sigma a pixel to 2,500: smooth sources keep their flux through both passes and the fading between them."""
    stars = ((60, 60, 100.0), (60, 220, 250.0), (230, 60, 500.0), (230, 220, 5e4))
    clean, noisy = frame(shape=(300, 300), stars=stars, width=9.0)
    result = denoise_image(linear(noisy[None]), Smooth())
    before, after = noisy - clean, result.denoised[0] - clean
    assert after[135:155].std() < 0.35 * before[135:155].std()
    for row, column, peak in stars:
        window = (slice(row - 40, row + 40), slice(column - 40, column + 40))
        flux = peak * 2 * np.pi * 9.0**2
        noise_over_the_border = 20 * np.sqrt(4 * 80)
        assert abs(result.residual[0][window].sum()) < 0.003 * flux + noise_over_the_border
    assert abs(after[135:155].mean() - before[135:155].mean()) < 0.05 * 20


def test_a_model_that_darkens_sources_does_not_lose_their_flux():
    """A denoiser that takes a fifth of all light away: around sources the flux comes back."""

    class Darken(Smooth):
        def denoise(self, images, noise_sigma=None):
            smooth, sigma = super().denoise(images, noise_sigma)
            return 0.02 + 0.8 * (smooth - 0.02), sigma

    stars = ((60, 60, 100.0), (60, 220, 200.0), (230, 60, 500.0))
    _, noisy = frame(shape=(300, 300), stars=stars, width=4.0)
    result = denoise_image(linear(noisy[None]), Darken())
    for row, column, peak in stars:
        window = (slice(row - 12, row + 13), slice(column - 12, column + 13))
        assert abs(result.residual[0][window].sum()) < 0.02 * peak * 2 * np.pi * 4.0**2


def test_bright_and_saturated_pixels_are_unchanged():
    _, noisy = frame(stars=((100, 100, 5e5), (200, 150, 200.0)))
    noisy = np.minimum(noisy, 60_000)
    result = denoise_image(linear(noisy[None]), Smooth())
    bright = noisy > 1000 + 40 * 20
    np.testing.assert_array_equal(result.denoised[0][bright], noisy.astype(np.float32)[bright])
    assert (result.residual[0] != 0).mean() > 0.9


def test_nan_and_infinity_stay_and_do_not_spread():
    _, noisy = frame()
    noisy[40:50, 40:50] = np.nan
    noisy[200, 200], noisy[201, 200] = np.inf, -np.inf
    result = denoise_image(linear(noisy[None]), Smooth())
    np.testing.assert_array_equal(np.isnan(result.denoised[0]), np.isnan(noisy))
    assert result.denoised[0, 200, 200] == np.inf and result.denoised[0, 201, 200] == -np.inf
    assert np.isfinite(result.residual[0][np.isfinite(noisy)]).all()
    assert abs(result.residual[0, 35:55, 35:55][np.isfinite(noisy[35:55, 35:55])]).max() < 120


@pytest.mark.parametrize("shape", ["column", "pixel", "block", "corner"])
def test_dead_pixels_stay_and_do_not_darken_their_surroundings(shape):
    """Zeros in a sky of a thousand, too few to be a part that was never observed."""
    clean, noisy = frame((300, 280), stars=())
    rows, columns = np.indices(noisy.shape)
    dead = {
        "column": columns == 150,
        "pixel": (rows == 100) & (columns == 100),
        "block": (abs(rows - 150) < 20) & (abs(columns - 100) < 20),
        "corner": rows + columns < 40,
    }[shape]
    noisy[dead] = 0
    result = denoise_image(linear(noisy[None]), Smooth())
    np.testing.assert_array_equal(result.denoised[0][dead], 0)
    around = ndimage.binary_dilation(dead, iterations=3) & ~dead
    assert abs((result.denoised[0] - clean)[around]).max() < 40 == 2 * 20.0


def test_low_sky_beside_a_slope_is_denoised():
    """Where the one level of a stamp lies far above its darkest parts, they are no dead pixels."""
    columns = np.indices((120, 120))[1]
    clean = 1000 + 10.0 * columns
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape)
    result = denoise_image(linear(noisy[None]), Smooth())
    dark = columns < 30
    assert (result.image[0] < estimate_sky(noisy).level - 12 * result.noise_sigma)[dark].mean() > 0.5
    assert (result.denoised[0] == result.image[0])[dark].mean() < 0.1
    assert (result.denoised[0] - clean)[dark].std() < 0.7 * 20


def test_sky_gradient_is_kept():
    """A gradient far stronger than the noise is sky, not a bright source: removed before, put back after."""
    clean, noisy = frame(shape=(400, 400), stars=())
    gradient = np.linspace(0, 2000, 400)[None, :]
    result = denoise_image(linear((noisy + gradient)[None]), Smooth())
    error = result.denoised[0] - clean - gradient
    assert error[20:-20, 20:-20].std() < 0.4 * 20 and abs(error.mean()) < 0.5


def test_noise_that_is_given_is_used_where_none_can_be_measured():
    """Most pixels of a sky of single photons have one value, so their differences are none."""
    photons = np.random.default_rng(0).poisson(0.3, (1, 80, 80)).astype(np.float32)
    assert denoise_image(linear(photons), Smooth()).noise_sigma == 0
    result = denoise_image(linear(photons), Smooth(), noise_sigma=float(photons.std()))
    assert result.denoised.std() < 0.5 * photons.std()
    assert result.denoised.mean() == pytest.approx(photons.mean(), rel=0.05)
    unseen = Smooth()
    flat = denoise_image(linear(np.full((1, 50, 50), 7.0)), unseen, noise_sigma=1.0)
    assert (flat.denoised == 7).all() and not unseen.told, "there is nothing to remove"


def test_noise_of_a_linear_band_in_its_units():
    _, noisy = frame(sigma=7.0)
    assert linear_noise_sigma(noisy.astype(np.float32)) == pytest.approx(7.0, rel=0.03)


@pytest.mark.parametrize("counts", [1.0, 2.0, 3.0, 100.0])
def test_noise_of_few_counts_is_no_multiple_of_their_steps(counts):
    """A median of whole numbers is one, so that of single photons was told a quarter too small."""
    band = np.random.default_rng(0).poisson(counts, (300, 300)).astype(np.float32)
    band[:40, :40] = np.nan
    assert linear_noise_sigma(band) == pytest.approx(counts**0.5, rel=0.08)
    band = np.rint(np.random.default_rng(0).normal(100, 5, (300, 300))).astype(np.float32)
    band[:, :60] = 0
    assert linear_noise_sigma(band) == pytest.approx(5, rel=0.08), "zeros are no noise"


@pytest.mark.parametrize("sigma", [1.0, 5.0])
def test_noise_of_whole_numbers_is_that_of_their_rounding_too(sigma):
    band = np.rint(np.random.default_rng(0).normal(100, sigma, (300, 300))).astype(np.float32)
    assert linear_noise_sigma(band) == pytest.approx(np.hypot(sigma, 12**-0.5), rel=0.008)


SHIPPED = ROOT / "artifacts" / "models" / "contrastive_denoiser"
REAL_FRAME = ROOT.parent / "shared" / "data" / "frames" / "sep_emmi" / "image.fits"


@pytest.mark.skipif(
    not (SHIPPED / "weights.safetensors").exists(), reason="needs the trained model in artifacts/models"
)
@pytest.mark.skipif(not REAL_FRAME.exists(), reason="needs the real frames at ../shared/data")
def test_shipped_model_on_a_real_frame():
    """Sources above 5 sigma keep their aperture flux, and the sky between them is much quieter."""
    import sep

    result = denoise_image(read_image(REAL_FRAME), load_model(SHIPPED))
    sky = sep.Background(result.image[0])
    before, after = result.image[0] - sky.back(), result.denoised[0] - sky.back()
    sources = sep.extract(before, 5.0, err=sky.globalrms)
    flux, error, _ = sep.sum_circle(before, sources["x"], sources["y"], 5.0, err=result.noise_sigma)
    change = sep.sum_circle(after, sources["x"], sources["y"], 5.0)[0] - flux
    assert len(flux) > 15 and abs(np.median(change / flux)) < 0.015
    assert np.std(change / error) < 1.0, "the scatter stays below the input's own noise"
    quiet = np.abs(before) < 2 * result.noise_sigma
    assert after[quiet].std() < 0.4 * before[quiet].std()
