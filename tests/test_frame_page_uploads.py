"""What the page of frames is given: weights, zero points, odd files, and no room for them."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from frame_page import PAGE, metrics, said, upload
from sky_frames import (
    CALIBRATION,
    SIDE,
    SOURCES,
    WCS_CARDS,
    band_bytes,
    fits_bytes,
    sky_pixels,
    with_gaps,
)
from under_way import finished

from pages.views import sky_sources, sky_work


@pytest.fixture(autouse=True)
def no_segmenter(monkeypatch):
    """Objects are looked for in SExtractor's way."""
    monkeypatch.setattr(sky_work, "method_of", lambda root: "sep")


def test_zero_points_and_saturation_are_given_where_headers_have_none(open_app, tmp_path):
    app = upload(open_app(tmp_path, PAGE), ("field.fits", fits_bytes(sky_pixels())))
    before = int(metrics(app)["Flagged"])
    next(one for one in app.number_input if one.key.startswith("sky-saturated-")).set_value(500.0)
    zero_points = next(one for one in app.text_input if one.key.startswith("sky-zero-points-"))
    zero_points.set_value("25.0")
    charts = "".join(chart.proto.spec for chart in finished(app.run()).get("plotly_chart"))
    assert "[mag]" in charts and not app.error and int(metrics(app)["Flagged"]) > before
    next(one for one in app.text_input if one.key.startswith("sky-zero-points-")).set_value("25,0 x")
    assert "no list of zero points" in finished(app.run()).error[0].value


def test_weight_maps_are_given_by_file_or_by_extension(open_app, tmp_path):
    """The frame has a loud stripe and rows that were never measured, of which only the map knows."""
    noise = np.full(SIDE, 2.0, dtype=np.float32)
    noise[:, 100:110], noise[90:92] = 20.0, np.nan
    loud = np.random.default_rng(5).normal(0, 1, SIDE) * np.nan_to_num(noise - 2, nan=400.0)
    pixels = (sky_pixels() + loud).astype(np.float32)
    files = ("field.fits", fits_bytes(pixels, FILTER="r")), ("field_rms.fits", fits_bytes(noise))
    app = upload(open_app(tmp_path, PAGE), *files)
    (kind,) = (one for one in app.selectbox if one.label == "They hold")
    assert kind.value == "rms" and not [one for one in app.toggle if one.key == "sky-together"]
    assert "taken from field_rms.fits, which holds standard deviations" in said(app).replace("\\", "")
    n_with = int(metrics(app)["Objects"])
    assert n_with <= len(SOURCES) + 1
    kind.set_value("weight")
    assert "field_rms.fits, which holds weights" in said(finished(app.run())).replace("\\", "")
    both = io.BytesIO()
    bad = fits.ImageHDU(np.where(noise < 10, 4, 16).astype(np.int16), name="DQ")
    extensions = [fits.ImageHDU(noise**2, name="VARIANCE"), fits.ImageHDU(np.ones((9, 9), np.uint8), name="THUMB"), bad]
    fits.HDUList([fits.PrimaryHDU(pixels), *extensions]).writeto(both)
    app = upload(app, ("both.fits", both.getvalue()))
    (chosen,) = app.multiselect
    assert chosen.options == ["extension VARIANCE", "extension DQ"] and chosen.value == [], (
        "nothing is taken unasked from the file"
    )
    n_without = int(metrics(app)["Objects"])
    chosen.set_value(["VARIANCE"])
    app = finished(app.run())
    assert int(metrics(app)["Objects"]) == n_with < n_without
    assert "taken from extension VARIANCE of both.fits, which holds variances" in said(app).replace("\\", "")
    app.multiselect[0].set_value(["DQ"])
    finished(app.run())
    next(one for one in app.text_input if one.label == "Bad bits").set_value("16")
    app = finished(app.run())
    assert int(metrics(app)["Objects"]) < n_without and "any of the bits 16 in extension DQ" in said(app)
    app.multiselect[0].set_value(["DQ", "VARIANCE"])
    app = finished(app.run())
    for told in ("any of the bits 16 in extension DQ", "taken from extension VARIANCE of both.fits"):
        assert told in said(app).replace("\\", ""), "a map of the noise and a mask hold together"
    mask = ("g.mask.fits", fits_bytes((noise > 10).astype(np.uint8)))
    bands = ("field.fits", files[0][1]), ("g.fits", fits_bytes(pixels, FILTER="g"))
    app = upload(app, *bands, files[1], mask)
    for told in ("any bit in g.mask.fits", "taken from field_rms.fits"):
        assert told in said(app).replace("\\", ""), "bands may have maps of either kind"
    app = upload(app, ("both.fits", both.getvalue()))
    app.text_input(key="sky-hdu").set_value("0")
    finished(app.run()).multiselect[0].set_value(["DQ"])
    finished(app.run())
    next(one for one in app.text_input if one.label == "Bad bits").set_value("16")
    finished(app.run()).switch_page("pages/5_Models.py").run()
    app = finished(app.switch_page(PAGE).run())
    assert [one.value for one in app.text_input][:2] == ["0", "16"], "another page was visited"
    assert "any of the bits 16 in extension DQ" in said(app)


