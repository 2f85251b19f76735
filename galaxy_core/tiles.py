"""Work on an image tile by tile, with the overlaps blended, so that any size fits in memory and no seam shows.

Rows are read, worked on and written from top to bottom. An image in memory and a frame on disk go through the same
tiles in the same order, so they come out the same to the last bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np

TILE_PX = 256
OVERLAP_PX = 32
AHEAD = 2  # groups of tiles a worker finds waiting
LAST_SHARES, SMALLEST = 4, 2  # a group is at most that share of the tiles left, but for the smallest groups

Progress = Callable[[float], None]  # called with the fraction done, in [0, 1]
Read = Callable[[int, int], np.ndarray]  # rows from, and up to: (bands, rows, width)
# Neighbouring tiles (bands, h, w) to what is blended, one each: (outputs, h, w)
Work = Callable[[list[np.ndarray]], list[np.ndarray]]
Write = Callable[[int, int, np.ndarray, np.ndarray], None]  # rows from, up to, as read, and blended


def blend_tiles(
    read: Read,
    shape: tuple[int, int],
    work: Work,
    write: Write,
    report: Progress,
    workers: int = 1,
    start_worker: Callable[[], None] | None = None,
    together: int = 1,
) -> None:
    """What a function makes of every tile, blended linearly where tiles overlap, in strips from top to bottom.

    Parameters
    ----------
    read : callable
        Called from this thread, for strips of at most ``TILE_PX`` rows that overlap by ``OVERLAP_PX``.
    shape : tuple of int
        Height and width.
    work : callable
        Called from ``workers`` other threads with lists of tiles whose sides are at most ``TILE_PX``.
    write : callable
        Called from this thread with each row once, in order.
    report : callable
        Called from this thread with the fraction done after each tile; what it raises stops the work.
    workers : int
    start_worker : callable, optional
        Called once in each worker's thread, before its first tile.
    together : int
        Tiles in such a list; the last ones have fewer.
    """
    rows, columns = spans(shape[0]), spans(shape[1])
    blended = carried = None
    done = 0
    with ThreadPoolExecutor(workers, "tiles", start_worker) as pool:
        groups = _groups(_tiles(read, rows, columns), len(rows) * len(columns), together)
        for row, column, strip, output in _in_order(pool, groups, work, workers * (1 + AHEAD)):
            (top, bottom, down), (left, right, across) = rows[row], columns[column]
            if column == 0:
                blended = np.zeros((len(output), bottom - top, shape[1]), dtype=np.float32)
                if carried is not None:
                    blended[:, : carried.shape[1]] = carried
            blended[:, :, left:right] += output * (down[:, None] * across)
            done += 1
            if column == len(columns) - 1:
                end = rows[row + 1][0] if row + 1 < len(rows) else bottom
                write(top, end, strip[:, : end - top], blended[:, : end - top])
                carried = blended[:, end - top :]
            report(done / (len(rows) * len(columns)))


def spans(side: int) -> list[tuple[int, int, np.ndarray]]:
    """Tiles along one axis: start, end, and weights that sum to one at every pixel."""
    found = []
    for start in range(0, max(side - OVERLAP_PX, 1), TILE_PX - OVERLAP_PX):
        end = min(start + TILE_PX, side)
        weight = np.ones(end - start, dtype=np.float32)
        ramp = (np.arange(OVERLAP_PX, dtype=np.float32) + 0.5) / OVERLAP_PX
        if start > 0:
            weight[:OVERLAP_PX] = ramp
        if end < side:
            weight[-OVERLAP_PX:] = ramp[::-1]
        found.append((start, end, weight))
    return found


def _tiles(read: Read, rows: list, columns: list) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Row and column of each tile, its strip, and its pixels."""
    for row, (top, bottom, _) in enumerate(rows):
        strip = read(top, bottom)
        for column, (left, right, _) in enumerate(columns):
            yield row, column, strip, np.ascontiguousarray(strip[:, :, left:right])


def _groups(tiles: Iterator[tuple], left: int, most: int) -> Iterator[tuple]:
    """Up to so many tiles at once; fewer towards the end, where a worker would wait for what another still has."""
    while left:
        group = tuple(islice(tiles, min(most, max(left // LAST_SHARES, SMALLEST))))
        yield group
        left -= len(group)


def _in_order(pool: ThreadPoolExecutor, groups: Iterator[tuple], work: Work, depth: int) -> Iterator[tuple]:
    """Row, column, strip and output of each tile, in order, with at most ``depth`` groups of them under way."""
    waiting: deque = deque()
    try:
        for group in groups:
            waiting.append((group, pool.submit(work, [tile for *_, tile in group])))
            if len(waiting) == depth:
                yield from _finished(*waiting.popleft())
        while waiting:
            yield from _finished(*waiting.popleft())
    finally:
        for _, future in waiting:
            future.cancel()


def _finished(group: tuple, future: Future) -> Iterator[tuple]:
    for (row, column, strip, _), output in zip(group, future.result(), strict=True):
        yield row, column, strip, output
