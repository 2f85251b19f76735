"""Recipe `contrastive_denoiser`: denoise, and embed by contrast, without a label.

The published system (masked SSIM on the galaxy, total variation and darkening on the sky, NT-Xent between two noisy
views) sets the ingredients. What differs here, and why:

- The denoiser is trained on exact crops and quarter turns, not on rotated and rescaled views: resampling smooths the
  very pixels it must learn to restore. The encoder is trained on the full range of views.
- Squared error joins the foreground SSIM, and a small penalty on each galaxy's total flux, since SSIM does not see a
  change of brightness. The pull of the sky towards black is kept as an option and is off: it biases faint outskirts.
- The noise level is an input and varies, in grey and in colour, clipped as in 8-bit files and free as in linear frames.
- Squared error alone leaves galaxies a little too smooth. The last passes of the denoiser ("polish") weigh SSIM more,
  and every galaxy alike, as the score does; before, large galaxies count by their area. SSIM hardly
  sees the flux and would have galaxies a little too bright, so their mean error is penalised, too. These passes show
  whole stamps, not crops of a quarter: the network sees further than a crop reaches, and learns there what lies beyond.
- Beside the contrast, the embedding must predict classical shape measures of the clean galaxy (axis ratio,
  concentration, asymmetry, ...) through one linear layer. They come from the pixels, not from people, and make what
  astronomers measure linear in the embedding.
- At the end the embedding is spread evenly over its axes, so that cosine similarity weighs more than the two or three
  most variable properties.
- Weights are averaged over steps; the best epoch on validation galaxies is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn

from galaxy_core.augment import ViewConfig, random_view
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.losses import flux_bias_loss, nt_xent_loss
from galaxy_core.model_files import HISTORY_FILE
from galaxy_core.models import load_model, read_model_config
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.ranks import first_goes_first, in_shares, is_first
from galaxy_core.recipes.contrastive_denoiser_losses import denoising_losses
from galaxy_core.recipes.contrastive_denoiser_scores import evaluate
from galaxy_core.recipes.contrastive_denoiser_uncertainty import calibrate, uncertainty_losses
from galaxy_core.recipes.noisy_galaxies import noisy_batch
from galaxy_core.recipes.stamp_views import features_of
from galaxy_core.shape import DESCRIPTORS, standardised_shapes
from galaxy_core.splits import TRAIN, VALIDATION
from galaxy_core.stamps import Stamps, make_stamps, some_of
from galaxy_core.training import FitConfig, Phase, Report, fit
from galaxy_core.training_state import begin_state, finish_training, state_of, training_record

STAMP_PX = 128
PHASES = ("contrast", "denoise", "polish", "noise", "uncertainty")

__all__ = ["PHASES", "Config", "evaluate", "train"]


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run. Weights multiply the losses of the same name."""

    seed: int = 0
    model: ContrastiveDenoiserConfig = field(
        default_factory=lambda: ContrastiveDenoiserConfig(denoiser_fine_blocks=1, uncertainty_widths=(32, 48))
    )
    views: ViewConfig = field(default_factory=ViewConfig)
    contrast: FitConfig = field(default_factory=lambda: FitConfig(24, 384, 2e-3, 1e-2))
    denoise: FitConfig = field(default_factory=lambda: FitConfig(40, 64, 1e-3, 1e-4))
    polish: FitConfig = field(default_factory=lambda: FitConfig(10, 32, 5e-4, 1e-4))
    noise: FitConfig = field(default_factory=lambda: FitConfig(12, 64, 2e-3, 1e-4))
    uncertainty: FitConfig = field(default_factory=lambda: FitConfig(5, 64, 2e-3, 1e-4, average_decay=0.99))
    temperature: float = 0.2
    shape_weight: float = 1.0
    crop_px: int = 64
    polish_crop_px: int = STAMP_PX
    squared_error_weight: float = 10.0
    ssim_weight: float = 0.05
    polish_ssim_weight: float = 0.4
    flux_weight: float = 0.002
    polish_flux_weight: float = 0.5
    polish_flux_bias_weight: float = 20.0
    total_variation_weight: float = 0.001
    darkening_weight: float = 0.0
    noise_level_min: float = 0.4
    noise_level_max: float = 2.5
    published_level_share: float = 0.5
    linear_share: float = 0.2
    n_validation_max: int = 512
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
) -> ContrastiveDenoiser:
    """Train on the training split of ``catalogs`` and write the model's folder; resumes a run that was stopped.

    Parameters
    ----------
    catalogs : sequence of Catalog
        No label is read. Galaxies of the validation split choose the epoch; those of the test split are not touched.
    folder : path
        Where weights, configuration and history go; the state of an unfinished run is in ``folder/.state``.
    phases : collection of str
        Which of `PHASES` to train. What the others train stays as it is in ``start_from``.
    start_from : path, optional
        Folder of the model to start from, which may be ``folder`` itself. Its networks keep their sizes.
    """
    config, folder = config or Config(), Path(folder)
    state_folder, history_path = state_of(folder)
    torch.manual_seed(config.seed)
    model = starting_model(config, phases, start_from).to(device, memory_format=torch.channels_last)
    with first_goes_first():
        earlier = _earlier_history(phases, start_from)
        begin_state(folder, ContrastiveDenoiser.name, config, catalogs, phases, start_from, earlier)
        stamps = make_stamps(catalogs, STAMP_PX, state_folder, report_decoding)
    if len(stamps.rows(VALIDATION)) < 2:
        raise ModelError("Too few galaxies to hold any out for validation; train on a hundred or more.")
    for phase in _phases(model, stamps, config, device):
        if phase.name in phases:
            fit(phase, state_folder, history_path, config.seed, report)
    model.eval()
    if not is_first():
        return model
    if "contrast" in phases:

        def features(images: Tensor) -> Tensor:
            small = nn.functional.interpolate(images, size=config.model.embedding_input_px, mode="area")
            return model.encoder.features(small.contiguous(memory_format=torch.channels_last))

        model.encoder.spread(features_of(features, stamps, stamps.rows(TRAIN), config, STAMP_PX, device))
    if "uncertainty" in phases and model.uncertainty_net is not None:
        calibrate(model, stamps, _validation_rows(stamps, config), config, device)
    counts = {"n_train": len(stamps.rows(TRAIN)), "n_validation": len(stamps.rows(VALIDATION))}
    about = training_record(ContrastiveDenoiser.name, config, catalogs, notes=list(stamps.notes), **counts)
    if start_from is not None:
        before = read_model_config(start_from).get("about", {})
        about = before | {"then": [*before.get("then", []), {"phases": sorted(phases, key=PHASES.index), **about}]}
    return finish_training(folder, model, about, device)


