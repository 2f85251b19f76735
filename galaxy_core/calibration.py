"""A factor by which intervals hold as many errors as they say."""

from __future__ import annotations

import numpy as np


def interval_factor(ratio: np.ndarray, share: float) -> float:
    """Half width, in standard deviations, of the interval that holds a share of the errors.

    The ``ceil((n + 1) share)``-th smallest of n ratios, as split conformal prediction takes it, which holds at least
    that share of new pixels if they are drawn as these were [1]_.

    Parameters
    ----------
    ratio : ndarray, shape (n,)
        Absolute errors over standard deviations, of galaxies nothing was learned from.
    share : float
        In (0, 1).

    References
    ----------
    .. [1] A. N. Angelopoulos et al., "Image-to-image regression with distribution-free uncertainty quantification",
       ICML (2022), section 2.
    """
    values = np.asarray(ratio).ravel()
    if values.size == 0:
        raise ValueError("An interval cannot be set without a pixel.")
    rank = min(int(np.ceil((values.size + 1) * share)), values.size)
    return float(np.partition(values, rank - 1)[rank - 1])
