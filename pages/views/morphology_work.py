"""What is done in the background on the Morphology page: decode, cut, classify, turn; then cover parts of the image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core.artifacts import fetch_models
from galaxy_core.catalogs.display import display_part
from galaxy_core.embedding import find_model
from galaxy_core.errors import ImageError, ModelError
from galaxy_core.images import as_counts, resize_square
from galaxy_core.morphology import DEFAULT_CLASSIFIER, Morphology, classify_images
from galaxy_core.morphology_items import read_stamp
from galaxy_core.occlusion import Occlusion, occlude
from galaxy_core.turning import DETAIL, Turned, classify_turned, predict_scores
from galaxy_core.work_tasks import Report, Task
from pages.views import background, commands, denoise_work, loaded_models, upload_search
from pages.views.denoise_work import Item

PAGE = "morphology"
START_FROM = ("--start-from", "artifacts/models/contrastive_denoiser")
KINDS = ("morphology_net", "morphology_ensemble")


@dataclass(frozen=True)
class Seen:
    """One image as the model was given it, and what the model says.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Height and width of the image.
    side_px : int
        Of the central square of it that was looked at.
    square : ndarray of float16, shape (3, side, side)
        That square in up to `DETAIL` times the model's resolution; finer in its steps than 8 bits are.
    stamp : ndarray of float32, shape (3, P, P)
        The same in the model's resolution.
    told : Morphology
        One row.
    turned : Turned
        Its stamps as they are drawn, uint8: many files are kept, and three quarters of each were these views.
    notes : tuple of str
        On how the file was read.
    extensions : tuple
        Images of a FITS file: index, name and shape of each.
    """

    name: str
    shape: tuple[int, int]
    side_px: int
    square: np.ndarray = field(repr=False)
    stamp: np.ndarray = field(repr=False)
    told: Morphology
    turned: Turned
    notes: tuple[str, ...] = ()
    extensions: tuple = ()

    @property
    def nbytes(self) -> int:
        """Size in memory; the image itself is not kept."""
        return self.square.nbytes + self.stamp.nbytes + self.turned.nbytes

    @property
    def probabilities(self) -> np.ndarray:
        """Of each class, float32 (n_classes,); empty if the model learned none."""
        return self.told.class_probabilities[0]

    @property
    def leading(self) -> int | None:
        """The likeliest class; None if the model learned none."""
        return int(self.probabilities.argmax()) if len(self.probabilities) else None


@dataclass(frozen=True)
class Model:
    """A model of the page: its name and folder, when its weights were written, the votes it tells (None: usual)."""

    name: str
    folder: Path
    changed: int
    reading: str | None = None


def model_names(root: Path) -> list[str]:
    """Models of this root that tell morphology, the recipe's own first; that one alone where there is none."""
    found = []
    fetch_models(root)
    for config in sorted((root / "models").glob("*/config.json")):
        name, kind = config.parent.name, _read_json(config).get("model")
        if kind in KINDS and name != DEFAULT_CLASSIFIER and has_model(name, root):
            found.append(name)
    return [DEFAULT_CLASSIFIER, *found] if has_model(DEFAULT_CLASSIFIER, root) or not found else found


def has_model(name: str, root: Path) -> bool:
    """Whether there are weights of that name."""
    try:
        find_model(name, root)
    except ModelError:
        return False
    return True


def open_model(name: str, root: Path) -> Model:
    """The files of a model; raises `ModelError` with the command that trains one."""
    if not has_model(name, root):
        train = commands.train(DEFAULT_CLASSIFIER, root, *START_FROM)
        raise ModelError(
            f"No model that tells morphology is trained yet; make one with `{train}`, where"
            " LAYOUT:PATH is a catalog with classes or votes."
        )
    return Model(name, *loaded_models.model_files(name, root))


def seen_task(item: Item, galaxy_id: str, hdu: int | None, fraction: float | None, model: Model) -> Task:
    """The task of classifying an image.

    ``fraction`` is the central part of each side that is looked at; where it is None, what is usual for the image.
    """
    key = _key("seen", item.digest, item.name, galaxy_id, hdu, fraction, model)
    return Task(key, item.name, lambda report: _see(item, galaxy_id, hdu, fraction, model, report))


