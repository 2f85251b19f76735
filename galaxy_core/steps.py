"""The steps of the pipeline that follow the images: maps, and what all such steps share.

Neighbours and clusters have modules of their own, `galaxy_core.neighbor_steps` and `galaxy_core.cluster_steps`. A
fingerprint covers everything that goes into a step, that of the step before included, so a changed image, model, seed
or parameter redoes what depends on it and nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from galaxy_core import artifacts, projection
from galaxy_core.artifacts.staging import Staging, Step, begin_step, fingerprint_of, finish_step, save_step
from galaxy_core.clustering import check_params
from galaxy_core.engine import Engine
from galaxy_core.image_steps import PIPELINE_VERSION, Progress, read_staged_embedding
from galaxy_core.map_keeping import KeptMaps, inputs_keeping
from galaxy_core.place_steps import placing, remove_parts
from galaxy_core.placer import PlaceOthers, place_others
from galaxy_core.sampling import draw_sample
from galaxy_core.spaces import EMBEDDING
from galaxy_core.splits import TRAIN
from galaxy_core.vectors import VectorError


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
    answer_columns : tuple of str
        Columns of ``table`` that hold votes.
    sample : int array, shape (n_sample,), or None
        Rows that maps and clusterings are fitted on; None for all (`galaxy_core.sampling`).
    """

    table: pd.DataFrame
    vectors: np.ndarray
    model: str
    fingerprint: str
    answer_columns: tuple[str, ...] = ()
    sample: np.ndarray | None = None

    @property
    def sampled(self) -> list[int]:
        """What a sample adds to the fingerprints of steps that fit on it; nothing where all galaxies are fitted on."""
        return [] if self.sample is None else [len(self.sample)]

    def of_sample(self) -> Embedded:
        """The galaxies that are fitted on."""
        if self.sample is None:
            return self
        table = self.table.iloc[self.sample].reset_index(drop=True)
        return replace(self, table=table, vectors=np.asarray(self.vectors[self.sample]), sample=None)


def read_embedded(staging: Staging, manifest: artifacts.Manifest, table: pd.DataFrame, config, made: str) -> Embedded:
    """The galaxies of a staging folder with the embedding of the manifest's model, and the sample to fit on.

    ``made`` is the fingerprint of the step that embedded.
    """
    vectors = read_vectors(staging, manifest.model, len(table), config.fit_limit)
    sample = draw_sample(vectors, config.fit_limit, config.seed)
    return Embedded(table, vectors, manifest.model, made, tuple(manifest.answer_columns), sample)


def read_vectors(staging: Staging, model: str, n_galaxies: int, fit_limit: int) -> np.ndarray:
    """The embedding, float32 (n, d): in memory, or, of more galaxies than are fitted on, as one file mapped into it."""
    if not 0 < fit_limit < n_galaxies:
        return read_staged_embedding(staging, model)
    path, start, mapped = vectors_file(staging, model), 0, None
    path.parent.mkdir(parents=True, exist_ok=True)
    for part in sorted((staging.folder / "embedding" / model).glob("part-*.parquet")):
        piece = artifacts.matrix_of(pq.read_table(part, columns=["embedding"])["embedding"])
        if mapped is None:
            mapped = np.lib.format.open_memmap(path, "w+", piece.dtype, (n_galaxies, piece.shape[1]))
        mapped[start : start + len(piece)] = piece
        start += len(piece)
    mapped.flush()
    return np.load(path, mmap_mode="r")


def vectors_file(staging: Staging, model: str) -> Path:
    """Where the embedding lies as one file, of more galaxies than are fitted on."""
    return staging.work / f"vectors_{model}.npy"


