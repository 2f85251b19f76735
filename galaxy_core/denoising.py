"""Denoise any image with a trained model: one call, one frozen result, the same for the page and the command.

The image is worked on in overlapping tiles whose *corrections* are blended, so memory stays bounded, no seam shows, and
a model that changes nothing returns the input bit for bit. What linear frames need besides is in `linear_denoising`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.errors import ImageError
from galaxy_core.images import AstroImage, encode_png, encode_png16
from galaxy_core.linear_denoising import correct_in_sigmas, linear_noise_sigma, sky_map
from galaxy_core.tiles import TILE_PX, Progress, apply_in_tiles

if TYPE_CHECKING:
    from astropy.io import fits
    from torch import nn


@dataclass(frozen=True)
class DenoiseResult:
    """What was put in, what came out, and how.

    Attributes
    ----------
    image, denoised, residual : ndarray of float32, shape (bands, height, width)
        In the input's units; ``residual = image - denoised`` exactly. NaN where the input has it.
    noise_sigma : float
        Standard deviation of the sky noise, in the units of ``image``: as given, or estimated.
    noise_given : bool
        Whether ``noise_sigma`` was given by the caller.
    linear : bool
    header : astropy.io.fits.Header or None
    name, file_format, bits : as in `galaxy_core.images.AstroImage`
    model_name : str
    seconds : float
        Wall time.
    """

    image: np.ndarray = field(repr=False)
    denoised: np.ndarray = field(repr=False)
    residual: np.ndarray = field(repr=False)
    noise_sigma: float
    noise_given: bool
    linear: bool
    header: fits.Header | None = field(repr=False)
    name: str
    file_format: str
    bits: int
    model_name: str
    seconds: float


def denoise_image(
    image: AstroImage, model: nn.Module, noise_sigma: float | None = None, progress: Progress | None = None
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
        and linear ones to `galaxy_core.noise.estimate_noise`.
    progress : callable, optional
        Called with the fraction done, in [0, 1].

    Returns
    -------
    DenoiseResult
        An image without noise (constant, or of zero estimated noise) comes back as it was.

    Raises
    ------
    ImageError
        No finite pixel, or a noise that is not positive.
    """
    started = time.perf_counter()
    pixels = np.asarray(image.pixels, dtype=np.float32)
    finite = np.isfinite(pixels)
    if not finite.any():
        raise ImageError(f"{image.name} has no finite pixel; there is nothing to denoise.")
    if noise_sigma is not None and not (np.isfinite(noise_sigma) and noise_sigma > 0):
        raise ImageError(f"The noise of {image.name} must be a positive number, not {noise_sigma}.")
    groups = (
        [slice(0, 3)] if pixels.shape[0] == 3 and not image.linear else [slice(b, b + 1) for b in range(len(pixels))]
    )
    denoised, sigmas = pixels.copy(), []
    for done, bands in enumerate(groups):
        report = _part(progress, done, len(groups))
        values = pixels[bands][finite[bands]]
        if values.size == 0 or values.min() == values.max():
            sigma = 0.0  # nothing but one value: nothing to remove
        elif image.linear:
            sigma = _denoise_linear(denoised[bands][0], model, noise_sigma, report)
        else:
            sigma = _denoise_display(denoised[bands], model, noise_sigma, report)
        sigmas.append(sigma)
    with np.errstate(invalid="ignore"):  # infinity minus itself
        residual = pixels - denoised
    if progress:
        progress(1.0)
    sigma = float(np.sqrt(np.mean(np.square(sigmas)))) if noise_sigma is None else float(noise_sigma)
    return DenoiseResult(
        image=pixels,
        denoised=denoised,
        residual=residual,
        noise_sigma=sigma,
        noise_given=noise_sigma is not None,
        linear=image.linear,
        header=image.header,
        name=image.name,
        file_format=image.file_format,
        bits=image.bits,
        model_name=str(model.name),
        seconds=time.perf_counter() - started,
    )


