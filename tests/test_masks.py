"""The foreground mask against the definition written out by hand, and at its extremes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from galaxy_core.masks import foreground, luminance


def naive_otsu(values):
    """Threshold among 256 bin centres with the greatest variance between the two classes."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    best, threshold = -1.0, centres[0]
    for k in range(255):
        low, high = counts[: k + 1], counts[k + 1 :]
        n_low, n_high = low.sum(), high.sum()
        if n_low == 0 or n_high == 0:
            continue
        mean_low = (low * centres[: k + 1]).sum() / n_low
        mean_high = (high * centres[k + 1 :]).sum() / n_high
        between = n_low * n_high * (mean_low - mean_high) ** 2
        if between > best * (1 + 1e-9):
            best, threshold = between, centres[k]
    return threshold


def naive_step(mask, wanted):
    """Dilation (wanted=True) or erosion (False) by the 3 x 3 cross, pixel by pixel, outside being sky."""
    height, width = mask.shape
    out = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            cross = [
                mask[j, i] if 0 <= j < height and 0 <= i < width else False
                for j, i in ((y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
            ]
            out[y, x] = any(cross) if wanted else all(cross)
    return out


def naive_foreground(image):
    red, green, blue = image
    light = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    mask = light > naive_otsu(light.ravel())
    for grows in (False, True, True, True, False, False, True, True, True, True):
        mask = naive_step(mask, grows)
    return mask


def galaxy(height=40, width=44, radius=6.0, noise=0.03, seed=0):
    rows, columns = np.indices((height, width))
    light = np.exp(-np.hypot(rows - height / 2, columns - width / 2) / radius)
    noisy = light[None] * np.array([1.0, 0.8, 0.5])[:, None, None]
    noisy = noisy + np.random.default_rng(seed).normal(0, noise, (3, height, width))
    return np.clip(noisy, 0, 1).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_foreground_is_the_definition_written_out(seed):
    image = galaxy(radius=3.0 + 2 * seed, noise=0.02 + 0.05 * seed, seed=seed)
    np.testing.assert_array_equal(foreground(image), naive_foreground(image))


def test_foreground_at_the_edge_is_the_definition_too():
    image = np.roll(galaxy(), (18, -20), axis=(1, 2))
    np.testing.assert_array_equal(foreground(image), naive_foreground(image))


def test_foreground_holds_the_galaxy_and_not_the_sky():
    mask = foreground(galaxy(noise=0.01))
    assert mask[20, 22] and not mask[0, 0] and 0.02 < mask.mean() < 0.6


def test_a_lone_hot_pixel_is_no_galaxy():
    image = np.zeros((3, 30, 30), np.float32)
    image[:, 10, 10] = 1
    assert not foreground(image).any(), "opening removes what is smaller than the cross"


def test_constant_empty_and_nan_images():
    for image in (np.zeros((3, 8, 8)), np.full((1, 8, 8), 7.0), np.ones((3, 1, 1)), np.full((3, 8, 8), np.nan)):
        mask = foreground(image)
        assert mask.dtype == bool and mask.shape == image.shape[1:] and not mask.any()
    white = np.ones((3, 8, 8), np.float32)
    white[:, ::2] -= np.float32(6e-8)  # as rounding leaves a blank image that was made smaller
    assert white.min() < white.max() and not foreground(white).any()
    holed = galaxy()
    holed[:, 2:4, 2:4] = np.nan
    assert foreground(holed)[20, 22] and not foreground(holed)[3, 3]


def test_scale_and_offset_do_not_matter():
    image = galaxy()
    np.testing.assert_array_equal(foreground(image * 1000 - 50), foreground(image))


def test_luminance_by_number_of_bands():
    image = np.stack([np.full((2, 2), 1.0), np.full((2, 2), 2.0), np.full((2, 2), 4.0)])
    np.testing.assert_allclose(luminance(image), 0.299 + 2 * 0.587 + 4 * 0.114, rtol=1e-6)
    np.testing.assert_array_equal(luminance(image[:1]), image[0])
    np.testing.assert_array_equal(luminance(image[:2]), np.full((2, 2), 1.5))


def test_fast_enough_for_a_catalog():
    image = galaxy(128, 128)
    foreground(image)
    times = []
    for _ in range(5):
        started = time.thread_time()
        foreground(image)
        times.append(time.thread_time() - started)
    assert min(times) < 0.02, "26,000 stamps must not take minutes"
