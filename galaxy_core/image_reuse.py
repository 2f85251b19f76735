"""Images that an earlier run embedded and that are still the same: their vectors and thumbnails are taken over.

So a survey that grew, or whose table changed, costs what is new in it, wherever that stands in the catalog. Beside an
embedding lies a record of 16 bytes for each galaxy (``states/<model>.parquet``), which change with the file of its
image, the model and the settings; its id and its place in the catalog may be others. New images are embedded first, in
shards of their own, and then the shards of the catalog are put together of published rows and these.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core import artifacts
from galaxy_core.artifacts import remote, sha256_of_file
from galaxy_core.artifacts.staging import Staging, fingerprint_of, link
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.parts import CatalogPart, states_of
from galaxy_core.errors import GalaxyError

CHUNK = 2048
FEW_SHARDS = 8
WORTH_OPENING = 16
"""Rows for which a published shard is read where a shard needs more than `FEW_SHARDS` of them: embedding 16 images
takes longer. So a large catalog in quite another order costs no more than one that is new."""
UNKNOWN = -1


def image_states(catalog: Catalog, *made_by: object) -> np.ndarray | None:
    """16 bytes for each galaxy that change with its image and with what is made of it; None where images do not tell.

    Parameters
    ----------
    made_by
        What else decides the vector and the thumbnail.

    Returns
    -------
    states : uint64 array, shape (n_galaxies, 2)
    """
    key = bytes.fromhex(fingerprint_of(*made_by, catalog.linear, catalog.field_fraction))
    found = np.empty((len(catalog), 16), np.uint8)
    for start in range(0, len(catalog), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(catalog)))
        texts = states_of(catalog.load_image, rows)
        if texts is None:
            return None
        raw = (text.encode("utf-8", "surrogatepass") for text in texts)
        digests = b"".join(hashlib.blake2b(text, digest_size=16, key=key).digest() for text in raw)
        found[rows] = np.frombuffer(digests, np.uint8).reshape(-1, 16)
    return found.view(np.uint64)


@dataclass(frozen=True)
class StoredShards:
    """Shards that are there, as one long table, and which of its rows each galaxy of a catalog has.

    Attributes
    ----------
    files : list of list of Path
        Of each shard: its embedding, and its thumbnails where they are wanted; none where it is not to be read.
    edges : int64 array, shape (n_shards + 1,)
        Rows before each shard, and of all.
    rows : int64 array, shape (n_galaxies,)
        Row of each galaxy; `UNKNOWN` where there is none.
    """

    files: list[list[Path]] = field(repr=False)
    edges: np.ndarray
    rows: np.ndarray

    def whole(self, rows: np.ndarray) -> list[Path] | None:
        """Files of the shard whose rows these are, all and in order; None where there is no such shard."""
        numbers = np.unique(_shard_of(rows, self.edges))
        if len(numbers) != 1:
            return None
        alike = np.array_equal(rows, np.arange(self.edges[numbers[0]], self.edges[numbers[0] + 1]))
        return self.files[numbers[0]] if alike else None

    def take(self, rows: np.ndarray, read: Callable[[Path], pa.Table]) -> list[pa.Table]:
        """A table of these rows for each kind of file."""
        if not len(rows):  # no image of a shard can be decoded: tables of no rows
            return [read(path).slice(0, 0) for path in next(filter(None, self.files))]
        numbers, inverse = np.unique(_shard_of(rows, self.edges), return_inverse=True)
        taken = []
        for paths in zip(*(self.files[number] for number in numbers), strict=True):
            tables = [read(path) for path in paths]
            first = np.cumsum([0, *map(len, tables)])
            taken.append(pa.concat_tables(tables).take(first[inverse] + rows - self.edges[numbers[inverse]]))
        return taken

    def with_new(self, new: Sequence[tuple[CatalogPart, list[Path]]], new_rows: np.ndarray) -> StoredShards:
        """The same with shards of new images behind; `UNKNOWN` are then galaxies whose image cannot be decoded.

        Parameters
        ----------
        new : sequence of tuple
            Each shard, of a catalog of the new images alone, and its files.
        new_rows : int64 array, shape (n_new,)
            Row of each new image in the catalog.
        """
        files, edges, rows = [*self.files], [*self.edges], self.rows.copy()
        for part, paths in new:
            ids = part.ids(np.arange(part.start, part.stop))
            kept = np.isin(ids.astype(str), ids_in(paths[0]).astype(str))
            rows[new_rows[part.start : part.stop][kept]] = edges[-1] + np.arange(kept.sum())
            files.append(paths)
            edges.append(edges[-1] + kept.sum())
        return StoredShards(files, np.array(edges, dtype=np.int64), rows)


def _shard_of(rows: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.searchsorted(edges, rows, side="right") - 1


def find_published(
    staging: Staging, model: str, files_of: Callable[[int], list[str]], states: np.ndarray | None, shard_size: int
) -> StoredShards | None:
    """Published shards, and the rows in them of galaxies whose image is the same; None where there are none.

    Every checksum of what is named is compared: what is damaged or out of reach is made again.

    Parameters
    ----------
    files_of : callable
        ``files_of(number)`` names the files of a shard, relative to the folder of the catalog.
    states : array or None
        See `image_states`.
    """
    files = staging.manifest.files if staging.manifest else {}
    recorded = _sound_file(staging, artifacts.states_file(model))
    if states is None or recorded is None:
        return None
    names: list[list[str]] = []
    while all(file in files for file in files_of(len(names))):
        names.append(files_of(len(names)))
    edges = np.cumsum([0, *(files[name]["rows"] for name, *_ in names)], dtype=np.int64)
    before = _states_in(recorded)
    if not len(before) or edges[-1] != len(before):
        return None
    rows = _worth_taking(_find(states, before), edges, shard_size)
    paths: list[list[Path]] = [[] for _ in names]
    for number in np.unique(_shard_of(rows[rows != UNKNOWN], edges)):
        sound = [_sound_file(staging, name) for name in names[number]]
        if None in sound:
            rows[_shard_of(rows, edges) == number] = UNKNOWN
        else:
            paths[number] = sound
    return StoredShards(paths, edges, rows) if (rows != UNKNOWN).any() else None


def _states_in(path: Path) -> np.ndarray:
    column = pq.read_table(path, columns=["state"])["state"].combine_chunks()
    _, data = column.buffers()
    return np.frombuffer(data, np.uint64, 2 * len(column), 16 * column.offset).reshape(-1, 2)


def _find(states: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Row of ``before`` that equals each of ``states``; `UNKNOWN` where there is none."""
    order = np.argsort(before[:, 0])
    place = np.searchsorted(before[:, 0], states[:, 0], sorter=order)
    rows = order[np.minimum(place, len(order) - 1)]
    return np.where((before[rows] == states).all(axis=1), rows, UNKNOWN)


