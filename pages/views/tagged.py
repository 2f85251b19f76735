"""The tags of a catalog as arrays over its rows, read again only when somebody has changed them, in any browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core import artifacts, tags
from pages.views import words
from pages.views.readers import Galaxies, rows_of

SEPARATOR = "; "


def path_of(galaxies: Galaxies) -> Path:
    """The catalog's database of tags; it may not be there yet."""
    return artifacts.tags_path(galaxies.root, galaxies.name)


def model_hash(galaxies: Galaxies) -> str:
    """What tells the model behind this catalog's embedding from any other; empty where it was not recorded."""
    models = galaxies.manifest.config.get("models", {})
    return str(models.get(galaxies.manifest.model, {}).get("fingerprint", ""))


def tag_names(galaxies: Galaxies) -> list[str]:
    """Tags that a galaxy of this catalog has, the most used first."""
    return list(tag_counts(galaxies))


def tag_counts(galaxies: Galaxies) -> dict[str, int]:
    """Number of galaxies of this catalog with each tag, the most used first."""
    counts = {tag: len(tag_rows(galaxies, tag)) for tag in tags.tag_versions(path_of(galaxies))}
    return {tag: n for tag, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if n}


def tag_rows(galaxies: Galaxies, tag: str) -> np.ndarray:
    """Rows of the galaxies with a tag, sorted, int32; shared, never to be changed."""
    version = tag_version(galaxies, tag)
    return _rows(galaxies, path_of(galaxies), galaxies.stamp, *version)[0] if version else np.zeros(0, np.int32)


def tag_version(galaxies: Galaxies, tag: str) -> tuple[str, tags.Version] | None:
    """A tag as it was first written, and its last action; None where it was never set. Capitals do not matter."""
    versions = tags.tag_versions(path_of(galaxies))
    return next(((name, version) for name, version in versions.items() if tags.fold(name) == tags.fold(tag)), None)


def tag_codes(galaxies: Galaxies, tag: str) -> np.ndarray:
    """Which galaxies have a tag, bool of shape (n,)."""
    codes = np.zeros(len(galaxies), dtype=bool)
    codes[tag_rows(galaxies, tag)] = True
    return codes


def tags_by_row(galaxies: Galaxies) -> np.ndarray:
    """All tags of each galaxy as one text, ``tag; tag`` in the order of the alphabet, empty for none; object, (n,)."""
    return _joined(galaxies, path_of(galaxies), galaxies.stamp, tags.last_action(path_of(galaxies)))


def tags_of_export(galaxies: Galaxies) -> pd.Series:
    """The column ``tags`` of an export: `tags_by_row` with the catalog's index."""
    return pd.Series(tags_by_row(galaxies), index=galaxies.catalog.index, name="tags", dtype=object)


def lost_sentence(galaxies: Galaxies) -> str:
    """How many tagged galaxies this catalog does not have (any more); empty where there is none."""
    path, lost = path_of(galaxies), set()
    for tag, version in tags.tag_versions(path).items():
        lost |= _rows(galaxies, path, galaxies.stamp, tag, version)[1]
    if not lost:
        return ""
    kept = "its tags are kept" if len(lost) == 1 else "their tags are kept"
    return f"{words.count(len(lost), 'tagged galaxy is', 'tagged galaxies are')} not in this catalog; {kept}."


# A version that nobody asks for any more is dropped when others come; the galaxies themselves are no part of the key.
@st.cache_resource(max_entries=128, show_spinner=False)
def _rows(
    _galaxies: Galaxies, path: Path, stamp: tuple, tag: str, version: tags.Version
) -> tuple[np.ndarray, frozenset]:
    ids, row_of = tags.galaxies_with(path, tag), rows_of(_galaxies, tags.galaxies_with(path, tag))
    rows = np.array(sorted(row_of[i] for i in ids if i in row_of), dtype=np.int32)
    return rows, frozenset(i for i in ids if i not in row_of)


@st.cache_resource(max_entries=4, show_spinner=False)
def _joined(_galaxies: Galaxies, path: Path, stamp: tuple, version: tags.Version) -> np.ndarray:
    joined = np.full(len(_galaxies), "", dtype=object)
    for tag in sorted(tags.tag_versions(path), key=lambda tag: (tag.casefold(), tag)):
        rows = tag_rows(_galaxies, tag)
        joined[rows] = [f"{before}{SEPARATOR}{tag}" if before else tag for before in joined[rows]]
    return joined
