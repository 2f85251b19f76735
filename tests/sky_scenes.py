"""Small frames of known objects, for the tests of the way from a frame to a catalogue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.special import erf

from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame

SKY, SIGMA = 1000.0, 10.0
PLACES = ((40.0, 30.0), (100.3, 60.6), (30.5, 110.25), (120.0, 120.0))  # x and y
FLUXES = (20_000.0, 5_000.0, 10_000.0, 2_500.0)
WIDTH_PX = 2.0
SEP = FrameConfig("sep", false_per_megapixel=5.0)


def gaussian(shape: tuple[int, int], x: float, y: float, flux: float, width: float, ratio=1.0, angle=0.0) -> np.ndarray:
    """An elliptical Gaussian; a round one is integrated over pixels exactly."""
    rows, columns = np.indices(shape).astype(np.float64)
    if ratio == 1.0:
        along, down = (
            0.5 * (erf((axis + 0.5 - centre) / width / 2**0.5) - erf((axis - 0.5 - centre) / width / 2**0.5))
            for axis, centre in ((np.arange(shape[1]), x), (np.arange(shape[0]), y))
        )
        return flux * np.outer(down, along)
    along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
    light = np.exp(-0.5 * ((along / width) ** 2 + (across / width / ratio) ** 2))
    return flux * light / light.sum()


def scene(shape: tuple[int, int] = (160, 150), seed: int = 0, sky: float = SKY, sigma: float = SIGMA) -> np.ndarray:
    """Four round objects on a flat sky, float32."""
    light = sum(gaussian(shape, *place, flux, WIDTH_PX) for place, flux in zip(PLACES, FLUXES, strict=True))
    return (sky + light + np.random.default_rng(seed).normal(0, sigma, shape)).astype(np.float32)


def header(with_wcs: bool = True, **cards) -> fits.Header:
    """A header with north up, east to the left, 0.5 arcseconds a pixel."""
    found = fits.Header()
    if with_wcs:
        for key, value in {
            "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 75.0, "CRPIX2": 80.0,
            "CDELT1": -0.5 / 3600, "CDELT2": 0.5 / 3600, "CUNIT1": "deg", "CUNIT2": "deg",
        }.items():  # fmt: skip
            found[key] = value
    for key, value in cards.items():
        found[key] = value
    return found


def write(path: Path, pixels: np.ndarray, head: fits.Header | None = None) -> Path:
    fits.writeto(path, pixels, head, overwrite=True)
    return path


def catalogue(*paths, config=SEP, **options):
    """The objects of a frame, by a detector that needs no model."""
    with open_sky_frame(paths) as frame:
        return catalogue_frame(frame, config, **options)


def nearest(catalog, x, y):
    """The row of the object nearest to a place, and how far it is."""
    distance = np.hypot(catalog.objects["x"] - x, catalog.objects["y"] - y)
    row = catalog.objects.loc[distance.idxmin()]
    return row.to_dict() | {"flags": int(row["flags"])}, distance.min()
