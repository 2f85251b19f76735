"""The state of a training that is not finished: whose it is, and its history, until the model is saved.

It lies in ``.state`` in the model's folder. A finished model that is there stays as it is until the new one is saved.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from galaxy_core.artifacts.files import atomic_path, write_json
from galaxy_core.artifacts.staging import fingerprint_of, hold_lock
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.model_files import HISTORY_FILE
from galaxy_core.models import load_model, read_model_config, save_model
from galaxy_core.ranks import is_first

STATE_FOLDER, OWNER_FILE = ".state", "belongs_to.json"


def state_of(folder: Path) -> tuple[Path, Path]:
    """The folder of the state of a model's training, and the history in it."""
    return folder / STATE_FOLDER, folder / STATE_FOLDER / HISTORY_FILE


@contextmanager
def one_training(folder: Path) -> Iterator[None]:
    """Hold a model's folder while it is trained: two trainings there would go on with each other's weights.

    Nothing is left of a training that is refused before its first epoch has ended.

    Raises
    ------
    ArtifactError
        Another process trains there.
    """
    if not is_first():
        yield
        return
    with hold_lock(folder.with_name(f".{folder.name}.lock"), f"training {folder}"):
        state = folder / STATE_FOLDER
        was_there = state.exists()
        try:
            yield
        except (CatalogError, ModelError):
            if not was_there and not any(state.glob("*.safetensors")):
                shutil.rmtree(state, ignore_errors=True)
                with suppress(OSError):  # of a folder that is not empty, or was not made
                    folder.rmdir()
            raise


def begin_state(
    folder: Path,
    recipe: str,
    config,
    catalogs: Sequence[Catalog],
    phases: Collection[str],
    start_from: str | Path | None,
    history: str = "",
    lessons: Sequence[np.ndarray] = (),
) -> None:
    """Begin the state of a training in a model's folder, or go on with one that the same training left there.

    What a training left that did not come to the end of an epoch is taken over by any. Nothing is done on ranks but the
    first.

    Parameters
    ----------
    config : dataclass
        Of the recipe.
    history : str
        What the history begins with.
    lessons : sequence of ndarray
        What galaxies are said to be, where that is learned; with other labels a training is another one.

    Raises
    ------
    ModelError
        Another training was stopped there, whose epochs would be lost or mixed with those of this one.
    """
    if not is_first():
        return
    state, history_path = state_of(folder)
    owner, known = state / OWNER_FILE, None
    begun_with = None if start_from is None else read_model_config(start_from).get("weights_sha256")
    galaxies = [[catalog.layout, list(map(str, catalog.galaxy_ids))] for catalog in catalogs]
    learned = [hashlib.sha256(np.ascontiguousarray(part)).hexdigest() for part in lessons]
    of = (recipe, asdict(config), galaxies, sorted(phases), begun_with, *([learned] if learned else []))
    wanted = {"fingerprint": fingerprint_of(*of)}
    with suppress(OSError, ValueError):
        known = json.loads(owner.read_text(encoding="utf-8"))
    if known == wanted:
        return
    has_epochs = any(state.glob("*.safetensors"))
    if has_epochs and known is not None:
        raise ModelError(
            f"{state} holds a training that was stopped, of another recipe, other catalogs, labels or settings; finish"
            " it with its own command, or remove that folder."
        )
    if has_epochs:  # begun before a state said whose it is, when histories lay beside it
        with suppress(OSError):
            history = (folder / HISTORY_FILE).read_text(encoding="utf-8")
    with atomic_path(history_path) as temporary:
        temporary.write_text(history, encoding="utf-8")
    write_json(owner, wanted)


def training_record(recipe: str, config, catalogs: Sequence[Catalog], **about) -> dict:
    """How a model was made, for its ``config.json``: recipe, settings, catalogs, and what else there is to say."""
    named = [f"{catalog.layout}:{Path(catalog.source).name}" for catalog in catalogs]
    made = {"recipe": recipe, "training": asdict(config), "catalogs": named}
    return made | about | {"torch": torch.__version__}


def finish_training(folder: Path, model: nn.Module, about: dict, device: str) -> nn.Module:
    """Save a model that was trained, finish the state of its training, and give the model as it is read again."""
    save_model(folder, model, about)
    _finish_state(folder)
    return load_model(folder, device)


def _finish_state(folder: Path) -> None:
    """Put the history beside the model, which is saved, and drop the state."""
    state, history_path = state_of(folder)
    with atomic_path(folder / HISTORY_FILE) as temporary:
        shutil.copyfile(history_path, temporary)
    shutil.rmtree(state)
