"""How denoising is judged: a perfect denoiser scores perfectly, a bad one is caught, and every number says of what."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from astropy.io import fits
from scipy import ndimage
from torch import nn

from galaxy_core.errors import ImageError
from galaxy_core.evaluation import measure_colour, measure_denoising, measure_restoration, noisy_colour
from galaxy_core.injection import depth_gain_mag, inject
from galaxy_core.recipes import denoising_scores, frame_scores, injection_points, injection_scores
from galaxy_core.recipes.denoising_table import table_lines
from galaxy_core.simulator import simulate

SIGMA, SKY = 5.0, 300.0


def field(shape=(200, 200), n=30, seed=0) -> np.ndarray:
    """Sky, white noise and ``n`` point sources of total signal to noise 60."""
    rng = np.random.default_rng(seed)
    places = np.array([(x, y) for x in range(24, shape[1] - 20, 30) for y in range(24, shape[0] - 20, 30)][:n], float)
    noise = rng.normal(SKY, SIGMA, shape)
    return inject(noise, SIGMA, 3.0, places, np.full(len(places), 60.0), np.ones(len(places), bool), seed)[0]


def smooth(band: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(band, 1.0)


class Blurring(nn.Module):
    """A model that averages neighbours and says it is sure to a third of the noise."""

    name = "blurring"

    def denoise(self, images, noise_sigma=None):
        sigma = torch.full((len(images),), 0.06) if noise_sigma is None else noise_sigma
        return nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False), sigma

    def uncertainty(self, images, denoised, noise_sigma):
        return torch.ones_like(images) * noise_sigma.view(-1, 1, 1, 1) / 3


class Keys(list):
    """A catalog of which only the ids are asked."""

    @property
    def split_keys(self):
        return self


@pytest.fixture
def folder(tmp_path) -> Path:
    """A family with a frame, its noise map, an unreadable file and one of two extensions."""
    family = tmp_path / "survey_ü"
    family.mkdir()
    fits.writeto(family / "sci.fits", field())
    fits.writeto(family / "sci_rms.fits", field())
    (family / "broken.fits").write_bytes(b"SIMPLE  = nothing")
    stamps = [fits.PrimaryHDU(), fits.ImageHDU(field((60, 60), 1)), fits.ImageHDU(np.zeros((60, 60)))]
    fits.HDUList(stamps).writeto(family / "stamps.fits")
    return tmp_path


def test_frames_are_found_and_noise_maps_and_empty_ones_left_out(folder):
    frames = frame_scores.find_frames([folder])
    assert {frame.family for frame in frames} == {"survey_ü"} and len(frames) == 2
    assert frames[0].sigma == pytest.approx(SIGMA, rel=0.1) and frames[0].sky.mean() == pytest.approx(SKY, abs=2)
    with pytest.raises(ImageError, match="No FITS frame"):
        frame_scores.find_frames([folder / "survey_ü" / "broken.fits"])


def test_a_denoiser_that_changes_nothing_changes_no_source(folder):
    frames = frame_scores.find_frames([folder / "survey_ü" / "sci.fits"])
    row = frame_scores.score_frames(frames, {"model": np.copy}, lambda *_: None)["survey_ü"]["model"]
    assert row["n_sources"] == 30 and row["flux_bias"] == 0 and row["scatter_over_input_noise"] == 0
    assert row["half_light_radius_bias"] == 0 and row["n_lost"] == row["n_gained"] == 0


def test_lost_light_and_a_blur_are_seen(folder):
    frames = frame_scores.find_frames([folder / "survey_ü" / "sci.fits"])
    dim = {"dim": lambda band: SKY + 0.9 * (band - SKY), "blur": smooth, "none": lambda band: np.full_like(band, SKY)}
    rows = frame_scores.score_frames(frames, dim, lambda *_: None)["survey_ü"]
    assert rows["dim"]["flux_bias"] == pytest.approx(-0.1, abs=0.01)
    low, high = rows["dim"]["flux_bias_interval"]
    assert low <= rows["dim"]["flux_bias"] <= high
    assert rows["blur"]["half_light_radius_bias"] > 0.05
    assert rows["none"]["n_lost"] == 30 and rows["none"]["half_light_radius_bias"] is None


def test_noise_of_apertures_is_that_of_white_noise_where_it_is_white():
    frame = frame_scores.make_frame("a", "b", np.random.default_rng(0).normal(SKY, SIGMA, (250, 250)))
    np.testing.assert_allclose(
        frame_scores.aperture_noise(frame, np.array([3.0, 6.0])), SIGMA * np.sqrt(np.pi) * np.array([3, 6]), rtol=0.2
    )


def test_blank_sky_counts_what_is_found_at_the_threshold_of_the_input(monkeypatch):
    monkeypatch.setattr(frame_scores, "N_BLANK", 2)
    monkeypatch.setattr(frame_scores, "BLANK_PX", 128)
    scores = frame_scores.score_blank_sky({"blur": smooth, "louder": lambda band: 2 * band - 1000}, 0, lambda *_: None)
    white = scores["white noise"]
    assert white["n_pixels"] == 2 * 128**2
    assert white["blur"]["1"]["positive"] < white["input"]["1"]["positive"] < white["louder"]["1"]["positive"]
    correlated = scores["noise correlated over neighbours"]["input"]
    assert correlated["2"]["positive"] > white["input"]["2"]["positive"] and correlated["2"]["negative"] > 0


def test_injection_gains_depth_by_smoothing_and_none_by_scaling(folder, monkeypatch):
    monkeypatch.setattr(injection_scores, "N_PER_FRAME", 100)
    monkeypatch.setattr(injection_scores, "FALSE_SKY_PX", 60_000)
    monkeypatch.setattr(injection_points, "depth_gain_mag", partial(depth_gain_mag, n_samples=20))
    frames = frame_scores.find_frames([folder / "survey_ü" / "sci.fits"])
    scaled = {"smooth": smooth, "scaled": lambda band: SKY + 0.5 * (band - SKY), "same": np.copy}
    row = injection_scores.score_injection(frames, scaled, 0, lambda *_: None)["survey_ü"]
    assert row["n_injected"] >= 90 and row["frames"] == ["sci.fits"]
    assert row["same"]["gain_mag"]["gain"] == 0 and row["input"]["gain_mag"]["gain"] == 0
    assert abs(row["scaled"]["gain_mag"]["gain"]) < 0.2  # its threshold falls with its noise
    assert row["smooth"]["gain_mag"]["gain"] > 0.05
    curve = row["smooth"]["completeness"]
    assert curve[0]["share"] < 0.3 and curve[-1]["share"] > 0.9 and curve[-1]["low"] < curve[-1]["share"]
    assert sum(point["n"] for point in curve) == row["n_injected"] and row["smooth"]["purity"] > 0.5
    pure = {name: row[name]["same_purity"] for name in ("input", *scaled)}
    assert pure["input"]["gain_mag"]["gain"] == 0 and pure["same"] == pure["input"]
    assert pure["smooth"]["gain_mag"]["gain"] > 0.05 and abs(pure["scaled"]["gain_mag"]["gain"]) < 0.2
    same = {name: row[name]["same_threshold"] for name in ("input", *scaled)}
    assert same["smooth"]["threshold"] == same["input"]["threshold"] == row["input"]["threshold"]
    assert same["scaled"]["share_found"] < same["input"]["share_found"]  # half as bright, at the same threshold
    assert row["input_matched_filter"]["same_threshold"] is None  # its unit is the filtered noise


def test_false_detections_are_counted_on_the_frame_with_its_sky_replaced(folder):
    """So a method that leaves all noise where there are sources gains no depth by it."""
    frame = frame_scores.find_frames([folder / "survey_ü" / "sci.fits"])[0]
    blanks = injection_scores.make_blanks(frame, 0)
    assert len(blanks) % 2 == 0 and np.array_equal(blanks[0][~frame.free], frame.band[~frame.free])
    assert not np.array_equal(blanks[0][frame.free], blanks[1][frame.free])
    assert (blanks[0] - frame.sky)[frame.free].std() == pytest.approx(SIGMA, rel=0.1)
    assert injection_scores.filtered_sigma(frame, 0) == pytest.approx(SIGMA, rel=0.2)  # white: the noise of a pixel


def test_no_room_to_inject_is_said():
    frame = frame_scores.make_frame("a", "b", np.random.default_rng(0).normal(SKY, SIGMA, (40, 40)))
    assert "note" in injection_scores.score_injection([frame], {}, 0, lambda *_: None)


def test_colour_is_judged_band_by_band():
    clean = simulate(3, 0, 64).noiseless
    galaxy = np.zeros((64, 64), bool)
    galaxy[20:44, 20:44] = True
    _, noisy = noisy_colour(clean, 1.0, np.random.default_rng(0))
    assert noisy.shape == (3, 64, 64) and not np.allclose(noisy[0] - clean[0], noisy[1] - clean[1], atol=0.01)
    bands = [measure_restoration(one.astype(float), other, galaxy) for one, other in zip(clean, noisy, strict=True)]
    together = measure_colour(clean.astype(float), noisy, galaxy)
    assert together.psnr_db == pytest.approx(np.mean([band.psnr_db for band in bands]))
    assert together.strict_ssim == pytest.approx(np.mean([band.strict_ssim for band in bands]))
    scores = measure_denoising([clean], {"noisy": lambda noisy: noisy}, 1.0, 0, colour=True)
    assert scores["noisy"]["n_galaxies"] == 1


def test_restoration_and_uncertainty_of_a_model():
    images = [simulate(index, 0, 64).noiseless for index in range(3)]
    report = SimpleNamespace(calls=[])
    scores = denoising_scores.score_restoration(Blurring(), images, 0, lambda *call: report.calls.append(call))
    assert set(scores) == {f"{kind}, noise x{level}" for kind in ("grey", "colour") for level in ("0.5", "1", "2")}
    grey = scores["grey, noise x1"]
    assert {"noisy_input", "wavelet", "nl_means", "total_variation", "model", "model_told"} <= set(grey)
    assert grey["model"]["psnr_db"] > grey["noisy_input"]["psnr_db"] and grey["model"]["n_galaxies"] == 3
    assert report.calls[-1][1:] == (3, 3)
    coverage = denoising_scores.score_uncertainty(Blurring(), images, 0, lambda *_: None)["grey, noise x1"]
    assert 0.4 < coverage["all"]["68"] < coverage["all"]["95"] <= 1 and coverage["all"]["n_pixels"] == 3 * 64**2
    Silent = type("Silent", (Blurring,), {"uncertainty": None})
    assert "note" in denoising_scores.score_uncertainty(Silent(), images, 0, lambda *_: None)


def test_coverage_of_gaussian_errors():
    off = np.abs(np.random.default_rng(0).normal(size=100_000))
    shares = denoising_scores._coverage(off)
    assert shares["68"] == pytest.approx(0.683, abs=0.01) and shares["95"] == pytest.approx(0.95, abs=0.005)


def test_everything_is_printed_and_stored_without_frames_and_with(folder, monkeypatch):
    monkeypatch.setattr(denoising_scores, "load_model", lambda *_: Blurring())
    small = ((frame_scores, "N_BLANK", 1), (frame_scores, "BLANK_PX", 128), (injection_scores, "FALSE_SKY_PX", 10_000))
    few = (injection_points, "depth_gain_mag", partial(depth_gain_mag, n_samples=20))
    for module, name, value in (*small, (injection_scores, "N_PER_FRAME", 60), few):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(denoising_scores, "METHODS", {"wavelet": denoising_scores.METHODS["wavelet"]})
    catalog = Keys(["128132"])
    monkeypatch.setattr(denoising_scores, "split_mask", lambda keys, split: np.ones(1, bool))
    monkeypatch.setattr(denoising_scores, "load_display", lambda catalog, row: simulate(row, 0, 64).noiseless)
    scores = denoising_scores.evaluate("nowhere", catalog)
    text = "\n".join(table_lines(scores))
    assert "no frames were given" in text and "blank sky, white noise" in text and "coverage of intervals" in text
    scores = denoising_scores.evaluate("nowhere", catalog, frames=[folder])
    text = "\n".join(table_lines(json.loads(json.dumps(scores))))
    assert "survey_ü (2), model" in text and "completeness, injected S/N" in text and "purity, measured S/N" in text
    row = scores["injection"]["survey_ü"]
    before, after = (row[name]["same_purity"] for name in ("input", "model"))
    line = text.split("at the same purity", 1)[1].split("survey_ü, model", 1)[1].splitlines()[0]
    assert f"{before['purity']:.1%} [" in line and f"{after['purity']:.1%} [" in line
    assert f"{after['gain_mag']['gain']:+.2f}" in line and "found / purity, false per Mpx <=" in text


def test_the_command_explains_itself():
    command = [sys.executable, "scripts/evaluate.py", "contrastive_denoiser", "synthetic:3", "--frames", "x"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 2 and "--frames is for denoising" in done.stderr
