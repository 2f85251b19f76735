"""The sky of a whole frame from that of its cells: a spline through a mesh, or a plane where a frame is too small.

A mesh fine enough for a frame of 200 pixels would swallow its galaxy. The two slopes of a plane do not, if they are
taken only where the sky of 25 cells lies on one: the light of a galaxy falls off, and leaves some cells far from any.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from galaxy_core.noise import MAD_TO_SIGMA, between_counts, estimate_sky

CELLS, LEAST_SIDE_PX = 5, 60  # along each side, and pixels for that
LEAST_USABLE, LEAST_CELLS = 0.5, 15  # of a cell's pixels, and of the cells
# Range of the plane over the scatter of the cells about it, at least: 0 of 300 simulated galaxies pass, from small to
# those that fill the frame, in the middle and off it (5 pass at 8); a slope of 0.005 of the noise does over 150 pixels.
CLEAR = 10.0
TURNS, LEAST_RESIDUAL = 30, 1e-3


def mended(level: np.ndarray) -> np.ndarray:
    """Cells without a sky take the nearest one's; then the median of 3 x 3, which drops cells full of a galaxy.

    Beyond the border the sky goes on as it does up to it: with cells repeated there, a sky that slopes by a fifth of
    the noise over ten pixels lies 1.6 times the noise off in the corners, and is found to be full of objects.
    """
    bad = ~np.isfinite(level)
    if bad.all():
        return np.zeros_like(level)
    if bad.any():
        nearest = ndimage.distance_transform_edt(bad, return_distances=False, return_indices=True)
        level = level[tuple(nearest)]
    if level.size == 1:
        return level
    wide = np.pad(level, 1, mode="reflect", reflect_type="odd")
    return ndimage.median_filter(wide, size=3)[1:-1, 1:-1]


def spline_weights(edges: np.ndarray) -> np.ndarray:
    """Share of each cell's value in each pixel, (side, cells): a natural cubic spline, straight beyond the ends."""
    side, cells = int(edges[-1]), len(edges) - 1
    if cells == 1:
        return np.ones((side, 1))
    from scipy.interpolate import CubicSpline

    centres = (edges[:-1] + edges[1:] - 1) / 2
    spline = CubicSpline(centres, np.eye(cells), bc_type="natural")
    pixels = np.arange(side)
    inside = np.clip(pixels, centres[0], centres[-1])
    return spline(inside) + (pixels - inside)[:, None] * spline(inside, 1)


def plane(pixels: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """Levels of a sky that slopes and their shares in rows and columns, as of a mesh; None where it has one level.

    Parameters
    ----------
    pixels : ndarray of float32, shape (height, width)
        NaN where there is no measurement.
    """
    along, across = slope(pixels)
    if not along and not across:
        return None
    shares = [np.column_stack([np.ones(side), np.arange(side) - (side - 1) / 2]) for side in pixels.shape]
    tilt = along * shares[0][:, 1:] + across * shares[1][:, 1]
    level = estimate_sky(between_counts(pixels) - tilt).level
    return np.array([[level, across], [along, 0.0]]), shares


def slope(pixels: np.ndarray) -> tuple[float, float]:
    """Slope of the sky along y and along x, per pixel; zeros where it is not clearly a plane.

    The sky of each cell (`galaxy_core.noise.estimate_sky`) is fitted by a plane with the least sum of absolute
    residuals, by weights in turns (Schlossmacher 1973, JASA 68, 857), so cells full of a galaxy draw it little.

    Parameters
    ----------
    pixels : ndarray of float32, shape (height, width)
        NaN where there is no measurement.
    """
    if min(pixels.shape) < LEAST_SIDE_PX:
        return 0.0, 0.0
    edges = [np.rint(np.linspace(0, side, CELLS + 1)).astype(int) for side in pixels.shape]
    levels, terms = [], []
    for top, bottom in pairwise(edges[0]):
        for left, right in pairwise(edges[1]):
            cell = pixels[top:bottom, left:right]
            if np.isfinite(cell).mean() >= LEAST_USABLE:
                levels.append(estimate_sky(between_counts(cell)).level)
                terms.append((1.0, (top + bottom) / 2, (left + right) / 2))
    if len(levels) < LEAST_CELLS:
        return 0.0, 0.0
    level, design, weight = np.array(levels), np.array(terms), np.ones(len(levels))
    for _ in range(TURNS):
        root = np.sqrt(weight)
        fitted = np.linalg.lstsq(design * root[:, None], level * root, rcond=None)[0]
        off = np.abs(level - design @ fitted)
        weight = 1 / np.maximum(off, LEAST_RESIDUAL * np.median(off) + np.finfo(float).tiny)
    scatter = MAD_TO_SIGMA * np.median(off) * np.sqrt(len(off) / (len(off) - 3))
    along, across = (float(part) for part in fitted[1:])
    span = abs(along) * pixels.shape[0] + abs(across) * pixels.shape[1]
    return (along, across) if span > CLEAR * scatter > 0 else (0.0, 0.0)
