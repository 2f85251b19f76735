"""HATS in: exports read back, catalogs that LSDB wrote, cutouts as bytes and as nested pixels."""

from __future__ import annotations

import shutil
import timeit
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import blob
from hats_fields import field, stream_of

from galaxy_core import artifacts
from galaxy_core.catalog_export import export_hats
from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.hats_catalog import image_column
from galaxy_core.catalogs.nested_images import pixels_of
from galaxy_core.column_notes import notes_of
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.hats_export import MISSING, write_hats
from galaxy_core.images import encode_png
from tests.s3_store import serve_files

pytest.importorskip("hats", reason=MISSING)


@pytest.fixture(scope="module")
def exported(tiny_root, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hats") / "tiny"
    export_hats(tiny_root, "tiny", out, ("embedding", "images"), partition_rows=20)
    return out


def test_an_export_is_read_back_with_its_images(tiny_root, exported):
    catalog = read_catalog(f"hats:{exported}")
    stored = artifacts.read_table(tiny_root, "tiny", "catalog").set_index("galaxy_id").loc[catalog.galaxy_ids]
    assert len(catalog) == 90 and catalog.layout == "hats" and not catalog.linear
    assert catalog.table["ra_deg"].tolist() == stored["ra_deg"].tolist()
    assert catalog.table["class"].tolist() == stored["class"].tolist()
    assert catalog.answer_kind == "fraction" and len(catalog.answer_columns) == 2
    assert "_healpix_29" not in catalog.table and "Norder" not in catalog.table
    for row in (0, 44, 89):
        number = int(catalog.galaxy_ids[row][-5:])
        np.testing.assert_allclose(catalog.load_image(row), blob(number), atol=0.2)
        assert np.corrcoef(catalog.load_image(row).ravel(), blob(number).ravel())[0, 1] > 0.95


@pytest.mark.parametrize("kind", ["plain", "struct"])
def test_cutouts_as_nested_pixels(tmp_path, kind):
    frame = field(30).rename(columns={"galaxy_id": "object_id"})
    pixels = [np.random.default_rng(k).normal(0, 1, (2, 5, 4)).astype(np.float32) for k in range(30)]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    lists = pa.array([image.tolist() for image in pixels], pa.list_(pa.list_(pa.list_(pa.float32()))))
    lists = pa.array([None if k == 4 else lists[k].as_py() for k in range(30)], lists.type)
    if kind == "struct":
        lists = pa.StructArray.from_arrays([pa.array([["g", "r"]] * 30), lists], names=["band", "flux"])
    table = table.append_column("image", lists)
    write_hats(lambda: [table], tmp_path / "f", "f", partition_rows=10)
    catalog = read_catalog(f"hats:{tmp_path / 'f'}")
    assert catalog.linear and len(catalog) == 30
    for row, galaxy_id in enumerate(catalog.galaxy_ids):
        number = int(galaxy_id.split("-")[1])
        if number == 4:
            with pytest.raises(ImageError, match="no image"):
                catalog.load_image(row)
        else:
            np.testing.assert_array_equal(catalog.load_image(row), pixels[number])


def test_by_address_as_from_the_folder(exported):
    local = read_catalog(f"hats:{exported}")
    with serve_files(exported.parent) as url:
        for address in (f"{url}/{exported.name}", exported.as_uri()):
            catalog = read_catalog(f"hats:{address}")
            pd.testing.assert_frame_equal(catalog.table, local.table)
            np.testing.assert_array_equal(catalog.load_image(50), local.load_image(50))
        with pytest.raises(CatalogError, match=r"http://.*/elsewhere is no HATS catalog"):
            read_catalog(f"hats:{url}/elsewhere")


def test_with_the_credentials_of_a_store(exported, store):
    catalog, local = read_catalog(f"hats:{store.put(exported, 'hats')}"), read_catalog(f"hats:{exported}")
    pd.testing.assert_frame_equal(catalog.table, local.table)
    np.testing.assert_array_equal(catalog.load_image(50), local.load_image(50))


def test_partitions_that_are_folders_of_files(exported, tmp_path):
    folder = shutil.copytree(exported / "tiny", tmp_path / "parts")
    for number, file in enumerate(sorted(folder.rglob("Npix=*.parquet"))):
        table, whole = pq.ParquetFile(file).read(), file.with_suffix("")
        whole.mkdir()
        for part, rows in enumerate((table.slice(0, 2), table.slice(2))):
            pq.write_table(rows, whole / f"part-{number}-{part}.parquet")
        file.unlink()
    about = folder / "hats.properties"
    about.write_text(about.read_text().replace("hats_npix_suffix=.parquet", "hats_npix_suffix=/"))
    catalog, before = read_catalog(f"hats:{folder}"), read_catalog(f"hats:{exported}")
    assert catalog.galaxy_ids.tolist() == before.galaxy_ids.tolist()
    np.testing.assert_array_equal(catalog.load_image(50), before.load_image(50))


def test_a_catalog_that_lsdb_wrote(tmp_path):
    """Other names of columns, ids of 18 digits, a row without image, a picture of one pixel."""
    frame = field(20).rename(columns={"ra_deg": "RA", "dec_deg": "DEC"}).drop(columns="galaxy_id")
    frame["objid"] = np.arange(20) + 587722981742084144
    frame["digest"] = [b"no picture"] * 20
    frame["cutout"] = [encode_png(np.full((3, 1, 1), k / 20, np.float32)) for k in range(20)]
    frame["cutout"] = frame["cutout"].where(frame.index != 5, None)
    lsdb = pytest.importorskip("lsdb", reason=MISSING)
    catalog = lsdb.from_dataframe(frame, ra_column="RA", dec_column="DEC", catalog_name="theirs", partition_rows=6)
    catalog.write_catalog(tmp_path / "theirs", progress_bar=False)
    read = read_catalog(f"hats:{tmp_path / 'theirs'}")
    assert len(read) == 19 and read.report.n_rows_without_image == 1
    numbers = [int(key) - 587722981742084144 for key in read.galaxy_ids]
    assert notes_of(read.table)["galaxy_id"] == {"own_name": "objid", "own_type": "int64"}
    assert sorted(numbers) == [k for k in range(20) if k != 5]
    assert read.table["ra_deg"].tolist() == frame["RA"][numbers].tolist()
    for row in (0, 18):
        np.testing.assert_allclose(read.load_image(row).ravel(), np.rint(numbers[row] / 20 * 255) / 255, atol=1e-6)


def test_without_ids_the_place_is_the_id_and_without_images_it_is_said(tmp_path):
    frame = field(6).drop(columns="galaxy_id")
    frame.loc[1, ["ra_deg", "dec_deg"]] = frame.loc[0, ["ra_deg", "dec_deg"]]
    write_hats(stream_of(frame), tmp_path / "bare", "bare")
    with pytest.raises(CatalogError, match="no column of images"):
        read_catalog(f"hats:{tmp_path / 'bare'}")
    frame["image"] = [encode_png(np.full((3, 2, 2), 0.5, np.float32))] * 6
    write_hats(stream_of(frame), tmp_path / "pictures", "pictures")
    read = read_catalog(f"hats:{tmp_path / 'pictures'}")
    ids = read.galaxy_ids
    assert "galaxy_id" not in notes_of(read.table)
    assert len(set(ids)) == 6 and sum(key.endswith("-1") for key in ids) == 1
    with pytest.raises(CatalogError, match="no HATS catalog"):
        read_catalog(f"hats:{tmp_path}")


def test_the_column_of_images_is_chosen_by_name_then_by_kind():
    lists = pa.list_(pa.list_(pa.float32()))
    vector, text, raw = pa.list_(pa.float32(), 8), pa.string(), pa.binary()
    cases = [
        ([("digest", raw), ("cutout", raw)], (None, "cutout")),
        ([("psf", lists), ("galaxy_image", raw)], (None, "galaxy_image")),
        ([("embedding", vector), ("pixels", lists)], (("pixels",), None)),
        ([("image", pa.struct([("bytes", raw), ("path", text)]))], (None, "image.bytes")),
        ([("image", pa.struct([("band", pa.list_(text)), ("flux", pa.list_(lists))]))], (("image", "flux"), None)),
        ([("embedding", vector), ("image_url", text)], (None, None)),
    ]
    for columns, wanted in cases:
        assert image_column(pa.schema(columns)) == wanted


@pytest.mark.parametrize(
    ("value", "shape"),
    [([[1.0]], (1, 1, 1)), ([[[1, 2]], [[3, 4]]], (2, 1, 2)), ([[1.0, 2.0], [3.0]], None), ([[]], None), (None, None)],
)
def test_nested_pixels_and_what_are_none(value, shape):
    deep = pa.list_(pa.list_(pa.list_(pa.float64()))) if shape == (2, 1, 2) else pa.list_(pa.list_(pa.float64()))
    scalar = pa.array([value], deep)[0]
    if shape is None:
        with pytest.raises(ImageError, match="leave"):
            pixels_of(scalar, "here")
    else:
        assert pixels_of(scalar, "here").shape == shape
    with pytest.raises(ImageError, match="finite"):
        pixels_of(pa.array([[[float("nan")]]], pa.list_(pa.list_(pa.float64())))[0], "here")


@pytest.mark.parametrize("shape", [(3, 9, 8), (2, 5, 5), (5, 8, 9), (1, 6, 6)])
def test_bands_may_come_first_or_last(shape):
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(pixels_of(pa.scalar(pixels.tolist()), "here"), pixels)
    if shape[0] < 5:
        last = pixels_of(pa.scalar(np.moveaxis(pixels, 0, 2).tolist()), "here")
        np.testing.assert_array_equal(last, pixels)


def test_nested_pixels_are_read_without_a_python_number_for_each():
    pixels = np.random.default_rng(0).random((4, 160, 160), np.float32)
    value = pa.scalar(pixels.tolist(), pa.list_(pa.list_(pa.list_(pa.float32()))))
    fast = min(timeit.repeat(lambda: pixels_of(value, "here"), number=1, repeat=7))
    slow = min(timeit.repeat(lambda: np.array(value.as_py(), np.float32), number=1, repeat=3))
    np.testing.assert_array_equal(pixels_of(value, "here"), pixels)
    assert fast < slow / 3  # a hundredth, where nobody else wants the processor
