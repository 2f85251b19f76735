"""Working points of a search: thresholds, purities and gains re-derived, and no depth bought with purity."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.injection import depth_gain_mag, half_depth
from galaxy_core.recipes.injection_points import (
    THRESHOLDS,
    Sweep,
    at_false_rate,
    at_purity,
    at_threshold,
    found_at,
    point_scores,
    purity,
    sweep,
    trade_off,
)


def swept(limit=5.0, n=400, seed=0, false=(0, 0, 1, 2, 5, 9), counted=(0, 1, 1, 2, 4, 8)) -> Sweep:
    """Six thresholds; at each half as faint again is found, with scatter."""
    rng = np.random.default_rng(seed)
    snr = np.geomspace(1, 20, n)
    thresholds = np.array([8.0, 4, 3, 2.5, 2, 1.5])
    found = np.array([snr * np.exp(rng.normal(0, 0.1, n)) > limit * value / 2 for value in thresholds])
    return Sweep(thresholds, found, np.array(false), np.array(counted), 2.0, 0.1)


def test_sweep_goes_down_until_far_too_many_are_false():
    seen = []

    def count_false(threshold):
        seen.append(threshold)
        return (0, 1) if threshold > 2 else (9, 3)

    result = sweep(lambda threshold: np.array([threshold < 5, False]), count_false, 1.5, 0.1)  # 80 a megapixel: 8
    above = [value for value in THRESHOLDS[::-1] if value > 2]
    np.testing.assert_array_equal(result.thresholds, above)
    assert len(seen) == len(above) + 1 and (result.false_set == 0).all() and (result.false_counted == 1).all()
    np.testing.assert_array_equal(result.found[:, 0], np.array(above) < 5)
    assert result.sky_ratio == 1.5 and not result.found[:, 1].any()
    noisy = sweep(lambda threshold: np.array([True]), lambda threshold: (1000, 1000), 1.0, 0.1)
    assert len(noisy.thresholds) == 1  # a search that is never good enough is judged at the highest threshold


def test_threshold_is_the_lowest_of_the_allowed_rate():
    part = swept()
    # allowed: rate times 0.1 megapixel
    assert [at_false_rate(part, rate) for rate in (5, 10, 20, 49, 50, 80, 90)] == [1, 2, 3, 3, 4, 4, 5]
    again = swept(false=(0, 3, 1, 1, 1, 1))  # few again below a threshold that lets many through: not believed
    assert at_false_rate(again, 20) == 0


def test_purity_is_the_share_that_is_true_and_its_threshold_the_lowest_that_keeps_it():
    part = swept()
    by_hand = [row.sum() / (row.sum() + count / 2) for row, count in zip(part.found, part.false_set, strict=True)]
    np.testing.assert_allclose(part.purity_set(), by_hand)
    assert purity(0, 0) == 1 and purity(0, 3) == 0 and purity(3, 1) == 0.75
    for row, value in enumerate(by_hand):
        assert at_purity(part, value) == max(index for index, other in enumerate(by_hand) if other >= value) >= row
    assert at_purity(swept(false=(1,) * 6), 1.0) == 0  # never so pure: the highest threshold
    assert at_threshold(part, 2.5) == 3 and at_threshold(part, 2.6) == 3 and at_threshold(part, 0.1) == 5


def test_scores_at_a_working_point_by_hand():
    one, two = swept(), swept(limit=3.0, seed=1)
    snr, is_point = np.tile(np.geomspace(1, 20, 400), 2), np.arange(800) % 3 == 0
    before, rows = found_at([one, one], [3, 3]), [4, 2]
    scores = point_scores([one, two], rows, before, snr, is_point, 0)
    found = np.concatenate([one.found[4], two.found[2]])
    false = one.false_counted[4] / 2 + two.false_counted[2] / 2
    assert scores["threshold"] == [2.0, 3.0] and scores["share_found"] == found.mean()
    assert scores["false_expected"] == false and scores["purity"] == pytest.approx(found.sum() / (found.sum() + false))
    low, high = scores["purity_interval"]
    assert low < scores["purity"] < high
    assert scores["depth_snr"]["all"] == half_depth(snr, found)
    assert scores["depth_snr"]["galaxies"] == half_depth(snr[~is_point], found[~is_point])
    assert scores["gain_mag"]["gain"] == depth_gain_mag(snr, before, found, np.random.default_rng(0), 2)[0]
    assert point_scores([one, one], [3, 3], before, snr, is_point, 0)["gain_mag"]["gain"] == 0


def test_curve_of_completeness_against_purity():
    curve = trade_off([swept(), swept(seed=1)])
    assert [point["false_per_megapixel_allowed"] for point in curve] == [5, 10, 20, 40, 80]
    found = [point["share_found"] for point in curve]
    assert found == sorted(found) and curve[0]["purity"] > curve[-1]["purity"]
    assert curve[-1]["false_expected"] == 4 / 2 + 4 / 2  # on the other sky
