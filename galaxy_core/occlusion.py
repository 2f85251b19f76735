"""Which pixels mattered: cover a part of an image with its own sky, and see how far each prediction moves [1]_.

Any model will do that gives numbers for images. What is covered looks like empty sky, so the question that is answered
is what the model would say were there nothing at that place.

References
----------
.. [1] M. D. Zeiler & R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from galaxy_core.noise import estimate_sky

PATCHES_ACROSS = 8  # patches that fit side by side; each is moved by half its side
BATCH = 16
Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Occlusion:
    """What k predictions were with each patch covered.

    Attributes
    ----------
    whole : ndarray of float64, shape (k,)
        With nothing covered.
    covered : ndarray of float64, shape (n_rows, n_columns, k)
    tops, lefts : ndarray of int64, shape (n_rows,) and (n_columns,)
        First row and column of each patch.
    patch_px : int
    shape : tuple of int
        Height and width of the image.
    """

    whole: np.ndarray
    covered: np.ndarray = field(repr=False)
    tops: np.ndarray = field(repr=False)
    lefts: np.ndarray = field(repr=False)
    patch_px: int
    shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.covered.nbytes

    def map_of(self, k: int) -> np.ndarray:
        """How far prediction ``k`` falls without each pixel: the mean over the patches that cover it.

        Returns
        -------
        ndarray of float64, shape (height, width)
            Above zero: the pixel speaks for it. Below: without it the prediction is higher.
        """
        total, times = np.zeros(self.shape), np.zeros(self.shape)
        for i, top in enumerate(self.tops):
            for j, left in enumerate(self.lefts):
                place = np.s_[top : top + self.patch_px, left : left + self.patch_px]
                total[place] += self.whole[k] - self.covered[i, j, k]
                times[place] += 1
        return total / times

    def most_telling(self, k: int) -> tuple[tuple[int, int], float]:
        """Row and column of the centre of the patch that moves prediction ``k`` most, and what it becomes there."""
        moved = np.abs(self.covered[..., k] - self.whole[k])
        i, j = np.unravel_index(int(moved.argmax()), moved.shape)
        half = self.patch_px // 2
        return (int(self.tops[i]) + half, int(self.lefts[j]) + half), float(self.covered[i, j, k])


def occlude(
    image: np.ndarray,
    predict: Predict,
    patch_px: int | None = None,
    step_px: int | None = None,
    report: Callable[[float], None] | None = None,
    batch: int = BATCH,
) -> Occlusion:
    """Cover one square patch of an image after the other with the sky of each band.

    Parameters
    ----------
    image : ndarray of float32, shape (bands, height, width)
    predict : callable
        Images (n, bands, height, width) to predictions (n, k).
    patch_px, step_px : int, optional
        Side of a patch, an eighth of the image's where absent, and how far the next lies: half a patch.
    report : callable, optional
        Called with the fraction done, after each batch.
    """
    bands, height, width = image.shape
    patch = min(patch_px or max(1, round(min(height, width) / PATCHES_ACROSS)), height, width)
    step = step_px or max(1, patch // 2)
    tops, lefts = patch_starts(height, patch, step), patch_starts(width, patch, step)
    sky = sky_of(image).reshape(bands, 1, 1)
    places = [(top, left) for top in tops for left in lefts]
    whole, covered = np.asarray(predict(image[None]), dtype=np.float64)[0], []
    for start in range(0, len(places), batch):
        some = places[start : start + batch]
        images = np.repeat(image[None], len(some), axis=0)
        for one, (top, left) in zip(images, some, strict=True):
            one[:, top : top + patch, left : left + patch] = sky
        covered.append(np.asarray(predict(images), dtype=np.float64))
        if report:
            report((start + len(some)) / len(places))
    table = np.concatenate(covered).reshape(len(tops), len(lefts), len(whole))
    return Occlusion(whole, table, tops, lefts, patch, (height, width))


def patch_starts(length: int, patch: int, step: int) -> np.ndarray:
    """Where patches begin along a side; the last one ends with it, so that every pixel is covered.

    Examples
    --------
    >>> patch_starts(10, 4, 2).tolist(), patch_starts(9, 4, 3).tolist(), patch_starts(4, 4, 2).tolist()
    ([0, 2, 4, 6], [0, 3, 5], [0])
    """
    last = length - patch
    return np.unique(np.append(np.arange(0, last + 1, step), last))


def sky_of(image: np.ndarray) -> np.ndarray:
    """Sky level of each band of an image, float32 (bands,)."""
    return np.array([estimate_sky(band).level for band in image], dtype=np.float32)
