"""Positions on the sky: reading what people type, finding what lies near it, and links to other atlases.

All positions are ICRS. Sexagesimal right ascensions are hours, as everywhere in astronomy; decimal ones are degrees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import numpy as np

from galaxy_core.errors import PositionError

DEFAULT_RADIUS_ARCSEC = 10.0
MAX_RADIUS_ARCSEC = 180 * 3600.0
UNITS_ARCSEC = {'"': 1.0, "arcsec": 1.0, "'": 60.0, "arcmin": 60.0, "d": 3600.0, "deg": 3600.0}
# What word processors and keyboards make of a minus, a degree sign, minutes and seconds.
PLAIN_SIGNS = str.maketrans({"−": "-", "–": "-", "°": "d", "º": "d", "″": '"', "”": '"', "′": "'", "’": "'"})

NUMBER = r"\d+(?:\.\d*)?|\.\d+"
RADIUS = re.compile(
    rf"(?:[\s,;]+|^)(?:(?:r|radius)\s*=\s*)(?P<named>{NUMBER})\s*(?P<named_unit>\"|''|'|[a-z]*)$"
    rf"|[\s,;]+(?P<bare>{NUMBER})\s*(?P<unit>\"|''|'|[a-z]*)$"
)
RADIUS_FORMS = "30\", 0.5' or 0.02 deg"
SURELY_A_PLACE = re.compile(r"[.:hd]")  # three whole numbers may be anything
DECIMAL = r"\d{1,3}(?:\.\d*)?|\.\d+"
SECONDS = r"\d{1,2}(?:\.\d*)?"
GAP = r"(?:\s*[,;]\s*|\s+)"
# Right ascension and declination, each of the same style; every part is a number without its sign.
STYLES = (
    ("deg", rf"(?P<ra>[+-]?(?:{DECIMAL}))d?{GAP}(?P<dec>[+-]?(?:{DECIMAL}))d?"),
    ("hours", rf"(?P<ra>[+-]?\d{{1,2}}:\d{{1,2}}(?::{SECONDS})?)(?:{GAP}|(?=[+-]))"
              rf"(?P<dec>[+-]?\d{{1,2}}:\d{{1,2}}(?::{SECONDS})?)"),
    ("hours", rf"(?P<ra>[+-]?\d{{1,2}} +\d{{1,2}} +{SECONDS})(?:{GAP}|(?=[+-]))"
              rf"(?P<dec>[+-]?\d{{1,2}} +\d{{1,2}} +{SECONDS})"),
    ("letters", rf"(?P<ra>[+-]?\d{{1,3}}[hd] *\d{{1,2}} *[m'] *(?:{SECONDS} *(?:s|\"|''))?)(?:{GAP}|(?=[+-]))?"
                rf"(?P<dec>[+-]?\d{{1,2}}d *\d{{1,2}} *[m'] *(?:{SECONDS} *(?:s|\"|''))?)"),
)  # fmt: skip


@dataclass(frozen=True)
class SkyQuery:
    """A circle on the sky.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Its centre, ICRS; right ascension in [0, 360).
    radius_arcsec : float
    """

    ra_deg: float
    dec_deg: float
    radius_arcsec: float = DEFAULT_RADIUS_ARCSEC


def parse_position(text: str) -> SkyQuery | None:
    """A position, and a radius where one follows it; None where the text is something else, such as an id.

    Parameters
    ----------
    text : str
        Right ascension and declination in decimal degrees or sexagesimal, separated by a space or a comma, then
        optionally a radius in arcseconds (``30"``), arcminutes (``1'``) or degrees (``0.1d``); after ``r=`` a number
        without a unit means arcseconds.

    Raises
    ------
    PositionError
        It is written like a position, but no such place exists, or the radius after it has no unit.

    Examples
    --------
    >>> parse_position("150.119 2.2058")
    SkyQuery(ra_deg=150.119, dec_deg=2.2058, radius_arcsec=10.0)
    >>> parse_position("10h00m28.56s +02d12m20.88s r=30")
    SkyQuery(ra_deg=150.119, dec_deg=2.2058, radius_arcsec=30.0)
    >>> parse_position("587722984435351614")
    """
    text = text.translate(PLAIN_SIGNS).strip().lower()
    matched, radius = _match(text), DEFAULT_RADIUS_ARCSEC
    if matched is None and (ending := RADIUS.search(text)):
        place = text[: ending.start()].rstrip(" ,;")
        matched = _match(place)
        if matched is not None and not ending["named"] and not ending["unit"] and not SURELY_A_PLACE.search(place):
            matched = None
        if matched is not None:
            radius = _radius_arcsec(ending)
    if matched is None:
        return None
    style, ra, dec = matched
    in_hours = style == "hours" or "h" in ra
    ra_deg = _degrees(ra, "right ascension") * (15 if in_hours else 1)
    dec_deg = _degrees(dec, "declination")
    if not 0 <= ra_deg <= 360:
        limits = "0 and 24 hours" if in_hours else "0° and 360°"
        raise PositionError(f"A right ascension lies between {limits}, “{ra.strip()}” does not; check the position.")
    if not -90 <= dec_deg <= 90:
        raise PositionError(
            f"A declination lies between −90° and +90°, “{dec.strip()}” does not; write the right ascension first."
        )
    return SkyQuery(round(ra_deg % 360.0, 12), round(dec_deg, 12), radius)


def _match(text: str) -> tuple[str, str, str] | None:
    for style, pattern in STYLES:
        if match := re.fullmatch(pattern, text):
            return style, match["ra"], match["dec"]
    return None


def _radius_arcsec(ending: re.Match) -> float:
    value, unit = ending["named"] or ending["bare"], (ending["named_unit"] or ending["unit"] or "").replace("''", '"')
    if ending["bare"] and not unit:
        raise PositionError(f"The radius “{value}” needs a unit; write it as {RADIUS_FORMS}.")
    unit = unit or '"'
    if unit not in UNITS_ARCSEC:
        raise PositionError(f"“{unit}” is no unit of a radius; write it as {RADIUS_FORMS}.")
    radius = float(value) * UNITS_ARCSEC[unit]
    if not 0 < radius <= MAX_RADIUS_ARCSEC:
        raise PositionError(f"A radius is more than 0 and at most 180 degrees; write it as {RADIUS_FORMS}.")
    return radius


def _degrees(text: str, what: str) -> float:
    """A sexagesimal or decimal angle in its own unit; the sign holds for all of its parts."""
    parts = [float(part) for part in re.findall(NUMBER, text)]
    if any(part >= 60 for part in parts[1:]):
        raise PositionError(f"Minutes and seconds end below 60, those of the {what} “{text.strip()}” do not.")
    value = sum(part / 60**place for place, part in enumerate(parts))
    return -value if text.strip().startswith("-") else value


def cone_search(ra_deg: np.ndarray, dec_deg: np.ndarray, query: SkyQuery) -> tuple[np.ndarray, np.ndarray]:
    """Galaxies within a circle on the sky, the nearest to its centre first.

    Parameters
    ----------
    ra_deg, dec_deg : float64 array, shape (n,)
        Positions in degrees; a galaxy without finite ones is never found.
    query : SkyQuery

    Returns
    -------
    rows : int64 array, shape (n_found,)
    separation_arcsec : float64 array, shape (n_found,)
        On the sphere, by Vincenty's formula (1975, Survey Review 23, 88), exact also for neighbours and antipodes.
    """
    ra_deg, dec_deg = np.asarray(ra_deg, dtype=np.float64), np.asarray(dec_deg, dtype=np.float64)
    radius_deg = query.radius_arcsec / 3600
    near = np.abs(dec_deg - query.dec_deg) <= radius_deg + 1e-9  # nothing outside this belt can be near enough
    rows = np.flatnonzero(near & np.isfinite(ra_deg))
    separation = separation_arcsec(ra_deg[rows], dec_deg[rows], query.ra_deg, query.dec_deg)
    inside = separation <= query.radius_arcsec
    rows, separation = rows[inside], separation[inside]
    order = np.argsort(separation, kind="stable")
    return rows[order], separation[order]


def separation_arcsec(ra_deg: np.ndarray, dec_deg: np.ndarray, ra0_deg: float, dec0_deg: float) -> np.ndarray:
    """Angular distance of positions from one place, in arcseconds; float64 arrays of shape (n,)."""
    away = np.radians(ra_deg - ra0_deg)
    dec, dec0 = np.radians(dec_deg), np.radians(dec0_deg)
    across = np.cos(dec) * np.sin(away)
    along = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(away)
    towards = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(away)
    return np.degrees(np.arctan2(np.hypot(across, along), towards)) * 3600


def sexagesimal(ra_deg: float, dec_deg: float) -> tuple[str, str]:
    """Right ascension in hours and declination in degrees, to 0.01 s and 0.1 arcsec.

    Examples
    --------
    >>> sexagesimal(150.119, 2.2058), sexagesimal(359.99999, -0.5)
    (('10:00:28.56', '+02:12:20.9'), ('00:00:00.00', '-00:30:00.0'))
    """
    centiseconds = round(ra_deg % 360 * 240 * 100) % (24 * 3600 * 100)
    deciseconds = round(abs(dec_deg) * 36000)
    sign = "-" if dec_deg < 0 else "+"
    return _colons(centiseconds, 100), sign + _colons(deciseconds, 10)


def _colons(ticks: int, per_second: int) -> str:
    seconds, fraction = divmod(ticks, per_second)
    digits = len(str(per_second)) - 1
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:0{digits}d}"


def survey_links(ra_deg: float, dec_deg: float, fov_arcsec: float = 120.0) -> dict[str, str]:
    """Addresses that show a place on the sky in other people's atlases, by their names.

    Parameters
    ----------
    ra_deg, dec_deg : float
    fov_arcsec : float
        Width of the view to ask for.
    """
    ra, dec, fov_deg = f"{ra_deg:.6f}", f"{dec_deg:.6f}", f"{fov_arcsec / 3600:.5f}"
    place = f"{ra} {dec}"
    # The viewer's tiles are Web Mercator, 256 px for 360 degrees at zoom 0; its map is about 1024 px wide.
    zoom = np.log2(1024 / 256 * 1_296_000 * max(np.cos(np.radians(dec_deg)), 1e-6) / max(fov_arcsec, 1e-3))
    zoom = int(np.clip(np.floor(zoom), 4, 16))
    addresses = {
        "Legacy Survey": (
            "https://www.legacysurvey.org/viewer",
            {"ra": ra, "dec": dec, "layer": "ls-dr10", "zoom": zoom, "mark": f"{ra},{dec}"},
        ),
        "SIMBAD": (
            "https://simbad.cds.unistra.fr/simbad/sim-coo",
            {
                "Coord": f"{ra} {dec_deg:+.6f}",
                "CooFrame": "ICRS",
                "Radius": f"{min(fov_arcsec / 2, 3600):g}",
                "Radius.unit": "arcsec",
            },
        ),
        "ESASky": (
            "https://sky.esa.int/",
            {"target": place, "hips": "DSS2 color", "fov": fov_deg, "cooframe": "J2000", "sci": "true", "lang": "en"},
        ),
        "Aladin Lite": (
            "https://aladin.cds.unistra.fr/AladinLite/",
            {"target": place, "fov": fov_deg, "survey": "CDS/P/DSS2/color"},
        ),
    }
    return {name: f"{base}?{urlencode(values, quote_via=quote, safe='')}" for name, (base, values) in addresses.items()}
