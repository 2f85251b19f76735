"""What clusters are called, on every page: by number, and by the name people gave them.

Names are edited while pages are open, in this browser or another one: they are read again whenever their file changes,
and what is kept for longer (maps, comparisons) is kept together with the `edition` of the names it was made with.
"""

from __future__ import annotations

import numpy as np

from galaxy_core import cluster_names
from galaxy_core.errors import ArtifactError
from pages.views import words
from pages.views.readers import Galaxies

NO_FILE = (0, 0, 0)


def edition(galaxies: Galaxies) -> tuple[int, int, int]:
    """Changes whenever anyone gives a cluster of this catalog another name."""
    try:
        status = cluster_names.names_path(galaxies.root, galaxies.name).stat()
    except OSError:
        return NO_FILE
    return status.st_ino, status.st_mtime_ns, status.st_size


def names_of(galaxies: Galaxies, clustering: str) -> dict[int, str]:
    """Names people gave, by label; empty where there are none, or where `problem` says why."""
    stored = _stored(galaxies)[0]
    if not stored.get(clustering):
        return {}
    return cluster_names.names_of(stored, clustering, _digests(galaxies, clustering))


def problem(galaxies: Galaxies) -> str:
    """Why the names cannot be read, a sentence; empty where nothing is wrong."""
    return _stored(galaxies)[1]


def _stored(galaxies: Galaxies) -> tuple[dict, str]:
    """What the file of names holds, and what is wrong with it; read once for each edition."""
    now = edition(galaxies)
    if galaxies.memory.get("cluster names", (None,))[0] != now:
        try:
            found = cluster_names.read_names(galaxies.root, galaxies.name), ""
        except ArtifactError as error:
            found = {}, str(error)
        galaxies.memory["cluster names"] = (now, *found)
    return galaxies.memory["cluster names"][1:]


def _digests(galaxies: Galaxies, clustering: str) -> dict[int, tuple[str, str]]:
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


def label_text(galaxies: Galaxies, clustering: str, label: int) -> str:
    """Number and name of one cluster of a clustering."""
    return cluster_text(label, names_of(galaxies, clustering))


def texts_of(galaxies: Galaxies, clustering: str, labels: np.ndarray) -> tuple[str, ...]:
    """Number and name of some clusters of a clustering, in their order."""
    names = names_of(galaxies, clustering)
    return tuple(cluster_text(int(label), names) for label in labels)


def named_clusters(galaxies: Galaxies) -> dict[str, dict[int, str]]:
    """Every name in use: ``{clustering: {label: name}}``, without the clusterings that have none."""
    found = {name: names_of(galaxies, name) for name in galaxies.clustering_names}
    return {name: names for name, names in found.items() if names}
