"""Light, size and shape of the objects of a frame, in each of its bands, in the manner of SExtractor.

The apertures are those of the bands' sum, so that colours compare the same part of an object. Pixels of neighbours are
left out, and nothing stands for them: the light that an object has there is about what it holds of its neighbours'.
Pixels without a measurement are left out, too, and the rest of the aperture stands for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from galaxy_core.detection import KRON_FACTOR, KRON_RADIUS_MIN_PX
from galaxy_core.frame_bands import Band
from galaxy_core.frame_light import BandLight
from galaxy_core.frame_noise import APERTURE_SIDES_PX
from galaxy_core.frame_segments import Found

# Bits of ``flags``.
BLENDED, EDGE, SATURATED, GAPS = 1, 2, 4, 8
FAINT, CROWDED, PAIR = 16, 32, 64  # why star and galaxy could not be told apart
FLAG_NAMES = {
    BLENDED: "parted from a neighbour",
    EDGE: "cut by the edge of the frame",
    SATURATED: "holds saturated pixels",
    GAPS: "pixels without a measurement in it or beside it",
    FAINT: "too faint to tell a star from a galaxy",
    CROWDED: "too much of it hidden by neighbours to tell a star from a galaxy",
    PAIR: "as likely two stars close together as one galaxy",
}
KRON_REACH = 6.0  # of the isophote's ellipse, out to where the Kron radius is measured
LEAST_SCALE = 3.5  # of the ellipse's half axes: SExtractor's second PHOT_AUTOPARAMS
NEAR_PX = 2  # from an object's pixels to a gap


@dataclass(frozen=True)
class BandMeasures:
    """Of each object in one band, float64 (n,): see the columns of `galaxy_core.frame_catalog.FrameCatalog`."""

    flux: np.ndarray
    flux_err: np.ndarray
    half_light_radius: np.ndarray
    magnitude: np.ndarray


def kron_scale(signal: np.ndarray, found: Found, numbers: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Half axes of each object's aperture over those of its ellipse; 0 where a circle of 1.75 px is larger.

    2.5 Kron radii (Kron 1980, ApJS 43, 305), each of at most 6 half axes of the ellipse, and together of at least 3.5
    as with SExtractor: the radii of faint objects are noise, and without a least a fifth of them lose half their light.

    Parameters
    ----------
    signal : ndarray of float32, shape (height, width)
        Sum of the bands.
    numbers : ndarray of int, shape (n,)
        Of the objects in ``found.segmentation``.
    hidden : ndarray of bool, shape (height, width)
    """
    import sep

    kron, _ = sep.kron_radius(
        signal, *_ellipses(found), KRON_REACH, mask=_mask(hidden), segmap=found.segmentation, seg_id=numbers
    )
    kron = np.where(np.isfinite(kron), np.minimum(kron, KRON_REACH), 0.0)
    scale = np.maximum(KRON_FACTOR * kron, LEAST_SCALE)
    return np.where(scale * np.sqrt(found.major * found.minor) < KRON_RADIUS_MIN_PX, 0.0, scale)


