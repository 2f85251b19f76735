"""Active learning: each formula derived again, edge inputs, and that answers find what is rare."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from galaxy_core import active
from galaxy_core.vectors import VectorError

NONE = np.zeros(0, int), np.zeros(0, bool)


@pytest.fixture(scope="module")
def made():
    """2,000 galaxies in 20 dimensions; 60 of them, in one direction, are what somebody looks for."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 1, (2000, 20)).astype(np.float32)
    target = np.zeros(2000, bool)
    target[rng.choice(2000, 60, replace=False)] = True
    vectors[target, :3] += 2.5
    anomaly = np.argsort(np.argsort(rng.normal(0, 1, 2000) + target)) / 1999
    return active.make_space(vectors), anomaly, target


def find(space, anomaly, target, n_answers, size=12) -> np.ndarray:
    rows = np.zeros(0, int)
    while len(rows) < n_answers:
        batch, _ = active.choose_batch(space, anomaly, rows, target[rows], size)
        rows = np.r_[rows, batch]
    return rows[:n_answers]


# ---------------------------------------------------------------- what is found


def test_answers_find_what_neither_chance_nor_the_anomaly_score_finds(made):
    space, anomaly, target = made
    found = target[find(space, anomaly, target, 100)].sum()
    by_chance, plain = 100 * target.mean(), target[np.argsort(-anomaly)[:100]].sum()
    assert found > 5 * by_chance and found > 2 * plain and found > 30


def test_only_answers_decide_and_the_same_answers_give_the_same_ranking(made):
    space, anomaly, target = made
    rows = find(space, anomaly, target, 60)
    once = active.rank_galaxies(space, anomaly, rows, target[rows])
    assert np.array_equal(once, active.rank_galaxies(active.make_space(space.vectors), anomaly, rows, target[rows]))
    other = active.rank_galaxies(space, anomaly, rows, ~target[rows])
    assert np.corrcoef(once, other)[0, 1] < 0
    assert once.dtype == np.float32 and once.min() >= 0 and once.max() <= 1


def test_a_new_ranking_of_26_093_galaxies_takes_no_time_to_wait_for():
    rng = np.random.default_rng(1)
    vectors = rng.normal(0, 1, (26_093, 192)).astype(np.float32)
    space, anomaly, rows = active.make_space(vectors), rng.random(26_093), rng.choice(26_093, 100, replace=False)
    for interesting in (np.zeros(100, bool), np.arange(100) < 9):
        seconds = []
        for _ in range(3):
            started = time.thread_time()
            active.choose_batch(space, anomaly, rows, interesting, 12)
            seconds.append(time.thread_time() - started)
        assert min(seconds) < 0.5


# ---------------------------------------------------------------- formulas


def test_lowered_near_answers_as_in_the_paper():
    anomaly, distance, user = np.array([0.9, 0.5, 0.2]), np.array([0.0, 1.0, 5.0]), np.array([0.0, 1.0, 0.4])
    u = 0.1 + 0.85 * user
    naive = [s * np.tanh(np.exp(d / 2) - 1 + np.arctanh(v)) for s, d, v in zip(anomaly, distance, u, strict=True)]
    assert np.allclose(active.lower_near(anomaly, distance, user), naive)
    assert active.lower_near(np.ones(2), np.zeros(2)).tolist() == pytest.approx([0.1, 0.1])


def test_nearest_answer_by_hand(made):
    space, *_ = made
    rows = np.array([5, 77])
    naive = [min(np.linalg.norm(point - space.coarse[row]) for row in rows) for point in space.coarse[:50]]
    assert np.allclose(active.nearest_answer(space.coarse, rows)[:50], naive, atol=1e-3)
    assert np.isinf(active.nearest_answer(space.coarse, rows[:0])).all()


