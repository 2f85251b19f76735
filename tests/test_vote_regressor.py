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
from galaxy_core.models.resnet import ResNetConfig
from galaxy_core.models.segmenter import SegmenterConfig
from galaxy_core.recipes import find_recipe
from galaxy_core.recipes.options import with_options
from galaxy_core.recipes.vote_regressor import Config, evaluate, table_lines, train
from galaxy_core.recipes.vote_regressor_scores import (
    confused_galaxies,
    confusion_matrix,
    macro_f1,
    score_classes,
)
from galaxy_core.recipes.vote_regressor_start import labels_by_form, starting_model
from galaxy_core.recipes.vote_regressor_steps import (
    Lessons,
    balanced_rows,
    class_weights,
    morphology_losses,
    shrink,
    training_views,
)
from galaxy_core.recipes.vote_scores import vote_errors
from galaxy_core.splits import split_of
from galaxy_core.stamps import colours, make_stamps
from galaxy_core.training import FitConfig
from galaxy_core.vote_labels import read_labels

NAMES = ("round_smooth", "in_between_smooth", "edge_on", "spiral")
SMALL = Config(
    model=MorphologyConfig((8, 16, 16), (1, 1, 1), 8, 8, 32, 32, 0.1, True, NAMES),
    heads=FitConfig(1, 32, 5e-3, warmup_steps=5),
    whole=FitConfig(10, 32, 1e-2, warmup_steps=10, average_decay=0.9),
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
    classes, _ = labels_by_form(catalogs[1:], SMALL)
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


def test_configuration_as_text():
    config = with_options(Config(), ["whole.epochs=3", "model.class_names=a, b", "balance=0", "model.votes=False"])
    assert config.whole.epochs == 3 and config.model.class_names == ("a", "b") and config.balance == 0.0
    assert config.model.votes is False and config.heads == Config().heads
    assert with_options(Config(), ["model.encoder_widths=8,16"]).model.encoder_widths == (8, 16)
    for wrong in ("epochs=3", "whole=3", "whole.epochs=many", "whole.epochs", "balance.x=1", "model.votes=perhaps"):
        with pytest.raises(ModelError):
            with_options(Config(), [wrong])


@pytest.mark.parametrize(
    "option",
    [
        "seed=-1",
        "seed=4294967296",
        "whole.epochs=0",
        "whole.batch_size=-4",
        "whole.learning_rate=-1",
        "whole.gradient_clip=inf",
        "balance=nan",
        "model.input_px=0",
        "model.encoder_widths=8,0",
        "n_validation_max=0",
        "balance=50",
        "label_smoothing=5",
        "exact_share=2",
        "model.dropout=1.5",
        "views.noise_probability=2",
        "views.scale_min=0",
    ],
)
def test_numbers_out_of_range_are_one_sentence(option):
    with pytest.raises(ModelError, match=f"'{option}' is out of range"):
        with_options(Config(), [option])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_cannot_be_flagged_is_said_before_the_training(catalogs, tmp_path, share):
    with pytest.raises(ModelError, match="set flagged_share between 0 and 1"):
        train(catalogs, tmp_path / "m", dataclasses.replace(BRIEF, flagged_share=share))
    assert not (tmp_path / "m").exists()


def test_zero_is_taken_where_it_means_none():
    none = ["seed=0", "balance=0", "class_weight=0", "plateau_epochs=0", "whole.warmup_steps=0", "whole.weight_decay=0"]
    config = with_options(Config(), [*none, "classes_beside_votes=false"])
    assert config.plateau_epochs == config.whole.warmup_steps == 0 and not config.classes_beside_votes
    assert with_options(ResNetConfig(projection_size=8), ["projection_size=0"]).projection_size == 0
    assert with_options(SegmenterConfig(), ["filters=0"]).filters == 0


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


@pytest.mark.parametrize(("side", "size"), [(16, 8), (16, 4), (16, 16), (18, 8), (12, 4), (7, 3)])
def test_stamps_are_shrunk_to_means_over_pixels(side, size):
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    expected = torch.nn.functional.interpolate(images, size=size, mode="area")
    torch.testing.assert_close(shrink(images, size), expected, rtol=0, atol=1e-6)
    assert torch.equal(images, before)
