"""The Morphology page: uploads good and bad, a galaxy of the catalog, the example, the nearest, rows to take home."""

from __future__ import annotations

import base64
import html
import io
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from conftest import make_catalog

from galaxy_core import artifacts
from galaxy_core.embedding import load_embedder
from galaxy_core.images import decode_image, encode_png, resize_square
from galaxy_core.models import save_model
from galaxy_core.turning import turn_views
from galaxy_core.vote_forms import TO_KAGGLE
from galaxy_core.work_tasks import DONE, RUNNING, Standing, Task
from pages.views import background, denoise_work, morphology_panels, morphology_words, morphology_work
from pages.views.question_tree import percent
from tests.morphology_uploads import (
    NAMES,
    PAGE,
    expected,
    finished,
    fits_bytes,
    heading_of,
    html_of,
    png_bytes,
    small_net,
    text_of,
    upload,
)

ABOUT = {"catalogs": ["gz2:gz2", "folder:x_y"], "n_train": 1234, "n_train_with_votes": 1200}


@pytest.fixture(autouse=True)
def no_shipped_model(monkeypatch, tmp_path_factory):
    monkeypatch.setattr("galaxy_core.embedding._REPOSITORY_MODELS", tmp_path_factory.mktemp("none"))


@pytest.fixture
def model_root(broken_root):
    """Artifacts with the catalog ``tiny`` and a small untrained model."""
    save_model(broken_root / "models" / "vote_regressor", small_net(), ABOUT)
    return broken_root


def test_an_upload_is_classified_as_the_command_does(open_app, model_root):
    app = open_app(model_root, PAGE)
    assert not app.exception and not app.error and not app.subheader
    upload(app, ("my *galaxy*.png", png_bytes()))
    told = expected(model_root, decode_image(png_bytes(), "x").pixels)
    assert app.subheader[0].value.replace("\\", "") == heading_of(told)
    page = html_of(app)
    assert "32 x 32 px, from the central 50 x 50 px of 60 x 50 px" in page and page.count('class="turned"') == 1
    for name, share in zip(NAMES, told.class_probabilities[0], strict=True):
        text = html.escape(percent(float(share)))
        assert f'{morphology_words.class_words(name)}</div><div class="value">{text}<' in page
    svg = ET.fromstring(base64.b64decode(re.search(r"question-tree[^>]*base64,([^\"]+)", page)[1]))
    shown = [e.text for e in svg.iter() if e.text and e.text.endswith(" %")]
    conditional = told.conditional.expected[0][np.argsort(TO_KAGGLE)]
    assert shown == [percent(share) for share in conditional], "in the order of the tree"
    assert len([e for e in svg.iter() if e.get("class") == "interval"]) == 37
    text = text_of(app)
    assert "Of 40 volunteers, about" in text and "13 views" in text
    assert "nothing covered" in text or "No patch of 4 x 4 px" in text
    assert "Trained on 1,234 galaxies of gz2:gz2 and folder:x_y (1,200 with votes)." in text
    assert "It was not measured yet" in text and f"It knows these {len(NAMES)} classes and no other" in text
    labels = [button.label for button in app.get("download_button")]
    assert labels == ["Download the row (CSV)", "Save the drawing", "Save the picture (PNG)"]


def test_many_files_with_a_bad_one_and_names_in_any_script(open_app, model_root, monkeypatch):
    wanted, queue = [], background.queue()
    want = queue.want

    def noted(visitor, tasks, *options, **more):
        wanted.append(list(dict.fromkeys(task.key for task in tasks)))
        want(visitor, tasks, *options, **more)

    monkeypatch.setattr(queue, "want", noted)
    app = open_app(model_root, PAGE)
    files = [("Галактика <b>δ.png", png_bytes(1)), ("broken.png", b"Dear astronomer"), ("frame.fits", fits_bytes(40))]
    upload(app, *files, ("frame.png", png_bytes(2)))
    assert wanted[-1][:-1] == wanted[-2], "the kinds of all files, then the pixels of the first"
    said = [button.label.replace("\\", "") for button in app.button if (button.key or "").startswith("morphology-file")]
    assert len(said) == 4 and "not an image" in said[1] and said[0].startswith("**Галактика")
    assert all(re.search(r"· [a-z, -]+, \d+ %$", said[number]) for number in (0, 2, 3)), said
    assert not app.error and "Download 3 of 4 rows (CSV)" in [button.label for button in app.get("download_button")]
    app.button(key="morphology-file-1").click().run()
    assert len(app.error) == 1 and "broken.png" in text_of(app) and not app.subheader
    finished(app.button(key="morphology-file-2").click().run())
    assert "from all 40 x 40 px" in html_of(app) and not app.error


