"""Noise that neighbouring pixels share, as in drizzled or resampled frames: how much, and what denoising leaves of it.

Both are measured on the blank sky of a tile, in units of the noise of a pixel. Pictures often show no such sky: theirs
is cut off at black, or the galaxy fills the stamp. They are measured all over, by differences that see no smooth light;
so is how strong noise is in a linear band.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from galaxy_core.box_filters import box_maximum, box_mean, box_sum
from galaxy_core.noise import estimate_noise

LIT_SIGMA, LIT_PX = 2.5, 9  # sky ends that near to what is so bright when it is smoothed by a pixel
CORRELATION_LAGS_PX, CORRELATION_MAX, SKY_SCALE_PX = (2, 4), 2.5, 33
COMPACT = (1.15, 1.3)  # growth of the correlation from the first lag to the second over which it is no longer believed
CORRELATION_FADE_IN = (1.4, 1.8)  # up to the first it is the faint sources below detection, from the second drizzling
MIN_SKY_PX = 400  # to measure them on
MOST_SIGMA = 4.0  # a pixel of sky farther off counts as that
WITHIN_ONE_SIGMA = 0.68
# Of pictures: differences over the first two spacings tell whether noise is shared (by how much more there is over the
# second, from where on it is a little, and where surely), those over the third see nearly all of what is left of it.
PICTURE_SPACINGS_PX, PICTURE_FADE_IN = (1, 2, 5), (1.25, 1.5)
BLACK_PX, CUT_OFF = 9, 0.84  # noise of which a half is cut off at black has 1 - 0.84 / 2 of its scatter
# Of linear bands: how differences grow from the spacing before to this one tells what of their noise pixels share;
# those over the far one show all of that, and more light.
NOISE_SPACING_PX = 3  # sees the noise of drizzled frames; galaxies are smooth over it
SPACING_BEFORE_PX, FAR_SPACING_PX = 2, 6
SMOOTHED_PX = np.linspace(0.9, 3.5, 27)  # widths of Gaussians that noise may have been smoothed by
GROWTH = (1.3, 4.6)  # below it noise is white, lit or not; above it is light without noise, which grows by (3 / 2)^4
LEAST_SIDE_PX = 64
TOO_FAR = (1.2, 1.5)  # differences over the far spacing, in units of the noise, from which, and surely, they are light


def blank_sky(signal: np.ndarray) -> np.ndarray:
    """Pixels of a tile that belong to no source, bool (height, width); ``signal`` is finite, and 0 in gaps."""
    lit = ndimage.gaussian_filter(signal, 1.0, mode="nearest", truncate=3) > LIT_SIGMA
    return ~box_maximum(lit, LIT_PX) & (signal != 0)


def noise_correlation(signal: np.ndarray, sky: np.ndarray | None = None) -> float:
    """Noise over a few pixels beside that of white noise of the same scatter: 1 for white noise, 2.5 at most.

    The root of the sum of the autocorrelation over up to 2 pixels, on pixels that belong to no source, with what is
    smooth over tens of pixels taken off. 1 where fewer than 400 such pixels are left, and where the sum goes on growing
    to 4 pixels: drizzling and resampling reach no farther, so that is unresolved light or the grain of a plate, and
    stronger smoothing would lose sources (as a matched filter does there).

    Parameters
    ----------
    signal : ndarray of float32, shape (height, width)
        Finite, sky-subtracted, in units of the noise.
    sky : ndarray of bool, same shape, optional
        Of `blank_sky`, where it is known.
    """
    sky = blank_sky(signal) if sky is None else sky
    if sky.sum() < MIN_SKY_PX:
        return 1.0
    values, weight = _about_sky(signal, sky)
    variance = float((values**2).sum() / weight.sum())
    if variance <= 0:
        return 1.0
    near, far = (_autocorrelation_sum(values, weight, lag) / variance for lag in CORRELATION_LAGS_PX)
    measured = np.sqrt(np.clip(near, 1.0, CORRELATION_MAX**2))
    believed = smooth_step(measured, *CORRELATION_FADE_IN) * (1 - smooth_step(far / max(near, 1e-3), *COMPACT))
    return float(1 + (measured - 1) * believed)


def differences_noise(band: np.ndarray) -> float:
    """Noise of a linear band, from differences of pixels a few apart, with what these pixels share of it.

    Pixels three apart show nearly all noise and little light. Of noise smoothed by a Gaussian they show the less the
    wider it is, and its width follows from how differences grow from two pixels to three. What differs over six pixels
    is the most that noise can be; where that is far more, it is light of a large bright galaxy, and all is left as
    measured. So are white noise, the differences of which do not grow, light without noise, the differences of which
    grow more than those of any noise, and stamps of fewer than 64 pixels a side.

    Parameters
    ----------
    band : ndarray, shape (height, width)

    Returns
    -------
    float
        In the band's units. Of noise smoothed by up to 1.6 pixels 0.95 to 1 of its scatter, 0.87 at 2 and 0.5 at 3.
    """
    noise, before = estimate_noise(band, NOISE_SPACING_PX), estimate_noise(band, SPACING_BEFORE_PX)
    least, most = GROWTH
    if min(band.shape) < LEAST_SIDE_PX or not least * before < noise < most * before:
        return noise
    shown = _share_shown(NOISE_SPACING_PX)
    growths = shown / _share_shown(SPACING_BEFORE_PX)
    whole = noise / np.interp(noise / before, [least, *growths, most], [1, *shown, 1])
    far = estimate_noise(band, FAR_SPACING_PX)
    believed = 1 - smooth_step(far / whole, *TOO_FAR)
    return float(max(noise, min(noise + believed * (whole - noise), far)))


def _share_shown(spacing_px: int) -> np.ndarray:
    """Share of noise smoothed by each of ``SMOOTHED_PX`` that `estimate_noise` shows.

    Its kernel is (1, -2, 1) / sqrt(6) along both axes; pixels s apart correlate with exp(-s^2 / (4 width^2)).
    """
    shared = np.exp(-((spacing_px / SMOOTHED_PX) ** 2) / 4)
    return 1 - (4 * shared - shared**4) / 3


def sky_scatter(signal: np.ndarray, sky: np.ndarray) -> float:
    """Scatter of blank sky on scales below tens of pixels: half the width of the interval that holds 68 % of it.

    0 where fewer than 400 pixels can tell.
    """
    if sky.sum() < MIN_SKY_PX:
        return 0.0
    return float(np.quantile(np.abs(_about_sky(signal, sky)[0][sky]), WITHIN_ONE_SIGMA))


def sky_error(denoised: np.ndarray, std: np.ndarray, sky: np.ndarray) -> tuple[float, float]:
    """How one standard deviation said of the sky is made to hold 68 % of it: a factor, and what adds in quadrature.

    A model trained on pictures, whose sky is never quite empty, says too much of a blank one. Trained on white noise,
    it leaves much of what neighbours share and does not know that it did. Blank sky shows either, for all that varies
    there on scales below tens of pixels is noise; light that is too faint to be told from it is counted with it.

    Parameters
    ----------
    denoised, std : ndarray, shape (height, width)
        Sky-subtracted, and one standard deviation of each pixel.
    sky : ndarray of bool, same shape
        Of `blank_sky`, of the tile before it was denoised.

    Returns
    -------
    factor : float
        1 where the sky scatters more, or fewer than 400 pixels can tell.
    left : float
        0 where it scatters less.
    """
    if sky.sum() < MIN_SKY_PX:
        return 1.0, 0.0
    found, said = sky_scatter(denoised, sky), float(np.median(std[sky]))
    return min(found / said, 1.0) if said > 0 else 1.0, float(np.sqrt(max(found**2 - said**2, 0.0)))


def noise_left_in_picture(
    picture: np.ndarray, denoised: np.ndarray, spacing_px: int = PICTURE_SPACINGS_PX[-1]
) -> np.ndarray:
    """Noise that neighbours shared and that was left in a tile of a picture, as one standard deviation of each pixel.

    A model trained on white noise takes it for structure, and hardly sees it where pixel differs little from pixel. If
    the picture's differences grow from one pixel to two, which those of white noise do not, what the denoised picture
    shows over five is noise that was left. Of noise shared by farther neighbours it is a part: nearly all up to a
    smoothing by 1.3 pixels, half at 2. In pictures with hardly any noise it is their detail, and too much.

    Parameters
    ----------
    picture, denoised : ndarray of float32, shape (bands, height, width)
        In [0, 1].
    spacing_px : int
        Over which it is seen, where that is not five pixels.

    Returns
    -------
    ndarray of float32, same shape
        0 where noise is white.
    """
    left = np.zeros_like(picture)
    one, two, _ = PICTURE_SPACINGS_PX
    for band, made, out in zip(picture, denoised, left, strict=True):
        growth = estimate_noise(band, two) / max(estimate_noise(band, one), 1e-6)
        shared = smooth_step(growth, *PICTURE_FADE_IN)
        if shared > 0:
            black = box_mean((band == band.min()).astype(np.float32), BLACK_PX)
            out[:] = shared * estimate_noise(made, spacing_px, band) * (1 - CUT_OFF * black)
    return left


def _about_sky(signal: np.ndarray, sky: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A tile's sky with its mean over tens of pixels taken off, 0 elsewhere, and 1 for sky."""
    weight = sky.astype(np.float32)
    values = weight * np.clip(signal, -MOST_SIGMA, MOST_SIGMA)
    level = broad_mean(values, SKY_SCALE_PX) / np.maximum(broad_mean(weight, SKY_SCALE_PX), 1e-3)
    return values - weight * level, weight


def _autocorrelation_sum(values: np.ndarray, weight: np.ndarray, lag_px: int) -> float:
    """Mean product of pairs of pixels up to so many rows and columns apart, times the number of such lags."""
    side = 2 * lag_px + 1
    products = (values * box_sum(values, side)).sum()
    pairs = (weight * box_sum(weight, side)).sum()
    return side**2 * float(products / pairs)


def broad_mean(values: np.ndarray, side_px: int) -> np.ndarray:
    """Mean over tens of pixels: a box, twice, since a Gaussian so wide takes as long as a network."""
    return box_mean(box_mean(values, side_px), side_px)


def smooth_step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """From 0 up to ``low`` to 1 from ``high`` on, without a corner."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
