"""What places galaxies in the clusters of HDBSCAN and DBSCAN, from arrays alone (`galaxy_core.placer`)."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np

from galaxy_core.clustering.result import UNCLUSTERED, Predict, nowhere


def tree_arrays(fitted) -> dict:
    """What ``hdbscan.approximate_predict`` asks of a fitted HDBSCAN, as arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # identical galaxies have infinite density
        if getattr(fitted, "_prediction_data", None) is None:
            fitted.generate_prediction_data()
    data = fitted.prediction_data_
    return {
        "vectors": data.raw_data,
        "core_distances": data.core_distances,
        "tree": fitted.condensed_tree_.to_numpy(),
        "nodes": np.array(list(data.cluster_map), np.int64),
        "labels": np.array(list(data.cluster_map.values()), np.int64),
        "max_lambdas": np.array([data.max_lambdas[node] for node in data.cluster_map], np.float64),
        "min_samples": fitted.min_samples,
    }


def open_tree(
    vectors: np.ndarray,
    core_distances: np.ndarray,
    tree: np.ndarray,
    nodes: np.ndarray,
    labels: np.ndarray,
    max_lambdas: np.ndarray,
    min_samples: int,
) -> Predict:
    """Places by HDBSCAN's own tree, as ``hdbscan.approximate_predict`` does.

    Parameters
    ----------
    vectors : float64 array, shape (n, n_features)
        That it was fitted on.
    core_distances : float64 array, shape (n,)
    tree : structured array
        The condensed tree: ``parent``, ``child``, ``lambda_val``, ``child_size``.
    nodes, labels, max_lambdas : arrays, shape (n_nodes,)
        Nodes that lie in a cluster, the cluster of each, and the highest density in it.
    min_samples : int
    """
    import hdbscan
    from sklearn.neighbors import KDTree

    data = SimpleNamespace(
        raw_data=vectors,
        tree=KDTree(vectors, metric="euclidean"),
        core_distances=core_distances,
        cluster_tree=tree[tree["child_size"] > 1],
        cluster_map=dict(zip(nodes.tolist(), labels.tolist(), strict=True)),
        max_lambdas=dict(zip(nodes.tolist(), max_lambdas.tolist(), strict=True)),
    )
    fitted = SimpleNamespace(
        prediction_data_=data, condensed_tree_=SimpleNamespace(_raw_tree=tree), min_samples=int(min_samples)
    )

    def predict(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a new galaxy on top of an old one has infinite density
            found, strength = hdbscan.approximate_predict(fitted, table.astype(np.float64))
        return found, np.clip(np.nan_to_num(strength, nan=1.0), 0, 1)

    return predict


def open_cores(cores: np.ndarray, labels: np.ndarray, eps: float) -> Predict:
    """Gives galaxies to the cluster of the nearest core galaxy within ``eps``."""
    from sklearn.neighbors import NearestNeighbors

    nearest, eps = NearestNeighbors(n_neighbors=1).fit(cores), float(eps)

    def predict(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance, row = (array[:, 0] for array in nearest.kneighbors(table))
        near = distance <= eps
        return np.where(near, labels[row], UNCLUSTERED), np.where(near, 1 - distance / eps, 0)

    return predict


def open_nowhere() -> Predict:
    """Leaves all galaxies unclustered, where no cluster was found."""
    return lambda table: nowhere(len(table))
