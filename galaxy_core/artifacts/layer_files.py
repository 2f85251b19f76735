"""Names and columns of the files a map of very many galaxies is drawn from; see `galaxy_core.artifacts.layers`."""

from __future__ import annotations

import pyarrow as pa

FOLDER = "layers"
GLOB = f"{FOLDER}/*/*.parquet"
POINTS, DENSITY, SAMPLE = "points", "density", "sample"
PARTS = (POINTS, DENSITY, SAMPLE)

TYPES = {
    POINTS: {"x": pa.float32(), "y": pa.float32(), "row": pa.int32()},
    DENSITY: {name: pa.int32() for name in ("bins", "line", "column", "count")},
    SAMPLE: {"x": pa.float32(), "y": pa.float32(), "row": pa.int32()},
}
"""Columns a file begins with. Those that follow in a sample are the galaxies' groups: numbers, int32."""


def is_layer(relative: str) -> bool:
    """Whether a file of a catalog has no line for each galaxy in the order of the catalog."""
    return relative.startswith(f"{FOLDER}/")


def check_layer(relative: str, schema: pa.Schema) -> str:
    """What is wrong with the columns of such a file, as the end of a sentence; empty where nothing is."""
    part = relative.rpartition("/")[2].removesuffix(".parquet")
    wanted = TYPES.get(part)
    if relative.count("/") != 2 or wanted is None:
        return "it is no table of this schema version"
    if len(set(schema.names)) != len(schema.names):
        return "it repeats a column"
    found = {name: schema.field(name).type for name in schema.names}
    more = {name: kind for name, kind in found.items() if name not in wanted}
    if list(found)[: len(wanted)] != list(wanted) or (more and part != SAMPLE):
        return f"it has the columns {', '.join(found)}, not {', '.join(wanted)}"
    wrong = [name for name, kind in found.items() if kind != wanted.get(name, pa.int32())]
    return f"its column {wrong[0]} is {found[wrong[0]]}" if wrong else ""
