"""What only a real browser can do on the clusters page: click a bar of a silhouette chart, see both maps follow."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import make_catalog, settle

from pages.views import readers, scores

pytestmark = pytest.mark.browser

NEGATIVE_BAR = """() => {
  const chart = document.querySelectorAll(".js-plotly-plot")[1], layout = chart._fullLayout;
  const trace = chart._fullData.find((one) => Array.from(one.x).some((value) => value < -0.05));
  const [x, y] = [Array.from(trace.x), Array.from(trace.y)], k = x.indexOf(Math.min(...x));
  const box = chart.getBoundingClientRect();
  return { left: box.left + layout.xaxis._offset + layout.xaxis.l2p(x[k] / 2),
           top: box.top + layout.yaxis._offset + layout.yaxis.l2p(y[k]), label: trace.customdata[0] };
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with one catalog, whose k-means has galaxies below zero."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    return root


def test_a_bar_below_zero_shows_and_selects_its_galaxies(visit, root):
    page = visit("/Clusters?catalog=tiny&clusters-panel=Silhouettes", viewport={"width": 1440, "height": 2000})
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .bars path').length > 3")
    bar = page.evaluate(NEGATIVE_BAR)
    page.mouse.click(bar["left"], bar["top"])
    page.get_by_text(f"Below zero in cluster {bar['label']} of k-means (8)", exact=True).wait_for()
    galaxies = readers.open_catalog(root, "tiny")
    below = scores.silhouettes_of(galaxies, "kmeans_8")[galaxies.labels("kmeans_8") == bar["label"]] < 0
    n = int(np.count_nonzero(below))
    page.locator(".st-key-open-strip").get_by_text(f"{n} galax").wait_for()
    assert page.locator(".picture-grid button").count() == n > 0
    page.locator(".picture-grid button").first.click()
    page.wait_for_function("document.querySelector('.st-key-open-strip').innerText.includes('tiny-')")
    settle(page)


@pytest.mark.parametrize("panel", ["Cluster by cluster", "Agreement", "All scores"])
def test_no_panel_is_wider_than_a_phone(visit, panel):
    page = visit(f"/Clusters?catalog=tiny&clusters-panel={panel}", viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("[data-testid=stAlert]").count() == 0
