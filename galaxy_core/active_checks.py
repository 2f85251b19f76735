"""How well a ranking by answers does, on galaxies it has not learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxy_core.active import Space, fit_answers, last_answers

N_FOLDS = 5
LEAST_FOUND = 10
"""Galaxies that have what is looked for, below which nothing is said: two in a fold."""


@dataclass(frozen=True)
class Check:
    """Cross-validated.

    Attributes
    ----------
    auc : float
        Chance that a galaxy that has what is looked for is ranked above one of the background; 0.5 for no skill.
    n_found, n_background : int
        Galaxies of either kind; each was ranked by what the others taught.
    """

    auc: float
    n_found: int
    n_background: int


def check_ranking(space: Space, rows: np.ndarray, found: np.ndarray, seed: int = 0) -> Check | None:
    """Leave a fifth of the galaxies out, learn from the others, rank those left out; five times.

    Found ones are compared with galaxies drawn at random that nobody judged. Some of these may have what is looked for,
    too, so that a perfect ranking of a frequent kind stays below 1; refused ones teach, and are not compared.

    Parameters
    ----------
    space : Space
    rows, found
        As in `galaxy_core.active.rank_galaxies`, where "found" is called "interesting".

    Returns
    -------
    Check or None
        None below `LEAST_FOUND` found galaxies, or without a background of as many.
    """
    rows, found = last_answers(rows, found, space.usable)
    background = np.setdiff1d(space.background, rows)
    n_found = int(found.sum())
    if n_found < LEAST_FOUND or len(background) < LEAST_FOUND:
        return None
    rng, fold = np.random.default_rng(seed), np.full(len(rows), -1)  # what is refused teaches in every fold
    fold[found] = rng.permutation(n_found) % N_FOLDS
    fold_of_background = rng.permutation(len(background)) % N_FOLDS
    above = 0.0
    for part in range(N_FOLDS):
        learn, theirs = fold != part, fold_of_background == part
        coefficients, _ = fit_answers(space, rows[learn], found[learn], background[~theirs])
        ours = space.features(rows[~learn]) @ coefficients
        others = np.sort(space.features(background[theirs]) @ coefficients)
        lower, upper = (np.searchsorted(others, ours, side).sum() for side in ("left", "right"))
        above += (lower + upper) / 2 / len(others)
    return Check(float(above / n_found), n_found, len(background))
