"""The benchmark of denoising: what it calls, what it counts, and ratios that are those of its own numbers."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from astropy.io import fits
from denoiser_stand_ins import Sure

from galaxy_core import embedding, models
from scripts.benchmarks import denoise


def options(tmp_path, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    denoise.add_arguments(parser)
    parsed = parser.parse_args(["--side", "300", "--sources", "3", "--repeats", "3", "--device", "cpu", *arguments])
    parsed.artifacts = tmp_path
    return parsed


@pytest.fixture
def model(monkeypatch) -> Sure:
    made = Sure()
    monkeypatch.setattr(embedding, "find_model", lambda *_: "a model")
    monkeypatch.setattr(models, "load_model", lambda *_: made)
    return made


def test_ratios_are_of_the_medians_and_tiles_are_those_of_the_frame(model, tmp_path):
    scores = denoise.measure(options(tmp_path))
    assert scores["n_tiles"] == 4 and scores["network_calls"] > 4  # 300 px: two tiles a side; bright pixels once more
    assert scores["network_megapixels"] > 332**2 / 1e6
    turns = scores["processor_seconds_of_each_turn"]
    for name, times in turns.items():
        assert len(times) == 3 and scores["processor_seconds"][name] == pytest.approx(np.median(times), abs=2e-3)
    whole, network = (np.median(turns[name]) for name in ("whole", "network"))
    assert scores["processor_ratio_of_whole"]["network"] == pytest.approx(whole / network, rel=0.3)


def test_a_frame_of_ones_own_and_uncertainty(model, tmp_path):
    band = np.random.default_rng(0).normal(50, 3, (400, 280)).astype(np.float32)
    band[0, 0] = np.nan
    fits.writeto(tmp_path / "ü.fits", band)
    asked = []
    model.uncertainty = lambda *given: asked.append(given) or given[0] * 0 + 0.01
    scores = denoise.measure(options(tmp_path, "--frame", str(tmp_path / "ü.fits"), "--uncertainty"))
    assert scores["frame"].endswith("ü.fits") and scores["uncertainty"] and scores["n_tiles"] == 4
    assert len(asked) == scores["network_calls"] * (1 + 3 + 3) + 3 * scores["n_tiles"]  # warm up, whole, as asked, bare
