"""The Models page with files that are missing, broken, cut, of other weights, or hold numbers that are none."""

from __future__ import annotations

import json
from shlex import quote

import pytest
from models_stand_ins import (
    PAGE,
    charts,
    every_section,
    headings,
    history_lines,
    section,
    table,
    text_of,
    vote_metrics,
    write_model,
)

from galaxy_core import embedding
from galaxy_core.published_lookups import four_class_accuracy
from pages.views import commands, models_mistakes, models_numbers, models_reliability, readers

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
    assert not app.error and "000000" not in every_section(app)


def test_huge_numbers_have_no_published_counterpart():
    names = ["round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral"]
    assert four_class_accuracy({"classes": {"class_names": names, "confusion": [[HUGE] * 5] * 5}}) is None
    assert models_reliability.reliability_curves(all_huge(vote_metrics()["votes"])) == {}


@pytest.mark.parametrize("odd", [None, float("nan"), 3])
def test_what_is_not_known_is_left_out_of_sentences(open_app, tmp_path, odd):
    votes = vote_metrics()["votes"] | {"form": odd}
    redrawn = {"model": {"rmse": 0.1}, "pca": {"rmse": 0.1}, "code_size": odd, "n_components": odd}
    folder = write_model(tmp_path, votes=votes, definitions={"rmse": odd}, catalog=odd, reconstruction=redrawn)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model": odd}))
    app = section(open_app(tmp_path, PAGE), "fails")
    app.selectbox(key="models-cell-vote_regressor").set_value((0, 2)).run()
    assert "measured on an unnamed catalog. Their ids" in text_of(app)
    said = every_section(app)
    assert "On 60 test galaxies with votes." in said and not {"None", "nan"} & set(said.replace(".", " ").split())
    section(app, "numbers")
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
    app = section(open_app(tmp_path / "my root", PAGE), "labels")
    assert f"--json '{tmp_path}/my root/models/few_labels.json'`" in text_of(app)


def test_without_a_model_one_sentence_with_the_command(open_app, tmp_path):
    app = open_app(tmp_path, PAGE)
    assert not app.exception and len(app.error) == 1
    command = f"python scripts/train.py contrastive_denoiser LAYOUT:PATH --artifacts {quote(str(tmp_path))}"
    assert command in app.error[0].value


@pytest.mark.parametrize("file", ["config.json", "metrics.json"])
@pytest.mark.parametrize("content", ["{", "[]", '"text"', "\ufeff", "[" * 5000, b"\xff\xfe\x00"])
def test_a_corrupt_file_is_named_and_the_rest_is_shown(open_app, tmp_path, file, content):
    folder = write_model(tmp_path)
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    app = open_app(tmp_path, PAGE)
    assert not app.exception and len(app.error) == 1
    assert file in text_of(app) and "\n" not in app.error[0].value
    said = every_section(app)
    assert "How it learned" in said and "What volunteers would say." in said
    assert ("All its numbers" in headings(section(app, "numbers"))) == (file != "metrics.json")


def test_weights_that_are_damaged_or_gone(open_app, tmp_path):
    folder = write_model(tmp_path)
    (folder / "weights.safetensors").write_bytes(b"other")
    app = open_app(tmp_path, PAGE)
    assert len(app.error) == 1 and "weights.safetensors is damaged" in text_of(app)
    for file in ("weights.safetensors", "card.md", "history.jsonl", "metrics.json"):
        (folder / file).unlink()
        app.run()
        assert not app.exception and not app.error
    said = every_section(app)
    assert "There is no weights.safetensors in " in said
    for nothing in (models_mistakes.NOTHING, "no numbers of this model", "no `history.jsonl`", "has no card"):
        assert nothing in said, "an empty section says so"
    assert "scripts/evaluate.py vote_regressor" in app.info[0].value
    (folder / "config.json").unlink()
    app.run()
    assert not app.exception and len(app.error) == 1, "then there is no model"


def test_a_history_cut_in_the_middle_of_a_line(open_app, tmp_path):
    folder = write_model(tmp_path)
    lines = history_lines()
    (folder / "history.jsonl").write_text("\n".join(lines)[:-40])
    app = section(open_app(tmp_path, PAGE), "learned")
    assert len(app.error) == 1 and "history.jsonl ends in the middle of line 12" in text_of(app)
    app.button_group(key="models-phase-vote_regressor").set_value("whole").run()
    assert "5 passes in 12.5 seconds" in text_of(app)
    (folder / "history.jsonl").write_text("\n".join([lines[0], "{", "3", *lines[1:]]) + "\n")
    app.run()
    assert len(app.error) == 1 and "2 lines, the first is line 2" in app.error[0].value and len(charts(app)) >= 2


def test_metrics_of_other_weights_are_flagged_and_not_ours(open_app, tmp_path):
    folder = write_model(tmp_path, weights_sha256="0" * 64)
    app = open_app(tmp_path, PAGE)
    assert "measured on other weights" in app.warning[0].value.replace("\\", "")
    assert "This card was written of other weights" in section(app, "card").warning[1].value
    assert readers.model_card(tmp_path, "vote_regressor") == ""
    section(app, "published")
    assert set(table(app, "theirs measured on")["ours"]) == {""}
    metrics = vote_metrics()
    (folder / "metrics.json").write_text(json.dumps(metrics))
    app.run()
    assert len(app.warning) == 1 and "does not say on which weights" in app.warning[0].value.replace("\\", "")
    assert readers.model_card(tmp_path, "vote_regressor") == (folder / "card.md").read_text() != ""


@pytest.mark.parametrize("odd", [3, [], "x", None, {"a": [1]}, {"form": 3, "model": [], "reliability": {"bar": 3}}])
def test_metrics_of_another_form_leave_panels_out(open_app, tmp_path, odd):
    write_model(
        tmp_path, classes=odd, votes=odd, denoising=odd, embedding=odd, definitions=odd, n_test="many", catalog=7
    )
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error and "Reliability" not in headings(app)
    every_section(app)
    section(app, "published")
    assert set(table(app, "theirs measured on")["ours"]) == {""}


def test_an_odd_configuration(open_app, tmp_path):
    folder = write_model(tmp_path)
    for odd in ({"about": {"catalogs": 3, "then": 4, "recipe": [], "training": "x"}, "model": None}, {"about": []}):
        (folder / "config.json").write_text(json.dumps(odd))
        app = open_app(tmp_path, PAGE)
        every_section(app)
        assert not app.error
