"""The autoencoder and its recipe: shapes, turning, learning, resuming, and what it is judged beside."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import load_embedder
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.models import load_model, read_model_config, save_model
from galaxy_core.models.autoencoder import AutoencoderConfig, GalaxyAutoencoder
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.recipes import find_recipe
from galaxy_core.recipes.cae import Config, evaluate, redraw_phase, table_lines, train
from galaxy_core.recipes.cae_scores import principal_components, score_reconstruction
from galaxy_core.splits import split_of
from galaxy_core.stamps import Stamps
from galaxy_core.training import FitConfig

TINY = AutoencoderConfig((8, 16), 6, 16)
SMALL = Config(model=TINY, redraw=FitConfig(50, 16, 2e-2, warmup_steps=5, average_decay=0.9, patience_epochs=50))


class Killed(Exception):
    """Stands in for a kill between two steps."""


@pytest.fixture(scope="module")
def catalog():
    made = read_catalog("synthetic:90")
    return dataclasses.replace(made, load_image=functools.cache(made.load_image))


@pytest.fixture(scope="module")
def trained(catalog, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "cae"
    train([catalog], folder, SMALL)
    return folder


def test_sizes():
    model = GalaxyAutoencoder(AutoencoderConfig()).eval()
    images = torch.rand(2, 3, 64, 64)
    codes = model.encoder.features(images)
    assert codes.shape == (2, 128) == (2, model.encoder.n_features) and codes.dtype == torch.float32
    assert model(images).shape == images.shape and model.embed(images).shape == (2, 128)
    assert GalaxyAutoencoder(AutoencoderConfig((4,), 1, 2)).eval()(torch.rand(1, 3, 2, 2)).shape == (1, 3, 2, 2)


def test_stamps_that_cannot_be_halved_are_one_sentence():
    with pytest.raises(ModelError, match="multiple of 16"):
        GalaxyAutoencoder(AutoencoderConfig(input_px=60))


def test_the_embedding_does_not_turn_and_the_code_does():
    torch.manual_seed(0)
    model = GalaxyAutoencoder(TINY).eval()
    images = torch.rand(3, 3, 16, 16)
    turned = torch.rot90(images, 1, dims=(2, 3)).flip(3)
    torch.testing.assert_close(model.embed(turned), model.embed(images), atol=1e-5, rtol=0)
    assert (model.encoder.features(turned) - model.encoder.features(images)).abs().max() > 1e-3
    torch.testing.assert_close(model.embed(images).norm(dim=1), torch.ones(3))


def test_a_folder_rebuilds_the_model_and_the_pipeline_embeds_with_it(tmp_path):
    model = GalaxyAutoencoder(TINY).eval()
    save_model(tmp_path / "cae", model)
    images = torch.rand(2, 3, 16, 16)
    again = load_model(tmp_path / "cae")
    assert isinstance(again, GalaxyAutoencoder) and again.config == TINY
    torch.testing.assert_close(again(images), model(images), atol=1e-2, rtol=0)
    embedder = load_embedder(tmp_path / "cae", "cpu")
    assert (embedder.input_px, embedder.size) == (16, 6) and embedder.embed(images.numpy()).shape == (2, 6)


def test_it_learns_to_redraw_galaxies_it_never_saw(catalog, trained):
    scores = evaluate(trained, catalog)
    redrawn = scores["reconstruction"]
    assert redrawn["mean_image"]["explained"] == 0 and redrawn["n_components"] == redrawn["code_size"] == 6
    assert redrawn["model"]["explained"] > 0.2 and redrawn["pca"]["explained"] > 0.2
    n_test = sum(split_of(str(key)) == "test" for key in catalog.galaxy_ids)
    assert scores["n_test"] == redrawn["n_galaxies"] == n_test and redrawn["n_fitted"] < len(catalog) - n_test
    assert 0 <= scores["embedding"]["test"]["linear_probe"]["accuracy"] <= 1
    json.dumps(scores, allow_nan=False)
    text = "\n".join(table_lines(scores | {"catalog": "synthetic:90"}))
    assert "6 principal components" in text and "mean image" in text and "linear probe" in text


def test_a_killed_training_resumes_to_the_same_weights(catalog, trained, tmp_path):
    def report(phase, step, n_steps, losses):
        if step == 7:
            raise Killed

    folder = tmp_path / "cae"
    with pytest.raises(Killed):
        train([catalog], folder, SMALL, report=report)
    train([catalog], folder, SMALL)
    whole, resumed = load_model(trained).state_dict(), load_model(folder).state_dict()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert not (folder / ".state").exists() and len((folder / "history.jsonl").read_text().splitlines()) == 50
    about = json.loads((folder / "config.json").read_text())["about"]
    assert about["recipe"] == "cae" and about["catalogs"] == ["synthetic:90"] and about["n_train"] > 50


def test_it_goes_on_from_an_autoencoder_alone(catalog, trained, tmp_path):
    once = dataclasses.replace(SMALL, redraw=FitConfig(1, 16, 1e-5))
    model = train([catalog], tmp_path / "more", once, start_from=trained)
    before = load_model(trained)
    difference = (model.encoder.to_code.weight - before.encoder.to_code.weight).abs().max()
    assert 0 < difference < 1e-2
    origin = read_model_config(tmp_path / "more")["about"]["started_from"]
    assert (origin["folder"], origin["weights_sha256"]) == (trained.name, before.weights_sha256)
    assert origin["about"]["n_train"] > 50
    other = ContrastiveDenoiser(ContrastiveDenoiserConfig((8, 8), 1, (8, 8), (1, 1), 8, 8))
    save_model(tmp_path / "other", other)
    with pytest.raises(ModelError, match="start from an autoencoder"):
        train([catalog], tmp_path / "x", SMALL, start_from=tmp_path / "other")
    with pytest.raises(ModelError, match="no such phases"):
        train([catalog], tmp_path / "x", SMALL, phases=["contrast"])
    with pytest.raises(ModelError, match="redraws nothing"):
        evaluate(tmp_path / "other", catalog)
    with pytest.raises(CatalogError, match="larger catalog"):
        evaluate(trained, dataclasses.replace(catalog, table=catalog.table.assign(split_group="128132")))


def test_views_are_a_share_of_whole_galaxies_turned_and_the_rest_resampled():
    """Each galaxy comes once, and may come either way; those that are only turned are means over 2 x 2 pixels."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 4, 32, 32), dtype=np.uint8)
    still = dataclasses.replace(Config().views, brightness_log_sigma=0, channel_gain_log_sigma=0)
    config = dataclasses.replace(SMALL, exact_share=0.75, views=dataclasses.replace(still, scale_min=1, scale_max=1))
    stamps = Stamps(pixels, np.arange(12), np.array(["train"] * 12), np.ones(12, bool), np.zeros((12, 1)))
    prepare = redraw_phase(GalaxyAutoencoder(TINY), stamps, config, "cpu").prepare
    means = pixels[:, :3].reshape(12, 3, 16, 2, 16, 2).mean(axis=(3, 5)) / 255
    symmetries = [np.rot90(m, turns, axes=(2, 3)) for m in (means, means[..., ::-1]) for turns in range(4)]
    indices, came = np.array([1, 2, 4, 5, 7, 8, 10, 11]), []
    for seed in range(12):
        views = prepare(indices, torch.Generator().manual_seed(seed))
        assert views.shape == (8, 3, 16, 16) and torch.equal(
            views, prepare(indices, torch.Generator().manual_seed(seed))
        )
        distance = np.stack([abs(views.numpy()[:, None] - s[None]).max(axis=(2, 3, 4)) for s in symmetries]).min(axis=0)
        turned, galaxies = np.nonzero(distance < 1e-6)
        assert turned.tolist() == list(range(6)) and len(set(galaxies)) == 6 and set(galaxies) <= set(indices)
        came.append(set(galaxies))
    assert set.union(*came) == set(indices) and not set.intersection(*came)


