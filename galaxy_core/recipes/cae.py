"""Recipe `cae`: redraw a galaxy from a code of 128 numbers, without a label.

The published system trains a convolutional autoencoder on an array of all images and classifies its codes. Here:

- Stamps come batch by batch from a file on disk, in colour, turned, mirrored, shifted and scaled on the batch; each
  view is its own target.
- bf16 and channels_last, weights averaged over steps, the best epoch on validation galaxies is kept.
- At the end the embedding is spread over its axes, as that of the contrastive denoiser is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from galaxy_core.augment import LABEL_VIEWS, ViewConfig, random_dihedral, random_view
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model
from galaxy_core.models.autoencoder import AutoencoderConfig, GalaxyAutoencoder
from galaxy_core.models.dihedral import view_features
from galaxy_core.ranks import first_goes_first, in_shares, is_first
from galaxy_core.recipes.cae_scores import evaluate, table_lines
from galaxy_core.recipes.stamp_views import features_of, shrink
from galaxy_core.recipes.starting_weights import origin_of
from galaxy_core.splits import TRAIN, VALIDATION
from galaxy_core.stamps import Stamps, colours, few_at_a_time, make_stamps, some_of
from galaxy_core.training import FitConfig, Phase, Report, fit
from galaxy_core.training_state import begin_state, finish_training, state_of, training_record

STAMP_PX = 128
PHASES = ("redraw",)
BATCH = 256

__all__ = ["PHASES", "Config", "evaluate", "table_lines", "train"]


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run.

    Attributes
    ----------
    views : ViewConfig
        How far views differ from the stamp; noise and grey views are off, since a code would have to redraw them.
    exact_share : float
        Share of a batch that is only turned by quarter turns and mirrored, as images are when the model is used.
    n_validation_max, n_spread_max : int
        Validation galaxies that choose the epoch, and training galaxies the embedding is spread on.
    """

    seed: int = 0
    model: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    views: ViewConfig = field(default_factory=lambda: replace(LABEL_VIEWS, noise_probability=0.0))
    redraw: FitConfig = field(default_factory=lambda: FitConfig(20, 128, 2e-3, 1e-4))
    exact_share: float = 0.5
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
) -> GalaxyAutoencoder:
    """Train on the training split of ``catalogs`` and write the model's folder; resumes a run that was stopped.

    Parameters
    ----------
    catalogs : sequence of Catalog
        No label is read. Galaxies of the validation split choose the epoch; those of the test split are not touched.
    phases : collection of str
        There is one, "redraw".
    start_from : path, optional
        Folder of an autoencoder whose weights, and sizes, are begun with.
    """
    config = config or Config()
    folder = Path(folder)
    state_folder, history_path = state_of(folder)
    if set(phases) != set(PHASES):
        raise ModelError(f"An autoencoder has no such phases as {', '.join(phases) or 'none'}; its one is {PHASES[0]}.")
    torch.manual_seed(config.seed)
    model = starting_model(config, start_from).to(device, memory_format=torch.channels_last)
    with first_goes_first():
        begin_state(folder, "cae", config, catalogs, phases, start_from)
        stamps = make_stamps(catalogs, STAMP_PX, state_folder, report_decoding)
    if len(stamps.rows(VALIDATION)) < 2:
        raise ModelError("Too few galaxies to hold any out for validation; train on a hundred or more.")
    fit(redraw_phase(model, stamps, config, device), state_folder, history_path, config.seed, report)
    model.eval()
    if not is_first():
        return model

    def mean_codes(images: Tensor) -> Tensor:
        return view_features(model.encoder, images).mean(dim=0)

    model.encoder.spread(features_of(mean_codes, stamps, stamps.rows(TRAIN), config, model.config.input_px, device))
    counts = {"n_train": len(stamps.rows(TRAIN)), "n_validation": len(stamps.rows(VALIDATION))}
    about = training_record("cae", config, catalogs, notes=list(stamps.notes), **counts)
    return finish_training(folder, model, about | origin_of(start_from), device)


def starting_model(config: Config, start_from: str | Path | None) -> GalaxyAutoencoder:
    """A new autoencoder, or the one of a folder."""
    if start_from is None:
        return GalaxyAutoencoder(config.model)
    old = load_model(start_from)
    if not isinstance(old, GalaxyAutoencoder):
        raise ModelError(f"{start_from} holds a {old.name}; start from an autoencoder.")
    return old


def redraw_phase(model: GalaxyAutoencoder, stamps: Stamps, config: Config, device: str) -> Phase:
    """The one phase: squared error between a view and what is redrawn from its code."""
    size = model.config.input_px
    validation_rows = some_of(stamps.rows(VALIDATION), config.n_validation_max, config.seed)

    def squared_error(views: Tensor) -> Tensor:
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
            redrawn = in_shares(model, views.contiguous(memory_format=torch.channels_last))
        return (redrawn - views).square().mean()

    def prepare(indices: np.ndarray, generator: Generator) -> Tensor:
        # a batch comes in the order of the catalogs: its first galaxies are always of the first of them
        order = torch.randperm(len(indices), generator=generator).numpy()
        n_exact = round(config.exact_share * len(indices))
        exact, resampled = (
            stamps.planes(indices[np.sort(chosen)]).to(device) for chosen in (order[:n_exact], order[n_exact:])
        )
        parts = []
        if len(exact):
            shrunk = torch.cat([shrink(colours(few), size) for few in few_at_a_time(exact)])
            parts.append(random_dihedral(shrunk, generator))
        parts += [random_view(resampled, size, config.views, generator)] if len(resampled) else []
        return torch.cat(parts)

    def losses(views: Tensor, _: Generator) -> dict[str, Tensor]:
        return {"loss": squared_error(views)}

    def validate() -> dict[str, float]:
        total = 0.0
        for start in range(0, len(validation_rows), BATCH):
            batch = validation_rows[start : start + BATCH]
            total += float(squared_error(shrink(stamps.batch(batch)[0].to(device), size))) * len(batch)
        return {"score": total / len(validation_rows), "loss": total / len(validation_rows)}

    return Phase(PHASES[0], model, stamps.rows(TRAIN), losses, validate, config.redraw, 0, prepare)
