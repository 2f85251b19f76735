"""Show on the map: the panel of the Denoise page and the search by picture, on a small catalog with a real model."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE_MS, PROJECT, blob, make_catalog, serve, settle
from PIL import Image
from streamlit.testing.v1 import AppTest

from galaxy_core import artifacts
from galaxy_core.embedding import find_model, load_embedder
from galaxy_core.images import decode_image, resize_square
from galaxy_core.map_placement import Placement
from galaxy_core.similarity import nearest_neighbors
from pages.views import denoise_on_map, upload_choice
from pages.views.galaxy_map import payload

N, ROW = 40, 7
MODEL = "contrastive_denoiser"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Artifacts with a catalog ``tiny`` embedded by the model that is shipped."""
    folder = tmp_path_factory.mktemp("artifacts")
    manifest = make_catalog(folder, n=N)
    model = load_embedder(find_model(MODEL, PROJECT / "artifacts"), "cpu")
    ids, _ = artifacts.read_embedding(folder, "tiny", "toy")
    pictures = [decode_image(p, "p").pixels for p in artifacts.read_thumbnails(folder, "tiny", list(range(N)))]
    vectors = model.embed(np.stack([resize_square(image, model.input_px) for image in pictures]))
    artifacts.write_embedding(folder, "tiny", MODEL, ids, vectors)
    artifacts.write_neighbors(folder, "tiny", MODEL, ids, *nearest_neighbors(vectors, 12))
    artifacts.write_manifest(folder, "tiny", artifacts.Manifest(**(manifest.to_dict() | {"model": MODEL, "files": {}})))
    return folder


def page(root, pixels):
    """A page with nothing but the panel, the upload having been denoised to a slightly darker one."""
    from pathlib import Path
    from types import SimpleNamespace

    import numpy as np

    from galaxy_core.images import AstroImage
    from pages.views import denoise_on_map

    image = AstroImage(np.asarray(pixels, dtype=np.float32), False, None, "PNG", "up*load*.png")
    denoise_on_map.draw(Path(root), image, SimpleNamespace(denoised=image.pixels * np.float32(0.9)))


@pytest.fixture
def app(root):
    def run(pixels):
        app = AppTest.from_function(page, kwargs={"root": str(root), "pixels": pixels}, default_timeout=120).run()
        return app.toggle[0].set_value(True).run()

    return run


def all_text(app) -> str:
    return " ".join(element.value for element in (*app.markdown, *app.caption, *app.error))


def test_shows_the_nearest_and_how_far_it_moved(app):
    drawn = app(blob(ROW))
    text = all_text(drawn)
    assert not drawn.exception and not drawn.error, text
    labels = [button.label for button in drawn.button]
    assert float(labels[0].rsplit(" ", 1)[1]) > 0.9
    assert len([label for label in labels if label.startswith("![")]) == 12
    assert "Denoising moved it" in text and "Its place is an estimate" in text
    assert "no closer to their own 12 nearest" in text


def test_a_click_on_a_picture_shows_the_galaxy(app):
    drawn = app(blob(ROW))
    name = drawn.button[0].label[2:12]
    drawn.button[0].click().run()
    assert any(name.replace("-", "\\-") in element.value for element in drawn.markdown)


def test_the_uploaded_version_can_be_chosen(app):
    drawn = app(blob(ROW))
    choice = next(group for group in drawn.get("button_group") if "Nearest" in group.label)
    choice.set_value("as uploaded").run()
    assert "most like it, as uploaded" in all_text(drawn)
    label = drawn.button[0].label
    assert f"tiny-{ROW:05d}" in label and float(label.rsplit(" ", 1)[1]) > 0.98, "a galaxy is its own nearest"


def test_a_frame_of_several_sources_offers_them(app):
    frame = np.random.default_rng(0).normal(0.03, 0.01, (3, 200, 260)).clip(0, 1)
    frame[:, 70:134, 100:164], frame[:, 10:74, 190:254] = blob(1), blob(4)
    drawn = app(frame)
    assert not drawn.exception and "(132, 102)" in drawn.selectbox[2].options[0].replace("131", "132").replace(
        "101", "102"
    )
    before = [button.label for button in drawn.button]
    drawn.selectbox[2].set_value(1).run()
    assert not drawn.exception and [button.label for button in drawn.button] != before
    assert drawn.slider[0].label.startswith("Width of the cutout")


def test_nothing_to_see_is_a_sentence(app):
    drawn = app(np.full((3, 64, 64), 0.5))
    assert not drawn.exception and "same brightness everywhere" in drawn.error[0].value


def test_a_model_that_is_gone_is_a_sentence(tiny_root):
    drawn = AppTest.from_function(page, kwargs={"root": str(tiny_root), "pixels": blob(1)}, default_timeout=120).run()
    drawn.toggle[0].set_value(True).run()
    assert not drawn.exception and "There is no model 'toy'" in drawn.error[0].value


