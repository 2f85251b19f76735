"""Clipped pictures: what was cut off is no measurement, widths are compared within a frame, frames are held out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from galaxy_core.catalogs.catalog import Catalog, ReadReport
from galaxy_core.recipes.star_galaxy_clipped_scores import held_out_trees, score_clipped
from galaxy_core.recipes.star_galaxy_scores import auc_interval
from galaxy_core.simulator.light import make_frame, moffat
from galaxy_core.star_galaxy_clipped import (
    STAR_QUANTILE,
    clipped_features,
    fit_clipped,
    frame_excess,
    unlabelled_probability,
)

SIZE = 64


def picture(fwhm: float, flux: float, seed: int, x: float = 0.3, y: float = -0.4) -> np.ndarray:
    """A source on a sky of 88 with noise of 28, between 0 and 255, float32."""
    light = 28 * flux * moffat(make_frame(SIZE, 1.0), fwhm, 3.0, x, y)
    noisy = 88 + light + np.random.default_rng(seed).normal(0, 28, (SIZE, SIZE))
    return np.clip(np.rint(noisy), 0, 255).astype(np.float32)


@pytest.mark.parametrize("fwhm", [4.0, 6.0, 9.0])
def test_the_width_comes_back_though_most_of_the_top_is_cut(fwhm):
    stamps = np.stack([picture(fwhm, 900.0, seed) for seed in range(6)])
    assert (stamps >= 250).sum((1, 2)).min() > 15
    fit = fit_clipped(stamps)
    assert np.exp(np.median(fit.log_width)) == pytest.approx(fwhm, rel=0.15)
    assert np.median(fit.x) == pytest.approx(0.3, abs=0.3) and np.median(fit.y) == pytest.approx(-0.4, abs=0.3)


def test_the_fit_asks_more_of_a_cut_pixel_than_a_plain_one_would():
    """Taken at face value, cut tops look flat and wide."""
    stamps = np.stack([picture(5.0, 2500.0, seed) for seed in range(4)])
    cut = np.exp(fit_clipped(stamps).log_width)
    plain = np.exp(fit_clipped(np.concatenate([stamps, np.full((1, SIZE, SIZE), 9999.0, np.float32)])).log_width[:4])
    assert cut.mean() == pytest.approx(5.0, rel=0.1) and plain.mean() > 1.15 * cut.mean()


def test_excess_takes_off_frame_and_brightness():
    rng = np.random.default_rng(0)
    frames, flux = np.repeat(np.arange(6), 200), rng.uniform(4, 9, 1200)
    galaxy = rng.random(1200) < 0.25
    values = (
        1.5 + 0.3 * frames + 0.2 * flux + rng.normal(0, 0.05, 1200) + np.where(galaxy, rng.exponential(0.5, 1200), 0)
    )
    excess = frame_excess(values, flux, frames)
    assert abs(np.median(excess[~galaxy])) < 0.05 and excess[~galaxy].std() < 0.12
    p = unlabelled_probability(excess)
    assert p[galaxy].mean() > 0.6 > 0.25 > p[~galaxy].mean() and p.mean() == pytest.approx(0.25, abs=0.06)
    order = np.argsort(excess)
    assert (np.diff(p[order]) > -1e-9).all(), "wider is never likelier a star"
    assert unlabelled_probability(excess, 0.6).mean() > p.mean() > unlabelled_probability(excess, 0.05).mean()


def test_the_change_with_brightness_is_a_quantile_of_few_and_of_many():
    """Naive: the line or curve that minimises the absolute deviations, weighted as the quantile asks."""
    rng = np.random.default_rng(2)
    for n, degree in ((14, 1), (60, 4)):
        flux = rng.uniform(4, 9, n)
        values = 0.3 * flux + rng.exponential(0.2, n)
        left = frame_excess(values, flux, np.arange(n))  # frames of one stamp each have no level of their own
        place = np.clip((flux - np.median(flux)) / flux.std(), -3, 3)

        def cost(terms, place=place, values=values):
            miss = values - np.polyval(terms, place)
            return np.where(miss > 0, STAR_QUANTILE, STAR_QUANTILE - 1) @ miss

        start = np.polyfit(place, values - left, degree)
        np.testing.assert_allclose(np.polyval(start, place), values - left, atol=1e-6)
        assert cost(start) <= 1.02 * minimize(cost, start, method="Nelder-Mead", options={"maxiter": 20000}).fun
        assert np.mean(left < 0) == pytest.approx(STAR_QUANTILE, abs=1.5 / n + 0.05)


@pytest.mark.parametrize("n", [1, 2, 12, 40])
def test_a_handful_of_stamps_is_told_with_care(n):
    rng = np.random.default_rng(n)
    p = unlabelled_probability(np.concatenate([rng.normal(0, 0.06, n - n // 4), rng.uniform(0.5, 1.0, n // 4)]))
    assert np.isfinite(p).all() and ((p > 0) & (p < 1)).all()
    if n >= 12:
        assert p[-(n // 4) :].min() > 0.6 > 0.3 > np.median(p)


def test_stars_that_were_fitted_badly_do_not_widen_the_others():
    """Student's t: a few stars far below and above leave the share of galaxies as it is."""
    rng = np.random.default_rng(5)
    galaxy = np.arange(800) < 200
    excess = rng.normal(0, 0.05, 800) + np.where(galaxy, rng.exponential(0.3, 800), 0)
    astray = np.where(rng.random(800) < 0.06, 6.0, 1.0) * excess
    p = unlabelled_probability(np.where(galaxy, excess, astray))
    assert p.mean() == pytest.approx(0.25, abs=0.06) and p[galaxy].mean() > p[~galaxy].mean() + 0.4


