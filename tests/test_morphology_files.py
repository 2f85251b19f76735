"""Files in hand on the pages that take them, Morphology, Denoise and Frame: odd, unreadable at first, taken away."""

from __future__ import annotations

import io
import re
import threading
import uuid

import numpy as np
import pytest
from astropy.io import fits
from under_way import finished

from galaxy_core import artifacts
from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.work_tasks import Task
from pages.views import background, denoise_files, denoise_work, morphology_sources
from tests.morphology_uploads import fits_bytes, small_net

PAGES = {"morphology": "pages/3_Morphology.py", "denoise": "pages/4_Denoise.py"}
ODD_NAME = "[click](http://e.com) bad $a$ *b*.png"


@pytest.fixture
def model_root(broken_root):
    """Artifacts with the catalog ``tiny`` and small untrained models of both pages."""
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(broken_root / "models" / "contrastive_denoiser", ContrastiveDenoiser(config))
    save_model(broken_root / "models" / "vote_regressor", small_net())
    return broken_root


@pytest.fixture
def busy_queue():
    """The queue, with every place taken by others."""
    queue, go = background.queue(), threading.Event()

    def hold(report):
        while not go.wait(0.01):
            report(0.5)

    others = [f"busy-{n}" for n in range(queue.limits.running)]
    for other in others:
        queue.want(other, [Task(uuid.uuid4().hex, "held", hold)])
    yield queue
    go.set()
    for other in others:
        queue.want(other, [])


def put(app, *files):
    return app.get("file_uploader")[0].set_value([(name, data, "application/octet-stream") for name, data in files])


def extension_of(app):
    """The choice of an extension, where there is one."""
    return next((box for box in app.selectbox if box.label == "FITS extension"), None)


def two_images(first: np.ndarray, second: np.ndarray, unit: str = "adu") -> bytes:
    buffer = io.BytesIO()
    header = fits.Header({"BUNIT": unit})
    fits.HDUList([fits.PrimaryHDU(first, header), fits.ImageHDU(second, name="SCI")]).writeto(buffer)
    return buffer.getvalue()


def test_a_galaxy_that_is_masked_is_not_told(open_app, model_root):
    masked = np.full((60, 60), np.nan, np.float32)
    masked[:4] = np.random.default_rng(0).normal(5, 1, (4, 60))
    buffer = io.BytesIO()
    fits.PrimaryHDU(masked).writeto(buffer)
    app = finished(put(open_app(model_root, PAGES["morphology"]), ("masked.fits", buffer.getvalue())).run())
    assert len(app.error) == 1 and "no finite pixels in its central part" in app.error[0].value


def sky() -> np.ndarray:
    return np.random.default_rng(0).normal(100, 5, (70, 80)).astype(np.float32)


@pytest.mark.parametrize("page", [*PAGES.values(), "pages/6_Frame.py"])
def test_files_that_are_taken_away_are_no_longer_worked_on(open_app, model_root, busy_queue, page):
    app = open_app(model_root, page)
    put(app, *((f"{n}.fits", fits_bytes(40 + n)) for n in range(3))).run()
    assert not app.exception and busy_queue.counts()["waiting"]
    put(app).run()
    assert not app.exception and busy_queue.counts()["waiting"] == 0


def test_who_brings_no_files_is_no_visitor_of_the_queue(open_app, model_root, monkeypatch):
    monkeypatch.setattr(background, "visitor", lambda: "empty-handed")
    assert not open_app(model_root, PAGES["morphology"]).exception
    assert "empty-handed" not in background.queue()._visitors, "it would take a place from others"


@pytest.mark.parametrize("page", PAGES.values())
def test_other_images_are_offered_where_the_first_cannot_be_read(open_app, model_root, page):
    app = open_app(model_root, page)
    finished(put(app, ("two.fits", two_images(np.full((40, 40), np.nan, np.float32), sky()))).run())
    assert len(app.error) == 1 and "no finite pixel" in app.error[0].value
    finished(extension_of(app).set_value(1).run())
    assert not app.error and (app.metric or app.subheader)
    finished(extension_of(app).set_value(0).run())
    assert len(app.error) == 1 and extension_of(app)


@pytest.mark.parametrize("data", [b"SIMPLE  = nothing", b"\x1f\x8bnothing", b"Dear astronomer"])
def test_no_images_are_listed_of_a_file_whose_headers_cannot_be_read(open_app, model_root, data):
    app = open_app(model_root, PAGES["denoise"])
    finished(put(app, ("broken.fits", data)).run())
    assert len(app.error) == 1 and not extension_of(app)


@pytest.mark.parametrize("page", PAGES.values())
def test_the_name_of_a_file_is_no_markdown_where_an_error_has_it(open_app, model_root, page):
    app = open_app(model_root, page)
    finished(put(app, (ODD_NAME, b"Dear astronomer")).run())
    (error,) = app.error
    assert ODD_NAME in error.value.replace("\\", "") and not re.search(r"[\[\]()$*]", re.sub(r"\\.", "", error.value))


def test_a_unit_is_no_markdown(open_app, model_root):
    unit = "erg/(s*cm**2*Angstrom)"
    app = open_app(model_root, PAGES["denoise"])
    finished(put(app, ("one.fits", two_images(sky(), sky(), unit))).run())
    noise = next(metric.value for metric in app.metric if metric.label.startswith("Sky noise"))
    label = next(box.label for box in app.number_input if box.label.startswith("Sky noise"))
    for text in (noise, label):
        assert unit in text.replace("\\", "") and "*" not in re.sub(r"\\.", "", text)


def test_a_galaxy_without_a_picture_is_one_sentence(open_app, model_root):
    manifest = artifacts.read_manifest(model_root, "tiny")
    ids = artifacts.read_table(model_root, "tiny", "catalog")["galaxy_id"].tolist()
    artifacts.write_thumbnails(model_root, "tiny", ids, [b""] * len(ids))
    artifacts.write_manifest(model_root, "tiny", manifest)
    app = open_app(model_root, PAGES["denoise"])
    finished(app.get("button_group")[0].set_value("A galaxy of the catalog").run())
    (error,) = app.error
    assert error.value.replace("\\", "") == "There is no picture of tiny-00000; choose another galaxy."


def test_every_upload_has_an_id_of_its_own():
    items = [denoise_work.upload_item(str(n), name, b"") for n, name in enumerate(["a.png", "a.png", "a (2).png"])]
    ids = [source.galaxy_id for source in morphology_sources._named(items)]
    assert ids == ["a", "a (2)", "a (2) (2)"]


def test_the_images_of_a_file_are_listed_once(monkeypatch):
    asked = []
    monkeypatch.setattr(denoise_work, "extensions_of", lambda item: asked.append(item) or ((0, "", (1, 2, 3)),))
    item = denoise_work.upload_item(uuid.uuid4().hex, "a.fits", b"")
    assert denoise_files.images_in(item) == denoise_files.images_in(item) == ((0, "", (1, 2, 3)),) and len(asked) == 1
