"""What a training keeps as it goes: killed, it goes on to the same weights; nothing is kept that cannot be used."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from test_training import fresh, line_phase

from galaxy_core.errors import ArtifactError, ModelError
from galaxy_core.training import fit


class Killed(Exception):
    """Stands in for a kill between two steps."""


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    whole = fresh()
    fit(line_phase(whole), tmp_path / "a", tmp_path / "a.jsonl", seed=0)

    def kill_at(step_to_kill):
        def report(phase, step, n_steps, losses):
            if step == step_to_kill:
                raise Killed

        return report

    resumed = fresh()
    for step in (3, 8, 14):
        with pytest.raises(Killed):
            fit(line_phase(resumed), tmp_path / "b", tmp_path / "b.jsonl", seed=0, report=kill_at(step))
        resumed = fresh()
    fit(line_phase(resumed), tmp_path / "b", tmp_path / "b.jsonl", seed=0)
    assert torch.equal(whole.weight, resumed.weight) and torch.equal(whole.bias, resumed.bias)
    first, second = (
        [json.loads(x)["loss"] for x in (tmp_path / f).read_text().splitlines()] for f in ("a.jsonl", "b.jsonl")
    )
    assert first == second


@pytest.mark.parametrize("lost", ["gradient", "score"])
def test_weights_that_are_lost_are_not_saved_as_the_state(tmp_path, lost):
    """In the last step of the second epoch a loss of zero has an infinite gradient, or the averaged weights fail."""
    module = fresh()
    line, steps, saved = line_phase(module), [], tmp_path / "line.safetensors"

    def loss_step(indices, generator):
        steps.append(1)
        loss = line.loss_step(indices, generator)["loss"]
        return {"loss": (0 * loss).sqrt() if lost == "gradient" and len(steps) == 10 else loss}

    def validate():
        return {"score": float("nan")} if lost == "score" and len(steps) == 10 else line.validate()

    kept = []

    def report(phase, step, n_steps, losses):
        if step == 6:
            kept.append(saved.read_bytes())

    phase = replace(line, loss_step=loss_step, validate=validate)
    with pytest.raises(ModelError, match="diverged at step"):
        fit(phase, tmp_path, tmp_path / "h.jsonl", seed=0, report=report)
    assert kept == [saved.read_bytes()]
    assert all(value.isfinite().all() for value in load_file(saved).values())


def test_a_score_that_was_never_finite_is_one_sentence(tmp_path):
    phase = replace(line_phase(fresh()), validate=lambda: {"score": float("nan")})
    with pytest.raises(ModelError, match="lower learning rate"):
        fit(phase, tmp_path, tmp_path / "h.jsonl", seed=0)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_sentence(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))  # a write beyond it fails, as on a disk without room
    try:
        with pytest.raises(ArtifactError, match=r"Cannot write .*line_best\.safetensors: .*free some space"):
            fit(line_phase(fresh()), tmp_path, tmp_path / "h.jsonl", seed=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