def test_without_a_catalog_there_is_nothing(tmp_path):
    drawn = AppTest.from_function(page, kwargs={"root": str(tmp_path), "pixels": blob(1)}, default_timeout=120).run()
    assert not drawn.exception and not drawn.toggle


def test_marks_reach_the_map():
    places = {"denoised": Placement(1, 2, False, 0.5, 9, 12, 8), "as uploaded": Placement(3, -1, True)}
    near = np.array([[1.0, 2.0], [np.nan, 0.0]])
    marks = denoise_on_map.marks_of("umap", near, places, "denoised")
    assert [mark["kind"] for mark in marks] == ["rings", "place", "place"] and marks[0]["x"] == [1.0]
    assert marks[-1]["label"] == "denoised" and marks[-1]["radius"] == 0.5 and not marks[-1]["faint"]
    assert marks[1]["below"] and not marks[2]["below"], "labels do not meet"
    message = payload.unpack(payload.marks_message("upload", 3, 0, None, {}, None, {}, marks))
    assert message["outlines"] == marks


def test_which_circle_was_clicked():
    assert upload_choice.place_of_click({"selection": {"points": [{"point_index": 2}]}}, 3) == 2
    for nothing in (None, {}, {"selection": {"points": []}}, {"selection": {"points": [{"point_index": 9}]}}):
        assert upload_choice.place_of_click(nothing, 3) is None


def test_leaving_for_the_map_takes_the_selection_along(root, monkeypatch):
    """The link names the catalog, the galaxy, and the nearest ones as a selection."""

    def leave(root):
        from pathlib import Path
        from types import SimpleNamespace

        import numpy as np
        import streamlit as st

        from pages.views import denoise_on_map, readers, selection

        galaxies = readers.open_catalog(Path(root), "tiny")
        st.switch_page = lambda page, query_params: st.json({"page": page, **query_params})
        match = SimpleNamespace(rows=np.array([5, 3, 8]))
        denoise_on_map.go_to_map(galaxies, match, None, "my galaxy.fits")
        st.text(f"{selection.selected_rows(galaxies).tolist()} {selection.describe(galaxies)}")

    import streamlit as st

    monkeypatch.setattr(st, "switch_page", st.switch_page)
    drawn = AppTest.from_function(leave, kwargs={"root": str(root)}, default_timeout=120).run()
    assert not drawn.exception and drawn.text[0].value == "[3, 5, 8] most like the upload “my galaxy.fits”"
    link = drawn.json[0].value
    assert '"galaxy": "tiny-00005"' in link and '"selected"' in link and '"catalog": "tiny"' in link


def test_search_by_picture_on_the_galaxy_map(root, open_app):
    buffer = io.BytesIO()
    counts = np.rint(np.moveaxis(blob(ROW), 0, -1) * 255).astype(np.uint8)
    Image.fromarray(counts).save(buffer, format="PNG")
    app = open_app(root, "pages/1_Galaxy_map.py")
    app.get("file_uploader")[0].set_value(("mine.png", buffer.getvalue(), "image/png")).run(timeout=120)
    assert not app.exception and not app.error
    assert any("most like mine" in caption.value for caption in app.caption)
    app.get("file_uploader")[0].set_value(("bad.png", b"no image", "image/png")).run(timeout=120)
    assert not app.exception and "bad.png" in app.error[0].value.replace("\\", "")


def test_in_a_browser(root, chromium, tmp_path, monkeypatch):
    """The map, the cross and rings on it, and a click on the nearest galaxy."""
    app = tmp_path / "app"
    app.mkdir()
    np.save(app / "pixels.npy", blob(ROW))
    body = f"""
        import sys
        sys.path[:0] = [{str(PROJECT)!r}, {str(PROJECT / "tests")!r}]
        import numpy as np
        from pages.views import frame
        from test_denoise_on_map import page
        page(frame.open_page("On the map"), np.load({str(app / "pixels.npy")!r}))
    """
    (app / "app.py").write_text(textwrap.dedent(body))
    monkeypatch.setattr("tests.browsers.PROJECT", app)  # where the server finds its app.py
    with serve(root, tmp_path / "log") as address:
        context = chromium.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        visitor = context.new_page()
        visitor.goto(address)
        visitor.get_by_text("Show on the map").click()
        visitor.wait_for_selector(".atlas-map[data-drawn]")
        visitor.get_by_text("most like it, denoised").wait_for()
        settle(visitor)
        ink = "() => document.querySelector('canvas.marks').getContext('2d')"
        ink += ".getImageData(0, 0, 2000, 2000).data.some((value) => value > 0)"
        visitor.wait_for_function(ink)
        visitor.locator(".st-key-gallery-on-map button").first.click()
        visitor.locator(".st-key-on-map-strip img").wait_for()
        context.close()
