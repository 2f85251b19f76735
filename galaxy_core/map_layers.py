"""What a map of very many galaxies is drawn from: positions as whole numbers, a density, a fair sample, and peaks.

Up to `MAX_POINTS` galaxies every one is a point. Above, the map is a density of all of them with a sample on top in
which every group is represented, and a part that is zoomed into is made of points again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_POINTS = 200_000  # every galaxy is drawn up to here
SAMPLE_SIZE = 90_000  # points on top of the density beyond
THINNED_ABOVE = 500_000  # a sample of more galaxies is drawn from so many of them
GROUP_FLOOR = 300  # galaxies of each group in the sample, or all where it has fewer
DENSITY_BINS = 512
BLOCK = 262_144  # galaxies counted at once
STEPS = 65_535  # positions are sent as 16-bit whole numbers
MARGIN = 0.03  # empty border around the galaxies, as a share of the map


@dataclass(frozen=True)
class Extent:
    """A rectangle of a map, in the units of the projection."""

    x0: float
    x1: float
    y0: float
    y1: float

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which points lie inside, border included; bool array. A coordinate that is not a number is outside."""
        return (x >= self.x0) & (x <= self.x1) & (y >= self.y0) & (y <= self.y1)


def extent_of(x: np.ndarray, y: np.ndarray) -> Extent:
    """The rectangle around all points that have a position; of size 1 where there is none, or no spread.

    Parameters
    ----------
    x, y : float array, shape (n,)

    Examples
    --------
    >>> extent_of(np.array([1.0, 3.0, np.nan]), np.array([5.0, 5.0, 0.0]))
    Extent(x0=1.0, x1=3.0, y0=4.5, y1=5.5)
    """
    known = np.isfinite(x) & np.isfinite(y)
    sides: list[float] = []
    for values in (x[known], y[known]):
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
        sides += [low, high] if high > low else [low - 0.5, low + 0.5]
    return Extent(*sides)


