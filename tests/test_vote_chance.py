"""Calibration errors that chance alone makes: none for many votes of many galaxies, more the fewer there are."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.vote_chance import chance_error_of_classes, chance_errors, draw_votes, noise_variance, scatter_ratio
from galaxy_core.vote_intervals import measure_reliability
from galaxy_core.vote_tree import N_ANSWERS, PARENT, QUESTION_KEYS, SLICES


def predicted(n, strength, seed=0):
    """Concentrations with shares spread over all bins."""
    generator = np.random.default_rng(seed)
    made = np.empty((n, N_ANSWERS))
    for part in SLICES:
        made[:, part] = generator.dirichlet(np.ones(part.stop - part.start), n) * strength
    return made


def test_fewer_galaxies_show_larger_errors_by_chance():
    means = []
    for n in (20, 200, 4000):
        alpha = predicted(n, 20.0)
        errors = chance_errors(alpha, np.full(alpha.shape, 0.5), np.full(alpha.shape, 10.0))
        assert set(errors) == set(QUESTION_KEYS)
        means.append(errors["bar"][0])
        assert all(0 < mean < above for mean, above in errors.values())
    assert means[0] > 2 * means[1] > 4 * means[2] and means[2] < 0.01


def test_a_model_that_is_right_errs_as_votes_drawn_from_it_do():
    alpha, generator = predicted(300, 15.0), np.random.default_rng(5)
    observed, counts = np.full(alpha.shape, 0.5), np.full(alpha.shape, 4.0)  # three answers, so twelve were asked
    found = chance_errors(alpha, observed, counts)
    assert found == chance_errors(alpha, observed, counts), "drawn from the seed"
    own, errors = alpha[:, SLICES[QUESTION_KEYS.index("spiral-winding")]], []
    for _ in range(300):
        shares = generator.standard_gamma(own)
        votes = generator.multinomial(12, shares / shares.sum(axis=1, keepdims=True)) / 12
        errors.append(measure_reliability(own / 15.0, votes).expected_calibration_error)
    mean, above = found["spiral-winding"]
    assert mean == pytest.approx(np.mean(errors), rel=0.05)
    assert above == pytest.approx(np.percentile(errors, 95), rel=0.05)


def test_few_volunteers_widen_it_and_nobody_asked_is_the_share_itself():
    alpha = predicted(200, 1000.0)
    one, many, nobody = (
        chance_errors(alpha, np.full(alpha.shape, 0.5), np.full(alpha.shape, votes))["bar"][0]
        for votes in (0.3, 500.0, 0.0)  # of two answers: less than one volunteer, as weights make it
    )
    assert one > 3 * many and nobody == pytest.approx(many, rel=0.5)


def test_nothing_known_is_not_a_number_and_one_galaxy_is_enough():
    alpha = predicted(1, 5.0)
    observed = np.full((1, N_ANSWERS), np.nan)
    assert all(np.isnan(value) for pair in chance_errors(alpha, observed, observed * 0).values() for value in pair)
    observed[:, SLICES[0]] = 0.3
    errors = chance_errors(alpha, observed, np.zeros((1, N_ANSWERS)))
    assert np.isfinite(errors[QUESTION_KEYS[0]]).all() and np.isnan(errors[QUESTION_KEYS[1]]).all()


def test_the_error_left_to_true_shares_is_that_of_votes_drawn_from_them():
    alpha, generator = np.tile(predicted(1, 6.0), (40_000, 1)), np.random.default_rng(8)
    asked = np.array([40, 1, 2, 3, 5, 8, 40, 20, 0, 30, 10])
    counts, squared = np.zeros(alpha.shape), np.zeros(alpha.shape)
    for n, part in zip(asked, SLICES, strict=True):
        shares = generator.dirichlet(alpha[0, part], len(alpha))
        counts[:, part] = generator.multinomial(n, shares)
        squared[:, part] = (counts[:, part] / max(n, 1) - shares) ** 2
    made = noise_variance(alpha, counts)
    assert made.dtype == np.float64 and np.isnan(made[:, SLICES[8]]).all(), "nobody was asked"
    known = np.isfinite(made[0])
    mean, error = squared.mean(axis=0)[known], squared.std(axis=0)[known] / 200
    assert (np.abs(made[0, known] - mean) < 5 * error + 1e-6).all()


def test_votes_alone_tell_whether_the_noise_is_told_right():
    alpha, generator = predicted(3000, 6.0), np.random.default_rng(4)
    counts = draw_votes(alpha, np.full(3000, 40), generator)
    assert scatter_ratio(alpha, counts) == pytest.approx(1, abs=0.03)
    assert scatter_ratio(1000 * alpha, counts) < 0.95, "opinions are less divided than such a model says"
    few = np.array([[3, 1, 0]])  # by hand: f = 3/4, 1/4, 0 of n = 4
    naive = (0.75 * 0.25 + 0.25 * 0.75) / 3
    votes, flat = np.zeros((1, N_ANSWERS)), np.ones((1, N_ANSWERS))
    votes[:, SLICES[0]] = few
    assert scatter_ratio(flat, votes) == pytest.approx(naive / noise_variance(flat, votes)[:, SLICES[0]].sum())
    assert np.isnan(scatter_ratio(flat, 0 * flat)), "nobody was asked"


def test_sure_shares_leave_no_error_and_less_than_a_volunteer_counts_as_one():
    alpha = predicted(3, 1e9)
    alpha[:, :3] = [1e9, 1e-3, 1e-3]
    votes = np.full(alpha.shape, 0.1)
    made = noise_variance(alpha, votes)
    assert (made[:, :3] < 1e-9).all()
    two = alpha[:, SLICES[1]] / alpha[:, SLICES[1]].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(made[:, SLICES[1]], two * (1 - two), rtol=1e-6)


def test_votes_go_down_the_tree_and_are_spread_as_predicted():
    alpha = np.tile(predicted(1, 8.0), (4000, 1))
    votes = draw_votes(alpha, np.full(4000, 40), np.random.default_rng(3))
    assert votes.dtype == np.int64
    for q, part in enumerate(SLICES):
        asked = votes[:, part].sum(axis=1)
        assert (asked == (40 if PARENT[q] < 0 else votes[:, PARENT[q]])).all()
    part = SLICES[0]
    mean, strength = alpha[0, part] / alpha[0, part].sum(), alpha[0, part].sum()
    assert np.allclose(votes[:, part].mean(axis=0) / 40, mean, atol=0.02)
    # beta-binomial: n m (1 - m) (A + n) / (A + 1); the third answer is too rare to tell
    spread = 40 * mean * (1 - mean) * (strength + 40) / (strength + 1)
    assert np.allclose(votes[:, part].var(axis=0)[:2], spread[:2], rtol=0.1)
    asked = np.arange(11)[None].repeat(4000, axis=0)
    again = draw_votes(0 * alpha, None, np.random.default_rng(3), asked)  # of concentrations next to none, too
    assert all((again[:, part].sum(axis=1) == q).all() for q, part in enumerate(SLICES))


def test_classes_that_are_right_as_often_as_is_said_show_an_error_by_chance():
    """Few galaxies, or an even chance, show more; a model that is right stays below what one draw in twenty exceeds."""
    means = {}
    for n in (50, 800):
        confidence = np.random.default_rng(3).uniform(0.5, 1, n)
        mean, above = chance_error_of_classes(confidence, seed=7)
        generator, errors = np.random.default_rng([7, 12]), []
        for _ in range(200):  # the same draws; the error by its definition (Guo et al. 2017), ten equal bins
            right, place = generator.random(n) < confidence, np.minimum((confidence * 10).astype(int), 9)
            gaps = [abs((confidence - right)[place == k].sum()) for k in range(10)]
            errors.append(sum(gaps) / n)
        assert (mean, above) == pytest.approx((np.mean(errors), np.percentile(errors, 95)), rel=1e-9)
        means[n] = mean
    assert means[50] > 3 * means[800]
    assert chance_error_of_classes(np.ones(20)) == (0, 0)
    assert chance_error_of_classes(confidence, seed=7) == (mean, above), "drawn from the seed"
