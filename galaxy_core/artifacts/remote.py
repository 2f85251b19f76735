"""Reading artifacts that lie in a store: what is fetched, what is read in part, and when it is looked for again.

::

    <address>/<name>/manifest.json                                 the same bytes as in a local folder
                    /catalog.<12 digits of its sha256>.parquet     every other file has its checksum in its name
                    /thumbnails/part-00000.<...>.parquet

A store cannot rename, so a file that changes gets a new name, and the manifest, which is sent last, says which are
meant: readers never see files of two runs. A folder that was copied there by other means has names without checksums
and is read as well.

Small tables and embeddings are fetched whole, once, and compared with their checksums; thumbnails are read in part.
"""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq

from galaxy_core.addresses import filesystem, told
from galaxy_core.artifacts import schemas
from galaxy_core.artifacts.files import atomic_path, cached_sha256, sha256_of_file
from galaxy_core.artifacts.roots import address_of, shown
from galaxy_core.errors import ArtifactError
from galaxy_core.places import Place, ranged

FRESH_SECONDS = 10.0  # for so long a manifest and the list of catalogs are not asked for again
_fetching = threading.Lock()


def object_name(relative: str, sha256: str) -> str:
    """Name in a store of a file with these bytes.

    Examples
    --------
    >>> object_name("thumbnails/part-00000.parquet", "ab" * 32)
    'thumbnails/part-00000.abababababab.parquet'
    """
    path = PurePosixPath(relative)
    if (
        path.is_absolute()
        or ".." in path.parts
        or path.suffix != ".parquet"
        or not re.fullmatch("[0-9a-f]{64}", sha256)
    ):
        raise ArtifactError(f"The manifest names {relative!r}, which is no file of a catalog; make the catalog again.")
    return path.with_name(f"{path.stem}.{sha256[:12]}.parquet").as_posix()


def manifest_path(root: str | Path, name: str) -> Path:
    """The manifest as a local file, which may be missing; that of a store is fetched again now and then."""
    folder, address = schemas.catalog_folder(root, name), address_of(root)
    if address is not None:
        _refresh_manifest(address, folder, int(time.monotonic() // FRESH_SECONDS))
    return folder / schemas.MANIFEST_FILE


def forget() -> None:
    """Ask the store again at the next reading."""
    _refresh_manifest.cache_clear()
    _names.cache_clear()


@lru_cache(maxsize=256)
def _refresh_manifest(address: str, folder: Path, tick: int) -> None:
    path = folder / schemas.MANIFEST_FILE
    try:
        data = (Place(address) / folder.name / schemas.MANIFEST_FILE).read_bytes()
    except FileNotFoundError:
        path.unlink(missing_ok=True)
        return
    with _fetching:
        if not path.is_file() or path.read_bytes() != data:  # its time of change tells readers of a new one
            with atomic_path(path) as temporary:
                temporary.write_bytes(data)
            with suppress(ArtifactError, ValueError, KeyError, TypeError, AttributeError):  # readers say what is wrong
                drop_unnamed(folder, json.loads(data)["files"])


def drop_unnamed(folder: Path, files: dict[str, dict]) -> None:
    """Delete what was fetched, or kept after sending, and is not of this manifest."""
    keep = {folder / object_name(path, entry["sha256"]) for path, entry in files.items()}
    keep |= {folder / path for path in schemas.CARRIED_FILES}
    for path in folder.rglob("*.parquet"):
        if path not in keep:
            path.unlink(missing_ok=True)


def list_names(address: str) -> list[str]:
    """Names of the folders of a store that have a manifest."""
    return list(_names(address, int(time.monotonic() // FRESH_SECONDS)))


@lru_cache(maxsize=16)
def _names(address: str, tick: int) -> tuple[str, ...]:
    names = [name for name, is_folder in Place(address).children() if is_folder and is_name(name)]
    with ThreadPoolExecutor(8) as pool:
        there = pool.map(lambda name: (Place(address) / name / schemas.MANIFEST_FILE).is_file(), names)
        return tuple(name for name, known in zip(names, there, strict=True) if known)


def local_file(root: str | Path, name: str, relative: str, entry: dict) -> Path:
    """A file of a catalog on this machine; of a store it is fetched unless it is here, and then its bytes are right.

    Raises
    ------
    FileNotFoundError
        The store does not have it.
    ArtifactError
        What the store has is not what the manifest says.
    """
    folder, address = schemas.catalog_folder(root, name), address_of(root)
    if address is None:
        return folder / relative
    path = folder / object_name(relative, entry["sha256"])
    with _fetching:
        if _is_here(path, entry) and cached_sha256(path) == entry["sha256"]:
            return path
        with atomic_path(path) as temporary:
            _fetch(Place(address) / name, relative, entry["sha256"], temporary)
            if sha256_of_file(temporary) != entry["sha256"]:
                raise ArtifactError(
                    f"{shown(root, name, relative)} is corrupt (its checksum does not match); make it again with"
                    f" `{schemas.mend_command(root, name)}`."
                )
    return path


def not_in_store(root: str | Path, manifest: schemas.Manifest) -> list[str]:
    """Files of a manifest that its store lacks, or has with another size; none for a local root."""
    address = address_of(root)
    if address is None:
        return []
    there = (Place(address) / manifest.name).files()
    sizes = {name: info["size"] for name, info in there.items()}  # None where a web server does not tell
    missing = []
    for path, entry in manifest.files.items():
        names = [name for name in (object_name(path, entry["sha256"]), path) if name in sizes]
        if not any(sizes[name] in (entry["bytes"], None) for name in names):
            missing.append(path)
    return missing


def open_part(root: str | Path, name: str, relative: str, entry: dict) -> pq.ParquetFile:
    """A table of a store to read a few rows of: one request for what tells where they are, and one for them."""
    path = schemas.catalog_folder(root, name) / object_name(relative, entry["sha256"])
    if _is_here(path, entry):
        return pq.ParquetFile(path)
    place, footer = _footer(Place(address_of(root)) / name, relative, entry["sha256"], entry["bytes"])
    return pq.ParquetFile(ranged(place, entry["bytes"]), metadata=footer)


@lru_cache(maxsize=512)
def _footer(folder: Place, relative: str, sha256: str, size: int) -> tuple[Place, pq.FileMetaData]:
    for name in (object_name(relative, sha256), relative):
        with suppress(FileNotFoundError), pq.ParquetFile(ranged(folder / name, size)) as file:
            return folder / name, file.metadata
    raise FileNotFoundError(str(folder / relative))


def _fetch(folder: Place, relative: str, sha256: str, target: Path) -> None:
    for name in (object_name(relative, sha256), relative):
        with suppress(FileNotFoundError):
            return fetch(folder / name, target)
    raise FileNotFoundError(str(folder / relative))


def fetch(place: Place, target: Path) -> None:
    """Copy a file of a store to a local path, in pieces."""
    with told(place.address):
        filesystem(place.address).get_file(place.address, str(target))


def _is_here(path: Path, entry: dict) -> bool:
    return path.is_file() and path.stat().st_size == entry["bytes"]


def is_name(name: str) -> bool:
    """Whether a catalog or a model can be called that."""
    try:
        return bool(schemas.check_name(name))
    except ArtifactError:
        return False
