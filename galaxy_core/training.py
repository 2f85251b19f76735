"""The one training loop: bf16, running average of weights, early stopping on validation, resume, JSONL history.

A recipe trains in phases; each phase is one call of `fit`, with its own loss and its own part of the model. Everything
random in an epoch is drawn from ``(seed, phase, epoch)``, so a run that was killed and resumed ends with the same
weights as one that was not. Under `torchrun` all ranks run it alike and the first one writes (`galaxy_core.ranks`).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Generator, Tensor, nn

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.errors import ModelError
from galaxy_core.rank_norm import joined_statistics
from galaxy_core.ranks import as_first_says, is_first, loss_step_of, prepare_batch, processors, ranks, wait_for_all

Prepare = Callable[[np.ndarray, Generator], Any]
LossStep = Callable[[Any, Generator], dict[str, Tensor]]
Validate = Callable[[], dict[str, float]]
Report = Callable[[str, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class FitConfig:
    """How one phase is trained. AdamW, linear warm-up (of a tenth of all steps at most), then a cosine to zero."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    gradient_clip: float = 1.0
    average_decay: float = 0.998
    patience_epochs: int = 6

    def __post_init__(self) -> None:
        fitting = {
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 1,
            "learning_rate": 0 < self.learning_rate < math.inf,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "gradient_clip": 0 < self.gradient_clip < math.inf,
            "average_decay": 0 <= self.average_decay <= 1,
        }
        wrong = [f"{name}={getattr(self, name)}" for name, fits in fitting.items() if not fits]
        if wrong:
            raise ModelError(
                f"A phase cannot be trained with {', '.join(wrong)}; give epochs and batch_size of 1 or more, a finite"
                " learning_rate and gradient_clip above 0, a weight_decay of 0 or more, an average_decay from 0 to 1."
            )


@dataclass(frozen=True)
class Phase:
    """What one phase trains and how it is judged.

    Attributes
    ----------
    name : str
    module : nn.Module
        The part of the model whose parameters are trained and averaged.
    items : ndarray of int64, shape (n,)
        Indices the batches are drawn from.
    loss_step : callable
        ``loss_step(batch, generator)`` returns a dict of scalars whose ``"loss"`` is minimised. It calls networks with
        `galaxy_core.ranks.in_shares`, so that many ranks share the batch and each computes the same loss.
    validate : callable
        Returns a dict of floats whose ``"score"`` is the lower the better; called with averaged weights.
    plateau_epochs : int
        After so many epochs without a better score the learning rate is halved; 0: it follows its cosine alone.
    prepare : callable, optional
        ``prepare(indices, generator)`` returns what ``loss_step`` takes: reading and views, which the network is not
        part of, as it may run while the network learns from the batch before (`works_ahead`). Without it ``loss_step``
        takes the indices themselves.
    """

    name: str
    module: nn.Module
    items: np.ndarray
    loss_step: LossStep
    validate: Validate
    config: FitConfig
    plateau_epochs: int = 0
    prepare: Prepare | None = None


