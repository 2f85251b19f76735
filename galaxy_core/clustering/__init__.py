"""Group galaxies whose vectors lie together, on whatever space the caller names.

Reading order: `result` (what a clustering is), `density` (HDBSCAN, DBSCAN: they may leave galaxies out), `centres`
(k-means, Gaussian mixture) and `merging` (agglomerative: every galaxy gets a cluster); `placers` and the functions
``open_...`` place new galaxies. A new method is one more function and one more entry in `METHODS`, and what places in
its clusters one in `OPENERS`. The libraries are imported inside the functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np

from galaxy_core.clustering.centres import check_seed, cluster_gmm, cluster_kmeans, open_centres, open_mixture, whole
from galaxy_core.clustering.density import (
    cluster_dbscan,
    cluster_hdbscan,
    default_min_cluster_size,
    default_min_samples,
    k_distances,
    summarize_k_distances,
)
from galaxy_core.clustering.merging import cluster_agglomerative, open_merged
from galaxy_core.clustering.placers import open_cores, open_nowhere, open_tree
from galaxy_core.clustering.result import BECAUSE, UNCLUSTERED, Clustering, Fit, names_by_size, renumber
from galaxy_core.placer import Fitted, PlaceOthers, fill_in, openers_of, place_others
from galaxy_core.sampling import fitted_words
from galaxy_core.vectors import VectorError, check_vectors

__all__ = [
    "BECAUSE",
    "DENSITY_METHODS",
    "MEMBERSHIP",
    "METHODS",
    "UNCLUSTERED",
    "Clustering",
    "check_params",
    "default_min_cluster_size",
    "fit_clustering",
    "k_distances",
    "parameters_of",
    "predict",
    "scaled_params",
    "summarize_k_distances",
]

METHODS: dict[str, Callable[..., Fit]] = {
    "hdbscan": cluster_hdbscan,
    "kmeans": cluster_kmeans,
    "dbscan": cluster_dbscan,
    "agglomerative": cluster_agglomerative,
    "gmm": cluster_gmm,
}
"""Name of a method -> the function that clusters by it."""

DENSITY_METHODS = ("hdbscan", "dbscan")
"""Methods that find regions of high density and leave the rest unclustered."""

OPENERS = openers_of(open_tree, open_cores, open_nowhere, open_centres, open_mixture, open_merged)
"""What places galaxies in clusters that were found in a sample."""

FEWEST_SAMPLES = 4
"""``min_samples`` of HDBSCAN and DBSCAN is not brought below this for a sample."""

PLACED = {
    "hdbscan": "placed by HDBSCAN's own tree",
    "kmeans": "given to the nearest centre",
    "dbscan": "given to the nearest core galaxy within eps",
    "agglomerative": "given to the cluster of their nearest neighbour in it",
    "gmm": "given to their most probable component",
}
"""What happens to galaxies that a method was not fitted on."""

MEMBERSHIP = {
    "hdbscan": "the density at which the galaxy leaves its cluster, over the cluster's highest; no probability of a"
    " class, though HDBSCAN calls it one",
    "kmeans": "a margin, 1 − d1 / d2 of the distances to the nearest and the next centre: 1 on a centre, 0 where two"
    " clusters meet",
    "dbscan": "1 − d / eps, with the distance d to the nearest core galaxy: 1 for a core, 0 at the border",
    "agglomerative": "a margin, 1 − d1 / d2 of the distances to the mean of its cluster and to the nearest other mean:"
    " 1 on its mean, 0 where another is as near",
    "gmm": "the posterior probability of its component, the most probable one",
}
"""What the membership of a galaxy is, by the method that found its cluster."""


def fit_clustering(
    method: str,
    vectors: np.ndarray,
    seed: int,
    *,
    sample: np.ndarray | None = None,
    place: PlaceOthers = place_others,
    **params,
) -> Clustering:
    """Cluster ``vectors``; the same vectors, seed and parameters give the same clusters.

    Parameters
    ----------
    method : {"hdbscan", "kmeans", "dbscan", "agglomerative", "gmm"}
    vectors : array, shape (n_galaxies, n_features)
    seed : int
        For the methods that draw random numbers.
    sample : int array, shape (n_sample,), optional
        Rows to fit on (`galaxy_core.sampling`); the others are placed as by `predict`, a shard at a time, which a note
        says. Parameters that count galaxies are those of the whole catalog, and brought to the sample's share of it.
    place : callable
        Where there is a sample: fits, and places the others. In this process unless given.
    **params
        See the functions of `METHODS`; None means the default.

    Raises
    ------
    VectorError
        Unusable vectors, an unknown method or parameter, or a value no clustering can be made with.
    """
    params = {name: value for name, value in params.items() if value is not None}
    check_params(METHODS, method, params, "clustering method")
    check_seed(seed)
    vectors = check_vectors(vectors, f"Clustering with {method}")
    if sample is None:
        fit = METHODS[method](vectors, seed, **params)
    else:
        fit = fit_sample(METHODS[method], method, vectors, seed, sample, params, place)
    names = names_by_size(fit.labels)
    notes = list(fit.notes)
    if not len(names) and not any(note.startswith(BECAUSE) for note in notes):
        who = f"all {len(vectors):,} galaxies are" if len(vectors) > 1 else "the only galaxy is"
        notes.append(f"{method} found no cluster, so {who} unclustered")

    def place_new(new_vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels, membership = fit.predict(new_vectors)
        return renumber(labels, names), membership

    return Clustering(
        labels=renumber(fit.labels, names),
        membership=fit.membership.astype(np.float32),
        method=method,
        params=fit.params,
        measures=fit.measures,
        notes=tuple(notes),
        n_features=vectors.shape[1],
        place=place_new,
    )


def fit_sample(
    fit_method: Callable[..., Fit],
    method: str,
    vectors: np.ndarray,
    seed: int,
    sample: np.ndarray,
    params: dict,
    place: PlaceOthers = place_others,
) -> Fit:
    """A method's fit on some rows, with labels and memberships of all; ``measures`` has ``n_fitted``."""

    def fit() -> Fitted:
        scaled = scaled_params(method, params, len(sample) / len(vectors), vectors.shape[1])
        found = fit_method(np.asarray(vectors[sample]), seed, **scaled)
        about = {"params": found.params, "measures": found.measures, "notes": list(found.notes)}
        return Fitted(found.predict, {"label": found.labels, "membership": found.membership}, about)

    fitted, placed = place(fit, vectors, sample, OPENERS)
    labels, membership = (
        fill_in(len(vectors), sample, fitted.arrays[name], [part[k] for part in placed])
        for k, name in enumerate(("label", "membership"))
    )
    note = fitted_words(len(sample), len(vectors), PLACED[method])
    about = fitted.about
    measures = {**about["measures"], "n_fitted": len(sample)}
    return Fit(labels, membership, about["params"], fitted.placer, measures, (*about["notes"], note))


