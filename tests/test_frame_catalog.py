"""From a frame to a catalogue: known objects come back where they are, as bright and as large, whatever the frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from scipy import ndimage
from sky_scenes import FLUXES, PLACES, SEP, SIGMA, SKY, WIDTH_PX, catalogue, gaussian, header, nearest, scene, write

from galaxy_core import frame_catalog, frame_segments
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.frame_measures import BLENDED, EDGE, GAPS, SATURATED
from galaxy_core.frame_table import place_on_sky
from galaxy_core.images import AstroImage

EMMI = Path(__file__).resolve().parents[2] / "shared" / "data" / "frames" / "sep_emmi"


def test_objects_come_back_with_their_place_light_and_size(tmp_path):
    catalog = catalogue(write(tmp_path / "a.fits", scene(), header(MAGZERO=25.0)))
    assert len(catalog.objects) == 4 and catalog.segmentation.max() == 4
    for (x, y), flux in zip(PLACES, FLUXES, strict=True):
        row, distance = nearest(catalog, x, y)
        assert distance < 0.4
        assert row["flux"] == pytest.approx(flux, abs=4 * row["flux_err"] + 0.06 * flux)
        assert row["half_light_radius"] == pytest.approx(1.1774 * WIDTH_PX, rel=0.15)  # of a Gaussian
        assert row["magnitude"] == pytest.approx(25 - 2.5 * np.log10(row["flux"]))
        assert row["snr"] == pytest.approx(row["flux"] / row["flux_err"])
        assert row["magnitude_err"] == pytest.approx(1.0857 / row["snr"], rel=1e-3)
        assert catalog.segmentation[round(y), round(x)] == row["number"]
        assert row["n_pixels"] == (catalog.segmentation == row["number"]).sum()
        assert row["flags"] == 0 and row["ellipticity"] < 0.2
    assert np.isnan(catalog.objects["p_galaxy"]).all()


@pytest.mark.parametrize("width", [0.0, 1.3])
def test_errors_are_the_scatter_of_faint_fluxes_also_where_pixels_share_noise(width):
    """And no aperture shrinks to what noise takes for the middle of a faint source."""
    shape, rng = (350, 350), np.random.default_rng(0)
    noise = rng.normal(0, 1, shape)
    noise = ndimage.gaussian_filter(noise, width) if width else noise
    pixels = 100 + 3 * noise / noise.std()
    places = [(x, y) for x in range(25, 350, 33) for y in range(25, 350, 33)]
    flux = 1500 if width else 500  # about 14 times the noise
    for x, y in places:
        pixels += gaussian(shape, x, y, flux, 2.0)
    with open_sky_frame([AstroImage(pixels[None].astype(np.float32), True, None, "FITS", "a.fits", 32)]) as frame:
        catalog = catalogue_frame(frame, SEP)
    rows = [nearest(catalog, x, y)[0] for x, y in places]
    found, errors = (np.array([row[name] for row in rows]) for name in ("flux", "flux_err"))
    low, middle, high = np.percentile((found - flux) / errors, [16, 50, 84])
    assert 0.8 < (high - low) / 2 < 1.3 and abs(middle) < 0.6
    assert found.min() > 0.7 * flux and 10 < np.median(found / errors) < 20


@pytest.mark.parametrize("unit", [1e-30, 1e25])
def test_light_in_any_unit_has_its_errors(tmp_path, unit):
    """In erg/s/cm2/Hz the square of the noise is too small for a float of 32 bits."""
    plain = catalogue(write(tmp_path / "a.fits", scene(), header(GAIN=2.0))).objects
    pixels = (unit * scene().astype(np.float64)).astype(np.float32)
    objects = catalogue(write(tmp_path / "b.fits", pixels, header(GAIN=2.0 / unit))).objects
    assert len(objects) == len(plain) == 4
    for name in ("flux", "flux_err"):
        np.testing.assert_allclose(objects[name] / unit, plain[name], rtol=2e-3)
    np.testing.assert_allclose(objects["snr"], plain["snr"], rtol=2e-3)


def test_places_on_the_sky_and_angles_are_those_of_the_header(tmp_path):
    from astropy.wcs import WCS

    angle = np.radians(30)
    pixels = scene() + gaussian((160, 150), 75, 80, 30_000, 5.0, 0.4, angle).astype(np.float32)
    head = header()
    catalog = catalogue(write(tmp_path / "a.fits", pixels, head))
    row, _ = nearest(catalog, 75, 80)
    ra, dec = WCS(head).all_pix2world([[row["x"], row["y"]]], 0)[0]
    assert (row["ra_deg"], row["dec_deg"]) == pytest.approx((ra, dec), abs=1e-9)
    assert row["theta_deg"] == pytest.approx(30, abs=3)
    # x grows to the west, so 30 degrees from x towards north are 60 from north towards west
    assert row["position_angle_deg"] == pytest.approx(180 - 60, abs=3)
    assert row["ellipticity"] == pytest.approx(0.6, abs=0.08)


@pytest.mark.parametrize("scale", [0.01 / 3600, 0.5 / 3600, 0.5])
def test_angles_hold_beside_a_pole_and_in_coarse_maps(scale):
    from astropy.wcs import WCS
    from astropy.wcs.utils import pixel_to_skycoord

    wcs = WCS(header(CRVAL2=90.0, CRPIX1=1.0, CRPIX2=1.0, CDELT1=-scale, CDELT2=scale))
    x, y, theta = np.array([30.0, -14.0, 9.0]), np.array([4.0, 20.0, -40.0]), np.array([0.3, 1.2, -1.0])
    here, there = (pixel_to_skycoord(x + s * np.cos(theta), y + s * np.sin(theta), wcs) for s in (-0.01, 0.01))
    true = here.position_angle(there).deg
    needle = np.ones(3), np.full(3, 0.01), theta  # pixels of coarse maps are not square, which turns wide ellipses
    away = (place_on_sky(wcs, x, y, *needle).position_angle_deg - true + 90) % 180 - 90
    assert np.abs(away).max() < 0.2


@pytest.mark.parametrize("turned", [0, 25])
def test_angles_are_of_the_ellipse_on_the_sky_where_pixels_are_not_square(turned):
    from astropy.wcs import WCS

    cosine, sine = np.cos(np.radians(turned)), np.sin(np.radians(turned))
    east_north = np.array([[-0.2 * cosine, 0.4 * sine], [0.2 * sine, 0.4 * cosine]])  # arcsec of a pixel right and up
    cards = {f"CD{i + 1}_{j + 1}": east_north[i, j] / 3600 for i in (0, 1) for j in (0, 1)}
    head = header(**cards)
    del head["CDELT*"]
    for true in (20.0, 70.0, 110.0, 160.0):
        long = np.array([np.sin(np.radians(true)), np.cos(np.radians(true))])
        on_sky = 4 * np.outer(long, long) + np.eye(2)  # dispersions of 2.2 and 1
        back = np.linalg.inv(east_north)
        variances, axes = np.linalg.eigh(back @ on_sky @ back.T)
        theta = np.arctan2(axes[1, 1], axes[0, 1])
        minor, major = (np.array([value]) for value in np.sqrt(variances))
        place = place_on_sky(WCS(head), np.array([70.0]), np.array([80.0]), major, minor, np.array([theta]))
        assert place.position_angle_deg[0] == pytest.approx(true, abs=0.05)


def test_a_frame_without_coordinates_has_none_on_the_sky(tmp_path):
    catalog = catalogue(write(tmp_path / "a.fits", scene()))
    assert len(catalog.objects) == 4
    assert catalog.objects[["ra_deg", "dec_deg", "position_angle_deg", "magnitude"]].isna().all(axis=None)


def test_tiles_give_what_the_whole_gives(tmp_path, monkeypatch):
    shape = (300, 280)
    rng = np.random.default_rng(3)
    places = [(x, y) for x in range(20, 270, 35) for y in range(20, 290, 35)]
    pixels = 100 + rng.normal(0, 1, shape)
    for x, y in places:
        pixels += gaussian(shape, x + rng.uniform(-0.5, 0.5), y + rng.uniform(-0.5, 0.5), 500, 1.5)
    path = write(tmp_path / "a.fits", pixels.astype(np.float32))
    whole = catalogue(path)
    monkeypatch.setattr(frame_catalog, "TILE_PX", 101)
    monkeypatch.setattr(frame_catalog, "MARGIN_PX", 40)
    done = []
    tiled = catalogue(path, progress=done.append, scratch=tmp_path / "map.npy")
    assert len(tiled.objects) == len(whole.objects) == len(places)
    assert done == sorted(done) and done[-1] == pytest.approx(1.0)
    column_and_row = {"by": ["x", "y"], "key": lambda values: (values / 35).round()}
    one, two = (catalog.objects.sort_values(**column_and_row) for catalog in (whole, tiled))
    np.testing.assert_allclose(one[["x", "y"]], two[["x", "y"]], atol=0.1)
    np.testing.assert_allclose(one["flux"], two["flux"], rtol=0.1)
    assert ((whole.segmentation > 0) != (tiled.segmentation > 0)).mean() < 0.01
    assert sorted(np.unique(tiled.segmentation)) == list(range(len(places) + 1))


def test_an_object_has_the_pixels_that_it_has_in_the_map(tmp_path, monkeypatch):
    """A galaxy over the border of two tiles, with stars that the first of them has painted."""
    monkeypatch.setattr(frame_catalog, "TILE_PX", 75)
    monkeypatch.setattr(frame_catalog, "MARGIN_PX", 20)
    pixels = scene() + gaussian((160, 150), 78, 80, 60_000, 12.0, 0.6).astype(np.float32)
    for y in range(66, 98, 7):
        pixels += gaussian((160, 150), 72 + y % 3 * 3, y, 4_000, 1.5).astype(np.float32)
    catalog = catalogue(write(tmp_path / "a.fits", pixels))
    counted = np.bincount(catalog.segmentation.ravel(), minlength=len(catalog.objects) + 1)[1:]
    assert catalog.objects["n_pixels"].tolist() == counted.tolist()


def test_neighbours_are_parted_and_flagged(tmp_path):
    pixels = scene() + gaussian((160, 150), 47, 31, 15_000, WIDTH_PX).astype(np.float32)
    catalog = catalogue(write(tmp_path / "a.fits", pixels))
    one, two = nearest(catalog, 40, 30)[0], nearest(catalog, 47, 31)[0]
    assert one["number"] != two["number"]
    assert one["flags"] & BLENDED and two["flags"] & BLENDED
    assert one["flux"] == pytest.approx(20_000, rel=0.12)
    pixels[0, 0] = np.nan  # far from all of them: changes none
    gapped = catalogue(write(tmp_path / "a.fits", pixels)).objects
    np.testing.assert_allclose(gapped["flux"], catalog.objects["flux"], rtol=2e-3)
    np.testing.assert_allclose(gapped["flux_err"], catalog.objects["flux_err"], rtol=2e-3)


def test_what_is_saturated_cut_off_or_beside_a_gap_is_flagged(tmp_path):
    pixels = scene() + gaussian((160, 150), 0, 80, 8_000, WIDTH_PX).astype(np.float32)
    pixels = np.minimum(pixels, SKY + 400)  # the two brightest saturate
    pixels[60:63, 104:108] = np.nan
    catalog = catalogue(write(tmp_path / "a.fits", pixels))
    assert nearest(catalog, *PLACES[0])[0]["flags"] & SATURATED
    assert nearest(catalog, *PLACES[1])[0]["flags"] & GAPS
    assert nearest(catalog, 0, 80)[0]["flags"] & EDGE
    assert nearest(catalog, *PLACES[3])[0]["flags"] == 0


def test_noise_that_varies_does_not_flood_its_loud_half():
    """A mosaic with an edge three times as noisy has no more false detections there."""
    from galaxy_core.images import AstroImage

    rng = np.random.default_rng(0)
    pixels = rng.normal(0, 1, (512, 512)).astype(np.float32)
    pixels[:, 320:] *= 3
    with open_sky_frame([AstroImage(pixels[None], True, None, "FITS", "a.fits", 32)]) as frame:
        catalog = catalogue_frame(frame, replace(SEP, false_per_megapixel=20.0))
    assert (catalog.objects["x"] > 330).sum() < 15


@pytest.mark.parametrize("rate", [20.0, 100.0])
def test_noise_alone_gives_the_false_detections_that_are_stated(rate):
    from galaxy_core.images import AstroImage

    noise = ndimage.gaussian_filter(np.random.default_rng(5).normal(0, 1, (1000, 1000)), 0.7)
    with open_sky_frame([AstroImage(noise[None].astype(np.float32), True, None, "FITS", "a.fits", 32)]) as frame:
        catalog = catalogue_frame(frame, replace(SEP, false_per_megapixel=rate))
    assert 0.4 * rate < len(catalog.objects) < 2.2 * rate


def test_bands_are_measured_in_the_same_apertures(tmp_path):
    first = write(tmp_path / "a.fits", scene(), header(FILTER="r"))
    second = write(tmp_path / "b.fits", (SKY + 2 * (scene(seed=1) - SKY)).astype(np.float32), header(FILTER="g"))
    catalog = catalogue(first, second)
    assert catalog.band_names == ("r", "g") and catalog.name == "a"
    row, _ = nearest(catalog, *PLACES[0])
    assert row["flux"] == row["flux_r"]
    assert row["flux_g"] / row["flux_r"] == pytest.approx(2, rel=0.05)
    assert catalog.objects["detection"].iloc[0] > 0


def test_two_bands_reach_deeper_than_one(tmp_path):
    """Ten sources too faint for one band are found in the sum of four."""
    shape, rng = (200, 200), np.random.default_rng(2)
    light = sum(gaussian(shape, 30 + 45 * (i % 4), 30 + 60 * (i // 4), 240, 1.8) for i in range(10))
    paths = [write(tmp_path / f"{i}.fits", (light + rng.normal(0, SIGMA, shape)).astype(np.float32)) for i in range(4)]
    assert len(catalogue(*paths).objects) > len(catalogue(paths[0]).objects) + 3


@pytest.mark.skipif(not EMMI.exists(), reason="needs the real frames at ../shared/data")
def test_a_real_frame_holds_what_sextractor_found_in_it():
    from galaxy_core.recipes.segmenter_outlines import score_against_sextractor

    scores = score_against_sextractor(EMMI / "image.fits", EMMI / "image.cat", SEP)
    assert scores["n_above_5_sigma"] == 61 and scores["n_found_within_1_px_of_either"] >= 57


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (40, 60)])
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_objects_grow_as_the_plain_rule_says(shape, share):
    """All at once, a pixel at a time: a lit pixel beside objects goes to the one of the highest number."""
    rng = np.random.default_rng(4)
    lit, start = rng.random(shape) < share, np.where(rng.random(shape) < 0.02, rng.integers(1, 9, shape), 0)
    expected = start.astype(np.int32)
    for _ in range(frame_segments.GROWTH_PX):
        beside = np.zeros_like(expected)
        padded = np.pad(expected, 1)
        for down, across in ((0, 1), (2, 1), (1, 0), (1, 2)):
            beside = np.maximum(beside, padded[down : down + shape[0], across : across + shape[1]])
        expected = np.where((expected == 0) & lit, beside, expected)
    found = start.astype(np.int32)
    frame_segments.grow(found, lit)
    np.testing.assert_array_equal(found, expected)


def test_shot_noise_does_not_grow_with_the_correlation_of_the_sky():
    """A source has as many electrons however drizzling shared them among pixels."""
    rows, columns = np.indices((200, 200))
    light = np.random.default_rng(0).normal(0, 5, (200, 200))
    for x, y in ((50, 50), (140, 60), (60, 140), (150, 150)):
        light += 1000 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
    pixels = ndimage.gaussian_filter(light, 0.7).astype(np.float32)[None]
    errors = []
    for cards in ({}, {"GAIN": 2.0}):
        with open_sky_frame([AstroImage(pixels, True, fits.Header(cards), "FITS", "a.fits", 32)]) as frame:
            objects = catalogue_frame(frame, FrameConfig("sep")).objects
        bright = objects[objects["flux"] > 10_000]
        errors.append(bright["flux_err"].to_numpy())
    assert len(errors[0]) == 4
    np.testing.assert_allclose(errors[1] ** 2 - errors[0] ** 2, bright["flux"] / 2.0, rtol=1e-3)
