"""Fixtures of tests that place galaxies: small shards, and engines to place with."""

from __future__ import annotations

import pytest

from galaxy_core import placer
from galaxy_core.engine import open_engine


@pytest.fixture
def small_shards(monkeypatch):
    """Eight galaxies are placed at once, so that few make several shards."""
    monkeypatch.setattr(placer, "SHARD", 8)


@pytest.fixture(scope="module")
def engines():
    """Engines by their number of workers; 0 for this process."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install -r scripts/requirements-cluster.txt")
    with open_engine(workers=2) as two:
        yield {0: None, 2: two}
