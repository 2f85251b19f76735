"""The two commands of a fresh machine: what they prepare, what they leave alone, and what they say when they cannot."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from conftest import free_port

PROJECT = Path(__file__).parents[1]
OFFLINE = {  # pip finds an index that answers nothing
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "0",
    "PIP_USER": "1",  # as on clusters
}
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


@pytest.mark.parametrize("name", ["environment.py", "start.py", "test.py"])
def test_an_old_python_can_read_the_scripts(name):
    source = (PROJECT / "scripts" / name).read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {node.module for node in imported if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    assert "__future__" not in modules  # annotations came with 3.7
    local = {"environment"}
    assert {module.split(".")[0] for module in modules} <= set(sys.stdlib_module_names) | local


@pytest.mark.parametrize("script", ["start.py", "test.py"])
def test_an_old_python_is_told_which_one_it_takes(project, script):
    pretend = "import runpy, sys; sys.version_info = (3, 8, 2, 'final', 0); sys.path.insert(0, sys.argv[1]); "
    pretend += "runpy.run_path(sys.argv[1] + '/' + sys.argv[2], run_name='__main__')"
    command = [sys.executable, "-c", pretend, str(project / "scripts"), script]
    sentence = one_sentence(subprocess.run(command, capture_output=True, text=True))
    assert "needs Python 3.11 or newer, but this is Python 3.8" in sentence
    assert not (project / ".venv").exists()


def test_a_taken_port_is_named_before_anything_is_installed(project):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        sentence = one_sentence(run(project, "start.py", "--no-browser", "--port", str(port)))
    assert sentence.startswith(f"Port {port} is taken") and "--port" in sentence
    assert f"runs already at http://localhost:{port}" in sentence
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_an_impossible_port_is_a_usage_error(project, port):
    done = run(project, "start.py", "--port", port)
    assert done.returncode == 2 and "from 1 to 65535" in done.stderr


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


def test_no_network_for_pip_is_one_sentence_and_not_taken_for_done(project, environment):
    (project / "requirements.txt").write_text("tqdm==4.70.1\n")
    done = run(project, "start.py", "--no-browser", "--port", str(free_port()), **OFFLINE)
    assert "could not reach the package index" in one_sentence(done)
    assert not (project / ".venv" / "requirements.sha256").exists()


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

    python.unlink()  # the Python it was made with is gone
    environment.prepare_packages(project)
    assert len(installed) == 3 and python.exists()

    (packages,) = (project / ".venv").glob("lib/python*")
    packages.rename(packages.with_name("python3.0"))  # the system's Python, to which it leads, became a newer version
    environment.prepare_packages(project)
    assert len(installed) == 4 and environment.has_pip(python)


def test_packages_for_a_cluster_are_installed_for_the_tests_alone(project, environment, monkeypatch):
    monkeypatch.setattr(environment, "cpu_wheels", list)
    monkeypatch.setattr(environment, "prepare_demo", lambda project, python: None)
    installed = []
    monkeypatch.setattr(environment, "install", lambda listed, python: installed.append(listed.name))
    environment.prepare(project)
    assert installed == ["requirements.txt"]
    environment.prepare(project, (environment.REQUIREMENTS, environment.CLUSTER_REQUIREMENTS))
    environment.prepare(project)
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


def test_a_demo_that_fails_is_one_sentence(ready):
    shutil.rmtree(ready / "artifacts")
    (ready / "scripts" / "run_pipeline.py").write_text("raise SystemExit(1)\n")
    assert "demo could not be made" in one_sentence(run(ready, "start.py", "--no-browser", "--port", str(free_port())))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_start_serves_the_page_and_stops_cleanly(ready, ending):
    port = free_port()
    command = [sys.executable, str(ready / "scripts" / "start.py"), "--no-browser", "--port", str(port)]
    started = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell's background job
    )
    try:
        line = started.stdout.readline()
        assert f"http://localhost:{port}" in line, started.stderr.read()
        with urllib.request.urlopen(f"http://localhost:{port}/", timeout=60) as answer:
            assert b"<html" in answer.read()
        started.send_signal(ending)
        assert started.wait(timeout=60) == 0
        assert "Stopped." in started.stdout.read()
    finally:
        started.kill()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_an_app_that_cannot_start_is_said_so(ready):
    (ready / "app.py").unlink()
    done = run(ready, "start.py", "--no-browser", "--port", str(free_port()))
    assert done.returncode == 1 and "ended while starting" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_command_outside_the_environment_says_how_to_enter_it():
    scripts = [path for path in (PROJECT / "scripts").glob("*.py") if "sys.path.insert" in path.read_text()]
    assert len(scripts) > 12
    for path in scripts:  # -I and -S: without what is installed
        done = subprocess.run([sys.executable, "-I", "-S", str(path), "--help"], capture_output=True, text=True)
        assert "has no package" in one_sentence(done) and "source .venv/bin/activate" in done.stderr, path


def test_test_script_runs_the_suite_and_passes_its_result_on(ready):
    (ready / "tests").mkdir()
    (ready / "tests" / "test_two.py").write_text("def test_good(): pass\ndef test_bad(): assert False\n")
    environ = {"CI": "", "PYTEST_ADDOPTS": ""}
    done = run(ready, "test.py", "tests", **environ)
    assert done.returncode == 1 and "1 failed, 1 passed" in done.stdout.strip().splitlines()[-1]
    done = run(ready, "test.py", "-k", "good", **environ)
    assert done.returncode == 0 and "1 passed" in done.stdout.strip().splitlines()[-1]


def test_continuous_integration_without_a_browser_fails(ready, tmp_path_factory):
    done = run(ready, "test.py", CI="true", PATH=str(tmp_path_factory.mktemp("empty")))
    assert "there is no Chromium" in one_sentence(done)


def test_the_whole_suite_is_shared_among_workers_and_a_part_is_not(ready):
    (ready / "tests").mkdir()
    (ready / "tests" / "test_one.py").write_text(
        "import os\n\ndef test_one():\n    assert 'PYTEST_XDIST_WORKER' in os.environ\n"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "scripts/test.py"]
    assert subprocess.run(command, cwd=ready, capture_output=True, env=environ).returncode == 0
    assert subprocess.run([*command, "tests"], cwd=ready, capture_output=True, env=environ).returncode == 1
