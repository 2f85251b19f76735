"""The app in a real Chromium: click a known point, see that galaxy, go on to a neighbour; outline; denoise; a phone.

Needs Chromium at /usr/bin/chromium (or its path in GALAXY_ATLAS_CHROMIUM). Without it the tests are skipped, except
where CI is set: there a missing browser is a failure.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from conftest import PROJECT, blob, make_catalog
from PIL import Image
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import sync_playwright

from galaxy_core import artifacts

pytestmark = pytest.mark.browser

FLAGS = [
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 120_000
WEIGHTS = PROJECT / "artifacts" / "models" / "contrastive_denoiser"
FIND_PIXEL = """(row) => {
    const chart = document.querySelector('.js-plotly-plot');
    const box = chart.getBoundingClientRect(), layout = chart._fullLayout;
    for (const trace of chart._fullData) {
        const place = Array.from(trace.customdata || []).indexOf(row);
        if (place >= 0) return [
            box.left + layout.xaxis._offset + layout.xaxis.d2p(trace.x[place]),
            box.top + layout.yaxis._offset + layout.yaxis.d2p(trace.y[place])];
    }
}"""
MAP_BOX = """() => {
    const chart = document.querySelector('.js-plotly-plot');
    const box = chart.getBoundingClientRect(), layout = chart._fullLayout, {_length: height} = layout.yaxis;
    return [box.left + layout.xaxis._offset, box.top + layout.yaxis._offset, layout.xaxis._length, height];
}"""


@pytest.fixture(scope="module")
def chromium():
    path = os.environ.get("GALAXY_ATLAS_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(path).exists():
        message = f"there is no Chromium at {path}; install it with apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with two catalogs, and the shipped model where there is one."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    make_catalog(root, "other", 12)
    if WEIGHTS.exists():
        (root / "models").mkdir()
        (root / "models" / WEIGHTS.name).symlink_to(WEIGHTS)
    return root


@pytest.fixture(scope="module")
def address(root, tmp_path_factory):
    """A running app."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "streamlit.log"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.fileWatcherType", "none"]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, "--", "--artifacts", str(root)], cwd=PROJECT, stdout=out, stderr=out, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert server.poll() is None, log.read_text()
            try:
                with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                    break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture
def visit(chromium, address):
    """Function ``visit(path, **context)``: a page that has settled; it must have logged no error when it is closed."""
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
    page.wait_for_selector("h1")
    if "map" in page.url or "Clusters" in page.url:
        try:
            page.wait_for_selector(".js-plotly-plot .gl-canvas", state="attached")
        except PlaywrightTimeout:
            pytest.fail(f"no map appeared; the page says: {page.inner_text('body')[:1500]}")
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    assert page.locator("[data-testid=stException]").count() == 0


def png_of(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def lonely_row(root) -> int:
    """The galaxy furthest from its nearest neighbour on the map: no other can be hit in its place."""
    table = artifacts.read_table(root, "tiny", "projections")
    places = table[["umap_x", "umap_y"]].to_numpy()
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return int(distances.min(axis=1).argmax())


def picture_shown(page) -> np.ndarray:
    """Pixels of the large picture of the card, as the browser decoded them."""
    data = page.evaluate(
        """async () => {
            const image = document.querySelector('img.galaxy-image');
            await image.decode();
            const canvas = document.createElement('canvas');
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            canvas.getContext('2d').drawImage(image, 0, 0);
            return canvas.toDataURL('image/png').split(',')[1];
        }"""
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), dtype=int)


def stored_picture(root, row: int) -> np.ndarray:
    (image,) = artifacts.read_thumbnails(root, "tiny", [row])
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"), dtype=int)


