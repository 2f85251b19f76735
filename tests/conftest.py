"""Shared fixtures: a small catalog written through `galaxy_core.artifacts`, and what it takes to open pages on it.

Browser tests need Chromium or Chrome (or its path in GALAXY_ATLAS_CHROMIUM). Without it they are skipped, except where
CI is set: there a missing browser is a failure.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import silhouette_samples

from galaxy_core import artifacts
from galaxy_core.anomaly import score_anomalies
from galaxy_core.comparison import measure_clustering
from galaxy_core.images import encode_webp
from galaxy_core.map_trust import measure_trust
from galaxy_core.similarity import nearest_neighbors
from galaxy_core.splits import split_of
from scripts.benchmarks.map_browser import STANDS_STILL
from scripts.benchmarks.stopwatch import NoBrowserError, find_chromium
from tests.pipeline_runs import galaxy_folder, pipeline_root  # noqa: F401 - fixtures
from tests.place_engines import engines, small_shards  # noqa: F401 - fixtures
from tests.s3_store import elsewhere, s3_server, store  # noqa: F401 - fixtures
from tests.work_jobs import processes  # noqa: F401 - fixture

CLASSES = ("spiral", "round_smooth", "edge_on")
PROJECT = Path(__file__).resolve().parents[1]
FLAGS = [
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",  # an emulated GPU takes half as long again to put a page together
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 120_000
for name in ("no_proxy", "NO_PROXY"):  # the servers of these tests are here, whatever proxy leads elsewhere
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser under load may lose a click: its tests are run once more before they count as failed, and say so."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


def blob(i: int, size_px: int = 64) -> np.ndarray:
    """An elliptical Gaussian of a colour of its own, (3, size, size): its class decides hue and flattening."""
    rng = np.random.default_rng(i)
    kind = i % 3
    y, x = np.mgrid[:size_px, :size_px] - (size_px - 1) / 2
    angle, flattening, width = rng.uniform(0, np.pi), (0.7, 0.95, 0.25)[kind], rng.uniform(6, 9)
    u, v = x * np.cos(angle) + y * np.sin(angle), (-x * np.sin(angle) + y * np.cos(angle)) / flattening
    light = np.exp(-(u**2 + v**2) / (2 * width**2))
    colour = np.array([(0.6, 0.7, 1.0), (1.0, 0.8, 0.5), (0.9, 0.6, 0.5)][kind]) * rng.uniform(0.8, 1, 3)
    return (colour[:, None, None] * light + rng.normal(0.03, 0.01, (3, size_px, size_px))).clip(0, 1).astype("float32")


@cache
def picture(image_of, i: int) -> bytes:
    """What `make_catalog` keeps of one galaxy's image."""
    return encode_webp(image_of(i))


@cache
def measured(n: int) -> tuple[pd.DataFrame, dict, dict, dict]:
    """Whatever of ``n`` galaxies in three classes depends on their number alone, once a process: it takes a while.

    Their columns, what else is measured (vectors, neighbours, tables without names), and the scores by projection and
    by clustering; not to be changed.
    """
    rng = np.random.default_rng(n)
    kinds = np.arange(n) % 3
    embedding = np.eye(8)[kinds] + rng.normal(0, 0.25, (n, 8))
    embedding = (embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32)
    turn = np.array([[0.0, 5.0], [4.3, -2.5], [-4.3, -2.5]])[kinds]
    flat = (turn + rng.normal(0, 1.1, (n, 2))).astype(np.float32)
    catalog = pd.DataFrame({"class": np.array(CLASSES, dtype=object)[kinds]})
    catalog["ra_deg"], catalog["dec_deg"] = rng.uniform(0, 360, n), rng.uniform(-60, 60, n)
    catalog["smooth-or-featured_smooth"] = np.where(kinds == 1, 0.9, 0.2)
    catalog["smooth-or-featured_featured"] = 1 - catalog["smooth-or-featured_smooth"]
    catalog["radius_arcsec"] = rng.uniform(1, 9, n)
    index, similarity = nearest_neighbors(embedding, 12)
    projections = {"umap_x": flat[:, 0], "umap_y": flat[:, 1], "pca_x": embedding[:, 0], "pca_y": embedding[:, 1]}
    trusts = {
        "umap": measure_trust(embedding, index, flat, 0),
        "pca": measure_trust(embedding, index, embedding[:, :2], 0),
    }
    projections |= {f"{projection}_trust": trust.per_galaxy for projection, trust in trusts.items()}
    anomaly = score_anomalies(embedding, similarity, 0, n_trees=20)
    anomalies = {column: getattr(anomaly, column) for column in ("isolation_forest", "neighbor_distance", "anomaly")}
    clusters, scores = {}, {}
    spread = np.linalg.norm(flat - turn, axis=1)
    for clustering, labels in (
        ("hdbscan", np.where(spread > 2.2, -1, kinds)),
        ("kmeans_8", (kinds * 2 + (flat[:, 0] > turn[:, 0])).astype(int)),
    ):
        clustered = labels >= 0
        silhouettes = np.zeros(n, np.float32)
        if n > 3:
            silhouettes[clustered] = silhouette_samples(embedding[clustered], labels[clustered])
        scores[clustering] = measure_clustering(embedding, embedding, labels, 0, catalog["class"].to_numpy())
        clusters |= {f"{clustering}_label": labels, f"{clustering}_membership": np.where(labels < 0, 0, 1 - spread / 9)}
        clusters[f"{clustering}_silhouette"] = silhouettes
    parts = {"embedding": embedding, "index": index, "similarity": similarity}
    parts |= {"projections": projections, "anomalies": anomalies, "clusters": clusters}
    return catalog, parts, trusts, scores


