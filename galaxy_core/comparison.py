"""How good is a clustering? Scores that cannot flatter.

Published silhouettes often leave the unclustered galaxies out, and so improve the more is left out. The strict
silhouette here is the mean over *all* galaxies, unclustered ones counting 0; the flattering one stands beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from galaxy_core.clustering import UNCLUSTERED
from galaxy_core.silhouette import Silhouettes, measure_silhouettes, silhouette_samples
from galaxy_core.vectors import check_length, has_class

__all__ = ["ClusteringScores", "SilhouetteScore", "measure_clustering", "measure_silhouettes", "silhouette_samples"]

N_BOOTSTRAP = 1_000


@dataclass(frozen=True)
class SilhouetteScore:
    """The mean silhouette in one space.

    Attributes
    ----------
    strict : float
        Mean over all galaxies, unclustered ones counting 0.
    strict_interval : tuple of float
        95 % interval of ``strict``: bootstrap over galaxies, widened by the error of the reference sample where one was
        used.
    clustered : float or None
        The flattering mean, over clustered galaxies alone; None with fewer than two clusters.
    n_reference : int
        Galaxies that distances were measured to.
    exact : bool
        True where these were all the clustered galaxies.
    """

    strict: float
    strict_interval: tuple[float, float]
    clustered: float | None
    n_reference: int
    exact: bool


@dataclass(frozen=True)
class ClusteringScores:
    """Everything the manifest and the pages say about one clustering.

    Attributes
    ----------
    n_galaxies, n_clusters : int
    sizes : tuple of int
        Galaxies in cluster 0, 1, ...
    coverage : float
        Share of the galaxies that have a cluster.
    fitted_space, embedding : SilhouetteScore
        The silhouette in the space the clusters were fitted in, and in the embedding.
    ami, ari : float or None
        Adjusted mutual information and adjusted Rand index with the classes, over galaxies that have a class; the
        unclustered count as one more group. None without at least two classes.
    n_classes : int
    """

    n_galaxies: int
    n_clusters: int
    sizes: tuple[int, ...]
    coverage: float
    fitted_space: SilhouetteScore
    embedding: SilhouetteScore
    ami: float | None = None
    ari: float | None = None
    n_classes: int = 0

    def as_dict(self) -> dict:
        """Return the scores as plain values that JSON can hold."""
        return asdict(self)


def measure_clustering(
    vectors_fitted: np.ndarray,
    vectors_embedding: np.ndarray,
    labels: np.ndarray,
    seed: int,
    classes: np.ndarray | None = None,
    silhouettes_fitted: Silhouettes | None = None,
) -> ClusteringScores:
    """Score a clustering in the space it was fitted in and in the embedding.

    Parameters
    ----------
    vectors_fitted : array, shape (n_galaxies, n_fitted)
    vectors_embedding : array, shape (n_galaxies, n_features)
        The same array where the embedding itself was clustered: it is then measured once.
    labels : int array, shape (n_galaxies,)
        Cluster labels, -1 for unclustered.
    seed : int
        Of the bootstrap and of the reference sample.
    classes : array of str or None, shape (n_galaxies,), optional
    silhouettes_fitted : galaxy_core.silhouette.Silhouettes, optional
        `measure_silhouettes` of the fitted space, where the caller has them already.
    """
    labels = check_length(labels, len(vectors_embedding), "the labels")
    if silhouettes_fitted is None:
        silhouettes_fitted = measure_silhouettes(vectors_fitted, labels, seed)
    fitted_space = score_silhouettes(silhouettes_fitted, labels, seed)
    embedding = fitted_space
    if vectors_embedding is not vectors_fitted:
        embedding = score_silhouettes(measure_silhouettes(vectors_embedding, labels, seed), labels, seed)
    sizes = np.unique(labels[labels != UNCLUSTERED], return_counts=True)[1]
    ami, ari, n_classes = agreement_with_classes(labels, classes)
    return ClusteringScores(
        n_galaxies=len(labels),
        n_clusters=len(sizes),
        sizes=tuple(int(size) for size in sizes),
        coverage=float((labels != UNCLUSTERED).mean()),
        fitted_space=fitted_space,
        embedding=embedding,
        ami=ami,
        ari=ari,
        n_classes=n_classes,
    )


def score_silhouettes(silhouettes: Silhouettes, labels: np.ndarray, seed: int) -> SilhouetteScore:
    """Average per-galaxy silhouettes, the strict way and the flattering one.

    Parameters
    ----------
    silhouettes : galaxy_core.silhouette.Silhouettes
    labels : int array, shape (n_galaxies,)
    seed : int
        Of the bootstrap.
    """
    values = silhouettes.values.astype(np.float64)
    strict = float(values.mean())
    low, high = bootstrap_interval(values, np.random.default_rng(seed))
    of_sample = 1.96 * silhouettes.reference_error
    clustered = float(values[labels != UNCLUSTERED].mean()) if silhouettes.n_clusters >= 2 else None
    return SilhouetteScore(
        strict=strict,
        strict_interval=(
            float(strict - np.hypot(strict - low, of_sample)),
            float(strict + np.hypot(high - strict, of_sample)),
        ),
        clustered=clustered,
        n_reference=silhouettes.n_reference,
        exact=silhouettes.n_reference == silhouettes.n_clustered,
    )


def bootstrap_interval(
    values: np.ndarray, rng: np.random.Generator, n_resamples: int = N_BOOTSTRAP
) -> tuple[float, float]:
    """95 % interval of the mean of ``values``: percentiles of the means of resamples (Efron 1979).

    Parameters
    ----------
    values : float array, shape (n,)
    rng : numpy.random.Generator
    n_resamples : int

    Returns
    -------
    tuple of float
        Lower and upper bound.
    """
    values = np.asarray(values, dtype=np.float64)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(n_resamples)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def agreement_with_classes(labels: np.ndarray, classes: np.ndarray | None) -> tuple[float | None, float | None, int]:
    """Adjusted mutual information and adjusted Rand index with the classes, and the number of classes."""
    if classes is None:
        return None, None, 0
    classes = check_length(np.asarray(classes, dtype=object), len(labels), "the class column")
    known = has_class(classes)
    names, codes = np.unique(classes[known].astype(str), return_inverse=True)
    if len(names) < 2:
        return None, None, len(names)
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

    ami = adjusted_mutual_info_score(codes, labels[known])
    ari = adjusted_rand_score(codes, labels[known])
    return float(ami), float(ari), len(names)
