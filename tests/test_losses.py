"""Each loss against a naive re-derivation, and at the extremes."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from galaxy_core.losses import (
    darkening_loss,
    flux_bias_loss,
    flux_loss,
    luminance,
    masked_ssim_loss,
    momentum_contrast_loss,
    nt_xent_loss,
    ssim_map,
    total_variation_loss,
)


def random_images(n: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((n, 3, height, width)))


@pytest.mark.parametrize("shape", [(32, 40), (11, 11), (7, 23)])
def test_ssim_map_is_that_of_scikit_image(shape):
    clean, other = random_images(2, *shape), random_images(2, *shape, seed=1)
    other = 0.7 * clean + 0.3 * other
    ours = ssim_map(clean, other).numpy()
    for image in range(2):
        for band in range(3):
            a, b = clean[image, band].numpy(), other[image, band].numpy()
            if min(shape) >= 11:  # scikit-image refuses images smaller than its window
                theirs = structural_similarity(
                    a, b, full=True, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
                )[1]
                np.testing.assert_allclose(ours[image, band], theirs, atol=1e-12)
    assert np.isfinite(ours).all() and ours.max() <= 1 + 1e-12


def test_ssim_of_an_image_with_itself_is_one_and_an_inverted_image_scores_below_zero():
    image = random_images(1, 24, 24)
    assert torch.allclose(ssim_map(image, image), torch.ones_like(image))
    assert ssim_map(image, 1 - image).mean() < 0


def test_masked_ssim_sees_only_the_foreground():
    clean = random_images(1, 40, 40)
    foreground = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    foreground[..., 20:, :] = True
    damaged = clean.clone()
    damaged[..., :10, :] = 0  # more than a window away from the foreground
    assert masked_ssim_loss(damaged, clean, foreground) == pytest.approx(0, abs=1e-12)
    assert masked_ssim_loss(damaged, clean, ~foreground) > 0.1


def test_masked_ssim_sees_luminance_and_no_colour():
    clean = random_images(1, 24, 24)
    shifted = clean + 0.1 * torch.tensor([1 / 0.299, -1 / 0.587, 0]).view(1, 3, 1, 1)
    assert masked_ssim_loss(shifted, clean, torch.ones(1, 1, 24, 24)) == pytest.approx(0, abs=1e-6)


def test_masked_ssim_per_galaxy_counts_a_small_galaxy_as_much_as_a_large_one():
    generator = torch.Generator().manual_seed(4)
    clean, damaged = torch.rand(2, 2, 3, 24, 24, generator=generator, dtype=torch.float64)
    foreground = torch.zeros(2, 1, 24, 24, dtype=torch.bool)
    foreground[0, :, 8:10, 8:10] = True
    foreground[1, :, 2:22, 2:22] = True
    each = [float(masked_ssim_loss(damaged[i : i + 1], clean[i : i + 1], foreground[i : i + 1])) for i in range(2)]
    assert float(masked_ssim_loss(damaged, clean, foreground, per_galaxy=True)) == pytest.approx(np.mean(each))
    by_area = (4 * each[0] + 400 * each[1]) / 404
    assert float(masked_ssim_loss(damaged, clean, foreground)) == pytest.approx(by_area)


def test_masked_ssim_per_galaxy_leaves_out_a_stamp_without_a_galaxy():
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    foreground = torch.ones(2, 1, 16, 16, dtype=torch.bool)
    foreground[1] = False
    worse = image * 0.5
    alone = masked_ssim_loss(worse[:1], image[:1], foreground[:1])
    assert masked_ssim_loss(worse, image, foreground, per_galaxy=True) == pytest.approx(float(alone))
    assert masked_ssim_loss(worse, image, foreground & False, per_galaxy=True) == 1


def test_masked_ssim_of_an_empty_foreground_is_finite():
    image = random_images(1, 16, 16)
    assert masked_ssim_loss(image, image, torch.zeros(1, 1, 16, 16, dtype=torch.bool)) == 1


def test_total_variation_by_hand():
    image = torch.tensor([[[[0.0, 3.0, 1.0], [2.0, 0.0, 2.0]]]])
    everywhere = torch.ones_like(image, dtype=torch.bool)
    down = (2 + 3 + 1) / 3
    right = (3 + 2 + 2 + 2) / 4
    assert total_variation_loss(image, everywhere) == pytest.approx(down + right)
    first_two, first_row = everywhere.clone(), everywhere.clone()
    first_two[..., 2] = False  # a difference counts only where both neighbours are inside
    first_row[..., 1, :] = False
    assert total_variation_loss(image, first_two) == pytest.approx((2 + 3) / 2 + (3 + 2) / 2)
    assert total_variation_loss(image, first_row) == pytest.approx((3 + 2) / 2)


def test_total_variation_of_a_flat_sky_is_zero():
    assert total_variation_loss(torch.full((2, 3, 8, 8), 0.4), torch.ones(2, 3, 8, 8)) == 0


def test_darkening_is_the_mean_brightness_of_the_sky():
    image = torch.zeros(1, 3, 4, 4)
    image[..., 0, :] = 0.5
    sky = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert darkening_loss(image, sky) == pytest.approx(0.125) == darkening_loss(-image, sky)
    sky[..., 0, :] = False
    assert darkening_loss(image, sky) == 0


def test_flux_bias_is_what_all_have_wrong_alike():
    clean = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    foreground = torch.ones(3, 1, 8, 8, dtype=torch.bool)
    foreground[2] = False  # no galaxy: counts for nothing
    factors = torch.tensor([1.04, 0.98, 7.0], dtype=torch.float64).view(3, 1, 1, 1)
    assert float(flux_bias_loss(clean * factors, clean, foreground)) == pytest.approx(0.01**2)
    assert float(flux_loss(clean * factors, clean, foreground)) == pytest.approx((0.04**2 + 0.02**2) / 2)
    assert flux_bias_loss(clean, clean, foreground & False) == 0


def test_flux_loss_is_the_squared_relative_error_of_each_galaxy():
    truth = torch.full((2, 3, 4, 4), 0.5)
    output = truth.clone()
    output[0] *= 1.1
    output[1, ..., 2:, :] = 9.0  # outside the foreground: not this loss's business
    foreground = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    foreground[..., :2, :] = True
    assert flux_loss(output, truth, foreground) == pytest.approx(0.1**2 / 2, rel=1e-5)
    assert flux_loss(output, torch.zeros_like(truth), foreground) == 0  # no flux to be wrong about


def naive_nt_xent(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    views = [*first, *second]
    n = len(first)

    def similarity(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    losses = []
    for i, view in enumerate(views):
        partner = (i + n) % (2 * n)
        terms = {j: np.exp(similarity(view, other) / temperature) for j, other in enumerate(views) if j != i}
        losses.append(-np.log(terms[partner] / sum(terms.values())))
    return float(np.mean(losses))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_nt_xent_is_simclr_equation_one(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=(n, 5)), rng.normal(size=(n, 5))
    ours = float(nt_xent_loss(torch.from_numpy(first), torch.from_numpy(second), 0.2))
    assert ours == pytest.approx(naive_nt_xent(first, second, 0.2), rel=1e-5, abs=1e-6)


def test_nt_xent_prefers_views_that_agree():
    galaxies = torch.eye(6)
    assert nt_xent_loss(galaxies, galaxies, 0.1) < 0.01 < nt_xent_loss(galaxies, galaxies.roll(1, 0), 0.1)


def test_luminance_weights():
    assert luminance(torch.ones(1, 3, 2, 2)).flatten().tolist() == pytest.approx([1.0] * 4)
    green = torch.zeros(1, 3, 1, 1)
    green[:, 1] = 1
    assert luminance(green).item() == pytest.approx(0.587)


def naive_momentum_contrast(queries, keys, queue, temperature, excluded) -> float:
    losses = []
    for i, query in enumerate(queries):
        query = query / np.linalg.norm(query)
        own = np.exp(query @ keys[i] / np.linalg.norm(keys[i]) / temperature)
        others = [np.exp(query @ queue[:, k] / temperature) for k in range(queue.shape[1]) if not excluded[i, k]]
        losses.append(-np.log(own / (own + sum(others))))
    return float(np.mean(losses))


@pytest.mark.parametrize(("n", "n_queue"), [(1, 1), (2, 5), (6, 30)])
def test_momentum_contrast_is_equation_one_of_moco(n, n_queue):
    rng = np.random.default_rng(n)
    queries, keys, queue = rng.normal(size=(n, 4)), rng.normal(size=(n, 4)), rng.normal(size=(4, n_queue))
    queue /= np.linalg.norm(queue, axis=0)
    excluded = rng.random((n, n_queue)) < 0.3
    tensors = [torch.from_numpy(array) for array in (queries, keys, queue)]
    ours = float(momentum_contrast_loss(*tensors, 0.2, torch.from_numpy(excluded)))
    assert ours == pytest.approx(naive_momentum_contrast(queries, keys, queue, 0.2, excluded), rel=1e-4, abs=1e-6)
    plain = naive_momentum_contrast(queries, keys, queue, 0.5, np.zeros_like(excluded))
    assert float(momentum_contrast_loss(*tensors, 0.5)) == pytest.approx(plain, rel=1e-4, abs=1e-6)


def test_momentum_contrast_with_an_empty_queue_has_nothing_to_tell_apart():
    queries = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = momentum_contrast_loss(queries, queries.detach(), torch.zeros(4, 5), 0.2, torch.ones(3, 5, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and torch.equal(queries.grad, torch.zeros(3, 4))


def test_momentum_contrast_teaches_queries_not_keys():
    queries, keys = (torch.randn(3, 4, generator=torch.Generator().manual_seed(k)).requires_grad_() for k in (0, 1))
    momentum_contrast_loss(queries, keys, torch.eye(4), 0.2).backward()
    assert keys.grad is None and queries.grad.abs().sum() > 0
