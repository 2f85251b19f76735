"""Stamps read from files to tell stars from galaxies in, and what was told of them written to files."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.catalogs.fits_stamps import EMPTY_PRIMARY
from galaxy_core.errors import ExportError, GalaxyError
from galaxy_core.fits_images import MAX_UNZIPPED_BYTES
from galaxy_core.fits_layout import BLOCK, extensions
from galaxy_core.image_limits import MAX_BYTES, inflate, inflates_within
from galaxy_core.images import AstroImage, decode_image, read_image
from galaxy_core.star_galaxy_cut import Plane, plane_of
from galaxy_core.star_galaxy_stamps import normalise_seen, widths_and_snr

if TYPE_CHECKING:
    from galaxy_core.star_galaxy import Separation


@dataclass(frozen=True)
class FileStamps:
    """Stamps read from files: where from, pixels in units of noise (bands, 32, 32), and widths of objects (bands,).

    One of several extensions is called ``file.fits[3]``. Bands that were not observed are 0. ``planes`` are the stamps
    of one band as they were read, for those whose bright pixels are cut off; ``snr`` is that of the object in the band
    it shows best in, whatever its width.
    """

    paths: list[Path]
    pixels: list[np.ndarray]
    widths: list[np.ndarray]
    planes: list[Plane | None]
    snr: list[float]

    def __len__(self) -> int:
        return len(self.paths)


def read_stamps(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> tuple[FileStamps, list[str]]:
    """Read and normalise stamps, and a sentence for each file or extension that is none."""
    good, problems = FileStamps([], [], [], [], []), []
    for file in paths:
        for path, read in _stamps_in(file):
            try:
                image = read()
                pixels, plane = normalise_seen(image.pixels), plane_of(image)
                widths, snr = widths_and_snr(pixels)
                good.paths.append(path)
                good.pixels.append(pixels)
                good.planes.append(plane)
                good.widths.append(widths.astype(np.float32))
                good.snr.append(float(snr.max()))
            except (GalaxyError, OSError, ValueError, MemoryError) as error:
                said = " ".join(str(error).split()) or type(error).__name__
                problems.append(said if str(path) in said or path.name in said else f"{path}: {said}")
        if progress:
            progress(1)
    return good, problems


def _stamps_in(path: Path) -> Iterator[tuple[Path, Callable[[], AstroImage]]]:
    """What the stamps of a file are called, and what reads each: its extensions with an image, if there are several.

    Weights, errors and flags are no stamps. Where the file is damaged, the last one is what says so.
    """
    found, damage, data = [], None, b""
    try:
        data = _fits_bytes(path)
        found += (one for one in extensions(data, path.name) if one.image_shape and not one.is_beside_an_image)
    except (GalaxyError, OSError, EOFError, zlib.error) as error:
        damage = error
    if len(found) < 2:
        yield path, partial(read_image, path)
        return
    for one in found:
        name = f"{path.name}[{one.index}]"
        part = data[one.header_start : -(-one.data_end // BLOCK) * BLOCK]
        yield path.with_name(name), partial(decode_image, bytes(part if one.index == 0 else EMPTY_PRIMARY + part), name)
    if damage is not None:
        yield path, partial(_fail, damage)


def _fits_bytes(path: Path) -> bytes:
    """A FITS file without gzip; nothing of another, or of one that is too large, which `read_image` says."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return b""
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b") and inflates_within(data, MAX_UNZIPPED_BYTES, 31):
        data = b"".join(inflate(data, 31))
    return data if data.startswith(b"SIMPLE  =") else b""


def _fail(error: Exception) -> AstroImage:
    raise error


def check_table(path: Path) -> None:
    """Raise `ExportError` where ``path`` is no name for the table of `write_separation`."""
    if path.suffix.lower() != ".csv" or path.is_dir():
        raise ExportError(f"{path} is not the name of a .csv file; give one.")


def write_separation(path: Path, stamps: FileStamps, told: Separation) -> None:
    """Write ``file, p_galaxy`` as CSV, whole or not at all; no number where it could not be told.

    Raises
    ------
    ExportError
        The name does not end in ``.csv``, it is a folder, or there is no stamp to write.
    """
    check_table(path)
    if not len(stamps):
        raise ExportError(f"None of the stamps could be read, so {path} is not written.")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "p_galaxy"))
    for source, p in zip(stamps.paths, told.p_galaxy, strict=True):
        writer.writerow((source.as_posix(), f"{p:.6f}" if np.isfinite(p) else ""))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def separation_report(stamps: FileStamps, told: Separation, problems: Sequence[str] = ()) -> dict:
    """What was told of every file and how, as JSON takes it; ``problems`` are sentences on files that are not in it."""
    names, counts = np.unique(told.ways, return_counts=True)
    rows = zip(stamps.paths, told.p_galaxy, told.ways, told.frames, strict=True)
    return {
        "n_by_way": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "notes": list(told.notes),
        "problems": list(problems),
        "stamps": [
            {"file": path.as_posix(), "p_galaxy": float(p) if np.isfinite(p) else None, "way": way, "frame": frame}
            for path, p, way, frame in rows
        ],
    }
