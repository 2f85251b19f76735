"""How deep and how pure a search is: sources of known light put into real frames, at stated rates of false detections.

Sources go where a frame has none. What is false is counted on the frame with its source-free sky replaced by noise of
the same scatter and correlations, drawn anew: the thresholds were set on another draw. A detection is false if its
brightest pixel lies in that sky; a real object whose barycentre the faint light around it draws there is not. Purity is
that of the injected population (1 to 60 sigma, evenly in the logarithm, about 600 a megapixel), whatever else is in the
frame left aside.

At high signal, above 10 sigma, completeness is told twice: where the search is as pure as that over all it finds, which
is the strict reading, and beside the purity of what it finds above 10 sigma alone, where a detection in noise counts
only if a filter matched to the point source sees 10 sigma there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from galaxy_core.detection import Sources
from galaxy_core.frame_detectors import noise_of_frame
from galaxy_core.frame_light import noise_map
from galaxy_core.injection import (
    Injected,
    choose_places,
    depth_gain_mag,
    half_depth,
    inject,
    point_profile,
    recovered,
)
from galaxy_core.recipes.frame_scores import Frame, Report
from galaxy_core.recipes.injection_scores import (
    APART_PX,
    MIN_PLACES,
    POINT_SHARE,
    countable,
    filtered_sigma,
    make_blanks,
)
from galaxy_core.recipes.segmenter_methods import Method

RATES = (
    0.3,
    1.0,
    3.0,
    6.0,
    8.0,
    10.0,
    13.0,
    16.0,
    20.0,
    24.0,
    30.0,
    36.0,
    45.0,
    54.0,
    80.0,
    160.0,
)  # false detections a megapixel
SNR_EDGES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 25, 60)
HIGH_SNR = 10.0
PURITY, HIGH_PURITY = 0.95, 0.99
LIMIT_SNR = 5.0  # magnitudes are told relative to that of such a source
N_PER_FRAME, N_PER_SCENE, MAX_SCENES, MAX_BLANKS, SIDE_PX = 240, 60, 8, 4, 320
SEP_DEFAULT_SIGMA = 1.5


@dataclass(frozen=True)
class Trial:
    """One or more frames under one method at one rate.

    Attributes
    ----------
    found, by_chance : ndarray of bool, shape (n,)
        Which injected sources were found, and at which of their places something is found in the frame without them.
    false, false_bright : float
        False detections, scaled to the sky that sources were put into: of all strengths, and above 10 sigma.
    """

    found: np.ndarray
    by_chance: np.ndarray
    false: float
    false_bright: float


def score_injections(frames: Sequence[Frame], methods: dict[str, Method], seed: int, report: Report) -> dict:
    """Curves of each method over the rates, at purity 0.95 and 0.99, and the depth gained over sep; pooled over frames.

    Parameters
    ----------
    frames : sequence of Frame
        Those in which there is room for 25 sources.
    """
    injected: list[Injected] = []
    trials: dict[str, list[dict[float, Trial]]] = {name: [] for name in methods}
    usable = [frame for frame in map(_middle, frames) if _has_room(frame, seed)]
    for done, frame in enumerate(usable, start=1):
        added, outcome = try_frame(frame, methods, seed)
        injected.append(added)
        for name in methods:
            trials[name].append(outcome[name])
        report("injection", done, len(usable))
    if not usable:
        return {"note": "no frame has enough empty sky to put sources into"}
    snr = np.concatenate([part.snr for part in injected])
    scores = {"frames": [f"{frame.family}/{frame.name}" for frame in usable], "n_injected": len(snr)}
    scores["methods"] = {name: _curve(snr, parts) for name, parts in trials.items()}
    return scores | _compared(snr, trials, scores["methods"], seed)


def _middle(frame: Frame) -> Frame:
    """The middle of a frame, at most 320 pixels a side."""
    top, left = (max(side - SIDE_PX, 0) // 2 for side in frame.band.shape)
    cut = slice(top, top + SIDE_PX), slice(left, left + SIDE_PX)
    return replace(frame, band=frame.band[cut], sky=frame.sky[cut], free=frame.free[cut])


def _has_room(frame: Frame, seed: int) -> bool:
    return len(choose_places(frame.free, MIN_PLACES, APART_PX, np.random.default_rng(seed))) == MIN_PLACES


def try_frame(frame: Frame, methods: dict[str, Method], seed: int) -> tuple[Injected, dict[str, dict[float, Trial]]]:
    """One frame under every method and rate."""
    finite = np.isfinite(frame.band)
    light = np.where(finite, frame.band - frame.sky, 0).astype(np.float32)
    noise = noise_map(light, ~finite, frame.sigma)

    def signal_of(band: np.ndarray) -> np.ndarray:
        return (np.where(finite, band - frame.sky, 0) / noise).astype(np.float32)

    sigma = filtered_sigma(frame, seed)
    scenes = _scenes(frame, sigma, seed)
    blanks = make_blanks(frame, seed)
    blanks = blanks[len(blanks) // 2 :][:MAX_BLANKS]
    count_on = countable(frame)
    bright_on = [count_on & (matched_snr(frame, band, sigma) >= HIGH_SNR) for band in blanks]
    area = len(blanks) * count_on.sum() / (len(scenes) * frame.free.sum())
    noise_alone = noise_of_frame(signal_of(frame.band), ~finite, seed)
    outcome: dict[str, dict[float, Trial]] = {}
    for name, method in methods.items():
        seen = [method.prepare(signal_of(band)) for band, _ in scenes]
        calm = [method.prepare(signal_of(band)) for band in blanks]
        untouched = method.prepare(signal_of(frame.band))
        thresholds = method.thresholds(noise_alone, [rate * noise_alone.size / 1e6 for rate in RATES])
        wanted = list(zip(RATES, thresholds, strict=True)) + ([(0.0, SEP_DEFAULT_SIGMA)] if name == "sep" else [])
        outcome[name] = {}
        for rate, threshold in wanted:
            hits = [_hit(added, method.find(view, threshold)) for view, (_, added) in zip(seen, scenes, strict=True)]
            there = method.find(untouched, threshold)
            by_chance = np.concatenate([_hit(added, there) for _, added in scenes])
            places = [method.find(view, threshold) for view in calm]
            false = sum(_inside(where, count_on) for where in places) / area
            bright = sum(_inside(where, on) for where, on in zip(places, bright_on, strict=True)) / area
            outcome[name][rate] = Trial(np.concatenate(hits), by_chance, float(false), float(bright))
    columns = ("x", "y", "flux", "snr", "is_point")
    added = Injected(*(np.concatenate([getattr(part, name) for _, part in scenes]) for name in columns))
    return added, outcome


def matched_snr(frame: Frame, band: np.ndarray, sigma: float) -> np.ndarray:
    """Signal to noise a filter matched to the point source sees within a pixel of each pixel, (height, width)."""
    profile = point_profile(frame.fwhm_px)
    light = np.where(np.isfinite(band), band - frame.sky, 0)
    seen = fftconvolve(light, profile, mode="same") / (sigma * np.sqrt((profile**2).sum()))
    return ndimage.maximum_filter(seen, 3)


def _scenes(frame: Frame, sigma: float, seed: int) -> list[tuple[np.ndarray, Injected]]:
    scenes, total = [], 0
    while total < N_PER_FRAME and len(scenes) < MAX_SCENES:
        rng = np.random.default_rng([seed, 41, len(scenes)])
        places = choose_places(frame.free, N_PER_SCENE, max(APART_PX, 4 * frame.fwhm_px), rng)
        snr = np.exp(rng.uniform(np.log(SNR_EDGES[0]), np.log(SNR_EDGES[-1]), len(places)))
        points = rng.random(len(places)) < POINT_SHARE
        scenes.append(inject(frame.band, sigma, frame.fwhm_px, places, snr, points, seed * 1000 + 500 + len(scenes)))
        total += len(places)
    return scenes


def _hit(added: Injected, places: np.ndarray) -> np.ndarray:
    return recovered(added, Sources(places[:, 0], places[:, 1], *np.zeros((4, len(places)))))


def _inside(places: np.ndarray, where: np.ndarray) -> int:
    """How many have their brightest pixel there."""
    columns, rows = np.rint(places[:, -2:]).astype(int).T
    return int(where[np.clip(rows, 0, where.shape[0] - 1), np.clip(columns, 0, where.shape[1] - 1)].sum())


def _pooled(parts: list[dict[float, Trial]], rate: float) -> Trial:
    """All frames at a rate."""
    trials = [part[rate] for part in parts]
    found, by_chance = (np.concatenate([getattr(trial, name) for trial in trials]) for name in ("found", "by_chance"))
    return Trial(found, by_chance, sum(trial.false for trial in trials), sum(trial.false_bright for trial in trials))


def _curve(snr: np.ndarray, parts: list[dict[float, Trial]]) -> list[dict]:
    """Completeness, purity and depth at each rate; rate 0 stands for sep's own 1.5 sigma."""
    return [_point(snr, _pooled(parts, rate)) | {"false_per_megapixel": rate or None} for rate in parts[0]]