def fit(phase: Phase, state_folder: Path, history_path: Path, seed: int, report: Report | None = None) -> None:
    """Train one phase, or go on where an earlier call stopped; leaves the best averaged weights in ``phase.module``.

    Parameters
    ----------
    state_folder : path
        Where the state goes after every epoch; delete it when the whole training is done.
    history_path : path
        JSONL, one line an epoch: losses, validation, learning rate, speed.
    report : callable, optional
        ``report(phase_name, step, n_steps, losses)`` after every step; with "validation", the score of the last epoch.
    """
    config = phase.config
    n_batches = len(phase.items) // config.batch_size
    if n_batches == 0:
        raise ModelError(
            f"Training needs at least {config.batch_size} galaxies in the training split and has {len(phase.items)}; "
            "give a larger catalog or a smaller batch size."
        )
    parameters = [p for p in phase.module.parameters() if p.requires_grad]
    optimizer = optimizer_of(parameters, config)
    loss_step = loss_step_of(phase.module, phase.loss_step)  # first of all: ranks begin with the same weights
    average = {key: value.detach().clone() for key, value in phase.module.state_dict().items()}
    state_path = state_folder / f"{phase.name}.safetensors"
    record = _restore(state_path, phase.module, average, optimizer)
    for epoch in range(record["epoch"], config.epochs):
        if record["finished"]:
            break
        started = time.perf_counter()
        losses = _run_epoch(phase, loss_step, epoch, n_batches, parameters, optimizer, average, seed, report, record)
        scores = as_first_says(_validate_average(phase, average))
        _check_finite(scores["score"], phase, (epoch + 1) * n_batches)
        record["score"] = scores["score"]
        better = scores["score"] < record["best_score"]
        if better:
            record.update(best_score=scores["score"], best_epoch=epoch)
            if is_first():
                write_tensors(state_folder / f"{phase.name}_best.safetensors", average)
        elif phase.plateau_epochs and (epoch - record["best_epoch"]) % phase.plateau_epochs == 0:
            record["pace"] = record.get("pace", 1.0) / 2
        record["epoch"] = epoch + 1
        record["finished"] = record["epoch"] == config.epochs or epoch - record["best_epoch"] >= config.patience_epochs
        if is_first():
            seconds, rate = time.perf_counter() - started, optimizer.param_groups[0]["lr"]
            line = {"phase": phase.name, "epoch": epoch, **losses, "validation": scores, "learning_rate": rate}
            line |= _pace_of(n_batches * config.batch_size, seconds)
            _append_history(history_path, line)
            _save(state_path, phase.module, average, optimizer, record)
    wait_for_all()  # for the file that the first rank writes
    phase.module.load_state_dict(load_file(state_folder / f"{phase.name}_best.safetensors"))
    wait_for_all()  # before the first rank finishes the model and removes the file


def optimizer_of(parameters: list[nn.Parameter], config: FitConfig) -> torch.optim.Optimizer:
    """AdamW, each parameter's step in one pass over its memory."""
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def _pace_of(n_galaxies: int, seconds: float) -> dict:
    """What the history says of an epoch's time, and of the ranks that shared it."""
    here = ranks()
    shared = {"ranks": here.count, "own_views": here.own_views} if here.count > 1 else {}
    return {"seconds": round(seconds, 2), "galaxies_per_second": round(n_galaxies / seconds, 1), **shared}


def _run_epoch(
    phase, loss_step, epoch, n_batches, parameters, optimizer, average, seed, report, record: dict
) -> dict[str, float]:
    config, n_steps = phase.config, phase.config.epochs * n_batches
    judged = {"validation": record["score"]} if "score" in record else {}
    phase_key = sum(ord(letter) for letter in phase.name)
    order = np.random.default_rng([seed, phase_key, epoch]).permutation(phase.items)
    generator = Generator().manual_seed(seed * 1_000_003 + phase_key * 1_009 + epoch)
    phase.module.train()
    totals: dict[str, float] = {}

    def make(batch: int):
        # sorted: reads of the memory-mapped stamps go forward through the file
        indices = np.sort(order[batch * config.batch_size : (batch + 1) * config.batch_size])
        return indices if phase.prepare is None else prepare_batch(phase.prepare, indices, generator)

    ahead, waiting = works_ahead(phase), None
    with ThreadPoolExecutor(1, "batches") as beside:
        for batch in range(n_batches):
            step = epoch * n_batches + batch
            for group in optimizer.param_groups:
                group["lr"] = record.get("pace", 1.0) * learning_rate(step, n_steps, config)
            made = make(batch) if waiting is None else waiting.result()
            with joined_statistics(phase.module):
                losses = loss_step(made, generator)
            _check_finite(losses["loss"].detach(), phase, step)
            # not before: the loss may draw from the generator, too, and what is drawn does not depend on who waits
            waiting = beside.submit(make, batch + 1) if ahead and batch + 1 < n_batches else None
            optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()  # on many ranks it leaves the same gradients on all
            _check_finite(nn.utils.clip_grad_norm_(parameters, config.gradient_clip), phase, step)
            optimizer.step()
            _update_average(average, phase.module, min(config.average_decay, (1 + step) / (10 + step)))
            values = {name: float(value.detach()) for name, value in losses.items()}
            totals = {name: totals.get(name, 0.0) + value for name, value in values.items()}
            if report:
                report(phase.name, step + 1, n_steps, values | judged)
    return {name: total / n_batches for name, total in totals.items()}


