"""From maps of a frame to objects: which pixels belong to which, and where each lies.

Objects are islands above an isophote in which the detection map passes its threshold somewhere. Islands of denoised
maps are parted by a watershed (`galaxy_core.frame_parts`), those of frames as they come by SExtractor's at many
thresholds (Bertin & Arnouts 1996, A&AS 117, 393, section 6) as `sep` has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from galaxy_core.detection import PIXEL_STACK_MAX, SUB_OBJECTS_MAX
from galaxy_core.frame_parts import part
from galaxy_core.frame_shapes import NARROWEST_PX, measure_parts

# SExtractor's default filter, 3 x 3 pixels; threshold and area are its defaults, too
SEP_KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=np.float32)
SEP_MIN_AREA_PX = 5
MIN_AREA_PX = 3  # of maps that are smooth
DEBLEND_LEVELS = 32
# Share of light that makes a part an object: of the island's with SExtractor, of the neighbour's in denoised maps.
SEP_CONTRAST, MAPS_CONTRAST = 0.005, 0.00002
# In the noise of a pixel: what islands are parted above (lower down, those of a crowded frame are one), and where
# objects end.
ISOPHOTE_SIGMA, OUTLINE_SIGMA = 0.5, 0.1
GROWTH_PX = 40


@dataclass(frozen=True)
class Found:
    """Objects of one window.

    Attributes
    ----------
    x, y : ndarray of float64, shape (n,)
        Barycentre, in denoised maps of light above 0.4 of the peak; 0 is the centre of the window's first pixel.
    major, minor, theta : ndarray of float64, shape (n,)
        Second moments of the light above the isophote, or above the saddle to a brighter neighbour: dispersions in
        pixels, and the angle of the major axis from x towards y in radians, within half a turn.
    detection : ndarray of float64, shape (n,)
        Highest value of the detection map.
    blended : ndarray of bool, shape (n,)
        Parted from a neighbour.
    box : ndarray of int64, shape (n, 4)
        First and last column and row of the object's pixels.
    segmentation : ndarray of int32, shape (height, width)
        0 is sky, object ``i`` has ``i + 1``.
    """

    x: np.ndarray
    y: np.ndarray
    major: np.ndarray
    minor: np.ndarray
    theta: np.ndarray
    detection: np.ndarray
    blended: np.ndarray
    box: np.ndarray
    segmentation: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.x)


def find_in_maps(
    detection: np.ndarray,
    light: np.ndarray,
    unusable: np.ndarray,
    threshold: float,
    isophote: float = ISOPHOTE_SIGMA,
    contrast: float = MAPS_CONTRAST,
    outline: float = OUTLINE_SIGMA,
) -> Found:
    """Objects of a detection map, with the pixels where the denoised light is above an isophote.

    Parameters
    ----------
    detection, light : ndarray of float32, shape (height, width)
        What is compared with ``threshold``, and the denoised light in units of a pixel's noise.
    unusable : ndarray of bool, shape (height, width)
    threshold, isophote : float
    contrast : float
        Share of its neighbour's light that makes a part of an island an object of its own.
    outline : float
        Objects grow, where they touch light that is no other's, down to this isophote.
    """
    lit = ((detection >= threshold) | (light >= isophote)) & ~unusable
    parts = part(light, lit, contrast, MIN_AREA_PX)
    # what the detection map alone has found is as faint as an object's edge
    shown = np.maximum(light[lit], np.float32(1.001 * isophote)).astype(np.float64)
    measured, number = measure_parts(lit, shown, parts)
    segmentation = np.zeros(light.shape, dtype=np.int32)
    segmentation[lit] = number + 1
    strength = _maxima(segmentation, detection, len(measured))
    kept = (strength >= threshold) & (np.bincount(number, minlength=len(measured)) >= MIN_AREA_PX)
    found = _kept(measured, segmentation, strength, kept)
    grow(found.segmentation, (light >= outline) & ~unusable)
    return found


def grow(segmentation: np.ndarray, lit: np.ndarray) -> None:
    """Let objects grow in place, a pixel at a time and all at once, into lit pixels that they touch, up to 40 pixels.

    Parameters
    ----------
    segmentation : ndarray of int32, shape (height, width)
    lit : ndarray of bool, shape (height, width)
    """
    height, width = segmentation.shape
    labels = np.zeros((height + 2, width + 2), np.int32)  # a rim of sky, so that every pixel has four neighbours
    labels[1:-1, 1:-1] = segmentation
    free = np.zeros(labels.shape, dtype=bool)
    free[1:-1, 1:-1] = lit & (segmentation == 0)
    labels, free = labels.ravel(), free.ravel()
    steps = (-1, 1, -(width + 2), width + 2)
    order = np.empty(len(labels), np.int32)
    front = np.flatnonzero(free)
    for _ in range(GROWTH_PX):
        beside = np.maximum.reduce([labels[front + step] for step in steps])
        front, beside = front[beside > 0], beside[beside > 0]
        if not len(front):
            break
        labels[front], free[front] = beside, False
        # only what lies beside the pixels just added can be touched next, each taken once
        front = np.concatenate([front + step for step in steps])
        front = front[free[front]]
        order[front] = np.arange(len(front), dtype=np.int32)
        front = front[order[front] == np.arange(len(front))]
    segmentation[...] = labels.reshape(height + 2, width + 2)[1:-1, 1:-1]


def find_with_sep(signal: np.ndarray, unusable: np.ndarray, threshold: float, contrast: float = SEP_CONTRAST) -> Found:
    """Objects as SExtractor finds them with its default filter and area, in light in units of its noise."""
    found, segmentation = _extract(
        np.ascontiguousarray(signal, dtype=np.float32), threshold, SEP_KERNEL, SEP_MIN_AREA_PX, contrast, unusable
    )
    strength = found["cpeak"].astype(np.float64)
    return _kept(found, segmentation, strength, np.ones(len(found), dtype=bool))


def _extract(shown, threshold: float, kernel, area: int, contrast: float, mask=None) -> tuple[np.ndarray, np.ndarray]:
    import sep

    wanted = min(max(shown.size, 300_000), PIXEL_STACK_MAX)
    if sep.get_extract_pixstack() < wanted:
        sep.set_extract_pixstack(wanted)
    if sep.get_sub_object_limit() < SUB_OBJECTS_MAX:
        sep.set_sub_object_limit(SUB_OBJECTS_MAX)
    return sep.extract(
        shown,
        float(threshold),
        mask=mask if mask is not None and mask.any() else None,
        minarea=area,
        filter_kernel=kernel,
        deblend_nthresh=DEBLEND_LEVELS,
        deblend_cont=contrast,
        clean=kernel is not None,  # removes what the wings of a neighbour would make; denoised wings make nothing
        segmentation_map=True,
    )


def _maxima(segmentation: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Highest value within each object, float64 (n,)."""
    lit = np.flatnonzero(segmentation)
    highest = np.full(n + 1, -np.inf)
    np.maximum.at(highest, segmentation.ravel()[lit], values.ravel()[lit].astype(np.float64))
    return highest[1:]


