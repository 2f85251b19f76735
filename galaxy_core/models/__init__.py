"""Networks, and the one way to save and load them: a folder that rebuilds its own model.

``weights.safetensors`` holds the numbers, ``config.json`` the architecture and its origin. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from galaxy_core.artifacts.files import atomic_path, sha256_of_file, write_json
from galaxy_core.errors import GalaxyError, ModelError
from galaxy_core.model_files import CONFIG_FILE, WEIGHTS_FILE
from galaxy_core.models.autoencoder import AutoencoderConfig, GalaxyAutoencoder
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.morphology import EnsembleConfig, MorphologyConfig, MorphologyEnsemble, MorphologyNet
from galaxy_core.models.resnet import GalaxyResNet, ResNetConfig
from galaxy_core.models.segmenter import Segmenter, SegmenterConfig
from galaxy_core.models.star_galaxy import StarGalaxyConfig, StarGalaxyNet

MODELS: dict[str, tuple[type[nn.Module], type]] = {
    ContrastiveDenoiser.name: (ContrastiveDenoiser, ContrastiveDenoiserConfig),
    MorphologyNet.name: (MorphologyNet, MorphologyConfig),
    MorphologyEnsemble.name: (MorphologyEnsemble, EnsembleConfig),
    GalaxyResNet.name: (GalaxyResNet, ResNetConfig),
    GalaxyAutoencoder.name: (GalaxyAutoencoder, AutoencoderConfig),
    StarGalaxyNet.name: (StarGalaxyNet, StarGalaxyConfig),
    Segmenter.name: (Segmenter, SegmenterConfig),
}
# What a configuration raises that was changed by hand, and safetensors and torch on weights that do not go with it.
BAD_FILE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    GalaxyError,
    SafetensorError,
)


def save_model(folder: str | Path, model: nn.Module, about: dict | None = None) -> Path:
    """Write a model's folder: weights first, then the configuration that names them.

    Matrices and convolutions are stored as float16, which halves the file and changes no output by more than a part in
    a thousand of its noise; vectors (biases, normalisation statistics) stay float32.

    Parameters
    ----------
    folder : path
    model : nn.Module
        One of `MODELS`, with ``name`` and a dataclass ``config``.
    about : dict, optional
        How it was made (recipe, catalogs, seed, ...), kept in ``config.json``.
    """
    folder = Path(folder)
    tensors = {
        key: (value.detach().half() if value.ndim > 1 else value.detach()).cpu().contiguous()
        for key, value in model.state_dict().items()
    }
    weights = save(tensors)
    checksum = hashlib.sha256(weights).hexdigest()
    record = {"model": model.name, "config": asdict(model.config), "weights_sha256": checksum, "about": about or {}}
    json.dumps(record, allow_nan=False)  # what cannot be written must not cost the model that is there
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(weights)
    write_json(folder / CONFIG_FILE, record)
    return folder


def read_model_config(folder: str | Path) -> dict:
    """``config.json`` of a model's folder as a dict; raises `ModelError` if it is missing or not one."""
    path = Path(folder) / CONFIG_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        model_name = record["model"]
    except FileNotFoundError as error:
        raise ModelError(
            f"No model in {folder} ({CONFIG_FILE} is missing); train one or choose another folder."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} is not a model's configuration; restore it or train again.") from error
    if model_name not in MODELS:
        raise ModelError(f"{path} names an unknown model '{model_name}'; update Galaxy Atlas to read it.")
    return record


def load_model(folder: str | Path, device: str = "cpu") -> nn.Module:
    """The model of a folder written by `save_model`, in evaluation mode.

    Raises
    ------
    ModelError
        If a file is missing, damaged, or does not fit the other.
    """
    folder = Path(folder)
    record = read_model_config(folder)
    model_class, config_class = MODELS[record["model"]]
    weights = folder / WEIGHTS_FILE
    if not weights.exists():
        raise ModelError(f"{weights} is missing; restore it or train the model again.")
    if sha256_of_file(weights) != record.get("weights_sha256"):
        raise ModelError(
            f"{weights} is damaged (its checksum is not that of {CONFIG_FILE}); restore it or train again."
        )
    known = {item.name for item in fields(config_class)}
    try:
        options = {key: tuple(v) if isinstance(v, list) else v for key, v in record["config"].items() if key in known}
        model = model_class(config_class(**options))
        model.load_state_dict(load_file(weights))
    except BAD_FILE as error:
        raise ModelError(
            f"The weights in {folder} do not fit its {CONFIG_FILE}; restore both or train again."
        ) from error
    model.weights_sha256 = record["weights_sha256"]
    return model.to(device).eval()


def resolve_device(device: str) -> str:
    """``"auto"`` as ``"cuda"`` where there is a GPU and else ``"cpu"``; other names are checked."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros((), device=device).item()  # "meta" computes nothing
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"Device '{device}' is not available on this machine; use --device auto.") from error
    return device
