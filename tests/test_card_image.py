"""The picture of the detail card in every stretch, its scale, and what a model saw of it."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from astropy.io import fits
from card_page import go_to, open_card, page_html, pictures, stored, words_of, write_back
from conftest import PROJECT, blob, make_catalog

from galaxy_core import artifacts, originals
from galaxy_core.catalogs import read_catalog, synthetic
from galaxy_core.catalogs.display import load_display
from galaxy_core.denoising import denoise_image
from galaxy_core.images import AstroImage, as_counts, decode_image, encode_png, resize_square
from galaxy_core.stretch import brighten, stretch_display
from pages.views import card_image, model_view, readers, words

MODEL = PROJECT / "artifacts" / "models" / "contrastive_denoiser"


@pytest.fixture
def folder_root(tmp_path):
    """Artifacts whose catalog was made from a folder of pictures that is there, and that folder."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(20):
        (folder / f"tiny-{i:05d}.png").write_bytes(encode_png(blob(i)))
    config = {"images": {"thumbnail_px": 128, "thumbnail_quality": 90}}
    changes = {"layout": "folder", "source": str(folder), "model": MODEL.name, "config": config}
    make_catalog(tmp_path, n=20, pixel_scale_arcsec=0.4, **changes)
    shutil.copytree(tmp_path / "tiny" / "neighbors", tmp_path / "kept")
    (tmp_path / "kept" / "toy.parquet").rename(tmp_path / "tiny" / "neighbors" / f"{MODEL.name}.parquet")
    return tmp_path


# ---------------------------------------------------------------- stretch


def test_stretch_is_drawn_from_the_galaxys_own_image_and_stays_for_the_next(folder_root, monkeypatch):
    opened = []
    monkeypatch.setattr(
        card_image, "open_originals", lambda manifest: opened.append(1) or originals.open_originals(manifest)
    )
    app = open_card(folder_root)
    assert not opened, "a click reads no catalog again"
    app.radio(key="card-stretch").set_value("asinh").run()
    app.select_slider(key="card-contrast").set_value(2.0).run()
    own = decode_image(encode_png(blob(0)), "own").pixels
    np.testing.assert_array_equal(pictures(app)[0], as_counts(stretch_display(own, "asinh", 2.0)))
    go_to(app, 7)
    own = decode_image(encode_png(blob(7)), "own").pixels
    np.testing.assert_array_equal(pictures(app)[0], as_counts(stretch_display(own, "asinh", 2.0)))
    assert len(opened) == 1 and not app.exception, "the catalog is opened once"


def test_contrast_alone_brightens_the_thumbnail(tiny_root):
    app = open_card(tiny_root)
    before = pictures(app)[0] / 255
    app.select_slider(key="card-contrast").set_value(2.8).run()
    np.testing.assert_array_equal(pictures(app)[0], as_counts(brighten(before, 2.8)))


def test_without_its_source_the_card_falls_back_to_the_thumbnail_and_says_so(folder_root):
    shutil.rmtree(folder_root / "pictures")
    app = open_card(folder_root)
    app.radio(key="card-stretch").set_value("lupton").run()
    np.testing.assert_array_equal(pictures(app)[0], as_counts(stretch_display(stored(folder_root, 0), "lupton")))
    assert "does not exist" in words_of(app) and "stored thumbnail of 64 px and 8 bits" in words_of(app)


def test_image_that_changed_since_is_not_shown(folder_root):
    (folder_root / "pictures" / "tiny-00000.png").write_bytes(encode_png(blob(55)))
    app = open_card(folder_root)
    app.radio(key="card-stretch").set_value("linear").run()
    assert "has changed since" in words_of(app)


def test_lupton_of_a_grey_image_says_what_is_shown(folder_root):
    shutil.rmtree(folder_root / "pictures")
    (folder_root / "pictures").mkdir()
    pixels = blob(0)[:1] * 900
    fits.PrimaryHDU(pixels[0]).writeto(folder_root / "pictures" / "tiny-00000.fits")
    shown = load_display(read_catalog(f"folder:{folder_root / 'pictures'}"), 0)
    ids = artifacts.read_table(folder_root, "tiny", "catalog")["galaxy_id"].to_numpy()
    manifest = artifacts.read_manifest(folder_root, "tiny")
    artifacts.write_thumbnails(folder_root, "tiny", ids, [encode_png(shown)] * 20)
    artifacts.write_manifest(folder_root, "tiny", manifest)
    app = open_card(folder_root)
    app.radio(key="card-stretch").set_value("lupton").run()
    assert "this image has 1: shown as asinh" in words_of(app)