def _kept(found: np.ndarray, segmentation: np.ndarray, strength: np.ndarray, kept: np.ndarray) -> Found:
    """The objects that are kept, numbered anew from 1 on."""
    number = np.zeros(len(found) + 1, dtype=np.int32)
    number[1:][kept] = np.arange(1, int(kept.sum()) + 1)
    found = found[kept]
    major, minor = (np.maximum(np.nan_to_num(found[name].astype(np.float64)), NARROWEST_PX) for name in ("a", "b"))
    theta = np.clip(np.nan_to_num(found["theta"].astype(np.float64)), -np.pi / 2, np.pi / 2)
    box = np.column_stack([found[name] for name in ("xmin", "xmax", "ymin", "ymax")]).astype(np.int64)
    return Found(
        found["x"].astype(np.float64),
        found["y"].astype(np.float64),
        major,
        minor,
        theta,
        strength[kept],
        (found["flag"] & 1) > 0,
        box.reshape(-1, 4),
        segmentation if kept.all() else number[segmentation],
    )


def take(found: Found, rows: np.ndarray) -> Found:
    """Objects of the given rows; the segmentation keeps the numbers of all."""
    columns = {item.name: getattr(found, item.name) for item in fields(found)}
    return Found(**{name: value if name == "segmentation" else value[rows] for name, value in columns.items()})
