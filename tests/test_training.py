"""The loop learns, stops early, and refuses what cannot work."""

import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from galaxy_core import training
from galaxy_core.errors import ModelError
from galaxy_core.training import FitConfig, Phase, fit, learning_rate, optimizer_of

CONFIG = FitConfig(epochs=4, batch_size=8, learning_rate=0.05, warmup_steps=2, patience_epochs=10)


def line_phase(module: nn.Linear, config: FitConfig = CONFIG, n: int = 40) -> Phase:
    """Learn y = 2x + 1 with noise drawn from the loop's own generator."""

    def loss_step(indices, generator):
        x = torch.from_numpy(indices).float().view(-1, 1) / n
        y = 2 * x + 1 + 0.01 * torch.randn(x.shape, generator=generator)
        return {"loss": (module(x) - y).square().mean()}

    def validate():
        x = torch.linspace(0, 1, 11).view(-1, 1)
        return {"score": (module(x) - 2 * x - 1).square().mean().item()}

    return Phase("line", module, np.arange(n), loss_step, validate, config)


def fresh() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(1, 1)


def test_it_learns_and_keeps_a_history(tmp_path):
    module = fresh()
    before = line_phase(module).validate()["score"]
    config = FitConfig(epochs=60, batch_size=8, learning_rate=0.1, warmup_steps=2, patience_epochs=60)
    told = []
    fit(line_phase(module, config), tmp_path, tmp_path / "history.jsonl", 0, lambda *of: told.append(of[-1]))
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert line_phase(module).validate()["score"] < 0.01 * before
    assert [line["epoch"] for line in history] == list(range(60))
    assert all({"loss", "validation", "learning_rate", "galaxies_per_second"} <= set(line) for line in history)
    assert "validation" not in told[4] and told[5]["validation"] == told[9]["validation"]
    assert told[9]["validation"] == history[0]["validation"]["score"], "as it goes, not only in the end"


def test_a_plateau_halves_the_learning_rate_and_nothing_else_does(tmp_path):
    def rates(name, plateau_epochs):
        module, scores = fresh(), iter([1.0, 2.0, 2.0, 0.5, 2.0, 2.0, 2.0, 2.0])
        config = FitConfig(8, 8, 0.05, warmup_steps=2, patience_epochs=10)
        phase = replace(
            line_phase(module, config), validate=lambda: {"score": next(scores)}, plateau_epochs=plateau_epochs
        )
        fit(phase, tmp_path / name, tmp_path / f"{name}.jsonl", seed=0)
        return np.array([json.loads(x)["learning_rate"] for x in (tmp_path / f"{name}.jsonl").read_text().splitlines()])

    plain, halved = rates("plain", 0), rates("halved", 2)
    np.testing.assert_allclose(
        plain, [learning_rate(5 * epoch + 4, 40, FitConfig(8, 8, 0.05, warmup_steps=2)) for epoch in range(8)]
    )
    np.testing.assert_allclose(halved / plain, [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25])


def test_a_batch_made_apart_trains_the_same(tmp_path):
    """Reading and views in ``prepare`` draw before the loss does, as they did when both were one."""
    plain, split = fresh(), fresh()
    one = line_phase(plain)
    fit(one, tmp_path / "a", tmp_path / "a.jsonl", seed=3)

    def prepare(indices, generator):
        x = torch.from_numpy(indices).float().view(-1, 1) / 40
        return x, 2 * x + 1 + 0.01 * torch.randn(x.shape, generator=generator)

    def loss_step(batch, _):
        x, y = batch
        return {"loss": (split(x) - y).square().mean()}

    two = replace(line_phase(split), loss_step=loss_step, prepare=prepare)
    fit(two, tmp_path / "b", tmp_path / "b.jsonl", seed=3)
    assert torch.equal(plain.weight, split.weight) and torch.equal(plain.bias, split.bias)


def test_the_next_batch_is_made_while_gradients_are_computed(tmp_path, monkeypatch):
    """In a thread of its own, after the loss has drawn what it draws; with the very same weights."""
    trained, threads = [], []
    for ahead in (False, True):
        monkeypatch.setattr(training, "works_ahead", lambda phase, ahead=ahead: ahead)
        module, made_by, learned = fresh(), [], []

        def prepare(indices, generator, made_by=made_by):
            made_by.append(threading.current_thread())
            return torch.from_numpy(indices).float().view(-1, 1) / 40 + 0.01 * torch.randn(8, 1, generator=generator)

        def loss_step(x, generator, module=module, made_by=made_by, learned=learned):
            learned.append(len(made_by))  # batches made when this one is learned from
            noise = 0.01 * torch.randn(x.shape, generator=generator)
            return {"loss": (module(x) - 2 * x - 1 - noise).square().mean()}

        phase = replace(line_phase(module), loss_step=loss_step, prepare=prepare)
        fit(phase, tmp_path / str(ahead), tmp_path / f"{ahead}.jsonl", seed=3)
        trained.append(module)
        threads.append({thread is threading.main_thread() for thread in made_by[1:5]})
        assert learned == list(range(1, 21))
    assert threads == [{True}, {False}]
    assert torch.equal(trained[0].weight, trained[1].weight) and torch.equal(trained[0].bias, trained[1].bias)


def test_a_batch_that_cannot_be_made_ends_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "works_ahead", lambda phase: True)
    module, calls = fresh(), []

    def prepare(indices, _):
        calls.append(1)
        if len(calls) == 3:
            raise ModelError("The third batch cannot be read.")
        return torch.from_numpy(indices).float().view(-1, 1)

    phase = replace(line_phase(module), loss_step=lambda x, _: {"loss": module(x).square().mean()}, prepare=prepare)
    with pytest.raises(ModelError, match="third batch"):
        fit(phase, tmp_path, tmp_path / "h.jsonl", seed=3)
    assert len(calls) == 3


