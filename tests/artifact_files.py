"""A whole catalog of artifacts, small, for tests that read, harm and replace its files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core import artifacts

MODEL = "toy"


def write_all(root: Path, name: str = "sample", n: int = 150, parts: int = 2) -> artifacts.Manifest:
    """A catalog of every kind of file, with ids that are not ASCII and answers that are not there."""
    rng = np.random.default_rng(n)
    ids = [f"gálaxia-{i}-銀河" for i in range(n)]
    table = pd.DataFrame({"galaxy_id": ids, "split": "train", "ra_deg": np.nan, "class": [None, "spiral"][n > 1]})
    table["votes"] = np.where(rng.random(n) < 0.3, np.nan, rng.random(n))
    table["mixed"] = [i if i % 2 else "text" for i in range(n)]
    artifacts.write_table(root, name, "catalog", table)
    flat = {"galaxy_id": ids, "umap_x": 1.0, "umap_y": 2.0, "pca_x": 0.5, "pca_y": 0.0, "umap_trust": 0.25}
    artifacts.write_table(root, name, "projections", pd.DataFrame(flat))
    scores = {"galaxy_id": ids, "isolation_forest": 0.5, "neighbor_distance": np.nan, "anomaly": 1.0}
    artifacts.write_table(root, name, "anomalies", pd.DataFrame(scores))
    labels = {"galaxy_id": ids, "km_label": -1, "km_membership": 0.5, "km_silhouette": 0.0}
    artifacts.write_table(root, name, "clusters", pd.DataFrame(labels))
    edges = np.linspace(0, n, parts + 1).astype(int)
    for part, (start, stop) in enumerate(pairwise(edges)):
        vectors = np.arange(start * 4, stop * 4, dtype=np.float32).reshape(-1, 4)
        artifacts.write_embedding(root, name, MODEL, ids[start:stop], vectors, part)
        artifacts.write_thumbnails(root, name, ids[start:stop], [i.encode() for i in ids[start:stop]], part)
    k = min(12, n - 1)
    index = (np.arange(n)[:, None] + 1 + np.arange(k)) % n
    artifacts.write_neighbors(root, name, MODEL, ids, index, np.full((n, k), 0.25))
    artifacts.write_space(root, name, "umap_10", ids, rng.random((n, 10)))
    manifest = artifacts.Manifest(name, "200", "synthetic", MODEL, n_galaxies=n, config={"limit": n}, report=("a", "b"))
    return artifacts.write_manifest(root, name, manifest)
