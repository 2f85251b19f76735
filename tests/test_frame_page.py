"""The Frame page: its search, card, selection, downloads, and a frame that becomes a catalog."""

from __future__ import annotations

import io
import re
import shutil
import time
from shlex import quote

import numpy as np
import pytest
from astropy.io import fits
from frame_page import PAGE, last_work, metrics, open_at, said, texts, upload
from sky_frames import (
    SIDE,
    SOURCES,
    band_bytes,
    fits_bytes,
    jpeg_bytes,
    sky_pixels,
)
from under_way import finished

from galaxy_core.catalogs import read_catalog
from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.work_tasks import RUNNING, Standing
from pages.views import denoise_files, sky_panels, sky_send, sky_sources, sky_work


@pytest.fixture(autouse=True)
def no_segmenter(monkeypatch, request):
    """Objects are looked for in SExtractor's way, but where a test is about the segmenter."""
    if "segmenter" not in request.node.name:
        monkeypatch.setattr(sky_work, "method_of", lambda root: "sep")


@pytest.fixture
def small_model_root(tmp_path):
    """Artifacts with a small untrained denoiser and no catalog."""
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(tmp_path / "models" / "contrastive_denoiser", ContrastiveDenoiser(config))
    return tmp_path


def test_opens_without_anything(open_app, tmp_path):
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error and not app.metric


def test_one_band_is_searched_and_an_object_has_its_card(open_app, small_model_root):
    app = upload(open_app(small_model_root, PAGE), ("field.fits", band_bytes()))
    assert not app.error
    assert int(metrics(app)["Objects"]) == len(SOURCES) and metrics(app)["Stars / galaxies"] == "not known"
    assert "Stars and galaxies are not told apart" in said(app) and "Colours need two bands" in said(app)
    assert "Click an object" in said(app) and "No trained segmenter is here" in said(app)
    assert app.number_input(key="sky-send-snr").label == "Signal to noise of at least"
    charts = "".join(chart.proto.spec for chart in app.get("plotly_chart"))
    assert '"magnitude [mag]"' in charts and '"half-light radius [arcsec]"' in charts
    app = open_at(app, 40.0, 30.0)
    card = texts(app)
    x, y = map(float, re.search(r"([\d.]+), ([\d.]+) px", card).groups())
    assert (x, y) == pytest.approx((41, 31), abs=0.2) and "x, y, first pixel 1" in card, "of FITS counted from 1"
    assert "187.70" in card and "±" in card and "″" in card
    assert "denoised" in card and "residual" in card and "not told on this frame" in card
    assert "What kind of galaxy it would be" in said(app)
    assert "No catalog is here yet" in said(app)
    app.button(key="sky-close-card").click()
    assert "Click an object" in said(finished(app.run()))


def test_the_sensitivity_changes_what_is_found(open_app, tmp_path):
    faint = ((x, y, 160.0, 1.6, 1.0, 0.0) for x in range(15, 190, 17) for y in range(15, 150, 17))
    app = upload(open_app(tmp_path, PAGE), ("field.fits", fits_bytes(sky_pixels(sources=tuple(faint)))))
    before = int(metrics(app)["Objects"])
    app.select_slider(key="sky-rate").set_value(1000.0)
    app = finished(app.run())
    assert int(metrics(app)["Objects"]) > before
    assert metrics(app)["False, expected"] == "32"


def test_a_search_says_at_once_that_it_gets_ready():
    assert denoise_files.progress_text("a.fits", Standing(RUNNING)).startswith("a.fits: getting ready")
    assert denoise_files.progress_text("a.fits", Standing(RUNNING, 0.02)) == "a.fits: 2 %"


