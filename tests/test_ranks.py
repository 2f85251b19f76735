"""Many ranks train what one trains: real `torchrun` with two processes, every recipe, a killed rank, one writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Generator

from galaxy_core import ranks
from galaxy_core.errors import ModelError
from galaxy_core.recipes import RECIPES

pytestmark = pytest.mark.flaky(reruns=1)  # processes that are killed and meet again: once more before it counts
PROJECT = Path(__file__).resolve().parents[1]
CHILD, CHECKS = PROJECT / "tests" / "ranks_child.py", PROJECT / "tests" / "ranks_checks.py"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
OWN_VIEWS = ("moco", "segmenter", "star_galaxy_vae")
EPOCHS = 4
ROUNDED = {"star_galaxy_vae": 1e-3, "segmenter": 1e-3}  # float32 throughout; the others compute in float64


def python(*arguments, code: int = 0) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == code, done.stderr[-3000:]
    return done


def history(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "whole.safetensors")


def as_distances_see(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors whose principal axes (k, d) are replaced by the squared lengths they give, (d, d).

    The sign of a principal axis is arbitrary, and so are all axes among those of no spread: rounding chooses them.
    """
    seen = dict(tensors)
    for key in [key for key in seen if key.endswith("axes")]:
        gains = seen.get(key.replace("axes", "gains"), torch.ones(len(seen[key])))
        scaled = seen[key].double() / gains[:, None]
        seen[key] = scaled.T @ scaled
    return seen


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> dict[int, Path]:
    """What one rank and what two trained, by their number: every recipe, 12 steps of batches of 15."""
    folder = tmp_path_factory.mktemp("ranks")
    python(*TORCHRUN, CHILD, folder, "--own-views", *OWN_VIEWS, "--alone")
    return {1: folder / "alone", 2: folder}


@pytest.mark.parametrize("recipe", RECIPES)
def test_two_ranks_reproduce_one(both, recipe):
    one, two = both[1] / recipe, both[2] / recipe
    tolerance = ROUNDED.get(recipe, 1e-6)
    lines = list(zip(history(one), history(two), strict=True))
    assert sum(line["phase"] == lines[0][0]["phase"] for line, _ in lines) == EPOCHS  # of three steps each
    for line, other in lines:
        assert (line["phase"], line["epoch"]) == (other["phase"], other["epoch"])
        assert other["loss"] == pytest.approx(line["loss"], rel=tolerance, abs=1e-9)
        assert other["validation"]["score"] == pytest.approx(line["validation"]["score"], rel=tolerance)
        assert other["ranks"] == 2 and not other["own_views"] and "ranks" not in line
    reference = as_distances_see(weights(one))
    for key, value in as_distances_see(weights(two)).items():
        scale = max(float(reference[key].abs().double().max()), 1e-3) if value.numel() else 1.0
        torch.testing.assert_close(value.double() / scale, reference[key].double() / scale, rtol=0, atol=tolerance)
    assert not (two / ".state").exists()


def test_a_killed_rank_resumes_from_the_last_checkpoint(both, tmp_path):
    """SIGKILL of the second rank in the third epoch; torchrun starts both again and nothing is lost or doubled."""
    command = [*TORCHRUN, "--max-restarts", "2", CHILD, tmp_path, "--recipes", "cae", "--kill", "1", "8"]
    done = python(*command)
    assert (tmp_path / "cae" / "killed").exists() and "exitcode: -9" in done.stderr
    whole, resumed = weights(both[2] / "cae"), weights(tmp_path / "cae")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    losses = [[line["loss"] for line in history(folder / "cae")] for folder in (both[2], tmp_path)]
    assert losses[0] == losses[1] and len(losses[0]) == EPOCHS


@pytest.mark.parametrize("recipe", OWN_VIEWS)
def test_own_views_train_as_well_and_not_the_same(both, recipe):
    shared, own = history(both[2] / recipe), history(both[2] / "own" / recipe)
    assert all(line["own_views"] and np.isfinite(line["loss"]) for line in own)
    assert own[0]["loss"] != shared[0]["loss"]
    best = [min(line["validation"]["score"] for line in lines) for lines in (shared, own)]
    assert best[1] == pytest.approx(best[0], rel=0.25)


def test_the_parts_hold_on_every_rank(tmp_path):
    python(*TORCHRUN[:-1], 3, CHECKS, tmp_path, 3)  # of two, every recipe tells


def test_the_command_has_one_writer(tmp_path):
    """Two ranks, and one line each of what was read, learned and made; the folder is one that loads."""
    small = ["model.widths=4,4", "model.code_size=4", "model.input_px=16"]
    command = ["scripts/train.py", "cae", "synthetic:60", "--artifacts", tmp_path, "--batch-size", "16"]
    done = python(*TORCHRUN, *command, "--epochs", "1", "--device", "cpu", "--set", *small)
    assert [line.split(":")[0].split("  ")[0] for line in done.stdout.splitlines()] == [
        "synthetic",
        "redraw",
        str(tmp_path / "models" / "cae"),
    ]
    begun = [done.stderr.count(f"{name}:   0%") for name in ("decode", "redraw")]
    assert begun == [1, 1], "a bar shows its beginning once; its end twice where the machine is busy"
    from galaxy_core.models import load_model

    assert load_model(tmp_path / "models" / "cae").config.code_size == 4
    assert [line["ranks"] for line in history(tmp_path / "models" / "cae")] == [2]


def test_one_process_is_left_alone(monkeypatch):
    """No group is joined, nothing is wrapped, copied or cut."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with ranks.joined_ranks("cpu"):
        assert ranks.ranks() == ranks.ALONE and not torch.distributed.is_initialized()
        values = torch.rand(3, 2)
        assert ranks.in_shares(lambda x: x, values) is values
        step = object()
        assert ranks.loss_step_of(torch.nn.Linear(1, 1), step) is step
        assert ranks.prepare_batch(lambda indices, _: indices, indices := np.arange(3), Generator()) is indices
        assert ranks.as_first_says(indices) is indices and ranks.is_first()


def test_more_ranks_than_gpus_is_one_sentence(monkeypatch):
    for name, value in {"WORLD_SIZE": "4", "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ModelError, match="--nproc-per-node 2"), ranks.joined_ranks("cuda"):
        pass


@pytest.mark.parametrize(("n", "count"), [(8, 3), (2, 2), (15, 2), (1000, 7)])
def test_shares_cover_a_batch_evenly(n, count):
    bounds = ranks.share_bounds(n, count)
    assert [row for start, stop in bounds for row in range(start, stop)] == list(range(n))
    assert {stop - start for start, stop in bounds} <= {n // count, n // count + 1}
