"""The benchmark of scale: what it derives from what it measured, and that both loops write the same files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import ImageSettings
from scripts.benchmarks import scale
from scripts.benchmarks.embed import store
from tests.pipeline_child import EMBEDDER

NUMBERS = {
    "device": "cuda",
    "galaxies_per_second": {"engine": 1000.0, "bare loop": 1010.0},
    "strong_scaling": 0.5,
    "ms_per_galaxy": {"read": 0.1, "decode": 1.5, "forward": 0.5, "write": 0.4},
    "bytes_per_galaxy": 4000.0,
    "driver_peak_mb": {100_000: 400.0, 1_000_000: 490.0},
}


def rows_of(numbers: dict) -> list[list[float]]:
    table = scale.survey_table(numbers).splitlines()
    assert table[0].count("|") == table[1].count("|") == 7 and numbers["device"] in table[0]
    return [[float(cell.replace(",", "").split()[0]) for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_table_is_what_was_measured_times_the_galaxies():
    rows = rows_of(NUMBERS)
    assert [row[0] for row in rows] == [1e6, 10e6, 40e6]
    for n, here, one, ten, size, memory in rows:
        assert here == one == pytest.approx(n / 1000 / 3600, abs=0.06)
        assert ten == pytest.approx(n / 1000 / 3600 / 10 / 0.5, abs=0.006)
        assert size == pytest.approx(n * 4000 / 1e9, abs=0.6)
        assert memory == pytest.approx((400 + (n - 100_000) * 1e-4) / 1e3, abs=0.006)


def test_ten_workers_are_never_more_than_ten_times_as_fast_and_memory_never_shrinks():
    rows = rows_of(NUMBERS | {"strong_scaling": 1.2, "driver_peak_mb": {"1000": 300.0, "2000": 299.0}})
    assert all(ten == pytest.approx(one / 10, abs=0.06) and memory == 0.3 for _, _, one, ten, _, memory in rows)
    assert rows_of(NUMBERS | {"driver_peak_mb": {5: 200.0}})[0][-1] == 0.2


def test_a_gpu_that_was_not_measured_waits_for_the_core_that_feeds_it_and_the_table_says_so():
    numbers = NUMBERS | {"device": "cpu", "ms_per_galaxy": {"read": 0.1, "decode": 1.5, "forward": 9.0, "write": 0.4}}
    assert scale.survey_table(numbers).splitlines()[0].count("not measured") == 2
    for n, here, one, ten, *_ in rows_of(numbers):
        assert here == pytest.approx(n / 1000 / 3600, abs=0.06)
        assert one == pytest.approx(n * 2e-3 / 3600, abs=0.06)
        assert ten == pytest.approx(n * 2e-3 / 3600 / 10 / 0.5, abs=0.006)


@pytest.fixture
def catalog(tmp_path):
    return store(read_catalog("synthetic:7"), tmp_path / "images")


def test_parts_of_a_shard_are_all_measured(catalog, tmp_path):
    parts = scale._parts(catalog, EMBEDDER, ImageSettings(shard_size=7, batch_size=4), tmp_path)
    assert set(parts["ms_per_galaxy"]) == {"read", "decode", "forward", "write"}
    assert all(value > 0 for name, value in parts["ms_per_galaxy"].items() if name != "decode")
    written = sum(path.stat().st_size for path in (tmp_path / "parts").rglob("*.parquet"))
    assert parts["bytes_per_galaxy"] == pytest.approx(written / 7, abs=0.1)


def test_the_bare_loop_and_the_engine_write_the_same_files(catalog, tmp_path, monkeypatch):
    class Kept:
        """A folder that stays, to be looked at."""

        def __init__(self, dir):
            self.path = Path(dir) / str(len(list(Path(dir).glob("kept*"))))
            self.path = self.path.with_name(f"kept{self.path.name}")

        def __enter__(self):
            self.path.mkdir()
            return str(self.path)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(scale.tempfile, "TemporaryDirectory", Kept)
    settings = ImageSettings(shard_size=3, batch_size=2)
    for run in (scale._bare, scale._step):
        run(catalog, EMBEDDER, settings, tmp_path)
    assert list((tmp_path / "kept1").rglob("states/*.parquet")), "the engine also keeps what the next run compares"
    made = [
        {p.name + p.parent.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*/part-*"))}
        for folder in (tmp_path / "kept0", tmp_path / "kept1")
    ]
    assert made[0] == made[1] and len(made[0]) == 6


def test_images_that_cost_nothing_are_the_same_elsewhere():
    flat = scale.Flat()
    assert flat.take([1, 2]) is flat and flat(3).shape == (3, 8, 8)
    assert np.isfinite(scale.first_pixels(np.stack([flat(0)]))).all()
