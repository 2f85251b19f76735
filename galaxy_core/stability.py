"""Is a cluster a population or an accident? Two tests that any method can fail.

*Stability*: galaxies are drawn again with replacement, and those drawn are clustered anew; a real cluster comes back.
*The null*: the same method on an embedding whose features were shuffled, each on its own, so that no two are related
any more; what it finds there is what it finds in nothing. A few shuffles tell how far that is from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galaxy_core.clustering import UNCLUSTERED, fit_clustering, scaled_params
from galaxy_core.clustering.centres import LARGEST_SEED
from galaxy_core.silhouette import EXACT_LIMIT, measure_silhouettes
from galaxy_core.vectors import VectorError, check_length, check_vectors

N_REFITS = 10
N_SHUFFLES = 3
"""Shuffles of a null, each of which asks for a layout where the space is one: as many as a pipeline has time for."""

DISSOLVED = 0.5
"""A cluster whose best match overlaps it by no more than this has dissolved (Hennig 2007; ``<=`` in ``fpc``, too)."""

DRAWN = "each drawn galaxy once, dissolved at a half"
"""How refits are made and judged. Part of what tells measured stabilities from others: another rule measures anew."""

Fit = Callable[[np.ndarray, int], np.ndarray]
"""Vectors (m, n_features) and a seed -> labels (m,)."""
FitSpace = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""Embedding (n, n_features) and a seed -> vectors of the space clustered in (n, n_fitted), and labels (n,)."""


def measure_stability(fit: Fit, vectors: np.ndarray, labels: np.ndarray, seed: int, n_refits: int = N_REFITS) -> dict:
    """Cluster bootstrap samples and see which clusters come back (Hennig 2007, Comput. Stat. Data Anal. 52, 258).

    Each sample draws as many galaxies as there are, with replacement; ``fit`` gets those drawn, each once (about 63 %),
    and clusterings are compared over these. A galaxy that is there twice has a neighbour at no distance at all: to a
    method that goes by density, such as HDBSCAN, every repeat is a crowd, and what it then finds is an artefact of the
    drawing. Hennig names these multiple points, and his own ``fpc::clusterboot`` leaves them out, too, unless told
    (``multipleboot=FALSE``). Parameters that count galaxies must be brought to the number of those given, as `refit_of`
    does. A refit that cannot be made (`VectorError`) has found nothing.

    Parameters
    ----------
    fit : callable
        ``fit(vectors, seed) -> labels``, the clustering that is judged: method and parameters, most often from
        `refit_of`. It may make its own space from the embedding, and then that is part of what must be stable.
    vectors : array, shape (n_galaxies, n_features)
        What ``fit`` takes.
    labels : int array, shape (n_galaxies,)
        The clustering of all galaxies, -1 for unclustered.
    seed : int
        Of the samples and, one by one, of the refits.
    n_refits : int

    Returns
    -------
    dict
        ``n_refits``; ``ari``, the mean adjusted Rand index of original and refit, the unclustered counting as one more
        group, and ``ari_each`` (None and empty where the galaxies form a single group: nothing can then disagree);
        ``jaccard``, ``{"0": mean Jaccard coefficient of cluster 0 and its best match, ...}``, None for a cluster that
        no sample drew; ``dissolved``, ``{"0": in how many refits that was 0.5 or less, ...}``.
    """
    from sklearn.metrics import adjusted_rand_score

    vectors = check_vectors(vectors, "Stability")
    labels = check_length(labels, len(vectors), "the labels")
    names = np.unique(labels[labels != UNCLUSTERED])
    rng = np.random.default_rng(seed)
    overlaps, agreements = np.full((n_refits, len(names)), np.nan), []
    for refit in range(n_refits if len(names) else 0):
        once = np.unique(rng.integers(0, len(vectors), len(vectors)))
        found = refit_labels(fit, vectors[once], int(rng.integers(2**31)))
        overlaps[refit] = best_jaccard(labels[once], found, names)
        agreements.append(float(adjusted_rand_score(labels[once], found)))
    if len(np.unique(labels)) < 2:
        agreements = []
    measured = {str(int(name)): column[np.isfinite(column)] for name, column in zip(names, overlaps.T, strict=True)}
    return {
        "n_refits": n_refits,
        "ari": float(np.mean(agreements)) if agreements else None,
        "ari_each": agreements,
        "jaccard": {name: float(values.mean()) if len(values) else None for name, values in measured.items()},
        "dissolved": {name: int((values <= DISSOLVED).sum()) for name, values in measured.items()},
    }


