"""Methods that describe each cluster by a centre, or a centre and a shape: k-means and the Gaussian mixture."""

from __future__ import annotations

import warnings

import numpy as np

from galaxy_core.clustering.result import Fit, Predict, blocks, margin
from galaxy_core.placer import Placer
from galaxy_core.vectors import VectorError

FIRST_COUNTED = 20
"""Among the first so many galaxies for each cluster there are nearly always enough with different vectors."""

COVARIANCES = ("full", "tied", "diag", "spherical")
LARGEST_SEED = 2**32 - 1  # of what NumPy's older generators take, which the libraries draw from


def cluster_kmeans(vectors: np.ndarray, seed: int, *, n_clusters: int = 8, n_init: int = 10) -> Fit:
    """k-means (Lloyd 1982, started by k-means++): ``n_clusters`` centres that leave the least squared distance.

    Every galaxy gets a label. Membership is the margin ``1 - d1 / d2`` of the distances to the nearest and the second
    nearest centre: 1 on a centre, 0 where two clusters meet (and 1 throughout when there is one cluster). Measures
    ``inertia``, the sum of squared distances to the centres.

    Parameters
    ----------
    n_clusters : int
        k.
    n_init : int
        Starts from different centres; the best is kept.
    """
    n_clusters, n_init = whole(n_clusters, "n_clusters"), whole(n_init, "n_init")
    if n_clusters < 1 or n_init < 1:
        raise VectorError(f"k-means needs at least one cluster and one start, but got {n_clusters} and {n_init}.")
    check_different(vectors, n_clusters, "k-means")
    from sklearn.cluster import KMeans

    with two_threads():
        fitted = KMeans(n_clusters=n_clusters, n_init=n_init, random_state=seed).fit(vectors)

    distances = np.concatenate([fitted.transform(vectors[rows]) for rows in blocks(len(vectors), n_clusters)])
    params = {"n_clusters": n_clusters, "n_init": n_init}
    # in float64 and one order: sums of the fit itself depend on how many threads there were
    apart = (vectors[rows] - fitted.cluster_centers_[fitted.labels_[rows]] for rows in blocks(len(vectors), n_clusters))
    measures = {"inertia": float(sum(np.square(part, dtype=np.float64).sum() for part in apart))}
    placer = Placer(open_centres, lambda: {"centres": fitted.cluster_centers_})
    return Fit(fitted.labels_, margin(distances, fitted.labels_), params, placer, measures)


