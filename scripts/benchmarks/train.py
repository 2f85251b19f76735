"""Each phase of a recipe's training against its bare network step, and that against a naive float32 loop.

The training is the real one: `galaxy_core.training.fit` from its first report to its last, so reading of stamps,
augmentation, losses, averaging of weights and reports count. The bare step is forward, loss, backward and optimizer on
one batch in memory. The naive loop is the bare step of the same network and losses in float32, without channels_last.

The three are measured in turns, a few steps each, and medians are compared, so what else runs on the machine slows all
alike. Processor time is the better measure on a busy machine, wall time on an idle one.

After its phases comes the recipe as a whole: each phase counts by the time that all its configured epochs take.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from galaxy_core.errors import ModelError
from scripts.benchmarks.train_phases import find_phases, naive_ways, trained_phases

WAYS = ("training", "bare step", "naive loop")
CLOCKS = {"processor": time.process_time, "wall": time.perf_counter}


def positive_integer(text: str) -> int:
    """An option that counts something, which must be there."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "catalogs", metavar="CATALOG", nargs="*", default=["synthetic:600"], help="LAYOUT:SOURCE (synthetic:600)"
    )
    parser.add_argument("--recipes", nargs="+", metavar="RECIPE", help="which recipes (default: all there are)")
    parser.add_argument("--phases", nargs="+", metavar="PHASE", help="which phases of them (default: all)")
    parser.add_argument("--batch-size", type=positive_integer, help="galaxies a step (default: the recipe's)")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="change the configuration of recipes"
    )
    parser.add_argument("--steps", type=positive_integer, default=3, help="steps a turn (%(default)s)")
    parser.add_argument("--repeats", type=positive_integer, default=5, help="turns (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")


