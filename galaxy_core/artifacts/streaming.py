"""A catalog's tables read side by side, some thousand galaxies at a time, so that none is ever in memory whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa

from galaxy_core.artifacts import reading, schemas
from galaxy_core.errors import ArtifactError

BATCH_ROWS = 20_000


def stream_columns(
    root: str | Path, name: str, groups: Sequence[str] = (), batch_rows: int = BATCH_ROWS
) -> Iterator[pa.Table]:
    """Everything stored of each galaxy, in the order of the catalog.

    Parameters
    ----------
    groups : sequence of str
        What is wanted beside the catalog's own columns: tables (``"projections"``, ``"clusters"``, ``"anomalies"``),
        ``"thumbnails"`` or ``"embedding/<model>"``.
    batch_rows : int
        Galaxies in each table that comes.

    Yields
    ------
    pyarrow.Table
        ``galaxy_id`` first. A column of a group whose name the catalog has already gets ``atlas_`` before it.

    Raises
    ------
    ArtifactError
        A file is missing or corrupt, or does not list the galaxies of the catalog.
    """
    manifest = reading.read_manifest(root, name)
    wanted = [_files_of(root, manifest, group) for group in ("catalog", *groups)]
    parts = [_batches(root, manifest, files, batch_rows) for files in wanted]
    for tables in zip_longest(*parts):
        first = tables[0]
        for files, table in zip(wanted[1:], tables[1:], strict=True):
            ids = None if table is None else table["galaxy_id"].combine_chunks()
            if first is None or ids is None or not ids.equals(first["galaxy_id"].combine_chunks()):
                raise ArtifactError(
                    f"{schemas.catalog_folder(root, name) / files[0]} does not list the galaxies of catalog.parquet in "
                    f"their order; make it again with `{schemas.mend_command(root, name, manifest)}`."
                )
        yield _side_by_side(tables)


def _files_of(root: str | Path, manifest: schemas.Manifest, group: str) -> list[str]:
    if group in schemas.TABLES + schemas.OPTIONAL_TABLES:
        return [schemas.table_file(group)]
    return reading._parts(root, manifest, f"{group}/")


def _batches(root, manifest: schemas.Manifest, files: Sequence[str], batch_rows: int) -> Iterator[pa.Table]:
    """Tables of exactly so many rows, the last of what is left, however the files are cut."""
    held: list[pa.Table] = []
    n_held = 0
    for relative in files:
        with reading._open(root, manifest, relative) as file:
            for batch in file.iter_batches(batch_size=batch_rows):
                held.append(pa.Table.from_batches([batch]))
                n_held += len(batch)
                while n_held >= batch_rows:
                    joined = pa.concat_tables(held)
                    yield joined.slice(0, batch_rows)
                    held, n_held = [joined.slice(batch_rows)], n_held - batch_rows
    if n_held:
        yield pa.concat_tables(held)


def _side_by_side(tables: Sequence[pa.Table]) -> pa.Table:
    whole = tables[0]
    for table in tables[1:]:
        for column in table.column_names[1:]:
            name = f"atlas_{column}" if column in whole.column_names else column
            whole = whole.append_column(name, table[column])
    return whole.replace_schema_metadata(None)
