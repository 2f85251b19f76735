"""The star-galaxy networks: densities, evidence against the long way, the bound, and what a turn may not change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from galaxy_core.models import load_model, save_model
from galaxy_core.models.point_fit import fit_points, low_waves
from galaxy_core.models.star_galaxy import Evidence, StarGalaxyConfig, StarGalaxyNet, normal
from galaxy_core.models.star_galaxy_trunk import planes_seen
from galaxy_core.recipes.star_galaxy_vae import turned
from galaxy_core.simulator.star_galaxy import simulate_object
from galaxy_core.star_galaxy_losses import label_loss, two_peak_bound

TINY = StarGalaxyConfig(widths=(4, 8, 8), hidden_size=8, n_gaussians=3, n_samples=8)


def net(**changes) -> StarGalaxyNet:
    torch.manual_seed(0)
    return StarGalaxyNet(replace(TINY, **changes)).eval()


@pytest.fixture(scope="module")
def objects():
    """Eight simulated objects: stamps in units of noise, seeing in pixels, noise, and whether each is a galaxy."""
    made = [simulate_object(i) for i in range(8)]
    stamps = torch.from_numpy(np.stack([o.image / o.noise_sigma[:, None, None] for o in made]))
    seeing = torch.from_numpy(np.stack([o.psf_fwhm_arcsec for o in made]) / np.float32(0.396))
    noise = torch.from_numpy(np.stack([o.noise_sigma for o in made]))
    return stamps, seeing, noise, np.array([o.parameters.is_galaxy for o in made])


def test_convolutions_learn_in_few_digits_and_a_model_in_use_has_all(objects):
    stamps, seeing, _, _ = objects
    planes, trunk = fit_points(stamps, seeing).planes, net().encoder
    torch.nn.init.normal_(trunk.head[-1].weight)
    told, seen, dtypes = torch.zeros(8, 8), planes_seen(planes, TINY.seen_px), []
    trunk.convolutions[0].register_forward_hook(lambda _, __, made: dtypes.append(made.dtype))
    maps = trunk.convolutions(seen)
    expected = trunk.head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3)), told], 1))
    assert torch.equal(trunk(planes, told), expected)
    learned = trunk.train()(planes, told)
    assert dtypes == [torch.float32, torch.float32, torch.bfloat16] and learned.dtype == torch.float32
    torch.testing.assert_close(learned, expected, rtol=0.05, atol=0.05 * float(expected.detach().abs().max()))
    learned.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in trunk.parameters())


def test_normal_is_the_density_of_normal_numbers():
    values = torch.tensor([[0.3, -1.2], [2.0, 0.1]])
    expected = norm.logpdf(values.numpy(), 0.5, math.exp(0.2)).sum(-1)
    np.testing.assert_allclose(normal(values, 0.5, torch.tensor(0.2)), expected, rtol=1e-5)


def test_no_extent_is_the_seeing_and_extent_is_a_variance():
    point, extended = net().profiles(torch.tensor([[0.0, 0.4]]), torch.zeros(1, 2, 3), torch.tensor([1.4]))[0].detach()
    torch.testing.assert_close(point, torch.ones_like(point))
    _, ky, kx = low_waves(TINY.stamp_px)
    small = torch.argsort(torch.hypot(ky, kx))[1]  # the longest wave: 1 - G is half the variance times k squared
    variance = float(2 * (1 - extended[small]) / (ky[small] ** 2 + kx[small] ** 2))
    assert variance == pytest.approx(0.4 * 1.4**2, rel=0.05)


def test_shear_keeps_the_area_and_turns_with_its_numbers():
    latents = torch.zeros(1, 2, 4)
    latents[0, 0, 1], latents[0, 1, 1] = 0.6, -0.6
    first, second = net().galaxy_profiles(latents, torch.tensor([1.4]))[0].detach()
    _, ky, kx = low_waves(TINY.stamp_px)
    row = torch.nonzero((ky == 0) & (kx > 0)).flatten()[0]
    column = torch.nonzero((kx == 0) & torch.isclose(ky, kx[row])).flatten()[0]
    assert first[row] < first[column]  # wide along x
    torch.testing.assert_close(first[row], second[column])


def test_the_evidence_is_the_integral_over_the_prior(objects):
    """With many draws the encoder drops out: as the plain mean of the likelihood over draws of the prior."""
    stamps, seeing, _, _ = objects
    model = net()
    fit = fit_points(stamps * 0.3, seeing)
    hidden = model.photometry(fit, None)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        evidence = model.evidence(fit, hidden, torch.randn(8, 6000, 4, generator=generator))
        _, centre, log_width = model.gated(fit, hidden)
        draws = torch.randn(8, 6000, 4, generator=generator)
        widths = torch.stack(
            [log_width, *[model.log_shear_width.expand(8)] * 2, torch.zeros(8)], 1
        ).exp()[:, None]  # fmt: skip
        latents = widths * draws
        latents[..., 0] += centre[:, None]
        profiles = model.galaxy_profiles(latents, fit.psf_sigma_px)
        galaxy = torch.logsumexp(model.likelihood(fit, profiles), 1) - math.log(6000)
        extents = model.log_star_width.exp() * torch.randn(8, 4000, generator=generator)
        profiles = model.profiles(extents, torch.zeros(8, 4000, 3), fit.psf_sigma_px)
        star = torch.logsumexp(model.likelihood(fit, profiles), 1) - math.log(4000)
    torch.testing.assert_close(evidence.galaxy, galaxy, atol=0.15, rtol=0.05)
    torch.testing.assert_close(evidence.star, star, atol=0.1, rtol=0.02)


def test_the_bound_sums_over_the_peaks():
    star, galaxy, odds = torch.tensor([1.0, -3.0]), torch.tensor([0.5, 2.0]), torch.tensor([0.4, -1.0])
    share = 1 / (1 + np.exp(-odds.numpy()))
    expected = -np.log((1 - share) * np.exp(star.numpy()) + share * np.exp(galaxy.numpy())).mean()
    assert float(two_peak_bound(Evidence(star, galaxy, odds))) == pytest.approx(expected, rel=1e-5)
    logit = Evidence(star, galaxy, odds).logit.numpy()
    posterior = share * np.exp(galaxy.numpy()) / ((1 - share) * np.exp(star.numpy()) + share * np.exp(galaxy.numpy()))
    np.testing.assert_allclose(1 / (1 + np.exp(-logit)), posterior, rtol=1e-5)


def test_label_loss_is_the_cross_entropy():
    logit, truth = torch.tensor([2.0, -0.5]), torch.tensor([1, 0])
    p = 1 / (1 + np.exp(-logit.numpy()))
    assert float(label_loss(logit, truth)) == pytest.approx(-np.log([p[0], 1 - p[1]]).mean(), rel=1e-5)


def test_an_untrained_net_knows_bright_galaxies_from_the_optics(objects):
    stamps, seeing, noise, is_galaxy = objects
    logit, _ = net()(stamps, seeing, noise)
    assert logit[is_galaxy].mean() > logit[~is_galaxy].mean()
    assert (logit[~is_galaxy] < 0).all()


def test_stamps_of_other_bands_are_told_by_shape_alone(objects):
    stamps, seeing, noise, _ = objects
    model = net()
    assert torch.isfinite(model(stamps[:, 2:3], seeing[:, 2:3])[0]).all()
    fit = fit_points(stamps, seeing)
    assert model.photometry(fit, None).abs().sum() == 0
    assert model.photometry(fit, noise)[:, -1].eq(1).all()
    one_band = fit_points(stamps[:, :1], seeing[:, :1])
    assert model.photometry(one_band, noise[:, :1]).abs().sum() == 0


@pytest.mark.parametrize(("quarters", "mirrored"), [(0, True), (1, False), (2, False), (3, True)])
def test_turns_keep_the_middle_and_the_light(quarters, mirrored):
    planes = torch.zeros(1, 1, 8, 8)
    planes[0, 0, 4, 4], planes[0, 0, 4, 6] = 2.0, 1.0
    out = turned(planes, quarters, mirrored)
    assert float(out[0, 0, 4, 4]) == 2.0 and float(out.sum()) == 3.0
    place = {(0, True): (4, 2), (1, False): (2, 4), (2, False): (4, 2), (3, True): (6, 4)}[quarters, mirrored]
    assert float(out[0, 0, place[0], place[1]]) == 1.0


def test_the_networks_see_the_middle():
    planes = torch.zeros(1, 2, 32, 32)
    planes[0, :, 16, 16] = 5.0
    seen = planes_seen(planes, 24)
    assert seen.shape == (1, 4, 24, 24)
    assert seen[0, :, 12, 12].tolist() == pytest.approx([math.asinh(5.0), math.asinh(5.0), 0.0, 1.0])


def test_a_model_comes_back_from_its_folder(tmp_path, objects):
    stamps, seeing, noise, _ = objects
    model = net()
    save_model(tmp_path / "m", model)
    back = load_model(tmp_path / "m")
    assert back.config == model.config
    torch.testing.assert_close(back(stamps, seeing, noise)[0], model(stamps, seeing, noise)[0], atol=0.3, rtol=0.05)
