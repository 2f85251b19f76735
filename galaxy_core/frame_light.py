"""Light over the sky and its noise, in a part of a frame, and the bands summed for the search of sources.

The noise is variance-aware: its level comes from the frame's survey, and how it changes over the frame from the
scatter of differences between pixels a few apart, in cells of 64 pixels, which no sky gradient and hardly any galaxy
sees. Bands are summed each in units of its noise, ``sum_b(light_b / noise_b) / sqrt(n)``: the sum of the highest signal
to noise for a source that is as well seen in each band, and it needs no zero points (cf. Szalay, Connolly and Szokoly
1999, AJ 117, 68, whose chi-squared image also keeps sources of one band, at more noise for all others).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy import ndimage

from galaxy_core.frame_bands import Band
from galaxy_core.linear_denoising import MIN_MESH_SIDE_PX, NOISE_SPACING_PX, SKY_MESH_PX
from galaxy_core.noise import MAD_TO_SIGMA

NOISE_RANGE = (0.2, 5.0)  # of a cell's noise over the frame's
LEAST_USABLE = 0.25  # of the pixels of a cell, for its noise to be measured


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
    light = values - survey.sky(window.top, window.bottom)[:, columns]
    light[unusable] = 0
    return BandLight(light, noise_map(light, unusable, survey.sigma), unusable, saturated)


def noise_map(light: np.ndarray, unusable: np.ndarray, sigma: float) -> np.ndarray:
    """Noise of every pixel, float32 (height, width), of which ``sigma`` is the median over cells.

    One number for windows less than 256 pixels a side.
    """
    if min(light.shape) < MIN_MESH_SIDE_PX:
        return np.full(light.shape, sigma, dtype=np.float32)
    edges = [np.rint(np.linspace(0, side, round(side / SKY_MESH_PX) + 1)).astype(int) for side in light.shape]
    cells = np.array([[_scatter(light, unusable, rows, columns) for columns in pairwise(edges[1])]
                      for rows in pairwise(edges[0])])  # fmt: skip
    known = np.isfinite(cells) & (cells > 0)
    if not known.any():
        return np.full(light.shape, sigma, dtype=np.float32)
    cells = np.where(known, cells, np.median(cells[known]))
    cells = ndimage.median_filter(cells, size=3, mode="nearest")
    relative = np.clip(cells / np.median(cells), *NOISE_RANGE)
    down, across = (_between(edge) for edge in edges)
    return (sigma * (down @ relative @ across.T)).astype(np.float32)


def _scatter(light: np.ndarray, unusable: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> float:
    """Noise of one cell, from every second row; NaN with too few usable pixels."""
    cell = light[rows[0] : rows[1] : 2, columns[0] : columns[1]]
    hidden = unusable[rows[0] : rows[1] : 2, columns[0] : columns[1]]
    difference = cell[:, NOISE_SPACING_PX:] - cell[:, :-NOISE_SPACING_PX]
    if hidden.any():
        usable = ~(hidden[:, NOISE_SPACING_PX:] | hidden[:, :-NOISE_SPACING_PX])
        if usable.mean() < LEAST_USABLE:
            return float("nan")
        difference = difference[usable]
    return MAD_TO_SIGMA / np.sqrt(2) * float(np.median(np.abs(difference)))


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
