"""How good is a clustering? Scores that cannot flatter.

Published silhouettes often leave the unclustered galaxies out, and so improve the more is left out. The strict
silhouette here is the mean over *all* galaxies, unclustered ones counting 0; the flattering one stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from galaxy_core.agreement import agreement_with_votes, measure_agreement
from galaxy_core.clustering import DENSITY_METHODS, UNCLUSTERED
from galaxy_core.density_validity import measure_dbcv
from galaxy_core.silhouette import Silhouettes, measure_silhouettes, silhouette_samples
from galaxy_core.vectors import check_length

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
    ami, ari, homogeneity, completeness : float or None
        Agreement with the classes (`galaxy_core.agreement`), over galaxies that have a class; the unclustered count as
        one more group. None without at least two classes.
    n_classes : int
    calinski_harabasz, davies_bouldin : float or None
        In the fitted space, over clustered galaxies alone, and so flattering. Calinski & Harabasz 1974: spread between
        clusters over spread within, more is better; Davies & Bouldin 1979: likeness of each cluster to its most alike,
        less is better. None with fewer than two clusters.
    dbcv : float or None
        Density-based validity in the fitted space (Moulavi et al. 2014), from -1 to 1, weighted by cluster size with
        unclustered galaxies counting 0. None for methods that do not go by density.
    n_dbcv : int
        Galaxies it was measured on: all, or a random sample; 0 where it was not measured.
    votes : dict
        Agreement with the leading answer to each question (`galaxy_core.agreement.agreement_with_votes`), with the
        galaxies it was measured on: those to which one answer got more votes than any other.
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
    homogeneity: float | None = None
    completeness: float | None = None
    calinski_harabasz: float | None = None
    davies_bouldin: float | None = None
    dbcv: float | None = None
    n_dbcv: int = 0
    votes: dict = field(default_factory=dict)

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
    method: str | None = None,
    votes: Mapping[str, np.ndarray] | None = None,
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
    method : str, optional
        The clustering's method: DBCV is measured for those in `galaxy_core.clustering.DENSITY_METHODS`, whose clusters
        are dense regions of any shape; it judges these fairly, and a silhouette does not.
    votes : dict of str to float array, shape (n_galaxies,), optional
        Columns of votes as the catalog calls them: shares or numbers of answers, NaN where nobody was asked.
    """
    labels = check_length(labels, len(vectors_embedding), "the labels")
    if silhouettes_fitted is None:
        silhouettes_fitted = measure_silhouettes(vectors_fitted, labels, seed)
    fitted_space = score_silhouettes(silhouettes_fitted, labels, seed)
    embedding = fitted_space
    if vectors_embedding is not vectors_fitted:
        embedding = score_silhouettes(measure_silhouettes(vectors_embedding, labels, seed), labels, seed)
    sizes = np.unique(labels[labels != UNCLUSTERED], return_counts=True)[1]
    agreement = measure_agreement(labels, classes)
    calinski_harabasz, davies_bouldin = spread_indices(vectors_fitted, labels)
    dbcv, n_dbcv = measure_dbcv(vectors_fitted, labels, seed) if method in DENSITY_METHODS else (None, 0)
    return ClusteringScores(
        n_galaxies=len(labels),
        n_clusters=len(sizes),
        sizes=tuple(int(size) for size in sizes),
        coverage=float((labels != UNCLUSTERED).mean()),
        fitted_space=fitted_space,
        embedding=embedding,
        ami=agreement.ami,
        ari=agreement.ari,
        n_classes=agreement.n_classes,
        homogeneity=agreement.homogeneity,
        completeness=agreement.completeness,
        calinski_harabasz=calinski_harabasz,
        davies_bouldin=davies_bouldin,
        dbcv=dbcv,
        n_dbcv=n_dbcv,
        votes=agreement_with_votes(labels, votes, list(votes)) if votes else {},
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


def bootstrap_interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the mean of ``values`` (n,): percentiles of the means of 1,000 resamples (Efron 1979)."""
    values = np.asarray(values, dtype=np.float64)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(N_BOOTSTRAP)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def spread_indices(vectors: np.ndarray, labels: np.ndarray) -> tuple[float | None, float | None]:
    """Calinski-Harabasz and Davies-Bouldin index of the clustered galaxies; None where they are not defined.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
    labels : int array, shape (n_galaxies,)
    """
    clustered = labels != UNCLUSTERED
    points, found = vectors[clustered], labels[clustered]
    if not 2 <= len(np.unique(found)) < len(found):
        return None, None
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

    points = points.astype(np.float64)
    values = (calinski_harabasz_score(points, found), davies_bouldin_score(points, found))
    return tuple(float(value) if np.isfinite(value) else None for value in values)