def pixels_task(seen_key: str, seen: Seen, model: Model) -> Task:
    """The task of covering one patch of an image after the other."""
    return Task(_key("pixels", seen_key), seen.name, lambda report: _cover(seen, model, report))


def want_pixels_last(pixels: Task, task: Task, tasks: Sequence[Task]) -> None:
    """Ask for all ``tasks``, first for the one that is looked at, and last for its ``pixels``, which take longest."""
    stopped = st.session_state[f"{PAGE}-stopped"]
    wanted = [one for one in (task, *tasks, pixels) if one.key not in stopped]
    background.queue().want(background.visitor(), wanted, {task.key, pixels.key}, topic=PAGE)


def _key(*parts: object) -> str:
    return hashlib.sha1(json.dumps(parts, default=str).encode()).hexdigest()


def net_of(model: Model):
    """The network, loaded once for all visitors; raises `ModelError` where it cannot be."""
    try:
        return loaded_models.load_morphology(model.folder, model.changed, model.reading)
    except ImportError:
        raise ModelError(upload_search.NO_PYTORCH) from None


def _see(item: Item, galaxy_id: str, hdu: int | None, fraction: float | None, model: Model, report: Report) -> Seen:
    from galaxy_core.models.morphology import net_config

    net = net_of(model)
    size = net_config(net).input_px
    report(0.1)
    image = item.read(hdu)
    report(0.4)
    shown = display_part(image.pixels, image.linear, fraction, image.name)
    side = min(shown.shape[1:])
    _, stamp, problem = read_stamp((image.name, lambda: shown), size)
    if problem:
        raise ImageError(problem)
    told = classify_images(stamp[None], net, [galaxy_id])
    report(0.7)
    square = resize_square(shown, min(side, DETAIL * size))
    turned = classify_turned(stamp, net, square)
    return Seen(
        name=image.name,
        shape=image.pixels.shape[1:],
        side_px=side,
        square=square.astype(np.float16),
        stamp=stamp,
        told=told,
        turned=replace(turned, stamps=as_counts(turned.stamps)),
        notes=(*image.notes, *bands_notes(len(image.pixels), image.linear)),
        extensions=denoise_work.extensions_of(item),
    )


def bands_notes(n_bands: int, linear: bool) -> tuple[str, ...]:
    """Which bands of an image are looked at, where it has more than the three that `stretch.to_display` takes.

    Examples
    --------
    >>> bands_notes(5, True), bands_notes(4, False), bands_notes(3, True)
    (('Of its 5 bands the middle three are looked at.',), ('Of its 4 bands the first three are looked at.',), ())
    """
    which = "middle" if linear else "first"
    return (f"Of its {n_bands} bands the {which} three are looked at.",) if n_bands > 3 else ()


def _cover(seen: Seen, model: Model, report: Report) -> Occlusion:
    net = net_of(model)
    return occlude(seen.stamp, lambda images: predict_scores(images, net), report=report)


def records_of(model: Model) -> tuple[dict, dict]:
    """How a model was made, and how it was measured: empty where that is not recorded, or not of these weights."""
    config, metrics = (_read_json(model.folder / name) for name in ("config.json", "metrics.json"))
    weights = metrics.get("weights_sha256")
    if weights is not None and weights != config.get("weights_sha256"):
        metrics = {}
    about = config.get("about")
    return about if isinstance(about, dict) else {}, metrics


def tells_both_forms(model: Model) -> bool:
    """Whether a model learned debiased votes beside those as cast."""
    config = _read_json(model.folder / "config.json").get("config")
    members = config.get("members") if isinstance(config, dict) else None
    nets = members if isinstance(members, list) and members else [config]
    return all(isinstance(net, dict) and net.get("debiased") is True for net in nets)


def _read_json(path: Path) -> dict:
    """A file of a model; empty where it is damaged, which is said of the model that is chosen."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
