"""Artifacts: what is written comes back; what is damaged is named with the command that mends it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxy_core import artifacts
from galaxy_core.artifacts.files import atomic_path
from galaxy_core.artifacts.staging import open_staging, publish
from galaxy_core.errors import ArtifactError

MODEL = "toy"
FILES = (
    "catalog.parquet",
    "projections.parquet",
    "clusters.parquet",
    "anomalies.parquet",
    "embedding/toy/part-00001.parquet",
    "thumbnails/part-00000.parquet",
    "neighbors/toy.parquet",
    "spaces/umap_10.parquet",
)


def write_all(root: Path, name: str = "sample", n: int = 150, parts: int = 2) -> artifacts.Manifest:
    """A catalog of every kind of file, with ids that are not ASCII and answers that are not there."""
    rng = np.random.default_rng(n)
    ids = [f"gálaxia-{i}-銀河" for i in range(n)]
    table = pd.DataFrame({"galaxy_id": ids, "split": "train", "ra_deg": np.nan, "class": [None, "spiral"][n > 1]})
    table["votes"] = np.where(rng.random(n) < 0.3, np.nan, rng.random(n))
    table["mixed"] = [i if i % 2 else "text" for i in range(n)]
    artifacts.write_table(root, name, "catalog", table)
    flat = {"galaxy_id": ids, "umap_x": 1.0, "umap_y": 2.0, "pca_x": 0.5, "pca_y": 0.0, "umap_trust": 0.25}
    artifacts.write_table(root, name, "projections", pd.DataFrame(flat))
    scores = {"galaxy_id": ids, "isolation_forest": 0.5, "neighbor_distance": np.nan, "anomaly": 1.0}
    artifacts.write_table(root, name, "anomalies", pd.DataFrame(scores))
    labels = {"galaxy_id": ids, "km_label": -1, "km_membership": 0.5, "km_silhouette": 0.0}
    artifacts.write_table(root, name, "clusters", pd.DataFrame(labels))
    edges = np.linspace(0, n, parts + 1).astype(int)
    for part, (start, stop) in enumerate(pairwise(edges)):
        vectors = np.arange(start * 4, stop * 4, dtype=np.float32).reshape(-1, 4)
        artifacts.write_embedding(root, name, MODEL, ids[start:stop], vectors, part)
        artifacts.write_thumbnails(root, name, ids[start:stop], [i.encode() for i in ids[start:stop]], part)
    k = min(12, n - 1)
    index = (np.arange(n)[:, None] + 1 + np.arange(k)) % n
    artifacts.write_neighbors(root, name, MODEL, ids, index, np.full((n, k), 0.25))
    artifacts.write_space(root, name, "umap_10", ids, rng.random((n, 10)))
    manifest = artifacts.Manifest(name, "200", "synthetic", MODEL, n_galaxies=n, config={"limit": n}, report=("a", "b"))
    return artifacts.write_manifest(root, name, manifest)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A root written once."""
    root = tmp_path_factory.mktemp("written")
    write_all(root)
    return root


@pytest.fixture
def root(written, tmp_path) -> Path:
    """A copy of it to harm."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path


def damage(path: Path, position: float = 0.4) -> None:
    """Flip one byte and keep the length."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * position)] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(("name", "n"), [("sample", 150), ("Галактики 2", 13), ("one", 1)])
def test_round_trip(tmp_path, name, n):
    manifest = write_all(tmp_path, name, n)
    assert artifacts.read_manifest(tmp_path, name) == manifest
    assert artifacts.list_catalogs(tmp_path) == [name]
    table = artifacts.read_table(tmp_path, name, "catalog")
    assert table["galaxy_id"].iloc[-1] == f"gálaxia-{n - 1}-銀河"
    assert table["ra_deg"].isna().all() and table["ra_deg"].dtype == np.float64
    ids, vectors = artifacts.read_embedding(tmp_path, name, MODEL)
    assert list(ids) == table["galaxy_id"].tolist()
    np.testing.assert_array_equal(vectors, np.arange(4 * n, dtype=np.float32).reshape(n, 4))
    index, similarity = artifacts.read_neighbors(tmp_path, name, MODEL)
    assert index.shape == similarity.shape == (n, min(12, n - 1))
    assert index.dtype == np.int32 and similarity.dtype == np.float32
    assert artifacts.read_space(tmp_path, name, "umap_10").shape == (n, 10)
    flat = artifacts.read_table(tmp_path, name, "projections")
    assert (flat["umap_trust"] == 0.25).all() and flat["umap_trust"].dtype == np.float32 and "pca_trust" not in flat
    anomalies = artifacts.read_table(tmp_path, name, "anomalies")
    assert (anomalies["anomaly"] == 1).all() and set(anomalies.dtypes[1:]) == {np.dtype(np.float32)}
    assert artifacts.list_embeddings(tmp_path, name) == [MODEL]
    assert artifacts.verify(tmp_path, name) == []


