"""How deep and how pure a search is: sources of known light put into real frames, at stated rates of false detections.

Sources go where a frame has none. What is false is counted on the frame with its source-free sky replaced by noise of
the same scatter and correlations, drawn anew: the thresholds were set on another draw. Purity is that of the injected
population (1 to 60 sigma, evenly in the logarithm, about 600 a megapixel), whatever else is in the frame left aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from scipy import ndimage

from galaxy_core.detection import Sources
from galaxy_core.frame_detectors import counted_threshold, noise_of_frame, peaks_of, tail_threshold
from galaxy_core.frame_light import noise_map
from galaxy_core.frame_segments import SEP_MIN_AREA_PX, find_in_maps, find_with_sep
from galaxy_core.injection import Injected, choose_places, depth_gain_mag, half_depth, inject, recovered
from galaxy_core.recipes.frame_scores import Frame, Report
from galaxy_core.recipes.injection_scores import (
    APART_PX,
    MIN_PLACES,
    POINT_SHARE,
    countable,
    filtered_sigma,
    make_blanks,
)

RATES = (1.0, 3.0, 6.0, 10.0, 16.0, 24.0, 36.0, 54.0, 80.0, 160.0)  # false detections a megapixel
SNR_EDGES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 25, 60)
HIGH_SNR = 10.0
PURITY, HIGH_PURITY = 0.95, 0.99
LIMIT_SNR = 5.0  # magnitudes are told relative to that of such a source
N_PER_FRAME, N_PER_SCENE, MAX_SCENES, MAX_BLANKS, SIDE_PX = 240, 60, 8, 4, 320
GAUSSIAN_FWHM_PX, GAUSSIAN_SIDE_PX = 3.0, 5  # the kernel photutils' documentation smooths with before it detects
SEP_DEFAULT_SIGMA = 1.5


@dataclass(frozen=True)
class Method:
    """A search: what it makes of a frame, thresholds by the number of detections in noise, and positions (n, 2)."""

    prepare: Callable[[np.ndarray], object]
    thresholds: Callable[[np.ndarray, Sequence[float]], list[float]]
    find: Callable[[object, float], np.ndarray]


@dataclass(frozen=True)
class Trial:
    """One frame under one method at one rate: which injected sources were found, and false ones, scaled to them."""

    found: np.ndarray
    false: float
    threshold: float


def methods_of(model) -> dict[str, Method]:
    """The segmenter, sep with its defaults, and photutils, each to be used at any threshold."""

    def maps(signal: np.ndarray):
        return model.detection_maps(signal, np.zeros(signal.shape, dtype=bool))

    def in_maps(prepared, threshold: float) -> np.ndarray:
        found = find_in_maps(*prepared, np.zeros(prepared[0].shape, dtype=bool), threshold)
        return np.column_stack([found.x, found.y])

    def in_sep(signal, threshold: float) -> np.ndarray:
        found = find_with_sep(signal, np.zeros(signal.shape, dtype=bool), threshold)
        return np.column_stack([found.x, found.y])

    def by_peaks(noise: np.ndarray, numbers: Sequence[float]) -> list[float]:
        peaks = peaks_of(maps(noise)[0])
        return [tail_threshold(peaks, allowed) for allowed in numbers]

    def by_counts(find: Callable[[object, float], np.ndarray]):
        def thresholds(noise: np.ndarray, numbers: Sequence[float]) -> list[float]:
            count = cache(lambda threshold: len(find(noise, threshold)))
            return [counted_threshold(count, allowed) for allowed in numbers]

        return thresholds

    def in_smoothed(noise: np.ndarray, numbers: Sequence[float]) -> list[float]:
        return by_counts(in_photutils)(smoothed(noise), numbers)

    return {
        "segmenter": Method(maps, by_peaks, in_maps),
        "sep": Method(np.asarray, by_counts(in_sep), in_sep),
        "photutils": Method(smoothed, in_smoothed, in_photutils),
    }


def smoothed(signal: np.ndarray) -> np.ndarray:
    """A frame convolved as in photutils' documentation: a Gaussian of 3 pixels in 5 x 5."""
    axis = np.arange(GAUSSIAN_SIDE_PX) - GAUSSIAN_SIDE_PX // 2
    curve = np.exp(-0.5 * (axis * 2.3548 / GAUSSIAN_FWHM_PX) ** 2)
    return ndimage.convolve(signal, np.outer(curve, curve) / curve.sum() ** 2, mode="nearest")