def test_batches_are_made_ahead_where_processors_are_idle(monkeypatch):
    phase = replace(line_phase(fresh()), prepare=lambda indices, _: indices)
    monkeypatch.setattr(training, "processors", lambda: 4)
    for threads, expected in ((1, True), (2, True), (3, False), (4, False)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert training.works_ahead(phase) is expected
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert not training.works_ahead(line_phase(fresh()))  # nothing is made apart
    monkeypatch.setattr(training, "ranks", lambda: SimpleNamespace(count=2))
    assert not training.works_ahead(phase)


def test_a_step_is_adamw_and_the_average_is_the_running_mean(tmp_path):
    """Against torch's plain optimizer and the average written out, on a module that counts batches too."""

    def module():
        torch.manual_seed(2)
        return nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))

    def phase_of(net):
        return replace(line_phase(net, replace(CONFIG, epochs=1)), module=net)

    net, naive = module(), module()
    fit(phase_of(net), tmp_path, tmp_path / "h.jsonl", seed=0)
    optimizer = torch.optim.AdamW(naive.parameters(), lr=CONFIG.learning_rate, weight_decay=CONFIG.weight_decay)
    order = np.random.default_rng([0, sum(map(ord, "line")), 0]).permutation(40)
    generator = torch.Generator().manual_seed(sum(map(ord, "line")) * 1_009)
    average = {key: value.clone() for key, value in naive.state_dict().items()}
    for step in range(5):
        optimizer.param_groups[0]["lr"] = learning_rate(step, 5, CONFIG)
        loss = phase_of(naive).loss_step(np.sort(order[8 * step : 8 * step + 8]), generator)["loss"]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(naive.parameters(), CONFIG.gradient_clip)
        optimizer.step()
        decay = min(CONFIG.average_decay, (1 + step) / (10 + step))
        for key, value in naive.state_dict().items():
            average[key] = decay * average[key] + (1 - decay) * value if value.is_floating_point() else value.clone()
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, average[key], rtol=1e-4, atol=1e-6)
    assert int(net[0].num_batches_tracked) == 5


def test_the_optimizer_is_adamw_however_weights_lie_in_memory():
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)) for _ in range(2)]
    nets[0].load_state_dict(nets[1].state_dict())
    nets[0].to(memory_format=torch.channels_last)
    config = FitConfig(1, 1, 1e-2, weight_decay=0.1)
    plain = torch.optim.AdamW(nets[1].parameters(), lr=1e-2, weight_decay=0.1)
    optimizers = [optimizer_of(list(nets[0].parameters()), config), plain]
    for step in range(4):
        images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        for net, optimizer in zip(nets, optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = 1e-2 / (step + 1)
            optimizer.zero_grad()
            net(images.contiguous(memory_format=torch.channels_last)).square().sum().backward()
            optimizer.step()
    for found, expected in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_another_seed_gives_other_weights(tmp_path):
    modules = [fresh(), fresh()]
    for seed, module in enumerate(modules):
        fit(line_phase(module), tmp_path / str(seed), tmp_path / f"{seed}.jsonl", seed=seed)
    assert not torch.equal(modules[0].weight, modules[1].weight)


def test_it_stops_early_and_keeps_the_best_weights(tmp_path):
    module = fresh()
    phase = line_phase(module, FitConfig(epochs=50, batch_size=8, learning_rate=0.1, patience_epochs=2))
    scores = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    seen = []

    def validate():
        seen.append(module.weight.detach().clone())
        return {"score": next(scores)}

    phase = Phase(phase.name, module, phase.items, phase.loss_step, validate, phase.config)
    fit(phase, tmp_path, tmp_path / "h.jsonl", seed=0)
    assert len(seen) == 4  # best at the second epoch, then two without progress
    assert torch.equal(module.weight, seen[1])


def test_too_few_galaxies_and_divergence_are_said(tmp_path):
    with pytest.raises(ModelError, match="at least 8 galaxies"):
        fit(line_phase(fresh(), n=5), tmp_path, tmp_path / "h.jsonl", seed=0)
    phase = line_phase(fresh())
    diverging = Phase(
        "nan", phase.module, phase.items, lambda *_: {"loss": torch.tensor(float("nan"))}, phase.validate, CONFIG
    )
    with pytest.raises(ModelError, match="diverged"):
        fit(diverging, tmp_path, tmp_path / "h.jsonl", seed=0)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"epochs": -1},
        {"batch_size": 0},
        {"batch_size": -4},
        {"learning_rate": 0.0},
        {"learning_rate": -1.0},
        {"learning_rate": float("nan")},
        {"weight_decay": -1.0},
        {"gradient_clip": float("inf")},
        {"average_decay": 1.5},
    ],
)
def test_a_phase_that_cannot_be_trained_is_one_sentence(change):
    (name,) = change
    with pytest.raises(ModelError, match=f"cannot be trained with {name}="):
        replace(CONFIG, **change)


def test_learning_rate_warms_up_and_falls_to_zero():
    config = FitConfig(epochs=1, batch_size=1, learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) < 1.0
    assert np.argmax(rates) == 9 and rates[-1] < 0.001
    few = [learning_rate(step, 20, config) for step in range(20)]
    assert max(few) > 0.9 and few[0] == 0.5, "a warm-up of a tenth of few steps"
    assert learning_rate(0, 3, config) == 1.0
