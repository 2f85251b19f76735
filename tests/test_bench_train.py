"""The benchmark of training: any recipe's phases are found untrained, and what it measures is what it says."""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from galaxy_core import recipes, training
from galaxy_core.training import FitConfig, Phase
from scripts.benchmarks import train as bench

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = argparse.Namespace(steps=2, repeats=2, batch_size=None, set=[], phases=None)


@dataclass(frozen=True)
class ToyConfig:
    width: int = 8
    first: FitConfig = field(default_factory=lambda: FitConfig(2, 8, 1e-3))
    second: FitConfig = field(default_factory=lambda: FitConfig(2, 4, 1e-3))
    measured: float = 0.5


@dataclass(frozen=True)
class FurtherConfig(ToyConfig):
    further: FitConfig = field(default_factory=lambda: FitConfig(2, 8, 1e-3))  # which `toy` never trains


def phase_of(name: str, config: FitConfig, width: int = 8, apart: bool = True, spend=lambda what: None) -> Phase:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 1, 3)).to(memory_format=torch.channels_last)
    net.seen = []

    def prepare(indices, generator):
        spend("batch")
        return torch.rand(len(indices), 3, 16, 16, generator=generator)

    def losses(images, generator):
        spend("step")
        images = images if apart else prepare(images, generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            told = net(images.contiguous(memory_format=torch.channels_last))
        net.seen.append((told.dtype, net[0].weight.is_contiguous()))
        return {"loss": told.float().square().mean()}

    validate = {"score": 0.0}
    return Phase(name, net, np.arange(40), losses, lambda: validate, config, prepare=prepare if apart else None)


@pytest.fixture
def toy(monkeypatch):
    """A recipe of two phases, which must not be trained, and what happens after them must not happen."""
    module = ModuleType("toy_recipe")
    module.Config, module.PHASES, module.fit = ToyConfig, ("first", "second", "measured"), training.fit

    def train(catalogs, folder, config, device):
        for name in ("first", "second"):
            module.fit(phase_of(name, getattr(config, name), config.width), folder, folder / "h.jsonl", 0)
        raise AssertionError("the training went on")

    module.train = train
    monkeypatch.setitem(sys.modules, "toy_recipe", module)
    monkeypatch.setitem(recipes.RECIPES, "toy", recipes.Recipe("toy", "A toy.", "toy_recipe"))
    return module


def test_phases_of_any_recipe_are_found_and_none_is_trained(toy, tmp_path):
    options = argparse.Namespace(**(vars(OPTIONS) | {"batch_size": 5, "set": ["width=16", "of_another_recipe.x=1"]}))
    found = bench.find_phases("toy", [], tmp_path, options, "cpu")
    assert list(found) == ["first", "second"] and toy.fit is training.fit and not list(tmp_path.iterdir())
    for phase, naive in found.values():
        assert phase.config.batch_size == 5 and phase.module[0].out_channels == 16 and phase.module is not naive.module
        assert not phase.module[0].weight.is_contiguous() and naive.module[0].weight.is_contiguous()


def test_a_naive_loop_is_float32_in_the_usual_order(toy, tmp_path):
    phase, naive = bench.find_phases("toy", [], tmp_path, OPTIONS, "cpu")["second"]
    row = bench.measure_phase(phase, naive, tmp_path / "state", OPTIONS)
    assert set(phase.module.seen) == {(torch.bfloat16, False)} and set(naive.module.seen) == {(torch.float32, True)}
    assert torch.channels_last is not torch.contiguous_format, "the ways are as before"
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    times = row["seconds_of_each_step"]
    assert {way: len(times[way]["wall"]) for way in bench.WAYS} == {"training": 4, "bare step": 4, "naive loop": 4}
    medians = {way: np.median(times[way]["processor"]) for way in bench.WAYS}
    assert row["bare_step_to_naive_loop"]["processor"] == pytest.approx(
        medians["naive loop"] / medians["bare step"], rel=0.1
    )


def test_time_spent_on_batches_shows_and_is_told_apart_only_where_it_can_be(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "processors", lambda: 1)  # with more, a batch is made while the step before it runs
    now = [0.0]

    def spend(what: str) -> None:
        now[0] += {"batch": 0.05, "step": 0.02}[what]

    monkeypatch.setattr(bench, "CLOCKS", dict.fromkeys(bench.CLOCKS, lambda: now[0]))
    config = FitConfig(1, 8, 1e-3)
    slow = phase_of("p", config, spend=spend)
    row = bench.measure_phase(slow, slow, tmp_path / "a", OPTIONS)
    assert row["seconds_of_each_step"]["training"]["processor"] == [0.07] * 4
    assert row["seconds_of_each_step"]["bare step"]["wall"] == [0.02] * 4
    assert row["training_to_bare_step"] == {"processor": 0.2857, "wall": 0.2857}
    whole = phase_of("p", config, apart=False, spend=spend)
    row = bench.measure_phase(whole, whole, tmp_path / "b", OPTIONS)
    assert row["training_to_bare_step"] == {"processor": None, "wall": None}
    assert "cannot be told apart" in "\n".join(bench.phase_lines("p", row))


def test_few_galaxies_are_shown_again(tmp_path):
    phase = replace(phase_of("p", FitConfig(1, 8, 1e-3)), items=np.arange(3))
    row = bench.measure_phase(phase, phase, tmp_path / "a", OPTIONS)
    assert row["batch_size"] == 8 and row["galaxies_per_second"]["training"]["wall"] > 0


def test_a_recipe_as_a_whole_weighs_phases_by_the_time_their_epochs_take(toy, tmp_path):
    def row(galaxies: int, training: float, bare: float, naive: float, apart: bool = True) -> dict:
        rates = dict(zip(bench.WAYS, (training, bare, naive), strict=True))
        both = {way: dict.fromkeys(bench.CLOCKS, rate) for way, rate in rates.items()}
        return {"galaxies_of_all_epochs": galaxies, "galaxies_per_second": both, "batch_apart": apart}

    rows = [row(1000, 80, 100, 50), row(3000, 900, 1000, 1000)]
    whole = bench.whole_recipe(rows)
    assert whole["training_to_bare_step"]["processor"] == round((10 + 3) / (12.5 + 3.3333333), 4)
    assert whole["bare_step_to_naive_loop"]["wall"] == round((20 + 3) / (10 + 3), 4)
    assert "training / bare step 0.82" in bench.whole_line("toy", whole)
    alone = bench.whole_recipe([*rows, row(1, 1, 1, 1, apart=False)])
    assert alone["training_to_bare_step"]["wall"] is None and "bare step 0" not in bench.whole_line("toy", alone)

    phase, naive = bench.find_phases("toy", [], tmp_path, OPTIONS, "cpu")["first"]
    found = bench.measure_phase(phase, naive, tmp_path / "state", OPTIONS)
    assert found["galaxies_of_all_epochs"] == 2 * 40 and len(found["seconds_of_each_step"]["training"]["wall"]) == 4


def run_command(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench.py", "train", "synthetic:2", "--recipes", "toy", *arguments])
    return runpy.run_path(str(ROOT / "scripts" / "bench.py"), run_name="script")["main"]()


@pytest.mark.parametrize("option", ["--steps", "--repeats", "--batch-size"])
def test_nothing_is_measured_in_no_steps(toy, monkeypatch, capsys, option):
    for number in ("0", "-1", "two"):
        with pytest.raises(SystemExit) as stopped:
            run_command(monkeypatch, option, number)
        assert stopped.value.code == 2 and f"{number} is not a whole number" in capsys.readouterr().err


def test_a_name_that_no_recipe_has_is_one_sentence(toy, monkeypatch, capsys):
    toy.PHASES, toy.Config = ("further", *toy.PHASES), FurtherConfig
    for arguments, told in (
        (["--phases", "first", "bogus"], "has bogus; choose among first, further, second."),
        (["--phases", "measured"], "has measured; choose among"),
        (["--set", "width=4", "frst.epochs=3"], "has frst; choose among first, further, measured, second, width."),
        (["--phases", "further"], "no training from new weights has these phases"),
    ):
        assert run_command(monkeypatch, *arguments, "--device", "cpu") == 1
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1, error


def test_the_command_names_threads_and_writes(toy, tmp_path, monkeypatch, capsys):
    wider = ModuleType("wider_recipe")  # with phases of the same names, whose states must not be taken for its own
    wider.__dict__.update(vars(toy))
    wider.train = lambda catalogs, folder, config, device: toy.train(
        catalogs, folder, replace(config, width=16), device
    )
    monkeypatch.setitem(sys.modules, "wider_recipe", wider)
    monkeypatch.setitem(recipes.RECIPES, "wider", recipes.Recipe("wider", "Another.", "wider_recipe"))
    line = ["bench.py", "train", "synthetic:2", "--recipes", "toy", "wider", "--phases", "first"]
    monkeypatch.setattr(
        sys, "argv", [*line, "--repeats", "1", "--steps", "1", "--json", str(tmp_path / "x.json"), "--device", "cpu"]
    )
    assert runpy.run_path(str(ROOT / "scripts" / "bench.py"), run_name="script")["main"]() == 0
    printed, written = capsys.readouterr().out, json.loads((tmp_path / "x.json").read_text())
    assert f"threads {torch.get_num_threads()}" in printed and "toy.first, batches of 8" in printed
    assert written["recipes"] == {} and "as a whole" not in printed, "only one of its phases was measured"
    assert set(written["phases"]) == {"toy.first", "wider.first"} and written["multiplies_bf16"] in (True, False, None)
