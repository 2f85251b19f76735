"""The share of galaxies of a frame: its own where it has far fewer than usual, told in a note, and else the model's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.frame_share import LEAST_BRIGHT, USUAL, share_shift
from galaxy_core.recipes.star_galaxy_frames import image_of
from galaxy_core.simulator.light import make_frame, moffat
from galaxy_core.star_galaxy import load_separator

MODELS = Path(__file__).resolve().parents[1] / "artifacts"
EXPECTED = 0.68


def odds(share: float, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log odds, prior and signal to noise ratios of objects told as well as a likelihood ratio of d' = 2 can."""
    rng = np.random.default_rng(0)
    galaxy = np.arange(n) < share * n
    ratio = rng.normal(np.where(galaxy, 2.0, -2.0), 2.0)
    prior = np.full(n, logit(EXPECTED) - USUAL)
    return prior + ratio, prior, np.full(n, 50.0)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.68, 0.8, 1.0])
def test_only_far_fewer_galaxies_than_usual_count(share):
    shift, notes = share_shift(*odds(share), measured=True)
    if share > 0.5:
        assert (shift, notes) == (0.0, ())
    else:
        assert shift == pytest.approx(logit(share) - logit(EXPECTED), abs=0.5)
        assert notes[0].startswith("Of 400 objects") and "told by that share" in notes[0]
        assert "where at high galactic latitudes 68 % would be" in notes[0]


def test_stars_alone_are_believed_but_few_or_faint_objects_are_not():
    assert share_shift(*odds(0.0), measured=True)[0] < -3
    few, faint = odds(0.0, LEAST_BRIGHT - 1), odds(0.0)
    assert share_shift(*few, True) == share_shift(*faint[:2], np.full(400, 19.0), True) == (0.0, ())


def test_a_seeing_given_by_hand_may_be_too_wide_so_nothing_is_moved():
    shift, notes = share_shift(*odds(0.05), measured=False)
    assert shift == 0.0 and "the seeing given is too wide" in notes[0]


def test_faint_stars_of_a_field_of_stars_are_no_galaxies():
    rng, side = np.random.default_rng(3), 400
    pixels = 200 + rng.normal(0, 1, (side, side))
    frame = make_frame(side, 1.0)
    for place in range(100):  # half of them too faint for their shapes to tell
        x, y = np.array([20 + 40 * (place % 10), 20 + 40 * (place // 10)]) + rng.uniform(-4, 4, 2)
        flux = 90.0 if place % 2 else 60.0 * 10 ** rng.uniform(0.6, 2)
        pixels += flux * moffat(frame, 3.2, 3.0, x - (side - 1) / 2, y - (side - 1) / 2)
    model, shares = load_separator("star_galaxy", MODELS, "cpu"), {}
    for given in (None, 0.9):
        with open_sky_frame([image_of(pixels, "r")]) as opened:
            catalog = catalogue_frame(opened, FrameConfig("sep", 5.0, galaxy_share=given), separator=model)
        p = catalog.objects["p_galaxy"].dropna()
        shares[given] = (len(p) > 80, (p > 0.5).mean(), any("told by that share" in note for note in catalog.notes))
    assert shares[None] == (True, pytest.approx(0.0, abs=0.02), True)
    assert shares[0.9][1] > 0.2 and not shares[0.9][2], "the share given goes before"
