"""Denoise any image with a trained model: one call, one frozen result, the same for the page and the command.

The image is worked on in overlapping tiles whose *corrections* are blended, so memory stays bounded, no seam shows, and
a model that changes nothing returns the input bit for bit. What linear frames need besides is in `linear_denoising` and
`frame_survey`; frames too large for memory take the same steps in `frame_files`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.denoiser_calls import run_grey, run_model, says_how_sure, tile_workers, weights_sha256
from galaxy_core.errors import ImageError
from galaxy_core.frame_survey import FrameSurvey, Rows, survey_frame
from galaxy_core.images import AstroImage
from galaxy_core.linear_denoising import correct_in_sigmas, dead_pixels
from galaxy_core.noise import check_noise, mean_noise, told_noise
from galaxy_core.picture_denoising import correct_picture, picture_noise
from galaxy_core.picture_images import BLUE_FIRST
from galaxy_core.tiles import TILE_PX, Progress, blend_tiles

if TYPE_CHECKING:
    from astropy.io import fits
    from torch import nn

TOGETHER = 10  # neighbouring tiles, at most, whose bright windows share calls of the model
# Rows from, and up to, denoised (rows, width), and their standard deviation or None
WriteRows = Callable[[int, int, np.ndarray, np.ndarray | None], None]


@dataclass(frozen=True)
class DenoiseResult:
    """What was put in, what came out, and how.

    Attributes
    ----------
    image, denoised : ndarray of float32, shape (bands, height, width)
        In the input's units. NaN where the input has it.
    noise_sigma : float
        Standard deviation of the sky noise, in the units of ``image``: as given, or estimated (the root mean square
        over bands).
    noise_given : bool
        Whether ``noise_sigma`` was given by the caller.
    linear : bool
    header : astropy.io.fits.Header or None
    name, file_format, bits : as in `galaxy_core.images.AstroImage`
    model_name : str
    seconds : float
        Wall time.
    uncertainty : ndarray of float32, shape (bands, height, width), or None
        One standard deviation of the denoised pixel, in the units of ``image``, NaN where that is NaN or was never
        observed, and in bands in which no noise was found. None where it was not asked for, or the model does not say.
    weights_sha256 : str
        Of the model's file; empty where it is not known.
    bands : tuple of str
        What each band is called.
    noise_sigmas : tuple of float
        Noise of each group of bands that was denoised together.
    keeps_light : bool
        Whether sky and fluxes were kept, and pixels far above the noise left as they were; see `linear_denoising`.
    """

    image: np.ndarray = field(repr=False)
    denoised: np.ndarray = field(repr=False)
    noise_sigma: float
    noise_given: bool
    linear: bool
    header: fits.Header | None = field(repr=False)
    name: str
    file_format: str
    bits: int
    model_name: str
    seconds: float
    uncertainty: np.ndarray | None = field(default=None, repr=False)
    weights_sha256: str = ""
    bands: tuple[str, ...] = ()
    noise_sigmas: tuple[float, ...] = ()
    keeps_light: bool = False

    @cached_property
    def residual(self) -> np.ndarray:
        """Exactly ``image - denoised``, float32 (bands, height, width)."""
        with np.errstate(invalid="ignore"):  # infinity minus itself
            return self.image - self.denoised


def denoise_image(
    image: AstroImage,
    model: nn.Module,
    noise_sigma: float | None = None,
    progress: Progress | None = None,
    uncertainty: bool = False,
) -> DenoiseResult:
    """Denoise one image of any size and number of bands.

    Parameters
    ----------
    image : AstroImage
        Three display bands are denoised together, as colour; all others band by band.
    model : torch.nn.Module
        With ``name`` and ``denoise(images, noise_sigma)``; see `galaxy_core.models`.
    noise_sigma : float, optional
        Standard deviation of the sky noise in units of ``image.pixels``. Absent, display images leave it to the model
        and linear ones to `galaxy_core.frame_survey.survey_frame`.
    progress : callable, optional
        Called in this thread with the fraction done, in [0, 1]. What it raises ends the work and is passed on.
    uncertainty : bool
        Whether to ask the model how sure it is of each pixel.

    Returns
    -------
    DenoiseResult
        An image without noise (constant, or of zero noise by estimate) comes back as it was. So do, in linear images,
        NaN, infinities, saturated and dead pixels, and areas that were never observed.

    Raises
    ------
    ImageError
        No finite pixel, or a noise that is not positive.
    """
    started = time.perf_counter()
    pixels = np.asarray(image.pixels, dtype=np.float32)
    if not any(np.isfinite(band).any() for band in pixels):
        raise ImageError(f"{image.name} has no finite pixel; there is nothing to denoise.")
    check_noise(noise_sigma, image.name, image.linear)
    colour = pixels.shape[0] == 3 and not image.linear
    groups = [slice(0, 3)] if colour else [slice(band, band + 1) for band in range(len(pixels))]
    sure = uncertainty and says_how_sure(model)
    denoised, std, sigmas = pixels.copy(), np.zeros_like(pixels) if sure else None, []
    for done, bands in enumerate(groups):
        report = part_of(progress, done, len(groups))
        target = denoised[bands], None if std is None else std[bands]
        if image.linear:
            survey = survey_frame(_rows_of(pixels[bands][0]), pixels.shape[1:], image.header)
            sigmas.append(_fill_linear(pixels[bands][0], target, survey, model, noise_sigma, report))
        else:
            sigmas.append(_fill_display(pixels[bands], target, model, noise_sigma, report))
    if progress:
        progress(1.0)
    return DenoiseResult(
        image=pixels,
        denoised=denoised,
        noise_sigma=mean_noise(sigmas) if noise_sigma is None else float(noise_sigma),
        noise_given=noise_sigma is not None,
        linear=image.linear,
        header=image.header,
        name=image.name,
        file_format=image.file_format,
        bits=image.bits,
        model_name=str(model.name),
        seconds=time.perf_counter() - started,
        uncertainty=std,
        weights_sha256=weights_sha256(model),
        bands=("blue", "green", "red") if BLUE_FIRST in image.notes else band_names(image.header, len(pixels), colour),
        noise_sigmas=tuple(sigmas),
        keeps_light=image.linear,
    )


def denoise_band(
    rows: Rows,
    survey: FrameSurvey,
    model: nn.Module,
    noise_sigma: float | None,
    write: WriteRows,
    report: Progress,
    uncertainty: bool = False,
) -> float:
    """Denoise one linear band, read and written in strips of rows; the noise sigma used, in its units.

    Parameters
    ----------
    rows : callable
        Rows from, and up to: float32 (rows, width).
    survey : FrameSurvey
        Of the same rows.
    model, noise_sigma, uncertainty : see `denoise_image`
    write : callable
        Called with each row once, from top to bottom.
    report : callable
    """
    sigma = told_noise(survey, noise_sigma)
    sure = uncertainty and says_how_sure(model)
    units = np.float32(sigma)

    def read(top: int, bottom: int) -> np.ndarray:
        return np.stack([rows(top, bottom), survey.sky(top, bottom)])

    def run(tiles: np.ndarray, sigma_told: float) -> tuple[np.ndarray, np.ndarray | None]:
        return run_grey(model, tiles, sigma_told, sure)

    def shown(band: np.ndarray, sky: np.ndarray) -> np.ndarray:
        signal = (band - sky) / units
        return np.where(survey.untouched(band) | dead_pixels(band, signal), np.float32(np.nan), signal)

    def work(tiles: list[np.ndarray]) -> list[np.ndarray]:
        if sigma == 0:
            unknown = np.float32([0, np.nan])[: 1 + sure, None, None]  # no noise found is no noise known to be none
            return [np.broadcast_to(unknown, (1 + sure, *tile.shape[1:])) for tile in tiles]
        signals = [shown(*tile) for tile in tiles]
        return [units * np.stack(made[: 1 + sure]) for made in correct_in_sigmas(signals, run)]

    def keep(top: int, bottom: int, original: np.ndarray, blended: np.ndarray) -> None:
        band = original[0]
        denoised = np.where(survey.untouched(band), band, band + blended[0])
        nothing = np.isnan(band) | (band == np.float32(survey.blank))
        write(top, bottom, denoised, np.where(nothing, np.float32(np.nan), blended[1]) if sure else None)

    blend_tiles(read, survey.shape, work, keep, report, *tile_workers(), TOGETHER)
    return float(sigma)


def band_names(header: fits.Header | None, n_bands: int, colour: bool = False) -> tuple[str, ...]:
    """Names of bands: red, green, blue of a picture, what the header calls them (BAND1, FILTER1, ...), or numbers."""
    if colour:
        return ("red", "green", "blue")
    cards = header or {}
    if n_bands == 1:
        return (str(cards.get("FILTER", cards.get("BAND", ""))).strip() or "image",)
    numbered = range(1, n_bands + 1)
    said = [str(cards.get(f"BAND{i}", cards.get(f"FILTER{i}", ""))).strip() or f"band {i}" for i in numbered]
    return tuple(said) if len(set(said)) == n_bands else tuple(f"band {i}" for i in numbered)


def part_of(progress: Progress | None, done: int, total: int) -> Progress:
    """Progress of one of several parts, as progress of the whole."""
    return (lambda fraction: progress((done + fraction) / total)) if progress else (lambda fraction: None)


def _rows_of(band: np.ndarray) -> Rows:
    return lambda top, bottom: band[top:bottom]


def _fill_linear(
    band: np.ndarray, target: tuple, survey: FrameSurvey, model: nn.Module, sigma: float | None, report: Progress
) -> float:
    """Denoise one linear band into ``target``, its denoised bands and their standard deviation or None."""

    def write(top: int, bottom: int, denoised: np.ndarray, std: np.ndarray | None) -> None:
        target[0][0, top:bottom] = denoised
        if std is not None:
            target[1][0, top:bottom] = std

    return denoise_band(_rows_of(band), survey, model, sigma, write, report, target[1] is not None)


def _fill_display(
    bands: np.ndarray, target: tuple, model: nn.Module, noise_sigma: float | None, report: Progress
) -> float:
    """Denoise one display image (1 or 3 bands, [0, 1]) into ``target``; the noise sigma used.

    A stamp of at most one tile is denoised in eight positions, so that turning it turns the result.
    """
    sure = target[1] is not None
    # of one value there is nothing to remove
    noise = None if bands.min() == bands.max() else picture_noise(bands, model, noise_sigma)
    if noise is None or noise.sigma <= 0:
        if sure:
            target[1][:] = np.nan
        return 0.0
    turned = max(bands.shape[1:]) <= TILE_PX  # a stamp takes no time; frames would take eight times theirs

    def run(tile: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        correction, _, std = run_model(model, tile, noise.sigma, sure, turned)
        return correction, std

    def work(tiles: list[np.ndarray]) -> list[np.ndarray]:
        made = [correct_picture(tile, noise, run) for tile in tiles]
        return [correction if std is None else np.concatenate([correction, std]) for correction, std in made]

    def write(top: int, bottom: int, original: np.ndarray, blended: np.ndarray) -> None:
        target[0][:, top:bottom] = original + blended[: len(bands)]
        if sure:
            target[1][:, top:bottom] = blended[len(bands) :]

    blend_tiles(lambda top, bottom: bands[:, top:bottom], bands.shape[1:], work, write, report, *tile_workers())
    return noise.sigma
