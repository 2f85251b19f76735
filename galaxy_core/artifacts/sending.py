"""Sending what a run made to a store: files first, under names of their own, the manifest last, old files removed.

A run that is killed before the manifest leaves what was published readable, and the next one sends only what is
missing. Files that no manifest ever named are removed by a later run, when they are more than a day old.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from galaxy_core.addresses import WRITABLE, filesystem, scheme_of, told
from galaxy_core.artifacts import remote, schemas
from galaxy_core.artifacts.reading import read_manifest
from galaxy_core.artifacts.roots import address_of, shown
from galaxy_core.artifacts.schemas import Manifest
from galaxy_core.errors import ArtifactError, StorageError
from galaxy_core.places import Place

AT_ONCE = 4  # files on their way; the libraries cut large ones into parts and send those side by side, too
STRAY_AGE = timedelta(days=1)  # of files that no manifest names: younger ones may be of a run elsewhere, under way
Progress = Callable[[str, int, int], None]


def check_writable(root: str | Path) -> None:
    """Raise `StorageError` where a store is only read, cannot be reached, or has no such bucket."""
    address = address_of(root)
    if address is None:
        return
    if scheme_of(address) not in WRITABLE:
        known = " or ".join(f"{scheme}://" for scheme in WRITABLE)
        raise StorageError(f"{address} can only be read; write to a folder or to {known}, which may be what it shows.")
    next(Place(address).children(), None)


def send(root: Path, name: str, folder: Path, replaced: Manifest | None, progress: Progress | None = None) -> None:
    """Publish the finished files of ``folder``, whose manifest is written, under ``<address>/<name>``.

    Parameters
    ----------
    replaced : Manifest or None
        What was published when the run began; where something else is by now, nothing is replaced.

    Raises
    ------
    ArtifactError
        Another run published the same catalog meanwhile.
    """
    place, manifest = Place(address_of(root)) / name, read_manifest(folder.parent, name)
    wanted = {remote.object_name(path, entry["sha256"]): path for path, entry in manifest.files.items()}
    there = place.files()
    missing = [key for key, path in wanted.items() if _size(there.get(key)) != manifest.files[path]["bytes"]]
    done = len(wanted) - len(missing)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for sent in as_completed([pool.submit(_put, folder / wanted[key], place / key) for key in missing]):
            sent.result()
            done += 1
            if progress:
                progress("upload", done, len(wanted))
    remote.forget()
    now = read_manifest(root, name) if remote.manifest_path(root, name).is_file() else None
    if now != replaced:
        raise ArtifactError(
            f"Another run published {shown(root, name)} while this one worked; run the command again to go on from it."
        )
    _put(folder / schemas.MANIFEST_FILE, place / schemas.MANIFEST_FILE)
    remote.forget()
    _keep(root / name, folder, wanted)
    _remove_old(place, there, wanted, replaced)


def send_model(root: str | Path, folder: Path) -> None:
    """Send a model that was trained under a store's local folder; nothing is done for a local root."""
    address = address_of(root)
    if address is None:
        return
    check_writable(root)
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    for path in sorted(files, key=lambda path: path.name == "config.json"):  # which names the weights: last
        _put(path, Place(address) / "models" / folder.name / path.name)


def _put(path: Path, place: Place) -> None:
    try:
        with told(place.address, "written"):
            filesystem(place.address).put_file(str(path), place.address)
    except FileNotFoundError:
        raise StorageError(f"{place} cannot be written: the store has no such place; check the address.") from None


def _keep(cache: Path, folder: Path, wanted: dict[str, str]) -> None:
    """Move what was sent to where fetched files are, so that it need not be fetched."""
    for key, path in wanted.items():
        (cache / key).parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / path, cache / key)


def _remove_old(place: Place, there: dict[str, dict], wanted: dict[str, str], replaced: Manifest | None) -> None:
    """Remove files of the state before, and strays; whatever cannot be removed stays, and does no harm."""
    before = replaced.files.items() if replaced else ()
    named = {path for path, _ in before} | {remote.object_name(path, entry["sha256"]) for path, entry in before}
    store = filesystem(place.address)
    for key in there.keys() - wanted.keys():
        address = (place / key).address
        if not key.endswith(".parquet"):
            continue
        with suppress(StorageError, FileNotFoundError), told(address, "removed"):
            if key in named or store.modified(address) < datetime.now(UTC) - STRAY_AGE:
                store.rm_file(address)


def _size(info: dict | None) -> int | None:
    return None if info is None else int(info["size"])
