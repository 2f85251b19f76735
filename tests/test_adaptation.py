"""Adapting to one noisy image: what is hidden, what decides, and that it helps where it says so."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from galaxy_core import adaptation
from galaxy_core.adaptation import adapt
from galaxy_core.blind_spots import (
    CELL_PX,
    Plane,
    held_out,
    hide,
    mean_around,
    measure_errors,
    planes_of,
    random_spots,
    sky_correlation,
)
from galaxy_core.denoising import denoise_image
from galaxy_core.embedding import find_model
from galaxy_core.errors import ImageError, ModelError
from galaxy_core.images import AstroImage
from galaxy_core.models import load_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.noise import PUBLISHED_SIGMA

SMALL = ContrastiveDenoiserConfig((8, 8), 1, (8, 8, 8), (1, 1, 1), 8, 8, 64, 4)


def untrained() -> ContrastiveDenoiser:
    """A model that changes nothing, so that all there is to learn is left to the adaptation."""
    torch.manual_seed(0)
    return ContrastiveDenoiser(SMALL).eval()


@pytest.fixture
def quick(monkeypatch) -> None:
    """A small network that knows nothing may take larger steps than a trained one."""
    monkeypatch.setattr(adaptation, "LEARNING_RATE", 5e-3)


def scene(side: int = 96) -> np.ndarray:
    """Two smooth galaxies on a dark sky, in [0, 1]."""
    y, x = np.mgrid[:side, :side]
    first = 0.7 * np.exp(-np.hypot(y - 0.4 * side, (x - 0.35 * side) / 1.5) / 7)
    return 0.03 + first + 0.4 * np.exp(-np.hypot((y - 0.75 * side) / 1.3, x - 0.7 * side) / 5)


def display(pixels: np.ndarray) -> AstroImage:
    return AstroImage(np.atleast_3d(pixels.T).T.astype(np.float32), False, None, "PNG", "scène.png")


def frame(pixels: np.ndarray) -> AstroImage:
    return AstroImage(pixels[None].astype(np.float32), True, None, "FITS", "frame.fits")


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def test_error_to_the_truth_falls_and_the_model_stays(quick):
    clean, model = scene(), untrained()
    noisy = clean + 0.1 * np.random.default_rng(0).laplace(size=clean.shape)
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    adapted = adapt(display(noisy), model, 60, max_steps=60)
    assert adapted.improved and adapted.error_after < adapted.error_before and adapted.n_steps == 60
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    error = rms(denoise_image(display(noisy), adapted).denoised[0] - clean)
    assert error < 0.8 * rms(noisy - clean)
    assert adapted.name.startswith("contrastive_denoiser, adapted") and adapted.warning == ""
    assert adapted.uncertainty is None  # nobody measured it on these weights


def test_linear_frame_with_holes_in_its_own_units(quick):
    rng = np.random.default_rng(1)
    clean = 500 * scene(128) + 1000
    noisy = clean + 40 * rng.normal(size=clean.shape)
    noisy[:20, 30:50], noisy[70, 70] = np.nan, np.inf
    adapted = adapt(frame(noisy), untrained(), 60, max_steps=60)
    assert adapted.improved
    denoised = denoise_image(frame(noisy), adapted).denoised[0]
    sky = np.isfinite(noisy) & (clean < 1020)
    assert rms(denoised[sky] - clean[sky]) < 0.9 * rms(noisy[sky] - clean[sky])
    assert np.isnan(denoised[:20, 30:50]).all() and np.isposinf(denoised[70, 70])


def test_blank_sky_stays_blank(quick):
    noisy = 0.2 + 0.05 * np.random.default_rng(2).normal(size=(96, 96))
    adapted = adapt(display(noisy), untrained(), 60, max_steps=60)
    denoised = denoise_image(display(noisy), adapted).denoised[0]
    assert denoised.std() < noisy.std() and abs(denoised.mean() - noisy.mean()) < 0.01
    smooth = [np.abs(ndimage.gaussian_filter(p - p.mean(), 2)).max() for p in (denoised, noisy)]
    assert smooth[0] < 1.2 * smooth[1]


def test_a_model_that_cannot_be_bettered_is_kept():
    noisy = 0.5 + 0.1 * np.random.default_rng(3).normal(size=(64, 64))
    model = untrained()
    adapted = adapt(display(noisy), model, 60, max_steps=1)  # one step teaches nothing beyond chance
    assert not adapted.improved and adapted.name == model.name
    assert adapted.error_before >= adapted.error_after > 0
    theirs, ours = (denoise_image(display(noisy), which).denoised for which in (model, adapted))
    np.testing.assert_array_equal(theirs, ours)


def test_same_seed_same_steps_same_weights(quick):
    noisy = scene(64) + 0.1 * np.random.default_rng(4).normal(size=(64, 64))
    runs = [adapt(display(noisy), untrained(), 60, seed=seed, max_steps=25) for seed in (7, 7, 8)]
    weights = [torch.cat([p.flatten() for p in run.parameters()]) for run in runs]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert runs[0].error_after == runs[1].error_after


def test_errors_without_the_truth_are_those_with_it():
    """Of a linear smoother that looks at its pixel as much as is best, or at nothing else, or not at all."""
    rng = np.random.default_rng(11)
    truth = torch.from_numpy(rng.normal(size=(4, 3, 128, 128)).astype(np.float32))
    noise, miss = (torch.from_numpy(rng.normal(size=truth.shape).astype(np.float32)) for _ in range(2))
    images, blind = truth + noise, truth + 0.5 * miss  # a prediction that knows nothing of the pixel's own noise
    spots = torch.ones(4, 1, 128, 128, dtype=torch.bool)
    for share in (0.0, 0.2, 1.0):  # 0.2 = 0.25 / (1 + 0.25) is the best
        seen = blind + share * (images - blind)
        found = measure_errors(images, blind, seen, spots, torch.ones(4), 1.0)
        assert found.mean == pytest.approx(1 + float((seen - truth).square().mean()), abs=0.03)
        by_hand = ((images - blind) ** 2 + (seen - blind) ** 2).mean(dim=1)
        np.testing.assert_allclose(found.squares, by_hand.flatten().numpy(), rtol=1e-5)


def test_time_is_kept_and_progress_can_stop_it():
    noisy = display(scene(96) + 0.1 * np.random.default_rng(5).normal(size=(96, 96)))
    fractions: list[float] = []
    adapted = adapt(noisy, untrained(), 0.3, fractions.append)
    assert fractions == sorted(fractions) and fractions[-1] == 1 and adapted.n_steps == len(fractions)

    class Stopped(Exception):
        pass

    def stop(fraction: float) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        adapt(noisy, untrained(), 60, stop)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (31, 200)])
def test_too_small_is_one_sentence(shape):
    with pytest.raises(ImageError, match="too small"):
        adapt(display(np.random.default_rng(0).random(shape)), untrained(), 1, max_steps=1)


def test_nothing_to_learn_from_is_one_sentence():
    for image in (display(np.full((40, 40), 0.3)), frame(np.full((40, 40), 7.0)), frame(np.full((40, 40), np.nan))):
        with pytest.raises(ImageError, match="no noise"):
            adapt(image, untrained(), 1, max_steps=1)
    with pytest.raises(ModelError, match="cannot be adapted"):
        adapt(display(scene()), torch.nn.Identity(), 1, max_steps=1)


def test_colour_is_adapted_in_colour():
    clean = np.stack([scene(64), 0.8 * scene(64), 0.6 * scene(64)])
    noisy = AstroImage(
        (clean + 0.1 * np.random.default_rng(6).normal(size=clean.shape)).astype(np.float32), False, None, "PNG", "rgb"
    )
    adapted = adapt(noisy, untrained(), 60, max_steps=20)
    assert denoise_image(noisy, adapted).denoised.shape == (3, 64, 64)


def test_hidden_pixels_are_replaced_by_neighbours_and_others_stay():
    generator = torch.Generator().manual_seed(0)
    images = torch.arange(2 * 3 * 20 * 23, dtype=torch.float32).view(2, 3, 20, 23)
    spots = random_spots(2, 20, 23, generator)
    hidden = hide(images, spots, generator)
    everywhere = spots.expand_as(images)
    assert torch.equal(hidden[~everywhere], images[~everywhere])
    assert (hidden[everywhere] != images[everywhere]).all()
    for n, band, y, x in (hidden != images).nonzero().tolist():
        ring = {
            float(images[n, band, min(2 * 19 - (y + dy), abs(y + dy)), min(2 * 22 - (x + dx), abs(x + dx))])
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        }
        assert float(hidden[n, band, y, x]) in ring
    assert torch.equal(spots.sum(dim=(1, 2, 3)), torch.tensor([25, 25]))  # whole cells of 4 x 4


def test_neighbours_do_not_know_the_pixel():
    band = np.random.default_rng(0).random((9, 9))
    window = band[2:7, 2:7].copy()
    window[2, 2] = np.nan
    assert mean_around(band)[4, 4] == pytest.approx(np.nanmean(window))
    spot = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    spot[0, 0, 4, 4] = True
    images = torch.from_numpy(band)[None, None]
    ring = (float(band[3:6, 3:6].sum()) - band[4, 4]) / 8
    assert float(hide(images, spot, None)[0, 0, 4, 4]) == pytest.approx(ring)


def test_held_out_pixels_are_one_in_each_cell():
    mask = held_out((40, 36), np.random.default_rng(0))
    cells = mask.reshape(10, CELL_PX, 9, CELL_PX).sum(axis=(1, 3))
    assert (cells == 1).all()
    assert held_out((41, 39), np.random.default_rng(0)).sum() == 90


def test_correlated_noise_is_seen_and_said(quick):
    rng = np.random.default_rng(7)
    white = 0.1 * rng.normal(size=(96, 96))
    smooth = ndimage.gaussian_filter(rng.normal(size=(96, 96)), 1.0)
    usable = np.ones((96, 96), dtype=bool)

    def correlation(noise: np.ndarray) -> float:
        return sky_correlation(Plane((scene() + noise)[None].astype(np.float32), usable, usable, 0.1))

    assert correlation(white) < 0.12 and correlation(0.1 * smooth / smooth.std()) > 0.5
    assert correlation(np.zeros((96, 96))) == pytest.approx(0, abs=1)
    adapted = adapt(display(scene() + 0.1 * smooth / smooth.std()), untrained(), 60, max_steps=40)
    assert adapted.warning.startswith("Neighbouring pixels share") and adapted.warning.count(".") == 1
    assert not adapted.improved and adapted.n_steps == 0


def test_noise_cut_off_at_black_is_not_learned_from(quick):
    """The mean of clipped noise is above the truth: a model that learned it would brighten the sky."""
    noisy = np.clip(scene() + 0.1 * np.random.default_rng(11).normal(size=(96, 96)), 0, 1)
    adapted = adapt(display(noisy), untrained(), 60, max_steps=40)
    assert "cut off at black" in adapted.warning and adapted.warning.count(".") == 1 and not adapted.improved


def test_better_at_hidden_pixels_alone_is_not_enough(quick, monkeypatch):
    noisy = display(scene() + 0.1 * np.random.default_rng(12).normal(size=(96, 96)))
    better = adapt(noisy, untrained(), 60, max_steps=40)
    sure = SimpleNamespace(uncertainty=len)
    assert better.improved and replace(better, shipped=sure).uncertainty is None, "not measured on these weights"
    assert replace(better, shipped=sure, improved=False).uncertainty is len
    monkeypatch.setattr(adaptation._Frame, "sees_better", lambda self, shipped, adapted: False)
    kept = adapt(noisy, untrained(), 60, max_steps=40)
    assert not kept.improved and kept.error_after < kept.error_before
    monkeypatch.setattr(adaptation._Frame, "sky_is_worse", lambda self, before, after: True)
    kept = adapt(noisy, untrained(), 60, max_steps=20)
    assert not kept.improved and kept.error_after == kept.error_before, "nor are galaxies, if blank sky is worse"


def test_recorrupted_difference_is_that_of_the_true_squared_errors():
    """Two denoisers, one that changes nothing and one that halves the contrast, judged without the truth."""
    clean = scene(128)
    noisy = clean + 0.1 * np.random.default_rng(13).normal(size=clean.shape)
    planes = planes_of(display(noisy), 0.1)
    frame_of = adaptation._Frame(planes, torch.device("cpu"), 0)
    same, halved = (lambda images, sigma: images), (lambda images, sigma: images / 2)
    found = (frame_of.recorrupted(same) - frame_of.recorrupted(halved)).mean()
    seen = noisy + 0.05 * np.random.default_rng(14).normal(size=clean.shape)  # what they are given, with more noise
    true = (np.mean((seen - clean) ** 2) - np.mean((seen / 2 - clean) ** 2)) / 0.1**2
    assert found == pytest.approx(true, rel=0.35)


def test_planes_of_a_linear_frame_are_in_the_range_of_the_model():
    noisy = 1e-12 * (50 * scene(64) + np.random.default_rng(8).normal(size=(64, 64)))
    noisy[3, 4] = np.nan
    deep, shallow = planes_of(frame(noisy), 0.0)
    assert (deep.sigma, shallow.sigma) == (PUBLISHED_SIGMA, PUBLISHED_SIGMA / 2)
    assert np.isfinite(deep.pixels).all() and not deep.usable[3, 4] and deep.usable.mean() > 0.5
    y, x = np.mgrid[:64, :64]
    core = np.hypot(y - 0.4 * 64, x - 0.35 * 64) < 3
    assert shallow.usable[core].any() and not shallow.usable[deep.sky].any() and not deep.sky[core].any()
    corner = deep.pixels[0, -20:, :20]
    assert corner.std() == pytest.approx(PUBLISHED_SIGMA, rel=0.3)


def test_it_learns_and_judges_at_the_noise_that_is_given(monkeypatch):
    """The adapted model is told that noise afterwards; at another one nobody has seen it to be better."""
    told, told_of = [], adaptation.planes_of
    monkeypatch.setattr(adaptation, "planes_of", lambda *given: told.append(told_of(*given)) or told[-1])
    noisy = scene(64) + 0.1 * np.random.default_rng(8).normal(size=(64, 64))
    adapt(display(noisy), untrained(), 60, max_steps=1, noise_sigma=0.17)
    adapt(frame(noisy), untrained(), 60, max_steps=1, noise_sigma=0.2)
    adapt(frame(noisy), untrained(), 60, max_steps=1)
    (picture,), (given, _), (measured, _) = told
    assert picture.sigma == 0.17 and given.sigma == measured.sigma == PUBLISHED_SIGMA
    assert given.pixels.std() == pytest.approx(0.5 * measured.pixels.std(), rel=0.1)


def test_the_shipped_model_learns_a_noise_it_was_not_trained_on():
    try:
        model = load_model(find_model("contrastive_denoiser", "artifacts"))
    except ModelError:
        pytest.skip("no trained model here")
    clean = scene(64)
    noisy = display(clean + 0.3 * np.random.default_rng(9).normal(size=clean.shape))
    adapted = adapt(noisy, model, 120, max_steps=20)
    before, after = (rms(denoise_image(noisy, which).denoised[0] - clean) for which in (model, adapted))
    assert after <= before and (adapted.improved or after == before)
    assert math.isfinite(adapted.error_after)
