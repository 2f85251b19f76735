"""From light to a stamp: seeing, sky, counts, read noise, and the colour stretch of the survey's JPEG images.

The survey modelled is the SDSS. Noise belongs to its 0.396 arcsec pixels, and Galaxy Zoo rescaled every galaxy to one
apparent size: that is what makes the sky of a small galaxy blotchy.

References
----------
Colour stretch: Lupton et al. 2004, PASP 116, 133. Gains and read noise: SDSS DR7, Abazajian et al. 2009, ApJS 182, 543.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn, idctn, irfft2, rfft2

from galaxy_core.simulator.light import Frame, moffat

NATIVE_PIXEL_ARCSEC = 0.396
MOFFAT_BETA = 3.0
# i, r, g
SEEING_IN_BANDS = (0.97, 1.0, 1.07)
ELECTRONS_PER_NMGY = (570.0, 700.0, 870.0)
SKY_NMGY_PER_ARCSEC2 = (7.6, 4.4, 2.0)
READ_NOISE_ELECTRONS = (7.0, 5.5, 5.0)
NO_SHIFTS = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
BAND_WEIGHTS = (1.0, 1.2, 1.76)
SKY_TINT = (1.0, 1.0, 0.6)
# JPEG's luma, and what turns blue and red less luma into its two chroma bands
_LUMA = tuple(np.array((0.299, 0.587, 0.114), np.float32))
_CHROMA = tuple(np.array((0.5 / (1 - 0.114), 0.5 / (1 - 0.299)), np.float32))
SLOPE, SOFTENING = 2.3, 8.0  # of the asinh stretch, per nanomaggy in a native pixel


def convolve(
    light: np.ndarray, frame: Frame, fwhm_arcsec: float, shifts_arcsec: tuple[tuple[float, float], ...] = NO_SHIFTS
) -> np.ndarray:
    """Convolve (3, n, n) light with the Moffat seeing of each band; the sum of every band is kept.

    The frame wraps around, so give it a margin of a few times the seeing and cut that off afterwards. ``shifts_arcsec``
    moves each band by (x, y), as bands that are not perfectly registered are. Seeing narrower than two pixels is
    undersampled, and the light around a sharp core can then dip below zero by a percent or two of its peak.
    """
    n, half = frame.size_px, frame.size_px // 2
    # the kernel sits on the centre of pixel n // 2, then is rolled to pixel 0, where a convolution by FFT expects it
    center = 0.0 if n % 2 else 0.5 * frame.pixel_scale_arcsec
    kernels = np.stack(
        [
            moffat(frame, fwhm_arcsec * factor, MOFFAT_BETA, center + x, center + y)
            for factor, (x, y) in zip(SEEING_IN_BANDS, shifts_arcsec, strict=True)
        ]
    )
    kernels = np.roll(kernels, (-half, -half), axis=(1, 2))
    kernels /= kernels.sum(axis=(1, 2), keepdims=True)
    # light and kernel are both integrated over the pixel: take one of the two pixels off again
    pixel = np.sinc(np.fft.fftfreq(n))[:, None] * np.sinc(np.fft.rfftfreq(n))
    return irfft2(rfft2(light) * (rfft2(kernels) / pixel.astype(np.float32)), (n, n))


def _interpolate(values: np.ndarray, axis: int, at: np.ndarray) -> np.ndarray:
    """Linear interpolation along one axis at fractional positions; beyond the ends, the value of the end."""
    at = np.clip(at, 0, values.shape[axis] - 1)
    low = np.minimum(at.astype(int), values.shape[axis] - 2)
    shape = [1] * values.ndim
    shape[axis] = len(at)
    weight = (at - low).astype(np.float32).reshape(shape)
    return values.take(low, axis) * (1 - weight) + values.take(low + 1, axis) * weight


def _soften(values: np.ndarray, axis: int) -> np.ndarray:
    """Running mean of three pixels, the middle one weighing most: what shrinking the published image does to it."""
    values = np.moveaxis(values, axis, -1)
    out = values * np.float32(0.66)
    share = values * np.float32(0.17)
    out[..., 1:] += share[..., :-1]
    out[..., :-1] += share[..., 1:]
    out[..., 0] += share[..., 0]
    out[..., -1] += share[..., -1]
    return np.moveaxis(out, -1, axis)


def develop(
    linear: np.ndarray,
    pixel_scale_arcsec: float,
    sky_level: float,
    glow: tuple[float, float, float],
    rng: np.random.Generator,
    noise_factor: float,
) -> np.ndarray:
    """Display image of the linear light, as the survey's own colour JPEG shows it at this pixel scale.

    The survey stretches, and cuts below black, on its own pixels; Galaxy Zoo enlarges the result. So noise is blotchy
    where a stamp is finer than the detector, and the faint outskirts of a galaxy drown in it.

    Parameters
    ----------
    linear : numpy.ndarray
        Sky-subtracted nanomaggies per native pixel in i, r and g, float32 (3, n, n) on the stamp's pixels.
    sky_level, glow : float, tuple of float
        As in `lupton`.
    noise_factor : float
        1 for the survey's noise. With 0 the image is the truth that the noisy one, from the same state of ``rng``,
        hides; JPEG compression is left out as well.
    """
    size, step = linear.shape[1], pixel_scale_arcsec / NATIVE_PIXEL_ARCSEC
    phases = rng.random(2)
    if step < 1:
        n_native = int(np.ceil(size * step)) + 2
        for axis in (1, 2):
            linear = _interpolate(linear, axis, (np.arange(n_native) - phases[axis - 1]) / step)
    if noise_factor > 0:
        linear = add_noise(linear, noise_factor / max(step, 1.0), rng)
    image = lupton(linear, sky_level, glow)
    for axis in (1, 2):
        if step < 1:
            image = _interpolate(image, axis, np.arange(size) * step + phases[axis - 1])
        image = _soften(image, axis)
    return compress_color(image) if noise_factor > 0 else to_8_bit(image)


def add_noise(linear: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Sky-subtracted nanomaggies per native pixel with the noise of source, sky and read-out.

    Photons are counted in the limit of many, where Poisson is Gaussian: the darkest sky here gives 370 electrons.
    ``factor`` multiplies the noise: 1 / k where k native pixels a side are averaged in each pixel given.
    """
    gain = np.array(ELECTRONS_PER_NMGY, np.float32)[:, None, None]
    sky = np.array(SKY_NMGY_PER_ARCSEC2, np.float32)[:, None, None] * np.float32(NATIVE_PIXEL_ARCSEC**2)
    read = np.array(READ_NOISE_ELECTRONS, np.float32)[:, None, None]
    electrons = (np.maximum(linear, 0) + sky) * gain + read**2
    noise = rng.standard_normal(linear.shape, dtype=np.float32) * np.float32(factor)
    return linear + noise * np.sqrt(electrons) / gain


