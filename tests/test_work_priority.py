"""Background work lets pages go first, with all threads it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from galaxy_core.work_priority import NICE, WAIT, let_others_run
from galaxy_core.work_process import Processes
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import Task

PATIENCE_S = 120
PROJECT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
def test_work_and_its_threads_stand_back_and_pages_do_not():
    found = []

    def look() -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def run(report):
        look()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    before, queue = os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), WorkQueue()
    queue.want("a", [Task("x", "x", run)])
    assert queue.wait("x", PATIENCE_S)
    look()
    assert found == [max(before, NICE), max(before, NICE), before]


def test_threads_that_wait_for_each_other_sleep():
    found, own = {}, {WAIT: "ACTIVE"}
    let_others_run(found)
    let_others_run(own)
    assert found == {WAIT: "PASSIVE"} and own == {WAIT: "ACTIVE"}


def test_the_server_and_its_processes_say_so():
    """In a new process, where nobody has said it yet: it is there when PyTorch is loaded."""
    code = (
        "import os, sys; from pages.views import background;"
        " print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != WAIT}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=PROJECT)
    assert done.stdout.split() == ["PASSIVE", "False"], done.stderr


def wait_policy(report) -> str | None:
    return os.environ.get(WAIT)


def test_a_process_of_its_own_says_so(monkeypatch):
    monkeypatch.delenv(WAIT, raising=False)
    processes = Processes()
    try:
        assert processes.run(wait_policy, lambda fraction: None) == "PASSIVE"
    finally:
        processes.end()
