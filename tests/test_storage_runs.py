"""Runs that end in S3: the same files as here, nothing torn when one is killed, one small read for one galaxy."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from galaxy_core import artifacts
from galaxy_core.artifacts import remote, sending
from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import Embedder, find_model
from galaxy_core.errors import ArtifactError, ModelError
from galaxy_core.pipeline import add_clusterings, run_pipeline
from tests.pipeline_child import CONFIG, means, run
from tests.pipeline_runs import write_images
from tests.s3_store import forget_connections

PROJECT = Path(__file__).resolve().parents[1]
KMEANS_4 = {"kmeans_4": {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 4, "n_init": 2}}}
KILLED = """
import os, signal, sys
from pathlib import Path
from galaxy_core import artifacts
from galaxy_core.artifacts import sending
from tests.pipeline_child import run
put = sending._put
def put_or_die(path, place):
    if path.name == "manifest.json":
        os.kill(os.getpid(), signal.SIGKILL)
    put(path, place)
sending._put = put_or_die
run(Path(sys.argv[1]), artifacts.root_of(sys.argv[2]), seed=1)
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="module")
def undisturbed(store, images) -> dict[str, bytes]:
    """What a run that nothing disturbed put into the store."""
    run(images, artifacts.root_of(f"s3://{store.bucket}/undisturbed"))
    return store.objects("undisturbed")


@pytest.fixture
def address(store, undisturbed, request) -> str:
    """Artifacts of that run, for this test alone."""
    for key, data in undisturbed.items():
        key = key.replace("undisturbed", request.node.name)
        store.client.put_object(Bucket=store.bucket, Key=key, Body=data)
    return f"s3://{store.bucket}/{request.node.name}"


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """Names of the files that are sent to the store from now on."""
    names, put = [], sending._put

    def counted(path, place) -> None:
        put(path, place)
        names.append(place.name)

    monkeypatch.setattr(sending, "_put", counted)
    return names


def content(root: Path) -> tuple:
    """What a reader gets of the whole catalog."""
    assert artifacts.verify(root, "sample") == []
    tables = [artifacts.read_table(root, "sample", table).to_csv() for table in ("catalog", "projections", "clusters")]
    thumbnails = artifacts.read_thumbnails(root, "sample", range(len(artifacts.read_table(root, "sample", "catalog"))))
    return (*tables, artifacts.read_embedding(root, "sample", "means")[1].tobytes(), *thumbnails)


def test_files_are_those_of_a_local_run(address, images, elsewhere, store, tmp_path):
    run(images, tmp_path)
    root = artifacts.root_of(address)
    there, here = artifacts.read_manifest(root, "sample"), artifacts.read_manifest(tmp_path, "sample")
    assert there.files == here.files and there.config == here.config
    assert content(root) == content(tmp_path)
    objects = store.objects(address.partition(f"{store.bucket}/")[2])
    made = [path.read_bytes() for path in (tmp_path / "sample").rglob("*.parquet")]
    assert sorted(made) == sorted(data for key, data in objects.items() if key.endswith(".parquet"))
    assert len(objects) == len(here.files) + 1


def test_an_equal_run_sends_nothing(address, images, sent, store):
    before = store.objects()
    result = run(images, artifacts.root_of(address))
    assert result.unchanged and result.folder == f"{address}/sample" and sent == []
    assert store.objects() == before


def test_an_equal_run_on_another_machine_sends_nothing(address, images, elsewhere, sent):
    assert run(images, artifacts.root_of(address)).unchanged and sent == []


def test_images_in_a_store_are_taken_over_while_they_are_the_same(images, store, tmp_path):
    address, seen = store.put(images, "images"), []

    def embed() -> int:
        seen.clear()
        embedder = Embedder("means", "1", 16, 12, lambda some: seen.append(len(some)) or means(some))
        run_pipeline(read_catalog(f"folder:{address}"), embedder, tmp_path, "sample", CONFIG)
        return sum(seen)

    assert embed() == 38
    other, labels = (images / "images/100.png").read_bytes(), (images / "labels.csv").read_text()
    for key, body in (("images/102.png", other), ("images/200.png", other), ("labels.csv", labels + "200,a\n")):
        store.client.put_object(Bucket=store.bucket, Key=f"images/{key}", Body=body)
    assert embed() == 2