def starting_model(config: Config, phases: Collection[str], start_from: str | Path | None) -> ContrastiveDenoiser:
    """The model before training: new, or that of a folder, with a new uncertainty network if that is to be trained.

    Raises
    ------
    ModelError
        If a phase does not exist, or what is asked for would leave a part untrained or out of date.
    """
    unknown = set(phases) - set(PHASES)
    if unknown or not phases:
        raise ModelError(f"There is no phase '{', '.join(sorted(unknown))}'; choose among {', '.join(PHASES)}.")
    if start_from is None:
        if set(phases) != set(PHASES):
            raise ModelError("Some phases alone can be trained only on a model that exists; say which to start from.")
        return ContrastiveDenoiser(config.model)
    old = load_model(start_from)
    if not isinstance(old, ContrastiveDenoiser):
        raise ModelError(f"{start_from} holds a {old.name}; start from a contrastive denoiser.")
    wanted, new_denoiser = old.config, bool({"denoise", "polish"} & set(phases))
    if new_denoiser and old.uncertainty_net is not None and "uncertainty" not in phases:
        raise ModelError("With a new denoiser its uncertainty is out of date; train the phase uncertainty too.")
    if new_denoiser and config.model.denoiser_fine_blocks > wanted.denoiser_fine_blocks:
        # blocks that are added change nothing before they are trained
        wanted = replace(wanted, denoiser_fine_blocks=config.model.denoiser_fine_blocks)
    kept = old.state_dict()
    if "uncertainty" in phases:
        widths = config.model.uncertainty_widths
        if not widths:
            raise ModelError("The uncertainty network has no size in this configuration; give uncertainty_widths.")
        wanted = replace(wanted, uncertainty_widths=widths)
        kept = {key: value for key, value in kept.items() if not key.startswith("uncertainty_net.")}
    model = ContrastiveDenoiser(wanted)
    model.load_state_dict(kept, strict=False)
    return model


def _earlier_history(phases: Collection[str], start_from: str | Path | None) -> str:
    """What is known of the phases that are not trained now."""
    if start_from is None or not (Path(start_from) / HISTORY_FILE).exists():
        return ""
    lines = (Path(start_from) / HISTORY_FILE).read_text(encoding="utf-8").splitlines()
    return "".join(f"{line}\n" for line in lines if json.loads(line)["phase"] not in phases)