def in_photutils(signal: np.ndarray, threshold: float) -> np.ndarray:
    """Centres of the segments photutils finds above a threshold, without deblending, float64 (n, 2)."""
    import warnings

    from photutils.segmentation import detect_sources

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are none
        found = detect_sources(signal, threshold, SEP_MIN_AREA_PX)
    if found is None:
        return np.zeros((0, 2))
    centres = ndimage.center_of_mass(np.maximum(signal, 0), found.data, found.labels)
    return np.array(centres, dtype=np.float64).reshape(-1, 2)[:, ::-1]


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

    scenes = _scenes(frame, filtered_sigma(frame, seed), seed)
    blanks = make_blanks(frame, seed)
    blanks = blanks[len(blanks) // 2 :][:MAX_BLANKS]
    count_on = countable(frame)
    area = len(blanks) * count_on.sum() / (len(scenes) * frame.free.sum())
    noise_alone = noise_of_frame(signal_of(frame.band), ~finite, seed)
    outcome: dict[str, dict[float, Trial]] = {}
    for name, method in methods.items():
        seen = [method.prepare(signal_of(band)) for band, _ in scenes]
        calm = [method.prepare(signal_of(band)) for band in blanks]
        thresholds = method.thresholds(noise_alone, [rate * noise_alone.size / 1e6 for rate in RATES])
        wanted = list(zip(RATES, thresholds, strict=True)) + ([(0.0, SEP_DEFAULT_SIGMA)] if name == "sep" else [])
        outcome[name] = {}
        for rate, threshold in wanted:
            hits = [_hit(added, method.find(view, threshold)) for view, (_, added) in zip(seen, scenes, strict=True)]
            false = sum(_inside(method.find(view, threshold), count_on) for view in calm) / area
            outcome[name][rate] = Trial(np.concatenate(hits), float(false), threshold)
    columns = ("x", "y", "flux", "snr", "is_point")
    added = Injected(*(np.concatenate([getattr(part, name) for _, part in scenes]) for name in columns))
    return added, outcome


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
    columns, rows = np.rint(places).astype(int).T
    return int(where[np.clip(rows, 0, where.shape[0] - 1), np.clip(columns, 0, where.shape[1] - 1)].sum())


def _pooled(parts: list[dict[float, Trial]], rate: float) -> tuple[np.ndarray, float]:
    """Which sources were found at a rate, and how many false ones are expected beside them."""
    return np.concatenate([part[rate].found for part in parts]), sum(part[rate].false for part in parts)


def _curve(snr: np.ndarray, parts: list[dict[float, Trial]]) -> list[dict]:
    """Completeness, purity and depth at each rate; rate 0 stands for sep's own 1.5 sigma."""
    return [_point(snr, *_pooled(parts, rate)) | {"false_per_megapixel": rate or None} for rate in parts[0]]


def _point(snr: np.ndarray, found: np.ndarray, false: float) -> dict:
    high = snr >= HIGH_SNR
    depth = half_depth(snr, found)
    rows = [(low, top, found[(snr >= low) & (snr < top)]) for low, top in pairwise(SNR_EDGES)]
    return {
        "purity": float(found.sum() / max(found.sum() + false, 1)),
        "false_expected": false,
        "depth_snr": depth if np.isfinite(depth) else None,
        "depth_mag": float(-2.5 * np.log10(depth / LIMIT_SNR)) if np.isfinite(depth) else None,
        "completeness": [
            {"snr": [low, top], "mag": [_mag(top), _mag(low)], "share": _share(hits), "n": len(hits)}
            for low, top, hits in rows
        ],
        "high_snr_completeness": _share(found[high]),
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
        base, _ = _pooled(trials["sep"], rates["sep"])
        compared[label] = {}
        for name, rate in rates.items():
            found, false = _pooled(trials[name], rate)
            numbers = _point(snr, found, false) | _gain(snr, base, found, seed)
            compared[label][name] = numbers | {"false_per_megapixel": rate}
    base, false = _pooled(trials["sep"], 0.0)
    of_sep = _point(snr, base, false)
    rate = rate_at_purity(curves["segmenter"], max(PURITY, of_sep["purity"]))
    found, false = _pooled(trials["segmenter"], rate)
    compared["gain_over_sep_default"] = _gain(snr, base, found, seed) | {
        "purity": _point(snr, found, false)["purity"],
        "purity_of_sep": of_sep["purity"],
        "depth_snr": _point(snr, found, false)["depth_snr"],
        "depth_snr_of_sep": of_sep["depth_snr"],
    }
    return compared


def _gain(snr: np.ndarray, before: np.ndarray, after: np.ndarray, seed: int) -> dict[str, float | None]:
    """Magnitudes gained at half completeness, with the 95 % interval."""
    values = depth_gain_mag(snr, before, after, np.random.default_rng([seed, 5]))
    known = (float(value) if np.isfinite(value) else None for value in values)
    return dict(zip(("gain_mag", "low", "high"), known, strict=True))
