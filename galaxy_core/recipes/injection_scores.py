"""Completeness, purity and depth: sources of known light put into real frames, looked for before and after denoising.

Nobody shall gain depth by being less pure. So every method is compared with the frame as it came, searched at the
threshold that lets 20 false detections a megapixel through, in three ways: at the threshold with the same rate of false
detections, at the threshold at which what it finds is as pure, and at the same threshold in units of the input's noise.
What is false is counted on the frame itself with its source-free sky replaced by noise of the same scatter and power
spectrum: methods that adapt to the whole image then meet the image they will meet, and no faint source of the real sky
that denoising uncovers is taken for an invention. That noise is drawn twice, once to set thresholds, once to count
(`injection_points`). Of the input both the plain search and the one through a filter matched to
the point source are shown; the second is the fair rival (cf. Roscani et al. 2020, A&A 643, A43, who compare denoisers
on simulated surveys in this way).

The noise that signal to noise refers to is what that filter sees on the frame, so correlated noise counts as it should.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.signal import fftconvolve

from galaxy_core.detection import Sources, aperture_flux, detect
from galaxy_core.injection import (
    Injected,
    choose_places,
    inject,
    noise_like,
    point_profile,
    recovered,
)
from galaxy_core.probes import wilson_interval
from galaxy_core.recipes.frame_scores import Denoisers, Frame, Report
from galaxy_core.recipes.injection_points import (
    FALSE_PER_MEGAPIXEL,
    Sweep,
    at_false_rate,
    at_purity,
    at_threshold,
    found_at,
    gain,
    point_scores,
    sweep,
    trade_off,
)

SNR_BINS = (1, 2, 3, 4, 5, 6, 8, 10, 14, 20)
MIN_AREA_PX = 5
FALSE_SKY_PX, MAX_BLANKS = 300_000, 40  # sky to set thresholds on, and as much to count on; frames it may take
EDGE_PX = 3  # from the edge of the replaced sky nothing is counted
MAX_SIDE_PX, N_PER_FRAME, MIN_PLACES, N_FRAMES = 320, 240, 25, 2
APART_PX = 14.0
POINT_SHARE = 0.4
KERNEL_HALF_PX = 6


@dataclass(frozen=True)
class Search:
    """One way to look for sources: what is done to a frame first, and the matched filter, if any."""

    denoise: Callable[[np.ndarray], np.ndarray] | None
    matched: bool


@dataclass(frozen=True)
class Outcome:
    """What one search found; at the allowed rate of false ones, the signal to noise measured of true and false."""

    swept: Sweep
    true_snr: np.ndarray
    false_snr: np.ndarray


def score_injection(frames: Sequence[Frame], denoisers: Denoisers, seed: int, report: Report) -> dict:
    """Curves and depths of each family of frames, and of all together.

    Parameters
    ----------
    frames : sequence of Frame
        Of each family the first two in whose middle there is room for 25 sources.
    """
    searches = {"input": Search(None, False), "input_matched_filter": Search(None, True)}
    searches |= {name: Search(denoise, False) for name, denoise in denoisers.items()}
    chosen = _choose_frames(frames, seed)
    scores, pooled = {}, []
    for done, (family, members) in enumerate(chosen.items(), start=1):
        results = [search_frame(frame, searches, seed) for frame in members]
        pooled += results
        scores[family] = summarise(results, searches, [frame.name for frame in members], seed)
        report("injection", done, len(chosen))
    if not scores:
        return {"note": "no frame has enough empty sky to put sources into"}
    return {
        "all": summarise(pooled, searches, [name for row in scores.values() for name in row["frames"]], seed)
    } | scores


def _choose_frames(frames: Sequence[Frame], seed: int) -> dict[str, list[Frame]]:
    chosen: dict[str, list[Frame]] = {}
    for frame in frames:
        members = chosen.setdefault(frame.family, [])
        top, left = (max(side - MAX_SIDE_PX, 0) // 2 for side in frame.band.shape)
        cut = slice(top, top + MAX_SIDE_PX), slice(left, left + MAX_SIDE_PX)
        small = replace(frame, band=frame.band[cut], sky=frame.sky[cut], free=frame.free[cut])
        places = choose_places(small.free, MIN_PLACES, APART_PX, np.random.default_rng(seed))
        if len(members) < N_FRAMES and len(places) == MIN_PLACES:
            members.append(small)
    return {family: members for family, members in chosen.items() if members}


def search_frame(frame: Frame, searches: dict[str, Search], seed: int) -> tuple[Injected, dict[str, Outcome]]:
    """What was injected, and what each search made of it."""
    blanks = make_blanks(frame, seed)
    scenes = make_scenes(frame, filtered_sigma(frame, seed), seed)
    outcomes = {}
    for name, search in searches.items():
        prepare = search.denoise or (lambda band: band)
        images = [prepare(band) for band, _ in scenes]
        calm = [prepare(band) for band in blanks]
        outcomes[name] = _search(frame, search, images, [injected for _, injected in scenes], calm)
    return _joined([injected for _, injected in scenes]), outcomes


def make_blanks(frame: Frame, seed: int) -> list[np.ndarray]:
    """An even number of copies of a frame whose source-free sky is noise like its own: all found there is false."""
    needed = -(-FALSE_SKY_PX // max(int(countable(frame).sum()), 1))
    light, blanks = frame.band - frame.sky, []
    for index in range(2 * min(needed, MAX_BLANKS)):
        noise = noise_like(light, frame.free, frame.band.shape, np.random.default_rng([seed, 3, index]))
        blanks.append(np.where(frame.free, frame.sky + noise, frame.band).astype(np.float32))
    return blanks


def countable(frame: Frame) -> np.ndarray:
    """Source-free sky away from its edges: bool (height, width)."""
    return ndimage.binary_erosion(frame.free, iterations=EDGE_PX)


def filtered_sigma(frame: Frame, seed: int) -> float:
    """Noise of a pixel of white noise in which a filter matched to the point source sees what it sees on this frame."""
    profile = point_profile(frame.fwhm_px).astype(np.float64)
    shape = tuple(max(side, 128) for side in frame.band.shape)
    noise = noise_like(frame.band - frame.sky, frame.free, shape, np.random.default_rng([seed, 4]))
    return float(fftconvolve(noise, profile, mode="valid").std() / np.sqrt((profile**2).sum()))


def make_scenes(frame: Frame, sigma: float, seed: int) -> list[tuple[np.ndarray, Injected]]:
    """Copies of a frame with sources at fresh places, until there are `N_PER_FRAME`; signal to noise log-uniform."""
    scenes, total = [], 0
    while total < N_PER_FRAME and len(scenes) < 10:
        rng = np.random.default_rng([seed, 2, len(scenes)])
        places = choose_places(frame.free, 60, max(APART_PX, 4 * frame.fwhm_px), rng)
        snr = np.exp(rng.uniform(np.log(SNR_BINS[0]), np.log(SNR_BINS[-1]), len(places)))
        is_point = rng.random(len(places)) < POINT_SHARE
        scenes.append(inject(frame.band, sigma, frame.fwhm_px, places, snr, is_point, seed * 1000 + len(scenes)))
        total += len(places)
    return scenes


def _search(frame: Frame, search: Search, images: list, injected: list[Injected], blanks: list) -> Outcome:
    kernel = None
    if search.matched:
        middle = point_profile(frame.fwhm_px).shape[0] // 2
        cut = slice(middle - KERNEL_HALF_PX, middle + KERNEL_HALF_PX + 1)
        kernel = point_profile(frame.fwhm_px)[cut, cut]

    def find(band: np.ndarray, threshold: float) -> Sources:
        return detect(band, frame.sigma, threshold, MIN_AREA_PX, sky=frame.sky, kernel=kernel, photometry=False)

    count_on, half = countable(frame), len(blanks) // 2

    def false_ones(band: np.ndarray, threshold: float) -> Sources:
        found = find(band, threshold)
        return found.take(count_on[np.round(found.y).astype(int), np.round(found.x).astype(int)])

    def count_false(threshold: float) -> tuple[int, int]:
        counts = [len(false_ones(band, threshold)) for band in blanks]
        return sum(counts[:half]), sum(counts[half:])

    def hits(threshold: float) -> list[np.ndarray]:
        parts = zip(images, injected, strict=True)
        return [recovered(sources, find(band, threshold)) for band, sources in parts]

    megapixels = half * count_on.sum() / 1e6
    ratio = half * count_on.sum() / (len(images) * frame.free.sum())
    swept = sweep(lambda threshold: np.concatenate(hits(threshold)), count_false, float(ratio), float(megapixels))
    threshold = swept.thresholds[at_false_rate(swept, FALSE_PER_MEGAPIXEL)]
    false = [_measured_snr(frame, band, false_ones(band, threshold)) for band in blanks[half:]]
    true = []
    for band, sources, hit in zip(images, injected, hits(threshold), strict=True):
        places = Sources(sources.x[hit], sources.y[hit], *np.zeros((4, int(hit.sum()))))
        true.append(_measured_snr(frame, band, places))
    return Outcome(swept, np.concatenate(true), np.concatenate(false))


def _measured_snr(frame: Frame, band: np.ndarray, found: Sources) -> np.ndarray:
    """Light within one full width of a point source, over the input's white noise there."""
    flux = aperture_flux(band - frame.sky, found.x, found.y, frame.fwhm_px)
    return flux / (frame.sigma * np.sqrt(np.pi) * frame.fwhm_px)


