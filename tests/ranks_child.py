"""What `torchrun` starts in the tests of many ranks: tiny trainings of every recipe, whose weights are kept unrounded.

``ranks_child.py OUT [--recipes R ...] [--epochs N] [--rounded] [--own-views R ...] [--alone] [--kill RANK STEP]``;
recipes with their own views are trained after the others, into ``OUT/own``, and at last, with ``--alone``, each recipe
by one rank as if there were no other, into ``OUT/alone``. Arithmetic is in float64 unless ``--rounded``: a sum over two
ranks has other roundings than one over one, which AdamW's first steps (the sign of a gradient) make large; in float64
what is left of them after 12 steps is far below any mistake.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partialmethod
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from safetensors.torch import save_file

from galaxy_core import ranks, training_state
from galaxy_core.augment import ViewConfig
from galaxy_core.catalogs import read_catalog
from galaxy_core.models.autoencoder import AutoencoderConfig
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiserConfig
from galaxy_core.models.morphology import MorphologyConfig
from galaxy_core.models.resnet import ResNetConfig
from galaxy_core.models.star_galaxy import StarGalaxyConfig
from galaxy_core.recipes import RECIPES, find_recipe
from galaxy_core.recipes.segmenter_scenes import SceneConfig
from galaxy_core.training import FitConfig

AUTOCAST = torch.autocast
CATALOGS = {"star_galaxy_vae": "star-galaxy:90", "segmenter": "synthetic:40"}
NET = ResNetConfig(18, 4, 3, 2, False, (), 8, 16, 32)
BATCH = 15  # does not divide by two
LONG = ("contrast", "whole", "redraw", "unlabelled", "segment")  # other phases take one epoch
SINGLE = ("star_galaxy_vae", "segmenter")  # recipes that hold float32 constants; they have no batch statistics


def tiny(recipe: str, epochs: int):
    """Configuration of a recipe with networks of a few thousand weights."""
    config = find_recipe(recipe).module().Config()
    fit = FitConfig(epochs, BATCH, 2e-3, warmup_steps=5, patience_epochs=99)
    scenes = SceneConfig(side_px=48, crop_px=32, n_seeings=2, galaxies_per_seeing=3)
    changes = {
        "contrastive_denoiser": {
            "model": ContrastiveDenoiserConfig((8, 8, 8), 1, (8, 8, 8), (1, 1, 1), 8, 8, 32, 4, (8, 8)),
            "crop_px": 32,
            "polish_crop_px": 32,
        },
        "vote_regressor": {
            "model": MorphologyConfig((8, 8), (1, 1), 8, 8, 32, 16, 0.3, True, ("spiral", "edge_on")),
            "views": ViewConfig(),
        },
        "feature_classifier": {"model": NET, "imagenet": False, "labels_from": "catalog"},
        "moco": {"model": NET, "queue_size": 40, "n_groups": 2},
        "cae": {"model": AutoencoderConfig((8, 8), 6, 16)},
        "star_galaxy_vae": {"model": StarGalaxyConfig(widths=(4, 8, 8), hidden_size=8, n_gaussians=3, n_samples=4)},
        "segmenter": {"widths": (4, 6), "filters": 2, "scenes": scenes, "n_validation": 5},
    }[recipe]
    phases = [phase for phase in find_recipe(recipe).module().PHASES if hasattr(config, phase)]
    fits = {phase: fit if phase in LONG else replace(fit, epochs=1) for phase in phases}
    return replace(config, **fits, **changes)


@cache
def catalog_of(source: str):
    """The galaxies of a recipe, each drawn once for all recipes."""
    made = read_catalog(source)
    return replace(made, load_image=cache(blob if source.startswith("synthetic") else made.load_image))


def blob(i: int) -> np.ndarray:
    """A round galaxy of a width and colour of its own, with noise, (3, 64, 64): the simulator needs far longer."""
    rng = np.random.default_rng(i)
    y, x = np.mgrid[:64, :64] - 31.5
    light = rng.uniform(0.4, 1, (3, 1, 1)) * np.exp(-(x**2 + y**2) / (2 * rng.uniform(4, 12) ** 2))
    return (light + rng.normal(0.05, 0.02, light.shape)).clip(0, 1).astype(np.float32)


def compute_in(dtype: torch.dtype) -> None:
    """Let recipes compute in this type, whatever they say."""
    torch.set_default_dtype(dtype)
    torch.Tensor.float = partialmethod(torch.Tensor.to, dtype)
    torch.autocast = lambda kind, *_, **__: AUTOCAST(kind.split(":")[0], enabled=False)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounded", action="store_true")
    parser.add_argument("--own-views", nargs="*", default=[])
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--kill", nargs=2, type=int, default=(-1, -1))
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    with ranks.joined_ranks(options.device):
        for recipe in options.recipes:
            train(recipe, options.out / recipe, options)
        # as if joined with views of their own: ranks meet once in a process
        ranks._RANKS.set(replace(ranks.ranks(), own_views=True))
        for recipe in options.own_views:
            train(recipe, options.out / "own" / recipe, options)
        if options.alone:
            here = ranks.ranks()
            with as_one_process():  # a process of its own would need longer to begin than to train
                for recipe in options.recipes[here.rank :: here.count]:
                    train(recipe, options.out / "alone" / recipe, options)


@contextmanager
def as_one_process() -> Iterator[None]:
    """This rank as `joined_ranks` leaves a process that nobody else was started with."""
    token = ranks._RANKS.set(ranks.ALONE)
    yield
    ranks._RANKS.reset(token)


def train(recipe: str, folder: Path, options: argparse.Namespace) -> None:
    """Train a recipe into a folder; what is killed says so there, and is not killed again."""
    module = find_recipe(recipe).module()
    if not options.rounded:
        compute_in(torch.float32 if recipe in SINGLE else torch.float64)

    def report(phase: str, step: int, n_steps: int, losses: dict) -> None:
        marker = folder / "killed"
        if (ranks.ranks().rank, step) == tuple(options.kill) and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def keep(folder: Path, model, about: dict, save=training_state.save_model) -> None:
        assert ranks.is_first(), "only the first rank writes"
        save_file({k: v.cpu().contiguous() for k, v in model.state_dict().items()}, folder / "whole.safetensors")
        save(folder, model, about)

    training_state.save_model = keep
    catalog = catalog_of(CATALOGS.get(recipe, "synthetic:70"))
    module.train([catalog], folder, tiny(recipe, options.epochs), options.device, report)


if __name__ == "__main__":
    main()
