"""What maps of very many galaxies are drawn from: whole, fair, sorted in space, and never that of other tables."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxy_core import artifacts, layer_steps, map_layers
from galaxy_core.artifacts import layer_files, layers, open_layers
from galaxy_core.artifacts.column_checks import check_columns
from galaxy_core.errors import ArtifactError
from galaxy_core.layer_steps import write_layers
from galaxy_core.map_layers import Extent
from galaxy_core.pipeline import add_clusterings, rerun_steps
from tests.conftest import make_catalog
from tests.pipeline_child import run
from tests.pipeline_runs import write_images

N = 90
KMEANS_4 = {"kmeans_4": {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 4, "n_init": 2}}}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Limits at which 90 galaxies are very many."""
    monkeypatch.setattr(map_layers, "MAX_POINTS", 30)
    monkeypatch.setattr(map_layers, "SAMPLE_SIZE", 40)
    monkeypatch.setattr(layer_steps, "GRIDS", (4, 8, 16))
    monkeypatch.setattr(layers, "ROW_GROUPS", {"points": 8, "density": 20, "sample": 100})


@pytest.fixture
def root(tmp_path):
    """A catalog with its layers; three galaxies are not on the map, one has no class."""
    manifest = make_catalog(tmp_path)
    projections = artifacts.read_table(tmp_path, "tiny", "projections")
    projections.loc[[4, 5, 70], ["umap_x", "umap_y"]] = [[np.nan, 1], [2, np.inf], [np.nan, np.nan]]
    artifacts.write_table(tmp_path, "tiny", "projections", projections)
    catalog = artifacts.read_table(tmp_path, "tiny", "catalog")
    catalog["class"] = [None if i == 7 else ("edge_on", "spiral")[i % 3 == 0] for i in range(N)]
    catalog.loc[33, "class"] = "merger"
    artifacts.write_table(tmp_path, "tiny", "catalog", catalog)
    write_layers(tmp_path, "tiny")
    artifacts.write_manifest(tmp_path, "tiny", manifest)
    return tmp_path


def opened(root, projection="umap", name="tiny") -> layers.Layers | None:
    return open_layers(root, artifacts.read_manifest(root, name), projection)


def coordinates(root, projection="umap") -> tuple[np.ndarray, np.ndarray]:
    table = artifacts.read_table(root, "tiny", "projections")
    return table[f"{projection}_x"].to_numpy(), table[f"{projection}_y"].to_numpy()


def test_every_galaxy_on_the_map_is_there_once_and_neighbours_are_together(root):
    found, (x, y) = opened(root), coordinates(root)
    rows, px, py = found.around(Extent(-1e9, 1e9, -1e9, 1e9))
    assert sorted(rows) == [row for row in range(N) if row not in (4, 5, 70)] and found.n_on_map == N - 3
    assert np.array_equal(px, x[rows]) and np.array_equal(py, y[rows])
    assert found.extent == map_layers.extent_of(x, y) and artifacts.verify(root, "tiny") == []
    sides = [map_layers.quantise(v, *ends) for v, ends in ((px, (found.extent.x0, found.extent.x1)),)]
    sides.append(map_layers.quantise(py, found.extent.y0, found.extent.y1))
    codes = [
        sum(((int(a) >> k & 1) << 2 * k) | ((int(b) >> k & 1) << 2 * k + 1) for k in range(16))
        for a, b in zip(*sides, strict=True)
    ]
    assert codes == sorted(codes)


def test_a_part_reads_the_groups_it_touches_and_misses_nobody(root, monkeypatch):
    found, (x, y) = opened(root), coordinates(root)
    read = []
    whole = layers.ColumnTable.read
    monkeypatch.setattr(layers.ColumnTable, "read", lambda t, g, names: (read.append(g), whole(t, g, names))[1])
    rng = np.random.default_rng(0)
    for _ in range(30):
        low, size = rng.uniform(-8, 6, 2), rng.uniform(0.2, 4, 2)
        part = Extent(low[0], low[0] + size[0], low[1], low[1] + size[1])
        rows, px, py = found.around(part)
        inside = np.flatnonzero(part.contains(x, y))
        assert set(inside) <= set(rows) and found.least_within(part) <= len(inside)
        assert sorted(rows[part.contains(px, py)]) == inside.tolist()
        for number, (x0, x1, y0, y1) in enumerate(found.bounds):
            assert (number in read[-1]) == (x1 >= low[0] and x0 <= part.x1 and y1 >= low[1] and y0 <= part.y1)
    assert min(map(len, read)) < len(found.bounds) == 11
    assert len(found.around(Extent(50, 60, 50, 60))[0]) == 0


