"""What the Frame page sends and keeps: messages of the viewer, diagrams, the selection; pure functions."""

from __future__ import annotations

import doctest
import importlib
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.wcs import WCS
from sky_frames import SIDE, SOURCES, WCS_CARDS, band_bytes, fits_bytes, jpeg_bytes, sky_pixels, with_gaps

from galaxy_core.frame_catalog import FrameConfig
from pages.views import sky_card, sky_colours, sky_figures, sky_selection, sky_work
from pages.views.galaxy_map.payload import unpack
from pages.views.sky_sources import SkyItem, items_of
from pages.views.sky_viewer import payload

MODULES = ("sky_card", "sky_colours", "sky_selection", "sky_send", "sky_sensitivity", "sky_work")


def searched(tmp_path, *files: tuple[str, bytes]):
    paths = []
    for name, data in files:
        (tmp_path / name).write_bytes(data)
        paths.append(tmp_path / name)
    item = SkyItem(str(tmp_path), files[0][0], tuple(paths))
    return sky_work.search_task(item, FrameConfig("sep"), tmp_path).run(lambda done: None)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    return searched(
        folder, ("r.fits", band_bytes("r")), ("g.fits", band_bytes("g", 0.5)), ("i.fits", band_bytes("i", 2.0))
    )


def decoded(message: dict, n_bands: int) -> np.ndarray:
    values = message["before"].view(np.float16).astype(float) * message["gain"]
    return values.reshape(n_bands, message["height"], message["width"]) + np.array(message["offsets"])[:, None, None]


def test_the_picture_is_the_frame_with_the_reddest_band_as_red(work):
    message = unpack(payload.sky_message(work, "stamp", "field.fits", "field"))
    assert message["titles"]["before"] == "i / r / g as red / green / blue" and message["factor"] == 1
    shown = decoded(message, 3)
    for plane, gain in zip(shown, (2.0, 1.0, 0.5), strict=True):
        true = sky_pixels(0, gain)
        np.testing.assert_allclose(plane, true, atol=2e-3 * np.abs(true - 100).max() + 0.02)


def test_the_card_tells_what_an_object_is_blended_with(work):
    row = work.catalog.objects.iloc[0].copy()
    row["blend_size"], row["blend_x"], row["blend_y"] = 1, np.nan, np.nan
    assert "Blend" not in sky_card.main_facts(work, row)
    row["blend_size"], row["blend_x"], row["blend_y"] = 3, 9.25, 4.5
    told = sky_card.main_facts(work, row)["Blend"]
    assert told == "3 objects within one isophote of 1.5 sigma; barycentre 10.25, 5.50 px", "FITS counts from 1"


def test_where_there_are_bands_measures_say_of_which_they_are(work, tmp_path):
    alone = searched(tmp_path, ("r.fits", band_bytes("r")))
    for one, in_band in ((work, " in r"), (alone, "")):
        facts = sky_card.main_facts(one, one.catalog.objects.iloc[0])
        named = {"Magnitude", "Flux", "Signal to noise", "Half-light radius"}
        assert {f"{name}{in_band}" for name in named} <= set(facts) and {"Ellipticity", "Flags"} <= set(facts)
    objects = work.catalog.objects
    size = sky_figures.size_axis(objects, None, "g")
    assert size.title == "half-light radius in g [px]" and (size.values == objects["half_light_radius_g"]).all()
    assert sky_figures.size_axis(objects, 0.2).title == "half-light radius [arcsec]"


def test_objects_lie_where_the_catalogue_has_them(work):
    message = unpack(payload.sky_message(work, "stamp", "field.fits", "field"))
    objects = work.catalog.objects
    assert message["total"] == len(SOURCES) and not message["known"]
    np.testing.assert_allclose(message["obj_x"], objects["x"], atol=1e-3)
    np.testing.assert_allclose(message["obj_b"] / message["obj_a"], 1 - objects["ellipticity"], atol=1e-5)
    assert set(message["obj_code"]) == {sky_colours.STEPS} and message["palette"][-1] == sky_colours.UNKNOWN
    assert len(message["grid"]) >= 4 and message["sky"]["names"] == ["RA", "Dec"]


