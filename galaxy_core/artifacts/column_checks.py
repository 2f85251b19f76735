"""Whether a file has the columns and types that `schemas` wants of its kind."""

from __future__ import annotations

import pyarrow as pa

from galaxy_core.artifacts.layer_files import check_layer, is_layer
from galaxy_core.artifacts.schemas import CATALOG_TYPES, COLUMN_TYPES, OPTIONAL_SUFFIXES, SUFFIX_TYPES


def check_columns(relative: str, schema: pa.Schema) -> str:
    """What is wrong with a file's columns, as the end of a sentence; empty where nothing is."""
    if is_layer(relative):
        return check_layer(relative, schema)
    kind, names = relative.split("/")[0].removesuffix(".parquet"), schema.names
    if not names or names[0] != "galaxy_id" or schema.field(0).type != pa.string():
        return "its first column is not galaxy_id (text)"
    if len(set(names)) != len(names):
        return "it repeats a column"
    types = {name: schema.field(name).type for name in names[1:]}
    if kind == "catalog":
        return "it has no column split" if "split" not in types else _check_types(types, CATALOG_TYPES)
    if kind in SUFFIX_TYPES:
        return _check_suffixes(types, SUFFIX_TYPES[kind])
    if kind in COLUMN_TYPES:
        return _check_names(types, COLUMN_TYPES[kind]) or _check_types(types, COLUMN_TYPES[kind])
    wanted = {
        "thumbnails": {"image": pa.types.is_binary},
        "embedding": {"embedding": _is_vector(pa.float32())},
        "states": {"state": lambda kind: kind == pa.binary(16)},
        "spaces": {"coordinates": _is_vector(pa.float32())},
        "neighbors": {"neighbor_row": _is_vector(pa.int32()), "similarity": _is_vector(pa.float32())},
    }.get(kind)
    if wanted is None:
        return "it is no table of this schema version"
    bad = "".join(f"its column {n} is {types[n]}" for n, test in wanted.items() if n in types and not test(types[n]))
    return _check_names(types, wanted) or bad


def _check_names(types: dict, wanted: dict) -> str:
    return "" if set(types) == set(wanted) else f"it has the columns {', '.join(types)}, not {', '.join(wanted)}"


def _check_types(types: dict, wanted: dict) -> str:
    wrong = [name for name, kind in types.items() if name in wanted and kind != wanted[name]]
    return f"its column {wrong[0]} is {types[wrong[0]]}, not {wanted[wrong[0]]}" if wrong else ""


def _check_suffixes(types: dict, suffixes: dict) -> str:
    groups: dict[str, set] = {}
    for name, kind in types.items():
        ending = next((s for s in suffixes if name.endswith(s) and len(name) > len(s)), None)
        if ending is None:
            return f"its column {name} does not end in {', '.join(suffixes)}"
        if kind != suffixes[ending]:
            return f"its column {name} is {kind}, not {suffixes[ending]}"
        groups.setdefault(name.removesuffix(ending), set()).add(ending)
    for stem, endings in groups.items():
        if missing := [s for s in suffixes if s not in endings and s not in OPTIONAL_SUFFIXES]:
            return f"{stem} lacks {', '.join(stem + s for s in missing)}"
    return ""


def _is_vector(value_type: pa.DataType):
    return lambda kind: pa.types.is_fixed_size_list(kind) and kind.value_type == value_type
