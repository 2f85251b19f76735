"""Stars and galaxies as a survey like the SDSS sees them: linear stamps in u, g, r, i and z with the truth beside them.

A star and a galaxy are made on one path, so nothing but their light tells them apart: light times seeing in Fourier
space on pixels of half the size, summed to the detector's pixels, then photon and read noise. A galaxy that shrinks
becomes the star. Each object stands alone: neighbours are taken to be subtracted, as a survey's deblender does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, rfft2

from galaxy_core.simulator.light import Frame, make_frame, moffat, sersic
from galaxy_core.simulator.observe import NATIVE_PIXEL_ARCSEC
from galaxy_core.simulator.parameters import NOISE_STREAM, stream
from galaxy_core.simulator.star_galaxy_population import BANDS, POPULATION, ObjectParameters, Population, draw_object

SIZE_PX = 32
ZERO_POINT_MAG = 22.5  # fluxes are nanomaggies
OVERSAMPLING = 2
MARGIN_PX = 8  # light from outside the stamp, and room for the convolution to wrap around
# u, g, r, i, z; g, r and i as in `galaxy_core.simulator.observe`
ELECTRONS_PER_NMGY = (180.0, 870.0, 700.0, 570.0, 130.0)
SKY_NMGY_PER_ARCSEC2 = (1.45, 2.0, 4.4, 7.6, 21.0)
READ_NOISE_ELECTRONS = (5.0, 5.0, 5.5, 7.0, 6.0)
_COLOUR_OF_BULGE = np.array((-1.8, -1.0, 0.0, 0.35, 0.6))  # change of flux, in units of g - r of the excess, magnitudes


@dataclass(frozen=True)
class SimulatedObject:
    """One star or galaxy, observed, and the truth about it.

    Attributes
    ----------
    image, noiseless : ndarray of float32, shape (5, size, size)
        Nanomaggies per pixel in u, g, r, i and z, sky subtracted.
    noise_sigma : ndarray of float32, shape (5,)
        Standard deviation of the noise of empty sky, nanomaggies per pixel.
    psf_fwhm_arcsec : ndarray of float32, shape (5,)
        Width of the seeing as it is known, which is a little off: the true one is in ``parameters``.
    parameters : ObjectParameters
    """

    image: np.ndarray
    noiseless: np.ndarray
    noise_sigma: np.ndarray
    psf_fwhm_arcsec: np.ndarray
    parameters: ObjectParameters


def simulate_object(
    index: int, seed: int = 0, size_px: int = SIZE_PX, population: Population = POPULATION
) -> SimulatedObject:
    """Object ``index`` of catalog ``seed``, the same whatever else is simulated."""
    parameters = draw_object(seed, index, population)
    light = observe_object(parameters, size_px)
    noise = sky_noise(parameters.noise_factor)
    image = light + photon_noise(light, parameters.noise_factor, stream(seed, index, NOISE_STREAM))
    return SimulatedObject(image, light, noise, np.array(parameters.known_fwhm_arcsec, np.float32), parameters)


def observe_object(parameters: ObjectParameters, size_px: int = SIZE_PX) -> np.ndarray:
    """Noiseless light, nanomaggies per pixel, float32 (5, size_px, size_px)."""
    n = (size_px + 2 * MARGIN_PX) * OVERSAMPLING
    frame = make_frame(n, NATIVE_PIXEL_ARCSEC / OVERSAMPLING)
    spectrum = _light_spectrum(parameters, frame) * _shift(parameters, frame)
    fine = irfft2(spectrum * _seeing_spectrum(parameters, frame), (n, n))
    side = n // OVERSAMPLING
    pixels = fine.reshape(len(BANDS), side, OVERSAMPLING, side, OVERSAMPLING).sum((2, 4))
    cut = slice(MARGIN_PX, MARGIN_PX + size_px)
    return np.ascontiguousarray(pixels[:, cut, cut], dtype=np.float32)


def _light_spectrum(p: ObjectParameters, frame: Frame) -> np.ndarray:
    """Fourier transform of the light about the middle of the frame, the same (5, 1, 1) at every frequency of a star."""
    fluxes = np.array(p.fluxes_nmgy)
    if not p.is_galaxy:
        return fluxes[:, None, None].astype(np.complex64)
    bulge_share = p.bulge_fraction * 10 ** (0.4 * p.bulge_redder * _COLOUR_OF_BULGE)
    total = bulge_share + 1 - p.bulge_fraction
    parts = (
        (fluxes * bulge_share / total, p.bulge_r50_arcsec, p.bulge_index, p.bulge_axis_ratio),
        (fluxes * (1 - p.bulge_fraction) / total, p.disc_r50_arcsec, 1.0, p.disc_axis_ratio),
    )
    middle = frame.pixel_scale_arcsec / 2  # the centre of pixel n // 2, as n is even
    # the light is integrated over pixels, and so is the seeing: one of the two is taken off again
    pixel = np.sinc(np.fft.fftfreq(frame.size_px))[:, None] * np.sinc(np.fft.rfftfreq(frame.size_px))
    spectrum = 0.0
    for flux, r50, n, axis_ratio in parts:
        light = sersic(frame, r50, n, axis_ratio, p.position_angle_deg, middle, middle)
        spectrum = spectrum + flux[:, None, None] * (rfft2(_to_corner(light)) / pixel)
    return spectrum.astype(np.complex64)


def _seeing_spectrum(p: ObjectParameters, frame: Frame) -> np.ndarray:
    """Fourier transform (5, n, n // 2 + 1) of each band's Moffat, integrated over pixels, a little elliptical."""
    middle = frame.pixel_scale_arcsec / 2
    kernels = np.stack([moffat(frame, fwhm, p.moffat_beta, middle, middle) for fwhm in p.seeing_fwhm_arcsec])
    kernels /= kernels.sum(axis=(1, 2), keepdims=True)
    ky, kx = _frequencies(frame)
    variance = (np.array(p.seeing_fwhm_arcsec) / 2.355)[:, None, None] ** 2
    # a quadrupole of the second moments, as tracking and optics leave it
    e1, e2 = p.psf_ellipticity
    stretch = np.exp(-0.5 * variance * np.clip(e1 * (kx**2 - ky**2) + 2 * e2 * kx * ky, -4, 4))
    return rfft2(_to_corner(kernels)) * stretch.astype(np.float32)


def _shift(p: ObjectParameters, frame: Frame) -> np.ndarray:
    """Phases that move light from the centre of pixel n // 2 to the object's place about the middle of the frame."""
    ky, kx = _frequencies(frame)
    x, y = (value - frame.pixel_scale_arcsec / 2 for value in (p.x_arcsec, p.y_arcsec))
    half = frame.size_px // 2 * frame.pixel_scale_arcsec
    return np.exp(-1j * (kx * (x + half) + ky * (y + half))).astype(np.complex64)


def _frequencies(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Wave numbers in y and x, radians per arcsec, shapes (n, 1) and (1, n // 2 + 1)."""
    scale = 2 * np.pi / frame.pixel_scale_arcsec
    return scale * np.fft.fftfreq(frame.size_px)[:, None], scale * np.fft.rfftfreq(frame.size_px)[None, :]


def _to_corner(image: np.ndarray) -> np.ndarray:
    """Pixel n // 2 rolled to pixel 0, where a transform has its origin."""
    half = image.shape[-1] // 2
    return np.roll(image, (-half, -half), axis=(-2, -1))


def sky_noise(noise_factor: float = 1.0) -> np.ndarray:
    """Standard deviation of empty sky, nanomaggies per pixel, float32 (5,)."""
    return (noise_factor * np.sqrt(_sky_electrons()) / np.array(ELECTRONS_PER_NMGY)).astype(np.float32)


def photon_noise(light: np.ndarray, noise_factor: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of source, sky and read-out, float32 like ``light`` (5, n, n); photons are many, so it is Gaussian."""
    gain = np.array(ELECTRONS_PER_NMGY)[:, None, None]
    electrons = np.maximum(light, 0) * gain + noise_factor**2 * _sky_electrons()[:, None, None]
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    return (noise * np.sqrt(electrons) / gain).astype(np.float32)


def _sky_electrons() -> np.ndarray:
    gain, sky = np.array(ELECTRONS_PER_NMGY), np.array(SKY_NMGY_PER_ARCSEC2)
    return sky * NATIVE_PIXEL_ARCSEC**2 * gain + np.array(READ_NOISE_ELECTRONS) ** 2
