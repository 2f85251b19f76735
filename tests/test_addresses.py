"""Addresses: which are taken, that none keeps a secret, and one sentence for whatever a store refuses."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from galaxy_core import artifacts
from galaxy_core.addresses import check_address, is_address, without_secrets
from galaxy_core.artifacts import remote
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ArtifactError, CatalogError, GalaxyError, StorageError
from scripts import run_pipeline
from tests.s3_store import KEY_ID, SECRET, forget_connections, serve_files

PROJECT = Path(__file__).resolve().parents[1]
PASSWORD = "pa$$word"
WITH_SECRETS = (
    f"s3://me:{PASSWORD}@sky/gz2",
    f"s3://{PASSWORD}@sky/gz2",
    f"s3://me:{PASSWORD}/x@sky/gz2",
    f"s3://me:{PASSWORD}",
    f"https://sky.org/gz2.parquet?sig={PASSWORD}",
    f"https://sky.org/gz2#{PASSWORD}",
)


def one_sentence(text: str) -> bool:
    """A line without a traceback and without anything secret."""
    secret = any(word in text for word in (KEY_ID, SECRET, PASSWORD, "Traceback"))
    return bool(text.strip()) and "\n" not in text.strip() and not secret


@pytest.mark.parametrize("address", WITH_SECRETS)
def test_a_secret_in_an_address_is_refused_and_not_repeated(address, capsys):
    for refuse in (check_address, artifacts.root_of, lambda a: read_catalog(f"folder:{a}")):
        with pytest.raises(StorageError) as caught:
            refuse(address)
        assert one_sentence(str(caught.value))
    for spec in (address, f"nothing:{address}"):
        with pytest.raises(CatalogError) as caught:
            read_catalog(spec)
        assert "LAYOUT:PATH" in str(caught.value) and one_sentence(str(caught.value))
    with pytest.raises(SystemExit) as ended:
        run_pipeline.parse(["synthetic:5", "--name", "demo", "--artifacts", address])
    assert ended.value.code == 2 and PASSWORD not in capsys.readouterr().err


def test_addresses_have_one_spelling():
    assert check_address("S3://sky//atlas/") == "s3://sky/atlas"
    assert check_address("http://127.0.0.1:80/a") == "http://127.0.0.1:80/a"
    assert check_address("s3://sky/a@2x") == "s3://sky/a@2x"
    assert check_address("file:///data/a%20b") == Path("/data/a b")
    assert not is_address("data/gz2") and not is_address("C:\\gz2") and not is_address("gz2:data")


@pytest.mark.parametrize(
    "address", ["ftp://sky/x", "s3://", "s3:///x", "s3://sky/../x", "s3://sky/a\nb", "https://sky:x/"]
)
def test_no_address(address):
    with pytest.raises(StorageError):
        check_address(address)


def test_a_root_and_its_address_follow_from_each_other(monkeypatch, tmp_path):
    monkeypatch.setenv("GALAXY_ATLAS_HOME", str(tmp_path))
    address = "s3://sky/Галактики & co/a.b"
    root = artifacts.root_of(address)
    assert root.parent == tmp_path and artifacts.address_of(root) == address
    assert artifacts.root_of(f"file://{tmp_path}") == tmp_path and artifacts.address_of(tmp_path) is None
    assert artifacts.root_of("~/atlas") == Path.home() / "atlas"
    assert artifacts.root_of("~ nobody/a") == Path("~ nobody/a")
    assert artifacts.address_of(tmp_path / "other" / root.name) is None
    assert f"--artifacts '{address}'" in artifacts.mend_command(root, "demo")
    with pytest.raises(StorageError, match="too long"):
        artifacts.root_of("s3://sky/" + "a" * 300)


def test_without_secrets_leaves_other_text_alone():
    assert without_secrets("kagle:data/me@home?") == "kagle:data/me@home?"


def said_by(address: str, capsys) -> str:
    """The one line of the script that writes to an address."""
    forget_connections()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run_pipeline.py", "synthetic:5", "--name", "demo", "--artifacts", address])
        assert run_pipeline.main() == 1
    said = capsys.readouterr()
    assert said.out == "" and one_sentence(said.err)
    return said.err.strip()


def test_wrong_credentials(store, capsys, open_app):
    def ask_for_credentials(after: bytes) -> None:
        request = urllib.request.Request(f"{store.url}/moto-api/reset-auth", after, {"Content-Type": "text/plain"})
        urllib.request.urlopen(request, timeout=30).close()

    ask_for_credentials(b"0")
    try:
        said = said_by(f"s3://{store.bucket}/atlas", capsys)
        forget_connections()
        app = open_app(f"s3://{store.bucket}/atlas")
    finally:
        ask_for_credentials(b"1000000000")
    assert "access is refused" in said and "AWS_PROFILE" in said
    assert [error.value.replace("\\", "") for error in app.error] == [said] and not app.exception


def test_no_credentials(store, capsys, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = said_by(f"s3://{store.bucket}/atlas", capsys)
    assert "no credentials" in said and "AWS_ACCESS_KEY_ID" in said


def test_no_such_profile(store, capsys, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "no credentials" in said_by(f"s3://{store.bucket}/atlas", capsys)


def test_no_such_bucket(store, capsys):
    assert said_by("s3://no-such-bucket/atlas", capsys).startswith("There is no bucket s3://no-such-bucket;")


def test_no_server(store, capsys, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    said = said_by(f"s3://{store.bucket}/atlas", capsys)
    assert "does not answer" in said and "AWS_ENDPOINT_URL" in said


@pytest.mark.parametrize(("address", "package"), [("s3://sky/atlas", "s3fs"), ("gs://sky/atlas", "gcsfs")])
def test_a_missing_package_is_named(store, capsys, monkeypatch, address, package):
    monkeypatch.setitem(sys.modules, package, None)
    said = said_by(address, capsys)
    assert f"package {package}; install it with `pip install -r scripts/requirements-cluster.txt`" in said


def test_the_web_can_only_be_read(store, capsys):
    assert "can only be read" in said_by("https://sky.org/atlas", capsys)


def test_a_store_that_goes_away_is_no_broken_image(store, images_there, monkeypatch):
    from galaxy_core.embedding import ImageSettings, decode_batch

    catalog = read_catalog(f"folder:{images_there}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget_connections()
    with pytest.raises(StorageError, match="does not answer"):
        decode_batch(catalog, range(1), 16, ImageSettings(), False)
    forget_connections()


@pytest.fixture
def images_there(store, tmp_path) -> str:
    from tests.pipeline_runs import write_images

    return store.put(write_images(tmp_path / "pictures", 3, ()), "pictures")


def test_artifacts_are_read_from_a_web_server(elsewhere, tiny_root, open_app):
    with serve_files(tiny_root) as url:
        root = artifacts.root_of(url)
        assert artifacts.list_catalogs(root) == ["tiny"] and artifacts.verify(root, "tiny") == []
        assert artifacts.read_thumbnails(root, "tiny", [7]) == artifacts.read_thumbnails(tiny_root, "tiny", [7])
        app = open_app(url, "pages/1_Galaxy_map.py", galaxy="tiny-00005")
        assert not app.exception and not app.error
        remote.forget()
        with pytest.raises(ArtifactError, match=f"{url}/none/manifest.json is missing"):
            artifacts.read_manifest(root, "none")
    remote.forget()
    with pytest.raises(GalaxyError, match="does not answer"):
        artifacts.read_manifest(root, "tiny")


def test_local_artifacts_load_nothing_of_it(tiny_root):
    code = f"""
import sys
from galaxy_core import artifacts
artifacts.read_table({str(tiny_root)!r}, "tiny", "catalog")
artifacts.read_thumbnails({str(tiny_root)!r}, "tiny", [1])
assert not {{"fsspec", "s3fs", "aiohttp", "botocore"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=120)
