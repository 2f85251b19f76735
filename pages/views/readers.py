"""Cached readers: one catalog is read once for all visitors, and again only when its files change.

What they return is shared, never changed: figures and panels take rows and columns out of it, they do not copy it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.artifacts import ColumnTable, Ids, Layers, RowOf
from galaxy_core.embedding import find_model
from galaxy_core.errors import ArtifactError, ModelError
from galaxy_core.map_layers import MAX_POINTS, Extent, extent_of
from galaxy_core.model_files import read_model_files

MANY = MAX_POINTS
"""Above so many galaxies tables are read column by column, and rows by number."""
EMBEDDING_BYTES = 2**30
"""Of an embedding that is kept in memory where a few of its vectors are wanted."""


@dataclass(frozen=True)
class Galaxies:
    """Everything the pages know of one catalog.

    Attributes
    ----------
    root, name : pathlib.Path, str
    manifest : galaxy_core.artifacts.Manifest
    catalog : pandas.DataFrame or galaxy_core.artifacts.ColumnTable
        The latter above `MANY` galaxies: its columns, and rows, are read when they are asked for.
    projections, clusters, anomalies : as ``catalog``
        Empty but for ``galaxy_id`` where the file cannot be read; then ``problems`` says why, a sentence each. A
        catalog made before anomalies were measured has none, which is no problem.
    stamp : tuple
        Changes when one of the files does.
    """

    root: Path
    name: str
    manifest: artifacts.Manifest
    catalog: pd.DataFrame | ColumnTable
    projections: pd.DataFrame | ColumnTable
    clusters: pd.DataFrame | ColumnTable
    anomalies: pd.DataFrame | ColumnTable
    problems: tuple[str, ...]
    stamp: tuple

    def __len__(self) -> int:
        return len(self.catalog)

    @property
    def are_many(self) -> bool:
        """Whether the tables are read column by column."""
        return isinstance(self.catalog, ColumnTable)

    @cached_property
    def ids(self) -> np.ndarray | Ids:
        """Array of str, shape (n,), or what answers like one."""
        if self.are_many:
            return Ids(self.catalog)
        return self.catalog["galaxy_id"].to_numpy(dtype=object)

    @cached_property
    def row_of(self) -> dict[str, int] | RowOf:
        """Row of each ``galaxy_id``."""
        if self.are_many:
            return RowOf(self.catalog)
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

    def layers(self, projection: str) -> Layers | None:
        """What a map of very many galaxies is drawn from; None of few, and where there is nothing that fits."""
        if ("layers", projection) not in self.memory:
            found = artifacts.open_layers(self.root, self.manifest, projection) if self.are_many else None
            self.memory["layers", projection] = found
        return self.memory["layers", projection]

    def layer_groups(self, grouping: str) -> list | None:
        """Values of a column whose groups the layers of the first map list, in their order; None where they do not."""
        layers = self.layers(self.projection_names[0]) if self.are_many and self.projection_names else None
        return layers.groups[grouping]["values"] if layers and grouping in layers.groups else None

    def around(self, projection: str, part: Extent) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, x and y of all galaxies in a part of a map, each of shape (m,); others may be among them."""
        if layers := self.layers(projection):
            return layers.around(part)
        x, y = self.coordinates(projection)
        return np.arange(len(x), dtype=np.int32), x, y

    def place(self, projection: str, row: int) -> tuple[float, float]:
        """Where one galaxy is on a map."""
        if self.are_many:
            found = self.projections.iloc[row]
            return float(found[f"{projection}_x"]), float(found[f"{projection}_y"])
        x, y = self.coordinates(projection)
        return float(x[row]), float(y[row])

    def is_on_map(self, projection: str) -> np.ndarray:
        """Which galaxies have a place on a map, bool (n,)."""
        x, y = self.coordinates(projection)
        return np.isfinite(x) & np.isfinite(y)

    def n_on_map(self, projection: str) -> int:
        """How many that are; counted once."""
        if layers := self.layers(projection):
            return layers.n_on_map
        if ("on map", projection) not in self.memory:
            self.memory["on map", projection] = int(self.is_on_map(projection).sum())
        return self.memory["on map", projection]

    def labels(self, clustering: str) -> np.ndarray:
        """Cluster of every galaxy, -1 for unclustered; int32, shape (n,)."""
        return self.clusters[f"{clustering}_label"].to_numpy()

    @property
    def has_anomaly(self) -> bool:
        """Whether it was measured how unusual each galaxy is."""
        return "anomaly" in self.anomalies

    def has_trust(self, projection: str) -> bool:
        """Whether it was measured how far a map can be trusted."""
        return f"{projection}_trust" in self.projections

    def extent(self, projection: str) -> Extent:
        """The rectangle around all galaxies of a map; found once."""
        if layers := self.layers(projection):
            return layers.extent
        if ("extent", projection) not in self.memory:
            self.memory["extent", projection] = extent_of(*self.coordinates(projection))
        return self.memory["extent", projection]

    @property
    def anomaly(self) -> np.ndarray | None:
        """How unusual each galaxy is, float32 of shape (n,): 1 the most, 0 the least; None where not measured."""
        return self.anomalies["anomaly"].to_numpy() if self.has_anomaly else None

    def trust(self, projection: str) -> np.ndarray | None:
        """Share of each galaxy's nearest neighbours in the embedding that stay its nearest on a map, float32 (n,)."""
        column = f"{projection}_trust"
        return self.projections[column].to_numpy() if self.has_trust(projection) else None

    def trust_at(self, projection: str, row: int) -> float | None:
        """The same of one galaxy."""
        if self.are_many and self.has_trust(projection):
            return float(self.projections.iloc[row][f"{projection}_trust"])
        return None if (trust := self.trust(projection)) is None else trust[row]


