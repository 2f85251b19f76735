"""Rows of a catalog on their way to another process: no more than they need, and the same images."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from PIL import Image

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.parts import CatalogPart, SomeImages, take_images
from galaxy_core.embedding import ImageSettings, shards_of
from galaxy_core.image_steps import limit_catalog
from galaxy_core.images import encode_png

N = 23


def picture(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 255, (9, 8, 3), dtype=np.uint8)


@pytest.fixture(params=["folder", "galaxy-zoo", "fits-stamps", "synthetic"])
def catalog(request, tmp_path, monkeypatch):
    """A catalog of each kind of ``load_image``, by a path that holds in this folder alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    if request.param == "synthetic":
        return read_catalog(f"synthetic:{N}")
    for i in range(N):
        if request.param == "folder":
            Image.fromarray(picture(i)).save(f"data/ü{i:02d}.png")
    if request.param == "galaxy-zoo":
        images = [
            {"bytes": encode_png(np.moveaxis(picture(i), 2, 0) / np.float32(255)), "path": None} for i in range(N)
        ]
        table = pa.table({"id_str": [f"ü{i:02d}" for i in range(N)], "image": images})
        pq.write_table(table, "data/train-00000-of-00001.parquet", row_group_size=5)
    if request.param == "fits-stamps":
        hdus = [fits.ImageHDU(picture(i)[:, :, 0].astype(np.float32), name=f"G{i:02d}") for i in range(N)]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto("data/stamps.fits")
    return read_catalog(f"{request.param}:data")


def test_a_part_elsewhere_has_the_same_ids_and_images(catalog, tmp_path, monkeypatch):
    import cloudpickle

    dumps = cloudpickle.dumps if catalog.layout == "synthetic" else pickle.dumps
    sent = [dumps(part) for part in shards_of(catalog, ImageSettings(shard_size=10))]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    parts = [pickle.loads(data) for data in sent]
    assert [len(part) for part in parts] == [10, 10, 3] and [part.number for part in parts] == [0, 1, 2]
    assert [part.start for part in parts] == [0, 0, 0]
    ids = np.concatenate([part.ids(np.arange(part.start, part.stop)) for part in parts])
    assert ids.tolist() == catalog.galaxy_ids.tolist()
    monkeypatch.chdir(tmp_path)
    for row in range(N):
        part = parts[row // 10]
        np.testing.assert_array_equal(part.catalog.load_image(row % 10), catalog.load_image(row))


def test_what_is_sent_does_not_grow_with_the_catalog(tmp_path):
    sizes = []
    for n in (50, 500):
        folder = tmp_path / str(n)
        folder.mkdir()
        for i in range(n):
            (folder / f"{i:04d}.png").write_bytes(b"")
        pd.DataFrame({"file": [f"{i:04d}.png" for i in range(n)], "class": "x"}).to_csv(folder / "labels.csv")
        part = next(shards_of(read_catalog(f"folder:{folder}"), ImageSettings(shard_size=20)))
        sizes.append(len(pickle.dumps(part)))
    assert sizes[1] <= sizes[0] + 10


def test_a_part_that_is_whole_stays_as_it_is_and_one_of_a_part_is_smaller():
    catalog = replace(read_catalog("synthetic:4"), load_image=np.ones)
    part = pickle.loads(pickle.dumps(CatalogPart(3, catalog, 0, 4)))
    assert len(part) == 4 and list(part.catalog.table) == list(catalog.table)
    less = pickle.loads(pickle.dumps(CatalogPart(3, catalog, 1, 3)))
    assert list(less.catalog.table) == ["galaxy_id"]
    again = pickle.loads(pickle.dumps(CatalogPart(3, less.catalog, 1, 2)))
    assert again.ids(np.array([0])).tolist() == [catalog.galaxy_ids[2]]


def test_rows_of_rows_are_those_of_the_catalog():
    images = take_images(lambda i: i, np.array([5, 7, 9, 11]))
    assert isinstance(images, SomeImages) and [images(i) for i in range(4)] == [5, 7, 9, 11]
    assert [images.take([3, 0])(i) for i in range(2)] == [11, 5]
    limited = limit_catalog(read_catalog("synthetic:30"), 6, 1)
    few = take_images(limited.load_image, np.array([4]))
    np.testing.assert_array_equal(few(0), limited.load_image(4))
