"""Exports of a selection, each read back with `astropy.table`: values, units, provenance, and what is hard to hold."""

from __future__ import annotations

import io
import json
import time
import warnings
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse, validate
from astropy.table import Table

from galaxy_core import artifacts
from galaxy_core.errors import ExportError
from galaxy_core.exports import FORMATS, export_selection, provenance, selection_table
from galaxy_core.table_formats import fits_names

SOURCE = "folder:" + "/a rather long path" * 12
PROVENANCE = {
    "catalog": "Галактики",
    "source": SOURCE,
    "model": "toy",
    "manifest_sha256": "ab" * 32,
    "n_selected": 4,
    "selection": "a lasso on UMAP: 4 of 90\nthen the class “spiral”",
    "a key of its own": "x",
}
LONG = "a_name_of_" + "many_" * 16 + "letters"


def hard_frame() -> pd.DataFrame:
    """Four galaxies with everything that a table may hold."""
    frame = pd.DataFrame({"galaxy_id": ["#first", 'Галактика "7", b', "007", "🌌\nline"]})
    frame["ra_deg"], frame["dec_deg"] = [150.119, 0.1 + 0.2, np.nan, 359.999999999], [2.2, -2.2, np.nan, 90.0]
    frame["class"] = ["spiral", None, "", "edge_on"]
    frame["n_arms"] = pd.array([2, None, 0, 2**53 + 1], dtype="Int64")
    frame["small"] = np.array([1, 2, 3, 4], dtype=np.uint8)
    frame["tiny"] = pd.array([1, 2, None, 255], dtype="UInt8")
    frame["radius_arcsec"] = np.array([1.5, 2.5, np.nan, 4.5], dtype=np.float32)
    frame["barred"] = [True, False, True, False]
    frame["merger"] = pd.array([True, None, False, None], dtype="boolean")
    frame["loose"] = pd.Series([True, None, False, None], dtype=object)
    frame["mixed"] = pd.Series([1, "two", None, [3, 4]], dtype=object)
    frame["kind"] = pd.Categorical(["a", "b", None, "a"])
    frame["seen"] = pd.to_datetime(["2026-01-01", None, "2026-01-02", "2026-01-03"])
    frame["nothing"] = pd.Series([None] * 4, dtype=object)
    frame[LONG] = [1.0, 2.0, 3.0, 4.0]
    frame["RADIUS_arcsec"] = [9, 8, 7, 6]
    frame["größe"] = [0.5, 0.25, np.nan, 1.0]
    return frame


