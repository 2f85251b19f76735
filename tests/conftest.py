"""What every test gets: the fixtures that files share, what is worked out once a process, and names that last."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.browsers import (  # noqa: F401 - fixtures, and names that tests take from here
    FLAGS,
    PATIENCE_MS,
    PROJECT,
    address,
    chromium,
    free_port,
    serve,
    settle,
    visit,
)
from tests.fresh_machine import environment, project, ready  # noqa: F401 - fixtures
from tests.pipeline_runs import galaxy_folder, pipeline_root  # noqa: F401 - fixtures
from tests.place_engines import engines, small_shards  # noqa: F401 - fixtures
from tests.s3_store import elsewhere, s3_server, store  # noqa: F401 - fixtures
from tests.small_catalogs import blob, make_catalog  # noqa: F401 - names that tests take from here
from tests.work_jobs import processes  # noqa: F401 - fixture

for name in ("no_proxy", "NO_PROXY"):  # the servers of these tests are here, whatever proxy leads elsewhere
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser under load may lose a click: its tests are run once more before they count as failed, and say so."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A test is named by its argument where that is bytes: packed ones hold the time, and all workers must agree."""
    return argname if isinstance(val, bytes | bytearray | memoryview) else None


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """The same after each test: Streamlit puts a page in its place, and a new process would begin by running that."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session", autouse=True)
def packages_looked_through_once() -> Iterator[None]:
    """Each `AppTest` looks through all installed packages for components, which takes longer than most of our pages."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session", autouse=True)
def galaxies_drawn_once() -> Iterator[None]:
    """The simulator needs longer for a hundred galaxies than a small network to learn them: many files use the first.

    Each call gets a copy of its own; 600 take 120 MB.
    """
    from galaxy_core.catalogs import synthetic

    simulate = synthetic.simulate
    image_of = lru_cache(600)(lambda *galaxy: simulate(*galaxy).image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "simulate", lambda *galaxy: SimpleNamespace(image=image_of(*galaxy).copy()))
        yield


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory) -> Path:
    """Artifacts with one catalog, ``tiny``, of 90 galaxies; shared, so not to be changed."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    return root


@pytest.fixture
def tiny(tiny_root):
    """The catalog ``tiny``, open as pages read it."""
    from pages.views import readers

    return readers.open_catalog(tiny_root, "tiny")


@pytest.fixture
def broken_root(tmp_path) -> Path:
    """Artifacts with one catalog, ``tiny``, for a test that damages them."""
    make_catalog(tmp_path)
    return tmp_path


@pytest.fixture
def open_app(monkeypatch):
    """Function ``open_app(root, page=None)``: the app on these artifacts, at a page, as an AppTest that has run."""
    from streamlit.testing.v1 import AppTest

    def run(root: Path, page: str | None = None, **query):
        monkeypatch.setattr(sys, "argv", ["app.py", "--artifacts", str(root)])
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=120)
        for key, value in query.items():
            app.query_params[key] = value
        if page:
            app.switch_page(page)
        return app.run()

    return run


@pytest.fixture
def drawn(monkeypatch):
    """What the gallery of a selection was last asked to draw: its data, and the function it calls on a click."""
    from pages.views import selection_gallery

    last = {}
    monkeypatch.setattr(selection_gallery, "_pictures", lambda **asked: last.update(asked))
    return last
