"""What a map of very many galaxies is drawn from, in files of which a map reads little, however many there are.

::

    <root>/<name>/layers/<projection>/points.parquet     x, y, row of every galaxy on the map, neighbours together
                                     /density.parquet    bins, line, column, count of every cell that is not empty
                                     /sample.parquet     x, y, row of a fair sample, and the number of its groups

Groups of rows of the points are parts of the map with their bounds in the file's footer, so that an outline or a part
of the map reads the groups it touches. The sample's metadata say what the whole map is: its rectangle, how many
galaxies are on it, every group with its number of galaxies, and the checksums of the tables all of this was made from.
Layers of other tables than the manifest lists are not opened: a map is then drawn from its columns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core.artifacts import schemas
from galaxy_core.artifacts.columns import ColumnTable, open_file
from galaxy_core.artifacts.files import atomic_path
from galaxy_core.artifacts.layer_files import DENSITY, FOLDER, PARTS, POINTS, SAMPLE, TYPES, check_layer
from galaxy_core.artifacts.schemas import Manifest
from galaxy_core.errors import ArtifactError
from galaxy_core.map_layers import Extent

VERSION = 1
METADATA = b"galaxy_atlas"
ROW_GROUPS = {POINTS: 32_768, DENSITY: 65_536, SAMPLE: 131_072}
MOST_CELLS = 800  # across a part of a map: as many as a map has pixels, about
MADE_OF = ("catalog", "projections", "clusters")


@dataclass(frozen=True, eq=False)
class Layers:
    """The layers of one map; made by `open_layers`.

    Attributes
    ----------
    points, density : ColumnTable
    sample : dict of str to array, shape (n_sample,)
        ``x``, ``y`` (float32), ``row`` (int32), and for each grouping the number of each galaxy's group, int32, -1 for
        none; in random order.
    extent : Extent
        Around all galaxies on the map.
    grids : list of int
        Cells across the map in each of the grids of ``density``.
    groups : dict
        ``{grouping: {"values", "counts", "on_map", "without"}}``: what the groups are called in their column, in the
        order of their numbers; galaxies in each, and those of them on the map; galaxies on the map without a group.
    """

    points: ColumnTable = field(repr=False)
    density: ColumnTable = field(repr=False)
    sample: dict[str, np.ndarray] = field(repr=False)
    extent: Extent
    grids: list[int]
    groups: dict = field(repr=False)

    @property
    def n_on_map(self) -> int:
        """Galaxies on the map."""
        return len(self.points)

    @cached_property
    def bounds(self) -> np.ndarray:
        """Rectangle around each group of rows of the points: float64, (n_groups, 4), as ``x0, x1, y0, y1``."""
        return np.array(_ends(self.points), dtype=np.float64).reshape(-1, 4)

    def least_within(self, part: Extent) -> int:
        """Galaxies that are in a part of the map for sure, from the footer alone."""
        x0, x1, y0, y1 = self.bounds.T
        inside = (x0 >= part.x0) & (x1 <= part.x1) & (y0 >= part.y0) & (y1 <= part.y1)
        return int(np.diff(self.points.ends, prepend=0)[inside].sum())

    def around(self, part: Extent) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, x and y of all galaxies in a part of the map, and of some beside it, in no order."""
        x0, x1, y0, y1 = self.bounds.T
        touched = (x1 >= part.x0) & (x0 <= part.x1) & (y1 >= part.y0) & (y0 <= part.y1)
        table = self.points.read(np.flatnonzero(touched).tolist(), ["row", "x", "y"])
        return tuple(table[name].to_numpy() for name in ("row", "x", "y"))

    def grid_of(self, part: Extent, most: int = MOST_CELLS) -> int:
        """The finest grid of which at most so many cells lie across a part of the map; else the coarsest."""
        fits = [bins for bins in self.grids if max(high - low for low, high in self._span(part, bins)) <= most]
        return max(fits, default=min(self.grids))

    def counts(self, part: Extent, bins: int) -> tuple[np.ndarray, Extent]:
        """Galaxies in the cells of a grid that cover a part of the map.

        Returns
        -------
        counts : int64 array, shape (n_lines, n_columns)
            Row 0 at ``y0``.
        covered : Extent
            The rectangle of these cells; all of ``part`` that is on the map lies in it.
        """
        whole, ((left, right), (bottom, top)) = self.extent, self._span(part, bins)
        width, height = (whole.x1 - whole.x0) / bins, (whole.y1 - whole.y0) / bins
        covered = whole.x0 + left * width, whole.x0 + right * width, whole.y0 + bottom * height, whole.y0 + top * height
        return self._lines(bins, bottom, top)[:, left:right], Extent(*covered)

    def _span(self, part: Extent, bins: int) -> list[tuple[int, int]]:
        """First cell and the one after the last, in x and in y; at least one."""
        whole, spans = self.extent, []
        for a, b, low, high in ((part.x0, part.x1, whole.x0, whole.x1), (part.y0, part.y1, whole.y0, whole.y1)):
            first, last = (float(np.clip((v - low) / (high - low), 0, 1)) * bins for v in (a, b))
            start = min(int(first), bins - 1)
            spans.append((start, max(start + 1, int(np.ceil(last)))))
        return spans

    def _lines(self, bins: int, start: int, stop: int) -> np.ndarray:
        """Lines ``start`` to before ``stop`` of a grid."""
        wanted = []
        for number, (least, most, first, last) in enumerate(_ends(self.density)):
            if least <= bins <= most and (least < most or (last >= start and first < stop)):
                wanted.append(number)
        table = self.density.read(wanted, list(self.density.names))
        of, line, column, count = (table[name].to_numpy() for name in self.density.names)
        inside = (of == bins) & (line >= start) & (line < stop)
        counts = np.zeros((stop - start, bins), np.int64)
        counts[line[inside] - start, column[inside]] = count[inside]
        return counts


