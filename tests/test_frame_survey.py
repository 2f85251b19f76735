"""What is known of a frame before it is searched: its limits, what was never observed, and noise that varies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sky_scenes import PLACES, SKY, gaussian, header, scene, write
from test_frame_catalog import SEP, catalogue, nearest

from galaxy_core import frame_catalog
from galaxy_core.frame_bands import Band, open_sky_frame
from galaxy_core.frame_catalog import catalogue_frame
from galaxy_core.frame_light import Window, read_light
from galaxy_core.frame_measures import SATURATED
from galaxy_core.frame_survey import survey_frame
from galaxy_core.images import AstroImage
from galaxy_core.simulator.light import make_frame, sersic


def test_the_highest_value_that_the_header_states_is_no_limit(tmp_path):
    """DATAMAX is that of the file; four pixels at it are a limit, and so is one below the highest pixel."""
    pixels = scene()
    highest = float(pixels.max())
    catalog = catalogue(write(tmp_path / "a.fits", pixels, header(DATAMAX=highest)))
    assert not (catalog.objects["flags"] & SATURATED).any()
    pixels[28:30, 39:41] = highest
    catalog = catalogue(write(tmp_path / "a.fits", pixels, header(DATAMAX=highest)))
    assert nearest(catalog, *PLACES[0])[0]["flags"] & SATURATED
    catalog = catalogue(write(tmp_path / "a.fits", scene(), header(DATAMAX=highest - 50)))
    assert nearest(catalog, *PLACES[0])[0]["flags"] & SATURATED


def test_a_level_that_is_given_stands_for_what_the_header_and_the_pixels_say(tmp_path):
    """As where a flat field has spread the tops of stars, and no card says where they end."""
    path = write(tmp_path / "a.fits", scene(), header(SATURATE=1e4))
    with open_sky_frame([path], saturated_from=float(scene().max()) - 50) as frame:
        catalog = catalogue_frame(frame, SEP)
    flagged = catalog.objects["flags"].to_numpy() & SATURATED > 0
    assert flagged.sum() == 1 and flagged[catalog.objects["flux"].argmax()]


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_the_border_of_a_registered_stack_is_no_sky(tmp_path, kind):
    pixels = np.zeros((300, 320), dtype=kind)
    pixels[70:230, 80:230] = scene()
    with open_sky_frame([write(tmp_path / "a.fits", pixels)]) as frame:
        assert frame.bands[0].survey.blank == 0
    catalog = catalogue(tmp_path / "a.fits")
    assert len(catalog.objects) == 4 and 1 < catalog.threshold < 1.5
    low = np.random.default_rng(0).normal(20, 3, pixels.shape).astype(kind)  # a sky of 6.7 times its noise
    low[:, 200:] = 0
    assert survey_frame(lambda top, bottom: low[top:bottom].astype(np.float32), low.shape).blank == 0


@pytest.mark.parametrize(("mean", "step"), [(0.02, 1), (0.05, 100), (0.5, 1), (4.0, 100)])
def test_a_sky_of_single_photons_is_all_observed(mean, step):
    photons = step * np.random.default_rng(0).poisson(gaussian((300, 320), 100, 100, 3_000, 3.0) + mean)
    assert np.isnan(survey_frame(lambda top, bottom: photons[top:bottom].astype(np.float32), photons.shape).blank)


@pytest.mark.parametrize("side", [180, 300])  # of one level, and with a mesh
@pytest.mark.parametrize("mean", [5, 50])
def test_the_skew_of_photons_is_not_taken_for_light_of_sources(mean, side):
    """SExtractor's estimate lies 0.42 counts low, which in 100 pixels of a sky of 5 is 1.9 times the noise."""
    photons = np.random.default_rng(0).poisson(mean, (side, side)).astype(np.float32)
    survey = survey_frame(lambda top, bottom: photons[top:bottom], photons.shape, sloping=True)
    assert np.mean(survey.sky(0, side)) == pytest.approx(mean, abs=0.12)
    rounded = np.rint(np.random.default_rng(0).normal(mean + 20, mean**0.5, (side, side))).astype(np.float32)
    survey = survey_frame(lambda top, bottom: rounded[top:bottom], rounded.shape)
    assert np.mean(survey.sky(0, side)) == pytest.approx(mean + 20, abs=0.12)


@pytest.mark.parametrize("sky", [0.0, 100.0])
def test_frames_without_noise_are_told_so(tmp_path, sky):
    y, x = np.mgrid[:200, :200]
    light = sum(500 * np.exp(-np.hypot(x - x0, y - y0) / 4) for x0, y0 in PLACES)
    noises = {"a": 0.0, "b": 1e-4}
    for name, noise in noises.items():
        pixels = sky + light + noise * np.random.default_rng(0).standard_normal(light.shape)
        with open_sky_frame([write(tmp_path / f"{name}.fits", pixels.astype(np.float32))]) as frame:
            assert any("shows no noise, as a simulation" in note for note in frame.notes) == (noise == 0)


