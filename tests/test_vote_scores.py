"""How right votes are where there is nothing to compare them with."""

from __future__ import annotations

import json

import numpy as np
import pytest
from test_morphology_net import SMALL, net

from galaxy_core.catalogs import read_catalog
from galaxy_core.models import save_model
from galaxy_core.recipes.vote_regressor import evaluate
from galaxy_core.recipes.vote_scores import mean_errors, vote_errors
from galaxy_core.splits import TEST, TRAIN, split_of


@pytest.fixture
def folder(tmp_path):
    return save_model(tmp_path / "m", net(0, SMALL))


def scores_of(folder, splits: list[str]) -> dict:
    """Scores of votes on simulated galaxies of these splits."""
    keys = {split_of(str(number)): str(number) for number in range(100)}
    made = read_catalog(f"synthetic:{len(splits)}")
    made.table["split_group"] = [keys[split] for split in splits]
    return evaluate(folder, made)["votes"]


def test_without_training_galaxies_there_is_no_mean_galaxy(folder):
    votes = scores_of(folder, [TEST] * 8)
    assert votes["training_mean"] is None and votes["asked_training_mean"] is None
    assert votes["model"]["rmse_below_training_mean"] is None and votes["model"]["rmse"] > 0
    json.dumps(votes, allow_nan=False)
    votes = scores_of(folder, [TEST] * 4 + [TRAIN] * 4)
    below = 1 - votes["model"]["rmse"] / votes["training_mean"]["rmse"]
    assert votes["model"]["rmse_below_training_mean"] == pytest.approx(below) and votes["asked_training_mean"]


def test_the_mean_galaxy_is_judged_in_the_columns_it_knows():
    observed = np.array([[0.2, 0.5], [0.4, 0.7]])
    training = np.array([[0.1, np.nan], [0.3, np.nan]])
    assert mean_errors(training, observed, 0) == vote_errors(np.array([[0.2, np.nan]] * 2), observed, 0)
    assert mean_errors(training[:0], observed, 0) is None
    assert mean_errors(training, np.array([[np.nan, 0.5]]), 0) is None, "nothing is known of the same column"
