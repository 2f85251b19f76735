"""Several people at once in a real Chromium: each sees their own things, is told a place, nothing is cut short."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from conftest import FLAGS, make_catalog
from test_serve import health_of, served

from galaxy_core import artifacts
from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from pages.views import background
from scripts.benchmarks.load_visitor import Seen, Visitor
from scripts.benchmarks.stopwatch import find_chromium
from tests.event_loops import run_apart

pytestmark = pytest.mark.browser

USERS, PATIENCE_S = 2, 120


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with a catalog and a small untrained model."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(root / "models" / "contrastive_denoiser", ContrastiveDenoiser(config))
    return root


def visits(root: Path, address: str) -> list[Seen]:
    """What some visitors met who did the same at the same time."""
    from playwright.async_api import async_playwright

    ids = artifacts.read_table(root, "tiny", "catalog")["galaxy_id"].to_numpy(dtype=object)
    table = artifacts.read_table(root, "tiny", "projections")
    places = np.stack([table["umap_x"].to_numpy(), table["umap_y"].to_numpy()])

    async def visit_all() -> list[Seen]:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            page = f"{address}/Galaxy_map?catalog=tiny"
            people = [Visitor(n, browser, page, places, ids, 0.3, PATIENCE_S) for n in range(1, USERS + 1)]
            seen = await asyncio.gather(*(one.stay(time.monotonic(), whole=True) for one in people))
            await browser.close()
            return seen

    return run_apart(visit_all())


def test_each_visitor_sees_their_own_things_alone(chromium, root, address):
    seen = visits(root, address)
    assert len(seen) == USERS
    assert not [text for one in seen for text in one.errors]
    assert not [text for one in seen for text in one.foreign]
    assert all(one.clicks and one.lassos and one.denoised for one in seen)


def frame_file(folder: Path, side: int) -> Path:
    """A frame on disk, where the browser takes it from: what is handed over in memory takes seconds for each 10 MB."""
    path = folder / f"field{side}.fits"
    fits.PrimaryHDU(np.random.default_rng(0).normal(100, 5, (side, side)).astype(np.int16)).writeto(path)
    return path


def test_places_are_told_and_the_server_ends_in_order_in_the_middle_of_work(chromium, root, tmp_path, monkeypatch):
    monkeypatch.setenv(background.JOBS, "1")
    log, pages = tmp_path / "serve.log", []
    with served(root.name, log, cwd=root.parent) as (process, address):
        for _ in range(2):
            pages.append(chromium.new_context().new_page())
            pages[-1].set_default_timeout(1000 * PATIENCE_S)
            pages[-1].goto(f"{address}/Denoise")
            pages[-1].wait_for_selector("input[type=file]", state="attached")
            assert pages[-1].get_by_role("link", name="Galaxy map").count() == 1  # the settings are the program's own
        for page, side in zip(pages, (4800, 300), strict=True):  # the second visitor waits for the first one's frame
            page.locator("input[type=file]").set_input_files(frame_file(tmp_path, side))
            page.wait_for_selector("[data-testid=stProgress]")
        pages[1].get_by_text("field300.fits: waiting, next in the queue").wait_for()
        _, found = health_of(address)
        assert (found["queue"]["running"], found["queue"]["waiting"], found["queue"]["visitors"]) == (1, 1, 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(background.END_S + 20) == 0
    for page in pages:
        page.context.close()
    assert "Traceback" not in log.read_text()
