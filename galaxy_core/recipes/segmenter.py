"""Recipe `segmenter`: find and outline objects in frames, without a label drawn by hand.

The published system is an autoencoder that reproduces a frame "with a denoising effect"; what it reproduces is an
object. The objective here says why that works and makes it unbiased. Two ways to supervise, one switch:

- ``supervision="none"``: no truth at all. Each frame is corrupted twice with noise ``n`` of its own kind, as
  ``y + a n`` and ``y - n / a``; the noise of the two is independent, so a network that predicts the second from the
  first learns the mean of the light alone (Pang et al. 2021, CVPR, "Recorrupted-to-Recorrupted", section 3). Sky has
  nothing to predict, so it comes out as zero: it is the uninteresting part. The reconstruction in units of the noise
  is the detection map.
- ``supervision="simulated"``: the sky is simulated, so the truth is known. The reconstruction is compared with the
  noiseless light, and a second map learns by cross-entropy the logit that a pixel lies above an isophote of the
  noiseless light (0.35 of the noise of a pixel, more where noise is correlated). That logit is the detection map: log
  odds are what a test between sky and source should compare (Neyman and Pearson).

Squared errors are weighted by ``1 / (1 + (light / 5)^2)``, as absolute errors of faint and relative ones of bright
light, and without truth by the smoothed input; light is in units of the noise over a few pixels there, so that scenes
of correlated noise, in which only brighter sources can be found, count as much as others. Beyond the end of a frame
nothing is learned. Nothing of a real frame is seen in training, so every frame is a test.
The threshold is no part of the model: it is set on each frame for a stated rate of false detections
(`galaxy_core.frame_detectors`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model
from galaxy_core.models.segmenter import Segmenter, SegmenterConfig
from galaxy_core.ranks import first_goes_first, in_shares, is_first
from galaxy_core.recipes.segmenter_scenes import SceneConfig, Shown, make_scenes, show
from galaxy_core.training import FitConfig, Phase, Report, fit
from galaxy_core.training_state import begin_state, finish_training, state_of

PHASES = ("segment",)
SUPERVISIONS = ("none", "simulated")
RECORRUPTION = 0.5  # "a" above
BRIGHT_SIGMA = 5.0

__all__ = ["PHASES", "Config", "train"]


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run."""

    seed: int = 0
    supervision: str = "simulated"
    widths: tuple[int, ...] = (32, 64, 96)
    filters: int = 6
    scenes: SceneConfig = field(default_factory=SceneConfig)
    segment: FitConfig = field(
        default_factory=lambda: FitConfig(16, 12, 2e-3, 1e-4, warmup_steps=200, average_decay=0.995)
    )
    isophote_sigma: float = 0.35
    reconstruction_weight: float = 0.3
    n_validation: int = 192


def train(
    catalogs: Sequence[Catalog],
    folder: str | Path,
    config: Config | None = None,
    device: str = "cpu",
    report: Report | None = None,
    report_decoding: Callable[[int, int], None] | None = None,
    phases: Collection[str] = PHASES,
    start_from: str | Path | None = None,
) -> Segmenter:
    """Train on simulated sky and write the model's folder; resumes a run that was stopped.

    Parameters
    ----------
    catalogs : sequence of Catalog
        ``synthetic:N`` alone: N scenes are simulated, of which the last ``n_validation`` choose the epoch.
    start_from : path, optional
        Folder of a segmenter to start from.

    Raises
    ------
    ModelError
        Another catalog, too few scenes, or a kind of supervision that does not exist.
    """
    config, folder = config or Config(), Path(folder)
    if set(phases) != set(PHASES):
        raise ModelError(f"A segmenter has no such phases as {', '.join(phases) or 'none'}; its one is {PHASES[0]}.")
    n_scenes = _number_of_scenes(catalogs, config)
    state_folder, history_path = state_of(folder)
    torch.manual_seed(config.seed)
    network = SegmenterConfig(config.widths, config.supervision, config.filters)
    model = Segmenter(network) if start_from is None else _earlier(start_from, config)
    model = model.to(device, memory_format=torch.channels_last)
    with first_goes_first():
        begin_state(folder, Segmenter.name, config, catalogs, phases, start_from)
        scenes = make_scenes(n_scenes, config.seed, state_folder, config.scenes, report_decoding)
    fit(_phase(model, scenes, config, device), state_folder, history_path, config.seed, report)
    if not is_first():
        return model
    about = {
        "recipe": Segmenter.name,
        "training": asdict(config),
        "catalogs": [f"synthetic:{n_scenes}"],
        "n_train": n_scenes - config.n_validation,
        "n_validation": config.n_validation,
        "torch": torch.__version__,
    }
    return finish_training(folder, model.eval(), about, device)


