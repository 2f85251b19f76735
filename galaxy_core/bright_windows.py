"""Where in a tile there is something bright, so that what is done for it is done there alone.

A few stars in a tile are no reason to run a network over all of it again: the second look is at windows around bright
pixels, those of one size in one call. Pixels `MARGIN_PX` from the border of a window come out as in the whole tile to
a few hundredths of the noise (root mean square over bright pixels of a KiDS frame), and no better with 16 pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

MARGIN_PX = 12
SIDES_PX = (48, 64, 96, 128)  # of square windows; few, so that many windows share a call
CALL_PX = 4000  # what calling a network costs, in pixels worked on in that time
BLOCK_PX = 8  # bright pixels are put together in blocks, which is much faster than pixel by pixel

Box = tuple[slice, slice]  # rows, columns
# Tiles (n, height, width) and the noise sigma to tell, to their corrections and standard deviations (None: not known)
Run = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray | None]]


def run_where(run: Run, needed: np.ndarray) -> Run:
    """A function of one tile that works in windows around the pixels that need it, with zeros outside of them.

    Parameters
    ----------
    run : callable
        Called once for all windows of a size.
    needed : ndarray of bool, shape (height, width)
    """
    by_shape: dict[tuple[int, ...], list[Box]] = {}
    for window in bright_windows(needed):
        by_shape.setdefault(needed[window].shape, []).append(window)
    if sum(CALL_PX + len(boxes) * shape[0] * shape[1] for shape, boxes in by_shape.items()) > needed.size:
        return run  # the whole tile takes no longer

    def run_windows(tiles: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray | None]:
        correction, std = np.zeros_like(tiles), None
        for windows in by_shape.values():
            parts, errors = run(np.stack([tiles[0][window] for window in windows]), sigma)
            for index, window in enumerate(windows):
                correction[0][window] = parts[index]
                if errors is not None:
                    std = np.zeros_like(tiles) if std is None else std
                    std[0][window] = errors[index]
        return correction, std

    return run_windows


def bright_windows(needed: np.ndarray) -> list[Box]:
    """Windows that hold every needed pixel and ``MARGIN_PX`` around it, as far as the tile goes."""
    windows = []
    for box in boxes_around(needed, MARGIN_PX):
        longest = max(part.stop - part.start for part in box)
        length = next((usual for usual in SIDES_PX if usual >= longest), max(needed.shape))
        starts = [max(min(part.start, side - length), 0) for part, side in zip(box, needed.shape, strict=True)]
        ends = [min(start + length, side) for start, side in zip(starts, needed.shape, strict=True)]
        windows.append(tuple(map(slice, starts, ends)))
    return windows


def boxes_around(needed: np.ndarray, margin_px: int) -> list[Box]:
    """Boxes that hold every needed pixel and ``margin_px`` around it; pixels that share a margin share a box."""
    starts = [np.arange(0, side, BLOCK_PX) for side in needed.shape]
    blocks = np.logical_or.reduceat(np.logical_or.reduceat(needed, starts[0], axis=0), starts[1], axis=1)
    if not blocks.any():
        return []
    near = ndimage.maximum_filter(blocks, size=2 * -(-margin_px // BLOCK_PX) + 1, mode="constant")
    labels, _ = ndimage.label(near, np.ones((3, 3)))
    boxes = []
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        place = tuple(slice(part.start * BLOCK_PX, part.stop * BLOCK_PX) for part in box)
        own = needed[place] & _pixels(labels[box] == index, needed[place].shape)
        rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
        tight = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        moved = (slice(a.start + b.start, a.start + b.stop) for a, b in zip(place, tight, strict=True))
        boxes.append(grown(tuple(moved), margin_px, needed.shape))
    return boxes


def _pixels(blocks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.repeat(np.repeat(blocks, BLOCK_PX, axis=0), BLOCK_PX, axis=1)[: shape[0], : shape[1]]


def grown(box: Box, margin_px: int, shape: tuple[int, int]) -> Box:
    """A box with a margin on all sides, as far as an array of ``shape`` goes."""
    return tuple(
        slice(max(part.start - margin_px, 0), min(part.stop + margin_px, side))
        for part, side in zip(box, shape, strict=True)
    )
