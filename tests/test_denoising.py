"""The denoising service: identity is exact, tiles leave no seam, what comes out is as it should be."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from astropy.io import fits
from denoiser_stand_ins import Identity, Smooth, Sure, display, frame, linear
from PIL import Image

from galaxy_core.denoising import denoise_image
from galaxy_core.errors import ImageError
from galaxy_core.images import decode_image
from galaxy_core.linear_denoising import linear_noise_sigma
from galaxy_core.saved_images import encode_part, encode_result
from galaxy_core.tiles import OVERLAP_PX, TILE_PX, _groups, blend_tiles


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (3, 300, 290), (1, 257, 33), (5, 40, 40), (2, 30, 300)])
def test_identity_model_returns_the_input_bit_for_bit(shape):
    pixels = np.random.default_rng(1).random(shape, dtype=np.float32)
    for image in (display(pixels), linear(pixels * 1e4 + 7000)):
        result = denoise_image(image, Identity())
        np.testing.assert_array_equal(result.denoised, image.pixels)
        assert not result.residual.any()


class Sideways(Identity):
    """Moves every image one pixel to the right: what a model does that knows left from right."""

    def denoise(self, images, noise_sigma=None):
        _, sigma = super().denoise(images, noise_sigma)
        return images.roll(1, dims=3), sigma


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 24, 37), (1, TILE_PX, 100)])
def test_a_stamp_that_is_turned_gives_the_same_turned(shape):
    pixels = np.random.default_rng(4).random(shape, dtype=np.float32)
    upright = denoise_image(display(pixels), Sideways(), 0.05).denoised
    assert not np.allclose(upright, pixels)
    for turns in range(4):
        for mirror in (False, True):

            def turn(image, turns=turns, mirror=mirror):
                turned = np.rot90(image, turns, axes=(1, 2))
                return turned[:, :, ::-1] if mirror else turned

            result = denoise_image(display(turn(pixels)), Sideways(), 0.05).denoised
            np.testing.assert_allclose(result, turn(upright), atol=1e-6)


def test_only_stamps_are_denoised_in_eight_positions():
    """Naive: the mean over the positions of a stamp; one position for what is larger than a tile, and for frames."""
    pixels = np.random.default_rng(5).random((1, 30, 30), dtype=np.float32)
    found = denoise_image(display(pixels), Sideways(), 0.05).denoised[0]
    shifted = [np.roll(pixels[0], step, axis) for axis in (0, 1) for step in (1, -1)]
    np.testing.assert_allclose(found, np.mean(shifted, axis=0), atol=1e-6)
    large = np.random.default_rng(6).random((1, TILE_PX + 1, 40), dtype=np.float32)
    for image in (display(large), linear(pixels * 100)):
        model = Identity()
        denoise_image(image, model, 0.05)
        assert {size[0] for size in model.sizes} == {1}


@pytest.mark.parametrize(("workers", "together"), [(1, 1), (3, 4)])
def test_tiles_cover_every_pixel_once(workers, together):
    """Outputs of one, weighted and blended, add up to one everywhere; every row is written once, in order."""
    for height, width in [(1, 1), (32, 33), (TILE_PX, TILE_PX + 1), (600, 481), (TILE_PX + OVERLAP_PX, 449)]:
        image = np.random.default_rng(0).random((2, height, width), dtype=np.float32)
        fractions, rows = [], []

        def write(top, bottom, original, blended, image=image, rows=rows):
            np.testing.assert_allclose(blended, 1, rtol=1e-6)
            np.testing.assert_array_equal(original, image[:, top:bottom])
            assert blended.shape == (1, bottom - top, image.shape[2])
            rows += range(top, bottom)

        def read(top, bottom, image=image):
            return image[:, top:bottom]

        def ones(tiles):
            assert 1 <= len(tiles) <= together
            return [np.ones_like(tile[:1]) for tile in tiles]

        blend_tiles(read, (height, width), ones, write, fractions.append, workers, together=together)
        assert fractions[-1] == 1 and fractions == sorted(fractions) and rows == list(range(height))


@pytest.mark.parametrize(("n_tiles", "most"), [(1, 10), (2, 10), (9, 10), (81, 10), (81, 1), (400, 10)])
def test_groups_of_tiles_get_smaller_towards_the_end(n_tiles, most):
    sizes = [len(group) for group in _groups(iter([(i,) for i in range(n_tiles)]), n_tiles, most)]
    assert sum(sizes) == n_tiles and max(sizes) <= most and sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 2 and (n_tiles < 40 or sizes[0] == most)


def test_no_seam_shows_between_tiles():
    """Smoothed in tiles or in one piece: the same to rounding away from tile borders, where blending hides padding."""
    pixels = np.random.default_rng(2).random((3, 500, 300), dtype=np.float32)
    model = Smooth()
    tiled = denoise_image(display(pixels), model, noise_sigma=0.05).denoised
    assert max(max(size[2:]) for size in model.sizes) <= TILE_PX
    whole = model.denoise(torch.from_numpy(pixels)[None], torch.tensor([0.05]))[0][0].numpy()
    difference = np.abs(tiled - whole)
    assert difference.max() < 0.15 * np.abs(pixels - whole).max()
    seam = np.zeros((500, 300), bool)
    for start in range(TILE_PX - OVERLAP_PX, 500, TILE_PX - OVERLAP_PX):
        for edge in (start, start + OVERLAP_PX):
            seam[edge - 4 : edge + 4] = True
            seam[:, edge - 4 : edge + 4] = True
    assert difference[:, ~seam].max() < 1e-5


def test_grey_is_shown_as_colour_and_many_bands_one_by_one():
    pixels = np.random.default_rng(3).random((1, 40, 40), dtype=np.float32)
    model = Smooth()
    grey = denoise_image(display(pixels), model).denoised
    assert all(size[1] == 3 for size in model.sizes)
    colour = denoise_image(display(np.repeat(pixels, 3, axis=0)), Smooth()).denoised
    np.testing.assert_allclose(grey[0], colour[0], atol=1e-6)
    five = denoise_image(display(np.repeat(pixels, 5, axis=0)), Smooth()).denoised
    np.testing.assert_allclose(five, np.repeat(grey, 5, axis=0), atol=1e-6)


def test_progress_is_that_of_all_bands():
    told = []
    denoise_image(linear(np.random.default_rng(0).normal(size=(3, 40, 40))), Smooth(), 1.0, told.append)
    assert told == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_noise_comes_from_the_model_unless_given():
    pixels = np.random.default_rng(4).random((3, 40, 40), dtype=np.float32)
    model = Identity()
    assert denoise_image(display(pixels), model).noise_sigma == pytest.approx(0.05)
    result = denoise_image(display(pixels), model, noise_sigma=0.11)
    assert result.noise_sigma == 0.11 and result.noise_given and model.told[-1] == pytest.approx(0.11)


def test_residual_is_exact_and_result_is_frozen():
    pixels = np.random.default_rng(5).random((3, 64, 64), dtype=np.float32)
    result = denoise_image(display(pixels), Smooth())
    np.testing.assert_array_equal(result.residual, result.image - result.denoised)
    assert result.model_name == "smooth" and result.seconds >= 0
    with pytest.raises(AttributeError):
        result.noise_sigma = 1.0


@pytest.mark.parametrize("kind", [display, linear])
def test_blank_images_come_back_as_they_were(kind):
    result = denoise_image(kind(np.full((1, 50, 50), 0.25)), Sure(), uncertainty=True)
    np.testing.assert_array_equal(result.denoised, result.image)
    assert result.noise_sigma == 0 and np.isnan(result.uncertainty).all(), "not found is not known to be none"


def test_bad_requests_are_one_sentence():
    with pytest.raises(ImageError, match="no finite pixel"):
        denoise_image(linear(np.full((1, 9, 9), np.nan)), Identity())
    for sigma in (0.0, -1.0, np.nan):
        with pytest.raises(ImageError, match="positive"):
            denoise_image(display(np.ones((1, 9, 9))), Identity(), noise_sigma=sigma)


def test_noise_out_of_all_proportion_is_one_sentence():
    """Told in another unit by mistake, a model would make up all it shows; smoothing more than is due is allowed."""
    noisy = frame((60, 60), stars=())[1][None]
    with pytest.raises(ImageError, match=r"100 times that of the pixels, .*; give it in the unit of the image"):
        denoise_image(linear(noisy), Smooth(), noise_sigma=100 * linear_noise_sigma(noisy[0]))
    assert denoise_image(linear(noisy), Smooth(), noise_sigma=200.0).noise_sigma == 200
    with pytest.raises(ImageError, match="more than its white; give it in counts"):
        denoise_image(display(np.random.default_rng(0).random((1, 9, 9))), Smooth(), noise_sigma=1.2)


def test_fits_result_keeps_header_and_says_what_was_done():
    header = fits.Header({"CRVAL1": 150.1, "CTYPE1": "RA---TAN", "BUNIT": "ADU", "BZERO": 32768.0, "DATASUM": "1"})
    _, noisy = frame()
    result = denoise_image(linear(noisy[None], header), Smooth())
    files = encode_result(result)
    assert set(files) == {"frame_denoised.fits", "frame_residual.fits"}
    with fits.open(io.BytesIO(files["frame_denoised.fits"])) as hdus:
        out = hdus[0].header
        np.testing.assert_array_equal(hdus[0].data, result.denoised[0])
    assert out["CRVAL1"] == 150.1 and out["BUNIT"] == "ADU" and "DATASUM" not in out
    assert "smooth" in str(out["HISTORY"]) and "denoised" in str(out["HISTORY"])


def test_history_claims_of_pictures_nothing_that_is_so_of_linear_frames_alone():
    """A display image is denoised all over, its brightest pixels too."""
    pixels = np.random.default_rng(6).random((1, 40, 40), dtype=np.float32)
    for image, kept in ((linear(frame((40, 40), stars=())[1][None]), True), (display(pixels), False)):
        result = denoise_image(image, Smooth())
        history = " ".join(fits.getheader(io.BytesIO(encode_part(result, "denoised")))["HISTORY"])
        assert ("unchanged" in history) is kept is result.keeps_light
        assert "Sky noise sigma" in history


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("bands", [2, 4])
def test_bands_that_no_picture_has_are_saved_as_fits(bits, bands):
    """Deep TIFF may have any number; a PNG of them could not be read."""
    result = denoise_image(display(np.random.default_rng(6).random((bands, 20, 30)), bits=bits), Identity())
    files = encode_result(result)
    assert set(files) == {"galaxy_denoised.fits", "galaxy_residual.fits"}
    assert np.array_equal(fits.getdata(io.BytesIO(files["galaxy_denoised.fits"])), result.denoised)


def test_picture_results_keep_size_and_depth():
    pixels = np.random.default_rng(6).random((1, 20, 30), dtype=np.float32)
    for bits, mode in ((8, "L"), (16, "I;16")):
        files = encode_result(denoise_image(display(pixels, bits=bits), Identity()))
        picture = Image.open(io.BytesIO(files["galaxy_denoised.png"]))
        assert picture.mode == mode and picture.size == (30, 20)
        residual = decode_image(files["galaxy_residual.png"], "residual").pixels
        assert abs(residual - 0.5).max() < 0.003, "zero residual is mid-grey"
