"""How the values of a FITS image are stored, and what turns them into the units of the file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from galaxy_core.errors import ImageError
from galaxy_core.fits_layout import Extension
from galaxy_core.image_limits import shown_name


def units_of(extension: Extension, name: str) -> Callable[[np.ndarray, np.ndarray], None]:
    """What turns values as stored into the file's units, float32, in a second array of the same shape.

    The stacks of Pan-STARRS are stored in magnitudes of an inverse hyperbolic sine, that of their light over BOFFSET in
    units of twice BSOFTEN (Waters et al. 2020, ApJS 251, 4).
    """
    cards = extension.cards
    scale, zero = (_number(cards, key, default, name) for key, default in (("BSCALE", 1.0), ("BZERO", 0.0)))
    blank = cards.get("ZBLANK", cards.get("BLANK")) if extension.is_compressed else cards.get("BLANK")
    softening, offset = (_number(cards, key, 0.0, name) for key in ("BSOFTEN", "BOFFSET"))

    def to_units(raw: np.ndarray, target: np.ndarray) -> None:
        if scale == 1 and zero == 0:
            target[...] = raw
        else:
            np.copyto(target, raw.astype(np.float64) * scale + zero, casting="unsafe")
        if softening > 0:
            magnitudes = target.astype(np.float64)
            np.copyto(target, offset + 2 * softening * np.sinh(magnitudes * np.log(10) / 2.5), casting="unsafe")
        if raw.dtype.kind in "iu" and type(blank) is int:
            target[raw == blank] = np.nan

    return to_units


def note_of_magnitudes(header: Mapping) -> list[str]:
    """A note where BUNIT says that pixels are magnitudes, which are taken for light."""
    unit = str(header.get("BUNIT", "")).strip()
    if not re.match(r"(ab)?mag", unit, re.IGNORECASE):
        return []
    return [f"BUNIT is {shown_name(unit, 40)}, but pixels are taken as linear in light; save them as flux."]


def stored_type(extension: Extension) -> np.dtype:
    """Type of the values of an uncompressed image as they lie in the file."""
    bitpix = extension.cards["BITPIX"]
    return np.dtype("u1" if bitpix == 8 else f">{'i' if bitpix > 0 else 'f'}{abs(bitpix) // 8}")


def _number(cards: dict, keyword: str, default: float, name: str) -> float:
    value = cards.get(keyword, default)
    if isinstance(value, bool | str) or not math.isfinite(float(value)):
        raise ImageError(f"{shown_name(name)} has a {keyword} that is no number, so its units are unknown; correct it.")
    return float(value)
