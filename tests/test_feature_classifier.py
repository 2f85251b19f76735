"""The recipe end to end on simulated galaxies: classes of votes or of the catalog, resumed, judged, shown."""

import dataclasses
import functools
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from models_stand_ins import section

from galaxy_core import embedding
from galaxy_core.artifacts import write_json
from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import ImageSettings, embed_shards, load_embedder, shards_of
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.models import load_model, read_model_config, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.resnet import GalaxyResNet, ResNetConfig
from galaxy_core.recipes import moco, starting_weights
from galaxy_core.recipes.feature_classifier import Config, evaluate, table_lines, train
from galaxy_core.recipes.feature_classifier_labels import classes_to_learn, labels_of, own_classes
from galaxy_core.recipes.feature_classifier_scores import predict_rows
from galaxy_core.recipes.options import with_options
from galaxy_core.splits import split_of
from galaxy_core.training import FitConfig
from galaxy_core.vote_classes import EIGHT_CLASSES

NET = ResNetConfig(18, 8, 3, 2, False, embedding_size=64, input_px=32)
SMALL = Config(
    model=NET, whole=FitConfig(10, 32, 3e-3, warmup_steps=10, average_decay=0.9), imagenet=False, labels_from="catalog"
)
BRIEF = dataclasses.replace(SMALL, whole=FitConfig(2, 32, 5e-3))


class Killed(Exception):
    """Stands in for a kill between two steps."""


@pytest.fixture(scope="module")
def catalog():
    made = read_catalog("synthetic:240")
    return dataclasses.replace(made, load_image=functools.cache(made.load_image))


