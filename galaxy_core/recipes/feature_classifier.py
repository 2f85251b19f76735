"""Recipe `feature_classifier`: a ResNet34 that learns classes, for the 512 features it learns them by.

The published system ("galactic-clustering", M. Young & F. Lan, github.com/mkcyoung/galactic-clustering) trains one,
begun with ImageNet weights, on eight classes cut from Galaxy Zoo votes, and maps and clusters its last features. Here:

- The eight classes where a catalog has votes, else whatever classes the catalog has.
- ImageNet weights are downloaded where that is possible and wanted; otherwise training begins from scratch, or from the
  encoder of another model, such as one that `moco` trained without labels.
- Views differ in position angle, mirror image, apparent size, place and brightness; rare classes weigh more; validation
  galaxies choose the epoch and halve the learning rate where it no longer helps.
- The embedding is the 512 features as they are, less their mean over training galaxies, averaged over the eight views.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from galaxy_core.artifacts import write_json
from galaxy_core.augment import LABEL_VIEWS, ViewConfig
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.models.resnet import GalaxyResNet, ResNetConfig
from galaxy_core.ranks import first_goes_first, in_shares, is_first
from galaxy_core.recipes.feature_classifier_labels import classes_to_learn
from galaxy_core.recipes.feature_classifier_scores import evaluate, table_lines
from galaxy_core.recipes.stamp_views import features_of, shrink, training_views
from galaxy_core.recipes.starting_weights import begin_with_imagenet, origin_of, take_encoder
from galaxy_core.recipes.vote_regressor_scores import confusion_matrix, macro_f1
from galaxy_core.recipes.vote_regressor_steps import class_weights
from galaxy_core.splits import TRAIN, VALIDATION
from galaxy_core.stamps import Stamps, make_stamps, some_of
from galaxy_core.training import FitConfig, Phase, Report, fit
from galaxy_core.training_state import begin_state, finish_training, state_of, training_record
from galaxy_core.vote_losses import class_loss

STAMP_PX, BATCH = 128, 256
PHASES = ("whole",)
DOWNLOADS = ".downloads"  # beside the models' folders, so that one download serves all

__all__ = ["PHASES", "Config", "evaluate", "table_lines", "train"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run.

    Attributes
    ----------
    model : ResNetConfig
        Of the network; ``class_names`` chooses among the catalogs' own classes, none: all.
    imagenet : bool
        Whether to begin with ImageNet weights, if they can be downloaded and the network is not started from a model.
    labels_from : {"auto", "votes", "catalog"}
        See `galaxy_core.recipes.feature_classifier_labels.classes_to_learn`.
    learned_pace : float
        Factor on the learning rate where the encoder begins with weights that were learned.
    class_weight_power : float
        A class of share s counts with ``s ** -power`` in the loss, scaled to a mean of 1; 0: all galaxies alike.
    exact_share : float
        Share of a batch that is only turned and mirrored, as images are when the model is used.
    plateau_epochs : int
        See `galaxy_core.training.Phase`.
    """

    seed: int = 0
    model: ResNetConfig = field(default_factory=ResNetConfig)
    views: ViewConfig = LABEL_VIEWS
    whole: FitConfig = field(default_factory=lambda: FitConfig(20, 128, 1e-3, 2e-2))
    imagenet: bool = True
    labels_from: str = "auto"
    learned_pace: float = 0.3
    class_weight_power: float = 0.3
    label_smoothing: float = 0.0
    exact_share: float = 0.25
    plateau_epochs: int = 3
    n_validation_max: int = 4096
    n_spread_max: int = 8192