@pytest.mark.parametrize(
    "cards",
    [{}, {"CRVAL2": 89.999}, {"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRVAL2": 0.0, "CD1_1": -1.7, "CD2_2": 1.1}],
    ids=["plain", "pole", "all the sky"],
)
def test_coordinates_are_read_off_the_grid(work, cards):
    """Also where right ascension ends, or all of them meet."""
    frame = replace(work.frame, wcs=WCS(WCS_CARDS | cards))
    message = unpack(payload.sky_message(replace(work, frame=frame), "stamp", "field.fits", "field"))
    n, places = message["sky"]["n"], np.random.default_rng(0).uniform(0, SIDE[::-1], (300, 2))
    found = np.empty((300, 3))
    for which, place in enumerate(places):
        column, row = place / SIDE[::-1] * (n - 1)
        i, j, u, v = int(column), int(row), column % 1, row % 1
        weights = np.outer([1 - v, v], [1 - u, u])
        for axis, name in enumerate("xyz"):
            corners = message[f"sky_{name}"].reshape(n, n).astype(float)[j : j + 2, i : i + 2]
            found[which, axis] = message["sky"]["middle"][axis] + (corners * weights).sum()
    found /= np.linalg.norm(found, axis=1)[:, None]
    longitude, latitude = np.radians(frame.wcs.all_pix2world(places - 0.5, 0)).T
    true = np.stack([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], 1)
    away = np.degrees(np.linalg.norm(found - true, axis=1))
    assert away.max() < (3e-3 if "CD1_1" in cards else 2e-7)


@pytest.mark.parametrize(
    "seen", [[10, 20, 60, 70], None, ["a", 1, 2, 3], [np.nan] * 4, [9e9, 9e9, 9e9, 9e9], [5, 5, 1, 1]]
)
def test_a_part_of_the_frame_whatever_is_asked(work, seen):
    message = unpack(payload.detail_message(work, "stamp", seen))
    assert message["role"] == "detail" and message["width"] >= 1 and message["height"] >= 1
    part = decoded(message | {k: unpack(payload.sky_message(work, "", "", ""))[k] for k in ("gain", "offsets")}, 3)
    left, top = message["x0"], message["y0"]
    true = sky_pixels(0, 1.0)[top : top + message["height"], left : left + message["width"]]
    np.testing.assert_allclose(part[1], true, atol=2.0)


