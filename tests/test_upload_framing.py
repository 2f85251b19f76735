"""An upload in the frame of a catalog's stamps: cut, stretched and measured as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import blob

from galaxy_core import upload_framing
from galaxy_core.detection import Sources
from galaxy_core.errors import ImageError
from galaxy_core.images import AstroImage
from galaxy_core.stretch import to_display
from galaxy_core.upload_framing import (
    Crop,
    Framing,
    as_seen,
    central_source,
    crop_around,
    cut,
    default_crop,
    displayed_radius,
    find_sources,
    measure_framing,
)


def picture(pixels, linear=False):
    return AstroImage(np.asarray(pixels, dtype=np.float32), linear, None, "PNG", "upload.png")


@pytest.mark.parametrize(
    "pixels", [np.zeros((1, 1, 1)), np.full((3, 9, 9), np.nan), np.full((1, 30, 4), 7.0)], ids=["one", "nan", "grey"]
)
@pytest.mark.parametrize("linear", [False, True])
def test_nothing_to_see_is_one_sentence(pixels, linear):
    with pytest.raises(ImageError, match=r"^The picture has the same brightness everywhere.*\.$"):
        as_seen(picture(pixels, linear), 64)
    assert len(find_sources(picture(pixels, linear))) == 0


def test_seen_as_the_pipeline_sees_it():
    """Grey is repeated, the central part taken, linear frames stretched after they are cut."""
    with pytest.raises(ImageError, match="same brightness everywhere"):  # whatever its colour
        as_seen(picture(np.full((3, 9, 9), 0.1) * np.array([1, 4, 8])[:, None, None]), 9)
    grey = blob(3, 80)[:1]
    seen, shown = as_seen(picture(grey), 40, None, 0.5)
    assert np.array_equal(seen, np.repeat(grey[:, 20:60, 20:60], 3, 0)) and np.array_equal(seen, shown)
    wide = blob(3, 80)[:, 10:71]  # of a frame that is no square its middle
    assert np.array_equal(as_seen(picture(wide), 61)[0], wide[:, :, 9:70])
    assert np.array_equal(as_seen(picture(wide.transpose(0, 2, 1)), 61)[0], wide[:, :, 9:70].transpose(0, 2, 1))
    linear = picture(1000 * grey + 50, True)
    whole, part = as_seen(linear, 40)[0], as_seen(linear, 40, Crop(39.5, 39.5, 40))[0]
    assert whole.max() == pytest.approx(1, abs=0.1) and part.max() == pytest.approx(1, abs=0.1)


def test_a_denoised_frame_is_stretched_like_the_frame_it_was_made_of():
    """By its own noise, which is nearly gone, its sky would be brightened."""
    clean = 1000 * blob(3, 80)[:1]
    noisy = picture(clean + np.random.default_rng(0).normal(0, 60, clean.shape), True)
    denoised, crop = picture(clean, True), Crop(40, 40, 60)
    own, same = as_seen(denoised, 60, crop)[0], as_seen(denoised, 60, crop, reference=noisy)[0]
    assert np.median(np.abs(same - as_seen(noisy, 60, crop)[0])) < np.median(np.abs(own - as_seen(noisy, 60, crop)[0]))
    assert own[0, :5].mean() > same[0, :5].mean()
    noisy.pixels[0, :8, :8] = 1e6  # a star beyond what is cut sets no limits
    assert np.array_equal(as_seen(noisy, 60, crop, reference=noisy)[0], as_seen(noisy, 60, crop)[0])


def test_cutouts_stay_inside_the_frame():
    pixels = np.arange(20 * 30, dtype=np.float32).reshape(1, 20, 30)
    assert np.array_equal(cut(pixels, Crop(0, 0, 8)), pixels[:, :8, :8])
    assert np.array_equal(cut(pixels, Crop(29, 19, 8)), pixels[:, -8:, -8:])
    assert cut(pixels, Crop(15, 10, 500)).shape == (1, 20, 20)
    assert cut(pixels, Crop(15, 10, 1)).item() == pixels[0, 10, 15]
    assert np.array_equal(cut(pixels, Crop(15, 10, 3)), pixels[:, 9:12, 14:17]), "as many before as behind"
    assert np.array_equal(cut(pixels, Crop(15.5, 9.5, 4)), pixels[:, 8:12, 14:18])


def test_a_source_of_a_frame_is_cut_as_the_catalog_cuts():
    """A galaxy pasted into a wide frame: found, and cut to about the size of its own stamp."""
    stamps = [blob(i, 64) for i in range(30)]
    framing = measure_framing(stamps)
    assert framing.n == 30 and framing.low < framing.typical < framing.high
    ratios = [64 / displayed_radius(stamp) for stamp in stamps]
    assert (framing.low, framing.typical, framing.high) == pytest.approx(tuple(np.percentile(ratios, [2.5, 50, 97.5])))
    frame = np.random.default_rng(1).normal(0.03, 0.01, (3, 300, 360)).clip(0, 1)
    frame[:, 30:94, 40:104], frame[:, 130:194, 150:214] = stamps[1], stamps[4]
    upload = picture(frame)
    sources = find_sources(upload)
    assert np.allclose((sources.x[0], sources.y[0]), (181.5, 161.5), atol=2)
    crop, fraction = default_crop(upload, sources, framing)
    assert fraction == 1
    other = int(np.argmin(np.hypot(sources.x - 71.5, sources.y - 61.5)))
    for stamp, found in ((stamps[4], crop), (stamps[1], crop_around(upload, sources, other, framing.typical))):
        assert found.side_px == pytest.approx(framing.typical * displayed_radius(stamp), rel=0.2)
    linear = picture(frame * 900 + 40, True)  # stretched, a galaxy reaches further out
    reach = displayed_radius(to_display(linear.pixels[:, 130:194, 150:214], True))
    assert crop_around(linear, sources, 0, 5.0).side_px == pytest.approx(5 * reach, rel=0.15)
    assert reach > 1.3 * displayed_radius(stamps[4])


def test_sources_are_the_brightest_the_central_one_first_and_in_pixels_of_the_whole_frame(monkeypatch):
    x, y = np.array([13.0, 9, 2, 25, 14]), np.array([9.0, 10, 2, 19, 3])
    flux, radius = np.array([5.0, 9, 7, 6, 1]), np.array([1.0, 3, 1, 1, 1])
    there, given = Sources(x, y, flux, radius, 0 * x, flux), []
    monkeypatch.setattr(upload_framing, "_sources_of", lambda light, linear: given.append(light) or there)
    monkeypatch.setattr(upload_framing, "MAX_SOURCES", 4)
    monkeypatch.setattr(upload_framing, "DETECTION_PX", 1000)  # 61 x 80 pixels are looked at in squares of 3
    pixels = np.random.default_rng(0).random((1, 61, 80))
    found = find_sources(picture(pixels, True))
    squares = pixels[0, :60, :78].reshape(20, 3, 26, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(given[0], squares, rtol=1e-5)
    assert found.x.tolist() == [28, 40, 7, 76] and found.y.tolist() == [31, 28, 7, 58], "the two first cover the middle"
    assert found.flux.tolist() == [81, 45, 63, 54] and found.radius_px.tolist() == [9, 3, 3, 3]
    assert central_source(replace(there, radius_px=0 * x), (20, 26)) == 0, "where none covers it the nearest"


def test_the_galaxy_in_the_middle_is_measured_and_a_sky_that_rises_is_no_source():
    y, x = np.mgrid[:64, :64] - 31.5
    alone = np.repeat(0.8 * np.exp(-(x**2 + y**2) / 72)[None], 3, axis=0)
    for away in (-24, 24):
        companion = 0.8 * np.exp(-((x - away) ** 2 + (y - away) ** 2) / 8)
        assert displayed_radius(alone + companion) == pytest.approx(displayed_radius(alone), rel=0.05)
    frame = np.random.default_rng(0).normal(100, 1, (520, 520)) + np.linspace(0, 60, 520)
    frame[300:364, 90:154] += 200 * alone[0]
    found = find_sources(picture(frame[None], True))
    assert len(found) == 1 and np.allclose((found.x[0], found.y[0]), (121.5, 331.5), atol=1)


def test_stamps_are_taken_whole_and_survey_frames_as_the_catalog_cuts_them():
    stamp = picture(blob(4, 64))
    sources = find_sources(stamp)
    framing = measure_framing([blob(i, 64) for i in range(30)])
    assert default_crop(stamp, sources, framing) == (None, 1.0)
    assert default_crop(stamp, sources, Framing(2.0, 1.9, 2.1, 9))[0] is not None
    assert default_crop(stamp, sources, None) == (None, 1.0)
    survey = picture(np.zeros((3, 424, 424)))
    assert default_crop(survey, find_sources(survey), framing, "gz2") == (None, 256 / 424)
    linear = picture(np.zeros((3, 424, 424)), True)  # not as the survey publishes them
    assert default_crop(linear, find_sources(linear), framing, "gz2") == (None, 1.0)
    ratio = 64 / displayed_radius(stamp.pixels)  # a stamp may show a third more or less sky than any of the catalog's
    for shown, is_whole in ((1.25, True), (1.35, False), (1 / 1.25, True), (1 / 1.35, False)):
        only = Framing(ratio / shown, ratio / shown, ratio / shown, 9)
        assert (default_crop(stamp, sources, only)[0] is None) == is_whole
    wide = picture(np.concatenate([stamp.pixels[..., :12], stamp.pixels, stamp.pixels[..., -12:]], axis=2))
    beside = picture(np.roll(stamp.pixels, 9, axis=2))
    for frame in (wide, beside):  # no stamp, as it is no square or its galaxy is not in the middle
        assert default_crop(frame, find_sources(frame), Framing(ratio, ratio / 2, ratio * 2, 9))[0] is not None
