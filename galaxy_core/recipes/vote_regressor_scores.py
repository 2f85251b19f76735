"""How the recipe `vote_regressor` is judged, on galaxies of the test split alone, through the code users run.

Every number stands beside what it costs nothing to reach: the votes of the mean training galaxy, the largest class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import CatalogError
from galaxy_core.models import load_model
from galaxy_core.models.morphology import net_config
from galaxy_core.morphology import classify_rows
from galaxy_core.probes import wilson_interval
from galaxy_core.recipes import Report
from galaxy_core.recipes.vote_scores import choose_reading, score_votes, tell_as_cast
from galaxy_core.splits import TEST, TRAIN, split_of
from galaxy_core.vote_chance import chance_error_of_classes
from galaxy_core.vote_intervals import LEAST_ASKED, measure_reliability
from galaxy_core.vote_labels import has_both_forms, read_labels

N_RESAMPLES = 1000
N_CONFUSED = 60  # galaxies named for each pair of classes that were taken for one another

DEFINITIONS = {
    "split": "sha1(galaxy_id) mod 10: 0 test, 1 validation, 2-9 training; only those were learned from",
    "prediction": "mean over the eight turned and mirrored views, and over the members of an ensemble",
    "accuracy_interval": "95 %, Wilson 1927",
    "confused": f"test galaxies of one class taken for another, the surest mistakes first, up to {N_CONFUSED} a pair",
    "macro_f1": "mean of the F1 of the classes among the test galaxies; 95 % interval of 1000 bootstrap resamples",
    "released": "the 37 columns as the catalog states them; where it states 0 for questions that nobody was asked, the "
    "prediction is the conditional fraction times the chance that one of 40 volunteers is asked; of debiased fractions "
    "too, that follows from the predicted votes as cast: debiasing moves shares, not people",
    "reading": "which of the votes that the model tells are compared: as cast, debiased, or the even mixture of both "
    "(challenge); a table that does not say which it states is read as fits its training galaxies best",
    "rmse": "root of the mean squared error over all galaxies and columns",
    "r2": "1 - SS_res / SS_tot over all columns together, SS_tot around the one mean of all numbers, as published",
    "r2_by_column": "the same with SS_tot around the mean of each column, which a constant prediction cannot pass",
    "asked": "the same of conditional fractions, where somebody was asked: no credit for zeros",
    "training_mean": "each column's mean over the training galaxies of this catalog as the prediction",
    "noise_floor": "what the true shares themselves would show, for other volunteers would have voted otherwise; from "
    "the model's Dirichlet distributions and the numbers asked, for votes as cast that were counted. That nobody was "
    "asked is taken for certain, so it is a lower bound. asked_noise_floor: of fractions where somebody was asked",
    "noise_variance_of_votes": "a check that needs no model: where two or more were asked, the variance that the votes "
    "show by themselves, as a multiple of that in the noise floor",
    "reliability": "conditional fractions of questions somebody was asked, answers of a question together, ten equal "
    "bins of the expected fraction; the error is the mean absolute gap, weighted by numbers",
    "by_chance": "the same error if each galaxy's votes or class were drawn as predicted, the mean of 200 draws; "
    "by_chance_95: what one draw in twenty exceeds. A smaller error is no sign of a miscalibrated model",
    "coverage": "share of observed fractions within their 90 % interval: central, of the Beta distribution with the "
    "mean and the variance that the answers of those asked would have, as many of 40 as the votes as cast lead one to "
    "expect (cumulative: of all 40); bounds within half a vote are 0 or 1. Validation galaxies may have made "
    "intervals wider, not narrower. coverage_90_asked_enough: of conditional fractions where "
    f"{LEAST_ASKED} or more were asked. interval_width: their mean",
}


def evaluate(
    folder: str | Path,
    catalog: Catalog,
    seed: int = 0,
    device: str = "cpu",
    report: Report | None = None,
) -> dict:
    """Metrics of a trained model on the test split of a catalog with votes, classes or both; nothing is trained.

    Returns
    -------
    dict
        ``definitions``, ``n_galaxies``, ``n_test``, ``classes`` and ``votes``, the last two where both the catalog and
        the model have them, and ``votes_as_cast`` where the votes of the release are debiased and both know those as
        cast. Without NaN: what cannot be measured is None.
    """
    model = load_model(folder, device)
    config = net_config(model)
    splits = np.array([split_of(str(key)) for key in catalog.split_keys])
    rows = np.flatnonzero(splits == TEST)
    if not len(rows):
        raise CatalogError(
            f"None of the {len(catalog):,} galaxies falls into the test split; evaluate on a larger catalog."
        )
    labels, notes = read_labels(catalog, config.class_names)
    train_rows = np.flatnonzero(splits == TRAIN)
    reading, tried = choose_reading(model, catalog, labels, train_rows, seed)
    told, rows_read = classify_rows(model, catalog, rows, report)
    scores: dict = {"definitions": DEFINITIONS, "n_galaxies": len(catalog), "n_test": len(rows), "notes": notes}
    scores["n_unreadable"] = len(rows) - len(rows_read)
    known = labels.classes[rows_read] >= 0
    if told.class_names and known.any():
        truth = labels.classes[rows_read][known]
        probabilities, ids = told.class_probabilities[known], np.asarray(told.galaxy_ids)[known]
        scores["classes"] = score_classes(probabilities, truth, told.class_names, seed)
        scores["classes"]["confused"] = confused_galaxies(probabilities, truth, told.class_names, ids)
    if told.concentrations is not None and labels.has_votes[rows_read].any():
        cast = tell_as_cast(model, catalog, rows_read) if reading == "debiased" else None
        scores["votes"] = score_votes(told, labels, rows_read, train_rows, seed, cast)
        scores["votes"] |= {"reading": reading, "rmse_of_readings_on_training": tried}
        if cast is not None and has_both_forms(catalog):
            as_cast, _ = read_labels(catalog, form="cast")
            scores["votes_as_cast"] = score_votes(cast, as_cast, rows_read, train_rows, seed) | {"reading": "cast"}
    if "classes" not in scores and "votes" not in scores:
        raise CatalogError(
            f"{catalog.layout}:{catalog.source} has no labels for what this model tells; evaluate on another catalog."
        )
    return scores


def score_classes(probabilities: np.ndarray, truth: np.ndarray, class_names: Sequence[str], seed: int) -> dict:
    """Accuracy, macro-F1 and the confusion matrix (rows: truth, columns: prediction)."""
    n_classes = len(class_names)
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(truth, predicted, n_classes)
    n, n_right = len(truth), int((predicted == truth).sum())
    rng = np.random.default_rng(seed)
    # a resample of galaxies is a draw of how many fall into each cell
    draws = rng.multinomial(n, confusion.ravel() / n, size=N_RESAMPLES).reshape(-1, n_classes, n_classes)
    reliability = measure_reliability(probabilities.max(axis=1), (predicted == truth).astype(float))
    by_chance, by_chance_95 = chance_error_of_classes(probabilities.max(axis=1), seed)
    recall, precision = (np.diag(confusion) / np.maximum(confusion.sum(axis=axis), 1) for axis in (1, 0))
    return {
        "n_test": n,
        "class_names": list(class_names),
        "accuracy": n_right / n,
        "accuracy_interval": list(wilson_interval(n_right, n)),
        "largest_class_share": float(confusion.sum(axis=1).max() / n),
        "macro_f1": macro_f1(confusion),
        "macro_f1_interval": np.percentile([macro_f1(draw) for draw in draws], (2.5, 97.5)).tolist(),
        "recall": dict(zip(class_names, recall.tolist(), strict=True)),
        "precision": dict(zip(class_names, precision.tolist(), strict=True)),
        "n_by_class": dict(zip(class_names, confusion.sum(axis=1).tolist(), strict=True)),
        "confusion": confusion.tolist(),
        "expected_calibration_error": reliability.expected_calibration_error,
        "by_chance": by_chance,
        "by_chance_95": by_chance_95,
    }


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Number of galaxies, int64 (n_classes, n_classes), of each true class (row) and predicted one (column)."""
    return np.bincount(truth * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)


def confused_galaxies(
    probabilities: np.ndarray,
    truth: np.ndarray,
    class_names: Sequence[str],
    galaxy_ids: Sequence[str],
    n_max: int = N_CONFUSED,
) -> list[dict]:
    """The galaxies behind each cell of the confusion matrix off its diagonal, those with the surest mistake first.

    Returns
    -------
    list of dict
        ``truth`` and ``predicted`` (names of classes) and ``galaxy_ids``, at most ``n_max``; no cell without galaxies.
    """
    predicted, found = probabilities.argmax(axis=1), []
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    for true in range(len(class_names)):
        for said in range(len(class_names)):
            rows = order[(truth[order] == true) & (predicted[order] == said)] if true != said else order[:0]
            if len(rows):
                ids = [str(galaxy_ids[row]) for row in rows[:n_max]]
                found.append({"truth": class_names[true], "predicted": class_names[said], "galaxy_ids": ids})
    return found


def macro_f1(confusion: np.ndarray) -> float:
    """Mean of 2 TP / (2 TP + FP + FN) over the classes that a galaxy is of."""
    there = confusion.sum(axis=1) > 0
    doubled = 2 * np.diag(confusion)
    return float((doubled / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1))[there].mean())
