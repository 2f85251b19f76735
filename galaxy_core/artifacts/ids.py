"""Names of very many galaxies, without a Python string for each: a name by its row, a row by its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxy_core.artifacts.columns import ColumnTable

ID = "galaxy_id"
UNKNOWN = object()
MOST_REMEMBERED = 100_000
"""Names whose rows are remembered."""


@dataclass(frozen=True, eq=False)
class Ids:
    """What an array of the names answers: ``ids[row]``, ``ids[rows]``, ``ids[mask]``, ``len(ids)``, iteration."""

    table: ColumnTable

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows):
        if isinstance(rows, int | np.integer):
            number = int(np.searchsorted(self.table.ends, rows, side="right"))
            if not 0 <= rows < len(self):
                raise IndexError(f"there is no row {rows}")
            group = self.table.group(number, (ID,))
            return group[ID][int(rows) - int(self.table.ends[number]) + len(group)].as_py()
        return self.table[[ID]].iloc[rows][ID].to_numpy(dtype=object)

    def __iter__(self) -> Iterator[str]:
        for _, names in self.table.stream(ID):
            yield from names.to_pylist()


@dataclass(frozen=True, eq=False)
class RowOf:
    """What a dictionary from name to row answers, found in the file: ``row_of[name]``, ``in``, ``get``, `find`."""

    table: ColumnTable
    remembered: dict[str, int | None] = field(default_factory=dict, repr=False)

    def find(self, names: Iterable[str]) -> dict[str, int]:
        """Rows of those of the names that are in the catalog, in one pass over the groups that can hold them."""
        # of one's own, for another visitor's search may empty what is remembered at any moment
        rows = {name: self.remembered.get(name, UNKNOWN) for name in names}
        unknown = [name for name, row in rows.items() if row is UNKNOWN]
        if unknown:
            found = dict.fromkeys(unknown) | self._look_up(unknown)
            if len(self.remembered) + len(found) > MOST_REMEMBERED:
                self.remembered.clear()
            self.remembered.update(found)
            rows |= found
        return {name: row for name, row in rows.items() if row is not None}

    def remember(self, name: str, row: int) -> None:
        """Keep what is known already."""
        self.remembered[name] = int(row)

    def get(self, name: str, default=None) -> int | None:
        """Row of a name."""
        return self.find([name]).get(name, default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __getitem__(self, name: str) -> int:
        if (row := self.get(name)) is None:
            raise KeyError(name)
        return row

    def _look_up(self, names: list[str]) -> dict[str, int]:
        wanted, found = pa.array(sorted(names), pa.string()), {}
        for number, end in enumerate(self.table.ends):
            if len(found) == len(names) or not self._may_hold(number, wanted):
                continue
            column = self.table.read([number], [ID])[ID]
            inside = np.flatnonzero(pc.is_in(column, value_set=wanted).to_numpy())
            start = int(end) - len(column)
            found |= {column[int(k)].as_py(): start + int(k) for k in inside}
        return found

    def _may_hold(self, number: int, wanted: pa.Array) -> bool:
        """By the least and the largest name of a group of rows: few groups are read where the catalog is sorted."""
        metadata = self.table.file.metadata.row_group(number)
        known = metadata.column(self.table.file.schema_arrow.get_field_index(ID)).statistics
        if known is None or not known.has_min_max:
            return True
        between = pc.and_(pc.greater_equal(wanted, known.min), pc.less_equal(wanted, known.max))
        return bool(pc.any(between).as_py())
