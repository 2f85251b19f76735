"""The segmenter: its filters, tiles and losses, a training that resumes, thresholds, and what it finds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sky_scenes import PLACES, SIGMA, SKY, scene
from torch import Generator

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ModelError
from galaxy_core.frame_detectors import counted_threshold, make_detector, peaks_of, tail_threshold
from galaxy_core.frame_segments import find_in_maps
from galaxy_core.models import load_model, save_model, segmenter
from galaxy_core.models.segmenter import Segmenter, SegmenterConfig, matched_filters
from galaxy_core.recipes import find_recipe
from galaxy_core.recipes import segmenter as recipe
from galaxy_core.recipes.segmenter_scenes import SceneConfig, Shown, make_scenes, show
from galaxy_core.training import FitConfig

SMALL = SceneConfig(side_px=48, crop_px=32, n_seeings=2, galaxies_per_seeing=3)
TINY = recipe.Config(
    widths=(4, 6), filters=2, scenes=SMALL, segment=FitConfig(2, 4, 1e-3, warmup_steps=1), n_validation=4
)


def small_model(supervision="simulated", seed=0):
    torch.manual_seed(seed)
    model = Segmenter(SegmenterConfig((4, 6, 8), supervision, 3))
    torch.nn.init.normal_(model.out.weight, std=0.05)
    return model.eval()


def test_an_untrained_network_returns_its_input():
    signal = torch.randn(2, 1, 30, 21)
    light, logit = Segmenter(SegmenterConfig((4, 6), filters=2))(signal)
    torch.testing.assert_close(light, signal)
    assert logit.shape == signal.shape and not logit.any()


def test_filters_answer_a_point_source_with_its_best_signal_to_noise():
    """On white noise the output has the noise of a pixel, and on a Gaussian flux over the noise below it."""
    widths = np.geomspace(*segmenter.FILTER_SIGMA_PX, 4)
    filters = matched_filters(4)
    torch.testing.assert_close(filters.square().sum(dim=(1, 2, 3)), torch.ones(4))
    rows, columns = np.indices((64, 64)) - 32.5  # between four pixels, where a block has its middle
    for number, width in enumerate(widths[1:3], start=1):
        star = np.exp(-(rows**2 + columns**2) / 2 / width**2)
        blocks = torch.nn.functional.pixel_unshuffle(torch.from_numpy(star).float()[None, None], 2)
        answer = torch.nn.functional.conv2d(blocks, filters, padding=4)[0, number].max()
        assert float(answer) == pytest.approx(np.sqrt((star**2).sum()), rel=0.01)


def test_tiles_leave_no_seam(monkeypatch):
    model = small_model()
    signal = np.random.default_rng(0).normal(0, 1, (150, 210)).astype(np.float32)
    nothing = np.zeros(signal.shape, dtype=bool)
    whole = model.detection_maps(signal, nothing)
    monkeypatch.setattr(segmenter, "TILE_PX", 64)
    done = []
    tiled = model.detection_maps(signal, nothing, done.append)
    for one, two in zip(whole, tiled, strict=True):
        np.testing.assert_allclose(one, two, atol=0.02)  # of steps of bfloat16
    assert done[-1] == 1.0 and len(done) == 12


def test_what_is_not_observed_is_shown_as_sky():
    model = small_model()
    signal = np.random.default_rng(0).normal(0, 1, (40, 40)).astype(np.float32)
    gap = np.zeros(signal.shape, dtype=bool)
    gap[10:20, 10:20] = True
    spoiled = np.where(gap, np.float32(np.nan), signal)
    for map_ in model.detection_maps(spoiled, gap):
        assert np.isfinite(map_).all()
    # nor what lies beyond the edges: rows repeated there made 4 false objects of 1 at the edges of such sides
    part, room = signal[:37, :35], np.pad(signal[:37, :35], ((0, 3), (0, 5)))
    for map_, wide in zip(*(model.detection_maps(one, np.zeros(one.shape, bool)) for one in (part, room)), strict=True):
        np.testing.assert_array_equal(map_, wide[:37, :35])


def test_without_labels_the_light_is_the_detection_map():
    signal = np.random.default_rng(0).normal(0, 1, (32, 32)).astype(np.float32)
    nothing = np.zeros(signal.shape, dtype=bool)
    detection, light = small_model("none").detection_maps(signal, nothing)
    np.testing.assert_array_equal(detection, light)
    detection, light = small_model("simulated").detection_maps(signal, nothing)
    assert np.abs(detection - light).max() > 0.1


def test_scenes_are_the_same_again_and_hold_the_light_they_should(tmp_path):
    one, two = (make_scenes(3, 7, tmp_path / name, SMALL) for name in "ab")
    np.testing.assert_array_equal(one, two)
    assert (make_scenes(3, 8, tmp_path / "a", SMALL) != one).any()
    assert (np.asarray(one) >= 0).all() and np.asarray(one).max() > 0.5


def test_noise_is_of_one_and_drawn_twice(tmp_path):
    scenes = np.zeros((64, 48, 48), dtype=np.float16)
    config = replace(SMALL, hits_share=0.0, ends_share=0.0)
    once, shown = (show(scenes, np.arange(64), config, Generator().manual_seed(0), again) for again in (False, True))
    assert once.noise is None and torch.equal(once.noisy, shown.noisy)
    assert float(shown.noise.std()) == pytest.approx(1, abs=0.03)
    assert 0.95 < float(shown.noisy.std()) < 1.1  # with what a sky estimate leaves
    assert abs(float((shown.noisy * shown.noise).mean())) < 0.03
    assert float(shown.growth.min()) == pytest.approx(1, abs=1e-4) and float(shown.growth.max()) > 1.5


def test_hits_and_broad_noise_are_where_the_configuration_has_them():
    scenes = np.zeros((64, 48, 48), dtype=np.float16)
    plain = replace(SMALL, correlated_share=0.0, ends_share=0.0)
    settings = [{"hits_share": hits, "broad_share": broad} for hits, broad in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))]
    quiet, hit, broad = (
        show(scenes, np.arange(64), replace(plain, **setting), Generator().manual_seed(0)) for setting in settings
    )
    assert float(quiet.noisy.max()) < 6 and float(quiet.growth.max()) == pytest.approx(1)
    far = hit.noisy[hit.noisy > 6]  # about one pixel in ten thousand
    assert 2 < len(far) < 30 and float(far.max()) < 110
    assert float(broad.growth.min()) > 1.05 and float(broad.noisy.std()) == pytest.approx(1, abs=0.05)


def test_recorruption_teaches_the_light_without_seeing_it():
    """The loss of the two corrupted copies has its minimum at the noiseless light (by which it is linear in it)."""
    torch.manual_seed(0)
    light = torch.full((8, 1, 64, 64), 2.0)
    noisy, noise = light + torch.randn_like(light), torch.randn_like(light)
    shown = Shown(light, noisy, torch.ones(8, 1, 1, 1), torch.ones_like(light), noise)
    config = replace(TINY, supervision="none")
    scale = (1 + recipe.RECORRUPTION**2) ** -0.5

    class Constant(torch.nn.Module):
        value = 0.0

        def forward(self, signal):
            return torch.full_like(signal, self.value * scale), signal

    losses = {}
    for value in (1.8, 2.0, 2.2):
        model = Constant()
        model.value = value
        losses[value] = float(recipe.segmenter_losses(model, shown, config, "cpu")["loss"])
    assert losses[2.0] < losses[1.8] and losses[2.0] < losses[2.2]


def test_supervision_by_truth_is_cross_entropy_on_an_isophote():
    light = torch.zeros(1, 1, 4, 4)
    light[..., :2] = 1.0
    shown = Shown(light, light, torch.ones(1, 1, 1, 1), torch.ones_like(light))

    class Known(torch.nn.Module):
        def forward(self, signal):
            return signal, 3.0 * (2 * (signal > 0.35).float() - 1)

    losses = recipe.segmenter_losses(Known(), shown, TINY, "cpu")
    assert float(losses["cross_entropy"]) == pytest.approx(np.log1p(np.exp(-3)), rel=1e-4)
    assert float(losses["reconstruction"]) == 0


@pytest.mark.parametrize("supervision", recipe.SUPERVISIONS)
def test_training_resumes_to_the_same_weights(tmp_path, supervision):
    catalog, config = read_catalog("synthetic:16"), replace(TINY, supervision=supervision)
    assert find_recipe("segmenter").module() is recipe
    whole = recipe.train([catalog], tmp_path / "whole", config)

    class Stop(Exception):
        pass

    def stop(_, step, n_steps, __):
        if step == n_steps - 1:
            raise Stop

    with pytest.raises(Stop):
        recipe.train([catalog], tmp_path / "parts", config, report=stop)
    resumed = recipe.train([catalog], tmp_path / "parts", config)
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, two)
    about = json.loads((tmp_path / "whole" / "config.json").read_text())["about"]
    assert about["catalogs"] == ["synthetic:16"] and about["training"]["supervision"] == supervision
    assert not (tmp_path / "whole" / ".state").exists()


def test_training_says_what_it_cannot_use(tmp_path):
    with pytest.raises(ModelError, match="at least 8 scenes"):
        recipe.train([read_catalog("synthetic:5")], tmp_path, TINY)
    with pytest.raises(ModelError, match="choose one of none, simulated"):
        recipe.train([read_catalog("synthetic:16")], tmp_path, replace(TINY, supervision="dreams"))
    with pytest.raises(ModelError, match="no such phases as polish; its one is segment"):
        recipe.train([read_catalog("synthetic:16")], tmp_path, TINY, phases=["polish"])


def test_thresholds_let_through_what_was_asked():
    peaks = np.sort(np.random.default_rng(0).exponential(1.0, 5000))[::-1]
    assert (peaks > tail_threshold(peaks, 50)).sum() == 50
    assert tail_threshold(peaks, 1.0) == pytest.approx(np.log(5000), rel=0.15)  # where one of 5,000 is expected
    assert tail_threshold(np.zeros(0), 1.0) == np.inf

    def count(threshold):  # of Gaussian noise
        return round(5000 * np.exp(-(threshold**2) / 2))

    assert count(counted_threshold(count, 100)) == pytest.approx(100, rel=0.2)
    assert counted_threshold(count, 0.5) == pytest.approx(np.sqrt(2 * np.log(10_000)), rel=0.05)


def test_peaks_are_one_for_each_bump():
    map_ = np.zeros((40, 40), dtype=np.float32)
    map_[10, 10], map_[10, 12], map_[30, 20] = 5, 4, 3
    assert list(peaks_of(map_)[:2]) == [5, 3]


def test_objects_reach_down_to_the_isophote_and_need_one_pixel_above_the_threshold():
    light = np.zeros((30, 30), dtype=np.float32)
    light[5:10, 5:10], light[20:24, 20:24] = 1.0, 1.0
    detection = np.full(light.shape, -5, dtype=np.float32)
    detection[7, 7] = 2.0
    found = find_in_maps(detection, light, np.zeros(light.shape, dtype=bool), 1.0)
    assert len(found) == 1 and (found.segmentation == 1).sum() == 25
    assert (found.x[0], found.y[0]) == pytest.approx((7, 7)) and found.detection[0] == 2.0


def test_the_service_finds_objects_with_a_segmenter(tmp_path):
    model = load_model(save_model(tmp_path, small_model("none")))
    with torch.no_grad():
        model.out.weight.zero_()  # its light is its input
    signal, nothing = (scene() - SKY) / SIGMA, np.zeros((160, 150), dtype=bool)
    noise = np.random.default_rng(1).normal(0, 1, (300, 300)).astype(np.float32)
    detector = make_detector("segmenter", noise, 5.0, model)
    found = detector.find(signal, nothing, None)
    for x, y in PLACES:
        assert np.hypot(found.x - x, found.y - y).min() < 1.5
    with pytest.raises(ModelError, match="needs a trained segmenter"):
        make_detector("segmenter", noise, 5.0, torch.nn.Identity())


def test_objects_grow_into_faint_light_and_not_into_each_other():
    light = np.zeros((20, 40), dtype=np.float32)
    light[5:15, 3:37] = 0.2
    light[8:12, 8:12], light[8:12, 28:32] = 5.0, 5.0
    found = find_in_maps(light, light, np.zeros(light.shape, dtype=bool), 1.0)
    sizes = np.bincount(found.segmentation.ravel())[1:]
    assert len(found) == 2 and sizes.sum() == 10 * 34 and abs(int(sizes[0]) - int(sizes[1])) <= 10
    assert not found.segmentation[light < 0.1].any()


def test_a_faint_object_beside_a_bright_one_is_an_object():
    """On denoised maps what parts an island is not a share of the brightest object's light."""
    rows, columns = np.indices((80, 80))
    light = 2000 * np.exp(-((rows - 40) ** 2 + (columns - 30) ** 2) / 2 / 4.0**2)
    light += 4 * np.exp(-((rows - 40) ** 2 + (columns - 50) ** 2) / 2 / 1.5**2)
    light = (light + 1.0 * (np.hypot(rows - 40, columns - 40) < 30)).astype(np.float32)
    found = find_in_maps(light, light, np.zeros(light.shape, dtype=bool), 1.5)
    assert np.hypot(found.x - 50, found.y - 40).min() < 1.5
