"""The searches that are compared: the segmenter, sep with its defaults, and photutils, each at any threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from galaxy_core.frame_detectors import counted_threshold, peaks_of, tail_threshold
from galaxy_core.frame_segments import SEP_MIN_AREA_PX, find_in_maps, find_with_sep

GAUSSIAN_FWHM_PX, GAUSSIAN_SIDE_PX = 3.0, 5  # the kernel photutils' documentation smooths with before it detects


@dataclass(frozen=True)
class Method:
    """A search: what it makes of a frame, thresholds by the number of detections in noise, and positions.

    Positions are float64 (n, 4): x and y of the barycentre, and of the brightest pixel.
    """

    prepare: Callable[[np.ndarray], object]
    thresholds: Callable[[np.ndarray, Sequence[float]], list[float]]
    find: Callable[[object, float], np.ndarray]


def methods_of(model) -> dict[str, Method]:
    """The segmenter, sep with its defaults, and photutils, each to be used at any threshold."""

    def maps(signal: np.ndarray):
        return model.detection_maps(signal, np.zeros(signal.shape, dtype=bool))

    def in_maps(prepared, threshold: float) -> np.ndarray:
        found = find_in_maps(*prepared, np.zeros(prepared[0].shape, dtype=bool), threshold)
        return np.column_stack([found.x, found.y, brightest(prepared[1], found.segmentation, len(found))])

    def in_sep(signal, threshold: float) -> np.ndarray:
        found = find_with_sep(signal, np.zeros(signal.shape, dtype=bool), threshold)
        return np.column_stack([found.x, found.y, brightest(signal, found.segmentation, len(found))])

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
    """Segments photutils finds above a threshold, without deblending: centres and brightest pixels, float64 (n, 4)."""
    import warnings

    from photutils.segmentation import detect_sources

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are none
        found = detect_sources(signal, threshold, SEP_MIN_AREA_PX)
    if found is None:
        return np.zeros((0, 4))
    centres = ndimage.center_of_mass(np.maximum(signal, 0), found.data, found.labels)
    centres = np.array(centres, dtype=np.float64).reshape(-1, 2)[:, ::-1]
    return np.column_stack([centres, brightest(signal, found.data, len(found.labels))])


def brightest(light: np.ndarray, segmentation: np.ndarray, n: int) -> np.ndarray:
    """Column and row of the brightest pixel of objects 1 to n, float64 (n, 2)."""
    places = ndimage.maximum_position(light, segmentation, np.arange(1, n + 1)) if n else []
    return np.array(places, dtype=np.float64).reshape(-1, 2)[:, ::-1]
