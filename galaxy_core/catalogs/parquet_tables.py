"""What the readers of Parquet share: columns that fit in a table, and ids that keep every digit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_core.catalogs.tables import ID_COLUMNS, find_column
from galaxy_core.column_notes import TYPE, Notes, noted, notes_by_astropy, notes_in, set_notes
from galaxy_core.places import Place, ranged

COUNTED = "__row__"
ROW_NUMBERS = "__index_level_"  # columns that pandas adds
MASK = ".mask"  # where astropy says which values of the column of that name are missing
MOST_EXACT = 2**53  # whole numbers beyond are rounded where a column with gaps becomes one of floats


def read_schema(path: Path | Place) -> pa.Schema:
    """Columns of a file; text that was stored as bytes, as astropy and pandas do with a FITS table, counts as text."""
    with pq.ParquetFile(ranged(path)) as file:
        return _schema_of(file)


def _schema_of(file: pq.ParquetFile) -> pa.Schema:
    schema, metadata = file.schema_arrow, file.metadata
    leaves = {metadata.schema.column(k).path: k for k in range(metadata.num_columns)}
    for place, column in enumerate(schema):
        if _is_bytes(column.type) and _holds_text(metadata, leaves[column.name]):
            schema = schema.set(place, column.with_type(pa.string()))
    return pa.schema([column for column in schema if not column.name.startswith(ROW_NUMBERS)], schema.metadata)


def read_flat(path: Path | Place) -> pa.Table:
    """All columns of a file but images and other nested ones; what astropy says is missing is null."""
    # one file, not a dataset: the names of folders such as Norder= are no columns
    with pq.ParquetFile(ranged(path)) as file:
        table = file.read(columns=flat_columns(_schema_of(file)))
        said = notes_in(table.schema) | notes_by_astropy(file.schema_arrow)
    for place, name in enumerate(table.column_names):
        if _is_bytes(table.schema.field(name).type):
            table = table.set_column(place, name, table.column(name).cast(pa.string()))
    for name in table.column_names:
        masked = name.removesuffix(MASK)
        if masked != name and masked in table.column_names and pa.types.is_boolean(table.schema.field(name).type):
            values = pc.if_else(table.column(name), None, table.column(masked))
            table = table.set_column(table.column_names.index(masked), masked, values).drop_columns(name)
    return noted(table, said)


def flat_columns(schema: pa.Schema) -> list[str]:
    """Names of all columns but nested and binary ones, which hold images."""
    return [column.name for column in schema if not pa.types.is_nested(column.type) and not _is_bytes(column.type)]


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _holds_text(metadata: pq.FileMetaData, leaf: int) -> bool:
    """Whether bytes are text, by the least and the largest of a group of rows; for images the footer has neither."""
    for group in range(metadata.num_row_groups):
        known = metadata.row_group(group).column(leaf).statistics
        if known is not None and known.has_min_max:
            try:
                return (known.min + known.max).decode().isprintable()
            except UnicodeDecodeError:
                return False
    return False


def joined_frame(parts: Sequence[pa.Table]) -> pd.DataFrame:
    """Tables one below the other, with a column of ids as text.

    Parameters
    ----------
    parts : sequence of pyarrow.Table
        A column that only some of them have is null in the others; some may have none at all.

    Returns
    -------
    pandas.DataFrame
        Ids that are whole numbers stay whole: 18 digits and a null would otherwise pass through float64. So would other
        long numbers with gaps, which become text as well. `galaxy_core.column_notes` of it has what the parts say, and
        the types they have.
    """
    # Arrow forgets how many rows a table has that is left without columns
    counted = [_plain(part.append_column(COUNTED, pa.nulls(len(part)))) for part in parts]
    table = pa.concat_tables(counted, promote_options="permissive")
    for place, column in enumerate(table.schema):
        if _would_be_rounded(table.column(place)):
            table = table.set_column(place, column.name, table.column(place).cast(pa.string()))
    return set_notes(table.to_pandas().drop(columns=COUNTED), _notes_of(parts))


def _notes_of(parts: Sequence[pa.Table]) -> Notes:
    found: Notes = {}
    for part in reversed(parts):  # the first of them counts
        said = notes_in(part.schema)
        found |= {field.name: said.get(field.name, {}) | {TYPE: str(field.type)} for field in part.schema}
    return found


def _plain(table: pa.Table) -> pa.Table:
    """The same, dictionaries of texts as texts, decimals of databases as floats, and ids as text unless floats."""
    id_column = find_column(table.column_names, ID_COLUMNS)
    kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in table.schema.types]
    for place, name in enumerate(table.column_names):
        if name == id_column and not pa.types.is_floating(kinds[place]):
            kinds[place] = pa.string()
        elif pa.types.is_decimal(kinds[place]):
            kinds[place] = pa.float64()
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


def _would_be_rounded(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_integer(column.type) or not column.null_count or column.null_count == len(column):
        return False
    ends = pc.min_max(column).as_py()
    return max(-ends["min"], ends["max"]) > MOST_EXACT
