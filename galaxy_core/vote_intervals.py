"""What volunteers would answer, as intervals from Dirichlet concentrations; and how well these keep their word.

A question's shares are Dirichlet distributed, and the votes of the n volunteers who are asked are drawn from them: the
fraction who give an answer has the mean m of its share and, for a strength A, the sum of the question's concentrations,
the variance m (1 - m) (A + n) / (n (A + 1)) of the Dirichlet-multinomial (Mosimann 1962, Biometrika 49, 65). The Beta
distribution with that mean and variance stands for it. Few are asked what lies far down the tree, so little can be said
of what they answer, however well the share is known; of a single one, only that it is 0 or 1.

Multiplied down the tree a share is a product of independent ones, and all `N_VOLUNTEERS` are asked: the Beta with the
mean and the variance of that product takes the place of the first. Since a vote is a vote, an outer bound within half a
vote of 0 or 1 is 0 or 1, and no interval is narrower there than half a vote: fractions of exactly 0 are common, and no
continuous distribution would ever hold them.
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
LEAST_ASKED = 10  # volunteers; the answers of fewer say little about how well a share is known
LEAST_STRENGTH = 1e-3  # below it a Beta distribution is all but 0 or 1


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
    expected, observed : ndarray of float64, shape (N_BINS,)
        NaN in a bin without a value.
    n_values : ndarray of int64, shape (N_BINS,)
    expected_calibration_error : float
        Mean of the absolute difference, bins weighted by their number of values (Guo et al. 2017, eq. 3); NaN if empty.
    """

    expected: np.ndarray
    observed: np.ndarray
    n_values: np.ndarray
    expected_calibration_error: float


def conditional_intervals(concentrations: np.ndarray, asked: np.ndarray) -> Shares:
    """Fractions of those asked, with the central 90 % intervals (`COVERAGE`) of what they would say.

    Parameters
    ----------
    concentrations : ndarray, shape (n, 37)
    asked : ndarray, shape (n, 11)
        How many are asked each question; see `expected_asked`.
    """
    alpha = np.asarray(concentrations, dtype=np.float64)
    strength = question_sums(alpha)[..., QUESTION_OF]
    return _voted(alpha / strength, strength, asked[..., QUESTION_OF])


def cumulative_intervals(concentrations: np.ndarray) -> Shares:
    """Fractions of all `N_VOLUNTEERS`, with the 90 % intervals of what they would say, of concentrations (n, 37)."""
    mean, variance = cumulative_moments(concentrations)
    return _voted(mean, _strength_of(mean, variance), N_VOLUNTEERS)


def expected_asked(concentrations: np.ndarray) -> np.ndarray:
    """How many of `N_VOLUNTEERS` would be asked each question, float64 (n, 11), of concentrations as cast."""
    mean, _ = cumulative_moments(concentrations)
    return N_VOLUNTEERS * np.where(PARENT >= 0, mean[..., np.maximum(PARENT, 0)], 1.0)


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


def answered_share(concentrations: np.ndarray, as_cast: np.ndarray | None = None) -> np.ndarray:
    """Expected value, float64 (n, 37), of conditional fractions in releases that state 0 where nobody was asked.

    Galaxy Zoo 2 does: the share among those asked times the chance that at least one of `N_VOLUNTEERS` was.

    Parameters
    ----------
    concentrations : ndarray, shape (n, 37)
    as_cast : ndarray, shape (n, 37), optional
        Concentrations of the votes as they were cast, where ``concentrations`` are of debiased ones. Debiasing moves
        shares, not people: the table of Hart et al. 2016 [1]_ states 0 where nobody was asked as the votes were cast.

    References
    ----------
    .. [1] R. E. Hart et al., "Galaxy Zoo: comparing the demographics of spiral arm number and a new method for
       correcting redshift bias", MNRAS 461, 3663 (2016).
    """
    mean, variance = cumulative_moments(concentrations if as_cast is None else as_cast)
    total, mean = _strength_of(mean, variance), np.clip(mean, 1e-9, 1 - 1e-9)
    alpha, beta = mean * total, (1 - mean) * total
    nobody = np.exp(betaln(alpha, beta + N_VOLUNTEERS) - betaln(alpha, beta))  # E[(1 - share)^n]
    chance = np.where(PARENT < 0, 1.0, 1 - nobody[..., np.maximum(PARENT, 0)])
    strength = question_sums(np.asarray(concentrations, dtype=np.float64))
    return concentrations / strength[..., QUESTION_OF] * chance[..., QUESTION_OF]


