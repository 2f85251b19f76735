"""The mean of trained weights: what it is, what it leaves out, and what has no mean."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_morphology_net import SMALL, images, net

from galaxy_core.averaging import write_average
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, read_model_config, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.morphology import join_models
from galaxy_core.recipes.few_labels import checksum_of
from scripts import ensemble

PROJECT = Path(__file__).resolve().parents[1]
SIZES = ContrastiveDenoiserConfig((8, 8, 8), 1, (8, 8, 8), (1, 1, 1), 8, 8, 32, 4, (8, 8))


def trained_on(model, seed: int):
    """A model with all its weights moved, as by a training that goes on from them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(weights.abs().mean() * torch.randn(weights.shape, generator=generator))
    return model


@pytest.fixture
def denoisers(tmp_path):
    folders = []
    for seed in (0, 1, 2):
        torch.manual_seed(0)
        model = trained_on(ContrastiveDenoiser(SIZES), seed)
        folder = save_model(tmp_path / f"m{seed}", model, {"recipe": "x", "then": [{"seed": seed}]})
        (folder / "history.jsonl").write_text(json.dumps({"phase": "polish", "epoch": seed}) + "\n")
        folders.append(folder)
    return folders


def test_every_weight_is_the_mean_and_the_uncertainty_is_left_out(denoisers, tmp_path):
    made = write_average(denoisers, tmp_path / "mean")
    states = [load_model(folder).state_dict() for folder in denoisers]
    assert made.uncertainty_net is None and load_model(denoisers[0]).uncertainty_net is not None
    for key, value in made.state_dict().items():
        expected = sum(state[key].double() for state in states) / 3
        torch.testing.assert_close(value.double(), expected, atol=1e-3, rtol=1e-3)
    about = read_model_config(tmp_path / "mean")["about"]
    assert about["then"][0] == {"seed": 2}
    assert [one["weights_sha256"] for one in about["then"][1]["mean_of"]] == [
        read_model_config(folder)["weights_sha256"] for folder in denoisers
    ]
    assert (tmp_path / "mean" / "history.jsonl").read_text() == (denoisers[2] / "history.jsonl").read_text()


def with_gauge(seed: int, config=SMALL):
    """A net with a gauge and a readout set on its own features, those of a training."""
    made = net(seed, config)
    with torch.no_grad():
        features = made.view_features(images(40, seed=seed)).mean(dim=0)
        made.encoder.spread(features)
        gauge = made.add_gauge()
        gauge.set_distance(features)
        gauge.set_threshold(features, 0.1)
    return made


@pytest.fixture
def gauged(tmp_path):
    """Folders of a net, and of the same with its principal axes in another order and of other signs."""
    one, other = with_gauge(0), with_gauge(0)
    with torch.no_grad():
        other.encoder.axes.copy_(-one.encoder.axes.flip(0))
    about = {"recipe": "vote_regressor", "n_train": 40, "novelty": {"flagged_share": 0.1}}
    return [save_model(tmp_path / name, made, about) for name, made in (("one", one), ("other", other))]


def test_the_readout_is_that_of_the_last_since_axes_of_two_models_have_no_mean(gauged, tmp_path):
    made, last = write_average(gauged, tmp_path / "mean"), load_model(gauged[1])
    assert torch.equal(made.encoder.axes, last.encoder.axes) and torch.equal(made.encoder.centre, last.encoder.centre)
    with torch.inference_mode():
        torch.testing.assert_close(made.embed(images()), last.embed(images()), atol=1e-3, rtol=0)
    assert made.encoder.axes.any(), "or this tests nothing"


def test_the_gauge_of_novelty_is_left_out_of_nets_and_of_ensembles(gauged, tmp_path):
    made = write_average(gauged, tmp_path / "mean")
    assert load_model(gauged[0]).gauge is not None and made.gauge is None and not made.config.novelty
    about = read_model_config(tmp_path / "mean")["about"]
    assert "novelty" not in about and about["n_train"] == 40
    without = save_model(tmp_path / "without", net(0))
    assert write_average([without, gauged[0]], tmp_path / "mixed").gauge is None, "one had none"
    pairs = [join_models([load_model(gauged[place]), with_gauge(2)]) for place in (0, 1)]
    folders = [save_model(tmp_path / f"pair{place}", pair) for place, pair in enumerate(pairs)]
    both = write_average(folders, tmp_path / "both")
    assert [member.gauge for member in both.members] == [None, None] and both.tell(images())[2] is None
    for member, last in zip(both.members, pairs[1].members, strict=True):
        torch.testing.assert_close(member.encoder.axes, last.encoder.axes, atol=1e-3, rtol=1e-3)


def test_a_part_that_is_alike_in_all_keeps_its_checksum(denoisers, tmp_path):
    models = [load_model(folder) for folder in denoisers]
    for model in models:
        model.encoder.load_state_dict(models[0].encoder.state_dict())
        with torch.no_grad():
            model.encoder.axes.fill_(-0.0)
    folders = [save_model(tmp_path / f"n{place}", model) for place, model in enumerate(models)]
    made = write_average(folders, tmp_path / "mean")
    assert checksum_of(made.encoder) == checksum_of(models[0].encoder)
    assert torch.signbit(made.encoder.axes).all(), "to the last bit"


def test_what_has_no_mean_is_one_sentence(denoisers, tmp_path):
    for folders in (denoisers[:1], [denoisers[0], denoisers[0]], []):
        with pytest.raises(ModelError, match="at least two different models"):
            write_average(folders, tmp_path / "mean")
    with pytest.raises(ModelError, match="name of its own"):
        write_average(denoisers, denoisers[1])
    wider = save_model(tmp_path / "wider", ContrastiveDenoiser(replace(SIZES, contrast_size=16)))
    other = save_model(tmp_path / "other", net(0))
    for folder in (wider, other):
        with pytest.raises(ModelError, match="differ in more than their weights"):
            write_average([denoisers[0], folder], tmp_path / "mean")
    with pytest.raises(ModelError, match="began with different weights"):
        write_average([other, save_model(tmp_path / "seed", net(1))], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_the_command(denoisers, tmp_path):
    command = [sys.executable, str(PROJECT / "scripts" / "ensemble.py"), "--average", "--artifacts", str(tmp_path)]
    names = [str(folder) for folder in denoisers[:2]]
    done = subprocess.run([*command, *names, "--name", "mean"], capture_output=True, text=True)
    assert done.returncode == 0 and "2 members" in done.stdout, done.stderr
    assert load_model(tmp_path / "models" / "mean").name == "contrastive_denoiser"
    done = subprocess.run([*command, names[0], "--name", "one"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "at least two" in done.stderr
    options = argparse.Namespace(models=names[::-1], average=True, name="mean", artifacts=tmp_path)
    with pytest.raises(ModelError, match="There is a model mean already, which stays"):
        ensemble.run(options)


def test_the_command_says_how_the_gauge_of_novelty_is_set_anew(gauged, denoisers, tmp_path):
    command = [sys.executable, str(PROJECT / "scripts" / "ensemble.py"), "--artifacts", str(tmp_path)]
    told = {}
    for name, models, options in (
        ("mean", gauged, ["--average"]),
        ("both", gauged, []),
        ("d", denoisers, ["--average"]),
    ):
        done = subprocess.run(
            [*command, *map(str, models), "--name", name, *options], capture_output=True, text=True, check=True
        )
        told[name] = done.stdout
    anew = f"--start-from {tmp_path / 'models' / 'mean'} --name mean --phases novelty"
    assert anew in told["mean"] and "novelty" not in told["both"] + told["d"], "what has its gauge, or never has one"