def test_a_sloping_sky_is_followed_into_the_corners():
    """Such a slope made 118 of 3 false detections: the sky was 1.6 sigma off where its cells end."""
    across = 0.02 * (np.arange(500) + 0.6 * np.arange(500)[:, None])
    pixels = (across + np.random.default_rng(0).normal(0, 1, across.shape)).astype(np.float32)
    survey = survey_frame(lambda top, bottom: pixels[top:bottom], pixels.shape)
    assert np.abs(survey.sky(0, 500) - across).max() < 0.3
    pixels[200:264, :64] += 50  # a cell full of a galaxy
    survey = survey_frame(lambda top, bottom: pixels[top:bottom], pixels.shape)
    assert np.abs(survey.sky(0, 500) - across).max() < 2


def test_the_sky_of_a_small_frame_may_slope_and_its_galaxy_stays(tmp_path):
    """With one level, 21 false objects were found beside the four."""
    y, x = np.indices((160, 150))
    tilt = 0.1 * (x - 0.6 * y)  # of a noise of 10
    path = write(tmp_path / "a.fits", (scene() + tilt).astype(np.float32))
    catalog = catalogue(path)
    assert len(catalog.objects) == len(PLACES)
    with open_sky_frame([path]) as frame:
        assert np.abs(frame.bands[0].survey.sky(0, 160) - SKY - tilt).max() < 2
    galaxy = sersic(make_frame(200, 1.0), 45.0, 1.0, 0.7, 30, 40, -25)
    pixels = (60 * galaxy / galaxy.max() + np.random.default_rng(0).normal(0, 1, galaxy.shape)).astype(np.float32)
    assert np.ptp(survey_frame(lambda top, bottom: pixels[top:bottom], pixels.shape, sloping=True).sky(0, 200)) == 0


@pytest.mark.parametrize("side", [200, 400])
def test_whole_numbers_have_the_sky_and_the_noise_of_what_was_rounded(side):
    """Medians of counts are counts: the sky was off by 0.7 of this noise, and the noise map by a factor of 2."""
    counts = np.rint(np.random.default_rng(0).normal(100.4, 1.5, (side, side))).astype(np.float32)
    with open_sky_frame([AstroImage(counts[None], True, None, "FITS", "a.fits", 16)]) as frame:
        light = read_light(frame.bands[0], Window(0, side, 0, side))
    assert np.abs(frame.bands[0].survey.sky(0, side) - 100.4).max() < 0.3
    assert light.noise.min() > 1.35 and light.noise.max() < 1.65


def test_a_quiet_middle_does_not_flood_the_rest():
    """The threshold is set on the middle of the frame, and holds for all of it."""
    pixels = np.random.default_rng(0).normal(0, 1, (800, 800)).astype(np.float32)
    pixels[200:600, 200:600] /= 2
    with open_sky_frame([AstroImage(pixels[None], True, None, "FITS", "a.fits", 32)]) as frame:
        catalog = catalogue_frame(frame, replace(SEP, false_per_megapixel=20.0))
    assert len(catalog.objects) < 60


@pytest.mark.parametrize(("loud_from", "loudness"), [(130, 3.0), (380, 2.0)])
def test_small_frames_of_unlike_noise_have_that_of_each_place_and_not_of_the_mixture(loud_from, loudness):
    true = np.ones((512, 512), np.float32)
    true[:, loud_from:] = loudness
    pixels = SKY + true * np.random.default_rng(0).normal(0, 1, true.shape).astype(np.float32)
    band = Band("r", lambda top, bottom: pixels[top:bottom], survey_frame(lambda a, b: pixels[a:b], pixels.shape))
    noise = read_light(band, Window(0, 512, 0, 512)).noise
    for value in (1.0, loudness):
        assert np.median(noise[true == value]) == pytest.approx(value, rel=0.04)


def test_tiles_of_unlike_noise_have_errors_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_catalog, "TILE_PX", 300)
    monkeypatch.setattr(frame_catalog, "MARGIN_PX", 20)
    places = np.arange(20, 600, 40)
    pixels = np.random.default_rng(0).normal(0, 1, (300, 600))
    pixels[:, 300:] *= 3
    pixels += sum(gaussian(pixels.shape, x, y, 3_000, 1.5) for x in places for y in (100, 200))
    objects = catalogue(write(tmp_path / "a.fits", pixels.astype(np.float32))).objects
    loud = objects["x"] > 330
    quiet = objects["x"] < 270
    assert objects["flux_err"][loud].median() / objects["flux_err"][quiet].median() == pytest.approx(3, rel=0.15)
