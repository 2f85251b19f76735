"""Few labels end to end on simulated galaxies: frozen, fine-tuned, with all images, from scratch; stopped, resumed."""

from __future__ import annotations

import dataclasses
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_core.artifacts.staging import hold_lock
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ArtifactError, CatalogError, ModelError
from galaxy_core.images import encode_png
from galaxy_core.label_efficiency import NO_MODEL, WAYS, read_results
from galaxy_core.models import load_model, save_model
from galaxy_core.models.autoencoder import AutoencoderConfig, GalaxyAutoencoder
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser
from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet
from galaxy_core.models.resnet import GalaxyResNet, ResNetConfig
from galaxy_core.recipes import feature_classifier, few_labels, moco
from galaxy_core.recipes.few_labels import Plan, evaluate
from galaxy_core.recipes.few_labels_frozen import FrozenConfig, cached_features
from galaxy_core.recipes.few_labels_table import table_lines
from galaxy_core.recipes.starting_weights import origin_of
from galaxy_core.splits import split_of
from galaxy_core.stamps import make_stamps
from galaxy_core.training import FitConfig
from tests.few_labels_nets import QUICK, TINY, begin_small, simulated_galaxies

ROOT = Path(__file__).parents[1]
PLAN = Plan((0.3, 1.0), 2, (0.3,), 1, tuple(WAYS))


@pytest.fixture(autouse=True)
def small_scratch_nets(monkeypatch):
    begin_small(monkeypatch)


@pytest.fixture(scope="module")
def catalog():
    return simulated_galaxies()


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[Path]:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "contrastive", ContrastiveDenoiser(TINY))
    save_model(folder / "cae", GalaxyAutoencoder(AutoencoderConfig((8, 8), 6, 16)))
    return [folder / "contrastive", folder / "cae"]


