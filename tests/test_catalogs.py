"""Readers on tiny copies of each release, on messy ones, and on the real data where it is present."""

from __future__ import annotations

import gzip
import os
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

from galaxy_core.catalogs import LAYOUTS, read_catalog
from galaxy_core.catalogs import parquet_images as parquet_images_module
from galaxy_core.catalogs.image_files import list_images
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.images import encode_png

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OBJID = "587722981746540704"  # more digits than a float64 holds: it would become ...672


def needs(folder: str) -> Path:
    path = DATA / folder
    if not path.exists():
        pytest.skip(f"needs the real data in {path}")
    return path


def png(value: int, size: int = 6) -> bytes:
    """A picture that says which it is: all its pixels are ``value`` / 255."""
    return encode_png(np.full((3, size, size), value / 255, dtype=np.float32))


def put(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def value_of(catalog, i: int) -> int:
    image = catalog.load_image(i)
    assert image.dtype == np.float32
    assert image.ndim == 3
    return round(float(image.mean()) * 255)


def counts(catalog) -> tuple[int, ...]:
    report = catalog.report
    assert report.n_rows == (
        report.n_galaxies + report.n_rows_without_image + report.n_duplicate_rows + report.n_null_rows
    )
    assert report.n_galaxies == len(catalog) == len(catalog.table)
    return report.n_rows_without_image, report.n_images_without_row, report.n_duplicate_rows, report.n_null_rows


# ---- naming a catalog


@pytest.mark.parametrize("spec", ["", "folder", "folder:", ":x", "nonsense:x", "C:\\images"])
def test_bad_spec_lists_the_layouts(spec):
    with pytest.raises(CatalogError, match=r"kaggle, gz2, galaxy-zoo, folder, fits-stamps, synthetic"):
        read_catalog(spec)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "synthetic"])
@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_wrong_path_is_one_sentence(tmp_path, layout, kind):
    path = tmp_path / "catalog"
    if kind == "empty":
        path.mkdir()
    if kind == "file":
        path.write_text("not a catalog")
    with pytest.raises(CatalogError) as caught:
        read_catalog(f"{layout}:{path}")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_spec_reads_the_catalog_again(tmp_path):
    put(tmp_path / "a:b" / "1.png", png(7))  # a colon in the path
    catalog = read_catalog(f"folder:{tmp_path}/a:b")
    again = read_catalog(f"{catalog.layout}:{catalog.source}")
    assert value_of(again, 0) == 7


# ---- folder


def test_flat_folder(tmp_path):
    for k, name in enumerate(["b.png", "a.PNG", "NGC 1300.v2.png", "星系.png"]):
        put(tmp_path / name, png(k))
    put(tmp_path / "._a.png", b"macOS")
    put(tmp_path / "notes.txt", "x")
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["NGC 1300.v2", "a", "b", "星系"]
    assert [value_of(catalog, i) for i in range(4)] == [2, 1, 0, 3]
    assert "class" not in catalog.table
    assert not catalog.linear
    assert list(catalog.table.index) == [0, 1, 2, 3]