def _ends(table: ColumnTable) -> list[list[float]]:
    """Least and largest value of the first two columns of each group of rows, from the footer."""
    found = []
    for number in range(table.file.metadata.num_row_groups):
        group = table.file.metadata.row_group(number)
        known = [group.column(place).statistics for place in range(2)]
        all_known = all(side is not None and side.has_min_max for side in known)
        ends = [end for side in known for end in (side.min, side.max)] if all_known else [-np.inf, np.inf] * 2
        found.append(ends)
    return found


def layer_file(projection: str, part: str) -> str:
    """Relative path of one of the files of a map's layers."""
    return f"{FOLDER}/{schemas.check_name(projection, 'map')}/{part}.parquet"


def open_layers(root: str | Path, manifest: Manifest, projection: str) -> Layers | None:
    """The layers of a map; None where there are none, where they are of other tables, or cannot be read."""
    files = {part: layer_file(projection, part) for part in PARTS}
    if not set(files.values()) <= set(manifest.files):
        return None
    try:
        points, density, sample = (open_file(root, manifest, f, manifest.files[f]["rows"]) for f in files.values())
        about = json.loads(sample.file.schema_arrow.metadata[METADATA])
        made_of = {path: manifest.files[path]["sha256"] for path in about["made_of"]}
        if about["version"] != VERSION or made_of != about["made_of"] or about["n_on_map"] != len(points):
            return None
        drawn = sample.read(None, list(sample.names))
        arrays = {name: drawn[name].to_numpy() for name in drawn.column_names}
        return Layers(points, density, arrays, Extent(*about["extent"]), about["grids"], about["groups"])
    except (ArtifactError, KeyError, TypeError, ValueError):
        return None


def write_layer(
    root: str | Path, name: str, projection: str, part: str, columns: dict[str, np.ndarray], about: dict | None = None
) -> Path:
    """Write one of the files.

    Parameters
    ----------
    columns : dict of str to array
        As the docstring of this module says; groups come last.
    about : dict, optional
        Of the whole map, for the sample.
    """
    arrays = {key: pa.array(values, TYPES[part].get(key, pa.int32())) for key, values in columns.items()}
    table, relative = pa.table(arrays), layer_file(projection, part)
    if wrong := check_layer(relative, table.schema):
        raise ArtifactError(f"{relative} of {name} cannot be written: {wrong}.")
    if about is not None:
        text = json.dumps({"version": VERSION, **about}, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        table = table.replace_schema_metadata({METADATA: text.encode("utf-8", "surrogatepass")})
    places = [key for key in ("x", "y") if key in arrays]
    path = Path(root) / schemas.check_name(name) / relative
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            row_group_size=ROW_GROUPS[part],
            compression="zstd",
            use_dictionary=[key for key in arrays if key not in ("x", "y", "row")],
            use_byte_stream_split=places,  # neighbours on a map share the upper bytes of their coordinates
        )
    return path
