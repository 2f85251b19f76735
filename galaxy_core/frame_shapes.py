"""Where the parts of islands lie, how wide they are, and which pixels are theirs."""

from __future__ import annotations

import numpy as np

from galaxy_core.frame_parts import Parts

COLUMNS = [("x", "f8"), ("y", "f8"), ("a", "f8"), ("b", "f8"), ("theta", "f8"), ("flag", "i8")] + [
    (name, "i8") for name in ("xmin", "xmax", "ymin", "ymax")
]
# Positions are of light above this share of an object's peak, from the saddle to a brighter neighbour up: below it lies
# what neighbours make lopsided.
CORE_SHARE = 0.4
WIDEST = 4.0  # dispersions, beyond which light below a part's saddle is the neighbour's
NARROWEST_PX = 12**-0.5  # the width of one lit pixel


def measure_parts(lit: np.ndarray, light: np.ndarray, parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Position and shape of each part, and the part that each lit pixel is left to.

    Parameters
    ----------
    lit : ndarray of bool, shape (height, width)
    light : ndarray of float64, shape (n_lit,)
        Of the lit pixels in raster order, above zero.
    parts : Parts

    Returns
    -------
    found : structured ndarray, shape (n,)
        In the columns of `sep`. ``x`` and ``y`` are the barycentre of light above 0.4 of the part's peak, which is
        taken from the saddle to a brighter neighbour up; ``a``, ``b`` and ``theta`` are second moments of light above
        that saddle, for the neighbour's halo is none of the part's; ``flag`` is 1 where there is a neighbour in the
        island.
    number : ndarray of int32, shape (n_lit,)
        As in ``parts``, but that light below the saddle goes to the neighbour where it lies more than four dispersions
        away: else a small source would own all of a halo that lies behind it.
    """
    n, number, saddle = len(parts.saddle), parts.number, parts.saddle
    found = np.zeros(n, dtype=COLUMNS)
    if n == 0:
        return found, number
    rows, columns = (axis.astype(np.float64) for axis in np.nonzero(lit))
    peak = np.zeros(n)
    np.maximum.at(peak, number, light)
    foot = np.maximum(saddle, 0)
    core = np.maximum(light - (foot + CORE_SHARE * (peak - foot))[number], 0)
    found["x"], found["y"] = (_mean(axis, core, number, n) for axis in (columns, rows))
    above = np.maximum(light - foot[number], 1e-6)
    x, y = (_mean(axis, above, number, n) for axis in (columns, rows))
    across, down = columns - x[number], rows - y[number]
    spread = _spread(*(_mean(product, above, number, n) for product in (across**2, down**2, across * down)))
    found["a"], found["b"], found["theta"] = _axes(*spread)
    met = np.isfinite(saddle)
    found["flag"][met] = found["flag"][parts.beside[met]] = 1
    number = _within_reach(light, across, down, spread, parts)
    _put_boxes(found, columns, rows, number)
    return found, number


def _mean(values: np.ndarray, weight: np.ndarray, number: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(number, weight * values, n) / np.bincount(number, weight, n)


def _spread(wide: np.ndarray, tall: np.ndarray, tilt: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variances and covariance, those of a line of pixels widened by that of one pixel, as SExtractor mends them."""
    thin = (wide * tall - tilt**2 < NARROWEST_PX**4) * NARROWEST_PX**2
    return wide + thin, tall + thin, tilt


def _axes(wide: np.ndarray, tall: np.ndarray, tilt: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dispersions along both axes, and the angle of the major one."""
    middle, half = (wide + tall) / 2, np.hypot((wide - tall) / 2, tilt)
    return np.sqrt(middle + half), np.sqrt(np.maximum(middle - half, 0)), np.arctan2(2 * tilt, wide - tall) / 2


def _within_reach(light: np.ndarray, across: np.ndarray, down: np.ndarray, spread, parts: Parts) -> np.ndarray:
    """Numbers of pixels, those far from their part and below its saddle given to the part it meets there."""
    number = parts.number.copy()
    below = np.flatnonzero(light < parts.saddle[number])
    of = number[below]
    wide, tall, tilt = (value[of] for value in spread)
    across, down = across[below], down[below]
    far = tall * across**2 - 2 * tilt * across * down + wide * down**2 > WIDEST**2 * (wide * tall - tilt**2)
    number[below[far]] = parts.beside[of[far]]
    return number


def _put_boxes(found: np.ndarray, columns: np.ndarray, rows: np.ndarray, number: np.ndarray) -> None:
    """First and last column and row of each part; every part has a pixel, its peak."""
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(len(found)))
    for axis, (low, high) in ((columns[order], ("xmin", "xmax")), (rows[order], ("ymin", "ymax"))):
        found[low], found[high] = np.minimum.reduceat(axis, first), np.maximum.reduceat(axis, first)
