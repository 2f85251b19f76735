"""Coverage of intervals against naive loops, known distributions, and the edges."""

import math

import numpy as np
import pytest

from galaxy_core.calibration import coverage, error_ratio, interval_factor, reliability


def naive_coverage(error, std, n_sigma) -> float:
    inside = total = 0
    for e, s in zip(error.ravel(), std.ravel(), strict=True):
        if math.isfinite(e) and math.isfinite(s) and s >= 0:
            total += 1
            inside += abs(e) <= n_sigma * s
    return inside / total


def test_coverage_against_a_loop():
    rng = np.random.default_rng(0)
    error, std = rng.normal(size=(3, 20, 20)), rng.uniform(0.1, 2, size=(3, 20, 20))
    error[0, 3, 4], std[1, 0, 0], std[2, 5, 5], std[0, 0, 1] = np.nan, np.nan, np.inf, -1.0
    for n_sigma in (0.5, 1.0, 1.96):
        assert coverage(error, std, n_sigma) == pytest.approx(naive_coverage(error, std, n_sigma), abs=1e-12)


def test_gaussian_errors_of_known_size_are_covered_as_they_should():
    rng = np.random.default_rng(1)
    std = rng.uniform(0.01, 3, size=400_000)
    error = std * rng.normal(size=std.size)
    assert coverage(error, std, 1.0) == pytest.approx(0.6827, abs=0.003)
    assert coverage(error, std, 1.96) == pytest.approx(0.95, abs=0.002)
    curve = reliability(error, std)
    np.testing.assert_allclose(curve.observed, curve.expected, atol=0.004)
    assert curve.n_pixels == std.size and np.all(np.diff(curve.observed) >= 0)


def test_standard_deviations_twice_too_small_show():
    error = np.random.default_rng(2).normal(size=100_000)
    curve = reliability(error, np.full(error.shape, 0.5))
    assert np.all(curve.observed < curve.expected)
    assert coverage(error, np.full(error.shape, 0.5)) == pytest.approx(math.erf(0.5 / math.sqrt(2)), abs=0.005)


def test_only_the_pixels_asked_for_count():
    error, std = np.zeros((3, 4, 4)), np.ones((3, 4, 4))
    error[:, 0] = 5.0
    where = np.zeros((4, 4), dtype=bool)
    where[0] = True
    assert coverage(error, std, 1.0, where) == 0 and coverage(error, std, 1.0, ~where) == 1
    assert coverage(error, std) == pytest.approx(0.75)
    assert error_ratio(error, std, where).size == 12


def test_no_error_is_inside_even_an_interval_of_no_width():
    assert coverage(np.zeros(3), np.zeros(3)) == 1
    assert coverage(np.ones(3), np.zeros(3)) == 0


def test_nothing_to_count_is_not_a_number():
    assert math.isnan(coverage(np.full(4, np.nan), np.ones(4)))
    curve = reliability(np.zeros(0), np.zeros(0))
    assert np.isnan(curve.observed).all() and curve.n_pixels == 0


@pytest.mark.parametrize("n", [1, 2, 10, 999])
@pytest.mark.parametrize("share", [0.1, 0.68, 0.95])
def test_the_factor_is_the_conformal_quantile(n, share):
    values = np.random.default_rng(n).exponential(size=n)
    rank = min(math.ceil((n + 1) * share), n)
    assert interval_factor(values, share) == sorted(values)[rank - 1]


def test_new_pixels_are_covered_by_the_factor_of_old_ones():
    rng = np.random.default_rng(3)
    factors = [interval_factor(np.abs(rng.standard_t(3, size=200)), 0.68) for _ in range(300)]
    inside = [np.mean(np.abs(rng.standard_t(3, size=2000)) <= factor) for factor in factors]
    assert 0.677 < np.mean(inside) < 0.70


def test_a_factor_without_a_pixel_is_an_error():
    with pytest.raises(ValueError, match="without a pixel"):
        interval_factor(np.zeros(0), 0.68)