def measure_band(
    light: BandLight, band: Band, found: Found, numbers: np.ndarray, scale: np.ndarray, noise_growth: np.ndarray
) -> BandMeasures:
    """Flux in each object's aperture, its error, the radius that holds half of it, and the magnitude.

    Parameters
    ----------
    noise_growth : ndarray of float64, shape (n_sides,)
        Noise in squares of `APERTURE_SIDES_PX` beside that of white noise: correlated noise adds up faster, and errors
        say so. The shot noise of a source's own electrons does not: they are as many, however pixels share them.
    """
    import sep

    # in units of the noise: variances in erg/s/cm2/Hz are too small for the floats that sep squares them in
    unit = float(band.survey.sigma)
    shown, noise = (np.ascontiguousarray(plane / np.float32(unit)) for plane in (light.light, light.noise))
    noise[light.unusable] = 0
    # without sep's mask, as with one anywhere in the frame it would make up for what neighbours hide, too
    area = {"segmap": found.segmentation, "seg_id": numbers, "subpix": 5}
    ellipse = scale > 0

    def within(values: np.ndarray, **errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums over the apertures, and their errors."""
        whole, error, _ = sep.sum_ellipse(values, *_ellipses(found), np.where(ellipse, scale, 1.0), **errors, **area)
        if not ellipse.all():
            circle = sep.sum_circle(values, found.x, found.y, KRON_RADIUS_MIN_PX, **errors, **area)
            whole, error = np.where(ellipse, whole, circle[0]), np.where(ellipse, error, circle[1])
        return np.asarray(whole, dtype=np.float64), np.asarray(error, dtype=np.float64)

    flux, error = within(shown, err=noise)
    side = np.sqrt(np.pi * np.where(ellipse, found.major * found.minor * scale**2, KRON_RADIUS_MIN_PX**2))
    error *= np.interp(side, APERTURE_SIDES_PX, noise_growth)
    if band.gain_electrons > 0:
        error = np.hypot(error, np.sqrt(np.maximum(flux, 0) / (band.gain_electrons * unit)))
    radius = np.full(len(flux), np.nan)
    lit = flux > 0
    if lit.any():
        own = area | {"seg_id": numbers[lit], "normflux": flux[lit]}
        reach = np.maximum(KRON_REACH * found.major[lit], KRON_RADIUS_MIN_PX)
        radius[lit], _ = sep.flux_radius(shown, found.x[lit], found.y[lit], reach, 0.5, **own)
    if light.unusable.any():
        measured, own_area = (within(where.astype(np.float32))[0] for where in (~light.unusable, noise >= 0))
        share = np.divide(measured, own_area, out=np.full(len(flux), np.nan), where=measured > 0)
        flux, error = flux / share, error / share
    flux, error = unit * flux, unit * error
    magnitude = np.full(len(flux), np.nan)
    magnitude[lit] = band.zero_point_mag - 2.5 * np.log10(flux[lit])
    return BandMeasures(flux, error, radius, magnitude)


def flags_of(
    found: Found, numbers: np.ndarray, scale: np.ndarray, bands: Sequence[BandLight], at_edge: tuple[bool, ...]
) -> np.ndarray:
    """Flags of each object, int16 (n,).

    Parameters
    ----------
    at_edge : tuple of bool
        Whether the window's top, bottom, left and right are those of the frame.
    """
    flags = np.where(found.blended, BLENDED, 0)
    for what, maps in ((SATURATED, [band.saturated for band in bands]), (GAPS, [_near_gaps(band) for band in bands])):
        for where in maps:
            if where.any():
                inside = np.unique(found.segmentation[where])
                flags |= np.where(np.isin(numbers, inside), what, 0)
    height, width = found.segmentation.shape
    half_width, half_height = _half_sides(found, scale)
    left, right, first, last = found.box.T
    cut = at_edge[0] & ((first <= 0) | (found.y - half_height < -0.5))
    cut |= at_edge[1] & ((last >= height - 1) | (found.y + half_height > height - 0.5))
    cut |= at_edge[2] & ((left <= 0) | (found.x - half_width < -0.5))
    cut |= at_edge[3] & ((right >= width - 1) | (found.x + half_width > width - 0.5))
    return (flags | np.where(cut, EDGE, 0)).astype(np.int16)


def _half_sides(found: Found, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the width and height of the box around each aperture, pixels."""
    along, across = found.major * scale, found.minor * scale
    sine, cosine = np.sin(found.theta), np.cos(found.theta)
    least = np.where(scale > 0, 0.0, KRON_RADIUS_MIN_PX)
    return (
        np.maximum(np.hypot(along * cosine, across * sine), least),
        np.maximum(np.hypot(along * sine, across * cosine), least),
    )


def _near_gaps(band: BandLight) -> np.ndarray:
    return ndimage.binary_dilation(band.unusable, iterations=NEAR_PX) if band.unusable.any() else band.unusable


def _ellipses(found: Found) -> tuple[np.ndarray, ...]:
    return found.x, found.y, found.major, found.minor, found.theta


def _mask(hidden: np.ndarray) -> np.ndarray | None:
    return hidden if hidden.any() else None
