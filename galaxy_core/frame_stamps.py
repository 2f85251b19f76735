"""Single objects of a frame: their stamps and their radial profiles."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from galaxy_core.correlated_noise import noise_correlation
from galaxy_core.frame_bands import SkyFrame
from galaxy_core.frame_light import Window, read_light

SIDE_RADII = 8.0  # of a stamp, in half-light radii: about what Galaxy Zoo's stamps show
MIN_SIDE_PX, MAX_SIDE_PX = 32, 512
PROFILE_RADII = 4.0  # half-light radii, out to where a profile is measured
MIN_PROFILE_PX = 6.0
NOISE_AROUND_PX = 128


@dataclass(frozen=True)
class Profile:
    """Light of an object from its centre outwards, in rings of its own ellipse.

    Attributes
    ----------
    radius_px : ndarray of float64, shape (n,)
        Mean semi-major axis of each ring.
    brightness, error : ndarray of float64, shape (n,)
        Mean light of a pixel over the sky in units of the frame, and its standard error from the pixels' noise, that
        which neighbours share included.
    """

    radius_px: np.ndarray
    brightness: np.ndarray = field(repr=False)
    error: np.ndarray = field(repr=False)


def stamp_side(half_light_radius: float, semi_major: float) -> int:
    """Side of an object's stamp in pixels: `SIDE_RADII` half-light radii within limits.

    Examples
    --------
    >>> stamp_side(10.0, 6.0), stamp_side(1.0, 1.0), stamp_side(float("nan"), 5.0)
    (80, 32, 40)
    """
    radius = half_light_radius if np.isfinite(half_light_radius) and half_light_radius > 0 else semi_major
    return int(np.clip(round(SIDE_RADII * radius), MIN_SIDE_PX, MAX_SIDE_PX))


def cut_stamp(frame: SkyFrame, x: float, y: float, side_px: int) -> np.ndarray:
    """A square around a place, float32 (bands, side, side) in the frame's units; NaN outside of the frame."""
    height, width = frame.shape
    top, left = corner_of(x, y, side_px)
    rows = slice(max(top, 0), min(top + side_px, height))
    columns = slice(max(left, 0), min(left + side_px, width))
    stamp = np.full((len(frame.bands), side_px, side_px), np.nan, dtype=np.float32)
    if rows.start < rows.stop and columns.start < columns.stop:
        inside = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        for band, plane in zip(frame.bands, stamp, strict=True):
            plane[inside] = band.rows(rows.start, rows.stop)[:, columns]
    return stamp


def corner_of(x: float, y: float, side_px: int) -> tuple[int, int]:
    """First row and column of a square around a place; below zero where it leaves the frame."""
    return round(y - (side_px - 1) / 2), round(x - (side_px - 1) / 2)


def radial_profile(frame: SkyFrame, segmentation: np.ndarray, row: pd.Series, band: int = 0) -> Profile:
    """Profile of an object in one band; pixels of other objects, and those without a measurement, are left out.

    Rings are one pixel wide along the major axis, and as flat as the object: ``r = sqrt(u^2 + (v / q)^2)`` with u, v
    along its axes and q its axis ratio.

    Parameters
    ----------
    frame : SkyFrame
    segmentation : ndarray of int, shape (height, width)
    row : pandas.Series
        Of the frame's catalogue.
    """
    height, width = frame.shape
    radius = row["half_light_radius"] if np.isfinite(row["half_light_radius"]) else row["semi_major"]
    reach = max(PROFILE_RADII * float(radius), 2 * float(row["semi_major"]), MIN_PROFILE_PX)
    reach = min(reach, MAX_SIDE_PX / 2)
    x, y = float(row["x"]), float(row["y"])
    top, bottom = int(np.clip(y - reach, 0, height - 1)), int(np.clip(y + reach + 2, 1, height))
    left, right = int(np.clip(x - reach, 0, width - 1)), int(np.clip(x + reach + 2, 1, width))
    # with enough of the frame around that the noise is the one there
    above, before = max(top - NOISE_AROUND_PX, 0), max(left - NOISE_AROUND_PX, 0)
    around = Window(above, min(bottom + NOISE_AROUND_PX, height), before, min(right + NOISE_AROUND_PX, width))
    light = read_light(frame.bands[band], around)
    inside = np.s_[top - above : bottom - above, left - before : right - before]
    labels = np.asarray(segmentation[top:bottom, left:right])
    usable = ~light.unusable[inside] & ((labels == 0) | (labels == int(row["number"])))
    down, across = np.mgrid[top:bottom, left:right]
    angle, ratio = np.radians(float(row["theta_deg"])), max(1 - float(row["ellipticity"]), 0.1)
    along = (across - x) * np.cos(angle) + (down - y) * np.sin(angle)
    aside = -(across - x) * np.sin(angle) + (down - y) * np.cos(angle)
    distance = np.hypot(along, aside / ratio)
    usable &= distance < np.floor(reach)
    ring = distance[usable].astype(int)
    n = np.bincount(ring)
    filled = n > 0
    variance = light.noise[inside].astype(np.float64) ** 2  # in erg/s/cm2/Hz too small for float32
    total, noise = (np.bincount(ring, values[usable])[filled] for values in (light.light[inside], variance))
    mean_radius = np.bincount(ring, distance[usable])[filled] / n[filled]
    # along a ring neighbours share their noise on two sides, where an area's do so on all four
    growth = np.sqrt(noise_correlation(light.light / light.noise))
    return Profile(mean_radius, total / n[filled], growth * np.sqrt(noise) / n[filled])


def pixel_scale_of(frame: SkyFrame) -> float | None:
    """Arcseconds a pixel, the side of a square of its area; None without coordinates."""
    if frame.wcs is None:
        return None
    from astropy.wcs.utils import proj_plane_pixel_area

    scale = float(np.sqrt(proj_plane_pixel_area(frame.wcs.celestial)) * 3600)
    return round(scale, 6) if np.isfinite(scale) and scale > 0 else None
