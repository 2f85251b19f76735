"""Cluster over a range of a parameter, to see how many clusters there are and how much that depends on the choice.

Every fit is stored as soon as it is made, so a sweep that is stopped keeps what it has, and the same sweep goes on from
there.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core import artifacts, clustering, spaces
from galaxy_core.artifacts.staging import Staging, fingerprint_of, open_staging
from galaxy_core.cluster_steps import check_settings, classes_and_mask, sampled_of, scored_classes, space_fingerprint
from galaxy_core.comparison import measure_clustering
from galaxy_core.engine import Engine
from galaxy_core.errors import ArtifactError
from galaxy_core.image_steps import Progress, silent
from galaxy_core.place_steps import placing
from galaxy_core.placer import PlaceOthers, place_others
from galaxy_core.sampling import draw_sample
from galaxy_core.silhouette import measure_silhouettes
from galaxy_core.vectors import VectorError

N_REFERENCE = 5_000
"""Above so many clustered galaxies, silhouettes in a sweep use a reference sample of this size; its error is stored."""

LARGEST_SWEEP = 1_000
SWEEP = "sweep"
"""Folder of the parts of a fit that is being made, beside those of the steps."""

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?::(\d+))?")


def parse_values(text: str) -> list[int | float]:
    """The values of a sweep, each once: ``2..20``, ``100..500:50`` (in steps), ``50,100,200``, ``0.1,0.2``.

    Raises
    ------
    VectorError
        Not a list of numbers, empty, or longer than `LARGEST_SWEEP`.

    Examples
    --------
    >>> parse_values("2..5"), parse_values("10..30:10"), parse_values("0.5,2")
    ([2, 3, 4, 5], [10, 20, 30], [0.5, 2])
    """
    values: list[int | float] = []
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        try:
            if found is None:
                values.append(int(part) if re.fullmatch(r"\s*-?\d+\s*", part) else float(part))
                continue
            steps = range(int(found[1]), int(found[2]) + 1, int(found[3] or 1))
        except ValueError:
            raise VectorError(f"{text!r} is no list of values; write 2..20, 100..500:50 or 50,100,200.") from None
        values += steps[: LARGEST_SWEEP + 1]
    values = list(dict.fromkeys(values))
    if not 0 < len(values) <= LARGEST_SWEEP or not np.isfinite(values).all():
        raise VectorError(f"{text!r} is not 1 to {LARGEST_SWEEP:,} values; write 2..20, 100..500:50 or 50,100,200.")
    return values


def sweep(
    vectors: np.ndarray,
    method: str,
    parameter: str,
    values: Iterable[int | float],
    seeds: Sequence[int] = (0,),
    params: dict | None = None,
    classes: np.ndarray | None = None,
    sample: np.ndarray | None = None,
    place: PlaceOthers = place_others,
) -> Iterator[dict]:
    """Fit and score a clustering for every value and seed; yields one at a time.

    Parameters
    ----------
    vectors : array, shape (n_galaxies, n_features)
        In the space that is clustered.
    method, parameter : str
    values : iterable of numbers
    seeds : sequence of int
    params : dict, optional
        The method's other parameters.
    classes : array of str or None, shape (n_galaxies,), optional
    sample : int array, shape (n_sample,), optional
        Rows to fit on; see `galaxy_core.clustering.fit_clustering`.
    place : callable
        See there, too.

    Yields
    ------
    dict
        The columns of `galaxy_core.artifacts.read_sweeps` from ``method`` to ``params``; for a value no clustering can
        be made with, ``failed`` with the reason instead of the scores.
    """
    params = dict(params or {})
    clustering.check_params(clustering.METHODS, method, {**params, parameter: None}, "clustering method")
    for value in values:
        for seed in seeds:
            row = {"method": method, "parameter": parameter, "value": float(value), "seed": int(seed)}
            row["params"] = json.dumps(params, sort_keys=True)
            started = time.perf_counter()
            settings = {**params, parameter: value}
            try:
                fitted = clustering.fit_clustering(method, vectors, seed, sample=sample, place=place, **settings)
            except VectorError as error:
                yield row | {"failed": str(error)}
                continue
            seconds = time.perf_counter() - started
            yield row | _scores(vectors, fitted, seed, classes) | {"seconds": seconds}


def _scores(vectors: np.ndarray, fitted: clustering.Clustering, seed: int, classes: np.ndarray | None) -> dict:
    silhouettes = measure_silhouettes(vectors, fitted.labels, seed, N_REFERENCE)
    scores = measure_clustering(vectors, vectors, fitted.labels, seed, classes, silhouettes, fitted.method)
    low, high = scores.fitted_space.strict_interval
    return {
        "n_clusters": scores.n_clusters,
        "coverage": scores.coverage,
        "strict": scores.fitted_space.strict,
        "strict_low": low,
        "strict_high": high,
        "clustered": scores.fitted_space.clustered,
        "n_reference": scores.fitted_space.n_reference,
        "inertia": fitted.measures.get("inertia"),
        "bic": fitted.measures.get("bic"),
        "dbcv": scores.dbcv,
        "ami": scores.ami,
        "ari": scores.ari,
    }


def run_sweep(
    root: str | Path,
    name: str,
    settings: dict,
    parameter: str,
    values: Sequence[int | float],
    seeds: Sequence[int] = (),
    progress: Progress = silent,
    engine: Engine | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Sweep over a published catalog; every fit goes to its table of sweeps, and none is made twice.

    Parameters
    ----------
    settings : dict
        ``{"method", "space", "params"?}``.
    seeds : sequence of int
        Of the method; the catalog's own seed unless given. The space is always that of the catalog's seed.
    engine : Engine, optional
        Places the galaxies that are not fitted on.

    Returns
    -------
    fits : pandas.DataFrame
        The rows of this sweep, by value and seed.
    notes : list of str
        A sentence for each value no clustering can be made with.

    Raises
    ------
    GalaxyError
        Unknown settings, unusable artifacts, another run at work on the catalog, or no value worked.
    """
    method, space, params = settings["method"], settings["space"], settings.get("params", {})
    with open_staging(root, name) as staging:
        manifest = artifacts.read_manifest(root, name)
        seeds = list(dict.fromkeys(seeds)) or [manifest.seed]
        table = artifacts.read_table(root, name, "catalog")
        check_settings({**settings, "params": {**params, parameter: 1}}, classes_and_mask(table)[0] is not None)
        about = {"space": space, "source": artifacts.sweep_source(manifest)}
        query = {**about, "method": method, "parameter": parameter, "params": json.dumps(params, sort_keys=True)}
        made = _matching(artifacts.read_sweeps(root, name), query, values, seeds)
        missing = [(v, s) for v in values for s in seeds if not ((made["value"] == v) & (made["seed"] == s)).any()]
        done, notes, total = len(made), [], len(values) * len(seeds)
        progress("sweep", done, total)
        parts = partial(_parts, staging, query, progress, engine)
        sample = _sample(root, manifest) if missing else None
        vectors = _space(root, manifest, space, table, sample, parts) if missing else np.empty((0, 1), np.float32)
        classes = scored_classes(table, space)
        for value, seed in missing:
            place = parts(value, seed)
            for row in sweep(vectors, method, parameter, [value], [seed], params, classes, sample, place):
                if "failed" in row:
                    notes.append(f"{parameter} = {value:g} was left out: {row['failed']}")
                else:
                    artifacts.append_sweep(root, name, [row | about])
            done += 1
            progress("sweep", done, total)
            shutil.rmtree(staging.work / SWEEP, ignore_errors=True)
        for folder in (staging.work, staging.folder):
            with suppress(OSError):  # there may be what a killed run of other steps left
                folder.rmdir()
        found = _matching(artifacts.read_sweeps(root, name), query, values, seeds)
    if not len(found):
        raise VectorError(f"No value of {parameter} gives a clustering: {notes[0].partition(': ')[2]}")
    return found.sort_values(["value", "seed"], ignore_index=True), notes


