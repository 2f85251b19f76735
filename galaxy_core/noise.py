"""Noise in and noise out: the published model, robust estimates of sky and pixel noise, and what users say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.errors import ImageError

if TYPE_CHECKING:
    from galaxy_core.frame_survey import FrameSurvey

SKY_COUNTS = 150  # the sky whose shot noise the published model adds
READ_COUNTS = 10.0  # standard deviation of its Gaussian part
PUBLISHED_SIGMA = float(np.sqrt(SKY_COUNTS + READ_COUNTS**2) / 255)  # of blank sky, in image units: 0.0620
MAD_TO_SIGMA = 1.4826022185056018  # median absolute deviation of a Gaussian, inverted
MAX_SAMPLES = 2**21  # pixels an estimate looks at; more change the third digit of nothing
STEP_VARIANCE = 1 / 12  # of an even spread over a step of one
MOST_NOISE = 30.0  # times the noise measured; a model told more makes up what it shows


@dataclass(frozen=True)
class Sky:
    """Sky of one image: ``level`` and standard deviation ``sigma``, in the image's units."""

    level: float
    sigma: float


def add_published_noise(counts: np.ndarray, rng: np.random.Generator, level: float = 1.0) -> np.ndarray:
    """Poisson noise of the galaxy and a sky of 150 counts, and Gaussian noise of 10, on 8-bit counts.

    At level 1 exactly ``uint8(clip(Poisson(c + 150) - 150 + N(0, 10), 0, 255))``. At other levels the deviation
    ``Poisson(c + 150) - 150 - c + N(0, 10)`` is multiplied by ``level`` before it is added to ``c`` and clipped, so
    half and twice the noise keep its shape.

    Parameters
    ----------
    counts : ndarray of uint8, any shape
    rng : numpy.random.Generator
    level : float
        Multiple of the published noise.

    Returns
    -------
    ndarray of uint8, same shape
        Fractions are cut, not rounded, as published: half a count is lost on average.
    """
    clean = np.asarray(counts, dtype=np.float64)
    shot = rng.poisson(clean + SKY_COUNTS) - SKY_COUNTS
    read = rng.normal(0.0, READ_COUNTS, size=clean.shape)
    noisy = shot + read if level == 1 else clean + level * (shot - clean + read)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def estimate_sky(image: np.ndarray) -> Sky:
    """Level and scatter of the sky, with galaxies and stars clipped away.

    Pixels more than 3 sigma from the median are dropped until none is left to drop (at most 20 times), sigma being the
    scaled median absolute deviation; the level is the mode ``2.5 median - 1.5 mean`` of what remains, or the median
    where the two differ by more than 0.3 sigma [1]_.

    Parameters
    ----------
    image : ndarray, any shape
        Linear pixels; NaN and infinities are ignored.

    Returns
    -------
    Sky
        Zeros for an image without a finite pixel.

    References
    ----------
    .. [1] E. Bertin and S. Arnouts, "SExtractor", A&AS 117, 393 (1996).
    """
    values = _finite_sample(image)
    if values.size == 0:
        return Sky(0.0, 0.0)
    for _ in range(20):
        median = np.median(values)
        sigma = MAD_TO_SIGMA * np.median(np.abs(values - median))
        kept = values[np.abs(values - median) <= 3 * sigma]
        if kept.size == values.size or kept.size == 0:
            break
        values = kept
    mean, median = values.mean(), np.median(values)
    sigma = float(values.std()) / 0.9866  # of a Gaussian cut at 3 sigma
    level = 2.5 * median - 1.5 * mean if abs(mean - median) < 0.3 * sigma else median
    return Sky(float(level), sigma)


