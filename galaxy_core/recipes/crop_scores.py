"""Which part of the frame should a network see? Three ways to cut it, judged by how well votes follow from each.

One frozen encoder looks at the same galaxies cut in each way, and a ridge regression reads the 37 vote fractions from
its features. Nothing but the cut differs, and galaxies are compared with themselves.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import central_part, load_display
from galaxy_core.central_object import DEFAULT, central_boxes, cut_central_object, object_mask, window_sides
from galaxy_core.errors import CatalogError, ImageError, ModelError
from galaxy_core.images import resize_square
from galaxy_core.recipes import Report
from galaxy_core.recipes.vote_scores import column_means, vote_errors
from galaxy_core.splits import TEST, split_mask
from galaxy_core.vote_labels import read_labels

WAYS = ("centre", "field", "object")
CASES = ("quarter", "half", "frame", "nothing")
STRENGTHS = np.logspace(0, 5, 21)
N_FOLDS = 10
N_RESAMPLES = 2000
LEAST_GALAXIES = 2 * N_FOLDS
BATCH = 64

DEFINITIONS = {
    "ways": "centre: the catalog's central share of each side, as the product cuts it; field: the whole frame; object: "
    "the smallest of three centred windows that holds the central object (galaxy_core.central_object)",
    "features": "means of the frozen encoder's last two stages over the stamp and over its eight turned and mirrored "
    "views; the encoder never saw votes, but was trained on frames of one scale and is at its best near that scale",
    "regression": "ridge on standardised features to the 37 fractions as released, one strength for all of them, chosen"
    " by leave-one-out error among the galaxies fitted on; results cut to [0, 1]",
    "folds": f"{N_FOLDS}-fold over training and validation galaxies, stamps of one frame in one fold",
    "test": "fitted on all training and validation galaxies, judged on the test split",
    "rmse": "over all galaxies and columns, with a 95 % bootstrap interval over galaxies",
    "r2": "1 - SS_res / SS_tot over all columns together, around the one mean of all numbers",
    "difference": f"a way less the centre crop, of the same galaxies; 95 % interval of {N_RESAMPLES} resamples of them",
    "cases": "which window the ten steps chose: a quarter of the frame's side, half of it, or all of it for an object "
    "that is larger or off the centre; nothing: no object found, and the frame kept",
}


def evaluate(
    folder: str | Path, catalog: Catalog, seed: int = 0, device: str = "cpu", report: Report | None = None
) -> dict:
    """Errors of votes read from three ways of cutting the frame, their paired differences, and the cases of the third.

    Parameters
    ----------
    folder : path
        A model with an encoder of galaxies; one that never saw votes makes the fairest judge.
    catalog : Catalog
        With votes on all 37 answers, and images that hold more than the galaxy.

    Raises
    ------
    CatalogError
        Too few galaxies have an image and votes.
    ModelError
        The model has no encoder of galaxies.
    """
    labels, notes = read_labels(catalog)
    known = np.flatnonzero(np.isfinite(labels.released).all(axis=1))
    if len(known) < LEAST_GALAXIES:
        raise CatalogError(
            f"{len(known):,} of the {len(catalog):,} galaxies of {catalog.layout}:{catalog.source} have votes on all "
            f"37 answers; comparing crops takes at least {LEAST_GALAXIES}, so name a catalog with votes, as gz2:PATH."
        )
    features, sides, rows = features_of_ways(folder, catalog, known, device, report)
    scores = {
        "definitions": DEFINITIONS,
        "notes": notes,
        "n_galaxies": len(catalog),
        "n_without_votes": len(catalog) - len(known),
        "n_unreadable": len(known) - len(rows),
        "field_fraction": catalog.field_fraction,
        "cases": count_cases(sides),
    }
    return scores | score_ways(features, labels.released[rows].astype(float), catalog.split_keys[rows], sides, seed)


def score_ways(
    features: dict[str, np.ndarray], votes: np.ndarray, keys: np.ndarray, sides: np.ndarray, seed: int
) -> dict:
    """Errors of each way over folds and on the test split, strengths, and errors by case.

    Parameters
    ----------
    features : dict of ndarray, shape (n, n_features)
        By way.
    votes : ndarray of float64, shape (n, 37)
    keys : ndarray of str, shape (n,)
        What the split hashes.
    sides : ndarray of float, shape (n,)
        See `cut_ways`.
    """
    is_test = split_mask(keys, TEST)
    n_test = int(is_test.sum())
    if not n_test or len(keys) - n_test < LEAST_GALAXIES:
        raise CatalogError(
            f"{len(keys) - n_test:,} galaxies to fit on and {n_test:,} to test on are too few; give a larger catalog."
        )
    known, fold = votes[~is_test], folds_of(keys[~is_test], N_FOLDS, seed)
    inner = {way: predict_folds(features[way][~is_test], known, fold) for way in WAYS}
    fitted = {way: fit_and_predict(features[way][~is_test], known, features[way][is_test]) for way in WAYS}
    mean = np.tile(column_means(known), (n_test, 1))
    test = compare_ways({way: told for way, (told, _) in fitted.items()}, votes[is_test], seed)
    return {
        "folds": compare_ways(inner, known, seed),
        "test": test | {"training_mean": vote_errors(mean, votes[is_test], seed)},
        "strengths": {way: strength for way, (_, strength) in fitted.items()},
        "by_case": by_case(inner, known, sides[~is_test]),
    }


def cut_ways(frame: np.ndarray, field_fraction: float, size_px: int) -> tuple[np.ndarray, float]:
    """One galaxy in each of `WAYS`, float32 (3, 3, size_px, size_px), and the window's share of the frame, NaN if none.

    Parameters
    ----------
    frame : ndarray of float32, shape (3, height, width)
        The whole field in [0, 1].
    """
    square = resize_square(frame, min(frame.shape[1:]))[None]
    boxes = central_boxes(object_mask(square, DEFAULT), DEFAULT)
    side = window_sides(boxes, square.shape[-1], DEFAULT)[0] / square.shape[-1]
    cut = (
        resize_square(central_part(frame, field_fraction), size_px),
        resize_square(frame, size_px),
        cut_central_object(square, size_px)[0],
    )
    return np.stack(cut), float(side) if boxes[0, 0] >= 0 else np.nan


def features_of_ways(
    folder: str | Path, catalog: Catalog, rows: np.ndarray, device: str, report: Report | None
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Features, float64 (n, n_features), by way; the share of the frame each object's window has; the rows read."""
    from galaxy_core.models import load_model

    model = load_model(folder, device)
    if not hasattr(model, "encoder"):
        raise ModelError(f"{folder} holds a {model.name}, which has no encoder of galaxies; name a single model.")
    whole, batch, made, sides, read = replace(catalog, field_fraction=1.0), [], [], [], []
    for done, row in enumerate(rows):
        try:
            cut, side = cut_ways(load_display(whole, row), catalog.field_fraction, model.config.embedding_input_px)
        except ImageError:
            continue
        finally:
            if report:
                report("galaxy", done + 1, len(rows))
        batch.append(cut)
        sides.append(side)
        read.append(row)
        if len(batch) == BATCH:
            made.append(look_at(model, np.stack(batch), device))
            batch = []
    made += [look_at(model, np.stack(batch), device)] if batch else []
    if not made:
        raise CatalogError(f"No image of the {len(rows):,} galaxies could be read; check the image files.")
    features = np.concatenate(made)
    return {way: features[:, place] for place, way in enumerate(WAYS)}, np.array(sides), np.array(read)


