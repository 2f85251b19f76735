"""Right ascensions and declinations of tables in degrees: also of those that are sexagesimal, in hours or in radians.

As everywhere in astronomy, sexagesimal right ascensions are hours, unless a d or ° says otherwise; decimal ones are
degrees, unless the file gives their column another unit.
"""

from __future__ import annotations

import math
import re

import pandas as pd

from galaxy_core.catalogs.missing import SENTINELS

RA_COLUMNS = (
    *("ra_deg", "ra", "ra_icrs", "_raj2000", "raj2000", "radeg", "alpha_j2000", "right_ascension"),
    *("ra_j2000", "alphawin_j2000", "ramean", "coord_ra", "target_ra"),
)
DEC_COLUMNS = (
    *("dec_deg", "dec", "decl", "de_icrs", "_dej2000", "dej2000", "dedeg", "delta_j2000", "declination"),
    *("decj2000", "dec_icrs", "dec_j2000", "deltawin_j2000", "decmean", "coord_dec", "target_dec"),
)
SEXAGESIMAL = (
    r"^\s*(?P<sign>[-+−]?)\s*(?P<whole>\d{1,3})\s*(?P<mark>[:hd°\s])\s*"
    r"(?P<minutes>\d{1,2}(?:\.\d*)?)\s*(?:[:m'′\s]\s*(?:(?P<seconds>\d{1,2}(?:\.\d*)?)\s*(?:s|\"|''|″)?\s*)?)?$"
)
DEGREES_AN_HOUR = 15
UNIT_IN_NAME = re.compile(
    r"(?P<name>.+?)(?:\s*[\[(]\s*|[_ ])(?:deg(?:rees?)?\.?|°|j2000|icrs|[hd]:?m:?s"
    r"|(?P<hours>h(?:(?:ou)?rs?|our ?angle)?)|(?P<radians>rad(?:ians?)?))\s*[\])]?\s*",
    re.IGNORECASE,
)
# names of positions in parts, in galactic coordinates and of other equinoxes
NOT_READ = re.compile(r"_*(ra|decl?|de(?=b?19))(b?1950|h|d)?(?![a-z]).*|gl(on|at)|gal_?(lon|lat|l|b)", re.IGNORECASE)


def unit_in_name(name: str) -> tuple[str, float]:
    """A name of a column without the unit of angles behind it, and how many degrees one of that is; 1 without one.

    Examples
    --------
    >>> unit_in_name("RA (hours)"), unit_in_name("dec_degrees"), unit_in_name("Dec [J2000]"), unit_in_name("ra_err")
    (('RA', 15.0), ('dec', 1.0), ('Dec', 1.0), ('ra_err', 1.0))
    """
    found = UNIT_IN_NAME.fullmatch(name)
    if found is None:
        return name, 1.0
    return found["name"], float(DEGREES_AN_HOUR) if found["hours"] else math.degrees(1) if found["radians"] else 1.0


def degrees_of(values: pd.Series, in_hours: bool, unit_deg: float = 1.0) -> pd.Series:
    """Angles in degrees, float64; NaN where it is no angle.

    Parameters
    ----------
    values : pandas.Series
        Numbers, also as text, or sexagesimal text.
    in_hours : bool
        Whether sexagesimal ones are hours, as right ascensions are.
    unit_deg : float, optional
        Degrees in one of what decimal ones are in.

    Examples
    --------
    >>> degrees_of(pd.Series(["00 42 44.3", "10.5", "10d30m", "?"]), True).tolist()
    [10.684583333333332, 10.5, 10.5, nan]
    >>> degrees_of(pd.Series(["-00:30:00", "+41d16.5m"]), False).tolist()
    [-0.5, 41.275]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    degrees = pd.to_numeric(values, errors="coerce").astype("float64") * unit_deg
    text = values[degrees.isna() & values.notna()].astype(str).str.lower()
    # by Arrow, not pandas: a million in a second, not in half a minute
    parts = pc.extract_regex(pa.array(text, pa.string()), SEXAGESIMAL).to_pandas()
    found = parts.notna().to_numpy()
    if not found.any():
        return degrees
    parts = pd.DataFrame(parts[found].tolist(), index=text.index[found])
    whole, minutes, seconds = (pd.to_numeric(parts[name]).fillna(0) for name in ("whole", "minutes", "seconds"))
    angle = (whole + minutes / 60 + seconds / 3600).where((minutes <= 60) & (seconds <= 60))
    if in_hours:
        angle = angle.where(parts["mark"].isin(("d", "°")), angle * DEGREES_AN_HOUR)
    degrees[angle.index] = angle.where(~parts["sign"].isin(("-", "−")), -angle)
    return degrees


def below_zero(ra: pd.Series) -> pd.Series:
    """Which right ascensions, in degrees, are those of a table that counts from -180 to 180.

    None is where others lie beyond 180, and numbers that stand for missing values are not. -1 stands for one unless
    others are below 0 too and all are of whole or tenths of degrees.

    Examples
    --------
    >>> below_zero(pd.Series([59.5, -50.25, -99.0, -1.0])).tolist()
    [False, True, False, False]
    >>> below_zero(pd.Series([59.5, -50.3, -1.0])).tolist(), below_zero(pd.Series([59.5, -1.0])).tolist()
    ([False, True, True], [False, False])
    >>> below_zero(pd.Series([359.5, -50.25])).tolist()
    [False, False]
    """
    known, ones = ra.mask(ra.isin(SENTINELS)), ra.eq(-1)
    tenths = known * 10
    if (tenths - tenths.round()).abs().max() > 1e-6 or not (known.lt(0) & ~ones).any():
        known = known.mask(ones)
    return known.lt(0) & known.dropna().between(-180, 180).all()


def degrees_in(unit, is_ra: bool) -> float:
    """How many degrees one of a unit of `astropy.units` is; 1 where it is no unit of an angle.

    Examples
    --------
    >>> from astropy import units
    >>> degrees_in(units.h, True), degrees_in(units.deg, True), degrees_in(None, True)
    (15.0, 1.0, 1.0)
    """
    from astropy import units

    if unit == units.h:  # as FITS and VOTable, which have no hour angle, write it
        return float(DEGREES_AN_HOUR if is_ra else 1)
    try:
        return float(unit.to(units.deg))
    except (AttributeError, units.UnitConversionError):
        return 1.0
