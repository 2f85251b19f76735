"""Before and after in numbers, against what was put into the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from galaxy_core.before_after import flux_changes, make_reference, measure_version, share_within
from galaxy_core.before_after_table import NOTHING, make_table

PLACES = [(30.0, 40.0), (100.0, 30.0), (60.0, 110.0), (150.0, 150.0), (40.0, 160.0)]


def field(places=PLACES, flux: float = 3000.0, width: float = 2.0, size: int = 190) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    image = np.full((size, size), 100.0)
    for a, b in places:
        image += flux / (2 * np.pi * width**2) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * width**2))
    return image[None].astype(np.float32)


def noisy_field(seed: int = 0, sigma: float = 5.0) -> np.ndarray:
    return field() + np.random.default_rng(seed).normal(0, sigma, (1, 190, 190)).astype(np.float32)


def measured(image, after, sigma=5.0, linear=True, clean=None):
    reference = make_reference(image, after, sigma, linear, clean)
    return reference, measure_version(reference, image), measure_version(reference, after)


def test_the_input_against_itself_changes_nothing():
    image = noisy_field()
    _, before, after = measured(image, image)
    assert before.n_detected == len(PLACES) == len(before.kept) == after.n_pairs
    assert len(after.gained) == len(after.lost) == 0
    assert np.all(flux_changes(before, after) == 0) and after.radius_change == 0 == after.ellipticity_change
    assert before.sky_noise == pytest.approx(5, rel=0.03)


@pytest.mark.parametrize("sigmas", [(1, 10, 1), (1, 1, 10), (10, 1, 1), (3, 4)])
def test_five_sigma_of_a_cube_are_five_of_its_grey_image(sigmas):
    """However unlike its bands: the noise that is told is the root mean square of theirs."""
    rng = np.random.default_rng(0)
    cube = np.stack([rng.normal(0, sigma, (300, 300)) for sigma in sigmas]).astype(np.float32)
    reference, before, _ = measured(cube, cube, float(np.sqrt(np.mean(np.square(sigmas)))))
    assert before.sky_noise == pytest.approx(reference.sigma, rel=0.02)
    assert np.allclose(reference.light, cube.mean(axis=0))


def test_a_grey_picture_saved_as_colour_has_the_noise_of_its_bands():
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.normal(0.4, 0.05, (1, 64, 64)), 3, axis=0).astype(np.float32)
    colour = rng.normal(0.4, 0.05, (3, 64, 64)).astype(np.float32)
    for image in (grey, colour):
        assert measured(image, image, 0.05, linear=False)[0].sigma == pytest.approx(image_noise(image), rel=0.05)


def image_noise(image: np.ndarray) -> float:
    return float(np.tensordot([0.299, 0.587, 0.114], image, 1).std())


def test_perfect_denoising_keeps_flux_and_shape_and_has_no_noise():
    _, before, after = measured(noisy_field(), field())
    assert after.sky_noise < 0.05 * before.sky_noise
    assert abs(np.median(flux_changes(before, after))) < 0.03
    assert after.radius_px == pytest.approx(2.0 * np.sqrt(2 * np.log(2)), rel=0.05), "half of a Gaussian's light"
    assert after.ellipticity < 0.1 and len(after.lost) == 0


def test_sky_is_far_from_sources_and_only_light_can_change_by_a_share():
    reference, before, after = measured(noisy_field(), field())
    y, x = np.mgrid[:190, :190]
    assert not any(reference.sky_pixels[np.hypot(x - a, y - b) < 6].any() for a, b in PLACES)
    fluxes = replace(before, fluxes=np.array([10.0, -1.0, 0.0])), replace(after, fluxes=np.array([11.0, 5.0, 5.0]))
    assert flux_changes(*fluxes) == pytest.approx([0.1])


def test_a_source_wiped_out_is_lost_and_one_made_up_is_gained():
    clean = field()
    wiped = field([*PLACES[1:], (120.0, 80.0)])
    _, _, after = measured(noisy_field(), wiped, clean=clean)
    assert after.lost[:, :2] == pytest.approx(np.array([PLACES[0]]), abs=0.5)
    assert after.gained[:, :2] == pytest.approx(np.array([[120.0, 80.0]]), abs=0.5)
    assert after.invented == 1, "the clean image does not have it"


def test_dimmer_and_broader_shows_as_such():
    image, dimmed = field(), 100 + 0.9 * (field() - 100)
    _, before, after = measured(image, dimmed, sigma=1.0)
    assert np.median(flux_changes(before, after)) == pytest.approx(-0.1, abs=0.005)
    _, _, after = measured(field(flux=20_000), field(flux=20_000, width=3.0))
    assert after.radius_change == pytest.approx(0.5, abs=0.05)
    _, _, after = measured(field(), (field() + np.roll(field(), 4, axis=2)) / 2)
    assert 0.2 < after.ellipticity_change < 0.5, "drawn out along the rows"


def test_uncertainty_is_held_against_the_clean_image():
    clean = np.clip(np.repeat((field([(95.0, 95.0)], 1000.0, 12.0) - 100) * 3 / 4, 3, axis=0), 0, 1)
    noisy = clean + np.random.default_rng(2).normal(0, 0.05, clean.shape).astype(np.float32)
    within = share_within(clean, noisy, np.full_like(clean, 0.05))
    assert within == pytest.approx((0.683, 0.95), abs=0.01)
    reference, before, after = measured(noisy, noisy, 0.05, linear=False, clean=clean)
    versions = {"Input": before, "Galaxy Atlas": replace(after, within=within)}
    lines = {line.quantity: line for line in make_table(reference, versions, "counts", 255.0)}
    assert lines["Within the uncertainty"].cells == (NOTHING, "68 %, 95 %")
    before, after = lines["Flux of the foreground [counts]"].cells
    assert after == f"{before} (+0.0 %)"


def test_display_image_is_measured_against_the_clean_one():
    rng = np.random.default_rng(1)
    clean = np.clip(np.repeat((field([(95.0, 95.0)], 1000.0, 12.0) - 100) * 3 / 4, 3, axis=0), 0, 1)
    noisy = np.clip(clean + rng.normal(0, 0.06, clean.shape), 0, 1).astype(np.float32)
    reference, before, after = measured(noisy, clean, 0.06, linear=False, clean=clean)
    assert reference.sigma == pytest.approx(0.06 * np.sqrt(0.299**2 + 0.587**2 + 0.114**2))
    assert after.strict_ssim == pytest.approx(1) and before.strict_ssim < 0.95
    assert after.error == 0 and after.flux_bias == 0 and after.psnr_db == pytest.approx(120)
    assert before.galaxy_flux == pytest.approx(after.galaxy_flux, rel=0.02), "a sky clipped at black is not taken off"
    assert reference.galaxy_of == "clean image"


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 2), (3, 7, 7), (1, 40, 3), (2, 9, 9), (5, 12, 12)])
@pytest.mark.parametrize("linear", [True, False])
def test_small_and_flat_images_have_nothing_to_measure(shape, linear):
    image = np.full(shape, 0.3, np.float32)
    reference, before, after = measured(image, image.copy(), 0.01, linear, image.copy())
    assert before.n_detected == 0 and len(after.gained) == 0
    for line in make_table(reference, {"Input": before, "Model": after}, "counts", 255.0):
        assert len(line.cells) == 2


def test_what_was_never_observed_is_no_sky():
    image = noisy_field()
    image[0, :, 165:] = 0
    _, before, after = measured(image, np.where(image == 0, image, field()))
    assert before.sky_noise == pytest.approx(5, rel=0.03) and after.sky_noise < 0.25
    assert before.n_detected == len(PLACES) == after.n_detected and len(after.gained) == 0


def test_no_noise_and_gaps():
    image = noisy_field()
    image[0, :20] = np.nan
    image[0, 100, 100] = np.inf
    _, before, after = measured(image, image)
    assert np.isfinite(before.sky_noise) and len(after.lost) == 0
    _, before, _ = measured(image, image, sigma=0.0)
    assert before.n_detected == 0


def test_table_says_what_each_line_was_measured_on():
    clean = field()
    reference, before, after = measured(noisy_field(), clean, clean=clean)
    lines = {line.quantity: line for line in make_table(reference, {"Input": before, "Model": after}, "adu", 1.0)}
    assert all(line.measured_on and len(line.cells) == 2 for line in lines.values())
    assert lines["Sky noise [adu]"].cells[0].startswith(("4.9", "5.0", "5.1"))
    assert "5 sources" in lines["Flux of sources, change"].measured_on
    assert lines["Flux of sources, change"].cells[0] == NOTHING and "%" in lines["Flux of sources, change"].cells[1]
    assert "-" not in "".join(cell for line in lines.values() for cell in line.cells), "minus signs are no hyphens"
    assert lines["Gained, lost"].cells == (NOTHING, "+0, −0") and lines["Not in the clean image"].cells[1] == "0"
    assert "Strict SSIM" not in lines, "defined for images in [0, 1] only"
