"""What `scripts/train.py` is told is what is trained, and what cannot be is one sentence before anything is written."""

from __future__ import annotations

import sys

import pytest

from galaxy_core.errors import GalaxyError
from galaxy_core.recipes import contrastive_denoiser, moco
from scripts import train

SMALL = ["--set", "model.width=8", "model.input_px=32", "model.embedding_size=16", "model.projection_size=16"]


@pytest.fixture
def arguments_of(monkeypatch):
    """Arguments of the command, as they are parsed."""

    def parse(*words):
        monkeypatch.setattr(sys, "argv", ["train.py", *map(str, words)])
        return train.parse_arguments()

    return parse


def test_what_is_given_is_trained_and_the_rest_is_the_recipes(arguments_of):
    config = train.configure(moco, arguments_of("moco", "synthetic:9", "--set", "seed=5", "contrast.epochs=3"))
    assert (config.seed, config.contrast.epochs, config.contrast.batch_size) == (5, 3, 128)
    words = ["moco", "synthetic:9", "--seed", "0", "--epochs", "4", "--batch-size", "9", "--set", "seed=5"]
    config = train.configure(moco, arguments_of(*words))
    assert (config.seed, config.contrast.epochs, config.contrast.batch_size) == (0, 4, 9)
    words = ["contrastive_denoiser", "synthetic:9", "--epochs", "4", "--polish-epochs", "1"]
    config = train.configure(contrastive_denoiser, arguments_of(*words))
    assert [config.denoise.epochs, config.polish.epochs, config.seed] == [4, 1, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "0"], "contrast.epochs=0"),
        (["--contrast-epochs", "-1"], "contrast.epochs=-1"),
        (["--batch-size", "0"], "contrast.batch_size=0"),
        (["--batch-size", "-4"], "contrast.batch_size=-4"),
        (["--seed", "-1"], "seed=-1"),
        (["--name", "../../evil"], "cannot name a model"),
        (["--name", ""], "cannot name a model"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(arguments_of, tmp_path, words, said):
    artifacts = tmp_path / "a" / "b"
    arguments = arguments_of("moco", "synthetic:40", "--artifacts", artifacts, "--device", "cpu", *words, *SMALL)
    with pytest.raises(GalaxyError, match=said):
        train.run(arguments)
    assert not list(tmp_path.rglob("*.*"))
