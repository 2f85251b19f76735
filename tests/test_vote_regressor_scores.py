"""Scores of votes and classes against what is counted by hand, and by scikit-learn."""

import json

import numpy as np
import pytest

from galaxy_core.recipes.vote_regressor_scores import confused_galaxies, confusion_matrix, macro_f1, score_classes
from galaxy_core.recipes.vote_scores import vote_errors


def test_scores_by_hand():
    truth, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
    confusion = confusion_matrix(truth, predicted, 4)
    assert confusion[:3, :3].tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert macro_f1(confusion) == pytest.approx(np.mean([2 / 3, 0.8, 0.0]))  # nobody is of the fourth class
    scores = score_classes(np.eye(4)[predicted], truth, ("a", "b", "c", "d"), 0)
    assert scores["accuracy"] == pytest.approx(4 / 6) and scores["recall"]["b"] == 1 and scores["recall"]["d"] == 0
    low, high = scores["macro_f1_interval"]
    assert low < scores["macro_f1"] < high
    rng = np.random.default_rng(0)
    observed = rng.random((50, 37))
    observed[0, 3] = np.nan
    expected = np.full_like(observed, np.nanmean(observed))
    errors = vote_errors(expected, observed, 0)
    assert errors["rmse"] == pytest.approx(np.sqrt(np.nanmean((expected - observed) ** 2)))
    assert errors["r2"] == pytest.approx(0, abs=1e-9) and errors["r2_by_column"] < 0
    assert vote_errors(observed, observed, 0)["r2"] == 1


def test_confused_galaxies_are_those_of_the_confusion_matrix():
    rng = np.random.default_rng(0)
    truth, probabilities = rng.integers(0, 4, 400), rng.dirichlet(np.ones(4), 400).astype(np.float32)
    names, ids = ("a", "b", "c", "d"), np.array([f"galaxy-{i}" for i in range(400)])
    found = confused_galaxies(probabilities, truth, names, ids, n_max=400)
    confusion = confusion_matrix(truth, probabilities.argmax(axis=1), 4)
    by_cell = {(names.index(cell["truth"]), names.index(cell["predicted"])): cell["galaxy_ids"] for cell in found}
    assert {cell: len(them) for cell, them in by_cell.items()} == {
        (i, j): confusion[i, j] for i in range(4) for j in range(4) if i != j and confusion[i, j]
    }
    for (true, said), them in by_cell.items():
        rows = [int(galaxy_id.removeprefix("galaxy-")) for galaxy_id in them]
        assert set(truth[rows]) == {true} and set(probabilities[rows].argmax(axis=1)) == {said}
        assert (np.diff(probabilities[rows].max(axis=1)) <= 0).all(), "the surest mistake first"
    few = confused_galaxies(probabilities, truth, names, ids, n_max=3)
    assert [cell["galaxy_ids"] for cell in few] == [cell["galaxy_ids"][:3] for cell in found]
    assert confused_galaxies(np.eye(4)[truth], truth, names, ids) == [], "no mistake, no cell"
    assert json.loads(json.dumps(few)) == few


def test_macro_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    ours = macro_f1(confusion_matrix(truth, predicted, 5))
    assert ours == pytest.approx(f1_score(truth, predicted, average="macro"))
