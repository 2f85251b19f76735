"""The network's promises, and a checkpoint that rebuilds its own model or says why it cannot."""

import json
import math

import pytest
import torch

from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, resolve_device, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet

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


@pytest.mark.parametrize(
    "sizes",
    [
        {"encoder_widths": (8, 16)},
        {"encoder_blocks": ()},
        {"embedding_input_px": 33},
        {"denoiser_widths": (8,)},
        {"uncertainty_widths": (8, 8, 8)},
    ],
)
def test_sizes_of_no_network_are_one_sentence(sizes):
    (name,) = sizes
    with pytest.raises(ModelError, match=rf"(set|and) model\.{name}"):
        ContrastiveDenoiser(ContrastiveDenoiserConfig(**sizes))
    if name == "embedding_input_px":
        with pytest.raises(ModelError, match=r"set model\.input_px to an even number"):
            MorphologyNet(MorphologyConfig(input_px=33))
    elif name.startswith("encoder"):
        with pytest.raises(ModelError, match="An encoder of widths"):
            MorphologyNet(MorphologyConfig(**sizes))


def test_devices():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda")
    for absent in ("abacus", "meta"):
        with pytest.raises(ModelError, match="--device auto"):
            resolve_device(absent)


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
