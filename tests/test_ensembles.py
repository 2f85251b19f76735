"""Trained models put together to one: the mean of its members, with their records and histories."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_morphology_net import SMALL, images, net

from galaxy_core.ensembles import write_ensemble
from galaxy_core.errors import ModelError
from galaxy_core.models import read_model_config, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.recipes.vote_regressor import Config
from galaxy_core.recipes.vote_regressor_start import starting_model

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def members(tmp_path):
    """Folders of two nets with a record and a history."""
    folders = []
    for seed in (0, 1):
        folder = save_model(tmp_path / "models" / f"net_{seed}", net(seed), {"recipe": "vote_regressor", "seed": seed})
        (folder / "history.jsonl").write_text(json.dumps({"phase": "whole", "epoch": 0, "loss": seed}) + "\n\n")
        folders.append(folder)
    return folders


def test_it_is_the_mean_of_its_members_and_keeps_their_records(members, tmp_path):
    made = write_ensemble(members, tmp_path / "models" / "both")
    with torch.inference_mode():
        single = [net(seed).half().float().predict(images())[1] for seed in (0, 1)]
        torch.testing.assert_close(made.predict(images())[1], (single[0] + single[1]) / 2, atol=2e-3, rtol=0)
    record = read_model_config(tmp_path / "models" / "both")
    assert record["model"] == "morphology_ensemble" and record["about"]["recipe"] == "vote_regressor"
    assert [member["about"]["seed"] for member in record["about"]["members"]] == [0, 1]
    assert record["about"]["members"][0]["weights_sha256"] == read_model_config(members[0])["weights_sha256"]
    lines = (tmp_path / "models" / "both" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["phase"] for line in lines] == ["whole of member 1", "whole of member 2"]


def test_lines_of_a_history_that_cannot_be_read_are_passed_over(members, tmp_path):
    with open(members[0] / "history.jsonl", "a") as file:
        file.write('3\n{"phase": "whole", "epo')
    write_ensemble(members, tmp_path / "both")
    lines = (tmp_path / "both" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["phase"] for line in lines] == ["whole of member 1", "whole of member 2"]


def test_training_goes_on_from_its_first_member(members, tmp_path):
    write_ensemble(members, tmp_path / "both")
    known = SimpleNamespace(classes=np.array([0]), has_votes=np.array([True]))
    begun = starting_model(Config(model=SMALL), {"cast": known}, tmp_path / "both")
    first = net(0)
    for key, value in begun.encoder.state_dict().items():
        torch.testing.assert_close(value, first.encoder.state_dict()[key], atol=2e-3, rtol=2e-3)


def test_what_cannot_be_put_together_is_one_sentence(members, tmp_path):
    for folders in (members[:1], [members[0], members[0]], []):
        with pytest.raises(ModelError, match="at least two different models"):
            write_ensemble(folders, tmp_path / "both")
    with pytest.raises(ModelError, match="one of the members"):
        write_ensemble(members, members[1])
    config = ContrastiveDenoiserConfig((8, 8), 1, (8, 8), (1, 1), 8, 8)
    save_model(tmp_path / "denoiser", ContrastiveDenoiser(config))
    with pytest.raises(ModelError, match="single morphology nets"):
        write_ensemble([members[0], tmp_path / "denoiser"], tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_the_command(members, tmp_path):
    def run(*arguments):
        command = [sys.executable, str(PROJECT / "scripts" / "ensemble.py"), *arguments, "--artifacts", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True)

    done = run("net_0", str(members[1]), "--name", "both")
    assert done.returncode == 0 and "2 members" in done.stdout
    assert (tmp_path / "models" / "both" / "weights.safetensors").is_file()
    failed = run("net_0", "nowhere", "--name", "two")
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1 and "nowhere" in failed.stderr
    assert "--model" not in failed.stderr  # which the command does not have
