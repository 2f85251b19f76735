"""What else is in the stamp: faint neighbours behind the galaxy, and stars in front of it."""

from __future__ import annotations

import numpy as np

from galaxy_core.simulator.galaxy import BANDS, band_fluxes
from galaxy_core.simulator.light import Frame, make_frame, moffat, sersic
from galaxy_core.simulator.observe import MOFFAT_BETA, NO_SHIFTS, SEEING_IN_BANDS


def _patch(frame: Frame, x0: float, y0: float, radius: float) -> tuple[tuple[slice, slice], Frame] | None:
    """The part of the frame within ``radius`` of a point, as a frame of its own grid; None where it misses."""
    rows, columns = frame.cut(x0, y0, radius)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return None
    # a square patch keeps the pixel integration simple: grow the shorter side into the frame
    side = max(rows.stop - rows.start, columns.stop - columns.start)
    top, left = min(rows.start, frame.size_px - side), min(columns.start, frame.size_px - side)
    rows, columns = slice(top, top + side), slice(left, left + side)
    small = make_frame(side, frame.pixel_scale_arcsec)
    return (rows, columns), small


def add_neighbours(image: np.ndarray, frame: Frame, number: int, reach_arcsec: float, rng: np.random.Generator) -> None:
    """Add ``number`` small galaxies to the light (3, n, n), in place, before the seeing blurs them.

    They fall within ``reach_arcsec`` of the centre in x and in y, the same places whatever the size of the frame.
    """
    for _ in range(number):
        x0, y0 = rng.uniform(-reach_arcsec, reach_arcsec, 2)
        flux = min(0.55 * (1 - rng.random()) ** -1.1, 90.0)
        r50 = float(np.clip(0.38 * flux**0.3 * np.exp(0.3 * rng.normal()), 0.12, 4.0))
        n, axis_ratio, angle = rng.uniform(0.8, 3.5), rng.uniform(0.3, 1.0), rng.uniform(0, 180)
        g_r = float(np.clip(rng.normal(1.0, 0.4), 0.1, 1.6))
        _add_sersic(image, frame, band_fluxes(flux, g_r), r50, n, axis_ratio, angle, x0, y0)


def _add_sersic(
    image: np.ndarray, frame: Frame, fluxes: np.ndarray, r50: float, n: float, axis_ratio: float, angle: float,
    x0: float, y0: float,
) -> None:  # fmt: skip
    """Add a galaxy that is small in the frame, rendering only the patch that holds it."""
    found = _patch(frame, x0, y0, 6 * r50 + 2 * frame.pixel_scale_arcsec)
    if found is None:
        return
    (rows, columns), small = found
    x = x0 - float(frame.x_arcsec[0, columns].mean())
    y = y0 - float(frame.y_arcsec[rows, 0].mean())
    image[:, rows, columns] += fluxes[:, None, None] * sersic(
        small, r50, n, axis_ratio, angle, x, y, levels=((3.0, 4), (0.6, 16))
    )


def add_stars(
    image: np.ndarray,
    frame: Frame,
    number: int,
    reach_arcsec: float,
    fwhm_arcsec: float,
    rng: np.random.Generator,
    shifts_arcsec: tuple[tuple[float, float], ...] = NO_SHIFTS,
) -> None:
    """Add ``number`` foreground stars to the blurred image (3, n, n), in place; each is the seeing itself."""
    for _ in range(number):
        x0, y0 = rng.uniform(-reach_arcsec, reach_arcsec, 2)
        flux = min(1.0 * (1 - rng.random()) ** -1.1, 1500.0)
        g_r = float(rng.choice([rng.normal(0.45, 0.18), rng.normal(1.4, 0.08)], p=[0.6, 0.4]))
        r_i = 0.4 * g_r if g_r < 1.1 else float(rng.uniform(0.4, 1.2))
        add_star(image, frame, band_fluxes(flux, g_r, r_i), fwhm_arcsec, x0, y0, shifts_arcsec)


def add_star(
    image: np.ndarray,
    frame: Frame,
    fluxes: np.ndarray,
    fwhm_arcsec: float,
    x0: float,
    y0: float,
    shifts_arcsec: tuple[tuple[float, float], ...] = NO_SHIFTS,
) -> None:
    """Add a point source of the given flux in each band, in place."""
    radius = fwhm_arcsec * float(np.clip(2.5 * np.max(fluxes) ** 0.25, 4, 16))
    found = _patch(frame, x0, y0, radius)
    if found is None:
        return
    (rows, columns), small = found
    x = x0 - float(frame.x_arcsec[0, columns].mean())
    y = y0 - float(frame.y_arcsec[rows, 0].mean())
    for band in range(len(BANDS)):
        dx, dy = shifts_arcsec[band]
        spread = moffat(small, fwhm_arcsec * SEEING_IN_BANDS[band], MOFFAT_BETA, x + dx, y + dy)
        image[band, rows, columns] += fluxes[band] * spread
