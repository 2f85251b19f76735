"""How a map or a clustering that was fitted on a sample takes in all other galaxies, some thousand at a time.

What places them is a `Placer`: a function of a module, and arrays. So it goes to a file and to other processes
(`galaxy_core.place_steps`), and no model is fitted twice or unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from galaxy_core.sampling import SHARD

NOBODY = np.empty(0, np.int64)
"""The sample of a fit that needs none: all galaxies are placed."""


@dataclass(frozen=True)
class Placer:
    """Puts galaxies where a finished map or clustering has them.

    Attributes
    ----------
    open : callable
        A function of a module: ``open(**arrays)`` gives the function that places, vectors, float32 (m, n_features), to
        an array or a tuple of arrays with m rows.
    collect : callable
        Gives the arrays, by name; called once, when the first galaxy is placed: they may take a while to find.
    """

    open: Callable[..., Callable[[np.ndarray], object]]
    collect: Callable[[], dict] = field(default=dict, repr=False)

    def __call__(self, vectors: np.ndarray) -> object:
        return self._place(vectors)

    @cached_property
    def arrays(self) -> dict:
        """Arrays, numbers and words that decide where galaxies go."""
        return self.collect()

    @cached_property
    def _place(self) -> Callable[[np.ndarray], object]:
        return self.open(**self.arrays)


@dataclass(frozen=True)
class Fitted:
    """A fit on a sample.

    Attributes
    ----------
    placer : Placer
    arrays : dict of arrays
        What came out for the galaxies of the sample, a row each.
    about : dict
        What else came out, as JSON can hold it.
    """

    placer: Placer
    arrays: dict
    about: dict


Openers = dict[str, Callable]
"""Functions that `Placer.open` may be, by name."""

PlaceOthers = Callable[
    [Callable[[], Fitted], np.ndarray, np.ndarray, Openers], tuple[Fitted, list[tuple[np.ndarray, ...]]]
]
"""``place(fit, vectors, sample, openers)`` fits and places all others, as `place_others` does in this process."""


def openers_of(*functions: Callable) -> Openers:
    """Functions by name."""
    return {function.__name__: function for function in functions}


def place_others(
    fit: Callable[[], Fitted], vectors: np.ndarray, sample: np.ndarray, openers: Openers
) -> tuple[Fitted, list[tuple[np.ndarray, ...]]]:
    """Fit, and place all galaxies that are not in the sample, in this process.

    Parameters
    ----------
    fit : callable
    vectors : float32 array, shape (n_galaxies, n_features)
    sample : int array, shape (n_sample,)
    openers : dict
        Not needed here, as nothing leaves this process.

    Returns
    -------
    fitted : Fitted
    placed : list of tuples of arrays
        One a shard, its rows those of the galaxies that are not in the sample, in order.
    """
    fitted = fit()
    placed = [place_rows(fitted.placer, vectors, sample, *rows) for rows in shards_to_place(len(vectors), sample)]
    return fitted, placed


def shards_to_place(n_galaxies: int, sample: np.ndarray) -> Iterator[tuple[int, int]]:
    """First row and the one after the last of each shard that has galaxies to place."""
    for start in range(0, n_galaxies, SHARD):
        stop = min(start + SHARD, n_galaxies)
        if len(rows_to_place(start, stop, sample)):
            yield start, stop


def rows_to_place(start: int, stop: int, sample: np.ndarray) -> np.ndarray:
    """Rows of a shard that are not in the sample, in order.

    Examples
    --------
    >>> rows_to_place(10, 15, np.array([3, 11, 14])).tolist()
    [10, 12, 13]
    """
    others = np.ones(stop - start, dtype=bool)
    others[sample[(sample >= start) & (sample < stop)] - start] = False
    return start + np.flatnonzero(others)


def place_rows(
    placer: Placer, vectors: np.ndarray, sample: np.ndarray, start: int, stop: int
) -> tuple[np.ndarray, ...]:
    """Where the galaxies of a shard go that are not in the sample: what the placer gives, always as a tuple."""
    made = placer(np.asarray(vectors[rows_to_place(start, stop, sample)], dtype=np.float32))
    return made if isinstance(made, tuple) else (made,)


def fill_in(n_galaxies: int, sample: np.ndarray, own: np.ndarray, placed: list[np.ndarray]) -> np.ndarray:
    """What the fit has for its sample and what the placer has for the others, in the order of the galaxies."""
    whole = np.empty((n_galaxies, *own.shape[1:]), own.dtype)
    others = np.ones(n_galaxies, dtype=bool)
    others[sample] = False
    whole[sample] = own
    if placed:
        whole[others] = np.concatenate(placed)
    return whole
