"""Readers of every artifact: cheap checks on every read (size, columns, rows), full checksums once per file change.

Whatever is wrong is said in one sentence that names the file and the command that mends it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core.artifacts import remote, schemas
from galaxy_core.artifacts.column_checks import check_columns
from galaxy_core.artifacts.files import cached_sha256, sha256_of_file
from galaxy_core.artifacts.layer_files import is_layer
from galaxy_core.artifacts.roots import address_of, shown
from galaxy_core.artifacts.schemas import Manifest
from galaxy_core.column_notes import notes_in, set_notes
from galaxy_core.errors import ArtifactError

MOST_NAMED = 10  # catalogs, where one is asked for that is not there


def list_catalogs(root: str | Path) -> list[str]:
    """Names of the catalogs under ``root``, sorted: every folder with a manifest, readable or not."""
    address, names = address_of(root), set()
    if address is not None:
        return remote.list_names(address)
    for parent in (Path(root), Path(root) / schemas.PREVIOUS):
        if parent.is_dir():
            names |= {folder.name for folder in parent.iterdir() if (folder / schemas.MANIFEST_FILE).is_file()}
    return sorted(name for name in names if not name.startswith(".") and name not in schemas.RESERVED_NAMES)


def catalog_exists(root: str | Path, name: str) -> bool:
    """True where there is a manifest, even one that cannot be read."""
    return remote.manifest_path(root, name).is_file()


def read_manifest(root: str | Path, name: str) -> Manifest:
    """The manifest of a catalog.

    Raises
    ------
    ArtifactError
        It is missing, corrupt, or was written by a newer version of this program.
    """
    path, place = remote.manifest_path(root, name), shown(root, name, schemas.MANIFEST_FILE)
    mend = f"make it again with `{schemas.mend_command(root, name)}`."
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values["schema_version"]
        if not isinstance(version, int) or isinstance(version, bool):
            raise TypeError("schema_version is not a whole number")
        if version <= schemas.SCHEMA_VERSION:
            manifest = Manifest.from_dict(values | {"name": name})  # as the folder is called now
    except FileNotFoundError:
        others = list_catalogs(root)  # a name that was mistyped is none of them
        few = ", ".join(others[:MOST_NAMED]) + (", ..." if len(others) > MOST_NAMED else "")
        raise ArtifactError(f"{place} is missing; {f'choose one of {few}, or ' * bool(few)}{mend}") from None
    except OSError as error:
        raise ArtifactError(f"{place} cannot be read ({error.strerror}); {mend}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{place} is corrupt ({type(error).__name__}: {str(error)[:80]}); {mend}") from error
    if version > schemas.SCHEMA_VERSION:
        raise ArtifactError(
            f"{place} was written by a newer version of Galaxy Atlas (schema {version}, this one reads"
            f" {schemas.SCHEMA_VERSION}); update Galaxy Atlas, or {mend}"
        )
    return manifest


def read_table(root: str | Path, name: str, table: str) -> pd.DataFrame:
    """One of the small tables, in the order of the catalog: ``catalog``, ``projections``, ``clusters``, ``anomalies``.

    The last may be missing, which `has_table` tells beforehand; then this raises `ArtifactError`.
    """
    whole = _with_fresh_manifest(root, name, lambda manifest: _read(root, manifest, schemas.table_file(table)))
    return set_notes(whole.to_pandas(), notes_in(whole.schema))


def list_embeddings(root: str | Path, name: str) -> list[str]:
    """Names of the models whose embedding of this catalog is stored."""
    return sorted({path.split("/")[1] for path in read_manifest(root, name).files if path.startswith("embedding/")})


def read_embedding(root: str | Path, name: str, model: str) -> tuple[np.ndarray, np.ndarray]:
    """Ids, shape (n,) of str, and the embedding, (n, d) float32, of every galaxy of a catalog."""

    def read(manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
        # part by part into one array: in memory once, and not a second time while it is put together
        ids, vectors, start = [], None, 0
        for part in _parts(root, manifest, f"embedding/{schemas.check_name(model, 'model')}/"):
            table = _read(root, manifest, part, whole=False)
            piece = matrix_of(table["embedding"])
            if vectors is None:
                vectors = np.empty((manifest.n_galaxies, piece.shape[1]), piece.dtype)
            if piece.shape[1] != vectors.shape[1]:
                raise ArtifactError(_sentence(root, manifest, part, "has vectors of another length than the rest"))
            vectors[start : start + len(piece)] = piece
            start += len(piece)
            ids.append(table["galaxy_id"].to_numpy())
        return np.concatenate(ids), vectors

    return _with_fresh_manifest(root, name, read)


def read_neighbors(root: str | Path, name: str, model: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of each galaxy's nearest neighbours, (n, k) int32, and their cosine similarity, (n, k) float32.

    k is 12, or the number of other galaxies where that is smaller.
    """

    def read(manifest: Manifest) -> tuple[np.ndarray, np.ndarray]:
        table = _read(root, manifest, schemas.neighbors_file(model))
        index, similarity = matrix_of(table["neighbor_row"]), matrix_of(table["similarity"])
        k = int((index >= 0).all(axis=0).sum()) if len(index) else 0
        return index[:, :k], similarity[:, :k]

    return _with_fresh_manifest(root, name, read)