def test_large_frames_are_reduced_and_zoomed_into(work, monkeypatch):
    monkeypatch.setattr(sky_work, "MAX_VALUES", 3 * 100 * 80)
    picture = sky_work.make_picture(work.frame)
    assert picture.factor == 2 and picture.pixels.shape == (3, 80, 100)
    true = sky_pixels(0, 1.0).reshape(80, 2, 100, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(picture.pixels[1], true, rtol=1e-5)
    strips = sky_work.read_region(work.frame, (0,), (3, 5, 94, 152), 7)
    monkeypatch.setattr(sky_work, "STRIP_PX", 14)
    np.testing.assert_allclose(sky_work.read_region(work.frame, (0,), (3, 5, 94, 152), 7), strips, rtol=1e-5)


def test_pictures_gaps_and_frames_without_coordinates(tmp_path):
    picture = searched(tmp_path, ("photo.jpg", jpeg_bytes()))
    message = unpack(payload.sky_message(picture, "", "photo.jpg", "photo"))
    assert message["kind"] == "display" and not message["flip"] and message["grid"] == [] and message["sky"] is None
    assert np.nanmin(decoded(message, 3)) >= 0 and np.nanmax(decoded(message, 3)) <= 1
    gaps = searched(tmp_path, ("gaps.fits", fits_bytes(with_gaps())))
    shown = decoded(unpack(payload.sky_message(gaps, "", "", "")), 1)
    assert np.isnan(shown[0, :12]).all() and np.isfinite(shown[0, 12:, :-9]).all()


def test_marks_are_bits_of_rows(work):
    rows = np.array([0, 3, 6])
    message = unpack(payload.marks_message(work, 5, 3, True, rows))
    bits = np.unpackbits(message["bits"], bitorder="little")[: len(SOURCES)]
    assert np.flatnonzero(bits).tolist() == rows.tolist() and message["n_selected"] == 3 and message["seen"] == 5
    assert message["opened"]["number"] == work.catalog.objects["number"].iloc[3]
    empty = unpack(payload.marks_message(work, 0, None, False, np.empty(0, np.int64)))
    assert empty["opened"] is None and len(empty["bits"]) == 0


def test_a_diagram_carries_rows_and_shows_the_selection(work):
    objects = work.catalog.objects.assign(p_galaxy=[0.1, np.nan, 0.9, np.nan, 0.5, np.nan, np.nan])
    axes = sky_figures.magnitude_axis(objects), sky_figures.size_axis(objects, 0.36)
    figure = sky_figures.diagram(objects, *axes, "Size", np.array([2, 4]), 5, log_y=True)
    rows = [sorted(int(row) for row in trace.customdata) for trace in figure.data]
    assert rows == [[1, 3, 5, 6], [0, 2, 4], [2, 4], [5]]
    assert figure.data[1].marker.colorbar.title.side == "bottom", "above the bar are plotly's buttons"
    assert "arcsec" in figure.layout.yaxis.title.text and figure.layout.xaxis.range[0] > figure.layout.xaxis.range[1]
    json.loads(figure.to_json())


def test_colours_and_magnitudes_without_a_zero_point(work):
    objects = work.catalog.objects
    colour = sky_figures.colour_axis(objects, "g", "r")
    np.testing.assert_allclose(colour.values, -2.5 * np.log10(objects["flux_g"] / objects["flux_r"]), atol=1e-9)
    assert colour.title == "g − r [mag]" and np.median(colour.values) == pytest.approx(2.5 * np.log10(2), abs=0.02)
    plain = objects.assign(magnitude=np.nan)
    assert "instrumental" in sky_figures.magnitude_axis(plain).title
    nothing = sky_figures.magnitude_axis(plain.assign(flux=-1.0))
    assert np.isnan(nothing.values).all()
    figure = sky_figures.diagram(plain, nothing, sky_figures.size_axis(plain, None), "", np.empty(0, int), 0)
    assert len(figure.data) == 0


def test_the_selection_is_of_one_search_and_the_open_object_follows(monkeypatch):
    state: dict = {}
    monkeypatch.setattr(sky_selection.st, "session_state", state)
    objects = pd.DataFrame({"x": [10.0, 50.0], "y": [10.0, 50.0]})
    before = sky_selection.outline_number("sizes")
    sky_selection.select("a", [1, 0, 1], "colours")
    assert sky_selection.selected_rows("a").tolist() == [0, 1] and sky_selection.selected_rows("b").tolist() == []
    assert sky_selection.outline_number("sizes") != before, "an outline drawn there is gone"
    sky_selection.select_in_diagram("a", [], "sizes")
    assert sky_selection.selected_rows("a").tolist() == [0, 1], "a diagram drawn anew has an empty outline"
    sky_selection.select_in_diagram("a", [], "colours")
    assert sky_selection.selected_rows("a").tolist() == []
    sky_selection.select("a", [1], "colours")
    sky_selection.open_object("a", objects, 1)
    assert sky_selection.opened_row("a", objects) == 1
    assert sky_selection.opened_row("b", objects.iloc[::-1].reset_index(drop=True)) == 0
    assert sky_selection.opened_row("b", objects + 5) is None
    assert sky_selection.opened_row("b", objects.iloc[:0]) is None
    sky_selection.forget_other_frame("another")
    assert sky_selection.opened_row("a", objects) is None and sky_selection.selected_rows("a").tolist() == []


def test_items_of_files(tmp_path):
    files = [("1", tmp_path / "g.fits"), ("2", tmp_path / "r.fits")]
    assert [item.name for item in items_of(files, False)] == ["g.fits", "r.fits"]
    (together,) = items_of(files, True, " 2 ")
    assert together.paths == (tmp_path / "g.fits", tmp_path / "r.fits") and together.hdu == 2
    assert items_of(files[:1], False, "SCI")[0].hdu == "SCI" and items_of(files[:1], False)[0].hdu is None


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    assert doctest.testmod(importlib.import_module(f"pages.views.{name}")).failed == 0
