"""The app in a real browser: a server on some artifacts, and pages of it that have settled.

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
from pathlib import Path

import pytest

from scripts.benchmarks import stopwatch
from scripts.benchmarks.map_browser import STANDS_STILL
from scripts.benchmarks.stopwatch import NoBrowserError, find_chromium

PROJECT = Path(__file__).resolve().parents[1]
FLAGS = [*stopwatch.FLAGS, "--disable-gpu-compositing"]  # an emulated GPU takes half as long again for each page
PATIENCE_MS = 120_000


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
        server.wait(PATIENCE_MS / 1000)


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