def read_space(root: str | Path, name: str, space: str) -> np.ndarray:
    """Coordinates, (n, d) float32, of a stored space such as ``umap_10``."""
    relative = schemas.space_file(space)
    return _with_fresh_manifest(root, name, lambda m: matrix_of(_read(root, m, relative)["coordinates"]))


def read_thumbnails(root: str | Path, name: str, rows: Sequence[int]) -> list[bytes]:
    """Webp bytes of the thumbnails of ``rows``, in that order; only the row groups that hold them are read."""
    return _with_fresh_manifest(root, name, lambda manifest: _thumbnails(root, manifest, rows))


def _thumbnails(root: str | Path, manifest: Manifest, rows: Sequence[int]) -> list[bytes]:
    rows = np.asarray(rows, dtype=np.int64).reshape(-1)
    if rows.size and (rows.min() < 0 or rows.max() >= manifest.n_galaxies):
        raise ArtifactError(
            f"{manifest.name} has the rows 0 to {manifest.n_galaxies - 1}, not {rows.min()} to {rows.max()}."
        )
    parts = _parts(root, manifest, "thumbnails/")
    ends = np.cumsum([manifest.files[part]["rows"] for part in parts])
    part_of = np.searchsorted(ends, rows, side="right")
    images: list[bytes] = [b""] * len(rows)
    for part in np.unique(part_of):
        with _open(root, manifest, parts[part], whole=False) as file:
            inside = rows - (ends[part] - manifest.files[parts[part]]["rows"])
            for group in np.unique(inside[part_of == part] // schemas.ROW_GROUP):
                column = _column(root, manifest, parts[part], file, int(group), "image")
                for k in np.flatnonzero((part_of == part) & (inside // schemas.ROW_GROUP == group)):
                    images[k] = column[int(inside[k] % schemas.ROW_GROUP)].as_py()
    return images


def verify(root: str | Path, name: str) -> list[str]:
    """Check every file of a catalog in full, checksums included: a sentence for each thing that is wrong."""
    try:
        manifest = read_manifest(root, name)
    except ArtifactError as error:
        return [str(error)]
    found = []
    found += [_sentence(root, manifest, relative, "is missing") for relative in remote.not_in_store(root, manifest)]
    for relative, entry in manifest.files.items():
        try:
            with _open(root, manifest, relative):
                pass
            path = remote.local_file(root, name, relative, entry)
            if sha256_of_file(path) != entry["sha256"]:
                found.append(_sentence(root, manifest, relative, "is corrupt (its checksum does not match)"))
        except ArtifactError as error:
            found.append(str(error))
    for table in schemas.TABLES:
        if schemas.table_file(table) not in manifest.files:
            found.append(_sentence(root, manifest, schemas.table_file(table), "is missing"))
    return found or _verify_rows(root, manifest)


def _verify_rows(root: str | Path, manifest: Manifest) -> list[str]:
    """Every table but the layers of maps must list the galaxies of the catalog, in its order."""
    wanted = _read(root, manifest, schemas.table_file("catalog"))["galaxy_id"].to_pylist()
    groups: dict[str, list[str]] = {}
    for relative in sorted(path for path in manifest.files if not is_layer(path)):
        sharded = relative.rsplit("/", 1)[-1].startswith("part-")
        groups.setdefault(relative.rsplit("/", 1)[0] if sharded else relative, []).append(relative)
    found = []
    for group, parts in groups.items():
        ids: list[str] = []
        for part in parts:
            with _open(root, manifest, part) as file:
                ids += file.read(columns=["galaxy_id"])["galaxy_id"].to_pylist()
        if ids != wanted:
            found.append(
                _sentence(root, manifest, group, "does not list the galaxies of catalog.parquet in their order")
            )
    return found


def _sentence(root: str | Path, manifest: Manifest, relative: str, what: str) -> str:
    place = shown(root, manifest.name, relative)
    return f"{place} {what}; make it again with `{schemas.mend_command(root, manifest.name, manifest)}`."


def _with_fresh_manifest(root, name, read):
    """Read; where that fails because a rerun replaced the folder meanwhile, read once more with the new manifest."""
    manifest = read_manifest(root, name)
    try:
        return read(manifest)
    except ArtifactError:
        remote.forget()
        again = read_manifest(root, name)
        if again == manifest:
            raise
        return read(again)


def _parts(root: str | Path, manifest: Manifest, prefix: str) -> list[str]:
    parts = sorted(path for path in manifest.files if path.startswith(prefix))
    if not parts:
        raise ArtifactError(_sentence(root, manifest, prefix + schemas.part_name(0), "is missing"))
    if sum(manifest.files[part]["rows"] for part in parts) != manifest.n_galaxies:
        raise ArtifactError(
            _sentence(root, manifest, prefix.rstrip("/"), f"does not hold {manifest.n_galaxies:,} galaxies")
        )
    return parts


def _open(root: str | Path, manifest: Manifest, relative: str, whole: bool = True) -> pq.ParquetFile:
    """Open a file after the cheap checks: it is listed, there, as long as recorded, and has the columns it should.

    ``whole`` is False where a few rows are wanted: for these a file in a store need not be fetched.
    """
    entry = manifest.files.get(relative)
    if entry is None:
        raise ArtifactError(_sentence(root, manifest, relative, "is missing"))
    try:
        if whole or address_of(root) is None:
            path = remote.local_file(root, manifest.name, relative, entry)
            if (size := path.stat().st_size) != entry["bytes"]:
                what = f"is corrupt ({size:,} bytes instead of {entry['bytes']:,})"
                raise ArtifactError(_sentence(root, manifest, relative, what))
            file = pq.ParquetFile(path)
        else:
            file = remote.open_part(root, manifest.name, relative, entry)
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError(_sentence(root, manifest, relative, "is missing")) from None
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(_sentence(root, manifest, relative, "is corrupt (not a Parquet file)")) from error
    wrong = check_columns(relative, file.schema_arrow)
    if not wrong and file.metadata.num_rows != entry["rows"]:
        wrong = f"it has {file.metadata.num_rows:,} rows instead of {entry['rows']:,}"
    if wrong:
        file.close()
        raise ArtifactError(_sentence(root, manifest, relative, f"does not fit its schema ({wrong})"))
    return file


def _read(root: str | Path, manifest: Manifest, relative: str, whole: bool = True) -> pa.Table:
    """A whole file; unless it is a shard, its checksum (once for each change) and number of rows are checked."""
    with _open(root, manifest, relative) as file:
        path = remote.local_file(root, manifest.name, relative, manifest.files[relative])
        if whole and cached_sha256(path) != manifest.files[relative]["sha256"]:
            raise ArtifactError(_sentence(root, manifest, relative, "is corrupt (its checksum does not match)"))
        if whole and file.metadata.num_rows != manifest.n_galaxies:
            raise ArtifactError(_sentence(root, manifest, relative, f"does not hold {manifest.n_galaxies:,} galaxies"))
        try:
            return file.read()
        except (pa.ArrowException, OSError) as error:
            raise ArtifactError(_sentence(root, manifest, relative, "is corrupt (it cannot be decoded)")) from error


def _column(root, manifest, relative: str, file: pq.ParquetFile, group: int, column: str) -> pa.ChunkedArray:
    try:
        return file.read_row_group(group, columns=[column])[column]
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(_sentence(root, manifest, relative, "is corrupt (it cannot be decoded)")) from error


def matrix_of(column: pa.ChunkedArray) -> np.ndarray:
    """A column of vectors as an array, shape (n, d)."""
    width = column.type.list_size
    return np.concatenate(
        [np.empty((0, width), column.type.value_type.to_pandas_dtype())]
        + [chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, width) for chunk in column.chunks]
    )
