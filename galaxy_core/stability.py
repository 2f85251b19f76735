"""Is a cluster a population or an accident? Two tests that any method can fail.

*Stability*: galaxies are drawn again with replacement, and those drawn are clustered anew; a real cluster comes back.
*The null*: the same method on data without groups; what it finds there is what it finds in nothing. These are of two
kinds: the embedding with every feature shuffled on its own, and one even cloud as long and as flat as the embedding is
in each direction. A few draws of each tell how far that is from one to the next.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galaxy_core.clustering import UNCLUSTERED, fit_clustering, scaled_params
from galaxy_core.clustering.centres import LARGEST_SEED
from galaxy_core.silhouette import measure_silhouettes
from galaxy_core.vectors import VectorError, check_length, check_vectors

N_REFITS = 10
N_DRAWS = 2
"""Draws of each kind of a null, which ask for a layout each where the space is one: as a pipeline has time for."""

SHUFFLED, EVEN = "shuffled", "even"
FIRST_SEED = {SHUFFLED: 0, EVEN: 2**31}
"""How far after a null's seed those of the draws of each kind begin: no two draws share one."""

NULL_REFERENCE = 5_000
"""Galaxies that silhouettes of a null are measured to, at most: of 26,093 that is off by 0.0003, and a quarter of the
time of all that they are measured to elsewhere."""

SAME_LENGTH = 1e-3
"""Vectors whose lengths differ by no more than this share are on a sphere."""

WITHOUT_GROUPS = "shuffled and even, on the sphere of the embedding"
"""What a null is drawn from. Part of what tells measured nulls from others: another rule measures anew."""

DISSOLVED = 0.5
"""A cluster whose best match overlaps it by no more than this has dissolved (Hennig 2007; ``<=`` in ``fpc``, too)."""

DRAWN = "each drawn galaxy once, by the same method, dissolved at a half"
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


def measure_null(fit: FitSpace, embedding: np.ndarray, seed: int, n_draws: int = N_DRAWS) -> dict:
    """What the same method finds where there are no groups: in ``n_draws`` of each kind of `data_without_groups`.

    A space such as UMAP is made anew from each. Clusters found here come from the method, the space and the shape of
    the whole, not from groups. Nothing found, or no clustering possible, is the best outcome.

    Parameters
    ----------
    fit : callable
        ``fit(embedding, seed) -> (space_vectors, labels)``.
    embedding : array, shape (n_galaxies, n_features)
    seed : int
        See `draws_of`; that of each draw is that of ``fit`` and of the silhouette's sample, too.
    n_draws : int
        How often each kind is tried: one draw does not tell how far the next would be from it.

    Returns
    -------
    dict
        `summarise_null` of the `draw_once` of each.
    """
    return summarise_null([draw_once(fit, embedding, *draw) for draw in draws_of(seed, n_draws)])


def summarise_null(each: list[dict]) -> dict:
    """The draw that reached the highest strict silhouette, which is what a clustering has to surpass, and ``each``.

    Parameters
    ----------
    each : list of dict
        What was found in each draw, with ``strict``; one at least.
    """
    return {**max(each, key=lambda found: found["strict"]), "each": each}


def draws_of(seed: int, n_draws: int) -> list[tuple[str, int]]:
    """Kind and seed of every draw of a null.

    Examples
    --------
    >>> draws_of(3, 2)
    [('shuffled', 3), ('shuffled', 4), ('even', 2147483651), ('even', 2147483652)]
    """
    return [(kind, seed_after(seed, first + k)) for kind, first in FIRST_SEED.items() for k in range(n_draws)]


def draw_once(fit: FitSpace, embedding: np.ndarray, kind: str, seed: int) -> dict:
    """What is found in one draw; parameters as in `measure_null` and `data_without_groups`.

    Returns
    -------
    dict
        ``kind``, ``n_clusters``, ``coverage``, ``strict`` (silhouette in the space clustered in, unclustered galaxies
        counting 0) and ``largest_share``, that of all galaxies in the largest cluster.
    """
    embedding = check_vectors(embedding, "A null")
    drawn = data_without_groups(embedding, kind, seed)
    try:
        vectors, labels = fit(drawn, seed)
        labels = check_length(labels, len(embedding), "the labels of the null")
    except VectorError:
        vectors, labels = drawn, np.full(len(embedding), UNCLUSTERED)
    sizes = np.unique(labels[labels != UNCLUSTERED], return_counts=True)[1]
    return {
        "kind": kind,
        "n_clusters": len(sizes),
        "coverage": float(sizes.sum() / len(labels)),
        "strict": float(measure_silhouettes(vectors, labels, seed, NULL_REFERENCE).values.mean(dtype=np.float64)),
        "largest_share": float(sizes.max(initial=0) / len(labels)),
    }


def data_without_groups(embedding: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """An embedding of as many galaxies that has no groups.

    Parameters
    ----------
    embedding : float32 array, shape (n_galaxies, n_features)
    kind : {"shuffled", "even"}
        "shuffled": each feature keeps its values, and none tells about another. That alone would call the halves of one
        long cloud groups, as no shuffled data are long. "even": of the same mean and covariance, even within a box
        along the principal axes, the reference of the gap statistic (Tibshirani, Walther & Hastie 2001, J. R. Stat.
        Soc. B 63, 411: on a line no log-concave distribution is parted better), with standard deviations in place of
        ranges, which outliers set. Both are put on the sphere where all vectors are of one length: clouds that leave it
        part 0.05 worse in a UMAP of ten dimensions (4,096 galaxies).
    seed : int

    Returns
    -------
    float32 array, shape (n_galaxies, n_features)
    """
    rng = np.random.default_rng(seed)
    if kind == SHUFFLED:
        return _on_sphere_of(embedding, rng.permuted(embedding, axis=0))
    centred = embedding - embedding.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(embedding))
    half_lengths = np.sqrt(3 * np.maximum(variances, 0))
    places = (2 * rng.random(embedding.shape, dtype=np.float32) - 1) * half_lengths.astype(np.float32)
    return _on_sphere_of(embedding, places @ axes.T.astype(np.float32) + embedding.mean(axis=0))


def _on_sphere_of(embedding: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """What was drawn, with vectors of the embedding's length where that has one."""
    lengths = np.linalg.norm(embedding, axis=1)
    own = np.linalg.norm(drawn, axis=1, keepdims=True)
    is_sphere = np.ptp(lengths) <= SAME_LENGTH * lengths.max() and own.min() > 0
    return drawn * (lengths.mean() / own) if is_sphere else drawn


def seed_after(seed: int, k: int) -> int:
    """The ``k``-th seed after one, among those that methods take.

    Examples
    --------
    >>> seed_after(3, 0), seed_after(LARGEST_SEED, 1)
    (3, 0)
    """
    return (seed + k) % (LARGEST_SEED + 1)
