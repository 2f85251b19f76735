"""The recipe end to end on simulated galaxies: trains, resumes, writes a model that loads, and judges it."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_core.calibration import interval_factor
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.losses import luminance
from galaxy_core.models import load_model, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.uncertainty_net import CALIBRATED_LEVELS
from galaxy_core.noise import PUBLISHED_SIGMA
from galaxy_core.recipes import RECIPES, find_recipe
from galaxy_core.recipes.contrastive_denoiser import (
    Config,
    _phases,
    evaluate,
    noisy_batch,
    train,
)
from galaxy_core.recipes.contrastive_denoiser_losses import denoising_losses
from galaxy_core.recipes.contrastive_denoiser_uncertainty import error_ratios
from galaxy_core.shape import standardised_shapes
from galaxy_core.stamps import make_stamps
from galaxy_core.training import FitConfig

SMALL = Config(
    model=ContrastiveDenoiserConfig((8, 8, 8), 1, (8, 8, 8), (1, 1, 1), 8, 8, 64, 4, (8, 8)),
    contrast=FitConfig(2, 16, 1e-3),
    denoise=FitConfig(2, 16, 1e-3),
    polish=FitConfig(1, 16, 1e-3),
    noise=FitConfig(1, 16, 1e-3),
    uncertainty=FitConfig(1, 16, 1e-3),
    polish_crop_px=64,
)


class Killed(Exception):
    """Stands in for a kill between two steps."""


@pytest.fixture(scope="module")
def catalog():
    return read_catalog("synthetic:60")


@pytest.fixture(scope="module")
def trained(catalog, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "contrastive_denoiser"
    train([catalog], folder, SMALL)
    return folder


def test_a_trained_folder_is_complete(trained):
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["epoch"]) for line in history] == [
        ("contrast", 0),
        ("contrast", 1),
        ("denoise", 0),
        ("denoise", 1),
        ("polish", 0),
        ("noise", 0),
        ("uncertainty", 0),
    ]
    about = json.loads((trained / "config.json").read_text())["about"]
    assert about["catalogs"] == ["synthetic:60"] and about["training"]["seed"] == 0
    assert not (trained / ".state").exists()


def test_a_killed_training_resumes_to_the_same_weights(catalog, trained, tmp_path):
    folder = tmp_path / "contrastive_denoiser"
    for phase_to_kill, step_to_kill in (
        ("contrast", 3),
        ("denoise", 3),
        ("polish", 1),
        ("noise", 1),
        ("uncertainty", 1),
    ):

        def report(phase, step, n_steps, losses, where=(phase_to_kill, step_to_kill)):
            if (phase, step) == where:
                raise Killed

        with pytest.raises(Killed):
            train([catalog], folder, SMALL, report=report)
    train([catalog], folder, SMALL)
    whole, resumed = load_model(trained).state_dict(), load_model(folder).state_dict()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_uncertainty_alone_is_trained_on_a_finished_model(catalog, trained, tmp_path):
    first = tmp_path / "first"

    def report(phase, step, n_steps, losses):
        if step == 2:
            raise Killed

    longer = dataclasses.replace(SMALL, uncertainty=FitConfig(2, 16, 1e-3), seed=5)
    with pytest.raises(Killed):
        train([catalog], first, longer, report=report, phases=["uncertainty"], start_from=trained)
    train([catalog], first, longer, phases=["uncertainty"], start_from=trained)
    old, new = load_model(trained).state_dict(), load_model(first).state_dict()
    changed = {key for key in old if not torch.equal(old[key], new[key])}
    assert changed and all(key.startswith("uncertainty_net.") for key in changed)
    about = json.loads((first / "config.json").read_text())["about"]
    assert about["training"]["seed"] == 0
    assert [(then["phases"], then["training"]["seed"]) for then in about["then"]] == [(["uncertainty"], 5)]
    phases = [json.loads(line)["phase"] for line in (first / "history.jsonl").read_text().splitlines()]
    assert phases == ["contrast", "contrast", "denoise", "denoise", "polish", "noise", "uncertainty", "uncertainty"]
    again = tmp_path / "again"  # and in place, from a model that has one already: the same numbers
    shutil.copytree(first, again)
    train([catalog], again, longer, phases=["uncertainty"], start_from=again)
    whole = load_model(again).state_dict()
    assert all(torch.equal(whole[key], new[key]) for key in whole)


def test_a_model_without_uncertainty_can_be_given_one(catalog, tmp_path):
    torch.manual_seed(0)
    plain = dataclasses.replace(SMALL.model, uncertainty_widths=())
    save_model(tmp_path / "old", ContrastiveDenoiser(plain))
    assert load_model(tmp_path / "old").uncertainty is None
    model = train([catalog], tmp_path / "new", SMALL, phases=["uncertainty"], start_from=tmp_path / "old")
    assert model.uncertainty is not None
    narrow, wide = model.interval_factors
    assert 0 < narrow < wide


def test_calibration_makes_intervals_hold_what_they_say(catalog, trained, tmp_path):
    stamps = make_stamps([catalog], 128, tmp_path)
    model, rows = load_model(trained), stamps.rows("validation")
    for level in CALIBRATED_LEVELS:
        ratios = error_ratios(model, stamps, rows, level, SMALL, "cpu")
        narrow, wide = interval_factor(ratios, 0.68), interval_factor(ratios, 0.95) / 1.96
        assert narrow * wide == pytest.approx(1, abs=0.01)  # one as much too wide as the other is too narrow
    everywhere = np.concatenate([error_ratios(model, stamps, rows, at, SMALL, "cpu") for at in CALIBRATED_LEVELS])
    for factor, share in zip(model.interval_factors, (0.68, 0.95), strict=True):
        assert np.mean(everywhere <= factor) == pytest.approx(share, abs=0.005)


@pytest.mark.parametrize(
    ("phases", "start", "sentence"),
    [
        (["shine"], True, "no phase 'shine'"),
        ([], True, "choose among"),
        (["noise"], False, "which to start from"),
        (["denoise"], True, "out of date"),
    ],
)
def test_phases_that_make_no_sense_are_one_sentence(catalog, trained, tmp_path, phases, start, sentence):
    with pytest.raises(ModelError, match=sentence):
        train([catalog], tmp_path / "m", SMALL, phases=phases, start_from=trained if start else None)
    assert not (tmp_path / "m").exists()


def test_test_galaxies_are_never_read_by_the_training(catalog, tmp_path):
    stamps = make_stamps([catalog], 128, tmp_path)
    seen = np.concatenate([stamps.rows("train"), stamps.rows("validation")])
    assert not set(seen) & set(stamps.rows("test"))
    assert len(seen) + len(stamps.rows("test")) == 60


def test_evaluation_scores_test_galaxies_alone(catalog, trained):
    scores = evaluate(trained, catalog, n_denoise=3, clusters=False)
    level = scores["denoising"]["noise_x1"]
    assert level["model"]["n_galaxies"] == 3 and scores["n_test"] < 20
    assert set(level) >= {"model", "model_told", "noisy_input", "total_variation", "estimated_over_true_noise"}
    assert level["total_variation"]["strict_ssim"] > level["noisy_input"]["strict_ssim"]
    assert 0 <= scores["embedding"]["test"]["linear_probe"]["accuracy"] <= 1
    assert scores["embedding"]["test"]["linear_probe"]["n_test"] <= scores["n_test"]
    json.dumps(scores, allow_nan=False)


def test_a_catalog_without_test_galaxies_is_an_error(catalog, trained):
    table = catalog.table.assign(split_group="128132")  # a training id
    with pytest.raises(CatalogError, match="test split"):
        evaluate(trained, dataclasses.replace(catalog, table=table))


def test_too_few_galaxies_to_train_on(tmp_path):
    with pytest.raises(ModelError):
        train([read_catalog("synthetic:4")], tmp_path / "m", SMALL)


def test_every_galaxy_may_be_grey_wherever_it_stands_in_its_catalog(catalog, tmp_path):
    stamps = make_stamps([catalog], 128, tmp_path)
    config, rows = dataclasses.replace(SMALL, crop_px=128), np.arange(8)
    light = luminance(stamps.batch(rows)[0]).sum(dim=(1, 2, 3))  # that of a whole stamp tells which galaxy it is
    seen = set()
    for seed in range(12):
        clean = noisy_batch(stamps, rows, config, torch.Generator().manual_seed(seed))[0]
        found = luminance(clean).sum(dim=(1, 2, 3))
        seen |= {int((light - one).abs().argmin()) for one in found[:4]}
    assert seen == set(range(8))


def test_the_last_passes_of_the_denoiser_show_whole_stamps(catalog, tmp_path):
    stamps = make_stamps([catalog], 128, tmp_path)
    config = dataclasses.replace(SMALL, polish_crop_px=Config().polish_crop_px)
    phases = {phase.name: phase for phase in _phases(ContrastiveDenoiser(config.model), stamps, config, "cpu")}
    for name, side in (("denoise", 64), ("polish", 128)):
        shown = phases[name].prepare(np.arange(4), torch.Generator().manual_seed(0))
        assert shown[0].shape[-2:] == shown[1].shape[-2:] == (side, side)


def test_noisy_batches_hold_grey_and_colour_clipped_and_linear(catalog, tmp_path):
    stamps = make_stamps([catalog], 128, tmp_path)
    config = dataclasses.replace(SMALL, linear_share=0.5)
    clean, noisy, foreground, sigma = noisy_batch(stamps, np.arange(40), config, torch.Generator().manual_seed(0))
    assert clean.shape == noisy.shape == (40, 3, 64, 64) and foreground.shape == (40, 1, 64, 64)
    assert torch.equal(noisy[:20, 0], noisy[:20, 2]) and not torch.equal(noisy[20:, 0], noisy[20:, 2])
    below = (noisy < 0).flatten(1).any(dim=1)
    assert 5 < below.sum() < 35
    ratio = sigma / PUBLISHED_SIGMA
    assert ratio.min() >= 0.4 and ratio.max() <= 2.5 and (ratio == 1).any() and (ratio != 1).any()
    sky = ~foreground.expand_as(clean)
    measured = (noisy - clean)[0][sky[0]].std()
    assert 0.3 * sigma[0] < measured < 1.5 * sigma[0]


def test_every_part_of_the_loss_has_its_weight():
    clean = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    output = (clean + 0.1).clamp(0, 1)
    foreground = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    foreground[..., 8:24, 8:24] = True
    names = ("squared_error", "ssim", "flux", "total_variation", "darkening")
    for name in names:
        weights = {f"{other}_weight": float(other == name) for other in names}
        parts = denoising_losses(output, clean, foreground, dataclasses.replace(SMALL, **weights))
        assert parts["loss"] == pytest.approx(float(parts[name])) and parts[name] > 0


def test_shapes_are_standardised_on_training_galaxies():
    shapes = np.array([[0.0], [2.0], [np.nan], [100.0]], dtype=np.float32)
    np.testing.assert_allclose(standardised_shapes(shapes, np.array([0, 1])).ravel(), [-1, 1, 0, 3])


def test_recipes_are_found_by_name():
    assert all(find_recipe(name).module().Config for name in RECIPES)
    with pytest.raises(ModelError, match="contrastive_denoiser"):
        find_recipe("nonsense")
