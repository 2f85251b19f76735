"""What scripts write and pages read: every path, column and schema of ``artifacts/<catalog>/``, in one place.

Reading order: `schemas` (names, columns, the manifest), `files` (atomic writes, checksums), `writing`, `reading`,
`sweeps`; `columns`, `vectors` and `layers` for very many galaxies; `roots`, `remote`, `sending` and `model_store` for
artifacts at an address such as ``s3://bucket/artifacts``.
Everything is checked when it is written and again when it is read; the manifest is written last and records the rows,
the bytes and the sha256 of every other file.

Every function takes ``root`` (the artifacts folder) and ``name`` (the catalog's name).
"""

from galaxy_core.artifacts.columns import ColumnTable, open_columns, open_neighbors
from galaxy_core.artifacts.files import atomic_path, cached_sha256, sha256_of_file, write_json
from galaxy_core.artifacts.ids import Ids, RowOf
from galaxy_core.artifacts.layers import Layers, open_layers
from galaxy_core.artifacts.model_store import fetch_models
from galaxy_core.artifacts.reading import (
    catalog_exists,
    list_catalogs,
    list_embeddings,
    matrix_of,
    read_embedding,
    read_manifest,
    read_neighbors,
    read_space,
    read_table,
    read_thumbnails,
    verify,
)
from galaxy_core.artifacts.remote import manifest_path
from galaxy_core.artifacts.roots import address_of, root_of, shown
from galaxy_core.artifacts.schemas import (
    DEFAULT_FIT_LIMIT,
    DEFAULT_MODEL,
    DEFAULT_ROOT,
    MANIFEST_FILE,
    N_NEIGHBORS,
    OPTIONAL_TABLES,
    PREVIOUS,
    ROW_GROUP,
    SCHEMA_VERSION,
    STAGING,
    TABLES,
    Manifest,
    catalog_folder,
    check_name,
    embedding_file,
    has_table,
    mend_command,
    neighbors_file,
    part_name,
    space_file,
    table_file,
    tags_path,
    thumbnails_file,
)
from galaxy_core.artifacts.sending import check_writable, send_model
from galaxy_core.artifacts.sweeps import append_sweep, read_sweeps, sweep_source
from galaxy_core.artifacts.vectors import StoredVectors, open_vectors
from galaxy_core.artifacts.writing import (
    write_embedding,
    write_manifest,
    write_neighbors,
    write_space,
    write_table,
    write_thumbnails,
)

__all__ = [
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
    "ColumnTable",
    "Ids",
    "Layers",
    "Manifest",
    "RowOf",
    "StoredVectors",
    "address_of",
    "append_sweep",
    "atomic_path",
    "cached_sha256",
    "catalog_exists",
    "catalog_folder",
    "check_name",
    "check_writable",
    "embedding_file",
    "fetch_models",
    "has_table",
    "list_catalogs",
    "list_embeddings",
    "manifest_path",
    "matrix_of",
    "mend_command",
    "neighbors_file",
    "open_columns",
    "open_layers",
    "open_neighbors",
    "open_vectors",
    "part_name",
    "read_embedding",
    "read_manifest",
    "read_neighbors",
    "read_space",
    "read_sweeps",
    "read_table",
    "read_thumbnails",
    "root_of",
    "send_model",
    "sha256_of_file",
    "shown",
    "space_file",
    "sweep_source",
    "table_file",
    "tags_path",
    "thumbnails_file",
    "verify",
    "write_embedding",
    "write_json",
    "write_manifest",
    "write_neighbors",
    "write_space",
    "write_table",
    "write_thumbnails",
]