def test_an_upload_that_finds_no_room_is_one_sentence_and_leaves_nothing(open_app, tmp_path, monkeypatch):
    kept, opened = tmp_path / "kept", Path.open

    def full(path, *arguments, **options):
        file = opened(path, *arguments, **options)
        if path.suffix == ".part":
            file.close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return file

    monkeypatch.setattr(sky_sources, "spool", lambda: kept)
    monkeypatch.setattr(Path, "open", full)
    app = upload(open_app(tmp_path, PAGE), ("field.fits", fits_bytes(sky_pixels())))
    assert "No space left on device" in app.error[0].value
    assert not [path for path in kept.rglob("*") if path.is_file()]


FLAT = np.full(SIDE, 100.0, dtype=np.float32)
ODD = {
    "no sources": (fits_bytes(sky_pixels(sources=())), True),
    "all saturated": (fits_bytes(np.full(SIDE, 65535, dtype=np.uint16), SATURATE=60000), False),
    "borders without a measurement": (fits_bytes(with_gaps()), True),
    "no coordinates": (fits_bytes(sky_pixels()), True),
    "broken coordinates": (fits_bytes(sky_pixels(), **(WCS_CARDS | {"CD1_1": 0.0})), True),
    "whole counts": (fits_bytes(np.rint(sky_pixels()).astype(np.int16), **WCS_CARDS), True),
    "sky below zero": (fits_bytes(sky_pixels() - 500, **WCS_CARDS, **CALIBRATION), True),
    "nothing finite": (fits_bytes(np.full(SIDE, np.nan, dtype=np.float32)), False),
    "one value": (fits_bytes(FLAT), False),
    "one pixel": (fits_bytes(np.ones((1, 1), dtype=np.float32)), False),
    "one row": (fits_bytes(sky_pixels()[:1]), None),
    "a table": (b"a,b\n1,2\n", False),
    "nothing": (b"", False),
    "cut short": (band_bytes()[:9000], False),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_uploads_give_a_result_or_one_sentence(open_app, tmp_path, name):
    data, usable = ODD[name]
    app = upload(open_app(tmp_path, PAGE), ("odd.fits", data))
    assert len(app.error) + ("Objects" in metrics(app)) == 1
    if usable is not None:
        assert ("Objects" in metrics(app)) == usable
    if app.error:
        assert app.error[0].value.endswith(".") and "\n" not in app.error[0].value
    if name == "no sources" and metrics(app)["Objects"] == "0":
        assert "No object passes the threshold" in said(app)


def test_bands_of_different_shape_are_one_sentence(open_app, tmp_path):
    files = ("g.fits", band_bytes("g")), ("r.fits", fits_bytes(sky_pixels()[:-3]))
    app = upload(open_app(tmp_path, PAGE), *files)
    assert "same pixels" in app.error[0].value and not app.metric
