"""Downloads against a local server that cuts connections, forgets ranges, changes its mind, and lies."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxy_core.catalogs import releases
from galaxy_core.errors import GalaxyError
from galaxy_core.fetching import FetchError, RemoteFile, fetch_file, file_checksum, unzip
from galaxy_core.images import encode_png

ROOT = Path(__file__).resolve().parents[1]
DATA = np.random.default_rng(0).bytes(700_000)
SHA = "sha256:" + hashlib.sha256(DATA).hexdigest()


class Server:
    """What a test asks of the server, and what the server saw."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.cuts: list[int] = []  # bytes after which the next answers stop
        self.statuses: list[int] = []  # answers to give before any file
        self.ranges = True
        self.pause_s = 0.0
        self.seen: list[str | None] = []  # Range headers
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.seen.append(request.headers.get("Range"))
        status = self.statuses.pop(0) if self.statuses else 200 if path in self.files else 404
        body = self.files.get(path, b"")
        etag = self.etags.get(path, f'"{hashlib.md5(body).hexdigest()}"')
        start, total = 0, len(body)
        asked = request.headers.get("Range")
        if status == 200 and self.ranges and asked and request.headers.get("If-Range", etag) == etag:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            status = 206 if start < total else 416
        request.send_response(status)
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        body = body[start:] if status in (200, 206) else b""
        if etag:
            request.send_header("ETag", etag)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.cuts and body:
            body = body[: self.cuts.pop(0)]
            request.close_connection = True
        with contextlib.suppress(ConnectionError):  # the client was killed
            for first in range(0, len(body), 50_000):
                request.wfile.write(body[first : first + 50_000])
                time.sleep(self.pause_s)


@pytest.fixture
def server():
    server = Server()
    server.files["/galaxies.bin"] = DATA
    yield server
    server.http.shutdown()
    server.http.server_close()


def remote(server, **options) -> RemoteFile:
    return RemoteFile(f"{server.url}/galaxies.bin", "sub/galaxies.bin", **options)


def test_whole_file_lands_under_its_name_with_progress(server, tmp_path):
    steps = []
    assert fetch_file(remote(server, checksum=SHA), tmp_path, lambda done, total: steps.append((done, total)))
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA
    assert steps[-1] == (len(DATA), len(DATA))
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["galaxies.bin"]  # no .part, no .version


def test_cut_connections_are_taken_up_where_they_broke(server, tmp_path):
    server.cuts = [300_000, 100_000]
    fetch_file(remote(server, checksum=SHA), tmp_path, wait_s=0)
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA
    assert server.seen == [None, "bytes=300000-", "bytes=400000-"]


def test_a_later_run_goes_on_and_says_so(server, tmp_path):
    server.cuts = [250_000]
    with pytest.raises(FetchError, match=r"cut.*0\.2 MB|cut.*0\.3 MB"):
        fetch_file(remote(server), tmp_path, wait_s=0, n_tries=1)
    assert not (tmp_path / "sub/galaxies.bin").exists()
    fetch_file(remote(server), tmp_path, wait_s=0)
    assert server.seen == [None, "bytes=250000-"]
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA


def test_killed_download_resumes(server, tmp_path):
    server.pause_s = 0.05
    code = (
        "import sys; from pathlib import Path; from galaxy_core.fetching import *; "
        "fetch_file(RemoteFile(sys.argv[1], 'sub/galaxies.bin'), Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, f"{server.url}/galaxies.bin", str(tmp_path)], cwd=ROOT)
    part = tmp_path / "sub/galaxies.bin.part"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 100_000):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    have = part.stat().st_size
    assert 100_000 < have < len(DATA)
    assert not (tmp_path / "sub/galaxies.bin").exists()
    server.pause_s = 0
    fetch_file(remote(server, checksum=SHA), tmp_path)
    assert server.seen[-1] == f"bytes={have}-"
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA


@pytest.mark.parametrize("how", ["no ranges", "changed file", "no version and no checksum", "weak version"])
def test_restarts_from_the_beginning_where_resuming_would_mix_files(server, tmp_path, how):
    server.cuts = [200_000]
    if how.startswith("no version"):
        server.etags["/galaxies.bin"] = ""
    if how.startswith("weak"):  # "about the same file" is not enough to continue it
        server.etags["/galaxies.bin"] = 'W/"1"'
    with pytest.raises(FetchError):
        fetch_file(remote(server), tmp_path, wait_s=0, n_tries=1)
    server.ranges = how != "no ranges"
    expected = DATA[::-1] if how in ("changed file", "weak version") else DATA
    server.files["/galaxies.bin"] = expected
    fetch_file(remote(server), tmp_path, wait_s=0)
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == expected


