"""Features, scores and the recipe for stars and galaxies, from a small catalog to a model's folder and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ImageError, ModelError
from galaxy_core.models import load_model
from galaxy_core.models.star_galaxy import StarGalaxyConfig
from galaxy_core.recipes import star_galaxy_steps as steps
from galaxy_core.recipes import star_galaxy_vae as recipe
from galaxy_core.recipes.star_galaxy_scores import area_under_curve, score_probabilities
from galaxy_core.recipes.star_galaxy_steps import fit_table, shapes_said
from galaxy_core.simulator.star_galaxy import simulate_object
from galaxy_core.star_galaxy import galaxy_log_odds
from galaxy_core.star_galaxy_baselines import baseline_scores
from galaxy_core.star_galaxy_features import SHAPE_FEATURES, measure_features
from galaxy_core.star_galaxy_stamps import (
    make_object_stamps,
    normalise,
)
from galaxy_core.training import FitConfig
from tests.star_stamp import star

SMALL = recipe.Config(
    model=StarGalaxyConfig(widths=(4, 8, 8), hidden_size=8, n_gaussians=3, n_samples=4),
    unlabelled=FitConfig(1, 32, 1e-3, warmup_steps=2),
    share=FitConfig(1, 256, 1e-3, warmup_steps=2),  # more than there are: all of them, then
    labelled=FitConfig(1, 32, 1e-3, warmup_steps=2),
    n_draws=4,
)


# ---- features and scores


def test_features_of_a_star_are_those_of_its_seeing():
    pixels, _ = normalise(star())
    values = dict(zip(SHAPE_FEATURES, measure_features(pixels, np.ones(1), np.array([3.3]), 0), strict=True))
    assert values["magnitude"] == pytest.approx(-2.5 * np.log10(4000), abs=0.1)
    assert values["half_light_radius_px"] == pytest.approx(3.3 / 2 * 1.16, rel=0.12)  # a Moffat of beta 3
    assert values["ellipticity"] < 0.1


def test_features_survive_an_empty_stamp_and_tell_colours():
    assert np.isfinite(measure_features(np.zeros((5, 32, 32), np.float32), np.ones(5), np.full(5, 3.3), 2)).all()
    pixels, _ = normalise(star())
    two = np.concatenate([pixels, 10 * pixels])
    values = measure_features(two, np.ones(2), np.full(2, 3.3), 0)
    assert values[-1] == pytest.approx(2.5, abs=0.1)  # the second band is 2.5 magnitudes brighter
    with pytest.raises(ImageError, match="noise above zero"):
        measure_features(two, np.zeros(2), np.full(2, 3.3), 0)


def test_the_area_under_the_curve_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 2, 200), rng.integers(0, 9, 200) / 9
    assert area_under_curve(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    assert area_under_curve(scores[:1], truth[:1]) is None


def test_scores_of_perfect_and_of_opposite_probabilities():
    truth, snr = np.array([0, 0, 1, 1]), np.array([5.0, 25.0, 25.0, 40.0])
    perfect = score_probabilities(truth.astype(float), truth, snr, np.array([21.8, 20.0, 18.5, 20.7]))
    assert perfect["accuracy"] == perfect["auc"] == perfect["accuracy_at_high_snr"] == 1
    assert perfect["expected_calibration_error"] == 0 and perfect["n_at_high_snr"] == 3
    assert [row["n"] for row in perfect["by_magnitude"]] == [1, 1, 1, 1]
    assert score_probabilities(1.0 - truth, truth, snr)["auc"] == 0


def test_baselines_learn_only_from_their_rows():
    rng = np.random.default_rng(1)
    features, truth = rng.normal(size=(300, 11)).astype(np.float32), rng.integers(0, 2, 300)
    features[:, 2] += 3 * truth
    learn, told = np.arange(200), np.arange(200, 300)
    made = baseline_scores(features, truth, learn, told)
    assert area_under_curve(made["half-light radius and magnitude"], truth[told]) > 0.95
    assert area_under_curve(made["concentration and magnitude"], truth[told]) < 0.7
    changed = truth.copy()
    changed[told] = 1 - changed[told]
    for name, p in baseline_scores(features, changed, learn, told).items():
        np.testing.assert_array_equal(p, made[name])


# ---- the recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Folder of a small model, trained for a moment on 120 simulated objects."""
    folder = tmp_path_factory.mktemp("models") / "m"
    recipe.train([read_catalog("star-galaxy:120")], folder, SMALL)
    return folder


