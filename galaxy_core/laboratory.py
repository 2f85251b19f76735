"""Clusterings computed while people look at the page: started, followed, cancelled, and remembered.

Each task runs in a process of its own (`galaxy_core.laboratory_work`), so that the pages answer while it computes and
it can be stopped at once. A `Laboratory` is shared by everyone who uses the app: the same task is computed once,
whoever asks, and goes on as long as somebody waits for it. Its tasks wait their turn in the one queue of all work.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from galaxy_core import work_tasks
from galaxy_core.laboratory_tasks import CANCELLED, DONE, FAILED, RUNNING, WAITING, Job, Task, Trial
from galaxy_core.work_queue import WorkQueue

PROJECT = Path(__file__).resolve().parents[1]
TOPIC = "laboratory"
CHANGES = ("save", "remove")
REMEMBERED = 32
"""Finished tasks whose result is kept, the latest ones."""
SPACES_KEPT = 12
TIME_LIMITS_S = {"cluster": 600, "null": 3_600, "sweep": 1_800, "save": 7_200, "remove": 7_200}


@dataclass(frozen=True)
class Laboratory:
    """All tasks of one app; made by `open_laboratory`."""

    folder: tempfile.TemporaryDirectory
    queue: WorkQueue
    jobs: dict[str, Job] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


def open_laboratory(queue: WorkQueue) -> Laboratory:
    """A laboratory without tasks, which wait in ``queue``; its folder of results is deleted with it."""
    folder = tempfile.TemporaryDirectory(prefix="galaxy-atlas-laboratory-", ignore_cleanup_errors=True)
    return Laboratory(folder, queue)


def submit(laboratory: Laboratory, task: Task, watcher: str) -> Job:
    """Ask for a task; one that somebody else asked for is joined, and one that is done is taken from memory.

    ``watcher`` names who asks; the task goes on until everybody who asked cancels it.
    """
    with laboratory.lock:
        job = laboratory.jobs.get(task.key)
        if job is None or job.state in (FAILED, CANCELLED) or (job.is_over and task.kind in CHANGES):
            laboratory.jobs.pop(task.key, None)
            job = laboratory.jobs[task.key] = Job(task)
        else:
            laboratory.jobs[task.key] = laboratory.jobs.pop(task.key)  # the latest comes last
        job.watchers.add(watcher)
    _queue_up(laboratory, watcher)
    _forget_old(laboratory)
    return job


def cancel(laboratory: Laboratory, job: Job, watcher: str) -> None:
    """Wait no longer for a task; it is stopped where nobody else waits for it. What was computed of a sweep is kept."""
    with laboratory.lock:
        job.watchers.discard(watcher)
        if not job.watchers:
            _abandon(laboratory, job)
    _queue_up(laboratory, watcher)


def place_of(laboratory: Laboratory, job: Job) -> int:
    """Place in the queue of a job that waits, 1 is next; 0 where it does not wait there."""
    return laboratory.queue.standing(job.ticket).place


def _queue_up(laboratory: Laboratory, watcher: str) -> None:
    """Say in the queue what somebody waits for; a job that is refused there has failed."""
    with laboratory.lock:
        jobs = [job for job in laboratory.jobs.values() if watcher in job.watchers and not job.is_over]
    laboratory.queue.want(watcher, [_queued(laboratory, job) for job in jobs], topic=TOPIC)
    for job in jobs:
        standing = laboratory.queue.standing(job.ticket)
        if standing.state == work_tasks.FAILED and job.state == WAITING:
            job.state, job.error = FAILED, standing.error


def _queued(laboratory: Laboratory, job: Job) -> work_tasks.Task:
    """A job as work in the queue; two changes of one catalog are not made at the same time."""
    is_change = job.task.kind in CHANGES
    return work_tasks.Task(
        key=job.ticket,
        name=job.task.name or job.task.catalog,
        run=lambda report: _follow(laboratory, job),
        stop=lambda: _abandon(laboratory, job),
        alone=f"{job.task.root}/{job.task.catalog}" if is_change else "",
        stays=is_change,
    )


def _abandon(laboratory: Laboratory, job: Job) -> None:
    with laboratory.lock:
        if not job.is_over:
            job.state = CANCELLED
            _stop(job)


def _forget_old(laboratory: Laboratory) -> None:
    """Forget the oldest that are over, and those that wait for nobody because everybody left."""
    with laboratory.lock:
        jobs = list(laboratory.jobs.items())
    over = [key for key, job in jobs if job.is_over]
    waiting = {key: laboratory.queue.standing(job.ticket).state for key, job in jobs if job.state == WAITING}
    left = [key for key, state in waiting.items() if state == work_tasks.STOPPED]
    for key in (*over[: max(0, len(over) - REMEMBERED)], *left):
        laboratory.jobs.pop(key, None)
    with suppress(OSError):
        spaces = sorted(Path(laboratory.folder.name).glob("space-*.npy"), key=lambda path: path.stat().st_mtime)
        for path in spaces[:-SPACES_KEPT]:
            path.unlink(missing_ok=True)


def _follow(laboratory: Laboratory, job: Job) -> None:
    """Start the process and take what it reports, until it ends."""
    with laboratory.lock:
        if job.is_over:
            return
        job.state, job.started = RUNNING, time.monotonic()
        job.process = _start(laboratory, job.task)
    timer = threading.Timer(TIME_LIMITS_S[job.task.kind], _give_up, args=(laboratory, job))
    timer.daemon = True
    timer.start()
    result = ""
    for line in job.process.stdout:
        with suppress(ValueError):
            result = _take(laboratory, job, json.loads(line)) or result
    timer.cancel()
    code = job.process.wait()
    with laboratory.lock:
        job.seconds = time.monotonic() - job.started
        with suppress(BrokenPipeError):  # it died before it read its task
            job.process.stdin.close()
        job.process.stdout.close()
        if job.state == RUNNING:
            job.state = DONE if result else FAILED
            if not result:
                job.error = f"The computation ended without a result (code {code}); the app's log says more. Try again."


def _start(laboratory: Laboratory, task: Task) -> subprocess.Popen:
    # each process has its share of the cores: more threads than cores wait for one another, and the pages for them
    n_threads = str(max(1, (os.cpu_count() or 1) // laboratory.queue.limits.running))
    limits = {"OMP_NUM_THREADS": n_threads, "OPENBLAS_NUM_THREADS": n_threads, "OMP_WAIT_POLICY": "PASSIVE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "galaxy_core.laboratory_work"],
        cwd=PROJECT,
        env={**limits, **os.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    with suppress(BrokenPipeError):  # it died at once: that it gave no result says so
        process.stdin.write(json.dumps(vars(task) | {"key": task.key, "folder": laboratory.folder.name}) + "\n")
        process.stdin.flush()
    return process


def _take(laboratory: Laboratory, job: Job, message: dict) -> str:
    """Note what the process reported; returns something where that was the last."""
    with laboratory.lock:
        if job.state != RUNNING:
            return ""
        if "error" in message:
            job.state, job.error = FAILED, message["error"]
        elif "row" in message:
            job.rows.append(message["row"])
        elif "stage" in message:
            job.stage, job.fraction = message["stage"], min(1.0, max(0.0, float(message["fraction"])))
        elif "result" in message:
            if message["result"]:
                job.trial = _read_trial(Path(laboratory.folder.name) / message["result"])
            return "done"
    return ""


def _read_trial(path: Path) -> Trial:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in ("rows", "labels", "membership", "silhouettes")}
        about = json.loads(str(stored["about"]))
    path.unlink(missing_ok=True)
    return Trial(**arrays, about=about)


def _give_up(laboratory: Laboratory, job: Job) -> None:
    limit = TIME_LIMITS_S[job.task.kind]
    with laboratory.lock:
        if job.state == RUNNING:
            job.state = FAILED
            job.error = f"This was not done after {limit:,} s and was stopped; ask for fewer clusters or another space."
            _stop(job)


def _stop(job: Job) -> None:
    if job.process is not None and job.process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(job.process.pid, signal.SIGTERM)
