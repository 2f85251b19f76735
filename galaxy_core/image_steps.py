"""The steps of the pipeline that read images: which galaxies there are, what they look like, where they lie.

A step whose record carries the same fingerprint is not done again; see `galaxy_core.artifacts.staging`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from galaxy_core import artifacts
from galaxy_core.artifacts.staging import Staging, Step, begin_step, fingerprint_of, finish_step, save_step
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.catalogs.parts import CatalogPart, ids_and_images, take_images
from galaxy_core.counting import count
from galaxy_core.embedding import Embedder, ImageSettings, embed_shards, n_shards, shards_of
from galaxy_core.engine import Engine, Shard, Tell, check_whole, map_shards
from galaxy_core.errors import CatalogError, GalaxyError, StorageError
from galaxy_core.image_reuse import (
    UNKNOWN,
    StoredShards,
    drop_new,
    find_published,
    folder_of_new,
    ids_in,
    image_states,
    put_together,
)
from galaxy_core.places import Place, place_of
from galaxy_core.splits import split_of

PIPELINE_VERSION = 1  # goes into every fingerprint: raise it when a step gives other results for the same input
_MAX_IDS_NAMED = 5
Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and of how much."""


def silent(step: str, done: int, total: int) -> None:
    """No progress wanted."""


def limit_catalog(catalog: Catalog, limit: int, seed: int) -> Catalog:
    """``limit`` galaxies of a catalog, drawn at random and kept in its order; all of them where ``limit`` is 0."""
    if not 0 < limit < len(catalog):
        return catalog
    rows = np.sort(np.random.default_rng(seed).choice(len(catalog), limit, replace=False))
    table = catalog.table.iloc[rows].reset_index(drop=True)
    return replace(catalog, table=table, load_image=take_images(catalog.load_image, rows))


