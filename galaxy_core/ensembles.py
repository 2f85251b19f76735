"""Trained models of morphology put together to one that speaks for all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.errors import ModelError
from galaxy_core.model_files import HISTORY_FILE, read_model_files
from galaxy_core.models import load_model, read_model_config, save_model
from galaxy_core.models.morphology import MorphologyEnsemble, MorphologyNet, join_models


def write_ensemble(folders: Sequence[str | Path], target: str | Path) -> MorphologyEnsemble:
    """Write the folder of an ensemble of finished models; every prediction is the mean over the members' views.

    Its record holds those of the members, and its history theirs, with the number of the member beside the phase.

    Parameters
    ----------
    folders : sequence of path
        At least two, each of a single morphology net, all with the same classes, outputs and input size.
    target : path
        None of ``folders``.

    Raises
    ------
    ModelError
        If they are fewer, of another kind, or do not fit each other.
    """
    folders, target = distinct_folders(folders, target)
    models = [load_model(folder) for folder in folders]
    for folder, model in zip(folders, models, strict=True):
        if not isinstance(model, MorphologyNet):
            raise ModelError(f"{folder} holds a {model.name}; an ensemble is made of single morphology nets.")
    ensemble = join_models(models)
    records = [read_model_config(folder) for folder in folders]
    first = records[0].get("about") or {}
    about = {key: first[key] for key in ("recipe", "catalogs", "novelty") if key in first}
    about["members"] = [{key: record.get(key) for key in ("weights_sha256", "about")} for record in records]
    history = "".join(_history(folder, number) for number, folder in enumerate(folders, 1))
    target.mkdir(parents=True, exist_ok=True)
    save_model(target, ensemble, about)
    with atomic_path(target / HISTORY_FILE) as temporary:
        temporary.write_text(history)
    return load_model(target)


def distinct_folders(folders: Sequence[str | Path], target: str | Path) -> tuple[list[Path], Path]:
    """Folders of two or more different members, and that of what is made of them, which is another.

    Raises
    ------
    ModelError
        If they are not.
    """
    folders, target = [Path(folder) for folder in folders], Path(target)
    if len({folder.resolve() for folder in folders}) < max(len(folders), 2):
        raise ModelError("It takes at least two different models; name the folders of two or more.")
    if target.resolve() in {folder.resolve() for folder in folders}:
        raise ModelError(f"{target} is one of the members; give what is made of them a name of its own.")
    return folders, target


def _history(folder: Path, number: int) -> str:
    """Lines of a member's history that can be read, with its number beside the phase; empty where there is none."""
    rows = read_model_files(folder).history
    return "".join(json.dumps(r | {"phase": f"{r.get('phase', '')} of member {number}"}) + "\n" for r in rows)
