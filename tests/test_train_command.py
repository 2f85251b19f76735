"""What `scripts/train.py` is told is what is trained, and what cannot be is one sentence before anything is written."""

from __future__ import annotations

import sys

import pytest

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import GalaxyError, ModelError
from galaxy_core.recipes import contrastive_denoiser, moco
from galaxy_core.train_step import train_model
from scripts import evaluate, train

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


def test_the_pipeline_trains_once_and_in_no_other_models_place(tmp_path, monkeypatch):
    catalog, trained = read_catalog("synthetic:4"), []

    def learn(catalogs, folder, *_):
        trained.append(folder)
        (folder / "weights.safetensors").write_bytes(b"numbers")

    monkeypatch.setattr(moco, "train", learn)
    own = tmp_path / "models" / "moco_mine"
    for seed, n in ((0, 1), (0, 1), (1, 2)):
        assert train_model("moco", catalog, tmp_path, "mine", seed, "cpu") == own
        assert trained == [own] * n
    (own / "trained_for.json").unlink()  # as `train.py moco synthetic:4 --name moco_mine` leaves it
    (tmp_path / "models" / "moco_other" / ".state").mkdir(parents=True)
    for name in ("mine", "other"):
        with pytest.raises(
            ModelError, match=f"is not the pipeline's and would be lost; take it with --model moco_{name}"
        ):
            train_model("moco", catalog, tmp_path, name, 0, "cpu")
    assert (tmp_path / "models" / "moco_other" / ".state").exists()
    assert (own / "weights.safetensors").read_bytes() == b"numbers" and len(trained) == 2


def interrupt(*_):
    raise KeyboardInterrupt


def test_ctrl_c_is_one_sentence(arguments_of, monkeypatch, capsys):
    monkeypatch.setattr(train, "run", interrupt)
    arguments_of("moco", "synthetic:40")
    assert train.main() == 130
    assert capsys.readouterr().err.strip() == "Stopped; the same command goes on from the last pass that was finished."


@pytest.mark.parametrize("words", [["--seed", "-1"], ["--seed", str(2**32)], ["--json", "."]])
def test_what_cannot_be_measured_or_written_is_said_before_it_is(monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "cae", "synthetic:40", *words])
    with pytest.raises(SystemExit) as ended:
        evaluate.parse_arguments()
    assert ended.value.code == 2 and f"error: {words[0]} takes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cae", "synthetic:40"], "nothing was written"),
        (["few_labels", "synthetic:40", "--models", "m", "--json", "f.json"], "the same command goes on from there"),
    ],
)
def test_ctrl_c_while_measuring_is_one_sentence(monkeypatch, capsys, words, said):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *words])
    monkeypatch.setattr(evaluate, "run", interrupt)
    assert evaluate.main() == 130
    told = capsys.readouterr().err.strip()
    assert said in told and len(told.splitlines()) == 1