def test_scale_bar_where_the_scale_is_known(folder_root, tiny_root):
    bar = re.search(r'class="scale-bar" style="width:([\d.]+)%">(\d+)″', page_html(open_card(folder_root)))
    assert float(bar[1]) / 100 * 64 * 0.4 == pytest.approx(float(bar[2]), rel=1e-3), "64 pixels of 0.4 arcsec"
    assert "scale-bar" not in page_html(open_card(tiny_root))
    write_back(folder_root, "tiny", pixel_scale_arcsec=[0.8] + [np.nan] * 19)
    bar = re.search(r'class="scale-bar" style="width:([\d.]+)%">(\d+)″', page_html(open_card(folder_root)))
    assert float(bar[1]) / 100 * 64 * 0.8 == pytest.approx(float(bar[2]), rel=1e-3), "a galaxy's own scale comes first"


def test_scale_of_a_thumbnail_is_known_where_it_cannot_have_been_shrunk():
    manifest = artifacts.Manifest(name="a", layout="folder", config={"images": {"thumbnail_px": 100}})
    assert originals.thumbnail_scale(manifest, 99) == 1 and originals.thumbnail_scale(manifest, 100) is None
    simulated = artifacts.Manifest(name="a", layout="synthetic")
    assert originals.thumbnail_scale(simulated, 64) == synthetic.SIZE_PX / 64


# ---------------------------------------------------------------- what the model saw


def test_model_view_without_a_model_is_one_sentence_and_stays_on(tiny_root):
    app = open_card(tiny_root)
    app.toggle(key="card-model").set_value(True).run()
    assert "There is no model 'toy'" in words_of(app) and not app.exception and len(pictures(app)) == 1
    go_to(app, 5)
    assert app.toggle(key="card-model").value and "There is no model 'toy'" in words_of(app)


@pytest.mark.skipif(not (MODEL / "weights.safetensors").exists(), reason="the shipped model is not here")
def test_model_view_is_the_input_its_reconstruction_and_their_difference(folder_root):
    from galaxy_core.models import load_model

    app = open_card(folder_root, row=3)
    app.toggle(key="card-model").set_value(True).run()
    assert not app.exception
    _, seen, denoised, residual = pictures(app)
    model = load_model(MODEL)
    side = model.config.embedding_input_px
    exact = resize_square(load_display(read_catalog(f"folder:{folder_root / 'pictures'}"), 3), side)
    want = denoise_image(AstroImage(exact, False, None, "PNG", "x"), model)
    np.testing.assert_array_equal(seen, as_counts(exact))
    assert np.abs(denoised - as_counts(want.denoised).astype(int)).max() <= 1
    limit = 4 * want.noise_sigma
    orange = residual[0] > residual[2]
    mean = want.residual.mean(axis=0)
    assert (mean[orange] > 0).all() and (mean[residual[2] > residual[0]] < 0).all()
    assert f"orange +{words.number(limit * 255)}" in words_of(app)
    shutil.rmtree(folder_root / "pictures")
    readers.st.cache_resource.clear()
    go_to(app, 4)
    assert "made from the stored thumbnail" in words_of(app) and len(pictures(app)) == 4


def test_model_view_without_torch_is_one_sentence(folder_root, monkeypatch):
    def no_torch(*args):
        raise ImportError("No module named 'torch'")

    (folder_root / "models" / MODEL.name).mkdir(parents=True)
    (folder_root / "models" / MODEL.name / "weights.safetensors").write_bytes(b"")
    monkeypatch.setattr(model_view.loaded_models, "load_denoiser", no_torch)
    app = open_card(folder_root)
    app.toggle(key="card-model").set_value(True).run()
    assert "pip install" in words_of(app) and not app.exception
