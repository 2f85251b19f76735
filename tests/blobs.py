"""Groups of galaxies that lie apart, and the parameters by which every method finds three of them."""

from __future__ import annotations

import numpy as np

PARAMS = {
    "hdbscan": {},
    "kmeans": {"n_clusters": 3},
    "dbscan": {},
    "agglomerative": {"n_clusters": 3},
    "gmm": {"n_clusters": 3},
}


def blobs(sizes: tuple[int, ...], n_features: int = 10, apart: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Round groups of unit width, one on each axis, in a shuffled order; and the group of each galaxy."""
    rng = np.random.default_rng(5)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = apart * np.eye(len(sizes), n_features)
    return (centres[truth] + rng.normal(size=(len(truth), n_features))).astype(np.float32), truth