def test_a_model_is_trained_saved_and_measured(trained):
    model = load_model(trained)
    assert model.config.supervised and (trained / "history.jsonl").read_text().count("\n") == 3
    assert not (trained / ".state").exists()
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert all("loss" in line["validation"] for line in history)  # drawn beside that of training
    scores = recipe.evaluate(trained, read_catalog("star-galaxy:120"))
    assert {"without labels", "supervised", "trees on the whole catalogue"} <= set(scores["methods"])
    lines = recipe.table_lines(scores | {"catalog": "star-galaxy:120"})
    assert len(lines) > 8 and lines[0].startswith("Measured on the 17 test objects of 120: star-galaxy:120; ")
    assert scores["methods"]["without labels"]["auc"] > 0.6


def test_labels_are_not_looked_at_without_asking(trained, tmp_path):
    """The phases before the labelled one end with the same weights whatever the labels say, and without them."""
    catalog = read_catalog("star-galaxy:120")
    lying = replace(catalog, table=catalog.table.assign(**{"class": "star"}))
    unlabelled = replace(catalog, table=catalog.table.drop(columns="class"))
    weights = []
    for name, given in (("lying", lying), ("none", unlabelled)):
        recipe.train([given], tmp_path / name, SMALL, phases=("unlabelled", "share"))
        weights.append((tmp_path / name / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert not load_model(tmp_path / "none").config.supervised


def test_the_share_of_galaxies_is_learned_from_shapes_that_are_held(tmp_path):
    """Nothing but the share's own network changes, and it finds in colours and brightness what shapes say of them."""
    catalog = read_catalog("star-galaxy:400")
    recipe.train([catalog], tmp_path / "shapes", SMALL, phases=("unlabelled",))
    longer = replace(SMALL, share=FitConfig(60, 64, 5e-3, warmup_steps=2, patience_epochs=60))
    recipe.train([catalog], tmp_path / "shared", longer, phases=("share",), start_from=tmp_path / "shapes")
    before, after = load_model(tmp_path / "shapes"), load_model(tmp_path / "shared")
    changed = {name for name, value in after.state_dict().items() if not torch.equal(value, before.state_dict()[name])}
    assert changed == {"share_shift", *(f"share.{name}" for name in before.share.state_dict())}

    stamps = make_object_stamps(catalog, tmp_path / "stamps")
    held_out = np.flatnonzero(stamps.splits != "train")
    noise, pixels = stamps.noise_sigma[held_out], stamps.pixels[held_out].astype(np.float32)
    bounds = []
    for model in (before, after):
        odds = galaxy_log_odds(model, pixels, stamps.psf_fwhm_px[held_out], noise)
        share = expit(odds.prior - float(model.share_shift))
        bounds.append(np.log(1 - share + share * np.exp(odds.unlabelled - odds.prior)).mean())
    assert bounds[1] > bounds[0] + 0.02


def test_what_shapes_say_is_said_with_all_digits(tmp_path, monkeypatch):
    """A training that goes on after its first phase, which it does not train again, learns from the same.

    The few objects that it is judged on, and that the share of galaxies is set on, are drawn from all: the first may be
    of one frame or of one class.
    """
    seen, judged, fitted = [], [], []
    told = steps._judged
    monkeypatch.setattr(steps, "_judged", lambda *given: judged.append(given[2]) or told(*given))
    monkeypatch.setattr(recipe, "fit_table", lambda stamps, rows: fitted.append(rows) or fit_table(stamps, rows))
    monkeypatch.setattr(
        recipe, "shapes_said", lambda model, *_, **__: seen.append(model.training) or shapes_said(model, *_, **__)
    )
    config = replace(SMALL, n_validation_max=3, n_share_max=5)
    recipe.train([read_catalog("star-galaxy:60")], tmp_path, config, phases=("share",))
    assert seen == [False, False]
    assert fitted[0][-3:].tolist() != [3, 8, 10] and judged[-1].tolist() != list(range(5)) and len(judged[-1]) == 5


def test_what_shapes_say_is_the_evidence_before_the_share(trained, tmp_path):
    model = load_model(trained)
    table = fit_table(make_object_stamps(read_catalog("star-galaxy:20"), tmp_path), np.arange(20))
    for blind in (False, True):
        light, gain = shapes_said(model, table, blind=blind)
        fits = table.take(np.arange(20))
        photometry = model.photometry(fits, None if blind else table.noise(np.arange(20)))
        evidence = model.evidence(fits, photometry)
        torch.testing.assert_close(gain, (evidence.logit - evidence.log_odds).detach(), atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(model.share(light).squeeze(1) + model.share_shift, evidence.log_odds)
        assert bool((light[:, :-1] == 0).all()) == blind


def test_the_shipped_model_is_the_one_measured_and_still_does_as_measured():
    """The metrics, the card and the readme are of these weights; 200 other simulated objects are told as well."""
    root = Path(__file__).resolve().parents[1]
    folder = root / "artifacts" / "models" / "star_galaxy"
    metrics = json.loads((folder / "metrics.json").read_text())
    weights = (folder / "weights.safetensors").read_bytes()
    assert metrics["weights_sha256"] == hashlib.sha256(weights).hexdigest() and len(weights) < 1.5e6
    methods, card, readme = metrics["methods"], (folder / "card.md").read_text(), (root / "README.md").read_text()
    for name in ("without labels", "supervised", "trees on the whole catalogue"):
        assert f"{methods[name]['auc']:.3f}" in card and f"{methods[name]['auc']:.3f}" in readme
    for name in ("without labels", "supervised", "trees on the whole catalogue"):
        one = metrics["fresh"]["methods"][name]
        low, high = one["auc_interval"]
        shown = f"{one['auc']:.3f} ({low:.3f}-{high:.3f}) | {100 * one['accuracy_at_high_snr']:.1f} %"
        assert f"| {name} | {100 * one['accuracy']:.1f} % | {shown}" in card
    fresh = metrics["fresh"]["methods"]["without labels"]
    assert min(fresh["accuracy_at_high_snr"], methods["without labels"]["accuracy_at_high_snr"]) >= 0.97
    assert f"of {fresh['n_at_high_snr']:,} above 20" in readme
    frames, clipped = metrics["frames"], metrics["clipped"]["methods"]
    steps = [
        frames["simulated"]["ugriz"],
        frames["simulated"]["r"],
        frames["degraded"]["sharp"],
        *frames["degraded"]["degraded"],
    ]
    for step in steps:
        low, high = step["model"]["auc_interval"]
        assert f"{step['model']['auc']:.3f} ({low:.3f}-{high:.3f}) | {step['size_and_magnitude']['auc']:.3f}" in card
        assert high >= step["size_and_magnitude"]["auc"] - 0.001
    assert f"{metrics['clipped']['model_as_is_auc']:.3f}" in card
    for one in clipped.values():
        low, high = one["auc_interval_over_frames"]
        assert f"{one['auc']:.3f} ({low:.3f}-{high:.3f}) | {one['expected_calibration_error']:.3f}" in card
        assert f"{one['auc']:.3f} ({low:.3f}-{high:.3f}" in readme
    for step in (steps[0], steps[1], steps[4]):
        assert f"{step['model']['auc']:.3f}" in readme
    assert methods["without labels"]["auc"] > methods["trees on the whole catalogue"]["auc"]
    objects = [simulate_object(i, seed=5) for i in range(200)]
    pixels = np.stack([o.image / o.noise_sigma[:, None, None] for o in objects])
    seeing = np.stack([o.psf_fwhm_arcsec for o in objects]) / 0.396
    noise = np.stack([o.noise_sigma for o in objects])
    odds = galaxy_log_odds(load_model(folder), pixels, seeing, noise)
    truth = np.array([int(o.parameters.is_galaxy) for o in objects])
    assert area_under_curve(odds.unlabelled, truth) > 0.94 and area_under_curve(odds.supervised, truth) > 0.94
    assert ((odds.unlabelled > 0) == truth).mean() > 0.87


def test_the_share_of_galaxies_is_the_one_given(trained):
    model = load_model(trained)
    stamps = [simulate_object(i) for i in range(120)]
    pixels = np.stack([o.image / o.noise_sigma[:, None, None] for o in stamps])
    seeing = np.stack([o.psf_fwhm_arcsec for o in stamps]) / 0.396
    odds = galaxy_log_odds(model, pixels, seeing, np.stack([o.noise_sigma for o in stamps]))
    assert (1 / (1 + np.exp(-odds.unlabelled))).mean() == pytest.approx(SMALL.galaxy_share, abs=0.06)


def test_what_cannot_be_trained_is_said(tmp_path):
    catalog = read_catalog("star-galaxy:30")
    with pytest.raises(ModelError, match="no such phase"):
        recipe.train([catalog], tmp_path / "a", SMALL, phases=("dream",))
    with pytest.raises(ModelError, match="one catalog"):
        recipe.train([catalog, catalog], tmp_path / "b", SMALL)
    many = read_catalog("star-galaxy:120")
    unlabelled = replace(many, table=many.table.assign(**{"class": None}))
    with pytest.raises(ModelError, match="leave --phases out"):
        recipe.train([unlabelled], tmp_path / "c", SMALL, phases=("labelled",))
    assert not (tmp_path / "c" / "weights.safetensors").exists()
