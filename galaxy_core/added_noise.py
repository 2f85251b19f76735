"""Noise put on a clean image, to see how a denoiser copes with it: as published, Gaussian only, or correlated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from galaxy_core.frame_survey import survey_frame
from galaxy_core.images import AstroImage, as_counts
from galaxy_core.noise import PUBLISHED_SIGMA, add_published_noise

if TYPE_CHECKING:
    from astropy.io import fits

KINDS = {"published": "Published", "gaussian": "Gaussian only", "correlated": "Correlated"}  # short: names are cut
CORRELATION_PX = 1.0  # of the Gaussian kernel that drizzling or resampling a frame amounts to


def add_noise(image: AstroImage, kind: str, level: float, seed: int) -> AstroImage:
    """The image with noise on it.

    Parameters
    ----------
    image : AstroImage
        Taken as clean. A display image is brought to 8-bit counts, as the published noise is defined on them, and comes
        back with their 256 values. A linear frame has no such counts: whatever the kind, its noise is Gaussian,
        ``level`` times the noise of its own sky (of each band), or 1 where it has none.
    kind : {"published", "gaussian", "correlated"}
        "correlated" is Gaussian noise smoothed with a kernel of 1 pixel and brought back to its strength, so that
        neighbours share 78 % of it.
    level : float
        Multiple of the published noise, 15.8 counts in blank sky.
    seed : int

    Returns
    -------
    AstroImage
        HISTORY in its header says that the noise was added.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown noise {kind!r}; choose one of {', '.join(KINDS)}")
    rng = np.random.default_rng(seed)
    header = _header_of(image, kind, level, seed)
    if image.linear:
        pixels = np.stack([_noisy_band(band, kind, level, rng) for band in image.pixels])
        return replace(image, pixels=pixels.astype(np.float32), header=header)
    counts = as_counts(image.pixels)
    if kind == "published":
        noisy = add_published_noise(counts, rng, level)
    else:
        noise = np.stack([_unit_noise(band.shape, kind, rng) for band in counts])
        noisy = np.rint(np.clip(counts + level * 255 * PUBLISHED_SIGMA * noise, 0, 255))
    return replace(image, pixels=np.float32(noisy) / np.float32(255), bits=8, header=header)


def _header_of(image: AstroImage, kind: str, level: float, seed: int) -> fits.Header:
    """The image's header, and that this noise is no telescope's: files made of it must not pass for observations."""
    from astropy.io import fits

    from galaxy_core.fits_images import add_history

    header = fits.Header() if image.header is None else image.header.copy()
    add_history(header, f"Galaxy Atlas: simulated noise was added, {describe_noise(kind, level, seed, image.linear)}.")
    return header


def describe_noise(kind: str, level: float, seed: int, linear: bool) -> str:
    """The noise that `add_noise` adds, in words.

    >>> describe_noise("published", 0.5, 0, linear=True)
    'gaussian, 0.5 times the noise of its own sky, seed 0'
    """
    if linear:
        return f"{kind if kind == 'correlated' else 'gaussian'}, {level:g} times the noise of its own sky, seed {seed}"
    return f"{kind}, {level:g} times the published level, seed {seed}"


def _noisy_band(band: np.ndarray, kind: str, level: float, rng: np.random.Generator) -> np.ndarray:
    sigma = survey_frame(lambda top, bottom: band[top:bottom], band.shape).sigma or 1.0
    return band + np.float32(level * sigma) * _unit_noise(band.shape, kind, rng)


def _unit_noise(shape: tuple[int, int], kind: str, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of standard deviation 1, float32."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    if kind != "correlated":
        return noise
    smooth = ndimage.gaussian_filter(noise, CORRELATION_PX, mode="wrap")
    kernel = np.zeros((33, 33))
    kernel[16, 16] = 1
    return smooth / np.float32(np.sqrt(np.square(ndimage.gaussian_filter(kernel, CORRELATION_PX)).sum()))