def test_click_a_known_point_see_that_galaxy_then_its_neighbour(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    row = lonely_row(root)
    x, y = page.evaluate(FIND_PIXEL, row)
    page.mouse.move(x, y)
    page.wait_for_selector(".hoverlayer .hovertext")
    page.mouse.click(x, y)
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for()
    assert np.abs(picture_shown(page) - stored_picture(root, row)).max() <= 2
    image = page.locator("img.galaxy-image")
    assert image.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    assert image.bounding_box()["width"] == image.bounding_box()["height"] == 256  # 64 px, four screen pixels each
    assert f"galaxy=tiny-{row:05d}" in page.url

    index, _ = artifacts.read_neighbors(root, "tiny", "toy")
    neighbour = int(index[row, 0])
    page.get_by_role("button", name=f"tiny-{neighbour:05d}").click()
    page.get_by_role("heading", name=f"tiny-{neighbour:05d}").wait_for()
    assert np.abs(picture_shown(page) - stored_picture(root, neighbour)).max() <= 2
    table = artifacts.read_table(root, "tiny", "projections")
    wanted = table[["umap_x", "umap_y"]].to_numpy()[neighbour]
    page.wait_for_function(
        """([x, y]) => document.querySelector('.js-plotly-plot')._fullData.some(trace =>
            trace.name === 'open galaxy' && Math.abs(trace.x[0] - x) < 1e-5 && Math.abs(trace.y[0] - y) < 1e-5)""",
        arg=[float(wanted[0]), float(wanted[1])],
    )


def test_box_selects_all_galaxies_inside(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    left, top, width, height = page.evaluate(MAP_BOX)
    page.locator('[data-title="Box Select"]').first.click()
    page.mouse.move(left + 3, top + 3)
    page.mouse.down()
    page.mouse.move(left + width - 3, top + height - 3, steps=6)
    page.mouse.up()
    page.get_by_text("90 galaxies, 100 % of the catalog").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 91 and lines[0].startswith("galaxy_id,") and "hdbscan_label" in lines[0]
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Draw a box or a lasso").wait_for()


def test_catalog_and_galaxy_go_along_to_the_clusters(visit):
    page = visit("/Galaxy_map?catalog=tiny&galaxy=tiny-00004")
    page.get_by_role("heading", name="tiny-00004").wait_for()
    page.get_by_role("link", name="Clusters").click()
    page.get_by_role("heading", name="What it means").wait_for()
    settle(page)
    assert page.locator(".st-key-open-strip").get_by_text("tiny-00004").count() == 1
    page.locator("[class*=st-key-gallery-typical-left] button").first.click()
    page.wait_for_function("!document.querySelector('.st-key-open-strip').innerText.includes('tiny-00004')")


def test_overview_leads_to_the_map(visit):
    page = visit("/?catalog=tiny")
    assert page.title() == "Galaxy Atlas"
    button = page.locator(".st-key-gallery-samples button").first
    name = button.locator("img").get_attribute("alt")
    button.click()
    page.get_by_role("heading", name="Galaxy map").wait_for()
    page.get_by_role("heading", name=name).wait_for()


def test_catalog_is_kept_across_a_page_that_has_none(visit):
    page = visit("/Galaxy_map?catalog=tiny")
    page.get_by_role("link", name="Denoise").click()
    page.get_by_role("heading", name="Denoise").wait_for()
    page.get_by_role("link", name="Galaxy map").click()
    page.get_by_text("UMAP of 90 galaxies").wait_for()


@pytest.fixture
def denoise_page(visit):
    if not (WEIGHTS / "weights.safetensors").exists():
        message = f"the shipped model is missing: {WEIGHTS}; make it with scripts/train.py contrastive_denoiser"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    page = visit("/Denoise")
    page.get_by_role("heading", name="Denoise").wait_for()
    return page


def test_denoise_an_upload_and_download_the_result(denoise_page):
    noisy = (255 * blob(1)).astype(np.uint8).transpose(1, 2, 0)
    noisy = (noisy + np.random.default_rng(0).normal(0, 15, noisy.shape)).clip(0, 255).astype(np.uint8)
    files = {"name": "mine.png", "mimeType": "image/png", "buffer": png_of(noisy)}
    denoise_page.locator("input[type=file]").set_input_files(files)
    button = denoise_page.locator("[data-testid=stDownloadButton] button", has_text="denoised").first
    button.wait_for()
    with denoise_page.expect_download() as download:
        button.click()
    denoised = np.asarray(Image.open(download.value.path()).convert("RGB"), dtype=float)
    sky = (slice(0, 10), slice(0, 10))
    assert denoised.shape == noisy.shape and denoised[sky].std() < 0.5 * noisy[sky].astype(float).std()


def test_a_bad_upload_is_one_sentence(denoise_page):
    files = {"name": "broken.png", "mimeType": "image/png", "buffer": b"this is no picture"}
    denoise_page.locator("input[type=file]").set_input_files(files)
    error = denoise_page.locator("[data-testid=stAlert]").first
    error.wait_for()
    assert "broken.png" in error.inner_text() and "Traceback" not in error.inner_text()
    assert denoise_page.locator("[data-testid=stException]").count() == 0


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_phone_shows_everything_in_one_column(visit, scheme):
    page = visit(
        "/Galaxy_map?catalog=tiny&galaxy=tiny-00004", viewport={"width": 390, "height": 844}, color_scheme=scheme
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    chart, image = page.locator(".js-plotly-plot").bounding_box(), page.locator("img.galaxy-image").bounding_box()
    assert 300 <= chart["width"] <= 390 and image["y"] > chart["y"] + chart["height"] - 1
    red, green, blue = page.evaluate(
        "getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/[0-9]+/g).map(Number)"
    )[:3]
    assert (max(red, green, blue) < 60) if scheme == "dark" else (min(red, green, blue) > 200)
