"""Models that lie beside the catalogs of a store, under ``<address>/models``, fetched to be used here."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

from galaxy_core.artifacts.files import atomic_path, write_json
from galaxy_core.artifacts.remote import fetch, is_name
from galaxy_core.artifacts.roots import address_of
from galaxy_core.places import Place

FRESH_SECONDS = 60.0
FETCHED_FILE = ".fetched.json"  # what the store said of each file when it was fetched


def fetch_models(root: str | Path, model: str = "") -> None:
    """Bring a store's models, or one of them, to where a local root has them; nothing is done for a local root.

    A file is fetched again when the store says that it changed. What was trained here and not sent is left alone.
    """
    address = address_of(root)
    if address is not None and (not model or is_name(model)):
        _fetch(address, Path(root) / "models", model, int(time.monotonic() // FRESH_SECONDS))


@lru_cache(maxsize=64)
def _fetch(address: str, folder: Path, model: str, tick: int) -> None:
    place, record, known = Place(address) / "models" / model, folder / FETCHED_FILE, {}
    with suppress(OSError, ValueError):
        known = json.loads(record.read_text(encoding="utf-8"))
    for name, state in place.states().items():
        relative = PurePosixPath(model, name)
        if not name or any(part.startswith(".") for part in relative.parts):
            continue
        target = folder / relative
        if known.get(str(relative)) != state or not target.is_file():
            with atomic_path(target) as temporary:
                fetch(place / name, temporary)
            known[str(relative)] = state
            write_json(record, known)
