"""The same galaxy in two catalogs under two ids, which a split by id does not see.

Releases name galaxies in their own ways: Galaxy Zoo 2, Kaggle's challenge and sets of clean classes show the same
images of the SDSS. Two stamps are of one exposure where their noise is alike, for noise is drawn once: of 700 galaxies
of `gz2` 71 are among 26,093 of `gz_clean5`, where the noise of the sky is correlated by 0.5 to 0.9, though one is
shrunk from another size than the other; of 5,940 other pairs that look alike when small it is by less than 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from galaxy_core.splits import TEST, TRAIN, VALIDATION

if TYPE_CHECKING:
    from galaxy_core.stamps import Stamps

COARSE_PX, COARSE_ALIKE = 16, 0.98
WINDOW_PX, NOISE_ALIKE = 5, 0.3
LEAST_SKY, LEAST_NOISE = 0.05, 0.5  # share of a stamp; levels of its 8 bits
BATCH, CHECKED = 2048, 256
MOST_PAIRS = 4 * 10**9  # some minutes on two cores, and 200 MB
HELD_FROM = {TRAIN: (TEST, VALIDATION), VALIDATION: (TEST,)}  # what validation galaxies choose, test galaxies must not


def held_twins(stamps: Stamps, sizes: Sequence[int]) -> np.ndarray | None:
    """Training galaxies that another catalog tests or validates with, and validation galaxies that it tests with.

    Parameters
    ----------
    stamps : Stamps
        Of one or more catalogs.
    sizes : sequence of int
        Galaxies of each catalog, in the order of the stamps.

    Returns
    -------
    ndarray of int64, shape (n,), or None
        Rows of the stamps, sorted; None where there are too many pairs to look at.
    """
    catalog_of = np.repeat(np.arange(len(sizes)), sizes)
    parts = []
    for split, splits in HELD_FROM.items():
        rows, held = stamps.rows(split), np.concatenate([stamps.rows(other) for other in splits])
        parts += [(rows[catalog_of[rows] == number], held[catalog_of[held] != number]) for number in range(len(sizes))]
    if sum(len(own) * len(others) for own, others in parts) > MOST_PAIRS:
        return None
    return np.sort(np.concatenate([find_twins(stamps, *part)[:, 0] for part in parts]))


def find_twins(stamps: Stamps, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pairs of stamps, one of ``rows`` and one of ``others``, that show the same exposure.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        A row of ``rows`` comes once, with the first of the others it is the same as.
    """
    if len(others) > len(rows):  # of the fewer all are kept in memory, made small
        pairs = _pairs(stamps, others, rows)[:, ::-1]
    else:
        pairs = _pairs(stamps, rows, others)
    pairs = pairs[np.lexsort(pairs.T[::-1])]
    return pairs[np.unique(pairs[:, 0], return_index=True)[1]]


def _pairs(stamps: Stamps, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    found = [np.zeros((0, 2), np.int64)]
    against = [(part, coarse(stamps.planes(part))) for part in _batches(others)]
    for part in _batches(rows):
        small = coarse(stamps.planes(part))
        for there, small_there in against:
            one, two = torch.nonzero(small @ small_there.T > COARSE_ALIKE, as_tuple=True)
            pairs = np.column_stack([part[one.numpy()], there[two.numpy()]])
            for start in range(0, len(pairs), CHECKED):
                some = pairs[start : start + CHECKED]
                alike = noise_alike(stamps.planes(some[:, 0]), stamps.planes(some[:, 1]))
                found.append(some[(alike > NOISE_ALIKE).numpy()])
    return np.concatenate(found)


def coarse(planes: Tensor) -> Tensor:
    """Colours of a stamp made small, of mean 0 and length 1, float32 (n, 768); 0 where it is flat."""
    small = F.adaptive_avg_pool2d(planes[:, :3].float(), COARSE_PX).flatten(1)
    return F.normalize(small - small.mean(dim=1, keepdim=True), dim=1)


def noise_alike(one: Tensor, other: Tensor) -> Tensor:
    """Correlation of the noise of pairs of stamps, float32 (n,): of what the mean over 5 x 5 pixels takes away.

    Over the sky that both show: the cores of galaxies that are alike differ from their surroundings in the same way,
    whichever galaxies they are. 0 where there is too little sky, or hardly noise in it.

    Parameters
    ----------
    one, other : Tensor, uint8 (n, 4, size, size)
        The last plane is 1 where the galaxy is.
    """
    sky = ((one[:, 3:] == 0) & (other[:, 3:] == 0)).float()
    n = sky.sum(dim=(1, 2, 3))
    first, second = (_fine(planes, sky, n) for planes in (one, other))
    power = first.square().sum(dim=1) * second.square().sum(dim=1)
    enough = (n >= LEAST_SKY * sky[0].numel()) & (power.sqrt() >= LEAST_NOISE**2 * n)
    return torch.where(enough, (first * second).sum(dim=1) / power.sqrt().clamp(min=1e-12), 0.0)


def _fine(planes: Tensor, sky: Tensor, n: Tensor) -> Tensor:
    """What smoothing takes from a grey stamp in the sky, of mean 0 there, float32 (n, size**2)."""
    grey = planes[:, :3].float().mean(dim=1, keepdim=True)
    left = (grey - F.avg_pool2d(grey, WINDOW_PX, 1, WINDOW_PX // 2, count_include_pad=False)) * sky
    mean = left.sum(dim=(1, 2, 3)) / n.clamp(min=1)
    return (left - mean[:, None, None, None] * sky).flatten(1)


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, range(BATCH, len(rows), BATCH)) if len(rows) else []