def catalog_fingerprint(catalog: Catalog) -> str:
    """Changes with the table, with any file of the catalog or under its folder, and with pixels of three images."""
    table = catalog.table
    digest = [catalog.layout, str(catalog.linear), catalog.field_fraction, [str(column) for column in table.columns]]
    digest.append(fingerprint_of(pd.util.hash_pandas_object(table.astype(str), index=False).tolist()))
    source = place_of(catalog.source)
    if isinstance(source, Place):
        digest.append(fingerprint_of(source.states()))
    elif source.exists():  # a number of simulated galaxies has no files
        digest.append(fingerprint_of(_file_states(source)))
    for row in sorted({0, len(catalog) // 2, len(catalog) - 1}):
        try:
            pixels = np.ascontiguousarray(catalog.load_image(row))
            digest.append(fingerprint_of(pixels.shape, pixels.tobytes().hex()))
        except StorageError:
            raise
        except (GalaxyError, OSError, ValueError):
            digest.append("unreadable")
    return fingerprint_of(digest)


def _file_states(source: Path) -> list[tuple[str, int, int]]:
    """Relative path, size and time of every file below a folder, also behind links to folders; or of one file."""
    paths, seen = [source] if source.is_file() else [], set()
    for parent, folders, names in os.walk(source, followlinks=True):
        folders.sort()
        if (real := os.path.realpath(parent)) in seen:  # a link that points back up the tree
            folders.clear()
            continue
        seen.add(real)
        paths += [Path(parent, name) for name in names]
    states = []
    for path in paths:
        with suppress(OSError):  # a link to nowhere
            status = path.stat()
            states.append((path.relative_to(source).as_posix(), status.st_size, status.st_mtime_ns))
    return sorted(states)


def describe_embedder(embedder: Embedder) -> dict:
    """What the manifest says of a model."""
    return {
        "fingerprint": embedder.fingerprint,
        "precision": embedder.precision,
        "device": embedder.device.split(":")[0],
    }


def selection_notes(catalog: Catalog, limit: int, result: dict) -> list[str]:
    """Sentences on which galaxies of the catalog are here; ``result`` is that of the images' step."""
    notes, left_out = [], result["ids_left_out"]
    if limit and len(catalog) == limit:
        notes.append(f"{limit:,} of them were drawn at random (--limit)")
    if left_out:
        named = ", ".join(left_out[:_MAX_IDS_NAMED]) + (", ..." if len(left_out) > _MAX_IDS_NAMED else "")
        told = count(len(left_out), "image that cannot be decoded was", "images that cannot be decoded were")
        notes.append(f"{told} left out ({named}); of the first: {_problem(catalog, left_out[0]).rstrip('.')}")
    return notes


@dataclass(frozen=True)
class ImageWork:
    """What a process has to know to embed shards of a catalog and put their files in place."""

    embedder: Embedder
    settings: ImageSettings
    root: Path
    name: str
    thumbnails: bool
    threads: int | None = None

    def files(self, number: int) -> list[str]:
        """Files of a shard, relative to the folder of the catalog."""
        thumbnails = [artifacts.thumbnails_file(number)] * self.thumbnails
        return [artifacts.embedding_file(self.embedder.name, number), *thumbnails]

    def paths(self, number: int) -> list[Path]:
        """Where they are."""
        return [self.root / self.name / file for file in self.files(number)]

    def missing(self, catalog: Catalog) -> list[int]:
        """Shards of a catalog whose files are not all there."""
        numbers = range(n_shards(len(catalog), self.settings))
        return [number for number in numbers if not all(path.is_file() for path in self.paths(number))]


def write_shards(work: ImageWork, shards: Iterator[Shard], tell: Tell) -> Iterator[int]:
    """The work of the engine: embed each shard and write its files; yields how many of its galaxies are in them."""
    parts: dict[int, CatalogPart] = {}

    def feed() -> Iterator[CatalogPart]:
        for shard in shards:
            parts[shard.data.number] = shard.data
            yield shard.data

    made = embed_shards(feed(), work.embedder, work.settings, work.thumbnails, tell, work.threads)
    for shard in made:
        ids = parts.pop(shard.number).ids(shard.rows)
        if work.thumbnails:
            artifacts.write_thumbnails(work.root, work.name, ids, shard.thumbnails, shard.number)
        artifacts.write_embedding(work.root, work.name, work.embedder.name, ids, shard.vectors, shard.number)
        yield len(ids)


def make_images(
    staging: Staging,
    catalog: Catalog,
    fingerprint: str,
    embedder: Embedder,
    settings: ImageSettings,
    progress: Progress,
    name: str = "images",
    engine: Engine | None = None,
) -> Step:
    """Thumbnails and embedding, shard by shard; with another ``name`` the embedding alone.

    Images that are published and still the same are taken over (`galaxy_core.image_reuse`). The record's result has
    ``ids_left_out``: galaxies whose image cannot be decoded.
    """
    thumbnails, model = name == "images", embedder.name
    patterns = artifacts.image_patterns(model, thumbnails)
    inputs = fingerprint_of(PIPELINE_VERSION, fingerprint, embedder.fingerprint, model, asdict(settings), thumbnails)
    step = begin_step(staging, name, inputs, patterns)
    total = len(catalog)
    if step.done:
        progress(name, total, total)
        return step
    started = time.perf_counter()
    threads = engine.threads if engine else None
    work = ImageWork(embedder, settings, staging.root.absolute(), staging.name, thumbnails, threads)
    states = image_states(catalog, PIPELINE_VERSION, embedder.fingerprint, asdict(settings), thumbnails)
    stored = find_published(staging, model, work.files, states, settings.shard_size)
    step.seconds += time.perf_counter() - started
    if stored:
        _take_over(staging, step, work, catalog, stored, progress, engine)
    else:
        _embed(staging, step, work, catalog, lambda done: progress(name, done, total), engine)
    started = time.perf_counter()
    left_out = [galaxy_id for part in shards_of(catalog, settings) for galaxy_id in _left_out(staging, model, part)]
    if len(left_out) == total:
        source, problem = f"{catalog.layout}:{catalog.source}", _problem(catalog, left_out[0])
        raise CatalogError(f"None of the {total:,} images of {source} can be decoded. Of the first: {problem}")
    if states is not None:
        keep = ~catalog.table["galaxy_id"].isin(left_out).to_numpy()
        artifacts.write_states(staging.root, staging.name, model, catalog.galaxy_ids[keep], states[keep])
    result = {"catalog": fingerprint, "ids_left_out": left_out, "n_tried": total}
    finish_step(staging, step, patterns, result, time.perf_counter() - started)
    drop_new(staging)
    return step


def _embed(
    staging: Staging, step: Step, work: ImageWork, catalog: Catalog, progress: Tell, engine: Engine | None
) -> None:
    """Make the shards of a catalog that are not there; ``progress`` is told how many of its galaxies are."""
    started, missing = time.perf_counter(), work.missing(catalog)
    done = len(catalog) - sum(len(part) for part in shards_of(catalog, work.settings, missing))
    progress(done)
    parts = shards_of(catalog, work.settings, missing)
    shards = (Shard(f"{step.name} shard {part.number}", part, len(part)) for part in parts)
    problems = []
    for outcome in map_shards(write_shards, shards, partial(_same, work), engine, lambda n: progress(done + int(n))):
        problems += [outcome] if outcome.problem else []
        step.seconds, started = step.seconds + time.perf_counter() - started, time.perf_counter()
        save_step(staging, step)
    for temporary in staging.folder.rglob("*.tmp"):  # left half written by workers that were killed
        temporary.unlink(missing_ok=True)
    check_whole(problems, n_shards(len(catalog), work.settings))


def _take_over(
    staging: Staging,
    step: Step,
    work: ImageWork,
    catalog: Catalog,
    stored: StoredShards,
    progress: Progress,
    engine: Engine | None,
) -> None:
    """Embed what is new, in shards of its own, and put the catalog's together of these and what is published."""
    new_rows, total, settings = np.flatnonzero(stored.rows == UNKNOWN), len(catalog), work.settings
    new, shards = work, []
    if len(new_rows):
        root, name = folder_of_new(staging, step.fingerprint, new_rows)
        new, few = replace(work, root=root.absolute(), name=name), ids_and_images(catalog, new_rows)
        before = total - len(few)
        _embed(staging, step, new, few, lambda done: progress(step.name, before + done, total), engine)
        shards = [(part, new.paths(part.number)) for part in shards_of(few, settings)]
    else:
        progress(step.name, total, total)
    started = time.perf_counter()
    missing = shards_of(catalog, settings, work.missing(catalog))
    put_together(staging, work.embedder.name, missing, work.files, stored.with_new(shards, new_rows))
    step.seconds += time.perf_counter() - started


def _same(work: ImageWork) -> ImageWork:
    """The setup of `write_shards`: pickled, the embedder in it is loaded where it arrives."""
    return work


def _left_out(staging: Staging, model: str, part: CatalogPart) -> list[str]:
    """Galaxies of a shard that its file lacks."""
    kept = set(ids_in(staging.folder / artifacts.embedding_file(model, part.number)))
    ids = part.ids(np.arange(part.start, part.stop))
    return [str(galaxy_id) for galaxy_id in ids if galaxy_id not in kept]


def _problem(catalog: Catalog, galaxy_id: str) -> str:
    """Why the image of a galaxy cannot be decoded."""
    try:
        load_display(catalog, catalog.galaxy_ids.tolist().index(galaxy_id))
    except (GalaxyError, OSError, ValueError) as error:
        return str(error)
    return "it can be decoded now; run this again."


def ids_in_parts(staging: Staging, model: str) -> list[str]:
    """Ids of the galaxies embedded so far, in the order of the catalog."""
    paths = sorted((staging.folder / "embedding" / model).glob("part-*.parquet"))
    return [galaxy_id for path in paths for galaxy_id in ids_in(path)]


def read_staged_embedding(staging: Staging, model: str) -> np.ndarray:
    """The embedding, float32 (n, d), of the staging folder, which has no manifest yet."""
    tables = [pq.read_table(p) for p in sorted((staging.folder / "embedding" / model).glob("part-*.parquet"))]
    return np.concatenate([artifacts.matrix_of(table["embedding"]) for table in tables])


def make_catalog_table(staging: Staging, catalog: Catalog, ids_left_out: list[str]) -> pd.DataFrame:
    """The catalog's table without the galaxies left out, and with the split of each."""
    table = catalog.table.rename(columns=str)
    keep = ~table["galaxy_id"].isin(set(ids_left_out)).to_numpy()
    if "split" in table:
        table = table.rename(columns={"split": "catalog_split"})
    table.insert(1, "split", [split_of(str(key)) for key in catalog.split_keys])
    table = table[keep].reset_index(drop=True)
    artifacts.write_table(staging.root, staging.name, "catalog", table)
    return table
