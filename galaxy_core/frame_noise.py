"""How noisy the cells of a frame are, from differences of pixels a few apart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from galaxy_core.linear_denoising import NOISE_SPACING_PX, SKY_MESH_PX
from galaxy_core.noise import MAD_TO_SIGMA

LEAST_USABLE = 0.25  # of the pixels of a cell, for its noise to be measured


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
    cell = light[rows[0] : rows[1] : 2, columns[0] : columns[1]]
    hidden = unusable[rows[0] : rows[1] : 2, columns[0] : columns[1]]
    difference = cell[:, NOISE_SPACING_PX:] - cell[:, :-NOISE_SPACING_PX]
    if hidden.any():
        usable = ~(hidden[:, NOISE_SPACING_PX:] | hidden[:, :-NOISE_SPACING_PX])
        if usable.mean() < LEAST_USABLE:
            return float("nan")
        difference = difference[usable]
    return MAD_TO_SIGMA / np.sqrt(2) * float(np.median(np.abs(difference)))
