"""Sums, means and maxima over square boxes, by doubling: a window of 2 n pixels is two windows of n.

Their cost hardly grows with the box, and is a fraction of that of general filters, which beside a small network counts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def box_sum(values: np.ndarray, side_px: int) -> np.ndarray:
    """Sum over the box of ``side_px`` (odd) rows and columns around each pixel of a 2-D array; zero lies beyond it."""
    return _boxes(values, side_px, np.add, "constant")


def box_mean(values: np.ndarray, side_px: int) -> np.ndarray:
    """Mean over that box; beyond the array lies its nearest pixel."""
    return _boxes(values, side_px, np.add, "edge") / np.float32(side_px**2)


def box_maximum(values: np.ndarray, side_px: int) -> np.ndarray:
    """Maximum over that box, or whether any is true."""
    return _boxes(values, side_px, np.maximum, "edge")


def _boxes(values: np.ndarray, side_px: int, combine: Callable, beyond: str) -> np.ndarray:
    padded = np.pad(values, side_px // 2, mode=beyond)
    return _columns(_columns(padded, side_px, combine).T, side_px, combine).T


def _columns(values: np.ndarray, length: int, combine: Callable) -> np.ndarray:
    """Every window of ``length`` rows combined, from the powers of two that make up the length."""
    n_windows, taken, reach, total = len(values) - length + 1, 0, 1, None
    while reach <= length:
        if length & reach:
            part = values[taken : taken + n_windows]
            total = part if total is None else combine(total, part)
            taken += reach
        values = combine(values[:-reach], values[reach:])
        reach *= 2
    return total
