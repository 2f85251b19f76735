"""Ways to look for objects in a frame, each at the threshold that lets a stated number of false detections through.

That number is counted on noise made from the frame itself: Gaussian, without a source, with the scatter and the
correlations of the frame's own source-free sky (`galaxy_core.injection.noise_like`). So drizzled and resampled frames,
in which fixed thresholds drown in false detections, get higher ones, and every method is as pure as every other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from galaxy_core.errors import ModelError
from galaxy_core.frame_choices import DEFAULT_FALSE_PER_MEGAPIXEL, METHODS
from galaxy_core.frame_noise import APERTURE_SIDES_PX, aperture_growth
from galaxy_core.frame_segments import MAPS_CONTRAST, SEP_CONTRAST, Found, find_in_maps, find_with_sep
from galaxy_core.injection import DEFAULT_FWHM_PX, noise_like, source_free
from galaxy_core.tiles import Progress

if TYPE_CHECKING:
    from torch import nn

SKY_PX, NOISE_PX = 384, 720  # window whose sky is looked at, and side of the noise made from it
MIN_FREE_PX, LEAST_SIDE_PX = 2000, 32  # with less sky the noise is taken for white
PEAK_PX, TAIL_PEAKS = 7, 100
COUNTED = 20.0  # false detections that are counted; fewer are read off the tail
THRESHOLDS = tuple(np.geomspace(0.5, 6.0, 32))
MIN_COUNT = 4


@dataclass(frozen=True)
class Detector:
    """A way to look for objects.

    Attributes
    ----------
    method : {"segmenter", "sep"}
    threshold : float
        Of the method's own detection map.
    find : callable
        ``find(signal, unusable, progress)`` of float32 and bool arrays (height, width), light in units of its noise.
    """

    method: str
    threshold: float
    find: Callable[[np.ndarray, np.ndarray, Progress | None], Found]


def make_detector(
    method: str,
    noise: np.ndarray,
    false_per_megapixel: float = DEFAULT_FALSE_PER_MEGAPIXEL,
    model: nn.Module | None = None,
    contrast: float | None = None,
) -> Detector:
    """A detector with the threshold at which noise like the frame's gives so many detections.

    Parameters
    ----------
    noise : ndarray of float32, shape (height, width)
        See `noise_of_frame`.
    false_per_megapixel : float
        Above zero. Fewer than 20 in ``noise`` are read off the tail of its peaks.
    model : nn.Module, optional
        A segmenter, for that method.
    contrast : float, optional
        Share of light that makes a part of an island an object of its own (sep: of the island's, segmenter: of its
        neighbour's); absent, the method's.

    Raises
    ------
    ModelError
        No such method, or no model for it.
    """
    if method not in METHODS:
        raise ModelError(f"There is no way '{method}' to look for objects; choose one of {', '.join(METHODS)}.")
    if not 0 < false_per_megapixel < 1e5:
        raise ModelError(f"False detections per megapixel are above 0 and below 100,000, not {false_per_megapixel:g}.")
    allowed = false_per_megapixel * noise.size / 1e6
    nothing = np.zeros(noise.shape, dtype=bool)
    if method == "sep":
        threshold = sep_threshold(noise, allowed)
        share = SEP_CONTRAST if contrast is None else contrast
        return Detector(method, threshold, lambda signal, bad, _: find_with_sep(signal, bad, threshold, share))
    if model is None or not hasattr(model, "detection_maps"):
        raise ModelError("The method segmenter needs a trained segmenter; train one, or look with the method sep.")
    threshold = tail_threshold(peaks_of(model.detection_maps(noise, nothing)[0]), allowed)

    def find(signal: np.ndarray, unusable: np.ndarray, progress: Progress | None = None) -> Found:
        detection, light = model.detection_maps(signal, unusable, progress)
        share = MAPS_CONTRAST if contrast is None else contrast
        return find_in_maps(detection, light, unusable, threshold, contrast=share)

    return Detector(method, threshold, find)


def noise_of_frame(signal: np.ndarray, unusable: np.ndarray, seed: int, side_px: int = NOISE_PX) -> np.ndarray:
    """Noise like that of a part of a frame, without a source, float32 (side, side); white where it has too little sky.

    Parameters
    ----------
    signal : ndarray of float32, shape (height, width)
        Light in units of its noise.
    """
    rng = np.random.default_rng([seed, 21])
    shape = (side_px, side_px)
    free = _free_sky(signal, unusable)
    if free.sum() >= MIN_FREE_PX:
        return noise_like(np.where(unusable, 0, signal), free, shape, rng)
    return rng.standard_normal(shape).astype(np.float32)


def growth_of_frame(signal: np.ndarray, unusable: np.ndarray, otherwise: float) -> np.ndarray:
    """What `galaxy_core.frame_noise.aperture_growth` finds in the sky of a part of a frame; ``otherwise`` without."""
    found = aperture_growth(signal, _free_sky(signal, unusable))
    return np.full(len(APERTURE_SIDES_PX), otherwise) if found is None else found


def _free_sky(signal: np.ndarray, unusable: np.ndarray) -> np.ndarray:
    """Pixels of no source and no gap; none in frames too small to tell."""
    if min(signal.shape) < LEAST_SIDE_PX or unusable.all():
        return np.zeros(signal.shape, dtype=bool)
    return source_free(np.where(unusable, np.nan, signal), DEFAULT_FWHM_PX)


def peaks_of(detection: np.ndarray) -> np.ndarray:
    """Values of the map that are the highest within three pixels, from the highest down."""
    highest = ndimage.maximum_filter(detection, size=PEAK_PX, mode="nearest")
    return np.sort(detection[detection == highest])[::-1].astype(np.float64)


def tail_threshold(peaks: np.ndarray, allowed: float) -> float:
    """The value that ``allowed`` of the peaks of noise pass.

    Down to `COUNTED` peaks that is counted; beyond, the tail above the 100th highest peak is taken for exponential,
    its scale being the mean excess (peaks over a threshold: Pickands 1975, Annals of Statistics 3, 119). The tails of
    noise fall off faster, so the true number is the smaller one.

    Parameters
    ----------
    peaks : ndarray, shape (n,)
        From the highest down.
    allowed : float
    """
    if len(peaks) == 0:
        return float("inf")
    if allowed >= COUNTED:
        return float(peaks[min(int(allowed), len(peaks) - 1)])
    n_tail = min(TAIL_PEAKS, len(peaks))
    base = peaks[n_tail - 1]
    return float(base + np.mean(peaks[:n_tail] - base) * max(np.log(n_tail / allowed), 0.0))


def sep_threshold(noise: np.ndarray, allowed: float) -> float:
    """Threshold at which SExtractor's default search finds ``allowed`` objects in noise."""
    nothing = np.zeros(noise.shape, dtype=bool)
    return counted_threshold(lambda threshold: len(find_with_sep(noise, nothing, threshold)), allowed)


def counted_threshold(count: Callable[[float], int], allowed: float) -> float:
    """Threshold at which a search finds ``allowed`` objects in noise.

    Numbers are counted from high thresholds down, and where they get few their logarithm is taken for linear in the
    square of the threshold, as for Gaussian noise.
    """
    counted: list[tuple[float, int]] = []
    for threshold in THRESHOLDS[::-1]:
        n = count(threshold)
        if n >= MIN_COUNT:
            counted.append((threshold, n))
        if n > max(allowed, 10 * MIN_COUNT):
            break
    if len(counted) < 2:
        return THRESHOLDS[0] if not counted else counted[0][0]
    squares = np.array([threshold**2 for threshold, _ in counted])
    logs = np.log([n for _, n in counted])
    if allowed >= counted[0][1]:
        return float(np.sqrt(np.interp(np.log(allowed), logs, squares)))
    slope, level = np.polyfit(squares[:4], logs[:4], 1)
    return float(np.sqrt((np.log(allowed) - level) / slope)) if slope < 0 else float(counted[0][0])
