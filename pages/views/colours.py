"""How groups and numbers become colours: up to ten groups told apart by colour-blind eyes, what has none in grey."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

# On a dark background and on a light one: the hues of Okabe & Ito (2008), and two more, lighter or darker, so that any
# two of them, and the grey below, are at least 11 apart in CIEDE2000 for normal eyes, for those without green and for
# those without red (simulated as by Machado, Oliveira & Fernandes 2009), and 9 for those without blue. Okabe & Ito's
# own yellow, made dark enough to be seen on paper, is 0.4 from their orange.
CATEGORIES = {
    True: [
        "#E69F00",
        "#56B4E9",
        "#00F4BC",
        "#D774A3",
        "#FFFF5C",
        "#6476FD",
        "#D25C4B",
        "#ECEAFF",
        "#AB1EA8",
        "#875500",
    ],
    False: [
        "#FF5E00",
        "#0075C3",
        "#005E4E",
        "#C52D71",
        "#8C5600",
        "#072869",
        "#761F13",
        "#0B0901",
        "#6300C4",
        "#AD6554",
    ],
}
# What many catalogs tell apart has one colour in all of them: the first ones of these, in this order.
COMMON = ("round smooth", "in between smooth", "spiral", "edge on", "cigar smooth", "galaxy", "star")
GREY_DARK, GREY_LIGHT = "#5d6475", "#a9adb6"
PALETTES = ("Viridis", "Cividis", "Inferno")  # even steps of brightness, safe for colour-blind eyes


@dataclass(frozen=True)
class Colouring:
    """One way to colour every galaxy.

    Attributes
    ----------
    title : str
        What it shows, with its unit.
    grouped : int32 array, shape (n,), or function that gives one, or None
        Category of each galaxy, -1 for none; None for numbers. Of very many galaxies it is found when it is needed.
    names : tuple of str
        Names of the categories, as they are shown.
    lasting_names : tuple of str
        What filters and links call them where people may change ``names``; empty where these are the same.
    values : float array, shape (n,), or None
        The numbers, float32 only where the catalog has no more; None for categories.
    nothing : str
        What galaxies of code -1, or without a number, are called.
    log : bool
        Whether colours follow the logarithm; numbers that have none take the lowest colour.
    whole_range : bool
        Limits at the least and largest number, in place of the 1st and 99th percentile.
    palette : str
        One of `PALETTES`.
    version : str
        Changes when other groups get the same names, as clusters made again do; empty where names say it all.
    layer : str
        Name of its groups in the layers of maps (`galaxy_core.artifacts.layers`); empty where they have none.
    key : str
        Its key among what every map of the catalog can be coloured by; empty where it is none of these.
    """

    title: str
    grouped: np.ndarray | Callable[[], np.ndarray] | None = None
    names: tuple[str, ...] = ()
    lasting_names: tuple[str, ...] = ()
    values: np.ndarray | None = None
    nothing: str = "unknown"
    log: bool = False
    whole_range: bool = False
    palette: str = "Viridis"
    version: str = ""
    layer: str = ""
    key: str = ""

    @cached_property
    def codes(self) -> np.ndarray | None:
        """Category of each galaxy, -1 for none; None for numbers."""
        return self.grouped() if callable(self.grouped) else self.grouped

    @property
    def keys(self) -> tuple[str, ...]:
        """What filters and links call the categories."""
        return self.lasting_names or self.names

    @property
    def mark(self) -> str:
        """A few letters that change when groups or their order do; older links that hide some of them have these."""
        return self._letters(self.keys)

    @property
    def marks(self) -> list[str]:
        """A few letters for each group, and last for those without one, by which a link hides it whatever its place."""
        return [self._letters(key) for key in (*self.keys, "")]

    def _letters(self, keys: tuple[str, ...] | str) -> str:
        known = (self.title, keys, *([self.version] if self.version else []))
        return f"{zlib.crc32(repr(known).encode()):08x}"

    def is_among(self, groups: Sequence[str]) -> np.ndarray:
        """Which galaxies are of some of the `keys`, or are called `nothing`; bool (n,)."""
        if self.values is not None:
            return ~np.isfinite(self.values) & (self.nothing in groups)
        wanted = [code for code, key in enumerate(self.keys) if key in groups]
        return np.isin(self.codes, [*wanted, *([-1] if self.nothing in groups else [])])

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The numbers at the two ends of the colours; numbers beyond them take the end colours."""
        values = self.values[np.isfinite(self.values)]
        if self.log:
            values = values[values > 0]
        if len(values) == 0:
            return (1.0, 10.0) if self.log else (0.0, 1.0)
        low, high = np.percentile(values, [0, 100] if self.whole_range else [1, 99]).astype(float)
        if low == high:
            apart = max(0.5, float(np.spacing(abs(low))))  # half of one is nothing beside an id of 18 digits
            low, high = (low / 2, low * 2) if self.log else (low - apart, high + apart)
        return float(low), float(high)

    def colours(self, dark: bool) -> list[str]:
        """The colours of the categories; `COMMON` ones have their own where there are no more than ten."""
        colours, palette = category_colours(len(self.names), dark), CATEGORIES[dark]
        if self.lasting_names or len(colours) > len(palette):
            return colours
        own = {name: palette[COMMON.index(name)] for name in self.names if name in COMMON}
        left = iter([colour for colour in palette if colour not in own.values()])
        return [own.pop(name, None) or next(left) for name in self.names]

    @property
    def ramp(self) -> list[str]:
        """The colours between the limits, as hexadecimal numbers."""
        return ramp_of(self.palette)

    def share_of_scale(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Where the number of each galaxy, or of some, lies between the limits, 0 to 1; NaN where there is none."""
        low, high = self.limits
        values = np.asarray(self.values[rows], dtype=np.float64)
        if self.log:
            values = np.log(np.where(values > 0, values, np.where(np.isnan(values), np.nan, low)))
            low, high = np.log(low), np.log(high)
        return np.clip((values - low) / (high - low), 0, 1)


@cache
def ramp_of(palette: str) -> list[str]:
    """256 colours of a palette."""
    from plotly.colors import sample_colorscale

    colours = sample_colorscale(palette, np.linspace(0, 1, 256).tolist(), colortype="tuple")
    return ["#" + "".join(f"{round(255 * part):02x}" for part in colour) for colour in colours]


def with_scale(colouring: Colouring, log: bool, whole_range: bool, palette: str) -> Colouring:
    """The same numbers on another scale; groups stay as they are."""
    if colouring.values is None:
        return colouring
    return replace(colouring, log=log, whole_range=whole_range or colouring.whole_range, palette=palette)


def category_colours(n: int, dark: bool) -> list[str]:
    """Colours of ``n`` categories: `CATEGORIES` up to ten, Glasbey (colorcet) beyond, for which no eye is promised.

    Examples
    --------
    >>> category_colours(2, dark=True), len(set(category_colours(40, dark=False)))
    (['#E69F00', '#56B4E9'], 40)
    """
    if n <= len(CATEGORIES[dark]):
        return CATEGORIES[dark][:n]
    import colorcet

    glasbey = colorcet.glasbey_light if dark else colorcet.glasbey_dark
    return [glasbey[k % len(glasbey)] for k in range(n)]


def grey(dark: bool) -> str:
    """The colour of what has no category."""
    return GREY_DARK if dark else GREY_LIGHT
