"""The steps of the pipeline that cluster: the spaces, and every clustering with its scores.

A clustering whose inputs are what they were is taken over from what is published, so that one more costs one fit. Its
settings are a dictionary::

    {"method", "space", "params"?, "seed"?, "stability"?, "redraws"?, "null"?}

``stability`` is the number of refits on bootstrap samples in the space as it is (0 for none), ``redraws`` that of
refits for which the space is made anew from each sample, ``null`` that of draws of each kind of data without groups on
which the same is tried (``true``, as older catalogs have it, is one).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core import artifacts, clustering, spaces
from galaxy_core.artifacts.files import sha256_of_file
from galaxy_core.artifacts.staging import Staging, Step, begin_step, fingerprint_of, finish_step
from galaxy_core.cluster_trials import Trials, classes_and_mask
from galaxy_core.comparison import measure_clustering
from galaxy_core.engine import Engine
from galaxy_core.image_steps import PIPELINE_VERSION, Progress
from galaxy_core.place_steps import placing, remove_parts
from galaxy_core.placer import PlaceOthers
from galaxy_core.silhouette import measure_silhouettes
from galaxy_core.spaces import EMBEDDING
from galaxy_core.splits import TRAIN
from galaxy_core.stability import DRAWN, WITHOUT_GROUPS
from galaxy_core.steps import Embedded, classes_of, make_part, plain, vectors_file
from galaxy_core.vectors import VectorError

COLUMNS = ("label", "membership", "silhouette")


def make_clusters(
    staging: Staging, galaxies: Embedded, config, progress: Progress, asked=(), engine: Engine | None = None
) -> list[Step]:
    """Every clustering of the config, scored; the last step's result is ``{"clusterings", "notes", "made_of"}``.

    One that cannot be made, or that finds no cluster, leaves all galaxies unclustered, with a note, unless its name is
    in ``asked``: then it is an error. One whose space needs classes is left out while the catalog has none. Galaxies
    that are not fitted on are placed by ``engine``.
    """
    has_classes = classes_of(galaxies.table) is not None
    chosen, left_out = {}, []
    for name, settings in config.clusterings.items():
        if not has_classes and name not in asked and spaces.uses_classes(settings["space"]):
            left_out.append(name)
            continue
        check_settings(settings, has_classes)
        chosen[name] = settings
    names = list(chosen)
    progress("clusters", 0, len(names))
    wanted = {settings["space"] for settings in chosen.values()} - {EMBEDDING}
    made = {space: make_space(staging, galaxies, space, config.seed, progress, engine) for space in sorted(wanted)}
    made_of = {
        name: fingerprint_of(
            PIPELINE_VERSION,
            made[settings["space"]].fingerprint if settings["space"] in made else galaxies.fingerprint,
            galaxies.fingerprint,
            {"seed": config.seed, **settings},
            *([DRAWN] if settings.get("stability") or settings.get("redraws") else []),
            *([WITHOUT_GROUPS] if settings.get("null") else []),
            *([list(galaxies.answer_columns)] if galaxies.answer_columns else []),
            *galaxies.sampled,
        )
        for name, settings in chosen.items()
    }
    ids = [] if made_of else [galaxies.fingerprint]  # which the table lists, with or without clusterings
    inputs = fingerprint_of(galaxies.model, made_of, *([left_out] if left_out else []), *ids)
    step = begin_step(staging, "clusters", inputs, ("clusters.parquet",))
    columns: dict = {"galaxy_id": galaxies.table["galaxy_id"]}
    result: dict = {"clusterings": {}, "notes": [], "made_of": made_of}
    for name in left_out:
        space = config.clusterings[name]["space"]
        why = f"its space {space} separates known classes, and this catalog has none"
        result["notes"].append(f"The clustering {name} was left out: {why}.")
    published = {} if step.done else _published(staging, made_of)
    nulls: dict = {}
    for done, name in enumerate(names if not step.done else ()):
        progress("clusters", done, len(names))
        settings = {"seed": config.seed, **chosen[name]}
        about = made[settings["space"]].result if settings["space"] in made else {}
        trials = Trials(galaxies.of_sample(), settings, config.seed, nulls, progress)
        parts, in_file = staging.work / step.name, settings["space"] == EMBEDDING
        source = vectors_file(staging, galaxies.model) if in_file else None
        place = placing(parts, name, source, progress, engine)
        cluster = partial(_cluster, staging, galaxies, trials, about, name in asked, place)
        if name in published:
            cluster = partial(published.get, name)
        arrays, info = make_part(staging, step, name, cluster)
        remove_parts(parts, name)
        columns |= {f"{name}_{key}": arrays[key] for key in COLUMNS}
        result["notes"] += [_told(name, info["method"], note) for note in info["notes"]]
        result["clusterings"][name] = info
    if not step.done:
        artifacts.write_table(staging.root, staging.name, "clusters", pd.DataFrame(columns))
        finish_step(staging, step, ("clusters.parquet",), result, 0.0)
    progress("clusters", len(names), len(names))
    return [*made.values(), step]


def make_space(
    staging: Staging, galaxies: Embedded, space: str, seed: int, progress: Progress, engine: Engine | None = None
) -> Step:
    """A space to cluster in, stored; its record's result says how it was made."""
    pattern = (artifacts.space_file(space),)
    step = begin_step(
        staging, f"space_{space}", space_fingerprint(galaxies.fingerprint, seed, space, galaxies.sampled), pattern
    )
    if not step.done:
        started = time.perf_counter()
        parts, source = staging.work / step.name, vectors_file(staging, galaxies.model)

        def place_stage(number: int) -> PlaceOthers:
            return placing(parts, f"stage_{number}", None if number else source, progress, engine)

        made = spaces.fit_space(
            space, galaxies.vectors, seed, *classes_and_mask(galaxies.table), galaxies.sample, place_stage
        )
        artifacts.write_space(staging.root, staging.name, space, galaxies.table["galaxy_id"], made.vectors)
        finish_step(staging, step, pattern, plain(made.about), time.perf_counter() - started)
        remove_parts(parts)
    return step


