"""``star-galaxy:N``: N simulated stars and galaxies in u, g, r, i and z, with the truth and the seeing in the table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from galaxy_core.catalogs.catalog import Catalog, ReadReport
from galaxy_core.catalogs.synthetic import parse_number
from galaxy_core.simulator.observe import NATIVE_PIXEL_ARCSEC
from galaxy_core.simulator.star_galaxy import ZERO_POINT_MAG, simulate_object, sky_noise
from galaxy_core.simulator.star_galaxy_population import BANDS, POPULATION, draw_object


def read(n: int | str) -> Catalog:
    """Catalog of ``n`` simulated objects; stamps are rendered when they are asked for.

    Parameters
    ----------
    n : int or str
        How many, or ``"N@seed"`` for others than those of seed 0.

    Returns
    -------
    Catalog
        ``class`` is star or galaxy. ``psf_fwhm_<band>_arcsec`` is the seeing as it is known, with the relative error
        ``psf_fwhm_error``; ``noise_sigma_<band>`` the noise of a pixel of sky in nanomaggies, the unit of the stamps;
        ``r_mag`` and the rest are true.
    """
    number, seed = parse_number(n, "star-galaxy")
    return Catalog(
        table=pd.DataFrame([_row(index, seed) for index in range(number)]),
        load_image=lambda i: _load_image(i, number, seed),
        layout="star-galaxy",
        source=str(number) if seed == 0 else f"{number}@{seed}",
        report=ReadReport(n_rows=number, n_galaxies=number),
        linear=True,
        pixel_scale_arcsec=NATIVE_PIXEL_ARCSEC,
    )


def _row(index: int, seed: int) -> dict:
    p = draw_object(seed, index)
    known = {f"psf_fwhm_{band}_arcsec": value for band, value in zip(BANDS, p.known_fwhm_arcsec, strict=True)}
    noise = {f"noise_sigma_{band}": float(v) for band, v in zip(BANDS, sky_noise(p.noise_factor), strict=True)}
    return {
        "galaxy_id": f"star-galaxy-{seed}-{index:06d}",
        "class": "galaxy" if p.is_galaxy else "star",
        "r_mag": p.r_mag,
        "r50_arcsec": p.bulge_r50_arcsec if p.bulge_fraction > 0.5 else p.disc_r50_arcsec,
        "bulge_fraction": p.bulge_fraction,
        "zero_point_mag": ZERO_POINT_MAG,
        "psf_fwhm_error": POPULATION.psf_fwhm_error,
        **known,
        **noise,
    }


def _load_image(i: int, number: int, seed: int) -> np.ndarray:
    i = int(i)
    if not 0 <= i < number:
        raise IndexError(f"row {i} of a catalog of {number} objects")
    return simulate_object(i, seed).image