def test_one_and_two_stamps_and_an_empty_one():
    fit = fit_clipped(np.stack([picture(5.0, 500.0, 1), np.zeros((SIZE, SIZE), np.float32)]))
    assert np.isfinite(fit.log_width).all()
    assert frame_excess(np.array([1.0]), np.array([2.0]), np.array(["a"])) == pytest.approx([0.0], abs=1e-9)


def catalog_of(n_frames: int = 6, each: int = 22, top: float = 255.0) -> Catalog:
    """Stars, and a third of wide galaxies, in frames of different seeing."""
    rng, rows, stamps = np.random.default_rng(3), [], []
    for frame in range(n_frames):
        for number in range(each):
            galaxy, seeing = number % 3 == 0, 4.0 + 0.4 * frame
            stamps.append(
                np.minimum(picture(seeing * (1.7 if galaxy else 1.0), rng.uniform(400, 2000), len(rows)), top)
            )
            rows.append((f"{frame}_{number}", "galaxy" if galaxy else "star", f"frame {frame}"))
    table = pd.DataFrame(rows, columns=["galaxy_id", "class", "split_group"])
    report = ReadReport(n_rows=len(rows), n_galaxies=len(rows))
    return Catalog(table, lambda i: np.repeat(stamps[i][None] / 255, 3, axis=0), "folder", "a", report)


def test_scores_of_clipped_pictures_by_frame():
    catalog = catalog_of()
    scores = score_clipped(catalog, 0)
    assert scores["n"] == 132 and scores["n_frames"] == 6
    for name, least in (
        ("width over the frame's stars, without labels", 0.85),
        ("supervised trees, frames held out", 0.8),
    ):
        one = scores["methods"][name]
        low, high = one["auc_interval_over_frames"]
        assert one["auc"] > least and low <= one["auc"] <= high


def test_other_catalogs_are_left_alone():
    assert score_clipped(catalog_of(n_frames=2), 0) is None
    assert score_clipped(Catalog(**{**vars(catalog_of(5, 3)), "linear": True}), 0) is None


def test_no_frame_is_told_by_trees_that_saw_it():
    rng = np.random.default_rng(0)
    frames = np.repeat(np.arange(8), 40)
    truth = (frames % 2).astype(int)  # what gives a frame away gives its label away, and is of no use elsewhere
    features = np.column_stack([frames + 0.01 * rng.normal(size=320), rng.normal(size=320)])
    p = held_out_trees(features, truth, frames, 0)
    assert np.mean((p > 0.5) == truth) < 0.75
    kinds = rng.integers(0, 2, 320)
    assert auc_interval(np.full(320, 0.3), kinds, 0, frames) == [0.5, 0.5]
    assert auc_interval(kinds.astype(float), kinds, 0, frames) == [1.0, 1.0]


def test_features_have_a_row_a_stamp():
    stamps = np.stack([picture(5.0, 800.0, seed) for seed in range(4)])
    made = clipped_features(stamps, fit_clipped(stamps), np.array(["a", "a", "b", "b"]))
    assert made.shape[0] == 4 and np.isfinite(made).all() and made.shape[1] == 1 + 2 * (3 + 7 + 8)
