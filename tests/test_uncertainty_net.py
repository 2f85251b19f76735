"""How far off a pixel may be: the network that says so, its calibration, its loss, and models with it and without."""

import dataclasses
import json
import math

import pytest
import torch

from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.uncertainty_net import UncertaintyNet, interval_loss
from galaxy_core.noise import PUBLISHED_SIGMA

SMALL = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))


@pytest.fixture
def model() -> ContrastiveDenoiser:
    torch.manual_seed(0)
    return ContrastiveDenoiser(SMALL).eval()


def with_uncertainty(seed: int = 0) -> ContrastiveDenoiser:
    torch.manual_seed(seed)
    model = ContrastiveDenoiser(dataclasses.replace(SMALL, uncertainty_widths=(8, 8))).eval()
    torch.nn.init.normal_(model.uncertainty_net.out.weight, std=0.05)
    return model


def test_a_model_without_uncertainty_says_so(model, tmp_path):
    folder = save_model(tmp_path / "m", model)
    record = json.loads((folder / "config.json").read_text())
    del record["config"]["uncertainty_widths"]  # as in checkpoints written before there was any
    (folder / "config.json").write_text(json.dumps(record))
    loaded = load_model(folder)
    assert loaded.uncertainty is None and loaded.interval_factors is None
    assert not any("uncertainty" in key for key in loaded.state_dict())


def test_uncertainty_survives_saving(tmp_path):
    model = with_uncertainty()
    model.uncertainty_net.calibration.copy_(torch.tensor([0.9, 1.1, 1.3]))
    model.uncertainty_net.interval_factors.copy_(torch.tensor([1.02, 1.9]))
    loaded = load_model(save_model(tmp_path / "m", model))
    images, sigma = torch.rand(2, 3, 20, 20), torch.tensor([0.03, 0.1])
    assert loaded.interval_factors == pytest.approx((1.02, 1.9))
    told = (images, images * 0.9, sigma)
    torch.testing.assert_close(loaded.uncertainty(*told), model.uncertainty(*told), rtol=1e-2, atol=0)


def test_weights_without_the_uncertainty_their_configuration_names_do_not_fit(model, tmp_path):
    folder = save_model(tmp_path / "m", model)
    record = json.loads((folder / "config.json").read_text())
    record["config"]["uncertainty_widths"] = [8, 8]
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match="do not fit"):
        load_model(folder)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (16, 16), (33, 50)])
def test_standard_deviations_of_any_size_are_positive(shape):
    images = torch.rand(2, 3, *shape) * 4 - 2
    std = with_uncertainty().uncertainty(images, images / 2, torch.tensor([1e-4, 1.0]))
    assert std.shape == images.shape and torch.isfinite(std).all() and (std > 0).all()


def test_an_untrained_uncertainty_is_a_share_of_the_noise():
    net = UncertaintyNet((4, 4))
    images = torch.rand(2, 3, 8, 8)
    std = net(images, images, torch.tensor([0.05, 0.1]))
    torch.testing.assert_close(std[0], torch.full((3, 8, 8), 0.2 * 0.05))
    torch.testing.assert_close(std[1], torch.full((3, 8, 8), 0.2 * 0.1))


def test_calibration_is_interpolated_between_levels_and_constant_beyond():
    net = UncertaintyNet((4, 4))
    net.calibration.copy_(torch.tensor([1.0, 2.0, 4.0]))
    levels = torch.tensor([0.1, 0.5, math.sqrt(0.5), 1.0, math.sqrt(2), 2.0, 9.0])
    found = net.calibration_at(levels * PUBLISHED_SIGMA)
    torch.testing.assert_close(found, torch.tensor([1.0, 1.0, 1.5, 2.0, 3.0, 4.0, 4.0]), rtol=1e-5, atol=0)


def test_interval_loss_by_hand():
    error, log_scale = torch.tensor([0.5, -0.1]), torch.tensor([math.log(0.2)] * 2)
    wide = [0.68 * math.log(0.5 / 0.2), -0.32 * math.log(0.1 / 0.2)]
    wider = [0.95 * math.log(0.5 / 0.392), -0.05 * math.log(0.1 / 0.392)]
    expected = torch.tensor([a + b for a, b in zip(wide, wider, strict=True)])
    torch.testing.assert_close(interval_loss(error, log_scale), expected)


def test_interval_loss_is_least_at_the_true_scale():
    generator = torch.Generator().manual_seed(0)
    error = 0.03 * torch.randn(100_000, generator=generator)
    scales = torch.linspace(0.02, 0.04, 41)
    losses = [float(interval_loss(error, scale.log().expand_as(error)).mean()) for scale in scales]
    assert float(scales[int(torch.tensor(losses).argmin())]) == pytest.approx(0.03, abs=0.001)
