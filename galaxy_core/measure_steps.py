"""The steps of the pipeline that measure what others made: how far each map can be trusted, how unusual each galaxy is.

Both need the neighbours in the embedding, so these are found first.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from galaxy_core import artifacts
from galaxy_core.anomaly import score_anomalies
from galaxy_core.artifacts.staging import Staging, Step, begin_step, fingerprint_of, finish_step
from galaxy_core.image_steps import PIPELINE_VERSION, Progress
from galaxy_core.map_trust import N_QUERIES, measure_trust
from galaxy_core.steps import Embedded, make_part, plain


def make_trust(
    staging: Staging, galaxies: Embedded, projections: Step, neighbors: Step, seed: int, progress: Progress
) -> Step:
    """How well each map keeps neighbourhoods: a column ``<projection>_trust``, and numbers as the record's result.

    The table of the maps is that of the step ``projections``; this one adds its columns to it, so that coordinates made
    earlier are kept.
    """
    inputs = fingerprint_of(PIPELINE_VERSION, projections.fingerprint, neighbors.fingerprint, seed, N_QUERIES)
    step = begin_step(staging, "trust", inputs, ())
    table = pq.read_table(staging.folder / artifacts.table_file("projections")).to_pandas()
    # in the order of the table: records of steps are sorted by name
    names = [column.removesuffix("_x") for column in table if column.endswith("_x")]
    progress("trust", 0, len(names))
    if step.done and not {f"{name}_trust" for name in names} <= set(table):
        step.result, step.reused = None, False  # the maps were made again since
    if not step.done:
        index, _ = staged_neighbors(staging, galaxies.model, neighbors)
        result = {}

        def measure(name: str) -> tuple[dict, dict]:
            coordinates = table[[f"{name}_x", f"{name}_y"]].to_numpy()
            trust = measure_trust(galaxies.vectors, index, coordinates, seed)
            return {"trust": trust.per_galaxy}, trust.as_dict()

        for done, name in enumerate(names):
            progress("trust", done, len(names))
            arrays, result[name] = make_part(staging, step, name, lambda name=name: measure(name))
            table[f"{name}_trust"] = arrays["trust"]
        ordered = [f"{name}_{ending}" for name in names for ending in ("x", "y", "trust", "placed")]
        table = table[["galaxy_id", *(column for column in ordered if column in table)]]
        artifacts.write_table(staging.root, staging.name, "projections", table)
        finish_step(staging, step, (), result, 0.0)
    progress("trust", len(names), len(names))
    return step


def make_anomalies(staging: Staging, galaxies: Embedded, neighbors: Step, config, progress: Progress) -> Step:
    """Anomaly scores of every galaxy; its record's result says how they were made."""
    pattern = (artifacts.table_file("anomalies"),)
    inputs = fingerprint_of(PIPELINE_VERSION, galaxies.fingerprint, neighbors.fingerprint, config.seed, config.n_trees)
    step = begin_step(staging, "anomalies", inputs, pattern)
    n_galaxies = len(galaxies.table)
    if not step.done:
        started = time.perf_counter()
        progress("anomalies", 0, n_galaxies)
        _, similarity = staged_neighbors(staging, galaxies.model, neighbors)
        scores = score_anomalies(
            galaxies.vectors,
            similarity,
            config.seed,
            n_trees=config.n_trees,
            progress=lambda done, total: progress("anomalies", done, total),
        )
        columns = ("isolation_forest", "neighbor_distance", "anomaly")
        table = {"galaxy_id": galaxies.table["galaxy_id"], **{name: getattr(scores, name) for name in columns}}
        artifacts.write_table(staging.root, staging.name, "anomalies", pd.DataFrame(table))
        result = {"model": galaxies.model, "k": similarity.shape[1], "n_trees": config.n_trees, "seed": config.seed}
        finish_step(staging, step, pattern, plain(result), time.perf_counter() - started)
    progress("anomalies", n_galaxies, n_galaxies)
    return step


def staged_neighbors(staging: Staging, model: str, neighbors: Step) -> tuple[np.ndarray, np.ndarray]:
    """Rows and similarities of the neighbours in the staging folder, each (n, k), without the places not filled."""
    stored = pq.read_table(staging.folder / artifacts.neighbors_file(model))
    k = neighbors.result["k"]
    return tuple(artifacts.matrix_of(stored[name])[:, :k] for name in ("neighbor_row", "similarity"))
