"""ImageNet weights from a small server: taken, resumed where they were cut, checked, and never unpickled."""

import hashlib
import pickle

import pytest
import torch
from safetensors.torch import save

from galaxy_core.models.resnet import GalaxyResNet, ResNetConfig
from galaxy_core.recipes import starting_weights
from galaxy_core.recipes.starting_weights import IMAGENET, begin_with_imagenet, imagenet_file
from tests.file_server import Server, serving

NET = ResNetConfig(18, 16, embedding_size=8)  # as published, but for its width
PATH = "/timm/resnet18.a1_in1k/resolve/abc/model.safetensors"


class Dangerous:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("something was unpickled",)


def published(config: ResNetConfig = NET) -> dict[str, torch.Tensor]:
    """Weights with torchvision's names, its classifier included."""
    torch.manual_seed(7)
    state = GalaxyResNet(config).encoder.state_dict()
    weights = {key: torch.randn(value.shape) for key, value in state.items() if value.is_floating_point()}
    del weights["centre"], weights["axes"]
    return weights | {"fc.weight": torch.randn(1000, config.n_features), "fc.bias": torch.randn(1000)}


@pytest.fixture
def serve(monkeypatch):
    """Function that makes a server give these bytes as the weights, with a checksum that is theirs unless told."""
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(starting_weights, "PUBLISHED_WIDTH", NET.width)
        monkeypatch.setattr("time.sleep", lambda seconds: None)

        def put(data: bytes, sha256: str = "") -> Server:
            server.files[PATH] = data
            monkeypatch.setitem(starting_weights.IMAGENET, 18, ("abc", sha256 or hashlib.sha256(data).hexdigest()))
            return server

        yield put


def begun(tmp_path, config: ResNetConfig = NET, **options):
    torch.manual_seed(0)
    model = GalaxyResNet(config)
    before = {key: value.clone() for key, value in model.encoder.state_dict().items()}
    learned, note = begin_with_imagenet(model, tmp_path / "downloads", **options)
    assert "\n" not in note and note.endswith(".")
    return learned, note, before, model.encoder.state_dict()


def test_weights_are_taken_and_downloaded_once(serve, tmp_path):
    weights, steps = published(), []
    server = serve(save(weights))
    server.cuts = [300_000]
    learned, note, before, after = begun(tmp_path, report=lambda *step: steps.append(step))
    assert learned and note == "Training begins with the ImageNet weights of timm/resnet18.a1_in1k."
    assert server.seen == [None, "bytes=300000-"], "taken up where the connection was cut"
    for key in after:
        expected = weights.get(key, before[key])
        assert torch.equal(after[key], expected), key
    assert not torch.equal(before["conv1.weight"], after["conv1.weight"])
    assert steps and steps[-1][0] == "fetch" and [step[1] for step in steps] == sorted({step[1] for step in steps})
    assert begun(tmp_path)[0] and len(server.seen) == 2, "the second time nothing is downloaded"


def test_another_stem_begins_from_scratch(serve, tmp_path):
    serve(save(published()))
    learned, note, before, after = begun(tmp_path, ResNetConfig(18, 16, 3, 2, False, embedding_size=8))
    assert learned and "but for conv1.weight" in note
    assert torch.equal(before["conv1.weight"], after["conv1.weight"])
    assert not torch.equal(before["layer1.0.conv1.weight"], after["layer1.0.conv1.weight"])


@pytest.mark.parametrize("what", ["pickle", "text", "other layers", "checksum", "missing"])
def test_what_is_no_such_file_changes_nothing(serve, tmp_path, what):
    weights = published()
    weights.pop("layer3.0.bn1.bias")
    data = {"pickle": pickle.dumps(Dangerous()), "other layers": save(weights), "text": b"<html>"}.get(what)
    server = serve(data or save(published()), "0" * 64 if what == "checksum" else "")
    if what == "missing":
        server.files.clear()
    learned, note, before, after = begun(tmp_path)
    words = {"other layers": "layer3.0.bn1.bias", "checksum": "published checksum", "missing": "does not exist"}
    assert not learned and note.startswith("Training begins from scratch, without ImageNet weights: ")
    assert words.get(what, "not a file of weights") in note
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_narrower_network_asks_nobody(serve, tmp_path):
    server = serve(b"")
    learned, note, _, _ = begun(tmp_path, ResNetConfig(18, 8, embedding_size=8))
    assert not learned and "width 16, and this one has width 8" in note and server.seen == []


def test_the_published_files_are_pinned(monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert set(IMAGENET) == {18, 34}
    for depth in IMAGENET:
        remote = imagenet_file(depth)
        assert remote.url.startswith(f"https://huggingface.co/timm/resnet{depth}.a1_in1k/resolve/")
        assert remote.url.endswith("/model.safetensors") and len(remote.checksum) == len("sha256:") + 64
        revision = remote.url.split("/")[-2]
        assert len(revision) == 40 and set(revision) <= set("0123456789abcdef")