def test_thumbnails_in_any_order_across_parts(root):
    rows = [*np.random.default_rng(0).permutation(150)[:70].tolist(), 0, 0, 149, 74, 75]
    images = artifacts.read_thumbnails(root, "sample", rows)
    assert [image.decode() for image in images] == [f"gálaxia-{row}-銀河" for row in rows]
    assert artifacts.read_thumbnails(root, "sample", []) == []
    for row in (-1, 150):
        with pytest.raises(ArtifactError, match="rows 0 to 149"):
            artifacts.read_thumbnails(root, "sample", [row])


def test_thumbnails_read_only_the_row_groups_they_need(tmp_path):
    """Damage one row group: galaxies of the others still have their images."""
    write_all(tmp_path, n=150, parts=1)
    path = tmp_path / "sample/thumbnails/part-00000.parquet"
    group = pq.ParquetFile(path).metadata.row_group(1).column(1)
    content = bytearray(path.read_bytes())
    content[group.data_page_offset : group.data_page_offset + 16] = b"\xff" * 16
    path.write_bytes(content)
    assert artifacts.read_thumbnails(tmp_path, "sample", [0, 63, 128]) != []
    with pytest.raises(ArtifactError, match="part-00000"):
        artifacts.read_thumbnails(tmp_path, "sample", [64])


def test_manifest_records_what_is_on_disk(root):
    manifest = artifacts.read_manifest(root, "sample")
    for relative, entry in manifest.files.items():
        content = (root / "sample" / relative).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)
    on_disk = {p.relative_to(root / "sample").as_posix() for p in (root / "sample").rglob("*.parquet")}
    assert set(manifest.files) == on_disk
    assert manifest.files["thumbnails/part-00000.parquet"]["rows"] == 75


def test_equal_content_gives_equal_bytes(tmp_path):
    assert write_all(tmp_path / "a").files == write_all(tmp_path / "b").files


READERS = {
    "catalog.parquet": lambda root: artifacts.read_table(root, "sample", "catalog"),
    "projections.parquet": lambda root: artifacts.read_table(root, "sample", "projections"),
    "clusters.parquet": lambda root: artifacts.read_table(root, "sample", "clusters"),
    "anomalies.parquet": lambda root: artifacts.read_table(root, "sample", "anomalies"),
    "embedding/toy/part-00001.parquet": lambda root: artifacts.read_embedding(root, "sample", MODEL),
    "thumbnails/part-00000.parquet": lambda root: artifacts.read_thumbnails(root, "sample", range(150)),
    "neighbors/toy.parquet": lambda root: artifacts.read_neighbors(root, "sample", MODEL),
    "spaces/umap_10.parquet": lambda root: artifacts.read_space(root, "sample", "umap_10"),
}


@pytest.mark.parametrize("relative", FILES)
@pytest.mark.parametrize("harm", ["missing", "truncated", "empty", "other"])
def test_a_harmed_file_is_named_with_the_command_that_mends_it(root, relative, harm):
    path = root / "sample" / relative
    if harm == "missing":
        path.unlink()
    elif harm == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif harm == "empty":
        path.write_bytes(b"")
    else:  # a Parquet file of the same length that is another table
        pq.write_table(pa.table({"galaxy_id": ["a"]}), path)
    for sentence in (_error_of(READERS[relative], root), artifacts.verify(root, "sample")[0]):
        assert str(path) in sentence
        assert "`python scripts/run_pipeline.py synthetic:200 --name sample --model toy --limit 150" in sentence
        assert f"--artifacts {root}" in sentence
        assert "\n" not in sentence


