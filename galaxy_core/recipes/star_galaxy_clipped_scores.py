"""How well stars are told from galaxies in clipped pictures of many frames, each frame held out in its turn."""

from __future__ import annotations

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ImageError
from galaxy_core.recipes import Report
from galaxy_core.recipes.star_galaxy_scores import auc_interval, score_probabilities
from galaxy_core.star_galaxy_baselines import TREE_OPTIONS
from galaxy_core.star_galaxy_clipped import clipped_features, fit_clipped, frame_excess, unlabelled_probability
from galaxy_core.star_galaxy_stamps import LABELS, as_bands

FOLDS = 10
LEAST_FRAMES, CUT_SHARE = 5, 0.5  # frames, and stamps that reach the ceiling, of pictures that are judged here
FORESTS = 3
FOREST_OPTIONS = {**TREE_OPTIONS, "early_stopping": False, "max_iter": 250, "max_leaf_nodes": 12, "max_features": 0.5}


def score_clipped(catalog: Catalog, seed: int, report: Report | None = None) -> dict | None:
    """Scores on all stamps; None for a catalog that is not of clipped one-band pictures of five frames or more.

    Without labels: the excess in width over the stars of the frame, as a mixture. Supervised: gradient-boosted trees,
    each frame told by trees that saw no stamp of it. Intervals are over frames, drawn with replacement.
    """
    read = _read(catalog)
    if read is None:
        return None
    stamps, truth, frames = read

    def fitted(done: int, total: int) -> None:
        if report:
            report("fit clipped profiles", done, total)

    fit = fit_clipped(stamps, fitted)
    made = {
        "width over the frame's stars, without labels": unlabelled_probability(
            frame_excess(fit.log_width, fit.log_flux, frames)
        )
    }
    features = clipped_features(stamps, fit, frames)
    made["supervised trees, frames held out"] = held_out_trees(features, truth, frames, seed)
    snr = np.exp(fit.log_flux) / np.sqrt(np.pi) / np.exp(fit.log_width)
    scores = {"n": len(truth), "n_frames": len(set(frames)), "galaxy_share": float(truth.mean()), "methods": {}}
    for name, p in made.items():
        scores["methods"][name] = score_probabilities(p, truth, snr, seed=seed)
        scores["methods"][name]["auc_interval_over_frames"] = auc_interval(p, truth, seed, frames)
    return scores


def _read(catalog: Catalog) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Stamps (n, size, size), truth and frames of the rows with a class that can be read."""
    if catalog.linear or "class" not in catalog.table or len(set(catalog.split_keys)) < LEAST_FRAMES:
        return None
    truth = catalog.table["class"].map(LABELS).fillna(-1).to_numpy(int)
    rows, stamps = [], []
    for row in np.flatnonzero(truth >= 0):
        try:
            image = as_bands(catalog.load_image(int(row)))
        except ImageError:
            continue
        if len(image) != 1 or min(image.shape[1:]) < 48 or image.shape[1] != image.shape[2]:
            return None
        rows.append(row)
        stamps.append(np.round(255 * image[0]) if image.max() <= 1 else image[0])
    if len(rows) < 100 or len({stamp.shape for stamp in stamps}) > 1:
        return None
    stamps = np.stack(stamps).astype(np.float32)
    if np.mean(stamps.max((1, 2)) >= stamps.max()) < CUT_SHARE:
        return None
    return stamps, truth[rows], np.asarray(catalog.split_keys).astype(str)[rows]


def held_out_trees(features: np.ndarray, truth: np.ndarray, frames: np.ndarray, seed: int) -> np.ndarray:
    """Probability of a galaxy by trees that were shown the labels of other frames only, float64 (n,)."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import GroupKFold

    made = np.zeros(len(truth))
    for learn, told in GroupKFold(min(FOLDS, len(set(frames)))).split(features, truth, frames):
        for forest in range(FORESTS):
            trees = HistGradientBoostingClassifier(**FOREST_OPTIONS, random_state=seed + forest)
            made[told] += trees.fit(features[learn], truth[learn]).predict_proba(features[told])[:, 1] / FORESTS
    return made
