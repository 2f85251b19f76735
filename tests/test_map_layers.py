"""What a map of many galaxies is made of: whole-number positions, density, a fair sample, places for pictures."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core import map_layers
from galaxy_core.map_layers import Extent

UNIT = Extent(0.0, 1.0, 0.0, 1.0)


def test_extent_of_nothing_one_point_and_infinity():
    nothing = np.array([np.nan, np.inf])
    assert map_layers.extent_of(nothing, nothing) == Extent(-0.5, 0.5, -0.5, 0.5)
    assert map_layers.extent_of(np.array([]), np.array([])) == Extent(-0.5, 0.5, -0.5, 0.5)
    assert map_layers.extent_of(np.array([2.0]), np.array([3.0])) == Extent(1.5, 2.5, 2.5, 3.5)


def test_positions_survive_quantisation_to_a_65535th():
    values = np.random.default_rng(0).uniform(-7, 9, 10_000).astype(np.float32)
    whole = map_layers.quantise(values, -7, 9)
    assert whole.dtype == np.uint16
    assert np.abs(whole * (16 / 65_535) - 7 - values).max() <= 8 / 65_535 + 1e-6
    assert map_layers.quantise(np.array([-100.0, 100.0]), -7, 9).tolist() == [0, 65_535]


def test_density_against_a_loop():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-0.1, 1.1, 500), rng.uniform(-0.1, 1.1, 500)
    x[0], y[0] = 1.0, 1.0  # the border belongs to the last cell
    x[1] = np.nan
    counts = np.zeros((8, 8), dtype=int)
    for u, v in zip(x, y, strict=True):
        if 0 <= u <= 1 and 0 <= v <= 1:
            counts[min(int(v * 8), 7), min(int(u * 8), 7)] += 1
    assert np.array_equal(map_layers.count_in_bins(x, y, UNIT, 8), counts)
    wanted = np.ceil(255 * np.log1p(counts) / np.log1p(counts.max())).astype(np.uint8)
    assert np.array_equal(map_layers.density(x, y, UNIT, 8), wanted)


def test_a_single_galaxy_among_a_million_is_seen():
    x = np.concatenate([np.full(100_000, 0.1), [0.9]])
    image = map_layers.density(x, x, UNIT)
    place = int(0.9 * map_layers.DENSITY_BINS)
    assert image[place, place] >= 1 and image.max() == 255 and (image > 0).sum() == 2
    assert map_layers.density(np.array([]), np.array([]), UNIT, 4).tolist() == np.zeros((4, 4)).tolist()


def test_every_group_is_in_the_sample_however_small():
    rng = np.random.default_rng(2)
    codes = rng.choice(4, 50_000, p=[0.9, 0.05, 0.0499, 0.0001])
    codes[:3] = 9
    rows = np.arange(50_000) + 7
    sample = map_layers.fair_sample(rows, codes, 2000, seed=0)
    assert len(sample) == 2000 == len(set(sample)) and sample.dtype == np.int32 and sample.min() >= 7
    drawn = np.bincount(codes[sample - 7], minlength=10)
    sizes = np.bincount(codes, minlength=10)
    floor = min(map_layers.GROUP_FLOOR, 2000 // 10)
    assert (drawn >= np.minimum(sizes, floor)).all() and drawn[9] == 3
    assert np.array_equal(sample, map_layers.fair_sample(rows, codes, 2000, seed=0))
    assert not np.array_equal(sample, map_layers.fair_sample(rows, codes, 2000, seed=1))


def test_more_groups_than_places_still_gives_one_each():
    codes = np.arange(500) % 100
    assert set(codes[map_layers.fair_sample(np.arange(500), codes, 50, seed=0)]) == set(range(100))


def test_a_small_catalog_is_kept_whole_and_shuffled():
    rows = np.arange(1000)
    sample = map_layers.fair_sample(rows, rows // 500, 1000, seed=0)
    assert np.array_equal(np.sort(sample), rows)
    assert 400 < (sample[:1000] < 500)[::2].sum() + (sample < 500)[1::2].sum() <= 500
    assert (np.diff(sample // 500) != 0).sum() > 300  # the groups are mixed, none covers the other
    assert map_layers.fair_sample(np.array([], dtype=int), None, 10, 0).tolist() == []


@pytest.mark.parametrize("spacing", [0.02, 0.1, 0.5])
def test_pictures_do_not_overlap_and_begin_at_the_densest_place(spacing):
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(0.3, 0.02, 4000), rng.uniform(0, 1, 1000)])
    y = np.concatenate([rng.normal(0.7, 0.02, 4000), rng.uniform(0, 1, 1000)])
    x[17] = np.nan
    rows = map_layers.pick_peaks(x, y, UNIT, spacing)
    assert np.hypot(x[rows[0]] - 0.3, y[rows[0]] - 0.7) < max(0.05, spacing / 2)
    for a in range(len(rows)):
        for b in range(a):
            gap = max(abs(x[rows[a]] - x[rows[b]]), abs(y[rows[a]] - y[rows[b]]))
            assert gap >= spacing
    assert len(rows) == 60 or spacing > 0.05


def test_pictures_only_of_what_is_there():
    x = np.array([0.5, 0.5, 3.0, np.nan])
    assert len(map_layers.pick_peaks(x, x, UNIT, 0.1)) == 1  # two galaxies at one place, one picture
    assert map_layers.pick_peaks(x, x, UNIT, 0.1, rows=np.array([2, 3])).tolist() == []
    assert map_layers.pick_peaks(x, x, UNIT, 0.1, limit=0).tolist() == []


def test_a_sample_of_very_many_keeps_every_group_and_the_shares(monkeypatch):
    monkeypatch.setattr(map_layers, "THINNED_ABOVE", 5_000)
    rng = np.random.default_rng(0)
    codes = rng.choice(4, 60_000, p=[0.7, 0.2995, 0.0005, 0.0]).astype(np.int32)
    codes[:3] = 3  # three of a kind among sixty thousand
    rows = np.arange(60_000) * 2
    sample = map_layers.fair_sample(rows, codes, 1_000, seed=1)
    drawn = codes[sample // 2]
    assert len(sample) == len(set(sample.tolist())) == 1_000 and set(sample.tolist()) <= set(rows.tolist())
    assert (drawn == 3).sum() == 3 and (drawn == 2).sum() >= min(20, (codes == 2).sum())
    assert (
        abs((drawn == 0).mean() - 0.6) < 0.12 and (sample == map_layers.fair_sample(rows, codes, 1_000, seed=1)).all()
    )
    assert len(map_layers.fair_sample(rows, None, 1_000, seed=1)) == 1_000