def quantise(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Positions as uint16 from 0 (``low``) to 65,535 (``high``): on a screen no eye sees the difference."""
    scaled = (np.asarray(values, dtype=np.float64) - low) * (STEPS / (high - low))
    return np.clip(np.rint(scaled), 0, STEPS).astype(np.uint16)


def density(x: np.ndarray, y: np.ndarray, extent: Extent, bins: int = DENSITY_BINS) -> np.ndarray:
    """How many galaxies lie where, as brightness; see `brightness_of`.

    Parameters
    ----------
    x, y : float array, shape (n,)
        Outside ``extent``, or not a number: not counted.

    Returns
    -------
    uint8 array, shape (bins, bins)
    """
    return brightness_of(count_in_bins(x, y, extent, bins))


def brightness_of(counts: np.ndarray) -> np.ndarray:
    """Brightness of cells of a map from the galaxies in each, row 0 at ``y0``.

    Returns
    -------
    uint8 array, of the shape of ``counts``
        ``255 log(1 + count) / log(1 + largest count)``. A cell with a galaxy is at least 1.
    """
    largest = counts.max(initial=0)
    if not largest:
        return np.zeros(counts.shape, dtype=np.uint8)
    return np.ceil(255 * np.log1p(counts) / np.log1p(largest)).astype(np.uint8)


def count_in_bins(x: np.ndarray, y: np.ndarray, extent: Extent, bins: int) -> np.ndarray:
    """Galaxies in each of ``bins`` x ``bins`` equal cells; int array, row 0 at ``y0``."""
    counts = np.zeros(bins * bins, dtype=np.int64)
    for start in range(0, len(x), BLOCK):
        xs, ys = x[start : start + BLOCK], y[start : start + BLOCK]
        inside = np.flatnonzero(extent.contains(xs, ys))
        column = _bin_of(xs[inside], extent.x0, extent.x1, bins)
        row = _bin_of(ys[inside], extent.y0, extent.y1, bins)
        counts += np.bincount(row * bins + column, minlength=bins * bins)
    return counts.reshape(bins, bins)


def _bin_of(values: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    return np.minimum(((values - low) * (bins / (high - low))).astype(np.int64), bins - 1)


def fair_sample(
    rows: np.ndarray, codes: np.ndarray | None, size: int, seed: int, floor: int = GROUP_FLOOR
) -> np.ndarray:
    """A sample in which every group is there, however small.

    Each group first gets up to ``floor`` of its galaxies, the rest of the places go to galaxies at random.

    Parameters
    ----------
    rows : int array, shape (n,)
        To draw from.
    codes : int array, shape (n,), or None
        Group of each of the ``rows``; None for one group.
    size : int
        Galaxies wanted; more are returned where the groups' floors need it, up to a floor of one for each group.

    Returns
    -------
    int32 array
        In random order, so that no group covers another when drawn one after the other.
    """
    rng = np.random.default_rng(seed)
    if len(rows) > THINNED_ABOVE > size:
        rows, codes = _thin(np.asarray(rows), codes, THINNED_ABOVE, floor, rng)
    order = _draw(len(rows), [] if codes is None else [codes], size, floor, rng)
    return np.asarray(rows)[order].astype(np.int32)


def fair_to_all(
    rows: np.ndarray, groupings: list[np.ndarray], size: int, seed: int, floor: int = GROUP_FLOOR
) -> np.ndarray:
    """`fair_sample` for several groupings at once: each group of each of them is in the one sample.

    Parameters
    ----------
    groupings : list of int array, shape (n,)
        Group of each of the ``rows``.
    """
    order = _draw(len(rows), groupings, size, floor, np.random.default_rng(seed))
    return np.asarray(rows)[order].astype(np.int32)


def _draw(n: int, groupings: list[np.ndarray], size: int, floor: int, rng: np.random.Generator) -> np.ndarray:
    """Places of the galaxies in the sample, in random order."""
    order = rng.permutation(n)
    if n <= size or not groupings:
        return order[:size]
    sizes = [np.bincount(codes - codes.min()) for codes in groupings]
    floor = int(np.clip(size // (2 * sum(np.count_nonzero(counts) for counts in sizes)), 1, floor))
    chosen = np.zeros(n, dtype=bool)
    for codes, counts in zip(groupings, sizes, strict=True):
        # place of each galaxy within its group, in the random order: the first ones are the group's share
        by_group = np.argsort(codes[order], kind="stable")
        place = np.empty(n, dtype=np.int64)
        place[by_group] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen |= place < floor
    chosen[np.flatnonzero(~chosen)[: max(0, size - int(chosen.sum()))]] = True
    return order[chosen]


def _thin(
    rows: np.ndarray, codes: np.ndarray | None, size: int, floor: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """So many rows at random, and all of the groups that would lose their floor: to sort millions takes seconds."""
    chosen = rng.choice(len(rows), size, replace=False, shuffle=False)
    if codes is None:
        return rows[chosen], None
    sizes = np.bincount(codes - codes.min())
    least = np.bincount(codes[chosen] - codes.min(), minlength=len(sizes))
    short = np.flatnonzero((least < floor) & (least < sizes)) + codes.min()
    if len(short):
        all_of_them = np.flatnonzero(np.isin(codes, short))
        chosen = np.concatenate([chosen[~np.isin(codes[chosen], short)], all_of_them])
    return rows[chosen], codes[chosen]


def along_curve(x: np.ndarray, y: np.ndarray, extent: Extent) -> np.ndarray:
    """Order in which neighbours on the map are neighbours, so that a piece of it is a part of the map.

    The bits of the two coordinates, 16 of each, are interleaved (Morton 1966, IBM technical report: A computer oriented
    geodetic data base and a new technique in file sequencing).

    Parameters
    ----------
    x, y : float array, shape (n,)
        Inside ``extent``.

    Returns
    -------
    int64 array, shape (n,)
    """
    codes = np.zeros(len(x), np.uint32)
    for shift, bits in ((0, quantise(x, extent.x0, extent.x1)), (1, quantise(y, extent.y0, extent.y1))):
        bits = bits.astype(np.uint32)
        for step, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
            bits = (bits | (bits << np.uint32(step))) & np.uint32(mask)
        codes |= bits << np.uint32(shift)
    return np.argsort(codes, kind="stable")


def pick_peaks(
    x: np.ndarray, y: np.ndarray, extent: Extent, spacing: float, limit: int = 60, rows: np.ndarray | None = None
) -> np.ndarray:
    """Galaxies where the map is densest, far enough from one another for a picture each.

    Counts in cells of a third of the spacing are smoothed; galaxies nearest to the cells' centres are taken from the
    densest cell down, each at least ``spacing`` from those taken before, in x or in y, so that square pictures of that
    size do not overlap.

    Parameters
    ----------
    x, y : float array, shape (n,)
    extent : Extent
        The part of the map that is on the screen.
    spacing : float
        Side of a picture, in the units of the map.
    limit : int
        Pictures at most.
    rows : int array, optional
        Galaxies to choose from; all of them by default.

    Returns
    -------
    int32 array, shape (m,)
        Rows, the densest place first.
    """
    from scipy.ndimage import gaussian_filter

    rows = np.arange(len(x)) if rows is None else np.asarray(rows)
    inside = rows[extent.contains(x[rows], y[rows])]
    if len(inside) == 0 or limit < 1 or spacing <= 0:
        return np.empty(0, dtype=np.int32)
    cell = spacing / 3
    shape = [
        int(np.clip(np.ceil((b - a) / cell), 1, 1024)) for a, b in ((extent.y0, extent.y1), (extent.x0, extent.x1))
    ]
    row = _bin_of(y[inside], extent.y0, extent.y1, shape[0])
    column = _bin_of(x[inside], extent.x0, extent.x1, shape[1])
    flat = row * shape[1] + column
    counts = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(float)
    smooth = gaussian_filter(counts, 1.0, mode="constant").ravel()  # beyond the border there is nothing
    # the galaxy nearest to the centre of its cell stands for the cell
    height, width = (extent.y1 - extent.y0) / shape[0], (extent.x1 - extent.x0) / shape[1]
    off = np.hypot(x[inside] - extent.x0 - (column + 0.5) * width, y[inside] - extent.y0 - (row + 0.5) * height)
    order = np.lexsort((off, flat))
    first = order[np.unique(flat[order], return_index=True)[1]]
    chosen: list[int] = []
    for k in first[np.argsort(-smooth[flat[first]], kind="stable")]:
        i = inside[k]
        apart = [max(abs(x[i] - x[j]), abs(y[i] - y[j])) >= spacing for j in chosen]
        if all(apart):
            chosen.append(int(i))
            if len(chosen) == limit:
                break
    return np.array(chosen, dtype=np.int32)
