"""How right predicted votes are: errors beside those of the mean galaxy, reliability, coverage; and in which reading.

Galaxy Zoo 2 states votes as they were cast and debiased. A table that does not say which it holds, as that of the
Kaggle challenge, is judged in the reading that fits its training galaxies best, and every reading's error is kept.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.models.morphology import READINGS, net_config, set_reading
from galaxy_core.morphology import Morphology, classify_rows
from galaxy_core.vote_chance import chance_errors, noise_variance, scatter_ratio
from galaxy_core.vote_intervals import Shares, answered_share, asked_enough, held_share, measure_reliability
from galaxy_core.vote_labels import Labels, has_both_forms
from galaxy_core.vote_tree import CUMULATIVE_COLUMNS, QUESTION_KEYS, SLICES, question_sums

N_RESAMPLES = 1000
N_READING = 300  # training galaxies that tell which reading fits a table


def choose_reading(
    model: nn.Module, catalog: Catalog, labels: Labels, train_rows: np.ndarray, seed: int
) -> tuple[str, dict | None]:
    """The reading in which a model is judged on a table, which it is left in, and the RMSE of each if they were tried.

    Parameters
    ----------
    labels : Labels
        Of all galaxies of the catalog, as released.
    train_rows : ndarray of int64
        At most `N_READING` of those with votes are classified, none of which is ever judged.
    """
    if not net_config(model).debiased:
        return "cast", None
    known = train_rows[labels.has_votes[train_rows]]
    tried = None
    if has_both_forms(catalog):
        reading = "debiased"
    elif catalog.answer_kind == "count" or not len(known):
        reading = "cast"
    else:
        some = np.sort(np.random.default_rng([seed, 5]).permutation(known)[:N_READING])
        said, tried = {}, {}
        for reading in READINGS:
            set_reading(model, reading)
            said[reading], rows = classify_rows(model, catalog, some)
        observed = labels.released[rows].astype(float)
        for reading, told in said.items():
            expected = released_form(told, labels, said["cast"] if reading == "debiased" else None)
            tried[reading] = vote_errors(expected, observed, seed)["rmse"]
        reading = min(tried, key=tried.get)
    set_reading(model, reading)
    return reading, tried


def tell_as_cast(model: nn.Module, catalog: Catalog, rows: np.ndarray) -> Morphology:
    """What a model that is read otherwise says of the votes as they were cast; its reading stays as it was."""
    kept = model.reading
    set_reading(model, "cast")
    told, _ = classify_rows(model, catalog, rows)
    set_reading(model, kept)
    return told


def released_form(told: Morphology, labels: Labels, as_cast: Morphology | None = None) -> np.ndarray:
    """Expected values, float64 (n, 37), of what the table of ``labels`` states.

    Parameters
    ----------
    as_cast : Morphology, optional
        Of the same galaxies, where ``told`` is of debiased votes: it says who was asked; see `answered_share`.
    """
    if labels.cumulative_release[0]:
        return told.cumulative.expected
    states_zeros = bool((question_sums(labels.released) == 0).any())
    if not states_zeros:
        return told.conditional.expected
    return answered_share(told.concentrations, as_cast=None if as_cast is None else as_cast.concentrations)


def score_votes(
    told: Morphology,
    labels: Labels,
    rows: np.ndarray,
    train_rows: np.ndarray,
    seed: int,
    as_cast: Morphology | None = None,
) -> dict:
    """Errors of the released columns beside the mean training galaxy's, reliability by question, coverage.

    Parameters
    ----------
    told : Morphology
        Of the galaxies in ``rows``, in that order.
    as_cast : Morphology, optional
        See `released_form`.

    Returns
    -------
    dict
        What is of the mean training galaxy is None where the catalog has no training galaxies with votes.
    """
    released = labels.released[rows].astype(np.float64)
    cumulative = bool(labels.cumulative_release[rows[0]])
    expected = released_form(told, labels, as_cast)
    conditional, counts = labels.conditional[rows].astype(np.float64), labels.counts[rows]
    curves = {
        key: measure_reliability(told.conditional.expected[:, part], conditional[:, part])
        for key, part in zip(QUESTION_KEYS, SLICES, strict=True)
    }
    chance = chance_errors(told.concentrations, conditional, counts, seed)
    scores = {
        "form": "cumulative" if cumulative else "conditional",
        "n_test": int(labels.has_votes[rows].sum()),
        "model": vote_errors(expected, released, seed),
        "training_mean": mean_errors(labels.released[train_rows], released, seed),
        "asked_model": vote_errors(told.conditional.expected, conditional, seed),
        "asked_training_mean": mean_errors(labels.conditional[train_rows], conditional, seed),
        "cumulative_model": vote_errors(told.cumulative.expected, labels.cumulative[rows].astype(np.float64), seed),
        "reliability": {
            key: {
                "expected_calibration_error": curve.expected_calibration_error,
                "by_chance": chance[key][0],
                "by_chance_95": chance[key][1],
                "expected": curve.expected.tolist(),
                "observed": curve.observed.tolist(),
                "n_values": curve.n_values.tolist(),
            }
            for key, curve in curves.items()
        },
        "coverage_90": {
            "conditional": coverages(told.conditional, conditional),
            "cumulative": coverages(told.cumulative, labels.cumulative[rows]),
        },
        "coverage_90_asked_enough": held_share(told.conditional, asked_enough(conditional, counts)),
        "interval_width": {
            "conditional": mean_width(told.conditional, conditional),
            "cumulative": mean_width(told.cumulative, labels.cumulative[rows]),
        },
        **noise_floors(told, released, conditional, counts, bool(labels.counted[rows].all()) and not cumulative, seed),
        "rmse_by_column": dict(zip(CUMULATIVE_COLUMNS, column_rmse(expected, released), strict=True)),
    }
    of_mean = scores["training_mean"] and scores["training_mean"]["rmse"]
    scores["model"]["rmse_below_training_mean"] = 1 - scores["model"]["rmse"] / of_mean if of_mean else None
    return without_nan(scores)


def noise_floors(
    told: Morphology, released: np.ndarray, conditional: np.ndarray, counts: np.ndarray, counted: bool, seed: int
) -> dict:
    """What even the true shares would show, of the released columns and where somebody was asked; {} without counts.

    Where a table states 0 since nobody was asked, that is taken for certain, so the first of them is a lower bound.
    """
    if not counted:
        return {}
    noise = noise_variance(told.concentrations, counts)
    return {
        "noise_floor": errors_of(np.where(np.isfinite(released), np.nan_to_num(noise), np.nan), released, seed),
        "asked_noise_floor": errors_of(noise, conditional, seed),
        "noise_variance_of_votes": scatter_ratio(told.concentrations, counts),
    }


def mean_errors(training: np.ndarray, observed: np.ndarray, seed: int) -> dict | None:
    """`vote_errors` of each column's mean over training galaxies; None where it says nothing of what was observed."""
    constant = np.broadcast_to(column_means(training), observed.shape)
    return vote_errors(constant, observed, seed) if np.isfinite(constant + observed).any() else None


