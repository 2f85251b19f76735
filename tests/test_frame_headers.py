"""What a frame's header says: electrons and magnitudes in the units of its pixels, and places on the sky."""

from __future__ import annotations

import doctest
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from sky_scenes import header, scene, write

from galaxy_core import frame_headers as module
from galaxy_core.errors import ImageError
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.frame_filters import by_wavelength
from galaxy_core.frame_headers import celestial_of, flux_unit, gain_of, zero_point_of
from galaxy_core.images import read_image
from pages.views.sky_work import shown_bands

SIP = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-4, "B_1_1": 1e-4}


@pytest.mark.parametrize(
    "unit", ["electron / s", "ELECTRONS/S", "e-/s", "e/s", "electrons s-1", "electrons per second"]
)
def test_a_rate_of_electrons_holds_those_of_the_exposure(unit):
    assert gain_of(fits.Header({"BUNIT": unit, "EXPTIME": 90.0, "CCDGAIN": 2.5})) == 90
    assert gain_of(fits.Header({"BUNIT": unit, "EXPTIME": 1.0, "TEXPTIME": 300.0})) == 300
    assert gain_of(fits.Header({"BUNIT": unit, "CCDGAIN": 2.5})) == 0


@pytest.mark.parametrize("own", [None, 30.0])
def test_how_long_light_was_collected_may_stand_in_the_primary_header(tmp_path, own):
    image = fits.ImageHDU(scene(), name="SCI")
    image.header["BUNIT"] = "ELECTRONS/S"
    if own:
        image.header["EXPTIME"] = own
    primary = fits.PrimaryHDU(header=fits.Header({"EXPTIME": 690.0, "OBJECT": "M 67"}))
    fits.HDUList([primary, image]).writeto(tmp_path / "flt.fits")
    found = read_image(tmp_path / "flt.fits").header
    assert gain_of(found) == (own or 690) and "OBJECT" not in found


def test_what_holds_for_all_extensions_may_stand_in_the_primary_header(tmp_path):
    """As MAGZERO and FILTER of the NOIRLab's stacks; what the extension says itself holds."""
    primary = fits.PrimaryHDU(header=fits.Header({"MAGZERO": 30.0, "FILTER": "r DECam", "GAIN": 9.0, "SATURATE": 15e2}))
    image = fits.ImageHDU(scene(), header=header(GAIN=4.0), name="SCI")
    fits.HDUList([primary, image]).writeto(tmp_path / "stack.fits")
    with open_sky_frame([tmp_path / "stack.fits"]) as frame:
        (band,) = frame.bands
    assert (band.name, band.zero_point_mag, band.gain_electrons) == ("r_DECam", 30.0, 4.0)
    assert band.survey.saturated_from == 1500


def test_bands_of_hubble_and_webb_are_known_by_their_filters(tmp_path):
    """ACS has two wheels and says so in the primary header; files come in the order of their names."""
    paths = []
    for name in ("F105W", "F435W", "F814W"):
        primary = fits.PrimaryHDU(header=fits.Header({"FILTER1": "CLEAR1L", "FILTER2": name}))
        fits.HDUList([primary, fits.ImageHDU(scene())]).writeto(tmp_path / f"{name}.fits")
        (tmp_path / f"{name}.fits").rename(path := tmp_path / f"a_long_name_of_a_survey_and_a_field_{name}_v2.fits")
        paths.append(path)
    with open_sky_frame(paths) as frame:
        names = [band.name for band in frame.bands]
        assert shown_bands(frame.bands) == (0, 2, 1), "red first"
    assert names == ["F105W", "F435W", "F814W"]
    assert by_wavelength(names) == ("F435W", "F814W", "F105W")
    assert by_wavelength(("F444W", "F090W", "F606W", "F410M", "NUV", "FUV")) == (
        "FUV", "NUV", "F606W", "F090W", "F410M", "F444W"
    )  # fmt: skip
    for path in paths:
        fits.setval(path, "FILTER2", value="CLEAR2L")
    with open_sky_frame(paths) as frame:
        assert [band.name for band in frame.bands] == names, "of the file's name, where it is long"


