"""Writers of every artifact: each checks its columns first and puts the whole file in place in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core.artifacts import schemas
from galaxy_core.artifacts.column_checks import check_columns
from galaxy_core.artifacts.files import atomic_path, sha256_of_file, write_json
from galaxy_core.column_notes import noted, notes_of
from galaxy_core.errors import ArtifactError


def write_table(root: str | Path, name: str, table: str, frame: pd.DataFrame) -> Path:
    """Write ``catalog``, ``projections``, ``clusters`` or ``anomalies``.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``galaxy_id`` first, in the order of the catalog. Columns are brought to the types of the schema: ids and
        classes to text, projections and anomalies to float32, labels to int32.
    """
    columns = {str(column): _as_arrow(table, str(column), frame[column]) for column in frame.columns}
    if table == "catalog" and "split" in frame and not set(frame["split"]) <= set(schemas.SPLITS):
        raise ArtifactError(f"The catalog table of {name} has a split that is not one of {', '.join(schemas.SPLITS)}.")
    return _write(root, name, schemas.table_file(table), noted(pa.table(columns), notes_of(frame)))


def write_embedding(
    root: str | Path, name: str, model: str, galaxy_ids: Sequence[str], vectors: np.ndarray, part: int = 0
) -> Path:
    """Write one shard of an embedding; ``vectors`` is (n, d) float32, finite."""
    table = pa.table({"galaxy_id": _text(galaxy_ids), "embedding": _vectors(vectors, np.float32)})
    if not np.isfinite(vectors).all():
        raise ArtifactError(f"The embedding of {name} by {model} holds values that are not numbers; check the model.")
    return _write(root, name, schemas.embedding_file(model, part), table)


def write_thumbnails(
    root: str | Path, name: str, galaxy_ids: Sequence[str], images: Sequence[bytes], part: int = 0
) -> Path:
    """Write one shard of thumbnails, webp bytes each, in row groups of 64."""
    table = pa.table({"galaxy_id": _text(galaxy_ids), "image": pa.array(list(images), pa.binary())})
    return _write(root, name, schemas.thumbnails_file(part), table, schemas.ROW_GROUP, compression="none")


def write_neighbors(
    root: str | Path, name: str, model: str, galaxy_ids: Sequence[str], index: np.ndarray, similarity: np.ndarray
) -> Path:
    """Write each galaxy's nearest neighbours; ``index`` and ``similarity`` are (n, k).

    A catalog with fewer than 13 galaxies has fewer than 12 neighbours: the rest is -1 in the file, cut off on reading.
    """
    missing = max(0, schemas.N_NEIGHBORS - index.shape[1])
    index = np.pad(np.asarray(index, np.int32), ((0, 0), (0, missing)), constant_values=-1)
    similarity = np.pad(np.asarray(similarity, np.float32), ((0, 0), (0, missing)), constant_values=np.nan)
    if index.max(initial=-1) >= len(galaxy_ids):
        raise ArtifactError(f"The neighbours of {name} point beyond its {len(galaxy_ids)} galaxies.")
    columns = {"neighbor_row": _vectors(index, np.int32), "similarity": _vectors(similarity, np.float32)}
    return _write(root, name, schemas.neighbors_file(model), pa.table({"galaxy_id": _text(galaxy_ids), **columns}))


def write_space(root: str | Path, name: str, space: str, galaxy_ids: Sequence[str], coordinates: np.ndarray) -> Path:
    """Write a space of more than two dimensions, such as the 10-d UMAP that HDBSCAN works in."""
    columns = {"galaxy_id": _text(galaxy_ids), "coordinates": _vectors(coordinates, np.float32)}
    return _write(root, name, schemas.space_file(space), pa.table(columns))


def write_states(root: str | Path, name: str, model: str, galaxy_ids: Sequence[str], states: np.ndarray) -> Path:
    """Write what tells whether an image is still the one that was embedded; ``states`` is uint64 (n, 2)."""
    data = pa.py_buffer(np.ascontiguousarray(states, np.uint64))
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(states), [None, data])
    table = pa.table({"galaxy_id": _text(galaxy_ids), "state": column})
    return _write(root, name, schemas.states_file(model), table)


def write_manifest(root: str | Path, name: str, manifest: schemas.Manifest) -> schemas.Manifest:
    """Write the manifest, last: rows, bytes and sha256 of every table in the folder are measured and recorded here."""
    folder = Path(root) / schemas.check_name(name)
    files = {}
    for path in sorted(folder.rglob("*.parquet")):
        relative = path.relative_to(folder).as_posix()
        if path.name.startswith(".") or relative in schemas.CARRIED_FILES:
            continue
        rows = pq.read_metadata(path).num_rows
        files[relative] = {"sha256": sha256_of_file(path), "rows": rows, "bytes": path.stat().st_size}
    manifest = replace(manifest, name=name, files=files, schema_version=schemas.SCHEMA_VERSION)
    write_json(folder / schemas.MANIFEST_FILE, manifest.to_dict())
    return manifest


def _write(
    root: str | Path, name: str, relative: str, table: pa.Table, row_group: int = 65536, compression: str = "zstd"
) -> Path:
    table = table.replace_schema_metadata(None)  # nothing of pandas, nothing that differs from run to run
    if wrong := check_columns(relative, table.schema):
        raise ArtifactError(f"{relative} of {name} cannot be written: {wrong}.")
    path = Path(root) / schemas.check_name(name) / relative
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, row_group_size=row_group, compression=compression)
    return path


def _text(values: Sequence[str]) -> pa.Array:
    return pa.array([None if pd.isna(value) else str(value) for value in values], pa.string())


def _vectors(values: np.ndarray, dtype: type) -> pa.Array:
    values = np.ascontiguousarray(values, dtype)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ArtifactError(f"Vectors must be of shape (n, d) with d of at least 1, not {values.shape}.")
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _as_arrow(table: str, column: str, values: pd.Series) -> pa.Array:
    """One column of a table: the schema's type where it names one, else the column's own, else text."""
    wanted = pa.string() if column == "galaxy_id" else schemas.COLUMN_TYPES.get(table, {}).get(column)
    if wanted is None and table in schemas.SUFFIX_TYPES:
        wanted = next((kind for ending, kind in schemas.SUFFIX_TYPES[table].items() if column.endswith(ending)), None)
    if wanted == pa.string():
        return _text(values)
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _text(values)
    try:
        if wanted is None:
            array = (
                pa.array(values, from_pandas=False) if values.dtype.kind == "f" else pa.array(values, from_pandas=True)
            )
            return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array
        return pa.array(values.to_numpy(wanted.to_pandas_dtype()), wanted)
    except (pa.ArrowException, TypeError, ValueError) as error:
        if wanted is not None:
            raise ArtifactError(
                f"Column {column} of the table {table} cannot be written as {wanted}: {error}."
            ) from error
        return _text(values)
