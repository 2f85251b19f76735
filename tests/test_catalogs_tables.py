"""Tables as other programs write them: CSV in all its forms, and Parquet made from FITS tables."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.answers import read_answers
from galaxy_core.catalogs.tables import standard_columns
from galaxy_core.errors import CatalogError
from galaxy_core.exports import FORMATS, export_selection
from tests.catalog_files import OBJID, png, put, value_of

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def folder_with(root: Path, labels: str | bytes, names: tuple[str, ...] = ("1", "2")) -> str:
    """A folder with images of these names beside a table, as a catalog is named."""
    for k, name in enumerate(names, 1):
        put(root / f"{name}.png", png(k))
    put(root / "labels.csv", labels)
    return f"folder:{root}"


@pytest.mark.parametrize(
    "text",
    [
        "# made by me\n# 2, galaxies\ngalaxy_id,class,ra,dec\n1,a,10.5,20\n2,b,11,-1.25\n",
        "\n# made by me\n\ngalaxy_id,class,ra,dec\n1,a,10.5,20\n2,b,11,-1.25\n",
        "#galaxy_id,class,ra,dec\n1,a,10.5,20\n2,b,11,-1.25\n",
        "# by me\n# galaxy_id  class ra  dec\n  1  a  10.5  20  \n  2  b  11  -1.25\n",
        "galaxy_id;class;ra;dec\r\n1;a;10,5;20\r\n2;b;11;-1,25\r\n",
        '"galaxy_id";"class";"ra";"dec"\n"1";"a";10.5;20\n"2";"b";11;-1.25\n',
        "galaxy_id\tclass\tra\tdec\n1\ta\t10.5\t20\n2\tb\t11\t-1.25\n",
        "galaxy_id,class,ra,dec\n1,a,10.5,20\n2,b,11,-1.25\n".encode("utf-16"),
        "#\n#x\nID\tclass\tRA_ICRS\tDE_ICRS\n\t \tdeg\tdeg\n-\t---\t----\t----\n1\ta\t10.5\t20\n2\tb\t11\t-1.25\n",
        "| galaxy_id | class | ra | dec |\n|---|:--:|--:|---|\n| 1 | a | 10.5 | 20 |\n| 2 | b | 11 | -1.25 |\n",
        "+---+---+---+---+\n|galaxy_id|class|ra|dec|\n+---+---+---+---+\n|1|a|10.5|20|\n|2|b |11 |-1.25|\n",
        "galaxy_id | class | ra   | dec\n----------+-------+------+------\n1 | a | 10.5 | 20\n2 | b | 11 | -1.25\n",
        "objid,class,RAJ2000,DECJ2000\n1,a,00 42 00,+20 00 00\n2,b,0h44m00s,-01:15:00.0\n",
        "ID;class;RAJ2000;_RAJ2000;_DEJ2000\n--;--;--;--;--\n1;a;00 42 00;10.5;20\n2;b;00 44 00;11;-1.25\n",
    ],
    ids=[
        *("comments", "blanks", "hash", "topcat", "semicolons", "points", "tabs", "utf-16", "vizier"),
        *("markdown", "psql", "bars", "sexagesimal", "ruled"),
    ],
)
def test_a_table_may_be_written_in_many_ways(tmp_path, text):
    catalog = read_catalog(folder_with(tmp_path, text))
    assert catalog.galaxy_ids.tolist() == ["1", "2"] and catalog.table["class"].tolist() == ["a", "b"]
    assert catalog.table[["ra_deg", "dec_deg"]].to_numpy().tolist() == [[10.5, 20.0], [11.0, -1.25]]
    assert catalog.report.sentences() == ["2 galaxies from 2 rows"]


def test_what_looks_like_another_form_and_is_none(tmp_path):
    spec = folder_with(tmp_path / "a", 'galaxy_id,"mag; AB",class\n#1,"3,5;4",a b\n2,6,c\n', ("#1", "2"))
    table = read_catalog(spec).table
    assert table.to_numpy().tolist() == [["#1", "a b", "3,5;4"], ["2", "c", "6"]]
    table = read_catalog(folder_with(tmp_path / "b", "name\nNGC 1300\n2\n", ("NGC 1300", "2"))).table
    assert table["galaxy_id"].tolist() == ["NGC 1300", "2"]
    table = read_catalog(folder_with(tmp_path / "d", "id;mag;pair\n1;20.5;3,4\n2;21.5;5,6\n")).table
    assert table["mag"].tolist() == [20.5, 21.5] and table["pair"].tolist() == ["3,4", "5,6"]
    table = read_catalog(folder_with(tmp_path / "c", "#,galaxy_id,class\n7,1,a\n8,2,b\n")).table
    assert table["galaxy_id"].tolist() == ["1", "2"] and table["#"].tolist() == [7, 8]


@pytest.mark.parametrize("kind", ["ecsv", *FORMATS])
def test_what_this_app_and_astropy_write_is_read_again(tmp_path, kind):
    frame = pd.DataFrame({"galaxy_id": [OBJID, "#2"], "class": ["a,b", "c"], "ra_deg": [10.5, np.nan], "größe": [1, 2]})
    if kind == "ecsv":
        Table.from_pandas(frame).write(tmp_path / "t", format="ascii.ecsv")
        content = (tmp_path / "t").read_bytes()
    else:
        content = export_selection(frame, {"catalog": "mine", "selection": "a lasso, and a class"}, kind)
    spec = folder_with(tmp_path / "images", content, (OBJID, "#2"))
    if kind not in ("ecsv", "csv"):
        (tmp_path / "images/labels.csv").rename(tmp_path / f"images/labels.{FORMATS[kind][1]}")
    table = read_catalog(spec).table.rename(columns={"groe": "größe"})  # FITS knows ASCII alone
    pd.testing.assert_frame_equal(table[list(frame)], frame, check_dtype=False)


def test_long_numbers_keep_their_digits_where_some_are_missing(tmp_path):
    text = f"galaxy_id,source_id,luminosity,plate\n1,{OBJID},1e44,7\n2,,2e44,\n3,-1,,8\n"
    table = read_catalog(folder_with(tmp_path, text, ("1", "2", "3"))).table
    assert table["source_id"].fillna("").tolist() == [OBJID, "", "-1"]
    assert table["luminosity"].dtype == table["plate"].dtype == np.float64
    put(tmp_path / "labels.csv", text.replace("2,,", "2,5,"))
    assert read_catalog(f"folder:{tmp_path}").table["source_id"].tolist() == [int(OBJID), 5, -1]
    image = pa.array([{"bytes": png(k), "path": ""} for k in range(3)], IMAGE)
    columns = {"id_str": ["1", "2", "3"], "source_id": [int(OBJID), None, -1], "plate": [7, None, 8], "image": image}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = read_catalog(f"galaxy-zoo:{tmp_path}/t.parquet").table
    assert table["source_id"].fillna("").tolist() == [OBJID, "", "-1"] and table["plate"].sum() == 15


def test_answers_go_on_after_a_line_with_too_many_fields(tmp_path):
    text = "# by me\nfile,survey,question,answer\n1.png,s,q,None\n1.png,s,q,a,b\n2.png,s,q,no\n"
    answers = read_answers(read_catalog(folder_with(tmp_path, text)))
    assert answers[["row", "answer"]].to_numpy().tolist() == [[0, "None"], [1, "no"]]


@pytest.mark.parametrize("by", ["astropy", "pandas"])
def test_text_that_a_fits_table_left_as_bytes_is_text(tmp_path, by):
    buffer = io.BytesIO()
    columns = {"id_str": ["J1", "J2"], "filename": ["1.png", "2.png"]}
    Table({**columns, "n": MaskedColumn([3, 4], mask=[False, True])}).write(buffer, format="fits")
    table = Table.read(io.BytesIO(buffer.getvalue()), format="fits")
    if by == "astropy":
        table.write(tmp_path / "t.parquet")
    else:
        table.to_pandas().map(lambda value: value.encode() if isinstance(value, str) else value).to_parquet(
            tmp_path / "t.parquet"
        )
    assert pq.read_schema(tmp_path / "t.parquet").field("id_str").type == pa.binary()
    for k in (1, 2):
        put(tmp_path / f"images/{k}.png", png(k))
    catalog = read_catalog(f"galaxy-zoo:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["J1", "J2"] and [value_of(catalog, k) for k in range(2)] == [1, 2]
    assert "n.mask" not in catalog.table and catalog.table["n"].fillna(-1).tolist() == [3, -1]


def test_ids_as_bytes_are_not_taken_for_the_images_beside_them(tmp_path):
    flux = np.arange(81, dtype=np.float32).reshape(9, 9)
    stamp = io.BytesIO()
    fits.writeto(stamp, flux)
    columns = {"iauname": [b"J1", None, b"J3"], "stamp": [png(1), png(2), stamp.getvalue()]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    catalog = read_catalog(f"galaxy-zoo:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["J1", "J3"] and value_of(catalog, 0) == 1


def test_shards_that_state_ids_and_classes_in_other_types_are_joined(tmp_path):
    image = pa.array([{"bytes": png(1), "path": ""}] * 2, IMAGE)
    classes = pa.array(["a", None])
    for name, ids, kinds in (("a", ["1", "2"], classes.dictionary_encode()), ("b", [int(OBJID), 4], classes)):
        pq.write_table(pa.table({"id_str": ids, "class": kinds, "image": image}), tmp_path / f"{name}.parquet")
    table = read_catalog(f"galaxy-zoo:{tmp_path}").table
    assert table["galaxy_id"].tolist() == ["1", "2", OBJID, "4"] and table["class"].fillna("").tolist() == ["a", ""] * 2


def test_a_parquet_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(CatalogError, match=r"gone\.parquet does not exist"):
        read_catalog(f"galaxy-zoo:{tmp_path}/gone.parquet")


def test_a_table_of_ipac(tmp_path):
    table = Table({"objid": np.array([int(OBJID), 2]), "ra": [10.5, 11.0], "g": [17.25, 18.5], "note": ["a b", "c"]})
    table["g"].unit = "mag"
    table.write(tmp_path / "labels.tbl", format="ascii.ipac")
    for k, name in enumerate((OBJID, "2"), 1):
        put(tmp_path / f"{name}.png", png(k))
    found = read_catalog(f"folder:{tmp_path}").table
    assert found["galaxy_id"].tolist() == [OBJID, "2"] and found["note"].tolist() == ["a b", "c"]
    assert found["g"].tolist() == [17.25, 18.5] and found.attrs["columns"]["g"]["unit"] == "mag"


@pytest.mark.parametrize("kind", ["fits", "vot", "parquet", "ecsv", "csv"])
def test_tables_of_astronomers_programs_lie_beside_images(tmp_path, kind):
    table = Table({"objid": np.array([int(OBJID), 2, 3]), "class": ["a", "b ", ""], "RA": [10.5, 11.0, 12.0]})
    table["n"] = MaskedColumn(np.array([1, 2, 3], np.int16), mask=[False, True, False])
    table["source_id"] = MaskedColumn(np.array([int(OBJID), 0, -1]), mask=[False, True, False])
    table["flux"], table["RA"].unit = np.ones((3, 2)), "deg"
    form = {"vot": "votable", "ecsv": "ascii.ecsv", "csv": "ascii.ecsv"}.get(kind, kind)
    put(tmp_path / "stamps/x", "")
    table.write(tmp_path / f"stamps/catalog.{kind}", format=form)
    (tmp_path / f"stamps/catalog.{kind}").rename(put(tmp_path / f"labels.{kind}", ""))
    for k, name in enumerate((OBJID, "2"), 1):
        put(tmp_path / f"{name}.png", png(k))
    catalog = read_catalog(f"folder:{tmp_path}")
    assert [value_of(catalog, k) for k in range(2)] == [1, 2] and catalog.report.n_rows_without_image == 1
    found = catalog.table
    assert found["galaxy_id"].tolist() == [OBJID, "2"] and found["class"].tolist() == ["a", "b"]
    assert found["ra_deg"].tolist() == [10.5, 11.0] and found["n"].fillna(-1).tolist() == [1, -1]
    assert found["source_id"].fillna("").tolist() == [OBJID, ""] and "flux" not in found
    assert catalog.report.notes[0] == "flux was left out: a column holds one number or text for each galaxy, no array"


@pytest.mark.parametrize("kind", ["fits", "vot", "ecsv", "parquet"])
def test_positions_in_hours_and_radians_are_degrees(tmp_path, kind):
    table = Table({"objid": [1, 2], "ra": [0.7, 23.5], "dec": [np.pi / 4, -0.1]})
    table["ra"].unit, table["dec"].unit = "h", "rad"
    table.write(tmp_path / f"labels.{kind}", format={"vot": "votable", "ecsv": "ascii.ecsv"}.get(kind, kind))
    for k in (1, 2):
        put(tmp_path / f"{k}.png", png(k))
    found = read_catalog(f"folder:{tmp_path}").table
    np.testing.assert_allclose(found["ra_deg"], [10.5, 352.5], rtol=1e-14)
    np.testing.assert_allclose(found["dec_deg"], [45.0, np.degrees(-0.1)], rtol=1e-14)


@pytest.mark.parametrize("kind", ["fits", "ecsv"])
def test_columns_of_coordinates_and_times_are_read(tmp_path, kind):
    """As photutils and astropy write them."""
    table = Table({"label": [1, 2], "sky_centroid": SkyCoord([0.0, 10.5], [0.0, -2], unit="deg", frame="galactic")})
    table["seen"], table["other"] = Time([58000, 58001.5], format="mjd"), SkyCoord([1, 2], [3, 4], unit="deg")
    table["file"] = ["1", "2"]
    table.write(tmp_path / f"labels.{kind}", format={"ecsv": "ascii.ecsv"}.get(kind, kind))
    for k in (1, 2):
        put(tmp_path / f"{k}.png", png(k))
    found = read_catalog(f"folder:{tmp_path}").table
    assert found["class"].tolist() == found["galaxy_id"].tolist() == ["1", "2"]
    assert found["other_ra_deg"].tolist() == [1.0, 2.0]
    np.testing.assert_allclose(found["ra_deg"][0], 266.40498829, atol=1e-6)  # the centre of the Galaxy
    np.testing.assert_allclose(found["dec_deg"][0], -28.93617776, atol=1e-6)
    if kind == "ecsv":  # in FITS a time is an array of two numbers
        assert found["seen"].tolist() == [pd.Timestamp("2017-09-04"), pd.Timestamp("2017-09-05 12:00")]


@pytest.mark.parametrize(
    ("text", "ra_deg", "dec_deg"),
    [
        ("12 34 56.7", 188.73625, 12.582416666666667),
        ("-00:00:36", 359.85, -0.01),
        ("12d30m", 12.5, 12.5),
        ("23:59:60.0", 360.0, 24.0),
        ("12 61 00", np.nan, np.nan),
        ("J1234", np.nan, np.nan),
    ],
)
def test_sexagesimal_positions(tmp_path, text, ra_deg, dec_deg):
    catalog = read_catalog(folder_with(tmp_path, f"galaxy_id,ra,dec\n1,{text},{text}\n2,1.5,-2\n"))
    np.testing.assert_allclose(catalog.table["ra_deg"], [ra_deg, 1.5], rtol=1e-12)
    np.testing.assert_allclose(catalog.table["dec_deg"], [dec_deg, -2.0], rtol=1e-12)


def test_images_are_named_by_the_column_that_names_images(tmp_path):
    spec = folder_with(tmp_path, "id,name,objid\n7,NGC 1,1\n8,NGC 2,2\n")
    catalog = read_catalog(spec)
    assert catalog.galaxy_ids.tolist() == ["7", "8"] and [value_of(catalog, k) for k in range(2)] == [1, 2]


@pytest.mark.parametrize(("column", "kept_as"), [("label", "label"), ("class", "catalog_class")])
def test_numbers_of_galaxies_are_no_classes(column, kept_as):
    """As photutils numbers what it finds."""
    table, notes = standard_columns(pd.DataFrame({column: range(300), "mag": 20.0}))
    assert table[kept_as].tolist() == list(range(300)) and "class" not in table
    assert notes == [f"{column} has 300 different values, so it was not taken for the class"]
    table, notes = standard_columns(pd.DataFrame({column: [k % 100 for k in range(300)]}))
    assert table["class"].nunique() == 100 and notes == []


@pytest.mark.parametrize("layout", ["folder", "fits-stamps"])
def test_the_catalogue_of_sextractor_names_its_objects(tmp_path, layout):
    """FITS_LDAC: a table of the header of the image first, and objects known by number."""
    columns = [fits.Column("NUMBER", "J", array=[1, 2]), fits.Column("ALPHA_J2000", "D", array=[10.5, 11.0])]
    objects = fits.BinTableHDU.from_columns(columns, name="LDAC_OBJECTS")
    header = fits.BinTableHDU.from_columns([fits.Column("Field Header Card", "80A", array=["SIMPLE"])])
    header.name = "LDAC_IMHEAD"
    fits.HDUList([fits.PrimaryHDU(), header, objects]).writeto(tmp_path / "labels.fits")
    for k in (1, 2):
        fits.writeto(tmp_path / f"{k}.fits", np.full((4, 4), float(k)))
    catalog = read_catalog(f"{layout}:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["1", "2"] and catalog.table["ra_deg"].tolist() == [10.5, 11.0]
    assert [catalog.load_image(k).mean() for k in range(2)] == [1.0, 2.0]


@pytest.mark.parametrize("kind", ["fits", "csv"])
def test_ids_that_are_floats_are_said_to_have_lost_digits(tmp_path, kind):
    table = Table({"objid": [float(OBJID), float(OBJID) + 8, 7.0], "file": ["1", "2", "3"]})
    table.write(tmp_path / f"labels.{kind}")
    for k in (1, 2, 3):
        put(tmp_path / f"{k}.png", png(k))
    catalog = read_catalog(f"folder:{tmp_path}")
    (said,) = catalog.report.notes
    assert catalog.report.n_duplicate_rows == 1 and catalog.galaxy_ids[-1] == "7"
    assert said.startswith("2 ids such as 5.877229817465407e+17 have lost digits")


def test_a_table_that_is_not_read_is_named(tmp_path):
    spec = folder_with(tmp_path, "galaxy_id\n1\n2\n")
    (tmp_path / "labels.csv").rename(tmp_path / "my_survey.csv")
    assert any(
        "my_survey.csv was not read: only a file called labels.csv" in n for n in read_catalog(spec).report.notes
    )


def test_a_table_in_fits_is_no_stamp(tmp_path):
    hdus = [fits.ImageHDU(np.full((4, 4), float(k))) for k in (1, 2)]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "stamps.fits")
    Table({"IDENT": [8, 9], "hdu": [2, 1]}).write(tmp_path / "catalog.fits")
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["8", "9"]
    assert [catalog.load_image(k).mean() for k in range(2)] == [2.0, 1.0] and len(catalog.report.sentences()) == 1
    (tmp_path / "catalog.fits").unlink()
    (tmp_path / "stamps.fits").rename(tmp_path / "catalog.fits")
    for path in (tmp_path, tmp_path / "catalog.fits"):
        assert len(read_catalog(f"fits-stamps:{path}")) == 2
    put(tmp_path / "catalog.vot", "<no table")
    with pytest.raises(CatalogError, match=r"Cannot read .*catalog\.vot as a table"):
        read_catalog(f"fits-stamps:{tmp_path}")