def _point(snr: np.ndarray, trial: Trial) -> dict:
    high, found = snr >= HIGH_SNR, trial.found
    depth = half_depth(snr, found)
    rows = [(low, top, found[(snr >= low) & (snr < top)]) for low, top in pairwise(SNR_EDGES)]
    return {
        "purity": float(found.sum() / max(found.sum() + trial.false, 1)),
        "false_expected": trial.false,
        "by_chance": _share(trial.by_chance),
        "depth_snr": depth if np.isfinite(depth) else None,
        "depth_mag": float(-2.5 * np.log10(depth / LIMIT_SNR)) if np.isfinite(depth) else None,
        "completeness": [
            {"snr": [low, top], "mag": [_mag(top), _mag(low)], "share": _share(hits), "n": len(hits)}
            for low, top, hits in rows
        ],
        "high_snr_completeness": _share(found[high]),
        "high_snr_purity": float(found[high].sum() / max(found[high].sum() + trial.false_bright, 1)),
        "high_snr_n": int(high.sum()),
    }


def _mag(snr: float) -> float:
    return round(float(-2.5 * np.log10(snr / LIMIT_SNR)), 3)


def _share(hits: np.ndarray) -> float | None:
    return float(hits.mean()) if len(hits) else None


def rate_at_purity(curve: list[dict], purity: float) -> float:
    """The highest rate whose purity is still that high; the lowest one there is, if none is."""
    known = [point for point in curve if point["false_per_megapixel"]]
    pure = [point["false_per_megapixel"] for point in known if point["purity"] >= purity]
    return max(pure, default=min(point["false_per_megapixel"] for point in known))


