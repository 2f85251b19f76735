"""The models in memory: each is loaded when a visitor first needs it, once for all visitors and all pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from galaxy_core.embedding import Embedder, find_model, load_embedder

if TYPE_CHECKING:
    from torch import nn


def model_files(name: str, root: Path) -> tuple[Path, int]:
    """Folder of a model and when its weights were written; raises `ModelError` where there is none."""
    folder = find_model(name, root)
    return folder, (folder / "weights.safetensors").stat().st_mtime_ns


@st.cache_resource(max_entries=2, show_spinner=False)
def load_denoiser(folder: Path, changed: int) -> nn.Module:
    """The model for denoising."""
    from galaxy_core.models import load_model, resolve_device

    return load_model(folder, resolve_device("auto"))


@st.cache_resource(max_entries=2, show_spinner=False)
def load_encoder(folder: Path, changed: int) -> Embedder:
    """The model for embedding: weights of its own, which lie otherwise in memory than those for denoising."""
    return load_embedder(folder)


@st.cache_resource(max_entries=3, show_spinner=False)
def load_morphology(folder: Path, changed: int, reading: str | None = None) -> nn.Module:
    """The model that tells what kind of galaxy it is; one for each reading of votes, since visitors share it."""
    from galaxy_core.morphology import load_classifier

    return load_classifier([folder], folder.parent.parent, reading=reading)