def _check_finite(value: Tensor | float, phase: Phase, step: int) -> None:
    """Stop before weights that are lost are saved as the state."""
    if not math.isfinite(value):
        raise ModelError(f"Training of {phase.name} diverged at step {step}; begin it anew with a lower learning rate.")


def works_ahead(phase: Phase) -> bool:
    """Whether the next batch is made while gradients are computed: on one rank, with processors for both.

    On a GPU the processors have nothing else to do; on the CPU two jobs with more threads than there are processors
    would only wait for each other. The weights are the same either way.
    """
    if phase.prepare is None or ranks().count > 1:
        return False
    if any(parameter.is_cuda for parameter in phase.module.parameters()):
        return True
    return 2 * torch.get_num_threads() <= processors()


def learning_rate(step: int, n_steps: int, config: FitConfig) -> float:
    """Learning rate of a step: linear warm-up over ``warmup_steps``, then half a cosine down to zero.

    Few galaxies make few steps: a warm-up takes a tenth of them at most, or the rate would never be reached.
    """
    warmup = min(1.0, (step + 1) / max(min(config.warmup_steps, n_steps // 10), 1))
    return config.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * step / n_steps))


@torch.no_grad()
def _update_average(average: dict[str, Tensor], module: nn.Module, decay: float) -> None:
    state = module.state_dict()
    weights = [key for key, value in state.items() if value.dtype.is_floating_point]
    torch._foreach_lerp_([average[key] for key in weights], [state[key] for key in weights], 1 - decay)
    for key in state.keys() - set(weights):
        average[key].copy_(state[key])


def _validate_average(phase: Phase, average: dict[str, Tensor]) -> dict[str, float]:
    current = {key: value.clone() for key, value in phase.module.state_dict().items()}
    phase.module.load_state_dict(average)
    phase.module.eval()
    with torch.inference_mode():
        scores = phase.validate()
    phase.module.load_state_dict(current)
    return scores


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all; a full disk is an `ArtifactError`."""
    data = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)  # what safetensors itself raises on a full disk is no OSError


def _save(path: Path, module: nn.Module, average, optimizer, record: dict) -> None:
    tensors = {f"module.{key}": value for key, value in module.state_dict().items()}
    tensors |= {f"average.{key}": value for key, value in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
    write_tensors(path, tensors, {"record": json.dumps(record)})


def _restore(path: Path, module: nn.Module, average, optimizer) -> dict:
    record = {"epoch": 0, "best_score": math.inf, "best_epoch": 0, "finished": False}
    if not path.exists():
        return record
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        record = json.loads(file.metadata()["record"])
    tensors = load_file(path)
    parts: dict[str, dict[str, Tensor]] = {"module": {}, "average": {}, "optimizer": {}}
    for name, value in tensors.items():
        part, key = name.split(".", 1)
        parts[part][key] = value
    module.load_state_dict(parts["module"])
    for key, value in parts["average"].items():
        average[key].copy_(value)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        index, key = name.split(".", 1)
        weights = optimizer.param_groups[0]["params"][int(index)]
        # the step goes through memory: what belongs to a weight lies as that does, which a file does not say
        placed = torch.empty_like(weights).copy_(value) if value.shape == weights.shape else value
        state.setdefault(int(index), {})[key] = placed
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return record


def _append_history(path: Path, line: dict) -> None:
    """Add a line, replacing one of the same epoch that a killed run left after its last saved state."""
    earlier = [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
    kept = [old for old in earlier if (old["phase"], old["epoch"]) != (line["phase"], line["epoch"])]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(entry) + "\n" for entry in [*kept, line]))
