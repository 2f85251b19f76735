"""Light over the sky and its noise, in a part of a frame, and the bands summed for the search of sources.

The noise is variance-aware: its level comes from the frame's survey, and how it changes over the frame from the
scatter of differences between pixels a few apart, in cells of 64 pixels, which no sky gradient and hardly any galaxy
sees. All parts of a frame are measured by one reference, so that a threshold holds for all of them. Bands are summed
each in units of its noise, ``sum_b(light_b / noise_b) / sqrt(n)``: the sum of the highest signal to noise for a source
that is as well seen in each band, and it needs no zero points (cf. Szalay, Connolly and Szokoly 1999, AJ 117, 68, whose
chi-squared image also keeps sources of one band, at more noise for all others).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from galaxy_core.frame_bands import Band
from galaxy_core.frame_noise import cell_edges, noise_cells
from galaxy_core.linear_denoising import MIN_MESH_SIDE_PX

NOISE_RANGE = (0.2, 5.0)  # of a cell's noise over the frame's


@dataclass(frozen=True)
class Window:
    """A part of a frame: rows ``top`` up to ``bottom`` and columns ``left`` up to ``right``."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class BandLight:
    """One band in a window.

    Attributes
    ----------
    light : ndarray of float32, shape (height, width)
        Sky-subtracted, in the file's units; 0 where ``unusable``.
    noise : ndarray of float32, shape (height, width)
        Standard deviation of a pixel's noise.
    unusable : ndarray of bool, shape (height, width)
        NaN, infinite, or never observed.
    saturated : ndarray of bool, shape (height, width)
    """

    light: np.ndarray = field(repr=False)
    noise: np.ndarray = field(repr=False)
    unusable: np.ndarray = field(repr=False)
    saturated: np.ndarray = field(repr=False)


def read_light(band: Band, window: Window) -> BandLight:
    """Light and noise of one band in a window."""
    columns = slice(window.left, window.right)
    values = band.rows(window.top, window.bottom)[:, columns]
    survey = band.survey
    unusable = ~np.isfinite(values)
    if np.isfinite(survey.blank):
        unusable |= values == np.float32(survey.blank)
    saturated = values >= np.float32(survey.saturated_from)
    saturated &= ~unusable
    light = values - survey.sky(window.top, window.bottom, columns)
    light[unusable] = 0
    if band.noise is not None:
        noise = band.noise(window.top, window.bottom)[:, columns]
        return BandLight(light, np.where(np.isfinite(noise), noise, np.float32(survey.sigma)), unusable, saturated)
    # of pixels as they are, where whole numbers are known as such; the sky has no part in differences over a few pixels
    noise = noise_map(np.where(unusable, 0, values), unusable, survey.sigma, survey.scatter)
    return BandLight(light, noise, unusable, saturated)


def noise_map(light: np.ndarray, unusable: np.ndarray, sigma: float, reference: float = math.nan) -> np.ndarray:
    """Noise of every pixel, float32 (height, width); one number for windows less than 256 pixels a side.

    Parameters
    ----------
    light, unusable : see `BandLight`
    sigma : float
        Noise of a pixel in the units of ``light``.
    reference : float
        Scatter of the cells whose noise is ``sigma``; NaN: the median of the window's cells.
    """
    flat = np.full(light.shape, sigma, dtype=np.float32)
    if min(light.shape) < MIN_MESH_SIDE_PX:
        return flat
    cells = noise_cells(light, unusable)
    if cells is None:
        return flat
    relative = np.clip(cells / (np.median(cells) if np.isnan(reference) else reference), *NOISE_RANGE)
    down, across = (_between(cell_edges(side)) for side in light.shape)
    return (sigma * (down @ relative @ across.T)).astype(np.float32)


def _between(edges: np.ndarray) -> np.ndarray:
    """Share of each cell in each pixel, float32 (side, cells): straight lines between the cells' centres."""
    centres = (edges[:-1] + edges[1:] - 1) / 2
    pixels = np.arange(edges[-1])
    one = np.eye(len(centres))
    return np.column_stack([np.interp(pixels, centres, row) for row in one]).astype(np.float32)


def sum_of_bands(bands: Sequence[BandLight]) -> tuple[np.ndarray, np.ndarray]:
    """Light of all bands in units of its noise, float32 (height, width), and where no band has any: bool.

    Where some bands are missing, the others are summed. 0 where all are.
    """
    if len(bands) == 1:
        return bands[0].light / bands[0].noise, bands[0].unusable
    total = np.zeros(bands[0].light.shape, dtype=np.float32)
    count = np.zeros(total.shape, dtype=np.float32)
    for band in bands:
        total += band.light / band.noise
        count += ~band.unusable
    return total / np.sqrt(np.maximum(count, 1)), count == 0