def test_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/galaxies.bin.part").write_bytes(b"x" * (len(DATA) + 5))
    fetch_file(remote(server, checksum=SHA), tmp_path, wait_s=0)
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA


def test_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(FetchError, match=r"does not match its published checksum \(md5:0+\)"):
        fetch_file(remote(server, checksum="md5:" + "0" * 32), tmp_path)
    assert list((tmp_path / "sub").iterdir()) == []


def test_wrong_size_leaves_nothing(server, tmp_path):
    with pytest.raises(FetchError, match="700,000 bytes instead of 699,999"):
        fetch_file(remote(server, n_bytes=len(DATA) - 1), tmp_path)
    assert list((tmp_path / "sub").iterdir()) == []


def test_file_already_there_is_kept_only_if_it_is_right(server, tmp_path):
    (tmp_path / "sub").mkdir()
    target = tmp_path / "sub/galaxies.bin"
    target.write_bytes(DATA)
    assert not fetch_file(remote(server, checksum=SHA, n_bytes=len(DATA)), tmp_path)
    assert server.seen == []
    target.write_bytes(DATA[:-1] + b"?")
    assert fetch_file(remote(server, checksum=SHA, n_bytes=len(DATA)), tmp_path)
    assert target.read_bytes() == DATA


def test_server_errors_that_pass_are_waited_out(server, tmp_path):
    server.statuses = [503, 429]
    fetch_file(remote(server, checksum=SHA), tmp_path, wait_s=0)
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not exist"), (403, "not open to the public"), (400, "HTTP 400")]
)
def test_refusals_are_one_sentence_at_once(server, tmp_path, status, words):
    server.statuses = [status]
    with pytest.raises(FetchError, match=words) as caught:
        fetch_file(remote(server), tmp_path)
    assert "\n" not in str(caught.value)
    assert len(server.seen) == 1


def test_no_network_is_one_sentence(server, tmp_path):
    gone = RemoteFile("http://127.0.0.1:9/x.bin", "x.bin")  # port 9: nobody listens
    with pytest.raises(FetchError, match=r"Cannot fetch .*; check the network and run the same command again"):
        fetch_file(gone, tmp_path, wait_s=0, n_tries=2)


def test_unwritable_folder_is_one_sentence(server, tmp_path):
    (tmp_path / "sub").write_text("a file where the folder should be")
    with pytest.raises(FetchError, match="Cannot write"):
        fetch_file(remote(server), tmp_path)


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in members.items():
            zipped.writestr(name, data)
    return buffer.getvalue()


def test_unzip_is_repeatable_and_stays_inside(tmp_path):
    archive = tmp_path / "images.zip"
    archive.write_bytes(zip_of({"images/1.jpg": b"one", "images/._1.jpg": b"mac", "../evil.jpg": b"out"}))
    assert unzip(archive, tmp_path / "to") == 1
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.jpg")) == ["to/images/1.jpg"]
    assert unzip(archive, tmp_path / "to") == 0
    (tmp_path / "to/images/1.jpg").write_bytes(b"o")  # what a kill may leave
    assert unzip(archive, tmp_path / "to") == 1
    assert (tmp_path / "to/images/1.jpg").read_bytes() == b"one"


def test_damaged_zip_is_one_sentence(tmp_path):
    archive = tmp_path / "images.zip"
    archive.write_bytes(zip_of({"a.jpg": b"one" * 1000})[:-30])
    with pytest.raises(FetchError, match="not a whole zip file"):
        unzip(archive, tmp_path)


def test_checksum_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    assert file_checksum(tmp_path / "a", "md5") == "md5:d41d8cd98f00b204e9800998ecf8427e"


# ---- the script, against a server that looks like Hugging Face and Zenodo


