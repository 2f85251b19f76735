"""The cutout of the central object: each step against its definition written out by hand, and at its extremes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.central_object import (
    DEFAULT,
    central_boxes,
    cut_central_object,
    object_mask,
    window_sides,
)
from galaxy_core.errors import GalaxyError, ImageError
from galaxy_core.images import read_image

STAMPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "kaggle_gz" / "images_training_rev1"
SMALL = replace(DEFAULT, frame_px=40, min_area_px=12.0)
BRIGHT = replace(SMALL, grow_px=4.0, threshold=0.3)
TWICE = replace(DEFAULT, frame_px=20, min_area_px=3.0, grow_px=1.0)  # its lengths count twice in images of 40 pixels


def blobs(side=40, *spots, sky=0.0) -> np.ndarray:
    """Gaussian spots as (row, column, width, brightness) on a grey frame, (3, side, side)."""
    y, x = np.indices((side, side))
    light = np.full((side, side), sky)
    for row, column, width, bright in spots:
        light = light + bright * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
    return np.repeat(light.clip(0, 1)[None], 3, axis=0).astype(np.float32)


# ---------------------------------------------------------------- the steps, written out


def naive_mask(image, config):
    """Grey by the three weights, blurred with 1 4 6 4 1 both ways, above the threshold, grown by a square."""
    side = image.shape[-1]
    grey = 0.299 * image[0].astype(float) + 0.587 * image[1] + 0.114 * image[2]

    def at(i):
        i = abs(i)
        return 2 * (side - 1) - i if i >= side else i

    weights = {-2: 1, -1: 4, 0: 6, 1: 4, 2: 1}
    bright = np.zeros((side, side), bool)
    for y in range(side):
        for x in range(side):
            total = sum(
                wy * wx * grey[at(y + dy), at(x + dx)] for dy, wy in weights.items() for dx, wx in weights.items()
            )
            bright[y, x] = total / 256 > config.threshold
    reach, grown = round(config.grow_px * side / config.frame_px), np.zeros((side, side), bool)
    for y, x in zip(*np.nonzero(bright), strict=True):
        grown[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1] = True
    return grown


def flood(mask, start, corners):
    """All pixels of a mask that hang together with one of them."""
    steps = [(1, 0), (-1, 0), (0, 1), (0, -1)] + ([(1, 1), (1, -1), (-1, 1), (-1, -1)] if corners else [])
    found, waiting = {start}, [start]
    while waiting:
        y, x = waiting.pop()
        for dy, dx in steps:
            place = (y + dy, x + dx)
            inside = 0 <= place[0] < mask.shape[0] and 0 <= place[1] < mask.shape[1]
            if inside and mask[place] and place not in found:
                found.add(place)
                waiting.append(place)
    return found


def naive_box(mask, config):
    """Holes closed; of the objects that are large enough, the box of the one whose centre is nearest."""
    side, sky = len(mask), set()
    for i in range(side):
        for place in ((0, i), (side - 1, i), (i, 0), (i, side - 1)):
            if not mask[place] and place not in sky:
                sky |= flood(~mask, place, corners=False)
    full = np.array([[(y, x) not in sky for x in range(side)] for y in range(side)])
    seen, best, box = set(), np.inf, [-1, -1, -1, -1]
    for place in map(tuple, np.argwhere(full)):
        if place in seen:
            continue
        members = flood(full, place, corners=True)
        seen |= members
        rows, columns = zip(*members, strict=True)
        distance = np.hypot(np.mean(rows) - (side - 1) / 2, np.mean(columns) - (side - 1) / 2)
        if len(members) >= config.min_area_px * (side / config.frame_px) ** 2 and distance < best:
            best, box = distance, [min(rows), min(columns), max(rows) + 1, max(columns) + 1]
    return box


def naive_scale(image, size):
    """Mean over the area of each new pixel, by cutting every old one into pieces that fit both."""
    side = image.shape[-1]
    fine = np.repeat(np.repeat(image, size, axis=1), size, axis=2).astype(float)
    return fine.reshape(len(image), size, side, size, side).mean(axis=(2, 4))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("config", [SMALL, TWICE, replace(SMALL, grow_px=0.0), BRIGHT])
def test_steps_are_the_definition_written_out(seed, config):
    rng = np.random.default_rng(seed)
    spots = [(*rng.uniform(0, 40, 2), rng.uniform(0.8, 4), rng.uniform(0.2, 1)) for _ in range(6)]
    images = np.stack([blobs(40, *spots), blobs(40, *spots[:2]), rng.uniform(0, 0.25, (3, 40, 40)).astype("float32")])
    masks = object_mask(images, config)
    for image, mask in zip(images, masks, strict=True):
        np.testing.assert_array_equal(mask, naive_mask(image, config))
    boxes = central_boxes(masks, config)
    assert boxes.tolist() == [naive_box(mask, config) for mask in masks]
    assert (boxes >= 0).any(), "or nothing was found to compare"


def test_boxes_of_any_mask():
    rng = np.random.default_rng(7)
    masks = rng.random((30, 24, 24)) < np.linspace(0.05, 0.6, 30)[:, None, None]
    config = replace(DEFAULT, frame_px=24, min_area_px=5.0)
    assert central_boxes(masks, config).tolist() == [naive_box(mask, config) for mask in masks]


def test_the_hole_of_a_ring_stays_closed_beside_other_images():
    y, x = np.indices((24, 24))
    ring = np.abs(np.hypot(y - 11, x - 12) - 5) < 1
    config = replace(DEFAULT, frame_px=24, min_area_px=70.0)  # more than the ring has without its hole
    assert ring.sum() < 70 and central_boxes(np.stack([ring, ring & False]), config)[0].tolist() == [6, 7, 17, 18]


@pytest.mark.parametrize(("side", "size"), [(8, 4), (12, 3), (10, 4), (7, 5), (9, 1), (5, 5)])
def test_shrinking_is_the_mean_over_area(side, size):
    images = 0.1 * np.random.default_rng(0).random((2, 3, side, side)).astype(np.float32)  # all sky: the whole frame
    found = cut_central_object(images, size)
    assert found.dtype == np.float32 and found.shape == (2, 3, size, size)
    for image, small in zip(images, found, strict=True):
        np.testing.assert_allclose(small, naive_scale(image, size), atol=1e-6)
    np.testing.assert_allclose(found.mean(axis=(2, 3)), images.mean(axis=(2, 3)), atol=1e-6, err_msg="light is kept")


def test_enlarging_is_linear_and_constant_beyond_the_outermost_centres():
    ramp = np.broadcast_to(np.arange(4, dtype=np.float32) / 100, (1, 3, 4, 4))
    found = 100 * cut_central_object(ramp, 8)[0, 0, 3]
    np.testing.assert_allclose(found, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3], atol=1e-6)


@pytest.mark.parametrize(
    ("box", "side"),
    [
        ((159, 159, 265, 265), 106),
        ((158, 159, 200, 200), 212),
        ((159, 159, 200, 266), 212),
        ((106, 106, 318, 318), 212),
        ((105, 200, 318, 230), 424),
        ((200, 200, 230, 319), 424),
        ((0, 0, 424, 424), 424),
        ((-1, -1, -1, -1), 424),
    ],
)
def test_three_cases_at_the_rectangles_of_the_original(box, side):
    """Its rectangles begin at 212 - 53 = 159 and 212 - 106 = 106 and are 106 and 212 pixels wide."""
    assert window_sides(np.array([box]), 424).tolist() == [side]


# ---------------------------------------------------------------- whole stamps


def cut_of(image, config=DEFAULT, size=106):
    return cut_central_object(image[None], size, config)[0]


def test_a_small_galaxy_is_cropped_a_middling_one_cropped_and_scaled_a_large_one_scaled():
    middle = slice(159, 265)
    small = blobs(424, (212, 212, 12, 0.9))
    np.testing.assert_array_equal(cut_of(small), small[:, middle, middle])
    larger = blobs(424, (212, 212, 30, 0.9))
    half = larger[:, 106:318, 106:318].reshape(3, 106, 2, 106, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(cut_of(larger), half, atol=1e-6)
    large = blobs(424, (212, 212, 80, 0.9))
    np.testing.assert_allclose(cut_of(large), large.reshape(3, 106, 4, 106, 4).mean(axis=(2, 4)), atol=1e-6)


def test_the_central_of_two_objects_counts_though_the_other_is_brighter():
    both = blobs(424, (212, 212, 10, 0.4), (80, 90, 40, 1.0))
    np.testing.assert_array_equal(cut_of(both), both[:, 159:265, 159:265])
    alone = blobs(424, (80, 90, 40, 1.0))
    assert window_sides(central_boxes(object_mask(alone[None])), 424).tolist() == [424], "off the centre: the frame"


def test_empty_sky_noise_and_hot_pixels_keep_the_frame():
    sky = np.random.default_rng(0).normal(0.03, 0.02, (3, 424, 424)).clip(0, 1).astype(np.float32)
    sky[:, 212, 212] = 1.0  # one pixel grows to a square of less than the least area
    for image in (sky, np.zeros_like(sky)):
        assert central_boxes(object_mask(image[None])).tolist() == [[-1] * 4]
        np.testing.assert_allclose(cut_of(image), image.reshape(3, 106, 4, 106, 4).mean(axis=(2, 4)), atol=1e-6)


def test_a_point_source_has_the_size_of_its_psf():
    star = blobs(424, (212, 212, 2.0, 1.0))
    (top, left, bottom, right), *_ = central_boxes(object_mask(star[None])).tolist()
    assert 8 < bottom - top == right - left < 20 and (top + bottom) / 2 == pytest.approx(212.5, abs=1)
    np.testing.assert_array_equal(cut_of(star), star[:, 159:265, 159:265])


@pytest.mark.parametrize("value", [0.0, 30 / 255, 31 / 255, 1.0])
def test_an_even_frame_is_sky_up_to_thirty_counts_and_one_object_above(value):
    image = np.full((3, 60, 60), value, np.float32)
    box = central_boxes(object_mask(image[None])).tolist()[0]
    assert box == ([0, 0, 60, 60] if value > 30.5 / 255 else [-1] * 4)
    np.testing.assert_allclose(cut_of(image, size=15), value, atol=1e-6)


def test_a_galaxy_that_fills_the_frame_and_one_at_the_border_keep_it():
    for image in (blobs(128, (64, 64, 90, 1.0)), blobs(128, (64, 0, 8, 1.0)), blobs(128, (127, 127, 8, 1.0))):
        assert window_sides(central_boxes(object_mask(image[None])), 128).tolist() == [128]
        np.testing.assert_allclose(cut_of(image, size=32), image.reshape(3, 32, 4, 32, 4).mean(axis=(2, 4)), atol=1e-6)


def test_a_ring_counts_with_what_it_encloses():
    y, x = np.indices((424, 424)) - 212
    ring = np.abs(np.hypot(y - 6, x) - 90) < 6  # its own centre is farther off than that of what it encloses
    inner = np.hypot(y, x) < 10
    image = np.repeat((ring | inner)[None], 3, axis=0).astype(np.float32)
    assert window_sides(central_boxes(object_mask(image[None])), 424).tolist() == [212], "not the bulge alone"


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_tiny_images(side):
    for value in (0.0, 1.0):
        image = np.full((3, side, side), value, np.float32)
        for size in (1, 4):
            np.testing.assert_array_equal(cut_of(image, size=size), np.full((3, size, size), value, np.float32))


def test_a_shrunk_stamp_is_cut_alike():
    images = np.stack([blobs(424, (212, 212, width, 0.9)) for width in (10, 30, 80)])
    small = images.reshape(3, 3, 106, 4, 106, 4).mean(axis=(3, 5))
    shares = window_sides(central_boxes(object_mask(small)), 106) / 106
    np.testing.assert_allclose(shares, window_sides(central_boxes(object_mask(images)), 424) / 424, atol=0.01)
    np.testing.assert_allclose(shares, [0.25, 0.5, 1], atol=0.01)


def test_a_batch_is_its_images_one_by_one_and_stays_as_it_was():
    rng = np.random.default_rng(2)
    images = np.stack([blobs(96, (*rng.uniform(30, 66, 2), rng.uniform(2, 20), 0.9)) for _ in range(12)])
    images *= rng.uniform(0.3, 1, (12, 3, 1, 1)).astype(np.float32)
    before = images.copy()
    whole = cut_central_object(images, 24)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_allclose(whole, np.concatenate([cut_central_object(i[None], 24) for i in images]), atol=1e-6)
    assert whole.dtype == np.float32 and cut_central_object(images[:0], 24).shape == (0, 3, 24, 24)
    assert not np.allclose(whole[:, 0], whole[:, 2]), "colour stays"


def test_nan_is_black_sky():
    image = blobs(64, (32, 32, 5, 0.9))
    image[:, 3, 3] = np.nan
    assert np.isfinite(cut_of(image, size=64)).all() and cut_of(image, size=64).max() > 0.8


@pytest.mark.parametrize(
    ("shape", "size", "said"),
    [
        ((2, 3, 10, 12), 8, "square"),
        ((2, 3, 0, 0), 8, "square"),
        ((2, 1, 9, 9), 8, "colour"),
        ((3, 9, 9), 8, "colour"),
        ((2, 3, 9, 9), 0, "at least 1 pixel"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_one_sentence(shape, size, said):
    with pytest.raises(ImageError, match=said) as caught:
        cut_central_object(np.zeros(shape, np.float32), size)
    assert isinstance(caught.value, GalaxyError) and "\n" not in str(caught.value)


def test_fast_enough_for_a_catalog():
    images = np.stack([blobs(128, (64, 64, width, 0.9)) for width in np.linspace(2, 30, 32)])
    cut_central_object(images, 64)
    times = []
    for _ in range(5):
        started = time.thread_time()
        cut_central_object(images, 64)
        times.append(time.thread_time() - started)
    assert min(times) / len(images) < 0.004, "26,000 stamps must not take minutes"


@pytest.mark.skipif(not STAMPS.exists(), reason="needs the Kaggle images at ../shared/data/kaggle_gz")
def test_real_galaxies_are_found_at_the_centre():
    files = sorted(STAMPS.glob("*.jpg"))[:40]
    images = np.stack([read_image(file).pixels for file in files]).astype(np.float32)
    boxes = central_boxes(object_mask(images))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert (boxes >= 0).all() and (np.abs(middle - 212).max(axis=1) < 40).mean() > 0.8, "the rest are too faint"
    assert len(set(window_sides(boxes, 424).tolist())) >= 2
    assert cut_central_object(images, 106).shape == (40, 3, 106, 106)
