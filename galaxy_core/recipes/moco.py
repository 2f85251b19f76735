"""Recipe `moco`: learn, without a label, to know a galaxy again among others; MoCo v2 with a ResNet18.

He et al. 2020 (CVPR) with the projection head of two layers, the stronger views and the cosine schedule of Chen et al.
2020 (arXiv:2003.04297). What differs here, and why:

- Views differ in what says nothing about a galaxy (`galaxy_core.augment`): position angle, mirror image, apparent size,
  place, brightness, colour calibration, noise. Colours as such stay, and no view cuts half of the galaxy away.
- A galaxy's own earlier keys, and places of the queue that are still empty, do not count against its query: catalogs
  here are so small that the queue holds a good part of them.
- The momentum is 0.99, since a run here has thousands of steps and not millions, and the optimizer is AdamW.
- The network is half as wide as published, so that two cores can train it; `model.width=64` makes it whole.
- Held-out galaxies choose the epoch by the loss of their two views among one another, without the queue.
- At the end the embedding is spread evenly over its axes, as that of the contrastive denoiser is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

from galaxy_core.augment import ViewConfig, random_view
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.losses import nt_xent_loss
from galaxy_core.models.momentum_contrast import MomentumContrast, project
from galaxy_core.models.resnet import GalaxyResNet, ResNetConfig
from galaxy_core.ranks import first_goes_first, is_first
from galaxy_core.recipes.moco_scores import evaluate, table_lines
from galaxy_core.recipes.stamp_views import features_of
from galaxy_core.recipes.starting_weights import origin_of, take_encoder
from galaxy_core.splits import TRAIN, VALIDATION
from galaxy_core.stamps import Stamps, make_stamps, some_of
from galaxy_core.training import FitConfig, Phase, Report, fit
from galaxy_core.training_state import begin_state, finish_training, state_of, training_record

STAMP_PX = 128
PHASES = ("contrast",)

__all__ = ["PHASES", "Config", "evaluate", "table_lines", "train"]


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run.

    Attributes
    ----------
    momentum : float
        How slowly the network of keys follows that of queries.
    queue_size : int
        Keys of other galaxies that a query is compared with.
    n_groups : int
        See `galaxy_core.models.momentum_contrast.MomentumContrast.contrast`.
    n_validation_max, n_spread_max : int
        At most so many validation galaxies choose the epoch, and so many training galaxies set the embedding's axes.
    """

    seed: int = 0
    model: ResNetConfig = field(
        default_factory=lambda: ResNetConfig(depth=18, width=32, projection_size=128, embedding_size=192)
    )
    views: ViewConfig = field(default_factory=ViewConfig)
    contrast: FitConfig = field(default_factory=lambda: FitConfig(20, 128, 1.5e-3, 1e-2))
    temperature: float = 0.2
    momentum: float = 0.99
    queue_size: int = 4096
    n_groups: int = 4
    n_validation_max: int = 1024
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
        No label is read. Galaxies of the validation split choose the epoch; those of the test split are not touched.
    phases : collection of str
        There is one, "contrast".
    start_from : path, optional
        Folder of a residual network of the same sizes, whose encoder is taken over.
    """
    config = config or Config()
    folder = Path(folder)
    state_folder, history_path = state_of(folder)
    if set(phases) != set(PHASES):
        raise ModelError(f"The recipe moco has one phase, {PHASES[0]}; leave --phases out.")
    if config.model.projection_size < 1 or config.queue_size < 1:
        raise ModelError("Momentum contrast needs a projection head and a queue; set both sizes to 1 or more.")
    torch.manual_seed(config.seed)
    model = GalaxyResNet(config.model).to(device, memory_format=torch.channels_last)
    if start_from is not None:
        take_encoder(model, start_from)
    with first_goes_first():
        begin_state(folder, "moco", config, catalogs, phases, start_from)
        stamps = make_stamps(catalogs, STAMP_PX, state_folder, report_decoding)
    if len(stamps.rows(VALIDATION)) < 2:
        raise ModelError("Too few galaxies to hold any out for validation; train on a hundred or more.")
    fit(_phase(model, stamps, config, device), state_folder, history_path, config.seed, report)
    model.eval()
    if not is_first():
        return model
    train_rows = stamps.rows(TRAIN)
    size = model.config.input_px
    model.encoder.spread(features_of(model.encoder.features, stamps, train_rows, config, size, device))
    counts = {"n_train": len(train_rows), "n_validation": len(stamps.rows(VALIDATION))}
    about = training_record("moco", config, catalogs, notes=list(stamps.notes), **counts)
    return finish_training(folder, model, about | origin_of(start_from), device)


def _phase(model: GalaxyResNet, stamps: Stamps, config: Config, device: str) -> Phase:
    trained = MomentumContrast(model, config.queue_size).to(device)
    validation_rows = some_of(stamps.rows(VALIDATION), config.n_validation_max, config.seed)

    def two_views(indices, generator: Generator) -> tuple[Tensor, Tensor]:
        planes = stamps.planes(indices).to(device)
        return tuple(random_view(planes, config.model.input_px, config.views, generator) for _ in range(2))

    def precise() -> torch.autocast:
        return torch.autocast(device.split(":")[0], dtype=torch.bfloat16)

    def prepare(indices, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        return *two_views(indices, generator), torch.from_numpy(indices).to(device)

    def losses(batch, generator: Generator) -> dict[str, Tensor]:
        first, second, rows = batch
        trained.follow(config.momentum)
        with precise():
            loss = trained.contrast(first, second, rows, config.temperature, config.n_groups, generator)
        return {"loss": loss}

    def validate() -> dict[str, float]:
        # the running average of a queue mixes keys of different galaxies, so held-out ones are compared with each other
        views = two_views(validation_rows, Generator().manual_seed(config.seed + 1))
        with precise():
            first, second = (project(trained.query, view).float() for view in views)
        loss = float(nt_xent_loss(first, second, config.temperature))
        nearest = (normalize(first, dim=1) @ normalize(second, dim=1).T).argmax(dim=1).cpu()
        found = float((nearest == torch.arange(len(nearest))).float().mean())
        return {"score": loss, "contrast_of_views": loss, "found_again": found}

    return Phase("contrast", trained, stamps.rows(TRAIN), losses, validate, config.contrast, 0, prepare)