def _number_of_scenes(catalogs: Sequence[Catalog], config: Config) -> int:
    if config.supervision not in SUPERVISIONS:
        raise ModelError(f"There is no supervision '{config.supervision}'; choose one of {', '.join(SUPERVISIONS)}.")
    if any(catalog.layout != "synthetic" for catalog in catalogs):
        raise ModelError("The segmenter learns from simulated sky; give synthetic:N for N scenes.")
    n_scenes = sum(len(catalog) for catalog in catalogs)
    if n_scenes < config.n_validation + config.segment.batch_size:
        raise ModelError(
            f"The segmenter needs at least {config.n_validation + config.segment.batch_size} scenes, not {n_scenes}; "
            "give synthetic:N with more."
        )
    return n_scenes


def _earlier(folder: str | Path, config: Config) -> Segmenter:
    """A trained segmenter, with matched filters added if the configuration has more; they change nothing at first."""
    old = load_model(folder)
    if not isinstance(old, Segmenter):
        raise ModelError(f"{folder} holds a {old.name}; start from a segmenter.")
    filters = config.filters if old.config.filters == 0 else old.config.filters
    model = Segmenter(replace(old.config, supervision=config.supervision, filters=filters))
    kept = old.state_dict()
    added = filters - old.config.filters
    kept["stem.weight"] = F.pad(kept["stem.weight"], (0, 0, 0, 0, 0, added))
    model.load_state_dict(kept, strict=added == 0)
    return model.train()


def _phase(model: Segmenter, scenes: np.ndarray, config: Config, device: str) -> Phase:
    n_train = len(scenes) - config.n_validation

    def prepare(indices: np.ndarray, generator: Generator) -> Shown:
        return show(scenes, indices, config.scenes, generator, again=config.supervision == "none").to(device)

    def losses(shown: Shown, _: Generator) -> dict[str, Tensor]:
        return segmenter_losses(model, shown, config, device)

    def validate() -> dict[str, float]:
        totals: dict[str, float] = {}
        generator = Generator().manual_seed(config.seed + 1)
        for start in range(n_train, len(scenes), 32):
            rows = np.arange(start, min(start + 32, len(scenes)))
            for name, value in losses(prepare(rows, generator), generator).items():
                totals[name] = totals.get(name, 0.0) + float(value) * len(rows) / config.n_validation
        return {"score": totals["loss"], **totals}

    return Phase("segment", model, np.arange(n_train), losses, validate, config.segment, 0, prepare)


def segmenter_losses(model: Segmenter, shown: Shown, config: Config, device: str) -> dict[str, Tensor]:
    """The parts of the loss, and their sum as ``"loss"``; see the module's first lines."""
    if config.supervision == "none":
        scale = (1 + RECORRUPTION**2) ** -0.5  # the network meets noise of one, as later
        first = scale * (shown.noisy + RECORRUPTION * shown.noise)
        second = scale * (shown.noisy - shown.noise / RECORRUPTION)
        light, _ = _forward(model, first, device)
        guide = F.avg_pool2d(first, 5, 1, 2, count_include_pad=False)  # of the first alone: else it would bias
        reconstruction = _weighted_error(light, second, guide, shown)
        return {"loss": reconstruction, "reconstruction": reconstruction}
    light, logit = _forward(model, shown.noisy, device)
    inside = (shown.light > config.isophote_sigma * shown.growth).float()
    cross_entropy = F.binary_cross_entropy_with_logits(logit, inside, weight=shown.observed)
    reconstruction = _weighted_error(light, shown.light, shown.light, shown)
    loss = cross_entropy + config.reconstruction_weight * reconstruction
    return {"loss": loss, "cross_entropy": cross_entropy, "reconstruction": reconstruction}


def _forward(model: Segmenter, signal: Tensor, device: str) -> tuple[Tensor, Tensor]:
    with torch.autocast(device, dtype=torch.bfloat16):
        return in_shares(model, signal)


def _weighted_error(light: Tensor, target: Tensor, guide: Tensor, shown: Shown) -> Tensor:
    """Squared errors, in units of the noise over a few pixels, where the frame was observed."""
    weight = shown.observed / (1 + (guide.clamp(min=0) / (BRIGHT_SIGMA * shown.growth)).square())
    return (weight * ((light - target) / shown.growth).square()).mean()
