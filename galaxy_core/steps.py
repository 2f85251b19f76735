"""The steps of the pipeline that follow the images: maps, clusters and their scores, neighbours.

A fingerprint covers everything that goes into a step, that of the step before included, so a changed image, model, seed
or parameter redoes what depends on it and nothing else.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from galaxy_core import artifacts, clustering, projection
from galaxy_core.artifacts.staging import Staging, Step, begin_step, fingerprint_of, finish_step, save_step
from galaxy_core.comparison import measure_clustering
from galaxy_core.image_steps import PIPELINE_VERSION, Progress, read_staged_embedding
from galaxy_core.silhouette import measure_silhouettes
from galaxy_core.similarity import nearest_neighbors
from galaxy_core.splits import TRAIN
from galaxy_core.vectors import VectorError, has_class

EMBEDDING = "embedding"  # the name of the space every galaxy is embedded in


@dataclass(frozen=True)
class Embedded:
    """What the steps after the images work on.

    Attributes
    ----------
    table : pandas.DataFrame
        The catalog's table.
    vectors : ndarray of float32, shape (n_galaxies, n_features)
    model : str
        Its embedding.
    fingerprint : str
        Of the step that made it.
    """

    table: pd.DataFrame
    vectors: np.ndarray
    model: str
    fingerprint: str


def make_projections(staging: Staging, galaxies: Embedded, config, progress: Progress, asked=()) -> Step:
    """Every projection of the config; its record's result is ``{"projections": {...}, "notes": [...]}``.

    One that cannot be made is left out with a note, unless its name is in ``asked``.
    """
    inputs = fingerprint_of(PIPELINE_VERSION, galaxies.fingerprint, galaxies.model, config.seed, config.projections)
    step = begin_step(staging, "projections", inputs, ("projections.parquet",))
    classes = classes_of(galaxies.table)
    names = [n for n, p in config.projections.items() if p["method"] != "lda" or classes is not None]
    columns: dict = {"galaxy_id": galaxies.table["galaxy_id"]}
    result: dict = {"projections": {}, "notes": []}
    for done, name in enumerate(names if not step.done else ()):
        progress("projections", done, len(names))
        try:
            arrays, info = make_part(staging, step, name, partial(_project, galaxies, classes, config, name))
        except VectorError as error:
            if name in asked:
                raise
            result["notes"].append(f"The projection {name} was left out: {error}")
            continue
        columns |= {f"{name}_x": arrays["coordinates"][:, 0], f"{name}_y": arrays["coordinates"][:, 1]}
        result["projections"][name] = {"space": EMBEDDING, "model": galaxies.model, "seed": config.seed, **info}
    if not step.done:
        artifacts.write_table(staging.root, staging.name, "projections", pd.DataFrame(columns))
        finish_step(staging, step, ("projections.parquet",), result, 0.0)
    progress("projections", len(names), len(names))
    return step


def _project(galaxies: Embedded, classes: np.ndarray | None, config, name: str) -> tuple[dict, dict]:
    """One projection: coordinates, and method and parameters as used."""
    params = dict(config.projections[name])
    method = params.pop("method")
    check_params(projection.METHODS, method, params)
    if method == "lda":
        params |= {"classes": classes, "train_mask": (galaxies.table["split"] == TRAIN).to_numpy()}
    fitted = projection.fit_projection(method, galaxies.vectors, config.seed, **params)
    return {"coordinates": fitted.coordinates}, {"method": method, "params": fitted.params}


def make_space(staging: Staging, galaxies: Embedded, space: str, config) -> Step:
    """A space to cluster in, named ``<method>_<dimensions>``."""
    pattern = (artifacts.space_file(space),)
    inputs = fingerprint_of(PIPELINE_VERSION, galaxies.fingerprint, config.seed, space)
    step = begin_step(staging, f"space_{space}", inputs, pattern)
    if not step.done:
        started = time.perf_counter()
        method, _, n_components = space.rpartition("_")
        if not n_components.isdigit():
            raise VectorError(f"There is no space {space!r} to cluster in; choose embedding, umap_10 or pca_20.")
        fitted = projection.fit_projection(method, galaxies.vectors, config.seed, n_components=int(n_components))
        ids = galaxies.table["galaxy_id"]
        artifacts.write_space(staging.root, staging.name, space, ids, fitted.coordinates)
        result = plain({"method": method, "params": fitted.params})
        finish_step(staging, step, pattern, result, time.perf_counter() - started)
    return step


def make_clusters(staging: Staging, galaxies: Embedded, config, progress: Progress, asked=()) -> list[Step]:
    """Every clustering of the config with its scores; the last step's result is ``{"clusterings": .., "notes": ..}``.

    One that cannot be made leaves all galaxies unclustered, with a note, unless its name is in ``asked``.
    """
    names = list(config.clusterings)
    progress("clusters", 0, len(names))
    wanted = {settings["space"] for settings in config.clusterings.values()} - {EMBEDDING}
    spaces = {space: make_space(staging, galaxies, space, config) for space in sorted(wanted)}
    upstream = [galaxies.fingerprint, *(made.fingerprint for made in spaces.values())]
    step = begin_step(
        staging,
        "clusters",
        fingerprint_of(PIPELINE_VERSION, upstream, config.seed, config.clusterings),
        ("clusters.parquet",),
    )
    columns: dict = {"galaxy_id": galaxies.table["galaxy_id"]}
    result: dict = {"clusterings": {}, "notes": []}
    for done, name in enumerate(names if not step.done else ()):
        progress("clusters", done, len(names))
        settings = config.clusterings[name]
        cluster = partial(_cluster, staging, galaxies, settings, config.seed, name in asked)
        arrays, info = make_part(staging, step, name, cluster)
        columns |= {f"{name}_{key}": arrays[key] for key in ("label", "membership", "silhouette")}
        result["notes"] += [f"The clustering {name}: {note}" for note in info.pop("notes")]
        made_by = spaces[settings["space"]].result if settings["space"] in spaces else {}
        about = {"space": settings["space"], "space_params": made_by, "model": galaxies.model, "seed": config.seed}
        result["clusterings"][name] = {**about, **info}
    if not step.done:
        artifacts.write_table(staging.root, staging.name, "clusters", pd.DataFrame(columns))
        finish_step(staging, step, ("clusters.parquet",), result, 0.0)
    progress("clusters", len(names), len(names))
    return [*spaces.values(), step]


def _cluster(staging: Staging, galaxies: Embedded, settings: dict, seed: int, asked: bool) -> tuple[dict, dict]:
    """One clustering: per-galaxy columns, and method, parameters, scores and notes."""
    vectors, classes = galaxies.vectors, classes_of(galaxies.table)
    fitted_on = vectors
    if settings["space"] != EMBEDDING:
        stored = pq.read_table(staging.folder / artifacts.space_file(settings["space"]))
        fitted_on = artifacts.matrix_of(stored["coordinates"])
    method, params, notes = settings["method"], dict(settings.get("params", {})), []
    check_params(clustering.METHODS, method, params)
    try:
        fitted = clustering.fit_clustering(method, fitted_on, seed, **params)
        labels, membership, params = fitted.labels, fitted.membership, fitted.params
    except VectorError as error:
        if asked:
            raise
        labels, membership = np.full(len(vectors), clustering.UNCLUSTERED, np.int32), np.zeros(len(vectors), np.float32)
        notes.append(f"all galaxies are unclustered, because {error}")
    silhouettes = measure_silhouettes(fitted_on, labels, seed)
    scores = measure_clustering(fitted_on, vectors, labels, seed, classes, silhouettes)
    info = {"method": method, "params": params, "scores": plain(scores.as_dict()), "notes": notes}
    return {"label": labels, "membership": membership, "silhouette": silhouettes.values}, info


def make_all_neighbors(staging: Staging, galaxies: Embedded, embedded: list[Step], progress: Progress) -> list[Step]:
    """Neighbours in every embedding; ``galaxies`` has that of the first of the steps that embedded."""
    made = []
    for number, step in enumerate(embedded):
        progress("neighbors", number, len(embedded))
        if step.name == "images":
            made.append(make_neighbors(staging, galaxies, "neighbors"))
            continue
        model = step.name.removeprefix("embedding_")
        other = Embedded(galaxies.table, read_staged_embedding(staging, model), model, step.fingerprint)
        made.append(make_neighbors(staging, other, f"neighbors_{model}"))
    progress("neighbors", len(embedded), len(embedded))
    return made


def make_neighbors(staging: Staging, galaxies: Embedded, name: str) -> Step:
    """Twelve nearest neighbours of every galaxy; where there are classes, how often they are of the same class."""
    model, ids = galaxies.model, galaxies.table["galaxy_id"]
    pattern = (artifacts.neighbors_file(model),)
    inputs = fingerprint_of(PIPELINE_VERSION, galaxies.fingerprint, model, artifacts.N_NEIGHBORS)
    step = begin_step(staging, name, inputs, pattern)
    if not step.done:
        started = time.perf_counter()
        index, similarity = nearest_neighbors(galaxies.vectors, artifacts.N_NEIGHBORS)
        artifacts.write_neighbors(staging.root, staging.name, model, ids, index, similarity)
        agreement = _class_agreement(index, classes_of(galaxies.table))
        result = {"k": int(index.shape[1]), "class_agreement": agreement}
        finish_step(staging, step, pattern, result, time.perf_counter() - started)
    return step


def _class_agreement(index: np.ndarray, classes: np.ndarray | None) -> float | None:
    """Share of neighbours, both galaxies having a class, that are of the galaxy's own class."""
    if classes is None or index.shape[1] == 0:
        return None
    known = has_class(classes)
    both = known[index] & known[:, None]
    same = classes[index] == classes[:, None]
    return round(float(same[both].mean()), 6) if both.any() else None


