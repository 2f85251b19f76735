"""Images that lie as nested lists of numbers inside Parquet files, loaded one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_core.catalogs.parquet_images import on_disk
from galaxy_core.errors import ImageError
from galaxy_core.image_limits import check_size
from galaxy_core.places import Place, ranged

MOST_LAST = 4  # bands that may come last, as in arrays of pictures: no image of more pixels is so narrow
PIXEL_FIELDS = ("flux", "pixels", "array", "image", "data")


class NestedImages:
    """``load_image`` of nested pixels: reads the row group it needs and keeps the last. Safe to pickle.

    Parameters
    ----------
    files : sequence of Path or Place
    column : tuple of str
        Name of the column, and of the field in it if it is a struct.
    rows : ndarray of int, shape (n,)
        Row of each galaxy, counted through all files in order.
    """

    def __init__(self, files: Sequence[Path | Place], column: tuple[str, ...], rows: np.ndarray) -> None:
        self.files, self.column, self.rows = list(files), column, np.asarray(rows)
        self._groups: list[tuple[int, int]] = []
        starts, total = [], 0
        for number, path in enumerate(self.files):
            metadata = pq.read_metadata(ranged(path))
            for group in range(metadata.num_row_groups):
                self._groups.append((number, group))
                starts.append(total)
                total += metadata.row_group(group).num_rows
        self._starts = np.array(starts)
        self._kept: tuple[int, pa.Array] | None = None

    def __reduce__(self):
        return NestedImages, (self.files, self.column, self.rows)

    def states(self, rows: Sequence[int]) -> list[str] | None:
        """See `ParquetImages.states`."""
        return [self._state(int(row)) for row in rows] if on_disk(self.files) else None

    def _state(self, i: int) -> str:
        try:
            pixels = self(i)
        except ImageError as error:
            return f"{self.rows[i]} {error}"
        return f"{pixels.shape} {hashlib.blake2b(np.ascontiguousarray(pixels), digest_size=16).hexdigest()}"

    def __call__(self, i: int) -> np.ndarray:
        row = int(self.rows[i])
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        kept = self._kept  # one name for both parts, so that another thread cannot put its own in between
        if kept is None or kept[0] != group:
            kept = self._kept = (group, self._read(group))
        position = row - int(self._starts[group])
        name = f"{self.files[self._groups[group][0]].name}, row {position} of row group {self._groups[group][1]}"
        return pixels_of(kept[1][position], name)

    def _read(self, group: int) -> pa.Array:
        number, inside = self._groups[group]
        try:
            with pq.ParquetFile(ranged(self.files[number]), memory_map=True) as file:
                values = file.read_row_group(inside, columns=[".".join(self.column)]).column(0).combine_chunks()
        except (OSError, pa.ArrowException) as error:
            raise ImageError(f"Cannot read {self.files[number]} ({error}); fetch that file again.") from error
        return pc.struct_field(values, self.column[1]) if len(self.column) > 1 else values


def pixels_of(value: pa.Scalar, name: str) -> np.ndarray:
    """Nested lists as an image, float32 (bands, height, width); two levels are one band, and bands may come last.

    Raises
    ------
    ImageError
        There is none, its rows differ in length, or no pixel is finite.
    """
    if not value.is_valid:
        raise ImageError(f"{name} has no image; leave that galaxy out.")
    values, shape = value.values, [len(value.values)]
    while _is_list(values.type):  # not by way of Python's lists, which takes longer than the network does
        lengths = np.unique(pc.list_value_length(values).to_numpy(zero_copy_only=False))
        if len(values) and (values.null_count or len(lengths) > 1):
            raise ImageError(f"{name} is no image: its rows differ in length; leave that galaxy out.")
        values, shape = values.flatten(), [*shape, int(lengths[0]) if len(lengths) else 0]
    pixels = values.to_numpy(zero_copy_only=False).astype(np.float32).reshape(shape)
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    if pixels.ndim == 3 and pixels.shape[2] <= MOST_LAST < min(pixels.shape[:2]):
        pixels = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    if pixels.ndim != 3 or not pixels.size or not np.isfinite(pixels).any():
        raise ImageError(f"{name} is no image: it has no finite pixel, or not two or three axes; leave it out.")
    check_size(*pixels.shape[1:], name, len(pixels))
    return pixels


def nested_image_of(schema: pa.Schema) -> tuple[str, ...] | None:
    """Path of the first column that holds lists of lists of numbers, or a struct with a field that does."""
    for column in schema:
        if 2 <= _depth(column.type) <= 3:
            return (column.name,)
        if pa.types.is_struct(column.type):
            known = {field.name: field.type for field in column.type}
            for name in PIXEL_FIELDS:
                if name in known and 2 <= _depth(known[name]) <= 3:
                    return (column.name, name)
    return None


def _depth(kind: pa.DataType) -> int:
    """How deep lists of numbers are nested; 0 for anything else."""
    depth = 0
    while _is_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth if pa.types.is_floating(kind) or pa.types.is_integer(kind) else 0


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
