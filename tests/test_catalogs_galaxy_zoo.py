"""Readers of the Galaxy Zoo releases, on tiny copies and on damaged ones: Kaggle, GZ2, Parquet shards."""

from __future__ import annotations

import gzip
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from galaxy_core.catalogs import parquet_images as parquet_images_module
from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.kaggle import SOLUTIONS
from galaxy_core.errors import CatalogError
from galaxy_core.stretch import to_display
from tests.catalog_files import OBJID, counts, png, put, value_of

# ---- kaggle


def test_kaggle(tmp_path):
    put(tmp_path / "images_training_rev1/100008.jpg", png(8))
    put(tmp_path / "images_training_rev1/100023.jpg", png(23))
    put(tmp_path / "images_test_rev1/100018.jpg", png(18))
    put(
        tmp_path / "training_solutions_rev1.csv",
        "galaxyid,Class1.1,class1.2,CLASS11.6\n100023,0.25,0.5,1.5\n100008,0.5,junk,0\n555,1,1,1\n",
    )
    catalog = read_catalog(f"kaggle:{tmp_path}")
    assert counts(catalog) == (1, 0, 0, 0)
    assert catalog.galaxy_ids.tolist() == ["100023", "100008"]
    assert [value_of(catalog, i) for i in range(2)] == [23, 8]
    assert catalog.answer_columns == ("Class1.1", "Class1.2", "Class11.6")
    assert catalog.answer_kind == "fraction"
    np.testing.assert_array_equal(catalog.table["Class1.2"], [0.5, np.nan])
    np.testing.assert_array_equal(catalog.table["Class11.6"], [np.nan, 0])  # no fraction is above 1
    assert "2 galaxies have answers without a usable number" in catalog.report.notes
    assert any(note.startswith(f"{SOLUTIONS} lacks 34 of the 37 answers (Class1.3, ") for note in catalog.report.notes)


def test_kaggle_without_solutions_says_which_file(tmp_path):
    put(tmp_path / "images_training_rev1/1.jpg", png(1))
    with pytest.raises(CatalogError, match="has no training_solutions_rev1"):
        read_catalog(f"kaggle:{tmp_path}")


# ---- gz2


HART = (
    "specobjid,dr8objid,dr7objid,ra,dec,rastring,decstring,sample,gz2_class,total_classifications,total_votes,"
    "t01_smooth_or_features_a01_smooth_count,t01_smooth_or_features_a01_smooth_weight,"
    "t01_smooth_or_features_a01_smooth_fraction,t01_smooth_or_features_a01_smooth_weighted_fraction,"
    "t01_smooth_or_features_a01_smooth_debiased,t01_smooth_or_features_a01_smooth_flag\n"
    f"1.8e18,,{OBJID},160.9,11.7,10:43:57,+11:42:13,original,Sc2m,44,349,1,1,0.02,0.021,0.022,0\n"
    "1.8e18,,587722982293766366,192.4,15.1,a,b,original,Er,45,185,1,1,0.61,0.62,,1\n"
    "1.8e18,,587722982293766367,192.4,15.1,a,b,original,Ei,45,185,1,1,0.61,0.62,nan,1\n"
)


@pytest.mark.parametrize("zipped", [False, True])
def test_gz2_full_release_columns(tmp_path, zipped):
    put(tmp_path / "images/68.jpg", png(68))
    put(tmp_path / "images/442.jpg", png(42))
    put(tmp_path / "images/9.jpg", png(9))
    put(
        tmp_path / "gz2_filename_mapping.csv",
        f"objid,sample,asset_id\n587722982293766366,original,442\n{OBJID},extra,404\n{OBJID},original,68\n",
    )
    name = "gz2_hart16.csv.gz" if zipped else "gz2_hart16.csv"
    put(tmp_path / name, gzip.compress(HART.encode()) if zipped else HART)
    catalog = read_catalog(f"gz2:{tmp_path}")
    assert counts(catalog) == (1, 1, 0, 0)
    assert catalog.galaxy_ids.tolist() == [OBJID, "587722982293766366"]
    assert [value_of(catalog, i) for i in range(2)] == [68, 42]
    assert catalog.answer_columns == ("t01_smooth_or_features_a01_smooth_debiased",)
    np.testing.assert_allclose(catalog.table[catalog.answer_columns[0]], [0.022, np.nan], rtol=1e-6)
    np.testing.assert_allclose(catalog.table["t01_smooth_or_features_a01_smooth_weighted_fraction"], [0.021, 0.62])
    assert catalog.table["class"].tolist() == ["spiral", "round_smooth"]
    assert catalog.table["gz2_class"].tolist() == ["Sc2m", "Er"]
    assert catalog.table["ra_deg"].tolist() == [160.9, 192.4]
    assert not any(column.endswith(("_count", "_flag", "string")) for column in catalog.table)


