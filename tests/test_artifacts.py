"""Artifacts: what is written comes back; what is damaged is named with the command that mends it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from shlex import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxy_core import artifacts
from galaxy_core.errors import ArtifactError
from tests.artifact_files import MODEL, write_all

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


def test_a_folder_that_was_renamed_or_copied_is_a_catalog_of_its_own(root):
    """A backup, or what a colleague sent, beside a catalog whose name it had."""
    (name,) = artifacts.list_catalogs(root)
    before = artifacts.read_table(root, name, "catalog")
    (root / name).rename(root / "from Anna")
    assert artifacts.verify(root, "from Anna") == []
    write_all(root, name, 20)
    assert artifacts.read_manifest(root, "from Anna").name == "from Anna"
    pd.testing.assert_frame_equal(artifacts.read_table(root, "from Anna", "catalog"), before)
    assert len(artifacts.read_embedding(root, "from Anna", MODEL)[0]) == len(before)
    damage(root / "from Anna" / "catalog.parquet")
    with pytest.raises(ArtifactError, match=r"from Anna.catalog\.parquet.*--name 'from Anna'"):
        artifacts.read_table(root, "from Anna", "catalog")


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
        assert f"--artifacts {quote(str(root))}" in sentence
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
