"""Measuring stars and galaxies on frames: the simulated frame, its truth, and a real one judged by its sharp sizes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from galaxy_core.errors import CatalogError
from galaxy_core.recipes.star_galaxy_frames import degrade, fits_files, kinds_by_size, matched, size_excess, total_snr
from galaxy_core.recipes.star_galaxy_scores import score_probabilities
from galaxy_core.recipes.star_galaxy_table import frame_lines
from galaxy_core.simulator.star_galaxy import sky_noise
from galaxy_core.simulator.star_galaxy_frame import add_stamp, simulate_frame


def test_a_simulated_frame_holds_its_objects_where_the_truth_says():
    made = simulate_frame(12, 160, seed=5)
    again = simulate_frame(12, 160, seed=5)
    np.testing.assert_array_equal(made.bands, again.bands)
    assert made.bands.shape == (5, 160, 160) and len(made.truth) == 12
    brightest = made.truth.loc[made.truth["r_mag"].idxmin()]
    row, column = round(brightest["y"]), round(brightest["x"])
    patch = made.bands[2, max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5]
    assert patch.sum() == pytest.approx(10 ** (0.4 * (22.5 - brightest["r_mag"])), rel=0.6)
    down, across = np.indices(patch.shape)
    assert (patch * across).sum() / patch.sum() + max(column - 4, 0) == pytest.approx(brightest["x"], abs=0.5)
    assert (patch * down).sum() / patch.sum() + max(row - 4, 0) == pytest.approx(brightest["y"], abs=0.5)
    empty = simulate_frame(0, 80, seed=1)
    np.testing.assert_allclose(empty.bands.std(axis=(1, 2)), sky_noise(), rtol=0.05)


def test_a_stamp_over_the_edge_is_cut():
    frame = np.zeros((1, 6, 6), np.float32)
    add_stamp(frame, np.ones((1, 4, 4), np.float32), -2, 4)
    assert frame.sum() == 4 and frame[0, :2, 4:].all()


def catalogue(sizes, snr, flags=None) -> pd.DataFrame:
    n = len(sizes)
    columns = {"x": np.arange(n) * 9.0, "y": np.zeros(n), "flags": np.zeros(n, int) if flags is None else flags}
    return pd.DataFrame(columns | {"half_light_radius": sizes, "snr": snr})


def test_kinds_by_size_are_of_clean_bright_objects_alone():
    rng = np.random.default_rng(0)
    sizes = np.concatenate([2.0 * np.exp(rng.normal(0, 0.01, 20)), [2.3, 3.0, 4.0, 5.0, 3.5, np.nan]])
    flags = np.zeros(26, int)
    flags[23] = 1
    snr = np.full(26, 500.0)
    snr[24] = 20
    kinds = kinds_by_size(catalogue(sizes, snr, flags))
    assert (kinds[:20] == 0).all() and kinds[20:].tolist() == [2, 1, 1, -1, -1, -1]
    with pytest.raises(CatalogError, match="no locus of stars"):
        kinds_by_size(catalogue(np.array([2.0, 4.0, 9.0]), np.full(3, 500.0)))


def test_sizes_are_compared_with_the_stars_and_their_errors():
    sizes = np.concatenate([np.full(12, 2.0), [4.0, np.nan]])
    plain, weighed = size_excess(catalogue(sizes, np.full(14, 100.0)))
    assert plain[12] == pytest.approx(np.log(2)) and np.isnan(plain[13]) and plain[0] == 0
    assert weighed[12] == pytest.approx(np.log(2) / np.hypot(0.02, 0.01))
    assert total_snr(pd.DataFrame({"snr": [1.0], "snr_g": [3.0], "snr_r": [4.0]})).tolist() == [5.0]


def test_pairs_are_each_others_nearest():
    one = pd.DataFrame({"x": [0.0, 1.0, 50.0], "y": [0.0, 0.0, 50.0]})
    two = pd.DataFrame({"x": [0.9, 90.0], "y": [0.0, 0.0]})
    rows, truth = matched(one, two)
    assert rows.tolist() == [1] and truth.tolist() == [0]


def test_degraded_light_is_blurred_and_noisier():
    light = np.zeros((60, 60), np.float32)
    light[30, 30] = 1000.0
    survey = SimpleNamespace(sky=lambda top, bottom: np.full((bottom - top, 60), 7.0, np.float32), sigma=2.0)
    band = SimpleNamespace(rows=lambda top, bottom: light[top:bottom] + 7, survey=survey)
    sharp = degrade(band, 60, 0.0, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(sharp, light, atol=1e-4)
    worse = degrade(band, 60, 4.0, 1.0, np.random.default_rng(0))
    assert worse[:20].std() == pytest.approx(2.0, rel=0.1)
    width = 4.0 / 2.3548
    assert worse[30, 30] == pytest.approx(1000 / (2 * np.pi * width**2), abs=8)


def test_files_and_lines(tmp_path):
    for name in ("g.fits", "a_rms.fits", "back.fits", "b.fits.gz", "note.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in fits_files([tmp_path])] == ["b.fits.gz", "g.fits"]
    model = {"accuracy": 0.9, "auc": 0.95, "auc_interval": [0.9, 1.0], "expected_calibration_error": 0.05}
    told = {"n_told": 3, "n_matched": 4, "galaxy_share": 0.5, "model": model, "size_and_magnitude": {"auc": 0.8}}
    counts = [{"frame": "x.fits", "n_told": 0, "notes": ["No stars."]}]
    text = "\n".join(frame_lines({"simulated": {"ugriz": told, "r": {"n_told": 0, "n_matched": 1}}, "counts": counts}))
    assert "| simulated, ugriz | 3 of 4 | 50 % | 90.0 % | 0.950 (0.900-1.000) | 0.800 | 0.050 |" in text
    assert "No stars." in text


def test_a_frame_of_one_kind_has_no_area_under_the_curve():
    """All that were told are galaxies: there is an accuracy, and nothing to part."""
    model = score_probabilities(np.array([0.9, 0.8, 0.4]), np.ones(3), np.full(3, 30.0))
    assert model["auc"] is None is model["auc_interval"]
    told = {"n_told": 3, "n_matched": 4, "galaxy_share": 1.0, "model": model, "size_and_magnitude": {"auc": None}}
    line = frame_lines({"simulated": {"ugriz": told, "r": told}, "counts": []})[3]
    assert line.startswith("| simulated, ugriz | 3 of 4 | 100 % | 66.7 % | - | - |")
