"""Hide pixels of a noisy image and ask a network for them: an error that needs no clean image.

What a network predicts for a pixel it does not see cannot copy that pixel's noise. So where noise is independent from
pixel to pixel, the squared error of the prediction against the hidden pixel is the squared error against the truth plus
the variance of the noise, which no network changes (Batson & Royer 2019, eq. 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Generator, Tensor

from galaxy_core.errors import ImageError
from galaxy_core.frame_survey import survey_frame
from galaxy_core.images import AstroImage
from galaxy_core.linear_denoising import FADE_DEEP, FADE_SHALLOW, PEDESTAL, dead_pixels
from galaxy_core.noise import PUBLISHED_SIGMA, estimate_noise

CELL_PX = 4  # one pixel in a cell of so many squared is hidden
LEAST_SIDE_PX = 32
SKY_SIGMA = 1.0  # the neighbours of a pixel of sky are together less than this above it
NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
CORRELATED = 0.2  # share of the noise's variance; white noise of a small frame stays below
CORRELATED_NOTE = (
    "Neighbouring pixels share {:.0%} of their noise, so a hidden one can be guessed from it; a model adapted to that "
    "would keep noise as if it were light, so the shipped one is used."
)
CLIPPED = 0.02  # share of pixels cut at black above which the noise is no longer zero in the mean
CLIPPED_NOTE = (
    "{:.0%} of the pixels are cut off at black, so the noise does not average to zero and a model adapted to it would "
    "brighten the sky; the shipped one knows of that and is used."
)


@dataclass(frozen=True)
class Plane:
    """One image in the model's range, as the model is shown it.

    Attributes
    ----------
    pixels : ndarray of float32, shape (1 or 3, height, width)
        Finite.
    usable : ndarray of bool, shape (height, width)
        Where a pixel is a measurement, and one whose denoised value is used.
    sky : ndarray of bool, shape (height, width)
        Where the neighbours of a pixel show no source.
    sigma : float
        Noise the model is told.
    """

    pixels: np.ndarray
    usable: np.ndarray
    sky: np.ndarray
    sigma: float


def planes_of(image: AstroImage, noise_sigma: float) -> list[Plane]:
    """What a model is shown of an image: colour at once, linear bands one by one, each at both of its scales.

    Parameters
    ----------
    image : AstroImage
    noise_sigma : float
        In units of the image. 0: a display image has no noise, and that of a linear one is measured.

    Raises
    ------
    ImageError
        If it is too small, or has no noise to learn from.
    """
    if min(image.pixels.shape[1:]) < LEAST_SIDE_PX:
        raise ImageError(f"{image.name} is too small to adapt to; give at least {LEAST_SIDE_PX} pixels a side.")
    planes = []
    if image.linear:
        for band in image.pixels:
            planes += _linear_planes(band, image, noise_sigma)
    elif noise_sigma > 0 and image.pixels.min() < image.pixels.max():
        colour = len(image.pixels) == 3
        parts = [image.pixels] if colour else [band[None] for band in image.pixels]
        planes = [_display_plane(part, noise_sigma) for part in parts]
    if not any(plane.usable.any() for plane in planes):
        raise ImageError(f"{image.name} shows no noise, so there is nothing to adapt to.")
    return planes


def _linear_planes(band: np.ndarray, image: AstroImage, noise_sigma: float) -> list[Plane]:
    survey = survey_frame(lambda top, bottom: band[top:bottom], band.shape, image.header)
    sigma = survey.sigma if survey.one_value else noise_sigma or survey.sigma
    if not sigma > 0:
        return []
    untouched = survey.untouched(band)
    with np.errstate(invalid="ignore"):
        signal = (band - survey.sky(0, len(band))) / np.float32(sigma)
    untouched |= dead_pixels(band, signal)
    signal = np.where(untouched, 0, signal).astype(np.float32)
    # by the neighbours: chosen by the pixel itself, its noise would not average to nothing
    around = mean_around(signal)
    limits = ((PUBLISHED_SIGMA, -np.inf, FADE_DEEP[1]), (PUBLISHED_SIGMA / 2, FADE_DEEP[0], FADE_SHALLOW[1]))
    scaled = [np.minimum(signal * np.float32(sigma) + np.float32(PEDESTAL), 1)[None] for sigma, _, _ in limits]
    return [
        Plane(pixels, ~untouched & (around > low) & (around < high), around < SKY_SIGMA, sigma)
        for pixels, (sigma, low, high) in zip(scaled, limits, strict=True)
    ]


def _display_plane(bands: np.ndarray, sigma: float) -> Plane:
    """A display image: where it is saturated it says nothing of the noise."""
    around = mean_around(bands.mean(axis=0))
    return Plane(bands, (bands < 1).all(axis=0), around < np.median(around) + SKY_SIGMA * sigma, sigma)


def mean_around(band: np.ndarray) -> np.ndarray:
    """Mean of the 24 pixels around each, without itself."""
    return (25 * ndimage.uniform_filter(band, 5, mode="mirror") - band) / 24


def held_out(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """One random pixel of every whole cell, bool of ``shape``: those that judge, and are never learned from."""
    mask = np.zeros(shape, dtype=bool)
    rows, columns = (CELL_PX * np.arange(side // CELL_PX) for side in shape)
    down, across = (rng.integers(CELL_PX, size=(len(rows), len(columns))) for _ in range(2))
    mask[rows[:, None] + down, columns[None] + across] = True
    return mask


def random_spots(n: int, height: int, width: int, generator: Generator) -> Tensor:
    """The same for a batch of crops, drawn anew: bool (n, 1, height, width)."""
    place = torch.randint(0, CELL_PX**2, (n, height // CELL_PX, width // CELL_PX), generator=generator)
    cells = torch.nn.functional.one_hot(place, CELL_PX**2).bool()
    cells = cells.view(n, height // CELL_PX, width // CELL_PX, CELL_PX, CELL_PX).transpose(2, 3)
    spots = torch.zeros(n, 1, height, width, dtype=torch.bool)
    spots[:, 0, : height // CELL_PX * CELL_PX, : width // CELL_PX * CELL_PX] = cells.reshape(
        n, height // CELL_PX * CELL_PX, width // CELL_PX * CELL_PX
    )
    return spots


def hide(images: Tensor, spots: Tensor, generator: Generator | None) -> Tensor:
    """Images with each hidden pixel replaced by a random one of its eight neighbours (Krull et al. 2019, section 3.2).

    Parameters
    ----------
    images : Tensor, float32 (n, bands, height, width)
    spots : Tensor, bool (n, 1, height, width)
        The same pixel is hidden in all bands.
    generator : Generator or None
        None: their mean is put in, which brings least noise of its own, as Batson & Royer (2019) do.
    """
    height, width = images.shape[-2:]
    around = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="reflect")
    ring = [around[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in NEIGHBOURS]
    if generator is None:
        return torch.where(spots, torch.stack(ring).mean(dim=0), images)
    choice = torch.randint(0, len(NEIGHBOURS), spots.shape, generator=generator).to(images.device)
    hidden = images
    for index, shifted in enumerate(ring):
        hidden = torch.where(spots & (choice == index), shifted, hidden)
    return hidden


@dataclass(frozen=True)
class Errors:
    """Errors of a denoiser at pixels held out, in units of the noise, without the truth.

    With ``x`` the noisy pixel, ``b`` its prediction when it is hidden and ``f`` what comes out when it is not: the
    noise of ``x`` is independent of ``b``, and the mean square of ``f - truth``, plus the variance of the noise, is
    that of ``x - b`` plus that of ``f - b``, less twice the mean of ``(truth - b)(f - b)``, which is what looking at
    the pixel gains.

    Attributes
    ----------
    squares : ndarray of float64, shape (n,)
        ``(x - b)^2 + (f - b)^2``, mean over bands.
    gained : float
        What looking at the pixels gains, mean.
    """

    squares: np.ndarray
    gained: float

    @property
    def mean(self) -> float:
        """Mean square error plus the variance of the noise."""
        return float(self.squares.mean()) - self.gained


def measure_errors(
    images: Tensor, blind: Tensor, seen: Tensor, spots: Tensor, sigma: Tensor, noise_square: float
) -> Errors:
    """Errors at ``spots`` of what came out with them hidden (``blind``) and not (``seen``).

    If ``f - b`` follows the share ``a`` of ``x - b``, looking gains ``2 a`` times the square error of ``b``. That is
    ``a`` times the square of ``x - b`` where the share is the best one, and never more than noise leaves of it.

    Parameters
    ----------
    images, blind, seen : Tensor, float32 (n, bands, height, width)
    spots : Tensor, bool (n, 1, height, width)
    sigma : Tensor, float32 (n,)
        The unit of each image.
    noise_square : float
        About how large the variance of the noise is in that unit.
    """
    missed, followed = squared_differences(images, blind, sigma)[spots], squared_differences(seen, blind, sigma)[spots]
    scale = sigma.view(-1, 1, 1, 1)
    common = ((images - blind) * (seen - blind) / scale**2).mean(dim=1, keepdim=True)[spots]
    square = max(float(missed.mean()), 1e-12)
    share = max(float(common.mean()) / square, 0.0)
    gained = 2 * share * max(min(share * square, square - noise_square), 0.0)
    return Errors((missed + followed).cpu().numpy().astype(np.float64), gained)


def squared_differences(first: Tensor, second: Tensor, sigma: Tensor) -> Tensor:
    """Mean over bands of the squared difference in units of the noise, float32 (n, 1, height, width)."""
    return ((first - second) / sigma.view(-1, 1, 1, 1)).square().mean(dim=1, keepdim=True)


def broken_assumption(planes: list[Plane], linear: bool) -> str:
    """A sentence where the noise is not what the method needs: independent between pixels, and zero in the mean."""
    clipped = 0.0 if linear else max(float(np.mean(plane.pixels == 0)) for plane in planes)
    correlation = max(sky_correlation(plane) for plane in planes)
    if clipped > CLIPPED:
        return CLIPPED_NOTE.format(clipped)
    return CORRELATED_NOTE.format(correlation) if correlation > CORRELATED else ""


def sky_correlation(plane: Plane) -> float:
    """Share of the noise's variance that a pixel has in common with its neighbours; about 0 for white noise.

    From the noise seen between neighbours and between pixels three apart, by `galaxy_core.noise.estimate_noise`, to
    which smooth light is invisible.
    """
    near, far = (plane_noise(plane, spacing) for spacing in (1, 3))
    return max(1 - (near / far) ** 2, 0.0) if far > 0 else 0.0


def plane_noise(plane: Plane, spacing_px: int = 3) -> float:
    """Noise of the blank sky of a plane, in its own units; 0 where there is none."""
    return estimate_noise(np.where(plane.usable & plane.sky, plane.pixels, np.nan), spacing_px)