def test_file_names_in_any_encoding(tmp_path):
    put(tmp_path / "e\u0301toile.png", png(1))  # as some file systems spell it: e and an accent
    put(tmp_path / "labels.csv", "file,class\n\u00e9toile.png,star\n")
    assert value_of(read_catalog(f"folder:{tmp_path}"), 0) == 1
    (tmp_path / "labels.csv").unlink()
    try:
        os.rename(tmp_path / "e\u0301toile.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["caf\\xe9"]
    assert value_of(catalog, 0) == 1


def test_subfolders_are_classes_and_equal_names_stay_apart(tmp_path):
    put(tmp_path / "spiral/1.png", png(1))
    put(tmp_path / "spiral/2.png", png(2))
    put(tmp_path / "smooth/1.png", png(3))
    catalog = read_catalog(f"folder:{tmp_path}")
    table = catalog.table.set_index("galaxy_id")["class"]
    assert table.to_dict() == {"smooth/1": "smooth", "spiral/1": "spiral", "2": "spiral"}
    assert value_of(catalog, catalog.galaxy_ids.tolist().index("smooth/1")) == 3


def test_train_and_test_folders_are_no_classes(tmp_path):
    put(tmp_path / "train/1.png", png(1))
    put(tmp_path / "test/2.png", png(2))
    assert "class" not in read_catalog(f"folder:{tmp_path}").table


def test_labels_csv_messy_input_is_counted(tmp_path):
    for k in range(1, 6):
        put(tmp_path / f"images/{k}.png", png(k))
    put(
        tmp_path / "labels.csv",
        "\ufeffGalaxyID,class5,RA,dec,split\n1,spiral,10.5,-3,train\n2,,370,0,\n2,again,0,0,\n99,gone,0,0,\n"
        ",nobody,0,0,\n 3 ,smooth,x,95,\n,,,,\n4,a,b,c,d,too,many\n",
    )
    catalog = read_catalog(f"folder:{tmp_path}")
    assert counts(catalog) == (1, 2, 1, 2)
    assert catalog.galaxy_ids.tolist() == ["1", "2", "3"]
    assert [value_of(catalog, i) for i in range(3)] == [1, 2, 3]
    table = catalog.table
    assert list(table.columns[:4]) == ["galaxy_id", "ra_deg", "dec_deg", "class"]
    assert table["class"].fillna("none").tolist() == ["spiral", "none", "smooth"]
    assert table["ra_deg"].dtype == table["dec_deg"].dtype == np.float64
    np.testing.assert_array_equal(table["ra_deg"], [10.5, np.nan, np.nan])
    np.testing.assert_array_equal(table["dec_deg"], [-3, 0, np.nan])
    assert "split" not in table
    assert table["release_split"][0] == "train"
    sentences = " | ".join(catalog.report.sentences())
    for words in (
        "3 galaxies from 7 rows",
        "1 lines of labels.csv have too many fields",
        "2 galaxies have no usable ra",
    ):
        assert words in sentences


@pytest.mark.parametrize("column", ["galaxy_id", "GalaxyID", "id", "objid", "dr7objid", "file", "filename"])
def test_id_columns_are_text_with_every_digit(tmp_path, column):
    put(tmp_path / f"{OBJID}.png", png(1))
    put(tmp_path / "0012.png", png(2))
    put(tmp_path / "labels.csv", f"{column},label\n{OBJID},1\n0012,2\n,\n")
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == [OBJID, "0012"]
    assert catalog.table["class"].tolist() == ["1", "2"]
    assert all(type(galaxy_id) is str for galaxy_id in catalog.galaxy_ids)


def test_file_column_and_frames(tmp_path):
    put(tmp_path / "star/f1_a.png", png(1))
    put(tmp_path / "galaxy/f1_b.png", png(2))
    put(
        tmp_path / "labels.csv",
        "file,label,source_frame\ngalaxy/f1_b.png,galaxy,f1\nstar\\f1_a.png,star,\n",
    )
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["f1_b", "f1_a"]
    assert [value_of(catalog, i) for i in range(2)] == [2, 1]
    assert catalog.split_keys.tolist() == ["f1", "f1_a"]  # a stamp of no known frame goes by itself


def test_latin1_labels_and_symlinks(tmp_path):
    target = put(tmp_path / "elsewhere/x.png", png(9))
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "x.png").symlink_to(target)
    (folder / "loop").symlink_to(folder)
    (folder / "labels.csv").write_bytes("id,note\nx,étoile\n".encode("latin-1"))
    catalog = read_catalog(f"folder:{folder}")
    assert value_of(catalog, 0) == 9
    assert catalog.table["note"][0] == "étoile"
    assert "Latin-1" in " ".join(catalog.report.notes)


@pytest.mark.parametrize("text", ["", "\n", "colour,shape\nred,round\n", "id,label\n7,x\n", 'id,label\n"1,x\n'])
def test_unusable_labels_are_one_sentence(tmp_path, text):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "labels.csv", text)
    with pytest.raises(CatalogError) as caught:
        read_catalog(f"folder:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_damaged_image_is_an_image_error_when_loaded(tmp_path):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "2.png", png(1)[:40])
    put(tmp_path / "3.png", b"")
    catalog = read_catalog(f"folder:{tmp_path}")
    assert value_of(catalog, 0) == 1
    for i in (1, 2):
        with pytest.raises(ImageError):
            catalog.load_image(i)


def test_images_are_not_opened_before_they_are_asked_for(tmp_path, monkeypatch):
    for k in range(3):
        put(tmp_path / f"{k}.png", png(k))
    opened = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or real(path))
    catalog = read_catalog(f"folder:{tmp_path}")
    assert opened == []
    catalog.load_image(1)
    assert opened == ["1.png"]