def test_gz2_truncated_gzip_is_one_sentence(tmp_path):
    put(tmp_path / "gz2_filename_mapping.csv", "objid,sample,asset_id\n1,original,1\n")
    put(tmp_path / "gz2_hart16.csv.gz", gzip.compress((HART * 50).encode())[:-200])
    with pytest.raises(CatalogError, match=r"gz2_hart16\.csv\.gz"):
        read_catalog(f"gz2:{tmp_path}")


# ---- galaxy-zoo


def write_shard(path: Path, ids: list, values: list[int | None], rows_per_group: int = 2, **columns) -> None:
    images = [None if v is None else {"bytes": png(v) if v >= 0 else None, "path": f"{v}.png"} for v in values]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    data = {
        "image": pa.array(images, kind),
        "id_str": ids,
        "smooth-or-featured-hubble_smooth": range(len(ids)),
        **columns,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(data), path, row_group_size=rows_per_group)


@pytest.fixture
def shards(tmp_path) -> Path:
    write_shard(
        tmp_path / "data/train-00000-of-00003.parquet",
        ["10", "11", OBJID, None, "13"],
        [0, 1, 2, 3, 4],
        ra=[1.0, 2.0, 3.0, 4.0, 5.0],
        **{"smooth-or-featured-hubble_smooth_fraction": [0.5] * 5, "smooth-or-featured-hubble_total-votes": [9] * 5},
    )
    write_shard(tmp_path / "data/train-00001-of-00003.parquet", ["20", "21", "10", "23"], [5, None, 7, -1])
    write_shard(tmp_path / "data/test-00000-of-00001.parquet", ["30", "31"], [8, 9], summary=["a", None])
    write_shard(tmp_path / "tiny/train-00000-of-00001.parquet", ["10"], [99])
    return tmp_path


def test_parquet_shards_with_images_inside(shards):
    catalog = read_catalog(f"galaxy-zoo:{shards}")
    assert counts(catalog) == (2, 0, 1, 1)
    table = catalog.table.assign(value=[value_of(catalog, i) for i in range(len(catalog))]).set_index("galaxy_id")
    expected = {"30": 8, "31": 9, "10": 0, "11": 1, OBJID: 2, "13": 4, "20": 5}
    assert table["value"].to_dict() == expected
    assert table.loc["30", "release_split"] == "test"
    assert table.loc["20", "release_split"] == "train"
    assert table.loc["11", "ra_deg"] == 2.0
    assert catalog.answer_columns == ("smooth-or-featured-hubble_smooth",)
    assert catalog.answer_kind == "count"
    assert "image" not in table
    assert "only 2 of 3 train shards are here" in catalog.report.notes


def test_parquet_falls_back_to_tiny_and_takes_one_file(shards):
    tiny = shards / "tiny"
    assert value_of(read_catalog(f"galaxy-zoo:{tiny}"), 0) == 99
    assert value_of(read_catalog(f"galaxy-zoo:{tiny}/train-00000-of-00001.parquet"), 0) == 99
    for file in (shards / "data").iterdir():
        file.unlink()
    assert value_of(read_catalog(f"galaxy-zoo:{shards}"), 0) == 99


def test_parquet_reads_only_the_row_groups_it_needs(shards, monkeypatch):
    catalog = read_catalog(f"galaxy-zoo:{shards}")
    read = []
    real = pq.ParquetFile.read_row_group

    def spy(self, group, columns=None, **options):
        read.append((group, columns))
        return real(self, group, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", spy)
    monkeypatch.setattr(parquet_images_module, "CACHED_BYTES", 0)  # keeps one row group
    position = catalog.galaxy_ids.tolist().index(OBJID)
    assert value_of(catalog, position) == 2
    assert value_of(catalog, position) == 2
    assert read == [(1, ["image.bytes"])]
    catalog.load_image(0)
    catalog.load_image(position)
    assert len(read) == 3


def test_parquet_images_in_threads_and_processes(shards, monkeypatch):
    monkeypatch.setattr(parquet_images_module, "CACHED_BYTES", 0)  # every thread throws out what the others need
    interval = sys.getswitchinterval()
    catalog = read_catalog(f"galaxy-zoo:{shards}")
    alone = [value_of(catalog, i) for i in range(len(catalog))]
    rows = np.random.default_rng(1).integers(len(catalog), size=200)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda i: value_of(catalog, i), rows))
    finally:
        sys.setswitchinterval(interval)
    assert together == [alone[i] for i in rows]
    loader = pickle.loads(pickle.dumps(catalog.load_image))
    assert round(float(loader(3).mean()) * 255) == alone[3]


