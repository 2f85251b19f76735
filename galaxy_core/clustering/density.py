"""Methods that look for crowded regions and leave the galaxies between them unclustered: HDBSCAN and DBSCAN."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np

from galaxy_core.clustering.centres import number, whole
from galaxy_core.clustering.placers import open_cores, open_nowhere, open_tree, tree_arrays
from galaxy_core.clustering.result import BECAUSE, UNCLUSTERED, Fit, blocks, nowhere
from galaxy_core.counting import count
from galaxy_core.placer import Placer
from galaxy_core.vectors import VectorError, check_vectors

SMALLEST_CLUSTER_SHARE = 0.01
SMALLEST_CLUSTER_FLOOR = 15
"""HDBSCAN's default ``min_cluster_size``: a hundredth of the galaxies (261 of 26,000), and never fewer than 15."""

PARALLEL_ABOVE = 50_000
"""Below, starting a second process takes longer than it saves; distances to neighbours are the same either way."""

IDENTICAL = "all of them have the same vector"

N_QUERIES = 5_000
"""Galaxies whose k-distance is measured, at most; each to all others."""

PAIRS_AT_ONCE = 60_000_000
"""Neighbour pairs within ``eps`` held at once (about 1 GB)."""


def default_min_cluster_size(n_galaxies: int, share: float = SMALLEST_CLUSTER_SHARE) -> int:
    """Return the fewest galaxies that HDBSCAN calls a cluster unless told.

    Examples
    --------
    >>> default_min_cluster_size(26_093), default_min_cluster_size(300)
    (261, 15)
    """
    return max(SMALLEST_CLUSTER_FLOOR, round(share * n_galaxies))


def default_min_samples(n_features: int) -> int:
    """Return how many neighbours make a core of DBSCAN unless told, the galaxy itself among them."""
    return max(5, 2 * n_features)


def cluster_hdbscan(
    vectors: np.ndarray,
    seed: int,
    *,
    min_cluster_size: int | None = None,
    min_cluster_share: float | None = None,
    min_samples: int = 10,
    cluster_selection_method: str = "eom",
) -> Fit:
    """HDBSCAN (Campello, Moulavi & Sander 2013): clusters are dense regions that persist as density is thresholded.

    Membership is HDBSCAN's own probability: the density at which a galaxy leaves its cluster over the cluster's
    highest. Draws no random numbers.

    Parameters
    ----------
    min_cluster_size : int, optional
        Fewest galaxies in a cluster; `default_min_cluster_size` unless given.
    min_cluster_share : float, optional
        The same as a share of the galaxies, and never fewer than 15; for settings that are to fit any catalog.
    min_samples : int
        Neighbours that set the local density: more means smoother clusters and more unclustered galaxies.
    cluster_selection_method : {"eom", "leaf"}
        "eom" takes the most persistent clusters of the tree, "leaf" its smallest ones.
    """
    n_galaxies = len(vectors)
    min_cluster_size = _least_size(n_galaxies, min_cluster_size, min_cluster_share)
    min_samples = whole(min_samples, "min_samples")
    if min_cluster_size < 2 or min_samples < 1:
        raise VectorError(
            "HDBSCAN needs a min_cluster_size of at least 2 and min_samples of at least 1, "
            f"but got {min_cluster_size} and {min_samples}."
        )
    if cluster_selection_method not in ("eom", "leaf"):
        raise VectorError(f"HDBSCAN selects clusters by 'eom' or 'leaf', not by {cluster_selection_method!r}.")
    params = {
        "min_cluster_size": min_cluster_size,
        "min_samples": min_samples,
        "cluster_selection_method": cluster_selection_method,
    }
    # Identical vectors have no structure to find, and HDBSCAN never calls the whole catalog one cluster.
    if n_galaxies < 2 * min_cluster_size:
        why = f"{count(n_galaxies)} cannot be parted into two clusters of at least {min_cluster_size:,}"
        return _nothing(n_galaxies, params, why)
    if (vectors == vectors[0]).all():
        return _nothing(n_galaxies, params, IDENTICAL)

    import hdbscan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # duplicates have infinite density: a 0/0 it repairs itself
        fitted = hdbscan.HDBSCAN(
            **{**params, "min_samples": min(min_samples, n_galaxies - 1)},
            core_dist_n_jobs=2 if n_galaxies > PARALLEL_ABOVE else 1,
        ).fit(vectors.astype(np.float64))

    placer = Placer(open_tree, partial(tree_arrays, fitted)) if fitted.labels_.max() >= 0 else Placer(open_nowhere)
    return Fit(fitted.labels_, np.nan_to_num(fitted.probabilities_, nan=1.0), params, placer)


