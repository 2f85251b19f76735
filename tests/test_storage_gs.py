"""Google's storage, by a local server that stands for it: runs end there, are read elsewhere, and errors are told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from galaxy_core import artifacts
from galaxy_core.addresses import filesystem
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import GalaxyError
from tests.pipeline_child import run
from tests.pipeline_runs import write_images
from tests.s3_store import MISSING, forget_connections

BUCKET = "sky"


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="module")
def google(tmp_path_factory) -> Iterator[str]:
    """The address of a server with one bucket."""
    pytest.importorskip("gcsfs", reason=MISSING)
    module = pytest.importorskip("gcp_storage_emulator.server", reason=MISSING)
    server = module.create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    url = f"http://127.0.0.1:{server._api._httpd.server_address[1]}"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("GOOGLE_", "FSSPEC_", "GCSFS_"))]:
            patch.delenv(name)
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        patch.setenv("FSSPEC_GS_TOKEN", "anon")
        # where a proxy answers nothing, to ask whether this is one of Google's machines takes minutes
        patch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
        patch.setenv("GALAXY_ATLAS_HOME", str(tmp_path_factory.mktemp("home")))
        forget_connections()
        yield url
    forget_connections()
    server.stop()


@pytest.fixture
def another_machine(google, tmp_path, monkeypatch) -> None:
    """Nothing was fetched to here yet."""
    monkeypatch.setenv("GALAXY_ATLAS_HOME", str(tmp_path / "elsewhere"))
    forget_connections()


def content(root: Path) -> tuple:
    """What a reader gets of the whole catalog."""
    assert artifacts.verify(root, "sample") == []
    tables = [artifacts.read_table(root, "sample", table) for table in ("catalog", "projections", "clusters")]
    thumbnails = artifacts.read_thumbnails(root, "sample", range(len(tables[0])))
    return (*(t.to_csv() for t in tables), artifacts.read_embedding(root, "sample", "means")[1].tobytes(), *thumbnails)


def test_a_run_that_ends_there_is_read_elsewhere_as_it_is_here(images, another_machine, tmp_path, monkeypatch):
    run(images, tmp_path)
    run(images, artifacts.root_of(f"gs://{BUCKET}/atlas"))
    monkeypatch.setenv("GALAXY_ATLAS_HOME", str(tmp_path / "third"))
    forget_connections()
    root = artifacts.root_of(f"gs://{BUCKET}/atlas")
    assert artifacts.list_catalogs(root) == ["sample"] and content(root) == content(tmp_path)
    assert run(images, root).unchanged


def test_a_catalog_there_is_read_as_it_is_here(images, google, tmp_path):
    store = filesystem(f"gs://{BUCKET}")
    for path in images.rglob("*"):
        if path.is_file():
            store.pipe(f"{BUCKET}/images/{path.relative_to(images).as_posix()}", path.read_bytes())
    there, here = read_catalog(f"folder:gs://{BUCKET}/images"), read_catalog(f"folder:{images}")
    assert list(there.galaxy_ids) == list(here.galaxy_ids) and len(here) > 10
    assert there.source == f"gs://{BUCKET}/images"


def test_a_bucket_that_is_not_there_is_one_sentence(images, another_machine):
    with pytest.raises(GalaxyError, match="gs://nowhere") as caught:
        run(images, artifacts.root_of("gs://nowhere/atlas"))
    assert "\n" not in str(caught.value)


def test_a_store_that_is_not_googles_is_not_asked_by_grpc(google):
    filesystem(f"gs://{BUCKET}")  # gcsfs would wait for minutes
    assert os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] == "false"
