"""Momentum contrast as a recipe: end to end, killed and resumed, and what it cannot be asked."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, ImageError, ModelError
from galaxy_core.models import load_model
from galaxy_core.models.resnet import ResNetConfig
from galaxy_core.recipes import cae
from galaxy_core.recipes.contrastive_denoiser_scores import score_embedding
from galaxy_core.recipes.moco import Config, evaluate, table_lines, train
from galaxy_core.splits import TEST, TRAIN, VALIDATION
from galaxy_core.training import FitConfig

NET = ResNetConfig(18, 8, 3, 2, False, (), 8, 16, 32)
SMALL = Config(model=NET, contrast=FitConfig(3, 16, 1e-3), queue_size=40, n_groups=2)


class Killed(Exception):
    """Stands in for a kill between two steps."""


@pytest.fixture(scope="module")
def catalog():
    made = read_catalog("synthetic:60")
    return dataclasses.replace(made, load_image=functools.cache(made.load_image))


@pytest.fixture(scope="module")
def trained(catalog, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "moco"
    train([catalog], folder, SMALL)
    return folder


def test_queue_and_keys_are_part_of_the_state(catalog, tmp_path):
    folder = tmp_path / "m"

    def report(phase, step, n_steps, losses):
        if step == 4:  # after the first pass
            raise Killed

    with pytest.raises(Killed):
        train([catalog], folder, SMALL, report=report)
    state = load_file(folder / ".state" / "contrast.safetensors")
    filled = state["module.queue_rows"] >= 0
    rows = state["module.queue_rows"][filled].tolist()
    assert len(rows) == len(set(rows)) == int(state["module.place"]) == 2 * 16, "the batches of one pass"
    torch.testing.assert_close(state["module.queue"].norm(dim=0), filled.float())
    query, key = (state[f"module.{part}.encoder.conv1.weight"] for part in ("query", "key"))
    assert not torch.equal(query, key)


def test_a_killed_training_resumes_to_the_same_weights(catalog, trained, tmp_path):
    folder = tmp_path / "moco"
    for step_to_kill in (2, 4, 5):

        def report(phase, step, n_steps, losses, where=step_to_kill):
            if step == where:
                raise Killed

        with pytest.raises(Killed):
            train([catalog], folder, SMALL, report=report)
    train([catalog], folder, SMALL)
    whole, resumed = load_model(trained).state_dict(), load_model(folder).state_dict()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def stop(catalog, folder: Path, config: Config = SMALL) -> None:
    """Train until the second pass has begun."""

    def report(phase, step, n_steps, losses):
        if step == 3:
            raise Killed

    with pytest.raises(Killed):
        train([catalog], folder, config, report=report)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_stopped_training_is_gone_on_with_by_its_own_command_alone(catalog, trained, tmp_path):
    folder = tmp_path / "moco"
    stop(catalog, folder)
    others = [
        {"config": dataclasses.replace(SMALL, seed=7)},
        {"config": dataclasses.replace(SMALL, contrast=dataclasses.replace(SMALL.contrast, learning_rate=1e-5))},
        {"config": dataclasses.replace(SMALL, model=dataclasses.replace(NET, width=16))},
        {"catalogs": [read_catalog("synthetic:50")]},
        {"start_from": trained},
    ]
    for other in others:
        with pytest.raises(ModelError, match=r"\.state holds a training that was stopped"):
            train(**{"catalogs": [catalog], "folder": folder, "config": SMALL, **other})
    with pytest.raises(ModelError, match="of another recipe"):
        cae.train([catalog], folder)
    train([catalog], folder, SMALL)
    whole, resumed = load_model(trained).state_dict(), load_model(folder).state_dict()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_training_that_never_began_is_in_nobodys_way(catalog, tmp_path):
    large = dataclasses.replace(SMALL, contrast=FitConfig(1, 1000, 1e-3))
    with pytest.raises(ModelError, match="smaller batch size"):
        train([catalog], tmp_path / "m", large)
    train([catalog], tmp_path / "m", dataclasses.replace(SMALL, contrast=FitConfig(1, 16, 1e-3)))
    assert not (tmp_path / "m" / ".state").exists()


def test_a_finished_model_stays_as_it_was_until_the_new_one_is_saved(catalog, trained, tmp_path):
    folder = tmp_path / "moco"
    shutil.copytree(trained, folder)
    with pytest.raises(ModelError, match="smaller batch size"):
        train([catalog], folder, dataclasses.replace(SMALL, contrast=FitConfig(3, 1000, 1e-3)))
    assert contents(folder) == contents(trained)
    other = dataclasses.replace(SMALL, seed=1, contrast=FitConfig(2, 16, 1e-3))
    stop(catalog, folder, other)
    assert contents(folder) == contents(trained)
    train([catalog], folder, other)
    assert len((folder / "history.jsonl").read_text().splitlines()) == 2
    assert not contents(folder).keys() - contents(trained).keys()


def test_a_state_that_does_not_say_whose_it_is_goes_on(catalog, trained, tmp_path):
    """As trainings left it before states said so, with their history beside it."""
    folder = tmp_path / "moco"
    stop(catalog, folder)
    (folder / ".state" / "belongs_to.json").unlink()
    (folder / ".state" / "history.jsonl").rename(folder / "history.jsonl")
    train([catalog], folder, SMALL)
    whole, resumed = load_model(trained).state_dict(), load_model(folder).state_dict()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert len((folder / "history.jsonl").read_text().splitlines()) == 3


def test_a_trained_folder_holds_the_network_of_queries_alone(trained):
    weights = load_file(trained / "weights.safetensors")
    assert {name.split(".")[0] for name in weights} == {"encoder", "projection"}
    about = json.loads((trained / "config.json").read_text())["about"]
    assert about["recipe"] == "moco" and about["n_train"] + about["n_validation"] < 60
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in history] == [0, 1, 2] and 0 <= history[0]["validation"]["found_again"] <= 1
    assert not (trained / ".state").exists()
    model = load_model(trained)
    assert not torch.equal(model.encoder.centre, torch.zeros(64)), "the embedding is spread"


def test_it_learns_to_find_a_galaxy_again(catalog, tmp_path):
    config = dataclasses.replace(SMALL, contrast=FitConfig(12, 16, 3e-3, warmup_steps=5, average_decay=0.8))
    train([catalog], tmp_path / "m", config)
    history = [json.loads(line)["validation"] for line in (tmp_path / "m/history.jsonl").read_text().splitlines()]
    assert min(line["contrast_of_views"] for line in history) < history[0]["contrast_of_views"] - 0.1


def test_evaluation_probes_test_galaxies_alone(catalog, trained):
    scores = evaluate(trained, catalog, clusters=False)
    probe = scores["embedding"]["test"]["linear_probe"]
    assert 0 <= probe["accuracy"] <= 1 and probe["n_test"] == scores["n_test"] < 20
    text = "\n".join(table_lines(scores | {"catalog": "synthetic:60"}))
    assert "test, linear probe" in text and "held out fifth, knn probe" in text
    json.dumps(scores, allow_nan=False)
    table = catalog.table.drop(columns="class")
    unlabelled = evaluate(trained, dataclasses.replace(catalog, table=table), clusters=False)
    assert "no classes" in unlabelled["embedding"]["note"] and table_lines(unlabelled | {"catalog": "c"})


def test_too_few_classes_leave_the_probe_out_and_the_rest_is_measured():
    splits = np.array([TRAIN] * 6 + [VALIDATION, TEST], dtype=object)
    for classes in ("aaaaaaab", "abababa"):  # one class to learn from, and no class to test on
        known = np.array([*classes, None][:8], dtype=object)
        assert "not two classes" in score_embedding(np.eye(8, dtype=np.float32), known, splits, 0)["note"]


def test_a_catalog_without_a_readable_image_is_an_error(catalog, trained):
    def broken(row):
        raise ImageError("broken")

    with pytest.raises(CatalogError, match="could be read"):
        evaluate(trained, dataclasses.replace(catalog, load_image=broken), clusters=False)


def test_a_catalog_without_test_galaxies_is_an_error(catalog, trained):
    table = catalog.table.assign(split_group="128132")  # a training id
    with pytest.raises(CatalogError, match="test split"):
        evaluate(trained, dataclasses.replace(catalog, table=table))


def test_what_makes_no_sense_is_one_sentence(catalog, trained, tmp_path):
    with pytest.raises(ModelError, match="one phase"):
        train([catalog], tmp_path / "m", SMALL, phases=["denoise"])
    for change in ({"queue_size": 0}, {"model": dataclasses.replace(NET, projection_size=0)}):
        with pytest.raises(ModelError, match="projection head and a queue"):
            train([catalog], tmp_path / "m", dataclasses.replace(SMALL, **change))
    wider = dataclasses.replace(SMALL, model=dataclasses.replace(NET, width=16))
    with pytest.raises(ModelError, match=r"--set model\.width=8"):
        train([catalog], tmp_path / "m", wider, start_from=trained)
    assert not (tmp_path / "m").exists()
    with pytest.raises(ModelError):
        train([read_catalog("synthetic:4")], tmp_path / "few", SMALL)


def test_it_goes_on_from_another_model(catalog, trained, tmp_path):
    once = dataclasses.replace(SMALL, contrast=FitConfig(1, 16, 1e-9))
    model = train([catalog], tmp_path / "m", once, start_from=trained)
    torch.testing.assert_close(model.encoder.conv1.weight, load_model(trained).encoder.conv1.weight, atol=1e-3, rtol=0)
    about = json.loads((tmp_path / "m" / "config.json").read_text())["about"]
    assert about["started_from"]["about"]["recipe"] == "moco"
