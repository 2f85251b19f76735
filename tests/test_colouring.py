"""What a map can be coloured by, and whether the colours can be told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from card_page import write_back

from galaxy_core import artifacts
from pages.views import colouring, filters, readers
from pages.views.colours import PALETTES, Colouring, category_colours, grey, ramp_of, with_scale
from pages.views.galaxy_map.payload import BACKGROUNDS, scale_of


@pytest.fixture
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def test_text_is_ordered_by_frequency_and_nulls_are_named():
    colour = colouring.by_text(pd.Series(["b", "a", None, "b"]), "class")
    assert colour.names == ("b", "a") and colour.codes.tolist() == [0, 1, -1, 0]


def test_groups_that_would_be_called_the_same_stay_apart():
    answers = colouring.by_text(pd.Series(["no_bar", "weak_bar", None, "no_bar"]), "bar")
    assert answers.is_among(["no bar"]).tolist() == [True, False, False, True]
    assert answers.is_among([answers.nothing]).tolist() == [False, False, True, False]
    kinds = colouring.by_text(pd.Series(["a_b", "a b", None, "a b"]), "kind")
    assert [kinds.is_among([name]).sum() for name in (*kinds.names, kinds.nothing)] == [2, 1, 1]


def test_a_text_is_a_category_by_all_rows_of_a_table_that_is_sorted_by_it(tiny_root, tiny):
    table = pd.DataFrame({"survey": ["SDSS"] * 2500 + ["DES"] * 500, "name": [f"n{k // 40}" for k in range(3000)]})
    assert colouring._is_category(table, "survey") and not colouring._is_category(table, "name")
    columns = artifacts.open_columns(tiny_root, tiny.manifest, "catalog")
    found = [name for name in ("class", "split", "galaxy_id") if colouring._is_category(columns, name)]
    assert found == ["class", "split"]


def test_numbers_are_as_precise_as_in_the_catalog(broken_root):
    jd = 2459000.5 + np.arange(90) / 20
    write_back(broken_root, "tiny", jd=jd, mass=np.linspace(9, 12, 90, dtype=np.float32))
    galaxies = readers.open_catalog(broken_root, "tiny")
    assert np.array_equal(colouring.colour_by(galaxies, "jd").values, jd)
    assert colouring.colour_by(galaxies, "mass").values.dtype == np.float32
    scale = scale_of(colouring.colour_by(galaxies, "jd"))
    assert scale["low_text"] == "≤ 2459000.5" and scale["high_text"] == "≥ 2459004.9"


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_dates_are_modified_julian_dates(broken_root, monkeypatch, zone):
    dates = pd.Series(pd.date_range("2000-01-01T12:00", periods=90, freq="6h", tz="UTC").tz_convert(zone))
    write_back(broken_root, "tiny", observed=dates.where(dates.index != 3))
    expected = 51544.5 + np.arange(90) / 4
    expected[3] = np.nan
    for many in (False, True):
        monkeypatch.setattr(readers, "MANY", 9 if many else 10**5)
        readers._open_catalog.clear()
        galaxies = readers.open_catalog(broken_root, "tiny")
        assert galaxies.are_many == many and colouring.colour_choices(galaxies)["observed"] == "observed [MJD]"
        assert colouring.shows_numbers(galaxies, "observed")
        np.testing.assert_array_equal(colouring.colour_by(galaxies, "observed").values, expected)
        assert filters.passes(galaxies, "observed", [51545, 51546]).sum() == 4


@pytest.mark.parametrize("dark", [True, False])
def test_colours_are_different_and_visible(dark):
    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        channels = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return channels @ [0.2126, 0.7152, 0.0722]

    background = luminance(BACKGROUNDS[dark, False])
    for n in (1, 8, 10, 11, 40):
        colours = category_colours(n, dark)
        assert len(set(colours)) == n
    for colour in [*category_colours(10, dark), grey(dark)]:
        low, high = sorted((luminance(colour), background))
        assert (high + 0.05) / (low + 0.05) > (3.0 if colour != grey(dark) else 1.9), colour


# Table 1 of Machado, Oliveira & Fernandes (2009, IEEE TVCG 15, 1291), severity 1: what such eyes see, in linear sRGB
EYES = {
    "normal": (np.eye(3), 11),
    "no green": ([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]], 11),
    "no red": ([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]], 11),
    "no blue": ([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]], 9),
}


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("dark", [True, False])
def test_ten_groups_and_the_rest_are_told_apart_by_all_eyes(dark, eyes):
    from skimage.color import deltaE_ciede2000, rgb2lab

    matrix, least = EYES[eyes]
    shown = [*category_colours(10, dark), grey(dark), BACKGROUNDS[dark, False]]
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in shown]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ np.transpose(matrix)
    linear = linear.clip(0, 1)
    lab = rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))
    apart = deltaE_ciede2000(lab[:, None], lab[None]) + 99 * np.eye(len(shown))
    place = np.unravel_index(apart.argmin(), apart.shape)
    assert apart.min() > least, [shown[k] for k in place]
    assert apart[-1, :10].min() > 25, "points stand out from the background"


@pytest.mark.parametrize("dark", [True, False])
def test_a_class_has_one_colour_in_every_catalog(dark):
    def colours(*names, **more):
        return dict(zip(names, Colouring("class", names=names, **more).colours(dark), strict=True))

    first = colours("round smooth", "in between smooth", "spiral", "edge on", "cigar smooth")
    second = colours("spiral", "merger", "edge on", "round smooth", "odd", "in between smooth", "cigar smooth", "star")
    assert all(second[name] == colour for name, colour in first.items()) and len(set(second.values())) == 8
    assert list(colours("galaxy", "star").values()) == category_colours(7, dark)[5:]
    assert list(colours("a", "b", "c").values()) == category_colours(3, dark)
    names = tuple("abcdefghij")
    assert list(colours(*names, "spiral").values()) == category_colours(11, dark), "more than ten"
    renamed = colours("a", "spiral", lasting_names=("cluster 0", "cluster 1"))  # other diagrams go by the number
    assert list(renamed.values()) == category_colours(2, dark)


def test_everything_of_a_catalog_can_be_a_colour(tiny):
    choices = colouring.colour_choices(tiny)
    assert list(choices)[:3] == ["class", "hdbscan_label", "kmeans_8_label"]
    assert {"split", "hdbscan_membership", "ra_deg", "radius_arcsec", "smooth-or-featured_smooth"} <= set(choices)
    assert "galaxy_id" not in choices
    for key in choices:
        by = colouring.colour_by(tiny, key)
        assert (by.codes is None) != (by.values is None), key
        assert len(by.codes if by.values is None else by.values) == 90


def test_a_map_begins_with_a_clustering_that_found_something(tiny):
    made = {name: {"scores": {"n_clusters": 0 if name == "hdbscan" else 8}} for name in tiny.clustering_names}
    unclustered = replace(tiny, manifest=replace(tiny.manifest, clusterings=made))
    assert list(colouring.colour_choices(unclustered))[:3] == ["class", "kmeans_8_label", "hdbscan_label"]


def test_limits_are_robust_unless_the_whole_range_is_asked_for():
    values = np.concatenate([np.linspace(1, 2, 1000), [1e9, np.nan, np.inf]]).astype(np.float32)
    robust, whole = Colouring("x", values=values), Colouring("x", values=values, whole_range=True)
    assert robust.limits == tuple(np.percentile(values[np.isfinite(values)].astype(float), [1, 99]).astype(np.float32))
    assert whole.limits == (1.0, 1e9)
    assert robust.share_of_scale()[1000] == 1 and np.isnan(robust.share_of_scale()[1001])


def test_log_scale_and_numbers_that_have_no_logarithm():
    by = Colouring("x", values=np.array([-5, 0, 1, 10, 100, np.nan]), log=True, whole_range=True)
    assert by.limits == (1.0, 100.0)
    assert by.share_of_scale()[:5].tolist() == [0, 0, 0, 0.5, 1] and np.isnan(by.share_of_scale()[5])
    nothing = Colouring("x", values=np.array([-1.0, np.nan]), log=True)
    assert nothing.limits == (1.0, 10.0) and np.isfinite(nothing.share_of_scale()[0])


@pytest.mark.parametrize("values", [[], [np.nan], [3.0], [3.0, 3.0], [587722984435351614.0] * 2])
def test_numbers_without_spread(values):
    by = Colouring("x", values=np.array(values))
    low, high = by.limits
    assert low < high and np.isfinite([low, high]).all()


@pytest.mark.parametrize("palette", PALETTES)
def test_palettes_of_numbers_rise_in_brightness(palette):
    ramp = ramp_of(palette)
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in ramp])
    brightness = rgb @ [0.2126, 0.7152, 0.0722]
    assert len(ramp) == 256 and (np.diff(np.convolve(brightness, np.ones(9) / 9, "valid")) > 0).all()


def test_scale_of_groups_stays_and_of_numbers_changes(tiny):
    groups = colouring.colour_by(tiny, "class")
    assert with_scale(groups, True, True, "Cividis") is groups
    numbers = with_scale(colouring.colour_by(tiny, "radius_arcsec"), True, False, "Cividis")
    assert numbers.log and numbers.palette == "Cividis" and colouring.colour_by(tiny, "radius_arcsec").log is False