def vote_errors(expected: np.ndarray, observed: np.ndarray, seed: int) -> dict:
    """RMSE with a bootstrap interval over galaxies, and both kinds of R2, over all columns together; NaN left out."""
    return errors_of((np.asarray(expected, np.float64) - observed) ** 2, observed, seed)


def errors_of(squared: np.ndarray, observed: np.ndarray, seed: int) -> dict:
    """The same from squared errors, (n, 37)."""
    known = np.isfinite(squared) & np.isfinite(observed)
    squared = np.where(known, squared, 0.0)
    by_galaxy, n_by_galaxy, n_galaxies = squared.sum(axis=1), known.sum(axis=1), len(squared)
    rng, resampled = np.random.default_rng(seed), np.zeros(N_RESAMPLES)
    for draw in range(N_RESAMPLES):  # one after the other: all at once they take 24 kB a galaxy
        picks = rng.integers(0, n_galaxies, n_galaxies)
        resampled[draw] = np.sqrt(by_galaxy[picks].sum() / max(n_by_galaxy[picks].sum(), 1))
    values, n_by_column = np.where(known, observed, 0.0), np.maximum(known.sum(axis=0), 1)
    n = max(int(known.sum()), 1)
    around_one = np.where(known, observed - values.sum() / n, 0.0) ** 2
    around_each = np.where(known, observed - values.sum(axis=0) / n_by_column, 0.0) ** 2
    return {
        "rmse": float(np.sqrt(squared.sum() / n)),
        "rmse_interval": np.percentile(resampled, (2.5, 97.5)).tolist(),
        "r2": float(1 - squared.sum() / max(around_one.sum(), 1e-12)),
        "r2_by_column": float(1 - squared.sum() / max(around_each.sum(), 1e-12)),
    }


def column_means(values: np.ndarray) -> np.ndarray:
    """Mean of what is known of each column; NaN where nothing is."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), np.nan)


def column_rmse(expected: np.ndarray, observed: np.ndarray) -> list[float]:
    """RMSE of each column; NaN where nothing is known."""
    return np.sqrt(column_means((expected - observed) ** 2)).tolist()


def coverages(shares: Shares, observed: np.ndarray) -> dict:
    """Share of observed fractions within their intervals: of all columns together, and of each question's."""
    scores = {"all": held_share(shares, observed)}
    for key, part in zip(QUESTION_KEYS, SLICES, strict=True):
        cut = Shares(*(getattr(shares, name)[:, part] for name in ("expected", "low", "high")))
        scores[key] = held_share(cut, observed[:, part])
    return scores


def mean_width(shares: Shares, observed: np.ndarray) -> float:
    """Mean width of the intervals whose observed fractions are known; NaN without one."""
    known = np.isfinite(observed)
    return float((shares.high - shares.low)[known].mean()) if known.any() else float("nan")


def without_nan(value):
    """The same nested dicts and lists with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
