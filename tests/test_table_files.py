"""Tables beside images: columns that no table here holds, text in no known encoding, and whose fault an error is."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy.time import TimeDelta

from galaxy_core.catalogs import read_catalog, table_files
from galaxy_core.catalogs.tables import standard_columns
from galaxy_core.errors import CatalogError
from tests.catalog_files import png, put


def with_images(root: Path) -> str:
    for k in (1, 2):
        put(root / f"{k}.png", png(k))
    return f"folder:{root}"


def test_text_in_a_fits_table_may_be_latin_1(tmp_path):
    names = np.array(["Galaxie n° 1".encode("latin-1"), b"plain"])
    columns = [fits.Column("objid", "J", array=[1, 2]), fits.Column("remark", "12A", array=names)]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "labels.fits")
    catalog = read_catalog(with_images(tmp_path))
    assert catalog.table["remark"].tolist() == ["Galaxie n° 1", "plain"]
    assert catalog.report.notes == ("labels.fits is not UTF-8 and was read as Latin-1",)


@pytest.mark.parametrize("kind", ["fits", "vot", "ecsv"])
def test_columns_that_no_table_here_holds_are_left_out(tmp_path, kind):
    table = Table({"objid": [1, 2], "q": [1 + 2j, 3], "g": [14.5, 15.5]})
    if kind != "vot":
        table["wait"] = TimeDelta([1, 2] * units.day)
    table.write(tmp_path / f"labels.{kind}", format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(kind, kind))
    catalog = read_catalog(with_images(tmp_path))
    assert catalog.table.columns.tolist() == ["galaxy_id", "g"]
    (said,) = catalog.report.notes
    assert said.startswith("q was left out" if kind == "vot" else "q, wait were left out")


def test_decimals_of_a_database_are_numbers(tmp_path):
    magnitudes = pa.array([Decimal("18.25"), None])
    pq.write_table(pa.table({"objid": [Decimal(2), Decimal(1)], "g": magnitudes}), tmp_path / "labels.parquet")
    table = read_catalog(with_images(tmp_path)).table
    assert table["galaxy_id"].tolist() == ["2", "1"]
    np.testing.assert_array_equal(table["g"], [18.25, np.nan])


@pytest.mark.parametrize("kind", ["fits", "parquet"])
def test_a_defect_of_our_own_is_not_told_as_a_damaged_file(tmp_path, monkeypatch, kind):
    Table({"objid": [1, 2]}).write(tmp_path / f"labels.{kind}")
    spec = with_images(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(table_files, "_to_degrees", lambda table: table["no such column"])
        with pytest.raises(KeyError, match="no such column"):
            read_catalog(spec)
    (tmp_path / f"labels.{kind}").write_bytes(b"damaged")
    with pytest.raises(CatalogError, match=r"Cannot read .* as a table .*; check that the file is complete"):
        read_catalog(spec)


def test_right_ascensions_may_be_counted_from_minus_180():
    """As Stripe 82 is, from -50 to 60."""
    ra = [-50.5, 59.5, -99.0, -1.0, np.nan, -0.25]
    table, notes = standard_columns(pd.DataFrame({"ra": ra, "dec": 0.5}))
    np.testing.assert_array_equal(table["ra_deg"], [309.5, 59.5, np.nan, np.nan, np.nan, 359.75])
    assert notes[0] == "2 right ascensions below 0 were read as 360 degrees more"
    for ra in ([-50.5, 359.5], [-181.0, 59.5]):  # an angle of another kind, or none
        assert standard_columns(pd.DataFrame({"ra": ra}))[0]["ra_deg"].isna().tolist() == [True, False]
