"""Tables beside images: columns that no table here holds, text in no known encoding, and whose fault an error is."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units
from astropy.coordinates import AltAz, SkyCoord
from astropy.io import fits, votable
from astropy.table import Table
from astropy.time import TimeDelta

from galaxy_core.catalogs import read_catalog, table_files
from galaxy_core.catalogs.tables import standard_columns
from galaxy_core.column_notes import notes_of
from galaxy_core.errors import CatalogError
from tests.catalog_files import png, put


def with_images(root: Path) -> str:
    for k in (1, 2):
        put(root / f"{k}.png", png(k))
    return f"folder:{root}"


def test_old_text_and_undefined_logicals_of_a_fits_table(tmp_path):
    names = np.array(["“Galaxie” n° 1".encode("cp1252"), b"plain"])
    columns = [fits.Column("objid", "J", array=[1, 2]), fits.Column("remark", "14A", array=names)]
    columns.append(fits.Column("barred", "L", array=np.array([b"F", b"\0"])))
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "labels.fits")
    catalog = read_catalog(with_images(tmp_path))
    assert catalog.table["remark"].tolist() == ["“Galaxie” n° 1", "plain"]
    assert catalog.table["barred"].tolist() == [False, None]
    assert catalog.report.notes == ("labels.fits is not UTF-8 and was read as Windows-1252",)


@pytest.mark.parametrize("kind", ["fits.gz", "vot", "ecsv"])
def test_columns_that_no_table_here_holds_are_left_out(tmp_path, kind):
    table = Table({"objid": [1, 2], "q": [1 + 2j, 3], "g": [14.5, 15.5]})
    if kind != "vot":
        table["wait"] = TimeDelta([1, 2] * units.day)
    forms = {"fits.gz": "fits", "vot": "votable", "ecsv": "ascii.ecsv"}
    table.write(tmp_path / f"labels.{kind}", format=forms[kind])
    catalog = read_catalog(with_images(tmp_path))
    assert catalog.table.columns.tolist() == ["galaxy_id", "g"]
    (said,) = catalog.report.notes
    assert said.startswith("q was left out" if kind == "vot" else "q, wait were left out")


def test_comments_between_rows_of_ecsv_are_left_out(tmp_path):
    head = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: id, datatype: string}\n"
    (tmp_path / "labels.ecsv").write_text(f"{head}id\n1\n# the last one\n2\n")
    assert read_catalog(with_images(tmp_path)).galaxy_ids.tolist() == ["1", "2"]


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
    table, notes = standard_columns(pd.DataFrame({"TARGET_RA": ra, "TARGET_DEC": 0.5}))  # as DESI calls them
    np.testing.assert_array_equal(table["ra_deg"], [309.5, 59.5, np.nan, np.nan, np.nan, 359.75])
    assert notes[0] == "2 right ascensions below 0 were read as 360 degrees more"
    for ra in ([-50.5, 359.5], [-181.0, 59.5]):  # an angle of another kind, or none
        assert standard_columns(pd.DataFrame({"ra": ra}))[0]["ra_deg"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "ra"),
    [
        ("objid,ra,mag,seen\n,deg,mag,\n1,10.5,18.2,a\n2,,17.5,b\n", 10.5),
        ("objid,ra,mag\n-,[rad],(mag)\n1,0.5,18.2\n2,1.5,17.5\n", 28.6478897565),
        ("objid;ra;mag\n;h;mag\n1;1,5;18,2\n2;;17,5\n", 22.5),
        ("objid ra mag\nnone deg mag\n1 10.5 18.2\n2 11.5 17.5\n", 10.5),
        ("objid;ra;mag\n;rad;mag\n---;---;---\n1;0.5;18.2\n2;1;17.5\n", 28.6478897565),
    ],
)
def test_units_below_the_names_are_no_galaxy(tmp_path, text, ra):
    (tmp_path / "labels.csv").write_text(text)
    catalog = read_catalog(with_images(tmp_path))
    assert catalog.galaxy_ids.tolist() == ["1", "2"] and catalog.report.n_null_rows == 0
    assert catalog.table["mag"].tolist() == [18.2, 17.5] and notes_of(catalog.table)["mag"] == {"unit": "mag"}
    assert catalog.table["ra_deg"][0] == pytest.approx(ra)


def test_numbers_that_are_not_there_leave_numbers(tmp_path):
    rows = [f"{k},{z}" for k, z in enumerate(["0.1", "0.2", "--", "---", "...", "INDEF", "N/A", ""])]
    (tmp_path / "labels.csv").write_text("\n".join(["objid,z", *rows[1:]]))
    for k in range(3, 8):
        put(tmp_path / f"{k}.png", png(k))
    table = read_catalog(with_images(tmp_path)).table
    assert table["z"].dtype == np.float64 and table["z"].notna().sum() == 1 and len(table) == 7


@pytest.mark.parametrize("text", ["objid,band,x\n1,mag,nan\n2,deg,3.5\n", "objid,unit\n1,mag\n2,7\n"])
def test_a_first_galaxy_is_not_taken_for_units(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    assert read_catalog(with_images(tmp_path)).galaxy_ids.tolist() == ["1", "2"]


def test_coordinates_that_lead_to_no_place_on_the_sky_are_left_out(tmp_path):
    seen = SkyCoord([10, 20] * units.deg, [30, 40] * units.deg, frame=AltAz())
    Table({"objid": [1, 2], "seen": seen}).write(tmp_path / "labels.ecsv", format="ascii.ecsv")
    catalog = read_catalog(with_images(tmp_path))
    assert catalog.table.columns.tolist() == ["galaxy_id"] and catalog.report.notes[0].startswith("seen was left out")


def test_a_table_in_latex_is_named_with_what_to_do(tmp_path):
    (tmp_path / "labels.tex").write_text(r"\begin{deluxetable}{cc}")
    (said,) = read_catalog(with_images(tmp_path)).report.notes
    assert said.startswith("labels.tex was not read: only")
    assert said.endswith("; TOPCAT, astropy or a spreadsheet makes one of others")
    for before, name in (("labels.tex", "labels.xlsx"), ("labels.xlsx", "labels.vot.gz")):
        (tmp_path / before).rename(tmp_path / name)
        assert read_catalog(with_images(tmp_path)).report.notes[0].startswith(f"{name} was not read: only")


def test_one_galaxy_is_one(tmp_path):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "2.png", png(2))
    (tmp_path / "labels.csv").write_text("objid,ra,dec\n1,?,?\n3,1,1\n")
    said = read_catalog(f"folder:{tmp_path}").report.sentences()
    assert said[:3] == [
        "1 galaxy from 2 rows",
        "1 row has no image and was left out (3)",
        "1 image has no row in the table and was left out (2.png)",
    ]
    assert said[3] == "1 galaxy has no usable ra_deg (degrees, 0 to 360)"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("labels.csv.gz", b"objid,ra\n1,10.5\n2,11.5\n"),  # as browsers save what they unpack on the way
        ("labels.csv", gzip.compress(b"objid,ra\n1,10.5\n2,11.5\n", mtime=0)),
        ("labels.csv", b"sep=;\nobjid;ra\n1;10,5\n2;11,5\n"),  # as for Excel
    ],
    ids=["unpacked under a packed name", "packed under a plain name", "of Excel"],
)
def test_a_table_is_told_by_what_is_in_it(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert read_catalog(with_images(tmp_path)).table["ra_deg"].tolist() == [10.5, 11.5]


def test_positions_are_known_with_their_unit_behind_the_name():
    table, _ = standard_columns(pd.DataFrame({"RA (deg)": [10.5], "Dec [J2000]": ["-00:30:00"], "ra_err (deg)": 1.0}))
    assert table.loc[0, ["ra_deg", "dec_deg", "ra_err (deg)"]].tolist() == [10.5, -0.5, 1.0]
    radians = pd.DataFrame({"RA (hours)": ["1.5", "10 30 00"], "Dec_rad": [0.5, -0.1]})
    found = standard_columns(radians)[0]
    np.testing.assert_allclose(found[["ra_deg", "dec_deg"]], [[22.5, np.degrees(0.5)], [157.5, np.degrees(-0.1)]])


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["ra_h", "ra_m", "dec_d", "dec_m"], "not read as positions: ra_h, ra_m, dec_d"),  # whole hours
        (["RA (B1950)", "DEC1950"], "not read as positions: RA (B1950), DEC1950"),
        (["glon", "glat"], "not read as positions: glon, glat"),
        (["dec", "ra_error"], "ra_deg is not known"),
    ],
)
def test_positions_that_are_not_read_are_told(columns, told):
    _, notes = standard_columns(pd.DataFrame([[3.0] * len(columns)], columns=columns))
    assert [note.partition(";")[0] for note in notes] == [told]


@pytest.mark.filterwarnings("ignore:.*W03")  # of names that are no ids; no process can send it to another
@pytest.mark.parametrize("kind", ["fits", "vot"])
def test_the_unit_and_the_equinox_that_a_file_gives_count(tmp_path, kind):
    spec, path = with_images(tmp_path), tmp_path / f"labels.{kind}"
    table = Table({"id": [1, 2], "RA (J2000)": [1.5, 2.5] * units.h, "Dec (J2000)": [3.0, 4.0] * units.deg})
    table.write(path, format={"vot": "votable"}.get(kind, kind))
    assert read_catalog(spec).table["ra_deg"].tolist() == [22.5, 37.5]
    table.rename_columns(table.colnames, ["id", "RA", "DEC"])
    table.meta["EQUINOX"], another = 1950.0, Table({"id": [3], "z": [0.5]})
    if kind == "vot":
        file = votable.from_table(table)
        file.resources[0].coordinate_systems.append(votable.tree.CooSys(ID="old", system="eq_FK4", equinox="B1950"))
        for field in file.get_first_table().fields[1:]:
            field.ref = "old"
        file.resources.extend(votable.from_table(another).resources)
        file.to_xml(str(path))
    else:
        table.write(path, overwrite=True)
        another.write(path, append=True)
    catalog = read_catalog(spec)  # which are up to 0.7 degrees from those of J2000
    assert "ra_deg" not in catalog.table and catalog.table["RA_B1950"].tolist() == [1.5, 2.5]
    more, positions = catalog.report.notes
    assert more == f"the first table of {path.name} was read; 1 more table in it was not"
    assert positions.startswith("not read as positions: RA_B1950, DEC_B1950")


def test_of_two_tables_it_is_told_which_was_read(tmp_path):
    spec = with_images(tmp_path)
    put(tmp_path / "labels.csv", "id,class\n1,a\n2,b\n")
    Table({"id": [1, 2], "class": ["c", "d"]}).write(tmp_path / "labels.fits")
    catalog = read_catalog(spec)
    assert catalog.table["class"].tolist() == ["a", "b"] and catalog.report.n_images_without_row == 0
    assert catalog.report.notes == ("labels.csv was read, and labels.fits was not; keep the one that is meant",)
    for k in (1, 2):
        fits.writeto(tmp_path / f"{k}.fits", np.ones((4, 4)))
    put(tmp_path / "catalog.csv", "id\n1\n2\n")
    notes = read_catalog(f"fits-stamps:{tmp_path}").report.notes
    assert "catalog.csv was read, and labels.csv, labels.fits were not; keep the one that is meant" in notes


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (",id,x\n4,1,0.5\n", ()),  # pandas' own row numbers
        (",id,x,\nb,1,0.5,\n", ("1 column of labels.csv has no name and was left out",)),
    ],
    ids=["numbers", "text"],
)
def test_a_column_without_a_name_is_no_property(tmp_path, labels, told):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "labels.csv", labels)
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.table.columns.tolist() == ["galaxy_id", "x"] and catalog.report.notes == told
    (tmp_path / "labels.csv").unlink()
    pd.DataFrame({"id": ["0", "1"], "x": [0.0, 0.5]})[1:].to_parquet(tmp_path / "labels.parquet")
    assert read_catalog(f"folder:{tmp_path}").table.to_numpy().tolist() == [["1", 0.5]]


def test_a_spreadsheet_called_csv_is_one_sentence_without_its_bytes(tmp_path):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "labels.csv", b"PK\x03\x04\x14\x00\x06\x00" + bytes(64))
    with pytest.raises(CatalogError, match=r"labels\.csv as a table: it is no text; save it as CSV") as caught:
        read_catalog(f"folder:{tmp_path}")
    assert str(caught.value).isprintable()
