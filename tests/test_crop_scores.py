"""Crops compared: each way is what it says, errors are those of the definition, and the command prints a table."""

from __future__ import annotations

import dataclasses
import json
import runpy
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.display import central_part
from galaxy_core.central_object import central_window, cut_central_object
from galaxy_core.errors import CatalogError, ImageError, ModelError
from galaxy_core.images import resize_square
from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet, join_models
from galaxy_core.morphology_items import catalog_items, file_items
from galaxy_core.recipes import crop_scores
from galaxy_core.recipes.crop_scores import (
    STRENGTHS,
    WAYS,
    by_case,
    count_cases,
    cut_ways,
    evaluate,
    features_of_ways,
    fit_and_predict,
    folds_of,
    paired_difference,
    predict_folds,
)
from galaxy_core.recipes.crop_table import table_lines
from galaxy_core.recipes.vote_scores import vote_errors

ROOT = Path(__file__).resolve().parents[1]


def galaxy(side: int = 96, width: float = 8.0, bright: float = 0.9) -> np.ndarray:
    y, x = np.indices((side, side)) - (side - 1) / 2
    light = bright * np.exp(-(x**2 + y**2) / (2 * width**2))
    return np.stack([light, 0.8 * light, 0.5 * light]).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small untrained denoiser, and an ensemble, which has no encoder of its own."""
    root = tmp_path_factory.mktemp("models") / "models"
    torch.manual_seed(0)
    sizes = {"denoiser_widths": (8, 8), "encoder_widths": (8, 16), "encoder_blocks": (1, 1), "embedding_input_px": 32}
    save_model(root / "contrastive_denoiser", ContrastiveDenoiser(ContrastiveDenoiserConfig(**sizes)))
    net = MorphologyNet(MorphologyConfig((8, 8), (1, 1), 8, 8, input_px=32, hidden_size=8))
    save_model(root / "ensemble", join_models([net, net]))
    return root


def test_each_way_is_what_its_name_says():
    small = galaxy(width=3)
    cut, share = cut_ways(small, 0.6, 24)
    np.testing.assert_array_equal(cut[0], resize_square(central_part(small, 0.6), 24))
    np.testing.assert_array_equal(cut[1], resize_square(small, 24))
    np.testing.assert_array_equal(cut[2], cut_central_object(small[None], 24)[0])
    assert share == 0.25 and not np.allclose(cut[0], cut[2])
    assert cut_ways(galaxy(width=30), 0.6, 24)[1] == 1.0
    nothing, share = cut_ways(galaxy(bright=0.05), 0.6, 24)
    assert np.isnan(share) and (nothing[2] == nothing[1]).all()


def test_a_window_scaled_is_the_cut_of_the_batch():
    for image in (galaxy(width=3), galaxy(width=6), galaxy(width=30), galaxy(bright=0.05)):
        window = central_window(image)
        assert window.dtype == np.float32 and window.shape[1] == window.shape[2]
        np.testing.assert_array_equal(resize_square(window, 16), cut_central_object(image[None], 16)[0])
    assert central_window(galaxy(width=3)).shape == (3, 24, 24)
    wide = np.pad(galaxy(width=3), ((0, 0), (0, 0), (5, 5)))
    np.testing.assert_array_equal(central_window(wide), central_window(galaxy(width=3)))
    assert central_window(galaxy(1)).shape == (3, 1, 1)
    with pytest.raises(ImageError, match="colour"):
        central_window(np.zeros((1, 9, 9), np.float32))


def test_cases_are_counted():
    sides = np.array([0.25, 0.5, 0.5, 1.0, np.nan])
    cases = count_cases(sides)
    assert [cases[name]["n"] for name in ("quarter", "half", "frame", "nothing")] == [1, 2, 1, 1]
    assert cases["half"]["share"] == 0.4
    votes = np.zeros((5, 2))
    told = {way: votes + number for number, way in enumerate(WAYS)}
    rows = by_case({way: each[:3] for way, each in told.items()}, votes[:3], sides[:3])
    assert rows == {
        "quarter": {"n": 1, "centre": 0.0, "field": 1.0, "object": 2.0},
        "half": {"n": 2, "centre": 0.0, "field": 1.0, "object": 2.0},
    }


def test_stamps_of_a_frame_are_in_one_fold():
    keys = np.array([f"frame {number // 3}" for number in range(60)], dtype=object)
    fold = folds_of(keys, 5, seed=1)
    assert set(fold) == set(range(5)) and all(len(set(fold[keys == key])) == 1 for key in set(keys))
    assert (folds_of(keys, 5, 1) == fold).all() and (folds_of(keys, 5, 2) != fold).any()


def test_the_regression_is_ridge_with_the_strength_of_least_leave_one_out_error():
    rng = np.random.default_rng(3)
    x, other = rng.normal(size=(24, 6)), rng.normal(size=(5, 6))
    y = 0.5 + 0.05 * x @ rng.normal(size=(6, 4)) + 0.05 * rng.normal(size=(24, 4))

    def ridge(strength, x, y, other):
        centre = y.mean(axis=0)
        weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ (y - centre))
        return centre + other @ weights

    z, z_other = (x - x.mean(axis=0)) / x.std(axis=0), (other - x.mean(axis=0)) / x.std(axis=0)
    errors = []
    for strength in STRENGTHS:
        out = []
        for left in range(24):
            kept = np.arange(24) != left
            middle = z[kept].mean(axis=0)
            out.append(ridge(strength, z[kept] - middle, y[kept], z[[left]] - middle)[0] - y[left])
        errors.append(np.square(out).mean())
    told, strength = fit_and_predict(x, y, other)
    assert strength == STRENGTHS[int(np.argmin(errors))]
    np.testing.assert_allclose(told, ridge(strength, z, y, z_other).clip(0, 1), atol=1e-9)
    assert fit_and_predict(x, 100 * y, other)[0].max() == 1.0, "no share is above 1"


def test_no_galaxy_is_in_its_own_fit():
    rng = np.random.default_rng(0)
    x, y, fold = rng.normal(size=(40, 3)), rng.random((40, 2)), np.arange(40) % 4
    told = predict_folds(x, y, fold)
    changed = y.copy()
    changed[fold == 2] = 1 - changed[fold == 2]
    again = predict_folds(x, changed, fold)
    np.testing.assert_array_equal(told[fold == 2], again[fold == 2])
    assert not np.allclose(told[fold != 2], again[fold != 2])


def test_paired_differences_by_hand(monkeypatch):
    monkeypatch.setattr(crop_scores, "N_RESAMPLES", 50)
    rng = np.random.default_rng(5)
    votes = rng.random((30, 4))
    base, told = votes + 0.2 * rng.normal(size=votes.shape), votes + 0.1 * rng.normal(size=votes.shape)
    found = paired_difference(told, base, votes, seed=9)
    whole = [vote_errors(each, votes, 0) for each in (told, base)]
    assert found["rmse"] == pytest.approx(whole[0]["rmse"] - whole[1]["rmse"])
    assert found["r2"] == pytest.approx(whole[0]["r2"] - whole[1]["r2"])
    picks = np.random.default_rng(9).integers(0, 30, (50, 30))
    draws = []
    for pick in picks:
        scores = [vote_errors(each[pick], votes[pick], 0) for each in (told, base)]
        draws.append([scores[0][name] - scores[1][name] for name in ("rmse", "r2")])
    bounds = np.percentile(draws, (2.5, 97.5), axis=0).T
    np.testing.assert_allclose([found["rmse_interval"], found["r2_interval"]], bounds, atol=1e-9)
    assert found["rmse_interval"][1] < 0 < found["r2_interval"][0], "half the error is a difference"
    same = paired_difference(base, base, votes, 0)
    assert same["rmse"] == same["r2"] == 0 and same["rmse_interval"] == [0, 0]


def test_resamples_are_not_all_in_memory_at_once():
    """A tenth of Galaxy Zoo 2 is 24,000 galaxies, and the rest of it is judged in folds."""
    votes, told, base = np.random.default_rng(2).random((3, 2_000, 4))
    tracemalloc.start()
    try:
        paired_difference(told, base, votes, seed=1)
        vote_errors(told, votes, seed=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50 * votes.nbytes


def test_the_command_prints_a_table_and_writes_it_whole(folder, tmp_path, monkeypatch, capsys):
    line = ["evaluate.py", "central_object", "synthetic:160", "--artifacts", folder.parent, "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [*map(str, line), "--json", str(tmp_path / "x.json")])
    script = runpy.run_path(str(ROOT / "scripts" / "evaluate.py"), run_name="script")
    script["run"](script["parse_arguments"]())
    printed = capsys.readouterr().out
    assert "Crops of synthetic:160 seen by the frozen encoder of contrastive_denoiser" in printed
    scores = json.loads((tmp_path / "x.json").read_text())
    n = scores["folds"]["n"] + scores["test"]["n"]
    assert n == sum(case["n"] for case in scores["cases"].values()) == 160 - scores["n_without_votes"]
    assert 20 < n < 160 and scores["test"]["n"] > 0 and "without votes on all 37 answers were left out" in printed
    assert set(scores["test"]) >= {*WAYS, "training_mean"} and "difference" not in scores["folds"]["centre"]
    assert all(scores["strengths"][way] in STRENGTHS for way in WAYS) and scores["weights_sha256"]
    for text in ("| test split, ", "| 10-fold, ", "mean galaxy, no image", "central object", "no object was found"):
        assert text in printed
    rows = [text for text in table_lines(scores) if text.startswith("|")]
    assert {text.count("|") for text in rows[:9]} == {6} and {text.count("|") for text in rows[9:]} == {7}


def test_the_same_seed_gives_the_same_and_an_unreadable_image_is_left_out(folder):
    catalog = read_catalog("synthetic:40")
    table = catalog.table.copy()
    table[list(catalog.answer_columns)] = table[list(catalog.answer_columns)].fillna(0.0)

    def load(row: int) -> np.ndarray:
        if row == 3:
            raise ImageError("It is damaged.")
        return catalog.load_image(row)

    damaged = dataclasses.replace(catalog, load_image=load, table=table)
    first, second = (evaluate(folder / "contrastive_denoiser", damaged, seed=2) for _ in range(2))
    assert first == second and first["n_unreadable"] == 1 and first["n_without_votes"] == 0
    assert "1 galaxies unreadable were left out" in "\n".join(table_lines(first | {"catalog": "c", "model": "m"}))


def test_what_cannot_be_compared_is_one_sentence(folder):
    catalog = read_catalog("synthetic:40")
    with pytest.raises(ModelError, match="has no encoder of galaxies"):
        features_of_ways(folder / "ensemble", catalog, np.arange(3), "cpu", None)
    with pytest.raises(CatalogError, match=r"0 of the 40 galaxies .* have votes on all 37"):
        evaluate(folder / "contrastive_denoiser", dataclasses.replace(catalog, answer_columns=(), answer_kind=""))


def test_classification_looks_at_the_object_if_asked(tmp_path):
    from galaxy_core.images import encode_png

    (tmp_path / "a.png").write_bytes(encode_png(galaxy(width=3)))
    ((_, plain),), ((_, cropped),) = (
        list(file_items([tmp_path / "a.png"], crop=c)) for c in ("centre", "central-object")
    )
    assert plain().shape == (3, 96, 96) and cropped().shape == (3, 24, 24)
    catalog = dataclasses.replace(read_catalog("synthetic:2"), field_fraction=0.5)
    whole = catalog.load_image(0)
    ((_, centre),), ((_, cut),) = (list(catalog_items(catalog, [0], c)) for c in ("centre", "central-object"))
    assert centre().shape[1] == whole.shape[1] // 2, "the catalog's own share of the field"
    np.testing.assert_array_equal(cut(), central_window(whole))
