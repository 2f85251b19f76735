"""Two stars found as one object: the fit of both, and how often the frame has such pairs by chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from galaxy_core.frame_pairs import PairTest
from galaxy_core.models.point_fit import fit_points, psf_spectrum
from galaxy_core.models.point_pair import fit_pairs
from galaxy_core.simulator.light import make_frame, moffat, sersic

FWHM = 3.2


def stamps(*planes: np.ndarray, seed: int = 0) -> torch.Tensor:
    """Light with noise of one in two bands, the second half as bright, float32 (n, 2, 32, 32)."""
    rng = np.random.default_rng(seed)
    light = np.stack([np.stack([plane, 0.5 * plane]) for plane in planes])
    return torch.from_numpy((light + rng.normal(0, 1, light.shape)).astype(np.float32))


def star(flux: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """A point source x and y from the centre of pixel (16, 16), float64 (32, 32)."""
    return flux * moffat(make_frame(32, 1.0), FWHM, 3.0, x + 0.5, y + 0.5)


def test_two_point_sources_are_fitted_between_pixels():
    equal, unlike = star(500, -1.6, 0.3) + star(500, 1.7, -0.4), star(800, 0.2, 0.1) + star(150, -2.6, 2.2)
    wide = 900 * sersic(make_frame(32, 1.0), 4.0, 1.0, 0.9, 30, 0.5, 0.5)
    given = stamps(star(900, 0.3, -0.2), equal, unlike, wide)
    widths = torch.full((4, 2), FWHM)
    psf = psf_spectrum(widths, 32)
    pairs, point = fit_pairs(given, psf), fit_points(given, widths)
    more = (pairs.gain - 0.5 * point.snr.square().sum(1)).numpy()
    assert -0.1 < more[0] < 12, "a second source in noise fits little better"
    assert more[1] > 100 and more[2] > 20 and more[3] > 20, "a galaxy is no point either"
    alone = fit_points(stamps(star(500), star(150)), widths[:2]).total_snr.numpy()
    assert pairs.weaker_snr[1:3].numpy() == pytest.approx(alone, rel=0.25)
    # all of the light that two sources with these places can have: what is left is noise
    left = (given[1].numpy() - np.stack([equal, 0.5 * equal])).ravel()
    known = 0.5 * ((given[1].numpy().ravel() ** 2).sum() - (left**2).sum())
    assert float(pairs.gain[1]) == pytest.approx(known, abs=15)


def test_a_pair_is_likelier_where_a_frame_is_crowded_and_where_such_stars_are_common():
    rng = np.random.default_rng(1)
    x, y = np.concatenate([rng.uniform(0, 2000, (2, 200)), rng.uniform(900, 960, (2, 100))], axis=1)
    snr = np.concatenate([np.full(200, 8.0), np.full(100, 200.0)])
    one = stamps(star(500, -1.4) + star(300, 1.8)).repeat(2, 1, 1, 1).numpy()
    spectra = psf_spectrum(torch.full((2, 2), FWHM), 32).numpy()
    given = one, spectra, np.full(2, FWHM), np.full(2, 60.0)
    test = PairTest(x, y, snr, 4e6, 0.02)
    alone, crowded = test.log_odds(np.array([0, 250]), *given)
    assert crowded - alone > 4, "about a hundred times as many objects lie around it"
    faint = PairTest(x, y, np.full(300, 8.0), 4e6, 0.02).log_odds(np.array([0, 250]), *given)
    assert alone - faint[0] > 3, "no object of the frame is as bright as the second star"
    assert len(test.log_odds(np.zeros(0, int), *(part[:0] for part in given))) == 0
