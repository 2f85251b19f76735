"""Principal components of any number of vectors, added up over shards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galaxy_core.placer import NOBODY, Fitted, PlaceOthers, Placer, openers_of, place_others
from galaxy_core.sampling import SHARD, in_shards

Transform = Callable[[np.ndarray], np.ndarray]
"""Vectors (m, n_features) -> coordinates (m, n_components)."""


def fit_pca(
    vectors: np.ndarray, seed: int, n_components: int, place: PlaceOthers = place_others
) -> tuple[np.ndarray, dict, Placer]:
    """Principal components (Pearson 1901): the directions along which the vectors differ most.

    Axes beyond the number of galaxies or features are 0.
    """
    n_axes = min(n_components, *vectors.shape)

    def fit() -> Fitted:
        mean, axes, total = principal_axes(vectors, n_axes)
        arrays = {"mean": mean, "axes": axes, "n_components": n_components}
        return Fitted(Placer(open_principal, lambda: arrays), {}, {"total": total})

    fitted, placed = place(fit, vectors, NOBODY, openers_of(open_principal))
    coordinates = np.concatenate([scores for (scores,) in placed])
    explained = coordinates[:, :n_axes].var(axis=0) / (fitted.about["total"] or 1.0)
    return coordinates, {"explained_variance": [round(float(share), 6) for share in explained]}, fitted.placer


def open_principal(mean: np.ndarray, axes: np.ndarray, n_components: int) -> Transform:
    """Places along axes that were found, in float64."""

    def transform(new_vectors: np.ndarray) -> np.ndarray:
        scores = (new_vectors.astype(np.float64) - mean) @ axes.T
        return np.pad(scores, ((0, 0), (0, int(n_components) - scores.shape[1])))

    return transform


def principal_axes(vectors: np.ndarray, n_axes: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Eigenvectors of the covariance, which is added up over shards: the vectors are never copied as a whole.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
    n_axes : int
        At most ``n_features``.

    Returns
    -------
    mean : float64 array, shape (n_features,)
    axes : float64 array, shape (n_axes, n_features)
        Of length one, that of the largest variance first; the largest number of each is positive, as scikit-learn's.
    total : float
        Variance along all axes together.
    """
    n_galaxies, n_features = vectors.shape
    mean = sum(in_shards(lambda table: table.sum(axis=0, dtype=np.float64), vectors)) / n_galaxies

    covariance = np.zeros((n_features, n_features))
    for start in range(0, n_galaxies, SHARD):
        centred = vectors[start : start + SHARD].astype(np.float64) - mean
        covariance += centred.T @ centred / n_galaxies
    _, found = np.linalg.eigh(covariance)
    axes = found[:, ::-1][:, :n_axes].T
    largest = axes[np.arange(n_axes), np.abs(axes).argmax(axis=1)]
    return mean, axes * np.where(largest < 0, -1.0, 1.0)[:, None], float(np.trace(covariance))
