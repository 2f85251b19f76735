"""Two pages of points driven with the mouse: opening, hovering, clicking, drawing a lasso, with a stopwatch.

`AtlasMap` is the map of this program, `PlotlyMap` a bare Streamlit page with the same points as a Plotly chart; both
are driven the way a person would.
"""

from __future__ import annotations

import time

import numpy as np

from scripts.benchmarks.stopwatch import Server, Visit

MAP = "window.galaxyAtlas.maps.get('map-0')"
# Drawn galaxies with no other in their cell of 8 pixels or in the cells around it, in an order that is always the same.
LONELY = f"""(wanted) => {{
    const map = {MAP}, points = map.shownPoints(), side = Math.ceil(map.sheet.width / 8), cells = new Map();
    const cellOf = (i) => {{
        const [px, py] = map.toPaper(points.x[i], points.y[i]);
        return Math.floor(py / 8) * side + Math.floor(px / 8);
    }};
    for (let i = 0; i < points.n; i++) cells.set(cellOf(i), (cells.get(cellOf(i)) || 0) + 1);
    const steps = [-side - 1, -side, -side + 1, -1, 0, 1, side - 1, side, side + 1];
    const around = (cell) => steps.map((step) => cells.get(cell + step) || 0);
    const crowd = Array.from({{ length: points.n }}, (_, i) => around(cellOf(i)).reduce((a, b) => a + b));
    const order = crowd.map((_, i) => i).sort((i, j) => crowd[i] - crowd[j] || points.rows[i] - points.rows[j]);
    return order.slice(0, wanted).map((i) => points.rows[i]);
}}"""
TO_PAGE = f"""(outline) => {{
    const map = {MAP}, box = map.paper.getBoundingClientRect();
    return outline.map((place) => map.toPaper(...place).map((v, k) => v / map.ratio + (k ? box.top : box.left)));
}}"""
# Whether the map lies where it lay when this was asked before.
STANDS_STILL = """() => {
    const {x, y, width, height} = document.querySelector('.atlas-paper').getBoundingClientRect();
    const before = window.placeBefore;
    window.placeBefore = [x, y, width, height].join();
    return before === window.placeBefore;
}"""
PLOTLY_PIXEL = """([trace, place]) => {
    const chart = document.querySelector('.js-plotly-plot'), box = chart.getBoundingClientRect();
    const { xaxis, yaxis } = chart._fullLayout, { x, y } = chart._fullData[trace];
    return [box.left + xaxis._offset + xaxis.d2p(x[place]), box.top + yaxis._offset + yaxis.d2p(y[place])];
}"""
PICTURES_SHOWN = """() => [...document.querySelectorAll('.st-key-below-area .picture-grid img')].some(
    (image) => image.complete && image.naturalWidth)"""
TRACE_POINTS = 90_000  # Plotly freezes under the mouse from 100,000 points in a trace
PLOTLY_PAGE = """
import numpy as np
import plotly.graph_objects as go
import streamlit as st

st.set_page_config(layout="wide")


@st.cache_resource
def chart():
    x, y = np.load("points.npy")
    row, step = np.arange(len(x), dtype=np.int32), {step}
    traces = [
        go.Scattergl(x=x[a : a + step], y=y[a : a + step], customdata=row[a : a + step], mode="markers", marker_size=3)
        for a in range(0, len(x), step)
    ]
    layout = dict(showlegend=False, spikedistance=-1, height=640, uirevision="same")
    return go.Figure(traces, layout=layout)


clicked = st.plotly_chart(chart(), on_select="rerun", key="map")["selection"]["points"]
st.button("Again", key="again", on_click=lambda: st.session_state.update(n=st.session_state.get("n", 0) + 1))
if clicked:
    st.markdown(f"row {{np.ravel(clicked[0]['customdata'])[0]}}")
"""
BUTTON_PAGE = """
import streamlit as st

if st.button("Again"):
    st.session_state["n"] = st.session_state.get("n", 0) + 1
st.markdown(f"run {st.session_state.get('n', 0)}")
"""


