"""How a model learned and how far it can be relied on, as the Models page draws and says it: pure functions."""

from __future__ import annotations

import json

import numpy as np
from models_stand_ins import history_lines, vote_metrics

from pages.views import models_about, models_figures, models_numbers, models_reliability


def test_phases_best_pass_and_curves():
    phases = models_numbers.phases_of(tuple(json.loads(line) for line in history_lines()))
    assert list(phases) == ["heads", "whole"] and models_numbers.best_pass(phases["heads"]) == 4
    learned, how = models_numbers.curves_of(phases["heads"])
    assert {unit: [(c.name, c.training) for c in curves] for unit, curves in learned.items()} == {
        "loss": [("loss", False), ("loss", True)],
        "parts of the loss": [("class", False), ("class", True)],  # what is 0 all along is no curve
        "measures": [("accuracy", False)],
    }
    assert list(how) == ["learning rate", "images per second"]
    figure = models_figures.curves_figure(learned, 4, "t", dark=True, n_rows=5)
    assert [trace.line.dash for trace in figure.data[:5]] == ["solid", "dash", "solid", "dash", "solid"]
    legend = {trace.name: trace.line.dash for trace in figure.data[5:]}
    assert legend == {"validation": "solid", "training": "dash"} and figure.layout.showlegend
    assert figure.layout.xaxis.dtick == 1 and figure.layout.height == 150 + 5 * models_figures.ROW_PX
    pace = models_figures.curves_figure(how, 4, "t", dark=True, from_zero=True)
    assert {pace.layout.yaxis.type, pace.layout.yaxis2.type} == {"linear"}, "a rate that falls to 1e-8 is nothing"
    assert pace.layout.yaxis.rangemode == "tozero" and not pace.layout.showlegend and len(pace.data) == 2
    assert figure.layout.yaxis.type == "log" and {shape.x0 for shape in figure.layout.shapes} == {4}
    again = [*phases["heads"], *phases["heads"][:2]]
    assert len(models_numbers.phases_of(tuple(again))["heads"]) == 2, "of a phase trained anew, the last run"
    assert models_numbers.phases_of(({"phase": "a"}, {"epoch": "x"})) == {}
    assert models_numbers.best_pass([{"epoch": 0}]) is None


def test_an_axis_is_linear_where_a_value_is_not_positive():
    curves = [models_figures.Curve("loss", np.arange(3), np.array([1.0, -1.0, 0.5]))]
    assert models_figures.curves_figure({"loss": curves}, None, "t", dark=False).layout.yaxis.type == "linear"


def test_one_pass_tells_training_from_validation():
    curves = [models_figures.Curve("loss", np.array([1]), np.array([value]), value > 1) for value in (0.5, 2.0)]
    figure = models_figures.curves_figure({"loss": curves}, 1, "t", dark=False)
    seen = [(trace.mode, trace.marker.symbol) for trace in figure.data]
    assert seen == 2 * [("lines+markers", "circle"), ("lines+markers", "circle-open")], "the legend, too"


def test_reliability_has_counts_and_the_diagonal():
    curves = models_reliability.reliability_curves(vote_metrics()["votes"])
    expected, observed, n, error = curves["something-odd"]
    figure = models_figures.reliability_figure(expected, observed, n, "t", dark=True)
    diagonal, measured, bars = figure.data
    assert list(diagonal.x) == list(diagonal.y) == [0, 100] and error == 0.011
    assert list(measured.x) == [5.0, 90.0] and list(measured.y) == [4.0, 95.0] and list(bars.y) == [40, 0, 10]


def test_commands_name_every_run():
    about = {
        "recipe": "r",
        "catalogs": ["folder:my galaxies"],
        "then": [{"recipe": "r", "catalogs": [], "phases": ["b"]}],
    }
    first, second = models_about.commands_of(about)
    assert first == "python scripts/train.py r 'folder:my galaxies'"
    assert second == "python scripts/train.py r --phases b --start-from MODEL"
    begun = {"recipe": "r", "catalogs": [], "started_from": {"model": "resnet", "folder": "moco"}}
    assert models_about.commands_of(begun) == ["python scripts/train.py r --start-from artifacts/models/moco"]
    del begun["started_from"]["folder"]  # a network's name is no folder
    assert models_about.commands_of(begun) == ["python scripts/train.py r --start-from MODEL"]


def test_why_losses_of_votes_lie_apart_is_said_where_they_do():
    about = {"n_train": 100, "n_train_with_votes": 5, "training": {"vote_repeats": 6, "taught_by": ""}}
    assert "in training these come 6 times as often" in models_about.apart_sentence(about)
    taught = about | {"training": {"vote_repeats": 6, "taught_by": "vote_regressor"}}
    assert "in training another model tells the votes of all others, too" in models_about.apart_sentence(taught)
    for alike in ({"training": {"vote_repeats": 1}}, {"n_train_with_votes": 100}, {"n_train": None}, {"training": 3}):
        assert models_about.apart_sentence(about | alike) == ""
