"""Artifacts of any number of galaxies, resampled from a catalog that exists: what benchmarks of the pages run on.

Below the number of the source a sample of it is taken. Above, the source is repeated as often as needed: every copy of
a galaxy has its own id, a place on each map and an embedding a little beside those of its source, and the class,
clusters, split and every other column of its source. The neighbours of a copy are copies of its source's neighbours
with their similarity, which is cheap and good enough to be shown; nearest they are not, since another copy would be.

What maps of very many galaxies are drawn from is made by the pipeline's own step (`galaxy_core.layer_steps`).
Thumbnails repeat. Files of a whole copy are hard links to the source's, so a million galaxies take no more room than
the source; inside them stand the ids of the source, which nothing that shows pictures reads and `artifacts.verify`
would note.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_core import artifacts
from galaxy_core.artifacts.files import atomic_path
from galaxy_core.artifacts.staging import link
from galaxy_core.errors import ArtifactError
from galaxy_core.layer_steps import write_layers
from galaxy_core.map_layers import MAX_POINTS
from galaxy_core.similarity import nearest_neighbors

CHUNK = 32_768  # galaxies in memory at once
PICTURES_A_FILE = 2_048  # thumbnails of a file that cannot be linked
JITTER = 0.02  # standard deviation of what is added, as a share of that of the column
MEASURED = ("_x", "_y", "_trust", "isolation_forest", "neighbor_distance", "anomaly")


@dataclass(frozen=True)
class Resampled:
    """Which galaxy of the source each new one is made from.

    Attributes
    ----------
    rows, copies : int32 array, shape (n,)
        Row of the source, and number of the copy; copy 0 is the galaxy itself.
    n_source, whole : int
        Galaxies of the source, and how many times all of them are in.
    mark : str
        Stands between the id of the source and the number of the copy; no id of the source contains it.
    """

    rows: np.ndarray
    copies: np.ndarray
    n_source: int
    whole: int
    mark: str

    def ids(self, source_ids: pa.Array, part: slice) -> pa.Array:
        """Ids of some of the new galaxies, all different where those of the source are."""
        names, copies = source_ids.take(pa.array(self.rows[part])), pa.array(self.copies[part])
        numbered = pc.binary_join_element_wise(names, copies.cast(pa.string()), self.mark)
        return pc.if_else(pc.equal(copies, 0), names, numbered)


def resample(ids: list[str], n: int, seed: int = 0) -> Resampled:
    """Choose ``n`` galaxies: a random sample in the order of the source, or the source again and again.

    Examples
    --------
    >>> chosen = resample(["a", "b~"], 5)
    >>> chosen.rows.tolist(), chosen.ids(pa.array(["a", "b~"]), slice(1, 4)).to_pylist()
    ([0, 1, 0, 1, 0], ['b~', 'a~~1', 'b~~~1'])
    """
    if n < 1 or not ids:
        raise ArtifactError("A catalog is resampled from at least one galaxy, to at least one.")
    mark = "~"
    while any(mark in galaxy_id for galaxy_id in ids):
        mark += "~"
    if n < len(ids):
        rows = np.sort(np.random.default_rng(seed).choice(len(ids), n, replace=False)).astype(np.int32)
        return Resampled(rows, np.zeros(n, dtype=np.int32), len(ids), 0, mark)
    number = np.arange(n, dtype=np.int64)
    rows, copies = (number % len(ids)).astype(np.int32), (number // len(ids)).astype(np.int32)
    return Resampled(rows, copies, len(ids), n // len(ids), mark)


def write_many(
    source_root: str | Path,
    source: str,
    root: str | Path,
    name: str,
    n: int,
    *,
    embedding: bool = True,
    seed: int = 0,
) -> artifacts.Manifest:
    """Write a catalog of ``n`` galaxies into ``root``, in chunks: memory does not grow with ``n``.

    Parameters
    ----------
    source_root, source : path, str
        Artifacts folder and name of the catalog to resample.
    root, name : path, str
        Where to write; the folder must not be there yet.
    n : int
    embedding : bool
        Whether to write the embedding: 4 bytes for each number of each galaxy.
    seed : int

    Raises
    ------
    ArtifactError
        The source cannot be read, or the folder exists.
    """
    manifest, folder = artifacts.read_manifest(source_root, source), Path(root) / artifacts.check_name(name)
    if folder.exists():
        raise ArtifactError(f"{folder} exists; delete it, or choose another folder.")
    original = artifacts.catalog_folder(source_root, source)
    ids = pq.read_table(original / artifacts.table_file("catalog"), columns=["galaxy_id"])["galaxy_id"]
    ids = ids.combine_chunks()
    chosen, rng = resample(ids.to_pylist(), n, seed), np.random.default_rng(seed)
    for table in (*artifacts.TABLES, *artifacts.OPTIONAL_TABLES):
        relative = artifacts.table_file(table)
        if relative in manifest.files:
            source_table = pq.read_table(original / relative)
            _stream(folder / relative, source_table, ids, chosen, _blur_columns(source_table, chosen, rng))
    _write_neighbors(source_root, manifest, folder, ids, chosen, rng)
    if embedding:
        _write_embedding(source_root, manifest, folder, ids, chosen, rng)
    _write_thumbnails(source_root, manifest, folder, ids, chosen)
    if n > MAX_POINTS:
        write_layers(root, name)
    config = {key: value for key, value in manifest.config.items() if key != "steps"}
    new = replace(
        manifest,
        source=f"{source}, resampled to {n} galaxies",
        layout="",
        config=config,
        seed=seed,
        n_galaxies=n,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        report=(f"{n:,} galaxies resampled from the {len(ids):,} of {source}, for benchmarks only",),
        timings={},
    )
    return artifacts.write_manifest(root, name, new)


def _stream(
    path: Path,
    table: pa.Table,
    ids: pa.Array,
    chosen: Resampled,
    change: Callable[[pa.Table, slice], pa.Table],
) -> None:
    """Write a table of the new galaxies chunk by chunk; ``change`` is applied to each."""
    ids_field, *others = table.schema  # copies have no ids of the owner's, whatever these were
    schema = pa.schema([ids_field.remove_metadata(), *others])
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(chosen.rows), CHUNK):
            here = slice(start, min(start + CHUNK, len(chosen.rows)))
            chunk = table.replace_schema_metadata(None).take(pa.array(chosen.rows[here]))
            writer.write_table(change(chunk.set_column(0, "galaxy_id", chosen.ids(ids, here)), here))


def _blur_columns(
    table: pa.Table, chosen: Resampled, rng: np.random.Generator
) -> Callable[[pa.Table, slice], pa.Table]:
    """A function that moves the measured columns of copies a little, within the range of the source but for places."""
    ranges = {}
    for place, column in enumerate(table.column_names):
        if column.endswith(MEASURED) and pa.types.is_float32(table.schema.field(place).type):
            values = table[column].to_numpy()
            known = values[np.isfinite(values)]
            if len(known):
                bounded = not column.endswith(("_x", "_y"))
                limits = (known.min(), known.max()) if bounded else (-np.inf, np.inf)
                ranges[place] = (column, JITTER * known.std(), limits)

    def change(chunk: pa.Table, here: slice) -> pa.Table:
        is_copy = chosen.copies[here] > 0
        for place, (column, width, limits) in ranges.items():
            noise = width * rng.standard_normal(len(chunk), dtype=np.float32) * is_copy
            values = np.clip(chunk[column].to_numpy() + noise, *limits).astype(np.float32)
            chunk = chunk.set_column(place, column, pa.array(values))
        return chunk

    return change


def _write_embedding(source_root, manifest, folder: Path, ids: pa.Array, chosen: Resampled, rng) -> None:
    """Vectors of the source with noise, as long as before."""
    _, vectors = artifacts.read_embedding(source_root, manifest.name, manifest.model)
    width = JITTER * vectors.std()
    schema = pa.schema([("galaxy_id", pa.string()), ("embedding", pa.list_(pa.float32(), vectors.shape[1]))])
    for part, start in enumerate(range(0, len(chosen.rows), CHUNK)):
        here = slice(start, min(start + CHUNK, len(chosen.rows)))
        old = vectors[chosen.rows[here]]
        new = old + width * rng.standard_normal(old.shape, dtype=np.float32) * (chosen.copies[here] > 0)[:, None]
        length = np.linalg.norm(new, axis=1, keepdims=True)
        new *= np.linalg.norm(old, axis=1, keepdims=True) / np.where(length > 0, length, 1)
        column = pa.FixedSizeListArray.from_arrays(pa.array(new.ravel()), vectors.shape[1])
        with atomic_path(folder / artifacts.embedding_file(manifest.model, part)) as temporary:
            table = pa.table([chosen.ids(ids, here), column], schema=schema)
            pq.write_table(table, temporary, compression="none")  # noise does not compress


def _write_neighbors(source_root, manifest, folder: Path, ids: pa.Array, chosen: Resampled, rng) -> None:
    """Copies of the source's neighbours in whole copies; in a sample, the neighbours within it."""
    if chosen.whole:
        index, similarity = artifacts.read_neighbors(source_root, manifest.name, manifest.model)
    else:
        vectors = artifacts.read_embedding(source_root, manifest.name, manifest.model)[1][chosen.rows]
        index, similarity = nearest_neighbors(vectors, artifacts.N_NEIGHBORS)
    missing = ((0, 0), (0, artifacts.N_NEIGHBORS - index.shape[1]))
    index = np.pad(index, missing, constant_values=-1)
    similarity = np.pad(similarity, missing, constant_values=np.nan)
    schema = pa.schema(
        [
            ("galaxy_id", pa.string()),
            ("neighbor_row", pa.list_(pa.int32(), artifacts.N_NEIGHBORS)),
            ("similarity", pa.list_(pa.float32(), artifacts.N_NEIGHBORS)),
        ]
    )
    path = folder / artifacts.neighbors_file(manifest.model)
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for start in range(0, len(chosen.rows), CHUNK):
            here = slice(start, min(start + CHUNK, len(chosen.rows)))
            rows = chosen.rows[here] if chosen.whole else np.arange(here.start, here.stop)
            copy = rng.integers(0, max(1, chosen.whole), (len(rows), artifacts.N_NEIGHBORS), dtype=np.int32)
            found = np.where(index[rows] < 0, -1, index[rows] + copy * chosen.n_source).astype(np.int32)
            columns = [
                pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), artifacts.N_NEIGHBORS)
                for values in (found, similarity[rows])
            ]
            writer.write_table(pa.table([chosen.ids(ids, here), *columns], schema=schema))


def _write_thumbnails(source_root, manifest, folder: Path, ids: pa.Array, chosen: Resampled) -> None:
    """Links to the source's files for whole copies, files of their own for the rest."""
    original = artifacts.catalog_folder(source_root, manifest.name)
    files = sorted(path for path in manifest.files if path.startswith("thumbnails/"))
    part = 0
    for _ in range(chosen.whole):
        for file in files:
            link(original / file, folder / artifacts.thumbnails_file(part))
            part += 1
    for start in range(chosen.whole * chosen.n_source, len(chosen.rows), PICTURES_A_FILE):
        here = slice(start, min(start + PICTURES_A_FILE, len(chosen.rows)))
        images = artifacts.read_thumbnails(source_root, manifest.name, chosen.rows[here])
        artifacts.write_thumbnails(folder.parent, folder.name, chosen.ids(ids, here).to_pylist(), images, part)
        part += 1
