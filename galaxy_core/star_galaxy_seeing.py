"""The seeing that stamps were taken with, from the widths of their objects: all of a frame together tell it.

Among the narrow objects of a frame the stars lie together. Where a catalog states the seeing with an error, the bands
of an object steady each other.
"""

from __future__ import annotations

import numpy as np

TYPICAL_FWHM_PX = 3.3
LEAST_OBJECTS = 5
LEAST_STEADIED = 200  # objects whose seeing tells how that of one band goes with that of another
NARROW_SHARE = 0.6  # of a frame's objects, from the narrowest: among these the stars lie together
FAR_NARROWER, LEAST_NARROWER = 0.8, 0.1  # of that width; share of the objects: those are the stars, and no cosmic rays


def seeing_of_frames(widths: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Seeing of every object's frame, float32 (n, bands): where the narrower of its well-lit objects lie most densely.

    Frames with fewer than `LEAST_OBJECTS` have the median of the others. Where there are no others, as of a catalog
    that does not say which objects are of one frame, all are taken for those of one.
    """
    seeing = np.full(widths.shape, np.nan, np.float32)
    for rows in _members(frames):
        seeing[rows] = _crowd_widths(widths[rows])
    known = np.isfinite(seeing)
    together = np.nan_to_num(_crowd_widths(widths), nan=TYPICAL_FWHM_PX)
    overall = [
        np.median(band[has]) if has.any() else one for band, has, one in zip(seeing.T, known.T, together, strict=True)
    ]
    return np.where(known, seeing, overall).astype(np.float32)


def seeing_is_own(widths: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Whether each object's frame has well-lit objects enough, in every band, to measure its seeing on; bool (n,)."""
    own = np.zeros(len(widths), bool)
    for rows in _members(frames):
        own[rows] = (np.isfinite(widths[rows]).sum(axis=0) >= LEAST_OBJECTS).all()
    return own


def _members(frames: np.ndarray) -> list[np.ndarray]:
    """Rows of each frame, of those that have `LEAST_OBJECTS` or more."""
    number, sizes = np.unique(frames.astype(str), return_inverse=True, return_counts=True)[1:]
    rows = np.split(np.argsort(number, kind="stable"), np.cumsum(sizes)[:-1])
    return [some for some in rows if len(some) >= LEAST_OBJECTS]


def _crowd_widths(widths: np.ndarray) -> np.ndarray:
    """Width in each band (bands,) at which the narrower of some objects (n, bands) lie most densely; NaN of too few."""
    made = np.full(widths.shape[1], np.nan)
    for band, values in enumerate(widths.T):
        known = np.sort(np.log(values[np.isfinite(values)]))
        if known.size >= LEAST_OBJECTS:
            made[band] = np.exp(_crowd(known, max(3, LEAST_NARROWER * known.size)))
    return made


def _crowd(values: np.ndarray, least: float) -> float:
    """Where the narrower of sorted ln widths lie most densely.

    Galaxies crowd, too, where they are many; no star is far narrower than the seeing, so ``least`` that are hold it.
    """
    found = densest(values[: int(np.ceil(NARROW_SHARE * len(values)))])
    narrower = values[values < found + np.log(FAR_NARROWER)]
    return found if len(narrower) < least else _crowd(narrower, least)


def densest(values: np.ndarray) -> float:
    """Half-sample mode of sorted values: the half of them that lies closest together, and again of that half.

    D. R. Bickel and R. Frühwirth, Computational Statistics & Data Analysis 50, 3500 (2006).
    """
    while len(values) > 3:
        n = (len(values) + 1) // 2
        start = int(np.argmin(values[n - 1 :] - values[: len(values) - n + 1]))
        values = values[start : start + n]
    return float(np.mean(values))


def steadied_seeing(widths: np.ndarray, error: float) -> np.ndarray:
    """Seeing of objects (n, bands) that is known with a relative error, each band helped by the others; float32.

    The bands of an object were exposed under one sky, so their seeing goes together, and their errors do not. With
    that, the best linear estimate of y = ln FWHM is m + (S - N) S^-1 (y - m), where m and S are the mean and covariance
    of what is known and N = error^2 is that of the errors (Rybicki and Press 1992, ApJ 398, 169, equation 9). Fewer
    than `LEAST_STEADIED` objects, or objects of which any width is not known, stay as they are.
    """
    known = np.isfinite(widths).all(axis=1) & (widths > 0).all(axis=1)
    if known.sum() < LEAST_STEADIED or widths.shape[1] < 2:
        return widths.astype(np.float32)
    logs = np.log(widths[known].astype(np.float64))
    middle = logs.mean(axis=0)
    spread, axes = np.linalg.eigh(np.cov(logs.T))
    kept = np.clip(spread - error**2, 0, None) / np.maximum(spread, 1e-12)
    steadied = widths.astype(np.float32)
    steadied[known] = np.exp(middle + ((logs - middle) @ axes * kept) @ axes.T)
    return steadied