def estimate_noise(image: np.ndarray, spacing_px: int = 1, made_of: np.ndarray | None = None) -> float:
    """Standard deviation of the noise from pixel to pixel, with smooth light removed.

    The median absolute response to a kernel that sees no plane or gradient [1]_. Where sky is clipped at the floor of
    the image (more than one pixel in fifty at its minimum, the mark of an 8-bit display image) only responses that
    touch neither floor nor ceiling count, if there are at least 64 of them.

    Parameters
    ----------
    image : ndarray, shape (bands, height, width) or (height, width)
    spacing_px : int
        Distance between the pixels compared. Noise correlated between neighbours (drizzled, resampled or compressed
        images) hides from a spacing of 1; a spacing of a few pixels sees it, and more of the light of small sources.
    made_of : ndarray of the same shape, optional
        Where the image was made of another: that one, whose floor and ceiling count.

    Returns
    -------
    float
        In image units; the root mean square over bands. An image too small for the spacing is measured at the widest
        that fits, and one of fewer than 3 pixels a side gives 0.

    References
    ----------
    .. [1] J. Immerkaer, "Fast Noise Variance Estimation", CVIU 64, 300 (1996).
    """
    bands = np.asarray(image, dtype=np.float32)
    bands = bands[None] if bands.ndim == 2 else bands
    sources = bands if made_of is None else np.asarray(made_of, dtype=np.float32).reshape(bands.shape)
    spacing_px = min(spacing_px, (min(bands.shape[1:]) - 1) // 2)
    if spacing_px < 1:
        return 0.0
    noises = [_band_noise(band, spacing_px, source) for band, source in zip(bands, sources, strict=True)]
    return float(np.sqrt(np.mean(np.square(noises))))


def check_noise(noise_sigma: float | None, name: str, linear: bool = True) -> None:
    """Raise `ImageError` for a noise that is not a positive number, or not below the full scale of a display image."""
    if noise_sigma is not None and not (np.isfinite(noise_sigma) and noise_sigma > 0):
        raise ImageError(f"The noise of {name} must be a positive number, not {noise_sigma}.")
    if noise_sigma is not None and not linear and noise_sigma >= 1:
        raise ImageError(f"The noise given for {name} is more than its white; give it in counts of the file.")


def told_noise(survey: FrameSurvey, noise_sigma: float | None) -> float:
    """Noise that a linear band is denoised with: as given, or measured; 0 where all its pixels have one value.

    Raises
    ------
    ImageError
        What is given is out of all proportion to the pixels, of which nothing would be left.
    """
    if noise_sigma is None or survey.one_value:
        return float(survey.sigma)
    if noise_sigma > MOST_NOISE * survey.sigma > 0:
        raise ImageError(
            f"The noise given, {noise_sigma:.3g}, is {noise_sigma / survey.sigma:,.0f} times that of the pixels, "
            f"{survey.sigma:.3g}; give it in the unit of the image."
        )
    return float(noise_sigma)


def mean_noise(sigmas: list[float]) -> float:
    """One noise for several bands: the root mean square."""
    return float(np.sqrt(np.mean(np.square(sigmas))))


def between_counts(band: np.ndarray) -> np.ndarray:
    """The band itself; whole numbers spread evenly over their steps, since medians of them could be no other numbers.

    Where noise is a few counts, it was measured a quarter too small, and the sky up to half of it off. The spread adds
    ``STEP_VARIANCE`` to it.
    """
    if not ((band == np.rint(band)) | ~np.isfinite(band)).all():
        return band
    return band + np.random.default_rng(0).uniform(-0.5, 0.5, band.shape).astype(np.float32)


def _band_noise(band: np.ndarray, spacing: int, source: np.ndarray) -> float:
    finite = np.isfinite(source)
    if not finite.any():
        return 0.0
    low, high = source[finite].min(), source[finite].max()
    with np.errstate(invalid="ignore"):  # infinities cancel to NaN, which is left out below
        response = _second_difference(_second_difference(band, spacing).T, spacing).T / 6
    usable = np.isfinite(response)
    if (source == low).sum() > 0.02 * finite.sum():
        clipped = (source == low) | (source == high)
        for _ in range(2):
            clipped = (clipped[: -2 * spacing] | clipped[spacing:-spacing] | clipped[2 * spacing :]).T
        if (usable & ~clipped).sum() >= 64:
            usable &= ~clipped
    values = _finite_sample(response[usable])
    return float(MAD_TO_SIGMA * np.median(np.abs(values))) if values.size else 0.0


def _second_difference(values: np.ndarray, spacing: int) -> np.ndarray:
    return values[: -2 * spacing] - 2 * values[spacing:-spacing] + values[2 * spacing :]


def _finite_sample(image: np.ndarray) -> np.ndarray:
    """Finite values as float64, shape (n,), thinned evenly to at most ``MAX_SAMPLES``."""
    values = np.asarray(image).ravel()
    values = values[:: -(-values.size // MAX_SAMPLES)] if values.size > MAX_SAMPLES else values
    return values[np.isfinite(values)].astype(np.float64)