def read(content: bytes, fmt: str) -> Table:
    """What astropy finds in a file, warnings being errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if fmt == "csv":
            return Table.read(content.decode("utf-8"), format="ascii.csv", comment="#")
        options = {"use_names_over_ids": True} if fmt == "votable" else {}
        return Table.read(io.BytesIO(content), format=fmt, **options)


def texts(column) -> list[str]:
    """Values as text; empty where masked."""
    return ["" if v is np.ma.masked else v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in column]


def numbers(column) -> np.ndarray:
    """Values as floats; NaN where missing."""
    return np.array([np.nan if v is None or v is np.ma.masked else float(v) for v in column])


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_value_comes_back(fmt):
    frame = hard_frame()
    table = read(export_selection(frame, PROVENANCE, fmt), fmt)
    assert len(table) == 4 and len(table.colnames) == len(frame.columns)
    names = dict(zip(frame.columns, table.colnames, strict=True))
    if fmt != "fits":
        assert list(names) == list(names.values())
    assert texts(table["galaxy_id"]) == ["#first", 'Галактика "7", b', "007", "🌌 line"]
    assert texts(table["class"]) == ["spiral", "", "", "edge_on"]
    np.testing.assert_array_equal(numbers(table["ra_deg"]), frame["ra_deg"])
    np.testing.assert_array_equal(numbers(table["radius_arcsec"]), frame["radius_arcsec"])
    np.testing.assert_array_equal(numbers(table[names["größe"]]), frame["größe"])
    np.testing.assert_array_equal(numbers(table["small"]), [1, 2, 3, 4])
    np.testing.assert_array_equal(numbers(table["tiny"]), [1, 2, np.nan, 255])
    np.testing.assert_array_equal(numbers(table[names["RADIUS_arcsec"]]), [9, 8, 7, 6])
    np.testing.assert_array_equal(numbers(table[names[LONG]]), [1, 2, 3, 4])
    np.testing.assert_array_equal(numbers(table["n_arms"])[:3], [2, np.nan, 0])
    if fmt != "parquet":  # its reader makes a float of whole numbers where one is missing
        assert table["n_arms"][3] == 2**53 + 1
    for name in ("barred", "merger", "loose"):
        found = [{"true": 1, "false": 0}[v] if isinstance(v, str) else v for v in table[name]]  # as text in CSV
        expected = [1, 0, 1, 0] if name == "barred" else [1, np.nan, 0, np.nan]
        np.testing.assert_array_equal(numbers(found), expected)
    assert texts(table["mixed"]) == ["1", "two", "", "[3, 4]"] and texts(table["kind"]) == ["a", "b", "", "a"]
    assert texts(table["seen"])[0].removesuffix(".000000") == "2026-01-01T00:00:00"
    assert texts(table["seen"])[1] in ("", "NaT") and set(texts(table["nothing"])) == {""}
    assert table["seen"].dtype.kind == {"parquet": "M", "fits": "S"}.get(fmt, "U")
    if fmt != "csv":
        assert table["small"].dtype == np.uint8
        assert table["tiny"].dtype.kind == {"fits": "i", "votable": "u", "parquet": "f"}[fmt]
        assert str(table["ra_deg"].unit) == "deg" and str(table["radius_arcsec"].unit) == "arcsec"
        assert table["radius_arcsec"].dtype.kind == "f" and table["radius_arcsec"].dtype.itemsize == 4


def test_provenance_of_csv():
    content = export_selection(hard_frame(), PROVENANCE, "csv")
    comments = read(content, "csv").meta["comments"]
    assert f"source: {SOURCE}" in comments and "catalog: Галактики" in comments and len(comments) == len(PROVENANCE)
    assert "selection: a lasso on UMAP: 4 of 90 then the class “spiral”" in comments
    frame = pd.read_csv(io.BytesIO(content), skiprows=len(PROVENANCE))  # and without astropy
    assert frame["galaxy_id"][0] == "#first" and frame["n_arms"].isna().sum() == 1


def test_provenance_of_parquet():
    content = export_selection(hard_frame(), PROVENANCE, "parquet")
    assert read(content, "parquet").meta["source"] == SOURCE
    metadata = {k.decode(): v.decode() for k, v in pq.read_schema(io.BytesIO(content)).metadata.items()}
    assert metadata["catalog"] == "Галактики" and metadata["n_selected"] == "4"
    frame = pd.read_parquet(io.BytesIO(content))
    assert frame["n_arms"].isna().tolist() == [False, True, False, False] and frame["seen"].dtype.kind == "M"


def test_provenance_and_meaning_in_votable(tmp_path):
    content = export_selection(hard_frame(), PROVENANCE, "votable")
    file = parse(io.BytesIO(content), verify="exception")
    table = file.get_first_table()
    params = {param.name: param.value for param in table.params}
    assert params["catalog"] == "Галактики" and params["source"] == SOURCE and params["n_selected"] == 4
    fields = {field.name: field for field in table.fields}
    assert fields["ra_deg"].ucd == "pos.eq.ra;meta.main" and fields["dec_deg"].ucd == "pos.eq.dec;meta.main"
    assert fields["galaxy_id"].ucd == "meta.id;meta.main" and fields["barred"].datatype == "boolean"
    assert fields["ra_deg"].ref == file.coordinate_systems[0].ID and file.coordinate_systems[0].system == "ICRS"
    assert fields["seen"].xtype == "timestamp" and fields["class"].xtype is None
    assert fields["class"].datatype == "char" and fields["galaxy_id"].datatype == "unicodeChar"
    (tmp_path / "x.vot").write_bytes(content)
    report = io.StringIO()
    assert validate(str(tmp_path / "x.vot"), output=report), report.getvalue()


def test_provenance_of_fits():
    content = export_selection(hard_frame(), PROVENANCE, "fits")
    with fits.open(io.BytesIO(content)) as hdus:
        hdus.verify("exception")
        header = hdus[1].header
        assert header["SOURCE"] == SOURCE and header["MODEL"] == "toy" and header["AKEYOFIT"] == "x"
        assert header["CATALOG"].encode().decode("unicode_escape") == "Галактики"
        assert header["NSELECT"] == 4
        assert header["MANIFEST"] == "ab" * 32 and "then the class" in header["SELECT"]
        renamed = [value for keyword, value in header.items() if keyword.startswith("TCOMM")]
        assert LONG in renamed and "RADIUS_arcsec" in renamed and len(renamed) == 3
        assert sum(card.keyword == "CONTINUE" for card in fits.Header.fromstring(str(header)).cards) == 0  # joined


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_empty_selection_is_a_table_without_rows(fmt):
    table = read(export_selection(hard_frame()[:0], PROVENANCE, fmt), fmt)
    assert len(table) == 0 and len(table.colnames) == len(hard_frame().columns)


@pytest.mark.parametrize("fmt", FORMATS)
def test_only_an_id(fmt):
    table = read(export_selection(pd.DataFrame({"galaxy_id": ["a", "bcd"]}), {}, fmt), fmt)
    assert texts(table["galaxy_id"]) == ["a", "bcd"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_name_on_two_lines(fmt):
    table = read(export_selection(pd.DataFrame({"galaxy_id": ["a"], "mag\n(AB)": [1.5]}), {}, fmt), fmt)
    assert table.colnames == ["galaxy_id", "mag (AB)"] and numbers(table["mag (AB)"]).tolist() == [1.5]


def test_what_cannot_be_written_is_said():
    with pytest.raises(ExportError, match="999 columns"):
        export_selection(pd.DataFrame({f"c{i}": [1] for i in range(1000)}), {}, "fits")
    with pytest.raises(ExportError, match="repeats a column"):
        export_selection(pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, "csv")
    with pytest.raises(ValueError, match="no format"):
        export_selection(hard_frame(), {}, "xls")
    assert len(set(map(str.lower, fits_names(["RA_3", "ra", "RA", "Ra", "", "é" * 3, "e" * 3])))) == 7


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_real_catalog_takes_a_moment(fmt):
    rng, n = np.random.default_rng(0), 26_093
    frame = pd.DataFrame({f"c{i}": rng.random(n) for i in range(20)})
    frame.insert(0, "galaxy_id", [f"gz-{i}" for i in range(n)])
    start = time.thread_time()
    export_selection(frame, PROVENANCE, fmt)
    assert time.thread_time() - start < 2


def test_where_a_selection_comes_from(tiny_root):
    manifest = artifacts.read_manifest(tiny_root, "tiny")
    found = provenance(tiny_root, manifest, 12, "a box on UMAP", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert found["catalog"] == "tiny" and found["source"] == "synthetic:90" and found["model"] == "toy"
    assert (found["n_galaxies"], found["n_selected"], found["selection"]) == (90, 12, "a box on UMAP")
    assert found["date_utc"] == "2026-01-02T03:04:05" and found["schema_version"] == artifacts.SCHEMA_VERSION
    import hashlib

    content = (tiny_root / "tiny" / "manifest.json").read_bytes()
    assert found["manifest_sha256"] == hashlib.sha256(content).hexdigest() and json.loads(content)["name"] == "tiny"


def test_the_table_of_a_selection(tiny_root):
    catalog, clusters = (artifacts.read_table(tiny_root, "tiny", name) for name in ("catalog", "clusters"))
    catalog = catalog.assign(trust_umap=1.0)
    rows, score = np.array([4, 2, 80]), np.arange(90, dtype=np.float32)
    tags = {"tiny-00002": ["ring", "merger"], "tiny-00003": ["other"]}
    table = selection_table(catalog, clusters, rows, anomaly=score, trust={"umap": score / 90, "pca": None}, tags=tags)
    assert table["galaxy_id"].tolist() == ["tiny-00004", "tiny-00002", "tiny-00080"]
    assert list(table.columns[:3]) == ["galaxy_id", "ra_deg", "dec_deg"] and set(catalog.columns) <= set(table.columns)
    np.testing.assert_array_equal(table["hdbscan_label"], clusters["hdbscan_label"].to_numpy()[rows])
    np.testing.assert_array_equal(table["kmeans_8_membership"], clusters["kmeans_8_membership"].to_numpy()[rows])
    assert table["anomaly_score"].tolist() == [4, 2, 80] and table["tags"].tolist() == ["", "ring; merger", ""]
    assert table["trust_umap"].tolist() == [1, 1, 1] and table["atlas_trust_umap"][2] == pytest.approx(80 / 90)
    aligned = pd.Series([f"t{i}" for i in range(90)])
    assert selection_table(catalog, clusters, rows, tags=aligned)["tags"].tolist() == ["t4", "t2", "t80"]
    assert not {"trust_pca", "hdbscan_silhouette"} & set(table.columns)
    assert len(selection_table(catalog[["galaxy_id"]], clusters[["galaxy_id"]], np.array([], int)).columns) == 1
