"""The app as a server: its health by HTTP, and an end in order with nothing half written."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress

import pytest
from conftest import PROJECT, free_port

from galaxy_core import artifacts
from galaxy_core.errors import GalaxyError
from galaxy_core.work_queue import GONE_S
from pages.views import background

PATIENCE_S = 120


@contextmanager
def served(root, log, cwd=None):
    """`serve.py` on these artifacts, started in a folder: its process and its address."""
    port = free_port()
    command = [sys.executable, str(PROJECT / "scripts" / "serve.py"), "--port", str(port), "--artifacts", str(root)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, cwd=cwd)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            assert process.poll() is None, log.read_text()
            with suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                break
            time.sleep(0.1)
        yield process, address
    finally:
        process.kill()
        process.wait()


def health_of(address: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_health_is_told_and_the_server_ends_with_0(broken_root, tmp_path, ending):
    log = tmp_path / "serve.log"
    with served(broken_root, log) as (process, address):
        status, found = health_of(address)
        assert (status, found["status"], found["catalogs"]) == (200, "ok", ["tiny"]), found
        assert found["queue"]["running_limit"] >= 2
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert b"<html" in answer.read()
        (broken_root / "tiny" / artifacts.MANIFEST_FILE).write_text("{")
        status, found = health_of(address)
        assert (status, found["status"]) == (503, "down") and "tiny" in found["problems"][0]
        process.send_signal(ending)
        assert process.wait(background.END_S + PATIENCE_S) == 0
    assert "Traceback" not in log.read_text()
    assert log.read_text().splitlines()[0] == f"Galaxy Atlas is at {address} (Ctrl-C stops it)"


def test_where_others_open_the_app_is_told_without_asking_a_server_of_others(monkeypatch):
    import streamlit.net_util

    from scripts.serve import place_of

    monkeypatch.setattr(streamlit.net_util, "get_external_ip", lambda: pytest.fail("asked"))
    monkeypatch.setattr(streamlit.net_util, "get_internal_ip", lambda: "192.168.1.7")
    assert place_of("0.0.0.0", 8501) == place_of("::", 8501) == "http://192.168.1.7:8501"
    assert place_of("127.0.0.1", 8501) == "http://127.0.0.1:8501" and place_of("::1", 80) == "http://[::1]:80"


@pytest.mark.parametrize("port", ["0", "99999"])
def test_a_port_that_there_is_not_is_refused(port):
    command = [sys.executable, str(PROJECT / "scripts" / "serve.py"), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2 and done.stderr.endswith(f"a port is a number from 1 to 65535, not {port}\n")


def test_an_address_that_cannot_be_had_is_one_sentence():
    command = [sys.executable, str(PROJECT / "scripts" / "serve.py"), "--address", "203.0.113.5"]  # another machine's
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("The app cannot answer at 203.0.113.5, port 8501 (")
    assert done.stderr.endswith("); choose another --address or --port.\n")


def test_a_number_of_jobs_that_there_is_not_is_refused_at_the_start(monkeypatch):
    monkeypatch.setenv(background.JOBS, "none")
    command = [sys.executable, str(PROJECT / "scripts" / "serve.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2 and "GALAXY_ATLAS_JOBS is 'none'; set it to the number of" in done.stderr


WORK = """
import sys, threading, time
from pathlib import Path
from galaxy_core.artifacts.files import atomic_path
from galaxy_core.work_tasks import Task
from pages.views import background

folder, started = Path(sys.argv[1]), threading.Event()

def run(report):
    for tile in range(1_000):
        with atomic_path(folder / f"{tile}.txt") as temporary:
            temporary.write_text("half")
            started.set()
            time.sleep(0.2)
            temporary.write_text("whole")
        report(tile / 1_000)

background.queue().want("nobody", [Task("x", "x", run)])
started.wait(60)
"""


def test_work_ends_with_the_program_after_the_file_it_is_at(tmp_path):
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    files = sorted(tmp_path.iterdir())
    assert files and all(path.suffix == ".txt" and path.read_text() == "whole" for path in files)
    assert len(files) < 50 and time.monotonic() - began < PATIENCE_S


MAKING = """
import sys
from pages.views import demo

demo.start(sys.argv[1], (sys.executable, "-c", "import time; time.sleep(600)"))
print(demo._runs()[sys.argv[1]].process.pid)
"""


def test_a_map_that_a_page_has_made_ends_with_the_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MAKING, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


@pytest.mark.parametrize("text", ["0", "-1", "two", ""])
def test_an_impossible_number_of_jobs_is_one_sentence(text):
    with pytest.raises(GalaxyError, match="GALAXY_ATLAS_JOBS"):
        background.limits({"GALAXY_ATLAS_JOBS": text})
    assert background.limits({}).running >= 2


def test_every_option_of_the_server_is_one_that_streamlit_knows():
    from streamlit import config

    sections = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())
    options = {f"server.{key}": value for key, value in sections["server"].items()}
    assert {"server.maxUploadSize", "server.maxMessageSize", "server.disconnectedSessionTTL"} <= set(options)
    assert set(options) <= set(config._config_options_template)
    assert options["server.disconnectedSessionTTL"] == GONE_S, "the comment there says they are the same"
    assert options["server.fileWatcherType"] == "none", "else start.py fills its terminal on a busy machine"


HEAPS = """
import ctypes, sys, tempfile, threading
sys.path.insert(0, sys.argv[1])
libc = ctypes.CDLL(None)
libc.fopen.restype = libc.malloc.restype = ctypes.c_void_p
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]

def heaps() -> int:
    with tempfile.NamedTemporaryFile() as report:
        stream = libc.fopen(report.name.encode(), b"w")
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        return report.read().count(b"<heap ")

if sys.argv[2] == "shared":
    from scripts.serve import share_heaps
    share_heaps()
together = threading.Barrier(6)

def use() -> None:
    libc.malloc(1000)
    together.wait()

threads = [threading.Thread(target=use) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(heaps())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has several heaps")
def test_visitors_share_two_heaps_so_that_memory_comes_back():
    def heaps(how: str) -> int:
        command = [sys.executable, "-c", HEAPS, str(PROJECT), how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert heaps("shared") <= 2 < heaps("as glibc does")
