"""Filters by their names: which is bluer than which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.frame_headers import filter_of
from galaxy_core.saved_images import stem_of

if TYPE_CHECKING:
    from astropy.io import fits

PICTURE_BANDS = ("red", "green", "blue")
LONGEST_NAME = 24  # of a band: it stands in the names of columns

# Bands in nanometres, by the last word of their name that is one; of others the order in which they come.
WAVELENGTHS = {
    "fuv": 153, "nuv": 230, "u": 355, "blue": 430, "b": 440, "g": 480, "green": 530, "v": 550, "r": 620, "r2": 620,
    "red": 640, "vis": 715, "i": 770, "i2": 770, "z": 890, "y": 1000, "j": 1250, "h": 1650, "k": 2190, "ks": 2191,
    "w1": 3400, "w2": 4600, "w3": 12000, "w4": 22000,
}  # fmt: skip
SPACE_FILTER = re.compile(r"f(\d{3,4})(w|m|n|lp|x|w2)$")  # of Hubble and Webb: F606W
# Numbers of Hubble's that are nanometres; all others, of both, are hundredths of a micrometre.
HUBBLE_NM = {218, 225, 275, 336, 390, 435, 438, 439, 450, 475, 502, 547, 550, 555, 569, 600, 606, 621, 625, 631, 656,
             657, 658, 673, 675, 680, 689, 702, 763, 775, 791, 814, 845, 850}  # fmt: skip


def by_wavelength(names: Sequence[str]) -> tuple[str, ...]:
    """Names of bands from blue to red; those that are not known come last, as they came.

    Examples
    --------
    >>> by_wavelength(("HSC_I", "HSC_G", "sum", "r"))
    ('HSC_G', 'r', 'HSC_I', 'sum')
    >>> by_wavelength(("F105W", "F444W", "F435W", "F814W", "F090W"))
    ('F435W', 'F814W', 'F090W', 'F105W', 'F444W')
    """

    def place(name: str) -> float:
        words = reversed(name.replace("_", " ").split())
        return next((nm for word in words if (nm := _nanometres(word))), np.inf)

    return tuple(sorted(names, key=place))


def short_name(name: str, longest: int) -> str:
    """A name cut to a length; if it is longer, the last word of it that is a band, where there is one.

    Examples
    --------
    >>> short_name("hlsp_xdf_hst_acswfc_60mas_hudf_f435w_v1_sci", 24), short_name("m67_f606w", 24)
    ('f435w', 'm67_f606w')
    """
    if len(name) <= longest:
        return name
    return next((word for word in reversed(name.split("_")) if _nanometres(word)), name)[:longest]


def band_labels(header: fits.Header | None, label: str, n_bands: int, linear: bool) -> list[str]:
    """What the planes of one file are called: their filter, colours, or the file's own name."""
    if not linear and n_bands == 3:
        return list(PICTURE_BANDS)
    stem = (filter_of(header) if n_bands == 1 else "") or stem_of(label)
    clean = short_name(re.sub(r"[^0-9A-Za-z]+", "_", stem).strip("_"), LONGEST_NAME) or "band"
    return [clean] if n_bands == 1 else [f"band_{number}" for number in range(1, n_bands + 1)]


def distinct(labels: list[str]) -> list[str]:
    """Labels, numbered where two are the same but for their case; ``flux_err`` stays the error of ``flux``."""
    names: list[str] = []
    for label in labels:
        if label.casefold() == "err" or label.casefold().startswith("err_"):
            label = f"band_{label}"
        name, number = label, 1
        while name.casefold() in {other.casefold() for other in names}:
            number += 1
            name = f"{label}_{number}"
        names.append(name)
    return names


def _nanometres(word: str) -> int | None:
    """Wavelength of a band by a word of its name; None where it is none."""
    numbered = SPACE_FILTER.match(word.lower())
    if numbered is None:
        return WAVELENGTHS.get(word.lower())
    number = int(numbered[1])
    return number if number in HUBBLE_NM else 10 * number