def test_list_images_is_sorted_and_does_not_stat(tmp_path, monkeypatch):
    for name in ["b/2.jpg", "b/1.jpg", "a.jpg"]:
        put(tmp_path / name, b"")
    monkeypatch.setattr(Path, "stat", lambda *_, **__: pytest.fail("stat per file"))
    assert list_images(tmp_path) == ["a.jpg", "b/1.jpg", "b/2.jpg"]


def test_loaders_pickle(tmp_path):
    put(tmp_path / "1.png", png(5))
    loader = pickle.loads(pickle.dumps(read_catalog(f"folder:{tmp_path}").load_image))
    assert round(float(loader(0).mean()) * 255) == 5


# ---- kaggle


def test_kaggle(tmp_path):
    put(tmp_path / "images_training_rev1/100008.jpg", png(8))
    put(tmp_path / "images_training_rev1/100023.jpg", png(23))
    put(tmp_path / "images_test_rev1/100018.jpg", png(18))
    put(
        tmp_path / "training_solutions_rev1.csv",
        "GalaxyID,Class1.1,Class1.2,Class11.6\n100023,0.25,0.5,1.5\n100008,0.5,junk,0\n555,1,1,1\n",
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


def test_damaged_parquet_is_one_sentence(shards):
    path = shards / "data/test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CatalogError, match="fetch them again"):
        read_catalog(f"galaxy-zoo:{shards}")


# ---- fits-stamps


def write_stamps(path: Path, n: int, primary: bool = False) -> None:
    hdus = [fits.PrimaryHDU(np.full((4, 4), 100.0) if primary else None)]
    for k in range(n):
        pixels = np.full((5 + k, 7), float(k), dtype=np.float64)
        kind = fits.CompImageHDU if k == 1 else fits.ImageHDU
        hdus.append(kind(pixels, name=f"STAMP{k}"))
    hdus.insert(2, fits.BinTableHDU.from_columns([fits.Column("x", "E", array=[1.0])]))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(hdus).writeto(path)


def test_fits_extensions_with_catalog(tmp_path):
    write_stamps(tmp_path / "stamps.fits", 3)  # extensions 1, 3 (compressed) and 4; 2 is a table
    put(
        tmp_path / "catalog.csv",
        "IDENT,hdu,ra,dec,pixel_scale_arcsec\n14,4,150,2,0.03\n11,1,150,2,0.03\n12,2,150,2,0.03\n13,3,150,2,0.03\n",
    )
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert counts(catalog) == (1, 0, 0, 0)
    assert catalog.galaxy_ids.tolist() == ["14", "11", "13"]
    assert [catalog.load_image(i).shape for i in range(3)] == [(1, 7, 7), (1, 5, 7), (1, 6, 7)]
    assert [float(catalog.load_image(i).mean()) for i in range(3)] == [2.0, 0.0, 1.0]
    assert catalog.linear
    assert catalog.pixel_scale_arcsec == 0.03
    assert pickle.loads(pickle.dumps(catalog.load_image))(0).mean() == 2.0


def test_fits_extensions_without_catalog_or_without_hdu_column(tmp_path):
    write_stamps(tmp_path / "any.fits", 2, primary=True)
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["any.fits[0]", "STAMP0", "STAMP1"]
    assert [float(catalog.load_image(i).mean()) for i in range(3)] == [100.0, 0.0, 1.0]
    put(tmp_path / "catalog.csv", "id,mag\nSTAMP1,20\nSTAMP9,21\n")  # by name
    assert counts(read_catalog(f"fits-stamps:{tmp_path}")) == (1, 2, 0, 0)
    put(tmp_path / "catalog.csv", "id,mag\nx,20\ny,21\nz,22\n")  # by order
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert [float(catalog.load_image(i).mean()) for i in range(3)] == [100.0, 0.0, 1.0]
    put(tmp_path / "catalog.csv", "id,mag\nx,20\ny,21\n")
    with pytest.raises(CatalogError, match="2 rows for 3 stamps and no hdu column"):
        read_catalog(f"fits-stamps:{tmp_path}")


@pytest.mark.parametrize(
    "table", [None, "file,z\nb.fits,0.2\na.fits.gz,0.1\nc.fits,0.3\n", "id,z\nb,0.2\na,0.1\nc,0.3\n"]
)
def test_one_fits_file_per_stamp(tmp_path, table):
    fits.PrimaryHDU(np.full((3, 4), 1.0)).writeto(tmp_path / "a.fits.gz")
    fits.PrimaryHDU(np.full((2, 5, 6), 2.0)).writeto(tmp_path / "b.fits")
    if table:
        put(tmp_path / "catalog.csv", table)
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    means = {galaxy: float(catalog.load_image(i).mean()) for i, galaxy in enumerate(catalog.galaxy_ids)}
    assert means == {"a": 1.0, "b": 2.0}
    assert counts(catalog) == ((1 if table else 0), 0, 0, 0)


def test_several_stamp_files_need_a_file_column(tmp_path):
    write_stamps(tmp_path / "one.fits", 2)
    write_stamps(tmp_path / "two.fits", 2)
    put(tmp_path / "catalog.csv", "id,hdu\na,1\n")
    with pytest.raises(CatalogError, match="file column"):
        read_catalog(f"fits-stamps:{tmp_path}")
    put(tmp_path / "catalog.csv", "ident,gal_filename,gal_hdu\na,two.fits,3\nb,one.fits,1\nc,one.fits,7\nd,,1\n")
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert [float(catalog.load_image(i).mean()) for i in range(2)] == [1.0, 0.0]
    assert counts(catalog) == (2, 2, 0, 0)


def test_truncated_and_gzipped_stamp_files(tmp_path):
    write_stamps(tmp_path / "stamps.fits", 3)
    whole = (tmp_path / "stamps.fits").read_bytes()
    (tmp_path / "stamps.fits").write_bytes(whole[:-4000])
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert float(catalog.load_image(0).mean()) == 0.0
    (tmp_path / "stamps.fits").write_bytes(b"no FITS at all" * 500)
    with pytest.raises(CatalogError, match="as FITS"):
        read_catalog(f"fits-stamps:{tmp_path}")
    (tmp_path / "stamps.fits").rename(tmp_path / "stamps.fits.gz")
    with pytest.raises(CatalogError, match="gunzip"):
        read_catalog(f"fits-stamps:{tmp_path}")


# ---- the real data

REAL = {
    "kaggle:kaggle_gz": (700, (3, 424, 424)),
    "gz2:gz2": (700, (3, 224, 224)),
    "folder:gz_clean5": (26_093, (3, 128, 128)),
    "folder:star_galaxy": (3_080, (3, 64, 64)),
    "folder:gz_examples": (658, (3, 212, 212)),
    "fits-stamps:hst_cosmos": (60, (1, 92, 92)),
}


@pytest.mark.parametrize("spec", REAL)
def test_real_catalogs(spec):
    layout, _, folder = spec.partition(":")
    n_galaxies, shape = REAL[spec]
    catalog = read_catalog(f"{layout}:{needs(folder)}")
    assert len(catalog) == n_galaxies
    assert counts(catalog)[0] == counts(catalog)[1] == 0
    assert catalog.load_image(0).shape == shape
    for i in np.random.default_rng(3).integers(n_galaxies, size=3):
        assert np.isfinite(catalog.load_image(int(i))).any()


def test_real_kaggle_fractions_are_cumulative():
    table = read_catalog(f"kaggle:{needs('kaggle_gz')}").table
    np.testing.assert_allclose(table["Class2.1"] + table["Class2.2"], table["Class1.2"], atol=1e-4)


def test_real_classes_and_frames():
    classes = read_catalog(f"folder:{needs('gz_clean5')}").table["class"].value_counts().to_dict()
    assert classes == {
        "round_smooth": 7743,
        "in_between_smooth": 7389,
        "spiral": 7135,
        "edge_on": 3365,
        "cigar_smooth": 461,
    }
    stars = read_catalog(f"folder:{needs('star_galaxy')}")
    assert len(set(stars.split_keys)) == 23


def test_real_hst_stamps_are_the_extensions_astropy_reads():
    folder = needs("hst_cosmos")
    catalog = read_catalog(f"fits-stamps:{folder}")
    with fits.open(folder / "stamps.fits") as hdus:
        for i in (0, 17, 59):
            expected = hdus[int(catalog.table["hdu"][i])].data.astype(np.float32)
            np.testing.assert_array_equal(catalog.load_image(i)[0], expected)
            assert hdus[int(catalog.table["hdu"][i])].name == f"STAMP{catalog.galaxy_ids[i]}"