def test_errors_are_those_of_a_naive_sum(catalog):
    class Halves(GalaxyAutoencoder):
        def forward(self, images):
            return images / 2

    ids = np.array([split_of(str(key)) for key in catalog.galaxy_ids])
    train_rows, test_rows = np.flatnonzero(ids == "train"), np.flatnonzero(ids == "test")[:3]
    scores = score_reconstruction(Halves(TINY), catalog, train_rows, test_rows, seed=0)
    from galaxy_core.catalogs.display import load_display
    from galaxy_core.images import resize_square

    images = [resize_square(load_display(catalog, int(row)), 16) for row in test_rows]
    expected = np.sqrt(np.mean([np.mean((image / 2) ** 2) for image in images]))
    assert scores["model"]["rmse"] == pytest.approx(expected, rel=1e-5)
    mean = np.mean([resize_square(load_display(catalog, int(row)), 16) for row in train_rows], axis=0)
    spread = np.mean([np.mean((image - mean) ** 2) for image in images])
    assert scores["mean_image"]["rmse"] == pytest.approx(np.sqrt(spread), rel=1e-4)
    assert scores["model"]["explained"] == pytest.approx(1 - expected**2 / spread, rel=1e-3)


def test_principal_components_are_those_of_the_covariance():
    values = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32) * np.array([5, 3, 1, 0.1, 0.1], "f4")
    mean, axes = principal_components(values, 2, seed=0)
    _, vectors = np.linalg.eigh(np.cov(values.T))
    assert np.abs(axes @ vectors[:, ::-1][:, :2]).round(3).tolist() == [[1, 0], [0, 1]]
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-5)
    assert len(principal_components(values[:2], 128, seed=0)[1]) == 1, "two images have one component"


def test_it_is_found_by_name():
    module = find_recipe("cae").module()
    assert module.Config().model.code_size == 128 and module.PHASES == ("redraw",)
