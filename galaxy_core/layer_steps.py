"""The step of the pipeline that makes what a map of very many galaxies is drawn from (`galaxy_core.artifacts.layers`).

Up to `galaxy_core.map_layers.MAX_POINTS` galaxies a map draws all of them and there is nothing to make.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_core import artifacts, map_layers
from galaxy_core.artifacts import layers
from galaxy_core.artifacts.files import cached_sha256
from galaxy_core.artifacts.layer_files import DENSITY, GLOB, POINTS, SAMPLE
from galaxy_core.artifacts.staging import Staging, Step, begin_step, fingerprint_of, finish_step
from galaxy_core.image_steps import PIPELINE_VERSION, Progress, silent

GRIDS = (map_layers.DENSITY_BINS, 2 * map_layers.DENSITY_BINS, 4 * map_layers.DENSITY_BINS)
TEXTS = ("class", "split")  # columns of the catalog whose groups the sample is fair to, beside the clusters
MOST_GROUPS = 1000
"""Of one column; one with more is no grouping that a map shows."""


def make_layers(staging: Staging, n_galaxies: int, progress: Progress) -> list[Step]:
    """The layers of every map, made again when one of the tables they come from is another; no step for few."""
    if n_galaxies <= map_layers.MAX_POINTS:
        return []
    made_of = checksums(staging.folder)
    inputs = fingerprint_of(PIPELINE_VERSION, layers.VERSION, made_of, GRIDS, map_layers.SAMPLE_SIZE)
    step = begin_step(staging, "layers", inputs, (GLOB,))
    if not step.done:
        started = time.perf_counter()
        made = write_layers(staging.root, staging.name, progress)
        finish_step(staging, step, (GLOB,), {"maps": made}, time.perf_counter() - started)
    return [step]


def write_layers(root: str | Path, name: str, progress: Progress = silent) -> list[str]:
    """Write the layers of every map of a folder whose tables are there and whose manifest is not written yet.

    Returns
    -------
    list of str
        The maps.
    """
    folder = Path(root) / artifacts.check_name(name)
    made_of, groupings = checksums(folder), read_groupings(folder)
    table = folder / artifacts.table_file("projections")
    columns = pq.read_schema(table).names
    maps = [column.removesuffix("_x") for column in columns if column.endswith("_x")]
    for done, projection in enumerate(maps):
        progress("layers", done, len(maps))
        places = pq.read_table(table, columns=[f"{projection}_x", f"{projection}_y"])
        x, y = (places[f"{projection}_{axis}"].to_numpy() for axis in "xy")
        _write_map(root, name, projection, x, y, groupings, made_of)
    progress("layers", len(maps), len(maps))
    return maps


def checksums(folder: Path) -> dict[str, str]:
    """Of the tables that layers are made of, by path."""
    return {file: cached_sha256(folder / file) for file in map(artifacts.table_file, layers.MADE_OF)}


def read_groupings(folder: Path) -> dict[str, tuple[list, np.ndarray]]:
    """The groups of each column that maps are coloured by, in the order maps list them; and each galaxy's number.

    Returns
    -------
    dict of str to (list, int32 array of shape (n,))
        Texts by frequency, then by who comes first; clusters by their number. -1 for galaxies in none.
    """
    found = {}
    for table, wanted in (("catalog", TEXTS), ("clusters", None)):
        path = folder / artifacts.table_file(table)
        names = pq.read_schema(path).names
        for key in [n for n in names if (n.endswith("_label") if wanted is None else n in wanted)]:
            column = pq.read_table(path, columns=[key])[key]
            values, codes = _text_groups(column) if wanted else _label_groups(column)
            if 0 < len(values) <= MOST_GROUPS:
                found[key] = (values, codes)
    return found


def _text_groups(column: pa.ChunkedArray) -> tuple[list, np.ndarray]:
    column = pc.dictionary_encode(column).unify_dictionaries().combine_chunks()
    codes = pc.fill_null(column.indices, -1).to_numpy()
    sizes = np.bincount(codes + 1, minlength=len(column.dictionary) + 1)[1:]
    order = np.argsort(-sizes, kind="stable")
    number = np.full(len(order) + 1, -1, np.int32)  # the last is for galaxies without a text
    number[order] = np.arange(len(order))
    return [column.dictionary[int(k)].as_py() for k in order], number[codes]


def _label_groups(column: pa.ChunkedArray) -> tuple[list, np.ndarray]:
    labels = column.to_numpy()
    present = pd.unique(labels)
    present = np.sort(present[present >= 0])
    codes = np.searchsorted(present, labels).astype(np.int32)
    codes[labels < 0] = -1
    return present.tolist(), codes


def _write_map(root, name: str, projection: str, x: np.ndarray, y: np.ndarray, groupings: dict, made_of: dict) -> None:
    """The three files of one map; the sample, with what is said of all, last."""
    rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y)).astype(np.int32)
    extent = map_layers.extent_of(x, y)
    order = rows[map_layers.along_curve(x[rows], y[rows], extent)]
    layers.write_layer(root, name, projection, POINTS, {"x": x[order], "y": y[order], "row": order})
    layers.write_layer(root, name, projection, DENSITY, _cells(x, y, extent))
    on_map = {key: codes[rows] for key, (_, codes) in groupings.items()}
    drawn = map_layers.fair_to_all(rows, list(on_map.values()), map_layers.SAMPLE_SIZE, 0)
    columns = {"x": x[drawn], "y": y[drawn], "row": drawn}
    columns |= {key: codes[drawn] for key, (_, codes) in groupings.items()}
    groups = {
        key: {
            "values": values,
            "counts": _count(codes, len(values))[1:],
            "on_map": _count(on_map[key], len(values))[1:],
            "without": _count(on_map[key], len(values))[0],
        }
        for key, (values, codes) in groupings.items()
    }
    about = {"made_of": made_of, "n_on_map": len(rows), "extent": list(vars(extent).values()), "grids": GRIDS}
    layers.write_layer(root, name, projection, SAMPLE, columns, {**about, "groups": groups})


def _count(codes: np.ndarray, n_groups: int) -> list[int]:
    """Galaxies in no group, then in each."""
    return np.bincount(codes + 1, minlength=n_groups + 1).tolist()


def _cells(x: np.ndarray, y: np.ndarray, extent: map_layers.Extent) -> dict[str, np.ndarray]:
    """Every cell with a galaxy in it, of the coarsest grid first, line by line; coarse cells are sums of fine ones."""
    finest = map_layers.count_in_bins(x, y, extent, max(GRIDS))
    parts = []
    for bins in GRIDS:
        step = max(GRIDS) // bins
        counts = finest.reshape(bins, step, bins, step).sum(axis=(1, 3))
        line, column = np.nonzero(counts)
        parts.append(np.stack([np.full(len(line), bins), line, column, counts[line, column]]))
    return dict(zip(("bins", "line", "column", "count"), np.concatenate(parts, axis=1), strict=True))