def test_killed_before_the_manifest_the_old_state_is_whole_and_the_next_run_goes_on(
    address, images, store, sent, tmp_path, monkeypatch
):
    root = artifacts.root_of(address)
    before = content(root)
    command = [sys.executable, "-c", KILLED, str(images), address]
    assert subprocess.run(command, cwd=PROJECT, timeout=300).returncode == -9
    with monkeypatch.context() as patch:
        patch.setenv("GALAXY_ATLAS_HOME", str(tmp_path / "reader"))
        forget_connections()
        assert content(artifacts.root_of(address)) == before
    result = run(images, root, seed=1)
    assert sent == ["manifest.json"] and not result.unchanged and all(step.reused for step in result.steps)
    assert content(root) != before and artifacts.read_manifest(root, "sample").seed == 1


def test_old_files_go_when_the_manifest_has_changed_and_strays_when_they_are_old(address, images, store, monkeypatch):
    root, prefix = artifacts.root_of(address), address.partition(f"{store.bucket}/")[2]
    stray = f"{prefix}/sample/clusters.0123456789ab.parquet"
    store.client.put_object(Bucket=store.bucket, Key=stray, Body=b"of a run under way")
    add_clusterings(root, "sample", KMEANS_4)
    keys = set(store.objects(prefix))
    assert stray in keys and len(keys) == len(artifacts.read_manifest(root, "sample").files) + 2
    monkeypatch.setattr(sending, "STRAY_AGE", timedelta(seconds=-10))
    run(images, root, seed=1)
    keys = set(store.objects(prefix))
    assert stray not in keys and len(keys) == len(artifacts.read_manifest(root, "sample").files) + 1


def test_one_more_clustering_from_another_machine_sends_only_what_changed(address, elsewhere, sent):
    root = artifacts.root_of(address)
    result = add_clusterings(root, "sample", KMEANS_4)
    assert "kmeans_4" in result.manifest.clusterings and artifacts.verify(root, "sample") == []
    assert {name.split(".")[0] for name in sent} == {"clusters", "manifest"}


def test_a_run_that_another_overtook_replaces_nothing(address, images, store, monkeypatch):
    root, put = artifacts.root_of(address), sending._put

    def overtaken(path, place) -> None:
        put(path, place)
        if path.name == "clusters.parquet":
            manifest = f"{address.partition(f'{store.bucket}/')[2]}/sample/manifest.json"
            data = store.objects(manifest)[manifest].replace(b'"seed": 0', b'"seed": 7')
            store.client.put_object(Bucket=store.bucket, Key=manifest, Body=data)

    monkeypatch.setattr(sending, "_put", overtaken)
    with pytest.raises(ArtifactError, match="Another run published s3://"):
        run(images, root, seed=1)
    assert artifacts.read_manifest(root, "sample").seed == 7


def test_a_reader_of_the_old_manifest_gets_the_new_state(address, images, elsewhere, monkeypatch, tmp_path):
    root = artifacts.root_of(address)
    monkeypatch.setattr(remote, "FRESH_SECONDS", 1e9)
    old = artifacts.read_table(root, "sample", "clusters")
    with monkeypatch.context() as patch:
        patch.setenv("GALAXY_ATLAS_HOME", str(tmp_path / "writer"))
        patch.setattr(remote, "forget", lambda: None)  # this reader is not told of it
        add_clusterings(artifacts.root_of(address), "sample", KMEANS_4)
    for path in root.rglob("clusters.*.parquet"):
        path.unlink()
    assert "kmeans_4" not in artifacts.read_manifest(root, "sample").clusterings
    assert set(artifacts.read_table(root, "sample", "clusters")) > set(old)
    assert len(list(root.rglob("*.parquet"))) == 1  # what was fetched before is gone


