"""What every calculation on vectors asks of them first: a finite table with enough galaxies in it."""

from __future__ import annotations

import numpy as np

from galaxy_core.errors import GalaxyError

BLOCK = 65_536  # vectors looked at together


class VectorError(GalaxyError):
    """No map, clustering or score can be computed: unusable vectors, or a parameter that does not fit them."""


def check_vectors(vectors: np.ndarray, purpose: str, n_least: int = 1) -> np.ndarray:
    """Return ``vectors`` as a C-ordered float32 table, or say why they cannot serve.

    Parameters
    ----------
    vectors : array-like, shape (n_galaxies, n_features)
    purpose : str
        What they are for; it begins the sentence of the error.
    n_least : int
        The fewest galaxies that ``purpose`` makes sense for.

    Raises
    ------
    VectorError
        Not a table, empty, too few galaxies, or NaN or infinite values.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise VectorError(
            f"{purpose} needs a table with one row a galaxy and one column a feature, but got shape {vectors.shape}."
        )
    if len(vectors) < n_least:
        raise VectorError(f"{purpose} needs at least {n_least} galaxies, but there are {len(vectors)}; add galaxies.")
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    # in blocks: a table that is a file mapped into memory is never held as a whole
    n_broken = sum(
        int((~np.isfinite(vectors[start : start + BLOCK]).all(axis=1)).sum()) for start in range(0, len(vectors), BLOCK)
    )
    if n_broken:
        raise VectorError(
            f"{purpose} needs finite vectors, but {n_broken:,} of {len(vectors):,} galaxies have NaN or infinite "
            "values; embed the catalog again or leave these galaxies out."
        )
    return vectors


def check_length(values: np.ndarray, n_galaxies: int, name: str) -> np.ndarray:
    """Return ``values`` as an array, or say that it does not have one entry a galaxy."""
    values = np.asarray(values)
    if values.shape != (n_galaxies,):
        raise VectorError(
            f"There are {n_galaxies:,} galaxies, but {name} has shape {values.shape}; one entry a galaxy."
        )
    return values


def has_class(classes: np.ndarray) -> np.ndarray:
    """Boolean array, shape (n,): which entries of ``classes`` name a class, rather than being None, NaN or empty.

    Examples
    --------
    >>> has_class(np.array(["smooth", None, float("nan"), ""], dtype=object)).tolist()
    [True, False, False, False]
    """
    return np.array([value is not None and value == value and value != "" for value in classes], dtype=bool)
