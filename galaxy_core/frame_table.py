"""The columns of a frame's catalogue: what they are, in which units, and how they are made from measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from galaxy_core.frame_blends import Blends
from galaxy_core.frame_measures import FLAG_NAMES, BandMeasures
from galaxy_core.frame_segments import Found

if TYPE_CHECKING:
    from astropy.wcs import WCS


@dataclass(frozen=True)
class ColumnMeaning:
    """Unit (as astropy writes it; empty for none), Unified Content Descriptor (IVOA UCD1+), and a description."""

    unit: str
    ucd: str
    description: str


COLUMNS: dict[str, ColumnMeaning] = {
    "number": ColumnMeaning("", "meta.id;meta.main", "value of the object's pixels in the segmentation map"),
    "x": ColumnMeaning(
        "pix",
        "pos.cartesian.x;instr.det",
        "column of the barycentre (segmenter: of the core); the first pixel's centre is 0",
    ),
    "y": ColumnMeaning(
        "pix",
        "pos.cartesian.y;instr.det",
        "row of the barycentre (segmenter: of the core); the first pixel's centre is 0",
    ),
    "ra_deg": ColumnMeaning("deg", "pos.eq.ra;meta.main", "right ascension; none without coordinates of the frame"),
    "dec_deg": ColumnMeaning("deg", "pos.eq.dec;meta.main", "declination; none without coordinates of the frame"),
    "flux": ColumnMeaning("", "phot.flux", "light over the sky in 2.5 Kron radii, or 3.5 half axes, in frame units"),
    "flux_err": ColumnMeaning("", "stat.error;phot.flux", "one sigma of flux, correlated noise included"),
    "snr": ColumnMeaning("", "stat.snr;phot.flux", "flux over its error"),
    "magnitude": ColumnMeaning("mag", "phot.mag", "of flux; none without a zero point, or where flux is not above 0"),
    "magnitude_err": ColumnMeaning("mag", "stat.error;phot.mag", "one sigma of the magnitude"),
    "half_light_radius": ColumnMeaning("pix", "phys.angSize;src", "of the circle that holds half of flux"),
    "ellipticity": ColumnMeaning("", "src.ellipticity", "1 - axis ratio of the second moments above the isophote"),
    "semi_major": ColumnMeaning("pix", "phys.angSize.smajAxis;src", "dispersion along the major axis"),
    "theta_deg": ColumnMeaning("deg", "pos.posAng;instr.det", "major axis, from x towards y, -90 to 90"),
    "position_angle_deg": ColumnMeaning("deg", "pos.posAng", "major axis on the sky, from north to east, 0 to 180"),
    "detection": ColumnMeaning("", "stat.snr", "highest value of the detection map in the object"),
    "n_pixels": ColumnMeaning("", "phys.area;instr.pixel", "pixels of the object in the segmentation map"),
    "blend_size": ColumnMeaning("", "meta.number", "objects within one isophote of 1.5 sigma; 1: alone"),
    "blend_x": ColumnMeaning("pix", "pos.cartesian.x;instr.det", "column of the barycentre of all light in it"),
    "blend_y": ColumnMeaning("pix", "pos.cartesian.y;instr.det", "row of the barycentre of all light in it"),
    "blend_ra_deg": ColumnMeaning("deg", "pos.eq.ra", "right ascension of that barycentre"),
    "blend_dec_deg": ColumnMeaning("deg", "pos.eq.dec", "declination of that barycentre"),
    "p_galaxy": ColumnMeaning("", "stat.probability;src.class.starGalaxy", "probability of a galaxy, not a star"),
    "flags": ColumnMeaning(
        "", "meta.code.qual", "sum of: " + ", ".join(f"{bit} {said}" for bit, said in FLAG_NAMES.items())
    ),
}
STEP_PX = 0.05  # along the axes, to see which way they point on the sky: short, for places beside a pole
OF_A_BAND = ("flux", "flux_err", "snr", "magnitude", "magnitude_err", "half_light_radius")


@dataclass(frozen=True)
class Place:
    """Where objects are: pixels of the whole frame, degrees on the sky (NaN: unknown), and the axis on both."""

    x: np.ndarray
    y: np.ndarray
    ra_deg: np.ndarray
    dec_deg: np.ndarray
    theta_deg: np.ndarray
    position_angle_deg: np.ndarray


def place_on_sky(
    wcs: WCS | None, x: np.ndarray, y: np.ndarray, major: np.ndarray, minor: np.ndarray, theta: np.ndarray
) -> Place:
    """Positions and angles of objects by a frame's coordinates; those on the sky are NaN without.

    The major axis on the sky is that of the ellipse there: where pixels are not square or the axes of the frame are not
    at right angles, the major axis in pixels becomes another line than the sky's.
    """
    nothing = np.full(len(x), np.nan)
    if wcs is None or len(x) == 0:
        return Place(x, y, nothing, nothing, np.degrees(theta), nothing)
    ra, dec = _world(wcs, x, y)

    def on_sky(angle: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far east and north a half axis reaches."""
        ra_there, dec_there = _world(wcs, x + STEP_PX * np.cos(angle), y + STEP_PX * np.sin(angle))
        east = ((ra_there - ra + 180) % 360 - 180) * np.cos(np.radians(dec))
        return length * east, length * (dec_there - dec)

    (east, north), (east_2, north_2) = on_sky(theta, major), on_sky(theta + np.pi / 2, minor)
    tilt, difference = east * north + east_2 * north_2, north**2 + north_2**2 - east**2 - east_2**2
    angle = np.degrees(np.arctan2(2 * tilt, difference) / 2) % 180
    return Place(x, y, ra % 360, dec, np.degrees(theta), angle)


