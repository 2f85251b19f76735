"""Intervals of vote fractions from Dirichlet concentrations, and how well they and the fractions keep their word.

The share of an answer is Beta distributed, ``Beta(alpha, A - alpha)`` with A the sum over its question. Multiplied down
the tree it is a product of independent ones; the Beta with the mean and the variance of that product stands for it.
Since some forty volunteers look at a galaxy, an outer bound within half a vote of 0 or 1 is 0 or 1, and no interval is
narrower there than half a vote: shares of exactly 0 are common, and no continuous distribution would ever hold them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, betaln

from galaxy_core.vote_labels import N_VOLUNTEERS
from galaxy_core.vote_tree import ORDER, PARENT, QUESTION_OF, SLICES, question_sums

COVERAGE = 0.9
HALF_VOTE = 0.5 / N_VOLUNTEERS
FACTOR_RANGE = 30.0
N_BINS = 10
LEAST_ASKED = 10  # volunteers; the share of fewer says little about how wide an interval should be


@dataclass(frozen=True)
class Shares:
    """Expected vote fractions in one form, and the interval of each; float64 (n, 37)."""

    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Reliability:
    """Mean observed against mean expected fraction in bins of the expected one.

    Attributes
    ----------
    expected, observed : ndarray of float64, shape (n_bins,)
        NaN in a bin without a value.
    n_values : ndarray of int64, shape (n_bins,)
    expected_calibration_error : float
        Mean of the absolute difference, bins weighted by their number of values (Guo et al. 2017, eq. 3); NaN if empty.
    """

    expected: np.ndarray
    observed: np.ndarray
    n_values: np.ndarray
    expected_calibration_error: float


def conditional_intervals(concentrations: np.ndarray, coverage: float = COVERAGE) -> Shares:
    """Shares of those asked, with central intervals, of concentrations (n, 37)."""
    alpha = np.asarray(concentrations, dtype=np.float64)
    strength = question_sums(alpha)[..., QUESTION_OF]
    return _beta_shares(alpha, strength - alpha, coverage)


def cumulative_intervals(concentrations: np.ndarray, coverage: float = COVERAGE) -> Shares:
    """Shares of all volunteers, with central intervals, of concentrations (n, 37)."""
    mean, variance = cumulative_moments(concentrations)
    return _beta_shares(*_beta_of(mean, variance), coverage, mean)


def cumulative_moments(concentrations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance, float64 (n, 37), of shares multiplied down the tree."""
    alpha = np.asarray(concentrations, dtype=np.float64)
    strength = question_sums(alpha)[..., QUESTION_OF]
    mean = alpha / strength
    second = mean * (1 + alpha) / (1 + strength)  # of the share itself: E[x^2]
    for q in ORDER:
        if PARENT[q] >= 0:
            mean[..., SLICES[q]] *= mean[..., PARENT[q], None]
            second[..., SLICES[q]] *= second[..., PARENT[q], None]
    return mean, np.maximum(second - mean**2, 0)


def answered_share(
    concentrations: np.ndarray, n_volunteers: int = N_VOLUNTEERS, as_cast: np.ndarray | None = None
) -> np.ndarray:
    """Expected value, float64 (n, 37), of conditional fractions in releases that state 0 where nobody was asked.

    Galaxy Zoo 2 does: the share among those asked times the chance that at least one of ``n_volunteers`` was.

    Parameters
    ----------
    as_cast : ndarray, shape (n, 37), optional
        Concentrations of the votes as they were cast, where ``concentrations`` are of debiased ones. Debiasing moves
        shares, not people: the table of Hart et al. 2016 [1]_ states 0 where nobody was asked as the votes were cast.

    References
    ----------
    .. [1] R. E. Hart et al., "Galaxy Zoo: comparing the demographics of spiral arm number and a new method for
       correcting redshift bias", MNRAS 461, 3663 (2016).
    """
    alpha, beta = _beta_of(*cumulative_moments(concentrations if as_cast is None else as_cast))
    nobody = np.exp(betaln(alpha, beta + n_volunteers) - betaln(alpha, beta))  # E[(1 - share)^n]
    chance = np.where(PARENT < 0, 1.0, 1 - nobody[..., np.maximum(PARENT, 0)])
    strength = question_sums(np.asarray(concentrations, dtype=np.float64))
    return concentrations / strength[..., QUESTION_OF] * chance[..., QUESTION_OF]