@pytest.fixture(scope="module")
def measured(catalog, models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    with pytest.MonkeyPatch.context() as patch:
        begin_small(patch)
        return folder, evaluate(models, catalog, folder / "f.jsonl", folder / "work", PLAN, QUICK)


def test_every_way_is_measured_on_all_test_galaxies(measured, catalog, tmp_path):
    scores = measured[1]
    n_test = sum(split_of(str(key)) == "test" for key in catalog.galaxy_ids)
    assert scores["n_test"] == n_test and all(row["n_test"] == n_test for row in scores["results"])
    found = {(row["way"], row["model"]) for row in scores["results"]}
    trained = {
        (way, model) for way in ("frozen", "fine_tuned", "fine_tuned_unlabelled") for model in ("contrastive", "cae")
    }
    assert found == trained | {("scratch", NO_MODEL)}
    frozen = [(p["share"], p["n_seeds"]) for p in scores["points"] if p["way"] == "frozen" and p["model"] == "cae"]
    assert frozen == [(0.3, 2), (1.0, 1)], "all labels are one draw"
    assert {p["n_seeds"] for p in scores["points"] if p["way"] != "frozen"} == {1}
    assert all(row["n_labels"] < 0.4 * scores["n_train"] for row in scores["results"] if row["share"] < 1)
    assert all(row["chosen"]["epochs"] == 2 for row in scores["results"] if row["way"] != "frozen")
    path = tmp_path / "few_labels.json"
    path.write_text(json.dumps(scores, allow_nan=False))
    read = read_results(path)
    assert [vars(point) for point in read.points] == scores["points"]
    text = "\n".join(table_lines(scores))
    assert "fine tuned unlabelled" in text and NO_MODEL in text and f"all {n_test} test galaxies" in text


def test_what_is_there_is_not_measured_again_and_a_cut_line_is(measured, catalog, models, tmp_path, monkeypatch):
    folder, scores = measured
    lines = (folder / "f.jsonl").read_text().splitlines()
    kept = tmp_path / "f.jsonl"
    kept.write_text("\n".join(lines[:3]) + "\n" + lines[3][:40])
    asked = []

    def spy(subject, way, share, seed, *rest):
        asked.append((subject and subject.name, way, share, seed))
        row = next(r for r in scores["results"] if job_of(r) == asked[-1])
        return {key: value for key, value in row.items() if key not in ("model", "key")}

    def job_of(row):
        return None if row["model"] == NO_MODEL else row["model"], row["way"], row["share"], row["seed"]

    monkeypatch.setattr(few_labels, "run_way", spy)
    again = evaluate(models, catalog, kept, folder / "work", PLAN, QUICK)
    assert len(asked) == len(lines) - 3 and again["results"] == scores["results"]
    asked.clear()
    assert evaluate(models, catalog, kept, folder / "work", PLAN, QUICK)["points"] == scores["points"] and not asked
    # fewer are asked for, and all that were measured alike are told; another configuration is another measurement
    less = evaluate(models, catalog, kept, folder / "work", Plan((0.3,), 1, (), 0, ("frozen",)), QUICK)
    assert less["points"] == scores["points"]
    other = dataclasses.replace(QUICK, frozen=FrozenConfig(strengths=(5.0,)))
    monkeypatch.undo()
    plan = Plan((0.3,), 1, (), 0, ("frozen",))
    assert len(evaluate(models, catalog, kept, folder / "work", plan, other)["results"]) == 2


def test_other_images_under_the_same_ids_are_measured_anew(models, tmp_path):
    folder, rng, table = tmp_path / "images", np.random.default_rng(0), ["galaxy_id,class"]
    folder.mkdir()
    for number in range(60):
        (folder / f"g{number}.png").write_bytes(encode_png(rng.random((3, 16, 16), dtype=np.float32)))
        table.append(f"g{number},{'ab'[number % 2]}")
    (folder / "labels.csv").write_text("\n".join(table))

    def keys() -> set[str]:
        found, kept = read_catalog(f"folder:{folder}"), folder / "f.jsonl"
        plan = Plan((1.0,), 1, (), 0, ("frozen",))
        return {row["key"] for row in evaluate(models[:1], found, kept, tmp_path / "work", plan, QUICK)["results"]}

    first = keys()
    assert keys() == first, "nothing changed but files that hold no image"
    (folder / "g7.png").write_bytes(encode_png(rng.random((3, 16, 16), dtype=np.float32)))
    assert not keys() & first


def test_lines_of_another_version_are_passed_over(measured, catalog, models, tmp_path):
    folder, scores = measured
    first, *lines = (folder / "f.jsonl").read_text().splitlines()
    row = json.loads(first)
    odd = [{}, row | {"way": "by_magic"}, row | {"way": None}]
    odd += [{key: value for key, value in row.items() if key != name} for name in ("way", "share", "seed", "model")]
    kept = tmp_path / "f.jsonl"
    strange = [json.dumps(one | {"key": str(number)}) for number, one in enumerate(odd)]
    kept.write_text("\n".join([*strange, json.dumps([row]), "3", first, *lines, ""]))
    again = evaluate(models, catalog, kept, folder / "work", PLAN, QUICK)
    assert again["results"] == scores["results"]


def test_the_same_seed_gives_the_same_result(measured, catalog, models, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        begin_small(patch)
        plan = Plan((0.3,), 1, (0.3,), 1, ("frozen", "scratch"))
        again = evaluate(models, catalog, tmp_path / "f.jsonl", tmp_path / "work", plan, QUICK)
    first = {row["key"]: (row["accuracy"], row["macro_f1"]) for row in measured[1]["results"]}
    assert again["results"] and all(first[r["key"]] == (r["accuracy"], r["macro_f1"]) for r in again["results"])


def test_merged_classes_are_one(measured, catalog, models, tmp_path):
    plan = Plan((1.0,), 1, (), 0, ("frozen",))
    merges = ["edge_on+cigar_smooth"]
    scores = evaluate(models[:1], catalog, tmp_path / "f.jsonl", measured[0] / "work", plan, QUICK, merges)
    before = measured[1]["class_names"]
    assert len(scores["class_names"]) == len(before) - 1 and "edge_on+cigar_smooth" in scores["class_names"]
    assert scores["n_test"] == measured[1]["n_test"] and scores["merged"] == merges


def test_what_learned_from_labels_or_has_no_encoder_is_refused(catalog, models, tmp_path):
    net = MorphologyNet(MorphologyConfig((8, 8), (1, 1), 8, 8, 16, 8, class_names=("a", "b")))
    save_model(tmp_path / "votes", net)
    with pytest.raises(ModelError, match="votes learned from labels already"):
        evaluate([tmp_path / "votes"], catalog, tmp_path / "f.jsonl", tmp_path / "w", PLAN, QUICK)
    save_model(tmp_path / "contrastive", load_model(models[0]))
    with pytest.raises(ModelError, match="same name"):
        evaluate([models[0], tmp_path / "contrastive"], catalog, tmp_path / "f.jsonl", tmp_path / "w", PLAN, QUICK)
    with pytest.raises(ModelError, match="no way 'magic'"):
        evaluate(models, catalog, tmp_path / "f.jsonl", tmp_path / "w", Plan(ways=("magic",)), QUICK)
    table = catalog.table.drop(columns="class")
    with pytest.raises(CatalogError, match="no classes"):
        evaluate(models, dataclasses.replace(catalog, table=table), tmp_path / "f", tmp_path / "w", PLAN, QUICK)
    table = catalog.table.assign(**{"class": None})
    with pytest.raises(CatalogError, match="larger catalog"):
        evaluate(models, dataclasses.replace(catalog, table=table), tmp_path / "f", tmp_path / "w", PLAN, QUICK)
    assert not (tmp_path / "f.jsonl").exists()


def test_what_was_started_from_a_model_that_learned_from_labels_is_refused(catalog, tmp_path):
    net, once = ResNetConfig(18, 8, 3, 2, False, (), 8, 16, 16), FitConfig(1, 16, 1e-3)
    labels = feature_classifier.Config(model=net, whole=once, imagenet=False, labels_from="catalog")
    feature_classifier.train([catalog], tmp_path / "classes", labels)
    without = moco.Config(model=net, contrast=once, queue_size=40, n_groups=2)
    moco.train([catalog], tmp_path / "child", without, start_from=tmp_path / "classes")
    child = load_model(tmp_path / "child")
    save_model(tmp_path / "grandchild", child, {"recipe": "moco"} | origin_of(tmp_path / "child"))
    save_model(tmp_path / "pupil", child, {"taught_by": {"about": {"n_train_with_votes": 5}}})
    for name in ("child", "grandchild", "pupil"):
        with pytest.raises(ModelError, match=f"{name} was started from a model that learned from labels"):
            evaluate([tmp_path / name], catalog, tmp_path / "f.jsonl", tmp_path / "w", PLAN, QUICK)
    assert not (tmp_path / "f.jsonl").exists()
    save_model(tmp_path / "first", GalaxyResNet(net), {"recipe": "moco", "n_train": 9})
    save_model(tmp_path / "second", child, {"recipe": "moco"} | origin_of(tmp_path / "first"))
    assert few_labels.load_encoder(tmp_path / "second", "cpu").name == "resnet", "none of these saw a label"


def test_the_command_prints_and_writes(models, tmp_path, monkeypatch, capsys):
    line = [
        "evaluate.py",
        "few_labels",
        "synthetic:60",
        "--models",
        *map(str, models),
        "--ways",
        "frozen",
        "--seeds",
        "1",
    ]
    line += ["--json", str(tmp_path / "few_labels.json"), "--shares", "0.5", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", line)
    script = runpy.run_path(str(ROOT / "scripts" / "evaluate.py"), run_name="script")
    with (
        hold_lock(tmp_path / "few_labels.work" / ".lock", "measuring"),  # each would go on with the other's trainings
        pytest.raises(ArtifactError, match="Another run is working in"),
    ):
        script["run"](script["parse_arguments"]())
    script["run"](script["parse_arguments"]())
    assert "test galaxies of synthetic:60" in capsys.readouterr().out
    assert len(read_results(tmp_path / "few_labels.json").points) == 2
    assert len((tmp_path / "few_labels.jsonl").read_text().splitlines()) == 2
    for wrong in (
        line[:3],
        line[:-6],
        [*line, "--shares", "2"],
        [*line, "--trained-px", "129"],
        [*line, "--json", str(tmp_path / "few_labels.jsonl")],
        [*line, "--json", str(tmp_path / "few_labels.work")],
        ["evaluate.py", "cae", "synthetic:9", "--merge", "a+b"],
        ["evaluate.py", "cae", "synthetic:9", "--trained-px", "64"],
    ):
        monkeypatch.setattr(sys, "argv", wrong)
        with pytest.raises(SystemExit):
            script["parse_arguments"]()
    assert len((tmp_path / "few_labels.jsonl").read_text().splitlines()) == 2


def test_features_are_the_mean_over_the_dihedral_group_and_are_kept(catalog, models, tmp_path):
    stamps, model = make_stamps([catalog], 128, tmp_path), load_model(models[0])
    stamps.readable[5] = False
    features = cached_features(model, stamps, tmp_path / "f.npy")
    image = torch.nn.functional.interpolate(stamps.batch(np.array([7]))[0], size=16, mode="area")
    views = [torch.rot90(v, k, dims=(2, 3)) for k in range(4) for v in (image, image.flip(3))]
    with torch.inference_mode():
        naive = torch.stack([model.encoder.features(view) for view in views]).mean(dim=0)[0].numpy()
    np.testing.assert_allclose(features[7], naive, rtol=0.05, atol=0.02)  # bf16
    assert not features[5].any()
    np.testing.assert_array_equal(cached_features(None, stamps, tmp_path / "f.npy"), features)


def test_passes_are_those_in_which_the_encoder_learned(tmp_path):
    phases = ["contrast"] * 3 + ["denoise"] * 5 + ["redraw"]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps({"phase": phase}) + "\n" for phase in phases))
    assert few_labels.passes_of(tmp_path) == 4
    assert few_labels.passes_of(tmp_path / "elsewhere") is None
    with open(tmp_path / "history.jsonl", "a") as file:
        file.write('{"phase": "con')
    assert few_labels.passes_of(tmp_path) == 4, "a line that was cut by a kill is passed over"


def test_an_encoder_is_known_by_its_weights_whatever_the_sign_of_its_zeros():
    plain, turned, other = (torch.nn.Linear(2, 2) for _ in range(3))
    for layer, zero in ((plain, 0.0), (turned, -0.0), (other, 1e-30)):
        torch.nn.init.constant_(layer.weight, zero)
        torch.nn.init.ones_(layer.bias)
    assert np.signbit(turned.weight.detach().numpy()).all()
    assert few_labels.checksum_of(plain) == few_labels.checksum_of(turned) != few_labels.checksum_of(other)


def test_a_result_that_cannot_be_kept_is_one_sentence(tmp_path):
    (tmp_path / "few.jsonl").mkdir()  # as a full disk, for root as well
    with pytest.raises(ArtifactError, match=r"Cannot write .*few\.jsonl: .*; free some space"):
        few_labels.append_line(tmp_path / "few.jsonl", {"key": "a"})
