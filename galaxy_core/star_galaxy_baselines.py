"""What astronomers use without a network, for comparison: cuts in size against magnitude, and trees on a catalogue."""

from __future__ import annotations

import numpy as np

from galaxy_core.star_galaxy_features import SHAPE_FEATURES

SIZE_MAGNITUDE = ("magnitude", "half_light_radius_px")
CONCENTRATION_MAGNITUDE = ("magnitude", "concentration")
TREE_OPTIONS = {"learning_rate": 0.05, "max_iter": 300, "early_stopping": True, "l2_regularization": 1.0}


def fit_trees(features: np.ndarray, truth: np.ndarray, seed: int = 0):
    """Gradient-boosted trees on catalogue features (n, n_features) of objects that are galaxies (1) or stars (0).

    The difficulty of the simulated objects is defined by these trees with these options, on all columns.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**TREE_OPTIONS, random_state=seed).fit(features, truth)


def baseline_columns(n_features: int) -> dict[str, list[int]]:
    """Columns of `galaxy_core.star_galaxy_features.measure_features` that each baseline reads, by its name."""
    places = {name: place for place, name in enumerate(SHAPE_FEATURES)}
    return {
        "half-light radius and magnitude": [places[name] for name in SIZE_MAGNITUDE],
        "concentration and magnitude": [places[name] for name in CONCENTRATION_MAGNITUDE],
        "trees on shape": list(range(len(SHAPE_FEATURES))),
        "trees on the whole catalogue": list(range(n_features)),
    }


def baseline_scores(
    features: np.ndarray, truth: np.ndarray, learn: np.ndarray, told: np.ndarray, seed: int = 0
) -> dict[str, np.ndarray]:
    """Probability of being a galaxy of rows ``told`` by each baseline, which learned from rows ``learn``."""
    made = {}
    for name, columns in baseline_columns(features.shape[1]).items():
        trees = fit_trees(features[learn][:, columns], truth[learn], seed)
        made[name] = trees.predict_proba(features[told][:, columns])[:, 1]
    return made