def _beta_of(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parameters of the Beta distribution with these moments."""
    mean = np.clip(mean, 1e-9, 1 - 1e-9)
    total = np.maximum(mean * (1 - mean) / np.maximum(variance, 1e-15) - 1, 1e-3)
    return mean * total, (1 - mean) * total


def _beta_shares(alpha, beta, coverage: float, expected: np.ndarray | None = None) -> Shares:
    tail = (1 - coverage) / 2
    low, high = betaincinv(alpha, beta, tail), betaincinv(alpha, beta, 1 - tail)
    low = np.where(low < HALF_VOTE, 0.0, np.minimum(low, 1 - HALF_VOTE))
    high = np.where(high > 1 - HALF_VOTE, 1.0, np.maximum(high, HALF_VOTE))
    expected = alpha / (alpha + beta) if expected is None else expected
    # the mean of a very skewed distribution lies beyond its central interval
    return Shares(expected, np.minimum(low, expected), np.maximum(high, expected))


def held_share(shares: Shares, observed: np.ndarray) -> float:
    """Share of the known observed fractions that lie within their intervals; NaN without one."""
    known = np.isfinite(observed)
    inside = (observed >= shares.low - 1e-9) & (observed <= shares.high + 1e-9)
    return float(inside[known].mean()) if known.any() else float("nan")


def asked_enough(conditional: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Conditional fractions, NaN where fewer than `LEAST_ASKED` volunteers were asked."""
    return np.where(question_sums(counts)[:, QUESTION_OF] >= LEAST_ASKED, conditional, np.nan)


def fit_strength_factors(
    concentrations: np.ndarray, conditional: np.ndarray, coverage: float = COVERAGE, borrowed: float = 10.0
) -> np.ndarray:
    """What to multiply each question's strength by, so that intervals hold ``coverage`` of the observed fractions.

    Found by bisection on the logarithm of the factor, within a factor of `FACTOR_RANGE` either way. Questions of which
    few galaxies tell are drawn towards the others: the logarithm is a mean, weighted by the number of galaxies, with
    that of the factor that suits all questions together.

    Parameters
    ----------
    concentrations : ndarray, shape (n, 37)
        For galaxies nothing was learned from.
    conditional : ndarray, shape (n, 37)
        Observed fractions; NaN where not known or hardly anybody was asked.
    borrowed : float
        How many galaxies the factor of all questions counts as.

    Returns
    -------
    ndarray of float64, shape (11,)
    """
    alpha = np.asarray(concentrations, dtype=np.float64)
    beta = question_sums(alpha)[:, QUESTION_OF] - alpha
    known = np.isfinite(conditional)
    if not known.any():
        return np.ones(len(SLICES))
    whole = _log_factor(alpha[known], beta[known], conditional[known], coverage)
    factors = np.full(len(SLICES), whole)
    for q, part in enumerate(SLICES):
        rows = known[:, part].all(axis=1)
        if rows.any():
            own = _log_factor(alpha[rows, part], beta[rows, part], conditional[rows, part], coverage)
            factors[q] = (rows.sum() * own + borrowed * whole) / (rows.sum() + borrowed)
    return np.exp(factors)


def _log_factor(alpha: np.ndarray, beta: np.ndarray, observed: np.ndarray, coverage: float) -> float:
    low, high = -np.log(FACTOR_RANGE), np.log(FACTOR_RANGE)
    for _ in range(14):  # to half a percent
        middle = (low + high) / 2
        held = held_share(_beta_shares(alpha * np.exp(middle), beta * np.exp(middle), coverage), observed)
        low, high = (middle, high) if held > coverage else (low, middle)
    return (low + high) / 2


def measure_reliability(expected: np.ndarray, observed: np.ndarray, n_bins: int = N_BINS) -> Reliability:
    """The reliability curve of fractions of any shape, in ``n_bins`` equal bins; what is NaN is left out."""
    known = np.isfinite(expected) & np.isfinite(observed)
    expected, observed = expected[known].astype(np.float64), observed[known].astype(np.float64)
    bins = np.clip((expected * n_bins).astype(int), 0, n_bins - 1)
    n_values = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [np.bincount(bins, weights=values, minlength=n_bins) / n_values for values in (expected, observed)]
    gaps = np.abs(means[0] - means[1])[n_values > 0]
    error = float(np.average(gaps, weights=n_values[n_values > 0])) if gaps.size else float("nan")
    return Reliability(means[0], means[1], n_values, error)
