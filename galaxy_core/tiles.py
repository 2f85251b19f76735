"""Work on an image tile by tile, with the overlaps blended, so that any size fits in memory and no seam shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

TILE_PX = 256
OVERLAP_PX = 32

Progress = Callable[[float], None]  # called with the fraction done, in [0, 1]
Correct = Callable[[np.ndarray], np.ndarray]  # a tile (bands, h, w) to its correction


def apply_in_tiles(image: np.ndarray, correct: Correct, report: Progress) -> None:
    """Add to an image, in place, corrections made tile by tile and blended linearly where tiles overlap.

    Parameters
    ----------
    image : ndarray of float32, shape (bands, height, width)
    correct : callable
        Tile (bands, h, w), h and w at most ``TILE_PX``, to its correction of the same shape.
    report : callable
        Called with the fraction done after each tile.
    """
    original = image.copy()
    tiles = [(row, column) for row in _spans(image.shape[1]) for column in _spans(image.shape[2])]
    for done, ((top, bottom, down), (left, right, across)) in enumerate(tiles, start=1):
        tile = np.ascontiguousarray(original[:, top:bottom, left:right])
        image[:, top:bottom, left:right] += correct(tile) * (down[:, None] * across)
        report(done / len(tiles))


def _spans(side: int) -> list[tuple[int, int, np.ndarray]]:
    """Tiles along one axis: start, end, and weights that sum to one at every pixel."""
    spans = []
    for start in range(0, max(side - OVERLAP_PX, 1), TILE_PX - OVERLAP_PX):
        end = min(start + TILE_PX, side)
        weight = np.ones(end - start, dtype=np.float32)
        ramp = (np.arange(OVERLAP_PX, dtype=np.float32) + 0.5) / OVERLAP_PX
        if start > 0:
            weight[:OVERLAP_PX] = ramp
        if end < side:
            weight[-OVERLAP_PX:] = ramp[::-1]
        spans.append((start, end, weight))
    return spans
