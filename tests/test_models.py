"""The network's promises, and a checkpoint that rebuilds its own model or says why it cannot."""

import dataclasses
import json
import math

import pytest
import torch

from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, resolve_device, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.denoising_unet import ResidualConv, UpConv, blocks_of, pixels_of
from galaxy_core.models.uncertainty_net import UncertaintyNet, interval_loss
from galaxy_core.noise import PUBLISHED_SIGMA

SMALL = ContrastiveDenoiserConfig(
    denoiser_widths=(8, 8, 8),
    denoiser_blocks=1,
    encoder_widths=(8, 8, 16),
    encoder_blocks=(1, 1, 1),
    projection_size=8,
    embedding_size=12,
    contrast_size=6,
)


@pytest.fixture
def model() -> ContrastiveDenoiser:
    torch.manual_seed(0)
    return ContrastiveDenoiser(SMALL).eval()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (16, 16), (33, 50)])
def test_denoises_any_size(model, shape):
    torch.nn.init.normal_(model.denoiser.out.weight, std=0.01)
    denoised, sigma = model.denoise(torch.rand(2, 3, *shape))
    assert denoised.shape == (2, 3, *shape) and sigma.shape == (2,)
    assert torch.isfinite(denoised).all() and (sigma > 0).all()


def test_an_untrained_denoiser_changes_nothing(model):
    images = torch.rand(1, 3, 20, 20)
    assert torch.equal(model.denoise(images, torch.tensor([0.1]))[0], images)


def test_the_noise_level_it_is_told_matters(model):
    for parameter in model.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    images = torch.rand(1, 3, 16, 16)
    quiet, loud = (model.denoise(images, torch.tensor([sigma]))[0] for sigma in (0.01, 0.2))
    assert not torch.allclose(quiet, loud)


def test_embeddings_are_unit_vectors_that_do_not_know_the_orientation(model):
    images = torch.rand(3, 3, 64, 64)
    vectors = model.embed(images)
    assert vectors.shape == (3, 12) and vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    for turned in (torch.rot90(images, 1, dims=(2, 3)), images.flip(3), images.flip(2)):
        torch.testing.assert_close(model.embed(turned), vectors, atol=1e-5, rtol=0)


def test_embedding_does_not_depend_on_the_rest_of_the_batch(model):
    images = torch.rand(4, 3, 64, 64)
    torch.testing.assert_close(model.embed(images)[1:2], model.embed(images[1:2]), atol=1e-5, rtol=0)


def test_saved_and_loaded_models_agree(model, tmp_path):
    torch.nn.init.normal_(model.denoiser.out.weight, std=0.1)
    loaded = load_model(save_model(tmp_path / "m", model, {"seed": 3}))
    assert loaded.config == SMALL and not loaded.training
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(loaded.embed(images), model.embed(images), atol=2e-3, rtol=0)
    sigma = torch.full((2,), 0.06)
    torch.testing.assert_close(loaded.denoise(images, sigma)[0], model.denoise(images, sigma)[0], atol=2e-3, rtol=0)
    again = load_model(save_model(tmp_path / "again", loaded))
    assert torch.equal(again.embed(images), loaded.embed(images))  # 16-bit weights survive a second trip exactly


