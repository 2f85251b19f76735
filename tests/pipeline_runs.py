"""A small folder of galaxies for the pipeline, and what two runs on it are compared by."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

N, BROKEN = 41, (5, 16, 40)


def write_images(folder: Path, n: int = N, broken=BROKEN) -> Path:
    """Colour stamps in three classes with labels.csv; the broken ones are no images."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(n):
        path = folder / "images" / f"{100 + i}.png"
        if i in broken:
            path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
            continue
        tint = np.array([(200, 60, 40), (60, 200, 40), (40, 60, 200)][i % 3])
        Image.fromarray(rng.integers(0, 40, (20, 24, 3), np.uint8) + tint.astype(np.uint8)).save(path)
    labels = {"galaxy_id": [str(100 + i) for i in range(n)], "class": [("a", "b", "c")[i % 3] for i in range(n)]}
    pd.DataFrame(labels).to_csv(folder / "labels.csv", index=False)
    return folder


def hashes(root: Path) -> dict[str, str]:
    """sha256 of every file; the manifest without the two fields that tell of the run and not of the result."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "manifest.json":
                content = json.dumps({**json.loads(content), "created": "", "timings": {}}, sort_keys=True).encode()
            found[path.relative_to(root).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


@pytest.fixture(scope="session")
def galaxy_folder(tmp_path_factory) -> Path:
    """A folder of galaxies of which three cannot be decoded; shared, so not to be changed."""
    return write_images(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="session")
def pipeline_root(galaxy_folder, tmp_path_factory) -> Path:
    """The artifacts root of a run on it that nothing disturbed; shared, so not to be changed."""
    from tests.pipeline_child import run

    root = tmp_path_factory.mktemp("made")
    run(galaxy_folder, root)
    return root
