"""What to look at next: galaxies ranked by how unusual they are and by what one person has found interesting so far.

Before the first "interesting" the ranking is Astronomaly's (Lochner & Bassett 2021): the anomaly score, lowered near
galaxies that were judged not interesting. From the first "interesting" on, a logistic regression on the embedding tells
the two kinds of answers apart and orders all galaxies; the anomaly score has then done its work, which was to find a
beginning. Nothing but the answers is ever learned from.

References
----------
Lochner & Bassett 2021, Astronomaly: personalised active anomaly detection in astronomical data, A&C 36, 100481
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from galaxy_core.vectors import VectorError

N_COARSE = 10
"""Principal components in which distances to earlier answers are measured: in 192 dimensions all are about the same."""

N_BACKGROUND = 500
"""Galaxies drawn at random that stand for what nobody has judged, so that one answer has something to differ from."""

BACKGROUND_WEIGHT = 0.5  # of all background galaxies together, as a share of the weight of all answers
FIT_LIMIT = 100_000  # galaxies, drawn at random where there are more, from which the axes are found
CHUNK_ROWS = 65_536
N_CANDIDATES = 5_000  # the best of a ranking, among which a batch of different kinds is chosen
N_EAGER = 10  # interesting galaxies, until which each is learned from at once and the rest of its batch is dropped
MIN_INTEREST, INTEREST_RANGE, ALPHA = 0.1, 0.85, 1.0  # epsilon_1, epsilon_2 and alpha of Lochner & Bassett (2021)


@dataclass(frozen=True)
class Space:
    """An embedding made ready for answers; arrays are shared, never changed.

    Attributes
    ----------
    vectors : float32 array, shape (n_galaxies, n_features)
        The embedding as it is.
    centre : float32 array, shape (n_features,)
    axes : float32 array, shape (n_features, n_axes)
        ``(vectors - centre) @ axes`` has about the same spread along every axis, less along those that hardly vary.
    coarse : float32 array, shape (n_galaxies, N_COARSE or fewer)
        The first principal components, each with variance 1.
    background : int array, shape (at most N_BACKGROUND,)
        Rows of the background.
    usable : bool array, shape (n_galaxies,)
        False for a galaxy whose vector is not finite; it scores 0 and is never asked about.
    """

    vectors: np.ndarray = field(repr=False)
    centre: np.ndarray = field(repr=False)
    axes: np.ndarray = field(repr=False)
    coarse: np.ndarray = field(repr=False)
    background: np.ndarray = field(repr=False)
    usable: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.vectors)

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Some galaxies along the axes, float64 of shape (n_rows, n_axes)."""
        return ((self.vectors[rows] - self.centre) @ self.axes).astype(np.float64)


