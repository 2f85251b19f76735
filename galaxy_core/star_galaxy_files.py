"""Stamps read from files to tell stars from galaxies in, and what was told of them written to files."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.errors import ExportError, GalaxyError
from galaxy_core.images import read_image
from galaxy_core.star_galaxy_cut import Plane, plane_of
from galaxy_core.star_galaxy_stamps import normalise_seen, widths_and_snr

if TYPE_CHECKING:
    from galaxy_core.star_galaxy import Separation


@dataclass(frozen=True)
class FileStamps:
    """Stamps read from files: where from, pixels in units of noise (bands, 32, 32), and widths of objects (bands,).

    Bands that were not observed are 0. ``planes`` are the stamps of one band as they were read, for those whose bright
    pixels are cut off; ``snr`` is that of the object in the band it shows best in, whatever its width.
    """

    paths: list[Path]
    pixels: list[np.ndarray]
    widths: list[np.ndarray]
    planes: list[Plane | None]
    snr: list[float]

    def __len__(self) -> int:
        return len(self.paths)


def read_stamps(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> tuple[FileStamps, list[str]]:
    """Read and normalise stamps, and a sentence for each file that is none."""
    good, problems = FileStamps([], [], [], [], []), []
    for path in paths:
        try:
            image = read_image(path)
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
