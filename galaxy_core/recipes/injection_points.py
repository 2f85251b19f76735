"""Where on its curve of completeness against purity a search is compared with another: its working points.

Lowering a threshold finds more and lets more false detections through, so a depth means nothing without a purity. A
search is swept over thresholds; false detections are counted twice, on noise drawn for setting thresholds and on other
noise for what is reported, since a threshold chosen for its small count of false ones has one that is small by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from galaxy_core.injection import depth_gain_mag, half_depth
from galaxy_core.probes import wilson_interval

FALSE_PER_MEGAPIXEL = 20.0
TRADE_OFF_PER_MEGAPIXEL = (5.0, 10.0, 20.0, 40.0, 80.0)
THRESHOLDS = tuple(np.geomspace(0.08, 14, 64))


@dataclass(frozen=True)
class Sweep:
    """What one search of one frame finds, by threshold from high to low.

    Attributes
    ----------
    thresholds : ndarray, shape (k,)
        In sigma of the input's noise, or of the filtered noise of a matched filter.
    found : ndarray of bool, shape (k, n)
        Which injected sources.
    false_set, false_counted : ndarray of int, shape (k,)
        False detections on the sky that thresholds are set on, and on as much other sky.
    sky_ratio : float
        How much more sky that is than the sources were put into.
    megapixels : float
        Of sky that thresholds are set on.
    """

    thresholds: np.ndarray
    found: np.ndarray
    false_set: np.ndarray
    false_counted: np.ndarray
    sky_ratio: float
    megapixels: float

    def purity_set(self) -> np.ndarray:
        """Share of detections that are true by threshold, float64 (k,), with the false ones thresholds are set on."""
        return purity(self.found.sum(axis=1), self.false_set / self.sky_ratio)


def purity(true: np.ndarray | float, false: np.ndarray | float) -> np.ndarray:
    """Share of detections that are true; 1 where there are none."""
    true, false = np.asarray(true, dtype=np.float64), np.asarray(false, dtype=np.float64)
    return np.where(true + false > 0, true / np.maximum(true + false, 1e-12), 1.0)


def sweep(
    find: Callable[[float], np.ndarray],
    count_false: Callable[[float], tuple[int, int]],
    sky_ratio: float,
    megapixels: float,
) -> Sweep:
    """Search at ever lower thresholds, until far more false detections come than any working point allows.

    Parameters
    ----------
    find : callable
        Threshold to which injected sources are found, bool (n,).
    count_false : callable
        Threshold to numbers of false detections: to set thresholds on, and to report.
    sky_ratio, megapixels : see `Sweep`
    """
    rows = []
    for threshold in reversed(THRESHOLDS):  # from above: far below the noise detections merge, and are few again
        false_set, false_counted = count_false(threshold)
        if rows and false_set > TRADE_OFF_PER_MEGAPIXEL[-1] * megapixels:
            break
        rows.append((threshold, find(threshold), false_set, false_counted))
    return Sweep(*map(np.array, zip(*rows, strict=True)), sky_ratio, megapixels)


def at_false_rate(swept: Sweep, per_megapixel: float) -> int:
    """Row of the lowest threshold down to which no more false detections are let through than are allowed."""
    too_many = swept.false_set > per_megapixel * swept.megapixels
    return max(int(np.argmax(too_many)) - 1, 0) if too_many.any() else len(too_many) - 1


def at_threshold(swept: Sweep, threshold: float) -> int:
    """Row of a threshold; the lowest that was looked at where that is higher."""
    return int(np.argmin(np.abs(np.log(swept.thresholds / threshold))))


def at_purity(swept: Sweep, least: float) -> int:
    """Row of the lowest threshold whose purity is at least so high; the highest threshold if none is."""
    pure = np.flatnonzero(swept.purity_set() >= least)
    return int(pure[-1]) if pure.size else 0


def point_scores(
    sweeps: Sequence[Sweep],
    rows: Sequence[int],
    reference: np.ndarray,
    snr: np.ndarray,
    is_point: np.ndarray,
    seed: int,
) -> dict:
    """Purity, completeness, depth and gain of a search at one working point of each frame.

    Parameters
    ----------
    sweeps : sequence of Sweep
        One a frame.
    rows : sequence of int
        The working point of each.
    reference : ndarray of bool, shape (n,)
        What is found in the frames as they came.
    snr, is_point : ndarray, shape (n,)
        Of the injected sources of all frames, in order.
    """
    found = found_at(sweeps, rows)
    false = sum(part.false_counted[row] / part.sky_ratio for part, row in zip(sweeps, rows, strict=True))
    depths = {"all": half_depth(snr, found)}
    for kind, chosen in (("point_sources", is_point), ("galaxies", ~is_point)):
        depths[kind] = half_depth(snr[chosen], found[chosen])
    true = int(found.sum())
    return {
        "threshold": [float(part.thresholds[row]) for part, row in zip(sweeps, rows, strict=True)],
        "depth_snr": {kind: number(value) for kind, value in depths.items()},
        "share_found": float(found.mean()),
        "purity": float(purity(true, false)),
        "purity_interval": list(wilson_interval(true, max(round(true + false), true))),
        "false_expected": float(false),
        "gain_mag": gain(snr, reference, found, np.random.default_rng([seed, 5])),
    }


def found_at(sweeps: Sequence[Sweep], rows: Sequence[int]) -> np.ndarray:
    """Which of the injected sources of all frames are found at one working point of each, bool (n,)."""
    return np.concatenate([part.found[row] for part, row in zip(sweeps, rows, strict=True)])


def trade_off(sweeps: Sequence[Sweep]) -> list[dict[str, float]]:
    """Completeness and purity over all frames, by the rate of false detections that thresholds allow."""
    curve = []
    for rate in TRADE_OFF_PER_MEGAPIXEL:
        rows = [at_false_rate(part, rate) for part in sweeps]
        found = found_at(sweeps, rows)
        false = sum(part.false_counted[row] / part.sky_ratio for part, row in zip(sweeps, rows, strict=True))
        shares = {"share_found": float(found.mean()), "purity": float(purity(found.sum(), false))}
        curve.append({"false_per_megapixel_allowed": rate, "false_expected": float(false)} | shares)
    return curve


def gain(snr: np.ndarray, before: np.ndarray, after: np.ndarray, rng: np.random.Generator) -> dict[str, float | None]:
    """Depth gained at half completeness, magnitudes, with its 95 % interval."""
    return dict(zip(("gain", "low", "high"), map(number, depth_gain_mag(snr, before, after, rng)), strict=True))


def number(value: float) -> float | None:
    """A finite number as JSON can hold it, else None."""
    return float(value) if np.isfinite(value) else None
