"""Images that lie inside Parquet files, as Hugging Face stores them, loaded one at a time."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_core.catalogs.image_files import pixels_as
from galaxy_core.errors import ImageError
from galaxy_core.images import decode_image
from galaxy_core.places import Place, ranged

CACHED_BYTES = 256 * 2**20


class ParquetImages:
    """``load_image`` of images inside Parquet: reads the row group it needs and keeps the last few, still encoded.

    Safe to call from several threads, and to pickle: a copy opens its own files.

    Parameters
    ----------
    files : sequence of Path or Place
    column : str
        Of binary, or of structs with a field ``bytes``.
    rows : ndarray of int, shape (n,)
        Row of each galaxy, counted through all files in order.
    """

    def __init__(self, files: Sequence[Path | Place], column: str, rows: np.ndarray) -> None:
        self.files, self.column, self.rows = list(files), column, np.asarray(rows)
        self._groups: list[tuple[int, int]] = []  # file and number in that file of each row group
        starts, total = [], 0
        for number, path in enumerate(self.files):
            metadata = pq.read_metadata(ranged(path))
            for group in range(metadata.num_row_groups):
                self._groups.append((number, group))
                starts.append(total)
                total += metadata.row_group(group).num_rows
        self._starts = np.array(starts)
        self._cache: OrderedDict[int, pa.Array] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self):
        return ParquetImages, (self.files, self.column, self.rows)

    def take(self, rows: Sequence[int]) -> ParquetImages:
        """The images of some rows, for another process."""
        files = [file.absolute() if isinstance(file, Path) else file for file in self.files]
        return ParquetImages(files, self.column, self.rows[rows])

    def __call__(self, i: int) -> np.ndarray:
        group, position, name = self._where(i)
        data = self._encoded(group)[position].as_py()
        if data is None:
            raise ImageError(f"{name} has no image; leave that galaxy out.")
        return pixels_as(False, decode_image(data, name), name)

    def states(self, rows: Sequence[int]) -> list[str] | None:
        """Digest of each image, as the file that holds it changes with any other; None in a store, to read once."""
        return [self._state(int(row)) for row in rows] if on_disk(self.files) else None

    def _state(self, i: int) -> str:
        group, position, name = self._where(i)
        try:
            data = self._encoded(group)[position]
        except ImageError:
            return name
        return hashlib.blake2b(data.as_buffer(), digest_size=16).hexdigest() if data.is_valid else name

    def _where(self, i: int) -> tuple[int, int, str]:
        """Row group of an image, its place in that, and what to call it."""
        row = int(self.rows[i])
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        number, inside = self._groups[group]
        position = row - int(self._starts[group])
        return group, position, f"{self.files[number].name}, row group {inside}, row {position}"

    def _encoded(self, group: int) -> pa.Array:
        with self._lock:
            if group not in self._cache:
                number, inside = self._groups[group]
                try:
                    with pq.ParquetFile(ranged(self.files[number]), memory_map=True) as file:
                        column = file.read_row_group(inside, columns=[self.column]).column(0).combine_chunks()
                except (OSError, pa.ArrowException) as error:
                    raise ImageError(f"Cannot read {self.files[number]} ({error}); fetch that file again.") from error
                self._cache[group] = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
                while len(self._cache) > 1 and sum(kept.nbytes for kept in self._cache.values()) > CACHED_BYTES:
                    self._cache.popitem(last=False)
            self._cache.move_to_end(group)
            return self._cache[group]


def on_disk(files: Sequence[Path | Place]) -> bool:
    """Whether all files are here, and none in a store or on a web server."""
    return all(isinstance(file, Path) for file in files)


def image_column_of(schema: pa.Schema) -> str | None:
    """Path in the file of the column of encoded images, ``image.bytes`` for a struct, or None if there is none."""
    for column in schema:
        if pa.types.is_struct(column.type) and any(field.name == "bytes" for field in column.type):
            return f"{column.name}.bytes"
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            return column.name
    return None


def has_image(files: Sequence[Path | Place], column: str) -> np.ndarray:
    """Which rows, of all files in order, hold an image; only row groups whose statistics count nulls are read."""
    present = []
    for path in files:
        with pq.ParquetFile(ranged(path), memory_map=True) as file:
            leaf = next(k for k in range(len(file.schema)) if file.schema.column(k).path == column)
            for group in range(file.metadata.num_row_groups):
                chunk = file.metadata.row_group(group).column(leaf)
                known = chunk.is_stats_set and chunk.statistics.has_null_count
                if not known or chunk.statistics.null_count == 0:  # without statistics, loading will tell
                    present.append(np.ones(chunk.num_values, dtype=bool))
                    continue
                values = file.read_row_group(group, columns=[column]).column(0).combine_chunks()
                values = pc.struct_field(values, "bytes") if pa.types.is_struct(values.type) else values
                present.append(values.is_valid().to_numpy(zero_copy_only=False))
    return np.concatenate(present) if present else np.zeros(0, dtype=bool)
