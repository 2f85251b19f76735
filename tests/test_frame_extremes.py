"""Frames at the edge: empty, tiny, of whole numbers, of one value, unlike one another; a result or one sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sky_scenes import FLUXES, PLACES, SEP, SIGMA, SKY, catalogue, header, nearest, scene, write

from galaxy_core.errors import ImageError, ModelError
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig


def test_empty_sky_has_no_objects_and_says_so(tmp_path):
    pixels = np.random.default_rng(0).normal(SKY, SIGMA, (120, 120)).astype(np.float32)
    catalog = catalogue(write(tmp_path / "a.fits", pixels), config=replace(SEP, false_per_megapixel=0.1))
    assert len(catalog.objects) == 0 and not catalog.segmentation.any()
    assert "No object passes the threshold." in catalog.notes
    assert {"x", "flux", "p_galaxy", "flags"} <= set(catalog.objects.columns)


@pytest.mark.parametrize("kind", ["one value", "saturated", "no finite pixel"])
def test_frames_with_nothing_to_measure_are_refused_in_a_sentence(tmp_path, kind):
    value = {"one value": 7.0, "saturated": 65535.0, "no finite pixel": np.nan}[kind]
    path = write(tmp_path / "a.fits", np.full((60, 60), value, dtype=np.float32))
    with pytest.raises(ImageError, match=r"a\.fits has no (noise|finite pixel).*\.$"):
        catalogue(path)
    other = write(tmp_path / "b.fits", np.random.default_rng(0).normal(0, 1, (60, 60)).astype(np.float32))
    with open_sky_frame([path, other], zero_points=[24.0, 25.0]) as frame:
        assert [(band.name, band.zero_point_mag) for band in frame.bands] == [("b", 25.0)]
        assert frame.notes[-1].startswith("The band a of a.fits shows no noise of the sky")


@pytest.mark.parametrize("shape", [(1, 200), (2, 200), (200, 2)])
def test_frames_of_a_row_or_two_are_told_that(tmp_path, shape):
    path = write(tmp_path / "a.fits", np.random.default_rng(0).normal(SKY, SIGMA, shape).astype(np.float32))
    with pytest.raises(ImageError, match=rf"{shape[1]} x {shape[0]} pixels; a frame to be searched takes 3 rows"):
        catalogue(path)
    assert len(catalogue(write(tmp_path / "b.fits", scene()[58:61, :])).segmentation) == 3


def test_borders_without_pixels_are_passed_over(tmp_path):
    pixels = np.full((300, 320), np.nan, dtype=np.float32)
    pixels[70:230, 80:230] = scene()
    catalog = catalogue(write(tmp_path / "a.fits", pixels))
    assert len(catalog.objects) == 4
    assert nearest(catalog, PLACES[0][0] + 80, PLACES[0][1] + 70)[1] < 0.4


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32])
def test_whole_counts_are_as_good_as_floats(tmp_path, kind):
    catalog = catalogue(write(tmp_path / "a.fits", np.rint(scene()).astype(kind)))
    assert len(catalog.objects) == 4


def test_a_sky_below_zero_is_a_sky(tmp_path):
    catalog = catalogue(write(tmp_path / "a.fits", scene(sky=-500.0)))
    assert len(catalog.objects) == 4
    assert nearest(catalog, *PLACES[0])[0]["flux"] == pytest.approx(FLUXES[0], rel=0.08)


def test_bands_of_unlike_shape_or_place_are_refused(tmp_path):
    one = write(tmp_path / "a.fits", scene(), header())
    other = write(tmp_path / "b.fits", scene()[:100], header())
    with pytest.raises(ImageError, match=r"150 x 100 pixels and a\.fits 150 x 160"):
        catalogue(one, other)
    moved = write(tmp_path / "c.fits", scene(), header(CRVAL1=150.01))
    with pytest.raises(ImageError, match="align the bands first"):
        catalogue(one, moved)


def test_a_colour_picture_is_searched_and_marked_as_uncalibrated(tmp_path):
    light = np.clip((scene() - SKY) / 600 + 0.1, 0, 1)
    Image.fromarray(np.rint(255 * np.stack([light] * 3, -1)).astype(np.uint8)).save(tmp_path / "a.jpg", quality=98)
    catalog = catalogue(tmp_path / "a.jpg")
    assert not catalog.calibrated and any("not calibrated" in note for note in catalog.notes)
    assert catalog.band_names == ("red", "green", "blue")
    for place in PLACES[:3]:
        assert nearest(catalog, *place)[1] < 1
    assert catalog.objects["magnitude"].isna().all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 2), (9, 9)])
def test_tiny_frames_give_a_result_or_a_sentence(tmp_path, shape):
    pixels = np.random.default_rng(0).normal(SKY, SIGMA, shape).astype(np.float32)
    try:
        catalog = catalogue(write(tmp_path / "a.fits", pixels))
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        assert catalog.segmentation.shape == shape


def test_methods_that_do_not_exist_are_refused(tmp_path):
    path = write(tmp_path / "a.fits", scene())
    with pytest.raises(ModelError, match="choose one of segmenter, sep"):
        catalogue(path, config=FrameConfig("magic"))
    with pytest.raises(ModelError, match="needs a trained segmenter"):
        catalogue(path, config=FrameConfig("segmenter"))
    with pytest.raises(ModelError, match="above 0"):
        catalogue(path, config=FrameConfig("sep", false_per_megapixel=0))