def test_parquet_catalog_beside_images(tmp_path):
    for k in (1, 2, 3):
        put(tmp_path / f"images/sub{k}/same.jpg", png(k))
    put(tmp_path / "images/sub1/10000325.jpg", png(50))
    frame = pd.DataFrame(
        {
            "filename": ["same.jpg", "same.jpg", "10000325.jpg", "gone.jpg"],
            "subfolder": ["sub2", "sub3", None, "sub1"],
            "id_str": ["a", "b", "c", "d"],
            "ra": [1.0, 2.0, 3.0, 4.0],
            "dec": [0.0, 0.0, 0.0, -99.0],
            "bar_yes": [1, 2, 3, 4],
            "bar_total-votes": [5, 5, 5, 5],
        }
    )
    frame.iloc[:2].to_parquet(tmp_path / "gz_candels_train_catalog.parquet")
    frame.iloc[2:].to_parquet(tmp_path / "gz_candels_test_catalog.parquet")
    catalog = read_catalog(f"galaxy-zoo:{tmp_path}")
    assert counts(catalog) == (1, 1, 0, 0)
    table = catalog.table.set_index("galaxy_id")
    values = dict(zip(table.index, (value_of(catalog, i) for i in range(3)), strict=True))
    assert values == {"a": 2, "b": 3, "c": 50}
    assert table["release_split"].to_dict() == {"a": "train", "b": "train", "c": "test"}
    assert catalog.answer_columns == ("bar_yes",)


def test_parquet_filename_alone_is_the_id_and_integer_ids_stay_whole(tmp_path):
    put(tmp_path / "images/20163083.jpg", png(3))
    pd.DataFrame({"filename": ["20163083.jpg"]}).to_parquet(tmp_path / "c.parquet")
    assert read_catalog(f"galaxy-zoo:{tmp_path}").galaxy_ids.tolist() == ["20163083"]
    put(tmp_path / f"images/{OBJID}.jpg", png(4))
    pd.DataFrame({"objid": pd.array([int(OBJID), None], dtype="Int64")}).to_parquet(tmp_path / "c.parquet")
    assert read_catalog(f"galaxy-zoo:{tmp_path}").galaxy_ids.tolist() == [OBJID]


@pytest.mark.parametrize("first", ["bare", "named"])
def test_parquet_of_nothing_but_images_keeps_its_rows(tmp_path, first):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = pa.array([{"bytes": png(k), "path": None} for k in range(5)], kind)
    bare, named = pa.table({"image": image[:3]}), pa.table({"image": image[3:], "bar-dr12_yes": [1, 2]})
    pq.write_table(bare if first == "bare" else named, tmp_path / "a.parquet")
    catalog = read_catalog(f"galaxy-zoo:{tmp_path}/a.parquet")
    assert [value_of(catalog, row) for row in range(len(catalog))] == ([0, 1, 2] if first == "bare" else [3, 4])
    pq.write_table(named if first == "bare" else bare, tmp_path / "b.parquet")
    catalog = read_catalog(f"galaxy-zoo:{tmp_path}")
    values = [value_of(catalog, row) for row in range(5)]
    assert values == ([0, 1, 2, 3, 4] if first == "bare" else [3, 4, 0, 1, 2])
    votes = dict(zip(values, catalog.table["bar-dr12_yes"].fillna(0), strict=True))
    assert votes == {0: 0, 1: 0, 2: 0, 3: 1, 4: 2}


@pytest.mark.parametrize("inside", [False, True])
def test_linear_images_of_a_release_are_stretched(tmp_path, inside):
    flux = np.random.default_rng(1).normal(100, 5, (9, 9)).astype(np.float32)
    (tmp_path / "images").mkdir()
    fits.writeto(tmp_path / "images/a.fits", flux)
    images = {"image": [(tmp_path / "images/a.fits").read_bytes()]} if inside else {}
    pq.write_table(pa.table({"filename": ["a.fits"], **images}), tmp_path / "c.parquet")
    np.testing.assert_array_equal(
        read_catalog(f"galaxy-zoo:{tmp_path}").load_image(0), to_display(flux[None], True)[:1]
    )


def test_damaged_parquet_is_one_sentence(shards):
    path = shards / "data/test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CatalogError, match="fetch them again"):
        read_catalog(f"galaxy-zoo:{shards}")
