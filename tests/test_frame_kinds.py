"""Stars and galaxies of a frame: told with the frame's own seeing, or not told, with the reason in the flags."""

from __future__ import annotations

import doctest
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sky_scenes import write

from galaxy_core import frame_seeing
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.frame_cutouts import Cutouts, cut_objects
from galaxy_core.frame_kinds import tell_kinds
from galaxy_core.frame_light import BandLight, Window
from galaxy_core.frame_measures import CROWDED, EDGE, FAINT, PAIR, SATURATED
from galaxy_core.frame_seeing import (
    BandSeeing,
    field_terms,
    grows_with_brightness,
    narrowest_crowd,
    stacked_shape,
    without_cosmic_rays,
)
from galaxy_core.recipes.star_galaxy_frames import image_of
from galaxy_core.simulator.light import make_frame, moffat, sersic
from galaxy_core.simulator.star_galaxy_frame import simulate_frame
from galaxy_core.simulator.star_galaxy_population import BANDS
from galaxy_core.star_galaxy import load_separator
from galaxy_core.star_galaxy_stamps import WIDTHS_PX

MODELS = Path(__file__).resolve().parents[1] / "artifacts"
SEP = FrameConfig("sep", false_per_megapixel=5.0)
SIDE, FWHM = 360, 3.2
STARS = [(50 + 60 * (i % 5), 40 + 70 * (i // 5)) for i in range(10)]
GALAXIES = [(50 + 60 * i, 190 + 60 * row) for row in range(2) for i in range(5)]


def point(x: float, y: float, fwhm: float = FWHM, beta: float = 3.0) -> np.ndarray:
    """A Moffat of unit flux at a place of the frame, float64 (SIDE, SIDE)."""
    frame = make_frame(SIDE, 1.0)
    return moffat(frame, fwhm, beta, x - (SIDE - 1) / 2, y - (SIDE - 1) / 2)


def field(seed: int = 0, stars=STARS, galaxies=GALAXIES, flux: float = 4000.0, sky: float = 200.0) -> np.ndarray:
    """Ten stars and ten galaxies of one brightness, with noise of one, float32."""
    rng = np.random.default_rng(seed)
    light = sum((flux * rng.uniform(0.7, 3) * point(*place) for place in stars), np.zeros((SIDE, SIDE)))
    wide = sum(
        (flux * rng.uniform(0.7, 3) * point(*place, fwhm=2.4 * FWHM) for place in galaxies), np.zeros_like(light)
    )
    return (sky + light + wide + rng.normal(0, 1, light.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return load_separator("star_galaxy", MODELS, "cpu")


def catalogue(path, model, config=SEP):
    with open_sky_frame([path]) as frame:
        return catalogue_frame(frame, config, separator=model)


def told_at(catalog, places) -> pd.DataFrame:
    """Rows of the objects nearest to places."""
    x, y = (catalog.objects[name].to_numpy() for name in ("x", "y"))
    rows = [int(np.argmin(np.hypot(x - a, y - b))) for a, b in places]
    return catalog.objects.iloc[rows]


def test_stars_and_galaxies_are_told_with_the_frames_own_seeing(tmp_path, model):
    catalog = catalogue(write(tmp_path / "a.fits", field()), model)
    stars, galaxies = told_at(catalog, STARS), told_at(catalog, GALAXIES)
    assert (stars["p_galaxy"] < 0.5).mean() >= 0.9 and (galaxies["p_galaxy"] > 0.5).all()
    assert (stars["flags"] == 0).all()
    seeing = catalog.seeing["a"]
    assert seeing.fwhm_px == pytest.approx(FWHM, rel=0.06) and 6 <= seeing.n_stars <= 14
    assert catalog.seconds["tell"] > 0 and len(catalog.separator_sha256) == 64


def test_two_stars_found_as_one_are_no_galaxy(tmp_path, model):
    """They are as wide as the galaxies beside them, which stay told."""
    pairs = [(50 + 60 * i, 320) for i in range(5)]
    light = [6000 * (point(x - 1.3, y - 0.8) + 0.6 * point(x + 2.1, y + 1.3)) for x, y in pairs]
    pixels = (field() + np.sum(light, axis=0)).astype(np.float32)
    catalog = catalogue(write(tmp_path / "a.fits", pixels), model)
    assert len(catalog.objects) == len(STARS) + len(GALAXIES) + len(pairs), "each pair is found as one"
    found = told_at(catalog, pairs)
    assert np.isnan(found["p_galaxy"]).all() and (found["flags"] == PAIR).all()
    others = told_at(catalog, STARS + GALAXIES)
    assert not (others["flags"] & PAIR).any() and (others["p_galaxy"].iloc[len(STARS) :] > 0.5).all()


def test_tiles_change_nothing(tmp_path, model, monkeypatch):
    from galaxy_core import frame_catalog

    path = write(tmp_path / "a.fits", field())
    whole = catalogue(path, model)
    monkeypatch.setattr(frame_catalog, "TILE_PX", 150)
    parts = catalogue(path, model)
    np.testing.assert_allclose(
        told_at(parts, STARS + GALAXIES)["p_galaxy"], told_at(whole, STARS + GALAXIES)["p_galaxy"], atol=0.05
    )


def test_what_cannot_be_told_has_no_probability_and_a_flag(tmp_path, model):
    pixels = field()
    pixels += np.float32(500_000) * point(180, 330).astype(np.float32)  # saturated
    pixels += np.float32(4000) * point(3.0, 180).astype(np.float32)  # at the edge
    pixels += np.float32(21) * point(320, 330).astype(np.float32)  # faint
    pixels = np.minimum(pixels, 6000)
    catalog = catalogue(write(tmp_path / "a.fits", pixels), model, replace(SEP, false_per_megapixel=2000.0))
    for place, flag in (((180, 330), SATURATED), ((3, 180), EDGE), ((320, 330), FAINT)):
        row = told_at(catalog, [place]).iloc[0]
        assert np.isnan(row["p_galaxy"]) and int(row["flags"]) & flag
    unknown = catalog.objects[np.isnan(catalog.objects["p_galaxy"])]
    assert (unknown["flags"] != 0).all()


def test_a_frame_without_stars_is_not_told_unless_its_seeing_is_given(tmp_path, model):
    rng = np.random.default_rng(1)
    light = sum(5000 * point(*place, fwhm=rng.uniform(5, 12)) for place in GALAXIES[:3])
    path = write(tmp_path / "a.fits", (light + rng.normal(0, 1, light.shape)).astype(np.float32))
    nothing = catalogue(path, model)
    assert np.isnan(nothing.objects["p_galaxy"]).all() and not nothing.seeing
    tried = r"not told apart\. Only 3 objects with .* above 15 stand alone; .* seeing of (\d+\.\d) px"
    said = re.search(tried, nothing.notes[-1])
    assert 5 < float(said[1]) < 12, "a number to try, measured on the narrowest"
    given = catalogue(path, model, replace(SEP, psf_fwhm_px=FWHM))
    assert (told_at(given, GALAXIES[:3])["p_galaxy"] > 0.5).all() and given.seeing["a"].n_stars == 0


def test_the_order_in_which_bands_come_changes_nothing(model):
    """By the alphabet, as a shell or a browser names files, they are no longer those of the model's colours."""
    simulated, told = simulate_frame(24, 280, 3), []
    images = [image_of(simulated.bands[band], f"SDSS {BANDS[band]}", 22.5) for band in range(5)]
    with open_sky_frame(images, name="field") as frame:
        catalog = catalogue_frame(frame, SEP)
        for order in ((0, 1, 2, 3, 4), (1, 3, 2, 0, 4)):
            turned = replace(frame, bands=tuple(frame.bands[place] for place in order))
            given = catalog.objects, catalog.segmentation, [Window(0, 280, 0, 280)], [1.0] * 5
            told.append(tell_kinds(turned, *given, model, psf_fwhm_px=3.4).p_galaxy)
    assert np.isfinite(told[0]).sum() > 15
    np.testing.assert_array_equal(*told)


def test_a_band_in_which_nothing_is_seen_costs_no_other(tmp_path, model):
    """As u of an ugriz field, which comes first: bright objects are those of any band."""
    r = write(tmp_path / "r.fits", field())
    u = write(tmp_path / "u.fits", np.random.default_rng(9).normal(0, 1, (SIDE, SIDE)).astype(np.float32))
    alone = catalogue(r, model)
    with open_sky_frame([u, r]) as frame:
        both = catalogue_frame(frame, SEP, separator=model)
    assert list(both.seeing) == ["r"] and both.seeing["r"].fwhm_px == pytest.approx(alone.seeing["r"].fwhm_px, rel=0.02)
    assert both.notes == ("Stars are told from galaxies without u, whose seeing is not known.",)
    expected = told_at(alone, STARS + GALAXIES)["p_galaxy"].to_numpy()
    np.testing.assert_allclose(told_at(both, STARS + GALAXIES)["p_galaxy"], expected, atol=0.1)


def test_stars_that_grow_with_brightness_are_not_told():
    rng = np.random.default_rng(0)
    snr = np.exp(rng.uniform(3, 6, 200))
    assert grows_with_brightness(0.5 * np.log(snr) + rng.normal(0, 0.02, 200), snr)
    assert not grows_with_brightness(np.log(3.0) + rng.normal(0, 0.02, 200), snr)
    assert not grows_with_brightness(rng.uniform(0.5, 2.5, 200), snr)
    assert not grows_with_brightness(np.empty(0), np.empty(0))


def test_the_narrowest_crowd_is_the_stars_among_many_galaxies():
    rng = np.random.default_rng(0)
    stars, galaxies = 1.0 + rng.normal(0, 0.015, 30), rng.normal(1.7, 0.35, 400).clip(1.1)
    hits = np.array([0.1, 0.3])  # cosmic rays, narrower than the seeing and of no one size
    assert narrowest_crowd(np.concatenate([hits, galaxies, stars])) == pytest.approx(1.0, abs=0.03)
    assert narrowest_crowd(np.array([1.0, 1.4, 1.9, 2.5])) is None and narrowest_crowd(np.empty(0)) is None
    assert narrowest_crowd(np.full(5, 0.7)) == 0.7  # duplicates
    assert narrowest_crowd(np.linspace(0.5, 1.5, 60)) is None, "galaxies of all sizes are no locus"
    assert (
        "Of 60 objects with a signal to noise above 15 that stand alone no 5 are of one size"
        in frame_seeing.no_stars(np.linspace(0.5, 1.5, 60))
    )
    assert frame_seeing.no_stars(np.empty(0)) == frame_seeing.NO_OBJECTS and not doctest.testmod(frame_seeing).failed


def test_cosmic_rays_are_not_the_stars_where_there_are_more_stars():
    """They are all as narrow as is looked for; stars of undersampled frames are, too, and stay."""
    rng = np.random.default_rng(0)
    rays, stars = np.full(28, np.log(WIDTHS_PX[0])), np.log(4.0) + rng.normal(0, 0.02, 65)
    galaxies = np.log(rng.uniform(4.5, 14.0, 50))
    kept = without_cosmic_rays(np.concatenate([rays, stars, galaxies]))
    np.testing.assert_array_equal(kept, np.arange(28, 143))
    assert len(without_cosmic_rays(np.concatenate([rays, galaxies]))) == 78
    assert len(without_cosmic_rays(np.concatenate([rays, stars[:10], galaxies]))) == 88


def test_wings_and_direction_of_the_seeing_come_from_the_stars():
    rng, frame = np.random.default_rng(0), make_frame(32, 1.0)
    stars = [
        moffat(frame, 3.0, 2.2, 0.5 + rng.uniform(-0.4, 0.4), 0.5) * 9000 + rng.normal(0, 1, (32, 32))
        for _ in range(12)
    ]
    beta, shear, ratio = stacked_shape(np.array(stars, np.float32), np.full(12, 3.2, np.float32))
    assert beta == pytest.approx(2.2, abs=0.3) and 3.2 * ratio == pytest.approx(3.0, rel=0.05)
    assert np.hypot(*shear) < 0.02
    drawn_out = [sersic(frame, 2.0, 0.5, 0.7, 90, 0.5, 0.5) * 9000 + rng.normal(0, 1, (32, 32)) for _ in range(6)]
    shears = stacked_shape(np.array(drawn_out, np.float32), np.full(6, 4.0, np.float32))[1]
    assert abs(shears[0]) > 0.05 and abs(shears[1]) < 0.02


def test_seeing_over_the_field_is_the_polynomial():
    seeing = BandSeeing(3.0, (0.1, 0.0, -0.2, 0.0, 0.05))
    x, y = np.array([0.0, 1.0, -0.5]), np.array([0.0, -1.0, 0.5])
    expected = 3.0 * np.exp(0.1 * x - 0.2 * x**2 + 0.05 * y**2)
    np.testing.assert_allclose(seeing.at(x, y), expected)
    assert field_terms(x, y).shape == (3, 5)


def band_of(light: np.ndarray, unusable=None) -> BandLight:
    nothing = np.zeros(light.shape, bool)
    return BandLight(light, np.full(light.shape, 2.0, np.float32), nothing if unusable is None else unusable, nothing)


@pytest.mark.parametrize("binning", [1, 2, 3])
def test_a_stamp_is_centred_and_in_units_of_noise(binning):
    light = np.zeros((200, 220), np.float32)
    light[100 : 100 + binning, 120 : 120 + binning] = 6.0
    middle = (binning - 1) / 2
    objects = pd.DataFrame({"number": [1], "x": [120.0 + middle], "y": [100.0 + middle]})
    labels = (light > 0).astype(np.int32)
    cut = cut_objects([band_of(light)], labels, objects, Window(0, 200, 0, 220), [1.5], binning)
    assert cut.pixels.shape == (1, 1, 32, 32) and not cut.hidden.any()
    assert cut.pixels[0, 0, 16, 16] == pytest.approx(6.0 * binning**2 / (2.0 * 1.5 * binning))
    assert np.count_nonzero(cut.pixels) == 1 and cut.noise[0, 0] == pytest.approx(3.0 * binning)


def test_neighbours_and_gaps_are_replaced_by_what_lies_across():
    light, labels = np.ones((60, 60), np.float32), np.zeros((60, 60), np.int32)
    light[30, 34], labels[30, 34], light[30, 26] = 50.0, 2, 3.0
    unusable = np.zeros((60, 60), bool)
    unusable[26, 30], light[26, 30], light[34, 30] = True, 0.0, 5.0
    objects = pd.DataFrame({"number": [1], "x": [30.0], "y": [30.0]})
    cut = cut_objects([band_of(light, unusable)], labels, objects, Window(0, 60, 0, 60), [1.0])
    stamp = cut.pixels[0, 0] * 2
    assert stamp[16, 20] == 3.0 and stamp[12, 16] == 5.0 and cut.hidden[0].sum() == 2
    outside = cut_objects([band_of(light)], labels, objects.assign(x=0.0), Window(0, 60, 0, 60), [1.0])
    assert outside.hidden[0, :, :16].all() and outside.hidden_share(3.0)[0] == pytest.approx(0.44, abs=0.05)


def test_share_hidden_is_of_the_light_of_a_point():
    hidden = np.zeros((2, 32, 32), bool)
    hidden[1] = True
    share = Cutouts(np.zeros((2, 1, 32, 32), np.float32), np.ones((2, 1), np.float32), hidden).hidden_share(2.0)
    assert share.tolist() == [0.0, pytest.approx(1.0)]


def test_an_object_under_another_is_flagged(tmp_path, model):
    """A bright wide neighbour takes half of the pixels of a star beside it."""
    pixels = field(stars=STARS, galaxies=GALAXIES[:5])
    labels = np.zeros((SIDE, SIDE), np.int32)
    from galaxy_core.frame_kinds import tell_kinds

    path = write(tmp_path / "a.fits", pixels)
    catalog = catalogue(path, model)
    with open_sky_frame([path]) as frame:
        objects = told_at(catalog, STARS).assign(flags=0)
        x, y = int(objects["x"].iloc[0]), int(objects["y"].iloc[0])
        labels[y - 16 : y + 17, x : x + 17] = 999  # the neighbour's
        windows = [Window(0, SIDE, 0, SIDE)]
        kinds = tell_kinds(frame, objects, labels, windows, [1.0], model, psf_fwhm_px=FWHM)
    assert np.isnan(kinds.p_galaxy[0]) and kinds.flags[0] == CROWDED
    assert np.isfinite(kinds.p_galaxy[1:]).all() and (kinds.flags[1:] == 0).all()
