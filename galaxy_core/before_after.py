"""What denoising did to an image, in an astronomer's numbers: noise, flux, size, shape, and what was gained or lost.

Everything is measured on one grey image, the luminance of three display bands and the mean of others, and in the same
places for every version: the sky, the foreground and the apertures are those of the input, so that two versions differ
by their pixels and by nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from galaxy_core.detection import Sources, aperture_flux, detect, match
from galaxy_core.evaluation import measure_restoration
from galaxy_core.frame_survey import survey_frame
from galaxy_core.masks import LUMINANCE_WEIGHTS, foreground, luminance
from galaxy_core.noise import estimate_sky

THRESHOLD = 5.0  # of a detection, in the input's noise
APERTURE_RADII = 2.0  # half-light radii an aperture reaches
APERTURE_PX = (3.0, 40.0)  # and its smallest and largest radius
MIN_SIDE_PX = 8  # smaller images hold nothing to detect
MIN_SKY_PX = 16
MIN_AREA_PX = 5  # connected pixels of a detection
NO_PLACES = np.zeros((0, 3), dtype=np.float32)


@dataclass(frozen=True)
class Reference:
    """The input, and where all versions of it are measured.

    Attributes
    ----------
    light : ndarray of float32, shape (height, width)
        Grey input; NaN where it was never observed.
    sky : ndarray of float32, shape (height, width), or float
        Level that is subtracted from every version before fluxes are summed: the sky of the input for linear frames.
        For display images that of the image ``galaxy_of`` names: noise clipped at black has raised the sky of the
        input but not its galaxy, so its own level would take too much from it.
    sigma : float
        Noise of ``light``, as for bands of independent noise; that of a band where all three are the same.
    sky_pixels : ndarray of bool, shape (height, width)
    galaxy : ndarray of bool, shape (height, width), or None
        Foreground of a display image; None for linear frames and where there is none.
    galaxy_of : str
        The image whose foreground it is.
    sources : Sources
        Found in the input.
    apertures : ndarray of float32, shape (n,)
        Radius in pixels around each of them.
    clean : ndarray of float32, shape (height, width), or None
    clean_sources : Sources or None
    linear : bool
    """

    light: np.ndarray = field(repr=False)
    sky: np.ndarray | float = field(repr=False)
    sigma: float
    sky_pixels: np.ndarray = field(repr=False)
    galaxy: np.ndarray | None = field(repr=False)
    galaxy_of: str
    sources: Sources = field(repr=False)
    apertures: np.ndarray = field(repr=False)
    clean: np.ndarray | None = field(repr=False)
    clean_sources: Sources | None = field(repr=False)
    linear: bool


@dataclass(frozen=True)
class Measured:
    """One version of the image; NaN where there is nothing to measure.

    Attributes
    ----------
    sky_noise : float
        Standard deviation of the sky pixels, clipped at 3 sigma.
    galaxy_flux : float
        Sum over the foreground, sky subtracted.
    fluxes : ndarray of float, shape (n,)
        In the apertures around the input's sources.
    radius_px, ellipticity : float
        Median over the sources found here and in the input.
    radius_change, ellipticity_change : float
        Median over the same sources of their change, relative and absolute.
    n_pairs, n_detected : int
    kept, gained, lost : ndarray of float32, shape (m, 3)
        x, y and half-light radius in pixels, of sources found in both, only here, and only in the input.
    invented : int or None
        Sources found here and not in the clean image, where there is one.
    within : tuple of float
        Shares of pixels that are one and 1.96 standard deviations from the clean image or less, where there is one and
        the version says how sure it is; see `share_within`.
    strict_ssim, psnr_db, galaxy_psnr_db, flux_bias, error : float
        Against the clean image: see `galaxy_core.evaluation.measure_restoration`; ``error`` is the root mean square.
    """

    sky_noise: float
    galaxy_flux: float
    fluxes: np.ndarray = field(repr=False)
    radius_px: float
    ellipticity: float
    radius_change: float
    ellipticity_change: float
    n_pairs: int
    n_detected: int
    kept: np.ndarray = field(repr=False)
    gained: np.ndarray = field(repr=False)
    lost: np.ndarray = field(repr=False)
    invented: int | None = None
    within: tuple[float, float] = (np.nan, np.nan)
    strict_ssim: float = np.nan
    psnr_db: float = np.nan
    galaxy_psnr_db: float = np.nan
    flux_bias: float = np.nan
    error: float = np.nan


def make_reference(
    image: np.ndarray, denoised: np.ndarray, noise_sigma: float, linear: bool, clean: np.ndarray | None = None
) -> Reference:
    """Find sky, foreground and sources once, for all versions.

    Parameters
    ----------
    image, denoised, clean : ndarray, shape (bands, height, width)
        In one unit. The foreground of a display image is that of ``clean``, or of ``denoised`` where there is none.
    noise_sigma : float
        Of one band of ``image``; the root mean square over linear bands.
    linear : bool
    """
    light, sky = _grey(image, linear), 0.0
    sigma = float(noise_sigma) * _share_of_noise(image, linear)
    grey_clean = None if clean is None else _grey(clean, linear)
    galaxy = None if linear else foreground(denoised if clean is None else clean)
    galaxy = galaxy if galaxy is not None and galaxy.any() else None
    if linear:
        sky, observed = _survey(image)
        light[~observed] = np.nan
    sources = _detect(light, sigma, sky if linear else estimate_sky(light).level)
    apertures = np.clip(APERTURE_RADII * np.nan_to_num(sources.radius_px), *APERTURE_PX).astype(np.float32)
    sky_pixels = np.isfinite(light) & ~_covered(light.shape, sources, 1.5 * apertures)
    if galaxy is not None:
        sky_pixels &= ~galaxy
    if not linear:
        sky = _level(_grey(denoised if clean is None else clean, linear), sky_pixels)
    return Reference(
        light=light,
        sky=sky,
        sigma=sigma,
        sky_pixels=sky_pixels,
        galaxy=galaxy,
        galaxy_of="denoised image" if clean is None else "clean image",
        sources=sources,
        apertures=apertures,
        clean=grey_clean,
        clean_sources=None if grey_clean is None else _detect(grey_clean, sigma, sky),
        linear=linear,
    )


def measure_version(reference: Reference, pixels: np.ndarray) -> Measured:
    """Measure one version of the input, or the input itself.

    Parameters
    ----------
    pixels : ndarray, shape (bands, height, width)
    """
    light = _grey(pixels, reference.linear)
    if reference.linear:
        light[~np.isfinite(reference.light)] = np.nan
    flat = light - np.float32(reference.sky)
    values = flat[reference.sky_pixels & np.isfinite(flat)]
    sky = reference.sky if reference.linear else _level(light, reference.sky_pixels)
    found = _detect(light, reference.sigma, sky)
    here, there = match(found, reference.sources)
    ratio = _divide(found.radius_px[here], reference.sources.radius_px[there])
    rounder = found.ellipticity[here] - reference.sources.ellipticity[there]
    galaxy = reference.galaxy
    return Measured(
        sky_noise=estimate_sky(values).sigma if values.size >= MIN_SKY_PX else np.nan,
        galaxy_flux=np.nan if galaxy is None else float(np.nansum(flat[galaxy], dtype=np.float64)),
        fluxes=aperture_flux(flat, reference.sources.x, reference.sources.y, reference.apertures),
        radius_px=_median(found.radius_px[here]),
        ellipticity=_median(found.ellipticity[here]),
        radius_change=_median(ratio - 1),
        ellipticity_change=_median(rounder),
        n_pairs=len(here),
        n_detected=len(found.x),
        kept=_places(found, here),
        gained=_places(found, np.setdiff1d(np.arange(len(found.x)), here)),
        lost=_places(reference.sources, np.setdiff1d(np.arange(len(reference.sources.x)), there)),
        **_against_clean(reference, light, found),
    )


def share_within(clean: np.ndarray, denoised: np.ndarray, uncertainty: np.ndarray) -> tuple[float, float]:
    """Shares of pixels whose clean value is within one and 1.96 standard deviations: 0.68, 0.95 if these are right."""
    off = np.abs(denoised - clean)
    return tuple(float(np.mean(off <= width * uncertainty)) for width in (1.0, 1.96))


def _against_clean(reference: Reference, light: np.ndarray, found: Sources) -> dict:
    clean, galaxy = reference.clean, reference.galaxy
    if clean is None:
        return {}
    difference = light - clean
    known = difference[np.isfinite(difference)]
    measured = {
        "invented": len(found.x) - len(match(found, reference.clean_sources)[0]),
        "error": float(np.sqrt(np.mean(np.square(known, dtype=np.float64)))) if known.size else np.nan,
    }
    if galaxy is None or min(clean.shape) < 11 or known.size < difference.size:
        return measured
    score = measure_restoration(clean.astype(np.float64), np.clip(light, 0, 1).astype(np.float64), galaxy)
    return measured | {
        "strict_ssim": score.strict_ssim,
        "psnr_db": score.psnr_db,
        "galaxy_psnr_db": score.foreground_psnr_db,
        "flux_bias": score.flux_error,
    }


def _survey(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sky of the mean of linear bands, as their denoising has it, and which pixels were observed in all of them."""
    sky, observed = np.zeros(image.shape[1:], np.float32), np.ones(image.shape[1:], bool)
    for band in np.asarray(image, dtype=np.float32):
        survey = survey_frame(lambda top, bottom, band=band: band[top:bottom], band.shape)
        sky += survey.sky(0, len(band)) / np.float32(len(image))
        observed &= band != np.float32(survey.blank)
    return sky, observed


