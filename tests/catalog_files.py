"""Small files for tests of the readers: pictures that say which they are, and where the real data lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galaxy_core.images import encode_png

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OBJID = "587722981746540704"  # more digits than a float64 holds: it would become ...672


def needs(folder: str) -> Path:
    path = DATA / folder
    if not path.exists():
        pytest.skip(f"needs the real data in {path}")
    return path


def png(value: int, size: int = 6) -> bytes:
    """A picture that says which it is: all its pixels are ``value`` / 255."""
    return encode_png(np.full((3, size, size), value / 255, dtype=np.float32))


def put(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def value_of(catalog, i: int) -> int:
    image = catalog.load_image(i)
    assert image.dtype == np.float32
    assert image.ndim == 3
    return round(float(image.mean()) * 255)


def counts(catalog) -> tuple[int, ...]:
    report = catalog.report
    assert report.n_rows == (
        report.n_galaxies + report.n_rows_without_image + report.n_duplicate_rows + report.n_null_rows
    )
    assert report.n_galaxies == len(catalog) == len(catalog.table)
    return report.n_rows_without_image, report.n_images_without_row, report.n_duplicate_rows, report.n_null_rows