@pytest.mark.parametrize(
    "data", [b"", b"Dear astronomer", png_bytes()[:90], fits_bytes(30)[:3000], pytest.param(None, id="all NaN")]
)
def test_a_bad_upload_is_one_sentence_and_the_page_goes_on(open_app, model_root, data):
    if data is None:
        buffer = io.BytesIO()
        fits.PrimaryHDU(np.full((20, 20), np.nan, np.float32)).writeto(buffer)
        data = buffer.getvalue()
    app = open_app(model_root, PAGE)
    upload(app, ("broken.png", data))
    assert len(app.error) == 1 and "broken.png" in text_of(app) and "\n" not in app.error[0].value
    upload(app, ("good.png", png_bytes()))
    assert not app.error and app.subheader


def test_it_can_be_presented(open_app, model_root):
    app = upload(open_app(model_root, PAGE, present="true"), ("galaxy.png", png_bytes()))
    assert app.session_state["present"] and not app.error
    finished(app.button(key="leave-presentation").click().run())
    assert not app.session_state["present"] and "morphology-top" in html_of(app)


def test_part_and_extension_are_chosen(open_app, model_root):
    app = upload(open_app(model_root, PAGE), ("two.fits", fits_bytes(40, 64)))
    extension = next(box for box in app.selectbox if box.label == "FITS extension")
    finished(extension.set_value(1).run())
    assert "from all 64 x 64 px" in html_of(app)
    finished(app.selectbox(key="morphology-part").set_value(0.5).run())
    assert "the central 32 x 32 px of 64 x 64 px" in html_of(app)
    upload(app, ("zoo.png", png_bytes(3, (424, 424))))
    finished(app.selectbox(key="morphology-part").set_value(0.0).run())
    assert "the central 256 x 256 px of 424 x 424 px" in html_of(app), "as the model was trained"


def test_the_open_galaxy_goes_along(open_app, model_root):
    app = finished(open_app(model_root, PAGE, catalog="tiny", galaxy="tiny-00004"))
    assert app.selectbox(key="morphology-galaxy-tiny").value == "tiny-00004" and not app.error
    assert "its stored thumbnail of 64 px" in text_of(app).lower() and "toy" in app.info[0].value
    stored = artifacts.read_thumbnails(model_root, "tiny", [4])[0]
    assert app.subheader[0].value.replace("\\", "") == heading_of(
        expected(model_root, decode_image(stored, "x").pixels)
    )
    finished(app.selectbox(key="morphology-galaxy-tiny").set_value("tiny-00007").run())
    assert app.query_params["galaxy"] == "tiny-00007", "the chosen one is the open one"
    app.query_params["galaxy"] = "tiny-00004"  # as the browser's button for back does
    finished(app.run())
    assert app.selectbox(key="morphology-galaxy-tiny").value == "tiny-00004"
    finished(app.selectbox(key="morphology-galaxy-tiny").set_value("tiny-00007").run())
    app.switch_page("pages/1_Galaxy_map.py").run()
    assert "tiny-00007" in text_of(app)


def test_the_original_is_read_where_it_can_be(open_app, tmp_path):
    save_model(tmp_path / "models" / "vote_regressor", small_net())
    from galaxy_core.simulator import simulate

    image = simulate(0, 0, 128).image
    manifest = make_catalog(tmp_path, "sim", 3, lambda i: resize_square(simulate(i, 0, 128).image, 64), source="3")
    catalog = artifacts.read_table(tmp_path, "sim", "catalog").assign(galaxy_id=[f"sim-0-{i:06d}" for i in range(3)])
    artifacts.write_table(tmp_path, "sim", "catalog", catalog)
    artifacts.write_manifest(tmp_path, "sim", manifest)
    app = finished(open_app(tmp_path, PAGE, catalog="sim", galaxy="sim-0-000000"))
    assert "from all 128 x 128 px" in html_of(app) and "thumbnail" not in text_of(app)
    assert app.subheader[0].value.replace("\\", "") == heading_of(expected(tmp_path, image))


