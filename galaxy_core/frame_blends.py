"""Blends: the objects of a frame that catalogues which part less tell as one, and where such a catalogue has it.

Surveys keep the parents of parted objects beside them (Lupton et al. 2001, ASP Conf. 238, 269). Here a blend is what
SExtractor's defaults draw one isophote around: pixels in which the light, smoothed by its 3 x 3 filter, is above 1.5
times a pixel's noise, neighbours along sides and corners (Bertin & Arnouts 1996, A&AS 117, 393, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from galaxy_core.frame_segments import SEP_KERNEL

ISOPHOTE_SIGMA = 1.5
WEIGHTS = SEP_KERNEL[1] / SEP_KERNEL[1].sum()  # of three pixels in a row: the filter is that along both axes


@dataclass(frozen=True)
class Blends:
    """Of each object: how many share its isophote, and the barycentre of all light in it.

    Attributes
    ----------
    n : ndarray of int32, shape (n,)
        1 for an object on its own.
    x, y : ndarray of float64, shape (n,)
        0 is the centre of the window's first pixel; NaN for an object on its own.
    """

    n: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def take(self, rows: np.ndarray) -> Blends:
        """Of some of the objects."""
        return Blends(self.n[rows], self.x[rows], self.y[rows])


def find_blends(signal: np.ndarray, x: np.ndarray, y: np.ndarray) -> Blends:
    """Which objects of a window share an isophote.

    Parameters
    ----------
    signal : ndarray of float32, shape (height, width)
        Finite light over the sky in units of a pixel's noise.
    x, y : ndarray of float64, shape (n,)
        Positions of objects.
    """
    alone = Blends(np.ones(len(x), np.int32), np.full(len(x), np.nan), np.full(len(x), np.nan))
    if len(x) < 2:
        return alone
    smooth = smoothed(signal)
    islands, n_islands = ndimage.label(smooth > ISOPHOTE_SIGMA, np.ones((3, 3)))
    height, width = signal.shape
    row, column = np.clip(np.rint(y), 0, height - 1).astype(int), np.clip(np.rint(x), 0, width - 1).astype(int)
    island = islands[row, column]
    members = np.bincount(island, minlength=n_islands + 1)
    members[0] = 0  # sky, which faint objects lie in, is no blend
    rows, columns = np.nonzero((members > 1)[islands])
    if not len(rows):
        return alone
    of, light = islands[rows, columns], smooth[rows, columns].astype(np.float64)
    whole = np.maximum(np.bincount(of, light, n_islands + 1), 1e-30)
    shared = members[island] > 1
    middles = (np.bincount(of, light * places, n_islands + 1) / whole for places in (columns, rows))
    x_blend, y_blend = (np.where(shared, middle[island], np.nan) for middle in middles)
    return Blends(np.where(shared, members[island], 1).astype(np.int32), x_blend, y_blend)


def smoothed(signal: np.ndarray) -> np.ndarray:
    """SExtractor's default 3 x 3 filter, nothing lying beyond the edges; float32 (height, width)."""
    down = ndimage.correlate1d(signal, WEIGHTS, axis=0, mode="constant")
    return ndimage.correlate1d(down, WEIGHTS, axis=1, mode="constant")