def lupton(linear: np.ndarray, sky_level: float, glow: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Colour-preserving asinh stretch to [0, 1]; float32 (3, n, n).

    Parameters
    ----------
    linear : numpy.ndarray
        Sky-subtracted nanomaggies per native pixel in i, r, g.
    sky_level : float
        Where empty sky is shown; what is darker than 0 is cut.
    glow : tuple of float
        Scattered light in i, r and g, in the same units as ``sky_level``.
    """
    weights, tint = np.array((BAND_WEIGHTS, SKY_TINT), np.float32)[:, :, None, None]
    background = tint * np.float32(sky_level) + np.array(glow, np.float32)[:, None, None]
    weighted = linear * weights + background / np.float32(SLOPE)
    np.maximum(weighted, 0, out=weighted)
    intensity = weighted.mean(axis=0)
    scaled = np.float32(SOFTENING * SLOPE) * intensity
    factor = np.arcsinh(scaled) / np.maximum(scaled, np.float32(1e-6)) * np.float32(SLOPE)
    color = weighted * factor
    color /= np.maximum(color.max(axis=0), 1)  # too bright: keep the hue, as Lupton et al. do
    return color


def to_8_bit(image: np.ndarray) -> np.ndarray:
    """Round an image to the nearest of 256 steps of [0, 1]."""
    return np.rint(np.clip(image, 0, 1) * np.float32(255)) / np.float32(255)


def compress_color(image: np.ndarray) -> np.ndarray:
    """Coarsen the colour of a display image (3, n, n) as JPEG compression of the 424-pixel original does.

    JPEG keeps colour at half resolution and rounds its cosine transform in blocks of 8, which here are blocks of 8
    stamp pixels of 128. Most colour noise is rounded away, so the sky of a JPEG stamp is grey; what is left is blocky.
    """
    size = image.shape[1]
    block = max(2, round(8 * size / 128))
    # the crop of 256 out of 424 begins a quarter of the way into a block
    before = block // 4
    after = -(size + before) % block
    red, green, blue = image * np.float32(255)
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    chroma = np.stack(((blue - luma) * _CHROMA[0], (red - luma) * _CHROMA[1]))
    chroma = np.pad(chroma, ((0, 0), (before, after), (before, after)), mode="edge")
    n_blocks = chroma.shape[1] // block
    order = np.arange(block) * 8 / block
    steps = np.minimum(30 + 18 * (order[:, None] + order[None, :]), 140) * block / 8
    steps = steps.astype(np.float32)[:, None, :]
    tiles = chroma.reshape(2, n_blocks, block, n_blocks, block)
    coefficients = np.rint(dctn(tiles, axes=(2, 4), norm="ortho") / steps) * steps
    chroma = idctn(coefficients, axes=(2, 4), norm="ortho").reshape(chroma.shape)
    blue_less, red_less = chroma[:, before : before + size, before : before + size]
    red, blue = luma + red_less / _CHROMA[1], luma + blue_less / _CHROMA[0]
    green = (luma - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    return to_8_bit(np.stack((red, green, blue)) / np.float32(255))