def encode_result(result: DenoiseResult, as_fits: bool = False) -> dict[str, bytes]:
    """Files to save, by name: the denoised image and the residual in the input's kind of format.

    FITS and float TIFF become FITS with header and HISTORY; 16-bit grey stays 16-bit; all else is 8-bit PNG. In a
    picture of the residual zero is mid-grey, black and white are -1 and +1 of full scale; with ``as_fits`` pictures
    become FITS too, in [0, 1] and unrounded.
    """
    stem = PurePath(result.name).name
    for suffix in (".gz", ".fz", PurePath(stem.removesuffix(".gz").removesuffix(".fz")).suffix):
        stem = stem.removesuffix(suffix) if suffix else stem
    if result.linear or as_fits:
        from galaxy_core.fits_images import encode_fits

        return {
            f"{stem}_denoised.fits": encode_fits(result.denoised, result.header, _history(result, "denoised")),
            f"{stem}_residual.fits": encode_fits(result.residual, result.header, _history(result, "residual")),
        }
    pictures = {f"{stem}_denoised.png": result.denoised, f"{stem}_residual.png": 0.5 + 0.5 * result.residual}
    deep = result.bits == 16 and result.image.shape[0] == 1
    return {name: encode_png16(values) if deep else encode_png(values) for name, values in pictures.items()}


def _history(result: DenoiseResult, what: str) -> list[str]:
    origin = "given by the user" if result.noise_given else "estimated from the pixels"
    first = "denoised image" if what == "denoised" else "residual = input - denoised image"
    return [
        f"Galaxy Atlas: {first}, model {result.model_name}, sky noise sigma {result.noise_sigma:.4g} {origin}.",
        "Sky and flux scale are those of the input; NaN and pixels far above the noise are unchanged.",
    ]


def _part(progress: Progress | None, done: int, total: int) -> Progress:
    """Progress of one of several parts, as progress of the whole."""
    return (lambda fraction: progress((done + fraction) / total)) if progress else (lambda fraction: None)


def _denoise_display(bands: np.ndarray, model: nn.Module, noise_sigma: float | None, report: Progress) -> float:
    """Denoise one display image (1 or 3 bands, [0, 1]) in place; the noise sigma used."""
    sigma = _model_noise(bands, model) if noise_sigma is None else noise_sigma
    if sigma > 0:
        apply_in_tiles(bands, lambda tile: _run_model(model, tile, sigma)[0], report)
    return float(sigma)


def _denoise_linear(band: np.ndarray, model: nn.Module, noise_sigma: float | None, report: Progress) -> float:
    """Denoise one linear band (height, width) in place; the noise sigma used, in its units."""
    sigma = linear_noise_sigma(band) if noise_sigma is None else noise_sigma
    if sigma <= 0:
        return 0.0
    sky = sky_map(band)

    def run(tile: np.ndarray, sigma_told: float) -> tuple[np.ndarray, None]:
        return _run_model(model, tile[None], sigma_told)[0][0], None

    def correct(tile: np.ndarray) -> np.ndarray:
        correction = np.zeros_like(tile)
        correction[0] = sigma * correct_in_sigmas((tile[0] - tile[1]) / np.float32(sigma), run)[0]
        return correction

    stack = np.stack([band, sky])
    apply_in_tiles(stack, correct, report)
    band[...] = stack[0]
    return float(sigma)


def _run_model(model: nn.Module, tile: np.ndarray, sigma: float | None) -> tuple[np.ndarray, float]:
    """Correction of one tile, float32 (1 or 3, height, width), and the noise sigma the model used.

    A grey tile is shown as three equal bands, and their corrections averaged.
    """
    import torch

    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    colour = np.broadcast_to(tile, (3, *tile.shape[1:])).astype(np.float32)
    told = None if sigma is None else torch.tensor([sigma], dtype=torch.float32, device=device)
    with torch.inference_mode():
        denoised, used = model.denoise(torch.from_numpy(colour)[None].to(device), told)
    correction = denoised[0].float().cpu().numpy() - colour
    return (correction if len(tile) == 3 else correction.mean(axis=0, keepdims=True)), float(used[0])


def _model_noise(bands: np.ndarray, model: nn.Module) -> float:
    """Noise the model sees in a display image: the median over up to nine windows spread evenly over it."""
    size = TILE_PX // 2
    height, width = bands.shape[1:]
    tops, lefts = (sorted({int(f * max(side - size, 0)) for f in (0, 0.5, 1)}) for side in (height, width))
    windows = [bands[:, top : top + size, left : left + size] for top in tops for left in lefts]
    return float(np.median([_run_model(model, window, None)[1] for window in windows]))
