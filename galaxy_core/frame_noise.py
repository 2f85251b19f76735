"""How noisy the cells of a frame are, from differences of pixels a few apart, and how noise adds up in apertures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from galaxy_core.box_filters import box_sum
from galaxy_core.correlated_noise import NOISE_SPACING_PX
from galaxy_core.linear_denoising import SKY_MESH_PX
from galaxy_core.noise import MAD_TO_SIGMA, between_counts

LEAST_USABLE = 0.25  # of the pixels of a cell, for its noise to be measured
APERTURE_SIDES_PX, LEAST_APERTURES = (3, 5, 9, 17), 50  # squares of blank sky, and so many side by side to measure one


def cell_edges(side: int) -> np.ndarray:
    """Borders of cells of about ``SKY_MESH_PX``, none of them narrow."""
    return np.rint(np.linspace(0, side, max(round(side / SKY_MESH_PX), 1) + 1)).astype(int)


def noise_cells(light: np.ndarray, unusable: np.ndarray) -> np.ndarray | None:
    """Scatter of every cell of `cell_edges`, the median of 3 x 3 of them; None where none can be measured.

    Parameters
    ----------
    light : ndarray of float32, shape (height, width)
        Finite.
    unusable : ndarray of bool, shape (height, width)

    Returns
    -------
    ndarray of float64, shape (rows of cells, columns of cells)
        In the units of ``light``. Cells with too few usable pixels have the median of the others.
    """
    edges = [cell_edges(side) for side in light.shape]
    cells = np.array([[_scatter(light, unusable, rows, columns) for columns in pairwise(edges[1])]
                      for rows in pairwise(edges[0])])  # fmt: skip
    known = np.isfinite(cells) & (cells > 0)
    if not known.any():
        return None
    cells = np.where(known, cells, np.median(cells[known]))
    return ndimage.median_filter(cells, size=3, mode="nearest")


def _scatter(light: np.ndarray, unusable: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> float:
    """Noise of one cell, from every second row; NaN with too few usable pixels."""
    cell = between_counts(light[rows[0] : rows[1] : 2, columns[0] : columns[1]])
    hidden = unusable[rows[0] : rows[1] : 2, columns[0] : columns[1]]
    difference = cell[:, NOISE_SPACING_PX:] - cell[:, :-NOISE_SPACING_PX]
    if hidden.any():
        usable = ~(hidden[:, NOISE_SPACING_PX:] | hidden[:, :-NOISE_SPACING_PX])
        if usable.mean() < LEAST_USABLE:
            return float("nan")
        difference = difference[usable]
    return MAD_TO_SIGMA / np.sqrt(2) * float(np.median(np.abs(difference)))


def aperture_growth(signal: np.ndarray, free: np.ndarray) -> np.ndarray | None:
    """Scatter of light summed over blank apertures, beside that of white noise of one a pixel.

    Neighbouring pixels share noise where frames are drizzled, resampled or blurred, and faint light that nobody detects
    is shared, too, so sums over n pixels scatter by more than the root of n. How much is read off the sky itself, as
    for deep fields (Labbe et al. 2003, AJ 125, 1107; Gawiser et al. 2006, ApJS 162, 1).

    Parameters
    ----------
    signal : ndarray of float32, shape (height, width)
        Finite light over the sky in units of a pixel's noise.
    free : ndarray of bool, same shape
        Pixels of no source and no gap.

    Returns
    -------
    ndarray of float64, shape (len(APERTURE_SIDES_PX),), or None
        For squares of each side; where fewer than 50 fit, that of the next smaller ones. None where no side can tell.
    """
    found = []
    for side in APERTURE_SIDES_PX:
        sums = box_sum(np.where(free, signal, 0), side)[box_sum(free.astype(np.float32), side) == side**2]
        if sums.size < LEAST_APERTURES * side**2:
            break
        found.append(MAD_TO_SIGMA * float(np.median(np.abs(sums - np.median(sums)))) / side)
    return np.array(found + found[-1:] * (len(APERTURE_SIDES_PX) - len(found))) if found else None