def rows_of(galaxies: Galaxies, ids: Iterable[str]) -> dict[str, int]:
    """Rows of those of some names that are in the catalog."""
    if galaxies.are_many:
        return galaxies.row_of.find(ids)
    return {galaxy_id: galaxies.row_of[galaxy_id] for galaxy_id in ids if galaxy_id in galaxies.row_of}


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

    def read(table: str) -> pd.DataFrame | ColumnTable:
        if manifest.n_galaxies > MANY:
            return artifacts.open_columns(root, manifest, table)
        return artifacts.read_table(root, name, table)

    catalog = read("catalog")
    tables, problems = {}, []
    for table in ("projections", "clusters", "anomalies"):
        tables[table] = catalog[["galaxy_id"]]
        if table in artifacts.OPTIONAL_TABLES and not artifacts.has_table(manifest, table):
            continue
        try:
            tables[table] = read(table)
        except ArtifactError as error:
            problems.append(str(error))
    return Galaxies(root, name, manifest, catalog, **tables, problems=tuple(problems), stamp=stamp)


def neighbors(galaxies: Galaxies) -> tuple[np.ndarray, np.ndarray]:
    """Rows and similarities of the nearest neighbours of every galaxy, each (n, k); from the embedding, not the map."""
    return _neighbors(galaxies.root, galaxies.name, galaxies.manifest.model, galaxies.stamp)


def neighbors_of(galaxies: Galaxies, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and similarities of one galaxy's nearest neighbours, each (k,); of very many galaxies, one small read."""
    if not galaxies.are_many:
        index, similarity = neighbors(galaxies)
        return index[row], similarity[row]
    found = _neighbor_table(galaxies.root, galaxies.name, galaxies.stamp, galaxies.manifest).iloc[[row]].iloc[0]
    index = np.asarray(found["neighbor_row"])
    return index[index >= 0], np.asarray(found["similarity"])[index >= 0]


@st.cache_resource(max_entries=4, show_spinner=False)
def _neighbor_table(root: Path, name: str, stamp: tuple, _manifest: artifacts.Manifest) -> ColumnTable:
    return artifacts.open_neighbors(root, _manifest, _manifest.model)


@st.cache_resource(max_entries=4, show_spinner=False)
def _neighbors(root: Path, name: str, model: str, stamp: tuple) -> tuple[np.ndarray, np.ndarray]:
    return artifacts.read_neighbors(root, name, model)


def embedding(galaxies: Galaxies) -> np.ndarray:
    """The embedding of every galaxy, float32 of shape (n, d), read once and shared; never to be changed."""
    return _embedding(galaxies.root, galaxies.name, galaxies.manifest.model, galaxies.stamp)


def vectors(galaxies: Galaxies) -> np.ndarray | artifacts.StoredVectors:
    """The same to take rows of: above `EMBEDDING_BYTES` these alone are read, and nothing is kept."""
    manifest = galaxies.manifest
    files = [entry for path, entry in manifest.files.items() if path.startswith(f"embedding/{manifest.model}/")]
    if sum(entry["bytes"] for entry in files) > EMBEDDING_BYTES:
        return artifacts.open_vectors(galaxies.root, manifest, manifest.model)
    return embedding(galaxies)


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
    """The model's own description, empty where none is stored, or of other weights."""
    try:
        found = read_model_files(find_model(model, root)) if model else None
    except ModelError:
        return ""
    return found.card if found and found.measured != "others" else ""
