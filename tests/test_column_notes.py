"""Exports that join back to the table they come from: its own column of ids in its own type, units, descriptions."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from galaxy_core import artifacts
from galaxy_core.artifacts import Manifest, open_columns
from galaxy_core.artifacts.streaming import stream_columns
from galaxy_core.catalog_export import export_table
from galaxy_core.catalogs import read_catalog
from galaxy_core.column_notes import notes_in, notes_of, own_id, set_notes, with_own_ids
from galaxy_core.exports import FORMATS, export_selection, selection_table
from galaxy_core.image_steps import limit_catalog, make_catalog_table
from tests.catalog_files import png, put

IDS = 1237648720693755918 + np.arange(6)  # as of SDSS DR8, of 19 digits
UNKNOWN = np.arange(6) == 4
N = MaskedColumn(np.arange(6, dtype=np.int16), mask=UNKNOWN)  # whole numbers with a gap
SOURCES = {"fits": "fits", "vot": "votable", "ecsv": "ascii.ecsv", "parquet": "parquet", "csv": "ascii.csv"}


def write_source(root: Path, kind: str, **columns) -> str:
    """Images and a table of them, as a catalog is named."""
    table = Table({"objid": IDS, "ra": IDS % 7 + 0.5, "dec": IDS % 5 + 0.5, "g": np.linspace(14.5, 20, 6), **columns})
    table["ra"].unit, table["g"].unit, table["g"].description = "deg", "mag", "model magnitude"
    for k, name in enumerate(IDS):
        put(root / f"{name}.png", png(k))
    table.write(root / f"labels.{kind}", format=SOURCES[kind])
    return f"folder:{root}"


def store(root: Path, spec: str) -> Path:
    """Artifacts of no more than the catalog's table, of five galaxies drawn, and one of them left out."""
    catalog = limit_catalog(read_catalog(spec), 5, 0)
    table = make_catalog_table(SimpleNamespace(root=root, name="mine"), catalog, [catalog.galaxy_ids[2]])
    artifacts.write_manifest(root, "mine", Manifest("mine", n_galaxies=len(table)))
    return root


def read_export(path: Path, fmt: str) -> Table:
    options = {"format": "ascii.csv", "comment": "#"} if fmt == "csv" else {"format": fmt}
    return Table.read(path, **options)


@pytest.mark.parametrize("kind", SOURCES)
def test_exports_join_back_to_the_table(tmp_path, kind):
    source = write_source(tmp_path / "images", kind, n=N, long=MaskedColumn(IDS, mask=UNKNOWN))
    root = store(tmp_path / "artifacts", source)
    again = artifacts.read_table(root, "mine", "catalog")
    artifacts.write_table(root, "mine", "catalog", again)  # as when maps are made again
    artifacts.write_manifest(root, "mine", artifacts.read_manifest(root, "mine"))
    assert "objid" not in again  # the pages have one column of ids
    for fmt in FORMATS:
        path, n = export_table(root, "mine", tmp_path / f"out.{fmt}", fmt, parts=())
        found = read_export(path, fmt)
        assert n == 4 and found["objid"].dtype.str[1:] == "i8" and set(found["objid"]) <= set(IDS)
        assert [str(name) for name in found["objid"]] == list(map(str, found["galaxy_id"].astype(str)))
        assert set(found["long"].tolist()) <= {*IDS, *map(str, IDS), None, ""}  # to the last digit
        if fmt == "parquet":  # which astropy reads as floats where there are gaps
            found["n"] = Table.from_pandas(pd.read_parquet(path, dtype_backend="numpy_nullable"))["n"]
        n, rows = found["n"], np.searchsorted(IDS, found["objid"])
        assert n.dtype.str[1:] == ("i8" if "csv" in (fmt, kind) else "i2")
        assert n.mask.tolist() == UNKNOWN[rows].tolist() and (n == rows)[~n.mask].all()
        if fmt != "csv" and kind != "csv":
            assert str(found["g"].unit) == "mag" and str(found["ra_deg"].unit) == "deg"
            about = found.meta["TCOMM6"] if fmt == "fits" else found["g"].description
            assert found.colnames[5] == "g" and about == "model magnitude"


@pytest.mark.parametrize("many", [False, True])
def test_a_selection_on_the_page_has_them_too(tmp_path, many):
    root = store(tmp_path / "artifacts", write_source(tmp_path / "images", "fits"))
    catalog = artifacts.read_table(root, "mine", "catalog")
    if many:
        catalog = open_columns(root, artifacts.read_manifest(root, "mine"), "catalog")
    table = selection_table(catalog, catalog[["galaxy_id"]], np.array([3, 0]), anomaly=np.arange(4.0))
    found = Table.read(io.BytesIO(export_selection(table, {}, "votable")), format="votable")
    assert found.colnames[:2] == ["galaxy_id", "objid"] and found["objid"].dtype == np.int64
    assert str(found["g"].unit) == "mag" and list(found["anomaly_score"]) == [3, 0]