def space_fingerprint(embedded: str, seed: int, space: str, sampled: Sequence[int] = ()) -> str:
    """Of everything that goes into a space.

    ``embedded`` is the fingerprint of the step that made the embedding, ``sampled`` what `Embedded.sampled` says.
    """
    return fingerprint_of(PIPELINE_VERSION, embedded, seed, space, *sampled)


def sampled_of(manifest: artifacts.Manifest) -> list[int]:
    """What `Embedded.sampled` said when a catalog was made."""
    limit = manifest.config.get("fit_limit", 0)
    return [limit] if 0 < limit < manifest.n_galaxies else []


def check_settings(settings: dict, has_classes: bool) -> None:
    """Raise `VectorError` for settings no clustering can be made with, before anything is computed."""
    params = {name: value for name, value in settings.get("params", {}).items() if value is not None}
    clustering.check_params(clustering.METHODS, settings["method"], params, "clustering method")
    if settings.get("redraws") and settings["space"] == EMBEDDING:
        raise VectorError(
            "The embedding itself is not made anew, so there is nothing to redraw: ask for its stability, or choose "
            "another space, such as umap_10."
        )
    if spaces.uses_classes(settings["space"]) and not has_classes:
        raise VectorError(
            f"The space {settings['space']} separates known classes, but this catalog has none; choose embedding, "
            "pca_20 or umap_10."
        )


def scored_classes(table: pd.DataFrame, space: str) -> np.ndarray | None:
    """The classes a clustering is compared with: in a space made by LDA, only those it did not learn from."""
    classes, train_mask = classes_and_mask(table)
    if classes is None or not spaces.uses_classes(space):
        return classes
    return np.where(train_mask, None, classes)


def votes_of(galaxies: Embedded, space: str) -> dict[str, np.ndarray]:
    """Columns of votes that a clustering is compared with; in a space made by LDA, as `scored_classes`."""
    left_out = (galaxies.table["split"] == TRAIN).to_numpy() & spaces.uses_classes(space)
    columns = {name: galaxies.table[name] for name in galaxies.answer_columns if name in galaxies.table}
    return {
        name: np.where(left_out, np.nan, column.to_numpy(dtype=np.float64, na_value=np.nan))
        for name, column in columns.items()
    }