def refit_of(method: str, params: dict, n_galaxies: int) -> Fit:
    """A method as it is fitted to some of the galaxies: parameters that count these are brought to their share.

    Parameters
    ----------
    method : str
        See `galaxy_core.clustering.fit_clustering`.
    params : dict
        Those for all galaxies. What is not given is read from the galaxies of each refit, such as ``eps``.
    n_galaxies : int
        All of them.
    """

    def fit(vectors: np.ndarray, seed: int) -> np.ndarray:
        scaled = scaled_params(method, params, len(vectors) / n_galaxies, vectors.shape[1])
        return fit_clustering(method, vectors, seed, **scaled).labels

    return fit


def refit_labels(fit: Fit, vectors: np.ndarray, seed: int) -> np.ndarray:
    """Labels of one refit; all unclustered where none can be made."""
    try:
        return check_length(fit(vectors, seed), len(vectors), "the labels of a refit")
    except VectorError:
        return np.full(len(vectors), UNCLUSTERED)


def best_jaccard(labels: np.ndarray, refit: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Jaccard coefficient of each cluster with the cluster of ``refit`` that fits it best.

    ``|A and B| / |A or B|``, over the galaxies given. The unclustered are no cluster and match none.

    Parameters
    ----------
    labels, refit : int arrays, shape (n,)
    names : int array, shape (n_clusters,)
        Sorted labels of the clusters to judge.

    Returns
    -------
    float array, shape (n_clusters,)
        NaN for a cluster that has no galaxy here.
    """
    sizes = np.array([(labels == name).sum() for name in names])
    others, code = np.unique(refit, return_inverse=True)
    sizes_other = np.bincount(code, minlength=len(others))
    both = np.zeros((len(names), len(others)), dtype=np.int64)
    member = labels != UNCLUSTERED
    np.add.at(both, (np.searchsorted(names, labels[member]), code[member]), 1)
    overlap = both / np.maximum(sizes[:, None] + sizes_other[None, :] - both, 1)
    best = overlap[:, others != UNCLUSTERED].max(axis=1, initial=0.0)
    return np.where(sizes > 0, best, np.nan)


def measure_null(fit: FitSpace, embedding: np.ndarray, seed: int, n_shuffles: int = N_SHUFFLES) -> dict:
    """What the same method finds where there is nothing: an embedding with every feature shuffled on its own.

    Each feature keeps its values, and no feature tells about another; a space such as UMAP is made anew from it.
    Clusters found here come from the method and the space, not from the galaxies. Nothing found, or no clustering
    possible, is the best outcome.

    Parameters
    ----------
    fit : callable
        ``fit(embedding, seed) -> (space_vectors, labels)``.
    embedding : array, shape (n_galaxies, n_features)
    seed : int
        Of the first shuffling, of ``fit`` and of the silhouette's sample; the next ones have the seeds after it.
    n_shuffles : int
        How often it is tried: one shuffle does not tell how far the next would be from it.

    Returns
    -------
    dict
        `summarise_null` of the `shuffle_once` of each.
    """
    return summarise_null([shuffle_once(fit, embedding, seed_after(seed, k)) for k in range(n_shuffles)])


def summarise_null(each: list[dict]) -> dict:
    """The shuffle that reached the highest strict silhouette, which is what a clustering has to surpass, and ``each``.

    Parameters
    ----------
    each : list of dict
        What was found in each shuffle, with ``strict``; one at least.
    """
    return {**max(each, key=lambda found: found["strict"]), "each": each}


def shuffle_once(fit: FitSpace, embedding: np.ndarray, seed: int, exact_limit: int = EXACT_LIMIT) -> dict:
    """What is found in one shuffle; parameters as in `measure_null`, and of `measure_silhouettes`.

    Returns
    -------
    dict
        ``n_clusters``, ``coverage``, ``strict`` (silhouette in the space clustered in, unclustered galaxies counting 0)
        and ``largest_share``, that of all galaxies in the largest cluster.
    """
    embedding = check_vectors(embedding, "A null")
    shuffled = np.random.default_rng(seed).permuted(embedding, axis=0)
    try:
        vectors, labels = fit(shuffled, seed)
        labels = check_length(labels, len(embedding), "the labels of the null")
    except VectorError:
        vectors, labels = shuffled, np.full(len(embedding), UNCLUSTERED)
    sizes = np.unique(labels[labels != UNCLUSTERED], return_counts=True)[1]
    return {
        "n_clusters": len(sizes),
        "coverage": float(sizes.sum() / len(labels)),
        "strict": float(measure_silhouettes(vectors, labels, seed, exact_limit).values.mean(dtype=np.float64)),
        "largest_share": float(sizes.max(initial=0) / len(labels)),
    }


def seed_after(seed: int, k: int) -> int:
    """The ``k``-th seed after one, among those that methods take.

    Examples
    --------
    >>> seed_after(3, 0), seed_after(LARGEST_SEED, 1)
    (3, 0)
    """
    return (seed + k) % (LARGEST_SEED + 1)
