"""Stamps whose bright pixels are cut off: which they are, what they are compared with, and when they are not told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from galaxy_core.images import AstroImage
from galaxy_core.recipes.star_galaxy_scores import area_under_curve
from galaxy_core.simulator.light import make_frame, moffat
from galaxy_core.star_galaxy_clipped import LEAST_STAMPS
from galaxy_core.star_galaxy_cut import LEAST_PX, Plane, plane_of, tell_cut
from galaxy_core.star_galaxy_files import read_stamps
from galaxy_core.star_galaxy_names import frames_of

ARIES = Path(__file__).resolve().parents[2] / "shared" / "data" / "star_galaxy"


def stamp(fwhm: float, flux: float, seed: int, top: float = np.inf, size: int = 64, unit: float = 1.0) -> np.ndarray:
    """A source in noise of one unit on a sky of 10, cut at ``top``, float32."""
    noise = np.random.default_rng(seed).normal(10, 1, (size, size))
    return (unit * np.minimum(noise + flux * moffat(make_frame(size, 1.0), fwhm, 3.0, 0.2, 0.1), top)).astype(
        np.float32
    )


def field(n: int, top: float, size: int = 64, unit: float = 1.0) -> tuple[list[Plane], np.ndarray]:
    """Linear stamps, every fourth twice as wide, and which those are."""
    wide, flux = np.arange(n) % 4 == 0, np.random.default_rng(0).uniform(600, 4000, n)
    made = [stamp(8.0 if wide[i] else 4.0, flux[i], i, top, size, unit) for i in range(n)]
    return [Plane(values, False, True) for values in made], wide


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e6])
def test_most_are_cut_and_all_are_told_whatever_the_unit(unit):
    planes, wide = field(40, 20.0, unit=unit)
    made = tell_cut(planes, np.repeat("f", 40))
    assert made.cut.mean() > 0.5 and made.told_so.all() and np.isfinite(made.p_galaxy).all()
    assert ((made.p_galaxy > 0.5) == wide).mean() > 0.9
    assert "compared with the 40 stamps of 1 frame." in made.notes[0]


def test_whole_tops_are_left_to_the_network():
    planes, _ = field(20, np.inf)
    made = tell_cut([*planes, None], np.repeat("f", 21))
    assert not made.cut.any() and not made.told_so.any() and np.isnan(made.p_galaxy).all() and not made.notes


def test_few_that_are_cut_are_told_alone_and_compared_with_the_others_of_their_frame():
    planes, _ = field(40, 10 + 160.0)
    bright = stamp(4.0, 9000.0, 99, 170.0), stamp(8.0, 30000.0, 98, 170.0)
    planes += [Plane(values, False, True) for values in bright]
    frames = np.array(["f"] * 42)
    made = tell_cut(planes, frames)
    assert made.cut[-2:].all() and made.cut.mean() < 0.5
    np.testing.assert_array_equal(made.told_so, made.cut)
    assert made.p_galaxy[-2] < 0.5 < made.p_galaxy[-1]
    # stamps of other frames, uncut, say nothing of it
    others = [Plane(stamp(3.0, 900.0, 200 + i), False, True) for i in range(20)]
    again = tell_cut(planes + others, np.concatenate([frames, ["g"] * 20]))
    np.testing.assert_allclose(again.p_galaxy[:42], made.p_galaxy, atol=0.01)


@pytest.mark.parametrize(
    ("n", "size", "why"), [(5, 64, "too few"), (1, 64, "too few"), (20, LEAST_PX - 8, "pixels or more")]
)
def test_what_cannot_be_told_is_said(n, size, why):
    planes, _ = field(n, 14.0, size)
    made = tell_cut(planes, np.repeat("f", n))
    assert made.told_so.all() and np.isnan(made.p_galaxy).all()
    assert len(made.notes) == 1 and why in made.notes[0]


def test_frames_with_few_stamps_are_named():
    planes, _ = field(30, 20.0)
    made = tell_cut(planes, np.array(["big"] * 26 + ["small"] * 4))
    assert np.isfinite(made.p_galaxy).all() and "4 together (small)" in made.notes[1]


def test_a_stamp_cut_all_over_and_one_of_one_value_do_no_harm():
    planes, _ = field(14, 20.0)
    planes += [
        Plane(np.full((64, 64), 20.0, np.float32), False, True),
        Plane(np.zeros((64, 64), np.float32), False, True),
    ]
    made = tell_cut(planes, np.repeat("f", 16))
    assert np.isfinite(made.p_galaxy).all()


def test_planes_are_counts_of_pictures_and_values_of_fits():
    grey = np.repeat(np.float32(200 / 255), 80 * 70).reshape(1, 80, 70)
    made = plane_of(AstroImage(np.repeat(grey, 3, axis=0), False, None, "JPEG", "a.jpg"))
    assert made.values.shape == (64, 64) and (made.values == 200).all() and made.lossy and not made.linear
    assert plane_of(AstroImage(np.stack([grey[0], grey[0], 0 * grey[0]]), False, None, "PNG", "a.png")) is None
    values = np.arange(50 * 50, dtype=np.float32).reshape(1, 50, 50)
    values[0, 3, 3] = np.nan
    plane = plane_of(AstroImage(values, True, None, "FITS", "a.fits"))
    assert (
        plane.linear and not plane.lossy and plane.values[4, 4] == values[0, 4, 4] and np.isfinite(plane.values).all()
    )


@pytest.mark.skipif(not ARIES.exists(), reason="needs the real stamps at ../shared/data")
def test_real_stamps_of_many_frames_are_told_from_their_files():
    """Every sixth stamp; folders are named by class, which must not tell the frame."""
    paths = sorted((ARIES / "galaxy").glob("*.jpg")) + sorted((ARIES / "star").glob("*.jpg"))
    stamps, problems = read_stamps(paths[::6])
    frames, by = frames_of(stamps.paths, LEAST_STAMPS)
    assert not problems and by == "name" and 15 <= len(set(frames)) <= 23
    made = tell_cut(stamps.planes, frames)
    assert made.told_so.all() and made.cut.mean() > 0.7
    truth = np.array([int(path.parent.name == "galaxy") for path in stamps.paths])
    assert area_under_curve(made.p_galaxy, truth) > 0.84
