"""Where in a tile there is something bright, so that what is done for it is done there alone.

A few stars in a tile are no reason to run a network over all of it again: the second look is at windows around bright
pixels, those of one size in one call, and those of several tiles together: a call costs as much as a window. Pixels
`MARGIN_PX` from the border of a window come out as in the whole tile to a few hundredths of the noise (root mean square
over bright pixels of a KiDS frame), and no better with 16 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

MARGIN_PX = 12
SIDES_PX = (48, 64, 96, 128)  # of square windows; few, so that many windows share a call
CALL_PX = 500  # what a window costs beside its pixels, in pixels worked on in that time
MOST_PX = 65536  # in one call: more would be faster by nothing and take memory
BLOCK_PX = 8  # bright pixels are put together in blocks, which is much faster than pixel by pixel

Box = tuple[slice, slice]  # rows, columns
# Tiles (n, height, width) and the noise sigma to tell, to their corrections and standard deviations (None: not known)
Passed = tuple[np.ndarray, np.ndarray | None]
Run = Callable[[np.ndarray, float], Passed]


def run_where(run: Run, tiles: Sequence[np.ndarray], needed: Sequence[np.ndarray], sigma: float) -> list[Passed]:
    """What the model makes of tiles around the pixels that need it, with zeros outside of windows around those.

    Parameters
    ----------
    run : callable
        Called with windows of one size, of all the tiles together, and with each tile that takes no longer as a whole.
    tiles : sequence of ndarray of float32, shape (height, width)
    needed : sequence of ndarray of bool, of the same shapes
    sigma : float
        To tell the model.

    Returns
    -------
    list of (correction, std)
        One a tile, float32 of its shape; ``std`` is None where ``run`` gives none.
    """
    made: list[Passed] = [(np.zeros_like(tile), None) for tile in tiles]
    by_shape: dict[tuple[int, ...], list[tuple[int, Box]]] = {}
    for index, (tile, where) in enumerate(zip(tiles, needed, strict=True)):
        windows = bright_windows(where)
        if sum(CALL_PX + where[window].size for window in windows) > where.size:
            correction, std = run(tile[None], sigma)
            made[index] = correction[0], None if std is None else std[0]
            continue
        for window in windows:
            by_shape.setdefault(where[window].shape, []).append((index, window))
    for shape, places in by_shape.items():
        at_once = max(MOST_PX // (shape[0] * shape[1]), 1)
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            corrections, errors = run(np.stack([tiles[index][window] for index, window in some]), sigma)
            for part, (index, window) in enumerate(some):
                correction, std = made[index]
                correction[window] = corrections[part]
                if errors is not None:
                    std = np.zeros_like(correction) if std is None else std
                    std[window] = errors[part]
                    made[index] = correction, std
    return made


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
