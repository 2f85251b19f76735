"""The Frame page in a real Chromium: an upload, a click on an object, a lasso in the diagram, a box, zoom, a phone."""

from __future__ import annotations

import pytest
from sky_frames import SOURCES, band_bytes

from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig

pytestmark = pytest.mark.browser

PLACE = """(row) => {
    const {viewer} = document.querySelector('.iv'), {message, panels: [panel]} = viewer;
    const i = message.obj_row.indexOf(row), box = panel.canvas.getBoundingClientRect();
    const [x, y] = viewer.toPanel(panel, message.obj_x[i] + 0.5, message.obj_y[i] + 0.5);
    return [box.x + x / devicePixelRatio, box.y + y / devicePixelRatio];
}"""
BRIGHTEST = """() => {
    const {message} = document.querySelector('.iv').viewer;
    return message.obj_row[message.obj_a.indexOf(Math.max(...message.obj_a))];
}"""
# How many pixels beyond the frame are painted after the clip, on a canvas in whose middle the frame's first corner
# lies, then its last.
CLIPPED = """() => {
    const {viewer} = document.querySelector('.iv'), {objects} = viewer, painted = [];
    for (const corner of [[0, 0], [objects.message.full_width, objects.message.full_height]]) {
        const canvas = new OffscreenCanvas(200, 200), context = canvas.getContext('2d');
        const like = Object.create(objects, {
            message: {value: objects.message},
            viewer: {value: {toPanel: (panel, x, y) => [100 + x - corner[0], 100 + y - corner[1]]}},
        });
        like.clipToFrame({}, context);
        context.fillRect(0, 0, 200, 200);
        const {data} = context.getImageData(0, 0, 200, 200);
        const inside = corner[0] === 0 ? (v) => v >= 100 : (v) => v < 100;
        let beyond = 0;
        for (let i = 0; i < 40000; i++) {
            if (data[4 * i + 3] && !(inside(i % 200) && inside(Math.floor(i / 200)))) beyond++;
        }
        painted.push(beyond);
    }
    return painted;
}"""
# How far the line around an object stands out from a sky of each grey, as the contrast of WCAG 2: of few, and of many.
OUTLINED = """() => [1, 3000].map((n) => ['#000000', '#808080', '#ffffff'].map((sky) => {
    const {objects} = document.querySelector('.iv').viewer;
    const canvas = new OffscreenCanvas(200, 200), context = canvas.getContext('2d');
    context.fillStyle = sky;
    context.fillRect(0, 0, 200, 200);
    const one = {obj_x: [99.5], obj_y: [99.5], obj_a: [40], obj_b: [40], obj_theta: [0], obj_row: [0], obj_code: [0]};
    const like = Object.create(objects, {
        message: {value: {...one, palette: [objects.message.palette.at(-1)]}},
        marks: {value: null},
        onScreen: {value: () => new Array(n).fill(0)},
        viewer: {value: {flip: false, scaleOf: () => 1, toPanel: (panel, x, y) => [x, y]}},
    });
    like.drawObjects({canvas}, context, 1);
    const {data} = context.getImageData(0, 100, 200, 1), parts = [0.2126, 0.7152, 0.0722];
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = (i) => parts.reduce((sum, part, k) => sum + part * linear(data[4 * i + k] / 255), 0.05);
    return Math.max(...Array.from({length: 100}, (_, i) => Math.max(light(i) / light(100), light(100) / light(i))));
}))"""
# Until then the diagrams may be drawn anew, which ends a lasso, and what lies above the image may push it down.
DRAWN_WITH = """(name) => {
    const charts = [...document.querySelectorAll('.st-key-sky-below .js-plotly-plot')];
    const rests = document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning';
    return rests && charts.length && charts[0].data.some((trace) => trace.name === name);
}"""
N_SELECTED = "document.querySelector('.iv').viewer.objects.marks?.n_selected"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with a small untrained denoiser, and nothing else."""
    root = tmp_path_factory.mktemp("artifacts")
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(root / "models" / "contrastive_denoiser", ContrastiveDenoiser(config))
    return root


def opened(visit, **context):
    """The page with two bands of a frame, searched."""
    page = visit("/Frame", **context)
    files = [
        {"name": f"{band}.fits", "mimeType": "application/fits", "buffer": band_bytes(band, gain)}
        for band, gain in (("g", 0.7), ("r", 1.0))
    ]
    page.locator("input[type=file]").set_input_files(files)
    page.wait_for_selector(".iv[data-drawn]")
    page.wait_for_function(f"{N_SELECTED} === 0")
    page.locator(".iv").scroll_into_view_if_needed()
    return page


def test_click_card_lasso_box_and_sensitivity(visit):
    page = opened(visit)
    assert page.locator(".sky-scale").count() == 0, "no probability, no scale"
    n = page.evaluate("document.querySelector('.iv').viewer.message.total")
    assert len(SOURCES) <= n <= len(SOURCES) + 1, "0.3 are expected by chance"
    page.get_by_role("button", name=f"{n} objects").wait_for()
    row = page.evaluate(BRIGHTEST)
    page.mouse.click(*page.evaluate(PLACE, row))
    page.get_by_role("heading", name=f"Object {row + 1}").wait_for()
    page.locator(".sky-card .galaxy-image").wait_for()
    page.get_by_text("Radial profile").first.wait_for()
    page.locator(".st-key-sky-side .model-view").wait_for()
    assert page.evaluate(CLIPPED) == [0, 0], "no ellipse is drawn beyond the frame"
    few, many = page.evaluate(OUTLINED)
    assert min(few) > 4.5 and few[-1] > 15 and min(many) > 3, "outlines are seen on any background"
    x, y = page.evaluate(PLACE, row)
    page.mouse.move(x + 2, y + 2)
    page.wait_for_function("document.querySelector('.iv-values').innerText.includes('RA 187.')")
    page.wait_for_function(DRAWN_WITH, arg="open")

    chart = page.locator(".st-key-sky-below .js-plotly-plot").first
    chart.scroll_into_view_if_needed()
    box = chart.locator(".nsewdrag").first.bounding_box()
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.02)]
    points = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()
    page.wait_for_function(f"{N_SELECTED} === {n}")
    page.wait_for_function(DRAWN_WITH, arg="selected")

    page.locator(".iv").scroll_into_view_if_needed()
    page.get_by_role("button", name="select a box").click()
    x, y = page.evaluate(PLACE, row)
    page.mouse.move(x - 12, y - 12)
    page.mouse.down()
    page.mouse.move(x + 12, y + 12, steps=4)
    page.mouse.up()
    page.wait_for_function(f"{N_SELECTED} === 1")
    page.get_by_role("button", name="1 selected").click()
    page.wait_for_function(f"{N_SELECTED} === 0")

    page.get_by_role("button", name="Zoom in (+)").click()
    page.wait_for_function("document.querySelector('.iv').viewer.view.zoom > 1.3")
    page.locator(".st-key-sky-rate input[type=range]").press("ArrowRight")
    page.wait_for_function("document.querySelector('.iv').viewer.message.objects_stamp !== undefined")
    page.get_by_text("0.96", exact=True).wait_for()
    assert page.evaluate("document.querySelector('.iv').viewer.view.zoom") > 1.3, "the view stays"
    page.get_by_role("heading", name="Object").first.wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_phone(visit, scheme):
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme, "has_touch": True, "is_mobile": True}
    page = opened(visit, **options)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    row = page.evaluate(BRIGHTEST)
    page.touchscreen.tap(*page.evaluate(PLACE, row))
    card = page.get_by_role("heading", name=f"Object {row + 1}")
    card.wait_for()
    below = page.locator(".st-key-sky-below").bounding_box()
    assert card.bounding_box()["y"] < below["y"], "the card comes right after the image"
