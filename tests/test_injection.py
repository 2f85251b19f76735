"""Injection: light and places as asked for, noise as measured, depths and intervals re-derived."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from galaxy_core.detection import Sources
from galaxy_core.injection import (
    DEFAULT_FWHM_PX,
    Injected,
    choose_places,
    depth_gain_mag,
    galaxy_profile,
    half_depth,
    inject,
    noise_area_px,
    noise_like,
    point_profile,
    point_width_px,
    recovered,
    source_free,
)


def blank(shape=(200, 200), sigma=2.0, seed=0):
    return np.random.default_rng(seed).normal(0, sigma, shape).astype(np.float32)


def test_profiles_have_unit_flux_and_the_width_asked_for():
    star = point_profile(4.0)
    assert star.sum() == pytest.approx(1, abs=1e-5)
    row = star[24]
    assert row[24] == star.max() and (row > star.max() / 2).sum() == pytest.approx(4, abs=1)
    for index in range(6):
        galaxy = galaxy_profile(0, index, 6.0, 3.0)
        assert galaxy.shape == star.shape and galaxy.sum() == pytest.approx(1, abs=1e-5) and galaxy.min() >= 0
        assert noise_area_px(galaxy) > noise_area_px(point_profile(3.0))


def test_noise_area_of_a_flat_profile_is_its_area():
    assert noise_area_px(np.full((3, 4), 1 / 12)) == pytest.approx(12)
    gaussian = np.exp(-0.5 * ((np.indices((41, 41)) - 20) ** 2).sum(axis=0) / 3**2)
    assert noise_area_px(gaussian / gaussian.sum()) == pytest.approx(4 * np.pi * 3**2, rel=1e-3)


def test_injected_light_is_where_and_what_it_says():
    places = np.array([[60.3, 80.8], [150.0, 40.5]])
    band, injected = inject(np.zeros((200, 200)), 2.0, 3.0, places, np.array([10.0, 20.0]), np.array([True, False]), 1)
    total = band.sum(dtype=np.float64)
    assert total == pytest.approx(injected.flux.sum(), rel=1e-3)
    rows, columns = np.indices(band.shape)
    left = columns < 105
    assert (band * columns)[left].sum() / band[left].sum() == pytest.approx(60.3, abs=0.1)
    assert (band * rows)[left].sum() / band[left].sum() == pytest.approx(80.8, abs=0.1)
    # the definition: flux = S/N * sigma * root of the noise-equivalent area
    assert injected.flux[0] == pytest.approx(10 * 2.0 * np.sqrt(noise_area_px(point_profile(3.0))))


def test_signal_to_noise_is_what_an_ideal_filter_measures():
    """Over many draws of noise the matched filter at the place scatters by one, around the S/N asked for."""
    profile = point_profile(3.0).astype(np.float64)
    band, _ = inject(np.zeros((49, 49)), 2.0, 3.0, np.array([[24.0, 24.0]]), np.array([7.0]), np.array([True]), 0)
    draws = np.random.default_rng(0).normal(0, 2.0, (400, 49, 49)) + band
    measured = (draws * profile).sum(axis=(1, 2)) / (2.0 * np.sqrt((profile**2).sum()))
    assert measured.mean() == pytest.approx(7, abs=0.2) and measured.std() == pytest.approx(1, abs=0.1)


def test_sources_at_the_border_are_cut_and_none_changes_nothing():
    band, _ = inject(np.zeros((30, 30)), 1.0, 3.0, np.array([[0.2, 29.4]]), np.array([9.0]), np.array([True]), 0)
    assert np.isfinite(band).all() and band.sum() > 0
    same, none = inject(blank(), 1.0, 3.0, np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool), 0)
    np.testing.assert_array_equal(same, blank())
    assert len(none.x) == 0 and len(recovered(none, Sources(*np.zeros((6, 0))))) == 0


def test_free_sky_leaves_out_sources_gaps_and_borders():
    band = blank()
    rows, columns = np.indices(band.shape)
    band += 100 * np.exp(-((columns - 120) ** 2 + (rows - 90) ** 2) / 18).astype(np.float32)
    band[:, 30:33] = np.nan
    free = source_free(band, 3.0)
    assert not free[90, 120] and not free[90, 126] and not free[100, 28:35].any()
    assert not free[:12].any() and not free[:, -12:].any() and free[20:, 40:].mean() > 0.5
    places = choose_places(free, 30, 10.0, np.random.default_rng(0))
    assert len(places) == 30
    assert free[np.round(places[:, 1]).astype(int), np.round(places[:, 0]).astype(int)].all()
    apart = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))[~np.eye(30, dtype=bool)]
    assert apart.min() >= 10
    assert choose_places(np.zeros((9, 9), bool), 5, 1.0, np.random.default_rng(0)).shape == (0, 2)


def test_width_of_point_sources_is_measured_and_assumed_where_there_are_none():
    assert point_width_px(blank(), 2.0) == DEFAULT_FWHM_PX
    rng = np.random.default_rng(1)
    places = np.array([(x, y) for x in range(25, 180, 30) for y in range(25, 180, 30)]) + rng.uniform(
        -0.5, 0.5, (36, 2)
    )
    snr = rng.uniform(100, 300, 36)
    band, _ = inject(blank(), 2.0, 4.0, places, snr, np.ones(36, bool), 0)
    assert point_width_px(band, 2.0) == pytest.approx(4.5, abs=1.0)  # a Moffat's half-light diameter is a little more


@pytest.mark.parametrize("width", [0.0, 0.8])
def test_noise_like_has_the_scatter_and_the_correlation_of_the_sky(width):
    band = blank((256, 256))
    if width:
        band = ndimage.gaussian_filter(band, width, mode="wrap")
    made = noise_like(band + 500, np.ones(band.shape, bool), (200, 220), np.random.default_rng(3))
    assert made.shape == (200, 220) and made.std() == pytest.approx(band.std(), rel=0.05)

    def neighbours(values):
        return np.mean(values[:, 1:] * values[:, :-1]) / values.var()

    assert neighbours(made) == pytest.approx(neighbours(band), abs=0.04)
    assert abs(made.mean()) < 0.2


def test_a_source_is_recovered_within_the_radius():
    injected = Injected(*(np.array([10.0, 50.0]) for _ in range(4)), np.array([True, False]))
    found = Sources(np.array([12.0, 90.0]), np.array([11.0, 90.0]), *np.zeros((4, 2)))
    assert recovered(injected, found).tolist() == [True, False]


def test_depth_at_half_completeness_is_found_again():
    rng = np.random.default_rng(5)
    snr = np.exp(rng.uniform(0, 3, 4000))
    found = rng.random(4000) < 1 / (1 + np.exp(-(np.log(snr) - np.log(6.0)) / 0.2))
    assert half_depth(snr, found) == pytest.approx(6.0, rel=0.03)
    deeper = rng.random(4000) < 1 / (1 + np.exp(-(np.log(snr) - np.log(6.0 / 10**0.12)) / 0.2))  # 0.3 mag
    gain, low, high = depth_gain_mag(snr, found, deeper, rng, n_samples=40)
    assert gain == pytest.approx(0.3, abs=0.06) and low < gain < high
    assert depth_gain_mag(snr, found, found, rng, n_samples=5)[0] == 0


def test_depth_is_unknown_where_all_or_none_are_found():
    snr = np.array([2.0, 5.0, 9.0])
    assert np.isnan(half_depth(snr, np.ones(3, bool))) and np.isnan(half_depth(snr, np.zeros(3, bool)))
    few = np.arange(50) % 10 == 0  # a tenth are found at any strength
    assert np.isnan(half_depth(np.geomspace(1, 20, 50), few))
    assert half_depth(np.array([2.0, 8.0]), np.array([False, True])) == pytest.approx(4, rel=0.3)
