"""Work in processes of its own: what goes in and comes out, stopping, mistakes, and a process that is killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.errors import ImageError
from galaxy_core.work_process import ProcessError, Processes
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import DONE, FAILED, RUNNING, Limits, StoppedError, Task

PATIENCE_S = 120


@dataclass(frozen=True)
class Found:
    """What a job gives."""

    arrays: tuple
    pid: int

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)


def double(arrays, report) -> Found:
    print("a library says something")
    for done in (0.25, 0.5):
        report(done)
    return Found(tuple(2 * array for array in arrays), os.getpid())


def fail(error, report):
    raise error


def give_lambda(report):
    return lambda: 0


def give_module(report):
    return sys


def hold(path: str, report):
    """Until a file appears, saying so by another file."""
    Path(path + ".begun").touch()
    while not Path(path).exists():
        time.sleep(0.01)
        report(0.5)
    return Found((), os.getpid())


def sleep(path: str, report):
    Path(path + ".begun").touch()
    time.sleep(600)


def ignore(fraction: float) -> None:
    """A report that nobody reads."""


@pytest.fixture
def processes():
    made = Processes()
    yield made
    made.end()


def until(condition) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_arrays_go_there_and_back_and_the_process_is_used_again(processes):
    rng, seen = np.random.default_rng(0), []
    arrays = [
        rng.random((3, 200, 300)),
        np.array([], np.float32),
        np.asfortranarray(rng.random((40, 50))),
        np.arange(4),
    ]
    arrays += [rng.random((30, 30))[::2, ::3], np.full((2, 2), np.nan)]
    found = processes.run(partial(double, arrays), seen.append)
    assert found.pid != os.getpid() and {0.25, 0.5} <= set(seen)
    for before, after in zip(arrays, found.arrays, strict=True):
        assert after.dtype == before.dtype and np.array_equal(after, 2 * before, equal_nan=True)
        after += 1  # can be written to
    assert processes.run(partial(double, arrays[:1]), ignore).pid == found.pid, "the one that waits is taken"
    assert processes.pids() == [found.pid]
    processes.end_waiting()
    assert processes.pids() == [] and not is_alive(found.pid)


@pytest.mark.parametrize(
    ("job", "error", "said"),
    [
        (partial(fail, ImageError("it is black; take another")), ImageError, "it is black; take another"),
        (partial(fail, MemoryError()), MemoryError, None),
        (partial(fail, ZeroDivisionError("by zero")), ProcessError, "in fail"),
        (partial(fail, OSError("no such file")), ProcessError, "no such file"),
        (give_lambda, ProcessError, "lambda"),
        (give_module, ProcessError, "pickle"),
    ],
)
def test_mistakes_come_back_and_the_process_lives_on(processes, job, error, said):
    with pytest.raises(error, match=said):
        processes.run(job, ignore)
    (pid,) = processes.pids()
    assert processes.run(partial(double, []), ignore).pid == pid


def test_a_job_that_cannot_be_sent_is_no_process_lost(processes):
    with pytest.raises(Exception, match="lambda"):
        processes.run(lambda report: 0, ignore)
    (pid,) = processes.pids()
    assert processes.run(partial(double, []), ignore).pid == pid


def test_a_job_nobody_wants_stops_and_the_process_is_used_again(processes, tmp_path):
    path = str(tmp_path / "go")

    def report(fraction: float) -> None:
        if Path(path + ".begun").exists():
            raise StoppedError

    with pytest.raises(StoppedError):
        processes.run(partial(hold, path), report)
    (pid,) = processes.pids()
    assert processes.run(partial(double, []), ignore).pid == pid


def test_a_job_that_never_reports_is_ended_with_its_process(processes, tmp_path, monkeypatch):
    monkeypatch.setattr("galaxy_core.work_process.STOP_S", 0.2)
    path = str(tmp_path / "go")

    def report(fraction: float) -> None:
        if Path(path + ".begun").exists():
            raise StoppedError

    with pytest.raises(StoppedError):
        processes.run(partial(sleep, path), report)
    assert processes.pids() == []


def test_a_killed_process_is_one_sentence_and_the_next_job_is_done(tmp_path):
    queue, path = WorkQueue(Limits(running=1)), str(tmp_path / "go")
    queue.want("a", [Task("x", "m31.fits", partial(sleep, path), apart=True)])
    assert until(Path(path + ".begun").exists)
    os.kill(queue._processes.pids()[0], signal.SIGKILL)
    assert queue.wait("x", PATIENCE_S)
    standing = queue.standing("x")
    assert standing.state == FAILED and "m31.fits was given up" in standing.error and "smaller" in standing.error
    queue.want("a", [Task("y", "y", partial(double, [np.ones(3)]), apart=True)])
    assert queue.wait("y", PATIENCE_S) and queue.standing("y").state == DONE
    assert queue.result("y").nbytes == 24
    assert queue.close(PATIENCE_S) and queue._processes.pids() == []


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


def test_two_jobs_have_a_process_each(tmp_path):
    queue, paths = WorkQueue(Limits(running=2)), [str(tmp_path / name) for name in "ab"]
    for path in paths:
        queue.want(path, [Task(path, path, partial(hold, path), apart=True)])
    assert until(lambda: all(Path(path + ".begun").exists() for path in paths))
    assert [queue.standing(path).state for path in paths] == [RUNNING, RUNNING]
    for path in paths:
        Path(path).touch()
    assert all(queue.wait(path, PATIENCE_S) for path in paths)
    assert len({queue.result(path).pid for path in paths}) == 2
    queue.close(PATIENCE_S)


def test_short_jobs_share_a_process(monkeypatch):
    """A second one is started for who would wait long alone; on a busy machine even the first takes long to start."""
    monkeypatch.setattr("galaxy_core.work_process.PATIENCE_S", PATIENCE_S)
    queue = WorkQueue(Limits(running=4))
    tasks = [Task(str(n), str(n), partial(double, []), apart=True) for n in range(20)]
    queue.want("a", tasks)
    assert all(queue.wait(task.key, PATIENCE_S) for task in tasks)
    assert len({queue.result(task.key).pid for task in tasks}) == 1
    queue.close(PATIENCE_S)


def test_processes_end_when_the_last_visitor_is_gone(tmp_path):
    here = {"yes": True}
    clock = lambda: time.monotonic() + (0 if here["yes"] else 1000)  # noqa: E731
    queue = WorkQueue(is_here=lambda visitor: here["yes"], clock=clock)
    queue.want("a", [Task("x", "x", partial(double, []), apart=True)])
    assert queue.wait("x", PATIENCE_S)
    pid = queue.result("x").pid
    queue.sweep()
    assert queue._processes.pids() == [pid]
    here["yes"] = False
    queue.sweep()
    assert until(lambda: queue._processes.pids() == [] and not is_alive(pid))
    queue.close(1)


def test_a_closing_queue_ends_a_job_that_does_not_report(tmp_path):
    queue, path = WorkQueue(), str(tmp_path / "go")
    queue.want("a", [Task("x", "x", partial(sleep, path), apart=True)])
    assert until(Path(path + ".begun").exists)
    (pid,) = queue._processes.pids()
    begun = time.monotonic()
    queue.close(0.5)
    assert time.monotonic() - begun < PATIENCE_S and until(lambda: not is_alive(pid))


def test_the_process_ends_with_its_server(tmp_path):
    """However the server ends: here the pipe is closed from its side, as the system does for one that is killed."""
    processes, path = Processes(), str(tmp_path / "go")
    thread = threading.Thread(target=lambda: _swallow(processes, partial(sleep, path)), daemon=True)
    thread.start()
    assert until(Path(path + ".begun").exists)
    (one,) = processes._all
    one.popen.stdin.close()
    assert one.popen.wait(PATIENCE_S) == 0
    thread.join(PATIENCE_S)


def _swallow(processes: Processes, job) -> None:
    with pytest.raises(Exception, match="given up"):
        processes.run(job, ignore)
