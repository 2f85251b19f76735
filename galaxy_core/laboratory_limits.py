"""How many galaxies the laboratory clusters live: as many as two cores manage in ten seconds at most."""

from __future__ import annotations

from galaxy_core import spaces

LARGEST = 30_000
"""Galaxies of a catalog that are clustered live, at most."""

LARGEST_MADE = {"umap": 6_000, "tsne": 2_000}
"""The same in a space that is not stored and has to be laid out first."""

MANY_FEATURES = 24
"""Above so many, trees of neighbours prune little, and shapes of clusters have many numbers."""


def largest_sample(method: str, space: str, n_features: int, is_stored: bool) -> int:
    """How many galaxies are clustered live, at most.

    Parameters
    ----------
    method, space : str
    n_features : int
        Of the space that is clustered in.
    is_stored : bool
        Whether the space need not be made.

    Examples
    --------
    >>> largest_sample("kmeans", "embedding", 192, False), largest_sample("hdbscan", "embedding", 192, False)
    (30000, 5000)
    >>> largest_sample("hdbscan", "umap_10", 10, True), largest_sample("hdbscan", "umap_10", 10, False)
    (30000, 6000)
    """
    limits = [LARGEST]
    if method == "hdbscan" and n_features > 12:
        limits.append(15_000 if n_features <= MANY_FEATURES else 5_000)
    if n_features > MANY_FEATURES:
        limits.append({"dbscan": 15_000, "gmm": 8_000}.get(method, LARGEST))
    if not is_stored:
        limits += [LARGEST_MADE[stage.method] for stage in spaces.parse_space(space) if stage.method in LARGEST_MADE]
    return min(limits)


def largest_merged(n_features: int) -> int:
    """How many galaxies agglomerative clustering merges live; the others join their nearest neighbour's cluster.

    Examples
    --------
    >>> largest_merged(10), largest_merged(192)
    (10000, 8000)
    """
    return 10_000 if n_features <= MANY_FEATURES else 8_000


def n_features_of(space: str, n_embedding: int) -> int:
    """Dimensions of a space, of an embedding of ``n_embedding`` features."""
    stages = spaces.parse_space(space)
    return stages[-1].n_components if stages else n_embedding
