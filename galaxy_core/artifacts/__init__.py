"""What scripts write and pages read: every path, column and schema of ``artifacts/<catalog>/``, in one place.

Reading order: `schemas` (names, columns, the manifest), `files` (atomic writes, checksums), `column_checks`,
`writing`, `reading`, `sweeps`; `columns`, `vectors` and `layers` for very many galaxies; `roots`, `remote`, `sending`
and `model_store` for artifacts at an address such as ``s3://bucket/artifacts``.
Everything is checked when it is written and again when it is read; the manifest is written last and records the rows,
the bytes and the sha256 of every other file.

Every function takes ``root`` (the artifacts folder) and ``name`` (the catalog's name).

A name is looked up in its module when it is first asked for, so that a command's ``--help`` and a page that shows one
thing do not wait for all the libraries behind the others.
"""

from importlib import import_module
from typing import Any

_NAMES = {
    "columns": ("ColumnTable", "open_columns", "open_neighbors"),
    "files": ("atomic_path", "cached_sha256", "sha256_of_file", "write_json"),
    "ids": ("Ids", "RowOf"),
    "layers": ("Layers", "open_layers"),
    "model_store": ("fetch_models",),
    "reading": (
        "catalog_exists",
        "list_catalogs",
        "list_embeddings",
        "matrix_of",
        "read_embedding",
        "read_manifest",
        "read_neighbors",
        "read_space",
        "read_table",
        "read_thumbnails",
        "verify",
    ),
    "remote": ("manifest_path",),
    "roots": ("address_of", "root_of", "shown"),
    "schemas": (
        "DEFAULT_FIT_LIMIT",
        "DEFAULT_MODEL",
        "DEFAULT_ROOT",
        "MANIFEST_FILE",
        "N_NEIGHBORS",
        "OPTIONAL_TABLES",
        "PREVIOUS",
        "ROW_GROUP",
        "SCHEMA_VERSION",
        "STAGING",
        "TABLES",
        "Manifest",
        "catalog_folder",
        "check_name",
        "embedding_file",
        "has_table",
        "image_patterns",
        "mend_command",
        "neighbors_file",
        "part_name",
        "space_file",
        "states_file",
        "table_file",
        "tags_path",
        "thumbnails_file",
    ),
    "sending": ("check_writable", "send_model"),
    "staging": ("check_free",),
    "sweeps": ("append_sweep", "read_sweeps", "sweep_source"),
    "vectors": ("StoredVectors", "open_vectors"),
    "writing": (
        "write_embedding",
        "write_manifest",
        "write_neighbors",
        "write_space",
        "write_states",
        "write_table",
        "write_thumbnails",
    ),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # the next time it is there
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
