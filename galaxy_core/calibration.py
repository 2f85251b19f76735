"""Whether intervals hold as many errors as they say: coverage, quantiles that repair it, and the curve for a figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

CURVE_SIGMAS = np.linspace(0.1, 3.0, 30)  # half widths at which the curve is drawn, in standard deviations


@dataclass(frozen=True)
class Curve:
    """How often errors are within so many standard deviations: as they should be (Gaussian), and as they are.

    Attributes
    ----------
    n_sigma, expected, observed : ndarray of float64, shape (n_points,)
        Half width of the interval in standard deviations, and the share of pixels in it.
    n_pixels : int
    """

    n_sigma: np.ndarray
    expected: np.ndarray
    observed: np.ndarray
    n_pixels: int


def coverage(error: np.ndarray, std: np.ndarray, n_sigma: float = 1.0, where: np.ndarray | None = None) -> float:
    """Share of pixels whose true value is within ``n_sigma`` standard deviations of the denoised one.

    Parameters
    ----------
    error : ndarray, any shape
        Denoised minus true.
    std : ndarray, same shape
    n_sigma : float
    where : ndarray of bool, optional
        Which pixels count; broadcast over bands.

    Returns
    -------
    float
        In [0, 1]; NaN without a pixel where both are finite.
    """
    ratio = error_ratio(error, std, where)
    return float(np.mean(ratio <= n_sigma)) if ratio.size else float("nan")


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


def reliability(
    error: np.ndarray, std: np.ndarray, where: np.ndarray | None = None, n_sigma: np.ndarray = CURVE_SIGMAS
) -> Curve:
    """The curve of observed against expected coverage; parameters as in `coverage`."""
    ratio = np.sort(error_ratio(error, std, where))
    n_sigma = np.asarray(n_sigma, dtype=np.float64)
    inside = np.searchsorted(ratio, n_sigma, side="right")
    observed = inside / ratio.size if ratio.size else np.full(n_sigma.shape, np.nan)
    return Curve(n_sigma, erf(n_sigma / np.sqrt(2)), observed, ratio.size)


def error_ratio(error: np.ndarray, std: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Absolute errors over standard deviations, float64 (n,), where both are finite; no error is 0 whatever its std."""
    error, std = np.broadcast_arrays(np.abs(np.asarray(error, dtype=np.float64)), np.asarray(std, dtype=np.float64))
    usable = np.isfinite(error) & np.isfinite(std) & (std >= 0)
    if where is not None:
        usable = usable & np.broadcast_to(where, error.shape)
    error, std = error[usable], std[usable]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0, 0.0, error / std)
