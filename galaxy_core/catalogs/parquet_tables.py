"""What the readers of Parquet share: columns that fit in a table, and ids that keep every digit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from galaxy_core.catalogs.tables import ID_COLUMNS, find_column

COUNTED = "__row__"


def flat_columns(schema: pa.Schema) -> list[str]:
    """Names of all columns but nested and binary ones, which hold images."""
    kinds = (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary)
    return [column.name for column in schema if not any(is_kind(column.type) for is_kind in kinds)]


def joined_frame(parts: Sequence[pa.Table]) -> pd.DataFrame:
    """Tables one below the other, with a column of ids as text.

    Parameters
    ----------
    parts : sequence of pyarrow.Table
        A column that only some of them have is null in the others; some may have none at all.

    Returns
    -------
    pandas.DataFrame
        Ids that are whole numbers stay whole: 18 digits and a null would otherwise pass through float64.
    """
    # Arrow forgets how many rows a table has that is left without columns
    counted = [part.append_column(COUNTED, pa.nulls(len(part))).replace_schema_metadata(None) for part in parts]
    table = pa.concat_tables(counted, promote_options="permissive")
    id_column = find_column(table.column_names, ID_COLUMNS)
    if id_column is not None and not pa.types.is_floating(table.schema.field(id_column).type):
        place = table.column_names.index(id_column)
        table = table.set_column(place, id_column, table.column(id_column).cast(pa.string()))
    return table.to_pandas().drop(columns=COUNTED)
