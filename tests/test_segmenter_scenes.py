"""Simulated sky as it is shown: noise of known correlations, frames that end, and what is learned of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Generator

from galaxy_core.recipes import segmenter as recipe
from galaxy_core.recipes.segmenter_scenes import SOURCE_SIGMA_PX, SceneConfig, Shown, make_scenes, show

PLAIN = SceneConfig(side_px=160, crop_px=128, broad_share=0.0, ends_share=0.0, hits_share=0.0, correlated_share=0.0)
DARK = np.zeros((24, 160, 160), dtype=np.float16)


@pytest.mark.parametrize("kind", ["correlated_share", "broad_share"])
def test_growth_is_that_of_noise_smoothed_as_a_source_would_be(kind):
    shown = show(DARK, np.arange(24), replace(PLAIN, **{kind: 1.0}), Generator().manual_seed(0), again=True)
    assert float(shown.noise.std()) == pytest.approx(1, abs=0.03)
    measured = [ndimage.gaussian_filter(noise[0].numpy().astype(float), SOURCE_SIGMA_PX).std() for noise in shown.noise]
    white = 1 / np.sqrt(4 * np.pi * SOURCE_SIGMA_PX**2)
    assert np.mean(np.array(measured) / white / shown.growth.view(-1).numpy()) == pytest.approx(1, abs=0.04)
    assert float(shown.growth.max()) > 1.5
    assert float(show(DARK, np.arange(24), PLAIN, Generator().manual_seed(0)).growth.max()) == pytest.approx(
        1, abs=1e-4
    )


def test_frames_end_and_nothing_is_beyond():
    shown = show(DARK, np.arange(24), replace(PLAIN, ends_share=1.0), Generator().manual_seed(1), again=True)
    beyond = shown.observed == 0
    share = beyond.float().mean(dim=(1, 2, 3))
    assert 0.02 < float(share.mean()) < 0.45 and float(share.max()) < 0.6
    assert not shown.noisy[beyond].any() and not shown.noise[beyond].any() and shown.noisy[~beyond].any()
    assert show(DARK, np.arange(4), PLAIN, Generator().manual_seed(1)).observed.all()


@pytest.mark.parametrize("supervision", recipe.SUPERVISIONS)
def test_beyond_the_end_nothing_is_learned(supervision):
    torch.manual_seed(0)
    light = torch.rand(2, 1, 8, 8)
    observed = torch.ones_like(light)
    observed[..., 5:] = 0
    noisy = observed * light
    shown = Shown(light, noisy, torch.ones(2, 1, 1, 1), observed, torch.zeros_like(light))
    config = replace(recipe.Config(), supervision=supervision)

    class Shifted(torch.nn.Module):
        def __init__(self, by):
            super().__init__()
            self.by = by

        def forward(self, signal):
            moved = signal + self.by * (1 - observed)
            return moved, moved

    one, two = (float(recipe.segmenter_losses(Shifted(by), shown, config, "cpu")["loss"]) for by in (0.0, 50.0))
    assert one == pytest.approx(two, rel=1e-5)


def test_errors_count_in_units_of_the_noise_under_a_source():
    light, one = torch.full((1, 1, 4, 4), 2.0), torch.ones(1, 1, 4, 4)

    class Off(torch.nn.Module):
        def forward(self, signal):
            return 1.1 * signal, torch.zeros_like(signal)

    def error(growth):
        shown = Shown(growth * light, growth * light, torch.full((1, 1, 1, 1), growth), one)
        return float(recipe.segmenter_losses(Off(), shown, recipe.Config(), "cpu")["reconstruction"])

    assert error(4.0) == pytest.approx(error(1.0), rel=1e-3)


def test_what_noise_is_shown_does_not_make_scenes_anew(tmp_path):
    small = SceneConfig(side_px=48, crop_px=32, n_seeings=2, galaxies_per_seeing=3)
    make_scenes(2, 0, tmp_path, small)
    make_scenes(2, 0, tmp_path, replace(small, broad_share=0.9, ends_share=0.0, correlated_width_px=(0.4, 0.5)))
    assert len(list(tmp_path.iterdir())) == 1
    make_scenes(2, 0, tmp_path, replace(small, large_share=0.9))
    assert len(list(tmp_path.iterdir())) == 2
