"""What the denoiser says of itself, what it leaves alone, and that it can be stopped."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from astropy.io import fits
from denoiser_stand_ins import Smooth, Sure, display, frame, linear
from scipy import ndimage
from torch import nn

from galaxy_core.denoising import denoise_image
from galaxy_core.noise import add_published_noise
from galaxy_core.saved_images import encode_result
from galaxy_core.tiles import TILE_PX


def test_uncertainty_is_in_the_units_of_the_image():
    """Through tiles and both passes it is the scatter of the sky; what is left as it was has all of the noise."""
    _, noisy = frame(stars=((150, 140, 2e5),))
    noisy[30:35, 30:35] = np.nan
    result = denoise_image(linear(noisy[None]), Sure(), noise_sigma=20.0, uncertainty=True)
    std = result.uncertainty[0]
    assert std.shape == noisy.shape and std.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(std), np.isnan(noisy))
    np.testing.assert_allclose(std[60:120, 60:110], result.denoised[0, 60:120, 60:110].std(), rtol=0.1)
    assert std[150, 140] == pytest.approx(20, rel=1e-4)
    shown = denoise_image(display(np.random.default_rng(0).random((3, 300, 40))), Sure(), 0.1, uncertainty=True)
    np.testing.assert_allclose(shown.uncertainty, 0.05, rtol=1e-5)


class Half(Sure):
    """Smooths half of the light, as a model does that knows white noise: what is broader than its pixels stays."""

    def denoise(self, images, noise_sigma=None):
        smooth, sigma = super().denoise(images, noise_sigma)
        return (images + smooth) / 2, sigma


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("black", [0.0, 0.3])
@pytest.mark.parametrize("width", [0.7, 1.0, 1.3])
def test_uncertainty_of_a_picture_holds_the_noise_that_neighbours_share_and_that_was_left(bands, black, width):
    """Wherever the sky is: cut off at black, or grey. Of a galaxy as of the whole picture."""
    rows, columns = np.indices((128, 128)) - 64
    clean = black + 0.5 * np.exp(-(rows**2 + 2 * columns**2) / (2 * 25**2))
    noise = np.random.default_rng(3).standard_normal((bands, 128, 128))
    noise = ndimage.gaussian_filter(noise, (0, width, width), mode="wrap")
    noisy = np.rint(255 * np.clip(clean + 0.06 * noise / noise.std(), 0, 1)) / 255
    result = denoise_image(display(noisy), Half(), 0.001, uncertainty=True)
    inside = np.abs(result.denoised - clean) < result.uncertainty
    assert np.mean(inside) == pytest.approx(0.68, abs=0.09)
    assert np.mean(inside[:, clean > black + 0.1]) == pytest.approx(0.68, abs=0.11)


def test_uncertainty_of_a_picture_in_white_noise_is_what_the_model_says():
    counts = add_published_noise(np.full((3, 128, 128), 60, np.uint8), np.random.default_rng(0))
    result = denoise_image(display(counts / 255), Sure(), 0.06, uncertainty=True)
    np.testing.assert_allclose(result.uncertainty, 0.03, rtol=1e-5)


def test_no_uncertainty_unless_asked_for_and_known():
    pixels = np.random.default_rng(0).random((1, 20, 20))
    assert denoise_image(display(pixels), Sure()).uncertainty is None
    assert denoise_image(display(pixels), Smooth(), uncertainty=True).uncertainty is None


@pytest.mark.parametrize("card", ["SATURATE", "MAXLIN", None])
def test_saturated_pixels_are_unchanged_and_shown_as_sky(card):
    """By the header's limit, or by a plateau at the highest value; far fainter than what is too bright to denoise."""
    _, noisy = frame(stars=((150, 140, 3000.0),), width=6.0)
    noisy = np.minimum(noisy, 1400).astype(np.float32)
    seen = []

    class Spy(Smooth):
        def denoise(self, images, noise_sigma=None):
            seen.append(float(images.max()))
            return super().denoise(images, noise_sigma)

    result = denoise_image(linear(noisy[None], fits.Header({card: 1350.0} if card else {})), Spy())
    saturated = noisy >= (1350 if card else 1400)
    assert saturated.sum() > 50
    np.testing.assert_array_equal(result.denoised[0][saturated], noisy[saturated])
    assert (result.denoised[0] != noisy).mean() > 0.9
    assert max(seen) < 0.02 + 0.062 * (1400 - 1000) / 19


def test_a_limit_in_other_units_is_not_believed():
    _, noisy = frame()
    result = denoise_image(linear(noisy[None], fits.Header({"SATURATE": 900.0, "DATAMAX": "none"})), Smooth())
    assert (result.denoised != result.image).mean() > 0.99


def test_areas_never_observed_neither_count_nor_change():
    """Three quarters of a mosaic hold zeros: the noise is that of the rest, and the zeros stay zeros."""
    rng = np.random.default_rng(0)
    noisy = rng.normal(0, 5, (1040, 1030)).astype(np.float32)
    noisy[:, 500:], noisy[900:] = 0, 0
    result = denoise_image(linear(noisy[None]), Sure(), uncertainty=True)
    assert result.noise_sigma == pytest.approx(5, rel=0.03)
    assert np.array_equal(np.isnan(result.uncertainty[0]), noisy == 0), "nobody knows what lies there"
    assert not result.denoised[0][noisy == 0].any() and result.denoised[0, 100:800, 100:400].std() < 2


def test_history_names_model_weights_and_noise_of_each_band():
    _, noisy = frame(shape=(60, 60))
    header = fits.Header({"BAND1": "g", "BAND2": "r", "CTYPE1": "RA---TAN", "CRVAL1": 10.5})
    result = denoise_image(linear(np.stack([noisy, 2 * noisy]), header), Sure(), uncertainty=True)
    assert result.bands == ("g", "r") and len(result.noise_sigmas) == 2
    files = encode_result(result)
    assert len(files) == 3
    for name, data in files.items():
        out = fits.getheader(io.BytesIO(data))
        said = " ".join(out["HISTORY"])  # words stay whole
        assert "model sure, weights sha256 0123456789ab." in said and "0123456789abc" not in said
        assert all(f"{band} {sigma:.6g}" in said for band, sigma in zip("gr", result.noise_sigmas, strict=True))
        assert ("deviation" in said) == ("uncertainty" in name) and out["CRVAL1"] == 10.5
        assert ("Too narrow where pixels share" in said) == ("uncertainty" in name)


@pytest.mark.parametrize("kind", [display, linear])
def test_progress_can_stop_it(kind):
    class StopNow(Exception):
        pass

    model, pixels = Smooth(), np.random.default_rng(0).random((1, 900, 900))

    def progress(fraction):
        if fraction > 0.1:
            raise StopNow

    with pytest.raises(StopNow):
        denoise_image(kind(pixels), model, 0.1, progress)
    assert sum(size[2] == TILE_PX for size in model.sizes) < 16


def test_any_number_of_threads_gives_the_same_bits():
    """And leaves the number of threads as it was, in this thread and in new ones."""
    _, noisy = frame(shape=(300, 520), stars=((150, 140, 300.0), (200, 300, 900.0)))
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, 3, padding=1))
    model.name, model.denoise = "random", lambda images, sigma: (images + 0.05 * model(images), sigma)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(denoise_image(linear(noisy[None]), model).denoised)
            assert torch.get_num_threads() == threads
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(torch.get_num_threads).result() == threads
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(results[0], other) for other in results[1:])
