"""Colours of a frame's objects by the probability of being a galaxy: blue stars, orange galaxies, a quiet grey-blue."""

from __future__ import annotations

import numpy as np

STAR, BETWEEN, GALAXY, UNKNOWN = "#4aa8e0", "#b4b0aa", "#e69f00", "#8fa9c4"
STEPS = 11


def _mixed(first: str, second: str, share: float) -> str:
    parts = [[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in (first, second)]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(*parts, strict=True))


# One for each step of the probability, and the last for objects of which it is not known.
PALETTE = [
    *(
        _mixed(STAR, BETWEEN, 2 * share) if share <= 0.5 else _mixed(BETWEEN, GALAXY, 2 * share - 1)
        for share in np.linspace(0, 1, STEPS)
    ),
    UNKNOWN,
]


def codes_of(probability: np.ndarray) -> np.ndarray:
    """Place of each object's colour in `PALETTE`, int64 (n,).

    Examples
    --------
    >>> codes_of(np.array([0.0, 0.5, 1.0, np.nan])).tolist()
    [0, 5, 10, 11]
    """
    known = np.isfinite(probability)
    return np.where(known, np.rint(np.where(known, probability, 0) * (STEPS - 1)), STEPS).astype(int)
