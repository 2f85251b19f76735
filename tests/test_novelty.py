"""What is new to a model: the distance re-derived, the share flagged, checkpoints old and new, a finished model."""

from __future__ import annotations

import dataclasses
import functools
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_vote_regressor import BRIEF, SMALL

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.dihedral import dihedral_views
from galaxy_core.models.morphology import MorphologyNet, join_models
from galaxy_core.models.novelty import NoveltyGauge
from galaxy_core.morphology import classify_items, join_morphologies
from galaxy_core.morphology_items import catalog_items
from galaxy_core.recipes.vote_regressor import train
from galaxy_core.splits import TRAIN, VALIDATION, split_mask
from galaxy_core.training import FitConfig

ROOT = Path(__file__).resolve().parents[1]


def correlated(n: int, seed: int = 0, n_features: int = 6) -> np.ndarray:
    """Features of very different scatter, each a mixture of others."""
    mixing = np.random.default_rng(7).normal(size=(n_features, n_features))
    sizes = np.geomspace(0.2, 5, n_features)
    return (np.random.default_rng(seed).normal(size=(n, n_features)) @ mixing * sizes + 3).astype(np.float32)


def net(seed: int = 0) -> MorphologyNet:
    torch.manual_seed(seed)
    return MorphologyNet(SMALL.model).eval()


def told_of(model, catalog, rows=None):
    return join_morphologies([made for made, _ in classify_items(catalog_items(catalog, rows), model)])


def test_the_distance_is_that_of_mahalanobis():
    train_features, others = correlated(4000), correlated(50, 1)
    gauge = NoveltyGauge(6)
    gauge.set_distance(torch.from_numpy(train_features))
    inverse = np.linalg.inv(np.cov(train_features.T.astype(np.float64)))
    apart = others - train_features.mean(axis=0)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", apart, inverse, apart))
    np.testing.assert_allclose(gauge.distance(torch.from_numpy(others)), expected, rtol=0.02)


def test_as_many_are_flagged_as_asked_for_and_of_another_kind_more():
    gauge = NoveltyGauge(6)
    gauge.set_distance(torch.from_numpy(correlated(3000)))
    gauge.set_threshold(torch.from_numpy(correlated(2000, 1)), 0.05)
    fresh = gauge(torch.from_numpy(correlated(4000, 2))) > 1
    assert fresh.float().mean().item() == pytest.approx(0.05, abs=0.015)
    shuffled = np.random.default_rng(3).permuted(correlated(1000, 2), axis=0)  # each feature as before, and no relation
    assert (gauge(torch.from_numpy(shuffled)) > 1).float().mean() > 0.5


def test_features_that_never_vary_and_few_galaxies_do_no_harm():
    features = np.c_[correlated(4), np.full((4, 3), 2.0)].astype(np.float32)
    gauge = NoveltyGauge(9)
    gauge.set_distance(torch.from_numpy(features))
    gauge.set_threshold(torch.from_numpy(features), 0.25)
    assert gauge(torch.from_numpy(features)).isfinite().all()
    for wrong in (features[:1], np.full((5, 9), np.nan, np.float32)):
        with pytest.raises(ModelError):
            gauge.set_distance(torch.from_numpy(wrong))
    with pytest.raises(ModelError):
        gauge.set_threshold(torch.from_numpy(features), 1.0)


def test_a_checkpoint_keeps_the_gauge_and_older_ones_load_without(tmp_path):
    model, images = net(), torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    save_model(tmp_path / "old", model)
    record = json.loads((tmp_path / "old" / "config.json").read_text())
    del record["config"]["novelty"]  # as written before there was one
    (tmp_path / "old" / "config.json").write_text(json.dumps(record))
    old = load_model(tmp_path / "old")
    with torch.inference_mode():
        assert old.tell(images)[2] is None and old.predict(images)[0] is not None
        features = model.view_features(images).mean(dim=0)
        gauge = model.add_gauge()
        gauge.set_distance(features)
        gauge.set_threshold(features, 0.2)
        expected = model.tell(images)[2]
        assert (expected > 1).sum() == 4
        save_model(tmp_path / "new", model)
        torch.testing.assert_close(load_model(tmp_path / "new").tell(images)[2], expected, rtol=0.1, atol=0.05)
        for view in dihedral_views(images)[1:]:
            torch.testing.assert_close(model.tell(view)[2], expected, rtol=1e-2, atol=1e-3)
        assert join_models([model, old]).tell(images)[2] is None
        torch.testing.assert_close(join_models([model, model]).tell(images)[2], expected)