def make_space(vectors: np.ndarray, seed: int = 0) -> Space:
    """Find the axes of an embedding; once for a catalog, whatever is answered later.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
    seed : int
        Draws the background, and the galaxies that the axes are found from where there are more than `FIT_LIMIT`.
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    rng = np.random.default_rng(seed)
    usable = np.isfinite(vectors.sum(axis=1)) if vectors.shape[1] else np.ones(len(vectors), bool)
    rows = np.flatnonzero(usable)
    learn = vectors[np.sort(rng.choice(rows, FIT_LIMIT, replace=False))] if len(rows) > FIT_LIMIT else vectors[rows]
    centre = learn.mean(axis=0, dtype=np.float64) if len(learn) else np.zeros(vectors.shape[1])
    offsets = learn - centre.astype(np.float32)
    variance, directions = np.linalg.eigh((offsets.T @ offsets).astype(np.float64) / max(len(learn), 1))
    variance, directions = variance[::-1].clip(0), directions[:, ::-1]
    typical = variance.mean() if len(variance) and variance.any() else 1.0
    axes = (directions / np.sqrt(variance + typical)).astype(np.float32)
    kept = np.flatnonzero(variance[:N_COARSE] > 1e-9 * typical)
    coarse_axes = (directions[:, kept] / np.sqrt(variance[kept])).astype(np.float32)
    coarse = np.zeros((len(vectors), len(kept)), np.float32)
    for part in _chunks(len(vectors)):
        coarse[part] = (np.where(usable[part, None], vectors[part], 0) - centre.astype(np.float32)) @ coarse_axes
    background = np.sort(rng.choice(rows, min(N_BACKGROUND, len(rows)), replace=False))
    return Space(vectors, centre.astype(np.float32), axes, coarse, background, usable)


def rank_galaxies(space: Space, anomaly: np.ndarray, rows: np.ndarray, interesting: np.ndarray) -> np.ndarray:
    """Score of every galaxy after some answers, larger for what should be looked at first.

    Parameters
    ----------
    space : Space
    anomaly : array, shape (n_galaxies,)
        How unusual each galaxy is, in [0, 1]; NaN counts as 0.
    rows : int array, shape (n_answers,)
        The galaxies that were judged, in the order of the answers; the last answer on a galaxy counts.
    interesting : bool array, shape (n_answers,)

    Returns
    -------
    float32 array, shape (n_galaxies,)
        In [0, 1]. Without answers the anomaly score; with only "not interesting" the anomaly score lowered near these,
        see `lower_near`; otherwise the chance of "interesting", see `fit_interest`, as if both answers were equally
        frequent, and galaxies that nobody judged, taken for "not interesting", as frequent as either.
    """
    anomaly = _checked(space, anomaly)
    rows, interesting = last_answers(rows, interesting, space.usable)
    if not interesting.any():
        scores = lower_near(anomaly, nearest_answer(space.coarse, rows)) if len(rows) else anomaly.copy()
        return np.where(space.usable, scores, 0).astype(np.float32)
    background = np.setdiff1d(space.background, rows)
    return interest_of(space, *fit_answers(space, rows, interesting, background))


def fit_answers(
    space: Space, rows: np.ndarray, interesting: np.ndarray, background: np.ndarray
) -> tuple[np.ndarray, float]:
    """`fit_interest` of answers, at least one "interesting", each kind with the same weight, and of a background."""
    weights = np.where(interesting, 0.5 / interesting.sum(), 0.5 / max((~interesting).sum(), 1)) * len(rows)
    weights = np.r_[weights, np.full(len(background), BACKGROUND_WEIGHT * len(rows) / max(len(background), 1))]
    learn = space.features(np.r_[rows, background])
    return fit_interest(learn, np.r_[interesting, np.zeros(len(background), bool)], weights)


def choose_batch(
    space: Space, anomaly: np.ndarray, rows: np.ndarray, interesting: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The galaxies to ask about next, and the score of all.

    Without answers they are the most unusual. Before the first "interesting" a quarter of a batch are the best of the
    ranking and each of the others is chosen as if those before it were not interesting, so that a batch shows different
    kinds. Afterwards all are the best of the ranking: looking for what is rare, the best question is the one that is
    likely to be answered with "interesting". Until `N_EAGER` are known, ask for a new batch after each of them. Copies
    of one image, such as blank stamps, come after all else.

    Returns
    -------
    batch : int32 array, shape (at most size,)
        The best first; fewer where fewer are left.
    scores : float32 array, shape (n_galaxies,)
        As from `rank_galaxies`.
    """
    scores = rank_galaxies(space, anomaly, rows, interesting)
    rows, interesting = last_answers(rows, interesting, space.usable)
    open_rows = np.setdiff1d(np.flatnonzero(space.usable), rows)
    order = open_rows[np.argsort(-scores[open_rows], kind="stable")]
    if len(rows) == 0 or interesting.any():
        return _copies_last(space, rows, order[: max(size, N_CANDIDATES)])[:size].astype(np.int32), scores
    return _different(space, _checked(space, anomaly), rows, order[:N_CANDIDATES], size), scores