def test_a_galaxy_without_a_picture_is_a_sentence(open_app, model_root):
    manifest = artifacts.read_manifest(model_root, "tiny")
    ids = artifacts.read_table(model_root, "tiny", "catalog")["galaxy_id"].tolist()
    artifacts.write_thumbnails(model_root, "tiny", ids, [b""] * len(ids))
    artifacts.write_manifest(model_root, "tiny", manifest)
    app = open_app(model_root, PAGE, catalog="tiny", galaxy="tiny-00004")
    assert not app.exception and len(app.error) == 1 and "no picture of tiny-00004" in text_of(app)


def test_example_and_no_catalog(open_app, tmp_path):
    save_model(tmp_path / "models" / "vote_regressor", small_net())
    app = open_app(tmp_path, PAGE)
    assert app.button_group(key="morphology-source").options == ["Your images", "Example"]
    finished(next(button for button in app.button if "See an example" in button.label).click().run())
    assert not app.error and app.subheader and "Nearest labelled galaxies" not in text_of(app)


def test_nearest_labelled_galaxies_are_found(open_app, model_root):
    manifest = artifacts.read_manifest(model_root, "tiny")
    model = load_embedder(model_root / "models" / "vote_regressor", "cpu")
    ids, _ = artifacts.read_embedding(model_root, "tiny", "toy")
    pictures = [decode_image(p, "p").pixels for p in artifacts.read_thumbnails(model_root, "tiny", range(len(ids)))]
    vectors = model.embed(np.stack([resize_square(image, 32) for image in pictures]))
    artifacts.write_embedding(model_root, "tiny", "vote_regressor", ids, vectors)
    changed = manifest.to_dict() | {"model": "vote_regressor", "files": {}}
    artifacts.write_manifest(model_root, "tiny", artifacts.Manifest(**changed))
    app = finished(open_app(model_root, PAGE, catalog="tiny", galaxy="tiny-00004"))
    assert not app.error and not app.info
    shown = [button for button in app.button if (button.key or "").startswith("morphology-near-")]
    assert len(shown) == 12 and "morphology-near-4" not in {button.key for button in shown}, "not the galaxy itself"
    assert "12 nearest labelled galaxies of tiny" in text_of(app)
    shown[0].click().run()
    row = int(shown[0].key.rsplit("-", 1)[1])
    assert not app.exception and app.title[0].value == "Galaxy map" and f"tiny-{row:05d}" in text_of(app)


def test_the_rows_to_take_home_are_counted_anew_while_files_are_under_way(monkeypatch):
    states, results, labels, drawn = {"a": DONE, "b": RUNNING}, {"a": SimpleNamespace(told=None)}, [], []
    queue = SimpleNamespace(standing=lambda key: Standing(states[key]), result=results.get)
    results["a"].told = SimpleNamespace(galaxy_ids=["a"])
    monkeypatch.setattr(morphology_panels.background, "queue", lambda: queue)
    monkeypatch.setattr(morphology_panels, "_download", lambda label, rows, name: labels.append((label, len(rows))))
    monkeypatch.setattr(
        morphology_panels.st, "fragment", lambda f, run_every: lambda *args: drawn.append((run_every, f, args))
    )
    morphology_panels.draw_downloads(results["a"], [Task(key, key, None) for key in states])
    ((every, draw, args),) = drawn
    assert every is not None
    draw(*args)
    assert labels == [("Download the row (CSV)", 1)]
    states["b"], results["b"] = DONE, results["a"]
    draw(*args)  # as it draws itself again
    assert labels[-1] == ("Download all 2 rows (CSV)", 2)
    morphology_panels.draw_downloads(results["a"], [Task(key, key, None) for key in states])
    assert drawn[-1][0] is None, "nothing is under way any more"


def test_a_result_keeps_pictures_as_they_are_drawn(model_root):
    """Hundreds of files may be kept: the views of each are not held in four times the bytes that a page shows."""
    model = morphology_work.open_model("vote_regressor", model_root)
    pixels = np.random.default_rng(0).random((3, 300, 300)).astype(np.float32)
    task = morphology_work.seen_task(denoise_work.pixels_item(pixels, "noise"), "noise", None, 1.0, model)
    seen = task.run(lambda fraction: None)
    views = turn_views(seen.stamp, resize_square(pixels, 128))[1]
    assert seen.square.shape == (3, 128, 128) and np.abs(seen.square - resize_square(pixels, 128)).max() < 1 / 2048
    page = "".join(morphology_panels.turned_html(seen, place) for place in range(13))
    for view in views:
        assert base64.b64encode(encode_png(view)).decode() in page
    assert seen.nbytes < 3 * (128**2 * 2 + 32**2 * 4 + 13 * 32**2) + 100