def _least_size(n_galaxies: int, size: int | None, share: float | None) -> int:
    """``min_cluster_size`` from what was given, or why it cannot be."""
    if size is not None and share is not None:
        raise VectorError("HDBSCAN takes min_cluster_size or min_cluster_share, not both; drop one of them.")
    if share is not None and not 0 < (share := number(share, "min_cluster_share")) <= 0.5:
        raise VectorError(f"HDBSCAN needs a min_cluster_share above 0 and up to 0.5, not {share!r}.")
    if size is None:
        return default_min_cluster_size(n_galaxies, SMALLEST_CLUSTER_SHARE if share is None else share)
    size = whole(size, "min_cluster_size")
    if size > n_galaxies:
        raise VectorError(
            f"HDBSCAN cannot find clusters of at least {size:,} galaxies among {n_galaxies:,}; ask for a smaller "
            "min_cluster_size."
        )
    return size


def cluster_dbscan(vectors: np.ndarray, seed: int, *, eps: float | None = None, min_samples: int | None = None) -> Fit:
    """DBSCAN (Ester et al. 1996): galaxies with ``min_samples`` neighbours within ``eps`` are cores; cores join up.

    A galaxy that is no core but within ``eps`` of one belongs to the cluster of the nearest. Membership is
    ``1 - d / eps``, with the distance ``d`` to the nearest core galaxy: 1 for the cores. Measures ``k_distance``, the
    curve ``eps`` is read from (see `summarize_k_distances`).

    Parameters
    ----------
    eps : float, optional
        In the units of the vectors; the elbow of the k-distance curve unless given.
    min_samples : int, optional
        Neighbours that make a core, the galaxy itself among them; twice the number of features unless given (Sander et
        al. 1998, section 4.2), and at least 5.
    """
    n_galaxies = len(vectors)
    if min_samples is None:
        min_samples = min(default_min_samples(vectors.shape[1]), max(2, n_galaxies))
    min_samples = whole(min_samples, "min_samples")
    if min_samples < 2 or (eps is not None and number(eps, "eps") <= 0):
        raise VectorError(f"DBSCAN needs min_samples of at least 2 and an eps above 0, but got {min_samples}, {eps}.")
    if n_galaxies < min_samples or (vectors == vectors[0]).all():
        why = f"{count(n_galaxies)} {'is' if n_galaxies == 1 else 'are'} fewer than {min_samples:,} neighbours"
        why = why if n_galaxies < min_samples else IDENTICAL
        return _nothing(n_galaxies, {"eps": eps, "min_samples": min_samples}, why)
    curve = summarize_k_distances(k_distances(vectors, min_samples - 1, seed))
    params = {"eps": float(curve["elbow"] if eps is None else eps), "min_samples": min_samples}
    measures = {"k_distance": {"k": min_samples - 1, **curve}}
    if params["eps"] <= 0:  # at the elbow, as many galaxies as that are identical
        params["eps"] = float(np.finfo(np.float32).tiny)
    core, labels = _cores(vectors, params["eps"], min_samples)
    if not core.any():
        return Fit(*nowhere(n_galaxies), params, Placer(open_nowhere), measures)
    found = {"cores": vectors[core], "labels": labels[core], "eps": params["eps"]}
    placer = Placer(open_cores, lambda: found)
    membership = core.astype(np.float64)
    if not core.all():
        labels[~core], membership[~core] = placer(vectors[~core])
    return Fit(labels, membership, params, placer, measures)


