"""Positions: every way people write them, circles on the sky against astropy, links that open the right place."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from galaxy_core.errors import GalaxyError, PositionError
from galaxy_core.sky import SkyQuery, cone_search, parse_position, separation_arcsec, sexagesimal, survey_links

RA, DEC = 150.119, 2.2058  # a place in COSMOS

SAME_PLACE = [
    "150.119 2.2058",
    "150.119, +2.2058",
    "150.119,2.2058",
    "  150.119   +2.2058 ",
    "150.119d +2.2058d",
    "150.119° 2.2058°",
    "10:00:28.56 +02:12:20.88",
    "10:00:28.56+02:12:20.88",
    "10:00:28.56, 02:12:20.88",
    "10 00 28.56 +02 12 20.88",
    "10 00 28.56 02 12 20.88",
    "10h00m28.56s +02d12m20.88s",
    "10h00m28.56s+02d12m20.88s",
    "10h 00m 28.56s +02d 12m 20.88s",
    "10H00M28.56S +02°12′20.88″",
    "150d07m08.4s +02d12m20.88s",
]


@pytest.mark.parametrize("text", SAME_PLACE)
def test_one_place_written_in_many_ways(text):
    query = parse_position(text)
    assert query.radius_arcsec == 10
    assert (query.ra_deg, query.dec_deg) == pytest.approx((RA, DEC), abs=1e-9)


@pytest.mark.parametrize("text", SAME_PLACE)
@pytest.mark.parametrize(
    ("ending", "radius"),
    [
        (' 30"', 30),
        (" r=30", 30),
        (' r = 30"', 30),
        (" 1'", 60),
        (" 1.5 arcmin", 90),
        (" 0.1d", 360),
        (", .5d", 1800),
        (" radius=2arcsec", 2),
        ("  20″", 20),
        (" 3''", 3),
        (" 2’", 120),
        (" 0.1 deg", 360),
    ],
)
def test_a_radius_may_follow(text, ending, radius):
    query = parse_position(text + ending)
    assert query.radius_arcsec == pytest.approx(radius)
    assert (query.ra_deg, query.dec_deg) == pytest.approx((RA, DEC), abs=1e-9)


def test_the_sign_of_a_declination_holds_for_all_of_it():
    for text in ("0:00:00 -00:30:00", "0 -0.5", "0h00m00s -00d30m00s", "0 0 0 −0 30 0", "360 -0.5"):
        assert parse_position(text) == SkyQuery(0.0, -0.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "128132",
        "gz-00012",
        "sim-0-000002",
        "587722984435351614",
        "587722984435351614 12",
        "M 31",
        "NGC 4889",
        "150.119",
        "10:00:28.6",
        "1 2 3",
        "J100028.6+021221",
        "галактика 7",
        "12 34 56 78",
        "nan nan",
        '30"',
        "a\nb",
    ],
)
def test_other_texts_are_no_positions(text):
    assert parse_position(text) is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("150.1 95", "declination"),
        ("2.2 150.1", "right ascension first"),
        ("400 2", "0° and 360°"),
        ("-10 2", "0° and 360°"),
        ("25:00:00 +02:00:00", "24 hours"),
        ("10:61:00 +02:00:00", "below 60"),
        ("10:00:00 +02:00:60", "below 60"),
        ("10h00m00s +91d00m00s", "declination"),
        ('150.1 2.2 0"', "more than 0"),
        ("150.1 2.2 200d", "at most 180"),
        ("150.1 2.2 r=3pc", "“pc”"),
        ("149.4863 2.4819 0.02", "“0.02” needs a unit; write it as 30\", 0.5' or 0.02 deg"),
        ("10:00:28.6 +02:12:21 5", "needs a unit"),
        ("149.4863 2.4819 1m", "“m” is no unit"),
    ],
)
def test_an_impossible_position_is_one_clear_sentence(text, part):
    with pytest.raises(PositionError, match=part) as caught:
        parse_position(text)
    assert isinstance(caught.value, GalaxyError) and str(caught.value).endswith(".") and "\n" not in str(caught.value)


def sky(n: int, seed: int = 0) -> SkyCoord:
    rng = np.random.default_rng(seed)
    return SkyCoord(rng.uniform(0, 360, n) * u.deg, np.degrees(np.arcsin(rng.uniform(-1, 1, n))) * u.deg)


@pytest.mark.parametrize("ra", [0.0, 0.001, 123.4, 359.999])
@pytest.mark.parametrize("dec", [-90.0, -89.9, 0.0, 45.0, 90.0])
@pytest.mark.parametrize("radius_deg", [3.0, 40.0, 180.0])
def test_cone_search_finds_what_astropy_finds(ra, dec, radius_deg):
    places = sky(20_000)
    rows, separation = cone_search(places.ra.deg, places.dec.deg, SkyQuery(ra, dec, radius_deg * 3600))
    expected = places.separation(SkyCoord(ra * u.deg, dec * u.deg)).arcsec
    assert set(rows) == set(np.flatnonzero(expected <= radius_deg * 3600)) and len(rows)
    np.testing.assert_allclose(separation, expected[rows], atol=1e-6)
    assert (np.diff(separation) >= 0).all() and separation.dtype == np.float64


def test_cone_search_to_a_thousandth_of_an_arcsecond_across_zero():
    ra = np.array([359.9999999, 0.0000001, 0.01, np.nan, 0.0, np.inf, 0.0])
    dec = np.array([0.0, 0.0, 0.0, 0.0, np.nan, 0.0, np.inf])
    rows, separation = cone_search(ra, dec, SkyQuery(0.0, 0.0, 1.0))
    assert sorted(rows) == [0, 1] and separation == pytest.approx([3.6e-4, 3.6e-4], rel=1e-6)
    assert len(cone_search(np.array([]), np.array([]), SkyQuery(1, 2))[0]) == 0


def test_separation_at_the_physical_extremes():
    assert separation_arcsec(np.array([180.0]), np.array([0.0]), 0, 0)[0] == pytest.approx(180 * 3600)
    assert separation_arcsec(np.array([77.0]), np.array([90.0]), 200, -90)[0] == pytest.approx(180 * 3600)
    assert separation_arcsec(np.array([10.0]), np.array([90.0]), 200, 90)[0] == pytest.approx(0, abs=1e-9)


def test_a_million_galaxies_take_a_moment():
    places = sky(1_000_000)
    ra, dec = places.ra.deg, places.dec.deg
    start = time.thread_time()
    rows, _ = cone_search(ra, dec, SkyQuery(150.0, 2.0, 600.0))
    assert time.thread_time() - start < 1 and len(rows) > 0


def test_sexagesimal_reads_back_to_its_place():
    places = sky(300, 1)
    for ra, dec in zip(places.ra.deg, places.dec.deg, strict=True):
        text = sexagesimal(ra, dec)
        back = SkyCoord(*text, unit=(u.hourangle, u.deg))
        assert back.separation(SkyCoord(ra * u.deg, dec * u.deg)).arcsec < 0.1
        query = parse_position(" ".join(text))
        assert (query.ra_deg, query.dec_deg) == pytest.approx((back.ra.deg, back.dec.deg), abs=1e-9)
    assert sexagesimal(14.9999999, 89.9999999) == ("01:00:00.00", "+90:00:00.0")
    assert sexagesimal(0, -1e-5)[1].startswith("-00:00:00")


def test_links_ask_for_the_place_and_are_safe_addresses():
    links = survey_links(RA, -DEC, 120)
    assert set(links) == {"Legacy Survey", "SIMBAD", "ESASky", "Aladin Lite"}
    for link in links.values():
        assert urlsplit(link).scheme == "https" and not set(" \"'<>+") & set(link)
        assert not set(urlsplit(link).query.replace("%", "").replace("&", "").replace("=", "")) & set("/,")
    asked = {name: parse_qs(urlsplit(link).query) for name, link in links.items()}
    assert asked["Legacy Survey"]["ra"] == ["150.119000"] and asked["Legacy Survey"]["dec"] == ["-2.205800"]
    assert asked["SIMBAD"]["Coord"] == ["150.119000 -2.205800"] and asked["SIMBAD"]["Radius"] == ["60"]
    assert asked["ESASky"]["target"] == asked["Aladin Lite"]["target"] == ["150.119000 -2.205800"]
    assert asked["ESASky"]["fov"] == ["0.03333"]


def test_the_viewer_zooms_out_for_a_wider_view_and_at_the_pole():
    zooms = [int(parse_qs(survey_links(RA, d, fov)["Legacy Survey"])["zoom"][0]) for d, fov in ((0, 60), (0, 240))]
    assert zooms[0] == zooms[1] + 2
    # 1024 pixels of 360 degrees / 256 / 2^15, which are 0.155 arcsec, see 158 arcsec; at 60 degrees half of that
    fields = ((0, 150), (0, 160), (60, 75), (-60, 85))
    zooms = [int(parse_qs(survey_links(RA, d, fov)["Legacy Survey"])["zoom"][0]) for d, fov in fields]
    assert zooms == [15, 14, 15, 14]
    assert survey_links(0, 90, 1e9) and survey_links(0, -90, 0)
