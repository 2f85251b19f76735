"""A local S3 server for tests: one for the session, a bucket and a home of its own for each module."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

KEY_ID, SECRET = "AKIAPOLARIS", "sEcReT-of-the-stars"
MISSING = "the packages of scripts/requirements-cluster.txt are not installed"


@dataclass(frozen=True)
class Store:
    """What a module's tests may use: the server, a bucket, and the folder that stands for this machine."""

    url: str
    bucket: str
    home: Path

    @cached_property
    def client(self):
        """Amazon's own client, which knows nothing of this program."""
        import boto3

        return boto3.client("s3", endpoint_url=self.url)

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Everything in the bucket below a prefix."""
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {o["Key"]: self.client.get_object(Bucket=self.bucket, Key=o["Key"])["Body"].read() for o in found}

    def put(self, folder: Path, prefix: str) -> str:
        """Copy a local folder there, as any tool would; its address."""
        for path in folder.rglob("*"):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                self.client.put_object(Bucket=self.bucket, Key=key, Body=path.read_bytes())
        return f"s3://{self.bucket}/{prefix}"


def forget_connections() -> None:
    """Let the next call look for credentials and the server again; this program does so once in a process."""
    from galaxy_core.artifacts import model_store, remote

    if sys.modules.get("s3fs"):
        sys.modules["s3fs"].S3FileSystem.clear_instance_cache()
    remote.forget()
    remote._footer.cache_clear()
    model_store._fetch.cache_clear()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a running server."""
    pytest.importorskip("s3fs", reason=MISSING)
    server = pytest.importorskip("moto.server", reason=MISSING).ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def store(s3_server, request, tmp_path_factory) -> Iterator[Store]:
    """A bucket of the module's own, with the environment that leads to it."""
    home = tmp_path_factory.mktemp("home")
    bucket = request.module.__name__.rpartition(".")[2].replace("_", "-")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
            patch.delenv(name)
        for name, value in {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(home / "no_config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "no_credentials"),
            "AWS_ENDPOINT_URL": s3_server,
            "GALAXY_ATLAS_HOME": str(home / "atlas"),
        }.items():
            patch.setenv(name, value)
        forget_connections()
        made = Store(s3_server, bucket, home)
        made.client.create_bucket(Bucket=bucket)
        yield made
    forget_connections()


@pytest.fixture
def elsewhere(store, tmp_path, monkeypatch) -> Path:
    """Makes this process another machine, on which nothing was fetched; its home."""
    home = tmp_path / "elsewhere"
    monkeypatch.setenv("GALAXY_ATLAS_HOME", str(home))
    forget_connections()
    yield home
    forget_connections()
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """A web server that lists folders and knows no ranges, as the one of Python."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