@pytest.fixture(scope="module")
def trained(catalog, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "models" / "feature_classifier"
    train([catalog], folder, SMALL)
    return folder


def without_votes(catalog):
    return dataclasses.replace(catalog, answer_columns=(), answer_kind="")


# ---------------------------------------------------------------- which class a galaxy is of


def naive_class(votes: pd.Series) -> str | None:
    """Follow the leading answers from the first question to the end."""

    def leading(question: str) -> str:
        names = [name for name in votes.index if name.startswith(question + "_")]
        return max(names, key=lambda name: votes[name]).removeprefix(question + "_").removesuffix("_fraction")

    first = leading("smooth-or-featured")
    if first == "smooth":
        return leading("how-rounded").replace("-", "_") + "_smooth"
    if first == "artifact":
        return None
    if leading("disk-edge-on") == "yes":
        bulge = {"round": "rounded", "boxy": "boxy", "no-bulge": "no"}[leading("bulge-shape")]
        return f"edge_on_{bulge}_bulge"
    return "spiral" if leading("has-spiral-arms") == "yes" else "disk_without_arms"


def test_eight_classes_are_cut_from_votes(catalog):
    names, labels, notes = classes_to_learn([catalog], "auto")
    assert names == EIGHT_CLASSES and len(set(labels[labels >= 0])) >= 5
    votes = catalog.table[list(catalog.answer_columns)]
    told = [names[label] if label >= 0 else None for label in labels]
    assert told == [naive_class(row) for _, row in votes.iterrows()]
    left = told.count(None)
    assert notes == [] if not left else f"{left:,} of 240" in notes[0]


def test_a_catalog_without_votes_has_its_own_classes(catalog):
    names, labels, notes = classes_to_learn([without_votes(catalog)], "auto")
    assert names == tuple(sorted(set(catalog.table["class"]))) == own_classes([catalog]) and not notes
    assert [names[label] for label in labels] == catalog.table["class"].tolist()
    assert classes_to_learn([catalog], "catalog")[0] == names, "where they are asked for"
    chosen, labels, notes = classes_to_learn([catalog], "catalog", ("spiral", "edge_on"))
    assert chosen == ("spiral", "edge_on") and labels.min() == -1 and "were left out" in notes[0]
    assert [name in chosen for name in catalog.table["class"]] == (labels >= 0).tolist()


def test_galaxies_without_a_class_are_left_out_and_told(catalog):
    table = catalog.table.copy()
    table.loc[:9, "class"] = [None, "", np.nan, *["spiral"] * 7]
    names, labels, notes = classes_to_learn([without_votes(dataclasses.replace(catalog, table=table))], "auto")
    assert (labels[:3] == -1).all() and (labels[3:10] == names.index("spiral")).all() and "" not in names
    assert notes == ["synthetic:240: 3 of 240 galaxies are of no class that is learned and were left out"]


def test_catalogs_with_and_without_votes_learn_the_eight(catalog):
    other = without_votes(read_catalog("synthetic:30@1"))
    names, labels, notes = classes_to_learn([other, catalog], "auto")
    assert names == EIGHT_CLASSES and (labels[:30] == -1).all() and "30 of 30" in notes[0]


def test_nothing_to_tell_apart_is_one_sentence(catalog):
    alone = dataclasses.replace(catalog, table=catalog.table.assign(**{"class": "spiral"}))
    bare = dataclasses.replace(catalog, table=catalog.table[["galaxy_id"]], answer_columns=(), answer_kind="")
    for one, source in ((alone, "catalog"), (bare, "auto"), (bare, "votes")):
        with pytest.raises(ModelError, match="two classes to tell apart"):
            classes_to_learn([one], source)
    with pytest.raises(ModelError, match="set labels_from to"):
        classes_to_learn([catalog], "stars")


# ---------------------------------------------------------------- training and judging


def test_a_class_that_no_galaxy_is_of_is_not_learned(catalog):
    names = own_classes([catalog])
    with pytest.raises(ModelError, match=f"of class spirl; set model.class_names to some of {', '.join(names)}"):
        classes_to_learn([catalog], "catalog", (*names[:2], "spirl"))
    with pytest.raises(ModelError, match="has a name twice"):
        with_options(Config(), ["model.class_names=spiral,edge_on,spiral"])


def test_it_beats_the_largest_class(trained, catalog):
    scores = evaluate(trained, catalog)
    classes = scores["classes"]
    assert classes["accuracy"] > classes["largest_class_share"] and set(classes["recall"]) == set(
        own_classes([catalog])
    )
    confusion = np.array(classes["confusion"])
    assert confusion.sum() == classes["n_test"] == scores["n_test"] < 40
    named = [galaxy_id for cell in classes["confused"] for galaxy_id in cell["galaxy_ids"]]
    assert len(named) == confusion.sum() - np.trace(confusion) and all(split_of(key) == "test" for key in named)
    assert classes["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum())
    json.dumps(scores, allow_nan=False)
    text = "\n".join(table_lines(scores | {"catalog": "synthetic:240"}))
    assert "largest class alone" in text and "macro-F1" in text and "recall" in text


def test_a_trained_folder_says_what_it_was_made_of(trained):
    about = read_model_config(trained)["about"]
    assert about["recipe"] == "feature_classifier" and "from scratch, as asked for" in about["notes"][-1]
    assert 0 < about["n_validation"] < about["n_train"] < 240 and not (trained / ".state").exists()
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert {"accuracy", "macro_f1", "score"} <= set(history[0]["validation"])
    model = load_model(trained)
    assert model.n_features == model.config.embedding_size == 64
    assert not torch.equal(model.encoder.centre, torch.zeros(64))
    assert torch.equal(model.encoder.axes, torch.eye(64)), "the features as they are"


def test_a_killed_training_resumes_to_the_same_weights(catalog, tmp_path):
    train([catalog], tmp_path / "whole", BRIEF)
    for step_to_kill in (3, 9):

        def report(phase, step, n_steps, losses, where=step_to_kill):
            if step == where:
                raise Killed

        with pytest.raises(Killed):
            train([catalog], tmp_path / "killed", BRIEF, report=report)
    classes = catalog.table["class"]
    for others in (classes.sample(frac=1, random_state=1).tolist(), ("z_" + classes).tolist()):
        relabelled = dataclasses.replace(catalog, table=catalog.table.assign(**{"class": others}))
        with pytest.raises(ModelError, match="other catalogs, labels or settings"):
            train([relabelled], tmp_path / "killed", BRIEF)
    train([catalog], tmp_path / "killed", BRIEF)
    whole, resumed = (load_model(tmp_path / name).state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_it_embeds_like_any_model_and_survives_images_it_cannot_read(trained, catalog):
    def load_image(row):
        return np.full((3, 1, 1), 0.5, np.float32) if row == 1 else catalog.load_image(row)

    odd = dataclasses.replace(catalog, load_image=load_image)
    shard = next(
        embed_shards(
            shards_of(odd, ImageSettings(256, 64), [0]), load_embedder(trained, "cpu"), ImageSettings(256, 64), False
        )
    )
    assert shard.vectors.shape == (240, 64) and np.allclose(np.linalg.norm(shard.vectors, axis=1), 1, atol=1e-5)

    def no_image(row):
        raise CatalogError("cannot be read")

    broken = dataclasses.replace(catalog, load_image=lambda row: no_image(row) if row == 0 else catalog.load_image(row))
    probabilities, kept = predict_rows(load_model(trained), broken, np.array([0, 5]))
    assert kept.tolist() == [5] and probabilities.shape == (1, len(own_classes([catalog])))
    with pytest.raises(CatalogError, match="could be read"):
        predict_rows(load_model(trained), dataclasses.replace(catalog, load_image=no_image), np.array([0]))


def test_catalogs_and_models_that_do_not_fit_are_one_sentence(trained, catalog, tmp_path):
    with pytest.raises(CatalogError, match="of a class this model tells"):
        evaluate(trained, dataclasses.replace(catalog, table=catalog.table.drop(columns="class")))
    torch.manual_seed(0)
    save_model(tmp_path / "bare", GalaxyResNet(dataclasses.replace(NET, class_names=())))
    with pytest.raises(ModelError, match="tells no classes"):
        evaluate(tmp_path / "bare", catalog)
    with pytest.raises(ModelError, match="one phase"):
        train([catalog], tmp_path / "m", SMALL, phases=["heads"])
    with pytest.raises(ModelError, match="with a class to hold any out"):
        train([without_votes(read_catalog("synthetic:4"))], tmp_path / "few", SMALL)
    config = ContrastiveDenoiserConfig((8, 8), 1, (8, 16, 16), (1, 1, 1), 8, 8)
    other = save_model(tmp_path / "denoiser", ContrastiveDenoiser(config))
    with pytest.raises(ModelError, match="start from a residual network"):
        train([catalog], tmp_path / "m", SMALL, start_from=other)
    assert not (tmp_path / "m").exists()


def test_eight_classes_are_judged_on_votes(catalog, tmp_path):
    config = dataclasses.replace(BRIEF, labels_from="auto")
    model = train([catalog], tmp_path / "m", config)
    assert model.config.class_names == EIGHT_CLASSES
    scores = evaluate(tmp_path / "m", catalog)
    assert scores["classes"]["class_names"] == list(EIGHT_CLASSES)
    of_votes = labels_of(catalog, EIGHT_CLASSES)
    known = {str(key) for key, label in zip(catalog.galaxy_ids, of_votes, strict=True) if label >= 0}
    assert scores["n_test"] == sum(split_of(key) == "test" for key in known)
    with pytest.raises(CatalogError, match="with the votes it learned from"):
        evaluate(tmp_path / "m", without_votes(catalog))


def test_it_begins_with_what_moco_learned(catalog, tmp_path):
    torch.manual_seed(1)
    old = GalaxyResNet(dataclasses.replace(NET, projection_size=8, embedding_size=16))
    old.encoder.axes.fill_(0.5)
    before = save_model(tmp_path / "moco", old)
    config = dataclasses.replace(BRIEF, whole=FitConfig(1, 32, 1e-9), learned_pace=0.1)
    model = train([catalog], tmp_path / "m", config, start_from=before)
    weight = load_model(before).encoder.layer4[1].conv2.weight
    torch.testing.assert_close(model.encoder.layer4[1].conv2.weight, weight, atol=1e-3, rtol=0)
    assert torch.equal(model.encoder.axes, torch.eye(64)), "the features as they are, whatever moco made of them"
    about = read_model_config(tmp_path / "m")["about"]
    assert about["started_from"]["model"] == "resnet" and "with the encoder of moco" in about["notes"][-1]
    assert about["started_from"]["folder"] == "moco"
    history = json.loads((tmp_path / "m" / "history.jsonl").read_text().splitlines()[0])
    assert history["learning_rate"] < 1e-9 * 0.1, "slower than from scratch"


def test_without_a_network_it_begins_from_scratch_and_says_so(catalog, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(starting_weights, "PUBLISHED_WIDTH", NET.width)
    monkeypatch.setattr(starting_weights, "N_TRIES", 1)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # port 9: nobody listens
    config = dataclasses.replace(BRIEF, imagenet=True, whole=FitConfig(1, 32, 1e-3))
    with caplog.at_level(logging.WARNING):
        train([catalog], tmp_path / "models" / "m", config)
    note = read_model_config(tmp_path / "models" / "m")["about"]["notes"][-1]
    assert note.startswith("Training begins from scratch, without ImageNet weights: Cannot fetch http://127.0.0.1:9/")
    assert [record.getMessage() for record in caplog.records] == [note] and "\n" not in note


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize("recipe", ["feature_classifier", "moco"])
def test_the_models_page_shows_it(recipe, trained, catalog, tmp_path, monkeypatch, open_app):
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", tmp_path / "none")
    folder, judge = trained, evaluate
    if recipe == "moco":
        folder, judge = tmp_path / "models" / "moco", functools.partial(moco.evaluate, clusters=False)
        net = dataclasses.replace(NET, projection_size=8)
        moco.train([catalog], folder, moco.Config(model=net, contrast=FitConfig(1, 32, 1e-3), queue_size=64))
    scores = judge(folder, catalog) | {"catalog": "synthetic:240"}
    scores["weights_sha256"] = read_model_config(folder)["weights_sha256"]
    write_json(folder / "metrics.json", scores)
    app = open_app(folder.parents[1], "pages/5_Models.py")
    assert not app.exception and not app.error and not app.warning
    assert {"feature_classifier": "Accuracy", "moco": "Classes read off"}[recipe] in [one.label for one in app.metric]
    section(app, "fails")
    headings = [element.value for element in app.subheader]
    assert ("What it takes for what" in headings) == (recipe == "feature_classifier")
    shown = [element.value for element in section(app, "numbers").dataframe]
    column = "recall" if recipe == "feature_classifier" else "held-out galaxies"
    assert any(column in table for table in shown)
    section(app, "learned")
    assert any(f"scripts/train.py {recipe} synthetic:240" in code.value for code in app.code)
