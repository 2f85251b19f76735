"""A table of very many galaxies of which a column, or the rows of a few galaxies, is read when it is asked for.

It answers to what the pages ask of a pandas table (``table["class"]``, ``"class" in table``, ``table.columns``,
``table.iloc[rows]``), and keeps the columns and rows used last, up to a fixed number of bytes. Groups of rows are read
whole, so that one galaxy is one read of a few megabytes. Texts come as categories: a number for each galaxy, not a
Python string.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_core.artifacts import reading, schemas
from galaxy_core.artifacts.schemas import Manifest
from galaxy_core.column_notes import notes_in, set_notes
from galaxy_core.errors import ArtifactError

KEPT_BYTES = 160 * 2**20
"""Of columns and rows of one table that are kept for the next time."""


@dataclass(frozen=True, eq=False)
class ColumnTable:
    """One table; made by `open_columns`.

    Attributes
    ----------
    file : pyarrow.parquet.ParquetFile
    names : tuple of str
        Its columns; those of ``file``, or some of them.
    ends : int64 array, shape (n_groups,)
        Rows up to the end of each group of rows.
    broken : str
        The sentence where a part of the file cannot be decoded.
    kept : OrderedDict
        What was read last.
    lock : threading.Lock
        One reader at a time: visitors share the table.
    """

    file: pq.ParquetFile = field(repr=False)
    names: tuple[str, ...]
    ends: np.ndarray = field(repr=False)
    broken: str = field(repr=False)
    kept: OrderedDict = field(default_factory=OrderedDict, repr=False)
    lock: object = field(default_factory=threading.RLock, repr=False)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    @property
    def columns(self) -> pd.Index:
        """Names of the columns."""
        return pd.Index(self.names)

    @property
    def index(self) -> pd.RangeIndex:
        """Numbers of the rows."""
        return pd.RangeIndex(len(self))

    @property
    def iloc(self) -> Rows:
        """Some rows, by number, as of a pandas table."""
        return Rows(self)

    def __getitem__(self, name):
        """A column as a series, or a table of some columns."""
        if isinstance(name, list):
            return ColumnTable(self.file, tuple(name), self.ends, self.broken, self.kept, self.lock)
        if name not in self.names:
            raise KeyError(name)
        return self._keep(("column", name), lambda: _series(self.read(None, [name])[name], name))

    def has_values(self, name: str) -> bool:
        """Whether a galaxy has a value in a column that is neither missing nor not a number; nothing is read."""
        place = self.file.schema_arrow.get_field_index(name)
        for group in range(len(self.ends)):
            known = self.file.metadata.row_group(group).column(place).statistics
            if known is None or known.has_min_max:
                return True
        return False

    def group(self, number: int, names: tuple[str, ...] | None = None) -> pa.Table:
        """A group of rows."""
        names = names or self.names
        return self._keep((number, names), lambda: self.read([number], list(names)))

    def stream(self, name: str) -> Iterator[tuple[int, pa.ChunkedArray]]:
        """A column group by group, each with the number of its first row; nothing is kept."""
        for number, end in enumerate(self.ends):
            column = self.read([number], [name])[name]
            yield int(end) - len(column), column

    def is_number(self, name: str) -> bool:
        """Whether a column holds numbers; truth values are none."""
        kind = self.file.schema_arrow.field(name).type
        return pa.types.is_integer(kind) or pa.types.is_floating(kind)

    def read(self, groups: list[int] | None, names: list[str]) -> pa.Table:
        """Columns of some groups of rows, or of all; nothing is kept."""
        try:
            with self.lock:
                if groups is None:
                    return self.file.read(columns=names)
                return self.file.read_row_groups(groups, columns=names)
        except (pa.ArrowException, OSError) as error:
            raise ArtifactError(self.broken) from error

    def _keep(self, key: Hashable, read):
        with self.lock:
            if key not in self.kept:
                self.kept[key] = read()
            self.kept.move_to_end(key)
            while len(self.kept) > 1 and sum(map(_bytes_of, self.kept.values())) > KEPT_BYTES:
                self.kept.popitem(last=False)
            return self.kept[key]


@dataclass(frozen=True)
class Rows:
    """``iloc`` of a `ColumnTable`: a number gives a series, a list or an array a pandas table."""

    table: ColumnTable

    def __getitem__(self, rows):
        if isinstance(rows, int | np.integer):
            return self[[int(rows)]].iloc[0]
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        numbers = np.searchsorted(self.table.ends, rows, side="right")
        order = np.argsort(numbers, kind="stable")
        pieces = []
        for number in np.unique(numbers):
            group = self.table.group(int(number))
            inside = rows[order][numbers[order] == number] - (self.table.ends[number] - len(group))
            pieces.append(group.take(pa.array(inside)))
        if not pieces:
            return _plain(self.table.file.schema_arrow.empty_table().select(list(self.table.names))).to_pandas()
        place = np.empty(len(rows), np.int64)
        place[order] = np.arange(len(rows))
        found = pa.concat_tables(map(_plain, pieces)).take(pa.array(place)).to_pandas()
        return set_notes(found.set_axis(pd.Index(rows), axis=0), notes_in(self.table.file.schema_arrow))


def open_columns(root: str | Path, manifest: Manifest, table: str) -> ColumnTable:
    """Open one of the small tables of a catalog that is not small.

    It is checked that the file is there, as long as recorded, and has the columns and rows it should. Its checksum is
    not: that would be to read it whole (`galaxy_core.artifacts.verify` does).

    Raises
    ------
    ArtifactError
        One of these checks fails.
    """
    return open_file(root, manifest, schemas.table_file(table))


def open_neighbors(root: str | Path, manifest: Manifest, model: str) -> ColumnTable:
    """Open the table of neighbours; see `open_columns`."""
    return open_file(root, manifest, schemas.neighbors_file(model))


def open_file(root: str | Path, manifest: Manifest, relative: str, n_rows: int | None = None) -> ColumnTable:
    """Open any file with ``n_rows`` rows, as many as there are galaxies by default; see `open_columns`."""
    n_rows = manifest.n_galaxies if n_rows is None else n_rows
    file = reading._open(root, manifest, relative)
    texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type) and field.name != "galaxy_id"]
    path = schemas.catalog_folder(root, manifest.name) / relative
    if texts and path.is_file():
        file.close()
        file = pq.ParquetFile(path, read_dictionary=texts)  # a text that repeats is read as its number
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    broken = reading._sentence(root, manifest, relative, "is corrupt (it cannot be decoded)")
    if sum(sizes) != n_rows:
        file.close()
        what = f"does not hold {n_rows:,} galaxies"
        raise ArtifactError(reading._sentence(root, manifest, relative, what))
    return ColumnTable(file, tuple(file.schema_arrow.names), np.cumsum(sizes, dtype=np.int64), broken)


def _series(column: pa.ChunkedArray, name: str) -> pd.Series:
    """A column in memory once; texts as categories."""
    if pa.types.is_string(column.type):
        column = pc.dictionary_encode(column)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.to_pandas().rename(name)


def _plain(table: pa.Table) -> pa.Table:
    """The same with texts as texts."""
    kinds = [f.type.value_type if pa.types.is_dictionary(f.type) else f.type for f in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


def _bytes_of(value: object) -> int:
    return value.nbytes if isinstance(value, pa.Table) else int(value.memory_usage(index=False, deep=False))
