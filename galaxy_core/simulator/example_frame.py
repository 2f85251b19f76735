"""A frame to try things on: a field as the SDSS sees it in g, r and i, with large galaxies among small ones and stars.

It is made where it is wanted, so nothing need be downloaded, and is the same everywhere.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np
from astropy.io import fits

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.simulator import FIELD_IN_R90, observe_light
from galaxy_core.simulator.observe import NATIVE_PIXEL_ARCSEC
from galaxy_core.simulator.parameters import NOISE_STREAM, draw_parameters, stream
from galaxy_core.simulator.star_galaxy import photon_noise
from galaxy_core.simulator.star_galaxy_frame import add_stamp, simulate_frame

SIDE_PX = 900
N_FAINT = 380  # stars and galaxies, 18 < r < 22
N_LARGE = 14
LEAST_R90_ARCSEC = 9.0
SEEING_ARCSEC = 1.3
SEED = 11
BANDS = {"g": 1, "r": 2, "i": 3}  # in order of the simulated u, g, r, i and z
CENTRE_DEG = (150.0, 2.2)


def write_example_frame(folder: str | Path) -> list[Path]:
    """Write the field as FITS files, one for each of g, r and i, as surveys do.

    Parameters
    ----------
    folder : str or Path
        Made if need be.

    Returns
    -------
    list of Path
        Each file holds float32 (900, 900) in nanomaggies per pixel of 0.396 arcsec, sky subtracted, with coordinates.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    bands, paths = example_bands(), []
    for name, band in BANDS.items():
        paths.append(folder / f"simulated_field_{name}.fits")
        with atomic_path(paths[-1]) as temporary:
            fits.PrimaryHDU(bands[band], _header(name)).writeto(temporary)
    return paths


def example_bands() -> np.ndarray:
    """The field, float32 (5, 900, 900), nanomaggies per pixel in u, g, r, i and z; large galaxies in g, r and i."""
    bands = simulate_frame(N_FAINT, SIDE_PX, SEED, SEEING_ARCSEC).bands
    rng = stream(SEED, N_FAINT, NOISE_STREAM)
    light = np.zeros_like(bands)
    alone = {"n_neighbours": 0, "n_stars": 0, "seeing_fwhm_arcsec": SEEING_ARCSEC}
    for index in large_galaxies():
        galaxy = replace(draw_parameters(SEED, index), **alone)
        size = 2 * round(FIELD_IN_R90 * galaxy.r90_arcsec / NATIVE_PIXEL_ARCSEC / 2)
        stamp = np.zeros((len(bands), size, size), np.float32)
        stamp[3:0:-1] = observe_light(galaxy, SEED, index, size)[0]  # i, r and g
        row, column = rng.integers(60, SIDE_PX - 60, 2)
        add_stamp(light, stamp, row - size // 2, column - size // 2)
    return bands + light + photon_noise(light, 0.0, rng)


def large_galaxies() -> list[int]:
    """The first galaxies of the simulator in which a survey would see arms, bars and discs."""
    sized = (index for index in count() if draw_parameters(SEED, index).r90_arcsec > LEAST_R90_ARCSEC)
    return list(islice(sized, N_LARGE))


def _header(band: str) -> fits.Header:
    header = fits.Header()
    header["BUNIT"], header["FILTER"] = "nanomaggy", band
    header["OBJECT"] = ("simulated field", "no place of the real sky")
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = CENTRE_DEG
    header["CRPIX1"] = header["CRPIX2"] = (SIDE_PX + 1) / 2
    header["CDELT1"], header["CDELT2"] = -NATIVE_PIXEL_ARCSEC / 3600, NATIVE_PIXEL_ARCSEC / 3600
    return header
