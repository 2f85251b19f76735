"""What the header of a frame says of brightness and of place on the sky."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.wcs import WCS

# PHOTZP first: where both are, as in the IGAPS, MAGZPT is the night's, and without the exposure.
ZERO_POINT_CARDS = ("PHOTZP", "MAGZERO", "MAGZP", "ZEROPT", "ZEROPOIN", "MAG0")
LAST_ZERO_POINT = ("ZP",)  # mosaics of the DAWN JWST Archive keep that from before they were put into janskys
# Of the Cambridge Astronomy Survey Unit (INT, UKIDSS, VISTA): of one count a second at unit airmass, and its error.
NIGHT_CARDS = ("MAGZPT", "MAGZRR", "EXTINCT", "AIRMASS", "EXP_TIME")
PAN_STARRS_CARDS = ("FPA.ZP",)  # of one count a second; pixels are counts of the whole exposure
FLUX_CARDS = ("FLUXMAG0", "PHOTFLAM", "PHOTPLAM", "PIXAR_SR")
GAIN_CARDS = ("EGAIN", "GAIN", "CCDGAIN")  # GAIN of amateur cameras is a setting, and EGAIN the electrons of a count
# Drizzled rates say EXPTIME 1, for the pixels' second, and TEXPTIME for the light collected.
COLLECTING_CARDS = ("TEXPTIME", "EXPTIME", "EXPOSURE")
FILTER_CARDS = ("FILTER", "FILTER1", "FILTER2")  # the last two of cameras with two wheels, as Hubble's ACS
# What an extension leaves to the primary header of its file, as those of Hubble and of the NOIRLab do.
SHARED_CARDS = (*FILTER_CARDS, "SATURATE", *FLUX_CARDS, *ZERO_POINT_CARDS, *LAST_ZERO_POINT, *NIGHT_CARDS,
                *PAN_STARRS_CARDS, *GAIN_CARDS, *COLLECTING_CARDS)  # fmt: skip
JANSKY_MAGNITUDE = 8.9  # AB, of 1 Jy (Oke and Gunn 1983, ApJ 266, 713)
# Units that astropy does not know, in magnitudes.
UNIT_MAGNITUDES = {"microJy": 23.9} | dict.fromkeys(("nanomaggy", "nanomaggies", "nmgy", "nMgy"), 22.5)
A_PIXEL = re.compile(r"\s*(/|per)\s*pix(els?)?$|\s*pix(els?)?(\^|\*\*)?-1$", re.IGNORECASE)
CALIBRATED = re.compile(r"jy|jansky|mgy|magg|(?<![a-z])(mag|erg|w(att)?\b)")
A_SECOND = re.compile(r"(/|\bper)\s*s(ec(onds?)?)?\b|\bs(ec)?\s*(\^|\*\*)?\s*\(?-1")
ELECTRONS = re.compile(r"electron|^e(?![a-z])")
COUNTS = re.compile(r"^(counts?|adu|dn)\b")
CELESTIAL = re.compile(r"(RA--|DEC-|[A-Z](LON|LAT)|[A-Z]{2}L[NT])-")
LOOKUP_TABLES = re.compile(r"CPDIS|DP\d|D2IM")


def zero_point_of(header: fits.Header | None) -> float:
    """Magnitude of a flux of one by a frame's header; NaN where it does not say.

    A zero point as such (MAGZERO, PHOTZP, ...), MAGZPT, which with an error of its own (MAGZRR) is that of one count a
    second, as is FPA.ZP of Pan-STARRS, or FLUXMAG0, the flux of magnitude 0; or the AB magnitude of BUNIT itself, where
    it is nanomaggies or janskys, or janskys a steradian of pixels whose area is known; or ZP; or PHOTFLAM and PHOTPLAM
    of the Hubble Space Telescope, which give the AB zero point ``-2.5 log10(PHOTFLAM) - 5 log10(PHOTPLAM) - 2.408``
    (Sirianni et al. 2005, PASP 117, 1049) of light a second; ``2.5 log10(EXPTIME)`` is added where BUNIT names
    electrons or counts of the whole exposure.

    Examples
    --------
    >>> zero_point_of({"BUNIT": "nanomaggy"}), zero_point_of({"BUNIT": "nJy", "MAGZERO": 31.39})
    (22.5, 31.39)
    >>> round(zero_point_of({"BUNIT": "MJy/sr", "PIXAR_SR": 2.15e-14}), 2)  # JWST, 0.03 arcsec
    28.07
    """
    for said in (_number(header, ZERO_POINT_CARDS), _night_zero_point(header), _pan_starrs_zero_point(header)):
        if _believable(said):
            return said
    bright = _number(header, ("FLUXMAG0",))
    if bright:
        return float(2.5 * np.log10(bright))
    of_unit = _magnitude_of_unit(header)
    if of_unit is not None:
        return of_unit
    if _believable(last := _number(header, LAST_ZERO_POINT)):
        return last
    flam, plam = _number(header, ("PHOTFLAM",)), _number(header, ("PHOTPLAM",))
    if not flam or not plam or CALIBRATED.search(_unit(header)):
        return float("nan")
    unit, seconds = _unit(header), 1.0
    if (ELECTRONS.search(unit) or COUNTS.search(unit)) and not A_SECOND.search(unit):
        seconds = _number(header, ("EXPTIME",)) or float("nan")
    return float(-2.5 * np.log10(flam) - 5 * np.log10(plam) - 2.408 + 2.5 * np.log10(seconds))


def gain_of(header: fits.Header | None) -> float:
    """Electrons of one unit of a frame's flux by its header; 0 where it does not say, as of calibrated units.

    Examples
    --------
    >>> gain_of({"GAIN": 2.0, "BUNIT": "adu"}), gain_of({"GAIN": 2.0, "BUNIT": "e/s", "EXPTIME": 90.0})
    (2.0, 90.0)
    """
    unit = _unit(header)
    if CALIBRATED.search(unit):
        return 0.0
    gain = 1.0 if ELECTRONS.search(unit) else _number(header, GAIN_CARDS) or 0.0
    return gain * (_number(header, COLLECTING_CARDS) or 0.0) if A_SECOND.search(unit) else gain


def celestial_of(header: fits.Header | None) -> tuple[WCS | None, list[str]]:
    """Celestial coordinates of a header, or None, and a note if it has some that cannot be used.

    Distortions that lie in further extensions of the file, as those of Hubble's single exposures, are left out.
    """
    if header is None:
        return None, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs = _usable(header) or _usable(_without_lookup_tables(header))
    if wcs is None and any(CELESTIAL.match(str(header.get(card, ""))) for card in ("CTYPE1", "CTYPE2")):
        return None, ["The header's coordinates cannot be used, so objects have none on the sky; check its WCS cards."]
    return wcs, []


def readable_coordinates(header: fits.Header) -> fits.Header:
    """The header with its coordinates as `celestial_of` reads them, for a file of its own that others read."""
    return _without_lookup_tables(_named_tpv(header))


def _usable(header: fits.Header) -> WCS | None:
    """Coordinates that pixels can be turned into places of ICRS with."""
    from astropy.wcs import WCS
    from astropy.wcs.utils import pixel_to_skycoord

    try:
        wcs = WCS(_named_tpv(header), naxis=2)
        if wcs.wcs.radesys.strip().upper() == "J2000":  # no name of the standard, and widely written for FK5
            wcs.wcs.radesys = "FK5"
        # the reference pixel lies on the sky, as the first one of a map of all of it does not
        reference = pixel_to_skycoord(*wcs.wcs.crpix, wcs, origin=1)
        return wcs if wcs.has_celestial and np.isfinite(reference.icrs.ra.deg) else None
    except Exception:  # astropy and wcslib raise nearly anything on a damaged header; pixels are good without it
        return None


def _named_tpv(header: fits.Header) -> fits.Header:
    """The header with the distortions of SCAMP called by their name, TPV: it writes them under TAN.

    astropy knows them by coefficients from PVi_5 on. Those of lower orders are known by PVi_1 of both axes, as TAN has
    no parameter on its latitude (Calabretta and Greisen 2002, A&A 395, 1077, table 13).
    """
    said = [str(header.get(f"CTYPE{axis}", "")).strip() for axis in (1, 2)]
    if not all(one.endswith("-TAN") and header.get(f"PV{axis}_1") for axis, one in enumerate(said, start=1)):
        return header
    header = header.copy()
    for axis, one in enumerate(said, start=1):
        header[f"CTYPE{axis}"] = one[:-3] + "TPV"
    return header


def _without_lookup_tables(header: fits.Header) -> fits.Header:
    from astropy.io import fits

    return fits.Header([card for card in header.cards if not LOOKUP_TABLES.match(card.keyword)])


def _night_zero_point(header: fits.Header | None) -> float | None:
    """MAGZPT, of the exposure and the airmass where it is that of the night; None where they are not known."""
    said = _number(header, ("MAGZPT",))
    if said is None or _number(header, ("MAGZRR",)) is None:
        return said
    seconds = 1.0 if A_SECOND.search(_unit(header)) else _number(header, ("EXPTIME", "EXP_TIME"))
    if seconds is None:
        return None
    extinction, airmass = _number(header, ("EXTINCT",)), _number(header, ("AIRMASS",))
    return said + 2.5 * float(np.log10(seconds)) - ((airmass - 1) * extinction if extinction and airmass else 0.0)


def _pan_starrs_zero_point(header: fits.Header | None) -> float | None:
    """FPA.ZP, of the exposure, as its warps and stacks have it (Waters et al. 2020, ApJS 251, 4)."""
    said, seconds = _number(header, PAN_STARRS_CARDS), _number(header, ("EXPTIME",))
    return None if said is None or seconds is None else said + 2.5 * float(np.log10(seconds))


def _believable(said: float | None) -> bool:
    return said is not None and 5 < said < 50


def _magnitude_of_unit(header: fits.Header | None) -> float | None:
    """AB magnitude of one of BUNIT in a pixel; NaN if only the area of the pixel lacks, None where it is no such unit.

    Examples
    --------
    >>> _magnitude_of_unit({"BUNIT": "nJy"}), _magnitude_of_unit({"BUNIT": "10.0*nanoJansky"})  # the latter: DJA
    (31.4, 28.9)
    """
    from astropy import units

    said = A_PIXEL.sub("", unit_of(header))
    if said in UNIT_MAGNITUDES:
        return UNIT_MAGNITUDES[said]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            unit = units.Unit(said)
        except (ValueError, TypeError):
            return None
    if unit.is_equivalent(units.Jy):
        janskys = unit.to(units.Jy)
    elif unit.is_equivalent(units.Jy / units.sr):
        janskys = unit.to(units.Jy / units.sr) * _pixel_steradians(header)
    else:
        return None
    return round(JANSKY_MAGNITUDE - 2.5 * float(np.log10(janskys)), 6)


def _pixel_steradians(header: fits.Header) -> float:
    """Area of a pixel: PIXAR_SR, or that of the coordinates; NaN without either."""
    said = _number(header, ("PIXAR_SR",))
    if said:
        return said
    from astropy.wcs.utils import proj_plane_pixel_area

    wcs, _ = celestial_of(header)
    return float("nan") if wcs is None else float(proj_plane_pixel_area(wcs.celestial) * np.radians(1) ** 2)


def filter_of(header: fits.Header | None) -> str:
    """Name of the filter; empty where the header does not say.

    Examples
    --------
    >>> filter_of({"FILTER": "r DECam"}), filter_of({"FILTER1": "CLEAR1L", "FILTER2": "F814W"}), filter_of({})
    ('r DECam', 'F814W', '')
    """
    said = [str(value).strip() for card in FILTER_CARDS if isinstance(value := (header or {}).get(card), str)]
    return next((one for one in said if one and not one.upper().startswith("CLEAR")), "")


def unit_of(header: fits.Header | None) -> str:
    """What BUNIT says, as it says it; empty where it does not."""
    return str((header or {}).get("BUNIT", "")).strip()


def flux_unit(said: str) -> str:
    """Unit of light summed over pixels, as FITS and VOTable write it; empty where one of them knows no such unit.

    Examples
    --------
    >>> flux_unit("adu"), flux_unit("Jy/pixel"), flux_unit("MJy/sr"), flux_unit("image units")
    ('adu', 'Jy', 'MJy pix sr-1', '')
    """
    from astropy import units

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy looks for names like an unknown one, and warns of those
        try:
            unit = units.Unit(said)
            if {"pix", "sr", "arcsec", "beam"}.intersection(base.name for base in unit.bases):
                unit *= units.pix  # each pixel has so much of it
            unit.to_string("vounit")
            return unit.to_string("fits")
        except (ValueError, TypeError):
            return ""


def _unit(header) -> str:
    return unit_of(header).lower()


def _number(header, cards: Sequence[str]) -> float | None:
    for card in cards:
        value = (header or {}).get(card)
        if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value) and value > 0:
            return float(value)
    return None
