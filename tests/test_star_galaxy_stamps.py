"""Stamps for telling stars from galaxies: sky, noise and seeing, known or measured, and what is no stamp."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.catalog import Catalog, ReadReport
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.star_galaxy_seeing import densest, seeing_is_own, seeing_of_frames, steadied_seeing
from galaxy_core.star_galaxy_stamps import make_object_stamps, normalise, object_width, sky_and_noise
from tests.star_stamp import star


def test_sky_goes_and_noise_is_the_unit():
    pixels, noise = normalise(star())
    assert pixels.shape == (1, 32, 32)
    assert noise == pytest.approx([1.0], rel=0.1)
    assert pixels[0, :6].mean() == pytest.approx(0.3, abs=0.4)
    scaled, noise_of_scaled = normalise(star() * 7)
    np.testing.assert_allclose(scaled, pixels, atol=2e-3)
    assert noise_of_scaled == pytest.approx(noise * 7, rel=1e-4)


def test_a_known_noise_is_taken_as_it_is():
    pixels, noise = normalise(np.ones((2, 32, 32), np.float32), np.array([0.5, 2.0], np.float32))
    assert pixels[:, 0, 0].tolist() == [2.0, 0.5] and noise.tolist() == [0.5, 2.0]


def test_grey_pictures_have_one_band_and_small_stamps_a_rim_of_sky():
    grey = np.repeat(star(), 3, axis=0)
    assert normalise(grey)[0].shape == (1, 32, 32)
    small, _ = normalise(star(size=20))
    assert np.abs(small[0, :6]).max() == 0 and small[0, 16, 16] > 50


@pytest.mark.parametrize(
    "image", [np.zeros((1, 32, 32)), np.ones((6, 32, 32)), np.full((1, 40, 40), np.nan), np.ones((1, 1, 1))]
)
def test_what_is_no_stamp_is_one_sentence(image):
    with pytest.raises(ImageError) as caught:
        normalise(image.astype(np.float32))
    assert "\n" not in str(caught.value)


def test_missing_pixels_become_sky():
    image = star()
    image[0, 20:22, 3] = np.nan
    pixels, _ = normalise(image)
    assert np.isfinite(pixels).all()
    assert np.isnan(sky_and_noise(np.full((4, 4), np.nan))[0])


@pytest.mark.parametrize("fwhm", [2.6, 3.3, 5.0])
def test_the_width_of_a_star_is_its_seeing(fwhm):
    assert object_width(normalise(star(fwhm))[0][0]) == pytest.approx(fwhm, abs=0.45)
    assert np.isnan(object_width(np.zeros((32, 32))))


def test_a_top_that_is_cut_off_has_no_width():
    assert np.isnan(object_width(np.minimum(normalise(star())[0][0], 20.0)))


def test_the_densest_values_are_found_beside_a_tail():
    values = np.sort(np.concatenate([np.linspace(0.0, 0.9, 10), np.linspace(1.0, 1.05, 12), np.linspace(2.0, 9.0, 9)]))
    assert 1.0 <= densest(values) <= 1.05
    assert densest(np.array([3.0])) == 3.0 and densest(np.array([1.0, 1.0, 1.0, 1.0])) == 1.0


def test_the_seeing_is_that_of_the_narrow_objects_of_each_frame():
    widths = np.array([[3.0]] * 8 + [[6.0]] * 12 + [[4.0]] * 20 + [[np.nan]] * 3, np.float32)
    frames = np.array(["a"] * 20 + ["b"] * 20 + ["c"] * 3)
    seeing = seeing_of_frames(widths, frames)
    assert seeing[0, 0] == 3.0 and seeing[25, 0] == 4.0
    assert seeing[-1, 0] == 3.5  # a frame without a measured object: the median of the others
    assert seeing_of_frames(np.full((2, 1), np.nan, np.float32), np.array(["ü", "ü"])) == pytest.approx(3.3)


def test_the_seeing_is_that_of_a_few_stars_among_many_galaxies():
    stars, galaxies = [2.1, 2.3, 2.4, 2.5, 2.6], [3.2, 3.4, 3.5, 3.7, 3.9, 4.1, 4.1, 4.2, 4.2, 4.4, 4.9, 5.1, 5.7, 7.6]
    widths = np.array([*stars, *galaxies], np.float32)[:, None]
    assert seeing_of_frames(widths, np.full(19, "a")) == pytest.approx(2.4, abs=0.15)
    rays = np.array([1.0, *[3.0] * 19], np.float32)[:, None]
    assert seeing_of_frames(rays, np.full(20, "a")) == pytest.approx(3.0)


def test_objects_of_which_no_frame_is_known_are_taken_for_those_of_one():
    """As of a catalog of ids alone: each would be a frame of its own, of too few to be measured on."""
    rng = np.random.default_rng(0)
    widths = np.concatenate([rng.normal(5.0, 0.05, 9_000), rng.uniform(5.5, 12.0, 11_000)])[:, None]
    frames = np.array([f"{number:06d}" for number in range(len(widths))], dtype=object)
    started = time.thread_time()
    assert seeing_of_frames(widths, frames) == pytest.approx(5.0, abs=0.1)
    assert time.thread_time() - started < 5, "in a time that grows with the objects, and not with their square"
    assert not seeing_is_own(widths, frames).any() and seeing_is_own(widths, np.full(len(widths), "a")).all()


def test_bands_steady_the_seeing_of_each_other():
    rng = np.random.default_rng(0)
    true = np.exp(rng.normal(1.2, 0.14, (4000, 1)) + np.array([0.1, 0.0, -0.1]) + rng.normal(0, 0.02, (4000, 3)))
    known = (true * np.exp(rng.normal(0, 0.02, true.shape))).astype(np.float32)
    steadied = steadied_seeing(known, 0.02)
    assert np.log(known / true).std() == pytest.approx(0.02, rel=0.05)
    assert np.log(steadied / true).std() < 0.0165 and steadied.dtype == np.float32
    logs = np.log(known.astype(float))  # the formula as it is written
    covariance = np.cov(logs.T)
    filter_ = (covariance - 0.02**2 * np.eye(3)) @ np.linalg.inv(covariance)
    expected = np.exp(logs.mean(0) + (logs - logs.mean(0)) @ filter_.T)
    np.testing.assert_allclose(steadied, expected, rtol=1e-5)


def test_the_seeing_stays_as_it_is_where_nothing_steadies_it():
    rng = np.random.default_rng(0)
    known = np.exp(rng.normal(1.2, 0.1, (300, 1)) + rng.normal(0, 0.02, (300, 3))).astype(np.float32)
    np.testing.assert_allclose(steadied_seeing(known, 0.0), known, rtol=1e-5)
    np.testing.assert_array_equal(steadied_seeing(known[:20], 0.02), known[:20])
    np.testing.assert_array_equal(steadied_seeing(known[:, :1], 0.02), known[:, :1])
    known[7, 1] = np.nan
    steadied = steadied_seeing(known, 0.02)
    np.testing.assert_array_equal(steadied[7], known[7])
    assert np.isfinite(steadied).all(1).sum() == 299 and not np.array_equal(steadied[8], known[8])
    same = np.full((300, 3), 3.0, np.float32)
    np.testing.assert_allclose(steadied_seeing(same, 5.0), same, rtol=1e-6)  # an error larger than all that varies


def test_a_catalog_that_states_the_error_of_its_seeing_has_it_steadied(tmp_path):
    catalog = read_catalog("star-galaxy:220")
    names = [name for name in catalog.table if name.startswith("psf_fwhm_") and name.endswith("_arcsec")]
    known = (catalog.table[names].to_numpy() / catalog.pixel_scale_arcsec).astype(np.float32)
    stamps = make_object_stamps(catalog, tmp_path)
    np.testing.assert_array_equal(stamps.psf_fwhm_px, steadied_seeing(known, 0.02))
    silent = replace(catalog, table=catalog.table.drop(columns="psf_fwhm_error"))
    np.testing.assert_array_equal(make_object_stamps(silent, tmp_path).psf_fwhm_px, known)
    for unknown in (np.nan, "?"):
        vague = replace(catalog, table=catalog.table.assign(psf_fwhm_error=unknown))
        np.testing.assert_array_equal(make_object_stamps(vague, tmp_path).psf_fwhm_px, known)


def test_a_catalog_without_noise_or_seeing_is_measured(tmp_path):
    images = [star(3.0 + 0.01 * i, 3000 + 10 * i) for i in range(12)]
    table = pd.DataFrame({"galaxy_id": [f"s{i}" for i in range(13)], "split_group": "frame"})

    def load(i: int) -> np.ndarray:
        if i == 12:
            raise ImageError("broken")
        return images[i]

    catalog = Catalog(table, load, "folder", "x", ReadReport(13, 13))
    stamps = make_object_stamps(catalog, tmp_path)
    assert stamps.psf_fwhm_px[:, 0] == pytest.approx(np.full(13, 3.1), abs=0.5)
    assert (stamps.truth == -1).all() and not stamps.calibrated and len(set(stamps.splits)) == 1
    assert np.isnan(stamps.noise_sigma[12]).all()
    np.testing.assert_allclose(stamps.image(3), normalise(images[3])[0] * stamps.noise_sigma[3], rtol=2e-3, atol=0.01)
    unreadable = replace(catalog, load_image=lambda i: load(12))
    with pytest.raises(CatalogError, match="None of the images"):
        make_object_stamps(unreadable, tmp_path / "other")


def test_stamps_follow_their_files_and_a_training_that_was_stopped_keeps_to_its_own(tmp_path):
    folder, state = tmp_path / "images", tmp_path / "state"
    folder.mkdir()
    for number in range(3):
        fits.writeto(folder / f"{number}.fits", star(3.0, 3000 + 10 * number).squeeze())

    def stamp() -> np.ndarray:
        return np.array(make_object_stamps(read_catalog(f"folder:{folder}"), state).pixels[1])

    before = stamp()
    (state / "whole.safetensors").touch()
    folder = folder.rename(tmp_path / "moved")
    os.utime(folder / "0.fits", (1, 1))
    np.testing.assert_array_equal(stamp(), before)  # from another place, of another time
    assert len(list(state.glob("objects-*.npy"))) == 1
    fits.writeto(folder / "1.fits", star(5.0, 900).squeeze(), overwrite=True)
    for _ in range(2):
        with pytest.raises(CatalogError, match="Images have changed since this training was stopped"):
            stamp()
    (state / "whole.safetensors").unlink()
    assert not np.array_equal(stamp(), before)  # no training has learned of it
