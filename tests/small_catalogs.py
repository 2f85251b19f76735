"""A small catalog of three classes, written through `galaxy_core.artifacts`: what most pages are tested on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import silhouette_samples

from galaxy_core import artifacts
from galaxy_core.anomaly import score_anomalies
from galaxy_core.comparison import measure_clustering
from galaxy_core.embedding import encode_thumbnail
from galaxy_core.map_trust import measure_trust
from galaxy_core.similarity import nearest_neighbors
from galaxy_core.splits import split_of

CLASSES = ("spiral", "round_smooth", "edge_on")


def blob(i: int, size_px: int = 64) -> np.ndarray:
    """An elliptical Gaussian of a colour of its own, (3, size, size): its class decides hue and flattening."""
    rng = np.random.default_rng(i)
    kind = i % 3
    y, x = np.mgrid[:size_px, :size_px] - (size_px - 1) / 2
    angle, flattening, width = rng.uniform(0, np.pi), (0.7, 0.95, 0.25)[kind], rng.uniform(6, 9)
    u, v = x * np.cos(angle) + y * np.sin(angle), (-x * np.sin(angle) + y * np.cos(angle)) / flattening
    light = np.exp(-(u**2 + v**2) / (2 * width**2))
    colour = np.array([(0.6, 0.7, 1.0), (1.0, 0.8, 0.5), (0.9, 0.6, 0.5)][kind]) * rng.uniform(0.8, 1, 3)
    return (colour[:, None, None] * light + rng.normal(0.03, 0.01, (3, size_px, size_px))).clip(0, 1).astype("float32")


@cache
def picture(image_of, i: int) -> bytes:
    """What `make_catalog` keeps of one galaxy's image."""
    return encode_thumbnail(image_of(i), 90)


@cache
def measured(n: int) -> tuple[pd.DataFrame, dict, dict, dict]:
    """Whatever of ``n`` galaxies in three classes depends on their number alone, once a process: it takes a while.

    Their columns, what else is measured (vectors, neighbours, tables without names), and the scores by projection and
    by clustering; not to be changed.
    """
    rng = np.random.default_rng(n)
    kinds = np.arange(n) % 3
    embedding = np.eye(8)[kinds] + rng.normal(0, 0.25, (n, 8))
    embedding = (embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32)
    turn = np.array([[0.0, 5.0], [4.3, -2.5], [-4.3, -2.5]])[kinds]
    flat = (turn + rng.normal(0, 1.1, (n, 2))).astype(np.float32)
    catalog = pd.DataFrame({"class": np.array(CLASSES, dtype=object)[kinds]})
    catalog["ra_deg"], catalog["dec_deg"] = rng.uniform(0, 360, n), rng.uniform(-60, 60, n)
    catalog["smooth-or-featured_smooth"] = np.where(kinds == 1, 0.9, 0.2)
    catalog["smooth-or-featured_featured"] = 1 - catalog["smooth-or-featured_smooth"]
    catalog["radius_arcsec"] = rng.uniform(1, 9, n)
    index, similarity = nearest_neighbors(embedding, 12)
    projections = {"umap_x": flat[:, 0], "umap_y": flat[:, 1], "pca_x": embedding[:, 0], "pca_y": embedding[:, 1]}
    trusts = {
        "umap": measure_trust(embedding, index, flat, 0),
        "pca": measure_trust(embedding, index, embedding[:, :2], 0),
    }
    projections |= {f"{projection}_trust": trust.per_galaxy for projection, trust in trusts.items()}
    anomaly = score_anomalies(embedding, similarity, 0, n_trees=20)
    anomalies = {column: getattr(anomaly, column) for column in ("isolation_forest", "neighbor_distance", "anomaly")}
    clusters, scores = {}, {}
    spread = np.linalg.norm(flat - turn, axis=1)
    for clustering, labels in (
        ("hdbscan", np.where(spread > 2.2, -1, kinds)),
        ("kmeans_8", (kinds * 2 + (flat[:, 0] > turn[:, 0])).astype(int)),
    ):
        clustered = labels >= 0
        silhouettes = np.zeros(n, np.float32)
        if n > 3:
            silhouettes[clustered] = silhouette_samples(embedding[clustered], labels[clustered])
        scores[clustering] = measure_clustering(embedding, embedding, labels, 0, catalog["class"].to_numpy())
        clusters |= {f"{clustering}_label": labels, f"{clustering}_membership": np.where(labels < 0, 0, 1 - spread / 9)}
        clusters[f"{clustering}_silhouette"] = silhouettes
    parts = {"embedding": embedding, "index": index, "similarity": similarity}
    parts |= {"projections": projections, "anomalies": anomalies, "clusters": clusters}
    return catalog, parts, trusts, scores


def make_catalog(root: Path, name: str = "tiny", n: int = 90, image_of=blob, **changes) -> artifacts.Manifest:
    """Write a whole catalog of ``n`` galaxies in three classes; ``changes`` replace fields of the manifest."""
    columns, parts, trusts, scores = measured(n)
    ids = np.array([f"{name}-{i:05d}" for i in range(n)], dtype=object)
    catalog = pd.DataFrame({"galaxy_id": ids, "split": [split_of(i) for i in ids]}).join(columns)
    artifacts.write_table(root, name, "catalog", catalog)
    artifacts.write_thumbnails(root, name, ids, [picture(image_of, i) for i in range(n)])
    artifacts.write_embedding(root, name, "toy", ids, parts["embedding"])
    artifacts.write_neighbors(root, name, "toy", ids, parts["index"], parts["similarity"])
    for table in ("projections", "anomalies", "clusters"):
        artifacts.write_table(root, name, table, pd.DataFrame({"galaxy_id": ids} | parts[table]))
    fields = {
        "name": name,
        "source": str(n),
        "layout": "synthetic",
        "model": "toy",
        "created": "2026-01-01T00:00:00+00:00",
        "n_galaxies": n,
        "answer_columns": ("smooth-or-featured_smooth", "smooth-or-featured_featured"),
        "answer_kind": "fraction",
        "report": (f"{n} galaxies from {n + 2} rows", "2 rows have no image and were left out"),
        "projections": {
            projection: {"space": "embedding", "params": {}, "trust": trust.as_dict()}
            for projection, trust in trusts.items()
        },
        "clusterings": {
            clustering: {"method": method, "space": space, "params": params, "scores": scores[clustering].as_dict()}
            for clustering, method, space, params in (
                ("hdbscan", "hdbscan", "umap_10", {"min_cluster_size": 15}),
                ("kmeans_8", "kmeans", "embedding", {"n_clusters": 8}),
            )
        },
    }
    return artifacts.write_manifest(root, name, artifacts.Manifest(**(fields | changes)))