def test_regression_agrees_with_scikit_learn(made):
    space, _, target = made
    rows, weights = np.arange(300), np.random.default_rng(2).uniform(0.1, 2, 300)
    features = space.features(rows)
    coefficients, offset = active.fit_interest(features, target[rows], weights)
    theirs = LogisticRegression(C=1, tol=1e-10, max_iter=1000).fit(features, target[rows], sample_weight=weights)
    assert np.allclose(coefficients, theirs.coef_[0], atol=1e-4) and offset == pytest.approx(
        theirs.intercept_[0], abs=1e-3
    )
    scores = active.interest_of(space, coefficients, offset)
    assert np.allclose(scores[rows], theirs.predict_proba(features)[:, 1], atol=1e-4)


def test_answers_weigh_alike_and_the_background_as_much_as_either(made):
    """Whatever their numbers; and what was judged is no background."""
    space, anomaly, target = made
    rows = np.r_[np.flatnonzero(target)[:4], np.flatnonzero(~target)[:9]]
    rows = np.r_[rows, np.setdiff1d(space.background, rows)[:3]]
    interesting = np.r_[np.ones(4, bool), np.zeros(12, bool)]
    unjudged = np.array([row for row in space.background if row not in set(rows.tolist())])
    weights = np.r_[np.full(4, 8 / 4), np.full(12, 8 / 12), np.full(len(unjudged), 8 / len(unjudged))]
    told = np.r_[interesting, np.zeros(len(unjudged), bool)]
    learn = space.features(np.r_[rows, unjudged])
    theirs = LogisticRegression(C=1, tol=1e-10, max_iter=1000).fit(learn, told, sample_weight=weights)
    expected = theirs.predict_proba(space.features(np.arange(200)))[:, 1]
    assert np.allclose(active.rank_galaxies(space, anomaly, rows, interesting)[:200], expected, atol=1e-4)


def test_axes_have_even_spread_and_the_first_components_variance_one():
    rng = np.random.default_rng(3)
    vectors = rng.normal(3, 1, (5000, 12)) * np.geomspace(10, 0.1, 12)
    space = active.make_space(vectors)
    assert np.allclose(space.coarse.var(axis=0), 1, rtol=1e-3) and space.coarse.shape == (5000, 10)
    variance = space.features(np.arange(5000)).var(axis=0)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(vectors.T)))[::-1]
    assert np.allclose(variance, eigenvalues / (eigenvalues + eigenvalues.mean()), rtol=1e-2)


# ---------------------------------------------------------------- edges


def test_without_answers_the_order_is_that_of_the_anomaly_score(made):
    space, anomaly, _ = made
    batch, scores = active.choose_batch(space, anomaly, *NONE, 12)
    assert np.allclose(scores, anomaly) and batch.tolist() == np.argsort(-anomaly)[:12].tolist()
    assert batch.dtype == np.int32


def test_only_not_interesting_lowers_what_is_near(made):
    space, anomaly, _ = made
    rows = np.argsort(-anomaly)[:20]
    scores = active.rank_galaxies(space, anomaly, rows, np.zeros(20, bool))
    assert (scores <= anomaly + 1e-6).all() and np.allclose(scores[rows], 0.1 * anomaly[rows], atol=1e-3)
    batch, _ = active.choose_batch(space, anomaly, rows, np.zeros(20, bool), 12)
    assert len(set(batch)) == 12 and not set(batch) & set(rows)
    assert batch[:3].tolist() == [row for row in np.argsort(-scores, kind="stable") if row not in rows][:3]


