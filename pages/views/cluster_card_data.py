"""What the card of one cluster shows, computed once for each cluster and kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from galaxy_core import artifacts
from galaxy_core import cluster_cards as core
from galaxy_core.cluster_enrichment import Enrichment, enrichments, suggest_name
from galaxy_core.errors import ArtifactError
from galaxy_core.images import encode_png
from pages.views import readers, scores, words
from pages.views.colouring import colour_by, colour_choices
from pages.views.readers import Galaxies

N_PICTURES = 8
N_MEAN = 200  # pictures in the mean image
SEED = 0
DERIVED = ("tags", "split", "anomaly")  # not measured on the galaxy, or from the same embedding as the clusters


@dataclass(frozen=True)
class ClusterCard:
    """What is shown of one cluster.

    Attributes
    ----------
    size : int
    medoids, random, border : int array
        Rows of galaxies, none in two of them.
    mean_image : bytes
        PNG; empty where no picture could be read.
    n_mean : int
        Pictures in it.
    enriched : tuple of Enrichment
    suggestion : str
        A name; empty where nothing tells the cluster from the rest.
    nearest : tuple of (int, float) or None
        The cluster of nearest mean and the distance, in ``space``.
    space : str
        Where medoids and means were measured.
    shares : dict
        Where the nearest neighbours of its galaxies are: label to share.
    distance, distance_all : float
        Mean distance to the last of the nearest neighbours, of its galaxies and of all.
    n_neighbors : int
    """

    size: int
    medoids: np.ndarray
    random: np.ndarray
    border: np.ndarray
    mean_image: bytes
    n_mean: int
    enriched: tuple[Enrichment, ...]
    suggestion: str
    nearest: tuple[int, float] | None
    space: str
    shares: dict[int, float]
    distance: float
    distance_all: float
    n_neighbors: int


def card_of(galaxies: Galaxies, clustering: str, label: int) -> ClusterCard:
    """Everything on the card of a cluster; made once for each."""
    return _card_of(galaxies.root, galaxies.name, galaxies.stamp, clustering, label, galaxies)


@st.cache_resource(max_entries=64, show_spinner="Looking at the cluster …")
def _card_of(root, name, stamp, clustering: str, label: int, _galaxies: Galaxies) -> ClusterCard:
    labels = _galaxies.labels(clustering)
    members, n_clusters = np.flatnonzero(labels == label), len(scores.sizes_of(labels))
    vectors, space = vectors_of(_galaxies, clustering)
    medoids = border = members[:0]
    if label >= 0:
        if vectors is not None:
            medoids = core.medoids(vectors, members, N_PICTURES, SEED)
        membership = _galaxies.clusters[f"{clustering}_membership"].to_numpy()
        silhouettes = scores.silhouettes_of(_galaxies, clustering)
        border = core.border_members(np.setdiff1d(members, medoids), silhouettes, membership, N_PICTURES)
    rest = np.setdiff1d(members, np.concatenate([medoids, border]))
    mean, n_mean = mean_image_of(_galaxies, core.random_members(members, N_MEAN, SEED))
    found = enrichments(len(_galaxies), members, *columns_of(_galaxies), n_clusters, SEED)
    index, similarity = neighbours_of(_galaxies)
    return ClusterCard(
        size=len(members),
        medoids=medoids,
        random=core.random_members(rest, N_PICTURES, SEED),
        border=border,
        mean_image=mean,
        n_mean=n_mean,
        enriched=found,
        suggestion=suggest_name(found, _galaxies.manifest.answer_columns),
        nearest=None if vectors is None else core.nearest_cluster(vectors, labels, label),
        space=space,
        shares=core.neighbour_shares(labels, index, label) if index.size else {},
        distance=core.neighbour_distance(similarity, members),
        distance_all=core.neighbour_distance(similarity, np.arange(len(similarity))),
        n_neighbors=similarity.shape[1],
    )


def vectors_of(galaxies: Galaxies, clustering: str) -> tuple[np.ndarray | None, str]:
    """Coordinates of the space a clustering was fitted in, and its name; of the embedding where these are not kept."""
    about = galaxies.manifest.clusterings.get(clustering, {})
    space = str(about.get("space", ""))
    if space not in ("", "embedding"):
        try:
            return _space(galaxies.root, galaxies.name, space, galaxies.stamp), words.space_of(space)
        except ArtifactError:
            pass  # spaces that are quick to make again are not stored
    try:
        return readers.embedding(galaxies), words.space_of("embedding")
    except ArtifactError:
        return None, ""


@st.cache_resource(max_entries=4, show_spinner=False)
def _space(root, name: str, space: str, stamp: tuple) -> np.ndarray:
    return artifacts.read_space(root, name, space)


def neighbours_of(galaxies: Galaxies) -> tuple[np.ndarray, np.ndarray]:
    """Rows and similarities of the nearest neighbours; no columns where they cannot be read."""
    try:
        return readers.neighbors(galaxies)
    except ArtifactError:
        return np.zeros((len(galaxies), 0), np.int32), np.zeros((len(galaxies), 0), np.float32)


def columns_of(galaxies: Galaxies) -> tuple[dict, dict]:
    """Classes, votes and measured columns of the catalog, as `enrichments` takes them: numbers, and categories."""
    numbers, categories = {}, {}
    for key in colour_choices(galaxies):
        if key in DERIVED or (key not in galaxies.catalog):
            continue
        colouring = colour_by(galaxies, key)
        if colouring.values is not None:
            numbers[key] = colouring.values
        else:
            categories[key] = colouring.codes, colouring.names
    return numbers, categories


def mean_image_of(galaxies: Galaxies, rows: np.ndarray) -> tuple[bytes, int]:
    """PNG of the mean of these galaxies' pictures, and of how many; empty where none can be read."""
    try:
        mean, n = core.mean_picture(artifacts.read_thumbnails(galaxies.root, galaxies.name, rows))
    except ArtifactError:
        return b"", 0
    return (b"", 0) if mean is None else (encode_png(mean), n)
