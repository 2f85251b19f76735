"""What must be known of a whole linear frame before a tile of it is denoised: its noise, its sky, what is saturated.

A frame is read in strips of rows, so one of any size takes little memory, and it makes no difference to the result
whether the rows come from an array or from a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.frame_noise import cell_edges, is_noiseless, noise_cells, photon_skew
from galaxy_core.frame_sky import mended, plane, spline_weights
from galaxy_core.linear_denoising import MIN_MESH_SIDE_PX, linear_noise_sigma
from galaxy_core.noise import MAD_TO_SIGMA, between_counts, estimate_sky

if TYPE_CHECKING:
    from astropy.io import fits

WHOLE_PX = 2**20  # frames of at most so many pixels are looked at whole for their noise, larger ones in windows
WINDOWS, WINDOW_PX = 5, 128  # so many along each side
BLANK_SHARE, BLANK_TOUCHING = 0.02, 0.8  # of the pixels; of blank pixels, those with blank ones to the right and below
BLANK_SIGMA = 5.0  # from the other pixels, in frames of whole numbers
SATURATED_SIGMA = 10.0  # above the sky: a limit below that is not where this frame saturates
PLATEAU_PX = 4  # pixels at exactly the highest value that make it a limit of the detector
# Cards with the value from which pixels are not to be trusted, in the order in which they are believed.
SATURATION_CARDS = ("SATURATE", "SATLEVEL", "SATURVAL", "MAXLIN", "DATAMAX")

Rows = Callable[[int, int], np.ndarray]  # rows from, and up to: float32 (rows, width)


@dataclass(frozen=True)
class FrameSurvey:
    """Noise, sky and limits of one linear band, in its units.

    Attributes
    ----------
    shape : tuple of int
        Height and width.
    sigma : float
        Standard deviation of the noise; 0 for a band of one value, or without a finite pixel.
    scatter : float
        Of the cells of `galaxy_core.frame_noise.noise_cells` whose noise is ``sigma``; NaN where that is not known.
    saturated_from : float
        Pixels at or above are saturated; infinity where nothing says so.
    blank : float
        Value of pixels that were never observed, NaN if there is none.
    any_finite : bool
    level : ndarray, shape (rows of cells, columns of cells)
        Sky in a grid of cells, or of a plane (`galaxy_core.frame_sky.plane`).
    down, across : ndarray, shape (height or width, rows or columns of cells)
        What interpolates the sky between cells.
    one_value : bool
        Whether no two finite pixels differ. Noise far below the steps of whole numbers is measured as 0, too.
    noiseless : bool
        Whether ``sigma`` is rounding or smooth light, as of a simulation without noise.
    """

    shape: tuple[int, int]
    sigma: float
    scatter: float
    saturated_from: float
    blank: float
    any_finite: bool
    level: np.ndarray = field(repr=False)
    down: np.ndarray = field(repr=False)
    across: np.ndarray = field(repr=False)
    one_value: bool = False
    noiseless: bool = False

    def sky(self, top: int, bottom: int, columns: slice = slice(None)) -> np.ndarray:
        """Sky of rows ``top`` up to ``bottom``, float32 (rows, columns)."""
        return (self.down[top:bottom] @ self.level @ self.across[columns].T).astype(np.float32)

    def untouched(self, values: np.ndarray) -> np.ndarray:
        """Where pixels are no measurement of the sky: NaN, infinite, never observed or saturated; bool."""
        return ~np.isfinite(values) | (values == np.float32(self.blank)) | (values >= np.float32(self.saturated_from))


def survey_frame(
    rows: Rows,
    shape: tuple[int, int],
    header: fits.Header | None = None,
    saturated_from: float | None = None,
    sloping: bool = False,
) -> FrameSurvey:
    """Read one band once, strip by strip, and say what its tiles need to know.

    The noise of a frame of more than ``WHOLE_PX`` pixels is the median over 25 windows spread evenly over it, each
    measured by `galaxy_core.linear_denoising.linear_noise_sigma`. The sky is SExtractor's estimate in cells of about
    64 pixels, a median of 3 x 3 of them, and a natural cubic spline between (Bertin & Arnouts 1996); frames less than
    256 pixels a side have one level, or a plane. Where pixels count photons, 5/12 is added: that estimate takes their
    skew for light of sources (`galaxy_core.frame_noise.photon_skew`).

    Parameters
    ----------
    rows : callable
    shape : tuple of int
    header : astropy.io.fits.Header, optional
        Where it says from what value on pixels are saturated (SATURATE, MAXLIN, ...), that is believed if it lies well
        above the sky. Without it, four or more pixels at exactly the highest value are saturated.
    saturated_from : float, optional
        In place of both.
    sloping : bool
        Whether the sky of a frame less than 256 pixels a side may be a plane (`galaxy_core.frame_sky.plane`).
    """
    windows = _windows(rows, shape)
    blank = _blank_value(windows)
    windows = [np.where(window == np.float32(blank), np.float32(np.nan), window) for window in windows]
    meshed = min(shape) >= MIN_MESH_SIDE_PX
    sigma, scatter = _noise(windows, meshed)
    edges = [cell_edges(side) if meshed else np.array([0, side]) for side in shape]
    level, extremes = _read_cells(rows, edges, blank, meshed)
    lowest, highest, at_highest = extremes
    any_finite, one_value = bool(lowest <= highest), not lowest < highest
    if one_value:
        sigma = 0.0
    level = mended(level)
    limit = saturated_from
    if limit is None:
        limit = _saturated_from(header, float(np.median(level)), sigma, highest, at_highest)
    weights = [spline_weights(edge) for edge in edges]
    skew = photon_skew(windows, float(np.median(level)), sigma)
    noiseless = sigma > 0 and is_noiseless(windows, float(np.median(level)), sigma)
    level += skew
    if sloping and not meshed and sigma > 0 and len(windows) == 1 and (found := plane(windows[0])):
        level, weights = found
        level[0, 0] += skew
    return FrameSurvey(tuple(shape), sigma, scatter, limit, blank, any_finite, level, *weights, one_value, noiseless)


def noise_level(rows: Rows, shape: tuple[int, int]) -> float:
    """Noise of a band without a sky, as `survey_frame` measures it; 0 where there is none."""
    return _noise(_windows(rows, shape), False)[0]


def _windows(rows: Rows, shape: tuple[int, int]) -> list[np.ndarray]:
    """The whole of a small band, or windows spread evenly over a large one."""
    height, width = shape
    if height * width <= WHOLE_PX:
        return [rows(0, height)]
    found = []
    for top in _starts(height):
        strip = rows(top, min(top + WINDOW_PX, height))
        found += [np.array(strip[:, left : left + WINDOW_PX]) for left in _starts(width)]
    return found


def _starts(side: int) -> list[int]:
    last = max(side - WINDOW_PX, 0)
    return sorted({round(last * step / (WINDOWS - 1)) for step in range(WINDOWS)})


def _blank_value(windows: list[np.ndarray]) -> float:
    """The value that fills what was never observed, as the corners of a mosaic: zero or the lowest; NaN if none.

    Noise is never exactly one value over an area, except in frames of small whole numbers, as a sky of single photons:
    there the value must lie far from all else.
    """
    finite = np.concatenate([window[np.isfinite(window)] for window in windows])
    if not finite.size:
        return np.nan
    whole = (finite == np.rint(finite)).all()
    n_pixels = sum(window.size for window in windows)
    for value in {0.0, float(finite.min())}:
        same = [window == np.float32(value) for window in windows]
        n_same = sum(int(where.sum()) for where in same)
        if n_same <= BLANK_SHARE * n_pixels:
            continue
        inside = sum(int(where[:-1, :-1].sum()) for where in same)
        touching = sum(int((where[:-1, :-1] & where[1:, :-1] & where[:-1, 1:]).sum()) for where in same)
        if touching > BLANK_TOUCHING * max(inside, 1) and not (whole and _near(value, finite)):
            return value
    return np.nan


def _near(value: float, finite: np.ndarray) -> bool:
    """Whether a value lies within the noise of the other pixels, which is at least the step between whole numbers."""
    others = finite[finite != np.float32(value)]
    if not others.size:
        return True
    middle = np.median(others)
    sigma = MAD_TO_SIGMA * np.median(np.abs(others - middle))
    return bool(abs(middle - value) <= BLANK_SIGMA * max(sigma, np.diff(np.unique(finite)).min()))


def _noise(windows: list[np.ndarray], meshed: bool) -> tuple[float, float]:
    """Noise, and the scatter of cells that have this noise: NaN without a mesh, or where no cell has any.

    Medians over windows of which at least half can be used; over all that can if no window is half usable. The scatter
    is told by its ratio to the noise of the same 128 pixels, so that it belongs to the noise however that varies.
    """
    for least in (0.5, 0.0):
        noisy = _noisy(windows, least)
        if noisy:
            sigma = float(np.median([sigma for sigma, _ in noisy]))
            # a band seen whole may be quiet here and loud there: its noise is that of the mixture, in no cell
            alike = _noisy([part for window in windows for part in _parts(window)], least) if meshed else []
            ratios = [ratio for own, part in alike if (ratio := _median_scatter(part) / own) > 0]
            return sigma, sigma * float(np.median(ratios)) if ratios else np.nan
    return 0.0, np.nan


def _noisy(windows: list[np.ndarray], least: float) -> list[tuple[float, np.ndarray]]:
    """Windows with a noise and more than this share of finite pixels, and that noise."""
    usable = [window for window in windows if np.isfinite(window).mean() > least]
    return [(sigma, window) for window in usable if (sigma := linear_noise_sigma(window)) > 0]


def _parts(window: np.ndarray) -> list[np.ndarray]:
    """Windows spread evenly over one; itself if it is as small as they are."""
    height, width = window.shape
    starts = [(top, left) for top in _starts(height) for left in _starts(width)]
    return [window[top : top + WINDOW_PX, left : left + WINDOW_PX] for top, left in starts]


def _median_scatter(window: np.ndarray) -> float:
    unusable = ~np.isfinite(window)
    cells = noise_cells(np.where(unusable, 0, window), unusable)
    return 0.0 if cells is None else float(np.median(cells))


def _read_cells(
    rows: Rows, edges: list[np.ndarray], blank: float, meshed: bool
) -> tuple[np.ndarray, tuple[float, float, int]]:
    """Sky of every cell (NaN: too few pixels), and lowest value, highest value and how many pixels have it."""
    level = np.full((len(edges[0]) - 1, len(edges[1]) - 1), np.nan)
    lowest, highest, at_highest = np.inf, -np.inf, 0
    for index, (top, bottom) in enumerate(pairwise(edges[0])):
        strip = np.ascontiguousarray(rows(int(top), int(bottom)), dtype=np.float32)
        unusable = ~np.isfinite(strip)
        finite = strip[~unusable] if unusable.any() else strip
        if finite.size:
            lowest, top_value = min(lowest, float(finite.min())), float(finite.max())
            if top_value >= highest:
                here = int((finite == np.float32(top_value)).sum())
                at_highest = here + (at_highest if top_value == highest else 0)
                highest = top_value
        unusable |= strip == np.float32(blank)
        if meshed:
            level[index] = _cell_levels(np.where(unusable, 0, strip), unusable, edges[1])
        elif not unusable.all():
            level[index] = estimate_sky(between_counts(strip[~unusable])).level
    return level, (lowest, highest, at_highest)


def _cell_levels(strip: np.ndarray, unusable: np.ndarray, edges: np.ndarray) -> list[float]:
    import sep

    levels = []
    for left, right in pairwise(edges):
        cell = np.ascontiguousarray(between_counts(strip[:, left:right]))
        hidden = np.ascontiguousarray(unusable[:, left:right])
        if hidden.mean() > 0.5:
            levels.append(np.nan)
            continue
        found = sep.Background(
            cell, mask=hidden if hidden.any() else None, bw=cell.shape[1], bh=cell.shape[0], fw=1, fh=1
        )
        levels.append(found.globalback if abs(found.globalback) < 1e29 else np.nan)  # sep's mark of a bad cell
    return levels


def _saturated_from(header: fits.Header | None, sky: float, sigma: float, highest: float, at_highest: int) -> float:
    """Value from which pixels are saturated: the card's or the plateau's, infinity if there is neither."""
    believable = sky + SATURATED_SIGMA * sigma
    said = {card: (header or {}).get(card) for card in SATURATION_CARDS}
    # DATAMAX is by the FITS standard the highest value of the file: whether that is a limit the plateau says.
    limits = [
        float(value)
        for card, value in said.items()
        if isinstance(value, int | float)
        and believable < value < np.inf
        and (card != "DATAMAX" or np.float32(value) < highest)
    ]
    plateau = highest if at_highest >= PLATEAU_PX and highest > believable else np.inf
    return min([*limits[:1], plateau])
