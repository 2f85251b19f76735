"""What tests of the classify command share: small untrained nets, pictures, and the command itself."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral")


def small_net(seed: int = 0, **changes) -> MorphologyNet:
    torch.manual_seed(seed)
    options = {"input_px": 32, "hidden_size": 16, "class_names": NAMES} | changes
    return MorphologyNet(MorphologyConfig((8, 8), (1, 1), 8, 8, **options)).eval()


def gauged_net(seed: int = 0, threshold: float = 1.0) -> MorphologyNet:
    """With a gauge of plain distance between features, from where those of an even grey image lie."""
    model = small_net(seed)
    gauge = model.add_gauge()
    with torch.inference_mode():
        gauge.centre.copy_(model.encoder.features(torch.full((1, 3, 32, 32), 0.5))[0])
    gauge.threshold.fill_(threshold)
    return model


def write_models(root: Path) -> Path:
    """Artifacts with two small untrained nets, and a denoiser."""
    save_model(root / "models" / "vote_regressor", small_net())
    save_model(root / "models" / "second", small_net(1))
    save_model(root / "models" / "gauged", gauged_net(threshold=4.0))
    save_model(root / "models" / "votes_alone", small_net(2, class_names=()))
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(root / "models" / "denoiser", ContrastiveDenoiser(config))
    return root


def command_in(folder: Path, artifacts: Path, monkeypatch) -> Callable[..., int]:
    """Exit code of ``scripts/classify.py``, run in this process and in a folder of its own: torch is slow to start."""
    monkeypatch.chdir(folder)

    def run(*arguments, out="out.csv", root=artifacts):
        line = ["classify.py", *map(str, arguments), "--out", str(out), "--artifacts", str(root), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", line)
        try:
            return runpy.run_path(str(ROOT / "scripts" / "classify.py"), run_name="script")["main"]()
        except SystemExit as stop:
            return stop.code

    return run


def save_picture(path: Path, seed: int = 0, side: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:side, :side] - side / 2
    light = 200 * np.exp(-(x**2 + (y * (1 + seed % 3)) ** 2) / side)
    noise = np.random.default_rng(seed).normal(10, 3, (side, side, 3))
    Image.fromarray((light[..., None] + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def read(path: str) -> pd.DataFrame:
    if path.endswith(".parquet"):
        return pd.read_parquet(path).set_index("galaxy_id")
    return pd.read_csv(path, dtype={"galaxy_id": str}).set_index("galaxy_id")
