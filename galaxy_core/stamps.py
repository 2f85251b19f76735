"""Training stamps on disk: every image decoded once into one memory-mapped array, so no catalog is ever in memory.

Each stamp is four planes of 8 bits: red, green, blue and the foreground of `galaxy_core.masks.foreground`.
"""

from __future__ import annotations

import filecmp
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.catalogs.parts import states_of
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.images import resize_square
from galaxy_core.masks import foreground
from galaxy_core.shape import describe_shape
from galaxy_core.splits import TRAIN, VALIDATION, split_of
from galaxy_core.twins import held_twins

Told = TypeVar("Told")
FEW = 8  # stamps of 128 px that, as floats, a processor's cache holds
TWIN = "twin"  # split of a galaxy that another catalog holds out under another id
LEFT_OUT = {
    TRAIN: "training galaxies were left out: another catalog holds them out under another id.",
    VALIDATION: "validation galaxies were left out: another catalog has them in its test split under another id.",
}


@dataclass(frozen=True)
class Stamps:
    """Decoded stamps of one or more catalogs.

    Attributes
    ----------
    pixels : memmap of uint8, shape (n, 4, size, size)
        RGB and foreground (0 or 1).
    galaxy_ids : ndarray of str, shape (n,)
    splits : ndarray of str, shape (n,)
        Those of `galaxy_core.splits`, or `TWIN`.
    readable : ndarray of bool, shape (n,)
        False where the image could not be decoded; such stamps are zero and must not be used.
    shapes : ndarray of float32, shape (n, len(DESCRIPTORS))
        `galaxy_core.shape.describe_shape` of each; NaN where there is no galaxy.
    notes : tuple of str
        What was left out, and why.
    """

    pixels: np.memmap
    galaxy_ids: np.ndarray
    splits: np.ndarray
    readable: np.ndarray
    shapes: np.ndarray
    notes: tuple[str, ...] = ()

    def rows(self, split: str) -> np.ndarray:
        """Indices, int64, of the readable stamps of a split."""
        return np.flatnonzero((self.splits == split) & self.readable)

    def batch(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """RGB in [0, 1], float32 (n, 3, size, size), and foreground, bool (n, 1, size, size)."""
        return split_planes(self.planes(indices))

    def planes(self, indices: np.ndarray) -> Tensor:
        """Stamps as they are stored, uint8 (n, 4, size, size): a quarter of the memory to cut and turn."""
        return torch.from_numpy(np.ascontiguousarray(self.pixels[indices]))


def some_of(rows: np.ndarray, n_most: int, seed: int) -> np.ndarray:
    """At most so many of the rows, in order: drawn from all, for the first may be of one catalog or one class."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:n_most])


def split_planes(planes: Tensor) -> tuple[Tensor, Tensor]:
    """RGB in [0, 1], float32 (n, 3, height, width), and foreground, bool (n, 1, height, width), of stored planes."""
    return colours(planes), planes[:, 3:].bool()


def colours(planes: Tensor) -> Tensor:
    """RGB in [0, 1], float32 (n, 3, height, width), of stored planes."""
    return planes[:, :3].float().div_(255)


def few_at_a_time(batch: Tensor) -> tuple[Tensor, ...]:
    """Parts of a batch: floats made of a few stamps stay in a processor's cache; on a GPU it is left whole."""
    return batch.split(FEW if batch.device.type == "cpu" else max(len(batch), 1))


def make_stamps(
    catalogs: Sequence[Catalog], size_px: int, folder: Path, report: Callable[[int, int], None] | None = None
) -> Stamps:
    """Decode every galaxy of ``catalogs`` into ``folder``, or open what an earlier call left there.

    A training galaxy that another of the catalogs holds out under another id, or a validation galaxy that it has in its
    test split, is of no split: see `galaxy_core.twins`.

    Parameters
    ----------
    size_px : int
        Side of the square stamps; images are cropped to a centred square and averaged or interpolated to it.
    report : callable, optional
        ``report(done, total)`` after every stamp.

    Raises
    ------
    CatalogError
        No image can be read, or ``folder`` is the state of a training that has learned from other pixels.
    """
    galaxy_ids = np.concatenate([catalog.galaxy_ids for catalog in catalogs])
    splits = np.array([split_of(str(key)) for catalog in catalogs for key in catalog.split_keys])
    sources = "|".join(f"{catalog.layout}:{catalog.source}:{len(catalog)}" for catalog in catalogs)
    # an image file that was replaced since is decoded again
    files = "|".join(chain.from_iterable(states_of(c.load_image, np.arange(len(c))) or () for c in catalogs))
    key = hashlib.sha1(f"{sources}|{size_px}|{'|'.join(map(str, galaxy_ids))}{files}".encode()).hexdigest()[:16]
    path, shapes_path = folder / f"stamps-{key}.npy", folder / f"shapes-{key}.npy"
    if not (path.exists() and shapes_path.exists()):
        shapes = decode_once(path, lambda temporary: _decode_all(catalogs, size_px, temporary, report))
        with atomic_path(shapes_path) as temporary, open(temporary, "wb") as file:
            np.save(file, shapes)
    pixels, shapes = np.load(path, mmap_mode="r"), np.load(shapes_path)
    # an image that could not be decoded is all zero, foreground included; a real one is not
    readable = np.array([bool(stamp.any()) for stamp in pixels])
    if not readable.any():
        path.unlink()  # the images may be there the next time
        named = ", ".join(f"{catalog.layout}:{catalog.source}" for catalog in catalogs)
        raise CatalogError(f"None of the {len(galaxy_ids):,} images of {named} could be read; check the image files.")
    lost = f"Left out as their images could not be read: {(~readable).sum():,} of {len(readable):,} galaxies."
    stamps = Stamps(pixels, galaxy_ids, splits, readable, shapes, () if readable.all() else (lost,))
    return stamps if len(catalogs) < 2 else _without_twins(stamps, catalogs, folder / f"held-twins-{key}.npy")


def decode_once(path: Path, decode: Callable[[Path], Told]) -> Told:
    """What ``decode`` returns once it has written ``path``, an array of stamps named by what they were read from.

    Raises
    ------
    CatalogError
        The folder is the state of a training, and others, of which it has learned, differ.
    """
    folder, kind = path.parent, path.name.split("-")[0]
    learned = set(folder.glob(f"{kind}-*.npy")) - {path} if any(folder.glob("*.safetensors")) else ()
    with atomic_path(path) as temporary:
        told = decode(temporary)
    for before in learned:  # by a training that was stopped, and goes on
        if not filecmp.cmp(before, path, shallow=False):
            path.unlink()
            raise CatalogError(
                f"Images have changed since this training was stopped; put them back, or remove {folder}."
            )
        before.unlink()
    return told


def _without_twins(stamps: Stamps, catalogs: Sequence[Catalog], path: Path) -> Stamps:
    """Take galaxies that another catalog holds out from their splits; the search is kept in a file."""
    if not path.exists():
        found = held_twins(stamps, [len(catalog) for catalog in catalogs])
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, np.array([-1]) if found is None else found)
    twins = np.load(path)
    if twins.tolist() == [-1]:
        unsought = "Galaxies in two catalogs under two ids were not looked for among so many."
        return replace(stamps, notes=(*stamps.notes, unsought))
    counts = {split: int((stamps.splits[twins] == split).sum()) for split in LEFT_OUT}
    stamps.splits[twins] = TWIN
    told = (f"{n:,} {LEFT_OUT[split]}" for split, n in counts.items() if n)
    return replace(stamps, notes=(*stamps.notes, *told))


def _decode_all(catalogs: Sequence[Catalog], size_px: int, path: Path, report) -> np.ndarray:
    """Write the stamps to ``path`` and return their shapes, float32 (n, len(DESCRIPTORS))."""
    total = sum(len(catalog) for catalog in catalogs)
    shapes = []
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (total, 4, size_px, size_px)}
        np.lib.format.write_array_header_2_0(file, header)
        for catalog in catalogs:
            for row in range(len(catalog)):
                stamp = decode_stamp(catalog, row, size_px)
                file.write(stamp.tobytes())
                shapes.append(describe_shape(stamp[:3].astype(np.float32) / 255, stamp[3] > 0))
                if report:
                    report(len(shapes), total)
    return np.array(shapes, dtype=np.float32)


def decode_stamp(catalog: Catalog, row: int, size_px: int) -> np.ndarray:
    """One stamp, uint8 (4, size_px, size_px); all zero if the image cannot be read."""
    stamp = np.zeros((4, size_px, size_px), dtype=np.uint8)
    try:
        image = resize_square(load_display(catalog, row), size_px)
    except ImageError:
        return stamp
    stamp[:3] = np.rint(np.clip(image, 0, 1) * 255)
    stamp[3] = foreground(image)
    return stamp
