"""Placing for tests that kill it: as a module for workers, and as ``python tests/place_child.py FOLDER`` of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core import placer
from galaxy_core.image_steps import silent
from galaxy_core.place_steps import placing
from galaxy_core.placer import Fitted, Placer, openers_of

N, SAMPLE = 40, np.array([0, 7, 13, 30])
VECTORS = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)


def open_doubled(seconds: float, folder: str, deadly: bool):
    """Twice the vectors and their sums; it may sleep in its fourth call, and a deadly one kills its process, once."""
    placed = []

    def place(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        placed.append(len(vectors))
        if len(placed) == 4:
            time.sleep(float(seconds))
        died = Path(str(folder)) / "died"
        if deadly and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * vectors, vectors.sum(axis=1)

    return place


OPENERS = openers_of(open_doubled)


def fit(folder: Path, seconds: float = 0.0, deadly: bool = False) -> Fitted:
    """A fit that notes that it is made."""
    with open(folder / "fits", "a") as file:
        file.write("fit\n")
    arrays = {"seconds": seconds, "folder": str(folder), "deadly": deadly}
    return Fitted(Placer(open_doubled, lambda: arrays), {"own": VECTORS[SAMPLE]}, {"n": 0.1, "words": ["α", None]})


def place(folder: Path, engine=None, progress=silent, vectors=VECTORS, sample=SAMPLE, **how):
    """Fit and place, eight rows a shard."""
    placer.SHARD = 8
    made = placing(folder / "parts", "map", None, progress, engine)
    return made(partial(fit, folder, **how), vectors, sample, OPENERS)


if __name__ == "__main__":
    place(Path(sys.argv[1]), seconds=600.0)  # until it is killed
