"""The last phase of the recipe `vote_regressor`: what is new to a model, set once; also for one that is finished."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, read_model_config, save_model
from galaxy_core.models.morphology import MorphologyEnsemble, MorphologyNet, join_models, net_config
from galaxy_core.morphology_items import catalog_items, read_stamp
from galaxy_core.splits import TRAIN, VALIDATION, split_of

if TYPE_CHECKING:
    from galaxy_core.recipes.vote_regressor import Config

BATCH = 64
LoadImages = Callable[[np.ndarray], Tensor]  # rows to images (n, 3, P, P); n is less where some cannot be read


def set_gauge(model: MorphologyNet, load: LoadImages, rows: tuple[np.ndarray, np.ndarray], config: Config) -> dict:
    """Set the model's gauge: distances on training galaxies, the threshold on validation galaxies.

    Parameters
    ----------
    load : callable
        Rows to images at the model's input size, as the model sees them in use.
    rows : tuple of two ndarrays of int64
        Training galaxies, validation galaxies. At most ``n_novelty_max`` of each are drawn.

    Returns
    -------
    dict
        What to keep about it: numbers of galaxies, and the share flagged.
    """
    train, held = (view_means(model, load, part) for part in drawn(rows, config))
    if len(train) < 2 or not len(held):
        raise ModelError("Too few galaxies to tell what is new to the model; give a catalog of a hundred or more.")
    gauge = model.add_gauge()
    gauge.set_distance(train)
    gauge.set_threshold(held, config.flagged_share)
    flagged = float((gauge(held) > 1).float().mean())
    return {"n_train": len(train), "n_validation": len(held), "flagged_share": flagged}


def drawn(rows: tuple[np.ndarray, np.ndarray], config: Config) -> list[np.ndarray]:
    """At most ``n_novelty_max`` of each of two sets of rows, the same ones whenever they are drawn."""
    rng = np.random.default_rng([config.seed, 11])
    return [np.sort(rng.permutation(part)[: config.n_novelty_max]) for part in rows]


def view_means(model: MorphologyNet, load: LoadImages, rows: np.ndarray) -> Tensor:
    """Mean features of the eight views of galaxies, float32 (n, n_features)."""
    device = model.strength_factors.device
    made = [torch.empty(0, model.config.n_features, device=device)]
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            images = load(rows[start : start + BATCH])
            if len(images):
                made.append(model.view_features(images.to(device)).mean(dim=0))
        return torch.cat(made)


def add_gauge_to(
    start_from: str | Path | None,
    catalogs: Sequence[Catalog],
    folder: str | Path,
    config: Config,
    device: str = "cpu",
    report: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """Write a finished model, or ensemble, with a gauge to ``folder``, which may be its own; nothing is trained.

    The split is that of every recipe: on the catalogs a model was trained on, it has learned from the training galaxies
    and from no other. Labels are not needed.
    """
    if start_from is None:
        raise ModelError("The phase novelty alone is for a finished model; name its folder with --start-from.")
    model, record = load_model(start_from, device), read_model_config(start_from)
    size = net_config(model).input_px  # and an error of one sentence for a model of another kind
    members = list(model.members) if isinstance(model, MorphologyEnsemble) else [model]
    splits = np.array([split_of(str(key)) for catalog in catalogs for key in catalog.split_keys])
    rows = drawn((np.flatnonzero(splits == TRAIN), np.flatnonzero(splits == VALIDATION)), config)
    images = read_images(catalogs, np.concatenate(rows), size, report)

    def load(some: np.ndarray) -> Tensor:
        found = [images[row] for row in some.tolist() if row in images]
        return torch.from_numpy(np.stack(found)) if found else torch.empty(0, 3, size, size)

    measured = [set_gauge(member, load, (rows[0], rows[1]), config) for member in members]
    sources = [f"{catalog.layout}:{Path(catalog.source).name}" for catalog in catalogs]
    about = (record.get("about") or {}) | {"novelty": measured[0] | {"catalogs": sources}}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    history = Path(start_from) / "history.jsonl"
    if history.is_file() and not (folder / history.name).exists():
        shutil.copyfile(history, folder / history.name)
    save_model(folder, join_models(members) if isinstance(model, MorphologyEnsemble) else model, about)
    return load_model(folder, device)


def read_images(
    catalogs: Sequence[Catalog], rows: np.ndarray, size_px: int, report: Callable[[int, int], None] | None = None
) -> dict[int, np.ndarray]:
    """Images, float32 (3, size_px, size_px), of rows counted through all catalogs; unreadable ones are left out."""
    starts = np.cumsum([0, *map(len, catalogs)])
    found: dict[int, np.ndarray] = {}
    for done, row in enumerate(np.sort(rows).tolist(), 1):
        which = int(np.searchsorted(starts, row, side="right")) - 1
        item = next(catalog_items(catalogs[which], [row - int(starts[which])]))
        stamp = read_stamp(item, size_px)[1]
        if stamp is not None:
            found[row] = stamp.astype(np.float32)
        if report:
            report(done, len(rows))
    return found
