"""Processes that get ready before there is work: once, waited for, replaced, and ended with who they were for."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from galaxy_core.errors import ImageError
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import StoppedError
from tests.work_jobs import PATIENCE_S, double, fail, hold, ignore, is_alive, sleep, until


def test_a_process_is_got_ready_once_and_the_work_that_comes_waits_for_it(processes, tmp_path):
    path = str(tmp_path / "go")
    for _ in range(3):
        processes.get_ready(partial(hold, path))
    (pid,) = processes.pids()
    threading.Timer(1.5, Path(path).touch).start()  # longer than a job waits for a process that works
    assert processes.run(partial(double, []), ignore).pid == pid
    processes.get_ready(partial(fail, ZeroDivisionError()))
    assert processes.pids() == [pid], "there is one"


@pytest.mark.parametrize("error", [ImageError("no model"), MemoryError(), ZeroDivisionError()])
def test_what_goes_wrong_when_a_process_is_got_ready_is_told_by_nobody(processes, capfd, error):
    processes.get_ready(partial(fail, error))
    (pid,) = processes.pids()
    assert processes.run(partial(double, []), ignore).pid == pid
    assert "Traceback" not in capfd.readouterr().err


def test_one_that_never_gets_ready_keeps_no_work_waiting(processes, tmp_path, monkeypatch):
    monkeypatch.setattr("galaxy_core.work_process.START_S", 0.2)
    monkeypatch.setattr("galaxy_core.work_process.PATIENCE_S", 0.1)
    processes.get_ready(partial(sleep, str(tmp_path / "go")))
    (pid,) = processes.pids()
    assert processes.run(partial(double, []), ignore).pid != pid


def test_one_that_is_killed_while_it_gets_ready_is_replaced(processes, tmp_path):
    path = str(tmp_path / "go")
    processes.get_ready(partial(sleep, path))
    assert until(Path(path + ".begun").exists)
    (pid,) = processes.pids()
    os.kill(pid, signal.SIGKILL)
    assert processes.run(partial(double, []), ignore).pid != pid


def test_work_takes_the_process_that_waits_whatever_still_gets_ready(processes, tmp_path):
    """And it is told meanwhile that it is not wanted any more, which costs no process."""
    path = str(tmp_path / "go")
    processes.get_ready(partial(hold, path))
    with pytest.raises(StoppedError):
        processes.run(partial(double, []), partial(fail, StoppedError()))
    assert len(processes.pids()) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("galaxy_core.work_process.START_S", 0.0)
        other = processes.run(partial(double, []), ignore).pid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("galaxy_core.work_process.START_S", 10 * PATIENCE_S)
        begun = time.monotonic()
        assert processes.run(partial(double, []), ignore).pid == other
    assert time.monotonic() - begun < PATIENCE_S and len(processes.pids()) == 2
    Path(path).touch()


def test_a_process_that_cannot_be_started_is_told_by_the_work_alone(processes, monkeypatch):
    def fail_to_start(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("galaxy_core.work_process.subprocess.Popen", fail_to_start)
    processes.get_ready(partial(double, []))
    assert processes.pids() == []
    with pytest.raises(OSError, match="Too many open files"):
        processes.run(partial(double, []), ignore)


def test_at_the_end_nothing_is_started(processes):
    processes.end()
    processes.get_ready(partial(double, []))
    with pytest.raises(StoppedError):
        processes.run(partial(double, []), ignore)
    assert processes.pids() == []


def test_who_leaves_takes_a_process_along_that_got_ready(tmp_path):
    here, path = {"yes": True}, str(tmp_path / "go")
    clock = lambda: time.monotonic() + (0 if here["yes"] else 1000)  # noqa: E731
    queue = WorkQueue(is_here=lambda visitor: here["yes"], clock=clock)
    queue.get_ready("a", partial(sleep, path))
    assert until(Path(path + ".begun").exists)
    (pid,) = queue._processes.pids()
    here["yes"] = False  # what tidies up looks by itself
    assert until(lambda: queue._processes.pids() == [] and not is_alive(pid))
    queue.close(1)
    queue.get_ready("a", partial(double, []))
    assert queue._processes.pids() == [], "nothing is begun at the end"
