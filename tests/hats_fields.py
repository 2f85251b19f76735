"""Small fields of galaxies, as tables and as the streams that `galaxy_core.hats_export` takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa


def field(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Galaxies of a dense field of two degrees, so that borders of small pixels run through it."""
    rng = np.random.default_rng(seed)
    ids = [f"галактика-{k}" for k in range(n)]
    return pd.DataFrame({"galaxy_id": ids, "ra_deg": rng.uniform(44, 46, n), "dec_deg": rng.uniform(-1, 1, n)})


def stream_of(frame: pd.DataFrame, batch: int = 64):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return lambda: (table.slice(start, batch) for start in range(0, len(table), batch))