def train(
    catalogs: Sequence[Catalog],
    folder: str | Path,
    config: Config | None = None,
    device: str = "cpu",
    report: Report | None = None,
    report_decoding: Callable[[int, int], None] | None = None,
    phases: Collection[str] = PHASES,
    start_from: str | Path | None = None,
) -> GalaxyResNet:
    """Train on the training split of ``catalogs`` and write the model's folder; resumes a run that was stopped.

    Parameters
    ----------
    catalogs : sequence of Catalog
        With votes or with classes. Validation galaxies choose the epoch and the learning rate; those of the test split
        are not touched.
    phases : collection of str
        There is one, "whole".
    start_from : path, optional
        Folder of a residual network of the same sizes, as `moco` trains one, whose encoder is taken over.
    """
    config = config or Config()
    folder = Path(folder)
    state_folder, history_path = state_of(folder)
    if set(phases) != set(PHASES):
        raise ModelError(f"The recipe feature_classifier has one phase, {PHASES[0]}; leave --phases out.")
    names, labels, notes = classes_to_learn(catalogs, config.labels_from, config.model.class_names)
    torch.manual_seed(config.seed)
    model = GalaxyResNet(replace(config.model, class_names=names)).to(device, memory_format=torch.channels_last)
    with first_goes_first():
        begun = begin(model, config, folder, start_from, report)
        lessons = [np.array(names), labels]
        begin_state(folder, "feature_classifier", config, catalogs, phases, start_from, lessons=lessons)
        stamps = make_stamps(catalogs, STAMP_PX, state_folder, report_decoding)
    rows = [np.intersect1d(stamps.rows(split), np.flatnonzero(labels >= 0)) for split in (TRAIN, VALIDATION)]
    if len(rows[1]) < 2:
        raise ModelError("Too few galaxies with a class to hold any out for validation; train on a hundred or more.")
    rows[1] = some_of(rows[1], config.n_validation_max, config.seed)
    phase = _phase(model, stamps, labels, rows, config, begun["learned"], device)
    fit(phase, state_folder, history_path, config.seed, report)
    model.eval()
    if not is_first():
        return model
    features = features_of(model.encoder.features, stamps, rows[0], config, model.config.input_px, device)
    model.encoder.centre.copy_(features.mean(dim=0))
    counts = {"n_train": len(rows[0]), "n_train_with_class": len(rows[0]), "n_validation": len(rows[1])}
    notes = [*notes, *stamps.notes, begun["note"]]
    about = training_record("feature_classifier", config, catalogs, notes=notes, **counts)
    return finish_training(folder, model, about | origin_of(start_from), device)


def begin(
    model: GalaxyResNet, config: Config, folder: Path, start_from: str | Path | None, report: Report | None
) -> dict:
    """Give the encoder what it begins with, and say so in ``note``; ``learned``: whether that was learned before.

    What a run began with is kept in its state, so that a resumed one neither downloads nor tells another story. The
    first rank does it for all: the loop gives its weights to the others.
    """
    known = folder / ".state" / "begun.json"
    if known.exists() and ((folder / ".state" / f"{PHASES[0]}.safetensors").exists() or not is_first()):
        return json.loads(known.read_text(encoding="utf-8"))
    if start_from is not None:
        take_encoder(model, start_from)
        begun = {"learned": True, "note": f"Training begins with the encoder of {Path(start_from).name}."}
    elif config.imagenet:
        learned, note = begin_with_imagenet(model, folder.parent / DOWNLOADS, report)
        begun = {"learned": learned, "note": note}
        if not learned:
            _log.warning(note)
    else:
        begun = {"learned": False, "note": "Training begins from scratch, as asked for."}
    write_json(known, begun)
    return begun


def _phase(
    model: GalaxyResNet,
    stamps: Stamps,
    labels: np.ndarray,
    rows: Sequence[np.ndarray],
    config: Config,
    learned: bool,
    device: str,
) -> Phase:
    size, n_classes = model.config.input_px, len(model.config.class_names)
    weights = torch.from_numpy(class_weights(labels[rows[0]], n_classes, config.class_weight_power)).to(device)
    pace = config.learned_pace if learned else 1.0

    def logits_of(images: Tensor) -> Tensor:
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
            features = in_shares(model.encoder.features, images)
        return model.classifier(features)

    def truth_of(indices: np.ndarray) -> Tensor:
        return torch.from_numpy(labels[indices]).to(device)

    def prepare(indices, generator: Generator) -> tuple[Tensor, np.ndarray]:
        return training_views(stamps.planes(indices).to(device), config, size, generator), indices

    def losses(batch, _: Generator) -> dict[str, Tensor]:
        views, indices = batch
        loss = class_loss(logits_of(views), truth_of(indices), weights, config.label_smoothing).mean()
        return {"loss": loss}

    def validate() -> dict[str, float]:
        total, predicted = 0.0, []
        for start in range(0, len(rows[1]), BATCH):
            batch = rows[1][start : start + BATCH]
            logits = logits_of(shrink(stamps.batch(batch)[0].to(device), size))
            total += float(class_loss(logits, truth_of(batch), weights, config.label_smoothing).sum())
            predicted.append(logits.argmax(dim=1).cpu().numpy())
        confusion = confusion_matrix(labels[rows[1]], np.concatenate(predicted), n_classes)
        scores = {"accuracy": float(np.trace(confusion) / confusion.sum()), "macro_f1": macro_f1(confusion)}
        return {"score": total / len(rows[1]), "loss": total / len(rows[1]), **scores}

    fit_config = replace(config.whole, learning_rate=pace * config.whole.learning_rate)
    return Phase(PHASES[0], model, rows[0], losses, validate, fit_config, config.plateau_epochs, prepare)
