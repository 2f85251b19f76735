"""What a clustering of the pipeline is put to: refits on bootstrap samples, the space made anew, and the null.

`galaxy_core.stability` has the tests themselves; here is how a clustering with its settings is refitted for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from galaxy_core import clustering, spaces
from galaxy_core.image_steps import Progress
from galaxy_core.silhouette import measure_silhouettes
from galaxy_core.splits import TRAIN
from galaxy_core.stability import (
    NULL_REFERENCE,
    Fit,
    draws_of,
    measure_null,
    measure_stability,
    refit_of,
    summarise_null,
)
from galaxy_core.steps import Embedded, classes_of


@dataclass(frozen=True)
class Trials:
    """One clustering and how to fit it again.

    Attributes
    ----------
    galaxies : Embedded
    settings : dict
        As in `galaxy_core.cluster_steps`, with its seed.
    space_seed : int
        Of the space that was clustered.
    nulls : dict
        Spaces made of data without groups, by space and seed: several clusterings in one space need it once.
    progress : callable
        ``progress("redraws", done, total)`` while the space is made anew.
    """

    galaxies: Embedded
    settings: dict
    space_seed: int
    nulls: dict = field(default_factory=dict)
    progress: Progress = lambda step, done, total: None

    def measure(self, fitted: clustering.Clustering, fitted_on: np.ndarray) -> dict:
        """``stability``, ``stability_redrawn`` and ``null``, those that the settings ask for.

        Parameters
        ----------
        fitted : Clustering
            Of all galaxies.
        fitted_on : array, shape (n_galaxies, n_fitted)
            The space it was fitted in.
        """
        measured: dict = {}
        method, space, seed = self.settings["method"], self.settings["space"], self.settings["seed"]
        params = self._again(fitted)
        refit = refit_of(method, params, len(fitted.labels))
        about = {"space": space, "params": params}
        if n_refits := self.settings.get("stability", 0):
            found = measure_stability(refit, fitted_on, fitted.labels, seed, n_refits)
            measured["stability"] = {**found, **about}
        if n_redraws := self.settings.get("redraws", 0):
            rows = np.arange(len(fitted.labels), dtype=np.float32)[:, None]  # whole numbers up to 2**24 are exact
            found = measure_stability(self._redraw(refit, n_redraws), rows, fitted.labels, seed, n_redraws)
            measured["stability_redrawn"] = {**found, **about}
        if n_draws := int(self.settings.get("null", 0)):
            measured["null"] = self._measure_null(params, seed, n_draws)
        return measured

    def _again(self, fitted: clustering.Clustering) -> dict:
        """The parameters as used, without what was read from the galaxies: that is read again, wherever a fit is."""
        asked = self.settings.get("params", {})
        return {name: value for name, value in fitted.params.items() if name != "eps" or asked.get(name) is not None}

    def _measure_null(self, params: dict, seed: int, n_draws: int) -> dict:
        """`measure_null`, each draw with the strict silhouette of what is found in the drawn embedding itself."""
        inside: dict[int, float] = {}

        def fit(embedding: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
            vectors = self._null_space(embedding, seed)
            labels = clustering.fit_clustering(self.settings["method"], vectors, seed, **params).labels
            if self.settings["space"] != spaces.EMBEDDING:
                values = measure_silhouettes(embedding, labels, seed, NULL_REFERENCE).values
                inside[seed] = float(values.mean(dtype=np.float64))
            return vectors, labels

        each = measure_null(fit, self.galaxies.vectors, seed, n_draws)["each"]
        for found, (_, draw_seed) in zip(each, draws_of(seed, n_draws), strict=True):
            found["strict_embedding"] = inside.get(draw_seed, found["strict"])
        return summarise_null(each)

    def _redraw(self, refit: Fit, n_redraws: int) -> Fit:
        """A refit that gets the rows of the galaxies drawn, and makes their space anew."""
        classes, train_mask = classes_and_mask(self.galaxies.table)
        done = 0

        def fit(drawn: np.ndarray, seed: int) -> np.ndarray:
            nonlocal done
            self.progress("redraws", done, n_redraws)
            rows = drawn[:, 0].astype(np.int64)
            known = None if classes is None else classes[rows]
            made = spaces.fit_space(self.settings["space"], self.galaxies.vectors[rows], seed, known, train_mask[rows])
            labels = refit(made.vectors, seed)
            done += 1
            self.progress("redraws", done, n_redraws)
            return labels

        return fit

    def _null_space(self, embedding: np.ndarray, seed: int) -> np.ndarray:
        """The space of a draw of the null."""
        space = self.settings["space"]
        if (space, seed) not in self.nulls:
            made = spaces.fit_space(space, embedding, self.space_seed, *classes_and_mask(self.galaxies.table))
            self.nulls[space, seed] = made.vectors
        return self.nulls[space, seed]


def classes_and_mask(table: pd.DataFrame) -> tuple[np.ndarray | None, np.ndarray]:
    """The classes, None where there are none, and which galaxies may be learned from."""
    return classes_of(table), (table["split"] == TRAIN).to_numpy()