def check_params(methods: dict, method: str, params: dict) -> None:
    """Raise `VectorError` for a method or a parameter that there is not."""
    if method not in methods:
        raise VectorError(f"There is no method {method!r}; choose one of {', '.join(methods)}.")
    known = inspect.signature(methods[method]).parameters.values()
    known = [parameter.name for parameter in known if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    for name in params:
        if name not in known:
            raise VectorError(f"{method} has no parameter {name!r}; it has {', '.join(known) or 'none'}.")


def classes_of(table: pd.DataFrame) -> np.ndarray | None:
    """The class column as objects, None where unknown; None where there are fewer than two classes."""
    if "class" not in table:
        return None
    classes = table["class"].astype(object).where(table["class"].notna(), None).to_numpy(dtype=object)
    return classes if len({c for c in classes if c is not None and c != ""}) >= 2 else None


def plain(value):
    """Numbers and lists that JSON can hold; what is not a number becomes null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return round(float(value), 8) if np.isfinite(value) else None
    return value


def make_part(staging: Staging, step: Step, name: str, make: Callable[[], tuple[dict, dict]]) -> tuple[dict, dict]:
    """Arrays and a description of one part of a step, made once: a resumed run reads what the killed one finished."""
    folder = staging.work / step.name
    arrays_path, info_path = folder / f"{name}.npz", folder / f"{name}.json"
    if info_path.is_file() and arrays_path.is_file():
        with np.load(arrays_path) as stored:
            return dict(stored), json.loads(info_path.read_text(encoding="utf-8"))
    started = time.perf_counter()
    arrays, info = make()
    info = plain(info)
    with artifacts.atomic_path(arrays_path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, **arrays)
    artifacts.write_json(info_path, info)
    step.seconds += time.perf_counter() - started
    save_step(staging, step)
    return arrays, info
