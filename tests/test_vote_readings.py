"""Votes as they were cast beside debiased ones: both are learned, told and judged, each as what it is."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import torch

from galaxy_core.catalogs import read_catalog
from galaxy_core.galaxy_zoo import read_column
from galaxy_core.models import load_model
from galaxy_core.models.morphology import MorphologyConfig, set_reading
from galaxy_core.morphology import classify_rows
from galaxy_core.recipes.vote_regressor import Config, evaluate, table_lines, train
from galaxy_core.recipes.vote_scores import vote_errors
from galaxy_core.splits import TEST, split_of
from galaxy_core.training import FitConfig
from galaxy_core.vote_forms import hart_columns
from galaxy_core.vote_intervals import answered_share, conditional_intervals, expected_asked
from galaxy_core.vote_labels import read_labels
from galaxy_core.vote_tree import QUESTION_OF, place_of, question_sums

SMALL = Config(
    model=MorphologyConfig((8, 16, 16), (1, 1, 1), 8, 8, 32, 32, 0.1),
    whole=FitConfig(16, 32, 1e-2, warmup_steps=10, average_decay=0.9, patience_epochs=99),
)


def with_debiased(catalog):
    """The catalog as Galaxy Zoo 2 states it: votes as cast, and debiased ones, here their squares made whole again."""
    cast = read_labels(catalog)[0].conditional
    debiased = cast**2 / question_sums(cast**2)[:, QUESTION_OF]
    table = catalog.table.drop(columns=list(catalog.answer_columns)).assign(total_classifications=40)
    for name in hart_columns("weighted_fraction"):
        table[name] = cast[:, place_of(read_column(name))]
        table[name.replace("weighted_fraction", "debiased")] = debiased[:, place_of(read_column(name))]
    return dataclasses.replace(catalog, table=table, answer_columns=tuple(hart_columns()))


def drawn_once(source):
    made = read_catalog(source)
    return dataclasses.replace(made, load_image=functools.cache(made.load_image))


@pytest.fixture(scope="module")
def catalog():
    made = drawn_once("synthetic:240")
    return dataclasses.replace(made, table=made.table.drop(columns="class"))


@pytest.fixture(scope="module")
def judged():
    """Galaxies that the model did not learn from."""
    return drawn_once("synthetic:300@2")


@pytest.fixture(scope="module")
def folder(catalog, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readings") / "m"
    train([with_debiased(catalog)], folder, SMALL)
    return folder


def test_debiased_votes_are_judged_by_who_was_asked_as_cast(folder, judged):
    table = with_debiased(judged)
    columns = [c for c in table.table if c.endswith(("_weighted_fraction", "_debiased"))]
    table = dataclasses.replace(table, table=table.table.assign(**table.table[columns].fillna(0)))  # as it is released
    rows = np.flatnonzero([split_of(str(key)) == TEST for key in table.split_keys])
    model, said = load_model(folder), {}
    for reading in ("cast", "debiased"):
        set_reading(model, reading)
        made = classify_rows(model, table, rows)[0]
        said[reading] = made.concentrations
    asked, other = (expected_asked(said[name]) for name in ("cast", "debiased"))
    assert np.abs(asked - other).max() > 1, "or the next line tells nothing"
    np.testing.assert_allclose(made.conditional.low, conditional_intervals(said["debiased"], asked).low, rtol=1e-5)
    labels = read_labels(table)[0]
    assert (question_sums(labels.released) == 0).any()
    errors = {
        name: vote_errors(answered_share(said["debiased"], as_cast=cast), labels.released[rows].astype(float), 0)
        for name, cast in (("as cast", said["cast"]), ("debiased", None))
    }
    scores = evaluate(folder, table)["votes"]
    assert scores["model"]["rmse"] == pytest.approx(errors["as cast"]["rmse"], rel=1e-5)
    assert abs(errors["as cast"]["rmse"] - errors["debiased"]["rmse"]) > 1e-4, "or this test tells nothing"


def test_both_forms_of_votes_are_learned_and_judged(folder, judged):
    model = load_model(folder)
    assert set(model.heads) == {"votes", "debiased"} and model.config.debiased
    assert not torch.equal(model.debiased_factors, torch.ones(11))
    record = json.loads((folder / "history.jsonl").read_text().splitlines()[-1])
    assert record["count"] > 0 and record["debiased_cumulative"] > 0 and "debiased_rmse" in record["validation"]
    scores = evaluate(folder, with_debiased(judged))
    assert scores["votes"]["reading"] == "debiased" and scores["votes_as_cast"]["reading"] == "cast"
    assert scores["votes"]["rmse_of_readings_on_training"] is None, "the table says what it states"
    for part in (scores["votes"], scores["votes_as_cast"]):
        assert part["asked_model"]["rmse"] < part["asked_training_mean"]["rmse"]
    assert "noise_floor" not in scores["votes"], "debiased votes were not counted"
    cast = scores["votes_as_cast"]
    for part in ("", "asked_"):
        floor, own = cast[f"{part}noise_floor"], cast[f"{part}model"]
        assert 0 < floor["rmse"] < own["rmse"] and floor["r2"] > own["r2"]
        assert floor["rmse_interval"][0] <= floor["rmse"] <= floor["rmse_interval"][1]
    assert cast["noise_floor"]["rmse"] <= cast["asked_noise_floor"]["rmse"], "where nobody was asked it is none"
    assert 0.5 < cast["noise_variance_of_votes"] < 2
    unknown = evaluate(folder, judged)["votes"]
    tried = unknown["rmse_of_readings_on_training"]
    assert set(tried) == {"challenge", "cast", "debiased"}
    assert unknown["reading"] == min(tried, key=tried.get)
    text = "\n".join(table_lines(scores | {"catalog": "x"}))
    assert "read as debiased" in text and "read as cast" in text and text.count("noise floor  ") == 2
    assert text.count("noise variance that the votes show by themselves") == 1
