"""A table read column by column answers what the whole table answers, and keeps no more than it should."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxy_core import artifacts
from galaxy_core.artifacts import Ids, RowOf, columns, open_columns
from galaxy_core.errors import ArtifactError
from pages.views import card, readers, region, search, tagged
from pages.views.colouring import colour_by, colour_choices, shows_numbers
from pages.views.selection_gallery import order_choices, values_of
from tests.conftest import make_catalog

N = 90


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A catalog whose tables are in groups of 16 rows, with a column of texts and one without any value."""
    manifest = make_catalog(tmp_path)
    folder = artifacts.catalog_folder(tmp_path, manifest.name)
    catalog = artifacts.read_table(tmp_path, manifest.name, "catalog")
    catalog["survey"] = [("deep", "wide", None)[i % 3] for i in range(N)]
    catalog["empty"] = np.full(N, np.nan)
    catalog["seen"] = np.arange(N) % 3 == 0
    artifacts.write_table(tmp_path, manifest.name, "catalog", catalog)
    for path in folder.rglob("*.parquet"):
        if path.parent.name != "thumbnails":
            pq.write_table(pq.read_table(path), path, row_group_size=16)
    artifacts.write_manifest(tmp_path, manifest.name, manifest)
    return tmp_path


def both(root, monkeypatch) -> tuple[readers.Galaxies, readers.Galaxies]:
    """The same catalog as tables, and column by column."""
    readers._open_catalog.clear()
    small = readers.open_catalog(root, "tiny")
    readers._open_catalog.clear()
    monkeypatch.setattr(readers, "MANY", 5)
    many = readers.open_catalog(root, "tiny")
    assert many.are_many and not small.are_many and len(many) == len(small) == N
    return small, many


def test_columns_and_rows_are_those_of_the_whole_table(root, monkeypatch):
    small, many = both(root, monkeypatch)
    for name in ("catalog", "projections", "clusters", "anomalies"):
        whole, table = getattr(small, name), getattr(many, name)
        assert list(table) == list(whole) and list(table.columns) == list(whole.columns)
        assert "galaxy_id" in table and "nothing" not in table
        for column in whole.columns:
            same = table[column].astype(object).where(table[column].notna(), None)
            assert same.tolist() == whole[column].astype(object).where(whole[column].notna(), None).tolist()
        rows = np.array([89, 3, 3, 16, 15, 0])
        for some in (rows, [4], np.arange(N) % 7 == 0, np.zeros(0, np.int64)):
            expected = whole.iloc[some]
            pd.testing.assert_frame_equal(table.iloc[some], expected, check_index_type=False, check_dtype=False)
        pd.testing.assert_series_equal(table.iloc[17], whole.iloc[17], check_names=False)
        pd.testing.assert_series_equal(table.iloc[np.int32(17)], whole.iloc[17], check_names=False)
    with pytest.raises(KeyError):
        many.catalog["nothing"]


def test_what_a_map_can_be_coloured_by_is_the_same(root, monkeypatch):
    small, many = both(root, monkeypatch)
    choices = colour_choices(small)
    assert colour_choices(many) == choices and "survey" in choices and "empty" not in choices
    assert order_choices(many) == order_choices(small)
    for key in choices:
        one, other = colour_by(small, key), colour_by(many, key)
        assert shows_numbers(many, key) == shows_numbers(small, key) == (one.values is not None), key
        for field in ("codes", "values"):
            a, b = getattr(one, field), getattr(other, field)
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_array_equal(a, b)
        assert one.names == other.names
    assert sum(name[0] == "colouring" for name in many.memory) <= 4  # of every column there is


def test_vectors_of_some_galaxies_without_the_others(root, monkeypatch):
    vectors = artifacts.read_embedding(root, "tiny", "toy")[1]
    for part in range(3):  # in three files
        ids = artifacts.read_table(root, "tiny", "catalog")["galaxy_id"]
        here = slice(30 * part, 30 * part + 30)
        artifacts.write_embedding(root, "tiny", "toy", ids[here], vectors[here], part)
    artifacts.write_manifest(root, "tiny", artifacts.read_manifest(root, "tiny"))
    small, many = both(root, monkeypatch)
    expected = values_of(small, np.arange(10, 80), "typical")
    readers._embedding.clear()
    monkeypatch.setattr(readers, "EMBEDDING_BYTES", 1)
    monkeypatch.setattr(artifacts, "read_embedding", None)
    stored = readers.vectors(many)
    for rows in (np.array([89, 3, 3, 30, 29]), np.array([60]), np.arange(90)[::-1]):
        assert np.array_equal(stored[rows], vectors[rows]) and stored[rows].dtype == np.float32
    assert len(stored) == N and np.array_equal(values_of(many, np.arange(10, 80), "typical"), expected)
    (root / "tiny" / artifacts.embedding_file("toy", 1)).unlink()
    assert stored[np.array([0, 89])].shape == (2, 8)
    with pytest.raises(ArtifactError, match=r"part-00001\.parquet is missing"):
        stored[np.array([30])]


