"""Stamps, features, scores and the recipe for stars and galaxies, from a small catalog to a model's folder and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.catalog import Catalog, ReadReport
from galaxy_core.errors import CatalogError, ImageError, ModelError
from galaxy_core.models import load_model
from galaxy_core.models.star_galaxy import StarGalaxyConfig
from galaxy_core.recipes import star_galaxy_vae as recipe
from galaxy_core.recipes.star_galaxy_scores import area_under_curve, score_probabilities
from galaxy_core.recipes.star_galaxy_steps import fit_table, shapes_said
from galaxy_core.simulator.light import make_frame, moffat
from galaxy_core.simulator.star_galaxy import simulate_object
from galaxy_core.star_galaxy import galaxy_log_odds
from galaxy_core.star_galaxy_baselines import baseline_scores
from galaxy_core.star_galaxy_features import SHAPE_FEATURES, feature_names, measure_features
from galaxy_core.star_galaxy_stamps import (
    densest,
    make_object_stamps,
    normalise,
    object_width,
    seeing_of_frames,
    sky_and_noise,
    steadied_seeing,
)
from galaxy_core.training import FitConfig

SMALL = recipe.Config(
    model=StarGalaxyConfig(widths=(4, 8, 8), hidden_size=8, n_gaussians=3, n_samples=4),
    unlabelled=FitConfig(1, 32, 1e-3, warmup_steps=2),
    share=FitConfig(1, 256, 1e-3, warmup_steps=2),  # more than there are: all of them, then
    labelled=FitConfig(1, 32, 1e-3, warmup_steps=2),
    n_draws=4,
)


def star(fwhm: float = 3.3, flux: float = 4000.0, size: int = 48) -> np.ndarray:
    """A Moffat in noise of 1 on a sky of 100, float32 (1, size, size)."""
    noise = np.random.default_rng(0).normal(100, 1, (size, size))
    return (flux * moffat(make_frame(size, 1.0), fwhm, 3.0, 0.5, 0.5) + noise)[None].astype(np.float32)


# ---- stamps


def test_sky_goes_and_noise_is_the_unit():
    pixels, noise = normalise(star())
    assert pixels.shape == (1, 32, 32)
    assert noise == pytest.approx([1.0], rel=0.1)
    assert pixels[0, :6].mean() == pytest.approx(0.3, abs=0.4)
    scaled, noise_of_scaled = normalise(star() * 7)
    np.testing.assert_allclose(scaled, pixels, atol=2e-3)
    assert noise_of_scaled == pytest.approx(noise * 7, rel=1e-4)


def test_a_known_noise_is_taken_as_it_is():
    pixels, noise = normalise(np.ones((2, 32, 32), np.float32), np.array([0.5, 2.0], np.float32))
    assert pixels[:, 0, 0].tolist() == [2.0, 0.5] and noise.tolist() == [0.5, 2.0]


def test_grey_pictures_have_one_band_and_small_stamps_a_rim_of_sky():
    grey = np.repeat(star(), 3, axis=0)
    assert normalise(grey)[0].shape == (1, 32, 32)
    small, _ = normalise(star(size=20))
    assert np.abs(small[0, :6]).max() == 0 and small[0, 16, 16] > 50


@pytest.mark.parametrize(
    "image", [np.zeros((1, 32, 32)), np.ones((6, 32, 32)), np.full((1, 40, 40), np.nan), np.ones((1, 1, 1))]
)
def test_what_is_no_stamp_is_one_sentence(image):
    with pytest.raises(ImageError) as caught:
        normalise(image.astype(np.float32))
    assert "\n" not in str(caught.value)


def test_missing_pixels_become_sky():
    image = star()
    image[0, 20:22, 3] = np.nan
    pixels, _ = normalise(image)
    assert np.isfinite(pixels).all()
    assert np.isnan(sky_and_noise(np.full((4, 4), np.nan))[0])


@pytest.mark.parametrize("fwhm", [2.6, 3.3, 5.0])
def test_the_width_of_a_star_is_its_seeing(fwhm):
    assert object_width(normalise(star(fwhm))[0][0]) == pytest.approx(fwhm, abs=0.45)
    assert np.isnan(object_width(np.zeros((32, 32))))


def test_a_top_that_is_cut_off_has_no_width():
    assert np.isnan(object_width(np.minimum(normalise(star())[0][0], 20.0)))


def test_the_densest_values_are_found_beside_a_tail():
    values = np.sort(np.concatenate([np.linspace(0.0, 0.9, 10), np.linspace(1.0, 1.05, 12), np.linspace(2.0, 9.0, 9)]))
    assert 1.0 <= densest(values) <= 1.05
    assert densest(np.array([3.0])) == 3.0 and densest(np.array([1.0, 1.0, 1.0, 1.0])) == 1.0


def test_the_seeing_is_that_of_the_narrow_objects_of_each_frame():
    widths = np.array([[3.0]] * 8 + [[6.0]] * 12 + [[4.0]] * 20 + [[np.nan]] * 3, np.float32)
    frames = np.array(["a"] * 20 + ["b"] * 20 + ["c"] * 3)
    seeing = seeing_of_frames(widths, frames)
    assert seeing[0, 0] == 3.0 and seeing[25, 0] == 4.0
    assert seeing[-1, 0] == 3.5  # a frame without a measured object: the median of the others
    assert seeing_of_frames(np.full((2, 1), np.nan, np.float32), np.array(["ü", "ü"])) == pytest.approx(3.3)


def test_bands_steady_the_seeing_of_each_other():
    rng = np.random.default_rng(0)
    true = np.exp(rng.normal(1.2, 0.14, (4000, 1)) + np.array([0.1, 0.0, -0.1]) + rng.normal(0, 0.02, (4000, 3)))
    known = (true * np.exp(rng.normal(0, 0.02, true.shape))).astype(np.float32)
    steadied = steadied_seeing(known, 0.02)
    assert np.log(known / true).std() == pytest.approx(0.02, rel=0.05)
    assert np.log(steadied / true).std() < 0.0165 and steadied.dtype == np.float32
    logs = np.log(known.astype(float))  # the formula as it is written
    covariance = np.cov(logs.T)
    filter_ = (covariance - 0.02**2 * np.eye(3)) @ np.linalg.inv(covariance)
    expected = np.exp(logs.mean(0) + (logs - logs.mean(0)) @ filter_.T)
    np.testing.assert_allclose(steadied, expected, rtol=1e-5)


def test_the_seeing_stays_as_it_is_where_nothing_steadies_it():
    rng = np.random.default_rng(0)
    known = np.exp(rng.normal(1.2, 0.1, (300, 1)) + rng.normal(0, 0.02, (300, 3))).astype(np.float32)
    np.testing.assert_allclose(steadied_seeing(known, 0.0), known, rtol=1e-5)
    np.testing.assert_array_equal(steadied_seeing(known[:20], 0.02), known[:20])
    np.testing.assert_array_equal(steadied_seeing(known[:, :1], 0.02), known[:, :1])
    known[7, 1] = np.nan
    steadied = steadied_seeing(known, 0.02)
    np.testing.assert_array_equal(steadied[7], known[7])
    assert np.isfinite(steadied).all(1).sum() == 299 and not np.array_equal(steadied[8], known[8])
    same = np.full((300, 3), 3.0, np.float32)
    np.testing.assert_allclose(steadied_seeing(same, 5.0), same, rtol=1e-6)  # an error larger than all that varies


def test_a_catalog_that_states_the_error_of_its_seeing_has_it_steadied(tmp_path):
    catalog = read_catalog("star-galaxy:220")
    names = [name for name in catalog.table if name.startswith("psf_fwhm_") and name.endswith("_arcsec")]
    known = (catalog.table[names].to_numpy() / catalog.pixel_scale_arcsec).astype(np.float32)
    stamps = make_object_stamps(catalog, tmp_path)
    np.testing.assert_array_equal(stamps.psf_fwhm_px, steadied_seeing(known, 0.02))
    silent = replace(catalog, table=catalog.table.drop(columns="psf_fwhm_error"))
    np.testing.assert_array_equal(make_object_stamps(silent, tmp_path).psf_fwhm_px, known)
    for unknown in (np.nan, "?"):
        vague = replace(catalog, table=catalog.table.assign(psf_fwhm_error=unknown))
        np.testing.assert_array_equal(make_object_stamps(vague, tmp_path).psf_fwhm_px, known)


# ---- features and scores


def test_features_of_a_star_are_those_of_its_seeing():
    pixels, _ = normalise(star())
    values = dict(zip(feature_names(1), measure_features(pixels, np.ones(1), np.array([3.3]), 0), strict=True))
    assert values["magnitude"] == pytest.approx(-2.5 * np.log10(4000), abs=0.1)
    assert values["half_light_radius_px"] == pytest.approx(3.3 / 2 * 1.16, rel=0.12)  # a Moffat of beta 3
    assert values["ellipticity"] < 0.1 and set(values) == set(SHAPE_FEATURES)


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
    scores = recipe.evaluate(trained, read_catalog("star-galaxy:120"))
    assert {"without labels", "supervised", "trees on the whole catalogue"} <= set(scores["methods"])
    assert scores["n_test"] == 17 and len(recipe.table_lines(scores)) > 8
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


def test_a_catalog_without_noise_or_seeing_is_measured(tmp_path):
    images = [star(3.0 + 0.01 * i, 3000 + 10 * i) for i in range(12)]
    table = pd.DataFrame({"galaxy_id": [f"s{i}" for i in range(13)], "split_group": "frame"})

    def load(i: int) -> np.ndarray:
        if i == 12:
            raise ImageError("broken")
        return images[i]

    catalog = Catalog(table, load, "folder", "x", ReadReport(13, 13))
    stamps = make_object_stamps(catalog, tmp_path)
    assert stamps.psf_fwhm_px[:, 0] == pytest.approx(np.full(13, 3.1), abs=0.5)
    assert (stamps.truth == -1).all() and not stamps.calibrated and len(set(stamps.splits)) == 1
    assert np.isnan(stamps.noise_sigma[12]).all()
    np.testing.assert_allclose(stamps.image(3), normalise(images[3])[0] * stamps.noise_sigma[3], rtol=2e-3, atol=0.01)
    unreadable = replace(catalog, load_image=lambda i: load(12))
    with pytest.raises(CatalogError, match="None of the images"):
        make_object_stamps(unreadable, tmp_path / "other")


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
        assert step["model"]["auc"] >= step["size_and_magnitude"]["auc"] - 0.001
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