def test_the_gauge_of_a_full_size_net_is_small():
    gauge = NoveltyGauge(384)
    stored = sum(value.numel() * (2 if value.ndim > 1 else 4) for value in gauge.state_dict().values())
    assert stored < 0.5e6


@pytest.fixture(scope="module")
def catalog():
    made = read_catalog("synthetic:160")
    return dataclasses.replace(made, load_image=functools.cache(made.load_image))  # each galaxy is rendered once


@pytest.fixture(scope="module")
def trained(catalog, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "m"
    config = dataclasses.replace(BRIEF, flagged_share=0.1, n_novelty_max=100, whole=FitConfig(1, 32, 5e-3))
    train([catalog], folder, config)
    return folder


def test_training_ends_with_a_gauge_that_flags_the_share_asked_for(catalog, trained):
    model = load_model(trained)
    about = json.loads((trained / "config.json").read_text())["about"]["novelty"]
    held = np.flatnonzero(split_mask(catalog.galaxy_ids, VALIDATION))
    assert about["n_train"] == 100 and about["n_validation"] == len(held)
    assert about["flagged_share"] == pytest.approx(0.1, abs=0.05)
    told = told_of(model, catalog, held)
    assert told.out_of_distribution.mean() == pytest.approx(0.1, abs=0.1)
    assert (told.out_of_distribution == (told.novelty > 1)).all()
    negative = dataclasses.replace(catalog, load_image=lambda row: 1 - catalog.load_image(row))
    assert told_of(model, negative, held).novelty.min() > 1


def test_a_finished_model_is_given_a_gauge_and_changes_in_nothing_else(catalog, trained, tmp_path):
    save_model(tmp_path / "m", net(), {"recipe": "vote_regressor", "n_train": 3})
    (tmp_path / "m" / "history.jsonl").write_text("{}\n")
    before = load_model(tmp_path / "m")
    unlabelled = dataclasses.replace(
        catalog, table=catalog.table[["galaxy_id"]].copy(), answer_columns=(), answer_kind=""
    )
    config = dataclasses.replace(SMALL, n_novelty_max=60)
    after = train([unlabelled], tmp_path / "m", config, phases=["novelty"], start_from=tmp_path / "m")
    assert all(torch.equal(value, after.state_dict()[key]) for key, value in before.state_dict().items())
    about = json.loads((tmp_path / "m" / "config.json").read_text())["about"]
    assert about["n_train"] == 3 and about["novelty"]["n_train"] == 60
    assert about["novelty"]["catalogs"] == ["synthetic:160"]
    assert (tmp_path / "m" / "history.jsonl").read_text() == "{}\n"
    rows = np.flatnonzero(split_mask(catalog.galaxy_ids, TRAIN))[:40]
    assert told_of(after, catalog, rows).out_of_distribution.mean() < 0.5
    save_model(tmp_path / "two", join_models([net(), net(1)]))
    both = train([unlabelled], tmp_path / "both", config, phases=["novelty"], start_from=tmp_path / "two")
    assert told_of(both, catalog, rows[:3]).novelty.shape == (3,)


def test_the_train_command_reaches_a_finished_model(tmp_path, monkeypatch, capsys):
    save_model(tmp_path / "models" / "m", net())
    line = ["train.py", "vote_regressor", "synthetic:60", "--phases", "novelty", "--name", "m", "--device", "cpu"]
    line += ["--start-from", str(tmp_path / "models" / "m"), "--artifacts", str(tmp_path), "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", line)
    script = runpy.run_path(str(ROOT / "scripts" / "train.py"), run_name="script")
    script["run"](script["parse_arguments"]())
    assert load_model(tmp_path / "models" / "m").gauge is not None and str(tmp_path) in capsys.readouterr().out


def test_what_cannot_be_given_a_gauge_is_one_sentence(catalog, tmp_path):
    with pytest.raises(ModelError, match="--start-from"):
        train([catalog], tmp_path / "m", SMALL, phases=["novelty"])
    config = ContrastiveDenoiserConfig((8, 8), 1, (8, 8), (1, 1), 8, 8)
    save_model(tmp_path / "denoiser", ContrastiveDenoiser(config))
    with pytest.raises(ModelError, match="does not tell morphology"):
        train([catalog], tmp_path / "m", SMALL, phases=["novelty"], start_from=tmp_path / "denoiser")