def _validation_rows(stamps: Stamps, config: Config) -> np.ndarray:
    return some_of(stamps.rows(VALIDATION), config.n_validation_max, config.seed)


def _phases(model: ContrastiveDenoiser, stamps: Stamps, config: Config, device: str) -> list[Phase]:
    train_rows, validation_rows = stamps.rows(TRAIN), _validation_rows(stamps, config)
    shape_head = nn.Linear(config.model.projection_size, len(DESCRIPTORS)).to(device)
    contrast = nn.ModuleDict({"encoder": model.encoder, "head": model.contrast_head, "shape_head": shape_head})
    shapes = standardised_shapes(stamps.shapes, train_rows)

    def precise() -> torch.autocast:
        return torch.autocast(device, dtype=torch.bfloat16)

    def two_views(indices, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        planes, size = stamps.planes(indices).to(device), config.model.embedding_input_px
        views = (random_view(planes, size, config.views, generator) for _ in range(2))
        return *views, torch.from_numpy(shapes[indices]).to(device)

    def noisy(indices, generator: Generator, shown: Config = config) -> tuple[Tensor, ...]:
        return tuple(part.to(device) for part in noisy_batch(stamps, indices, shown, generator))

    noisy_whole = partial(noisy, shown=replace(config, crop_px=config.polish_crop_px))

    def contrast_losses(batch, _: Generator) -> dict[str, Tensor]:
        views, shape = torch.cat(batch[:2]), batch[2].repeat(2, 1)
        with precise():
            projected = in_shares(model.encoder, views.contiguous(memory_format=torch.channels_last))
        first, second = model.contrast_head(projected.float()).chunk(2)
        contrast_loss = nt_xent_loss(first, second, config.temperature)
        shape_loss = (shape_head(projected.float()) - shape).square().mean()
        loss = contrast_loss + config.shape_weight * shape_loss
        return {"loss": loss, "contrast": contrast_loss, "shape": shape_loss}

    def denoise(batch) -> tuple[Tensor, Tensor, Tensor]:
        clean, images, foreground, sigma = batch
        with precise():
            output = in_shares(model.denoiser, images, sigma)
        return output.float().contiguous(), clean, foreground

    def denoise_losses(batch, _: Generator) -> dict[str, Tensor]:
        return denoising_losses(*denoise(batch), config)

    def polish_losses(batch, _: Generator) -> dict[str, Tensor]:
        weights = {"ssim_weight": config.polish_ssim_weight, "flux_weight": config.polish_flux_weight}
        output, clean, foreground = denoise(batch)
        parts = denoising_losses(output, clean, foreground, replace(config, **weights), per_galaxy=True)
        parts["flux_bias"] = flux_bias_loss(output, clean, foreground)
        return parts | {"loss": parts["loss"] + config.polish_flux_bias_weight * parts["flux_bias"]}

    def noise_losses(batch, _: Generator) -> dict[str, Tensor]:
        _, images, _, sigma = batch
        with precise():
            estimate = in_shares(model.noise_estimator, images)
        return {"loss": (estimate / sigma).log().square().mean()}

    def sureness_losses(batch, _: Generator) -> dict[str, Tensor]:
        return uncertainty_losses(model, batch, device)

    def on_validation(prepare: Callable, losses: Callable) -> Callable[[], dict[str, float]]:
        def validate() -> dict[str, float]:
            parts = losses(prepare(validation_rows, Generator().manual_seed(config.seed + 1)), Generator())
            values = {key: float(value) for key, value in parts.items()}
            return {"score": values["loss"], **values}

        return validate

    parts = [
        ("contrast", contrast, two_views, contrast_losses, config.contrast),
        ("denoise", model.denoiser, noisy, denoise_losses, config.denoise),
        ("polish", model.denoiser, noisy_whole, polish_losses, config.polish),
        ("noise", model.noise_estimator, noisy, noise_losses, config.noise),
    ]
    if model.uncertainty_net is not None:
        parts.append(("uncertainty", model.uncertainty_net, noisy, sureness_losses, config.uncertainty))
    return [
        Phase(name, module, train_rows, losses, on_validation(prepare, losses), fit_config, prepare=prepare)
        for name, module, prepare, losses, fit_config in parts
    ]
