"""Which model the Morphology page asks: none, several, damaged ones; and what is said of how it was measured."""

from __future__ import annotations

import json

import pytest

from galaxy_core.models import save_model
from pages.views import morphology_words
from tests.morphology_uploads import PAGE, choose, finished, html_of, png_bytes, small_net, text_of


@pytest.fixture(autouse=True)
def no_shipped_model(monkeypatch, tmp_path_factory):
    monkeypatch.setattr("galaxy_core.embedding._REPOSITORY_MODELS", tmp_path_factory.mktemp("none"))


@pytest.fixture
def model_root(broken_root):
    """Artifacts with the catalog ``tiny`` and a small untrained model."""
    save_model(broken_root / "models" / "vote_regressor", small_net())
    return broken_root


def test_without_a_model_the_command_that_trains_one(open_app, broken_root):
    app = open_app(broken_root, PAGE)
    assert not app.exception and len(app.error) == 1 and not app.get("file_uploader")
    (error,) = app.error
    assert "python scripts/train.py vote_regressor" in error.value and "\n" not in error.value
    assert "--start-from artifacts/models/contrastive_denoiser" in error.value


@pytest.mark.parametrize("file", ["weights.safetensors", "config.json"])
def test_a_corrupt_model_is_one_sentence(open_app, model_root, file):
    path = model_root / "models" / "vote_regressor" / file
    path.write_bytes(path.read_bytes()[:-10])
    app = open_app(model_root, PAGE)
    assert not app.exception and not app.error, "nothing is asked of it yet"
    app.get("file_uploader")[0].set_value([("a.png", png_bytes(), "image/png"), ("b.png", png_bytes(2), "")]).run()
    assert not app.exception and len(app.error) == 1 and file in text_of(app) and "\n" not in app.error[0].value
    save_model(model_root / "models" / "vote_regressor", small_net())
    assert finished(app.run()).subheader and not app.error, "a model that is mended is found"


@pytest.mark.parametrize(("missing", "kept"), [("class_names", "Of 40 volunteers"), ("votes", "What changes")])
def test_a_model_of_votes_or_of_classes_alone(open_app, tmp_path, missing, kept):
    changes = {"class_names": ()} if missing == "class_names" else {"votes": False}
    save_model(tmp_path / "models" / "other", small_net(**changes))
    app = choose(open_app(tmp_path, PAGE), "Example")
    assert not app.error and kept in text_of(app)
    assert ("question-tree" in html_of(app)) == (missing == "class_names")
    assert ("edge-on disk, no bulge" in html_of(app)) == (missing == "class_names")


def test_several_models_are_a_choice(open_app, model_root):
    save_model(model_root / "models" / "second", small_net(1))
    (model_root / "models" / "broken").mkdir()
    (model_root / "models" / "broken" / "config.json").write_text("{")
    app = choose(open_app(model_root, PAGE), "Example")
    before = app.subheader[0].value
    assert app.selectbox(key="morphology-model").options == ["vote_regressor", "second"]
    finished(app.selectbox(key="morphology-model").set_value("second").run())
    assert not app.error and app.subheader[0].value != before


def test_a_model_without_weights_is_not_offered(open_app, tmp_path):
    for name in ("another", "good"):
        save_model(tmp_path / "models" / name, small_net())
    (tmp_path / "models" / "another" / "weights.safetensors").unlink()
    app = choose(open_app(tmp_path, PAGE), "Example")
    assert not app.error and app.subheader and "morphology-model" not in {box.key for box in app.selectbox}


def test_files_nested_too_deep_and_numbers_too_large_are_as_good_as_missing(open_app, model_root):
    folder = model_root / "models" / "vote_regressor"
    (model_root / "models" / "deep").mkdir()
    (model_root / "models" / "deep" / "config.json").write_text("[" * 100_000)
    weights = json.loads((folder / "config.json").read_text())["weights_sha256"]
    metrics = {"weights_sha256": weights, "n_test": 10**400, "classes": {"accuracy": 10**400, "macro_f1": 0.5}}
    app = choose(open_app(model_root, PAGE), "Example")
    for written, said in (
        ("[" * 100_000, "It was not measured yet"),
        (json.dumps(metrics), "Class: macro-F1 0.500 on gal"),
    ):
        (folder / "metrics.json").write_text(written)
        app.run()
        assert not app.exception and said in text_of(app)


def test_the_command_that_measures_can_be_run_as_it_stands(open_app, tmp_path):
    save_model(tmp_path / "my root" / "models" / "other", small_net())
    app = choose(open_app(tmp_path / "my root", PAGE), "Example")
    folder = tmp_path / "my root" / "models" / "other"
    command = f"scripts/evaluate.py vote_regressor LAYOUT:PATH --model '{folder}' --json '{folder}/metrics.json'`"
    assert command in text_of(app)


def test_measured_on_these_weights_or_not_said(open_app, model_root):
    folder = model_root / "models" / "vote_regressor"
    weights = json.loads((folder / "config.json").read_text())["weights_sha256"]
    metrics = {"catalog": "gz2:gz2", "n_test": 70, "classes": {"accuracy": 0.951, "accuracy_interval": [0.9, 0.97]}}
    (folder / "metrics.json").write_text(json.dumps(metrics | {"weights_sha256": weights}))
    app = choose(open_app(model_root, PAGE), "Example")
    said = "Class: 95.1 % right (90.0 to 97.0) on 70 galaxies of gz2:gz2 that were not trained on."
    assert said in text_of(app)
    for other in (json.dumps(metrics | {"weights_sha256": "0" * 64}), "[]", "{", '{"classes": [], "votes": 3}'):
        (folder / "metrics.json").write_text(other)
        app.run()
        assert not app.exception and "It was not measured yet" in text_of(app)
    votes = {"coverage_90": {"conditional": {"all": 0.891}}}
    said = "the 90 % intervals held 89 % of what those asked said"
    assert said in morphology_words.measured_sentences({"votes": votes})[0]
    votes = {"model": {"rmse": 0.2}, "training_mean": 3, "noise_floor": [], "coverage_90": {"conditional": 1}}
    (folder / "metrics.json").write_text(json.dumps({"weights_sha256": weights, "votes": votes}))
    app.run()
    assert not app.exception and "Votes: root mean square error 0.200 on galaxies of" in text_of(app)
