"""Images of a catalog that are one file each: listed once, matched with rows by name, loaded one at a time."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.image_limits import MAX_BYTES
from galaxy_core.images import decode_image, read_image
from galaxy_core.places import Place

FITS_SUFFIXES = (".fits.gz", ".fits.fz", ".fit.gz", ".fits", ".fit", ".fts")
# Galaxy Zoo's fields are 424 px (or shrunk from it); the central 256 hold the galaxy and a margin of sky.
GALAXY_ZOO_FIELD = 256 / 424
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", *FITS_SUFFIXES)


@dataclass(frozen=True)
class FileImages:
    """``load_image`` of a catalog with one file per galaxy: ``images(i)`` is float32 ``(bands, height, width)``."""

    folder: Path | Place
    names: Sequence[str] = field(repr=False)

    def __call__(self, i: int) -> np.ndarray:
        file = self.folder / self.names[i]
        return (read_image(file) if isinstance(file, Path) else decode_image(read_stored(file), file.name)).pixels

    def take(self, rows: Sequence[int]) -> FileImages:
        """The images of some rows, for another process."""
        folder = self.folder.absolute() if isinstance(self.folder, Path) else self.folder
        return FileImages(folder, [self.names[row] for row in rows])


def read_stored(place: Place, start: int = 0, n_bytes: int = MAX_BYTES + 1) -> bytes:
    """Bytes of an image in a store, one request; of one that is too large, no more than what shows that it is."""
    try:
        return place.read_bytes(start, start + n_bytes)
    except FileNotFoundError:
        raise ImageError(f"Cannot read {place}: it is not there any more; read the catalog again.") from None


def without_suffix(name: str) -> str:
    """A path without its image suffix, and unchanged if it has none.

    Examples
    --------
    >>> without_suffix("a/NGC 1300.b.fits.gz"), without_suffix("587722981746540704")
    ('a/NGC 1300.b', '587722981746540704')
    """
    lower = name.lower()
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if lower.endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def list_images(folder: Path | Place, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[str]:
    """Images under ``folder``, as sorted paths relative to it with ``/``; hidden files are skipped.

    One ``scandir`` a folder and no ``stat`` per file, so a quarter of a million images take about a second.
    """
    suffixes = tuple(suffixes)
    if not isinstance(folder, Path):
        names = sorted(folder.files())
        return [name for name in names if name.lower().endswith(suffixes) and "/." not in f"/{name}"]
    found, pending, seen = [], [""], set()
    while pending:
        relative = pending.pop()
        real = os.path.realpath(folder / relative)
        if real in seen:  # a link that points back up the tree
            continue
        seen.add(real)
        try:
            with os.scandir(real) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.name.lower().endswith(suffixes):
                        found.append(relative + entry.name)
                    elif entry.is_dir():
                        pending.append(f"{relative}{entry.name}/")
        except OSError as error:
            raise CatalogError(f"Cannot list {folder / relative}: {error.strerror}; check its permissions.") from error
    return sorted(found)


def image_ids(names: Sequence[str]) -> list[str]:
    """Ids of images known by file alone: the name without suffix, longer only where that would not be unique.

    Examples
    --------
    >>> image_ids(["a/x.jpg", "a/y.jpg", "b/x.jpg", "b/x.png"])
    ['a/x', 'y', 'b/x.jpg', 'b/x.png']
    """
    longer = [without_suffix(_readable(name)) for name in names]
    stems = [name.rpartition("/")[2] for name in longer]
    n_stem, n_longer = Counter(stems), Counter(longer)
    return [
        stem if n_stem[stem] == 1 else path if n_longer[path] == 1 else _readable(name)
        for stem, path, name in zip(stems, longer, names, strict=True)
    ]


def _readable(name: str) -> str:
    """A file name as text that can be written anywhere: bytes that are not UTF-8 as ``\\xe9``."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def _composed(name: str) -> str:
    """One spelling of accented letters: some file systems take them apart."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def find_images(keys: pd.Series, names: Sequence[str]) -> pd.Series:
    """Image of each key, or null: by relative path, then by file name, each with or without suffix.

    Where several images fit one key, the first in alphabetical order is meant.
    """
    exact, by_name, by_path, by_stem = set(names), {}, {}, {}
    for name in names:
        composed = _composed(name)
        base = composed.rpartition("/")[2]
        by_name.setdefault(base, name)
        by_path.setdefault(without_suffix(composed), name)
        by_stem.setdefault(without_suffix(base), name)

    def find(key: object) -> str | None:
        if not isinstance(key, str):
            return None
        key = _composed(key).replace("\\", "/").removeprefix("./")
        base = key.rpartition("/")[2]
        if key in exact:
            return key
        return by_path.get(key) or by_name.get(base) or by_stem.get(base) or by_stem.get(without_suffix(base))

    return pd.Series([find(key) for key in keys], index=keys.index, dtype=object)