def _error_of(read, root) -> str:
    with pytest.raises(ArtifactError) as caught:
        read(root)
    return str(caught.value)


@pytest.mark.parametrize("relative", FILES)
def test_one_flipped_byte_is_found(root, relative):
    damage(root / "sample" / relative)
    assert any(relative in sentence for sentence in artifacts.verify(root, "sample"))


def test_a_flipped_byte_in_a_small_table_is_found_on_reading_even_after_a_good_read(root):
    artifacts.read_table(root, "sample", "projections")
    path = root / "sample/projections.parquet"
    damage(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(ArtifactError, match="corrupt"):
        artifacts.read_table(root, "sample", "projections")


def test_tables_of_other_galaxies_are_found(root):
    manifest = artifacts.read_manifest(root, "sample")
    ids = artifacts.read_table(root, "sample", "catalog")["galaxy_id"][::-1]
    frame = pd.DataFrame({"galaxy_id": ids, "umap_x": 0.0, "umap_y": 0.0})
    artifacts.write_table(root, "sample", "projections", frame)
    artifacts.write_manifest(root, "sample", manifest)
    assert "projections.parquet does not list the galaxies" in artifacts.verify(root, "sample")[0]


def test_a_catalog_made_before_there_were_anomalies_and_trust_is_whole(root):
    manifest = artifacts.read_manifest(root, "sample")
    assert artifacts.has_table(manifest, "anomalies") and artifacts.has_table(manifest, "clusters")
    (root / "sample/anomalies.parquet").unlink()
    flat = artifacts.read_table(root, "sample", "projections")
    artifacts.write_table(root, "sample", "projections", flat.drop(columns="umap_trust"))
    manifest = artifacts.write_manifest(root, "sample", manifest)
    assert artifacts.verify(root, "sample") == [] and not artifacts.has_table(manifest, "anomalies")
    assert list(artifacts.read_table(root, "sample", "projections")) == ["galaxy_id", *flat.columns[1:5]]
    with pytest.raises(ArtifactError, match=r"anomalies\.parquet is missing; make it again with `python"):
        artifacts.read_table(root, "sample", "anomalies")
    with pytest.raises(ValueError, match="no table"):
        artifacts.has_table(manifest, "anomaly")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"schema_version": "1"}', b'{"schema_version": 1}', b"\xff\xfe\x00", b'{"a": 1}'],
)
def test_a_corrupt_manifest_is_one_sentence(root, content):
    (root / "sample/manifest.json").write_bytes(content)
    with pytest.raises(
        ArtifactError, match=r"manifest\.json is corrupt .* `python scripts/run_pipeline\.py LAYOUT:SOURCE"
    ):
        artifacts.read_manifest(root, "sample")
    assert len(artifacts.verify(root, "sample")) == 1
    assert artifacts.list_catalogs(root) == ["sample"]


def test_a_future_version_and_a_missing_manifest(root):
    path = root / "sample/manifest.json"
    path.write_text(json.dumps({"schema_version": 2, "unheard_of": True}))
    with pytest.raises(ArtifactError, match=r"newer version of Galaxy Atlas \(schema 2, this one reads 1\); update"):
        artifacts.read_manifest(root, "sample")
    path.unlink()
    assert artifacts.list_catalogs(root) == []
    with pytest.raises(ArtifactError, match="missing; make it again"):
        artifacts.read_manifest(root, "sample")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "a\\b", ".hidden", "models", " a", "a\n", "x" * 300, "a*"]
)
def test_names_that_are_no_folder(tmp_path, name):
    with pytest.raises(ArtifactError, match="cannot name a catalog"):
        artifacts.read_manifest(tmp_path, name)


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("catalog", {"split": ["train"], "galaxy_id": ["a"]}),
        ("catalog", {"galaxy_id": ["a"]}),
        ("catalog", {"galaxy_id": ["a"], "split": ["holdout"]}),
        ("catalog", {"galaxy_id": ["a"], "split": ["train"], "ra_deg": ["north"]}),
        ("projections", {"galaxy_id": ["a"], "umap_x": [0.0]}),
        ("projections", {"galaxy_id": ["a"], "umap": [0.0]}),
        ("projections", {"galaxy_id": ["a"], "umap_trust": [0.0]}),
        ("clusters", {"galaxy_id": ["a"], "k_label": [0]}),
        ("anomalies", {"galaxy_id": ["a"], "anomaly": [0.0]}),
        ("anomalies", {"galaxy_id": ["a"], "isolation_forest": [0.0], "neighbor_distance": ["far"], "anomaly": [0.0]}),
    ],
)
def test_a_table_that_does_not_fit_is_not_written(tmp_path, table, columns):
    with pytest.raises(ArtifactError):
        artifacts.write_table(tmp_path, "sample", table, pd.DataFrame(columns))
    assert not list(tmp_path.rglob("*.parquet"))