def test_grids_hold_what_a_loop_counts(root):
    found, (x, y) = opened(root), coordinates(root)
    known = np.isfinite(x) & np.isfinite(y)
    for bins in (4, 8, 16):
        counts, covered = found.counts(found.extent, bins)
        assert covered == found.extent and counts.shape == (bins, bins)
        assert np.array_equal(counts, map_layers.count_in_bins(x[known], y[known], found.extent, bins))
    part = Extent(-2.0, 1.0, 3.5, 5.5)
    counts, covered = found.counts(part, 16)
    inside = (x >= covered.x0) & (x < covered.x1) & (y >= covered.y0) & (y < covered.y1)
    assert counts.sum() == inside.sum() > 0
    assert covered.x0 <= part.x0 and covered.x1 >= part.x1 and covered.y0 <= part.y0 and covered.y1 >= part.y1
    assert covered.x1 - covered.x0 < part.x1 - part.x0 + 2 * (found.extent.x1 - found.extent.x0) / 16
    far = found.counts(Extent(90, 91, 90, 91), 16)[0]
    assert far.shape == (1, 1)


def test_the_finest_grid_is_taken_that_fits_the_screen(root):
    found, whole = opened(root), opened(root).extent
    half = Extent(whole.x0, (whole.x0 + whole.x1) / 2, whole.y0, (whole.y0 + whole.y1) / 2)
    assert [found.grid_of(whole, most) for most in (16, 15, 4, 1)] == [16, 8, 4, 4]
    assert [found.grid_of(half, most) for most in (8, 7, 4)] == [16, 8, 8]


def test_the_sample_has_some_of_every_group_of_every_grouping(root):
    found, (x, _y) = opened(root), coordinates(root)
    rows = found.sample["row"]
    assert len(rows) == len(set(rows)) == 40 and np.array_equal(found.sample["x"], x[rows])
    assert set(found.groups) == {"class", "split", "hdbscan_label", "kmeans_8_label"}
    tables = {table: artifacts.read_table(root, "tiny", table) for table in ("catalog", "clusters")}
    for key, known in found.groups.items():
        column = tables["clusters" if key.endswith("_label") else "catalog"][key].to_numpy()
        on_map = np.delete(column, [4, 5, 70])
        for number, value in enumerate(known["values"]):
            assert known["counts"][number] == (column == value).sum()
            assert known["on_map"][number] == (on_map == value).sum()
            assert np.array_equal(found.sample[key] == number, column[rows] == value)
            assert (found.sample[key] == number).any(), (key, value)
        assert known["without"] == len(on_map) - sum(known["on_map"])
    assert found.groups["class"]["values"] == ["edge_on", "spiral", "merger"]
    assert found.groups["hdbscan_label"]["values"] == [0, 1, 2] and found.groups["hdbscan_label"]["without"] > 0


def test_a_column_with_too_many_texts_is_no_grouping(root, monkeypatch):
    monkeypatch.setattr(layer_steps, "MOST_GROUPS", 2)
    assert set(layer_steps.read_groupings(root / "tiny")) == set()  # three classes, three splits, three clusters, more
    monkeypatch.setattr(layer_steps, "MOST_GROUPS", 3)
    assert set(layer_steps.read_groupings(root / "tiny")) == {"class", "split", "hdbscan_label"}


@pytest.mark.parametrize("table", ["catalog", "projections", "clusters"])
def test_layers_of_another_table_are_not_used(root, table):
    frame = artifacts.read_table(root, "tiny", table)
    artifacts.write_table(root, "tiny", table, frame.iloc[::-1])
    artifacts.write_manifest(root, "tiny", artifacts.read_manifest(root, "tiny"))
    assert opened(root) is None
    write_layers(root, "tiny")
    artifacts.write_manifest(root, "tiny", artifacts.read_manifest(root, "tiny"))
    assert opened(root) is not None


HARMS = [(part, harm) for part in layer_files.PARTS for harm in ("missing", "unlisted", "cut short", "no Parquet")]
HARMS += [(layer_files.SAMPLE, "of another version"), (layer_files.POINTS, "of another number")]


@pytest.mark.parametrize(("part", "harm"), HARMS)
def test_layers_that_cannot_be_read_are_none(root, part, harm):
    path = root / "tiny" / layers.layer_file("umap", part)
    manifest = artifacts.read_manifest(root, "tiny")
    if harm == "missing":
        path.unlink()
    elif harm == "unlisted":
        manifest.files.pop(layers.layer_file("umap", part))
    elif harm == "cut short":
        path.write_bytes(path.read_bytes()[:-20])
    elif harm == "no Parquet":
        path.write_bytes(bytes(path.stat().st_size))
    else:
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({layers.METADATA: b'{"version": 99}'}).slice(1), path)
        manifest = artifacts.write_manifest(root, "tiny", manifest)
    assert open_layers(root, manifest, "umap") is None and open_layers(root, manifest, "pca") is not None
    assert open_layers(root, manifest, "tsne") is None


