"""Where the light falls: surface brightness profiles integrated over the pixels of a frame.

Every function returns float32 ``(n, n)`` holding the share of the part's total flux that lands in each pixel, so the
sum over a frame large enough is 1. Sersic and Moffat profiles are those of ``astropy.modeling``, evaluated without
building a model, which is what makes a thousand stamps a matter of seconds.

References
----------
Sersic total flux: Graham & Driver 2005, PASA 22, 118, equation 4.
Edge-on disc: van der Kruit & Searle 1981, A&A 95, 105.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gamma, gammaincinv, ive, k1

Profile = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Frame:
    """A square grid of ``size_px`` pixels centred on the galaxy.

    Attributes
    ----------
    x_arcsec, y_arcsec : numpy.ndarray
        Pixel centres, shapes (1, n) and (n, 1), so that they broadcast.
    """

    size_px: int
    pixel_scale_arcsec: float
    x_arcsec: np.ndarray
    y_arcsec: np.ndarray

    def cut(self, x0: float, y0: float, radius: float) -> tuple[slice, slice]:
        """Rows and columns within ``radius`` arcsec of a point; empty where the box misses the frame."""
        slices = []
        for center in (y0, x0):
            low = int(np.floor((center - radius) / self.pixel_scale_arcsec + self.size_px / 2))
            high = int(np.ceil((center + radius) / self.pixel_scale_arcsec + self.size_px / 2))
            slices.append(slice(min(max(low, 0), self.size_px), min(max(high, 0), self.size_px)))
        return slices[0], slices[1]


def make_frame(size_px: int, pixel_scale_arcsec: float) -> Frame:
    """Frame of ``size_px`` by ``size_px`` pixels with the origin at its centre."""
    axis = ((np.arange(size_px) - (size_px - 1) / 2) * pixel_scale_arcsec).astype(np.float32)
    return Frame(size_px, pixel_scale_arcsec, axis[None, :], axis[:, None])


def integrate(
    profile: Profile, frame: Frame, x0: float, y0: float, levels: tuple[tuple[float, int], ...]
) -> np.ndarray:
    """Integrate a profile over pixels: from their centres, and on finer and finer grids towards a cusp.

    Parameters
    ----------
    profile : callable
        ``profile(x, y)``, per square arcsecond.
    levels : tuple of (float, int)
        Half-width in pixels of a box around ``(x0, y0)``, and how many samples a side its pixels get; widest box first.
    """
    scale = frame.pixel_scale_arcsec
    image = profile(frame.x_arcsec, frame.y_arcsec)
    # a pixel's mean is its central value plus the Laplacian over 24, to fourth order; the cusp itself is replaced below
    center = image[1:-1, 1:-1]
    bend = image[2:, 1:-1] + image[:-2, 1:-1] + image[1:-1, 2:] + image[1:-1, :-2] - 4 * center
    center += bend * np.float32(1 / 24)
    for half_px, samples in levels:
        rows, columns = frame.cut(x0, y0, half_px * scale)
        n_rows, n_columns = rows.stop - rows.start, columns.stop - columns.start
        if n_rows and n_columns:
            offsets = (((np.arange(samples) + 0.5) / samples - 0.5) * scale).astype(np.float32)
            x = (frame.x_arcsec[0, columns, None] + offsets).reshape(1, -1)
            y = (frame.y_arcsec[rows, 0, None] + offsets).reshape(-1, 1)
            image[rows, columns] = profile(x, y).reshape(n_rows, samples, n_columns, samples).mean((1, 3))
    return (image * np.float32(scale**2)).astype(np.float32, copy=False)


def sersic(
    frame: Frame,
    r50: float,
    n: float,
    axis_ratio: float,
    angle_deg: float,
    x0: float = 0.0,
    y0: float = 0.0,
    levels: tuple[tuple[float, int], ...] | None = None,
) -> np.ndarray:
    """Sersic profile of unit flux; ``r50`` in arcsec is the half-light radius along the major axis.

    ``levels``, as in `integrate`, default to what keeps the flux to 0.1 %.
    """
    b = gammaincinv(2 * n, 0.5)
    amplitude = b ** (2 * n) / (2 * np.pi * r50**2 * axis_ratio * n * np.exp(b) * gamma(2 * n))
    # numpy float32 scalars keep most steps of the evaluation in single precision, which is faster
    values = [np.float32(v) for v in (amplitude, r50, n, x0, y0, 1 - axis_ratio, np.radians(angle_deg))]
    if levels is None:
        levels = _sersic_levels(n, r50 / frame.pixel_scale_arcsec, axis_ratio)
    from astropy.modeling.models import Sersic2D

    return integrate(lambda x, y: Sersic2D.evaluate(x, y, *values), frame, x0, y0, levels)


def _sersic_levels(n: float, r50_px: float, axis_ratio: float) -> tuple[tuple[float, int], ...]:
    """Boxes of finer sampling: deeper for a steeper cusp, wider where the profile changes within a pixel."""
    levels = [(5.0, 4), (1.5, 16)] if n > 0.8 else [(4.0, 3)]
    if n > 2.5:
        levels.append((0.6, 64))
    if r50_px * axis_ratio < 3:
        levels.insert(0, (min(4 * r50_px, 24.0), 3))
    return tuple(levels)


def moffat(frame: Frame, fwhm: float, beta: float, x0: float = 0.0, y0: float = 0.0) -> np.ndarray:
    """Moffat point spread function of unit flux."""
    core = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    amplitude = (beta - 1) / (np.pi * core**2)
    values = [np.float32(v) for v in (amplitude, x0, y0, core, beta)]
    fine = 3 if fwhm / frame.pixel_scale_arcsec > 3 else 7
    from astropy.modeling.models import Moffat2D

    return integrate(lambda x, y: Moffat2D.evaluate(x, y, *values), frame, x0, y0, ((4.0, fine),))


@lru_cache(maxsize=1)
def _edge_on_table() -> tuple[np.ndarray, np.ndarray]:
    """t and t K1(t), the radial profile of an exponential disc seen edge-on."""
    t = np.linspace(1e-4, 14, 1500)
    return t, t * k1(t)


def edge_on_disc(
    frame: Frame, scale: float, height: float, angle_deg: float, dust_depths: tuple[float, ...] = (0.0,)
) -> np.ndarray:
    """Exponential disc seen edge-on, with a thin dust lane; float32 (len(dust_depths), n, n).

    Without dust the flux is 1. The lane dims by ``exp(-depth)`` at its centre; it is thinner than the stars and a
    little off the midplane, as for a disc that is not exactly edge-on.
    """
    angle = np.radians(angle_deg)
    table = _edge_on_table()
    total = 2 * np.pi * scale * height / 2 * 2  # of t K1(t) over t is pi/2 on either side, of sech^2 is 2 heights
    image = np.zeros((len(dust_depths), frame.size_px, frame.size_px), np.float32)
    # two Gauss-Legendre nodes a side of each pixel: a thin disc varies within one
    nodes = np.float32(frame.pixel_scale_arcsec / np.sqrt(12.0))
    for dx in (-nodes, nodes):
        for dy in (-nodes, nodes):
            x, y = frame.x_arcsec + dx, frame.y_arcsec + dy
            along = np.abs(x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) / np.float32(scale)
            across = (y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))) / np.float32(height)
            light = np.interp(along, *table).astype(np.float32) / np.cosh(np.minimum(np.abs(across), 12)) ** 2
            if any(dust_depths):
                lane = np.exp(-((across - np.float32(0.25)) ** 2) / np.float32(0.18) - (along / np.float32(2.2)) ** 4)
            for band, depth in enumerate(dust_depths):
                image[band] += light * np.exp(np.float32(-depth) * lane) if depth else light
    return image * np.float32(frame.pixel_scale_arcsec**2 / 4 / total)


def ring(radius: np.ndarray, ring_radius: float, width: float) -> np.ndarray:
    """Surface density, per square arcsecond in the plane of the disc, of a ring of unit flux."""
    # the integral of exp(-(r - R)^2 / 2 w^2) r dr is R w sqrt(2 pi) as long as the ring is thin
    density = np.exp(-0.5 * ((radius - np.float32(ring_radius)) / np.float32(width)) ** 2)
    return density / np.float32((2 * np.pi) ** 1.5 * ring_radius * width)


def spiral_pattern(
    radius: np.ndarray, theta: np.ndarray, n_arms: int, pitch_deg: float, sign: int, phase: np.ndarray, sharpness: float
) -> np.ndarray:
    """Contrast of logarithmic arms: averages to 0 over angle at every radius, so arms move light and never make any.

    The ridge is a von Mises bump about ``theta = phase + sign ln(r) / tan(pitch)``, and its mean, a Bessel function, is
    taken off exactly; the result is at least -1.
    """
    winding = sign * np.log(np.maximum(radius, np.float32(1e-3))) / np.float32(np.tan(np.radians(pitch_deg)))
    crest = np.cos(n_arms * (theta - winding - phase))
    return np.exp(np.float32(sharpness) * (crest - 1)) / np.float32(ive(0, sharpness)) - 1


def add_blob(image: np.ndarray, frame: Frame, fluxes: np.ndarray, x0: float, y0: float, sigma: float) -> None:
    """Add a round Gaussian of the given flux in each band to ``image`` (bands, n, n), in place."""
    # never narrower than half a pixel: the seeing hides the difference, and sampling at centres stays exact
    sigma = max(sigma, 0.5 * frame.pixel_scale_arcsec)
    rows, columns = frame.cut(x0, y0, 4 * sigma + frame.pixel_scale_arcsec)
    along_x = np.exp(-0.5 * ((frame.x_arcsec[0, columns] - np.float32(x0)) / np.float32(sigma)) ** 2)
    along_y = np.exp(-0.5 * ((frame.y_arcsec[rows, 0] - np.float32(y0)) / np.float32(sigma)) ** 2)
    blob = np.outer(along_y, along_x) * np.float32(frame.pixel_scale_arcsec**2 / (2 * np.pi * sigma**2))
    image[:, rows, columns] += np.asarray(fluxes, np.float32)[:, None, None] * blob