def k_distances(vectors: np.ndarray, k: int, seed: int = 0, n_queries: int = N_QUERIES) -> np.ndarray:
    """Distance from galaxies to the ``k``-th nearest other one, sorted from the least: where it bends, density ends.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
    k : int
        At most the number of other galaxies.
    seed : int
        Of the sample of galaxies it is measured at, where there are more than ``n_queries``; always to all galaxies.
    n_queries : int

    Returns
    -------
    float64 array, shape (min(n_galaxies, n_queries),)
    """
    vectors = check_vectors(vectors, "A k-distance curve", 2)
    from sklearn.neighbors import NearestNeighbors

    rows = np.arange(len(vectors))
    if len(vectors) > n_queries:
        rows = np.random.default_rng(seed).choice(len(vectors), n_queries, replace=False)
    k = max(1, min(int(k), len(vectors) - 1))
    distances, _ = NearestNeighbors(n_neighbors=k + 1).fit(vectors).kneighbors(vectors[rows])
    return np.sort(distances[:, k].astype(np.float64))  # the nearest of all is the galaxy itself


def summarize_k_distances(distances: np.ndarray, n_points: int = 101) -> dict:
    """A k-distance curve in a few points for a plot, and its elbow.

    The elbow is where the curve lies furthest below the straight line between its ends, both axes brought to [0, 1]
    (Satopaa et al. 2011, "Kneedle").

    Parameters
    ----------
    distances : array, shape (n,)
        As `k_distances` returns them.
    n_points : int

    Returns
    -------
    dict
        ``share`` (of the galaxies, 0 to 1) and ``distance``, lists of ``n_points``; ``elbow`` (a distance) and
        ``elbow_share`` (of galaxies whose distance is up to that).
    """
    share = np.linspace(0, 1, len(distances))
    height = distances - distances[0]
    below = share - height / (height[-1] if height[-1] > 0 else 1)
    elbow = int(below.argmax())
    points = np.linspace(0, 1, n_points)
    return {
        "share": points.tolist(),
        "distance": np.interp(points, share, distances).tolist(),
        "elbow": float(distances[elbow]),
        "elbow_share": float(share[elbow]),
    }


def _cores(vectors: np.ndarray, eps: float, min_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Which galaxies are cores, bool (n,), and the cluster of each core, int64 (n,); -1 for the others."""
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import NearestNeighbors

    n_galaxies = len(vectors)
    near = NearestNeighbors(radius=eps).fit(vectors)
    some = vectors[:: max(1, n_galaxies // 200)]
    n_neighbors = np.mean([len(near.radius_neighbors(row[None], return_distance=False)[0]) for row in some])
    core, labels = np.zeros(n_galaxies, dtype=bool), np.full(n_galaxies, UNCLUSTERED, dtype=np.int64)
    if n_neighbors * n_galaxies <= PAIRS_AT_ONCE:
        fitted = DBSCAN(eps=eps, min_samples=min_samples).fit(vectors)
        core[fitted.core_sample_indices_] = True
        labels[core] = fitted.labels_[core]
        return core, labels
    # the library holds every pair within eps at once; in strips the same pairs join up without that
    component = np.arange(n_galaxies)
    strips = blocks(n_galaxies, n_galaxies, PAIRS_AT_ONCE)
    for strip in strips:
        core[strip] = np.diff(near.radius_neighbors_graph(vectors[strip]).indptr) >= min_samples
    for strip in strips:
        component = _join(component, near.radius_neighbors_graph(vectors[strip]), strip, core)
    labels[core] = np.unique(component[core], return_inverse=True)[1]
    return core, labels


def _join(component: np.ndarray, graph, strip: slice, core: np.ndarray) -> np.ndarray:
    """Components, (n,) ints, after cores that are neighbours in a strip of the graph have become one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = graph.tocoo()
    row, column = graph.row + strip.start, graph.col
    both = core[row] & core[column]
    pairs = np.unique(np.stack([component[row[both]], component[column[both]]]), axis=1)
    n = int(component.max()) + 1
    joined = connected_components(coo_matrix((np.ones(pairs.shape[1], bool), pairs), (n, n)), directed=False)[1]
    return joined[component]


def _nothing(n_galaxies: int, params: dict, why: str) -> Fit:
    """No cluster, as there can be none: all galaxies are unclustered, and new ones are too."""
    return Fit(*nowhere(n_galaxies), params, Placer(open_nowhere), notes=(f"{BECAUSE}{why}",))