def _strength_of(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Sum of the parameters of the Beta distribution with these moments."""
    return np.maximum(mean * (1 - mean) / np.maximum(variance, 1e-15) - 1, LEAST_STRENGTH)


def _voted(mean: np.ndarray, strength: np.ndarray, asked: np.ndarray | float) -> Shares:
    """90 % intervals of the fractions that ``asked`` volunteers would give, of shares with this mean and strength."""
    asked = np.maximum(asked, 1)
    # as wide as what is drawn: m (1 - m) / (S + 1) = m (1 - m) (A + n) / (n (A + 1))
    of_votes = np.maximum(strength * (asked - 1) / (asked + strength), LEAST_STRENGTH)
    inside, tail = np.clip(mean, 1e-9, 1 - 1e-9), (1 - COVERAGE) / 2
    low, high = (betaincinv(inside * of_votes, (1 - inside) * of_votes, edge) for edge in (tail, 1 - tail))
    low = np.where(low < HALF_VOTE, 0.0, np.minimum(low, 1 - HALF_VOTE))
    high = np.where(high > 1 - HALF_VOTE, 1.0, np.maximum(high, HALF_VOTE))
    # the mean of a very skewed distribution lies beyond its central interval
    return Shares(mean, np.minimum(low, mean), np.maximum(high, mean))


def held_share(shares: Shares, observed: np.ndarray) -> float:
    """Share of the known observed fractions that lie within their intervals; NaN without one."""
    known = np.isfinite(observed)
    inside = (observed >= shares.low - 1e-9) & (observed <= shares.high + 1e-9)
    return float(inside[known].mean()) if known.any() else float("nan")


def asked_enough(conditional: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Conditional fractions, NaN where fewer than `LEAST_ASKED` volunteers were asked."""
    return np.where(question_sums(counts)[:, QUESTION_OF] >= LEAST_ASKED, conditional, np.nan)


def fit_strength_factors(
    concentrations: np.ndarray, asked: np.ndarray, conditional: np.ndarray, borrowed: float = 10.0
) -> np.ndarray:
    """What to multiply each question's strength by, so that intervals hold `COVERAGE` of the observed fractions.

    Never above 1: galaxies that a training was stopped by flatter it, so they may make intervals wider, not narrower.
    Found by bisection on the logarithm of the factor, down to 1 / `FACTOR_RANGE`. Questions of which few galaxies tell
    are drawn towards the others: the logarithm is a mean, weighted by the number of galaxies, with that of the factor
    that suits all questions together.

    Parameters
    ----------
    concentrations : ndarray, shape (n, 37)
        For galaxies nothing was learned from.
    asked : ndarray, shape (n, 11)
        How many are asked each question; see `expected_asked`.
    conditional : ndarray, shape (n, 37)
        Observed fractions; NaN where not known or hardly anybody was asked.
    borrowed : float
        How many galaxies the factor of all questions counts as.

    Returns
    -------
    ndarray of float64, shape (11,)
    """
    alpha = np.asarray(concentrations, dtype=np.float64)
    strength = question_sums(alpha)[:, QUESTION_OF]
    mean, asked, known = alpha / strength, asked[:, QUESTION_OF], np.isfinite(conditional)
    if not known.any():
        return np.ones(len(SLICES))
    whole = _log_factor(mean[known], strength[known], asked[known], conditional[known])
    factors = np.full(len(SLICES), whole)
    for q, part in enumerate(SLICES):
        rows = known[:, part].all(axis=1)
        if rows.any():
            own = _log_factor(*(x[rows, part] for x in (mean, strength, asked, conditional)))
            factors[q] = (rows.sum() * own + borrowed * whole) / (rows.sum() + borrowed)
    return np.exp(factors)


def _log_factor(mean: np.ndarray, strength: np.ndarray, asked: np.ndarray, observed: np.ndarray) -> float:
    def holds(log_factor: float) -> bool:
        return held_share(_voted(mean, strength * np.exp(log_factor), asked), observed) >= COVERAGE

    low, high = -np.log(FACTOR_RANGE), 0.0
    if holds(high):
        return high
    for _ in range(13):  # to half a percent
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return (low + high) / 2


def measure_reliability(expected: np.ndarray, observed: np.ndarray) -> Reliability:
    """The reliability curve of fractions of any shape, in `N_BINS` equal bins of [0, 1]; what is NaN is left out."""
    known = np.isfinite(expected) & np.isfinite(observed)
    expected, observed = expected[known].astype(np.float64), observed[known].astype(np.float64)
    bins = np.clip((expected * N_BINS).astype(int), 0, N_BINS - 1)
    n_values = np.bincount(bins, minlength=N_BINS)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [np.bincount(bins, weights=values, minlength=N_BINS) / n_values for values in (expected, observed)]
    gaps = np.abs(means[0] - means[1])[n_values > 0]
    error = float(np.average(gaps, weights=n_values[n_values > 0])) if gaps.size else float("nan")
    return Reliability(means[0], means[1], n_values, error)
