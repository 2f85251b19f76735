"""Intervals of vote fractions against draws, their calibration, and reliability curves."""

import numpy as np
import pytest

from galaxy_core.vote_intervals import (
    FACTOR_RANGE,
    HALF_VOTE,
    Shares,
    answered_share,
    asked_enough,
    conditional_intervals,
    cumulative_intervals,
    cumulative_moments,
    fit_strength_factors,
    held_share,
    measure_reliability,
)
from galaxy_core.vote_tree import PARENT, QUESTION_OF, SLICES, to_cumulative


def draw(alpha: np.ndarray, rng) -> np.ndarray:
    """One draw of conditional fractions for each row of concentrations."""
    gammas = rng.gamma(alpha)
    return np.concatenate([gammas[:, s] / gammas[:, s].sum(axis=1, keepdims=True) for s in SLICES], axis=1)


@pytest.fixture(scope="module")
def alpha():
    return np.random.default_rng(1).gamma(2, 4, (1, 37)) + 0.3


def test_moments_down_the_tree_are_those_of_draws(alpha):
    rng = np.random.default_rng(0)
    draws = to_cumulative(draw(np.repeat(alpha, 60_000, axis=0), rng))
    mean, variance = cumulative_moments(alpha)
    np.testing.assert_allclose(mean[0], draws.mean(axis=0), atol=3e-3)
    np.testing.assert_allclose(np.sqrt(variance[0]), draws.std(axis=0), rtol=0.05, atol=1e-3)


@pytest.mark.parametrize("intervals", [conditional_intervals, cumulative_intervals])
def test_intervals_hold_nine_of_ten_draws(alpha, intervals):
    rng = np.random.default_rng(0)
    many = np.repeat(alpha, 8000, axis=0)
    draws = draw(many, rng)
    draws = to_cumulative(draws) if intervals is cumulative_intervals else draws
    shares = intervals(many)
    inside = ((draws >= shares.low) & (draws <= shares.high)).mean(axis=0)
    assert inside.min() > 0.87 and inside.mean() == pytest.approx(0.92, abs=0.03)  # bounds near 0 are set to 0
    assert (shares.low <= shares.high).all() and shares.low.min() >= 0 and shares.high.max() <= 1


def test_what_nobody_says_has_zero_in_its_interval():
    alpha = np.full((1, 37), 1e-3)
    for part in SLICES:
        alpha[0, part.start] = 50.0
    shares = conditional_intervals(alpha)
    first = np.isin(np.arange(37), [part.start for part in SLICES])
    assert (shares.low[0, ~first] == 0).all() and (shares.high[0, ~first] <= HALF_VOTE).all()
    assert (shares.high[0, first] == 1).all()


@pytest.mark.parametrize("intervals", [conditional_intervals, cumulative_intervals])
def test_an_interval_holds_what_is_expected_and_the_answers_yes_and_no_are_alike(intervals):
    """Of a very skewed distribution the mean lies beyond the central interval; what one gains the other loses."""
    alpha = np.ones((4, 37))
    bar = SLICES[2]
    alpha[:, bar] = [(0.02, 1.2), (1.2, 0.02), (0.001, 40), (40, 0.001)]
    shares = intervals(alpha)
    assert (shares.low <= shares.expected).all() and (shares.expected <= shares.high).all()
    if intervals is conditional_intervals:
        np.testing.assert_allclose(shares.low[:, bar.start], 1 - shares.high[:, bar.start + 1], atol=1e-12)
        np.testing.assert_allclose(shares.high[:, bar.start], 1 - shares.low[:, bar.start + 1], atol=1e-12)
        assert shares.low[3, bar.start] == 1 - HALF_VOTE and shares.high[3, bar.start] == 1


def test_factors_repair_strengths_that_are_wrong():
    rng = np.random.default_rng(0)
    truth = rng.gamma(3, 3, (400, 37)) + 0.5
    observed = draw(truth, rng)
    for wrong in (4.0, 0.25):
        factors = fit_strength_factors(truth * wrong, observed)
        held = held_share(conditional_intervals(truth * wrong * factors[QUESTION_OF]), observed)
        assert held == pytest.approx(0.9, abs=0.015)
        np.testing.assert_allclose(factors * wrong, 1, atol=0.5)
    assert held_share(conditional_intervals(truth * 4), observed) < 0.7


