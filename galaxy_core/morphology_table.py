"""A table of morphologies on disk, CSV or Parquet, written batch after batch: no catalog is ever whole in memory."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.errors import ExportError
from galaxy_core.morphology import Morphology

SUFFIXES = (".csv", ".parquet")
LONGEST_NAME = 240  # bytes; file systems take 255, and what is made on the way is named after it


def check_table_path(path: Path) -> None:
    """Raise `ExportError`, before hours of work, for a name of neither format or that no file can have."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ExportError(f"{str(path)!a} is no UTF-8; name the table in letters that are.") from None
    if path.suffix.lower() not in SUFFIXES:
        raise ExportError(f"{path} ends in neither {' nor '.join(SUFFIXES)}; choose one of them.")
    if os.path.isdir(path):
        raise ExportError(f"{path} is a folder; name a file.")
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise ExportError(f"{path} has too long a name; take one of at most {LONGEST_NAME} letters.")


def write_morphologies(path: Path, batches: Iterable[Morphology]) -> int:
    """Write the table whole or not at all, and return its number of rows; see `Morphology.columns`.

    Raises
    ------
    ExportError
        The name ends in neither ``.csv`` nor ``.parquet``, or there is no galaxy to write.
    """
    return write_tables(path, (pa.table(morphology.columns()) for morphology in batches))


def write_tables(path: Path, tables: Iterable[pa.Table]) -> int:
    """`write_morphologies` of batches that are tables already."""
    path = Path(path)
    check_table_path(path)
    n_rows, writer = 0, None
    with atomic_path(path) as temporary:
        try:
            for table in tables:
                if writer is None:
                    writer = _open(path, temporary, table.schema)
                writer.write_table(table)
                n_rows += len(table)
        finally:
            if writer is not None:
                writer.close()
        if not n_rows:
            raise ExportError(f"None of the images could be read, so {path} is not written.")
    return n_rows


def encode_morphologies(morphology: Morphology) -> bytes:
    """The table as the bytes of a CSV file, as `write_morphologies` writes it."""
    table, buffer = pa.table(morphology.columns()), io.BytesIO()
    with _csv_writer(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def _csv_writer(where, schema: pa.Schema) -> pyarrow.csv.CSVWriter:
    return pyarrow.csv.CSVWriter(where, schema, write_options=pyarrow.csv.WriteOptions(quoting_style="needed"))


def _open(path: Path, temporary: Path, schema: pa.Schema):
    if path.suffix.lower() == ".csv":
        return _csv_writer(temporary, schema)
    return pq.ParquetWriter(temporary, schema, compression="zstd")