def _matching(fits: pd.DataFrame, query: dict, values: Sequence, seeds: Sequence[int]) -> pd.DataFrame:
    """The fits of one sweep among all."""
    same = np.logical_and.reduce([fits[key] == value for key, value in query.items()])
    return fits[same & fits["value"].isin(values) & fits["seed"].isin(seeds)]


def _parts(staging: Staging, query: dict, progress: Progress, engine: Engine | None, *of: object) -> PlaceOthers:
    """How galaxies of a fit are placed; ``of`` tells it from the others of the sweep."""
    return placing(staging.work / SWEEP, fingerprint_of(query, of)[:16], None, progress, engine)


def _sample(root: str | Path, manifest: artifacts.Manifest) -> np.ndarray | None:
    """Rows to fit on: those that the catalog's clusterings were, drawn in the embedding whatever the space."""
    if not sampled_of(manifest):
        return None
    _, embedding = artifacts.read_embedding(root, manifest.name, manifest.model)
    return draw_sample(embedding, manifest.config["fit_limit"], manifest.seed)


def _space(
    root: str | Path,
    manifest: artifacts.Manifest,
    space: str,
    table: pd.DataFrame,
    sample: np.ndarray | None,
    parts: Callable[..., PlaceOthers],
) -> np.ndarray:
    """The vectors of a space: as published where they were made of this embedding, else made now."""
    step = manifest.config.get("steps", {}).get("images", {})
    stored = manifest.config.get("steps", {}).get(f"space_{space}", {})
    if stored and stored["fingerprint"] == space_fingerprint(
        step.get("fingerprint"), manifest.seed, space, sampled_of(manifest)
    ):
        try:
            return artifacts.read_space(root, manifest.name, space)
        except ArtifactError:
            pass  # made again from the embedding
    _, embedding = artifacts.read_embedding(root, manifest.name, manifest.model)
    place_stage = partial(parts, "space")
    return spaces.fit_space(space, embedding, manifest.seed, *classes_and_mask(table), sample, place_stage).vectors