def test_what_cannot_be_written_costs_no_model_that_is_there(model, tmp_path):
    save_model(tmp_path, model)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="JSON"):
        save_model(tmp_path, ContrastiveDenoiser(SMALL), {"temperature": float("inf")})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_missing_model_says_so(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load_model(tmp_path / "nothing")


def test_a_fault_of_the_program_is_not_called_a_damaged_model(model, tmp_path, monkeypatch):
    def unwritten(*_):
        raise NameError("a name that was never given")

    folder = save_model(tmp_path / "m", model)
    monkeypatch.setattr(ContrastiveDenoiser, "load_state_dict", unwritten)
    with pytest.raises(NameError):
        load_model(folder)


def test_damaged_weights_are_named(model, tmp_path):
    folder = save_model(tmp_path / "m", model)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(ModelError, match="damaged"):
        load_model(folder)
    weights.unlink()
    with pytest.raises(ModelError, match="missing"):
        load_model(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", "[" * 100_000, '{"model": "resnet9000", "config": {}}'])
def test_a_damaged_configuration_is_one_sentence(model, tmp_path, text):
    folder = save_model(tmp_path / "m", model)
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError):
        load_model(folder)


def test_weights_of_another_size_do_not_fit(model, tmp_path):
    folder = save_model(tmp_path / "m", model)
    record = json.loads((folder / "config.json").read_text())
    record["config"]["embedding_size"] = 13
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match="do not fit"):
        load_model(folder)


def test_devices():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda")
    with pytest.raises(ModelError, match="--device auto"):
        resolve_device("abacus")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_up_convolution_is_that_of_torch(dtype):
    torch.manual_seed(0)
    up = UpConv(6, 5).to(dtype)
    x = torch.randn(3, 6, 4, 7, dtype=dtype, requires_grad=True)
    wanted = torch.nn.functional.conv_transpose2d(x.float(), up.weight.float(), up.bias.float(), stride=2)
    tolerance = 1e-5 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(up(x).float(), wanted, rtol=tolerance, atol=tolerance)
    weights = torch.randn(wanted.shape)
    for made, theirs in zip(
        torch.autograd.grad((up(x).float() * weights).sum(), [x, *up.parameters()]),
        torch.autograd.grad((wanted * weights).sum(), [x, *up.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(made.float(), theirs.float(), rtol=tolerance, atol=20 * tolerance)
    assert ("Convolution" in str(up(x).grad_fn)) == (dtype == torch.float32)  # in bf16 its gradient is slow


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_blocks_of_pixels_are_those_of_torch_and_come_back(order):
    images = torch.rand(2, 3, 4, 6).contiguous(memory_format=order).requires_grad_()
    blocks = blocks_of(images)
    assert torch.equal(blocks, torch.nn.functional.pixel_unshuffle(images, 2))
    assert torch.equal(pixels_of(blocks), images)
    assert torch.equal(pixels_of(blocks.contiguous(memory_format=order)), images)
    (slope,) = torch.autograd.grad((pixels_of(blocks) ** 2).sum(), images)
    torch.testing.assert_close(slope, 2 * images)


def test_a_residual_convolution_keeps_what_it_is_given():
    torch.manual_seed(0)
    block, x = ResidualConv(4), torch.randn(2, 4, 5, 5, requires_grad=True)
    given = x.detach().clone()
    wanted = x + block.second(torch.relu(block.first(x)))
    parts = [x, *block.parameters()]
    slopes = zip(
        torch.autograd.grad(block(x).square().sum(), parts),
        torch.autograd.grad(wanted.square().sum(), parts),
        strict=True,
    )
    for made, theirs in slopes:
        torch.testing.assert_close(made, theirs)
    assert torch.equal(x, given) and torch.equal(block(x), wanted)


def test_the_noise_estimator_pools_means_and_deviations_and_flat_images_have_a_gradient(model):
    net, pooled = model.noise_estimator, []
    net.head.register_forward_pre_hook(lambda _, arguments: pooled.append(arguments[0]))
    image = torch.rand(2, 3, 16, 16)
    net(image)
    features = net.features(torch.nn.functional.pixel_unshuffle(image, 2)).flatten(2)
    torch.testing.assert_close(pooled[0], torch.cat([features.mean(2), features.std(2, correction=0)], 1))
    (slope,) = torch.autograd.grad(pooled[0].sum(), net.features[-1].weight)
    wanted = torch.autograd.grad((features.mean(2) + features.std(2, correction=0)).sum(), net.features[-1].weight)[0]
    torch.testing.assert_close(slope, wanted, rtol=1e-4, atol=1e-5)
    for parameter in net.features.parameters():
        torch.nn.init.zeros_(parameter)
    net(image).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_noise_estimator_starts_at_a_typical_level(model):
    sigma = model.noise_estimator(torch.rand(1, 3, 9, 11))
    assert 0 < sigma.item() < math.inf


def test_spreading_evens_the_axes(model):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 24, generator=generator) @ torch.randn(24, 24, generator=generator) + 5
    model.encoder.spread(features, ridge=0.3)
    standard = (features - features.mean(dim=0)) / features.std(dim=0)
    after = (features - features.mean(dim=0)) @ model.encoder.axes.T
    old, new = torch.linalg.svdvals(standard)[:12], torch.linalg.svdvals(after)
    expected = old / (old + 0.3 * old[0])
    torch.testing.assert_close(new / new[0], expected / expected[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.encoder.embedding(features), torch.nn.functional.normalize(after, dim=1))


def test_a_feature_that_never_varies_does_not_swamp_the_rest(model):
    features = torch.rand(50, 24)
    features[:, 3] = 1.0
    model.encoder.spread(features)
    assert torch.isfinite(model.encoder.axes.half()).all() and model.encoder.axes.abs().max() == 1


def test_spreading_of_fewer_galaxies_than_axes_is_finite(model):
    model.encoder.spread(torch.rand(3, 24))
    assert torch.isfinite(model.embed(torch.rand(2, 3, 64, 64))).all()


def test_features_are_the_means_of_the_last_two_stages(model):
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        x = model.encoder.stem(torch.nn.functional.pixel_unshuffle(images, 2))
        x = model.encoder.stages[0](x)
        middle = model.encoder.stages[1](x)
        last = model.encoder.stages[2](middle)
        by_hand = torch.cat([middle.mean(dim=(2, 3)), last.mean(dim=(2, 3))], dim=1)
        torch.testing.assert_close(model.encoder.features(images), by_hand)


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
