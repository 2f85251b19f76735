"""What scripts write and pages read: every path, column and schema of ``artifacts/<catalog>/``, in one place.

Reading order: `schemas` (names, columns, the manifest), `files` (atomic writes, checksums), `writing`, `reading`.
Everything is checked when it is written and again when it is read; the manifest is written last and records the rows,
the bytes and the sha256 of every other file.

Every function takes ``root`` (the artifacts folder) and ``name`` (the catalog's name).
"""

from galaxy_core.artifacts.files import atomic_path, cached_sha256, sha256_of_file, write_json
from galaxy_core.artifacts.reading import (
    catalog_exists,
    list_catalogs,
    list_embeddings,
    read_embedding,
    read_manifest,
    read_neighbors,
    read_space,
    read_table,
    read_thumbnails,
    verify,
)
from galaxy_core.artifacts.schemas import (
    LABELS_FILE,
    MANIFEST_FILE,
    N_NEIGHBORS,
    PREVIOUS,
    ROW_GROUP,
    SCHEMA_VERSION,
    STAGING,
    TABLES,
    Manifest,
    catalog_folder,
    check_name,
    embedding_file,
    mend_command,
    neighbors_file,
    part_name,
    space_file,
    table_file,
    thumbnails_file,
)
from galaxy_core.artifacts.writing import (
    write_embedding,
    write_manifest,
    write_neighbors,
    write_space,
    write_table,
    write_thumbnails,
)

__all__ = [
    "LABELS_FILE",
    "MANIFEST_FILE",
    "N_NEIGHBORS",
    "PREVIOUS",
    "ROW_GROUP",
    "SCHEMA_VERSION",
    "STAGING",
    "TABLES",
    "Manifest",
    "atomic_path",
    "cached_sha256",
    "catalog_exists",
    "catalog_folder",
    "check_name",
    "embedding_file",
    "list_catalogs",
    "list_embeddings",
    "mend_command",
    "neighbors_file",
    "part_name",
    "read_embedding",
    "read_manifest",
    "read_neighbors",
    "read_space",
    "read_table",
    "read_thumbnails",
    "sha256_of_file",
    "space_file",
    "table_file",
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
