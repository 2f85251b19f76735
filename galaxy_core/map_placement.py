"""Where a galaxy that is not of the catalog lies on a finished map.

A map that is a linear function of the embedding (PCA, LDA) gives the exact place: its linear map is solved from the
galaxies that are on it. UMAP and t-SNE are no function of one galaxy alone, and only their coordinates are stored, not
what fitted them; there a galaxy is put among its nearest galaxies, with the scatter of these as what is not known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

LINEAR_METHODS = ("pca", "lda")
LINEAR_TOLERANCE = 1e-3  # largest deviation from a linear map, as a share of the map's width
HELD = 0.68  # of the nearest galaxies that the circle holds
SAME_SIMILARITY = 1e-3  # below this difference from 1 two galaxies are as near as can be told
STRAY = 3.0  # times the median distance from the middle, beyond which a neighbour has no say
BLOCK = 65_536


@dataclass(frozen=True)
class LinearMap:
    """A map that is ``vectors @ weights + offset``; float64 of shapes (n_features, 2) and (2,)."""

    weights: np.ndarray = field(repr=False)
    offset: np.ndarray


@dataclass(frozen=True)
class Placement:
    """A place on a map.

    Attributes
    ----------
    x, y : float
        In the units of the map.
    exact : bool
        By the map's own linear function; otherwise by its nearest galaxies.
    spread : float
        Radius, in the units of the map, of the circle around the place that holds ``n_held`` of the ``n_used`` nearest
        galaxies that are on the map; 0 for an exact place.
    n_held, n_used : int
    n_agreeing : int
        Nearest galaxies that lie together, and whose mean the place is.
    """

    x: float
    y: float
    exact: bool
    spread: float = 0.0
    n_held: int = 0
    n_used: int = 0
    n_agreeing: int = 0


def fit_linear_map(vectors: np.ndarray, coordinates: np.ndarray) -> LinearMap | None:
    """The linear map that took the embedding to the coordinates, by least squares; None where none did.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
    coordinates : array, shape (n_galaxies, 2)
        Galaxies whose coordinates are not numbers are not on the map. Fewer galaxies than features leave the map open
        in directions in which no galaxy differs; there it is taken not to depend on them.
    """
    on_map = np.isfinite(coordinates).all(axis=1)
    if not on_map.any():
        return None
    rows = np.flatnonzero(on_map)
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    mean = sum(vectors[block].sum(axis=0, dtype=np.float64) for block in blocks) / len(rows)
    middle = coordinates[rows].mean(axis=0, dtype=np.float64)
    square = np.zeros((vectors.shape[1],) * 2)
    product = np.zeros((vectors.shape[1], 2))
    for block in blocks:
        centred = vectors[block] - mean
        square += centred.T @ centred
        product += centred.T @ (coordinates[block] - middle)
    weights = np.linalg.lstsq(square, product, rcond=1e-12)[0]
    found = LinearMap(weights, middle - mean @ weights)
    width = float(np.ptp(coordinates[rows], axis=0).max())
    worst = max(float(np.abs(apply_linear_map(found, vectors[b]) - coordinates[b]).max()) for b in blocks)
    return found if worst <= LINEAR_TOLERANCE * max(width, 1e-12) else None


def apply_linear_map(linear: LinearMap, vectors: np.ndarray) -> np.ndarray:
    """Coordinates, float64 (n, 2), of vectors (n, n_features)."""
    return np.asarray(vectors, dtype=np.float64) @ linear.weights + linear.offset


def place_on_map(
    vector: np.ndarray,
    rows: np.ndarray,
    similarity: np.ndarray,
    coordinates: np.ndarray,
    linear: LinearMap | None = None,
) -> Placement | None:
    """Place a new galaxy on a map.

    Parameters
    ----------
    vector : array, shape (n_features,)
        Its embedding.
    rows, similarity : arrays, shape (k,)
        Its nearest galaxies and their cosine similarities.
    coordinates : array, shape (n_galaxies, 2)
    linear : LinearMap, optional
        Of the map, where it has one; see `fit_linear_map`.

    Returns
    -------
    Placement or None
        None where none of the nearest galaxies is on the map.
    """
    if linear is not None:
        x, y = apply_linear_map(linear, np.asarray(vector)[None])[0]
        return Placement(float(x), float(y), True)
    near = np.asarray(coordinates[rows], dtype=np.float64)
    known = np.isfinite(near).all(axis=1)
    return place_among(near[known], np.asarray(similarity)[known]) if known.any() else None


def place_among(near: np.ndarray, similarity: np.ndarray) -> Placement:
    """Mean of those nearest galaxies that lie together on the map, the more similar counting more.

    A weight is one over the squared distance in the embedding [1]_, which is twice one minus the cosine similarity. The
    middle is the galaxy with the smallest weighted distance to all others, so that a stray neighbour does not drag the
    place into the empty space between groups; those within three times the weighted median distance from it agree.

    Parameters
    ----------
    near : float64 array, shape (k, 2)
        Positions of the nearest galaxies, at least one.
    similarity : array, shape (k,)

    References
    ----------
    .. [1] D. Shepard, "A two-dimensional interpolation function for irregularly-spaced data", Proc. 23rd ACM National
       Conference, 517 (1968).
    """
    weights = 1 / np.maximum(1 - similarity.astype(np.float64), SAME_SIMILARITY)
    weights /= weights.sum()
    distances = np.hypot(*(near[:, None] - near[None]).transpose(2, 0, 1))
    from_middle = distances[int(np.argmin(distances @ weights))]
    order = np.argsort(from_middle, kind="stable")
    half = order[int(np.searchsorted(np.cumsum(weights[order]), 0.5 - 1e-9))]
    agreeing = from_middle <= STRAY * from_middle[half] + 1e-12
    x, y = (weights[agreeing] / weights[agreeing].sum()) @ near[agreeing]
    n_held = math.ceil(HELD * len(near))
    spread = np.sort(np.hypot(near[:, 0] - x, near[:, 1] - y))[n_held - 1]
    return Placement(float(x), float(y), False, float(spread), n_held, len(near), int(agreeing.sum()))


def placement_sentence(placement: Placement, map_name: str) -> str:
    """How the place was found, and what the circle means."""
    if placement.exact:
        return (
            f"Its place is exact: {map_name} is a linear function of the embedding, and the upload is put through it."
        )
    if placement.n_used == 1:
        return f"Only one of its nearest galaxies is on {map_name}: the upload is put where that galaxy is."
    strays = placement.n_used - placement.n_agreeing
    left_out = f"; the other {strays} lie elsewhere and are left out" if strays else ""
    return (
        f"Its place is an estimate: {map_name} has no formula for a new galaxy, so it is put at the mean of the "
        f"{placement.n_agreeing} of its {placement.n_used} nearest galaxies that lie together, the more similar "
        f"counting more{left_out}. The circle holds {placement.n_held} of the {placement.n_used}."
    )
