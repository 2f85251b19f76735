"""Detection at physical extremes: a point source, empty sky, a saturated star, gaps, crowding; and pairing."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.detection import Sources, aperture_flux, detect, match
from galaxy_core.errors import ImageError

SIGMA = 3.0
EMPTY = Sources(*np.zeros((6, 0)))


def sky(shape=(200, 200), level=500.0, seed=0):
    return np.random.default_rng(seed).normal(level, SIGMA, shape).astype(np.float32)


def star(shape, x, y, flux, width=1.5):
    """A round Gaussian of total ``flux`` and standard deviation ``width`` pixels."""
    rows, columns = np.indices(shape)
    return flux / (2 * np.pi * width**2) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))


def at(x, y):
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    return Sources(x, y, *np.ones((4, len(x))))


def test_a_point_source_is_where_it_is_with_its_light_size_and_roundness():
    band = sky() + star((200, 200), 120.3, 60.7, 5000.0)
    found = detect(band, SIGMA)
    assert len(found) == 1
    assert found.x[0] == pytest.approx(120.3, abs=0.1) and found.y[0] == pytest.approx(60.7, abs=0.1)
    assert found.flux[0] == pytest.approx(5000, rel=0.05)
    assert found.radius_px[0] == pytest.approx(1.5 * np.sqrt(2 * np.log(2)), rel=0.1)  # half the light of a Gaussian
    assert found.ellipticity[0] < 0.1
    assert found.peak[0] == pytest.approx(5000 / (2 * np.pi * 1.5**2), rel=0.05)


def test_without_photometry_the_rest_is_the_same():
    band = sky() + star((200, 200), 120.3, 60.7, 5000.0)
    full, quick = detect(band, SIGMA), detect(band, SIGMA, photometry=False)
    assert quick.x == full.x and quick.ellipticity == full.ellipticity and quick.peak == full.peak
    assert np.isnan(quick.flux).all() and np.isnan(quick.radius_px).all()


def test_an_elongated_source_is_elongated():
    rows, columns = np.indices((200, 200))
    band = sky() + 200 * np.exp(-((columns - 100) ** 2) / (2 * 6**2) - (rows - 100) ** 2 / (2 * 3**2))
    assert detect(band, SIGMA).ellipticity[0] == pytest.approx(0.5, abs=0.05)


def test_empty_sky_holds_nothing_at_five_sigma_and_something_at_one():
    assert len(detect(sky(), SIGMA)) == 0
    assert len(detect(sky(), SIGMA, threshold=1.0, min_area_px=3)) > 10
    assert len(detect(np.full((64, 64), 7.0), SIGMA)) == 0
    assert len(detect(np.zeros((1, 1)), SIGMA)) == 0


def test_threshold_is_in_units_of_the_noise_given_even_where_it_varies():
    """A source of 8 sigma is found where the noise is as told, and not where the noise told is twice as large."""
    band = np.full((100, 200), 10.0) + star((100, 200), 50, 50, 480) + star((100, 200), 150, 50, 480)  # peaks at 34
    noise = np.where(np.arange(200) < 100, SIGMA, 3 * SIGMA) * np.ones((100, 1))
    assert detect(band, noise, min_area_px=3).x.round().tolist() == [50]
    assert len(detect(band, SIGMA, min_area_px=3)) == 2


def test_a_saturated_star_with_bleeding_is_one_source_of_finite_measures():
    band = sky() + star((200, 200), 100, 100, 5e6, 3.0)
    band = np.minimum(band, 60000)
    band[:, 99:102] = 60000
    found = detect(band, SIGMA, sky=500.0)
    brightest = found.take(np.argmax(found.flux)[None])
    assert abs(brightest.x[0] - 100) < 2 and all(np.isfinite(getattr(found, name)).all() for name in vars(found))


def test_gaps_and_infinities_belong_to_no_source():
    band = sky() + star((200, 200), 60, 60, 5000.0)
    band[:, 140:150] = np.nan
    band[20:25, 20:25] = np.inf
    band[180, 10] = -np.inf
    found = detect(band, SIGMA)
    assert len(found) == 1 and found.x[0] == pytest.approx(60, abs=0.2)
    assert len(detect(np.full((50, 50), np.nan), SIGMA)) == 0
    noise = np.full(band.shape, SIGMA)
    noise[50:70, 50:70] = np.nan
    assert len(detect(band, noise)) == 0


def test_sky_is_subtracted_or_taken_as_given():
    band = sky(level=500) + star((200, 200), 100, 100, 5000.0)
    given = detect(band, SIGMA, sky=500.0)
    assert len(detect(band, SIGMA)) == len(given) == 1
    assert detect(band, SIGMA).flux[0] == pytest.approx(given.flux[0], rel=0.03)
    slope = sky((400, 400)) + np.linspace(0, 100, 400, dtype=np.float32) + star((400, 400), 50, 200, 5000)
    assert len(detect(slope, SIGMA)) == 1


def test_a_matched_filter_finds_what_single_pixels_do_not():
    """Of peak 2 sigma: never five pixels above four sigma, yet its whole light is a signal to noise of about nine."""
    width = 2.5
    band = sky() + star((200, 200), 100, 100, 2 * SIGMA * 2 * np.pi * width**2, width)
    kernel = star((15, 15), 7, 7, 1.0, width)
    assert len(detect(band, SIGMA, threshold=4.0)) == 0
    found = detect(band, SIGMA, threshold=4.0, kernel=kernel)
    assert len(found) == 1 and np.hypot(found.x[0] - 100, found.y[0] - 100) < 1.5


def test_matched_filter_threshold_is_in_sigma_of_the_filtered_noise():
    kernel = star((9, 9), 4, 4, 1.0, 1.5)
    found = detect(sky((400, 400)), SIGMA, threshold=3.0, min_area_px=1, kernel=kernel)
    # filtered noise has a standard deviation of one: 160,000 pixels / about 28 independent ones hold a handful
    assert 1 <= len(found) <= 60


def test_a_crowded_field_at_a_low_threshold_is_searched():
    rng = np.random.default_rng(4)
    band = sky((300, 300))
    for x, y in rng.uniform(5, 295, (900, 2)):
        band[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] += star((9, 9), 4, 4, 2000)[
            : band[int(y) - 4 : int(y) + 5].shape[0], : band[:, int(x) - 4 : int(x) + 5].shape[1]
        ]
    assert len(detect(band, SIGMA, threshold=1.0, sky=500.0)) > 300


def test_bad_input_is_one_sentence():
    with pytest.raises(ImageError, match="rows and columns"):
        detect(np.zeros((3, 10, 10)), 1.0)
    with pytest.raises(ImageError, match="above zero"):
        detect(np.zeros((10, 10)), 0.0)


def test_aperture_flux_is_the_sum_of_a_circle():
    band = np.full((50, 50), 2.0)
    assert aperture_flux(band, np.array([25.0]), np.array([25.0]), 5.0)[0] == pytest.approx(2 * np.pi * 25, rel=1e-4)
    assert len(aperture_flux(band, np.zeros(0), np.zeros(0), 5.0)) == 0


def test_pairs_are_mutually_nearest():
    first, second = at([0, 10, 11, 50], [0, 0, 0, 0]), at([0.5, 10.2, 90], [0, 0, 0])
    one, two = match(first, second)
    assert one.tolist() == [0, 1] and two.tolist() == [0, 1]  # 11 is near 10.2 too, but 10 is nearer
    assert match(first, second, radius_px=0.3)[0].tolist() == [1]


def test_pairs_of_few():
    for first, second in ((EMPTY, EMPTY), (EMPTY, at(1, 1)), (at(1, 1), EMPTY)):
        one, two = match(first, second)
        assert one.dtype == two.dtype == np.int64 and len(one) == len(two) == 0
    assert match(at(1, 1), at(1, 1))[0].tolist() == [0]
