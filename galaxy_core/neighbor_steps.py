"""The step of the pipeline that finds neighbours: some thousand galaxies a shard, each looked for among all."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from galaxy_core import artifacts
from galaxy_core.artifacts.staging import Staging, Step, begin_step, fingerprint_of, finish_step
from galaxy_core.engine import Engine, Shard, Tell, check_whole, each, map_shards
from galaxy_core.image_steps import PIPELINE_VERSION, Progress, read_staged_embedding
from galaxy_core.similarity import neighbors_of_rows, row_shards, unit_vectors
from galaxy_core.steps import Embedded, classes_of
from galaxy_core.vectors import check_vectors, has_class


@dataclass(frozen=True)
class NeighborWork:
    """What a process has to know to find neighbours and to put them aside."""

    staging: Staging
    model: str
    name: str  # of the step
    k: int

    def part(self, start: int, stop: int) -> Path:
        """Where a shard's neighbours lie until all are found."""
        return self.staging.work / self.name / f"rows-{start:09d}-{stop:09d}.npz"


def make_all_neighbors(
    staging: Staging, galaxies: Embedded, embedded: list[Step], progress: Progress, engine: Engine | None = None
) -> list[Step]:
    """Neighbours in every embedding; ``galaxies`` has that of the first of the steps that embedded."""
    made = []
    for step in embedded:
        if step.name == "images":
            made.append(make_neighbors(staging, galaxies, "neighbors", progress, engine))
            continue
        model = step.name.removeprefix("embedding_")
        other = Embedded(galaxies.table, read_staged_embedding(staging, model), model, step.fingerprint)
        made.append(make_neighbors(staging, other, f"neighbors_{model}", progress, engine))
    return made


def make_neighbors(
    staging: Staging, galaxies: Embedded, name: str, progress: Progress, engine: Engine | None = None
) -> Step:
    """Twelve nearest neighbours of every galaxy; where there are classes, how often they are of the same class."""
    model, ids, total = galaxies.model, galaxies.table["galaxy_id"], len(galaxies.vectors)
    pattern = (artifacts.neighbors_file(model),)
    inputs = fingerprint_of(PIPELINE_VERSION, galaxies.fingerprint, model, artifacts.N_NEIGHBORS)
    step = begin_step(staging, name, inputs, pattern)
    if not step.done:
        started = time.perf_counter()
        check_vectors(galaxies.vectors, "Finding neighbours")
        there = replace(staging, root=staging.root.absolute(), manifest=None)
        work = NeighborWork(there, model, name, min(artifacts.N_NEIGHBORS, total - 1))
        index, similarity = _find(work, total, progress, engine)
        artifacts.write_neighbors(staging.root, staging.name, model, ids, index, similarity)
        agreement = _class_agreement(index, classes_of(galaxies.table))
        result = {"k": int(index.shape[1]), "class_agreement": agreement}
        finish_step(staging, step, pattern, result, time.perf_counter() - started)
    progress("neighbors", total, total)
    return step


def _find(work: NeighborWork, total: int, progress: Progress, engine: Engine | None) -> tuple[np.ndarray, np.ndarray]:
    """Rows and similarities, each (n, k); shards that an earlier run finished are not done again."""
    if work.k == 0:
        return np.empty((total, 0), np.int32), np.empty((total, 0), np.float32)
    rows = list(row_shards(total))
    missing = [(start, stop) for start, stop in rows if not work.part(start, stop).is_file()]
    done = total - sum(stop - start for start, stop in missing)
    progress("neighbors", done, total)
    shards = (Shard(f"neighbors of rows {a} to {b - 1}", (a, b), b - a) for a, b in missing)
    outcomes = map_shards(
        partial(each, write_shard),
        shards,
        partial(_load, work),
        engine,
        lambda n: progress("neighbors", done + int(n), total),
    )
    check_whole([outcome for outcome in outcomes if outcome.problem], len(rows))
    parts = []
    for start, stop in rows:
        with np.load(work.part(start, stop)) as stored:
            parts.append((stored["index"], stored["similarity"]))
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _load(work: NeighborWork) -> tuple[NeighborWork, np.ndarray]:
    """The setup: once in every process, all galaxies' directions."""
    return work, unit_vectors(read_staged_embedding(work.staging, work.model))


def write_shard(made: tuple[NeighborWork, np.ndarray], rows: tuple[int, int], tell: Tell) -> None:
    """Find the neighbours of a shard's galaxies and put them aside."""
    work, unit = made
    index, similarity = neighbors_of_rows(unit, *rows, work.k)
    with artifacts.atomic_path(work.part(*rows)) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, index=index, similarity=similarity)


def _class_agreement(index: np.ndarray, classes: np.ndarray | None) -> float | None:
    """Share of neighbours, both galaxies having a class, that are of the galaxy's own class."""
    if classes is None or index.shape[1] == 0:
        return None
    known = has_class(classes)
    both = known[index] & known[:, None]
    same = classes[index] == classes[:, None]
    return round(float(same[both].mean()), 6) if both.any() else None
