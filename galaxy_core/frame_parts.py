"""Islands of light and their parts: a watershed whose parts are as prominent as is asked, at any height of a halo.

SExtractor parts islands at 32 levels, spaced evenly in the logarithm between the isophote and the peak (Bertin &
Arnouts 1996, A&AS 117, 393, section 6): in the halo of a bright galaxy neighbouring levels are a third apart, and a
source that stands less than that above the halo is never parted from it, however well it is seen. Here the saddles
themselves are found. Every lit pixel climbs to a maximum; maxima meet at saddles, from the highest down; the lower of
two that meet is an object of its own if it rises enough above the saddle, and a part of the other if not. That is the
topological persistence of Edelsbrunner, Letscher and Zomorodian (2002, Discrete Comput. Geom. 28, 511).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse

# How far a peak rises above the saddle to a higher one, to be an object: in the noise of a pixel, and as a share of
# the saddle's height, for the finer structure that denoised bright light has.
RISE_SIGMA, RISE_SHARE = 0.5, 0.1


@dataclass(frozen=True)
class Parts:
    """Which lit pixel belongs to which part.

    Attributes
    ----------
    number : ndarray of int32, shape (n_lit,)
        Of each lit pixel in raster order, from 0 on.
    saddle : ndarray of float64, shape (n,)
        Height at which a part meets a higher one, ``-inf`` of the highest of an island.
    beside : ndarray of int64, shape (n,)
        Number of the part it meets there; its own of the highest of an island.
    """

    number: np.ndarray = field(repr=False)
    saddle: np.ndarray
    beside: np.ndarray


def part(light: np.ndarray, lit: np.ndarray, contrast: float, min_area_px: int) -> Parts:
    """Parts of the islands that lit pixels make, neighbours along sides and corners being of one island.

    Parameters
    ----------
    light : ndarray of float32, shape (height, width)
        Finite, smooth, in units of a pixel's noise.
    lit : ndarray of bool, shape (height, width)
    contrast : float
        Light of a part above its saddle, as a share of the light of the part it meets there, at least. Not of the
        island's, as with SExtractor: in a crowded frame the islands are one.
    min_area_px : int
        Of a part; smaller ones belong to the part they touch highest. Islands may be smaller.
    """
    height, width = light.shape
    stride = width + 2
    value = np.full((height + 2, stride), -np.inf, dtype=np.float32)  # a rim of sky: every pixel has eight neighbours
    value[1:-1, 1:-1][lit] = light[lit]
    value = value.ravel()
    place = np.flatnonzero(value > -np.inf)
    if not len(place):
        return Parts(np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int64))
    index = np.full(len(value), -1, dtype=np.int32)
    index[place] = np.arange(len(place), dtype=np.int32)
    basin, peaks = _climb(value, place, index, stride)
    one, two, height_of = _saddles(value, place, index, basin, stride, len(peaks))
    tree = _meet(peaks, one, two, height_of)
    part_of = _follow(tree.beside, tree.kept)
    kept = tree.kept & _substantial(value[place], basin, part_of, tree, contrast, min_area_px)
    part_of = _follow(tree.beside, kept)
    number = np.cumsum(kept, dtype=np.int32) - 1
    return Parts(number[part_of][basin], tree.saddle[kept], number[part_of[tree.beside[kept]]].astype(np.int64))


def _climb(value: np.ndarray, place: np.ndarray, index: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """The maximum that steepest ascent from each lit pixel ends at, as a number from 0, and the maxima's heights.

    Of equal pixels the later in raster order counts as the higher.
    """
    start = value[place]
    best, up = start.copy(), place.copy()
    for step in (-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1):
        there = value[place + step]
        higher = there > best if step < 0 else there >= best
        np.copyto(best, there, where=higher)
        np.copyto(up, place + step, where=higher)
    up = index[up]
    while True:
        further = up[up]
        if np.array_equal(further, up):
            break
        up = further
    is_peak = up == np.arange(len(up))
    return (np.cumsum(is_peak, dtype=np.int32) - 1)[up], start[is_peak].astype(np.float64)


def _saddles(value, place, index, basin, stride: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of basins that touch and the highest pixel at which they do; those alone that hold islands together."""
    keys, heights = [], []
    for step in (1, stride - 1, stride, stride + 1):
        other = index[place + step]
        near = np.flatnonzero((other >= 0) & (basin[other] != basin))
        far = other[near]
        one, two = basin[near].astype(np.int64), basin[far].astype(np.int64)
        keys.append(np.minimum(one, two) * n + np.maximum(one, two))
        heights.append(np.minimum(value[place[near]], value[place[far]]))
    highest = pd.Series(np.concatenate(heights)).groupby(np.concatenate(keys), sort=False).max()
    one, two = np.divmod(highest.index.to_numpy(), n)
    height = highest.to_numpy().astype(np.float64)
    if not len(height):
        return one, two, height
    depth = sparse.coo_matrix((height.max() - height + 1.0, (one, two)), (n, n))  # zeros would be no edges
    tree = sparse.csgraph.minimum_spanning_tree(depth.tocsr()).tocoo()
    return tree.row, tree.col, height.max() + 1.0 - tree.data


@dataclass(frozen=True)
class _Tree:
    """How maxima met: which are kept, at what height and beside which basin each met a higher one."""

    kept: np.ndarray
    saddle: np.ndarray
    beside: np.ndarray


def _meet(peaks: np.ndarray, one: np.ndarray, two: np.ndarray, heights: np.ndarray) -> _Tree:
    """Let maxima meet at their saddles, from the highest saddle down."""
    n = len(peaks)
    kept, saddle, beside = np.ones(n, dtype=bool), np.full(n, -np.inf), np.arange(n)
    above, height_of = list(range(n)), peaks.tolist()

    def top_of(number: int) -> int:
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number

    order = np.argsort(-heights, kind="stable")
    for a, b, height in zip(one[order].tolist(), two[order].tolist(), heights[order].tolist(), strict=True):
        low, high, neighbour = top_of(a), top_of(b), b
        if height_of[low] > height_of[high]:
            low, high, neighbour = high, low, a
        above[low] = high
        saddle[low], beside[low] = height, neighbour
        kept[low] = height_of[low] - height >= max(RISE_SIGMA, RISE_SHARE * height)
    return _Tree(kept, saddle, beside)


def _follow(beside: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The kept basin that each basin belongs to."""
    to = np.where(kept, np.arange(len(kept)), beside)
    while True:
        further = to[to]
        if np.array_equal(further, to):
            return to
        to = further


def _substantial(value, basin, part_of, tree: _Tree, contrast: float, min_area_px: int) -> np.ndarray:
    """Parts with enough pixels and enough light beside their neighbour's, and all that are the highest of theirs."""
    n = len(part_of)
    owner = part_of[basin]
    met = np.isfinite(tree.saddle)
    level = np.where(met, tree.saddle, 0.0)
    excess = np.bincount(owner, np.maximum(value - level[owner], 0), n)
    whole = np.bincount(owner, np.maximum(value, 0), n)
    area = np.bincount(owner, minlength=n)
    return ~met | ((area >= min_area_px) & (excess >= contrast * whole[part_of[tree.beside]]))
