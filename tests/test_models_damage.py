"""The Models page with numbers that are none in its files, and the commands and sentences it then shows."""

from __future__ import annotations

import json

import pytest
from models_stand_ins import vote_metrics, write_model

from galaxy_core import embedding
from galaxy_core.published_lookups import four_class_accuracy
from pages.views import commands, models_numbers, models_panels
from tests.test_models_page import PAGE, table, text_of

HUGE = 10**400  # JSON has it, no float does


@pytest.fixture(autouse=True)
def no_shipped_model(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", tmp_path_factory.mktemp("none"))


def all_huge(value: object) -> object:
    """The same with every number huge."""
    if isinstance(value, dict):
        return {key: all_huge(one) for key, one in value.items()}
    if isinstance(value, list):
        return [all_huge(one) for one in value]
    return HUGE if isinstance(value, int | float) else value


@pytest.mark.parametrize("file", ["config.json", "metrics.json", "history.jsonl"])
def test_whole_numbers_that_no_float_holds_are_left_out(open_app, tmp_path, file):
    path = write_model(tmp_path) / file
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("\n".join(json.dumps(all_huge(line)) for line in lines) + "\n")
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error and "Model card" in [element.value for element in app.subheader]
    assert "000000" not in text_of(app)


def test_huge_numbers_have_no_published_counterpart():
    names = ["round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral"]
    assert four_class_accuracy({"classes": {"class_names": names, "confusion": [[HUGE] * 5] * 5}}) is None
    assert models_panels.reliability_curves(all_huge(vote_metrics()["votes"])) == {}


@pytest.mark.parametrize("odd", [None, float("nan"), 3])
def test_what_is_not_known_is_left_out_of_sentences(open_app, tmp_path, odd):
    votes = vote_metrics()["votes"] | {"form": odd}
    redrawn = {"model": {"rmse": 0.1}, "pca": {"rmse": 0.1}, "code_size": odd, "n_components": odd}
    folder = write_model(tmp_path, votes=votes, definitions={"rmse": odd}, catalog=odd, reconstruction=redrawn)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model": odd}))
    app = open_app(tmp_path, PAGE)
    app.selectbox(key="models-cell-vote_regressor").set_value((0, 2)).run()
    assert not app.exception and "On 60 test galaxies with votes." in text_of(app)
    assert "measured on an unnamed catalog. Their ids" in text_of(app)
    assert not {"None", "nan"} & set(text_of(app).replace(".", " ").split())
    if odd != 3:
        assert table(app, "redrawn from")["redrawn from"].tolist() == ["its code", "principal components"]


@pytest.mark.parametrize("bounds", [[True, float("nan")], [0.9, float("nan")], [False, True], [0.9, HUGE], [0.9], None])
def test_an_interval_has_two_numbers(bounds):
    assert models_numbers.interval({"accuracy_interval": bounds}, "accuracy_interval") == ""


@pytest.mark.parametrize("network", ["morphology_net", "morphology_ensemble"])
def test_the_command_that_measures_can_be_run_as_it_stands(open_app, tmp_path, network):
    folder = write_model(tmp_path / "my root", "my model")
    (folder / "config.json").write_text(json.dumps({"model": network}))
    (folder / "metrics.json").unlink()
    app = open_app(tmp_path / "my root", PAGE)
    command = f"scripts/evaluate.py vote_regressor LAYOUT:PATH --model '{folder}' --json '{folder}/metrics.json'`"
    assert command in app.info[0].value


def test_commands_name_a_recipe_or_leave_it_to_the_reader(tmp_path):
    assert " RECIPE LAYOUT:PATH " in commands.measure("my model", tmp_path)
    assert " cae LAYOUT:PATH " in commands.measure("autoencoder", tmp_path)
    assert " segmenter --frames FRAMES --model " in commands.measure("segmenter", tmp_path)
    assert commands.train("cae", tmp_path / "a b").endswith(f" cae LAYOUT:PATH --artifacts '{tmp_path}/a b'")


def test_without_a_model_or_results_folders_with_spaces_are_quoted(open_app, tmp_path):
    app = open_app(tmp_path / "my root", PAGE)
    assert f"--artifacts '{tmp_path}/my root'`" in app.error[0].value
    write_model(tmp_path / "my root")
    app = open_app(tmp_path / "my root", PAGE)
    assert f"--json '{tmp_path}/my root/models/few_labels.json'`" in text_of(app)
