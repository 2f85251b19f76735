"""What a table says of its columns beside their values: units, descriptions, and how its owner calls the id.

A pandas table has it in ``attrs``, an Arrow table or a Parquet file as metadata of its fields, which files of older
versions lack.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = "columns"
UNIT, DESCRIPTION = "unit", "description"
TYPE = "type"  # of a column as its file has it, since ids are read as text
OWN_NAME, OWN_TYPE = "own_name", "own_type"  # of ``galaxy_id``, as the table of its owner has them; see `gapped_types`
KEPT = (UNIT, DESCRIPTION, OWN_NAME, OWN_TYPE)
WHOLE = ("uint8", "int16", "int32", "int64")  # that all formats of exports hold

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


def gapped_types(table: pd.DataFrame, notes: Notes) -> dict[str, str]:
    """Own types of columns of whole numbers that are floats here because there are gaps.

    Longer ones than floats hold are text, and stay text in exports: many programs read Parquet and CSV through floats.
    """
    kinds = {name: notes.get(name, {}).get(TYPE, "") for name in table if table[name].dtype.kind == "f"}
    whole = {name: kind for name, kind in kinds.items() if re.fullmatch(r"u?int\d+", kind)}
    return {name: kind if kind in WHOLE else "int64" for name, kind in whole.items()}


def with_own_id(frame: pd.DataFrame) -> pd.DataFrame:
    """The table as its owner has it: whole numbers as such, and ids also under the owner's name and in that type.

    These are behind ``galaxy_id``, and the only ones where the owner's name is ``galaxy_id``, in any case.
    """
    notes, whole = notes_of(frame), {}
    for name, kind in _whole_columns(frame, notes):
        whole[name] = pd.Series(pd.arrays.ArrowExtensionArray(_whole(frame[name], kind)), frame.index)
    ids, own = whole.pop("galaxy_id", frame.get("galaxy_id")), notes.get("galaxy_id", {}).get(OWN_NAME)
    frame = frame.copy(deep=False)
    for name, values in whole.items():
        frame[name] = values
    if ids is not None and own is not None:
        frame = frame.drop(columns=_replaced(own), errors="ignore")
        frame.insert(int("galaxy_id" in frame), own, ids)
    return set_notes(frame, notes)


def with_own_ids(table: pa.Table) -> pa.Table:
    """`with_own_id` of an Arrow table."""
    notes = notes_in(table.schema)
    whole = {name: _whole(table[name].to_pandas(), kind) for name, kind in _whole_columns(table.column_names, notes)}
    ids, own = whole.pop("galaxy_id", table["galaxy_id"]), notes.get("galaxy_id", {}).get(OWN_NAME)
    for name, values in whole.items():
        field = table.schema.field(name)
        table = table.set_column(table.column_names.index(name), field.with_type(values.type), values)
    if own is None:
        return table
    others = [column for column in table.column_names if column not in _replaced(own)]
    return table.select(others).add_column(int("galaxy_id" in others), own, ids)


def _whole_columns(names: Iterable[str], notes: Notes) -> list[tuple[str, str]]:
    """Columns that the owner of the table has as whole numbers, and their types."""
    kinds = ((name, notes.get(name, {}).get(OWN_TYPE)) for name in names)
    return [(name, kind) for name, kind in kinds if kind in WHOLE]


def _whole(values: pd.Series, kind: str) -> pa.Array:
    import pyarrow as pa

    return pa.array(values, from_pandas=True).cast(kind)


def _replaced(own_name: str) -> list[str]:
    """Columns that the owner's column of ids takes the place of."""
    return [own_name, "galaxy_id"] if own_name.lower() == "galaxy_id" else [own_name]


def ascii_unit(unit: str) -> str:
    r"""A unit in ASCII: in the words of the FITS standard where astropy can, else with ``\u`` escapes.

    Examples
    --------
    >>> ascii_unit("µm"), ascii_unit("km s⁻¹"), ascii_unit("e-/s"), ascii_unit("größe")
    ('um', 'km s-1', 'e-/s', 'gr\\xf6\\xdfe')
    """
    if unit.isascii():
        return unit
    from astropy.units import Unit

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of spellings that the standard discourages
            return Unit(unit).to_string("fits")
    except ValueError:
        return unit.encode("ascii", "backslashreplace").decode()
