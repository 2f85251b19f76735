"""Galaxies that a map or a clustering was not fitted on: some thousand a shard, placed where the fit has them.

The fit goes to a file of arrays, from which every process that places reads it once, and each shard goes to a file of
its own. All of them lie beside the other parts of a step and are removed when the whole is written, so that a run that
was killed fits nothing again and places only who is not placed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from galaxy_core import artifacts
from galaxy_core.engine import HERE, Engine, Loaded, Shard, Tell, check_whole, each, map_shards
from galaxy_core.image_steps import Progress
from galaxy_core.placer import Fitted, Openers, PlaceOthers, Placer, place_rows, rows_to_place, shards_to_place

STEP = "placing"
"""What progress is told under."""


@dataclass(frozen=True)
class PlaceWork:
    """What a process has to know to place galaxies, and to put aside where they go.

    Attributes
    ----------
    folder : Path
        Of a step's parts.
    name : str
        Of what was fitted; it names the files.
    source : Path or None
        A file of the vectors, ``.npy``, where there is one already.
    openers : dict
        Functions that may place.
    """

    folder: Path
    name: str
    source: Path | None
    openers: Openers

    def file(self, ending: str) -> Path:
        """A file that is gone when all are placed."""
        return self.folder / f"{self.name}.{STEP}-{ending}"

    @property
    def fit(self) -> Path:
        """Where the fit lies."""
        return self.file("fit.npz")

    @property
    def vectors(self) -> Path:
        """Where the vectors lie for other processes."""
        return self.source or self.file("vectors.npy")

    def part(self, start: int, stop: int) -> Path:
        """Where a shard's places lie until all are found."""
        return self.file(f"{start:09d}-{stop:09d}.npz")


@dataclass(frozen=True)
class Ready:
    """What a process needs to place galaxies, made once in each."""

    work: PlaceWork
    placer: Placer
    vectors: np.ndarray
    sample: np.ndarray


def placing(
    folder: Path, name: str, source: Path | None, progress: Progress, engine: Engine | None = None
) -> PlaceOthers:
    """What `galaxy_core.projection.fit_projection` and `galaxy_core.clustering.fit_clustering` take as ``place``.

    Parameters
    ----------
    folder, name, source
        See `PlaceWork`.
    progress : callable
    engine : Engine, optional
        This process unless given.
    """
    return partial(_place, PlaceWork(folder.absolute(), name, source and source.absolute(), {}), progress, engine)


def _place(
    work: PlaceWork,
    progress: Progress,
    engine: Engine | None,
    fit: Callable[[], Fitted],
    vectors: np.ndarray,
    sample: np.ndarray,
    openers: Openers,
) -> tuple[Fitted, list[tuple[np.ndarray, ...]]]:
    """As `galaxy_core.placer.place_others`, but through files; what an earlier run left is not done again."""
    work = PlaceWork(work.folder, work.name, work.source, openers)
    if not work.fit.is_file():
        write_fit(work.fit, fit(), sample)
    fitted, _ = read_fit(work.fit, openers)
    if engine not in (None, HERE) and not work.vectors.is_file():
        _save(work.vectors, partial(np.save, arr=vectors))
    bounds = list(shards_to_place(len(vectors), sample))
    sizes = {rows: len(rows_to_place(*rows, sample)) for rows in bounds}
    missing = [rows for rows in bounds if not work.part(*rows).is_file()]
    total = sum(sizes.values())
    done = total - sum(sizes[rows] for rows in missing)
    progress(STEP, done, total)
    ready = Loaded(Ready(work, fitted.placer, vectors, sample), partial(_load, work))
    shards = (Shard(f"{work.name}, rows {a} to {b - 1}", (a, b), sizes[a, b]) for a, b in missing)
    outcomes = map_shards(
        partial(each, write_shard), shards, ready, engine, lambda n: progress(STEP, done + int(n), total)
    )
    check_whole([outcome for outcome in outcomes if outcome.problem], len(bounds))
    return fitted, [_read_part(work.part(*rows)) for rows in bounds]


def write_shard(ready: Ready, rows: tuple[int, int], tell: Tell) -> None:
    """Place a shard's galaxies and put aside where they go."""
    placed = place_rows(ready.placer, ready.vectors, ready.sample, *rows)
    _save(ready.work.part(*rows), lambda handle: np.savez(handle, *placed))


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what placing left behind, of one fit or of all, once the whole is written."""
    for path in folder.glob(f"*.{STEP}-*"):
        if name is None or path.name.startswith(f"{name}.{STEP}-"):
            path.unlink(missing_ok=True)


def write_fit(path: Path, fitted: Fitted, sample: np.ndarray) -> None:
    """Write a fit, the rows of its sample and its placer: arrays and JSON, nothing that runs when it is read."""
    about = {"open": fitted.placer.open.__name__, "about": fitted.about}
    arrays = {f"placer.{name}": np.asarray(value) for name, value in fitted.placer.arrays.items()}
    arrays |= {f"fit.{name}": np.asarray(value) for name, value in fitted.arrays.items()}
    text = json.dumps(about, default=lambda number: number.item())
    _save(path, lambda handle: np.savez(handle, about=np.array(text), sample=sample, **arrays))


def read_fit(path: Path, openers: Openers) -> tuple[Fitted, np.ndarray]:
    """What `write_fit` wrote: the fit, and the rows of its sample."""
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        arrays = {name: stored[name] for name in stored.files}
    placer, own = (
        {name.removeprefix(begin): value for name, value in arrays.items() if name.startswith(begin)}
        for begin in ("placer.", "fit.")
    )
    return Fitted(Placer(openers[about["open"]], lambda: placer), own, about["about"]), arrays["sample"]


def _load(work: PlaceWork) -> Ready:
    """The setup elsewhere: the fit from its file, the vectors mapped into memory."""
    fitted, sample = read_fit(work.fit, work.openers)
    return Ready(work, fitted.placer, np.load(work.vectors, mmap_mode="r"), sample)


def _save(path: Path, write: Callable) -> None:
    with artifacts.atomic_path(path) as temporary, open(temporary, "wb") as handle:
        write(handle)


def _read_part(path: Path) -> tuple[np.ndarray, ...]:
    with np.load(path, allow_pickle=False) as stored:
        return tuple(stored[name] for name in stored.files)