def test_bands_of_one_field_give_colours(open_app, tmp_path):
    bands = [("g.fits", band_bytes("g", 0.6, 1)), ("r.fits", band_bytes("r")), ("i.fits", band_bytes("i", 1.5, 2))]
    app = upload(open_app(tmp_path, PAGE), *bands)
    assert not app.error and int(metrics(app)["Objects"]) == len(SOURCES)
    charts = [chart.proto.spec for chart in app.get("plotly_chart")]
    assert sum("object %{text}" in chart for chart in charts) == 2 and "Two colours" in "".join(charts)
    sizes = next(chart for chart in charts if "Size and magnitude" in chart)
    assert '"g [mag]"' in sizes and '"half-light radius in g [arcsec]"' in sizes, "of the first band, as they say"
    assert "g \\u2212 r [mag]" in "".join(charts) or "g − r [mag]" in "".join(charts)
    app.toggle(key="sky-together").set_value(False)
    app = finished(app.run())
    assert len([button for button in app.button if (button.key or "").startswith("sky-file-")]) == 3
    assert "Colours need two bands" in said(app)


def test_stars_and_galaxies_are_told_where_the_frame_shows_its_seeing(open_app, tmp_path):
    stars = tuple((20.0 + 40 * (i % 5), 25.0 + 35 * (i // 5), 5000.0 + 900 * i, 1.5, 1.0, 0.0) for i in range(10))
    galaxies = ((40.0, 110.0, 30_000.0, 4.0, 0.5, 0.5), (140.0, 115.0, 20_000.0, 3.5, 0.7, 1.0))
    pixels = fits_bytes(sky_pixels(sources=stars + galaxies))
    app = upload(open_app(tmp_path, PAGE), ("field.fits", pixels))
    n_stars, n_galaxies = map(int, metrics(app)["Stars / galaxies"].split(" / "))
    assert n_stars >= 8 and 2 <= n_galaxies <= 4
    assert re.search(r"Seeing \(FWHM\): field 3\.\d\d px of \d+ stars", said(app).replace("\\", ""))
    work = last_work()
    assert "p(galaxy)" in "".join(chart.proto.spec for chart in app.get("plotly_chart"))
    app = open_at(app, 40.0, 110.0)
    assert re.search(r"Probability of a galaxy</dt><dd>(0\.9\d|1\.00)", texts(app)) or "1.00" in texts(app)
    assert "More likely a star" not in said(app)
    app = open_at(app, 20.0, 25.0)
    assert "More likely a star" in said(app) and "What kind of galaxy it would be" not in said(app)
    seeing = next(one for one in app.number_input if one.key.startswith("sky-seeing-"))
    seeing.set_value(9.0)
    app = finished(app.run())
    assert "field 9.00 px as given" in said(app).replace("\\", "")
    again = last_work()
    assert again.catalog.objects["p_galaxy"].mean() < work.catalog.objects["p_galaxy"].mean()
    seeing.set_value(None)
    next(one for one in app.number_input if one.label == "Share of galaxies").set_value(0.02)
    app = finished(app.run())
    fewer = last_work().catalog.objects["p_galaxy"]
    assert fewer.sum() < 0.9 * work.catalog.objects["p_galaxy"].sum()
    next(one for one in app.number_input if one.key.startswith("sky-seeing-")).set_value(9.0)
    assert "as given" in said(finished(app.run()))
    app = upload(app, ("other.fits", fits_bytes(sky_pixels(1, sources=stars + galaxies))))
    assert "as given" not in said(app), "what was typed is of the frame before"
    assert [one.value for one in app.number_input if one.label == "Share of galaxies"] == [None]


def test_a_colour_picture_is_marked_as_uncalibrated(open_app, small_model_root):
    app = upload(open_app(small_model_root, PAGE), ("photo.jpg", jpeg_bytes()))
    assert int(metrics(app)["Objects"]) >= 4 and "not calibrated" in said(app)
    app = open_at(app, 60.0, 110.0)
    assert "of white" in texts(app) and "denoised" in texts(app)


def test_a_segmenter_that_is_damaged_is_named(open_app, tmp_path):
    folder = tmp_path / "models" / "segmenter"
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"no weights")
    app = upload(open_app(tmp_path, PAGE), ("field.fits", band_bytes()))
    assert len(app.error) == 1 and "segmenter" in app.error[0].value and not app.metric
    app.button_group(key="sky-method").set_value("sep")
    assert int(metrics(finished(app.run()))["Objects"]) == len(SOURCES)


def test_nearest_galaxies_where_there_is_a_catalog(open_app, broken_root):
    """The catalog's model is not here, or the catalog is damaged: one sentence, and the card goes on."""
    app = upload(open_app(broken_root, PAGE), ("field.fits", band_bytes()))
    app = open_at(app, 40.0, 30.0)
    app.toggle(key="sky-nearest").set_value(True)
    assert "There is no model 'toy'" in said(finished(app.run()))
    (broken_root / "tiny" / "manifest.json").write_text("{")
    app = finished(app.run())
    assert "Objects" in metrics(app) and "Flux" in texts(app)


def test_frames_in_the_artifacts_folder_can_be_chosen(open_app, tmp_path):
    (tmp_path / "frames").mkdir()
    path = tmp_path / "frames" / "deep field.fits"
    path.write_bytes(band_bytes())
    app = open_app(tmp_path, PAGE)
    app.button_group(key="sky-source").set_value("Frames in the artifacts folder").run()
    app.multiselect(key="sky-files").set_value([path]).run()
    assert int(metrics(finished(app))["Objects"]) == len(SOURCES)


def test_downloads_are_the_commands_files(open_app, tmp_path):
    app = upload(open_app(tmp_path, PAGE), ("field.fits", band_bytes()))
    names = {button.label for button in app.get("download_button")}
    assert names == {*sky_panels.FORM_NAMES.values(), "Segmentation map"}
    work = last_work()
    with fits.open(io.BytesIO(sky_panels.segmentation_bytes(work.catalog))) as hdus:
        assert hdus[0].data.shape == SIDE and hdus[0].header["CRVAL1"] == 187.7
        assert hdus[0].data.max() == len(work.catalog.objects)


def test_galaxies_become_a_catalog_of_their_own(open_app, tmp_path):
    app = upload(open_app(tmp_path, PAGE), ("field.fits", band_bytes()))
    work = last_work()
    fifth = float(np.floor(np.sort(work.catalog.objects["snr"])[-5]))
    app.button(key="sky-send-go").click()
    app = finished(app.run())
    folder = tmp_path / "frames_on_the_map" / "field"
    catalog = read_catalog(f"fits-stamps:{folder}")
    assert len(catalog) == len(SOURCES) and catalog.table["ra_deg"].notna().all()
    assert catalog.pixel_scale_arcsec == pytest.approx(0.36)
    assert f"{quote(f'fits-stamps:{folder}')} --name field --artifacts {quote(str(tmp_path))}" in app.code[0].value
    assert "Make the map" in [button.label for button in app.button]
    # fewer of them into the same folder, and all of them again: what is said to be there is there
    for least, n_left in ((fifth, 5), (10.0, len(SOURCES))):
        app.number_input(key="sky-send-snr").set_value(least)
        app = finished(app.run())
        app.button(key="sky-send-go").click()
        app = finished(app.run())
        assert f"{n_left} stamps are in" in app.success[0].value
        assert len(read_catalog(f"fits-stamps:{folder}")) == n_left
    app.text_input(key="sky-send-name").set_value("../escape")
    assert len(finished(app.run()).error) == 1


def test_command_names_the_default_artifacts_only_where_they_are_others(tmp_path):
    assert "--artifacts" not in sky_send.command(tmp_path, "a", sky_send.PROJECT / "artifacts")


def test_uploads_on_disk_are_bounded(tmp_path):
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a.fits").write_bytes(bytes(100))
        time.sleep(0.01)
    sky_sources.drop_oldest(tmp_path, tmp_path / "3", most_bytes=250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]
    shutil.rmtree(tmp_path / "2")
    sky_sources.drop_oldest(tmp_path, tmp_path / "3", most_bytes=1)
    assert [path.name for path in tmp_path.iterdir()] == ["3"]
