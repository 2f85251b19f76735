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
FEW_PIECES = 8
WORTH_OPENING = 16
"""Rows for which a published shard is read where a shard needs more than `FEW_PIECES` of them: embedding 16 images
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
class Pieces:
    """Shards that are there, one behind the other, of which rows can be taken.

    Attributes
    ----------
    paths : list of list of Path
        Files of each: its embedding, and its thumbnails where they are wanted.
    ends : int64 array, shape (n_shards,)
        Rows up to the end of each.
    """

    paths: list[list[Path]] = field(repr=False)
    ends: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The shard that each row is in."""
        return np.searchsorted(self.ends, rows, side="right")

    def whole(self, rows: np.ndarray) -> list[Path] | None:
        """Files of the shard whose rows these are, all and in order; None where there is no such shard."""
        number = int(self.of(rows[:1])[0]) if len(rows) else len(self.ends)
        start = self.ends[number - 1] if number else 0
        alike = number < len(self.ends) and np.array_equal(rows, np.arange(start, self.ends[number]))
        return self.paths[number] if alike else None

    def take(self, rows: np.ndarray, read: Callable[[Path], pa.Table]) -> list[pa.Table]:
        """A table of these rows for each kind of file."""
        numbers, inverse = np.unique(self.of(rows), return_inverse=True)
        starts = self.ends[numbers] - np.diff(self.ends, prepend=0)[numbers]
        some = next(number for number, paths in enumerate(self.paths) if paths)
        if not len(rows):  # no image of a shard can be decoded: tables of no rows
            return [read(path).slice(0, 0) for path in self.paths[some]]
        taken = []
        for kind in range(len(self.paths[some])):
            tables = [read(self.paths[number][kind]) for number in numbers]
            first = np.cumsum([0, *(len(table) for table in tables[:-1])])
            taken.append(pa.concat_tables(tables).take(first[inverse] + rows - starts[inverse]))
        return taken


def find_published(
    staging: Staging, model: str, files_of: Callable[[int], list[str]], states: np.ndarray | None, shard_size: int
) -> tuple[Pieces, np.ndarray] | None:
    """Published shards, and the row in them of each galaxy whose image is the same, `UNKNOWN` for others.

    Every checksum of what is named is compared; None where nothing can be taken over.

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
    ends = np.cumsum([files[name]["rows"] for name, *_ in names], dtype=np.int64)
    before = _states_in(recorded)
    if not len(ends) or ends[-1] != len(before):
        return None
    pieces = Pieces([[] for _ in names], ends)
    known = _worth_taking(_find(states, before), pieces, shard_size)
    needed = np.unique(pieces.of(known[known != UNKNOWN]))
    for number in needed:
        found = [_sound_file(staging, name) for name in names[number]]
        pieces.paths[number].extend(path for path in found if path)
        if None in found:  # what is damaged or out of reach is made again
            known[pieces.of(known) == number] = UNKNOWN
    return (pieces, known) if (known != UNKNOWN).any() else None


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


def _worth_taking(known: np.ndarray, pieces: Pieces, shard_size: int) -> np.ndarray:
    """Without rows for which a shard would be read that has hardly any other of the same shard to be."""
    for start in range(0, len(known), shard_size):
        part = known[start : start + shard_size]
        numbers, counts = np.unique(pieces.of(part[part != UNKNOWN]), return_counts=True)
        if len(numbers) > FEW_PIECES:
            few = numbers[counts < WORTH_OPENING]
            part[(part != UNKNOWN) & np.isin(pieces.of(part), few)] = UNKNOWN
    return known


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


def with_new(
    pieces: Pieces, known: np.ndarray, new: Sequence[tuple[CatalogPart, list[Path]]], new_rows: np.ndarray
) -> tuple[Pieces, np.ndarray]:
    """`find_published` with the shards of new images behind them; `UNKNOWN` are images that cannot be decoded."""
    paths, ends, known = list(pieces.paths), [*pieces.ends], known.copy()
    for part, files in new:
        ids = part.ids(np.arange(part.start, part.stop))
        kept = np.isin(ids.astype(str), _ids_in(files[0]).astype(str))
        known[new_rows[part.start : part.stop][kept]] = ends[-1] + np.arange(kept.sum())
        paths.append(files)
        ends.append(ends[-1] + kept.sum())
    return Pieces(paths, np.array(ends, dtype=np.int64)), known


def put_together(
    staging: Staging,
    model: str,
    parts: Iterator[CatalogPart],
    files_of: Callable[[int], list[str]],
    pieces: Pieces,
    known: np.ndarray,
) -> None:
    """Write shards of a catalog, or link those that are published as they are.

    Parameters
    ----------
    known : int64 array, shape (n_galaxies,)
        Row in ``pieces`` of each galaxy; those `UNKNOWN` are left out.
    """
    read = lru_cache(maxsize=2 * FEW_PIECES)(_read)
    for part in parts:
        rows = np.arange(part.start, part.stop)
        rows = rows[known[rows] != UNKNOWN]
        ids, there = part.ids(rows), pieces.whole(known[rows])
        if there and np.array_equal(_ids_in(there[0]), ids):
            for source, target in zip(there, files_of(part.number), strict=True):
                link(source, staging.folder / target)
            continue
        vectors, *images = pieces.take(known[rows], read)
        for table in images:
            artifacts.write_thumbnails(staging.root, staging.name, ids, table["image"].to_pylist(), part.number)
        matrix = artifacts.matrix_of(vectors["embedding"])
        artifacts.write_embedding(staging.root, staging.name, model, ids, matrix, part.number)


def _read(path: Path) -> pa.Table:
    return pq.read_table(path, use_threads=False).combine_chunks()


def _ids_in(path: Path) -> np.ndarray:
    return pq.read_table(path, columns=["galaxy_id"], use_threads=False)["galaxy_id"].to_numpy()
