"""The map in a real Chromium: click, hover, outline, keys, pictures, two maps, presenting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import make_catalog, settle
from PIL import Image

from galaxy_core import artifacts
from tests.map_in_browser import (
    MAP,
    corners,
    drag,
    lonely_row,
    n_marked,
    pixels_of,
    places,
    stored_picture,
    wait_marked,
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts with two catalogs; tests tag galaxies of the second only."""
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root)
    make_catalog(root, "other", 30)
    return root


def test_click_a_known_point_see_that_galaxy_then_its_neighbour(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    row = lonely_row(root)
    page.mouse.click(*page.evaluate(f"{MAP}.pixelOf({row})"))
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for()
    assert (
        np.abs(pixels_of(page, f'img.galaxy-image[alt="galaxy tiny-{row:05d}"]') - stored_picture(root, row)).max() <= 2
    )
    image = page.locator("img.galaxy-image").first
    assert image.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    box = image.bounding_box()
    assert box["width"] == box["height"] == 256  # 64 px, four screen pixels each
    assert f"galaxy=tiny-{row:05d}" in page.url

    index, _ = artifacts.read_neighbors(root, "tiny", "toy")
    neighbour = int(index[row, 0])
    page.get_by_role("button", name=f"tiny-{neighbour:05d}").click()
    page.get_by_role("heading", name=f"tiny-{neighbour:05d}").wait_for()
    assert (
        np.abs(
            pixels_of(page, f'img.galaxy-image[alt="galaxy tiny-{neighbour:05d}"]') - stored_picture(root, neighbour)
        ).max()
        <= 2
    )
    page.wait_for_function(f"(row) => {MAP}.openRow === row", arg=neighbour)
    wanted = places(root)[neighbour]
    assert np.allclose(page.evaluate(f"{MAP}.openPlace"), wanted, atol=1e-5)


def test_the_point_is_painted_where_it_can_be_clicked_in_its_colour(visit, root):
    page = visit("/Galaxy_map?catalog=tiny&colour=Class")
    row = lonely_row(root)
    painted, wanted = page.evaluate(
        f"""(row) => {{
            const map = {MAP}, [x, y] = map.pixelOf(row), box = map.paper.getBoundingClientRect();
            const at = [(x - box.left) * map.ratio, (y - box.top) * map.ratio].map(Math.floor);
            const i = map.points.rows.indexOf(row);
            const painted = Array.from(map.sheet.context.getImageData(...at, 1, 1).data.slice(0, 3));
            return [painted, map.colours[map.points.codes[i]]];
        }}""",
        row,
    )
    assert np.abs(np.array(painted) - wanted).max() < 40  # nine tenths opaque


def test_the_picture_is_shown_under_the_mouse_without_drawing_the_map_again(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    row = lonely_row(root)
    messages = page.evaluate(f"{MAP}.message.stamp")
    page.mouse.move(*page.evaluate(f"{MAP}.pixelOf({row})"))
    page.wait_for_selector(".atlas-tip img")
    assert f"tiny-{row:05d}" in page.inner_text(".atlas-tip")
    assert np.abs(pixels_of(page, ".atlas-tip img") - stored_picture(root, row)).max() <= 2
    assert page.evaluate(f"{MAP}.message.stamp") == messages
    page.mouse.move(*corners(page)[0])
    page.wait_for_selector(".atlas-tip", state="hidden")


def test_box_then_add_subtract_intersect_and_clear(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    page.click('[data-tool="box"]')
    drag(page, corners(page))
    page.get_by_text("90 galaxies", exact=False).first.wait_for()
    wait_marked(page, 90)
    page.select_option(".atlas-tools select", "subtract")
    drag(page, corners(page, right=0.5))
    page.wait_for_function(f"() => {MAP}.outlines.length === 2")
    left = n_marked(page)
    assert 0 < left < 90
    page.select_option(".atlas-tools select", "intersect")
    drag(page, corners(page, bottom=0.5))
    page.wait_for_function(f"() => {MAP}.outlines.length === 3")
    both = n_marked(page)
    assert 0 < both < left
    page.select_option(".atlas-tools select", "add")
    drag(page, corners(page))
    wait_marked(page, 90)
    page.keyboard.press("Escape")
    wait_marked(page, -1)


def test_lasso_selects_what_lies_inside(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    found = places(root)
    page.click('[data-tool="lasso"]')
    centre = np.median(found[np.arange(90) % 3 == 0], axis=0)
    ring = [centre + 2.5 * np.array([np.cos(t), np.sin(t)]) for t in np.linspace(0, 2 * np.pi, 30)[:-1]]
    to_page = f"""(points) => {{ const map = {MAP}, box = map.paper.getBoundingClientRect();
        return points.map(([x, y]) => {{
            const [px, py] = map.toPaper(x, y);
            return [box.left + px / map.ratio, box.top + py / map.ratio];
        }});
    }}"""
    drag(page, page.evaluate(to_page, [point.tolist() for point in ring]))
    inside = int((np.linalg.norm(found - centre, axis=1) < 2.5).sum())
    page.wait_for_function(f"() => {MAP}.chosen")
    assert abs(n_marked(page) - inside) <= 2 and inside > 15
    drawn = page.evaluate(f"{MAP}.outlines[0]")
    off = np.hypot(drawn["x"] - ring[0][0], drawn["y"] - ring[0][1]).min()
    assert off < 0.1, "it begins where the mouse was pressed, not where it had moved to"
    assert "selected=" in page.url


def test_wheel_zooms_drag_moves_and_double_click_shows_all(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    row = lonely_row(root)
    x, y = page.evaluate(f"{MAP}.pixelOf({row})")
    whole = page.evaluate(f"{MAP}.view.scale")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"(scale) => {MAP}.view.scale > 1.3 * scale", arg=whole)
    assert np.allclose(page.evaluate(f"{MAP}.pixelOf({row})"), [x, y], atol=0.6)  # what is under the mouse stays there
    drag(page, [(x, y), (x + 60, y - 40)])
    assert np.allclose(page.evaluate(f"{MAP}.pixelOf({row})"), [x + 60, y - 40], atol=1)
    for _ in range(20):  # the map may be drawn anew just then, in another size
        page.mouse.dblclick(*corners(page)[0])
        if page.evaluate(f"Math.abs({MAP}.view.scale / {MAP}.viewOf({MAP}.message.extent).scale - 1) < 1e-6"):
            break
        page.wait_for_timeout(500)
    else:
        pytest.fail("a double click does not show the whole map")


def test_pictures_lie_on_their_galaxies_and_open_them(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    page.click('[data-tool="pictures"]')
    page.wait_for_selector(".atlas-picture img")
    boxes = [picture.bounding_box() for picture in page.locator(".atlas-picture").all()]
    for k, a in enumerate(boxes):
        for b in boxes[:k]:
            assert abs(a["x"] - b["x"]) >= a["width"] or abs(a["y"] - b["y"]) >= a["height"]
    first = page.locator(".atlas-picture").first
    row = int(first.get_attribute("data-row"))
    x, y = page.evaluate(f"{MAP}.pixelOf({row})")
    assert (
        abs(boxes[0]["x"] + boxes[0]["width"] / 2 - x) < 1.5 and abs(boxes[0]["y"] + boxes[0]["height"] / 2 - y) < 1.5
    )
    assert np.abs(pixels_of(page, ".atlas-picture img") - stored_picture(root, row)).max() <= 2
    first.click()
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for()


def test_keys_go_to_the_next_galaxy_and_tag_it(visit, root):
    page = visit("/Galaxy_map?catalog=other&galaxy=other-00004")
    page.locator(".atlas-paper").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("heading", name="other-00005").wait_for()
    page.get_by_role("status").get_by_text("Galaxy other-00005 is open").wait_for()  # what a screen reader says
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name="other-00003").wait_for()


def test_a_presentation_hides_everything_else_and_a_note_leaves_its_style(visit):
    page = visit("/Galaxy_map?catalog=tiny&galaxy=tiny-00004&present=true")
    styled = """() => [getComputedStyle(document.querySelector('.st-key-map-page')).display,
        getComputedStyle(document.querySelector('img.galaxy-image')).imageRendering,
        getComputedStyle(document.documentElement).getPropertyValue('--atlas-accent') !== '',
        getComputedStyle(document.documentElement).fontSize,
        getComputedStyle(document.querySelector('.atlas-legend button')).fontSize]"""
    page.wait_for_selector("img.galaxy-image")
    page.locator(".atlas-paper").focus()
    for key in ("1", "2", "3"):
        page.keyboard.press(key)
        page.get_by_text(f"There is no tag with the number {key} yet").wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate(styled) == ["grid", "pixelated", True, "19px", "19.95px"]
    assert not page.locator("[data-testid=stSidebar]").is_visible()
    page.get_by_role("button", name="Leave the presentation").click()
    page.locator("[data-testid=stSidebar]").wait_for()


def test_two_maps_share_the_open_galaxy_and_the_selection(visit, root):
    page = visit("/Galaxy_map?catalog=tiny&second=PCA")
    page.wait_for_function("() => document.querySelectorAll('.atlas-map[data-drawn]').length === 2")
    settle(page)  # the second map may still move the first
    row = lonely_row(root)
    page.mouse.click(*page.evaluate(f"{MAP}.pixelOf({row})"))
    page.wait_for_function("(row) => window.galaxyAtlas.maps.get('map-1').openRow === row", arg=row)
    page.wait_for_function("() => window.galaxyAtlas.maps.get('map-1').openPlace")
    assert np.allclose(
        page.evaluate("window.galaxyAtlas.maps.get('map-1').openPlace"), places(root, "tiny", "pca")[row], atol=1e-5
    )
    settle(page)
    page.locator('[data-tool="box"]').first.click()
    drag(page, corners(page))
    wait_marked(page, 90)
    page.wait_for_function("() => window.galaxyAtlas.maps.get('map-1').chosen")


def test_groups_are_hidden_by_the_legend(visit, root):
    page = visit("/Galaxy_map?catalog=tiny")
    row = lonely_row(root)
    at = page.evaluate(f"{MAP}.pixelOf({row})")
    code = page.evaluate(f"{MAP}.points.codes[{MAP}.points.rows.indexOf({row})]")
    page.click(f'.atlas-legend [data-code="{code}"]')
    page.mouse.click(*at)
    page.wait_for_timeout(500)
    assert page.get_by_role("heading", name=f"tiny-{row:05d}").count() == 0
    page.click(f'.atlas-legend [data-code="{code}"]')
    page.mouse.click(*at)
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for()


def test_the_map_is_saved_as_png(visit):
    page = visit("/Galaxy_map?catalog=tiny")
    page.evaluate(
        """() => {
            const paper = CanvasRenderingContext2D.prototype, write = paper.fillText;
            window.written = [];
            paper.fillText = function (text, ...rest) { window.written.push(text); write.call(this, text, ...rest); };
        }"""
    )
    group = page.locator('.atlas-legend [data-code="0"]')
    group.click()
    with page.expect_download() as download:
        page.click('[data-tool="save"]')
    title, *others = page.evaluate("window.written")
    name = group.inner_text()
    assert title.endswith(f"galaxies; hidden: {name}") and name not in others, "what is not drawn is no entry"
    image = Image.open(Path(download.value.path()))
    assert download.value.suggested_filename == "tiny-umap.png"
    assert image.format == "PNG" and image.width == 2000 and len(image.convert("RGB").getcolors(2**24)) > 20


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_finger_on_a_phone(visit, root, scheme):
    page = visit(
        "/Galaxy_map?catalog=tiny", viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    row = lonely_row(root)
    page.locator(".atlas-paper").scroll_into_view_if_needed()
    page.touchscreen.tap(*page.evaluate(f"{MAP}.pixelOf({row})"))
    tip, paper = page.locator(".atlas-tip"), page.locator(".atlas-paper").bounding_box()
    tip.get_by_text(f"tiny-{row:05d}").wait_for()
    tip.locator("img").wait_for()
    assert "More of it is below the map." in tip.inner_text()
    box = tip.bounding_box()
    assert paper["x"] <= box["x"] and box["x"] + box["width"] <= paper["x"] + paper["width"]
    page.get_by_role("heading", name=f"tiny-{row:05d}").wait_for()
    assert page.locator("img.galaxy-image").first.bounding_box()["width"] <= 390