def test_schemas_of_layers():
    for part, types in layer_files.TYPES.items():
        schema = pa.schema(list(types.items()))
        assert check_columns(f"layers/umap/{part}.parquet", schema) == ""
        more = schema.append(pa.field("class", pa.int32()))
        assert (check_columns(f"layers/umap/{part}.parquet", more) == "") == (part == "sample")
        for wrong in (schema.remove(0), more.append(more.field(3)), more.append(pa.field("z", pa.string()))):
            assert check_columns(f"layers/umap/{part}.parquet", wrong)
    assert check_columns("layers/umap/other.parquet", schema) and check_columns("layers/points.parquet", schema)
    with pytest.raises(ArtifactError, match="cannot name a map"):
        layers.layer_file("../umap", "points")


@pytest.mark.parametrize("places", ["nowhere", "one", "all in one place"])
def test_maps_of_nobody_of_one_and_of_one_place(tmp_path, places):
    manifest = make_catalog(tmp_path, n=12)
    projections = artifacts.read_table(tmp_path, "tiny", "projections")
    projections[["umap_x", "umap_y"]] = np.float32(2 if places == "all in one place" else np.nan)
    if places == "one":
        projections.loc[3, ["umap_x", "umap_y"]] = [5, 6]
    artifacts.write_table(tmp_path, "tiny", "projections", projections)
    write_layers(tmp_path, "tiny")
    artifacts.write_manifest(tmp_path, "tiny", manifest)
    found, n = opened(tmp_path), {"nowhere": 0, "one": 1, "all in one place": 12}[places]
    assert found.n_on_map == n == len(found.sample["row"]) == len(found.around(found.extent)[0])
    assert found.counts(found.extent, 4)[0].sum() == n == found.least_within(found.extent)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("catalog"))


def test_the_pipeline_makes_them_above_the_limit_and_again_when_a_table_changes(images, tmp_path, monkeypatch):
    def stamps() -> dict:
        manifest = artifacts.read_manifest(tmp_path, "sample")
        return {path: entry["sha256"] for path, entry in manifest.files.items() if path.startswith("layers/")}

    with monkeypatch.context() as patch:
        patch.setattr(map_layers, "MAX_POINTS", 100)
        assert "layers" not in [step.name for step in run(images, tmp_path).steps] and stamps() == {}
    made = rerun_steps(tmp_path, "sample", lambda config: config)  # a catalog made before there were any
    assert [step.name for step in made.steps if not step.reused] == ["layers"] and not made.unchanged
    first = stamps()
    assert len(first) == 6 and artifacts.verify(tmp_path, "sample") == []
    assert opened(tmp_path, "lda", "sample").n_on_map == 38
    again = run(images, tmp_path)
    assert again.unchanged and all(step.reused for step in again.steps) and stamps() == first
    add_clusterings(tmp_path, "sample", KMEANS_4)
    assert "kmeans_4_label" in opened(tmp_path, "pca", "sample").groups
    assert stamps()["layers/pca/points.parquet"] == first["layers/pca/points.parquet"]
    before = stamps()
    rerun_steps(tmp_path, "sample", lambda config: replace(config, projections={"pca": {"method": "pca"}}))
    assert sorted(stamps()) == sorted(path for path in before if "pca" in path)
    assert sorted(path.name for path in (tmp_path / "sample" / "layers").iterdir()) == ["pca"]


def test_layers_in_a_store_are_fetched_and_compared(store, root, tmp_path):
    address = store.put(root / "tiny", "layers/tiny").rpartition("/")[0]
    there = artifacts.root_of(address)
    found, here = opened(there), opened(root)
    part = Extent(-2.0, 1.0, 3.5, 5.5)
    assert all(np.array_equal(a, b) for a, b in zip(found.around(part), here.around(part), strict=True))
    assert found.groups == here.groups and artifacts.verify(there, "tiny") == []
    shutil.rmtree(there / "tiny" / "layers")
    key = "layers/tiny/" + layers.layer_file("umap", "points")
    data = store.client.get_object(Bucket=store.bucket, Key=key)["Body"].read()
    store.client.put_object(Bucket=store.bucket, Key=key, Body=data[:-300] + bytes(300))
    assert opened(there) is None and opened(there, "pca") is not None


def test_what_is_said_of_the_whole_is_plain(root):
    about = json.loads(pq.read_schema(root / "tiny" / layers.layer_file("pca", "sample")).metadata[layers.METADATA])
    manifest = artifacts.read_manifest(root, "tiny")
    assert about["made_of"] == {f"{t}.parquet": manifest.files[f"{t}.parquet"]["sha256"] for t in layers.MADE_OF}
    assert about["n_on_map"] == N and about["grids"] == [4, 8, 16] and about["version"] == layers.VERSION