@pytest.mark.parametrize("own", ["galaxy_id", "GALAXY_ID"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_ids_called_as_here_are_one_column_of_their_own_type(tmp_path, own, fmt):
    spec = write_source(tmp_path / "images", "fits")
    labels = tmp_path / "images/labels.fits"
    Table(Table.read(labels), names=[own, *Table.read(labels).colnames[1:]]).write(labels, overwrite=True)
    path, _ = export_table(store(tmp_path / "artifacts", spec), "mine", tmp_path / f"out.{fmt}", fmt, parts=())
    found = read_export(path, fmt)
    assert found.colnames == [own, "ra_deg", "dec_deg", "split", "g"]
    assert found[own].dtype.str[1:] == "i8" and set(found[own]) <= set(IDS)
    if fmt == "votable":
        assert b'ucd="meta.id;meta.main"' in path.read_bytes()
    for kept in map(with_own_ids, stream_columns(tmp_path / "artifacts", "mine")):
        assert kept.column_names[0] == own and str(kept.schema.types[0]) == "int64"


def test_hats_has_them_too(tmp_path):
    root = store(tmp_path / "artifacts", write_source(tmp_path / "images", "fits", n=N))
    (table,) = map(with_own_ids, stream_columns(root, "mine"))
    assert str(table.schema.field("n").type) == "int16" and table["n"].null_count == 1
    assert table.column_names[:2] == ["galaxy_id", "objid"] and str(table.schema.field("objid").type) == "int64"
    assert notes_in(table.schema)["g"] == {"unit": "mag", "description": "model magnitude"}


def test_what_is_text_in_the_table_stays_text():
    ids = pd.Series(["12", "13"], name="objid")
    assert own_id(ids, {}) == {"own_name": "objid", "own_type": "int64"}
    assert own_id(ids, {"objid": {"type": "int32"}})["own_type"] == "int32"
    assert own_id(ids, {"objid": {"type": "string"}})["own_type"] == "text"
    sdss = pd.Series(["1237648720693755918", "-9223372036854775808"], name="objid")  # of 19 digits
    assert own_id(sdss, {})["own_type"] == own_id(sdss, {"objid": {"type": "int32"}})["own_type"] == "int64"
    assert own_id(ids, {"objid": {"type": "double"}})["own_type"] == "int64"
    for name in ("007", "1e9", "9223372036854775808", "12345678901234567890", "a", "+5"):
        assert own_id(pd.Series(["12", name], name="objid"), {})["own_type"] == "text"
    assert not own_id(ids.rename(None), {})


def test_text_of_digits_in_a_fits_table_is_not_made_a_number(tmp_path):
    root = store(tmp_path / "artifacts", write_source(tmp_path / "images", "fits", id_str=IDS.astype(str)))
    path, _ = export_table(root, "mine", tmp_path / "out.parquet", "parquet", parts=())
    found = pd.read_parquet(path)
    assert found["id_str"].tolist() == found["galaxy_id"].tolist() and found["objid"].dtype == np.int64


def test_ids_made_from_file_names_are_nobodys_column(tmp_path):
    pd.DataFrame({"filename": ["5.png", "6.png"]}).to_parquet(tmp_path / "c.parquet")
    for k in (5, 6):
        put(tmp_path / f"images/{k}.png", png(k))
    table = read_catalog(f"galaxy-zoo:{tmp_path}").table
    assert table["galaxy_id"].tolist() == ["5", "6"] and "galaxy_id" not in notes_of(table)


def test_artifacts_of_before_have_no_notes_and_are_read(tmp_path):
    root = store(tmp_path / "artifacts", write_source(tmp_path / "images", "fits"))
    file = root / "mine" / "catalog.parquet"
    table = pq.read_table(file)
    plain = table.cast(table.schema.remove_metadata())
    pq.write_table(plain.from_arrays(plain.columns, names=plain.column_names), file)
    artifacts.write_manifest(root, "mine", artifacts.read_manifest(root, "mine"))
    assert not notes_of(artifacts.read_table(root, "mine", "catalog"))
    path, _ = export_table(root, "mine", tmp_path / "out.fits", "fits", parts=())
    assert Table.read(path).colnames == ["galaxy_id", "ra_deg", "dec_deg", "split", "g"]


@pytest.mark.parametrize("unit", ["mag(AB)", "[solMass]", "µm", "größe", "no such unit", "a\nb", "%", "e-/s"])
@pytest.mark.parametrize("fmt", ["parquet", "votable", "fits"])
def test_any_unit_can_be_written(fmt, unit, recwarn):
    frame = pd.DataFrame({"galaxy_id": ["1"], "x": [0.5], "name": ["a"]})
    set_notes(frame, {"x": {"unit": unit, "description": "größe\n" * 30}, "name": {"unit": unit}})
    content = export_selection(frame, {}, fmt)
    assert not recwarn.list and len(content) > 100
    if fmt == "fits":
        written = {"µm": "um", "größe": r"gr\xf6\xdfe", "a\nb": "a b"}.get(unit, unit)
        assert fits.getheader(io.BytesIO(content), 1)["TUNIT2"] == written