def make_projections(
    staging: Staging,
    galaxies: Embedded,
    config,
    progress: Progress,
    asked=(),
    engine: Engine | None = None,
    keep: bool = False,
) -> Step:
    """Every projection of the config; its record's result is ``{"projections": {...}, "notes": [...]}``.

    One that cannot be made is left out with a note, unless its name is in ``asked``. Galaxies that are not fitted on
    are placed by ``engine``. Those that are published, of the same galaxies and asked for as they were, are taken over.
    With ``keep`` these are kept, too, where galaxies have come or gone (`galaxy_core.map_keeping`), and ``kept`` in the
    result is the fingerprint of the step that they are of.
    """
    made_of, kept = _made_of(galaxies, config, config.projections), ""
    inputs = fingerprint_of(*made_of)
    if keep:
        inputs, kept = inputs_keeping(staging.manifest, *made_of)
    step = begin_step(staging, "projections", inputs, ("projections.parquet",))
    classes = classes_of(galaxies.table)
    if not step.done:
        _make_maps(staging, step, galaxies, classes, config, progress, asked, engine, kept)
        return step
    for name in asked:
        if name in config.projections and name not in step.result["projections"]:
            _project(galaxies, classes, config, name, place_others)  # says why there is none
    progress("projections", len(config.projections), len(config.projections))
    return step


def _made_of(galaxies: Embedded, config, settings: dict | None) -> tuple:
    return (PIPELINE_VERSION, galaxies.fingerprint, galaxies.model, config.seed, settings, *galaxies.sampled)


def _make_maps(
    staging: Staging,
    step: Step,
    galaxies: Embedded,
    classes: np.ndarray | None,
    config,
    progress: Progress,
    asked,
    engine: Engine | None,
    kept: str,
) -> None:
    """The work of `make_projections`; ``kept`` is the fingerprint of maps to keep, where some are."""
    columns: dict = {"galaxy_id": galaxies.table["galaxy_id"]}
    maps = KeptMaps(staging, galaxies.model, columns["galaxy_id"], galaxies.vectors, config.projections)
    result: dict = {"projections": {}, "notes": []} | ({"kept": kept} if kept else {})
    if kept:
        maps.check()
    published = staging.manifest.config.get("projections") if staging.manifest else None
    stay = maps.made if kept or maps.are_made_of(*_made_of(galaxies, config, published)) else ()
    may_be = classes is not None
    names = [n for n, p in config.projections.items() if p["method"] != "lda" or may_be or n in asked or n in stay]
    parts, source = staging.work / step.name, vectors_file(staging, galaxies.model)
    for done, name in enumerate(names):
        progress("projections", done, len(names))
        place = placing(parts, name, source, progress, engine)
        make = partial(_project, galaxies, classes, config, name, place)
        if name in stay:
            make = partial(maps.place, name, place) if kept else partial(maps.as_it_is, name)
        try:
            arrays, info = make_part(staging, step, name, make)
        except VectorError as error:
            if name in asked:
                raise
            result["notes"].append(f"The projection {name} was left out: {error}")
            continue
        remove_parts(parts, name)
        columns |= {f"{name}_x": arrays["coordinates"][:, 0], f"{name}_y": arrays["coordinates"][:, 1]}
        columns |= {f"{name}_placed": arrays["placed"]} if "placed" in arrays else {}
        result["projections"][name] = {"space": EMBEDDING, "model": galaxies.model, "seed": config.seed, **info}
    artifacts.write_table(staging.root, staging.name, "projections", pd.DataFrame(columns))
    finish_step(staging, step, ("projections.parquet",), result, 0.0)
    progress("projections", len(names), len(names))


def _project(
    galaxies: Embedded, classes: np.ndarray | None, config, name: str, place: PlaceOthers
) -> tuple[dict, dict]:
    """One projection: coordinates, and method and parameters as used."""
    params = dict(config.projections[name])
    method = params.pop("method")
    check_params(projection.METHODS, method, params)
    if method == "lda":
        params |= {"classes": classes, "train_mask": (galaxies.table["split"] == TRAIN).to_numpy()}
    params |= {"sample": galaxies.sample, "place": place}
    fitted = projection.fit_projection(method, galaxies.vectors, config.seed, **params)
    return {"coordinates": fitted.coordinates}, {"method": method, "params": fitted.params}


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