def _grey(pixels: np.ndarray, linear: bool) -> np.ndarray:
    """Luminance of a display image; of a linear one the mean, whose noise follows from the root mean square of all."""
    grey = np.asarray(pixels, dtype=np.float32).mean(axis=0) if linear else luminance(pixels)
    return np.ascontiguousarray(grey, dtype=np.float32)


def _share_of_noise(image: np.ndarray, linear: bool) -> float:
    """Noise of the grey image over that of a band."""
    if len(image) == 3 and not linear:
        grey = all(np.array_equal(image[0], band) for band in image[1:])  # saved as colour: the bands share their noise
        return 1.0 if grey else float(np.linalg.norm(LUMINANCE_WEIGHTS))
    return 1 / float(np.sqrt(len(image)))


def _detect(light: np.ndarray, sigma: float, sky: np.ndarray | float) -> Sources:
    if min(light.shape) < MIN_SIDE_PX or not sigma > 0:
        return Sources(*np.zeros((6, 0)))
    return detect(light, sigma, THRESHOLD, MIN_AREA_PX, sky=sky)


def _level(light: np.ndarray, sky_pixels: np.ndarray) -> float:
    """Median of the sky pixels; a robust guess where there are few."""
    values = light[sky_pixels & np.isfinite(light)]
    return float(np.median(values) if values.size >= MIN_SKY_PX else estimate_sky(light).level)


