"""What continuous integration starts: it brings what a bare system lacks, then runs the test script."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def test_ci_run_is_a_script_that_calls_the_test_script():
    script = PROJECT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "scripts/test.py" in script.read_text()
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


@pytest.mark.parametrize("data", [gzip.compress(b""), b"sky"])
def test_no_test_is_named_by_bytes(request, data):
    """Packed ones hold the second of their making, and workers that collect at two times must find the same tests."""
    assert request.node.name in ("test_no_test_is_named_by_bytes[data0]", "test_no_test_is_named_by_bytes[data1]")


@pytest.mark.parametrize(
    ("there", "lacking"),
    [
        ((), "chromium fonts-dejavu-core python3 python3-venv"),
        (("google-chrome",), "python3 python3-venv"),
        (("python3",), "chromium fonts-dejavu-core"),
        (("chromium", "python3"), None),
    ],
)
def test_ci_run_installs_what_a_bare_system_lacks(tmp_path, there, lacking):
    """Programs that write down what they are asked stand in for the system's; Python is one without its venv module."""
    told, path = tmp_path / "told", tmp_path / "bin"
    path.mkdir()
    programs = {
        "id": "echo 0",
        "apt-get": f'echo "$@" >> "{told}"',
        "python3": f'[ "$1" != -c ] && echo "$@" >> "{told}"',
    }
    for name, text in (programs | dict.fromkeys(there, f'[ "$1" = -c ] || echo "$@" >> "{told}"')).items():
        (path / name).write_text(f"#!/bin/sh\n{text}\n")
        (path / name).chmod(0o755)
    (path / "dirname").symlink_to(shutil.which("dirname"))
    done = subprocess.run([shutil.which("bash"), str(PROJECT / ".ci" / "run")], env={"PATH": str(path)})
    installed = [f"install -y -qq --no-install-recommends {lacking}"] if lacking else []
    assert done.returncode == 0
    assert told.read_text().splitlines() == [*(["update -qq"] if lacking else []), *installed, "scripts/test.py"]