def _compared(snr: np.ndarray, trials: dict, curves: dict, seed: int) -> dict:
    """Methods at purity 0.95 and 0.99, and magnitudes gained at half completeness over sep at the same purity.

    And over sep as it comes, at 1.5 sigma, by the segmenter at the highest rate that is as pure as that or 0.95.
    """
    compared: dict[str, dict] = {}
    for label, purity in (("purity_0.95", PURITY), ("purity_0.99", HIGH_PURITY)):
        rates = {name: rate_at_purity(curve, purity) for name, curve in curves.items()}
        base = _pooled(trials["sep"], rates["sep"]).found
        compared[label] = {}
        for name, rate in rates.items():
            pooled = _pooled(trials[name], rate)
            numbers = _point(snr, pooled) | _gain(snr, base, pooled.found, seed)
            compared[label][name] = numbers | {"false_per_megapixel": rate}
    default = _pooled(trials["sep"], 0.0)
    of_sep = _point(snr, default)
    pooled = _pooled(trials["segmenter"], rate_at_purity(curves["segmenter"], max(PURITY, of_sep["purity"])))
    ours = _point(snr, pooled)
    compared["gain_over_sep_default"] = _gain(snr, default.found, pooled.found, seed) | {
        "purity": ours["purity"],
        "purity_of_sep": of_sep["purity"],
        "depth_snr": ours["depth_snr"],
        "depth_snr_of_sep": of_sep["depth_snr"],
    }
    return compared


def _gain(snr: np.ndarray, before: np.ndarray, after: np.ndarray, seed: int) -> dict[str, float | None]:
    """Magnitudes gained at half completeness, with the 95 % interval."""
    values = depth_gain_mag(snr, before, after, np.random.default_rng([seed, 5]))
    known = (float(value) if np.isfinite(value) else None for value in values)
    return dict(zip(("gain_mag", "low", "high"), known, strict=True))