def test_questions_with_few_galaxies_borrow_a_factor():
    rng = np.random.default_rng(0)
    truth = rng.gamma(3, 3, (200, 37)) + 0.5
    observed = draw(truth, rng)
    observed[5:, SLICES[10]] = np.nan
    observed[:5, SLICES[10]] = 0  # as if it were hopeless
    observed[:, SLICES[9]] = np.nan
    factors = fit_strength_factors(truth, observed)
    assert 1 / FACTOR_RANGE < factors[10] < 0.8 and factors[:9].min() > 0.8
    assert factors[9] == pytest.approx(fit_strength_factors(truth, observed, borrowed=1e9)[0], rel=1e-3)
    np.testing.assert_array_equal(fit_strength_factors(truth, np.full_like(observed, np.nan)), 1)
    certain = fit_strength_factors(truth, np.where(np.isfinite(observed), truth * 0 + 2.0, np.nan))  # never held
    assert certain.min() >= 0.99 / FACTOR_RANGE


def test_answers_that_nobody_gives_are_expected_as_zero():
    alpha = np.full((1, 37), 5.0)
    alpha[0, 1] = 1e-6  # nobody sees features, so nobody is asked about the disk
    expected = answered_share(alpha)[0]
    below = np.isin(QUESTION_OF, [1, 2, 3, 4, 8, 9, 10])
    assert expected[below].max() < 1e-3
    np.testing.assert_allclose(expected[SLICES[6]], 1 / 3, atol=0.01)
    rng = np.random.default_rng(0)
    alpha[0, 0:3] = (38.0, 2.0, 0.1)
    shares = draw(np.repeat(alpha, 20_000, axis=0), rng)
    asked = rng.binomial(40, shares[:, 1])
    np.testing.assert_allclose(answered_share(alpha)[0, 3], 0.5 * (asked > 0).mean(), atol=0.01)
    assert (PARENT[[0, 5]] == -1).all()


def test_who_is_asked_of_debiased_votes_follows_from_the_votes_as_cast():
    debiased, cast = np.full((1, 37), 5.0), np.full((1, 37), 5.0)
    debiased[0, :3] = (1e-6, 40.0, 1e-6)  # no share says smooth once distance is allowed for
    cast[0, :3] = (38.0, 2.0, 1e-6)  # but most volunteers did, and were asked how round
    assert answered_share(debiased)[0, SLICES[6]].max() < 1e-3
    np.testing.assert_allclose(answered_share(debiased, as_cast=cast)[0, SLICES[6]], 1 / 3, atol=0.01)
    np.testing.assert_allclose(answered_share(debiased, as_cast=cast)[0, :3], debiased[0, :3] / debiased[0, :3].sum())
    assert answered_share(debiased, as_cast=cast)[0, 3] < answered_share(debiased)[0, 3], "few saw a disk to ask about"
    np.testing.assert_array_equal(answered_share(cast, as_cast=cast), answered_share(cast))


def test_held_share_leaves_out_what_is_not_known():
    shares = Shares(*(np.full((1, 2), value) for value in (0.5, 0.4, 0.6)))
    assert held_share(shares, np.array([[0.5, np.nan]])) == 1
    assert np.isnan(held_share(shares, np.full((1, 2), np.nan)))


def test_asked_enough_counts_people():
    counts = np.zeros((1, 37))
    counts[0, :3] = (5, 4, 1)
    counts[0, 3:5] = (4, 5)
    kept = asked_enough(np.full((1, 37), 0.5), counts)
    assert np.isfinite(kept[0, :3]).all() and np.isnan(kept[0, 3:]).all()


def test_reliability_by_hand():
    curve = measure_reliability(np.array([0.05, 0.05, 0.95, 1.0, np.nan]), np.array([0.0, 0.2, 0.8, 1.0, 0.3]))
    assert curve.n_values.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert curve.expected[[0, 9]] == pytest.approx([0.05, 0.975]) and curve.observed[[0, 9]] == pytest.approx(
        [0.1, 0.9]
    )
    assert curve.expected_calibration_error == pytest.approx((0.05 + 0.075) / 2)
    assert np.isnan(measure_reliability(np.array([np.nan]), np.array([0.5])).expected_calibration_error)
    perfect = np.random.default_rng(0).random(500)
    assert measure_reliability(perfect, perfect).expected_calibration_error == pytest.approx(0, abs=1e-12)