def test_an_embedding_must_be_finite(tmp_path):
    with pytest.raises(ArtifactError, match="not numbers"):
        artifacts.write_embedding(tmp_path, "sample", MODEL, ["a"], np.array([[np.nan]], np.float32))


def test_an_interrupted_write_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(ArtifactError, match=r"Cannot write .*free some space or choose"),
        atomic_path(tmp_path / "file/a"),
    ):
        pass


def test_readers_see_the_old_state_until_the_new_one_is_in_place(tmp_path):
    """Also in the instant in which the old folder is aside and the new one not yet there; and tags survive."""
    write_all(tmp_path, n=20)
    artifacts.tags_path(tmp_path, "sample").write_bytes(b"tags")
    with open_staging(tmp_path, "sample") as staging:
        write_all(staging.root, "sample", n=30)
        assert len(artifacts.read_table(tmp_path, "sample", "catalog")) == 20
        assert artifacts.list_catalogs(tmp_path) == ["sample"]
        (tmp_path / ".previous").mkdir()
        os.rename(tmp_path / "sample", tmp_path / ".previous/sample")
        assert len(artifacts.read_table(tmp_path, "sample", "catalog")) == 20
        assert artifacts.list_catalogs(tmp_path) == ["sample"]
        os.rename(tmp_path / ".previous/sample", tmp_path / "sample")
        publish(staging)
    assert len(artifacts.read_table(tmp_path, "sample", "catalog")) == 30
    assert artifacts.tags_path(tmp_path, "sample").read_bytes() == b"tags"
    assert artifacts.list_catalogs(tmp_path) == ["sample"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample", "sample.tags.sqlite"]


@pytest.mark.parametrize("name", ["../sample", "a/b", "", "sample.tags.sqlite", "sample.TAGS.sqlite-wal"])
def test_a_name_that_is_no_catalogs_has_no_tags(tmp_path, name):
    """Neither a path nor the file in which another catalog's tags are."""
    with pytest.raises(ArtifactError, match="cannot name a catalog"):
        artifacts.tags_path(tmp_path, name)


def test_a_folder_left_aside_by_a_killed_run_comes_back(tmp_path):
    write_all(tmp_path, n=20)
    (tmp_path / ".previous").mkdir()
    os.rename(tmp_path / "sample", tmp_path / ".previous/sample")
    with open_staging(tmp_path, "sample"):
        assert (tmp_path / "sample/manifest.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample"]


def test_one_run_at_a_time(tmp_path):
    with (
        open_staging(tmp_path, "sample"),
        pytest.raises(ArtifactError, match="Another run is making"),
        open_staging(tmp_path, "sample"),
    ):
        pass
    with open_staging(tmp_path, "sample"):
        pass


def test_mend_command_quotes_what_a_shell_would_split():
    manifest = artifacts.Manifest("a b", "/data/my galaxies", "folder", seed=3)
    command = artifacts.mend_command("artifacts", "a b", manifest)
    assert command == "python scripts/run_pipeline.py 'folder:/data/my galaxies' --name 'a b' --seed 3"
    assert "--model other" in artifacts.mend_command("artifacts", "a", replace(manifest, model="other"))