def _joined(parts: list[Injected]) -> Injected:
    return Injected(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Injected)))


def summarise(results: list, searches: dict[str, Search], names: list[str], seed: int) -> dict:
    """Curves with 95 % binomial intervals, and depths and gains in magnitudes over the input at each working point."""
    injected = _joined([part for part, _ in results])
    swept = {name: [outcomes[name].swept for _, outcomes in results] for name in searches}
    rows = {name: [at_false_rate(part, FALSE_PER_MEGAPIXEL) for part in swept[name]] for name in searches}
    before = list(zip(swept["input"], rows["input"], strict=True))
    pure = {
        name: [at_purity(part, first.purity_set()[row]) for part, (first, row) in zip(swept[name], before, strict=True)]
        for name in searches
    }
    same = {
        name: [
            at_threshold(part, first.thresholds[row]) for part, (first, row) in zip(swept[name], before, strict=True)
        ]
        for name in searches
    }
    found = {name: found_at(swept[name], rows[name]) for name in searches}
    pure_input = found_at(swept["input"], pure["input"])
    sources = injected.snr, injected.is_point, seed
    summary = {"frames": names, "n_injected": len(injected.snr), "false_per_megapixel_allowed": FALSE_PER_MEGAPIXEL}
    for name, search in searches.items():
        outcomes = [outcomes[name] for _, outcomes in results]
        summary[name] = point_scores(swept[name], rows[name], found["input"], *sources) | {
            "completeness": completeness_curve(injected.snr, found[name]),
            "purity_curve": purity_curve(outcomes),
            "gain_over_matched_filter_mag": gain(
                injected.snr, found["input_matched_filter"], found[name], np.random.default_rng([seed, 5])
            ),
            "same_purity": point_scores(swept[name], pure[name], pure_input, *sources),
            "same_threshold": None
            if search.matched
            else point_scores(swept[name], same[name], found["input"], *sources),
            "trade_off": trade_off(swept[name]),
        }
    return summary


def completeness_curve(snr: np.ndarray, found: np.ndarray) -> list[dict[str, float]]:
    """Share of injected sources found, by signal to noise."""
    return [
        _share(low, high, int(found[inside].sum()), int(inside.sum()))
        for low, high in pairwise(SNR_BINS)
        for inside in [(snr >= low) & (snr < high)]
    ]


def purity_curve(outcomes: list[Outcome]) -> list[dict[str, float]]:
    """Share of detections that are true, by the signal to noise measured of them.

    False ones are counted on ``sky_ratio`` times the sky of the frames, and scaled.
    """
    rows = []
    for low, high in pairwise(SNR_BINS):
        true = sum(int(((part.true_snr >= low) & (part.true_snr < high)).sum()) for part in outcomes)
        false = sum(
            ((part.false_snr >= low) & (part.false_snr < high)).sum() / part.swept.sky_ratio for part in outcomes
        )
        rows.append(_share(low, high, true, round(true + false)))
    return rows


def _share(low: float, high: float, successes: int, trials: int) -> dict[str, float]:
    interval = wilson_interval(successes, trials)
    share = successes / trials if trials else None
    return {"snr_low": low, "snr_high": high, "n": trials, "share": share, "low": interval[0], "high": interval[1]}