def _copies_last(space: Space, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Galaxies in an order, but after the others those that are copies of one before, or of an answered one."""
    _, first = np.unique(space.coarse[np.r_[rows, order]].round(2), axis=0, return_index=True)
    is_copy = ~np.isin(np.arange(len(order)), first - len(rows))
    return np.r_[order[~is_copy], order[is_copy]]


def _different(space: Space, anomaly: np.ndarray, rows: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """A quarter of ``size`` in order, then one by one the most unusual far from answers and from those chosen."""
    coarse, unusual = space.coarse[order], anomaly[order]
    distance = nearest_answer(coarse, rows, space.coarse)
    left, chosen = np.ones(len(order), bool), []
    for place in range(min(size, len(order))):
        if place < max(size // 4, 1):
            best = place
        else:
            best = int(np.argmax(np.where(left, lower_near(unusual, distance), -1)))
        left[best] = False
        chosen.append(order[best])
        distance = np.minimum(distance, np.linalg.norm(coarse - coarse[best], axis=1))
    return np.array(chosen, dtype=np.int32)


def lower_near(anomaly: np.ndarray, distance: np.ndarray, interest: np.ndarray | float = 0.0) -> np.ndarray:
    """Anomaly score lowered near what was judged not interesting (Lochner & Bassett 2021, eqs. 1 and 2).

    ``s tanh(delta - 1 + arctanh(u))`` with ``delta = exp(alpha d / mean(d))`` and ``u = e1 + e2 * interest``: s is the
    anomaly score, d the distance to the nearest answer and ``interest`` in [0, 1] what the person is expected to say.
    Far from any answer it is s.

    Examples
    --------
    >>> lower_near(np.array([1.0, 1.0]), np.array([0.0, 2.0])).round(2).tolist()
    [0.1, 1.0]
    """
    mean = distance.mean()
    delta = np.exp(ALPHA * distance / mean) if mean > 0 else np.ones(len(distance))
    return anomaly * np.tanh(delta - 1 + np.arctanh(MIN_INTEREST + INTEREST_RANGE * interest))


def nearest_answer(points: np.ndarray, rows: np.ndarray, all_points: np.ndarray | None = None) -> np.ndarray:
    """Euclidean distance of each point to the nearest of some rows, infinite without any; float64, shape (n_points,).

    ``rows`` are rows of ``all_points``, which are the points themselves where they are not given.
    """
    answered = (points if all_points is None else all_points)[rows].astype(np.float64)
    nearest = np.full(len(points), np.inf)
    if len(rows):
        squares = (answered**2).sum(axis=1)
        for part in _chunks(len(points)):
            here = points[part].astype(np.float64)
            squared = (here**2).sum(axis=1) + (squares - 2 * here @ answered.T).min(axis=1)
            nearest[part] = np.sqrt(squared.clip(0))
    return nearest


def fit_interest(features: np.ndarray, interesting: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Logistic regression with a Gaussian prior of variance 1 on every coefficient, by Newton's method.

    Parameters
    ----------
    features : array, shape (n, n_axes)
    interesting : bool array, shape (n,)
    weights : array, shape (n,)

    Returns
    -------
    coefficients : array, shape (n_axes,)
    offset : float
        ``1 / (1 + exp(-(features @ coefficients + offset)))`` is the chance of "interesting".
    """
    design = np.column_stack([features, np.ones(len(features))])
    prior = np.r_[np.ones(features.shape[1]), 1e-6]
    beta = np.zeros(design.shape[1])

    def loss(b: np.ndarray) -> float:
        margin = np.where(interesting, 1, -1) * (design @ b)
        return weights @ np.logaddexp(0, -margin) + 0.5 * prior @ b**2

    now = loss(beta)
    for _ in range(50):
        chance = _sigmoid(design @ beta)
        slope = design.T @ (weights * (interesting - chance)) - prior * beta
        curvature = (design.T * (weights * chance * (1 - chance))) @ design + np.diag(prior)
        step, new = np.linalg.solve(curvature, slope), np.inf
        while new > now and np.abs(step).max() > 1e-9:  # a full step may be too long
            new = loss(beta + step)
            step = step if new <= now else step / 2
        if not new < now - 1e-9 * (1 + abs(now)):
            break
        beta, now = beta + step, new
    return beta[:-1], float(beta[-1])


def interest_of(space: Space, coefficients: np.ndarray, offset: float) -> np.ndarray:
    """Chance of "interesting" of every galaxy, float32 of shape (n_galaxies,); 0 for those that cannot be used."""
    direction = (space.axes @ coefficients).astype(np.float32)
    shift = offset - float(space.centre @ direction)
    scores = np.zeros(len(space), np.float32)
    for part in _chunks(len(space)):
        scores[part] = _sigmoid(space.vectors[part] @ direction + np.float32(shift))
    scores[~space.usable] = 0
    return scores


def last_answers(rows: np.ndarray, interesting: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last answer on each galaxy, in the order of these; those on galaxies that cannot be used are left out.

    Examples
    --------
    >>> rows, interesting = last_answers([3, 1, 3, 9], [True, False, False, True], np.ones(5, bool))
    >>> rows.tolist(), interesting.tolist()
    ([1, 3], [False, False])
    """
    rows, interesting = np.asarray(rows, dtype=np.int64), np.asarray(interesting, dtype=bool)
    there = (rows >= 0) & (rows < len(usable))
    there[there] &= usable[rows[there]]
    rows, interesting = rows[there], interesting[there]
    _, last = np.unique(rows[::-1], return_index=True)
    keep = np.sort(len(rows) - 1 - last)
    return rows[keep], interesting[keep]


def _checked(space: Space, anomaly: np.ndarray) -> np.ndarray:
    if np.shape(anomaly) != (len(space),):
        raise VectorError(
            f"There are {len(space):,} galaxies in the embedding, but anomaly scores of shape {np.shape(anomaly)}; make"
            " both from the same catalog."
        )
    return np.nan_to_num(np.asarray(anomaly, dtype=np.float64), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _chunks(n: int) -> list[slice]:
    return [slice(start, start + CHUNK_ROWS) for start in range(0, n, CHUNK_ROWS)]