def test_a_batch_shows_different_kinds():
    vectors = np.repeat(np.random.default_rng(4).normal(0, 1, (40, 8)), 50, axis=0)
    anomaly = np.repeat(np.linspace(1, 0.5, 40), 50)
    batch, _ = active.choose_batch(active.make_space(vectors), anomaly, np.array([1999]), np.array([False]), 12)
    assert len({row // 50 for row in batch}) >= 10
    few = active.make_space(np.random.default_rng(0).normal(size=(20, 4)))
    batch, _ = active.choose_batch(few, np.linspace(0, 1, 20), np.array([0]), np.array([False]), 30)
    assert sorted(batch) == list(range(1, 20)), "each once"


def test_copies_of_one_image_do_not_fill_a_batch(made):
    space, anomaly, _ = made
    vectors, anomaly = space.vectors.copy(), anomaly.copy()
    vectors[:9], anomaly[:9] = 3 + np.random.default_rng(0).normal(0, 1e-6, (9, 20)), 1  # blank stamps, say
    space = active.make_space(vectors)
    batch, scores = active.choose_batch(space, anomaly, *NONE, 12)
    assert batch[0] == 0 and not set(batch[1:]) & set(range(9))
    batch, scores = active.choose_batch(space, anomaly, np.array([0]), np.array([True]), 12)
    assert not set(batch) & set(range(9)) and scores[:9].min() > scores[batch].max()
    batch, _ = active.choose_batch(space, anomaly, np.array([0]), np.array([True]), 1999)
    assert set(batch[-8:]) == set(range(1, 9)), "they are still asked about, last"


def test_only_interesting_answers(made):
    space, anomaly, target = made
    rows = np.flatnonzero(target)[:5]
    batch, scores = active.choose_batch(space, anomaly, rows, np.ones(5, bool), 12)
    assert target[batch].mean() > 5 * target.mean() and np.isfinite(scores).all()
    everything = active.rank_galaxies(space, anomaly, np.arange(2000), np.ones(2000, bool))
    assert np.isfinite(everything).all() and everything.min() > 0.5


def test_the_last_answer_counts_and_foreign_rows_do_not(made):
    space, anomaly, _ = made
    rows, interesting = np.array([7, 7, 9, 7, -1, 2000]), np.array([True, False, True, False, True, True])
    twice = active.rank_galaxies(space, anomaly, rows, interesting)
    assert np.array_equal(twice, active.rank_galaxies(space, anomaly, np.array([9, 7]), np.array([True, False])))


def test_more_answers_than_galaxies(made):
    space, anomaly, target = made
    rows = np.tile(np.arange(2000), 2)
    batch, scores = active.choose_batch(space, anomaly, rows, target[rows], 12)
    assert len(batch) == 0 and scores[target].mean() > scores[~target].mean() + 0.5
    batch, _ = active.choose_batch(space, anomaly, rows[:1995], target[rows[:1995]], 12)
    assert sorted(batch) == list(range(1995, 2000))


def test_nan_scores_and_vectors(made):
    space, anomaly, target = made
    anomaly = anomaly.copy()
    anomaly[:100] = np.nan
    batch, scores = active.choose_batch(space, anomaly, *NONE, 12)
    assert np.isfinite(scores).all() and (scores[:100] == 0).all() and min(batch) >= 100
    anomaly[100:104] = np.inf, -np.inf, 2, -1
    assert active.rank_galaxies(space, anomaly, *NONE)[100:104].tolist() == [1, 0, 1, 0], "a score is in [0, 1]"
    vectors = space.vectors.copy()
    vectors[5], vectors[6, 0] = np.nan, np.inf
    broken = active.make_space(vectors)
    for rows in (NONE[0], np.array([5, 6]), np.array([5, 20, 30]), np.flatnonzero(target)[:9]):
        batch, scores = active.choose_batch(broken, anomaly, rows, target[rows] | (rows == 5), 1990)
        assert np.isfinite(scores).all() and scores[[5, 6]].tolist() == [0, 0] and not {5, 6} & set(batch)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_galaxies_and_galaxies_all_alike(n):
    for vectors in (np.ones((n, 4)), np.random.default_rng(n).normal(0, 1, (n, 4))):
        space = active.make_space(vectors)
        for rows, interesting in (NONE, (np.array([0]), np.array([True])), (np.array([0]), np.array([False]))):
            batch, scores = active.choose_batch(space, np.full(n, 0.5), rows, interesting, 12)
            assert len(batch) == n - len(rows) and np.isfinite(scores).all()


def test_scores_of_another_catalog_are_refused(made):
    with pytest.raises(VectorError, match="2,000 galaxies in the embedding"):
        active.rank_galaxies(made[0], np.zeros(3), *NONE)
