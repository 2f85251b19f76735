"""Lay the embedding out in a few dimensions: UMAP, t-SNE, PCA and LDA; each places new galaxies on a finished map too.

``smoothed`` is the PCA of neighbourhood means: no map by itself, but a space in which crowds stand out.

The libraries are imported inside the functions: `import umap` compiles for up to a minute, and pages that show stored
maps never need it. A new method is one more function and one more entry in `METHODS`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from galaxy_core.clustering.centres import check_seed, number, whole
from galaxy_core.placer import Fitted, PlaceOthers, Placer, fill_in, openers_of, place_others
from galaxy_core.placing import open_beside, open_discriminants, open_smoothed, open_tsne, saved_trees, without
from galaxy_core.principal import Transform, fit_pca
from galaxy_core.smoothing import N_NEIGHBORS, N_STEPS, neighborhood_size, smooth
from galaxy_core.umap_package import import_umap
from galaxy_core.vectors import VectorError, check_length, check_vectors, has_class

FEWEST_FOR_NEIGHBORHOODS = 4
"""UMAP and t-SNE arrange neighbourhoods; three galaxies have none, so their first principal components are used."""

MOST_COMPARED = 100_000
"""Up to so many galaxies UMAP is told the neighbours that comparing all with all finds, in less than half of the time
that it takes itself. More it searches for with trees and chance."""


@dataclass(frozen=True)
class Projection:
    """Coordinates of galaxies, and what it takes to add more to them.

    Attributes
    ----------
    coordinates : float32 array, shape (n_galaxies, n_components)
    method : str
    params : dict
        Every parameter as used, after defaults and after fitting it to the number of galaxies. ``drawn_by`` is "pca"
        where UMAP or t-SNE was asked for but there were too few galaxies, or only one vector, to arrange. ``n_fitted``
        is the size of the sample it was fitted on, where that was one.
    n_features : int
        Length of the vectors it was fitted on.
    transform : callable
        Used by `place`.
    """

    coordinates: np.ndarray
    method: str
    params: dict
    n_features: int
    transform: Transform = field(repr=False)


def fit_projection(
    method: str,
    vectors: np.ndarray,
    seed: int,
    *,
    classes: np.ndarray | None = None,
    train_mask: np.ndarray | None = None,
    n_components: int = 2,
    sample: np.ndarray | None = None,
    place: PlaceOthers = place_others,
    **params,
) -> Projection:
    """Project ``vectors``; the same vectors, seed and parameters give the same coordinates.

    Parameters
    ----------
    method : {"umap", "tsne", "pca", "lda", "smoothed"}
    vectors : array, shape (n_galaxies, n_features)
    seed : int
    classes : array of str or None, shape (n_galaxies,), optional
        For LDA alone. Galaxies without a class (None, NaN, "") are placed but not learned from.
    train_mask : bool array, shape (n_galaxies,), optional
        For LDA alone: the galaxies it may learn from. All of them unless given.
    n_components : int
        Dimensions of the result; 2 is a map.
    sample : int array, shape (n_sample,), optional
        Rows to fit on (`galaxy_core.sampling`); all others are placed on the finished map, a shard at a time. PCA needs
        no sample: it is accumulated over all galaxies.
    place : callable
        Where there is a sample: fits, and places the others. In this process unless given.
    **params
        See `fit_umap`, `fit_tsne` and `fit_smoothed`.

    Raises
    ------
    VectorError
        Unusable vectors or classes, an unknown method, or dimensions, a seed or parameters it cannot be made with.
    """
    if method not in METHODS:
        raise VectorError(f"There is no projection method {method!r}; choose one of {', '.join(METHODS)}.")
    if n_components < 1 or (method == "tsne" and n_components > 2):
        raise VectorError(f"{method} cannot give {n_components} dimensions; ask for 2.")
    check_seed(seed)
    vectors = check_vectors(vectors, f"A {method} projection")
    drawn_by = method
    if method in ("umap", "tsne") and (len(vectors) < FEWEST_FOR_NEIGHBORHOODS or (vectors == vectors[0]).all()):
        drawn_by, params = "pca", {}
    if method == "lda":
        if classes is None:
            raise VectorError("LDA separates known classes, but this catalog has none; use UMAP, t-SNE or PCA.")
        params = {"classes": classes, "train_mask": train_mask, **params}

    if sample is None:
        coordinates, used, transform = METHODS[drawn_by](vectors, seed, n_components, **params)
    elif drawn_by == "pca":
        coordinates, used, transform = fit_pca(vectors, seed, n_components, place)
    else:
        coordinates, used, transform = _fit_sample(drawn_by, vectors, seed, n_components, sample, place, params)
    used = {"n_components": n_components, **used, **({"drawn_by": drawn_by} if drawn_by != method else {})}
    return Projection(np.asarray(coordinates, dtype=np.float32), method, used, vectors.shape[1], transform)


def _fit_sample(
    method: str,
    vectors: np.ndarray,
    seed: int,
    n_components: int,
    sample: np.ndarray,
    place: PlaceOthers,
    params: dict,
) -> tuple[np.ndarray, dict, Transform]:
    """Fit on some rows, place all others; those it was fitted on are where the fit has them."""

    def fit() -> Fitted:
        own = {key: value[sample] if isinstance(value, np.ndarray) else value for key, value in params.items()}
        found, used, placer = METHODS[method](np.asarray(vectors[sample]), seed, n_components, **own)
        return Fitted(placer, {"coordinates": np.asarray(found, np.float32)}, used)

    fitted, placed = place(fit, vectors, sample, OPENERS)
    coordinates = fill_in(len(vectors), sample, fitted.arrays["coordinates"], [part for (part,) in placed])
    return coordinates, {**fitted.about, "n_fitted": len(sample)}, fitted.placer


def place(projection: Projection, new_vectors: np.ndarray) -> np.ndarray:
    """Coordinates of new galaxies on a finished map; the galaxies already there do not move.

    Parameters
    ----------
    projection : Projection
    new_vectors : array, shape (m, n_features)

    Returns
    -------
    float32 array, shape (m, n_components)
    """
    new_vectors = check_vectors(new_vectors, "Placing galaxies")
    if new_vectors.shape[1] != projection.n_features:
        raise VectorError(
            f"The map was made from vectors of {projection.n_features} features, but the new ones have "
            f"{new_vectors.shape[1]}; embed both with the same model."
        )
    return np.asarray(projection.transform(new_vectors), dtype=np.float32).copy()


def fit_umap(
    vectors: np.ndarray, seed: int, n_components: int, *, n_neighbors: int = 15, min_dist: float | None = None
) -> tuple[np.ndarray, dict, Transform]:
    """UMAP (McInnes, Healy & Melville 2018): keeps who is near whom; distances between far groups mean little.

    Parameters
    ----------
    n_neighbors : int
        Size of the neighbourhoods that are kept, 2 or more; at most the number of other galaxies.
    min_dist : float, optional
        How tightly galaxies may pack, 0 to 1: 0.1 on a map, so that points stay apart, and 0 in more dimensions, which
        are for clustering.
    """
    default = 0.1 if n_components <= 2 else 0.0
    params = {
        "n_neighbors": max(2, min(whole(number(n_neighbors, "n_neighbors", 2), "n_neighbors"), len(vectors) - 1)),
        "min_dist": number(default if min_dist is None else min_dist, "min_dist", 0, 1),
        # the spectral start needs more galaxies than dimensions
        "init": "spectral" if len(vectors) > n_components + 2 else "random",
    }
    known = {}
    if len(vectors) <= MOST_COMPARED:
        known = {"precomputed_knn": nearest_of_each(vectors, params["n_neighbors"])}
    fitted = import_umap().UMAP(**params, **known, n_components=n_components, random_state=seed, n_jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a disconnected graph and a random fall-back of the start are both fine
        coordinates = np.asarray(fitted.fit_transform(vectors), dtype=np.float32)
    return coordinates, params, Placer(open_beside, lambda: {"vectors": vectors, "coordinates": coordinates})


def nearest_of_each(vectors: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of every galaxy as UMAP wants them: rows and distances, (n_galaxies, n_neighbors), itself first."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=n_neighbors - 1, algorithm="brute").fit(vectors)
    index = np.column_stack([np.arange(len(vectors)), found.kneighbors(return_distance=False)]).astype(np.int32)
    distances = np.zeros(index.shape, dtype=np.float32)
    for column in range(1, n_neighbors):  # of duplicates exactly 0, which those of the search are not
        distances[:, column] = np.linalg.norm(vectors - vectors[index[:, column]], axis=1)
    return index, distances


def fit_tsne(
    vectors: np.ndarray, seed: int, n_components: int, *, perplexity: float = 30.0
) -> tuple[np.ndarray, dict, Transform]:
    """t-SNE (van der Maaten & Hinton 2008) by openTSNE (Policar et al. 2024), started from the principal components.

    Parameters
    ----------
    perplexity : float
        The number of neighbours that matter to a galaxy, 1 or more; at most a third of the other galaxies.
    """
    params = {"perplexity": min(number(perplexity, "perplexity", 1), (len(vectors) - 1) / 3)}
    from openTSNE import TSNE

    # one thread: several add forces up in an order that changes from run to run
    fitted = TSNE(**params, n_components=n_components, random_state=seed, n_jobs=1).fit(vectors)

    coordinates = np.asarray(fitted).copy()

    def collect() -> dict:
        index = fitted.affinities.knn_index
        found = {"coordinates": coordinates, "vectors": vectors, "perplexity": min(5.0, params["perplexity"])}
        return found | ({"trees": saved_trees(index.index)} if hasattr(index.index, "save") else {})

    return coordinates, params, Placer(open_tsne, collect)


def fit_lda(
    vectors: np.ndarray, seed: int, n_components: int, *, classes: np.ndarray, train_mask: np.ndarray | None = None
) -> tuple[np.ndarray, dict, Transform]:
    """Linear discriminants (Fisher 1936): the directions that set the classes furthest apart for their spread.

    There are one fewer than there are classes. Further axes are the principal components of what the discriminants
    leave out, so that two classes still make a map.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    learn = has_class(check_length(np.asarray(classes, dtype=object), len(vectors), "the class column"))
    if train_mask is not None:
        learn = learn & check_length(train_mask, len(vectors), "the training mask").astype(bool)
    labels = np.asarray(classes, dtype=object)[learn].astype(str)
    names = np.unique(labels)
    if len(names) < 2 or learn.sum() <= len(names):
        raise VectorError(
            "LDA needs at least two classes with a few training galaxies each, but there are "
            f"{learn.sum():,} training galaxies in {len(names)} classes; use UMAP, t-SNE or PCA."
        )
    if all((vectors[learn][labels == name] == vectors[learn][labels == name][0]).all() for name in names):
        raise VectorError("LDA needs galaxies that differ within a class, but in each class all are identical.")

    wide = vectors.astype(np.float64)
    fitted = LinearDiscriminantAnalysis().fit(wide[learn], labels)
    n_discriminants = min(n_components, fitted.transform(wide[:1]).shape[1])
    basis, _ = np.linalg.qr(fitted.scalings_[:, :n_discriminants])

    *_, rest = fit_pca(without(wide[learn], basis), seed, max(1, n_components - n_discriminants))
    arrays = {"center": fitted.xbar_, "scalings": fitted.scalings_, "basis": basis, "n_components": n_components}
    placer = Placer(open_discriminants, lambda: {**arrays, "mean": rest.arrays["mean"], "axes": rest.arrays["axes"]})
    params = {"n_discriminants": n_discriminants, "n_train": int(learn.sum()), "classes": names.tolist()}
    return placer(vectors), params, placer


