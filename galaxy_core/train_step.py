"""The step of the pipeline that trains a model on the catalog itself, where the shipped one is not wanted."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from galaxy_core import artifacts
from galaxy_core.artifacts.staging import fingerprint_of
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.image_steps import Progress, catalog_fingerprint


def train_model(
    recipe: str,
    catalog: Catalog,
    root: str | Path,
    name: str,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Path:
    """Train ``<root>/models/<recipe>_<name>`` on a catalog, unless that was done before with the same input.

    A training that was stopped goes on; one for another catalog, seed or recipe version is dropped first.

    Raises
    ------
    ModelError
        What it trains places no galaxies, or the folder holds what was not trained by this step, which would be lost.
    """
    from galaxy_core.models import resolve_device
    from galaxy_core.recipes import RECIPES, find_recipe
    from galaxy_core.training_state import STATE_FOLDER, one_training

    if not find_recipe(recipe).embeds:
        known = ", ".join(name for name, one in RECIPES.items() if one.embeds)
        raise ModelError(f"A model of the recipe {recipe} does not embed, so it makes no map; choose one of {known}.")
    module = find_recipe(recipe).module()
    config = replace(module.Config(), seed=seed)
    folder = Path(root) / "models" / artifacts.check_name(f"{recipe}_{name}", "model")
    marker, weights = folder / "trained_for.json", folder / "weights.safetensors"
    wanted = {"fingerprint": fingerprint_of(recipe, asdict(config), catalog_fingerprint(catalog))}

    def report(phase: str, step: int, n_steps: int, losses: dict) -> None:
        if progress:
            progress(phase, step, n_steps)

    def report_decoding(done: int, total: int) -> None:
        if progress:
            progress("decode", done, total)

    with one_training(folder):
        known = None
        with suppress(OSError, ValueError):
            known = json.loads(marker.read_text(encoding="utf-8"))
        if known == wanted and weights.is_file():
            return folder
        if known is None and (weights.is_file() or (folder / STATE_FOLDER).exists()):
            raise ModelError(
                f"{folder} holds a model, or its unfinished training, that is not the pipeline's and would be lost;"
                f" take it with --model {folder.name}, or give the catalog another name."
            )
        if known != wanted:
            weights.unlink(missing_ok=True)
            shutil.rmtree(folder / STATE_FOLDER, ignore_errors=True)
            artifacts.write_json(marker, wanted)
        module.train([catalog], folder, config, resolve_device(device), report, report_decoding)
    return folder