@pytest.mark.parametrize(
    ("unit", "magnitude"),
    [("nanomaggy", 22.5), ("nJy", 31.4), ("uJy/pix", 23.9), ("mJy", 16.4), ("Jy pixel-1", 8.9), ("Jy", 8.9),
     ("10.0*nanoJansky", 28.9), ("W/m^2/Hz", -56.1)],
)  # fmt: skip
def test_units_of_flux_are_zero_points(unit, magnitude):
    assert zero_point_of(fits.Header({"BUNIT": unit})) == magnitude
    assert zero_point_of(fits.Header({"BUNIT": unit, "MAGZERO": 25.0})) == 25
    assert zero_point_of(fits.Header({"BUNIT": unit, "ZP": 28.0})) == magnitude, "of the mosaic before it had that unit"


@pytest.mark.parametrize("unit", ["MJy/sr", "Jy/beam", "adu", "", "nanomaggy/arcsec^2", "MJY"])
def test_brightness_of_the_sky_and_counts_have_no_zero_point(unit):
    assert np.isnan(zero_point_of(fits.Header({"BUNIT": unit})))


@pytest.mark.parametrize(
    "area", [{"PIXAR_SR": (0.03 / 206264.806) ** 2}, {"CDELT1": -0.03 / 3600, "CDELT2": 0.03 / 3600}]
)
def test_brightness_of_the_sky_has_one_where_the_area_of_a_pixel_is_known(area):
    """As of the JWST, by its card, and of Spitzer, by the coordinates: 1 MJy/sr on that area is so many janskys."""
    said = fits.Header({"BUNIT": "MJy/sr", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
    said.update(area)
    janskys = 1e6 * (0.03 / 206264.806) ** 2
    assert zero_point_of(said) == pytest.approx(8.9 - 2.5 * np.log10(janskys), abs=1e-3)


def test_the_zero_point_of_a_night_is_brought_to_the_exposure_and_the_airmass():
    """MAGZPT with its error MAGZRR is that of one count a second at unit airmass, as the CASU writes it."""
    casu = {"BUNIT": "", "MAGZPT": 24.5, "MAGZRR": 0.02, "EXPTIME": 30.0, "EXTINCT": 0.1, "AIRMASS": 1.5}
    assert zero_point_of(fits.Header(casu)) == pytest.approx(24.5 + 2.5 * np.log10(30) - 0.05)
    assert zero_point_of(fits.Header({**casu, "BUNIT": "adu/s"})) == pytest.approx(24.45)
    assert np.isnan(zero_point_of(fits.Header({"MAGZPT": 24.5, "MAGZRR": 0.02})))
    assert zero_point_of(fits.Header({"MAGZPT": 24.5})) == 24.5
    assert zero_point_of(fits.Header({**casu, "PHOTZP": 28.3})) == 28.3, "as the IGAPS has both"


def test_other_ways_to_say_it():
    assert zero_point_of(fits.Header({"FLUXMAG0": 63095734448.0194})) == pytest.approx(27)  # HSC
    assert zero_point_of(fits.Header({"BUNIT": "adu", "ZP": 26.5})) == 26.5
    stack = fits.Header([("HIERARCH FPA.ZP", 25.0), ("EXPTIME", 1000.0)])  # Pan-STARRS
    assert zero_point_of(stack) == pytest.approx(32.5) and np.isnan(zero_point_of(stack[:1]))
    flam = {"PHOTFLAM": 7.8e-20, "PHOTPLAM": 8045.0}
    assert np.isnan(zero_point_of(fits.Header({"BUNIT": "erg/s/cm2/A", **flam}))), "of a count, and here is none"


@pytest.mark.parametrize("unit", ["electrons", "ELECTRONS", "e-", "E"])
def test_electrons_are_electrons(unit):
    assert gain_of(fits.Header({"BUNIT": unit, "EXPTIME": 90.0, "CCDGAIN": 2.5})) == 1


@pytest.mark.parametrize("unit", ["counts/s", "adu / s", "DN/s", "COUNTS/SEC"])
def test_a_rate_of_counts_holds_the_gain_of_the_exposure(unit):
    assert gain_of(fits.Header({"BUNIT": unit, "EXPOSURE": 90.0, "GAIN": 2.0})) == 180
    assert gain_of(fits.Header({"BUNIT": unit, "EXPOSURE": 90.0})) == 0


@pytest.mark.parametrize("unit", ["nanomaggy", "Jy", "uJy", "MJy/sr", "erg/s/cm2/A", "1e-17erg/s", "mag", "W m-2"])
def test_calibrated_light_has_no_gain(unit):
    assert gain_of(fits.Header({"BUNIT": unit, "EXPTIME": 90.0, "GAIN": 2.0})) == 0


@pytest.mark.parametrize("unit", ["", "adu", "counts", "DN", "image units"])
def test_counts_have_the_gain_of_the_card_and_the_setting_of_a_camera_is_none(unit):
    assert gain_of(fits.Header({"BUNIT": unit, "EXPTIME": 90.0, "GAIN": 2.0})) == 2
    assert gain_of(fits.Header({"BUNIT": unit, "GAIN": 120, "EGAIN": 0.25})) == 0.25
    assert gain_of(None) == 0


@pytest.mark.parametrize("unit", ["ELECTRONS", "COUNTS", "electron"])
def test_an_exposure_has_the_magnitudes_of_its_rate(unit):
    cards = {"PHOTFLAM": 7e-20, "PHOTPLAM": 5921.0}
    rate = zero_point_of(fits.Header({**cards, "BUNIT": f"{unit}/S", "EXPTIME": 1000.0}))
    assert rate == pytest.approx(26.617, abs=1e-3)
    assert zero_point_of(fits.Header({**cards, "BUNIT": unit, "EXPTIME": 1000.0})) == pytest.approx(rate + 7.5)
    assert np.isnan(zero_point_of(fits.Header({**cards, "BUNIT": unit})))
    assert np.isnan(zero_point_of(fits.Header({**cards, "BUNIT": unit, "EXPTIME": 0.0})))


@pytest.mark.parametrize(
    "cards",
    [
        {"RADESYS": "GAPPT"},
        {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"},
        {"CTYPE1": "SLON-TAN", "CTYPE2": "SLAT-TAN"},
        {"CTYPE1": "PLON-TAN", "CTYPE2": "PLAT-TAN"},
        {"CDELT1": 0.0},
    ],
)
def test_coordinates_that_cannot_be_used_leave_objects_without_and_a_note(tmp_path, cards):
    with open_sky_frame([write(tmp_path / "a.fits", scene(), header(**cards))]) as frame:
        catalog = catalogue_frame(frame, FrameConfig("sep"))
    assert len(catalog.objects) == 4 and catalog.objects["ra_deg"].isna().all()
    assert len(catalog.notes) == 1 and "check its WCS cards" in catalog.notes[0]


@pytest.mark.parametrize("kind", ["AIT", "MOL", "SIN", "TAN"])
def test_maps_of_all_the_sky_have_coordinates_though_their_first_pixel_is_none_of_it(tmp_path, kind):
    scale = 0.6 if kind == "SIN" else 1.3
    cards = {"CTYPE1": f"RA---{kind}", "CTYPE2": f"DEC--{kind}", "CRVAL2": 0.0, "CDELT1": -scale, "CDELT2": scale}
    paths = [write(tmp_path / f"{name}.fits", scene(), header(**cards)) for name in "gr"]
    with open_sky_frame(paths) as frame:
        objects = catalogue_frame(frame, FrameConfig("sep")).objects
    assert np.isfinite(WCS(header(**cards)).all_pix2world([[0, 0]], 0)).all() == (kind == "TAN")
    ra, dec = WCS(header(**cards)).all_pix2world(objects[["x", "y"]], 0).T
    np.testing.assert_allclose(objects[["ra_deg", "dec_deg"]], np.column_stack([ra, dec]), atol=1e-4)
    assert np.isfinite(dec).all() and len(dec) == 4
    other = write(tmp_path / "i.fits", scene(), header(**cards | {"CRVAL1": 330.0}))
    with pytest.raises(ImageError, match="align the bands first"), open_sky_frame([paths[0], other]):
        pass


def test_bands_in_other_systems_of_coordinates_lie_where_they_lie(tmp_path):
    """Galactic longitudes are no right ascensions, and FK4's are not those of ICRS."""
    plain = write(tmp_path / "r.fits", scene(), header())
    wcs = WCS(header())
    here, east, north = (wcs.pixel_to_world(*place).galactic for place in ((74, 79), (75, 79), (74, 80)))
    plane = WCS({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CRVAL1": here.l.deg, "CRVAL2": here.b.deg})
    columns = np.column_stack([plane.wcs_world2pix([[one.l.deg, one.b.deg]], 0)[0] for one in (here, east, north)])
    steps = columns[:, 1:] - columns[:, :1]
    cards = {f"CD{i + 1}_{j + 1}": steps[i, j] for i in (0, 1) for j in (0, 1)}
    galactic = fits.Header({**plane.to_header(), **cards, "CRPIX1": 75.0, "CRPIX2": 80.0})
    del galactic["PC*"], galactic["CDELT*"]
    with open_sky_frame([plain, write(tmp_path / "i.fits", scene(), galactic)]) as frame:
        assert len(frame.bands) == 2
    old = write(tmp_path / "z.fits", scene(), header(RADESYS="FK4", EQUINOX=1950.0))
    with pytest.raises(ImageError, match="align the bands first"), open_sky_frame([plain, old]):
        pass


def test_a_frame_without_coordinates_needs_no_note():
    assert celestial_of(None) == celestial_of(header(with_wcs=False)) == (None, [])
    assert celestial_of(fits.Header({"CTYPE1": "", "CTYPE2": "LINEAR"})) == (None, [])


def test_j2000_is_fk5(tmp_path):
    places = []
    for system in ("J2000", "FK5"):
        with open_sky_frame([write(tmp_path / "a.fits", scene(), header(RADESYS=system))]) as frame:
            places.append(catalogue_frame(frame, FrameConfig("sep")).objects[["ra_deg", "dec_deg"]])
    assert np.isfinite(places[0]).all(axis=None)
    np.testing.assert_array_equal(*places)


def test_distortions_of_scamp_are_read_under_the_name_tan_too():
    """Also where all are of the second order or less, which astropy takes for parameters of TAN."""
    terms = {"PV1_0": 1e-4, "PV1_1": 1.001, "PV1_2": 2e-3, "PV1_4": 0.02, "PV2_1": 0.999, "PV2_4": -0.03}
    named = {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV"}
    corners = [[0.0, 0.0], [149.0, 159.0]]
    wcs, notes = celestial_of(header(**terms))
    true = WCS(header(**terms, **named)).all_pix2world(corners, 0)
    np.testing.assert_allclose(wcs.all_pix2world(corners, 0), true, rtol=1e-12)
    for cards in ({"PV1_1": 0.0, "PV1_2": 90.0}, {"PV1_1": 0.0, "PV2_1": 0.0}):  # of the standard, and of nothing
        plain = celestial_of(header(**cards))[0]
        np.testing.assert_allclose(plain.all_pix2world(corners, 0), WCS(header()).all_pix2world(corners, 0), rtol=1e-12)
    assert notes == []


def test_coordinates_with_tables_in_other_extensions_are_used_without_them():
    """As of Hubble's single exposures, whose polynomial stays."""
    plain = header(**SIP)
    tables = {"CPDIS1": "Lookup", "CPDIS2": "Lookup", "D2IMDIS1": "Lookup", "D2IMARR": "x", "D2IMEXT": "y"}
    wcs, notes = celestial_of(plain + fits.Header({**tables, "DP1": "EXTVER: 1.0", "DP1.NAXES": 2.0, "CPERR1": 0.1}))
    assert notes == [] and wcs.sip is not None
    corners = [[0.0, 0.0], [149.0, 159.0]]
    np.testing.assert_allclose(wcs.all_pix2world(corners, 0), WCS(plain).all_pix2world(corners, 0), rtol=1e-12)


def test_a_band_named_like_an_error_leaves_errors_alone(tmp_path):
    paths = [write(tmp_path / f"{name}.fits", scene(), header(FILTER=name)) for name in ("r", "err", "Err_r")]
    with open_sky_frame(paths) as frame:
        catalog = catalogue_frame(frame, FrameConfig("sep"))
    assert catalog.band_names == ("r", "band_err", "band_Err_r")
    objects = catalog.objects
    assert (objects["flux_err"] < objects["flux"] / 3).all()
    assert len({name.casefold() for name in objects}) == len(objects.columns)
    np.testing.assert_array_equal(objects["flux_err"], objects["flux_err_r"])


def test_examples():
    assert doctest.testmod(module).failed == 0


def test_a_unit_that_no_standard_knows_is_left_out_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert flux_unit("nanomaggy") == ""
