"""How noisy the cells of a frame are, from differences of pixels a few apart, and how noise adds up in apertures.

And what noise is none: the skew of photons, which is no crowd of sources, and the rounding of a simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy import ndimage

from galaxy_core.box_filters import box_sum
from galaxy_core.correlated_noise import NOISE_SPACING_PX
from galaxy_core.linear_denoising import SKY_MESH_PX
from galaxy_core.noise import MAD_TO_SIGMA, between_counts, estimate_noise

LEAST_USABLE = 0.25  # of the pixels of a cell, for its noise to be measured
APERTURE_SIDES_PX, LEAST_APERTURES = (3, 5, 9, 17), 50  # squares of blank sky, and so many side by side to measure one

PHOTON_SKEW = 5 / 12  # by which 2.5 median - 1.5 mean of photons lies below their mean: the median does by 1/6
# Noise that is the sky's photons alone: its variance over the sky, at least, and beyond the sky, at most, in the noise.
# Light that nobody detects adds to both, and the skew of photons then makes up for the light's own.
LEAST_OF_PHOTONS, MOST_CROWD = 0.8, 0.2
ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of the sky, for noise
# Response at a spacing of one pixel over that at four. Smooth light alone has 1/256, noise smoothed by a Gaussian of
# 9 pixels FWHM 1/171.
SMOOTH = 1 / 220


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


def photon_skew(windows: Sequence[np.ndarray], level: float, sigma: float) -> float:
    """What to add to a sky of ``level`` by `galaxy_core.noise.estimate_sky`; 0 unless its pixels count photons.

    Parameters
    ----------
    windows : sequence of ndarray, shape (height, width)
        Of the frame.
    level, sigma : float
        Sky and noise.

    Returns
    -------
    float
        In counts: 5/12 for the Poisson distribution, whose median lies 1/6 below its mean once counts are spread over
        their steps (`galaxy_core.noise.between_counts`).
    """
    sky = level + PHOTON_SKEW
    if not LEAST_OF_PHOTONS * sky < sigma**2 < sky + MOST_CROWD * sigma:
        return 0.0
    return PHOTON_SKEW if all(((one == np.rint(one)) | ~np.isfinite(one)).all() for one in windows) else 0.0


def is_noiseless(windows: Sequence[np.ndarray], level: float, sigma: float) -> bool:
    """Whether what was measured as the noise is rounding, or the curvature of smooth light, as in simulations."""
    if sigma < ROUNDING * abs(level):
        return True
    near, far = (np.array([estimate_noise(one, spacing) for one in windows]) for spacing in (1, 4))
    return bool(np.median(near) < SMOOTH * np.median(far))
