"""Whether clusters that a link or a filter calls by their number are the same as when it was made."""

from __future__ import annotations

import zlib

import numpy as np

from pages.views import page_address, words
from pages.views.readers import Galaxies

LABEL = "_label"


def mark_of(galaxies: Galaxies, clustering: str) -> str:
    """A few letters that change when a clustering is made again with another result."""
    if ("mark", clustering) not in galaxies.memory:
        labels = np.ascontiguousarray(galaxies.labels(clustering), dtype=np.int32)
        galaxies.memory["mark", clustering] = f"{zlib.crc32(labels.tobytes()):08x}"
    return galaxies.memory["mark", clustering]


def marks_of(galaxies: Galaxies, filters: dict[str, list]) -> dict[str, str]:
    """The marks of the clusterings whose clusters some filters name, by the key of the filter."""
    known = {f"{name}{LABEL}": name for name in galaxies.clustering_names}
    return {key: mark_of(galaxies, known[key]) for key in filters if key in known}


def note_changes(galaxies: Galaxies, filters: dict[str, list], marks: object) -> None:
    """Tell which filters name clusters of a clustering that is not what these marks are of; older links have none."""
    for key, mark in marks_of(galaxies, filters).items():
        if not isinstance(marks, dict) or marks.get(key, mark) == mark:
            continue
        named, name = filters[key], words.name_of(key.removesuffix(LABEL))
        which = f"“{named[0]}” was" if len(named) == 1 else f"{len(named):,} of its groups were"
        page_address.note(
            f"The clustering {name} was made again since {which} chosen: other galaxies may be in"
            f" {'it' if len(named) == 1 else 'them'} now."
        )
