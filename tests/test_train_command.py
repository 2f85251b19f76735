"""What `scripts/train.py` is told is what is trained, and what cannot be is one sentence before anything is written."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, GalaxyError, ModelError, StorageError
from galaxy_core.models import MODELS
from galaxy_core.recipes import RECIPES, contrastive_denoiser, moco
from galaxy_core.train_step import train_model
from scripts import bench, classify, ensemble, evaluate, train
from tests.catalog_files import put

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


def test_passes_of_a_phase_that_the_recipe_lacks_are_not_left_out_in_silence(arguments_of):
    with pytest.raises(ModelError, match="moco has no phase denoise; leave --denoise-epochs out"):
        train.configure(moco, arguments_of("moco", "synthetic:9", "--denoise-epochs", "3"))
    assert train.configure(moco, arguments_of("moco", "synthetic:9", "--contrast-epochs", "3")).contrast.epochs == 3


def test_help_says_no_default_as_python_would(monkeypatch, capsys):
    for command in (train.parse_arguments, evaluate.parse_arguments, classify.parse):
        monkeypatch.setattr(sys, "argv", ["x.py", "--help"])
        with pytest.raises(SystemExit):
            command()
        assert "['" not in (told := capsys.readouterr().out) and "[0.01" not in told


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


def test_nothing_is_left_of_a_training_that_is_refused(arguments_of, tmp_path):
    catalog = f"folder:{put(tmp_path / 'images' / '1.png', 'no picture').parent}"
    arguments = arguments_of("moco", catalog, "--artifacts", tmp_path, "--device", "cpu", *SMALL)
    with pytest.raises(CatalogError, match=f"None of the 1 images of {catalog} could be read"):
        train.run(arguments)
    assert not list((tmp_path / "models").iterdir())


def test_a_model_that_is_there_is_replaced_only_by_name(arguments_of, tmp_path, monkeypatch, capsys):
    """Else the shipped weights would be lost to whoever tries the command."""

    def stop(catalogs, folder, *_):
        (folder / ".state").mkdir(parents=True, exist_ok=True)
        raise KeyboardInterrupt

    def learn(catalogs, folder, *_):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.safetensors").write_text(said)
        if (folder / ".state").exists():
            (folder / ".state").rmdir()

    def go(train_with, *words):
        monkeypatch.setattr(moco, "train", train_with)
        arguments_of("moco", "synthetic:4", "--artifacts", tmp_path, "--device", "cpu", *words)
        code = train.main()
        return code, {path.parent.name: path.read_text() for path in tmp_path.glob("models/*/weights.safetensors")}

    said = "first"
    assert go(learn) == (0, {"moco": "first"}) and "already" not in capsys.readouterr().out
    said = "second"
    (tmp_path / "models" / "moco" / ".state").mkdir()  # as a command leaves that found too few galaxies
    assert go(stop) == (130, {"moco": "first"})  # and the same command goes on in the same folder
    assert go(learn) == (0, {"moco": "first", "moco_v2": "second"})
    assert "a model moco already, which stays; --name moco would replace it" in capsys.readouterr().out
    said = "third"
    assert go(learn)[1] == {"moco": "first", "moco_v2": "second", "moco_v3": "third"}
    (tmp_path / "models" / "moco_v3" / ".state").mkdir()
    (tmp_path / "models" / "moco_v3" / ".state" / "contrast.safetensors").touch()  # killed in its last moment
    assert train.free_name("moco", tmp_path) == "moco_v3"
    assert go(learn, "--name", "moco")[1] == {"moco": "third", "moco_v2": "second", "moco_v3": "third"}


def test_a_bar_ends_with_its_phase_and_the_end_says_what_was_learned(arguments_of, tmp_path, monkeypatch, capsys):
    """A bar that stays open counts the time of later phases too, and errors are said on its line."""

    def learn(catalogs, folder, config, device, report, report_decoding, *_):
        for done in (1, 2):
            report_decoding(done, 2)
        report("contrast", 1, 60, {"loss": 0.5})
        if folder.name == "bad":
            raise ModelError("No.")
        folder.mkdir(parents=True)
        rows = [{"phase": "contrast", "epoch": n, "validation": {"score": s}} for n, s in enumerate([3.0, 0.25, 2.0])]
        (folder / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "config.json").write_text(json.dumps({"about": {"notes": ["Two were left out."]}}))

    monkeypatch.setattr(moco, "train", learn)
    for name, code in (("bad", 1), ("good", 0)):
        arguments_of("moco", "synthetic:4", "--artifacts", tmp_path, "--name", name, "--device", "cpu")
        assert train.main() == code
        out, err = capsys.readouterr()
        assert "2/2" in err and "decode" not in err.partition("contrast: ")[2]
        assert err.endswith("\nNo.\n") == (name == "bad")
    assert "contrast: 3 of 20 passes; kept is pass 2, whose loss on validation galaxies is least (0.25)\n" in out
    assert "\nnote: Two were left out.\n" in out


def test_a_model_is_trained_by_one_at_a_time(arguments_of, tmp_path, monkeypatch, capsys):
    """Jobs of an array without --name, say: each would go on with the weights of another catalog."""
    codes = []

    def learn(*_):
        if not codes:
            codes.append(None)
            codes.append(train.main())
            with pytest.raises(GalaxyError, match="Another run is training"):
                train_model("moco", read_catalog("synthetic:4"), tmp_path, "mine", 0, "cpu")

    monkeypatch.setattr(moco, "train", learn)
    words = ["moco", "synthetic:4", "--artifacts", tmp_path, "--name", "moco_mine", "--device", "cpu"]
    arguments_of(*words)
    assert train.main() == 0 and codes == [None, 1]
    folder = tmp_path / "models" / "moco_mine"
    assert capsys.readouterr().err == f"Another run is training {folder} now; wait for it, or choose another --name.\n"
    assert train.main() == 0 and not list(tmp_path.rglob("*.lock"))


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


def test_the_pipeline_trains_nothing_that_cannot_embed(tmp_path):
    networks = [network for network, _ in MODELS.values()]
    for name, recipe in RECIPES.items():
        made = [value for value in vars(recipe.module()).values() if value in networks]
        assert made and recipe.embeds == all(hasattr(network, "embed") for network in made)
        if not recipe.embeds:
            with pytest.raises(ModelError, match=f"recipe {name} does not embed.*one of contrastive_denoiser, "):
                train_model(name, read_catalog("synthetic:4"), tmp_path, "mine", 0, "cpu")
    assert not list(tmp_path.iterdir())


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "restarts", "ends"),
    [(ModelError, "0/3", True), (ModelError, "3/3", False), (StorageError, "0/3", False), (ModelError, "", False)],
)
def test_what_fails_every_time_is_not_tried_again_by_torchrun(arguments_of, monkeypatch, error, restarts, ends):
    def fail(arguments):
        raise error("No.")

    for name, value in zip(("RESTART_COUNT", "MAX_RESTARTS"), filter(None, restarts.split("/")), strict=False):
        monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
    asked = []
    monkeypatch.setattr("galaxy_core.ranks.os.kill", lambda *what: asked.append(what))
    monkeypatch.setattr("galaxy_core.ranks.os.getppid", lambda: 4321)
    monkeypatch.setattr(train, "run", fail)
    arguments_of("moco", "synthetic:40")
    assert train.main() == 1
    assert asked == [(4321, signal.SIGTERM)] * ends


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


def test_ctrl_c_in_a_benchmark_or_an_ensemble_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("scripts.benchmarks.unusual.measure", interrupt)
    monkeypatch.setattr(ensemble, "run", interrupt)
    for script, words in ((bench, ["unusual"]), (ensemble, ["a", "b", "--name", "c"])):
        monkeypatch.setattr(sys, "argv", ["script.py", *words])
        assert script.main() == 130
        told = capsys.readouterr().err.strip()
        assert told.startswith("Stopped; ") and len(told.splitlines()) == 1


@pytest.mark.parametrize(("script", "words"), [(evaluate, ["cae", "synthetic:40"]), (bench, ["unusual"])])
def test_numbers_that_cannot_be_written_are_not_measured_first(script, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("galaxy_core.catalogs.read_catalog", interrupt)
    monkeypatch.setattr("scripts.benchmarks.unusual.measure", interrupt)
    (tmp_path / "folder").touch()  # that is none, so that root cannot write there either
    monkeypatch.setattr(sys, "argv", ["script.py", *words, "--json", str(tmp_path / "folder" / "x.json")])
    assert script.main() == 1
    assert capsys.readouterr().err.startswith(f"Cannot write {tmp_path / 'folder' / 'x.json'}: ")
