"""Stamps of the objects of a frame in units of the noise, without their neighbours: what tells stars from galaxies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from galaxy_core.frame_light import BandLight, Window
from galaxy_core.star_galaxy_stamps import SIZE_PX

LIGHT_RANGE = (-1e4, 3e4)  # in the noise of a pixel, as the stamps that the model learned from


@dataclass(frozen=True)
class Cutouts:
    """Stamps of n objects.

    Attributes
    ----------
    pixels : ndarray of float32, shape (n, bands, 32, 32)
        In units of the noise of a pixel; the object lies within half a pixel of pixel (16, 16).
    noise : ndarray of float32, shape (n, bands)
        That noise at the object, in units of the frame.
    hidden : ndarray of bool, shape (n, 32, 32)
        Pixels of neighbours, without a measurement in some band, or beyond the frame. They show what lies across the
        object's centre, or sky where that is hidden, too.
    """

    pixels: np.ndarray = field(repr=False)
    noise: np.ndarray = field(repr=False)
    hidden: np.ndarray = field(repr=False)

    def hidden_share(self, width_px: float | np.ndarray) -> np.ndarray:
        """Share of a Gaussian of this dispersion that is hidden, float64 (n,)."""
        width = np.broadcast_to(np.asarray(width_px, np.float64), len(self.pixels))
        away = (np.arange(SIZE_PX) - SIZE_PX // 2) ** 2
        weight = np.exp(-0.5 * (away[:, None] + away) / width[:, None, None] ** 2)
        return (weight * self.hidden).sum((1, 2)) / weight.sum((1, 2))


def cut_objects(
    bands: Sequence[BandLight],
    segmentation: np.ndarray,
    objects: pd.DataFrame,
    window: Window,
    growth: Sequence[float],
    binning: int = 1,
) -> Cutouts:
    """Stamps of objects of a window.

    Parameters
    ----------
    segmentation : ndarray of int32, shape (height, width)
        Of the window; its numbers are those of ``objects``.
    objects : pandas.DataFrame
        With number, x and y in pixels of the frame.
    growth : sequence of float
        How noise adds up over a few pixels in each band, beside that of white noise.
    binning : int
        Pixels of the frame along a side of one pixel of a stamp, where the seeing is wide.
    """
    side = SIZE_PX * binning
    rows, columns, inside = _places(objects, window, segmentation.shape, side, binning)
    labels = segmentation[rows, columns]
    hidden = ~inside | ((labels != 0) & (labels != objects["number"].to_numpy()[:, None, None]))
    for band in bands:
        if band.unusable.any():
            hidden |= band.unusable[rows, columns]
    across = (side + binning - 1 - np.arange(side)) % side  # the pixel on the other side of the central one
    other_hidden = hidden[:, across][:, :, across]
    n, middle = len(objects), (side + binning) // 2
    pixels = np.empty((n, len(bands), SIZE_PX, SIZE_PX), np.float32)
    noise = np.empty((n, len(bands)), np.float32)
    for index, (band, more) in enumerate(zip(bands, growth, strict=True)):
        light = band.light[rows, columns]
        light = np.where(hidden, np.where(other_hidden, 0, light[:, across][:, :, across]), light)
        sigma = band.noise[rows[:, middle, 0], columns[:, 0, middle]] * more
        pixels[:, index] = _binned(light, binning) / (sigma * binning)[:, None, None]
        noise[:, index] = sigma * binning
    return Cutouts(np.clip(pixels, *LIGHT_RANGE), noise, _binned(hidden, binning) > binning**2 / 2)


def _places(objects, window: Window, shape, side: int, binning: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (n, side, 1) and columns (n, 1, side) of the window for each stamp, clipped, and whether they are in it."""
    starts = []
    for name, first in (("y", window.top), ("x", window.left)):
        # the middle of the stamp's pixel (16, 16) lies (binning - 1) / 2 beyond its first pixel of the frame
        start = np.rint(objects[name].to_numpy() - first - SIZE_PX // 2 * binning - (binning - 1) / 2).astype(int)
        starts.append(start[:, None] + np.arange(side))
    rows, columns = starts
    inside = ((rows >= 0) & (rows < shape[0]))[:, :, None] & ((columns >= 0) & (columns < shape[1]))[:, None, :]
    return np.clip(rows, 0, shape[0] - 1)[:, :, None], np.clip(columns, 0, shape[1] - 1)[:, None, :], inside


def _binned(stamps: np.ndarray, binning: int) -> np.ndarray:
    """Sums of squares of pixels, (n, 32, 32)."""
    if binning == 1:
        return stamps
    return stamps.reshape(len(stamps), SIZE_PX, binning, SIZE_PX, binning).sum((2, 4))
