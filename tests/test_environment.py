"""The environment of a fresh machine: what is installed and when, what is left alone, and why it could not be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import free_port

from tests.fresh_machine import one_sentence, run

OFFLINE = {  # pip finds an index that answers nothing
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "0",
    "PIP_USER": "1",  # as on clusters
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a folder that not even root can write to")
def test_a_read_only_folder_is_one_sentence(environment, monkeypatch, project):
    with pytest.raises(environment.SetupError, match=r"/proc cannot be written to .*copy Galaxy Atlas"):
        environment.check_writable(Path("/proc"))
    monkeypatch.setattr(
        environment.Path, "mkdir", lambda path: (_ for _ in ()).throw(OSError(30, "Read-only file system"))
    )
    with pytest.raises(environment.SetupError, match="Read-only file system"):
        environment.prepare(project)
    assert not (project / ".venv").exists()


def test_no_network_for_pip_is_one_sentence_and_not_taken_for_done(ready):
    (ready / "requirements.txt").write_text("tqdm==0.0.0\n")  # which no environment has
    done = run(ready, "start.py", "--no-browser", "--port", str(free_port()), **OFFLINE)
    assert "could not reach the package index" in one_sentence(done)
    assert not (ready / ".venv" / "requirements.sha256").exists()


def test_pip_runs_only_when_the_requirements_changed(project, environment, monkeypatch):
    monkeypatch.setattr(environment, "cpu_wheels", list)
    installed = []
    monkeypatch.setattr(environment, "install", lambda listed, python: installed.append(str(python)))
    python = environment.prepare_packages(project)
    assert installed == [str(python)] and subprocess.run([python, "-c", "pass"]).returncode == 0
    with monkeypatch.context() as quiet:
        quiet.setattr(environment, "create_environment", lambda *_: pytest.fail("a second start made it again"))
        assert environment.prepare_packages(project) == python
    assert len(installed) == 1

    (project / "requirements.txt").write_text("# another line\n")
    environment.prepare_packages(project)
    assert len(installed) == 2

    its_python = python.readlink()
    python.unlink()  # the Python it was made with is gone
    with monkeypatch.context() as quick:
        quick.setattr(environment, "create_environment", lambda _, python: python.symlink_to(its_python))
        environment.prepare_packages(project)
    assert len(installed) == 3 and python.exists()

    (packages,) = (project / ".venv").glob("lib/python*")
    packages.rename(packages.with_name("python3.0"))  # the system's Python, to which it leads, became a newer version
    environment.prepare_packages(project)
    assert len(installed) == 4 and environment.has_pip(python)


def test_packages_for_a_cluster_are_installed_for_the_tests_alone(ready, environment, monkeypatch):
    for stamp in (ready / ".venv").glob("*.sha256"):
        stamp.unlink()
    installed = []
    monkeypatch.setattr(environment, "install", lambda listed, python: installed.append(listed.name))
    environment.prepare(ready)
    assert installed == ["requirements.txt"]
    environment.prepare(ready, (environment.REQUIREMENTS, environment.CLUSTER_REQUIREMENTS))
    environment.prepare(ready)
    assert installed == ["requirements.txt", "requirements-cluster.txt"]


def test_an_interrupted_installation_is_done_again(ready, environment, monkeypatch):
    def interrupted(listed, python):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "has_pip", lambda python: True)
    (ready / "requirements.txt").write_text("# changed\n")
    monkeypatch.setattr(environment, "install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environment.prepare_packages(ready)
    (ready / "requirements.txt").write_text("# nothing\n")  # back to what the stamp was of
    calls = []
    monkeypatch.setattr(environment, "install", lambda *_: calls.append(1))
    environment.prepare_packages(ready)
    assert calls == [1]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["Collecting torch", "ERROR: [Errno 28] No space left on device"], "disk is full"),
        (["ERROR: No matching distribution found for torch==9.9"], "No matching distribution found for torch==9.9"),
        (
            ["WARNING: Retrying after NewConnectionError: ...", "ERROR: No matching distribution"],
            "connect to the network",
        ),
        (
            ["Downloading pillow.whl", "ERROR: Could not find a version (from versions: none)", "ERROR: No torch==9.9"],
            "not made for this version of Python on this machine (ERROR: No torch==9.9); remove",
        ),
        (
            ["ERROR: Failed building wheel for sep", "ERROR: Could not build wheels"],
            "start with another Python, such as",
        ),
        (["ERROR: Could not find a version (from versions: none)"], "connect to the network"),
        ([], "pip gave no reason"),
    ],
)
def test_reasons_of_pip_are_one_sentence(environment, lines, sentence):
    said = environment.explain_pip(lines)
    assert sentence in said and "\n" not in said and said.endswith(".")


def test_cpu_wheels_are_asked_for_only_where_they_answer(environment, monkeypatch):
    monkeypatch.setattr(environment.sys, "platform", "linux")
    monkeypatch.setattr(environment.os.path, "exists", lambda path: False)
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    monkeypatch.setattr(environment, "CPU_WHEELS", f"http://127.0.0.1:{free_port()}")
    assert environment.cpu_wheels() == []
    monkeypatch.setattr(environment.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(environment.urllib.request, "urlopen", lambda *_, **__: pytest.fail("asked"))
    assert environment.cpu_wheels() == []


def test_the_demo_is_made_once(ready, environment):
    python = environment.environment_python(ready)
    environment.prepare_demo(ready, python)
    manifest = ready / "artifacts" / "demo" / "manifest.json"
    assert manifest.read_text() == "{}"
    shutil.rmtree(ready / "artifacts")
    environment.prepare_demo(ready, python)
    assert manifest.read_text() == "synthetic:2000 --name demo"
