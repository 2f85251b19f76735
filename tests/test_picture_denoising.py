"""Pictures whose neighbours share noise: its level, its parts, and what the shipped model makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from denoiser_stand_ins import Identity, display
from scipy import ndimage

from galaxy_core.correlated_noise import noise_left_in_picture
from galaxy_core.denoising import denoise_image
from galaxy_core.evaluation import peak_snr_db
from galaxy_core.models import load_model
from galaxy_core.noise import PUBLISHED_SIGMA
from galaxy_core.picture_denoising import PictureNoise, correct_picture, picture_noise

SHIPPED = Path(__file__).resolve().parents[1] / "artifacts" / "models" / "contrastive_denoiser"
SEEN = float(np.float32(0.05))  # noise that the stand-in says it sees


def galaxy(side=128, sky=0.1):
    rows, columns = np.indices((side, side)) - side / 2
    return (sky + 0.6 * np.exp(-np.hypot(rows, columns / 0.6) / 7))[None].astype(np.float32)


def shared(shape, width, sigma=PUBLISHED_SIGMA, seed=0):
    """Noise smoothed by a Gaussian, with this scatter of a pixel."""
    white = np.random.default_rng(seed).standard_normal(shape)
    smooth = ndimage.gaussian_filter(white, (0, width, width), mode="wrap") if width else white
    return sigma * smooth / smooth.std()


def picture(width, sigma=PUBLISHED_SIGMA, side=128, sky=0.1, seed=0):
    """In whole counts, cut off at black and white."""
    clean = galaxy(side, sky)
    counts = np.rint(255 * np.clip(clean + shared(clean.shape, width, sigma, seed), 0, 1))
    return (counts / 255).astype(np.float32)


@pytest.mark.parametrize(("sky", "off"), [(0.02, 0.2), (0.3, 0.05)], ids=["cut off at black", "grey"])
@pytest.mark.parametrize(("width", "strides"), [(0.7, (2,)), (1.0, (2, 3)), (1.3, (3, 4))])
def test_noise_that_neighbours_share_is_measured(width, strides, sky, off):
    found = picture_noise(picture(width, sky=sky), Identity())
    assert found.sigma == pytest.approx(PUBLISHED_SIGMA, rel=off) and found.parted == 1
    assert found.stride in strides


def test_white_noise_is_what_the_model_sees():
    for sigma in (0.5 * PUBLISHED_SIGMA, PUBLISHED_SIGMA, 2 * PUBLISHED_SIGMA):
        assert picture_noise(picture(0, sigma), Identity()) == PictureNoise(SEEN)


def test_little_noise_and_structure_are_left_alone():
    """As pictures of SDSS have it; and as light has that differs ever more the farther pixels are apart."""
    assert picture_noise(picture(1.0, 0.2 * PUBLISHED_SIGMA), Identity()) == PictureNoise(SEEN)
    structure = np.clip(0.4 + shared((1, 128, 128), 6.0, 0.2), 0, 1).astype(np.float32)
    assert picture_noise(structure, Identity()) == PictureNoise(SEEN)


def test_noise_that_is_known_is_told_and_parts_are_taken_all_the_same():
    found = picture_noise(picture(1.0), Identity(), 0.1)
    assert found.sigma == 0.1 and found.parted == 1


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 40)])
def test_a_picture_too_small_for_parts_is_denoised_whole(shape):
    pixels = np.clip(0.5 + shared(shape, 1.0), 0, 1).astype(np.float32)
    assert picture_noise(pixels, Identity()).parted == 0


def test_less_noise_was_left_where_half_of_it_is_cut_off_at_black():
    pixels = np.float32([0, 0.5]).repeat(64) + shared((1, 128, 128), 1.0)
    left = noise_left_in_picture(*[np.clip(pixels, 0, 1).astype(np.float32)] * 2)[0]
    assert left[:, :40].mean() / left[:, 90:].mean() == pytest.approx(1 - 0.84 / 2, abs=0.03)


def test_parts_are_every_second_pixel_and_come_back_to_their_places():
    tile = np.random.default_rng(2).random((1, 7, 10), dtype=np.float32)
    seen = []

    def run(part):
        seen.append(part)
        return -0.5 * part, np.full_like(part, 0.2)

    correction, std = correct_picture(tile, PictureNoise(0.05, 2, 1.0), run)
    np.testing.assert_allclose(correction, -0.5 * tile)
    assert std.shape == tile.shape and (std >= np.float32(0.2)).all()
    assert sorted(part.size for part in seen) == [15, 15, 20, 20]
    for part in seen:
        top, left = np.argwhere(tile[0] == part[0, 0, 0])[0]
        np.testing.assert_array_equal(part, tile[:, top::2, left::2])
    whole, _ = correct_picture(tile, PictureNoise(0.05), lambda part: (np.ones_like(part), None))
    half, _ = correct_picture(tile, PictureNoise(0.05, 2, 0.25), lambda part: (np.full_like(part, part.size), None))
    np.testing.assert_array_equal(whole, 1)
    naive = 0.75 * tile.size + 0.25 * np.array([[20, 20], [15, 15]])[np.arange(7) % 2][:, np.arange(10) % 2]
    np.testing.assert_allclose(half[0], naive)


@pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped denoiser")
def test_the_shipped_model_takes_out_what_neighbours_share():
    """Taken for white, at a third of its level, it was left: less than 1 dB was gained."""
    model, clean = load_model(SHIPPED, "cpu"), galaxy(96)
    noisy = picture(1.0, side=96, seed=3)
    result = denoise_image(display(noisy), model, uncertainty=True)
    assert result.noise_sigma == pytest.approx(PUBLISHED_SIGMA, rel=0.15)
    assert peak_snr_db(clean, result.denoised) > peak_snr_db(clean, noisy) + 5
    inside = np.abs(result.denoised - clean) < result.uncertainty
    assert 0.6 < inside.mean() < 0.9
    turned = denoise_image(display(np.rot90(noisy, axes=(1, 2))), model).denoised
    np.testing.assert_allclose(turned, np.rot90(result.denoised, axes=(1, 2)), atol=1e-4)
