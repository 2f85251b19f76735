"""Which frame each stamp is of: told by a table, by the names of the files, or by their folders.

Cutters of stamps name them by frame, place and number (``IC3521-H01_1260_751_3.jpg``), so the numbers at the end of a
name are taken off one by one until names are shared. Words for a class are no frame: neither ``star/`` and ``galaxy/``
nor ``star_001.jpg``, or what is to be told would decide what it is compared with.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from galaxy_core.catalogs.csv_tables import read_csv
from galaxy_core.catalogs.tables import FILE_COLUMNS, GROUP_COLUMNS, clean_text, find_column
from galaxy_core.errors import CatalogError
from galaxy_core.saved_images import stem_of

CLASS_WORDS = {"star", "stars", "galaxy", "galaxies", "gal", "qso", "quasar", "quasars", "pointlike", "extended"}
FRAME_COLUMNS = (*GROUP_COLUMNS, "frame")
MOST_NUMBERS = 6  # at the end of a name
LAST_NUMBER = re.compile(r"[ _.,\-]*\d+$")


def frames_of(paths: Sequence[Path], least: int) -> tuple[np.ndarray, str]:
    """Frame of each file, str (n,), and what told: ``"name"`` or ``"folder"``.

    Names tell where they make two frames or more of at least ``least`` files; folders otherwise.
    """
    stems = [stem_of(path.name) for path in paths]
    for _ in range(MOST_NUMBERS):
        stems = [LAST_NUMBER.sub("", stem) for stem in stems]
        names = np.array([_without_classes(stem) for stem in stems], dtype=object)
        sizes = Counter(names)
        if np.median([sizes[name] for name in names] or [0]) >= least:
            told = [name for name, size in sizes.items() if size >= least and name]
            if len(told) > 1:
                return names.astype(str), "name"
            break
    return np.array([_folder_of(path) for path in paths], dtype=str), "folder"


def _without_classes(stem: str) -> str:
    words = re.split(r"([ _.,\-]+)", stem)
    return "".join(word for word in words if word.lower() not in CLASS_WORDS).strip(" _.,-")


def _folder_of(path: Path) -> str:
    """The nearest folder above that is not named as a class."""
    above = [folder for folder in path.parents if folder.name.lower() not in CLASS_WORDS]
    return above[0].as_posix() if above else "."


def read_frames(table: str | Path, paths: Sequence[Path]) -> np.ndarray:
    """Frame of each file by a CSV with the columns ``file`` and ``source_frame``, str (n,); others are not read.

    Files are known by their place below the table's folder, or by their name alone where that is of one frame.

    Raises
    ------
    CatalogError
        The table has no such columns, or lacks a file.
    """
    table = Path(table)
    rows, _ = read_csv(table, lambda column: column.strip().lower() in (*FILE_COLUMNS, *FRAME_COLUMNS))
    file, frame = find_column(rows.columns, FILE_COLUMNS), find_column(rows.columns, FRAME_COLUMNS)
    if file is None or frame is None:
        raise CatalogError(f"{table} does not say which file is of which frame; give columns file and source_frame.")
    rows = rows.assign(**{file: clean_text(rows[file]), frame: clean_text(rows[frame])}).dropna(subset=[file, frame])
    placed = {os.path.realpath(table.parent / name): kind for name, kind in zip(rows[file], rows[frame], strict=True)}
    frames_by_name: dict[str, set[str]] = {}
    for name, kind in zip(rows[file], rows[frame], strict=True):
        frames_by_name.setdefault(Path(name).name, set()).add(kind)
    named = {name: kinds.pop() for name, kinds in frames_by_name.items() if len(kinds) == 1}
    found = [placed.get(os.path.realpath(path), named.get(path.name)) for path in paths]
    if None in found:
        lacking = paths[found.index(None)]
        raise CatalogError(f"{table} has no row for {lacking} ({found.count(None):,} files in all); add them to it.")
    return np.array(found, dtype=str)