def make_catalog(root: Path, name: str = "tiny", n: int = 90, image_of=blob, **changes) -> artifacts.Manifest:
    """Write a whole catalog of ``n`` galaxies in three classes; ``changes`` replace fields of the manifest."""
    columns, parts, trusts, scores = measured(n)
    ids = np.array([f"{name}-{i:05d}" for i in range(n)], dtype=object)
    catalog = pd.DataFrame({"galaxy_id": ids, "split": [split_of(i) for i in ids]}).join(columns)
    artifacts.write_table(root, name, "catalog", catalog)
    artifacts.write_thumbnails(root, name, ids, [picture(image_of, i) for i in range(n)])
    artifacts.write_embedding(root, name, "toy", ids, parts["embedding"])
    artifacts.write_neighbors(root, name, "toy", ids, parts["index"], parts["similarity"])
    for table in ("projections", "anomalies", "clusters"):
        artifacts.write_table(root, name, table, pd.DataFrame({"galaxy_id": ids} | parts[table]))
    fields = {
        "name": name,
        "source": str(n),
        "layout": "synthetic",
        "model": "toy",
        "created": "2026-01-01T00:00:00+00:00",
        "n_galaxies": n,
        "answer_columns": ("smooth-or-featured_smooth", "smooth-or-featured_featured"),
        "answer_kind": "fraction",
        "report": (f"{n} galaxies from {n + 2} rows", "2 rows have no image and were left out"),
        "projections": {
            projection: {"space": "embedding", "params": {}, "trust": trust.as_dict()}
            for projection, trust in trusts.items()
        },
        "clusterings": {
            clustering: {"method": method, "space": space, "params": params, "scores": scores[clustering].as_dict()}
            for clustering, method, space, params in (
                ("hdbscan", "hdbscan", "umap_10", {"min_cluster_size": 15}),
                ("kmeans_8", "kmeans", "embedding", {"n_clusters": 8}),
            )
        },
    }
    return artifacts.write_manifest(root, name, artifacts.Manifest(**(fields | changes)))


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


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium."""
    from playwright.sync_api import sync_playwright

    try:
        path = find_chromium()
    except NoBrowserError as error:
        pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE_MS)
        yield browser
        browser.close()


def free_port() -> int:
    """A port for a server to come: none of those that the system gives connections of other tests meanwhile."""
    while True:
        with socket.socket() as taken, suppress(OSError):
            taken.bind(("127.0.0.1", random.SystemRandom().randrange(20_000, 30_000)))
            return taken.getsockname()[1]


@contextmanager
def serve(root: Path, log: Path) -> Iterator[str]:
    """The app on these artifacts, as an address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.fileWatcherType", "none"]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, "--", "--artifacts", str(root)], cwd=PROJECT, stdout=out, stderr=out, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE_MS / 1000
        while True:
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            try:
                with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                    break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture(scope="module")
def address(root, tmp_path_factory):
    """The running app; a module of browser tests says with its own fixture ``root`` on which artifacts."""
    with serve(root, tmp_path_factory.mktemp("log") / "streamlit.log") as url:
        yield url


@pytest.fixture
def visit(chromium, address):
    """Function ``visit(path, **context)``: a page that has settled."""
    contexts = []

    def open_page(path: str, **options):
        context = chromium.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.goto(address + path)
        settle(page)
        return page

    yield open_page
    for context in contexts:
        context.close()


def settle(page) -> None:
    """Wait until the script has run and a map, where there is one, is drawn."""
    from playwright.sync_api import TimeoutError as PlaywrightTimeout

    page.wait_for_selector("h1", state="attached")  # a presented page hides it
    if "map" in page.url or "Clusters" in page.url:
        try:
            page.wait_for_selector(".atlas-map[data-drawn]", state="attached")
        except PlaywrightTimeout:
            pytest.fail(f"no map appeared; the page says: {page.inner_text('body')[:1500]}")
        page.wait_for_function(STANDS_STILL, polling=150)
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    assert page.locator("[data-testid=stException]").count() == 0
