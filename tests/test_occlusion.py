"""Which pixels mattered: on stand-ins that look at a known place, and on a small net; and what changes when turned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet, join_models
from galaxy_core.morphology import classify_images
from galaxy_core.occlusion import occlude, patch_starts, sky_of
from galaxy_core.turning import ANGLES_DEG, EXACT, classify_turned, predict_scores, turn_views
from galaxy_core.vote_tree import question_sums

SKY = np.float32([0.05, 0.06, 0.07])


def sky_with(*squares: tuple[int, int], size: int = 48) -> np.ndarray:
    """An image of sky with bright squares of 6 px at these corners."""
    noise = np.random.default_rng(0).normal(0, 0.002, (3, size, size))
    image = (SKY[:, None, None] + noise).astype(np.float32)
    for top, left in squares:
        image[:, top : top + 6, left : left + 6] = 0.9
    return image


def looks_at(*squares: tuple[int, int]):
    """A stand-in for a model: the mean brightness of each square, one prediction a square."""
    return lambda images: np.stack([images[:, :, t : t + 6, x : x + 6].mean(axis=(1, 2, 3)) for t, x in squares], 1)


def small_net(seed: int = 0, **changes) -> MorphologyNet:
    torch.manual_seed(seed)
    options = {"input_px": 32, "hidden_size": 16, "class_names": ("round_smooth", "spiral")} | changes
    return MorphologyNet(MorphologyConfig((8, 8), (1, 1), 8, 8, **options)).eval()


def test_the_important_patch_is_found_and_nothing_else():
    image = sky_with((12, 30), (33, 6))[:, :42]  # higher than wide
    seen = occlude(image, looks_at((12, 30), (33, 6)), patch_px=6, step_px=3)
    assert seen.shape == (42, 48) and seen.covered.shape == (13, 15, 2)
    for k, (top, left) in enumerate(((12, 30), (33, 6))):
        mattered = seen.map_of(k)
        inside = np.zeros((42, 48), bool)
        inside[top : top + 6, left : left + 6] = True
        assert mattered[inside].min() > 5 * np.abs(mattered[~inside]).mean() and mattered[inside].mean() > 0.2
        far = np.ones((42, 48), bool)
        far[top - 6 : top + 12, left - 6 : left + 12] = False
        assert np.abs(mattered[far]).max() < 0.01, "what no patch over the square touches does not matter"
        (row, column), left_over = seen.most_telling(k)
        assert (row, column) == (top + 3, left + 3) and left_over == pytest.approx(SKY.mean(), abs=0.01)


def test_what_speaks_against_is_below_zero():
    image, look = sky_with((20, 20)), looks_at((20, 20))
    seen = occlude(image, lambda images: 1 - look(images), patch_px=6, step_px=2)
    mattered = seen.map_of(0)
    assert mattered[22, 22] < -0.2 and np.abs(mattered[0]).max() < 0.01
    over = [(starts <= 22) & (starts > 16) for starts in (seen.tops, seen.lefts)]
    assert mattered[22, 22] == pytest.approx((seen.whole - seen.covered)[over[0]][:, over[1]].mean()), "of nine patches"
    place, becomes = seen.most_telling(0)
    assert place == (23, 23) and becomes == pytest.approx(1 - SKY.mean(), abs=0.01)


def test_every_pixel_is_covered_and_the_image_stays_as_it_is():
    image = sky_with((3, 3), size=31)
    before = image.copy()
    done = []
    seen = occlude(image, lambda images: images.reshape(len(images), -1)[:, :5], patch_px=4, step_px=3,
                   report=done.append, batch=7)  # fmt: skip
    assert np.isfinite(seen.map_of(4)).all() and seen.map_of(0).shape == (31, 31)
    assert (image == before).all() and done[-1] == 1 and done == sorted(done) and len(done) > 5
    assert seen.covered.shape == (10, 10, 5) and seen.tops[-1] == 27


@pytest.mark.parametrize(("length", "patch", "step"), [(64, 8, 4), (7, 7, 3), (1, 1, 1), (50, 6, 5)])
def test_patches_reach_both_ends(length, patch, step):
    starts = patch_starts(length, patch, step)
    assert starts[0] == 0 and starts[-1] == length - patch and (np.diff(starts) <= step).all()


def test_patches_are_as_dark_as_the_sky_under_a_galaxy():
    np.testing.assert_allclose(sky_of(sky_with((10, 10), (20, 20))), SKY, atol=0.003)
    given = []
    occlude(sky_with((10, 10)), lambda images: given.extend(images) or np.zeros((len(images), 1)), patch_px=40)
    assert given[0][:, 12, 12].min() > 0.8, "first the image as it is"
    np.testing.assert_allclose(given[1][:, 12, 12], SKY, atol=0.003)


def test_occlusion_of_a_net_begins_at_what_the_net_says():
    stamp, model = np.random.default_rng(1).random((3, 32, 32)).astype(np.float32), small_net()
    seen = occlude(stamp, lambda images: predict_scores(images, model))
    told = classify_images(stamp[None], model, ["a"])
    np.testing.assert_allclose(seen.whole[:2], told.class_probabilities[0], atol=1e-5)
    of_all = told.cumulative.expected[0]
    of_all[[13, 14, *range(18, 25)]] *= 1 - of_all[2]  # of nothing odd are asked those who see no star or artifact
    np.testing.assert_allclose(seen.whole[2:], of_all, atol=1e-5)
    assert seen.patch_px == 4 and seen.covered.shape == (15, 15, 39) and seen.nbytes == seen.covered.nbytes


# ---------------------------------------------------------------- turned


def test_the_mean_over_the_exact_views_is_what_is_said():
    stamp = np.random.default_rng(2).random((3, 32, 32)).astype(np.float32)
    for model in (small_net(), join_models([small_net(), small_net(1)])):
        turned, told = classify_turned(stamp, model), classify_images(stamp[None], model, ["a"])
        assert turned.names == (*EXACT, *(f"{angle}°" for angle in ANGLES_DEG)) and len(turned.stamps) == 13
        np.testing.assert_allclose(turned.class_probabilities[:8].mean(axis=0), told.class_probabilities[0], atol=1e-5)
        asked = question_sums(turned.cumulative)
        np.testing.assert_allclose(asked[:, 0], 1, atol=1e-5)
        np.testing.assert_allclose(asked[:, 5], 1 - turned.cumulative[:, 2], atol=1e-5, err_msg="anything odd?")
        low, high, spread = turned.spread(turned.class_probabilities[:, 0])
        assert low <= high and spread == pytest.approx(turned.class_probabilities[:8, 0].std())
        moved = turned.most_moved()
        assert np.ptp(turned.cumulative[:, moved]) == np.ptp(turned.cumulative, axis=0).max()


def test_angles_turn_like_the_exact_views():
    y, x = np.mgrid[:64, :64] - 31.5
    square = np.repeat(np.exp(-(x**2 / 200 + y**2 / 20))[None], 3, axis=0).astype(np.float32)
    names, stamps = turn_views(square[:, ::2, ::2], square)
    angles = {}
    for name, stamp in zip(names, stamps, strict=True):
        y, x = np.mgrid[:32, :32] - 15.5
        light = stamp[0]
        angles[name] = np.degrees(0.5 * np.arctan2(-2 * (light * x * y).sum(), (light * (x**2 - y**2)).sum())) % 180
    assert angles["0°"] % 180 == pytest.approx(0, abs=0.5) or angles["0°"] == pytest.approx(180, abs=0.5)
    assert angles["90°"] == pytest.approx(90, abs=0.5)
    assert [angles[f"{a}°"] for a in ANGLES_DEG] == pytest.approx(list(ANGLES_DEG), abs=2), "the same sense"
    assert stamps.min() >= 0 and stamps.max() <= 1 and np.isfinite(stamps).all()
    even = np.broadcast_to(SKY[:, None, None], (3, 32, 32))
    np.testing.assert_allclose(turn_views(even)[1], np.broadcast_to(even, (13, 3, 32, 32)), atol=1e-6)  # corners, too


def test_nets_of_votes_or_classes_alone():
    stamp = np.zeros((3, 32, 32), np.float32)
    votes = classify_turned(stamp, small_net(class_names=()))
    assert votes.class_probabilities.shape == (13, 0) and votes.cumulative.shape == (13, 37)
    classes = classify_turned(stamp, small_net(votes=False))
    assert classes.cumulative is None and classes.most_moved() is None
