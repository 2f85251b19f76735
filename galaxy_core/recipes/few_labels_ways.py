"""One result: a model, a way to use it, a share of the labels and a seed, to accuracy and macro-F1 on test galaxies."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.torch import load_file
from torch import nn

from galaxy_core.label_draws import draw_labels
from galaxy_core.label_efficiency import FINE_TUNED, FROZEN, NO_MODEL, SCRATCH, UNLABELLED
from galaxy_core.recipes import Report
from galaxy_core.recipes.few_labels_frozen import LinearHead, fit_head
from galaxy_core.recipes.few_labels_task import Task
from galaxy_core.recipes.few_labels_training import (
    FewLabelNet,
    fit_config_for,
    predict,
    scratch_net,
    sharpen,
    train_net,
)
from galaxy_core.recipes.vote_regressor_scores import confusion_matrix, macro_f1
from galaxy_core.splits import TRAIN
from galaxy_core.training import write_tensors

if TYPE_CHECKING:
    from galaxy_core.recipes.few_labels import Config

TEACHER_VIEWS = 2  # of each training image that a fine-tuned net names: as sure a mean would take four times as long
LABELLED_SHARE = 0.25  # of what is learned from where all training images are
OF_UNLABELLED, OF_SCRATCH = {"unlabelled", "unlabelled_views", "temperature"}, {"scratch", "scratch_views"}
SPARED = {
    FROZEN: set(),
    FINE_TUNED: OF_UNLABELLED | OF_SCRATCH,
    UNLABELLED: OF_SCRATCH,
    SCRATCH: OF_UNLABELLED | {"fine_tuned", "fine_tuned_views"},
}
"""Settings of a training that a way does not come across: with others its results stay."""


@dataclass(frozen=True)
class Subject:
    """A model, the checksum of its encoder, its features of all galaxies (n, n_features), and their soft whitening."""

    name: str
    model: nn.Module
    checksum: str
    features: np.ndarray
    whitening: tuple[np.ndarray, np.ndarray]


def run_way(
    subject: Subject | None,
    way: str,
    share: float,
    seed: int,
    task: Task,
    config: Config,
    device: str = "cpu",
    report: Report | None = None,
) -> dict:
    """One result as plain values; ``subject`` is None from scratch."""
    started = time.perf_counter()
    rows = draw_labels(task.classes, task.train, share, seed)
    chosen: dict = {}
    if way == FROZEN:
        head = head_of(subject, rows, task, config, seed)
        told, chosen = head.logits(subject.features[task.test]), {"strength": head.strength}
    else:
        name = subject.name if subject else NO_MODEL
        label = f"{name}, {way.replace('_', ' ')}, {share:.3g} of labels, seed {seed}"
        net, chosen = trained_net(subject, way, share, seed, task, config, device, report, label)
        told = predict(net, task.stamps, task.test, device)
    truth = task.classes[task.test]
    confusion = confusion_matrix(truth, told.argmax(axis=1), len(task.class_names))
    recall = np.diag(confusion) / np.maximum(confusion.sum(axis=1), 1)
    return {
        "way": way,
        "share": share,
        "seed": seed,
        "n_labels": len(rows),
        "n_test": len(truth),
        "accuracy": float(np.trace(confusion) / len(truth)),
        "macro_f1": macro_f1(confusion),
        "recall": dict(zip(task.class_names, recall.tolist(), strict=True)),
        "chosen": chosen,
        "seconds": round(time.perf_counter() - started, 1),
    }


def key_of(weights: str, way: str, share: float, seed: int, task: Task, config: Config) -> str:
    """Changes with whatever may change a result; ``weights`` is the checksum of an encoder."""
    settings = {name: value for name, value in asdict(config.training).items() if name not in SPARED[way]}
    if settings["input_px"] is None:
        del settings["input_px"]  # results from before it could be chosen stay
    training = None if way == FROZEN else settings
    text = json.dumps([weights, way, share, seed, task.key, training, asdict(config.frozen)])
    return hashlib.sha1(text.encode()).hexdigest()[:20]


def head_of(subject: Subject, rows: np.ndarray, task: Task, config: Config, seed: int) -> LinearHead:
    """The classifier on frozen features of the rows whose labels were drawn."""
    features, classes = subject.features[rows], task.classes[rows]
    return fit_head(features, classes, len(task.class_names), subject.whitening, config.frozen, seed)


def one_hot(task: Task) -> np.ndarray:
    """Probability 1 of each galaxy's class, float32 (n, n_classes); rows without a class are 0."""
    return (task.classes[:, None] == np.arange(len(task.class_names))).astype(np.float32)


def starting_net(subject: Subject | None, share: float, seed: int, task: Task, config: Config) -> FewLabelNet:
    """A net before it is trained: from random weights, or a model's encoder under the classifier on its features."""
    if subject is None:
        return scratch_net(len(task.class_names), seed, config.training.input_px)
    encoder = copy.deepcopy(subject.model.encoder).requires_grad_()
    input_px = config.training.input_px if encoder.any_size else None
    net = FewLabelNet(encoder, len(task.class_names), input_px or subject.model.config.embedding_input_px)
    net.set_head(head_of(subject, draw_labels(task.classes, task.train, share, seed), task, config, seed))
    return net


def trained_net(
    subject: Subject | None,
    way: str,
    share: float,
    seed: int,
    task: Task,
    config: Config,
    device: str,
    report: Report | None,
    label: str,
) -> tuple[FewLabelNet, dict]:
    """A net trained in this way, kept in the working folder, and how it was."""
    training, weights = config.training, subject.checksum if subject else NO_MODEL
    items, others = items_of(way, share, seed, task)
    limits, n_views = training.fine_tuned, training.fine_tuned_views
    if way == SCRATCH:
        limits, n_views = training.scratch, training.scratch_views
    elif way == UNLABELLED:
        limits, n_views = training.unlabelled, training.unlabelled_views
    fit_config = fit_config_for(limits, n_views, len(items))
    how = {"epochs": fit_config.epochs, "batch_size": fit_config.batch_size, "n_items": len(items)}
    kept = task.work / f"net-{key_of(weights, way, share, seed, task, config)}.safetensors"
    if kept.exists():
        net = starting_net(subject, share, seed, task, config)
        net.load_state_dict(load_file(kept))
        return net.to(device).eval(), how
    targets = one_hot(task)
    if way == UNLABELLED:
        net, _ = trained_net(subject, FINE_TUNED, share, seed, task, config, device, report, f"{label}: teacher")
        if len(others):
            told = predict(net, task.stamps, others, device, TEACHER_VIEWS)
            targets[others] = sharpen(told, training.temperature)
    else:
        net = starting_net(subject, share, seed, task, config)
    folder = kept.with_suffix("")
    progress = report and (lambda _, step, n_steps, losses: report(label, step, n_steps))
    train_net(net, task.stamps, targets, items, fit_config, training, folder, seed, device, progress)
    write_tensors(kept, net.state_dict())
    shutil.rmtree(folder)
    return net, how


def items_of(way: str, share: float, seed: int, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Rows that a training goes through, repeated as often as they come in an epoch, and those without a label."""
    rows = draw_labels(task.classes, task.train, share, seed)
    if way != UNLABELLED:
        return rows, rows[:0]
    others = np.setdiff1d(task.stamps.rows(TRAIN), rows)
    n_repeats = max(1, round(LABELLED_SHARE / (1 - LABELLED_SHARE) * len(others) / len(rows)))
    return np.concatenate([others, np.repeat(rows, n_repeats)]), others
