"""What only a real browser can do on the Models page: click a cell of the confusion matrix; fit on a phone."""

from __future__ import annotations

import pytest
from conftest import make_catalog
from models_stand_ins import write_model

pytestmark = pytest.mark.browser

# off the middle of the cell: all of it is to be clicked, not its number
CELL = """([row, column]) => {
  const charts = [...document.querySelectorAll(".js-plotly-plot")];
  const chart = charts.find((one) => one._fullData?.some((trace) => trace.type === "heatmap"));
  const {xaxis, yaxis} = chart._fullLayout, box = chart.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.l2p(column + 0.3), box.top + yaxis._offset + yaxis.l2p(row - 0.3)];
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    write_model(root)
    return root


def test_a_cell_is_clicked_and_its_galaxies_open_on_the_map(visit):
    page = visit("/Models?model=vote_regressor&models-section=fails", viewport={"width": 1440, "height": 900})
    page.wait_for_selector(".js-plotly-plot .heatmaplayer image")
    page.mouse.click(*page.evaluate(CELL, [0, 2]))
    pictures = page.locator(".st-key-gallery-models-confused-0-2 button:visible")
    pictures.nth(1).wait_for()
    assert pictures.count() == 2
    pictures.nth(1).click()
    page.get_by_role("heading", name="tiny-00007").wait_for()


def test_no_column_of_a_table_that_wraps_is_cut(visit):
    page = visit("/Models?model=vote_regressor&models-section=published")
    page.locator("[data-testid=stTable]").wait_for()
    assert page.evaluate(
        "(() => {const t = document.querySelector('[data-testid=stTable]'); return t.scrollWidth <= t.clientWidth})()"
    )


def test_no_panel_is_wider_than_a_phone(visit):
    page = visit("/Models?model=vote_regressor", viewport={"width": 390, "height": 844})
    for section in ("Where it fails", "All its numbers", "Beside published numbers", "Card", "How it learned"):
        page.get_by_role("radio", name=section).click()
        page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, section
    page.locator(".modebar").first.wait_for(state="attached")
    bars = page.evaluate("[...document.querySelectorAll('.modebar')].map(bar => getComputedStyle(bar).display)")
    assert bars and set(bars) == {"none"}, "buttons would lie over the title of a narrow diagram"