class AtlasMap:
    """The map of this program on a catalog."""

    def __init__(self, visit: Visit, server: Server, catalog: str, ids: np.ndarray):
        self.visit, self.page, self.ids = visit, visit.page, ids
        self.address = f"{server.url}/Galaxy_map?catalog={catalog}"

    def open(self) -> dict[str, float]:
        """Seconds until the map is drawn and answers the mouse, until the picture is under it; megabytes received."""
        start = time.perf_counter()
        self.page.goto(self.address, wait_until="commit")
        self.page.wait_for_selector(".atlas-map[data-drawn]", state="attached")
        row = self.page.evaluate(LONELY, 1)[0]
        self.visit.hover(lambda: self.pixel_of(row), ".atlas-tip")
        interactive, received = time.perf_counter() - start, self.visit.received
        self.page.wait_for_selector(".atlas-tip img")
        return {"interactive_s": interactive, "picture_s": time.perf_counter() - start, "payload_mb": received / 1e6}

    def pixel_of(self, row: int) -> list[float]:
        """Where a galaxy is on the screen."""
        return self.page.evaluate(f"{MAP}.pixelOf({row})")

    def rows(self, n: int) -> list[int]:
        """Galaxies that can be hit without hitting another."""
        return self.page.evaluate(LONELY, n)

    def click(self, row: int) -> float:
        """Milliseconds from the click on a galaxy to its card."""
        self.visit.hover(lambda: self.pixel_of(row), ".atlas-tip img")
        self.visit.rest()
        return self.visit.time_click(self.pixel_of(row), ".st-key-card-area h3", str(self.ids[row]))

    def lasso(self, outline: np.ndarray) -> float:
        """Seconds from the end of a lasso around some galaxies to pictures of them; the selection is dropped again."""
        self.page.click('[data-tool="lasso"]')
        corners = self.page.evaluate(TO_PAGE, outline.tolist())
        self.page.mouse.move(*corners[0])
        self.page.mouse.down()
        for corner in corners[1:]:
            self.page.mouse.move(*corner)
        start = time.perf_counter()
        self.page.mouse.up()
        self.page.wait_for_function(PICTURES_SHOWN)
        seconds = time.perf_counter() - start
        self.visit.rest()
        self.page.locator(".atlas-paper").first.press("Escape")
        self.page.wait_for_selector(".st-key-below-area .picture-grid", state="detached")
        self.page.click('[data-tool="pan"]')
        self.visit.rest()
        return seconds


class PlotlyMap:
    """The bare page with the same points."""

    def __init__(self, visit: Visit, server: Server, places: np.ndarray):
        self.visit, self.page, self.address = visit, visit.page, server.url
        self.lonely = lonely_rows(places, 40)

    def open(self) -> dict[str, float]:
        """As for `AtlasMap`; there is no picture."""
        start = time.perf_counter()
        self.page.goto(self.address, wait_until="commit")
        self.page.wait_for_selector(".js-plotly-plot .gl-canvas", state="attached")
        self.visit.hover(lambda: self.pixel_of(self.lonely[0]), ".hoverlayer .hovertext")
        return {"interactive_s": time.perf_counter() - start, "payload_mb": self.visit.received / 1e6}

    def pixel_of(self, row: int) -> list[float]:
        """Where a galaxy is on the screen."""
        return self.page.evaluate(PLOTLY_PIXEL, [int(row) // TRACE_POINTS, int(row) % TRACE_POINTS])

    def rows(self, n: int) -> list[int]:
        """Galaxies that can be hit without hitting another."""
        return self.lonely[:n].tolist()

    def click(self, row: int) -> float:
        """Milliseconds from the click on a galaxy to its row number on the page."""
        self.visit.hover(lambda: self.pixel_of(row), ".hoverlayer .hovertext")
        self.visit.rest()
        return self.visit.time_click(self.pixel_of(row), "[data-testid=stMarkdown] p", f"row {row}")


def lonely_rows(places: np.ndarray, n: int, bins: int = 150) -> np.ndarray:
    """The galaxies with the fewest others in their cell of a grid and in the cells around it.

    Parameters
    ----------
    places : float array, shape (2, n_galaxies)

    Examples
    --------
    >>> lonely_rows(np.array([[0, 0.1, 9, 5], [0, 0, 9, 5.0]]), 2)
    array([2, 3])
    """
    low, high = np.nanmin(places, axis=1, keepdims=True), np.nanmax(places, axis=1, keepdims=True)
    known = np.flatnonzero(np.isfinite(places).all(axis=0))
    cells = ((places[:, known] - low) / np.where(high > low, high - low, 1) * (bins - 1)).astype(int) + 1
    counts = np.zeros((bins + 2, bins + 2), dtype=int)
    np.add.at(counts, tuple(cells), 1)
    crowd = sum(counts[cells[0] + a, cells[1] + b] for a in (-1, 0, 1) for b in (-1, 0, 1))
    return known[np.argsort(crowd, kind="stable")[:n]]
