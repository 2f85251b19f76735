"""Images of a catalog that are one file each: listed once, matched with rows by name, loaded one at a time."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core.catalogs.tables import clean_text, find_column
from galaxy_core.counting import count
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.image_limits import MAX_BYTES, shown_name
from galaxy_core.images import AstroImage, decode_image, read_image
from galaxy_core.places import Place
from galaxy_core.stretch import to_display

FITS_SUFFIXES = (".fits.gz", ".fits.fz", ".fit.gz", ".fits", ".fit", ".fts")
# Galaxy Zoo's fields are 424 px (or shrunk from it); the central 256 hold the galaxy and a margin of sky.
GALAXY_ZOO_PX = 424
GALAXY_ZOO_FIELD = 256 / GALAXY_ZOO_PX
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", *FITS_SUFFIXES)
OTHER_SUFFIXES = (".gif", ".bmp", ".heic", ".heif", ".avif", ".jp2", ".npy", ".npz", ".h5", ".hdf5", ".asdf")
PACKED_SUFFIXES = (".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz", ".bz2", ".xz", ".z")


@dataclass(frozen=True)
class FileImages:
    """``load_image`` of a catalog with one file per galaxy: ``images(i)`` is float32 ``(bands, height, width)``.

    Attributes
    ----------
    folder : Path or Place
    names : sequence of str
    linear : bool
        What the catalog promises of its pixels; see `pixels_as`.
    """

    folder: Path | Place
    names: Sequence[str] = field(repr=False)
    linear: bool = False

    def __call__(self, i: int) -> np.ndarray:
        return pixels_as(self.linear, self.read(i), str(self.folder / self.names[i]))

    def read(self, i: int) -> AstroImage:
        """The image of row ``i`` as its file holds it."""
        file = self.folder / self.names[i]
        return read_image(file) if isinstance(file, Path) else decode_image(read_stored(file), file.name)

    def take(self, rows: Sequence[int]) -> FileImages:
        """The images of some rows, for another process."""
        folder = self.folder.absolute() if isinstance(self.folder, Path) else self.folder
        return FileImages(folder, [self.names[row] for row in rows], self.linear)

    def states(self, rows: Sequence[int]) -> list[str] | None:
        """Name of each file and what `state_of` tells of it; None on the web."""
        if on_web(self.folder):
            return None
        names = [self.names[row] for row in rows]
        return [f"{self.linear} {name} {state_of(self.folder, name, self._listed)}" for name in names]

    @cached_property
    def _listed(self) -> dict[str, str]:
        return listed_states(self.folder)


def on_web(folder: Path | Place) -> bool:
    """Whether files lie on a web server, which does not always tell that one has changed."""
    return not isinstance(folder, Path) and folder.address.startswith("http")


def listed_states(folder: Path | Place) -> dict[str, str]:
    """`Place.states` of a store, which is asked for all files at once; none on a disk."""
    return {} if isinstance(folder, Path) else folder.states()


def state_of(folder: Path | Place, name: str, listed: Mapping[str, str]) -> str:
    """A text that changes when a file does: its size and time, or what the store says of it."""
    if not isinstance(folder, Path):
        return listed.get(name, "missing")
    try:
        status = os.stat(folder / name)
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def pixels_as(linear: bool, image: AstroImage, name: str) -> np.ndarray:
    """Pixels of an image for a catalog of linear ones, or else of display images, into which linear ones are stretched.

    Raises
    ------
    ImageError
        The catalog is linear and the image is not: a stretch cannot be undone.
    """
    if image.linear == linear:
        return image.pixels
    if linear:
        raise ImageError(
            f"{shown_name(name)} is a stretched picture among linear images; put stretched pictures into a catalog of"
            " their own."
        )
    shown = to_display(image.pixels, True)
    return shown[:1] if len(image.pixels) == 1 else shown  # grey stays grey


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
    if not lower.endswith(IMAGE_SUFFIXES):
        return name
    return name[: -len(next(suffix for suffix in IMAGE_SUFFIXES if lower.endswith(suffix)))]


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
                    elif _is_folder(entry):
                        pending.append(f"{relative}{entry.name}/")
        except OSError as error:
            raise CatalogError(f"Cannot list {folder / relative}: {error.strerror}; check its permissions.") from error
    return sorted(found)


def list_with_unread(folder: Path | Place, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> tuple[list[str], list[str]]:
    """`list_images`, and a sentence on files of images that are of no kind that is read; none where there are none."""
    listed = list_images(folder, (*suffixes, *OTHER_SUFFIXES, *PACKED_SUFFIXES))
    names = [name for name in listed if name.lower().endswith(tuple(suffixes))]
    kinds = Counter(f".{name.lower().rpartition('.')[2]}" for name in set(listed).difference(names))
    if not kinds:
        return names, []
    told = ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))
    said = f"{count(kinds.total(), 'file of another kind was', 'files of other kinds were')} not read ({told})"
    return names, [f"{said}; unpack archives, and save other images as PNG, TIFF or FITS"]


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or where nobody may look
        return False


def image_ids(names: Sequence[str]) -> list[str]:
    """Ids of images known by file alone: the name without suffix, longer only where that would not be unique.

    Of files that differ by their suffix, the first keeps the id that it would have alone.

    Examples
    --------
    >>> image_ids(["a/x.jpg", "a/y.jpg", "b/x.jpg", "b/x.png"])
    ['a/x', 'y', 'b/x', 'b/x.png']
    >>> image_ids(["x.jpg", "x.png", "x.jpg.png"])
    ['x', 'x.png', 'x.jpg.png']
    """
    names = [readable(name) for name in names]
    longer = [without_suffix(name) for name in names]
    first = dict(zip(reversed(longer), reversed(names), strict=True))
    n_stem = Counter(path.rpartition("/")[2] for path in first)
    whole, wanted = set(names), []
    for name, path in zip(names, longer, strict=True):
        stem = path.rpartition("/")[2]
        own = stem if n_stem[stem] == 1 else path
        wanted.append(own if first[path] == name and own not in whole else name)
    ids: list[str] = []
    while wanted != ids:  # a whole name may be what another one is without its suffix
        ids, n_ids = wanted, Counter(wanted)
        wanted = [name if n_ids[own] > 1 else own for own, name in zip(ids, names, strict=True)]
    return ids


def readable(name: str) -> str:
    """A file name as text that can be written anywhere: bytes that are not UTF-8 as ``\\xe9``."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def _composed(name: str) -> str:
    """One spelling of accented letters: some file systems take them apart."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def find_images(keys: pd.Series, names: Sequence[str]) -> pd.Series:
    """Image of each key, or null: by relative path, then by file name, each with or without suffix.

    Of several images with that file name, the one is meant whose path ends like the key for the most folders. Where
    several fit a whole key, the first in alphabetical order is meant; where they fit only a part of it, none.
    """
    exact, by_name, by_path, by_stem, shared = set(names), {}, {}, {}, set()
    paths = [_composed(name) for name in names]
    stems = [without_suffix(path) for path in paths]
    for name, path, stem in zip(names, paths, stems, strict=True):
        by_path.setdefault(stem, name)
        by_name.setdefault(_base(path), name)
        if by_stem.setdefault(_base(stem), name) != name:
            shared.add(_base(stem))
    several = [row for row, stem in enumerate(stems) if _base(stem) in shared]
    by_end, by_stem_end = (_by_end((of[row], names[row]) for row in several) for of in (paths, stems))

    def find(key: object) -> str | None:
        if not isinstance(key, str):
            return None
        key = _composed(key).replace("\\", "/").removeprefix("./")
        if key in exact:
            return key
        if key in by_path:
            return by_path[key]
        base = _base(key)
        if base == key or shared.isdisjoint((base, without_suffix(base))):
            return by_name.get(base) or by_stem.get(base) or by_stem.get(without_suffix(base))
        for end, shorter in zip(_ends(key), _ends(without_suffix(key)), strict=False):
            found = by_end.get(end) or by_stem_end.get(end) or by_stem_end.get(shorter)
            if found is not None:
                return found[0] if found[1] or end == key else None
        return None

    return pd.Series([find(key) for key in keys], index=keys.index, dtype=object)


def find_named_images(
    table: pd.DataFrame, columns: Sequence[str], names: Sequence[str]
) -> tuple[str, pd.Series] | None:
    """The first of these columns that names any image, and the image of each row by it; None where none does.

    A column called ``name`` or ``image`` may hold what a galaxy is called, or a link to a picture, and ``id`` a number.
    """
    spelled = [find_column(table.columns, (column,)) for column in columns]
    for column in dict.fromkeys(column for column in spelled if column is not None):
        images = find_images(clean_text(table[column]), names)
        if images.notna().any():
            return column, images
    return None


def _by_end(paths: Iterable[tuple[str, str]]) -> dict[str, tuple[str, bool]]:
    """Of each end of a path, the first image it leads to and whether it leads to that one only."""
    found: dict[str, tuple[str, bool]] = {}
    for path, name in paths:
        for end in _ends(path):
            found[end] = (found[end][0], False) if end in found else (name, True)
    return found


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _ends(path: str) -> Iterator[str]:
    """A path, and what is left of it without its first folder, without its first two, down to the file name."""
    while path:
        yield path
        path = path.partition("/")[2]
