"""How noisy a picture is, and how one is denoised whose neighbouring pixels share their noise.

Neighbours do in pictures that were compressed, resampled or drizzled. The networks were trained on white noise: of what
neighbours share they see a third and take the rest for structure. Pixels a few apart share little. So such a picture is
parted into its every second (third, fourth) pixels, the parts are denoised with noise measured over five pixels, and
are put together again ("pixel-shuffle down-sampling": Zhou et al. 2020, AAAI 34, 13074).

Pictures of SDSS as they are downloaded hold some such noise, too, and are what the networks learned as clean. What is
no louder than theirs is left alone, and so is light that differs ever more the farther pixels are apart: that is
structure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.correlated_noise import PICTURE_FADE_IN, PICTURE_SPACINGS_PX, noise_left_in_picture, smooth_step
from galaxy_core.denoiser_calls import run_model
from galaxy_core.noise import PUBLISHED_SIGMA, estimate_noise
from galaxy_core.tiles import TILE_PX

if TYPE_CHECKING:
    from torch import nn

WINDOW_PX = TILE_PX // 2
PARTED_FADE_IN = (1.75, 2.75)  # growth of noise from neighbours to the next but one; below, the level alone was wrong
LOUD = (0.41 * PUBLISHED_SIGMA, 0.5 * PUBLISHED_SIGMA)  # noise from which, and surely, it is not what SDSS has anyway
STRUCTURE_PX, STRUCTURE_FADE_IN = 10, (1.4, 1.7)  # growth up to this spacing of what is structure
FARTHER = (1.9, 3.0)  # growth of noise from two pixels to five from which pixels three, and four, apart are taken
LEAST_PART_PX = 16  # a side
LEFT_SPACING = 4  # noise left in parts is shared by their neighbours: it is seen over so many of these

Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]  # a tile's correction, and its error or None


@dataclass(frozen=True)
class PictureNoise:
    """Noise of a picture.

    Attributes
    ----------
    sigma : float
        Standard deviation, in the picture's range: what the model is told.
    stride : int
        Distance of pixels that share little noise.
    parted : float
        How much of the result comes from parts of such pixels, 0 to 1: 0 where noise is white.
    """

    sigma: float
    stride: int = 1
    parted: float = 0.0


def picture_noise(bands: np.ndarray, model: nn.Module, noise_sigma: float | None = None) -> PictureNoise:
    """Measure the noise of a picture, by medians over up to nine windows spread evenly over it.

    Where it is white, its level is what the model sees; where neighbours share it, what differs over five pixels, to a
    tenth of it, but a fifth too little where a third of the sky is cut off at black.

    Parameters
    ----------
    bands : ndarray of float32, shape (1 or 3, height, width)
        In [0, 1].
    model : torch.nn.Module
        Of `galaxy_core.denoising.denoise_image`.
    noise_sigma : float, optional
        Where it is known.
    """
    height, width = bands.shape[1:]
    tops, lefts = (sorted({int(f * max(side - WINDOW_PX, 0)) for f in (0, 0.5, 1)}) for side in (height, width))
    windows = [bands[:, top : top + WINDOW_PX, left : left + WINDOW_PX] for top in tops for left in lefts]
    spacings = (*PICTURE_SPACINGS_PX, STRUCTURE_PX)
    noises = np.array([[estimate_noise(window, spacing) for spacing in spacings] for window in windows])
    growth, farther, structure = np.median(noises[:, 1:] / np.maximum(noises[:, :-1], 1e-6), axis=0)
    over_five = float(np.median(noises[:, 2]))
    loud = smooth_step(over_five, *LOUD) * (1 - smooth_step(structure, *STRUCTURE_FADE_IN))
    if noise_sigma is None:
        seen = float(np.median([run_model(model, window, None)[1] for window in windows]))
        noise_sigma = seen + float(loud * smooth_step(growth, *PICTURE_FADE_IN)) * max(over_five - seen, 0.0)
    stride = min(2 + sum(bool(farther > least) for least in FARTHER), min(height, width) // LEAST_PART_PX)
    parted = float(loud * smooth_step(growth, *PARTED_FADE_IN)) if stride > 1 else 0.0
    return PictureNoise(float(noise_sigma), stride if parted else 1, parted)


def correct_picture(tile: np.ndarray, noise: PictureNoise, run: Run) -> tuple[np.ndarray, np.ndarray | None]:
    """What to add to a tile of a picture, and one standard deviation of the result or None.

    Parameters
    ----------
    tile : ndarray of float32, shape (bands, height, width)
    run : callable
        The model, told ``noise.sigma``.
    """
    correction, std = run(tile) if noise.parted < 1 else (None, None)
    if noise.parted:
        in_parts = _run_in_parts(tile, noise.stride, run)
        if correction is None:
            correction, std = in_parts
        else:
            share = np.float32(noise.parted)
            correction = correction + share * (in_parts[0] - correction)
            std = None if std is None else std + share * (in_parts[1] - std)
    if std is not None:
        wide = PICTURE_SPACINGS_PX[-1]
        wide = round(wide + noise.parted * (LEFT_SPACING * noise.stride - wide))
        std = np.hypot(std, noise_left_in_picture(tile, tile + correction, wide))
    return correction, std


def _run_in_parts(tile: np.ndarray, stride: int, run: Run) -> tuple[np.ndarray, np.ndarray | None]:
    correction, std = np.empty_like(tile), np.empty_like(tile)
    for top in range(stride):
        for left in range(stride):
            part = (slice(None), slice(top, None, stride), slice(left, None, stride))
            correction[part], made_std = run(np.ascontiguousarray(tile[part]))
            if made_std is None:
                std = None
            else:
                std[part] = made_std
    return correction, std