def scaled_params(method: str, params: dict, share: float, n_features: int) -> dict:
    """Parameters that count galaxies, for a sample that is a share of the catalog.

    The ``min_samples`` nearest of a galaxy reach as far in the sample as in the catalog, so that density is smoothed
    alike; below `FEWEST_SAMPLES` density would be that of single pairs. DBSCAN asks for so many within ``eps``, where
    the sample has its share of them; an ``eps`` that is not given is read from the sample, whatever is counted in it.

    Examples
    --------
    >>> scaled_params("hdbscan", {"min_cluster_size": 2_400, "min_samples": 10}, 0.5, 2)
    {'min_cluster_size': 1200, 'min_samples': 5}
    >>> scaled_params("dbscan", {"eps": 0.3, "min_samples": 40}, 0.25, 2), scaled_params("dbscan", {}, 0.25, 2)
    ({'eps': 0.3, 'min_samples': 10}, {})
    """
    scaled = {name: value for name, value in params.items() if value is not None}
    if method == "hdbscan" or (method == "dbscan" and "eps" in scaled):
        defaults = {
            "hdbscan": cluster_hdbscan.__kwdefaults__["min_samples"],
            "dbscan": default_min_samples(n_features),
        }
        given = whole(scaled.get("min_samples", defaults[method]), "min_samples")
        scaled["min_samples"] = max(min(given, FEWEST_SAMPLES), round(given * share))
    if "min_cluster_size" in scaled:
        size = whole(scaled["min_cluster_size"], "min_cluster_size")
        scaled["min_cluster_size"] = max(2, round(size * share))
    return scaled


def predict(clustering: Clustering, new_vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of new galaxies, without fitting again; the galaxies already clustered keep theirs.

    HDBSCAN places by its own tree (``hdbscan.approximate_predict``), k-means by the nearest centre, a mixture by its
    posterior, DBSCAN by the nearest core galaxy within ``eps``, agglomerative by the nearest clustered galaxy.

    Parameters
    ----------
    clustering : Clustering
        As `fit_clustering` returned it.
    new_vectors : array, shape (m, n_features)
        In the space the clustering was fitted in.

    Returns
    -------
    labels : int32 array, shape (m,)
    membership : float32 array, shape (m,)

    Raises
    ------
    VectorError
        Unusable vectors, or vectors of another length.
    """
    new_vectors = check_vectors(new_vectors, "Placing galaxies in clusters")
    if clustering.place is None or new_vectors.shape[1] != clustering.n_features:
        raise VectorError(
            f"The clusters were found among vectors of {clustering.n_features} features, but the new ones have "
            f"{new_vectors.shape[1]}; bring both into the same space."
        )
    labels, membership = clustering.place(new_vectors)
    return labels, np.asarray(membership, dtype=np.float32)


def check_params(methods: dict, method: str, params: dict, what: str = "method") -> None:
    """Raise `VectorError` for a method or a parameter that there is not.

    Parameters
    ----------
    methods : dict
        Name -> function whose keyword-only arguments are the parameters.
    method : str
    params : dict
    what : str
        What the sentence calls a method.
    """
    if method not in methods:
        raise VectorError(f"There is no {what} {method!r}; choose one of {', '.join(methods)}.")
    known = parameters_of(methods[method])
    for name in params:
        if name not in known:
            raise VectorError(f"{method} has no parameter {name!r}; it has {', '.join(known) or 'none'}.")


def parameters_of(function: Callable) -> tuple[str, ...]:
    """Names of the keyword-only arguments of a method."""
    known = inspect.signature(function).parameters.values()
    return tuple(parameter.name for parameter in known if parameter.kind is inspect.Parameter.KEYWORD_ONLY)
