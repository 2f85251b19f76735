"""Single objects of a frame: stamps at its edges, profiles against the light that was put in, a catalog of stamps."""

from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy import ndimage
from sky_frames import CALIBRATION, NOISE, SIDE, SKY, SOURCES, WCS_CARDS, band_bytes, fits_bytes, sky_pixels

from galaxy_core import frame_stamps as module
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import GalaxyError
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.frame_measures import EDGE, SATURATED
from galaxy_core.frame_stamp_catalog import galaxy_rows, write_stamp_catalog
from galaxy_core.frame_stamps import cut_stamp, pixel_scale_of, radial_profile
from galaxy_core.images import decode_image


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """Two bands of the simulated frame."""
    folder = tmp_path_factory.mktemp("frames")
    paths = []
    for band, gain in (("g", 0.5), ("r", 1.0)):
        (folder / f"{band}.fits").write_bytes(band_bytes(band, gain, seed=len(paths)))
        paths.append(folder / f"{band}.fits")
    with open_sky_frame(paths) as opened:
        yield opened


@pytest.fixture(scope="module")
def catalog(frame):
    return catalogue_frame(frame, FrameConfig("sep"))


def row_at(catalog, x: float, y: float) -> pd.Series:
    objects = catalog.objects
    return objects.iloc[int(np.argmin(np.hypot(objects["x"] - x, objects["y"] - y)))]


def test_a_stamp_is_the_frame_around_its_centre(frame):
    stamp = cut_stamp(frame, 40.0, 30.0, 21)
    assert stamp.shape == (2, 21, 21) and stamp.dtype == np.float32
    np.testing.assert_array_equal(stamp[1], sky_pixels(1)[20:41, 30:51])


@pytest.mark.parametrize("place", [(0, 0), (199, 159), (-3.0, 80.0)])
def test_a_stamp_is_nan_outside_of_the_frame(frame, place):
    stamp = cut_stamp(frame, *place, 32)
    assert stamp.shape == (2, 32, 32) and np.isnan(stamp).any() and np.isfinite(stamp).any()
    padded = np.pad(sky_pixels(1), 64, constant_values=np.nan)
    top, left = (round(value - 15.5) + 64 for value in place[::-1])
    np.testing.assert_array_equal(stamp[1], padded[top : top + 32, left : left + 32])


def test_a_stamp_beyond_the_frame_is_nothing_but_nan(frame):
    assert np.isnan(cut_stamp(frame, -500.0, 900.0, 16)).all()


def test_profile_of_a_gaussian(frame, catalog):
    """A Gaussian seen along its major axis: its surface brightness falls with its own width."""
    x, y, flux, width, ratio, _ = SOURCES[0]
    profile = radial_profile(frame, catalog.segmentation, row_at(catalog, x, y), band=1)
    true = flux / (2 * np.pi * width**2 * ratio) * np.exp(-(profile.radius_px**2) / (2 * width**2))
    bright = true > 20 * NOISE
    assert bright.sum() >= 5
    np.testing.assert_allclose(profile.brightness[bright], true[bright], rtol=0.12)
    assert (profile.error > 0).all() and profile.error[-1] < NOISE


def test_profile_of_a_naive_mean(frame, catalog):
    """Rings of the profile, pixel by pixel."""
    row = row_at(catalog, 150.0, 40.0)
    profile = radial_profile(frame, catalog.segmentation, row, band=1)
    values, reach = {}, len(profile.radius_px)
    angle, ratio = np.radians(row["theta_deg"]), 1 - row["ellipticity"]
    for j in range(20, 61):
        for i in range(130, 171):
            dx, dy = i - row["x"], j - row["y"]
            u, v = dx * np.cos(angle) + dy * np.sin(angle), -dx * np.sin(angle) + dy * np.cos(angle)
            ring = int(np.hypot(u, v / ratio))
            if ring < reach and catalog.segmentation[j, i] in (0, row["number"]):
                values.setdefault(ring, []).append(float(sky_pixels(1)[j, i]) - SKY)
    naive = np.array([np.mean(values[ring]) for ring in range(reach)])
    np.testing.assert_allclose(profile.brightness, naive, atol=0.6)  # but for the sky, which the survey measured


