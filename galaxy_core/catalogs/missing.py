"""Numbers that stand for missing values, as SExtractor, SDSS and catalogues of HST write them."""

from __future__ import annotations

import numpy as np
import pandas as pd

NINES = (99, 99.9, 99.99, 99.999, 999, 999.9, 999.99, 999.999, 9999, 9999.99, 99999, 999999, 999999.5e3, 1e20, 1e30)
SENTINELS = np.array(sorted({sign * number for number in NINES for sign in (-1.0, 1.0)}))
FEWEST = 3
"""Rows that have the number, and rows that have another: of fewer nothing can be said."""
POSITIONS = ("ra_deg", "dec_deg")


def without_sentinels(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with NaN where a number surely stands for a missing value, and a sentence on it.

    Only columns of floats are looked at, and only where other values have decimals: whole numbers may be labels or
    counts. See `sentinels_in` for what is sure.
    """
    found, new = [], {}
    for name in table.columns:
        if name in POSITIONS or table[name].dtype not in ("float32", "float64"):
            continue
        values = table[name].to_numpy()
        if stand := sentinels_in(values):
            kept = values.copy()
            for number in stand:
                kept[values == values.dtype.type(number)] = np.nan
            new[name] = kept
            found.append(f"{name}: {', '.join(f'{n:,} values of {number:g}' for number, n in stand.items())}")
    if not new:
        return table, []
    note = f"numbers that stand for missing values are left empty, in exports too ({'; '.join(found)})"
    return table.assign(**new), [note]


def sentinels_in(values: np.ndarray) -> dict[float, int]:
    """Which of `SENTINELS` stand for missing values in a column, and how often each is there.

    One does that is there in at least `FEWEST` rows and farther from all values but `SENTINELS` than those lie apart;
    and where there are no others, one below zero.

    Examples
    --------
    >>> sentinels_in(np.array([18.2, 24.9, -99.0, 21.5, -99.0, -99.0]))
    {-99.0: 3}
    >>> sentinels_in(np.array([180.5, -99.0, -170.2, -99.0, -99.0, 3.5]))  # a true angle, perhaps
    {}
    """
    known = SENTINELS.astype(values.dtype)
    finite = values[np.isfinite(values)]
    nearest = known[np.minimum(np.searchsorted(known, finite), len(known) - 1)]
    is_one = nearest == finite
    others = finite[~is_one].astype(np.float64)
    alone = not len(others) and (finite < 0).all()  # as of a band that nothing was observed in
    if not alone and (len(others) < FEWEST or (others == np.round(others)).all()):
        return {}
    low, high = (0.0, 0.0) if alone else (others.min(), others.max())
    found = {}
    for number, n in zip(*np.unique(finite[is_one], return_counts=True), strict=True):
        away = max(low - float(number), float(number) - high)
        if n >= FEWEST and away > high - low:
            found[float(SENTINELS[known == number][0])] = int(n)
    return found
