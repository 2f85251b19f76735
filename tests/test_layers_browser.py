"""A map of half a million galaxies in Chromium: a sample over a density, a finer one nearer by, then every point."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_catalog

from galaxy_core import artifacts
from pages.views.galaxy_map import payload
from scripts.benchmarks.many_galaxies import write_many

pytestmark = pytest.mark.browser

MAP = "window.galaxyAtlas.maps.get('map-0')"
N = 500_000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    source, root = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("artifacts")
    make_catalog(source)
    write_many(source, "tiny", root, "many", N, embedding=False)
    return root


def painted(page) -> int:
    """Pixels of the map that are not background."""
    return page.evaluate(
        f"""() => {{
            const [r, g, b] = {MAP}.background, empty = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
            return {MAP}.sheet.words.filter((word) => word !== empty).length;
        }}"""
    )


def test_from_the_whole_to_single_galaxies(visit, root):
    page = visit("/Galaxy_map?catalog=many")
    assert artifacts.open_layers(root, artifacts.read_manifest(root, "many"), "umap").n_on_map == N
    assert page.evaluate(f"[{MAP}.message.sampled, {MAP}.message.bins, {MAP}.points.n]") == [True, [512, 512], 90_000]
    page.wait_for_function(f"{MAP}.detail")
    assert page.evaluate(f"[{MAP}.detail.points, {MAP}.detail.density]") == [None, None]
    page.evaluate(f"{MAP}.zoomTo([-2, 2, 3, 7])")
    page.wait_for_function(f"{MAP}.detail && {MAP}.detail.density && {MAP}.densityShown() === {MAP}.detail.density")
    lines, columns = page.evaluate(f"{MAP}.detail.density.bins")
    x0, x1 = page.evaluate(f"{MAP}.detail.density.extent")[:2]
    whole = page.evaluate(f"{MAP}.message.extent")
    assert (x1 - x0) / columns < 0.6 * (whole[1] - whole[0]) / 512 and lines * columns < 640_000
    assert "zoom in" in page.inner_text(".atlas-note")
    page.evaluate(f"{MAP}.hidden = new Set({MAP}.colours.keys()); {MAP}.draw()")  # the density alone
    page.wait_for_function(f"!{MAP}.waiting")
    fine = painted(page)
    page.evaluate(f"{MAP}.detail.density = null; {MAP}.draw()")
    page.wait_for_function(f"!{MAP}.waiting")
    assert 0 < fine < painted(page)  # cells of the coarse one are larger
    page.evaluate(f"{MAP}.hidden = new Set(); {MAP}.zoomBy(8)")
    page.wait_for_function(f"{MAP}.detail && {MAP}.detail.points && {MAP}.shownPoints() === {MAP}.detail.points")
    table = artifacts.open_columns(root, artifacts.read_manifest(root, "many"), "projections")
    x, y = (table[f"umap_{axis}"].to_numpy() for axis in "xy")
    a, b, c, d = page.evaluate(f"{MAP}.detail.covers")
    inside = np.flatnonzero((x >= a) & (x <= b) & (y >= c) & (y <= d))
    assert 100 < len(inside) <= payload.MAX_DETAIL
    assert sorted(page.evaluate(f"Array.from({MAP}.detail.points.rows)")) == inside.tolist()


def test_a_lasso_counts_drawn_and_undrawn_galaxies(visit, root):
    page = visit("/Galaxy_map?catalog=many")
    page.click('[data-tool="lasso"]')
    corners = [(-1.0, 4.0), (1.0, 4.0), (1.0, 6.0), (-1.0, 6.0)]
    box = page.evaluate(f"(() => {{ const b = {MAP}.paper.getBoundingClientRect(); return [b.left, b.top]; }})()")
    pixels = [page.evaluate(f"{MAP}.toPaper({x}, {y}).map((v) => v / {MAP}.ratio)") for x, y in corners]
    page.mouse.move(pixels[0][0] + box[0], pixels[0][1] + box[1])
    page.mouse.down()
    for x, y in [*pixels[1:], pixels[0], pixels[0]]:
        page.mouse.move(x + box[0], y + box[1])
    page.mouse.up()
    page.wait_for_selector(".st-key-below-area .picture-grid img")
    table = artifacts.open_columns(root, artifacts.read_manifest(root, "many"), "projections")
    x, y = (table[f"umap_{axis}"].to_numpy() for axis in "xy")
    expected = ((np.abs(x) < 1) & (y > 4) & (y < 6)).sum()
    said = page.inner_text(".st-key-selection-header").split()[0].replace(",", "")
    assert abs(int(said) - expected) < 0.02 * expected and expected > 20_000  # the mouse moves in whole pixels