def _told(name: str, method: str, note: str) -> str:
    """What a method notes, as a sentence on the clustering that it made.

    Examples
    --------
    >>> _told("hdbscan", "hdbscan", "hdbscan found no cluster"), _told("k", "kmeans", "two galaxies alone")
    ('The clustering hdbscan found no cluster', 'The clustering k: two galaxies alone')
    """
    own = note.removeprefix(f"{method} ")
    return f"The clustering {name}: {note}" if own == note else f"The clustering {name} {own}"


def _published(staging: Staging, made_of: dict) -> dict[str, tuple[dict, dict]]:
    """Columns and descriptions of the clusterings that are published and were made of the same."""
    manifest = staging.manifest
    known = (manifest.config.get("steps", {}).get("clusters", {}).get("result") or {}) if manifest else {}
    same = [name for name, made in made_of.items() if known.get("made_of", {}).get(name) == made]
    path = staging.published / artifacts.table_file("clusters")
    if not same or not path.is_file() or sha256_of_file(path) != manifest.files.get(path.name, {}).get("sha256"):
        return {}
    try:
        table = pq.read_table(path, columns=[f"{name}_{key}" for name in same for key in COLUMNS])
    except (pa.ArrowException, OSError):
        return {}
    arrays = {name: {key: table[f"{name}_{key}"].to_numpy() for key in COLUMNS} for name in same}
    return {name: (arrays[name], known["clusterings"][name]) for name in same}


def _cluster(
    staging: Staging, galaxies: Embedded, trials: Trials, about: dict, asked: bool, place: PlaceOthers
) -> tuple[dict, dict]:
    """One clustering: per-galaxy columns, and everything the manifest says of it."""
    settings = trials.settings
    vectors, space, seed, method = galaxies.vectors, settings["space"], settings["seed"], settings["method"]
    fitted_on, notes = vectors, []
    if space != EMBEDDING:
        fitted_on = artifacts.matrix_of(pq.read_table(staging.folder / artifacts.space_file(space))["coordinates"])
    try:
        fitted = clustering.fit_clustering(
            method, fitted_on, seed, sample=galaxies.sample, place=place, **settings.get("params", {})
        )
    except VectorError as error:
        if asked:
            raise
        notes.append(f"{clustering.BECAUSE}{error}")
        nobody = np.full(len(vectors), clustering.UNCLUSTERED, np.int32)
        fitted = clustering.Clustering(nobody, np.zeros(len(vectors), np.float32), method, settings.get("params", {}))
    if asked and fitted.n_clusters == 0:
        raise VectorError(
            f"{method} found no cluster among the {len(vectors):,} galaxies in the space {space}; ask for smaller "
            "clusters, fewer neighbours (min_samples) or another space."
        )
    silhouettes = measure_silhouettes(fitted_on, fitted.labels, seed)
    classes, votes = scored_classes(galaxies.table, space), votes_of(galaxies, space)
    scores = measure_clustering(fitted_on, vectors, fitted.labels, seed, classes, silhouettes, method, votes).as_dict()
    if classes is not None and spaces.uses_classes(space):
        notes.append("agreement with the classes is over the galaxies that LDA did not learn from")
    if fitted.n_clusters:
        scores |= trials.measure(*_sampled(fitted, fitted_on, galaxies.sample))
    info = {"method": method, "space": space, "space_params": about, "model": galaxies.model, "seed": seed}
    info |= {"params": fitted.params, "scores": scores, "measures": fitted.measures}
    arrays = {"label": fitted.labels, "membership": fitted.membership, "silhouette": silhouettes.values}
    return arrays, plain({**info, "notes": [*fitted.notes, *notes]})


def _sampled(fitted: clustering.Clustering, fitted_on: np.ndarray, sample: np.ndarray | None) -> tuple:
    """A clustering and its space, of the galaxies it was fitted on: what it is put to is put to these."""
    return (fitted, fitted_on) if sample is None else (replace(fitted, labels=fitted.labels[sample]), fitted_on[sample])
