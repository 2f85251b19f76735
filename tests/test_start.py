"""The two commands of a fresh machine: what they start, how they end, and what they say when they cannot."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import pytest
from conftest import free_port

from tests.fresh_machine import PROJECT, one_sentence, run


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
        assert started.stdout.read().endswith("\nStopped.\n")  # said when it is true
    finally:
        started.kill()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_a_clock_that_is_set_while_the_app_starts_ends_nothing(monkeypatch):
    monkeypatch.syspath_prepend(PROJECT / "scripts")
    spec = importlib.util.spec_from_file_location("start_under_test", PROJECT / "scripts" / "start.py")
    start = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(start)
    hours, ends = itertools.count(0, 3600), iter([None, 3])
    clock = SimpleNamespace(time=lambda: next(hours), monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr(start, "time", clock)
    with pytest.raises(start.SetupError, match="ended while starting"):
        start.wait_until_it_answers(SimpleNamespace(poll=lambda: next(ends), returncode=3), free_port())


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
        "import os, sys\n\ndef test_one():\n"
        "    assert 'PYTEST_XDIST_WORKER' in os.environ and not sys.dont_write_bytecode\n"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environ["PYTHONDONTWRITEBYTECODE"] = "1"  # as images of containers set it
    command = [sys.executable, "scripts/test.py"]
    assert subprocess.run(command, cwd=ready, capture_output=True, env=environ).returncode == 0
    assert subprocess.run([*command, "tests"], cwd=ready, capture_output=True, env=environ).returncode == 1
