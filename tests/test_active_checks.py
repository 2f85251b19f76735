"""How well a ranking does on what it has not learned from: beside an AUC by scikit-learn, and without a kind."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from galaxy_core import active, active_checks


@pytest.fixture(scope="module")
def made():
    """600 galaxies in 10 dimensions, 60 of them of a kind."""
    rng = np.random.default_rng(0)
    vectors, kind = rng.normal(0, 1, (600, 10)).astype(np.float32), np.arange(600) < 60
    vectors[kind, 0] += 2
    return active.make_space(vectors), kind


def test_a_kind_is_told_and_labels_at_random_are_not(made):
    space, kind = made
    rows = np.r_[np.arange(40), np.arange(100, 130)]  # 40 of the kind, 30 refused
    check = active_checks.check_ranking(space, rows, kind[rows])
    assert (check.n_found, check.n_background) == (40, len(np.setdiff1d(space.background, rows)))
    truth = roc_auc_score(kind, active.rank_galaxies(space, np.zeros(600), rows, kind[rows]))
    assert check.auc > 0.85 and abs(check.auc - truth) < 0.08
    random = np.random.default_rng(1).choice(np.arange(60, 600), 40, replace=False)
    assert 0.3 < active_checks.check_ranking(space, random, np.ones(40, bool)).auc < 0.65  # it learned them, though


def test_no_galaxy_is_ranked_by_what_it_taught(made, monkeypatch):
    space, kind = made
    taught = []

    def fit(space, rows, interesting, background):
        taught.append((set(rows[interesting].tolist()), set(background.tolist()), int((~interesting).sum())))
        return np.zeros(space.axes.shape[1]), 0.0

    monkeypatch.setattr(active_checks, "fit_answers", fit)
    rows = np.r_[np.arange(20), np.arange(100, 105)]
    check = active_checks.check_ranking(space, rows, kind[rows])
    assert check.auc == 0.5 and len(taught) == active_checks.N_FOLDS  # all equal: half of the pairs
    assert all(len(found) == 16 and refused == 5 for found, _, refused in taught)
    left_out = [set(range(20)) - found for found, _, _ in taught]
    assert set().union(*left_out) == set(range(20)) and sum(map(len, left_out)) == 20
    assert all(len(background) < check.n_background for _, background, _ in taught)


def test_too_few_say_nothing(made):
    space, _ = made
    few = np.arange(active_checks.LEAST_FOUND - 1)
    assert active_checks.check_ranking(space, few, np.ones(len(few), bool)) is None
    assert active_checks.check_ranking(space, np.arange(600), np.ones(600, bool)) is None  # nothing is left to compare
