"""The residual network against a naive forward pass, with the names and numbers of parameters that are published."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from galaxy_core.embedding import load_embedder
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, save_model
from galaxy_core.models.dihedral import dihedral_views
from galaxy_core.models.resnet import BLOCKS, GalaxyResNet, ResNetConfig
from galaxy_core.models.small_maps import Conv3x3

ROOT = Path(__file__).parents[1]
SMALL = ResNetConfig(18, 8, 3, 2, False, ("spiral", "edge_on"), 16, 32, 32)


def net(config: ResNetConfig = SMALL, seed: int = 0) -> GalaxyResNet:
    """A network whose statistics are not those it began with."""
    torch.manual_seed(seed)
    model = GalaxyResNet(config)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(0.3 * torch.rand_like(buffer))
    return model.eval()


def images(n: int = 3, px: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, px, px, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("depth", "n_parameters", "n_tensors"), [(18, 11_689_512, 122), (34, 21_797_672, 218)])
def test_names_and_numbers_are_those_of_torchvision(depth, n_parameters, n_tensors):
    with torch.device("meta"):
        encoder = GalaxyResNet(ResNetConfig(depth)).encoder
    classifier = 512 * 1000 + 1000  # torchvision's fc, for the classes of ImageNet
    assert sum(p.numel() for p in encoder.parameters()) + classifier == n_parameters
    expected = set()
    for layer, count in enumerate(BLOCKS[depth], start=1):
        for block in range(count):
            parts = [("conv1", "bn1"), ("conv2", "bn2")]
            parts += [("downsample.0", "downsample.1")] if layer > 1 and block == 0 else []
            expected |= {f"layer{layer}.{block}.{name}" for pair in parts for name in pair}
    expected |= {"conv1", "bn1"}
    found = {name.rpartition(".")[0] for name in encoder.state_dict() if "." in name}
    assert found == expected
    assert len(encoder.state_dict()) - len(("centre", "axes")) + len(("fc.weight", "fc.bias")) == n_tensors


def naive_features(state: dict, x: torch.Tensor, config: ResNetConfig) -> torch.Tensor:
    """He et al. 2016, section 3 and table 1, written out."""

    def norm(x, name):
        shape = (1, -1, 1, 1)
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        y = (x - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
        return y * state[f"{name}.weight"].view(shape) + state[f"{name}.bias"].view(shape)

    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    kernel = config.stem_kernel_px
    x = F.conv2d((x - mean) / deviation, state["conv1.weight"], stride=config.stem_stride, padding=(kernel - 1) // 2)
    x = norm(x, "bn1").clamp(min=0)
    if config.stem_pool:
        x = F.max_pool2d(x, 3, 2, 1)
    for layer, count in enumerate(BLOCKS[config.depth], start=1):
        for block in range(count):
            stride = 2 if layer > 1 and block == 0 else 1
            name = f"layer{layer}.{block}"
            y = norm(F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1").clamp(min=0)
            y = norm(F.conv2d(y, state[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            if stride == 2:
                x = norm(F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=2), f"{name}.downsample.1")
            x = (x + y).clamp(min=0)
    return x.mean(dim=(2, 3))


@pytest.mark.parametrize("stem", [(7, 2, True), (3, 2, False), (3, 1, True)])
@pytest.mark.parametrize("depth", [18, 34])
def test_features_are_those_of_a_naive_forward_pass(depth, stem):
    config = ResNetConfig(depth, 8, *stem, embedding_size=8)
    model = net(config)
    with torch.inference_mode():
        ours = model.encoder.features(images())
        theirs = naive_features(model.encoder.state_dict(), images(), config)
    assert ours.shape == (3, config.n_features) == (3, 64) and ours.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert model.n_features == model.encoder.n_features == config.n_features


def test_published_sizes_give_512_features():
    assert ResNetConfig().n_features == ResNetConfig(18).n_features == ResNetConfig().embedding_size == 512


@pytest.mark.parametrize("px", [1, 5, 64])
def test_any_size_of_image(px):
    assert net().encoder.features(images(1, px)).isfinite().all()


def test_orientation_changes_neither_embedding_nor_prediction():
    model, stamps = net(), images()
    with torch.inference_mode():
        vectors, probabilities = model.embed(stamps), model.predict(stamps)
        for view in dihedral_views(stamps):
            torch.testing.assert_close(model.embed(view), vectors, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(model.predict(view), probabilities, rtol=1e-4, atol=1e-5)
    assert vectors.shape == (3, 32) and probabilities.shape == (3, 2)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))
    torch.testing.assert_close(model.embed(stamps)[1:2], model.embed(stamps[1:2]), rtol=1e-4, atol=1e-5)


def test_the_embedding_is_the_mean_feature_less_the_centre():
    model = net(ResNetConfig(18, 8, embedding_size=64, input_px=32))
    features = torch.stack([model.encoder.features(view) for view in dihedral_views(images())]).mean(dim=0)
    model.encoder.centre.copy_(features.mean(dim=0))
    expected = features - features.mean(dim=0)
    torch.testing.assert_close(model.embed(images()), expected / expected.norm(dim=1, keepdim=True))


def test_spread_weighs_axes_evenly():
    model = net()
    features = torch.randn(200, 64, generator=torch.Generator().manual_seed(1)) * torch.linspace(0.1, 5, 64)
    model.encoder.spread(features)
    scatter = ((features - model.encoder.centre) @ model.encoder.axes.T).std(dim=0)
    assert scatter.max() / scatter.min() < 3 < features.std(dim=0).max() / features.std(dim=0).min()


def test_a_folder_rebuilds_it_and_embeds(tmp_path):
    model = net()
    folder = save_model(tmp_path / "m", model, {"recipe": "moco"})
    loaded = load_model(folder)
    assert isinstance(loaded, GalaxyResNet) and loaded.config == SMALL
    torch.testing.assert_close(loaded.predict(images()), model.predict(images()), atol=1e-2, rtol=0)
    embedder = load_embedder(folder, "cpu")
    assert (embedder.input_px, embedder.size) == (32, 32)
    vectors = embedder.embed(images().numpy())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_a_network_without_classes_tells_none():
    with pytest.raises(ModelError, match=r"train one with `python scripts/train\.py feature_classifier"):
        net(ResNetConfig(18, 8, embedding_size=8)).predict(images())


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (ResNetConfig(50), "18 and 34"),
        (ResNetConfig(18, 8), "512 numbers cannot be read from 64"),
        (ResNetConfig(embedding_size=0), "0 numbers"),
    ],
)
def test_impossible_sizes_are_one_sentence(config, sentence):
    with pytest.raises(ModelError, match=sentence):
        GalaxyResNet(config)


def test_a_narrow_network_trains_on_odd_batches_and_several_threads():
    steps = (
        "import torch\n"
        "from galaxy_core.models.resnet import BasicBlock\n"
        "torch.set_num_threads(2)\n"
        "for _ in range(60):\n"
        "    x = torch.rand(5, 8, 32, 32, requires_grad=True).contiguous(memory_format=torch.channels_last)\n"
        "    BasicBlock(8, 16, 2).to(memory_format=torch.channels_last)(x).square().sum().backward()\n"
    )
    done = subprocess.run([sys.executable, "-c", steps], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # a crash, that no test of this process would live to tell


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_a_convolution_of_four_pixels_is_that_of_torch(order):
    torch.manual_seed(0)
    conv = Conv3x3(20, 24).to(memory_format=order)
    x = torch.randn(5, 20, 2, 2).bfloat16().float().contiguous(memory_format=order).requires_grad_()
    kernel = conv.weight.detach().bfloat16().float().requires_grad_()  # what is multiplied in bf16
    wanted, weights = F.conv2d(x, kernel, padding=1), torch.randn(5, 24, 2, 2).bfloat16().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = conv(x.bfloat16())
    assert made.dtype == torch.bfloat16 and "Convolution" not in str(made.grad_fn)
    torch.testing.assert_close(made.float(), wanted, rtol=0.01, atol=0.02)
    of_x, of_kernel = torch.autograd.grad((made.float() * weights).sum(), [x, conv.weight])
    true_x, true_kernel = torch.autograd.grad((wanted * weights).sum(), [x, kernel])
    assert of_kernel.dtype == torch.float32
    torch.testing.assert_close(of_x, true_x, rtol=0.01, atol=0.03)
    torch.testing.assert_close(of_kernel, true_kernel, rtol=0.01, atol=0.1)
    (alone,) = torch.autograd.grad(conv(x.detach().bfloat16()).float().sum(), [conv.weight])
    assert alone.shape == conv.weight.shape  # of data, of which no gradient is wanted
    frozen = conv.requires_grad_(False)(x.bfloat16())
    assert torch.autograd.grad(frozen.float().sum(), [x])[0].shape == x.shape
    for other in (x, torch.randn(5, 20, 3, 2).bfloat16()):  # in float32, and where there are more pixels: torch's own
        torch.testing.assert_close(conv.to(other.dtype)(other), F.conv2d(other, conv.weight, padding=1))


def test_the_last_stage_in_bf16_learns_as_with_torch_convolutions(monkeypatch):
    model, images = net(ResNetConfig(18, 16, class_names=("a", "b"), embedding_size=8)), torch.rand(4, 3, 64, 64)
    model.to(memory_format=torch.channels_last).train()

    def slopes() -> list[torch.Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = model.encoder.features(images)
        return torch.autograd.grad(features.square().mean(), list(model.encoder.layer4.parameters()))

    quick = slopes()
    monkeypatch.setattr(Conv3x3, "forward", torch.nn.Conv2d.forward)
    for made, theirs in zip(quick, slopes(), strict=True):
        assert float((made - theirs).norm() / theirs.norm()) < 0.05