@pytest.mark.parametrize("unit", [1.0, 1e-29])
def test_profile_has_the_noise_of_its_place_in_any_unit(tmp_path, unit):
    """Three times that of the other half of the frame; its square in erg/s/cm2/Hz is none of float32."""
    pixels = np.random.default_rng(0).normal(0, 1, (300, 640))
    pixels[:, 320:] *= 3
    (tmp_path / "a.fits").write_bytes(fits_bytes((unit * pixels).astype(np.float32)))
    row = pd.Series({"x": 480.0, "y": 150.0, "half_light_radius": 3.0, "semi_major": 2.0, "number": 1})
    row["theta_deg"], row["ellipticity"] = 0.0, 0.0
    with open_sky_frame([tmp_path / "a.fits"]) as opened:
        profile = radial_profile(opened, np.zeros(pixels.shape, np.int32), row)
    away = np.hypot(*np.indices((41, 41)) - 20).astype(int).ravel()
    n = np.bincount(away)[: len(profile.error)]
    np.testing.assert_allclose(profile.error, 3 * unit / np.sqrt(n), rtol=0.08)


def test_errors_of_a_profile_are_the_scatter_of_rings_in_noise_that_neighbours_share(tmp_path):
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, (400, 400)), 0.7)
    (tmp_path / "a.fits").write_bytes(fits_bytes((100 + noise).astype(np.float32)))
    row = {"half_light_radius": 4.0, "semi_major": 4.0, "number": 1, "theta_deg": 0.0, "ellipticity": 0.0}
    with open_sky_frame([tmp_path / "a.fits"]) as opened:
        labels, places = np.zeros(noise.shape, np.int32), np.arange(60, 341, 40)
        profiles = [radial_profile(opened, labels, pd.Series(row | {"x": x, "y": y})) for x in places for y in places]
    off = np.concatenate([profile.brightness[1:] / profile.error[1:] for profile in profiles])
    assert off.std() == pytest.approx(1.0, abs=0.12)


def test_profile_at_the_corner(frame, catalog):
    row = catalog.objects.iloc[0].copy()
    row["x"], row["y"], row["half_light_radius"] = 0.0, 0.0, np.nan
    profile = radial_profile(frame, catalog.segmentation, row)
    assert np.isfinite(profile.brightness).all() and len(profile.radius_px) > 2


def test_rows_worth_a_stamp():
    objects = pd.DataFrame(
        {
            "snr": [50.0, 5.0, 50.0, 50.0, 50.0, np.nan],
            "flags": [0, 0, EDGE, SATURATED, 1, 0],
            "p_galaxy": [np.nan, 0.9, 0.9, 0.9, 0.2, 0.9],
        }
    )
    assert galaxy_rows(objects).tolist() == [0]
    assert galaxy_rows(objects, whole=False, min_snr=1.0).tolist() == [0, 1, 2, 3]
    assert galaxy_rows(objects.iloc[:0]).tolist() == []


def test_a_frame_becomes_a_catalog(frame, catalog, tmp_path):
    rows, seen = galaxy_rows(catalog.objects), []
    folder = write_stamp_catalog(frame, catalog.objects, rows, tmp_path / "field", seen.append)
    read = read_catalog(f"fits-stamps:{folder}")
    assert len(read) == len(rows) == len(SOURCES) and seen[-1] == 1.0
    assert read.linear and read.pixel_scale_arcsec == pytest.approx(0.36)
    assert set(read.split_keys) == {"g"}, "stamps of one frame go together"
    first = catalog.objects.iloc[rows[0]]
    side = module.stamp_side(first["half_light_radius"], first["semi_major"])
    np.testing.assert_array_equal(read.load_image(0), cut_stamp(frame, first["x"], first["y"], side))
    assert read.table["magnitude_r"].iloc[0] == pytest.approx(first["magnitude_r"])
    for kind in ("flux", "flux_err", "snr", "magnitude"):
        for band in "gr":
            np.testing.assert_allclose(read.table[f"{kind}_{band}"], catalog.objects[f"{kind}_{band}"].iloc[rows])
    np.testing.assert_allclose(read.table["half_light_radius_r_px"], catalog.objects["half_light_radius_r"].iloc[rows])
    np.testing.assert_allclose(read.table["g_minus_r_mag"], 2.5 * np.log10(2), atol=0.1)  # half the light in g
    assert read.table["half_light_radius_px"].iloc[0] == pytest.approx(first["half_light_radius"])
    with fits.open(folder / "stamps.fits") as hdus:
        hdus.verify("exception")
        assert len(hdus) == len(rows) + 1
        place = WCS(hdus[1].header, naxis=2).wcs_world2pix([[first["ra_deg"], first["dec_deg"]]], 0)[0]
        assert place == pytest.approx([first["x"] - hdus[1].header["FRAMEX"], first["y"] - hdus[1].header["FRAMEY"]])
    assert decode_image((folder / "stamps.fits").read_bytes(), "stamps.fits", 1).pixels.shape[1:] == (side, side)