def blends_on_sky(wcs: WCS | None, blends: Blends, left: int, top: int) -> dict[str, np.ndarray]:
    """The columns that say what objects are blended with; ``left`` and ``top`` are of the window in the frame."""
    x, y = blends.x + left, blends.y + top
    ra, dec = np.full(len(x), np.nan), np.full(len(x), np.nan)
    shared = np.isfinite(x)
    if wcs is not None and shared.any():
        ra[shared], dec[shared] = _world(wcs, x[shared], y[shared])
    return {"blend_size": blends.n, "blend_x": x, "blend_y": y, "blend_ra_deg": ra % 360, "blend_dec_deg": dec}


def _world(wcs: WCS, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination in ICRS, degrees, of pixels; NaN where the projection has no place."""
    from astropy.wcs.utils import pixel_to_skycoord

    places = pixel_to_skycoord(x, y, wcs, origin=0).icrs
    return np.asarray(places.ra.deg, dtype=np.float64), np.asarray(places.dec.deg, dtype=np.float64)


def table_of(
    found: Found,
    place: Place,
    blends: Mapping[str, np.ndarray],
    bands: Mapping[str, BandMeasures],
    flags: np.ndarray,
    n_pixels: np.ndarray,
    n_before: int,
) -> pd.DataFrame:
    """The rows of some objects. Columns without a band's name are of the first; with several, each has its own, too."""
    columns: dict[str, np.ndarray] = {
        "number": np.arange(1, len(found) + 1, dtype=np.int32) + n_before,
        "x": place.x,
        "y": place.y,
        "ra_deg": place.ra_deg,
        "dec_deg": place.dec_deg,
    }
    first = next(iter(bands.values()))
    columns |= _photometry(first)
    columns |= {
        "ellipticity": 1 - found.minor / found.major,
        "semi_major": found.major,
        "theta_deg": place.theta_deg,
        "position_angle_deg": place.position_angle_deg,
        "detection": found.detection,
        "n_pixels": n_pixels.astype(np.int32),
        **blends,
        "p_galaxy": np.full(len(found), np.nan),
        "flags": flags,
    }
    if len(bands) > 1:
        for name, measures in bands.items():
            columns |= {f"{column}_{name}": values for column, values in _photometry(measures).items()}
    return pd.DataFrame(columns)


def _photometry(measures: BandMeasures) -> dict[str, np.ndarray]:
    flux, error = measures.flux, measures.flux_err
    with np.errstate(all="ignore"):
        snr = np.where(error > 0, flux / error, np.nan)
        magnitude_err = np.where(np.isfinite(measures.magnitude), 2.5 / np.log(10) / snr, np.nan)
    values = (flux, error, snr, measures.magnitude, magnitude_err, measures.half_light_radius)
    return dict(zip(OF_A_BAND, values, strict=True))


def meaning_of(column: str) -> ColumnMeaning:
    """What a column is; that of a band has the meaning of its kind."""
    if column in COLUMNS:
        return COLUMNS[column]
    kind = max((name for name in OF_A_BAND if column.startswith(f"{name}_")), key=len)
    known = COLUMNS[kind]
    return ColumnMeaning(known.unit, known.ucd, f"{known.description}; band {column.removeprefix(f'{kind}_')}")
