"""Lines of equal right ascension and declination over a frame, for drawing: where each runs, and what it is called."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.wcs import WCS

SAMPLES_PX = 17  # along each side, to see how much sky a frame covers
LINE_POINTS = 181
LINES = 5  # about so many of each kind
WHOLE_CIRCLE = 180.0  # frames that cover more degrees of longitude hold a pole, or go around the sky
MARGIN = 0.25  # of what is covered: lines are followed so far beyond
_SIXTIETHS = (1, 2, 5, 10, 15, 30)
_SMALL = tuple(digit * 10.0**power for power in range(-4, 0) for digit in (1, 2, 5))
# Distances between lines, degrees: of declinations (also galactic coordinates), and of right ascensions.
ARC_STEPS = (*(s / 3600 for s in (*_SMALL, *_SIXTIETHS)), *(m / 60 for m in _SIXTIETHS), 1, 2, 5, 10, 15, 30)
HOUR_STEPS = tuple(15 * step for step in (*ARC_STEPS[: ARC_STEPS.index(1)], 1, 2, 3, 6))


@dataclass(frozen=True)
class GridLine:
    """One line of the grid.

    Attributes
    ----------
    axis : {"longitude", "latitude"}
        Which coordinate is the same all along it: right ascension or declination, unless the frame has others.
    degrees : float
    label : str
    x, y : ndarray of float32, shape (n,)
        Pixels of the frame, the first pixel's centre at 0; NaN where the line is outside.
    """

    axis: str
    degrees: float
    label: str
    x: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)


def sky_grid(wcs: WCS, shape: tuple[int, int], n_lines: int = LINES) -> list[GridLine]:
    """Lines of equal longitude and latitude over a frame of ``shape`` (height, width), in the frame's own system.

    None where the frame's projection has no sky, or its coordinates cannot be turned around.
    """
    height, width = shape
    across, down = np.meshgrid(np.linspace(-0.5, width - 0.5, SAMPLES_PX), np.linspace(-0.5, height - 0.5, SAMPLES_PX))
    longitude, latitude = world_of(wcs, across.ravel(), down.ravel())
    known = np.isfinite(longitude) & np.isfinite(latitude)
    if known.sum() < 4:
        return []
    longitude, latitude = longitude[known], latitude[known]
    middle = float(np.degrees(np.angle(np.exp(1j * np.radians(longitude)).sum())))
    longitude = middle + (longitude - middle + 180) % 360 - 180
    around = float(np.ptp(longitude)) > WHOLE_CIRCLE
    reach = (-180.0, 180.0) if around else _wider(longitude)
    low, high = _wider(latitude)
    low, high = max(low, -90.0), min(high, 90.0)
    hours = str(wcs.wcs.lngtyp).strip() == "RA"
    names = ("RA", "Dec") if hours else (str(wcs.wcs.lngtyp).strip() or "lon", str(wcs.wcs.lattyp).strip() or "lat")
    lines = []
    for value in _values(longitude, n_lines, HOUR_STEPS if hours else ARC_STEPS, around):
        step = _step(np.ptp(longitude), n_lines, HOUR_STEPS if hours else ARC_STEPS)
        along = np.linspace(low, high, LINE_POINTS)
        text = hour_text(value % 360, step) if hours else arc_text(value % 360, step)
        place = _pixels(wcs, np.full(LINE_POINTS, value), along, shape)
        lines.append(GridLine("longitude", value % 360, f"{names[0]} {text}", *place))
    for value in _values(latitude, n_lines, ARC_STEPS, False):
        step = _step(np.ptp(latitude), n_lines, ARC_STEPS)
        along = np.linspace(*reach, LINE_POINTS)
        place = _pixels(wcs, along, np.full(LINE_POINTS, value), shape)
        lines.append(GridLine("latitude", value, f"{names[1]} {arc_text(value, step, signed=True)}", *place))
    return [line for line in lines if np.isfinite(line.x).sum() > 1]


def world_of(wcs: WCS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of pixels in degrees, in the frame's own system; NaN where there is no sky."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            world = np.asarray(wcs.all_pix2world(np.column_stack([x, y]), 0), dtype=np.float64)
    except Exception:  # wcslib raises several kinds of errors on a projection that ends inside the frame
        return np.full(len(x), np.nan), np.full(len(x), np.nan)
    return world[:, wcs.wcs.lng], world[:, wcs.wcs.lat]


def _pixels(wcs: WCS, longitude: np.ndarray, latitude: np.ndarray, shape: tuple[int, int]) -> tuple:
    """Pixels of places on the sky, float32; NaN outside of the frame, but for one point beyond its border."""
    world = np.empty((len(longitude), 2))
    world[:, wcs.wcs.lng], world[:, wcs.wcs.lat] = longitude, latitude
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = np.asarray(wcs.all_world2pix(world, 0, quiet=True), dtype=np.float64)
    except Exception:  # as in `world_of`
        pixels = np.full(world.shape, np.nan)
    height, width = shape
    x, y = pixels.T
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    near = inside.copy()
    near[1:] |= inside[:-1]
    near[:-1] |= inside[1:]
    near &= np.abs(x) < 4 * width
    near &= np.abs(y) < 4 * height
    return np.where(near, x, np.nan).astype(np.float32), np.where(near, y, np.nan).astype(np.float32)


def _wider(values: np.ndarray) -> tuple[float, float]:
    more = MARGIN * float(np.ptp(values)) + 1e-9
    return float(values.min()) - more, float(values.max()) + more


def _step(span: float, n_lines: int, steps: tuple[float, ...]) -> float:
    return min(steps, key=lambda step: abs(np.log(max(span, 1e-12) / n_lines / step)))


def _values(values: np.ndarray, n_lines: int, steps: tuple[float, ...], around: bool) -> np.ndarray:
    """Round values among those that are covered; of the whole circle every 30 degrees."""
    if around:
        return np.arange(0.0, 360.0, 30.0)
    step = _step(float(np.ptp(values)), n_lines, steps)
    first, last = np.ceil(float(values.min()) / step), np.floor(float(values.max()) / step)
    return np.arange(first, last + 1) * step


def hour_text(degrees: float, step: float) -> str:
    """Right ascension in hours, as finely as lines ``step`` degrees apart need.

    Examples
    --------
    >>> hour_text(187.5, 15.0), hour_text(187.625, 0.125), hour_text(0.0, 15 / 36000)
    ('12h30m', '12h30m30s', '0h00m00.0s')
    """
    return _sexagesimal(degrees / 15, step / 15, ("h", "m", "s"), "")


def arc_text(degrees: float, step: float, signed: bool = False) -> str:
    """Degrees, minutes and seconds, as finely as lines ``step`` degrees apart need.

    Examples
    --------
    >>> arc_text(-0.5, 0.25, signed=True), arc_text(12.0, 1 / 360, signed=True)
    ("-0°30'", '+12°00\\'00"')
    """
    sign = ("-" if round(degrees, 9) < 0 else "+") if signed else ""
    return _sexagesimal(abs(degrees), step, ("°", "'", '"'), sign)


def _sexagesimal(value: float, step: float, marks: tuple[str, str, str], sign: str) -> str:
    seconds_step = step * 3600
    decimals = max(0, int(np.ceil(-np.log10(seconds_step) - 1e-9))) if seconds_step < 1 else 0
    seconds = round(value * 3600, decimals)
    whole, rest = divmod(seconds, 3600)
    minutes, last = divmod(rest, 60)
    text = f"{sign}{int(whole)}{marks[0]}{int(minutes):02d}{marks[1]}"
    if seconds_step >= 60 - 1e-9:
        return text
    return f"{text}{last:0{3 + decimals if decimals else 2}.{decimals}f}{marks[2]}"
