"""The spaces galaxies are clustered in, each made from the embedding and named by how it is made.

``embedding``, ``pca_20``, ``lda_4``, ``umap_10``, ``tsne_2``: a method of `galaxy_core.projection` and a number of
dimensions. Parameters follow after commas (``umap_10,n_neighbors=30,seed=3``), and a space can be made of another
(``umap_2_of_pca_16``: the UMAP in two dimensions of the first 16 principal components).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from galaxy_core import projection
from galaxy_core.clustering import parameters_of
from galaxy_core.placer import PlaceOthers, place_others
from galaxy_core.projection import fit_projection
from galaxy_core.vectors import VectorError, check_vectors

EMBEDDING = "embedding"  # the name of the space every galaxy is embedded in
EXAMPLES = "embedding, pca_20, lda_4, umap_10, tsne_2 or umap_2_of_pca_16"
_STAGE = re.compile(r"([a-z]+)_(\d{1,4})((?:,[a-z_]+=[^,=]+)*)")


@dataclass(frozen=True)
class Stage:
    """One projection on the way to a space: its method, number of dimensions and parameters."""

    method: str
    n_components: int
    params: dict


@dataclass(frozen=True)
class Space:
    """Where galaxies are clustered.

    Attributes
    ----------
    name : str
    vectors : float32 array, shape (n_galaxies, n_dimensions)
    about : dict
        ``{"method", "params"}`` as used, with ``of``, the same of the space it was made of, where there is one; empty
        for the embedding itself.
    """

    name: str
    vectors: np.ndarray = field(repr=False)
    about: dict


def fit_space(
    name: str,
    embedding: np.ndarray,
    seed: int,
    classes: np.ndarray | None = None,
    train_mask: np.ndarray | None = None,
    sample: np.ndarray | None = None,
    place_stage: Callable[[int], PlaceOthers] = lambda number: place_others,
) -> Space:
    """Make a space from the embedding; the same embedding, seed and name give the same space.

    Parameters
    ----------
    name : str
        See `parse_space`.
    embedding : array, shape (n_galaxies, n_features)
    seed : int
        Of the methods that draw random numbers, unless the name has one of its own.
    classes, train_mask : arrays, shape (n_galaxies,), optional
        For LDA alone, which learns from the training galaxies only.
    sample : int array, shape (n_sample,), optional
        Rows to fit on; see `galaxy_core.projection.fit_projection`.
    place_stage : callable
        From the number of a projection on the way to the space, 0 for the first, to what it takes as ``place``.

    Raises
    ------
    VectorError
        There is no such space, the embedding is unusable, or LDA has no classes to learn from.
    """
    stages = parse_space(name)
    vectors, about = check_vectors(embedding, f"The space {name}"), {}
    for number, stage in enumerate(stages):
        params = {"min_dist": 0.0, **stage.params} if stage.method == "umap" else dict(stage.params)
        own_seed = params.pop("seed", seed)
        if stage.method == "lda":
            params |= {"classes": classes, "train_mask": train_mask}
        params |= {"n_components": stage.n_components, "sample": sample, "place": place_stage(number)}
        made = fit_projection(stage.method, vectors, own_seed, **params)
        vectors = made.coordinates
        about = {
            "method": stage.method,
            "params": made.params | ({"seed": own_seed} if "seed" in stage.params else {}),
            **({"of": about} if about else {}),
        }
    return Space(name, vectors, about)


def parse_space(name: str) -> tuple[Stage, ...]:
    """The projections a space is made by, in the order in which they are made; none for the embedding.

    Raises
    ------
    VectorError
        The name is not one of a space, or asks for a parameter or a number of dimensions the method does not have.

    Examples
    --------
    >>> parse_space("umap_2,n_neighbors=30_of_pca_16")[1]
    Stage(method='umap', n_components=2, params={'n_neighbors': 30})
    >>> parse_space("embedding")
    ()
    """
    if name == EMBEDDING:
        return ()
    return tuple(_parse_stage(name, text) for text in reversed(str(name).split("_of_")))


def uses_classes(name: str) -> bool:
    """Whether a space is made with knowledge of the classes, as LDA is."""
    return any(stage.method == "lda" for stage in parse_space(name))


def _parse_stage(name: str, text: str) -> Stage:
    found = _STAGE.fullmatch(text)
    if found is None or found[1] not in projection.METHODS:
        raise VectorError(f"There is no space {name!r} to cluster in; choose {EXAMPLES}.")
    method, n_components, params = found[1], int(found[2]), {}
    known = [
        key for key in (*parameters_of(projection.METHODS[method]), "seed") if key not in ("classes", "train_mask")
    ]
    for pair in filter(None, found[3].split(",")):
        key, _, value = pair.partition("=")
        if key not in known:
            raise VectorError(f"The space {name!r} gives {method} a {key}; it has {', '.join(known)}.")
        try:
            params[key] = float(value) if key in ("min_dist", "perplexity") else int(value)
        except ValueError:
            raise VectorError(f"The space {name!r} needs a number for {key}, not {value!r}.") from None
    if n_components < 1 or (method == "tsne" and n_components > 2):
        limit = "1 or 2 dimensions" if method == "tsne" else "at least one dimension"
        raise VectorError(f"The space {name!r} cannot be made: {method} gives {limit}.")
    return Stage(method, n_components, params)
