"""Is there a gap between clusters, where fewer galaxies lie than on either side? Without one they cut up a continuum.

A silhouette cannot tell: a bent continuum, such as half a ring, is parted better than any even cloud of its covariance.
"""

from __future__ import annotations

import numpy as np

from galaxy_core.clustering import UNCLUSTERED


def measure_gaps(labels: np.ndarray, neighbors: np.ndarray, similarity: np.ndarray) -> dict[int, float]:
    """How many galaxies of a cluster, and of the one it borders on, lie denser than the densest way between the two.

    Density is the similarity to the k-th nearest neighbour. A way leads from neighbour to neighbour, through galaxies
    of no cluster, too, and is as dense as the sparser end of its sparsest step; the densest of all is read from the
    minimum spanning tree of these steps, as is single linkage of mutual reachability (Campello et al. 2013). A cut
    through a continuum has about 0, as its densest place is among the densest of all; a mode that stands alone has 1.
    A galaxy with more neighbours in another cluster than in its own is taken for one of that cluster: else a single one
    that a method put wrongly would lead from the middle of one to the middle of the other.

    Parameters
    ----------
    labels : int array, shape (n_galaxies,)
        -1 for unclustered.
    neighbors : int array, shape (n_galaxies, k)
        Rows of the nearest neighbours of each galaxy in the embedding, the nearest first; -1 where there are fewer.
    similarity : float array, shape (n_galaxies, k)
        Their cosine similarity.

    Returns
    -------
    dict of int to float
        From 0 to 1, of the other cluster where it is least; clusters of no more than k galaxies are left out, as their
        density is that of what lies around them.
    """
    names, sizes = np.unique(labels[labels != UNCLUSTERED], return_counts=True)
    if len(names) < 2 or not neighbors.shape[1]:
        return {}
    density = similarity[:, -1].astype(np.float64)
    inside = [np.sort(density[labels == name]) for name in names]
    code = np.where(labels == UNCLUSTERED, len(names), np.searchsorted(names, labels))
    code = _by_neighbours(code, len(names), neighbors)
    nodes = np.where(code == len(names), len(names) + np.arange(len(labels)), code)
    gaps = np.isin(np.arange(len(names)), code).astype(np.float64)  # 0 for one that no neighbourhood is of
    for first, second, dense in _meetings(nodes, len(names), neighbors, density):
        denser = [1 - np.searchsorted(inside[name], dense, side="right") / sizes[name] for name in (*first, *second)]
        ours, theirs = np.array(denser[: len(first)]), np.array(denser[len(first) :])
        gaps[first] = np.minimum(gaps[first], np.minimum(ours, theirs.min()))
        gaps[second] = np.minimum(gaps[second], np.minimum(theirs, ours.min()))
    known = sizes > neighbors.shape[1]
    return {int(name): float(gap) for name, gap, known in zip(names, gaps, known, strict=True) if known}


def _by_neighbours(code: np.ndarray, none: int, neighbors: np.ndarray) -> np.ndarray:
    """The cluster that most neighbours of each galaxy are in, its own among equals; ``none`` stays what it is."""
    rows = np.arange(len(code))
    votes = np.zeros((len(code), none + 1), dtype=np.float32)
    for column in neighbors.T:
        votes[rows, np.where(column < 0, none, code[column])] += 1
    votes[rows, code] += 0.5
    return np.where(code == none, none, votes[:, :none].argmax(axis=1))


def _meetings(nodes: np.ndarray, n_clusters: int, neighbors: np.ndarray, density: np.ndarray):
    """Which clusters, joined to one another already, meet which others, and at what density; the densest first."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import minimum_spanning_tree

    here = np.repeat(np.arange(len(nodes)), neighbors.shape[1])[neighbors.ravel() >= 0]
    there = neighbors.ravel()[neighbors.ravel() >= 0]
    sparse = 2 - np.minimum(density[here], density[there])  # above 0, which would be no step
    low, high = np.minimum(nodes[here], nodes[there]), np.maximum(nodes[here], nodes[there])
    order = np.lexsort((sparse, high, low))
    order = order[low[order] < high[order]]
    best = np.ones(len(order), dtype=bool)  # of all steps between the same two
    best[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    order, n = order[best], n_clusters + len(nodes)
    tree = minimum_spanning_tree(csr_matrix((sparse[order], (low[order], high[order])), (n, n))).tocoo()
    part, clusters = list(range(n)), {k: [k] for k in range(n_clusters)}

    def root(node: int) -> int:
        while part[node] != node:
            part[node] = node = part[part[node]]
        return node

    for step in np.argsort(tree.data, kind="stable"):
        first, second = root(int(tree.row[step])), root(int(tree.col[step]))
        part[second] = first
        ours, theirs = clusters.get(first, []), clusters.pop(second, [])
        if ours and theirs:
            yield ours, theirs, 2 - tree.data[step]
        if ours or theirs:
            clusters[first] = ours + theirs
