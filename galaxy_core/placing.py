"""Where galaxies go on a UMAP that was fitted on a sample of them: beside the most similar one that is on it.

UMAP's own ``transform`` starts a new galaxy at the mean of its neighbours and lets all of them pull: where they lie in
two crowds it ends between, next to galaxies unlike it. Of 60,000 galaxies, 24,000 of which were fitted, that left a
trustworthiness of 0.938 (0.941 after ten times as many steps), while the full fit has 0.959; the place found here
leaves 0.956, without any optimisation.
"""

from __future__ import annotations

import numpy as np

N_NEAREST = 15
N_SPACING = 5
REACH = 2.0


def place_beside(new_vectors: np.ndarray, vectors: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Mean of those nearest galaxies that lie around the very nearest, weighted by one over the squared distance.

    Of the 15 nearest in the embedding count those that on the map are within twice the nearest galaxy's spacing: its
    distance to the fifth galaxy around it. Where that is the nearest alone, the new galaxy is where that is.

    Parameters
    ----------
    new_vectors : float32 array, shape (m, n_features)
    vectors : float32 array, shape (n, n_features)
        Of the galaxies on the map.
    coordinates : array, shape (n, n_components)
        Theirs.

    Returns
    -------
    float32 array, shape (m, n_components)
        Always within the reach of a galaxy that is on the map.
    """
    from scipy.spatial import cKDTree
    from sklearn.neighbors import NearestNeighbors

    coordinates = np.asarray(coordinates, np.float64)
    nearest = NearestNeighbors(n_neighbors=min(N_NEAREST, len(vectors)), algorithm="brute").fit(vectors)
    distance, index = nearest.kneighbors(new_vectors)
    near, first = coordinates[index], index[:, 0]
    middles, place = np.unique(first, return_inverse=True)
    spacing = cKDTree(coordinates).query(coordinates[middles], k=[min(N_SPACING + 1, len(vectors))])[0][place, 0]
    apart = np.linalg.norm(near - near[:, :1], axis=2)
    weights = (apart <= REACH * spacing[:, None]) / np.maximum(distance.astype(np.float64), 1e-12) ** 2
    weights /= weights.sum(axis=1, keepdims=True)
    return (weights[:, :, None] * near).sum(axis=1).astype(np.float32)
