"""A frame of simulated stars and galaxies with the truth: the population of `star_galaxy_population` under one sky."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from galaxy_core.simulator.observe import NATIVE_PIXEL_ARCSEC
from galaxy_core.simulator.parameters import NOISE_STREAM, stream
from galaxy_core.simulator.star_galaxy import observe_object, photon_noise
from galaxy_core.simulator.star_galaxy_population import SEEING_IN_UGRIZ, draw_object

STAMP_PX = 64  # of the light of an object
BRIGHT_STAMP_PX, BRIGHT_MAG = 128, 19.0


@dataclass(frozen=True)
class SimulatedFrame:
    """A frame and what is in it.

    Attributes
    ----------
    bands : ndarray of float32, shape (5, side, side)
        Nanomaggies per pixel in u, g, r, i and z, sky subtracted.
    truth : pandas.DataFrame
        x, y (the first pixel's centre is at 0), is_galaxy, r_mag and r50_arcsec of every object.
    """

    bands: np.ndarray = field(repr=False)
    truth: pd.DataFrame = field(repr=False)


def simulate_frame(n_objects: int, side_px: int, seed: int = 0, seeing_arcsec: float = 1.32) -> SimulatedFrame:
    """Objects of the population at random places of a frame, with pixels of 0.396 arcsec.

    Parameters
    ----------
    seeing_arcsec : float
        FWHM in r; the wings and the ellipticity of the seeing are drawn once for the frame.
    """
    rng = stream(seed, 0, NOISE_STREAM)
    sky = draw_object(seed, 0)
    fwhm = tuple((seeing_arcsec * np.array(SEEING_IN_UGRIZ)).tolist())
    shared = {"seeing_fwhm_arcsec": fwhm, "moffat_beta": sky.moffat_beta, "psf_ellipticity": sky.psf_ellipticity}
    light, rows = np.zeros((5, side_px, side_px), np.float32), []
    places = rng.uniform(8, side_px - 8, (n_objects, 2))
    for index, (x, y) in enumerate(places):
        column, row = int(np.rint(x)), int(np.rint(y))
        drawn = draw_object(seed, index)
        size = BRIGHT_STAMP_PX if drawn.r_mag < BRIGHT_MAG else STAMP_PX
        # the middle of an even stamp lies half a pixel before the centre of its pixel size // 2
        offset = {
            name: NATIVE_PIXEL_ARCSEC * float(place - pixel + 0.5)
            for name, place, pixel in (("x_arcsec", x, column), ("y_arcsec", y, row))
        }
        stamp = observe_object(replace(drawn, **shared, **offset), size)
        add_stamp(light, stamp, row - size // 2, column - size // 2)
        r50 = drawn.bulge_r50_arcsec if drawn.bulge_fraction > 0.5 else drawn.disc_r50_arcsec
        rows.append((x, y, drawn.is_galaxy, drawn.r_mag, r50))
    bands = light + photon_noise(light, 1.0, rng)
    return SimulatedFrame(bands, pd.DataFrame(rows, columns=["x", "y", "is_galaxy", "r_mag", "r50_arcsec"]))


def add_stamp(frame: np.ndarray, stamp: np.ndarray, top: int, left: int) -> None:
    """Add a stamp (bands, n, n) to a frame (bands, height, width) in place; what lies beyond the edge is lost."""
    height, width = frame.shape[-2:]
    rows = slice(max(top, 0), min(top + stamp.shape[-2], height))
    columns = slice(max(left, 0), min(left + stamp.shape[-1], width))
    frame[:, rows, columns] += stamp[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
