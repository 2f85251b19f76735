"""What tests of a fresh machine share: bare projects, and the scripts that run before anything is installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
APP = "import streamlit as st\nst.title('A small app')\n"
STUB_PIPELINE = """import pathlib, sys
demo = pathlib.Path("artifacts/demo")
demo.mkdir(parents=True)
(demo / "manifest.json").write_text(" ".join(sys.argv[1:]))
"""


@pytest.fixture
def environment():
    """scripts/environment.py, loaded afresh so that a test may change it."""
    spec = importlib.util.spec_from_file_location("environment_under_test", PROJECT / "scripts" / "environment.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path):
    """A bare project: the three scripts and an empty list of requirements."""
    (tmp_path / "scripts").mkdir()
    for name in ("environment.py", "start.py", "test.py"):
        shutil.copy(PROJECT / "scripts" / name, tmp_path / "scripts")
    (tmp_path / "scripts" / "run_pipeline.py").write_text(STUB_PIPELINE)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    (tmp_path / "scripts" / "requirements-cluster.txt").write_text("# nothing more\n")
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def ready(project, environment):
    """A project whose environment counts as installed: its Python is the one running this test."""
    python = environment.environment_python(project)
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for name in (environment.REQUIREMENTS, environment.CLUSTER_REQUIREMENTS):
        digest = environment.hashlib.sha256((project / name).read_bytes()).hexdigest()
        (project / ".venv" / Path(name).with_suffix(".sha256").name).write_text(digest)
    (project / "artifacts" / "demo").mkdir(parents=True)
    (project / "artifacts" / "demo" / "manifest.json").write_text("{}")
    return project


def run(project: Path, script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess:
    """Run a script of ``project`` to its end."""
    command = [sys.executable, str(project / "scripts" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environ})


def one_sentence(done: subprocess.CompletedProcess) -> str:
    """What a failed command said, which must be a single line without a traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr.strip()
