"""The recipe end to end on simulated galaxies: learns votes and classes, resumes, is judged on what it never saw."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_core.augment import ViewConfig
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.models import load_model, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet
from galaxy_core.recipes import find_recipe
from galaxy_core.recipes.stamp_views import shrink, training_views
from galaxy_core.recipes.vote_regressor import Config, evaluate, table_lines, train
from galaxy_core.recipes.vote_regressor_start import labels_by_form, starting_model
from galaxy_core.recipes.vote_regressor_steps import (
    Lessons,
    balanced_rows,
    class_weights,
    morphology_losses,
)
from galaxy_core.splits import split_of
from galaxy_core.stamps import colours, make_stamps
from galaxy_core.training import FitConfig
from galaxy_core.vote_labels import read_labels

NAMES = ("round_smooth", "in_between_smooth", "edge_on", "spiral")
SMALL = Config(
    model=MorphologyConfig((8, 16, 16), (1, 1, 1), 8, 8, 32, 32, 0.1, True, NAMES),
    heads=FitConfig(1, 32, 5e-3, warmup_steps=5),
    whole=FitConfig(10, 32, 5e-3, warmup_steps=10, average_decay=0.9),
)
BRIEF = dataclasses.replace(SMALL, whole=FitConfig(2, 32, 5e-3))


class Killed(Exception):
    """Stands in for a kill between two steps."""


def without(catalog, *columns):
    """The catalog without its votes, its classes, or both."""
    changes = {"table": catalog.table.drop(columns=[c for c in columns if c == "class"], errors="ignore")}
    if "votes" in columns:
        changes |= {"answer_columns": (), "answer_kind": ""}
    return dataclasses.replace(catalog, **changes)


@pytest.fixture(scope="module")
def catalogs():
    """Some with votes alone, some with classes alone; each galaxy is rendered once."""
    made = [without(read_catalog("synthetic:240"), "class"), without(read_catalog("synthetic:100@1"), "votes")]
    return [dataclasses.replace(catalog, load_image=functools.cache(catalog.load_image)) for catalog in made]


@pytest.fixture(scope="module")
def trained(catalogs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "vote_regressor"
    train(catalogs, folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory) -> Path:
    torch.manual_seed(3)
    config = ContrastiveDenoiserConfig((8, 8), 1, (8, 16, 16), (1, 1, 1), 8, 8)
    return save_model(tmp_path_factory.mktemp("models") / "denoiser", ContrastiveDenoiser(config))


def test_it_beats_the_mean_galaxy_and_the_largest_class(trained):
    scores = evaluate(trained, read_catalog("synthetic:300@2"))
    votes, classes = scores["votes"], scores["classes"]
    assert votes["model"]["rmse"] < 0.95 * votes["training_mean"]["rmse"]
    assert votes["model"]["r2_by_column"] > 0.1 > abs(votes["training_mean"]["r2_by_column"])
    assert classes["accuracy"] > classes["largest_class_share"]
    assert 0.75 < votes["coverage_90"]["conditional"]["all"] <= 1
    assert sum(map(sum, classes["confusion"])) == classes["n_test"] <= scores["n_test"] < 60
    wrong = sum(map(sum, classes["confusion"])) - sum(row[k] for k, row in enumerate(classes["confusion"]))
    named = [galaxy_id for cell in classes["confused"] for galaxy_id in cell["galaxy_ids"]]
    assert len(named) == len(set(named)) == wrong and all(split_of(galaxy_id) == "test" for galaxy_id in named)
    json.dumps(scores, allow_nan=False)
    text = "\n".join(table_lines(scores | {"catalog": "synthetic:300@2"}))
    assert "training mean" in text and "spiral-arm-count" in text and "largest class" in text


def test_a_trained_folder_says_what_it_was_made_of(trained):
    about = json.loads((trained / "config.json").read_text())["about"]
    assert about["recipe"] == "vote_regressor" and about["n_train_with_class"] < about["n_train"]
    assert 0 < about["n_train_with_votes"] < about["n_train"]
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert {line["phase"] for line in history} == {"whole"} and "cumulative_rmse" in history[0]["validation"]
    assert not (trained / ".state").exists()
    model = load_model(trained)
    assert model.config.class_names == NAMES and not torch.equal(model.strength_factors, torch.ones(11))


def test_a_killed_training_resumes_to_the_same_weights(catalogs, denoiser, tmp_path):
    train(catalogs, tmp_path / "whole", BRIEF, start_from=denoiser)
    folder = tmp_path / "killed"
    for where in (("heads", 3), ("whole", 2), ("whole", 12)):

        def report(phase, step, n_steps, losses, where=where):
            if (phase, step) == where:
                raise Killed

        with pytest.raises(Killed):
            train(catalogs, folder, BRIEF, report=report, start_from=denoiser)
    train(catalogs, folder, BRIEF, start_from=denoiser)
    whole, resumed = (load_model(path).state_dict() for path in (tmp_path / "whole", folder))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    phases = [json.loads(line)["phase"] for line in (folder / "history.jsonl").read_text().splitlines()]
    assert phases == ["heads", "whole", "whole"]


def test_the_encoder_is_taken_over(catalogs, denoiser, trained):
    labels, _ = labels_by_form(catalogs, SMALL)
    model, old = starting_model(SMALL, labels, denoiser), load_model(denoiser)
    assert all(torch.equal(value, old.encoder.state_dict()[key]) for key, value in model.encoder.state_dict().items())
    again, first = starting_model(SMALL, labels, trained), load_model(trained)
    kept = [key for key in first.state_dict() if not key.startswith(("strength", "gauge"))]
    assert all(torch.equal(first.state_dict()[key], again.state_dict()[key]) for key in kept)
    fewer = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, class_names=("spiral",)))
    assert len(starting_model(fewer, labels_by_form(catalogs, fewer)[0], trained).heads["classes"][-1].bias) == 1


def test_a_morphology_net_is_no_beginning_of_a_denoiser(catalogs, trained, tmp_path):
    with pytest.raises(ModelError, match="start from a contrastive denoiser"):
        find_recipe("contrastive_denoiser").module().train(catalogs, tmp_path / "m", start_from=trained)


def test_only_what_has_labels_is_learned(catalogs, tmp_path):
    votes, _ = labels_by_form(catalogs[:1], SMALL)
    assert set(starting_model(SMALL, votes, None).heads) == {"votes"}
    classes, notes = labels_by_form(catalogs[1:], SMALL)
    assert not any("No galaxy" in note for note in notes)
    more = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, class_names=("sprial", *NAMES, "ring")))
    assert "No galaxy of these catalogs is of class sprial, ring" in labels_by_form(catalogs[1:], more)[1][-1]
    assert set(starting_model(SMALL, classes, None).heads) == {"classes"}
    model = train(catalogs[1:], tmp_path / "m", BRIEF)
    assert model.config.votes is False
    with pytest.raises(ModelError, match="No galaxy of these catalogs has votes"):
        labels_by_form([without(catalogs[0], "votes", "class")], SMALL)
    with pytest.raises(CatalogError, match="no labels for what this model tells"):
        evaluate(tmp_path / "m", catalogs[0])


def test_each_galaxy_counts_only_where_it_has_labels(catalogs):
    labels, _ = labels_by_form(catalogs, SMALL)
    model = MorphologyNet(SMALL.model).eval()
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    rows = np.array([0, 1, 2, 240, 241, 242])

    def parts(chosen):
        outputs = model.from_features(model.encoder.features(images[chosen]))
        made = morphology_losses(*outputs, Lessons(labels), rows[chosen], SMALL, None)
        return {name: value.item() for name, value in made.items()}

    whole, votes, classes = parts(np.arange(6)), parts(np.arange(3)), parts(np.arange(3, 6))
    assert votes["class"] == classes["cumulative"] == classes["conditional"] == classes["assumed_count"] == 0
    for name in whole:
        assert whole[name] == pytest.approx((votes[name] + classes[name]) / 2, rel=1e-4, abs=1e-6)
    counted = dataclasses.replace(labels["cast"], counted=np.ones_like(labels["cast"].counted))
    outputs = model.from_features(model.encoder.features(images))
    other = morphology_losses(*outputs, Lessons({"cast": counted}), rows, SMALL, None)
    assert other["count"].item() > 0 and other["cumulative"].item() == other["assumed_count"].item() == 0


def test_rare_classes_come_more_often_and_nobody_is_lost():
    labels, _ = read_labels(without(read_catalog("synthetic:200"), "votes"), NAMES)
    rows = np.flatnonzero(labels.classes >= 0)
    assert (balanced_rows(rows, labels, dataclasses.replace(SMALL, balance=0.0)) == rows).all()
    even = balanced_rows(rows, labels, dataclasses.replace(SMALL, balance=1.0))
    counts = np.bincount(labels.classes[even])
    assert counts.min() > 0.8 * counts.max() and set(even) == set(rows)
    weights = class_weights(np.array([0, 0, 0, 1, -1]), 3, 1.0)
    assert weights[1] == pytest.approx(3 * weights[0]) and weights[2] == 0
    assert (3 * weights[0] + weights[1]) / 4 == pytest.approx(1)


def test_votes_can_be_repeated(catalogs):
    labels = labels_by_form(catalogs, SMALL)[0]["cast"]
    rows = np.arange(len(labels.classes))
    often = balanced_rows(rows, labels, dataclasses.replace(SMALL, balance=0.0, vote_repeats=3))
    assert (np.bincount(often)[:240] == 3).all() and (np.bincount(often)[240:] == 1).all()


def test_some_views_are_exact():
    planes = torch.randint(0, 256, (8, 4, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = colours(planes)
    config = dataclasses.replace(SMALL, exact_share=0.5, views=ViewConfig())
    views = training_views(planes, config, 16, torch.Generator().manual_seed(1))
    for share in (0.0, 1.0):
        config = dataclasses.replace(config, exact_share=share)
        assert training_views(planes, config, 8, torch.Generator()).shape == (8, 3, 8, 8)
    sums = views.sum(dim=(1, 2, 3)) - images.sum(dim=(1, 2, 3))
    exact = sums.abs() < 1e-2  # nothing but turned: the same light
    assert exact.sum() == 4 and exact[:4].sum() < 4 and (sums[~exact].abs() > 0.1).all()
    assert views.shape == images.shape


def test_test_galaxies_are_never_read(catalogs, tmp_path, monkeypatch):
    import galaxy_core.stamps

    stamps = make_stamps(catalogs, 128, tmp_path)
    seen, original = set(), galaxy_core.stamps.Stamps.planes

    def planes(self, indices):
        seen.update(indices.tolist())
        return original(self, indices)

    monkeypatch.setattr(galaxy_core.stamps.Stamps, "planes", planes)
    monkeypatch.setattr(galaxy_core.stamps, "held_twins", lambda *_: np.array([], int))  # it looks at all to leave out
    train(catalogs, tmp_path / "m", dataclasses.replace(BRIEF, whole=FitConfig(1, 32, 1e-3)))
    assert seen and not seen & set(stamps.rows("test").tolist())


@pytest.mark.parametrize("phases", [["polish"], []])
def test_phases_that_do_not_exist(catalogs, tmp_path, phases):
    with pytest.raises(ModelError, match="choose among"):
        train(catalogs, tmp_path / "m", SMALL, phases=phases)


@pytest.mark.parametrize("phases", [["heads"], ["heads", "novelty"]])
def test_heads_alone_are_trained_on_a_model_that_exists(catalogs, tmp_path, phases):
    with pytest.raises(ModelError, match="--start-from"):
        train(catalogs, tmp_path / "m", SMALL, phases=phases)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_cannot_be_flagged_is_said_before_the_training(catalogs, tmp_path, share):
    with pytest.raises(ModelError, match="set flagged_share between 0 and 1"):
        train(catalogs, tmp_path / "m", dataclasses.replace(BRIEF, flagged_share=share))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(("side", "size"), [(16, 8), (16, 4), (16, 16), (18, 8), (12, 4), (7, 3)])
def test_stamps_are_shrunk_to_means_over_pixels(side, size):
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    expected = torch.nn.functional.interpolate(images, size=size, mode="area")
    torch.testing.assert_close(shrink(images, size), expected, rtol=0, atol=1e-6)
    assert torch.equal(images, before)
