"""Artifacts are written whole or not at all, one run at a time, while readers go on; what does not fit is refused."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from galaxy_core import artifacts
from galaxy_core.artifacts.files import atomic_path
from galaxy_core.artifacts.staging import open_staging, publish
from galaxy_core.errors import ArtifactError
from tests.artifact_files import MODEL, write_all


def test_equal_content_gives_equal_bytes(tmp_path):
    assert write_all(tmp_path / "a").files == write_all(tmp_path / "b").files


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


def test_two_threads_that_write_one_file_do_not_meet(tmp_path):
    path, both = tmp_path / "a.txt", threading.Barrier(2)

    def write(letter: str) -> None:
        with atomic_path(path) as temporary:
            temporary.write_text(letter * 10)
            both.wait(timeout=120)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(write, "ab")) == [None, None]
    assert path.read_text() in ("a" * 10, "b" * 10) and len(list(tmp_path.iterdir())) == 1


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


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_is_no_catalog_is_never_replaced(tmp_path, when):
    """A folder of images beside which a catalog of the same name is made would be gone."""
    theirs = tmp_path / "sample" / "galaxy.png"

    def put() -> None:
        theirs.parent.mkdir()
        theirs.write_bytes(b"mine")

    if when == "before":
        put()
    with pytest.raises(ArtifactError, match="no catalog; choose another"), open_staging(tmp_path, "sample") as staging:
        write_all(staging.root, "sample", n=5)
        put()
        publish(staging)
    assert theirs.read_bytes() == b"mine"
    theirs.unlink()
    with open_staging(tmp_path, "sample") as staging:  # an empty folder is nobody's
        write_all(staging.root, "sample", n=5)
        publish(staging)
    (tmp_path / "sample" / "manifest.json").unlink()
    with open_staging(tmp_path, "sample"):  # a damaged catalog can be made again
        pass


def test_one_run_at_a_time(tmp_path):
    with (
        open_staging(tmp_path, "sample"),
        pytest.raises(ArtifactError, match="Another run is making"),
        open_staging(tmp_path, "sample"),
    ):
        pass
    with open_staging(tmp_path, "sample"):
        pass


def test_a_file_system_without_locks_is_no_other_run(tmp_path, monkeypatch):
    """As Lustre is mounted on many clusters."""

    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with open_staging(tmp_path, "sample"):
        pass


def test_a_lock_that_cannot_be_had_is_one_sentence(tmp_path):
    """As in a shared folder, where it may be another user's."""
    (tmp_path / ".staging" / "sample.lock").mkdir(parents=True)  # no file that can be opened, for root neither
    with pytest.raises(ArtifactError, match=r"Cannot write .*sample\.lock .*another --artifacts"):
        open_staging(tmp_path, "sample").__enter__()


def test_mend_command_quotes_what_a_shell_would_split():
    manifest = artifacts.Manifest("a b", "/data/my galaxies", "folder", seed=3)
    command = artifacts.mend_command("artifacts", "a b", manifest)
    assert command == "python scripts/run_pipeline.py 'folder:/data/my galaxies' --name 'a b' --seed 3"
    assert "--model other" in artifacts.mend_command("artifacts", "a", replace(manifest, model="other"))