def test_one_galaxy_is_one_small_read(address, elsewhere, monkeypatch):
    import s3fs

    asked, call = [], s3fs.S3FileSystem._call_s3

    async def counted(self, method, *args, **kwargs):
        asked.append((method, kwargs.get("Range")))
        return await call(self, method, *args, **kwargs)

    root = artifacts.root_of(address)
    size = max(e["bytes"] for path, e in artifacts.read_manifest(root, "sample").files.items() if "thumbnails" in path)
    monkeypatch.setattr(remote, "FRESH_SECONDS", 1e9)  # the manifest, which is asked for now and then
    assert artifacts.read_manifest(root, "sample").n_galaxies > 4
    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counted)
    artifacts.read_thumbnails(root, "sample", [3])
    assert [method for method, _ in asked] == ["get_object"] * 2  # where it lies, and the picture
    asked.clear()
    artifacts.read_thumbnails(root, "sample", [4])
    ((method, bytes_range),) = asked
    start, end = (int(number) for number in bytes_range.removeprefix("bytes=").split("-"))
    assert method == "get_object" and 0 < end - start < size
    assert not list(elsewhere.rglob("thumbnails/*"))  # nothing of it was kept


@pytest.mark.parametrize("lost", ["clusters", "thumbnails/part-00000", "embedding/means/part-00001"])
def test_damage_in_the_store_is_one_sentence(address, store, elsewhere, lost):
    root, prefix = artifacts.root_of(address), address.partition(f"{store.bucket}/")[2]
    (key,) = [key for key in store.objects(prefix) if key.startswith(f"{prefix}/sample/{lost}.")]
    data = bytearray(store.objects(key)[key])
    data[len(data) // 3] ^= 255
    store.client.put_object(Bucket=store.bucket, Key=key, Body=bytes(data))
    (sentence,) = artifacts.verify(root, "sample")
    assert sentence.startswith(f"{address}/sample/{lost}.parquet is corrupt") and "run_pipeline.py" in sentence
    store.client.delete_object(Bucket=store.bucket, Key=key)
    assert f"{address}/sample/{lost}.parquet is missing" in artifacts.verify(root, "sample")[0]


def test_a_manifest_that_names_a_place_outside_writes_nothing_there(address, store, elsewhere):
    key = f"{address.partition(f'{store.bucket}/')[2]}/sample/manifest.json"
    data = store.objects(key)[key].replace(b'"clusters.parquet"', b'"../../../clusters.parquet"')
    store.client.put_object(Bucket=store.bucket, Key=key, Body=data)
    with pytest.raises(ArtifactError, match="outside the folder"):
        artifacts.read_table(artifacts.root_of(address), "sample", "catalog")
    assert not list(elsewhere.parent.rglob("*.parquet"))


def fetched_model(address: str, home: Path, monkeypatch) -> dict[str, bytes]:
    """Files of the model as another machine finds it."""
    forget_connections()
    with monkeypatch.context() as patch:
        patch.setenv("GALAXY_ATLAS_HOME", str(home))
        return {path.name: path.read_bytes() for path in find_model("mine", artifacts.root_of(address)).iterdir()}


def test_models_go_there_and_come_back(address, store, elsewhere, tmp_path, monkeypatch):
    root = artifacts.root_of(address)
    with pytest.raises(ModelError):
        find_model("mine", root)
    folder = root / "models" / "mine"
    (folder / ".state").mkdir(parents=True)
    for name in ("weights.safetensors", "config.json", ".state/half"):
        (folder / name).write_bytes(name.encode())
    artifacts.send_model(root, folder)
    there = tmp_path / "there"
    files = {name: name.encode() for name in ("weights.safetensors", "config.json")}
    assert fetched_model(address, there, monkeypatch) == files
    (folder / "config.json").write_bytes(b"trained again")
    artifacts.send_model(root, folder)
    assert fetched_model(address, there, monkeypatch) == files | {"config.json": b"trained again"}
    assert artifacts.list_catalogs(root) == ["sample"]  # models are none


def test_a_folder_that_was_copied_there_is_read_too(store, images, elsewhere, tmp_path):
    run(images, tmp_path / "local")
    root = artifacts.root_of(store.put(tmp_path / "local", "copied"))
    assert artifacts.list_catalogs(root) == ["sample"] and content(root) == content(tmp_path / "local")
    assert np.isfinite(artifacts.read_embedding(root, "sample", "means")[1]).all()
