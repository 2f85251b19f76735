"""Networks trained on few labels: how long, from what they begin, what is kept, what images without a label say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_core.label_efficiency import WAYS
from galaxy_core.models import load_model, save_model
from galaxy_core.models.autoencoder import AutoencoderConfig, GalaxyAutoencoder
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser
from galaxy_core.recipes import few_labels, few_labels_ways
from galaxy_core.recipes.few_labels_frozen import cached_features, fit_head, soft_whitening
from galaxy_core.recipes.few_labels_training import (
    FewLabelNet,
    TrainingConfig,
    fit_config_for,
    predict,
    scratch_net,
    sharpen,
    train_net,
)
from galaxy_core.stamps import make_stamps
from galaxy_core.training import FitConfig
from tests.few_labels_nets import QUICK, TINY, begin_small, simulated_galaxies


@pytest.fixture(autouse=True)
def small_scratch_nets(monkeypatch):
    begin_small(monkeypatch)


@pytest.fixture(scope="module")
def catalog():
    return simulated_galaxies()


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    return save_model(tmp_path_factory.mktemp("models") / "contrastive", ContrastiveDenoiser(TINY))


@pytest.mark.parametrize(
    ("n_items", "epochs", "batch_size"), [(209, 40, 26), (2_000, 15, 64), (20_856, 6, 64), (5, 40, 5)]
)
def test_how_long_a_training_is(n_items, epochs, batch_size):
    made = fit_config_for(FitConfig(40, 64, 1e-3), 30_000, n_items)
    assert (made.epochs, made.batch_size) == (epochs, batch_size)
    assert made.learning_rate == pytest.approx(1e-3 * (batch_size / 64) ** 0.5) and n_items // made.batch_size >= 1


def test_a_fine_tuned_net_begins_as_its_classifier(catalog, model_folder, tmp_path):
    stamps, model = make_stamps([catalog], 128, tmp_path), load_model(model_folder)
    features = cached_features(model, stamps, tmp_path / "f.npy")
    classes = np.arange(len(features)) % 3
    head = fit_head(features, classes, 3, soft_whitening(features, 0.5), QUICK.frozen, 0)
    net = FewLabelNet(model.encoder, 3, 16)
    net.set_head(head)
    rows = np.arange(6)
    logits = torch.from_numpy(head.logits(features[rows]))
    told = predict(net, stamps, rows)
    assert told.shape == (6, 3) and (told.argmax(axis=1) == logits.argmax(dim=1).numpy()).mean() > 0.8
    np.testing.assert_allclose(told.sum(axis=1), 1, rtol=1e-5)
    one, other = (scratch_net(3, seed).state_dict() for seed in (1, 2))
    again = scratch_net(3, 1).state_dict()
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_training_keeps_what_stands_at_its_end_stopped_or_not(catalog, tmp_path):
    stamps, rows = make_stamps([catalog], 128, tmp_path), np.arange(32)
    targets = np.eye(3, dtype=np.float32)[np.arange(len(stamps.readable)) % 3]
    limits = FitConfig(4, 16, 1e-3, average_decay=0.0)  # without memory the average is the net itself

    def trained(name: str) -> dict:
        net = train_net(scratch_net(3, 0), stamps, targets, rows, limits, QUICK.training, tmp_path / name, 0)
        assert int(net.n_steps) == 4 * (32 // 16) and not net.training
        return net.state_dict()

    whole = trained("whole")
    n_calls = 0

    def stop(*_) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net = scratch_net(3, 0)
        train_net(net, stamps, targets, rows, limits, QUICK.training, tmp_path / "cut", 0, report=stop)
    again = trained("cut")
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    first = scratch_net(3, 0).state_dict()
    assert not torch.equal(whole["head.weight"], first["head.weight"])


def test_networks_are_trained_at_the_size_asked_for_where_they_take_it(catalog, model_folder, tmp_path):
    torch.manual_seed(0)
    fixed = save_model(
        tmp_path / "codes", GalaxyAutoencoder(AutoencoderConfig(widths=(4, 4), code_size=4, input_px=16))
    )
    task = few_labels.make_task(catalog, [], tmp_path, None)

    def input_px(folder: Path | None, asked: int | None) -> int:
        config = dataclasses.replace(QUICK, training=dataclasses.replace(QUICK.training, input_px=asked))
        subject = None
        if folder is not None:
            model = load_model(folder)
            checksum = few_labels.checksum_of(model.encoder)
            subject = few_labels.make_subject(folder.name, model, checksum, task, config, None)
        net = few_labels_ways.starting_net(subject, 0.5, 0, task, config)
        assert predict(net, task.stamps, task.test[:3]).shape == (3, len(task.class_names))
        return net.input_px

    assert [input_px(folder, 32) for folder in (None, model_folder, fixed)] == [32, 32, 16]
    assert {input_px(folder, None) for folder in (None, model_folder, fixed)} == {16}


def test_sharpened_shares_are_powers_and_what_is_sure_stays():
    shares = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]], np.float32)
    made = sharpen(shares, 0.5)
    np.testing.assert_allclose(made, [[0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38], [1, 0, 0]], rtol=1e-5)
    np.testing.assert_allclose(sharpen(shares, 1.0), shares, rtol=1e-6)
    assert made.dtype == np.float32


def test_all_images_are_learned_from_as_the_fine_tuned_net_says(catalog, model_folder, tmp_path, monkeypatch):
    task = few_labels.make_task(catalog, [], tmp_path, None)
    model = load_model(model_folder)
    subject = few_labels.make_subject("m", model, few_labels.checksum_of(model.encoder), task, QUICK, None)
    asked = []

    def spy(net, stamps, targets, items, *rest):
        asked.append((targets.copy(), np.sort(items), int(net.n_steps)))
        return train_net(net, stamps, targets, items, *rest)

    shares = np.full((1, len(task.class_names)), 0.5 / (len(task.class_names) - 1), np.float32)
    shares[0, 0] = 0.5
    monkeypatch.setattr(few_labels_ways, "train_net", spy)
    monkeypatch.setattr(
        few_labels_ways, "predict", lambda net, stamps, rows, *rest: np.repeat(shares, len(rows), axis=0)
    )
    made = few_labels_ways.run_way(subject, "fine_tuned_unlabelled", 0.3, 0, task, QUICK)
    (_, drawn, _), (targets, items, n_steps) = asked
    rows = np.unique(drawn)
    assert n_steps > 0, "it goes on from the fine-tuned net"
    assert np.array_equal(np.unique(items), task.stamps.rows("train")), "and from training galaxies alone"
    assert np.array_equal(targets[rows].argmax(axis=1), task.classes[rows]) and set(np.unique(targets[rows])) == {0, 1}
    others = np.setdiff1d(items, rows)
    expected = np.repeat(sharpen(shares, QUICK.training.temperature), len(others), axis=0)
    np.testing.assert_allclose(targets[others], expected, rtol=1e-6)
    again = few_labels_ways.run_way(subject, "fine_tuned_unlabelled", 0.3, 0, task, QUICK)
    assert len(asked) == 2 and again["accuracy"] == made["accuracy"], "what is there is not trained again"
    assert again["chosen"] == made["chosen"] == {"epochs": 2, "batch_size": 16, "n_items": len(items)}


def test_a_result_stands_until_a_setting_that_it_came_across_is_another(catalog, tmp_path):
    task = few_labels.make_task(catalog, [], tmp_path, None)
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    assert set().union(*few_labels_ways.SPARED.values()) < names and set(few_labels_ways.SPARED) == set(WAYS)

    def keys(**changes) -> dict[str, str]:
        config = dataclasses.replace(QUICK, training=dataclasses.replace(QUICK.training, **changes))
        return {way: few_labels_ways.key_of("w", way, 0.1, 0, task, config) for way in WAYS}

    def changed(**changes) -> set[str]:
        before, after = keys(), keys(**changes)
        return {way for way in WAYS if before[way] != after[way]}

    other = FitConfig(3, 16, 1e-3)
    assert changed() == set() and len(set(keys().values())) == len(WAYS)
    assert changed(unlabelled=other) == changed(temperature=0.5) == {"fine_tuned_unlabelled"}
    assert changed(fine_tuned=other) == {"fine_tuned", "fine_tuned_unlabelled"}, "which begins where that ended"
    assert changed(scratch=other) == {"scratch"}
    trained = {"fine_tuned", "fine_tuned_unlabelled", "scratch"}
    assert changed(input_px=32) == trained
    assert changed(label_smoothing=0.2) == trained
