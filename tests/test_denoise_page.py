"""The Denoise page: uploads good and bad, a galaxy of the catalog, the example, and a missing or broken model."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig

PAGE = "pages/4_Denoise.py"


@pytest.fixture
def model_root(broken_root):
    """Artifacts with the catalog ``tiny`` and a small untrained model, which returns what it is given."""
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(broken_root / "models" / "contrastive_denoiser", ContrastiveDenoiser(config))
    return broken_root


def fits_bytes():
    noisy = np.random.default_rng(0).normal(100, 5, (70, 80)).astype(np.float32)
    hdu = fits.PrimaryHDU(noisy)
    hdu.header["BUNIT"] = "adu"
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    return buffer.getvalue()


def png_bytes():
    counts = np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(counts).save(buffer, format="PNG")
    return buffer.getvalue()


def upload(app, name, data):
    app.get("file_uploader")[0].set_value((name, data, "application/octet-stream")).run()
    return {metric.label: metric.value for metric in app.metric}


def choose(app, source):
    return app.get("button_group")[0].set_value(source).run()


def downloads(app):
    return [button.label.removeprefix("Download ") for button in app.get("download_button")]


def test_opens_without_reading_a_model(open_app, tmp_path):
    """Nothing to denoise yet, so neither a catalog nor a model is needed."""
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error
    assert app.get("button_group")[0].options == ["Your image", "Example"]


def test_upload_fits_and_png(open_app, model_root):
    app = open_app(model_root, PAGE)
    facts = upload(app, "field.fits", fits_bytes())
    assert not app.exception and not app.error
    value, unit = facts["Sky noise, estimated"].split()
    assert float(value) == pytest.approx(5, rel=0.1) and unit == "adu" and facts["Size"] == "80 x 70 px"
    assert downloads(app) == ["field_denoised.fits", "field_residual.fits"]
    assert [title.value for title in app.subheader] == ["Input", "Denoised", "Residual"]
    facts = upload(app, "photo.png", png_bytes())
    assert facts["Sky noise, estimated"].endswith("counts") and facts["Size"] == "50 x 40 px"
    assert downloads(app) == ["photo_denoised.png", "photo_residual.png"]
    app.toggle[0].set_value(True).run()
    assert downloads(app) == ["photo_denoised.fits", "photo_residual.fits"]


@pytest.mark.parametrize("data", [b"", b"Dear astronomer", png_bytes()[:90], fits_bytes()[:3000]])
def test_bad_upload_is_one_sentence_and_the_page_goes_on(open_app, model_root, data):
    app = open_app(model_root, PAGE)
    assert upload(app, "broken.png", data) == {}
    assert not app.exception and len(app.error) == 1 and "broken.png" in app.error[0].value
    assert upload(app, "photo.png", png_bytes()) and not app.error


def test_a_given_noise_is_used(open_app, model_root):
    app = open_app(model_root, PAGE)
    upload(app, "photo.png", png_bytes())
    app.number_input[0].set_value(12.5).run()
    assert {metric.label: metric.value for metric in app.metric}["Sky noise, given"] == "12.5 counts"


def test_galaxy_of_the_catalog_with_noise(open_app, model_root):
    app = choose(open_app(model_root, PAGE), "A galaxy of the catalog")
    assert not app.exception and not app.error
    facts = {metric.label: metric.value for metric in app.metric}
    assert float(facts["Error"].split()[0]) > 5, "an untrained model leaves the added noise"
    assert downloads(app)[0] == "tiny-00000_denoised.png"
    half = app.slider[0].set_value(0.5).run()
    assert float({m.label: m.value for m in half.metric}["Error"].split()[0]) < float(facts["Error"].split()[0])


def test_example(open_app, model_root):
    app = choose(open_app(model_root, PAGE), "Example")
    assert not app.exception and not app.error and downloads(app)[0] == "example_denoised.png"


def test_missing_and_damaged_model_are_one_sentence(open_app, model_root, tmp_path, monkeypatch):
    weights = model_root / "models" / "contrastive_denoiser" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    app = choose(open_app(model_root, PAGE), "Example")
    assert not app.exception and len(app.error) == 1 and "weights.safetensors" in app.error[0].value
    weights.unlink()
    app = choose(open_app(model_root, PAGE), "Example")
    assert not app.exception and not app.error, "a root without a model of its own uses the one that is shipped"
    monkeypatch.setattr("galaxy_core.embedding._REPOSITORY_MODELS", tmp_path)
    app = choose(open_app(model_root, PAGE), "Example")
    assert not app.exception and len(app.error) == 1
