"""Work in processes of its own: what goes in and comes out, stopping, mistakes, and a process that is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.errors import ImageError
from galaxy_core.work_process import ProcessError, Processes
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import DONE, FAILED, RUNNING, Limits, StoppedError, Task
from tests.work_jobs import PATIENCE_S, double, fail, give_lambda, give_module, hold, ignore, is_alive, sleep, until


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
