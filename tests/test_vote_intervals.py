"""Intervals of vote fractions against draws, their calibration, and reliability curves."""

import numpy as np
import pytest
from scipy.stats import beta as beta_distribution

from galaxy_core.vote_intervals import (
    FACTOR_RANGE,
    HALF_VOTE,
    Shares,
    answered_share,
    asked_enough,
    conditional_intervals,
    cumulative_intervals,
    cumulative_moments,
    expected_asked,
    fit_strength_factors,
    held_share,
    measure_reliability,
)
from galaxy_core.vote_tree import (
    ORDER,
    PARENT,
    QUESTION_KEYS,
    QUESTION_OF,
    SLICES,
    question_sums,
    to_cumulative,
)


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


def vote(shares: np.ndarray, asked: np.ndarray, rng) -> np.ndarray:
    """Conditional fractions of as many votes as were ``asked``, (n, 11), for shares (n, 37); NaN where nobody was."""
    parts = []
    for q, part in enumerate(SLICES):
        n, p = asked[:, q], shares[:, part]
        with np.errstate(invalid="ignore"):
            parts.append(rng.multinomial(n, p / p.sum(axis=1, keepdims=True)) / n[:, None])
    return np.concatenate(parts, axis=1)


def vote_down_the_tree(shares: np.ndarray, n_volunteers: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Votes of volunteers who are led from question to question: fractions of those asked, and of all."""
    n, counts = len(shares), np.zeros(shares.shape)
    for q in ORDER:
        asked = np.full(n, n_volunteers) if PARENT[q] < 0 else counts[:, PARENT[q]].astype(int)
        p = shares[:, SLICES[q]]
        counts[:, SLICES[q]] = rng.multinomial(asked, p / p.sum(axis=1, keepdims=True))
    sums = np.stack([counts[:, part].sum(axis=1) for part in SLICES], axis=1)[:, QUESTION_OF]
    with np.errstate(invalid="ignore"):
        return counts / sums, counts / n_volunteers


@pytest.mark.parametrize("strength", [0.2, 1.0, 10.0])
def test_intervals_hold_nine_of_ten_answers_of_forty_volunteers(strength):
    """Whether shares are well known or hardly, and however few of the forty are asked."""
    rng = np.random.default_rng(0)
    many = (rng.gamma(2, 4, (4000, 37)) + 0.3) * strength
    of_asked, of_all = vote_down_the_tree(draw(many, rng), 40, rng)
    asked = expected_asked(many)
    shares = conditional_intervals(many, asked)
    assert 0.88 < held_share(shares, of_asked) < 0.96, "discrete, so at least as many as are to be held"
    few = np.where(asked[:, QUESTION_OF] < 10, of_asked, np.nan)
    assert 0.87 < held_share(shares, few) < 0.97
    whole = cumulative_intervals(many)
    assert 0.88 < held_share(whole, of_all) < 0.97
    for some in (shares, whole):
        assert (some.low <= some.high).all() and some.low.min() >= 0 and some.high.max() <= 1
    without = conditional_intervals(many, np.full_like(asked, 1e9))  # of shares, not of votes
    assert held_share(without, few) < 0.85


def test_intervals_are_as_wide_as_votes_scatter():
    rng = np.random.default_rng(0)
    alpha = np.repeat(rng.gamma(2, 4, (1, 37)) + 2, 40_000, axis=0)
    for n in (2, 7, 40):
        asked = np.full((len(alpha), 11), n)
        votes = vote(draw(alpha, rng), asked, rng)
        strength = question_sums(alpha[:1])[:, QUESTION_OF]
        mean = alpha[:1] / strength
        naive = mean * (1 - mean) * (strength + n) / (n * (strength + 1))  # Mosimann 1962
        np.testing.assert_allclose(votes.var(axis=0), naive[0], rtol=0.05)
        shares = conditional_intervals(alpha[:1], asked[:1])
        bounds = [
            beta_distribution(*(m * (mean * (1 - mean) / naive - 1) for m in (mean, 1 - mean))).ppf(edge)[0]
            for edge in (0.05, 0.95)
        ]
        np.testing.assert_allclose(shares.low[0], np.where(bounds[0] < HALF_VOTE, 0, bounds[0]), atol=1e-9)
        np.testing.assert_allclose(shares.high[0], np.where(bounds[1] > 1 - HALF_VOTE, 1, bounds[1]), atol=1e-9)


def test_of_one_volunteer_or_none_nothing_is_said_but_of_many_the_share_itself(alpha):
    one, none = (conditional_intervals(alpha, np.full((1, 11), n)) for n in (1.0, 0.2))
    doubtful = (one.expected > 0.06) & (one.expected < 0.94)
    assert (one.low[doubtful] == 0).all() and (one.high[doubtful] == 1).all()
    np.testing.assert_array_equal(one.high, none.high)
    of_share = beta_distribution(alpha, question_sums(alpha)[:, QUESTION_OF] - alpha)
    many = conditional_intervals(alpha, np.full((1, 11), 1e9))
    np.testing.assert_allclose(many.high, of_share.ppf(0.95).clip(HALF_VOTE), atol=1e-5)


def test_who_is_asked_by_hand():
    alpha = np.ones((1, 37))
    alpha[0, :3] = (6, 3, 1)
    alpha[0, 3:5] = (1, 3)
    asked = expected_asked(alpha)[0]
    assert asked[0] == 40 and asked[QUESTION_KEYS.index("something-odd")] == 40
    assert asked[QUESTION_KEYS.index("how-rounded")] == pytest.approx(24)
    assert asked[QUESTION_KEYS.index("disk-edge-on")] == pytest.approx(12)
    assert asked[QUESTION_KEYS.index("bar")] == pytest.approx(9)


def test_what_nobody_says_has_zero_in_its_interval():
    alpha = np.full((1, 37), 1e-3)
    for part in SLICES:
        alpha[0, part.start] = 50.0
    shares = conditional_intervals(alpha, np.full((1, 11), 40))
    first = np.isin(np.arange(37), [part.start for part in SLICES])
    assert (shares.low[0, ~first] == 0).all() and (shares.high[0, ~first] <= HALF_VOTE).all()
    assert HALF_VOTE == 0.5 / 40
    assert (shares.high[0, first] == 1).all()


@pytest.mark.parametrize("asked", [0, 3, 40, 1e6])
def test_an_interval_holds_what_is_expected_and_the_answers_yes_and_no_are_alike(asked):
    """Of a very skewed distribution the mean lies beyond the central interval; what one gains the other loses."""
    alpha = np.ones((4, 37))
    bar = SLICES[2]
    alpha[:, bar] = [(0.02, 1.2), (1.2, 0.02), (0.001, 40), (40, 0.001)]
    shares = conditional_intervals(alpha, np.full((4, 11), asked))
    for some in (shares, cumulative_intervals(alpha)):
        assert (some.low <= some.expected).all() and (some.expected <= some.high).all()
    np.testing.assert_allclose(shares.low[:, bar.start], 1 - shares.high[:, bar.start + 1], atol=1e-9)
    np.testing.assert_allclose(shares.high[:, bar.start], 1 - shares.low[:, bar.start + 1], atol=1e-9)
    assert shares.low[3, bar.start] == 1 - HALF_VOTE and shares.high[3, bar.start] == 1


def test_factors_repair_strengths_that_are_too_high_and_leave_the_others():
    rng = np.random.default_rng(0)
    truth = rng.gamma(3, 3, (400, 37)) + 0.5
    asked = np.full((400, 11), 1000)  # so many that no share of few votes is rounded
    observed = vote(draw(truth, rng), asked, rng)
    factors = fit_strength_factors(truth * 4, asked, observed)
    assert held_share(conditional_intervals(truth * 4, asked), observed) < 0.7
    held = held_share(conditional_intervals(truth * 4 * factors[QUESTION_OF], asked), observed)
    assert held == pytest.approx(0.9, abs=0.015)
    np.testing.assert_allclose(factors * 4, 1, atol=0.5)
    np.testing.assert_array_equal(fit_strength_factors(truth / 4, asked, observed), 1)


def test_questions_with_few_galaxies_borrow_a_factor():
    rng = np.random.default_rng(0)
    truth = rng.gamma(3, 3, (200, 37)) + 0.5
    asked = np.full((200, 11), 1000)
    observed = vote(draw(truth, rng), asked, rng)
    observed[5:, SLICES[10]] = np.nan
    observed[:5, SLICES[10]] = 0  # as if it were hopeless
    observed[:, SLICES[9]] = np.nan
    factors = fit_strength_factors(truth * 2, asked, observed)
    assert 1 / FACTOR_RANGE < factors[10] < 0.4 and factors[:9].min() > 0.4
    assert factors[9] == pytest.approx(fit_strength_factors(truth * 2, asked, observed, borrowed=1e9)[0], rel=1e-3)
    np.testing.assert_array_equal(fit_strength_factors(truth, asked, np.full_like(observed, np.nan)), 1)
    never = fit_strength_factors(truth, asked, np.where(np.isfinite(observed), 2.0, np.nan))  # never held
    assert never.min() >= 0.99 / FACTOR_RANGE


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
    k = np.arange(40)  # forty in a row who see none of what leads there, one after the other
    assert answered_share(alpha)[0, 3] == pytest.approx(0.5 * (1 - np.prod((38.1 + k) / (40.1 + k))), rel=1e-9)
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
    curve = measure_reliability(np.array([0.07] * 3 + [0.95, 1.0, np.nan]), np.array([0.0, 0.2, 0.1, 0.8, 1.0, 0.3]))
    assert curve.n_values.tolist() == [3, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert curve.expected[[0, 9]] == pytest.approx([0.07, 0.975]) and curve.observed[[0, 9]] == pytest.approx(
        [0.1, 0.9]
    )
    assert curve.expected_calibration_error == pytest.approx((3 * 0.03 + 2 * 0.075) / 5)
    assert np.isnan(measure_reliability(np.array([np.nan]), np.array([0.5])).expected_calibration_error)
    perfect = np.random.default_rng(0).random(500)
    assert measure_reliability(perfect, perfect).expected_calibration_error == pytest.approx(0, abs=1e-12)
