"""The frame to try things on: what its files say, what is in it, and that it is the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.images import read_image
from galaxy_core.simulator import example_frame
from galaxy_core.simulator.example_frame import example_bands, large_galaxies, write_example_frame
from galaxy_core.simulator.parameters import draw_parameters
from galaxy_core.simulator.star_galaxy import sky_noise
from galaxy_core.simulator.star_galaxy_frame import simulate_frame
from pages.views import sky_sources, sky_work
from tests.test_frame_page import finished


@pytest.fixture
def small(monkeypatch):
    """A field of 220 pixels with six small objects and two large galaxies."""
    for name, value in {"SIDE_PX": 220, "N_FAINT": 6, "N_LARGE": 2}.items():
        monkeypatch.setattr(example_frame, name, value)


def test_bands_are_frames_with_place_and_brightness(tmp_path, small):
    paths = write_example_frame(tmp_path / "field")
    assert [path.name for path in paths] == [f"simulated_field_{band}.fits" for band in "gri"]
    assert sorted((tmp_path / "field").iterdir()) == sorted(paths)
    with open_sky_frame(paths) as frame:
        assert frame.shape == (220, 220) and [band.name for band in frame.bands] == ["g", "r", "i"]
        assert [band.zero_point_mag for band in frame.bands] == [22.5] * 3
        middle = frame.wcs.pixel_to_world(109.5, 109.5)
        assert (middle.ra.deg, middle.dec.deg) == pytest.approx((150.0, 2.2))
        assert frame.wcs.pixel_to_world(0, 109.5).ra.deg > 150  # east is left
    assert np.array_equal(read_image(paths[1]).pixels[0], example_bands()[2])


def test_large_galaxies_stand_among_small_objects_under_one_noise(small):
    bands, faint = example_bands(), simulate_frame(6, 220, example_frame.SEED, example_frame.SEEING_ARCSEC).bands
    assert bands.dtype == np.float32 and np.array_equal(bands[[0, 4]], faint[[0, 4]])
    added = (bands - faint)[1:4].sum((1, 2))
    wanted = sum(draw_parameters(example_frame.SEED, index).flux_r_nmgy for index in large_galaxies())
    assert added[1] == pytest.approx(wanted, rel=0.4)  # what lies beyond the edge or the stamp is lost
    assert added[0] < added[1] < added[2]  # galaxies are red
    assert 1.4826 * np.median(np.abs(bands[2, :40])) == pytest.approx(sky_noise()[2], rel=0.25)


def test_only_galaxies_whose_shape_a_survey_sees_are_large():
    sizes = [draw_parameters(example_frame.SEED, index).r90_arcsec for index in large_galaxies()]
    assert len(sizes) == example_frame.N_LARGE and min(sizes) > 9


def test_the_page_searches_it(open_app, tmp_path, small, monkeypatch):
    monkeypatch.setattr(sky_work, "method_of", lambda root: "sep")
    sky_sources._example.clear()
    app = open_app(tmp_path, "pages/6_Frame.py")
    app = finished(next(button for button in app.button if "See an example" in button.label).click().run())
    said = " ".join(one.value for one in app.caption)
    counts = {metric.label: metric.value for metric in app.metric}
    sky_sources._example.clear()
    assert not app.error and 4 <= int(counts["Objects"]) <= 12
    assert "380 stars and galaxies" in said and "14 galaxies large enough" in said


def test_its_description_is_of_what_it_holds():
    assert f"{example_frame.N_FAINT} stars and galaxies" in sky_sources.EXAMPLE_WORDS
    assert f"{example_frame.N_LARGE} galaxies large enough" in sky_sources.EXAMPLE_WORDS
