"""Cached readers: one catalog is read once for all visitors, and again only when its files change.

What they return is shared, never changed: figures and panels take rows and columns out of it, they do not copy it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.embedding import find_model
from galaxy_core.errors import ArtifactError, ModelError


@dataclass(frozen=True)
class Galaxies:
    """Everything the pages know of one catalog.

    Attributes
    ----------
    root, name : pathlib.Path, str
    manifest : galaxy_core.artifacts.Manifest
    catalog : pandas.DataFrame
    projections, clusters, anomalies : pandas.DataFrame
        Empty but for ``galaxy_id`` where the file cannot be read; then ``problems`` says why, a sentence each. A
        catalog made before anomalies were measured has none, which is no problem.
    stamp : tuple
        Changes when one of the files does.
    """

    root: Path
    name: str
    manifest: artifacts.Manifest
    catalog: pd.DataFrame
    projections: pd.DataFrame
    clusters: pd.DataFrame
    anomalies: pd.DataFrame
    problems: tuple[str, ...]
    stamp: tuple

    def __len__(self) -> int:
        return len(self.catalog)

    @cached_property
    def ids(self) -> np.ndarray:
        """Array of str, shape (n,)."""
        return self.catalog["galaxy_id"].to_numpy(dtype=object)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each ``galaxy_id``."""
        return {galaxy_id: row for row, galaxy_id in enumerate(self.ids)}

    @cached_property
    def memory(self) -> dict:
        """What pages derive from this catalog and would else derive again on every run."""
        return {}

    @property
    def projection_names(self) -> list[str]:
        """Maps that can be drawn, in the order of the manifest."""
        columns = set(self.projections.columns)
        stems = [column.removesuffix("_x") for column in self.projections.columns if column.endswith("_x")]
        return sorted((s for s in stems if f"{s}_y" in columns), key=_order_of(self.manifest.projections))

    @property
    def clustering_names(self) -> list[str]:
        """Clusterings that can be shown, in the order of the manifest."""
        stems = [column.removesuffix("_label") for column in self.clusters.columns if column.endswith("_label")]
        return sorted(stems, key=_order_of(self.manifest.clusterings))

    def coordinates(self, projection: str) -> tuple[np.ndarray, np.ndarray]:
        """Position of every galaxy on a map, two float32 arrays of shape (n,)."""
        return self.projections[f"{projection}_x"].to_numpy(), self.projections[f"{projection}_y"].to_numpy()

    def labels(self, clustering: str) -> np.ndarray:
        """Cluster of every galaxy, -1 for unclustered; int32, shape (n,)."""
        return self.clusters[f"{clustering}_label"].to_numpy()

    @property
    def anomaly(self) -> np.ndarray | None:
        """How unusual each galaxy is, float32 of shape (n,): 1 the most, 0 the least; None where not measured."""
        return self.anomalies["anomaly"].to_numpy() if "anomaly" in self.anomalies else None

    def trust(self, projection: str) -> np.ndarray | None:
        """Share of each galaxy's nearest neighbours in the embedding that stay its nearest on a map, float32 (n,)."""
        column = f"{projection}_trust"
        return self.projections[column].to_numpy() if column in self.projections else None


# UMAP first, then the others as people ask for them; the pairs that are to be compared with one another stay together.
# What is not listed comes last, by name.
PREFERRED = ("umap", "tsne", "pca", "lda", "hdbscan", "kmeans_8", "hdbscan_leaf", "kmeans_8_umap")


def _order_of(recorded: dict):
    order = {name: place for place, name in enumerate([*PREFERRED, *(n for n in recorded if n not in PREFERRED)])}
    return lambda name: (order.get(name, len(order)), name)


def open_catalog(root: Path, name: str) -> Galaxies:
    """Read a catalog's tables; raises `ArtifactError` where nothing can be shown without the file that is broken."""
    return _open_catalog(root, name, stamp_of(root, name))


def stamp_of(root: Path, name: str) -> tuple:
    """Time and size of the manifest and of every table, the key under which a catalog is cached."""
    if artifacts.address_of(root) is not None:  # every change there is one of the manifest
        manifest = artifacts.manifest_path(root, name)
        return ((manifest.stat().st_mtime_ns, manifest.stat().st_size) if manifest.exists() else None,)
    folder = artifacts.catalog_folder(root, name)
    tables = (artifacts.table_file(table) for table in artifacts.TABLES + artifacts.OPTIONAL_TABLES)
    paths = [folder / artifacts.MANIFEST_FILE, *(folder / table for table in tables)]
    paths += sorted(folder.glob("neighbors/*.parquet"))
    return tuple((p.stat().st_mtime_ns, p.stat().st_size) if p.exists() else None for p in paths)


@st.cache_resource(max_entries=4, show_spinner="Reading the catalog …")
def _open_catalog(root: Path, name: str, stamp: tuple) -> Galaxies:
    manifest = artifacts.read_manifest(root, name)
    catalog = artifacts.read_table(root, name, "catalog")
    tables, problems = {}, []
    for table in ("projections", "clusters", "anomalies"):
        tables[table] = catalog[["galaxy_id"]]
        if table in artifacts.OPTIONAL_TABLES and not artifacts.has_table(manifest, table):
            continue
        try:
            tables[table] = artifacts.read_table(root, name, table)
        except ArtifactError as error:
            problems.append(str(error))
    return Galaxies(root, name, manifest, catalog, **tables, problems=tuple(problems), stamp=stamp)


def neighbors(galaxies: Galaxies) -> tuple[np.ndarray, np.ndarray]:
    """Rows and similarities of the nearest neighbours of every galaxy, each (n, k); from the embedding, not the map."""
    return _neighbors(galaxies.root, galaxies.name, galaxies.manifest.model, galaxies.stamp)


@st.cache_resource(max_entries=4, show_spinner=False)
def _neighbors(root: Path, name: str, model: str, stamp: tuple) -> tuple[np.ndarray, np.ndarray]:
    return artifacts.read_neighbors(root, name, model)


def embedding(galaxies: Galaxies) -> np.ndarray:
    """The embedding of every galaxy, float32 of shape (n, d), read once and shared; never to be changed."""
    return _embedding(galaxies.root, galaxies.name, galaxies.manifest.model, galaxies.stamp)


@st.cache_resource(max_entries=2, show_spinner=False)
def _embedding(root: Path, name: str, model: str, stamp: tuple) -> np.ndarray:
    return artifacts.read_embedding(root, name, model)[1]


def thumbnails(galaxies: Galaxies, rows: Sequence[int]) -> list[bytes]:
    """Pictures of some galaxies, webp bytes each; empty bytes where a galaxy has none."""
    rows = tuple(int(row) for row in rows)
    images = _thumbnails(galaxies.root, galaxies.name, rows, galaxies.stamp) if rows else []
    return [image or b"" for image in images]


@st.cache_data(max_entries=256, show_spinner=False)
def _thumbnails(root: Path, name: str, rows: tuple[int, ...], stamp: tuple) -> list[bytes]:
    return artifacts.read_thumbnails(root, name, rows)


def model_card(root: Path, model: str) -> str:
    """The model's own description, empty where none is stored."""
    try:
        return (find_model(model, root) / "card.md").read_text(encoding="utf-8") if model else ""
    except (ModelError, OSError, UnicodeDecodeError):
        return ""