def test_colours_are_of_neighbours_from_blue_to_red_that_have_a_zero_point(tmp_path):
    files = []
    for name, cards in (("i", CALIBRATION), ("r", {}), ("g", CALIBRATION), ("u", CALIBRATION)):
        files.append(tmp_path / f"{name}.fits")
        files[-1].write_bytes(fits_bytes(sky_pixels(), FILTER=name, **cards))
    with open_sky_frame(files) as opened:
        objects = catalogue_frame(opened, FrameConfig("sep")).objects
        write_stamp_catalog(opened, objects, [0, 1], tmp_path / "field")
    table = pd.read_csv(tmp_path / "field" / "catalog.csv")
    assert [name for name in table if "_minus_" in name] == ["u_minus_g_mag", "g_minus_i_mag"]
    assert "flux_r" in table and "magnitude_r" not in table, "the light is known, and no magnitude"


@pytest.mark.parametrize("axes", [("RA---TAN-SIP", "DEC--TAN-SIP"), ("GLON-TAN-SIP", "GLAT-TAN-SIP")])
def test_a_stamp_of_a_distorted_frame_has_coordinates_of_its_own(tmp_path, axes):
    """Far from where the distortion is zero: the frame's linear part is tens of pixels off."""
    cards = WCS_CARDS | {"CTYPE1": axes[0], "CTYPE2": axes[1], "CRPIX1": 2048.0, "CRPIX2": 1024.0, "A_ORDER": 2}
    cards |= {"B_ORDER": 2, "A_2_0": 8.5e-6, "A_1_1": -5e-6, "B_0_2": -6e-6, "B_1_1": 6e-6, "RADESYS": "ICRS"}
    (tmp_path / "a.fits").write_bytes(fits_bytes(sky_pixels(), **cards))
    with open_sky_frame([tmp_path / "a.fits"]) as opened:
        found = catalogue_frame(opened, FrameConfig("sep"))
        folder = write_stamp_catalog(opened, found.objects, range(len(found.objects)), tmp_path / "field")
        with fits.open(folder / "stamps.fits") as hdus:
            for hdu in hdus[1:]:
                own, (rows, columns) = WCS(hdu.header), np.indices(hdu.data.shape)
                x, y = columns + hdu.header["FRAMEX"], rows + hdu.header["FRAMEY"]
                world = own.wcs_pix2world(columns.ravel(), rows.ravel(), 0)
                places = opened.wcs.all_world2pix(*world, 0)
                np.testing.assert_allclose(places, [x.ravel(), y.ravel()], atol=0.05)


def test_a_frame_without_coordinates_and_a_name_in_any_language(tmp_path):
    path = tmp_path / "Дальнее поле.fits"
    path.write_bytes(fits_bytes(sky_pixels()))
    with open_sky_frame([path]) as opened:
        found = catalogue_frame(opened, FrameConfig("sep"))
        folder = write_stamp_catalog(opened, found.objects, [0], tmp_path / "one")
        assert pixel_scale_of(opened) is None
    read = read_catalog(f"fits-stamps:{folder}")
    assert len(read) == 1 and read.galaxy_ids[0].startswith("Дальнее поле_") and read.load_image(0).shape[0] == 1
    assert "ra_deg" not in read.table


def test_nothing_to_write_and_nowhere_to_write(frame, catalog, tmp_path):
    with pytest.raises(GalaxyError, match="No object"):
        write_stamp_catalog(frame, catalog.objects, [], tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(GalaxyError, match="Cannot write"):
        write_stamp_catalog(frame, catalog.objects, [0], tmp_path / "file" / "under")


@pytest.mark.parametrize("name", ["stamps.fits", "catalog.csv"])
def test_stamps_and_catalogs_of_others_are_not_replaced(frame, catalog, tmp_path, name):
    for number in ([0], [1, 2]):  # those of a frame are, whatever was chosen of it
        write_stamp_catalog(frame, catalog.objects, number, tmp_path)
    assert len(read_catalog(f"fits-stamps:{tmp_path}")) == 2
    own = fits_bytes(sky_pixels()[:40, :40]) if name == "stamps.fits" else b"galaxy_id,ra,dec\nmine,1,2\n"
    (tmp_path / name).write_bytes(own)
    with pytest.raises(GalaxyError, match=f"{name} holds no stamps of a frame and stays; choose another folder"):
        write_stamp_catalog(frame, catalog.objects, [0], tmp_path)
    assert (tmp_path / name).read_bytes() == own


def test_examples():
    assert SIDE == (160, 200)
    assert doctest.testmod(module).failed == 0
