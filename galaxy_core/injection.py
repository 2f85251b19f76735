"""Put galaxies and stars of known light into real frames, and say which come out: completeness, purity, depth.

Sources are added where the frame has none, with the frame's own width of a point source. Their strength is the best
signal to noise any search could reach in white noise: flux over ``noise_sigma`` times the root of the noise-equivalent
area, which is one over the sum of the squared profile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from galaxy_core.detection import Sources, detect
from galaxy_core.simulator.galaxy import render_galaxy
from galaxy_core.simulator.light import make_frame, moffat
from galaxy_core.simulator.observe import MOFFAT_BETA, convolve
from galaxy_core.simulator.parameters import FIELD_STREAM, draw_parameters, stream

PROFILE_PX = 49
DEFAULT_FWHM_PX = 3.0  # where a frame has no star to measure
MATCH_PX = 3.0
NOISE_LAGS_PX = 6
LOGIT_RIDGE, LOGIT_STEPS = 0.02, 50  # the first keeps a curve without a single exception from getting infinitely steep


@dataclass(frozen=True)
class Injected:
    """Sources added to a frame, as equally long arrays: position in pixels, flux, signal to noise, point source."""

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    snr: np.ndarray
    is_point: np.ndarray


def point_width_px(band: np.ndarray, noise_sigma: float) -> float:
    """Full width at half maximum of the frame's point sources, in pixels; `DEFAULT_FWHM_PX` if it shows fewer than 3.

    The tenth percentile of the half-light diameters (a Gaussian's is its full width) of round, well-lit sources below
    half the frame's brightest pixel.
    """
    found = detect(band, noise_sigma, threshold=5.0)
    brightest = np.nanmax(np.where(np.isfinite(band), band, np.nan)) - np.nanmedian(band)
    usable = (found.peak > 15 * noise_sigma) & (found.peak < 0.5 * brightest) & (found.ellipticity < 0.3)
    usable &= np.isfinite(found.radius_px) & (found.radius_px > 0.5)
    if usable.sum() < 3:
        return DEFAULT_FWHM_PX
    return float(np.clip(2 * np.percentile(found.radius_px[usable], 10), 1.5, 10))


def point_profile(fwhm_px: float) -> np.ndarray:
    """A point source of unit flux in the middle of float32 (49, 49): a Moffat function."""
    profile = moffat(make_frame(PROFILE_PX, 1.0), fwhm_px, MOFFAT_BETA)
    return (profile / profile.sum()).astype(np.float32)


def galaxy_profile(seed: int, index: int, r90_px: float, fwhm_px: float) -> np.ndarray:
    """A simulated galaxy of unit flux in r, float32 (49, 49): 90 % of its light within ``r90_px`` before the seeing."""
    parameters = draw_parameters(seed, index)
    frame = make_frame(PROFILE_PX, parameters.r90_arcsec / r90_px)
    light = render_galaxy(parameters, frame, stream(seed, index, FIELD_STREAM))
    profile = np.maximum(convolve(light, frame, fwhm_px * frame.pixel_scale_arcsec)[1], 0)
    return (profile / profile.sum()).astype(np.float32)


def noise_area_px(profile: np.ndarray) -> float:
    """Pixels' worth of noise under a profile of unit flux that is weighted best: ``1 / sum(profile**2)``."""
    return float(1 / np.sum(np.asarray(profile, dtype=np.float64) ** 2))


def source_free(band: np.ndarray, fwhm_px: float) -> np.ndarray:
    """Pixels at least 4 from every source and gap, and 12 from the border: bool (height, width).

    Sources are what stands 3 sigma out of the noise after smoothing with the width of a point source.
    """
    finite = np.isfinite(band)
    level = np.median(band[finite])
    width = fwhm_px / 2.355
    smooth = ndimage.gaussian_filter(np.where(finite, band - level, 0), width)
    local = ndimage.median_filter(smooth[::8, ::8], 9, mode="nearest")  # a sky that is not flat
    smooth -= ndimage.zoom(local, np.array(band.shape) / local.shape, order=1)
    scatter = 1.4826 * np.median(np.abs(smooth[finite]))
    taken = ndimage.binary_opening(smooth > 3 * scatter) | ~finite
    free = ~ndimage.binary_dilation(taken, iterations=4)
    for edge in (slice(0, 12), slice(-12, None)):
        free[edge], free[:, edge] = False, False
    return free


def choose_places(free: np.ndarray, n: int, apart_px: float, rng: np.random.Generator) -> np.ndarray:
    """Up to ``n`` positions (x, y), float64 (m, 2), on free pixels, no two closer than ``apart_px``; not on a grid."""
    rows, columns = np.nonzero(free)
    chosen: list[tuple[float, float]] = []
    for index in rng.permutation(len(rows)):
        place = columns[index] + rng.uniform(-0.5, 0.5), rows[index] + rng.uniform(-0.5, 0.5)
        if all((place[0] - x) ** 2 + (place[1] - y) ** 2 >= apart_px**2 for x, y in chosen):
            chosen.append(place)
            if len(chosen) == n:
                break
    return np.array(chosen, dtype=np.float64).reshape(-1, 2)


def inject(
    band: np.ndarray,
    noise_sigma: float,
    fwhm_px: float,
    places: np.ndarray,
    snr: np.ndarray,
    is_point: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, Injected]:
    """A copy of a band with sources added, and what was added.

    Parameters
    ----------
    band : ndarray, shape (height, width)
    noise_sigma : float
    fwhm_px : float
        Of a point source.
    places : ndarray, shape (n, 2)
        x and y.
    snr, is_point : ndarray, shape (n,)
    seed : int
        Of the simulated galaxies, whose 90 % radii are 0.7 to 2 times ``fwhm_px``.

    Returns
    -------
    band : ndarray of float32, shape (height, width)
        Shot noise of the added light is left out: sources near the limit are far fainter than the sky.
    injected : Injected
    """
    band, rng = np.array(band, dtype=np.float32), np.random.default_rng([seed, 1])
    flux = np.zeros(len(places))
    for row, (x, y) in enumerate(places):
        size = rng.uniform(0.7, 2.0) * fwhm_px
        profile = point_profile(fwhm_px) if is_point[row] else galaxy_profile(seed, row, size, fwhm_px)
        flux[row] = snr[row] * noise_sigma * np.sqrt(noise_area_px(profile))
        _add(band, flux[row] * ndimage.shift(profile, (y - round(y), x - round(x)), order=3), round(x), round(y))
    return band, Injected(places[:, 0], places[:, 1], flux, np.asarray(snr, dtype=np.float64), np.asarray(is_point))


def _add(band: np.ndarray, stamp: np.ndarray, x: int, y: int) -> None:
    """Add a stamp in place, its central pixel at (x, y), as far as it lies inside the band."""
    half = PROFILE_PX // 2
    top, left = max(y - half, 0), max(x - half, 0)
    bottom, right = min(y + half + 1, band.shape[0]), min(x + half + 1, band.shape[1])
    band[top:bottom, left:right] += stamp[top - y + half : bottom - y + half, left - x + half : right - x + half]


def noise_like(band: np.ndarray, free: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise, float32, without a source, with the scatter and the correlations of a frame's free pixels.

    Correlations are measured over up to 6 pixels along each axis, on ``free`` pixels, after a local sky is taken off.
    """
    values = np.where(free, band - np.median(band[free]), 0).astype(np.float64)
    weight = ndimage.gaussian_filter(free.astype(np.float64), 16)
    values = np.where(free, values - ndimage.gaussian_filter(values, 16) / np.maximum(weight, 1e-3), 0)
    clip = 4 * 1.4826 * np.median(np.abs(values[free]))
    values = np.clip(values, -clip, clip)
    covariance = np.zeros(shape)
    for down in range(NOISE_LAGS_PX + 1):
        for across in range(-NOISE_LAGS_PX, NOISE_LAGS_PX + 1):
            here, there = _shifted(down, across)
            pairs = max((free[here] & free[there]).sum(), 1)
            value = (values[here] * values[there]).sum() / pairs
            covariance[down, across] = covariance[-down, -across] = value
    power = np.maximum(np.fft.rfft2(covariance).real, 0)
    white = np.fft.rfft2(rng.standard_normal(shape))
    noise = np.fft.irfft2(white * np.sqrt(power), shape)
    return (noise * np.sqrt(covariance[0, 0]) / noise.std()).astype(np.float32)


def _shifted(down: int, across: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of the pixels that have a partner so many rows down and columns across, and of the partners."""
    here = slice(max(-across, 0), -across if across > 0 else None)
    there = slice(max(across, 0), across if across < 0 else None)
    return (slice(0, -down or None), here), (slice(down, None), there)


def recovered(injected: Injected, found: Sources) -> np.ndarray:
    """Which injected sources have a detection within 3 pixels: bool (n,)."""
    if len(found) == 0 or len(injected.x) == 0:
        return np.zeros(len(injected.x), dtype=bool)
    distance, _ = cKDTree(np.column_stack([found.x, found.y])).query(np.column_stack([injected.x, injected.y]))
    return distance <= MATCH_PX


def half_depth(snr: np.ndarray, found: np.ndarray) -> float:
    """Signal to noise at which half of the sources are found: a logistic curve in its logarithm, most likely.

    Parameters
    ----------
    snr : ndarray, shape (n,)
        Above zero.
    found : ndarray of bool, shape (n,)

    Returns
    -------
    float
        NaN where the limit lies outside what was injected, and where all or none are found.
    """
    x, found = np.log(np.asarray(snr, dtype=np.float64)), np.asarray(found, dtype=bool)
    if found.all() or not found.any():
        return float("nan")
    centre = x.mean()
    design = np.column_stack([np.ones(len(x)), x - centre])
    weights, ridge = np.zeros(2), np.diag([0.0, LOGIT_RIDGE])
    for _ in range(LOGIT_STEPS):  # Newton's method
        share = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (found - share) - ridge @ weights
        bend = (design * (share * (1 - share))[:, None]).T @ design + ridge + 1e-9 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        weights += step * min(1.0, 5 / np.abs(step).max())
        if np.abs(step).max() < 1e-6:
            break
    depth = centre - weights[0] / weights[1] if weights[1] > 0 else np.inf
    return float(np.exp(depth)) if x.min() <= depth <= x.max() else float("nan")


def depth_gain_mag(
    snr: np.ndarray, before: np.ndarray, after: np.ndarray, rng: np.random.Generator, n_samples: int = 200
) -> tuple[float, float, float]:
    """Magnitudes by which the depth at half completeness grows, and its 95 % interval over resampled sources."""

    def gain(rows: np.ndarray) -> float:
        return 2.5 * np.log10(half_depth(snr[rows], before[rows]) / half_depth(snr[rows], after[rows]))

    n = len(snr)
    samples = [gain(rng.integers(0, n, n)) for _ in range(n_samples)]
    samples = [value for value in samples if np.isfinite(value)]
    low, high = np.percentile(samples, [2.5, 97.5]) if samples else (np.nan, np.nan)
    return float(gain(np.arange(n))), float(low), float(high)
