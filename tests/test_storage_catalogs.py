"""Catalogs by address: what is read from a store is what is read from the folder that was copied there."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from PIL import Image

from galaxy_core.artifacts import Manifest
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, ImageError, StorageError
from galaxy_core.image_steps import catalog_fingerprint
from galaxy_core.originals import find_original, open_originals
from galaxy_core.places import BLOCK_BYTES, Place
from tests.s3_store import serve_files

LAYOUTS = {
    "folder": "folder",
    "kaggle": "kaggle",
    "gz2": "gz2",
    "zoo": "galaxy-zoo",
    "zoo/data/train-00000-of-00001.parquet": "galaxy-zoo",
    "zoo_files": "galaxy-zoo",
    "stamps": "fits-stamps",
    "stamps/my stamps.fits": "fits-stamps",
    "stamp_files": "fits-stamps",
}
SINGLE_FILES = [path for path in LAYOUTS if path.endswith((".parquet", ".fits"))]


def picture(seed: int, file_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, file_format)
    return buffer.getvalue()


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """One small catalog of each layout."""
    root = tmp_path_factory.mktemp("catalogs")
    for i in range(3):
        write(root / "folder" / "images" / f"NGC {i} é+.png", picture(i))
        write(root / "kaggle" / "images_training_rev1" / f"{100 + i}.jpg", picture(i, "JPEG"))
        write(root / "gz2" / "images" / f"{i + 1}.jpg", picture(i, "JPEG"))
        write(root / "zoo_files" / "images" / f"g{i}.png", picture(i))
    write(root / "folder" / ".hidden" / "x.png", picture(9))
    labels = pd.DataFrame({"galaxy_id": [f"NGC {i} é+" for i in range(3)], "class": list("aba")})
    labels.to_csv(root / "folder" / "labels.csv", index=False)
    answers = pd.DataFrame({"GalaxyID": [100, 101, 102], "Class1.1": [0.1, 0.2, 0.3], "Class1.2": [0.9, 0.8, 0.7]})
    answers.to_csv(root / "kaggle" / "training_solutions_rev1.csv", index=False)
    objects = [587722981746540704 + i for i in range(3)]
    mapping = pd.DataFrame({"objid": objects, "sample": "original", "asset_id": [1, 2, 3]})
    mapping.to_csv(root / "gz2" / "gz2_filename_mapping.csv", index=False)
    votes = pd.DataFrame(
        {"dr7objid": objects, "gz2_class": ["Er", "Sb", "A"], "t01_a01_smooth_debiased": [0.1, 0.2, 1]}
    )
    votes.to_csv(root / "gz2" / "gz2_hart16.csv.gz", index=False)
    zoo = {
        "image": [{"bytes": picture(i), "path": ""} for i in range(4)],
        "id_str": list("abcd"),
        "bar-dr12_yes": [1] * 4,
    }
    (root / "zoo" / "data").mkdir(parents=True)
    pq.write_table(pa.table(zoo), root / SINGLE_FILES[0], row_group_size=2)
    table = pa.table({"filename": [f"g{i}.png" for i in range(3)], "bar-dr12_yes": [3, 2, 1]})
    pq.write_table(table, root / "zoo_files" / "catalog.parquet")
    stamps = [fits.ImageHDU(np.full((16, 16), i + 1, "f4"), name=f"s{i}") for i in range(3)]
    for folder in ("stamps", "stamp_files"):
        (root / folder).mkdir()
    fits.HDUList([fits.PrimaryHDU(), *stamps]).writeto(root / SINGLE_FILES[1])
    for i in range(2):
        fits.PrimaryHDU(np.full((9, 9), i, "f4")).writeto(root / "stamp_files" / f"s{i}.fits")
    return root


@pytest.fixture(scope="module")
def address(store, local) -> str:
    return store.put(local, "catalogs")


def assert_same(found, wanted) -> None:
    pd.testing.assert_frame_equal(found.table, wanted.table)
    assert (found.report, found.answer_columns, found.linear) == (wanted.report, wanted.answer_columns, wanted.linear)
    for row in range(len(wanted)):
        np.testing.assert_array_equal(found.load_image(row), wanted.load_image(row))


@pytest.mark.parametrize("path", LAYOUTS)
def test_from_s3_as_from_the_folder(address, local, path):
    spec = f"{LAYOUTS[path]}:{address}/{path}"
    found = read_catalog(spec)
    assert_same(found, read_catalog(f"{LAYOUTS[path]}:{local / path}"))
    assert f"{found.layout}:{found.source}" == spec
    assert catalog_fingerprint(found) == catalog_fingerprint(read_catalog(spec))


@pytest.mark.parametrize("path", LAYOUTS)
def test_from_a_file_address_as_from_the_folder(local, path):
    found = read_catalog(f"{LAYOUTS[path]}:{(local / path).as_uri()}")
    assert_same(found, read_catalog(f"{LAYOUTS[path]}:{local / path}"))


@pytest.mark.parametrize("path", [*SINGLE_FILES, "folder"])
def test_from_a_web_server_as_from_the_folder(elsewhere, local, path):
    with serve_files(local) as url:
        found = read_catalog(f"{LAYOUTS[path]}:{url}/{quote(path)}")
        assert_same(found, read_catalog(f"{LAYOUTS[path]}:{local / path}"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("folder:{}/nothing", "does not exist"),
        ("kaggle:{}/gz2", "has no training_solutions_rev1.csv"),
        ("gz2:{}/kaggle", "has no gz2_hart16.csv"),
        ("galaxy-zoo:{}/folder", "has no .parquet file"),
        ("fits-stamps:{}/folder", "No FITS file"),
        ("folder:{}/folder/labels.csv", "is a file"),
        ("galaxy-zoo:{}/broken.parquet", "Cannot read the Parquet files"),
        ("fits-stamps:{}/broken.fits", "Cannot read"),
    ],
)
def test_what_is_not_there_is_one_sentence(address, store, spec, words):
    for name in ("broken.parquet", "broken.fits"):
        store.client.put_object(Bucket=store.bucket, Key=f"catalogs/{name}", Body=b"nothing of the kind")
    with pytest.raises(CatalogError, match=words) as caught:
        read_catalog(spec.format(address))
    assert address in str(caught.value) and "\n" not in str(caught.value)


def test_a_bucket_that_is_not_there(store):
    with pytest.raises(StorageError, match="There is no bucket s3://no-such-bucket"):
        read_catalog("folder:s3://no-such-bucket/gz2")


def test_an_image_that_went_away_is_told(address, store):
    catalog = read_catalog(f"kaggle:{address}/kaggle")
    key = "catalogs/kaggle/images_training_rev1/100.jpg"
    data = store.objects(key)[key]
    store.client.delete_object(Bucket=store.bucket, Key=key)
    with pytest.raises(ImageError, match="not there any more"):
        catalog.load_image(0)
    store.client.put_object(Bucket=store.bucket, Key=key, Body=data)


def test_a_changed_file_changes_the_fingerprint(address, store):
    catalog = read_catalog(f"folder:{address}/folder")
    before = catalog_fingerprint(catalog)
    store.client.put_object(Bucket=store.bucket, Key="catalogs/folder/note.txt", Body=b"new")
    assert catalog_fingerprint(catalog) != before
    store.client.delete_object(Bucket=store.bucket, Key="catalogs/folder/note.txt")
    assert catalog_fingerprint(catalog) == before


def test_the_card_finds_the_original_there(address):
    manifest = Manifest("x", layout="folder", source=f"{address}/folder")
    original, why = find_original(open_originals(manifest), "NGC 1 é+")
    assert why == "" and original.pixels.shape == (3, 20, 24)


def test_one_stamp_of_a_large_file_is_one_small_read(address, store, monkeypatch):
    stamps = [fits.ImageHDU(np.zeros((64, 64), "f4"), name=f"s{i}") for i in range(200)]
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), *stamps]).writeto(buffer)
    store.client.put_object(Bucket=store.bucket, Key="catalogs/large.fits", Body=buffer.getvalue())
    read, sizes = Place.read_bytes, []

    def counted(place, start=None, end=None) -> bytes:
        data = read(place, start, end)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(Place, "read_bytes", counted)
    catalog = read_catalog(f"fits-stamps:{address}/large.fits")
    assert len(catalog) == 200 and len(sizes) <= 2 + len(buffer.getvalue()) // BLOCK_BYTES
    sizes.clear()
    catalog.load_image(150)
    assert sizes == [2880 + -(-64 * 64 * 4 // 2880) * 2880]


def test_a_server_that_does_not_tell_how_long_a_file_is_is_one_sentence(monkeypatch):
    class Silent:
        def info(self, address):
            return {"name": address, "size": None, "type": "file"}

    monkeypatch.setattr("galaxy_core.places.filesystem", lambda address: Silent())
    with pytest.raises(StorageError, match=r"https://sky/x\.parquet cannot be read in parts.*download it"):
        read_catalog("galaxy-zoo:https://sky/x.parquet")
