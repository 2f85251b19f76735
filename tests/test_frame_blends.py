"""Blends of a frame: which objects share an isophote, and where a catalogue that does not part them has them."""

from __future__ import annotations

import io

import astropy.units as u
import numpy as np
import pytest
import sep
from astropy.io.votable import parse_single_table
from astropy.wcs import WCS
from scipy import ndimage
from sky_scenes import SIGMA, WIDTH_PX, gaussian, header, scene, write

from galaxy_core import frame_catalog
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_blends import ISOPHOTE_SIGMA, WEIGHTS, find_blends, smoothed
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.frame_exports import votable_bytes
from galaxy_core.frame_table import meaning_of

SHAPE = (160, 150)
PAIR = [(40.0, 30.0), (47.0, 31.0)]
LONE = (110.0, 120.0)


def light_of(places) -> np.ndarray:
    """Noise of one, and galaxies."""
    pixels = np.random.default_rng(1).normal(0, 1, SHAPE)
    for flux, (x, y) in zip((900, 500, 300), places, strict=False):
        pixels += gaussian(SHAPE, x, y, flux, 2.0)
    return pixels.astype(np.float32)


def flood(lit: np.ndarray, row: int, column: int) -> set[tuple[int, int]]:
    """Pixels of one island, a neighbour at a time."""
    island, waiting = set(), [(row, column)]
    while waiting:
        here = waiting.pop()
        if here in island or not (0 <= here[0] < lit.shape[0] and 0 <= here[1] < lit.shape[1]) or not lit[here]:
            continue
        island.add(here)
        waiting += [(here[0] + i, here[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return island


def test_a_blend_is_the_barycentre_of_the_light_in_one_isophote():
    signal = light_of([*PAIR, LONE])
    x, y = np.array([*PAIR, LONE]).T
    blends = find_blends(signal, x, y)
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    light = ndimage.convolve(signal.astype(np.float64), kernel, mode="constant")
    island = flood(light > ISOPHOTE_SIGMA, 30, 40)
    assert (31, 47) in island and (120, 110) not in island
    weights = np.array([light[pixel] for pixel in island])
    middle = weights @ np.array(list(island)) / weights.sum()
    assert blends.n.tolist() == [2, 2, 1] and blends.n.dtype == np.int32
    np.testing.assert_allclose(blends.y, [middle[0], middle[0], np.nan], rtol=1e-5)
    np.testing.assert_allclose(blends.x, [middle[1], middle[1], np.nan], rtol=1e-5)
    some = blends.take(np.array([2, 0]))
    assert some.n.tolist() == [1, 2] and np.isnan(some.x[0])


def test_a_blend_lies_where_sextractor_has_what_it_does_not_part():
    signal = light_of(PAIR)
    x, y = np.array(PAIR).T
    blends = find_blends(signal, x, y)
    objects = sep.extract(signal, ISOPHOTE_SIGMA, minarea=5, deblend_cont=1.0)
    distance = np.hypot(objects["x"] - blends.x[0], objects["y"] - blends.y[0])
    assert distance.min() < 1e-3, "sep is SExtractor's search as a library"


def test_the_filter_is_sextractors_and_sees_nothing_beyond_the_edge():
    signal = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    expected = ndimage.convolve(signal, np.outer(WEIGHTS, WEIGHTS), mode="constant")
    np.testing.assert_allclose(smoothed(signal), expected, atol=1e-6)
    for shape in ((1, 1), (1, 5), (5, 1)):
        assert smoothed(np.ones(shape, np.float32)).shape == shape


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_is_blended_with_nothing(n):
    blends = find_blends(np.full((5, 5), 9, np.float32), np.full(n, 2.0), np.full(n, 2.0))
    assert blends.n.tolist() == [1] * n and np.isnan(blends.x).all() and np.isnan(blends.y).all()


def test_objects_in_the_sky_are_alone_though_the_sky_is_one():
    blends = find_blends(np.zeros((20, 20), np.float32), np.array([3.0, 4.0]), np.array([3.0, 4.0]))
    assert blends.n.tolist() == [1, 1] and np.isnan(blends.x).all()


def catalogue(path):
    with open_sky_frame([path]) as frame:
        return catalogue_frame(frame, FrameConfig("sep", false_per_megapixel=5.0))


def test_the_catalogue_tells_blends_in_pixels_and_on_the_sky(tmp_path):
    pixels = scene() + gaussian(SHAPE, 47, 31, 15_000, WIDTH_PX).astype(np.float32)
    catalog = catalogue(write(tmp_path / "a.fits", pixels, header()))
    fields = parse_single_table(io.BytesIO(votable_bytes(catalog))).fields
    placed = {field.name for field in fields if field.ref == "icrs"}
    assert placed == {"ra_deg", "dec_deg", "blend_ra_deg", "blend_dec_deg"}
    objects = catalog.objects
    shared = objects[objects["blend_size"] == 2]
    assert len(shared) == 2 and (objects.loc[objects["blend_size"] == 1, "blend_x"].isna()).all()
    assert shared["blend_x"].nunique() == 1 and 40 < shared["blend_x"].iloc[0] < 47
    sky = WCS(header()).pixel_to_world(shared["blend_x"].iloc[0], shared["blend_y"].iloc[0]).icrs
    told = shared.iloc[0]
    assert (told["blend_ra_deg"], told["blend_dec_deg"]) == pytest.approx((sky.ra.deg, sky.dec.deg), abs=1e-9)
    for column in ("blend_size", "blend_x", "blend_y", "blend_ra_deg", "blend_dec_deg"):
        meaning = meaning_of(column)
        assert meaning.ucd and meaning.description and (meaning.unit == "" or u.Unit(meaning.unit))
    bare = catalogue(write(tmp_path / "b.fits", pixels)).objects
    assert bare["blend_ra_deg"].isna().all() and (bare["blend_size"] == objects["blend_size"]).all()


def test_a_blend_across_tiles_is_one(tmp_path, monkeypatch):
    pixels = np.random.default_rng(2).normal(100, SIGMA, SHAPE)
    for x, y in ((71, 60), (78, 61), (20, 20)):
        pixels += gaussian(SHAPE, x, y, 20_000, WIDTH_PX)
    path = write(tmp_path / "a.fits", pixels.astype(np.float32))
    whole = catalogue(path).objects
    monkeypatch.setattr(frame_catalog, "TILE_PX", 75)
    monkeypatch.setattr(frame_catalog, "MARGIN_PX", 40)
    tiled = catalogue(path).objects
    for objects in (whole, tiled):
        shared = objects[objects["blend_size"] == 2].sort_values("x")
        assert np.round(shared["x"]).tolist() == [71, 78]
        assert shared["blend_x"].iloc[0] == pytest.approx(shared["blend_x"].iloc[1], abs=1e-6)
        assert shared["blend_x"].iloc[0] == pytest.approx(74.5, abs=0.3)
