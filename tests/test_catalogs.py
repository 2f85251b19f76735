"""Naming a catalog, and the reader of a folder of images, on tiny and on messy ones."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.catalogs import LAYOUTS, read_catalog
from galaxy_core.catalogs.answers import read_answers
from galaxy_core.catalogs.image_files import list_images
from galaxy_core.column_notes import notes_of
from galaxy_core.errors import CatalogError, ImageError
from tests.catalog_files import OBJID, counts, png, put, value_of

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


def test_folders_in_any_encoding_are_classes_and_a_catalog_in_one_is_refused(tmp_path):
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        put(strange / "a.png", png(1))
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    put(tmp_path / "bar/b.png", png(2))
    assert set(read_catalog(f"folder:{tmp_path}").table["class"]) == {r"caf\xe9", "bar"}
    with pytest.raises(CatalogError, match=r"caf\\udce9' is no UTF-8; rename"):
        read_catalog(f"folder:{strange}")


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
        "1 line of labels.csv has too many fields",
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


def test_old_windows_labels_and_symlinks(tmp_path):
    target = put(tmp_path / "elsewhere/x.png", png(9))
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "x.png").symlink_to(target)
    (folder / "loop").symlink_to(folder)
    (folder / "itself").symlink_to("itself")
    (folder / "labels.csv").write_bytes("id;“Größe”;note\n;arcsec;\nx;2,5;“étoile” – Š €\n".encode("cp1252"))
    catalog = read_catalog(f"folder:{folder}")
    assert value_of(catalog, 0) == 9
    assert catalog.table[["“Größe”", "note"]].to_numpy().tolist() == [[2.5, "“étoile” – Š €"]]
    assert notes_of(catalog.table)["“Größe”"] == {"unit": "arcsec"}
    assert catalog.report.notes == ("labels.csv is not UTF-8 and was read as Windows-1252",)


def test_files_of_images_that_are_not_read_are_counted(tmp_path):
    for name in ("g.gif", "a/h.GIF", "more.tar.gz", "README.md", ".hidden.gif"):
        put(tmp_path / name, "no image")
    said = "3 files of other kinds were not read (2 .gif, 1 .gz); unpack archives, and save other images as PNG"
    for layout in ("folder", "fits-stamps"):
        with pytest.raises(CatalogError) as caught:
            read_catalog(f"{layout}:{tmp_path}")
        assert said in str(caught.value)
    put(tmp_path / "1.png", png(1))
    assert read_catalog(f"folder:{tmp_path}").report.notes[0].startswith(said)
    put(tmp_path / "labels.csv", "id\n1\n")
    assert read_catalog(f"folder:{tmp_path}").report.notes[0].startswith(said)


@pytest.mark.parametrize("text", ["", "\n", "colour,shape\nred,round\n", "id,label\n7,x\n", 'id,label\n"1,x\n'])
def test_unusable_labels_are_one_sentence(tmp_path, text):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "labels.csv", text)
    with pytest.raises(CatalogError) as caught:
        read_catalog(f"folder:{tmp_path}")
    assert "\n" not in str(caught.value)
    if "7,x" in text:
        assert str(caught.value).endswith("call each image like the id of its row, or name it in a column called file.")


def test_columns_that_differ_in_case_alone_are_all_kept(tmp_path):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "labels.csv", "ID,id,class,Class,RA,ra,split,release_split\n0,1,a,b,1,2,mine,theirs\n")
    table = read_catalog(f"folder:{tmp_path}").table
    assert table.columns.is_unique
    said = table[["galaxy_id", "ra_deg", "class", "Class", "RA", "split", "release_split"]]
    assert said.iloc[0].tolist() == ["1", 2.0, "a", "b", 1, "mine", "theirs"]


def test_names_of_columns_are_read_without_their_spaces(tmp_path):
    put(tmp_path / f"{OBJID}.png", png(1))
    put(tmp_path / "labels.csv", f" objid , class ,class\n{OBJID}, a,b\n,,\n")
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == [OBJID]  # as text, or its last digits were lost
    assert catalog.table["class"].tolist() == ["b"] and catalog.table.columns.is_unique


def test_a_comma_at_the_end_of_lines_shifts_no_column(tmp_path):
    for k in (1, 2):
        put(tmp_path / f"{k}.png", png(k))
    put(tmp_path / "labels.csv", "id,class\n1,spiral,\n2,smooth,\n3,a,b,c\n")
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.table[["galaxy_id", "class"]].to_numpy().tolist() == [["1", "spiral"], ["2", "smooth"]]
    assert catalog.report.notes == ("1 line of labels.csv has too many fields and was left out",)


def test_lines_with_too_many_fields_are_counted_once_in_old_windows_labels(tmp_path):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "labels.csv", "id,note\n1,étoile\n2,a,b\n".encode("latin-1"))
    notes = read_catalog(f"folder:{tmp_path}").report.notes
    assert notes[1:] == ("1 line of labels.csv has too many fields and was left out",) and "Windows" in notes[0]


def test_fields_without_a_name_are_not_cut_off_in_silence(tmp_path, recwarn):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "labels.csv", "id,class\nrow 1,1,spiral\n")
    with pytest.raises(CatalogError, match=r"more fields than its first line has names; name every column"):
        read_catalog(f"folder:{tmp_path}")
    assert not recwarn


@pytest.mark.parametrize(
    "text", [" file , survey,question , answer\n 1.png,s,q,None\n", "file,survey,question,answer\n1.png,s,q,None,\n"]
)
def test_answers_are_found_in_padded_columns_and_before_a_last_comma(tmp_path, recwarn, text):
    put(tmp_path / "1.png", png(1))
    put(tmp_path / "labels.csv", text)
    answers = read_answers(read_catalog(f"folder:{tmp_path}"))
    assert answers.to_dict("list") == {"row": [0], "survey": ["s"], "question": ["q"], "answer": ["None"]}
    assert not recwarn


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
