"""The embedding of very many galaxies, of which some vectors are read when they are asked for and nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from galaxy_core.artifacts import reading
from galaxy_core.artifacts.schemas import Manifest, check_name


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """What an array of the vectors answers to ``vectors[rows]`` and ``len(vectors)``; made by `open_vectors`.

    Attributes
    ----------
    parts : list of str
        Files of the embedding, in order.
    ends : int64 array, shape (n_parts,)
        Rows up to the end of each.
    """

    root: Path
    manifest: Manifest = field(repr=False)
    parts: list[str] = field(repr=False)
    ends: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return self.manifest.n_galaxies

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Vectors of some galaxies, float32 (m, d), at least one; each file that holds one of them is read once."""
        rows = np.asarray(rows, dtype=np.int64)
        numbers, vectors = np.searchsorted(self.ends, rows, side="right"), None
        for number in np.unique(numbers):
            piece = reading.matrix_of(reading._read(self.root, self.manifest, self.parts[number], False)["embedding"])
            here = numbers == number
            if vectors is None:
                vectors = np.empty((len(rows), piece.shape[1]), piece.dtype)
            vectors[here] = piece[rows[here] - (self.ends[number] - len(piece))]
        return vectors


def open_vectors(root: str | Path, manifest: Manifest, model: str) -> StoredVectors:
    """The embedding by a model, to read parts of; raises `ArtifactError` where files are missing or do not fit."""
    parts = reading._parts(root, manifest, f"embedding/{check_name(model, 'model')}/")
    ends = np.cumsum([manifest.files[part]["rows"] for part in parts], dtype=np.int64)
    return StoredVectors(Path(root), manifest, parts, ends)
