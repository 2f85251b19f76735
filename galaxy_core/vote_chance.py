"""What errors a model that is right would show by chance: few galaxies, few volunteers each.

An expected calibration error is a mean of absolute differences, so it is above zero even where the prediction is the
truth, and the more so the fewer galaxies were asked a question (Bröcker & Smith 2007, Weather and Forecasting 22, 651,
draw "consistency bars" on reliability curves for the same reason). So is the error of every fraction: other volunteers
would have voted otherwise, and the fewer were asked, the more so.
"""

from __future__ import annotations

import numpy as np

from galaxy_core.vote_intervals import measure_reliability
from galaxy_core.vote_tree import ORDER, PARENT, QUESTION_KEYS, QUESTION_OF, SLICES, question_sums

N_DRAWS = 200


def chance_errors(
    concentrations: np.ndarray, conditional: np.ndarray, counts: np.ndarray, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Expected calibration error by question if every galaxy's votes were drawn from what was predicted of it.

    Shares are drawn from the predicted Dirichlet distribution of each galaxy, and as many votes as it got from those.

    Parameters
    ----------
    concentrations : ndarray, shape (n, 37)
    conditional : ndarray, shape (n, 37)
        Observed fractions; a question is drawn for the galaxies where its fractions are known.
    counts : ndarray, shape (n, 37)
        Votes, which add up to how many were asked. Where nobody was, the share itself is taken for the fraction.
    seed : int

    Returns
    -------
    dict
        By question: the mean over `N_DRAWS` draws, and what one in twenty draws exceeds. NaN where nothing is known.
    """
    alpha = np.asarray(concentrations, dtype=np.float64)
    generator = np.random.default_rng([seed, 11])
    errors = {}
    for key, part in zip(QUESTION_KEYS, SLICES, strict=True):
        rows = np.isfinite(conditional[:, part]).all(axis=1)
        if not rows.any():
            errors[key] = float("nan"), float("nan")
            continue
        own, asked = alpha[rows, part], np.rint(counts[rows, part].sum(axis=1)).astype(np.int64)
        expected = own / own.sum(axis=1, keepdims=True)
        drawn = [
            measure_reliability(expected, _fractions(own, asked, generator)).expected_calibration_error
            for _ in range(N_DRAWS)
        ]
        errors[key] = float(np.mean(drawn)), float(np.percentile(drawn, 95))
    return errors


def chance_error_of_classes(confidence: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The same of classes: expected calibration error if every galaxy were of its likeliest class as often as is said.

    Parameters
    ----------
    confidence : ndarray, shape (n,)
        Probability of the likeliest class of each galaxy.
    seed : int

    Returns
    -------
    tuple of float
        Mean over `N_DRAWS` draws, and what one in twenty draws exceeds.
    """
    generator, confidence = np.random.default_rng([seed, 12]), np.asarray(confidence, dtype=np.float64)
    drawn = [
        measure_reliability(confidence, (generator.random(len(confidence)) < confidence).astype(float))
        for _ in range(N_DRAWS)
    ]
    errors = [reliability.expected_calibration_error for reliability in drawn]
    return float(np.mean(errors)), float(np.percentile(errors, 95))


def noise_variance(concentrations: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Variance of observed fractions around a galaxy's true shares: other volunteers would have voted otherwise.

    A fraction among n who were asked has the variance s (1 - s) / n about the share s. That is not known; its mean over
    a Dirichlet distribution with concentrations a_i and sum A is m (1 - m) A / (A + 1), with m = a_i / A.

    Parameters
    ----------
    concentrations : ndarray, shape (n, 37)
        What is predicted of the shares.
    counts : ndarray, shape (n, 37)
        Votes, which add up to how many were asked; where weights make that less than one volunteer, it counts as 1.

    Returns
    -------
    ndarray of float64, shape (n, 37)
        NaN where nobody was asked.
    """
    alpha = np.asarray(concentrations, dtype=np.float64)
    strength = question_sums(alpha)[..., QUESTION_OF]
    asked = question_sums(np.asarray(counts, dtype=np.float64))[..., QUESTION_OF]
    mean = alpha / strength
    spread = mean * (1 - mean) * strength / (strength + 1)
    return np.where(asked > 0, spread / np.maximum(asked, 1), np.nan)


def scatter_ratio(concentrations: np.ndarray, counts: np.ndarray) -> float:
    """Variance that votes show by themselves, as a multiple of `noise_variance`, where two or more were asked.

    The fractions f of n votes tell the variance of their mean without any model: f (1 - f) / (n - 1) is unbiased. Sums
    over all galaxies and answers are compared. NaN where nobody knows.
    """
    votes = np.asarray(counts, dtype=np.float64)
    asked = question_sums(votes)[..., QUESTION_OF]
    several = asked >= 2
    fractions, n = votes[several] / asked[several], asked[several]
    predicted = noise_variance(concentrations, counts)[several].sum()
    return float((fractions * (1 - fractions) / (n - 1)).sum() / predicted) if predicted > 0 else float("nan")


def draw_votes(
    concentrations: np.ndarray,
    volunteers: np.ndarray | None,
    generator: np.random.Generator,
    asked: np.ndarray | None = None,
) -> np.ndarray:
    """Votes that volunteers would cast if what was predicted of each galaxy is right.

    Parameters
    ----------
    concentrations : ndarray, shape (n, 37)
        Of the Dirichlet distribution of each question; shares are drawn from it, and votes from those.
    volunteers : ndarray of int64, shape (n,), or None
        How many look at each galaxy: all of them answer what is asked of everybody, and as many go on to a question as
        gave the answer that leads to it.
    asked : ndarray of int64, shape (n, 11), optional
        How many answer each question, instead.

    Returns
    -------
    ndarray of int64, shape (n, 37)
    """
    alpha = np.asarray(concentrations, dtype=np.float64)
    votes = np.zeros(alpha.shape, dtype=np.int64)
    for q in ORDER:
        above = volunteers if PARENT[q] < 0 else votes[:, PARENT[q]]
        votes[:, SLICES[q]] = _draw(alpha[:, SLICES[q]], above if asked is None else asked[:, q], generator)[1]
    return votes


def _fractions(alpha: np.ndarray, asked: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Fractions that as many volunteers as were asked would give, float64 of the shape of ``alpha``."""
    shares, votes = _draw(alpha, asked, generator)
    return np.where(asked[:, None] > 0, votes / np.maximum(asked, 1)[:, None], shares)


def _draw(alpha: np.ndarray, asked: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the answers to a question, float64, and votes, int64, both of the shape of ``alpha``."""
    shares = generator.standard_gamma(np.maximum(alpha, 1e-6)) + 1e-300
    shares /= shares.sum(axis=1, keepdims=True)
    return shares, generator.multinomial(asked, shares)
