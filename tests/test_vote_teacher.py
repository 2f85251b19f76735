"""Learning from what a finished model says: labels stay what they are; what is told fills only what is unknown."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, save_model
from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet, join_models
from galaxy_core.recipes import vote_regressor_teacher
from galaxy_core.recipes.vote_regressor import Config, train
from galaxy_core.recipes.vote_regressor_start import labels_by_form
from galaxy_core.recipes.vote_regressor_steps import Lessons, morphology_losses
from galaxy_core.recipes.vote_regressor_teacher import Told, ask, lessons_of, taught
from galaxy_core.stamps import make_stamps
from galaxy_core.training import FitConfig
from galaxy_core.vote_losses import class_loss
from galaxy_core.vote_tree import PARENT, QUESTION_OF, SLICES, question_sums, to_cumulative

NAMES = ("round_smooth", "in_between_smooth", "edge_on", "spiral")
NET = MorphologyConfig((8, 16, 16), (1, 1, 1), 8, 8, 32, 32, 0.1, True, NAMES)
BRIEF = Config(model=NET, whole=FitConfig(1, 32, 5e-3, warmup_steps=2))
N_VOTES = 60


def part_of(catalog, *columns):
    """The catalog without its votes or its classes."""
    changes = {"table": catalog.table.drop(columns=[c for c in columns if c == "class"])}
    return dataclasses.replace(
        catalog, **changes | ({"answer_columns": (), "answer_kind": ""} if "votes" in columns else {})
    )


@pytest.fixture(scope="module")
def catalogs():
    """Some with votes alone, some with classes alone."""
    made = [part_of(read_catalog(f"synthetic:{N_VOTES}"), "class"), part_of(read_catalog("synthetic:120@1"), "votes")]
    return [dataclasses.replace(catalog, load_image=functools.cache(catalog.load_image)) for catalog in made]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    torch.manual_seed(5)
    return save_model(tmp_path_factory.mktemp("models") / "teacher", MorphologyNet(NET))


@pytest.fixture(scope="module")
def labels(catalogs):
    return labels_by_form(catalogs, BRIEF)[0]


def told_of(rows, strength=20.0, forms=("cast",), seed=0):
    """Something said of rows, as a teacher would."""
    generator = np.random.default_rng(seed)
    made = {form: np.zeros((len(rows), 37), np.float32) for form in forms}
    for part in SLICES:
        for values in made.values():
            values[:, part] = generator.dirichlet(np.full(part.stop - part.start, 2.0), len(rows)) * strength + 0.01
    probabilities = generator.dirichlet(np.ones(len(NAMES)), len(rows)).astype(np.float32)
    return Told(np.asarray(rows), made, probabilities)


def test_known_votes_stay_and_the_rest_is_told(labels):
    rows = np.arange(N_VOTES, N_VOTES + 50)
    told = told_of(rows)
    lessons = taught(labels, told, BRIEF)
    before, after = labels["cast"], lessons.labels["cast"]
    others = np.setdiff1d(np.arange(len(before.classes)), rows)
    for item in dataclasses.fields(before):
        old, new = getattr(before, item.name)[others], getattr(after, item.name)[others]
        assert np.array_equal(old, new, equal_nan=old.dtype.kind == "f"), item.name
    assert (after.classes == before.classes).all() and not before.has_votes[rows].any()
    assert (lessons.weights[others] == 1).all() and np.allclose(lessons.weights[rows], 0.3)
    assert np.isnan(lessons.classes[others]).all() and np.array_equal(lessons.classes[rows], told.probabilities)
    assert after.counted[rows].all()
    for row, alpha in zip(rows, told.concentrations["cast"].astype(float), strict=True):
        shares, asked = np.empty(37), np.empty(11)
        for part in SLICES:
            shares[part] = alpha[part] / alpha[part].sum()
        whole = to_cumulative(shares)
        for q, part in enumerate(SLICES):
            asked[q] = 40 * (1 if PARENT[q] < 0 else whole[PARENT[q]])
            found = after.conditional[row, part]
            assert np.isnan(found).all() if asked[q] < 1 else np.allclose(found, shares[part], atol=1e-5)
            n_votes = after.counts[row, part].sum()
            assert n_votes == (40 if PARENT[q] < 0 else after.counts[row, PARENT[q]])
        assert np.allclose(after.cumulative[row], whole, atol=1e-5)


def test_debiased_votes_are_of_those_who_were_asked_as_cast(labels):
    rows = np.arange(N_VOTES, N_VOTES + 40)
    both = labels | {"debiased": dataclasses.replace(labels["cast"])}
    made = taught(both, told_of(rows, forms=("cast", "debiased")), BRIEF).labels
    assert np.array_equal(question_sums(made["cast"].counts)[rows], question_sums(made["debiased"].counts)[rows])
    assert not np.array_equal(made["cast"].counts[rows], made["debiased"].counts[rows])
    assert made["cast"].counted[rows].all() and not made["debiased"].counted[rows].any()


def test_a_teacher_without_debiased_votes_teaches_none(labels):
    both = labels | {"debiased": dataclasses.replace(labels["cast"])}
    made = taught(both, told_of(np.arange(N_VOTES, N_VOTES + 5)), BRIEF).labels
    assert made["debiased"] is both["debiased"] and made["cast"] is not both["cast"]


def test_what_is_told_counts_as_much_as_is_said(labels):
    rows = np.arange(N_VOTES, N_VOTES + 8)
    told, model = told_of(rows), MorphologyNet(NET).eval()
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    outputs = model.from_features(model.encoder.features(images))

    def losses(**changes):
        config = dataclasses.replace(BRIEF, **changes)
        made = morphology_losses(*outputs, taught(labels, told, config), rows, config, None)
        return {name: value.item() for name, value in made.items()}

    full, half = losses(taught_votes_weight=1.0), losses(taught_votes_weight=0.5)
    assert full["count"] == pytest.approx(2 * half["count"], rel=1e-5) and full["count"] > 0
    none = losses(taught_votes_weight=0.0, taught_class_share=0.0)
    plain = {k: v.item() for k, v in morphology_losses(*outputs, Lessons(labels), rows, BRIEF, None).items()}
    assert none == pytest.approx(plain, abs=1e-6)
    assert losses(taught_class_share=1.0)["class"] != pytest.approx(plain["class"], abs=1e-3)


def test_a_class_gives_way_to_what_is_told_of_it_by_hand():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0], [0.0, 3.0, 0.0]])
    classes = torch.tensor([0, 2, -1])
    told = torch.tensor([[0.6, 0.3, 0.1], [float("nan")] * 3, [0.2, 0.5, 0.3]])
    loss = class_loss(logits, classes, None, 0.1, told, 0.25)
    logs = logits.log_softmax(dim=1).double().numpy()
    first = 0.75 * np.array([1, 0, 0]) + 0.25 * np.array([0.6, 0.3, 0.1])
    assert loss[0].item() == pytest.approx(-(logs[0] * (0.9 * first + 0.1 / 3)).sum(), rel=1e-5)
    assert loss[1].item() == pytest.approx(-(logs[1] * (0.9 * np.array([0, 0, 1]) + 0.1 / 3)).sum(), rel=1e-5)
    assert loss[2].item() == 0  # a galaxy without a class has none to give way
    assert torch.allclose(class_loss(logits, classes)[:2], -logits.log_softmax(dim=1)[[0, 1], [0, 2]])


def test_only_training_galaxies_without_votes_are_asked_about_and_once(
    catalogs, teacher, labels, tmp_path, monkeypatch
):
    stamps = make_stamps(catalogs, 128, tmp_path)
    rows = stamps.rows("train")
    config, steps = dataclasses.replace(BRIEF, taught_by=str(teacher)), []
    first = lessons_of(labels, stamps, rows, config, tmp_path, "cpu", lambda *done: steps.append(done))
    asked = np.flatnonzero(first.weights != 1)
    assert np.array_equal(asked, rows[rows >= N_VOTES]) and steps[-1][0] == steps[-1][1]
    model = load_model(teacher)
    with torch.inference_mode():
        images = torch.nn.functional.interpolate(stamps.batch(asked[:4])[0], size=32, mode="area")
        said = model.predict(images)[0].numpy()
    shares = said / question_sums(said)[:, QUESTION_OF]
    found = first.labels["cast"].cumulative[asked[:4]]
    assert np.allclose(found, to_cumulative(shares), atol=0.02)  # half precision here
    fewer = lessons_of(labels, stamps, rows[:-3], config, tmp_path, "cpu")
    assert np.array_equal(np.flatnonzero(fewer.weights != 1), asked[:-3])  # other galaxies are asked about anew
    monkeypatch.setattr(vote_regressor_teacher, "shrink", None)  # nothing is looked at again
    again = lessons_of(labels, stamps, rows, config, tmp_path, "cpu")
    assert np.array_equal(first.labels["cast"].counts, again.labels["cast"].counts)
    assert np.array_equal(first.classes, again.classes, equal_nan=True)
    assert lessons_of(labels, stamps, rows, BRIEF, tmp_path, "cpu").weights is None


def test_an_ensemble_teaches_as_a_net_does(catalogs, teacher, tmp_path):
    stamps, net = make_stamps(catalogs, 128, tmp_path), load_model(teacher)
    rows = np.arange(5)
    one = ask(net, stamps, rows, tmp_path / "one.npz", "cpu")
    two = ask(join_models([net, net]), stamps, rows, tmp_path / "two.npz", "cpu")
    assert np.allclose(one.probabilities, two.probabilities, atol=1e-3) and set(one.concentrations) == {"cast"}
    assert np.allclose(one.concentrations["cast"], two.concentrations["cast"], rtol=0.02)


def test_a_student_differs_from_one_without_a_teacher_and_says_who_it_was(catalogs, teacher, tmp_path):
    alone = train(catalogs, tmp_path / "alone", BRIEF)
    student = train(catalogs, tmp_path / "student", dataclasses.replace(BRIEF, taught_by=str(teacher)))
    about = json.loads((tmp_path / "student" / "config.json").read_text())["about"]
    assert about["taught_by"]["weights_sha256"] == load_model(teacher).weights_sha256
    assert about["training"]["taught_class_share"] == 0.5
    assert not all(torch.equal(a, b) for a, b in zip(alone.parameters(), student.parameters(), strict=True))


def test_a_stopped_student_is_not_gone_on_with_by_another_teacher(catalogs, teacher, tmp_path):
    shutil.copytree(teacher, tmp_path / "teacher")
    config = dataclasses.replace(BRIEF, taught_by=str(tmp_path / "teacher"), whole=FitConfig(2, 32, 5e-3))

    def stop(phase, step, n_steps, losses):
        if phase == "whole" and step > n_steps / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(catalogs, tmp_path / "student", config, report=stop)
    save_model(tmp_path / "teacher", MorphologyNet(NET))
    with pytest.raises(ModelError, match=r"\.state holds a training that was stopped"):
        train(catalogs, tmp_path / "student", config)


def test_teachers_that_cannot_teach_this(catalogs, labels, tmp_path):
    net = MorphologyNet(dataclasses.replace(NET, class_names=("spiral", "edge_on")))
    other = save_model(tmp_path / "other", net)
    with pytest.raises(ModelError, match="tells other classes than round_smooth"):
        train(catalogs, tmp_path / "m", dataclasses.replace(BRIEF, taught_by=str(other)))
    with pytest.raises(ModelError, match="No model in"):
        train(catalogs, tmp_path / "m", dataclasses.replace(BRIEF, taught_by=str(tmp_path / "nobody")))
