"""Numbers that stand for missing values: which are taken for that, and which numbers are left alone."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.missing import sentinels_in, without_sentinels
from tests.catalog_files import DATA, png, put

MAGNITUDES = np.linspace(14.2, 24.9, 40)


@pytest.mark.parametrize("number", [-99, 99, 99.99, 99.999, -999, 999.9, -9999, 9999, -99999, 1e20, -1e30, -999999500])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_well_known_numbers_far_from_all_others(number, dtype):
    values = np.r_[MAGNITUDES, [number] * 5].astype(dtype)
    assert sentinels_in(values) == {float(number): 5}
    both = np.r_[values, np.nan, [-99.0] * 3].astype(dtype)
    assert sentinels_in(both) == {float(number): 5} | {-99.0: 3 + 5 * (number == -99)}


@pytest.mark.parametrize(
    "values",
    [
        np.r_[MAGNITUDES, -99, -99],  # of two rows nothing can be said
        np.r_[MAGNITUDES, [-98.5] * 9],  # no number that anybody writes for that
        np.r_[np.linspace(-180, 180, 40), [99.0] * 9],  # angles
        np.r_[np.linspace(0.5, 98.9, 40), [99.0] * 9],  # percentages, or a ratio that was clipped
        np.r_[np.arange(40.0), [-99.0] * 9],  # labels or counts, with gaps
        np.r_[np.linspace(-50, 1e4, 40), [-999.0] * 9],  # fluxes
        np.r_[0.5, 0.7, [99.0] * 9],
        np.full(9, 99.0),  # a percentage
        np.r_[[np.nan] * 3, [np.inf] * 3],
        np.zeros(0),
    ],
)
def test_what_may_be_true_stays(values):
    assert sentinels_in(values) == {}


def test_a_column_of_nothing_else_has_no_values():
    assert sentinels_in(np.r_[[-99.0] * 7, [-999.0] * 3, np.nan]) == {-999.0: 3, -99.0: 7}


def test_a_catalog_says_which_values_are_missing(tmp_path):
    n = 12
    table = pd.DataFrame({"objid": [f"9{k}" for k in range(n)], "ra": 10.5, "dec": np.r_[[1.5] * 9, [-99.0] * 3]})
    table["g_mag"] = np.r_[np.linspace(14.5, 20, 7), [-99.0] * 4, 99]
    table["z_mag"] = np.r_[np.linspace(14.5, 20, 6), [99.0] * 3, [-99.0] * 3]
    table["kind"], table["n"] = [-99] * 4 + list(range(8)), -9999
    for k, name in enumerate(table["objid"]):
        put(tmp_path / f"{name}.png", png(k))
    table.to_csv(tmp_path / "labels.csv", index=False)
    catalog = read_catalog(f"folder:{tmp_path}")
    found = catalog.table
    np.testing.assert_array_equal(found["g_mag"], table["g_mag"].replace(-99, np.nan))  # one 99 may be anything
    np.testing.assert_array_equal(found["z_mag"], table["z_mag"].replace([-99, 99], np.nan))
    assert found["kind"].tolist() == table["kind"].tolist() and set(found["n"]) == {-9999}
    assert catalog.report.notes == (
        "3 galaxies have no usable dec_deg (degrees, -90 to 90)",
        "numbers that stand for missing values are left empty, in exports too (g_mag: 4 values of -99; "
        "z_mag: 3 values of -99, 3 values of 99)",
    )


def test_nothing_of_real_catalogs_is_lost():
    specs = [f"kaggle:{DATA}/kaggle_gz", f"gz2:{DATA}/gz2", f"fits-stamps:{DATA}/hst_cosmos"]
    if not DATA.exists():
        pytest.skip(f"needs the real data in {DATA}")
    for spec in specs:
        assert not any("stand for missing" in note for note in read_catalog(spec).report.notes)


def test_a_million_galaxies_take_a_moment():
    values = np.random.default_rng(0).normal(20, 1, 1_000_000)
    values[::7], values[::11] = -99, np.nan
    start = time.thread_time()
    table, notes = without_sentinels(pd.DataFrame({"g": values}))
    assert time.thread_time() - start < 1 and table["g"].isna().mean() > 0.2 and len(notes) == 1
