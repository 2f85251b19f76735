"""The table of sweeps: what clusterings come out for a range of parameters, a row a fit.

Rows are added one by one while a sweep runs, so the table is not listed in the manifest. Every row remembers which
embedding it was measured on, and how large a sample of it was fitted; those of another are not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core.artifacts import schemas
from galaxy_core.artifacts.files import atomic_path
from galaxy_core.artifacts.reading import read_manifest
from galaxy_core.artifacts.schemas import Manifest
from galaxy_core.errors import ArtifactError

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("space", "method", "parameter")),
        ("value", pa.float64()),
        ("seed", pa.int64()),
        ("n_clusters", pa.int64()),
        *((name, pa.float64()) for name in ("coverage", "strict", "strict_low", "strict_high", "clustered")),
        ("n_reference", pa.int64()),
        *((name, pa.float64()) for name in ("inertia", "bic", "dbcv", "ami", "ari", "seconds")),
        ("params", pa.string()),
        ("source", pa.string()),
    ]
)
KEY = ("space", "method", "parameter", "value", "seed", "params", "source")
"""Columns that tell fits apart: a fit made again replaces its row."""


def read_sweeps(root: str | Path, name: str) -> pd.DataFrame:
    """Every fit of every sweep over the catalog's embedding, in the order they were made; empty where there is none.

    Columns: ``space, method, parameter, value, seed``; ``n_clusters, coverage``; ``strict`` (silhouette in the fitted
    space, unclustered galaxies counting 0) with its 95 % interval ``strict_low, strict_high``, ``clustered`` (the
    same over clustered galaxies alone) and ``n_reference`` (galaxies distances were measured to); ``inertia``, ``bic``,
    ``dbcv``, ``ami``, ``ari``, NaN where there is no such number; ``seconds`` of the fit; ``params``, the other
    parameters as JSON; ``source``, of `sweep_source`.

    Raises
    ------
    ArtifactError
        The table is corrupt, or the catalog has no manifest.
    """
    frame = _read(root, name)
    return frame[frame["source"] == sweep_source(read_manifest(root, name))].reset_index(drop=True)


def append_sweep(root: str | Path, name: str, rows: Sequence[dict]) -> Path:
    """Add fits; a fit that is there already is replaced, and rows of another embedding than theirs are dropped."""
    added = pa.Table.from_pylist([{key: row.get(key) for key in SCHEMA.names} for row in rows], SCHEMA).to_pandas()
    frame = _read(root, name)
    frame = frame[frame["source"].isin(set(added["source"]))]
    parts = [part for part in (frame, added) if len(part)]
    if parts:
        added = pd.concat(parts, ignore_index=True).drop_duplicates(subset=list(KEY), keep="last")
    path = schemas.catalog_folder(root, name) / schemas.SWEEPS_FILE
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pandas(added, SCHEMA, preserve_index=False), temporary)
    return path


def sweep_source(manifest: Manifest) -> str:
    """Names what a sweep was made on: the model, what went into the step that embedded, and the size of a sample."""
    step = manifest.config.get("steps", {}).get("images", {})
    limit = manifest.config.get("fit_limit", 0)
    sampled = f" {limit}" if 0 < limit < manifest.n_galaxies else ""
    return f"{manifest.model} {step.get('fingerprint', '')[:16]} {manifest.seed}{sampled}"


def _read(root: str | Path, name: str) -> pd.DataFrame:
    path = schemas.catalog_folder(root, name) / schemas.SWEEPS_FILE
    if not path.is_file():
        return SCHEMA.empty_table().to_pandas()
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ArtifactError(
            f"{path} is corrupt ({type(error).__name__}); delete it and run the sweep again with"
            f" `python scripts/cluster.py {name} --method METHOD --sweep PARAMETER=VALUES`."
        ) from error
    if table.schema.names != SCHEMA.names:
        raise ArtifactError(
            f"{path} does not have the columns of this version; delete it and run the sweep again with"
            f" `python scripts/cluster.py {name} --method METHOD --sweep PARAMETER=VALUES`."
        )
    return table.to_pandas()
