"""The pipeline in processes of their own, for tests that kill it: ``python tests/pipeline_child.py``.

It imports once, then forks a run for each line ``images<TAB>root<TAB>seed<TAB>rename`` on its standard input. It prints
the number of the run's process and, when the run is over, how it ended. A run dies, as by ``kill -9``, right after its
``rename``-th rename of a folder (0: never). The network is a few means, so that nothing heavy is imported.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.catalogs import Catalog, read_catalog
from galaxy_core.embedding import Embedder, ImageSettings
from galaxy_core.engine import Engine
from galaxy_core.pipeline import PipelineConfig, PipelineResult, run_pipeline

CONFIG = PipelineConfig(
    images=ImageSettings(shard_size=8, batch_size=4, thumbnail_px=16),
    projections={"pca": {"method": "pca"}, "lda": {"method": "lda"}},
    clusterings={
        "kmeans_3": {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 3, "n_init": 2}},
        "kmeans_2": {"method": "kmeans", "space": "pca_3", "params": {"n_clusters": 2, "n_init": 2}},
    },
    n_trees=10,
)


def means(images: np.ndarray) -> np.ndarray:
    """A network: means over blocks of 8 px and a little of each pixel, of unit length."""
    flat = images.reshape(len(images), 3, 2, 8, 2, 8).mean(axis=(3, 5)).reshape(len(images), 12) + 1e-3
    return (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float32)


EMBEDDER = Embedder("means", "version 1", 16, 12, means)


def crash_on_dark(images: np.ndarray) -> np.ndarray:
    """A network that takes its process along where an image is black."""
    if (images.max(axis=(1, 2, 3)) == 0).any():
        os._exit(7)
    return means(images)


CRASHING = Embedder("crashing", "1", 16, 12, crash_on_dark)


def read_slowly(images: Path, seconds: float) -> Catalog:
    """The catalog, each of its images taking a while, so that there is time to be killed in."""
    catalog = read_catalog(f"folder:{images}")

    def load_image(i: int) -> np.ndarray:
        time.sleep(seconds)
        return catalog.load_image(i)

    load_image.states = catalog.load_image.states  # as those of a run that is not slow
    return replace(catalog, load_image=load_image)


def run(images: Path, root: Path, seed: int = 0, seconds: float = 0.0, engine: Engine | None = None) -> PipelineResult:
    """The whole pipeline on a small folder of images."""
    catalog = read_slowly(images, seconds) if seconds else read_catalog(f"folder:{images}")
    return run_pipeline(catalog, EMBEDDER, root, "sample", replace(CONFIG, seed=seed), engine=engine)


def kill_at_rename(number: int) -> None:
    """Die, as by kill -9, right after the ``number``-th rename of a folder."""
    rename, count = os.rename, [0]

    def renamed(source, target) -> None:
        rename(source, target)
        count[0] += 1
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    os.rename = renamed


def serve() -> None:
    """Fork a run for each line of the standard input."""
    for line in sys.stdin:
        images, root, seed, rename = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            kill_at_rename(int(rename))
            run(Path(images), Path(root), int(seed), seconds=0.01)
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    import sklearn.cluster
    import sklearn.decomposition
    import sklearn.discriminant_analysis
    import sklearn.ensemble  # noqa: F401 - imported once, before the runs

    serve()