def _worth_taking(rows: np.ndarray, edges: np.ndarray, shard_size: int) -> np.ndarray:
    """Without rows for which a shard would be read that has hardly any other of the same shard to be."""
    for start in range(0, len(rows), shard_size):
        part = rows[start : start + shard_size]
        numbers, counts = np.unique(_shard_of(part[part != UNKNOWN], edges), return_counts=True)
        if len(numbers) > FEW_SHARDS:
            part[np.isin(_shard_of(part, edges), numbers[counts < WORTH_OPENING])] = UNKNOWN
    return rows


def _sound_file(staging: Staging, relative: str) -> Path | None:
    """A published file, its checksum compared."""
    entry = staging.manifest.files.get(relative) if staging.manifest else None
    with suppress(OSError, GalaxyError):
        if entry:
            path = remote.local_file(staging.published.parent, staging.name, relative, entry)
            return path if sha256_of_file(path) == entry["sha256"] else None
    return None


def folder_of_new(staging: Staging, inputs: str, new_rows: np.ndarray) -> tuple[Path, str]:
    """Root and name of the folder in which just these rows are embedded, of a step of these inputs; others go."""
    root = staging.work / "new"
    name = hashlib.sha256(inputs.encode() + new_rows.astype("<i8").tobytes()).hexdigest()[:16]
    for folder in root.glob("*"):
        if folder.name != name:
            shutil.rmtree(folder, ignore_errors=True)
    return root, name


def drop_new(staging: Staging) -> None:
    """Remove what `folder_of_new` held, when it is in its place."""
    shutil.rmtree(staging.work / "new", ignore_errors=True)


def put_together(
    staging: Staging,
    model: str,
    parts: Iterator[CatalogPart],
    files_of: Callable[[int], list[str]],
    stored: StoredShards,
) -> None:
    """Write shards of a catalog without galaxies that are `UNKNOWN`, or link those that are there as they are."""
    read = lru_cache(maxsize=2 * FEW_SHARDS)(_read)
    for part in parts:
        rows = part.start + np.flatnonzero(stored.rows[part.start : part.stop] != UNKNOWN)
        ids, there = part.ids(rows), stored.whole(stored.rows[rows])
        if there and np.array_equal(ids_in(there[0]), ids):
            for source, target in zip(there, files_of(part.number), strict=True):
                link(source, staging.folder / target)
            continue
        vectors, *images = stored.take(stored.rows[rows], read)
        for table in images:
            artifacts.write_thumbnails(staging.root, staging.name, ids, table["image"].to_pylist(), part.number)
        matrix = artifacts.matrix_of(vectors["embedding"])
        artifacts.write_embedding(staging.root, staging.name, model, ids, matrix, part.number)


def _read(path: Path) -> pa.Table:
    return pq.read_table(path, use_threads=False).combine_chunks()


def ids_in(path: Path) -> np.ndarray:
    """Ids of the galaxies of a shard, in its order."""
    return pq.read_table(path, columns=["galaxy_id"], use_threads=False)["galaxy_id"].to_numpy()