def open_centres(centres: np.ndarray) -> Predict:
    """Gives galaxies to the nearest centre."""
    from sklearn.metrics.pairwise import euclidean_distances

    def predict(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distances = [euclidean_distances(table[rows], centres) for rows in blocks(len(table), len(centres))]
        distances = np.concatenate(distances)
        own = distances.argmin(axis=1)
        return own, margin(distances, own)

    return predict


def cluster_gmm(
    vectors: np.ndarray, seed: int, *, n_clusters: int = 8, covariance: str = "full", n_init: int = 1
) -> Fit:
    """Gaussian mixture (Dempster, Laird & Rubin 1977, by expectation-maximization from k-means).

    Every galaxy gets the component with the highest posterior probability, which is its membership. Measures ``bic``
    (Schwarz 1978), by which mixtures with different numbers of components can be compared: lower is better.

    Parameters
    ----------
    n_clusters : int
        Components; one that is no galaxy's most probable makes no cluster.
    covariance : {"full", "tied", "diag", "spherical"}
        "full": each component has a shape and tilt of its own; "tied": all share one; "diag": aligned with the axes;
        "spherical": round.
    n_init : int
        Starts from different k-means; the most probable mixture is kept.
    """
    n_clusters, n_init = whole(n_clusters, "n_clusters"), whole(n_init, "n_init")
    if n_clusters < 1 or n_init < 1:
        raise VectorError(f"A Gaussian mixture needs at least one cluster and start, but got {n_clusters}, {n_init}.")
    if covariance not in COVARIANCES:
        raise VectorError(f"A Gaussian mixture has the covariance {', '.join(COVARIANCES)}, not {covariance!r}.")
    check_different(vectors, n_clusters, "A Gaussian mixture")
    if len(vectors) < 2:
        raise VectorError("A Gaussian mixture needs at least two galaxies, but there is one; add galaxies.")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    # widths are compared with the spread of the data, not with 1: an embedding of unit length has a spread of 0.1
    floor = max(1e-6 * float(vectors.var(axis=0, dtype=np.float64).mean()), 1e-12)
    mixture = GaussianMixture(n_clusters, covariance_type=covariance, n_init=n_init, random_state=seed, reg_covar=floor)
    notes = []
    with warnings.catch_warnings(), two_threads():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            fitted = mixture.fit(vectors.astype(np.float64))
        except ValueError as error:
            raise VectorError(
                f"A Gaussian mixture of {n_clusters} components with {covariance} covariance cannot be fitted to these "
                f"{len(vectors):,} galaxies; ask for fewer components, or for the covariance diag."
            ) from error
    if not fitted.converged_:
        notes.append(f"the mixture had not settled after {fitted.max_iter} rounds")

    shapes = ("weights_", "means_", "covariances_", "precisions_cholesky_")
    found = {name: getattr(fitted, name) for name in shapes} | {"covariance": covariance}
    placer = Placer(open_mixture, lambda: found)
    labels, membership = placer(vectors)
    if (n_empty := n_clusters - len(np.unique(labels))) > 0:
        notes.append(f"{n_empty} of {n_clusters} components are no galaxy's most probable one and make no cluster")
    params = {"n_clusters": n_clusters, "covariance": covariance, "n_init": n_init}
    bic = float(fitted.bic(vectors.astype(np.float64)))
    return Fit(labels, membership, params, placer, {"bic": bic}, tuple(notes))


def open_mixture(covariance: str, **found: np.ndarray) -> Predict:
    """Gives galaxies to the most probable component; ``found`` are the attributes of a fitted mixture."""
    from sklearn.mixture import GaussianMixture

    n_clusters, n_features = found["means_"].shape
    mixture = GaussianMixture(n_clusters, covariance_type=str(covariance))
    for name, values in {**found, "n_features_in_": n_features}.items():
        setattr(mixture, name, values)

    def predict(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        posterior = np.concatenate([mixture.predict_proba(table[rows]) for rows in blocks(len(table), n_clusters)])
        return posterior.argmax(axis=1), posterior.max(axis=1)

    return predict


def check_different(vectors: np.ndarray, n_clusters: int, method: str) -> None:
    """Raise `VectorError` where there are fewer different vectors than clusters wanted."""
    n_galaxies = len(vectors)
    if len(np.unique(vectors[: FIRST_COUNTED * n_clusters], axis=0)) >= n_clusters:
        return  # the usual case, without sorting them all
    n_different = len(np.unique(vectors, axis=0))
    if n_different < n_clusters:
        raise VectorError(
            f"{method} with {n_clusters} clusters needs {n_clusters} different vectors, but "
            f"{f'the {n_galaxies:,} galaxies have {n_different}' if n_galaxies > 1 else 'there is 1 galaxy'}; "
            "ask for fewer clusters."
        )


def two_threads():
    """At most two OpenMP threads: a sum of two parts is the same in either order, one of three is not."""
    from threadpoolctl import ThreadpoolController

    openmp = ThreadpoolController().select(user_api="openmp")
    allowed = min((library["num_threads"] for library in openmp.info()), default=1)
    return openmp.limit(limits=min(2, allowed))


def whole(value, name: str) -> int:
    """``value`` as an int, or a sentence that it is not a whole number."""
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        found = None
    if found is None or found != value:
        raise VectorError(f"{name} must be a whole number, not {value!r}.")
    return found


def number(value, name: str, low: float = -np.inf, high: float = np.inf) -> float:
    """``value`` as a finite float from ``low`` to ``high``, or a sentence that it is none.

    Examples
    --------
    >>> number("0.5", "min_dist", 0, 1)
    0.5
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = np.nan
    if not (np.isfinite(found) and low <= found <= high):
        least = f" of at least {low:,}" if low > -np.inf else ""
        wanted = f" from {low:,} to {high:,}" if high < np.inf else least
        raise VectorError(f"{name} must be a number{wanted}, not {value!r}.")
    return found


def check_seed(seed: int) -> None:
    """Raise `VectorError` for a seed that the libraries do not take."""
    number(seed, "A seed", 0, LARGEST_SEED)
