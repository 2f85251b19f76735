"""How far a map can be trusted: which neighbours of the embedding stay near on it, and which of its own are false.

Near in the embedding is a small angle (`galaxy_core.similarity`); near on the map is a small Euclidean distance. The
neighbourhoods are of k galaxies: as many as there are stored neighbours, 12, but fewer than half of the galaxies, since
otherwise everything is a neighbour of everything and the measures below lose their scale.

References
----------
Venna & Kaski 2001, Neighborhood preservation in nonlinear projection methods: an experimental study, ICANN 2001, 485
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from galaxy_core.comparison import bootstrap_interval
from galaxy_core.similarity import unit_vectors
from galaxy_core.vectors import VectorError, check_vectors

N_QUERIES = 2_000
"""Galaxies that trustworthiness and continuity are averaged over; their neighbours are sought among all."""

CHUNK_ELEMENTS = 8_000_000
"""Distances of a kind held at once (at most 64 MB)."""


@dataclass(frozen=True)
class MapTrust:
    """How well one map keeps the neighbourhoods of the embedding; what cannot be measured is None.

    Attributes
    ----------
    per_galaxy : float32 array, shape (n_galaxies,)
        See `neighborhood_preservation`.
    k : int
        Size of the neighbourhoods; 0 where there are fewer than three galaxies, and nothing is measured.
    preservation : float or None
        Mean of ``per_galaxy`` over all galaxies on the map.
    trustworthiness, continuity : float or None
        See `trust_of_queries`; means over ``n_queries`` galaxies.
    trustworthiness_interval, continuity_interval : tuple of float, or None
        95 %, bootstrap over these galaxies.
    n_queries, n_galaxies : int
        Galaxies averaged over, and galaxies on the map, among which they were ranked.
    """

    per_galaxy: np.ndarray = field(repr=False)
    k: int
    preservation: float | None
    trustworthiness: float | None
    trustworthiness_interval: tuple[float, float] | None
    continuity: float | None
    continuity_interval: tuple[float, float] | None
    n_queries: int
    n_galaxies: int

    def as_dict(self) -> dict:
        """The numbers, without the array."""
        return {name: value for name, value in asdict(self).items() if name != "per_galaxy"}


def measure_trust(
    vectors: np.ndarray, neighbors: np.ndarray, coordinates: np.ndarray, seed: int, n_queries: int = N_QUERIES
) -> MapTrust:
    """Measure one map.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
        The embedding.
    neighbors : int array, shape (n_galaxies, k)
        Rows of each galaxy's nearest in the embedding, nearest first, from `similarity.nearest_neighbors`.
    coordinates : array, shape (n_galaxies, 2)
        The map. A galaxy with a NaN in it is not on the map: it is left out of all means, and lost as a neighbour.
    seed : int
        Of the draw of the query galaxies and of the bootstrap.
    n_queries : int
        All galaxies are queries where there are no more than that.

    Raises
    ------
    VectorError
        The three do not belong to the same galaxies, or the embedding is not finite.
    """
    vectors = check_vectors(vectors, "Measuring how far a map can be trusted")
    neighbors, coordinates = np.asarray(neighbors), np.asarray(coordinates, np.float64)
    if neighbors.shape[:1] != vectors.shape[:1] or coordinates.shape != (len(vectors), 2):
        raise VectorError(
            f"There are {len(vectors):,} galaxies, but neighbours of shape {neighbors.shape} and a map of shape"
            f" {coordinates.shape}; make the three from the same catalog."
        )
    located = np.isfinite(coordinates).all(axis=1)
    n_located = int(located.sum())
    k = max(0, min(neighbors.shape[1], (n_located - 1) // 2))
    per_galaxy = neighborhood_preservation(neighbors[:, :k], coordinates)
    if k == 0:
        return MapTrust(per_galaxy, 0, None, None, None, None, None, 0, n_located)
    rng = np.random.default_rng(seed)
    queries = np.arange(n_located)
    if n_queries < n_located:
        queries = np.sort(rng.choice(n_located, n_queries, replace=False))
    if n_located < len(vectors):
        vectors, coordinates = vectors[located], coordinates[located]
    trustworthiness, continuity = trust_of_queries(vectors, coordinates, queries, k)
    return MapTrust(
        per_galaxy=per_galaxy,
        k=k,
        preservation=float(np.nanmean(per_galaxy, dtype=np.float64)),
        trustworthiness=float(trustworthiness.mean()),
        trustworthiness_interval=bootstrap_interval(trustworthiness, rng),
        continuity=float(continuity.mean()),
        continuity_interval=bootstrap_interval(continuity, rng),
        n_queries=len(queries),
        n_galaxies=n_located,
    )


def neighborhood_preservation(neighbors: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Share of each galaxy's nearest neighbours in the embedding that are among its nearest on the map.

    With N_i the k neighbours in the embedding and M_i the k nearest on the map, the share is ``|N_i and M_i| / k``. M_i
    is every galaxy no further away than the k-th nearest, so those that tie with it count as near. By chance the share
    would be about ``k / n_galaxies``.

    Parameters
    ----------
    neighbors : int array, shape (n_galaxies, k)
    coordinates : array, shape (n_galaxies, 2)

    Returns
    -------
    float32 array, shape (n_galaxies,)
        From 0 to 1. NaN where a galaxy is not on the map, and for all of them where k is 0. A neighbour that is not on
        the map is not near.
    """
    from scipy.spatial import cKDTree

    coordinates = np.asarray(coordinates, np.float64)
    n_galaxies, k = neighbors.shape
    share = np.full(n_galaxies, np.nan, np.float32)
    rows = np.flatnonzero(np.isfinite(coordinates).all(axis=1))
    if k == 0 or rows.size == 0:
        return share
    tree = cKDTree(coordinates[rows])
    n_rows = max(1, CHUNK_ELEMENTS // (4 * k))
    for start in range(0, len(rows), n_rows):
        block = rows[start : start + n_rows]
        # the nearest of all is the galaxy itself, or one at the same place; both are at distance 0
        radius = tree.query(coordinates[block], k=[k + 1])[0]
        step = coordinates[neighbors[block]] - coordinates[block, None]
        distance = np.sqrt(step[..., 0] ** 2 + step[..., 1] ** 2)
        # the tree's square root may differ from this one in its last digit
        share[block] = (distance <= radius * (1 + 1e-12)).mean(axis=1)
    return share


def trust_of_queries(
    vectors: np.ndarray, coordinates: np.ndarray, queries: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Trustworthiness and continuity at each query galaxy (Venna & Kaski 2001, their M1, M2); the map has the means.

    At galaxy i of n, with r(i, j) the rank of j by nearness to i in the embedding (1 for the nearest), U the galaxies
    among the k nearest on the map but not in the embedding, r'(i, j) the rank on the map, and V those among the k
    nearest in the embedding but not on the map::

        trustworthiness = 1 - 2 / (k (2n - 3k - 1)) sum over j in U of (r(i, j) - k)
        continuity      = 1 - 2 / (k (2n - 3k - 1)) sum over j in V of (r'(i, j) - k)

    Both are 1 where nothing is wrong, about a half for a map drawn at random, and at least 0 for k < n / 2. False
    neighbours on the map lower the first, torn neighbourhoods the second. Ranks are exact, among all galaxies; equally
    near galaxies are ranked by row, in both spaces.

    Parameters
    ----------
    vectors : float32 array, shape (n, n_features)
    coordinates : float64 array, shape (n, 2)
        Finite.
    queries : int array, shape (n_queries,)
    k : int
        At least 1, less than n / 2.

    Returns
    -------
    trustworthiness, continuity : float64 arrays, shape (n_queries,)
    """
    n = len(vectors)
    if not 1 <= k < n / 2:
        raise VectorError(f"Neighbourhoods of {k} among {n} galaxies have no trustworthiness; k must be below n / 2.")
    unit = unit_vectors(vectors)
    trust, continuity = np.empty(len(queries)), np.empty(len(queries))
    scale = 2 / (k * (2 * n - 3 * k - 1))
    n_rows = max(1, CHUNK_ELEMENTS // n)
    for start in range(0, len(queries), n_rows):
        cosines = unit[queries[start : start + n_rows]] @ unit.T
        np.round(cosines, 6, out=cosines)  # as the stored neighbours are ordered
        for row, cosine in enumerate(cosines, start):
            query = queries[row]
            step = coordinates - coordinates[query]
            apart, on_map = -cosine, step[:, 0] ** 2 + step[:, 1] ** 2
            apart[query] = on_map[query] = np.inf  # no galaxy is its own neighbour
            trust[row] = 1 - scale * _ranks_lost(on_map, apart, k)
            continuity[row] = 1 - scale * _ranks_lost(apart, on_map, k)
    return trust, continuity


def _ranks_lost(near_by: np.ndarray, ranked_by: np.ndarray, k: int) -> int:
    """By how much the ``k`` nearest by one distance rank beyond ``k`` by the other; both of shape (n,)."""
    kth = np.partition(near_by, k - 1)[k - 1]
    candidates = np.flatnonzero(near_by <= kth)  # in row order, ties at the limit included
    lost = 0
    for j in candidates[np.argsort(near_by[candidates], kind="stable")[:k]]:
        nearer = np.count_nonzero(ranked_by < ranked_by[j]) + np.count_nonzero(ranked_by[:j] == ranked_by[j])
        lost += max(0, nearer + 1 - k)
    return lost
