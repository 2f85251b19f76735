"""The numbers that judge a denoiser, re-derived."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError
from galaxy_core.evaluation import measure_denoising, measure_restoration, noisy_luminance, peak_snr_db
from galaxy_core.masks import foreground, luminance


@pytest.fixture(scope="module")
def galaxies() -> list[np.ndarray]:
    catalog = read_catalog("synthetic:3")
    return [catalog.load_image(row) for row in range(3)]


def test_restoration_by_hand(galaxies):
    galaxy = foreground(galaxies[0])
    clean = luminance(galaxies[0]).astype(float)
    restored = np.clip(clean + 0.02 * np.random.default_rng(0).normal(size=clean.shape), 0, 1)
    measured = measure_restoration(clean, restored, galaxy)
    options = {"full": True, "data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    strict = structural_similarity(clean, restored, **options)[1]
    published = structural_similarity(clean * galaxy, restored * galaxy, **options)[1]
    assert measured.strict_ssim == pytest.approx(strict[galaxy].mean())
    assert measured.published_ssim == pytest.approx(published.mean())
    assert measured.psnr_db == pytest.approx(10 * np.log10(1 / np.mean((clean - restored) ** 2)))
    errors = [(clean[y, x] - restored[y, x]) ** 2 for y, x in zip(*np.nonzero(galaxy), strict=True)]
    assert measured.foreground_psnr_db == pytest.approx(10 * np.log10(1 / np.mean(errors)))
    assert measured.flux_error == pytest.approx(restored[galaxy].sum() / clean[galaxy].sum() - 1)


def test_a_perfect_restoration(galaxies):
    clean = luminance(galaxies[0]).astype(float)
    measured = measure_restoration(clean, clean, foreground(galaxies[0]))
    assert (measured.strict_ssim, measured.published_ssim, measured.flux_error) == pytest.approx((1, 1, 0))
    assert measured.psnr_db == 120  # capped, not infinite


def test_the_published_number_flatters_the_noisy_input(galaxies):
    """The reason the strict number exists: black sky counts as perfectly restored."""
    scores = measure_denoising(galaxies, {"noisy": lambda noisy: noisy}, 1.0, seed=0)["noisy"]
    assert scores["published_ssim"] > 0.85 and scores["strict_ssim"] < 0.65
    assert scores["n_galaxies"] == 3


def test_the_noise_is_the_published_one(galaxies):
    clean, noisy = noisy_luminance(galaxies[0], 1.0, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    counts = clean * 255
    shot = rng.poisson(counts + 150) - 150.0
    by_hand = np.clip(shot + rng.normal(0, 10, counts.shape), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(np.rint(noisy * 255), by_hand)


def test_all_denoisers_see_the_same_noise_and_empty_stamps_are_passed_over(galaxies):
    seen = {"a": [], "b": []}

    def remember(name):
        return lambda noisy: seen[name].append(noisy) or noisy

    images = [galaxies[0], np.zeros_like(galaxies[0]), galaxies[1]]
    scores = measure_denoising(images, {name: remember(name) for name in seen}, 0.5, seed=1)
    assert scores["a"]["n_galaxies"] == 2 and scores["a"] == scores["b"]
    assert all(np.array_equal(a, b) for a, b in zip(*seen.values(), strict=True))


@pytest.mark.parametrize("images", [[], [np.zeros((3, 64, 64), np.float32)]])
def test_without_a_galaxy_there_is_nothing_to_measure(images):
    with pytest.raises(CatalogError, match="None of the test images"):
        measure_denoising(images, {"noisy": lambda noisy: noisy}, 1.0, seed=0)


def test_psnr_of_known_errors():
    assert peak_snr_db(np.zeros((2, 2)), np.full((2, 2), 0.1)) == pytest.approx(20)
