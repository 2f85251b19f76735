"""The point-source fit and its likelihoods against pixels: seeing, amplitude, place, chi squared done the long way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxy_core.models.point_fit import fit_points, log_likelihood, low_waves, psf_spectrum, wave_numbers
from galaxy_core.simulator.light import make_frame, moffat

SIZE = 32


def star(x: float, y: float, fwhm: float, flux: float = 100.0) -> np.ndarray:
    """A Moffat of beta 3 at (x, y) pixels from the middle of pixel 16, float32 (32, 32)."""
    return flux * moffat(make_frame(SIZE, 1.0), fwhm, 3.0, x + 0.5, y + 0.5)


def fitted(images: np.ndarray, fwhm: float):
    stamps = torch.from_numpy(images.astype(np.float32))
    return fit_points(stamps, torch.full(stamps.shape[:2], fwhm))


@pytest.mark.parametrize("fwhm", [2.5, 3.3, 5.0])
def test_the_seeing_is_that_of_the_simulator(fwhm):
    expected = np.fft.rfft2(np.roll(star(0, 0, fwhm, 1.0), (-16, -16), (0, 1))).real
    spectrum = psf_spectrum(torch.tensor([fwhm]), SIZE)[0].numpy().reshape(SIZE, -1)
    np.testing.assert_allclose(spectrum, expected, atol=0.02)  # wings beyond the stamp and aliases


def test_sums_over_waves_are_sums_over_pixels():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, SIZE, SIZE))
    _, _, counts = wave_numbers(SIZE)
    product = (np.fft.rfft2(a).conj() * np.fft.rfft2(b)).real.ravel()
    assert (product * counts.numpy()).sum() == pytest.approx((a * b).sum())


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (0.3, -0.4), (-2.2, 1.7)])
def test_a_star_gives_its_flux_and_leaves_nothing(x, y):
    fit = fitted(np.stack([star(x, y, 3.3), star(x, y, 3.3, 50.0)])[None], 3.3)
    np.testing.assert_allclose(fit.amplitudes[0], (100.0, 50.0), rtol=0.02)
    light, point = fit.planes[0]
    assert np.unravel_index(light.argmax(), light.shape) == (16, 16)
    assert (light - point).abs().max() < 0.03 * light.max()


def test_likelihoods_are_those_of_pixels():
    """Half the drop of chi squared, amplitude fitted, for a profile G given in Fourier space."""
    rng = np.random.default_rng(1)
    images = star(0.2, 0.1, 3.0, 60.0)[None, None] + rng.normal(size=(1, 2, SIZE, SIZE))
    fit = fitted(images, 3.0)
    index, ky, kx = low_waves(SIZE)
    profile = torch.exp(-0.5 * 1.5 * (ky**2 + kx**2))
    gain = float(log_likelihood(fit, profile[None, None])[0, 0])
    expected = 0.0
    for band in range(2):
        full = np.zeros(SIZE * (SIZE // 2 + 1))
        full[index] = (profile * psf_spectrum(torch.tensor([3.0]), SIZE)[0][index]).numpy()
        model = np.fft.irfft2(full.reshape(SIZE, -1), (SIZE, SIZE))
        data = centred(images[0, band], 0.2, 0.1)
        amplitude = max((data * model).sum() / (model**2).sum(), 0)
        expected += 0.5 * ((data**2).sum() - ((data - amplitude * model) ** 2).sum())
    assert gain == pytest.approx(expected, rel=0.02)


def centred(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """The image moved so that (x, y) from the middle of pixel 16 comes to pixel 0."""
    ky, kx = 2 * np.pi * np.fft.fftfreq(SIZE)[:, None], 2 * np.pi * np.fft.rfftfreq(SIZE)[None]
    return np.fft.irfft2(np.fft.rfft2(image) * np.exp(1j * (ky * (16 + y) + kx * (16 + x))), (SIZE, SIZE))


def test_a_point_source_is_likeliest_as_a_point_and_a_blur_as_a_blur():
    _, ky, kx = low_waves(SIZE)
    profiles = torch.stack([torch.exp(-0.5 * v * (ky**2 + kx**2)) for v in (0.0, 0.5, 2.0)])[None]
    assert int(log_likelihood(fitted(star(0, 0, 3.0)[None, None], 3.0), profiles).argmax()) == 0
    assert int(log_likelihood(fitted(star(0, 0, 4.6)[None, None], 3.0), profiles).argmax()) == 2


def test_empty_negative_and_faint_stamps_stay_finite():
    images = np.zeros((3, 1, SIZE, SIZE), np.float32)
    images[1] = -5.0
    images[2, 0, 16, 16] = 1e-6
    fit = fitted(images, 3.3)
    for part in (fit.cross, fit.amplitudes, fit.snr, fit.planes, fit.psf_sigma_px, fit.total_snr):
        assert torch.isfinite(part).all()
    assert float(fit.total_snr[0]) == 0