def fit_smoothed(
    vectors: np.ndarray, seed: int, n_components: int, *, n_neighbors: int = N_NEIGHBORS, n_steps: int = N_STEPS
) -> tuple[np.ndarray, dict, Transform]:
    """Principal components of the vectors averaged over their neighbourhoods (see `galaxy_core.smoothing`).

    Parameters
    ----------
    n_neighbors : int
        Galaxies averaged, itself included; at most a hundredth of all.
    n_steps : int
        How often.
    """
    if n_neighbors < 1 or n_steps < 1:
        raise VectorError(f"Smoothing needs at least one neighbour and one step, not {n_neighbors} and {n_steps}.")
    n_neighbors = neighborhood_size(n_neighbors, len(vectors))
    levels = smooth(vectors, n_neighbors, n_steps)
    coordinates, params, principal = fit_pca(levels[-1], seed, n_components)
    arrays = {"n_neighbors": n_neighbors, **{f"level_{k}": level for k, level in enumerate(levels)}}
    placer = Placer(open_smoothed, lambda: {**arrays, **principal.arrays})
    return coordinates, {"n_neighbors": n_neighbors, "n_steps": n_steps, **params}, placer


OPENERS = openers_of(open_beside, open_tsne, open_discriminants, open_smoothed)
"""What places galaxies on a map that was fitted on a sample."""

METHODS: dict[str, Callable[..., tuple[np.ndarray, dict, Transform]]] = {
    "umap": fit_umap,
    "tsne": fit_tsne,
    "pca": fit_pca,
    "lda": fit_lda,
    "smoothed": fit_smoothed,
}
"""Name of a method -> the function that returns coordinates, parameters as used, and a way to place more galaxies."""
