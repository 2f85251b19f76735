"""The Denoise page: one upload and many, good and bad, a galaxy of the catalog, the example, a missing model."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from denoise_page import (
    PAGE,
    choose,
    downloads,
    finished,
    fits_bytes,
    metrics,
    png_bytes,
    problem,
    states,
    upload,
    widget,
    with_denoiser,
)
from PIL import Image


@pytest.fixture
def model_root(broken_root):
    return with_denoiser(broken_root)


def test_opens_without_reading_a_model(open_app, tmp_path):
    """Nothing to denoise yet, so neither a catalog nor a model is needed."""
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error
    assert app.get("button_group")[0].options == ["Your images", "Example"]


def test_upload_fits_and_png(open_app, model_root):
    app = open_app(model_root, PAGE)
    facts = upload(app, ("field.fits", fits_bytes()))
    assert not app.error
    value, unit = facts["Sky noise, estimated"].split()
    assert float(value) == pytest.approx(5, rel=0.1) and unit == "adu" and facts["Size"] == "80 x 70 px"
    assert downloads(app) == ["field_denoised.fits", "field_residual.fits"]
    table = next(block.proto.body for block in app.get("html") if '<table class="before-after' in block.proto.body)
    assert "Sky noise [adu]" in table and "sky pixels" in table and "Galaxy Atlas" in table
    facts = upload(app, ("photo.png", png_bytes()))
    assert facts["Sky noise, estimated"].endswith("counts") and facts["Size"] == "50 x 40 px"
    assert downloads(app) == ["photo_denoised.png", "photo_residual.png"]
    widget(app, "toggle", "Download as FITS").set_value(True).run()
    assert downloads(app) == ["photo_denoised.fits", "photo_residual.fits"]


def test_many_files_with_a_bad_one_among_them(open_app, model_root):
    app = open_app(model_root, PAGE)
    files = [
        ("a.png", png_bytes(1)),
        ("broken.png", b"Dear astronomer"),
        ("b*.fits", fits_bytes()),
        ("a.png", png_bytes(2)),
    ]
    upload(app, *files)
    said = states(app)
    assert len(said) == 4 and sum("done in" in text for text in said) == 3
    assert said[1].startswith("**broken") and "not an image" in said[1] and "\n" not in said[1]
    assert metrics(app)["Size"] == "50 x 40 px" and not app.error
    app.button(key="denoise-file-1").click().run()
    assert metrics(app) == {} and len(app.error) == 1 and "broken.png" in problem(app)
    app.button(key="denoise-file-2").click().run()
    assert metrics(app)["Size"] == "80 x 70 px" and not app.error
    labels = [button.label for button in app.get("download_button")]
    assert "Download all (3 of 4 files)" in labels


def test_all_results_in_one_zip_file(open_app, model_root):
    from pages.views import denoise_files, denoise_work

    items = [denoise_work.upload_item(name, "a.png", png_bytes(seed)) for seed, name in enumerate(("one", "two"))]
    tasks = [denoise_work.denoise_task(item, denoise_work.Options(), model_root) for item in items]
    archive = zipfile.ZipFile(io.BytesIO(denoise_files.zip_maker(tasks, "anybody")()))
    assert sorted(archive.namelist()) == sorted(
        f"a_{what}{again}.png" for what in ("denoised", "residual") for again in ("", " (2)")
    )
    assert all(Image.open(io.BytesIO(archive.read(name))).size == (50, 40) for name in archive.namelist())


@pytest.mark.parametrize("data", [b"", b"Dear astronomer", png_bytes()[:90], fits_bytes()[:3000]])
def test_bad_upload_is_one_sentence_and_the_page_goes_on(open_app, model_root, data):
    app = open_app(model_root, PAGE)
    assert upload(app, ("broken.png", data)) == {}
    assert len(app.error) == 1 and "broken.png" in problem(app) and "\n" not in problem(app)
    assert upload(app, ("photo.png", png_bytes())) and not app.error


def test_what_is_no_image_is_told_without_waiting_for_a_process(model_root):
    from pages.views.denoise_work import Options, denoise_task, upload_item

    files = {b"": False, b"Dear astronomer": False, b"PK\3\4": False, png_bytes(): True, fits_bytes(): True}
    for data, waits in files.items():
        assert denoise_task(upload_item("digest", "a.png", data), Options(), model_root).apart == waits


def test_a_given_noise_is_used_and_stays_with_its_file(open_app, model_root):
    app = open_app(model_root, PAGE)
    upload(app, ("photo.png", png_bytes()), ("other.png", png_bytes(2)))
    app.number_input[0].set_value(12.5).run()
    assert metrics(finished(app))["Sky noise, given"] == "12.5 counts"
    finished(app.button(key="denoise-file-1").click().run())
    assert "Sky noise, estimated" in metrics(app)
    finished(app.button(key="denoise-file-0").click().run())
    assert metrics(app)["Sky noise, given"] == "12.5 counts"


def test_noise_given_for_a_deep_picture_is_in_its_counts_until_noise_is_added(open_app, model_root):
    """Added noise is defined on 8 bits, so what comes of it is another image, with another noise in other counts."""
    deep = np.random.default_rng(5).normal(20_000, 2_000, (40, 50)).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(deep).save(buffer, format="PNG")
    app = open_app(model_root, PAGE)
    upload(app, ("deep.png", buffer.getvalue()))
    given = widget(app, "number_input", "Sky noise in counts of 65535")
    given.set_value(2000.0).run()
    assert metrics(finished(app))["Sky noise, given"].endswith("counts of 65535")
    widget(app, "selectbox", "Noise added first").set_value("gaussian").run()
    assert metrics(finished(app))["Sky noise, estimated"].endswith(" counts") and not app.error
    assert widget(app, "number_input", "Sky noise in counts,").value is None


def test_a_fits_extension_is_chosen(open_app, model_root):
    app = open_app(model_root, PAGE)
    extra = np.random.default_rng(3).normal(0, 2, (30, 44)).astype(np.float32)
    assert upload(app, ("field.fits", fits_bytes(extra)))["Size"] == "80 x 70 px"
    extension = widget(app, "selectbox", "FITS extension")
    app.number_input[0].set_value(7.0).run()
    assert metrics(finished(app))["Sky noise, given"] == "7 adu"
    extension = widget(app, "selectbox", "FITS extension")
    extension.set_value(1).run()
    facts = metrics(finished(app))
    assert facts["Size"] == "44 x 30 px" and "Sky noise, estimated" in facts, "the noise given is another image's"
    widget(app, "selectbox", "FITS extension").set_value(0).run()
    assert metrics(finished(app))["Sky noise, given"] == "7 adu"


def test_classical_methods_stand_beside_the_model(open_app, model_root):
    app = open_app(model_root, PAGE)
    upload(app, ("photo.png", png_bytes()))
    widget(app, "button_group", "Compare the input with").set_value("total_variation").run()
    finished(app)
    table = next(block.proto.body for block in app.get("html") if '<table class="before-after' in block.proto.body)
    assert "Total variation" in table and "Non-local" not in table
    assert downloads(app)[0] == "photo_total_variation_denoised.png"
    finished(widget(app, "button", "Run all").click().run())
    table = next(block.proto.body for block in app.get("html") if '<table class="before-after' in block.proto.body)
    assert "Non-local means" in table and "Wavelets" in table


def test_galaxy_of_the_catalog_with_noise(open_app, model_root):
    app = choose(open_app(model_root, PAGE), "A galaxy of the catalog")
    assert not app.error
    error = float(metrics(app)["Error"].split()[0])
    assert error > 5, "an untrained model leaves the added noise"
    assert downloads(app)[0] == "tiny-00000_denoised.png"
    half = finished(widget(app, "select_slider", "Strength of that noise").set_value(0.5).run())
    assert float(metrics(half)["Error"].split()[0]) < error
    table = next(block.proto.body for block in app.get("html") if '<table class="before-after' in block.proto.body)
    assert "Strict SSIM" in table and "Not in the clean image" in table
    finished(widget(app, "selectbox", "Noise added first").set_value("").run())
    assert "Error" not in metrics(app)


def test_an_example_is_offered_where_no_image_is_chosen(open_app, model_root):
    app = open_app(model_root, PAGE)
    app = finished(next(button for button in app.button if "See an example" in button.label).click().run())
    assert app.get("button_group")[0].value == "Example" and not app.warning
    assert not app.error and downloads(app)[0] == "example_denoised.png"


def test_missing_and_damaged_model_are_one_sentence(open_app, model_root, tmp_path, monkeypatch):
    weights = model_root / "models" / "contrastive_denoiser" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    app = choose(open_app(model_root, PAGE), "Example")
    assert len(app.error) == 1 and "weights.safetensors" in problem(app)
    weights.unlink()
    app = choose(open_app(model_root, PAGE), "Example")
    assert not app.error, "a root without a model of its own uses the one that is shipped"
    monkeypatch.setattr("galaxy_core.embedding._REPOSITORY_MODELS", tmp_path)
    app = choose(open_app(model_root, PAGE), "Example")
    assert len(app.error) == 1
