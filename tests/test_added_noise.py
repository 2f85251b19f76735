"""Noise put on clean images: its strength, its correlation, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from galaxy_core.added_noise import KINDS, add_noise
from galaxy_core.images import AstroImage
from galaxy_core.noise import PUBLISHED_SIGMA, add_published_noise


def grey(value: float, linear: bool = False, size: int = 256) -> AstroImage:
    return AstroImage(np.full((1, size, size), value, np.float32), linear, None, "PNG", "flat.png")


def test_published_noise_is_the_published_one():
    image = grey(100 / 255)
    noisy = add_noise(image, "published", 1.0, 3)
    expected = add_published_noise(np.full((1, 256, 256), 100, np.uint8), np.random.default_rng(3), 1.0)
    assert np.array_equal(np.rint(noisy.pixels * 255), expected) and noisy.bits == 8


@pytest.mark.parametrize("kind", ["gaussian", "correlated"])
@pytest.mark.parametrize("level", [0.25, 1.0, 2.0])
def test_strength_is_that_of_the_published_noise_in_blank_sky(kind, level):
    noisy = add_noise(grey(0.5), kind, level, 0).pixels
    assert noisy.std() == pytest.approx(level * PUBLISHED_SIGMA, rel=0.03)
    assert noisy.mean() == pytest.approx(0.5, abs=0.005)
    assert noisy[0, [0, -1]].std() == pytest.approx(level * PUBLISHED_SIGMA, rel=0.15), "and at the edges"


def test_only_correlated_noise_is_correlated():
    for kind, expected in (("gaussian", 0.0), ("correlated", np.exp(-1 / 4))):
        noise = add_noise(grey(0.5, size=400), kind, 1.0, 1).pixels[0] - 0.5
        assert np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1] == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_linear_frame_gets_a_multiple_of_its_own_noise_and_keeps_its_gaps(kind):
    pixels = np.random.default_rng(0).normal(1000, 4, (1, 300, 300)).astype(np.float32)
    pixels[0, :5] = np.nan
    pixels[0, :, 100:] = 0  # most of the frame was never observed
    noisy = add_noise(AstroImage(pixels, True, None, "FITS", "a.fits"), kind, 3.0, 0)
    assert np.nanstd(noisy.pixels - pixels) == pytest.approx(12, rel=0.05)
    assert np.array_equal(np.isnan(noisy.pixels), np.isnan(pixels)) and noisy.linear


@pytest.mark.parametrize(("linear", "said"), [(True, "gaussian, 2 times"), (False, "published, 2")])
def test_the_header_says_so(linear, said):
    """A file that is made of it must not pass for an observation; the header that was given stays as it is."""
    image = replace(grey(0.5, linear), header=fits.Header({"OBJECT": "M31"}) if linear else None)
    header = add_noise(image, "published", 2.0, 7).header
    assert "simulated noise was added" in str(header["HISTORY"]) and "seed 7" in str(header["HISTORY"])
    assert said in " ".join(header["HISTORY"]) and ("OBJECT" in header) is linear
    assert image.header is None or "HISTORY" not in image.header


def test_edges():
    assert add_noise(grey(0.0, size=1), "published", 4.0, 0).pixels.shape == (1, 1, 1)
    flat = add_noise(grey(7.0, linear=True), "gaussian", 0.5, 0)  # a frame without noise of its own
    assert flat.pixels.std() == pytest.approx(0.5, rel=0.03)
    with pytest.raises(ValueError, match="unknown noise"):
        add_noise(grey(0.5), "pink", 1.0, 0)