def parquet_bytes(n: int) -> bytes:
    rng = np.random.default_rng(n)
    images = [{"bytes": encode_png(rng.random((3, 8, 8))), "path": f"{k}.png"} for k in range(n)]
    table = pa.table(
        {"image": images, "id_str": [f"{n}{k:03d}" for k in range(n)], "smooth-or-featured-hubble_smooth": range(n)}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def serve_hugging_face(server, monkeypatch) -> None:
    shards = {
        "tiny/train-00000-of-00001.parquet": parquet_bytes(5),
        "tiny/test-00000-of-00001.parquet": parquet_bytes(3),
    }
    siblings = [{"rfilename": "README.md", "size": 3}]
    for name, data in shards.items():
        server.files[f"/datasets/mwalmsley/gz_hubble/resolve/abc/{name}"] = data
        lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
        siblings.append({"rfilename": name, "size": len(data), "blobId": "0", "lfs": lfs})
    answer = {"id": "mwalmsley/gz_hubble", "sha": "abc", "tags": [], "siblings": siblings}
    server.files["/api/datasets/mwalmsley/gz_hubble"] = json.dumps(answer).encode()
    monkeypatch.setenv("HF_ENDPOINT", server.url)


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("fetch_catalog", ROOT / "scripts/fetch_catalog.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_fetches_tiny_hugging_face_set(server, tmp_path, monkeypatch, script, capsys):
    serve_hugging_face(server, monkeypatch)
    server.cuts = [10**9, 700]  # the list, then the first shard half way
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert script.main(["gz_hubble", "--size", "tiny", "--root", str(tmp_path / "my hubble")]) == 0
    out = capsys.readouterr().out
    assert "CC BY-NC-SA 4.0" in out
    assert "8 galaxies from 8 rows" in out
    assert out.endswith(f"Next: python scripts/run_pipeline.py 'galaxy-zoo:{tmp_path}/my hubble' --name gz_hubble\n")
    assert any(seen and seen.startswith("bytes=700-") for seen in server.seen)
    n_requests = len(server.seen)
    assert script.main(["gz_hubble", "--size", "tiny", "--root", str(tmp_path / "my hubble")]) == 0
    assert len(server.seen) == n_requests + 1  # the list again, no file again


def test_script_fetches_gz2_from_zenodo(server, tmp_path, monkeypatch, script, capsys):
    mapping = b"objid,sample,asset_id\n587722981741363294,original,16\n"
    votes = b"dr7objid,gz2_class,t01_smooth_or_features_a01_smooth_debiased\n587722981741363294,Er,0.9\n"
    images = zip_of({"images/16.png": encode_png(np.zeros((3, 4, 4)))})
    listed = []
    for name, data in {"gz2_filename_mapping.csv": mapping, "images_gz2.zip": images}.items():
        server.files[f"/records/3565489/files/{name}"] = data
        listed.append({"key": name, "size": len(data), "checksum": "md5:" + hashlib.md5(data).hexdigest()})
    server.files["/api/records/3565489"] = json.dumps({"files": [*listed, {"key": "README.txt"}]}).encode()
    server.files["/gz2_hart16.csv"] = votes
    monkeypatch.setenv("ZENODO_ENDPOINT", server.url)
    monkeypatch.setitem(
        releases.RELEASES,
        "gz2_original",
        releases.Release(
            "GZ2",
            "gz2",
            "CC BY 4.0",
            "papers",
            zenodo="3565489",
            extra=(RemoteFile(f"{server.url}/gz2_hart16.csv", "gz2_hart16.csv"),),
        ),
    )
    assert script.main(["gz2_original", "--root", str(tmp_path)]) == 0
    assert "1 galaxies from 1 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["gz_candels", "--size", "tiny"], "no dataset"), (["gz2_original", "--size", "tiny"], "only in full")],
)
def test_script_says_what_is_wrong_in_one_line(server, tmp_path, monkeypatch, script, capsys, arguments, words):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.statuses = [401]
    assert script.main([*arguments, "--root", str(tmp_path / "new")]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["gz_hubble", "gz2_original"])
def test_no_network_for_the_list_is_one_sentence(monkeypatch, name):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("ZENODO_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(GalaxyError, match="check the network") as caught:
        releases.list_files(name, "full")
    assert "\n" not in str(caught.value)


def test_usage_error_exits_2(script, capsys):
    with pytest.raises(SystemExit) as caught:
        script.main(["no_such_release", "--root", "x"])
    assert caught.value.code == 2
