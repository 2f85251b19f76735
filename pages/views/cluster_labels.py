"""What clusters are called on the pages: by number, and by the name people gave them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from galaxy_core import cluster_names
from galaxy_core.errors import ArtifactError
from pages.views import words
from pages.views.colouring import Colouring, by_cluster
from pages.views.readers import Galaxies


def names_of(galaxies: Galaxies, clustering: str) -> dict[int, str]:
    """Names people gave, by label; empty where there are none, or where `problem` says why."""
    try:
        stored = cluster_names.read_names(galaxies.root, galaxies.name)
    except ArtifactError:
        return {}
    return cluster_names.names_of(stored, clustering, _digests(galaxies, clustering)) if stored else {}


def problem(galaxies: Galaxies) -> str:
    """Why the names cannot be read, a sentence; empty where nothing is wrong."""
    try:
        cluster_names.read_names(galaxies.root, galaxies.name)
    except ArtifactError as error:
        return str(error)
    return ""


def _digests(galaxies: Galaxies, clustering: str) -> dict[int, str]:
    if ("digests", clustering) not in galaxies.memory:
        found = cluster_names.digests_of(galaxies.ids, galaxies.labels(clustering))
        galaxies.memory["digests", clustering] = found
    return galaxies.memory["digests", clustering]


def rename(galaxies: Galaxies, clustering: str, label: int, text: str) -> str:
    """Keep another name of a cluster, for everybody; returns it as kept. Raises `ArtifactError` where it cannot."""
    ids = galaxies.ids[galaxies.labels(clustering) == label]
    return cluster_names.name_cluster(galaxies.root, galaxies.name, clustering, label, ids, text)


def cluster_text(label: int, names: dict[int, str]) -> str:
    """A cluster's number and name.

    Examples
    --------
    >>> cluster_text(3, {3: "edge on"}), cluster_text(2, {3: "edge on"}), cluster_text(-1, {})
    ('cluster 3: edge on', 'cluster 2', 'unclustered')
    """
    text = words.cluster_name(label)
    return f"{text}: {names[label]}" if label in names else text


def colouring_of(galaxies: Galaxies, clustering: str) -> Colouring:
    """Colour by the clusters of one clustering, with their names in the legend."""
    colouring, names = by_cluster(galaxies, clustering), names_of(galaxies, clustering)
    labels = np.unique(galaxies.labels(clustering))
    texts = tuple(cluster_text(int(label), names) for label in labels[labels >= 0])
    return replace(colouring, names=texts)
