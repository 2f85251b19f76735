"""Downloads against a local server that cuts connections, forgets ranges, changes its mind, and lies."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.fetching import FetchError, RemoteFile, fetch_file, file_checksum, unzip
from tests.file_server import serving, zip_of

ROOT = Path(__file__).resolve().parents[1]
DATA = np.random.default_rng(0).bytes(700_000)
PATIENCE_S = 120
SHA = "sha256:" + hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server():
    with serving() as server:
        server.files["/galaxies.bin"] = DATA
        yield server


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


def test_a_network_that_goes_away_is_a_cut_connection_and_no_full_disk(server, tmp_path, monkeypatch):
    whole, n_reads = http.client.HTTPResponse.read1, []

    def read(response, n=-1):
        n_reads.append(n)
        if len(n_reads) == 2:
            raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))  # as where the wireless network is lost
        return whole(response, 100_000)

    monkeypatch.setattr(http.client.HTTPResponse, "read1", read)
    fetch_file(remote(server, checksum=SHA), tmp_path, wait_s=0)
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA
    first, again = server.seen
    assert first is None and re.fullmatch(r"bytes=[1-9]\d*-", again)  # from where it was cut: a read may bring less


def test_a_later_run_goes_on_and_says_so(server, tmp_path):
    server.cuts = [250_000]
    with pytest.raises(FetchError, match=r"cut.*0\.2 MB|cut.*0\.3 MB"):
        fetch_file(remote(server), tmp_path, wait_s=0, n_tries=1)
    assert not (tmp_path / "sub/galaxies.bin").exists()
    fetch_file(remote(server), tmp_path, wait_s=0)
    assert server.seen == [None, "bytes=250000-"]
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA


def test_killed_download_resumes(server, tmp_path):
    server.holds = [250_000]
    code = (
        "import sys; from pathlib import Path; from galaxy_core.fetching import *; "
        "fetch_file(RemoteFile(sys.argv[1], 'sub/galaxies.bin'), Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, f"{server.url}/galaxies.bin", str(tmp_path)], cwd=ROOT)
    part = tmp_path / "sub/galaxies.bin.part"
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and not (part.exists() and part.stat().st_size > 100_000):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    have = part.stat().st_size
    assert 100_000 < have < len(DATA)
    assert not (tmp_path / "sub/galaxies.bin").exists()
    server.go_on.set()
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


def test_the_same_file_is_fetched_by_one_run_at_a_time(server, tmp_path):
    """Else one would go on writing to what the other has finished, as after Ctrl-Z, the same command again, and fg."""
    server.holds = [300_000]
    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(fetch_file, remote(server), tmp_path)
        end = time.monotonic() + PATIENCE_S
        while not any(path.stat().st_size == 300_000 for path in tmp_path.rglob("*.part")):
            assert time.monotonic() < end
            time.sleep(0.01)
        with pytest.raises(FetchError, match=r"Another run is fetching sub/galaxies\.bin"):
            fetch_file(remote(server), tmp_path)
        server.go_on.set()
        assert first.result(PATIENCE_S)
    assert (tmp_path / "sub/galaxies.bin").read_bytes() == DATA


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
