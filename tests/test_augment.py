"""Views keep what a galaxy is; noise has the moments it claims."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Generator

from galaxy_core.augment import (
    ViewConfig,
    _affine_grid,
    _random_photometry,
    linear_noise,
    published_noise,
    random_crop,
    random_dihedral,
    random_view,
)
from galaxy_core.noise import PUBLISHED_SIGMA, add_published_noise
from galaxy_core.stamps import FEW

STILL = ViewConfig(
    scale_min=1,
    scale_max=1,
    shift_max=0,
    brightness_log_sigma=0,
    channel_gain_log_sigma=0,
    grey_probability=0,
    noise_probability=0,
)


def blob(n: int = 4, side: int = 64) -> torch.Tensor:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    galaxy = np.exp(-(x**2 / 60 + y**2 / 20))
    return torch.from_numpy(np.stack([galaxy, 0.8 * galaxy, 0.5 * galaxy]).astype(np.float32)).repeat(n, 1, 1, 1)


def test_a_view_without_rotation_is_the_two_by_two_mean(monkeypatch):
    monkeypatch.setattr(torch, "randint", lambda *args, **kwargs: torch.zeros(args[2], dtype=torch.long))
    monkeypatch.setattr("galaxy_core.augment._uniform", lambda n, low, high, generator: torch.zeros(n))
    images = torch.rand(3, 3, 32, 32, generator=Generator().manual_seed(0))
    view = random_view(images, 16, STILL, Generator().manual_seed(0))
    torch.testing.assert_close(view, torch.nn.functional.avg_pool2d(images, 2))


def test_rotated_views_keep_the_flux_and_the_centre():
    images = blob(16)
    views = random_view(images, 32, STILL, Generator().manual_seed(3))
    flux = views.sum(dim=(1, 2, 3)) * 4
    torch.testing.assert_close(flux, images.sum(dim=(1, 2, 3)), rtol=0.01, atol=0)
    assert not torch.allclose(views[0], views[1], atol=0.05)  # at different angles
    rows = torch.arange(32) - 15.5
    centre = (views.sum(dim=(1, 3)) * rows).sum(dim=1) / views.sum(dim=(1, 2, 3))
    assert centre.abs().max() < 0.05


def test_scale_changes_the_apparent_size_within_its_limits():
    config = dataclasses.replace(STILL, scale_min=0.7, scale_max=1.15)
    views = random_view(blob(64), 32, config, Generator().manual_seed(4))
    size = torch.sqrt(views[:, 0].sum(dim=(1, 2)) / blob(1)[:, 0].sum() * 4)
    assert 0.69 < size.min() < 0.75 and 1.08 < size.max() < 1.16


def test_photometry_options():
    grey = random_view(blob(8), 32, dataclasses.replace(STILL, grey_probability=1), Generator().manual_seed(0))
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])
    noisy = random_view(
        torch.full((8, 3, 64, 64), 0.5), 64, dataclasses.replace(STILL, noise_probability=1), Generator().manual_seed(0)
    )
    assert noisy.std() > 0.01 and noisy.min() >= 0 and noisy.max() <= 1


def test_views_are_reproducible():
    first, again = (random_view(blob(3), 16, ViewConfig(), Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(first, again)


def test_dihedral_is_exact_and_reaches_all_eight_symmetries():
    image = torch.arange(12.0).reshape(1, 3, 2, 2) * torch.tensor([1.0, 10, 100]).view(1, 3, 1, 1)
    turned = random_dihedral(image.repeat(200, 1, 1, 1), Generator().manual_seed(0))
    distinct = {tuple(one.flatten().tolist()) for one in turned}
    assert len(distinct) == 8
    assert all(sorted(values) == sorted(image.flatten().tolist()) for values in distinct)


def test_crop_is_a_window_of_the_image():
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    crop = random_crop(image, 3, Generator().manual_seed(1))
    top, left = divmod(int(crop[0, 0, 0, 0]), 8)
    assert torch.equal(crop, image[..., top : top + 3, left : left + 3])
    assert torch.equal(random_crop(image, 8, Generator()), image)


@pytest.mark.parametrize("counts", [0, 3, 100])
def test_published_noise_has_the_moments_of_the_definition(counts):
    images = torch.full((1, 1, 400, 400), counts / 255)
    ours = published_noise(images, torch.ones(1), Generator().manual_seed(0)) * 255
    theirs = add_published_noise(np.full((400, 400), counts, np.uint8), np.random.default_rng(0)).astype(float)
    assert torch.equal(ours.round(), ours.round().clamp(0, 255)) and (ours - ours.round()).abs().max() < 1e-3
    assert float(ours.mean()) == pytest.approx(theirs.mean(), abs=0.15)
    assert float(ours.std()) == pytest.approx(theirs.std(), rel=0.02)


@pytest.mark.parametrize("counts", [0, 40, 255])
def test_published_noise_is_distributed_as_the_definition_with_poisson_counts(counts):
    images = torch.full((1, 1, 1500, 1500), counts / 255)
    ours = published_noise(images, torch.ones(1), Generator().manual_seed(0)) * 255
    theirs = add_published_noise(np.full((1500, 1500), counts, np.uint8), np.random.default_rng(0))
    shares = [np.bincount(np.rint(x).astype(int).ravel(), minlength=256) / x.size for x in (ours.numpy(), theirs)]
    assert np.abs(np.cumsum(shares[0] - shares[1])).max() < 2e-3  # two draws of so many differ by 0.0015 in one of ten


def test_linear_noise_is_unclipped_unbiased_and_grows_with_level():
    sky = torch.zeros(2, 1, 300, 300)
    noisy = linear_noise(sky, torch.tensor([1.0, 2.0]), Generator().manual_seed(0))
    assert noisy.min() < 0
    assert float(noisy[0].mean()) == pytest.approx(0, abs=1e-3)
    assert float(noisy[0].std()) == pytest.approx(PUBLISHED_SIGMA, rel=0.02)
    assert float(noisy[1].std()) == pytest.approx(2 * PUBLISHED_SIGMA, rel=0.02)


def test_no_noise_at_level_zero_but_the_truncation_to_counts():
    images = torch.rand(1, 3, 20, 20, generator=Generator().manual_seed(0))
    quiet = published_noise(images, torch.zeros(1), Generator().manual_seed(0))
    assert (images - quiet).min() >= -1e-6 and (images - quiet).max() < 1 / 255 + 1e-6


@pytest.mark.parametrize(("n", "size"), [(1, 1), (3, 5), (4, 64)])
def test_where_views_are_sampled_is_the_affine_grid(n, size):
    theta = torch.randn(n, 2, 3, generator=Generator().manual_seed(n))
    expected = torch.nn.functional.affine_grid(theta, [n, 3, size, size], align_corners=False)
    torch.testing.assert_close(_affine_grid(theta, size), expected, rtol=1e-5, atol=1e-5)


def test_photometry_is_its_definition_with_the_same_draws():
    images, config = torch.rand(32, 3, 8, 8, generator=Generator().manual_seed(1)), ViewConfig(grey_probability=0.4)
    found = _random_photometry(images.clone(), config, Generator().manual_seed(2))
    generator = Generator().manual_seed(2)
    log_gain = 0.15 * torch.randn(32, 1, generator=generator) + 0.07 * torch.randn(32, 3, generator=generator)
    grey = torch.rand(32, generator=generator) < 0.4
    noisy = torch.rand(32, generator=generator) < 0.3
    sigma = iter(0.6 * torch.rand(int(noisy.sum()), generator=generator) * PUBLISHED_SIGMA)
    noise = iter(torch.randn(int(noisy.sum()), 3, 8, 8, generator=generator))
    for row in range(32):
        view = images[row] * log_gain[row].exp().view(3, 1, 1)
        view = view.mean(dim=0, keepdim=True).repeat(3, 1, 1) if grey[row] else view
        view = view + next(sigma) * next(noise) if noisy[row] else view
        torch.testing.assert_close(found[row], view.clamp(0, 1))
    assert 0 < grey.sum() < 32 and 0 < noisy.sum() < 32


@pytest.mark.parametrize("n", [1, FEW, 2 * FEW + 3])
def test_stamps_as_they_are_stored_give_the_views_of_their_colours(n):
    planes = torch.randint(0, 256, (n, 4, 32, 32), dtype=torch.uint8, generator=Generator().manual_seed(n))
    images = torch.from_numpy(planes.numpy()[:, :3].astype(np.float32) / np.float32(255))
    views, expected = (random_view(given, 16, ViewConfig(), Generator().manual_seed(1)) for given in (planes, images))
    torch.testing.assert_close(views, expected, rtol=0, atol=1e-6)


def test_views_leave_the_images_as_they_were():
    images = torch.rand(4, 3, 16, 16, generator=Generator().manual_seed(0))
    before = images.clone()
    random_view(images, 16, dataclasses.replace(STILL, noise_probability=1), Generator().manual_seed(0))
    assert torch.equal(images, before)
