"""Effect sizes against the naive definition, intervals on simulated data, and what a ranking must not be fooled by."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from galaxy_core.differences import compare_selection, draw, placements, resampled_means


def naive_delta(a: np.ndarray, b: np.ndarray) -> float:
    """Every pair looked at, as the definition says."""
    pairs = [int(x > y) - int(x < y) for x in a if not np.isnan(x) for y in b if not np.isnan(y)]
    return sum(pairs) / len(pairs)


def one(values: np.ndarray, n_selected: int, **options):
    """The difference between the first values and the others."""
    return compare_selection(len(values), np.arange(n_selected), {"x": values}, {}, **options).items[0]


@pytest.mark.parametrize("seed", range(5))
def test_cliffs_delta_is_its_definition(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, 23).astype(float), rng.integers(1, 8, 31).astype(float)  # many ties
    a[3] = b[5] = np.nan
    assert np.nanmean(placements(a, b)) == pytest.approx(naive_delta(a, b))
    assert np.nanmean(placements(b, a)) == pytest.approx(-naive_delta(a, b))
    item = one(np.concatenate([a, b]), len(a))
    assert item.effect == pytest.approx(naive_delta(a, b)) and (item.n_selected, item.n_rest) == (22, 30)
    assert item.selected == np.nanmedian(a) and item.rest == np.nanmedian(b)


def test_the_extremes():
    low, high = np.arange(50.0), np.arange(100.0, 200.0)
    assert (placements(high, low) == 1).all() and (placements(low, high) == -1).all() and not placements(low, low).sum()
    item = one(np.concatenate([high, low]), len(high))
    assert item.effect == item.high == 1 and 0.9 < item.low < 1 and item.is_different
    nothing = np.array([np.nan])
    assert np.isnan(placements(nothing, low)).all() and np.isnan(placements(low, nothing)).all()


def test_it_is_scale_free_and_not_moved_by_outliers():
    rng = np.random.default_rng(0)
    values = rng.lognormal(size=600)
    values[:200] *= 1.7
    plain, logged, wild = one(values, 200), one(np.log10(values), 200), values.copy()
    wild[0] = 1e30
    assert plain.effect == logged.effect and (plain.low, plain.high) == (logged.low, logged.high)
    assert one(wild, 200).effect == pytest.approx(plain.effect, abs=0.01)


def test_a_category_is_the_difference_of_shares():
    codes = np.array([0] * 6 + [1] * 4 + [0] * 10 + [1] * 20 + [2] * 60 + [-1] * 10)
    found = compare_selection(len(codes), np.arange(10), {}, {"class": (codes, ("a", "b", "c"))})
    items = {item.value: item for item in found.items}
    assert set(items) == {"a", "b", "c"}
    assert items["a"].selected == pytest.approx(0.6) and items["a"].rest == pytest.approx(10 / 90)
    for item in items.values():
        assert item.effect == pytest.approx(item.selected - item.rest) and item.low <= item.effect <= item.high
        assert item.n_rest == 90  # without the ten that have no class


def test_two_categories_are_one_question_and_one_is_none():
    codes = np.array([0, 1] * 50)
    assert len(compare_selection(100, np.arange(20), {}, {"c": (codes, ("no", "yes"))}).items) == 1
    assert compare_selection(100, np.arange(20), {}, {"c": (codes * 0, ("no", "yes"))}).items == ()
    assert compare_selection(100, np.arange(20), {}, {"c": (codes * 0 - 1, ())}).items == ()


@pytest.mark.parametrize(("n_selected", "n_rest"), [(30, 300), (300, 40)])
@pytest.mark.parametrize("shift", [0.0, 0.6, 1.5])
def test_intervals_hold_the_truth_as_often_as_they_say(n_selected, n_rest, shift):
    truth, hits, n_trials = math.erf(shift / 2), 0, 120  # P(X > Y) - P(X < Y) of two unit normals
    for trial in range(n_trials):
        rng = np.random.default_rng(trial)
        values = np.concatenate([rng.normal(shift, 1, n_selected), rng.normal(0, 1, n_rest)])
        item = one(values, n_selected, seed=trial, n_resamples=200)
        hits += item.low <= truth <= item.high
    assert 0.88 <= hits / n_trials <= 1  # 95 % +- 3.5 standard errors


def test_none_of_ten_is_not_none_at_all():
    flag = np.zeros(1010)
    flag[10:40] = 1  # 3 % of the rest
    item = one(flag, 10)
    assert item.effect == pytest.approx(-0.03) and item.low < 0 < item.high and not item.is_different


def test_one_or_two_galaxies_prove_nothing():
    values = np.arange(100.0)[::-1].copy()
    for n in (1, 2):
        item = one(values, n)
        assert item.effect > 0.97 and not item.is_different and -1 <= item.low <= 0


def test_different_columns_come_first_by_size_and_noise_last():
    rng = np.random.default_rng(1)
    n, m = 4000, 400
    numbers = {name: rng.normal(size=n) for name in ("noise", "weak", "strong", "negative")}
    numbers["weak"][:m] += 0.3
    numbers["strong"][:m] += 1
    numbers["negative"][:m] -= 2
    numbers["empty"] = np.full(n, np.nan)
    found = compare_selection(n, np.arange(m), numbers, {})
    assert [item.column for item in found.items] == ["negative", "strong", "weak", "noise", "empty"]
    assert [item.is_different for item in found.items] == [True, True, True, False, False]
    assert math.isnan(found.items[-1].effect) and found.items[-1].n_selected == 0
    assert not found.sampled and (found.n_selected, found.n_rest) == (m, n - m)


def test_rare_values_do_not_break_the_bootstrap():
    values = np.full(500, np.nan)
    values[[0, 100, 101, 102]] = 1, 2, 3, 4
    item = one(values, 50)
    assert (item.n_selected, item.n_rest) == (1, 3) and item.effect == -1 and not item.is_different


@pytest.mark.parametrize("rows", [[], list(range(60))])
def test_nothing_to_compare_with(rows):
    assert compare_selection(60, np.array(rows, int), {"x": np.arange(60.0)}, {}).items == ()
    assert compare_selection(60, np.array(rows, int), {}, {}).items == ()


def test_the_same_seed_gives_the_same_answer_and_large_sides_are_sampled():
    rng = np.random.default_rng(0)
    values, rows = rng.normal(size=5000), np.arange(2000)
    first, second = (compare_selection(5000, rows, {"x": values}, {}, max_each=500) for _ in range(2))
    assert first == second and first.sampled
    assert (first.n_selected_used, first.n_rest_used, first.n_selected) == (500, 500, 2000)
    assert one(values, 2000, seed=1).low != one(values, 2000, seed=2).low
    drawn = draw(rows, 500, np.random.default_rng(0))
    assert len(set(drawn)) == 500 and set(drawn) <= set(rows)


def test_resampling_one_column_is_the_plain_bootstrap():
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, (4, 1))  # so few that the imagined galaxy counts
    spread = resampled_means(values, rng, 4000).std()
    assert spread == pytest.approx(np.hypot(values.std() / 2, 1 / 4), rel=0.06)


def test_a_real_catalog_takes_no_time_to_speak_of():
    rng = np.random.default_rng(0)
    n = 26_093
    numbers = {f"c{i}": rng.normal(size=n) for i in range(40)}
    start = time.thread_time()
    compare_selection(n, np.arange(5000), numbers, {"class": (rng.integers(0, 8, n), tuple("abcdefgh"))})
    assert time.thread_time() - start < 2


def test_columns_without_any_number_are_no_error():
    numbers = {"mass": np.full(20, np.nan), "size": np.full(20, np.nan)}
    found = compare_selection(20, np.arange(5), numbers, {})
    assert [item.column for item in found.items] == ["mass", "size"] or not found.items
    assert all(np.isnan(item.effect) and np.isnan(item.low) for item in found.items)
