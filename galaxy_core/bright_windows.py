"""The second look of the denoiser at a tile, where it is needed: windows around bright pixels.

A few stars in a tile are no reason to run a network over all of it again. Pixels this far from the border of a window
come out as in the whole tile to about a hundredth of the noise (root mean square on a KiDS frame).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

MARGIN_PX = 16
SIDES_PX = (48, 64, 96, 128)  # of square windows; few, because a network prepares anew for each shape
CALL_PX = 4000  # what calling a network costs, in pixels worked on in that time

Run = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray | None]]


def run_where(run: Run, needed: np.ndarray) -> Run:
    """A function of tiles that works in windows around the pixels that need it, with zeros outside of them.

    Parameters
    ----------
    run : callable
        Tile (height, width) and noise sigma to correction and standard deviation (or None) of the same shape.
    needed : ndarray of bool, shape (height, width)
    """
    windows = bright_windows(needed)
    if sum(needed[window].size + CALL_PX for window in windows) > needed.size:
        return run  # the whole tile takes no longer

    def run_windows(tile: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray | None]:
        correction, std = np.zeros_like(tile), None
        for window in windows:
            correction[window], errors = run(np.ascontiguousarray(tile[window]), sigma)
            if errors is not None:
                std = np.zeros_like(tile) if std is None else std
                std[window] = errors
        return correction, std

    return run_windows


def bright_windows(needed: np.ndarray) -> list[tuple[slice, slice]]:
    """Windows (rows, columns) that hold every needed pixel and ``MARGIN_PX`` around it, as far as the tile goes."""
    near = ndimage.maximum_filter(needed, size=2 * MARGIN_PX + 1, mode="constant")
    windows = []
    for box in ndimage.find_objects(ndimage.label(near)[0]):
        longest = max(part.stop - part.start for part in box)
        length = next((usual for usual in SIDES_PX if usual >= longest), max(needed.shape))
        starts = [max(min(part.start, side - length), 0) for part, side in zip(box, needed.shape, strict=True)]
        windows.append(tuple(slice(start, start + length) for start in starts))
    return windows