def measure(options: argparse.Namespace) -> dict:
    """Rates of each phase of each recipe in galaxies a second, and their ratios."""
    import torch

    from galaxy_core.catalogs import read_catalog
    from galaxy_core.models import resolve_device
    from galaxy_core.recipes import RECIPES

    recipes = options.recipes or list(RECIPES)
    check_names(recipes, options)
    device = resolve_device(options.device)
    machine = {
        "device": device,
        "threads": torch.get_num_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "multiplies_bf16": multiplies_bf16(device),
        "torch": torch.__version__,
    }
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    catalogs, phases, wholes = [read_catalog(spec) for spec in options.catalogs], {}, {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for recipe in recipes:
            pair = find_phases(recipe, catalogs, Path(folder) / recipe, options, device)
            for name, (phase, naive) in pair.items():
                if options.phases and name not in options.phases:
                    continue
                state = Path(folder) / f"{recipe}.state"  # recipes call their phases alike
                phases[f"{recipe}.{name}"] = measure_phase(phase, naive, state, options)
                print("\n".join(phase_lines(f"{recipe}.{name}", phases[f"{recipe}.{name}"])), flush=True)
            rows = [phases[f"{recipe}.{name}"] for name in pair if f"{recipe}.{name}" in phases]
            if rows and len(rows) == len(pair):
                wholes[recipe] = whole_recipe(rows)
                print(whole_line(recipe, wholes[recipe]), flush=True)
    if not phases:  # as of one that only goes on from another model
        raise ModelError("Nothing was measured, since no training from new weights has these phases; name others.")
    return {"benchmark": "train", "catalogs": options.catalogs, **machine, "phases": phases, "recipes": wholes}


def check_names(recipes: Sequence[str], options: argparse.Namespace) -> None:
    """Raise `ModelError` where a phase or a configuration that was named is of none of the recipes."""
    from galaxy_core.recipes import find_recipe

    modules = [find_recipe(recipe).module() for recipe in recipes]
    phases = {name for module in modules for name in trained_phases(module, module.Config())}
    names = {item.name for module in modules for item in fields(module.Config())}
    asked = {item.partition("=")[0].split(".")[0] for item in options.set}
    for wrong, known in ((set(options.phases or ()) - phases, phases), (asked - names, names)):
        if wrong:
            raise ModelError(
                f"None of {', '.join(recipes)} has {', '.join(sorted(wrong))}; choose among {', '.join(sorted(known))}."
            )


def multiplies_bf16(device: str) -> bool | None:
    """Whether the hardware multiplies bf16 itself; None if torch does not say."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    test = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # not public, so it may go
    return bool(test()) if test else None


def measure_phase(phase, naive, folder: Path, options: argparse.Namespace) -> dict:
    """Seconds of a step of each way, by clock, and the ratios of their medians."""
    from galaxy_core.training import fit

    size = phase.config.batch_size
    shown = np.resize(phase.items, (options.steps + 1) * size)
    once = replace(phase.config, epochs=1)
    training_step = replace(phase, items=shown, config=once, validate=lambda: _SCORE)
    batch = np.sort(np.resize(phase.items, size))
    with naive_ways():
        naive_step = bare_step(naive, batch)

    def naively() -> None:
        with naive_ways():
            naive_step()

    steps = {"bare step": bare_step(phase, batch), "naive loop": naively}
    seconds = {way: {clock: [] for clock in CLOCKS} for way in WAYS}
    for turn in range(options.repeats):
        marks: list[dict[str, float]] = []
        fit(training_step, folder / str(turn), folder / f"{turn}.jsonl", turn, lambda *_, m=marks: m.append(_now()))
        _keep(seconds["training"], marks)
        for way, step in steps.items():
            marks = []
            for _ in range(options.steps + (turn == 0)):  # the first step of all compiles kernels
                marks.append(_now())
                step()
            _keep(seconds[way], [*marks, _now()][turn == 0 :])
    medians = {way: {clock: statistics.median(times) for clock, times in by.items()} for way, by in seconds.items()}
    apart = phase.prepare is not None
    return {
        "batch_size": size,
        "batch_apart": apart,
        "galaxies_of_all_epochs": phase.config.epochs * len(phase.items),
        "galaxies_per_second": {w: {c: round(size / s, 1) for c, s in by.items()} for w, by in medians.items()},
        "training_to_bare_step": {c: _speed(medians, "training", "bare step", c) if apart else None for c in CLOCKS},
        "bare_step_to_naive_loop": {c: _speed(medians, "bare step", "naive loop", c) for c in CLOCKS},
        "seconds_of_each_step": {w: {c: [round(s, 4) for s in v] for c, v in by.items()} for w, by in seconds.items()},
    }


_SCORE = {"score": 0.0}


def bare_step(phase, indices: np.ndarray) -> Callable[[], None]:
    """Forward, loss, backward and optimizer on one batch that lies in memory."""
    import torch

    from galaxy_core.training import optimizer_of

    generator = torch.Generator().manual_seed(0)
    optimizer = optimizer_of([p for p in phase.module.parameters() if p.requires_grad], phase.config)
    made = indices if phase.prepare is None else phase.prepare(indices, generator)

    def step() -> None:
        phase.module.train()
        loss = phase.loss_step(made, generator)["loss"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if loss.is_cuda:
            torch.cuda.synchronize()

    return step


def _now() -> dict[str, float]:
    return {clock: read() for clock, read in CLOCKS.items()}


def _keep(seconds: dict[str, list[float]], marks: list[dict[str, float]]) -> None:
    for clock, times in seconds.items():
        times += [after[clock] - before[clock] for before, after in pairwise(marks)]


def _speed(medians: dict, way: str, base: str, clock: str) -> float:
    return round(medians[base][clock] / medians[way][clock], 4)


def whole_recipe(rows: Sequence[dict]) -> dict:
    """The ratios of `measure_phase` for phases one after the other, each as long as all its epochs take."""

    def seconds(way: str, clock: str) -> float:
        return sum(row["galaxies_of_all_epochs"] / row["galaxies_per_second"][way][clock] for row in rows)

    def speed(way: str, base: str) -> dict[str, float]:
        return {clock: round(seconds(base, clock) / seconds(way, clock), 4) for clock in CLOCKS}

    apart = all(row["batch_apart"] for row in rows)
    return {
        "training_to_bare_step": speed("training", "bare step") if apart else dict.fromkeys(CLOCKS),
        "bare_step_to_naive_loop": speed("bare step", "naive loop"),
    }


def whole_line(recipe: str, row: dict) -> str:
    """What is printed of one recipe after its phases."""
    said = [("training / bare step", row["training_to_bare_step"])] if row["training_to_bare_step"]["wall"] else []
    said.append(("bf16 and channels_last / naive loop", row["bare_step_to_naive_loop"]))
    ratios = (f"{name} {told['processor']:.2f} (wall {told['wall']:.2f})" for name, told in said)
    return f"{recipe} as a whole, with all its epochs: {', '.join(ratios)}"


def phase_lines(name: str, row: dict) -> list[str]:
    """What is printed of one phase."""
    lines = [f"{name}, batches of {row['batch_size']}"]
    for way in WAYS:
        rates = row["galaxies_per_second"][way]
        lines.append(
            f"  {way:<12}{rates['processor']:>10,.1f} galaxies a second of processor, {rates['wall']:,.1f} of wall"
        )
    told = row["training_to_bare_step"]
    if row["batch_apart"]:
        lines.append(f"  training / bare step {told['processor']:.3f} (wall {told['wall']:.3f}), wanted 0.90")
    else:
        lines.append("  reading and views are part of this recipe's loss step, so its bare step cannot be told apart")
    told = row["bare_step_to_naive_loop"]
    lines.append(f"  bf16 and channels_last / naive loop {told['processor']:.2f} (wall {told['wall']:.2f}), wanted 2.0")
    return lines
