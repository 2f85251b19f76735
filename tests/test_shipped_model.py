"""The weights in the repository are those that were measured, and they do what the model card says."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import load_embedder
from galaxy_core.images import resize_square
from galaxy_core.models import load_model
from galaxy_core.morphology import classify_items, join_morphologies, load_classifier
from galaxy_core.morphology_items import catalog_items
from galaxy_core.recipes import contrastive_denoiser_scores
from galaxy_core.splits import split_mask

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = PROJECT / "artifacts" / "models" / "contrastive_denoiser"
REAL = PROJECT.parent / "shared" / "data" / "gz_clean5"


@pytest.fixture(scope="module")
def model():
    return load_model(FOLDER)


@pytest.fixture
def scores_of(model, monkeypatch):
    """Function ``scores_of(catalog, rows, seed)`` of restoration from the published noise, and from no other."""
    monkeypatch.setattr(contrastive_denoiser_scores, "NOISE_LEVELS", (1.0,))
    return lambda *arguments: contrastive_denoiser_scores.score_denoising(model, *arguments)["noise_x1"]


def test_the_metrics_are_of_these_weights():
    metrics = json.loads((FOLDER / "metrics.json").read_text())
    checksum = hashlib.sha256((FOLDER / "weights.safetensors").read_bytes()).hexdigest()
    assert metrics["weights_sha256"] == checksum
    assert (FOLDER / "weights.safetensors").stat().st_size < 10e6
    card = (FOLDER / "card.md").read_text()
    for number in (
        f"{metrics['denoising']['noise_x1']['model']['strict_ssim']:.3f}",
        f"{100 * metrics['embedding']['test']['linear_probe']['accuracy']:.1f} %",
        f"{100 * metrics['embedding']['test']['knn_probe']['accuracy']:.1f} %",
    ):
        assert number in card and number in (PROJECT / "README.md").read_text()


def test_the_metrics_of_the_classifier_are_of_its_weights_and_on_its_card():
    folder = FOLDER.with_name("vote_regressor")
    metrics, weights = json.loads((folder / "metrics.json").read_text()), folder / "weights.safetensors"
    assert metrics["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert sum(file.stat().st_size for file in FOLDER.parent.rglob("weights.safetensors")) < 30e6
    classes, votes = metrics["classes"], metrics["votes"]
    assert metrics["catalog"] == "folder:gz_clean5" and votes["catalog"] == "gz2:gz2"
    card, readme = (folder / "card.md").read_text(), (PROJECT / "README.md").read_text()
    for number in (
        f"{100 * classes['accuracy']:.1f} %",
        f"{classes['macro_f1']:.3f}",
        f"{votes['model']['r2']:.3f}",
        f"{votes['model']['rmse']:.3f}",
    ):
        assert number in card and number in readme
    assert "kaggle" not in json.dumps(json.loads((folder / "config.json").read_text())["about"]["catalogs"])


@pytest.mark.skipif(not REAL.exists(), reason="needs the Galaxy Zoo 2 stamps of ../shared/data/gz_clean5")
def test_the_classifier_on_real_galaxies_it_never_saw():
    catalog, model = read_catalog(f"folder:{REAL}"), load_classifier(["vote_regressor"], FOLDER.parents[1], "cpu")
    rows = np.flatnonzero(split_mask(catalog.galaxy_ids, "test"))[-120:]
    told = join_morphologies([part for part, _ in classify_items(catalog_items(catalog, rows), model)])
    names = np.array(told.class_names)[told.class_probabilities.argmax(axis=1)]
    assert np.mean(names == catalog.table["class"].to_numpy()[rows]) > 0.88
    assert told.out_of_distribution.mean() < 0.2


def test_simulated_galaxies_come_out_cleaner_and_as_bright(scores_of):
    catalog = read_catalog("synthetic:12@5")
    scores = scores_of(catalog, np.arange(12), 0)
    assert scores["model"]["strict_ssim"] > scores["total_variation"]["strict_ssim"]
    assert scores["model"]["psnr_db"] > scores["total_variation"]["psnr_db"] + 1
    assert abs(scores["model"]["flux_bias"]) < 0.01
    assert scores["estimated_over_true_noise"]["median"] == pytest.approx(1, abs=0.1)


@pytest.mark.skipif(not REAL.exists(), reason="needs the Galaxy Zoo 2 stamps of ../shared/data/gz_clean5")
def test_real_galaxies_it_never_saw(scores_of):
    catalog = read_catalog(f"folder:{REAL}")
    rows = np.flatnonzero(split_mask(catalog.galaxy_ids, "test"))[-80:]
    scores = scores_of(catalog, rows, 7)["model"]
    assert scores["n_galaxies"] == 80
    assert scores["strict_ssim"] >= 0.915 and scores["psnr_db"] >= 35.5 and abs(scores["flux_bias"]) < 0.01


def test_galaxies_of_one_kind_lie_together():
    catalog = read_catalog("synthetic:60@3")
    embedder = load_embedder(FOLDER)
    images = np.stack([resize_square(catalog.load_image(i), embedder.input_px) for i in range(60)])
    vectors = embedder.embed(images)
    classes = catalog.table["class"].to_numpy()
    similarity = vectors @ vectors.T
    same = classes[:, None] == classes[None]
    np.fill_diagonal(same, False)
    different = classes[:, None] != classes[None]
    assert similarity[same].mean() > similarity[different].mean() + 0.1