def _covered(shape: tuple[int, int], sources: Sources, radii: np.ndarray) -> np.ndarray:
    """Pixels within a radius of a source, bool of ``shape``."""
    covered = np.zeros(shape, dtype=bool)
    for x, y, radius in zip(sources.x, sources.y, radii, strict=True):
        top, left = max(int(y - radius), 0), max(int(x - radius), 0)
        rows = np.arange(top, min(int(y + radius) + 2, shape[0]))[:, None]
        columns = np.arange(left, min(int(x + radius) + 2, shape[1]))
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        covered[top : top + len(rows), left : left + len(columns)] |= inside
    return covered


def _places(sources: Sources, index: np.ndarray) -> np.ndarray:
    if len(index) == 0:
        return NO_PLACES
    return np.stack([sources.x[index], sources.y[index], sources.radius_px[index]], axis=1).astype(np.float32)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above, dtype=np.float64) / np.asarray(below, dtype=np.float64)


def _median(values: np.ndarray) -> float:
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return float(np.median(finite)) if finite.size else np.nan


def flux_changes(before: Measured, after: Measured) -> np.ndarray:
    """Relative change of the flux of each of the input's sources, float64 (n,), where the input's is positive."""
    some = before.fluxes > 0
    return _divide(after.fluxes[some], before.fluxes[some]) - 1
