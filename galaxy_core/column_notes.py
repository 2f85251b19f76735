"""What a table says of its columns beside their values: units, descriptions, and how its owner calls the id.

A pandas table has it in ``attrs``, an Arrow table or a Parquet file as metadata of its fields, which files of older
versions lack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = "columns"
UNIT, DESCRIPTION = "unit", "description"
TYPE = "type"  # of a column as its file has it, since ids are read as text
OWN_NAME, OWN_TYPE = "own_name", "own_type"  # of ``galaxy_id``, as the table of its owner has them
KEPT = (UNIT, DESCRIPTION, OWN_NAME, OWN_TYPE)
WHOLE = ("int16", "int32", "int64")

Notes = dict[str, dict[str, str]]
"""For each column that has some, what is said of it."""


def notes_of(table: pd.DataFrame) -> Notes:
    """What is said of the columns of a pandas table."""
    return table.attrs.get(COLUMNS, {})


def set_notes(table: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    """The same table, in which this is said of its columns."""
    table.attrs = {COLUMNS: notes} if notes else {}
    return table


def notes_in(schema: pa.Schema) -> Notes:
    """What the fields of an Arrow table say."""
    found = {}
    for field in schema:
        said = {key: (field.metadata or {}).get(key.encode(), b"").decode() for key in KEPT}
        if said := {key: text for key, text in said.items() if text}:
            found[field.name] = said
    return found


def notes_by_astropy(schema: pa.Schema) -> Notes:
    """What astropy, or an export of the app, wrote of the columns of a Parquet file."""
    header = (schema.metadata or {}).get(b"table_meta_yaml")
    if header is None:
        return {}
    from astropy.table.meta import get_header_from_yaml

    said = get_header_from_yaml(header.decode().splitlines())["datatype"]
    return {column["name"]: {key: str(column.get(key, "")) for key in (UNIT, DESCRIPTION)} for column in said}


def noted(table: pa.Table, notes: Notes) -> pa.Table:
    """An Arrow table whose fields say this, and nothing else."""
    schema = table.schema
    if not schema:  # Arrow would forget how many rows it has
        return table
    for place, field in enumerate(schema):
        said = {key: text for key, text in notes.get(field.name, {}).items() if key in KEPT and text}
        schema = schema.set(place, field.with_metadata(said or None))
    return table.cast(schema)


def own_id(ids: pd.Series, notes: Notes) -> dict[str, str]:
    """Name and type of the column that galaxies are named by; none where it is no column.

    It is text where its file says so or where an id is no whole number of 64 bits, written plainly.
    """
    if ids.name is None:
        return {}
    kind = notes.get(ids.name, {}).get(TYPE, "int64")
    plain = "string" not in kind and ids.str.fullmatch(r"0|-?[1-9]\d{0,18}").all()
    numbers = list(map(int, ids.tolist())) if plain else []
    least, most = min(numbers, default=0), max(numbers, default=0)
    fitting = [
        name for name in (kind, "int64") if name in WHOLE and np.iinfo(name).min <= least and most <= np.iinfo(name).max
    ]
    return {OWN_NAME: str(ids.name), OWN_TYPE: fitting[0] if plain and fitting else "text"}


def with_own_id(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the column of ids also under its owner's name and in its owner's type, behind ``galaxy_id``.

    Where the owner's name is ``galaxy_id``, in any case, that column is the only one.
    """
    notes = notes_of(frame)
    own = notes.get("galaxy_id", {})
    if "galaxy_id" not in frame or OWN_NAME not in own:
        return frame
    ids = frame["galaxy_id"]
    if own[OWN_TYPE] in WHOLE:
        ids = pd.Series(np.array(list(map(int, ids.tolist())), dtype=own[OWN_TYPE]), index=frame.index)
    wide = frame.drop(columns=_replaced(own[OWN_NAME]), errors="ignore")
    wide.insert(int("galaxy_id" in wide), own[OWN_NAME], ids)
    return set_notes(wide, notes)


def with_own_ids(table: pa.Table) -> pa.Table:
    """`with_own_id` of an Arrow table."""
    import pyarrow as pa

    own = notes_in(table.schema).get("galaxy_id", {})
    if OWN_NAME not in own:
        return table
    ids, name = table["galaxy_id"], own[OWN_NAME]
    ids = ids.cast(pa.type_for_alias(own[OWN_TYPE])) if own[OWN_TYPE] in WHOLE else ids
    others = [column for column in table.column_names if column not in _replaced(name)]
    return table.select(others).add_column(int("galaxy_id" in others), name, ids)


def _replaced(own_name: str) -> list[str]:
    """Columns that the owner's column of ids takes the place of."""
    return [own_name, "galaxy_id"] if own_name.lower() == "galaxy_id" else [own_name]