def look_at(model, cuts: np.ndarray, device: str) -> np.ndarray:
    """Features, float64 (n, n_ways, n_features), of cuts, float32 (n, n_ways, 3, P, P): means over eight views."""
    import torch

    from galaxy_core.models.dihedral import view_features

    with torch.inference_mode():
        images = torch.from_numpy(cuts.reshape(-1, *cuts.shape[2:])).to(device)
        features = view_features(model.encoder, images).mean(dim=0)
    return features.view(*cuts.shape[:2], -1).double().cpu().numpy()


def folds_of(keys: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Fold of each galaxy, int (n,); those with one key, of one frame, are in one fold."""
    found, inverse = np.unique(keys.astype(str), return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(found)) % n_folds)[inverse]


def fit_and_predict(features: np.ndarray, votes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, float]:
    """Fractions of other galaxies, float64 (n, 37) in [0, 1], and the strength chosen on those that were fitted."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(alphas=STRENGTHS)).fit(features, votes)
    return model.predict(others).clip(0, 1), float(model[-1].alpha_)


def predict_folds(features: np.ndarray, votes: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Fractions of every galaxy, float64 (n, 37), by a regression that was fitted on the other folds."""
    told = np.empty_like(votes)
    for number in np.unique(fold):
        out = fold == number
        told[out], _ = fit_and_predict(features[~out], votes[~out], features[out])
    return told


def compare_ways(told: dict[str, np.ndarray], votes: np.ndarray, seed: int) -> dict:
    """Errors of each way, and how much larger than those of the first they are, galaxy by galaxy."""
    scores = {way: vote_errors(told[way], votes, seed) for way in WAYS}
    for way in WAYS[1:]:
        scores[way]["difference"] = paired_difference(told[way], told[WAYS[0]], votes, seed)
    return {"n": len(votes), **scores}


def paired_difference(told: np.ndarray, base: np.ndarray, votes: np.ndarray, seed: int) -> dict:
    """RMSE and R2 of one prediction less those of another, with bootstrap intervals over galaxies.

    Parameters
    ----------
    told, base, votes : ndarray of float64, shape (n, n_columns)
    """
    squared = np.stack([((each - votes) ** 2).mean(axis=1) for each in (told, base)])
    sums = np.stack([votes.mean(axis=1), (votes**2).mean(axis=1)])

    def differences(picks: np.ndarray) -> np.ndarray:
        errors, (first, second) = squared[:, picks].mean(axis=-1), sums[:, picks].mean(axis=-1)
        return np.array([np.sqrt(errors[0]) - np.sqrt(errors[1]), (errors[1] - errors[0]) / (second - first**2)])

    n, rng = len(votes), np.random.default_rng(seed)
    # one resample after the other: all at once they take 100 kB a galaxy
    draws = np.array([differences(rng.integers(0, n, n)) for _ in range(N_RESAMPLES)])
    rmse, r2 = differences(np.arange(n))
    low, high = np.percentile(draws, (2.5, 97.5), axis=0)
    return {
        "rmse": float(rmse),
        "rmse_interval": [float(low[0]), float(high[0])],
        "r2": float(r2),
        "r2_interval": [float(low[1]), float(high[1])],
    }


def case_of(sides: np.ndarray) -> np.ndarray:
    """Name among `CASES` for each share of the frame; see `cut_ways`."""
    places = np.searchsorted([0.3, 0.6], np.nan_to_num(sides, nan=1.0))
    return np.array(CASES)[np.where(np.isnan(sides), 3, places)]


def count_cases(sides: np.ndarray) -> dict:
    """Number and share of galaxies in each case."""
    cases = case_of(sides)
    return {name: {"n": int((cases == name).sum()), "share": float((cases == name).mean())} for name in CASES}


def by_case(told: dict[str, np.ndarray], votes: np.ndarray, sides: np.ndarray) -> dict:
    """RMSE of each way over the galaxies of each case that has any."""
    cases = case_of(sides)
    return {
        name: {"n": int((cases == name).sum())}
        | {way: float(np.sqrt(((told[way] - votes)[cases == name] ** 2).mean())) for way in WAYS}
        for name in CASES
        if (cases == name).any()
    }