def test_names_and_rows(root, monkeypatch):
    small, many = both(root, monkeypatch)
    assert isinstance(many.ids, Ids) and isinstance(many.row_of, RowOf)
    assert [many.ids[row] for row in (0, 15, 16, 89)] == [small.ids[row] for row in (0, 15, 16, 89)]
    assert list(many.ids) == small.ids.tolist() and len(many.ids) == N
    mask = np.arange(N) % 9 == 4
    assert many.ids[mask].tolist() == small.ids[mask].tolist()
    with pytest.raises(IndexError):
        many.ids[N]
    wanted = [small.ids[5], "nobody", small.ids[88], small.ids[5], "ünknown"]
    assert readers.rows_of(many, wanted) == readers.rows_of(small, wanted)
    assert many.row_of[small.ids[41]] == 41 and many.row_of.get("nobody") is None and "nobody" not in many.row_of
    with pytest.raises(KeyError):
        many.row_of["nobody"]
    for text in (small.ids[7], small.ids[7][:3].upper(), "", "zzz"):
        np.testing.assert_array_equal(search.find_ids(many, text), search.find_ids(small, text))
    assert tagged.tag_names(many) == []


def test_only_groups_that_can_hold_a_name_are_read(tmp_path):
    names = [f"g{i:03}" for i in range(64)]
    pq.write_table(pa.table({"galaxy_id": names}), tmp_path / "ids.parquet", row_group_size=8)
    file = pq.ParquetFile(tmp_path / "ids.parquet")
    table, read = columns.ColumnTable(file, ("galaxy_id",), np.arange(8, 65, 8), "broken"), []

    class Counting(columns.ColumnTable):
        def read(self, groups, names):
            read.append(groups)
            return super().read(groups, names)

    counting = Counting(table.file, table.names, table.ends, table.broken)
    assert RowOf(counting).find(["g017", "g018", "g060"]) == {"g017": 17, "g018": 18, "g060": 60}
    assert read == [[2], [7]]
    row_of = RowOf(counting)
    row_of.remember("g001", 1)
    assert row_of["g001"] == 1 and read == [[2], [7]]  # the row that was clicked is not looked up

    class Emptied(dict):
        def update(self, found):  # another visitor's search has filled it up meanwhile
            super().update(found)
            self.clear()

    assert RowOf(counting, Emptied(g002=2)).find(["g002", "g017", "gone"]) == {"g002": 2, "g017": 17}


def test_neighbours_of_one_galaxy(root, monkeypatch):
    small, many = both(root, monkeypatch)
    for row in (0, 15, 16, 89):
        for one, other in zip(readers.neighbors_of(small, row), readers.neighbors_of(many, row), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_is_kept_is_bounded(root, monkeypatch):
    _, many = both(root, monkeypatch)
    monkeypatch.setattr(columns, "KEPT_BYTES", 1_000)
    for _ in range(2):
        for column in many.projections:
            assert len(many.projections[column]) == N
        for row in range(N):
            many.projections.iloc[row]
    assert sum(map(columns._bytes_of, many.projections.kept.values())) < 5_000


def test_a_file_that_is_cut_short_or_of_others_is_named(root):
    manifest = artifacts.read_manifest(root, "tiny")
    path = artifacts.catalog_folder(root, "tiny") / "clusters.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(ArtifactError, match=r"clusters\.parquet is corrupt"):
        open_columns(root, manifest, "clusters")
    path.unlink()
    with pytest.raises(ArtifactError, match=r"clusters\.parquet is missing"):
        open_columns(root, manifest, "clusters")
    path.write_bytes(whole[:200] + bytes(300) + whole[500:])
    table = open_columns(root, manifest, "clusters")
    with pytest.raises(ArtifactError, match="cannot be decoded"):
        for column in table:
            table[column]


@pytest.mark.parametrize("page", [None, "pages/1_Galaxy_map.py", "pages/2_Clusters.py"])
def test_pages_of_very_many_galaxies_say_what_those_of_few_say(open_app, root, monkeypatch, page):
    galaxy = artifacts.read_table(root, "tiny", "catalog")["galaxy_id"][41]
    shown = []
    for many in (200_000, 5):
        readers._open_catalog.clear()
        monkeypatch.setattr(readers, "MANY", many)
        app = open_app(root, page, galaxy=galaxy)
        assert not app.exception and not app.error
        assert readers.open_catalog(root, "tiny").are_many == (many == 5)
        shown.append([str(e.value) for kind in (app.markdown, app.caption, app.metric) for e in kind])
    assert shown[0] == shown[1]
    readers._open_catalog.clear()


def test_a_lasso_and_its_export_are_the_same(root, monkeypatch):
    small, many = both(root, monkeypatch)
    rows = np.array([3, 17, 40, 89])
    x, y = small.coordinates("umap")
    np.testing.assert_array_equal(np.stack(many.coordinates("umap")), np.stack([x, y]))
    assert many.extent("umap") == small.extent("umap") and many.n_on_map("umap") == small.n_on_map("umap")
    one, other = (region.export_of(galaxies, rows, "a lasso", "csv").splitlines() for galaxies in (small, many))
    one, other = ([line for line in lines if not line.startswith(b"#")] for lines in (one, other))  # when, and by what
    assert one == other and len(one) == 5
    for row in rows:
        assert card.main_facts(many, int(row)) == card.main_facts(small, int(row))
        assert card.other_facts(many, int(row)) == card.other_facts(small, int(row))
