"""Which galaxies a model may learn from: one rule for every recipe and every catalog.

The split is a function of the galaxy's id alone, so no model meets another model's test galaxy under its id, whatever
the order, size or subset of the catalog it was trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

TEST, VALIDATION, TRAIN = "test", "validation", "train"


def split_of(galaxy_id: str) -> str:
    """Split of one galaxy: ``sha1(id) mod 10`` is 0 for test, 1 for validation, 2 to 9 for training.

    Examples
    --------
    >>> split_of("128132"), split_of("128216")
    ('train', 'train')
    """
    digit = int(hashlib.sha1(galaxy_id.encode("utf-8")).hexdigest(), 16) % 10
    return TEST if digit == 0 else VALIDATION if digit == 1 else TRAIN


def split_mask(galaxy_ids: Iterable[str], split: str) -> np.ndarray:
    """Boolean array, shape (n,): which of ``galaxy_ids`` belong to ``split``."""
    return np.fromiter((split_of(str(galaxy_id)) == split for galaxy_id in galaxy_ids), dtype=bool)
