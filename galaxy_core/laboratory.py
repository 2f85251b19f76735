"""Clusterings computed while people look at the page: started, followed, cancelled, and remembered.

Each task runs in a process of its own (`galaxy_core.laboratory_work`), so that the pages answer while it computes and
it can be stopped at once. A `Laboratory` is shared by everyone who uses the app: the same task is computed once,
whoever asks, and goes on as long as somebody waits for it.
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
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from galaxy_core.artifacts.staging import fingerprint_of

PROJECT = Path(__file__).resolve().parents[1]
AT_ONCE = 2
"""Processes that compute at the same time; more tasks wait their turn."""

REMEMBERED = 32
"""Finished tasks whose result is kept, the latest ones."""
SPACES_KEPT = 12
TIME_LIMITS_S = {"cluster": 600, "sweep": 1_800, "save": 7_200, "remove": 7_200}
WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"


@dataclass(frozen=True)
class Task:
    """What is asked for.

    Attributes
    ----------
    kind : {"cluster", "sweep", "save", "remove"}
    root, catalog : str
    checksum : str
        `galaxy_core.laboratory_work.checksum_of` the catalog: of other galaxies it is another task.
    settings : dict
        ``{"method", "space", "params"}``; of "save" all that `galaxy_core.cluster_steps` knows.
    parameter, values : str, tuple of numbers
        Of a sweep.
    name : str
        The clustering to save or to remove.
    """

    kind: str
    root: str
    catalog: str
    checksum: str = ""
    settings: dict = field(default_factory=dict)
    parameter: str = ""
    values: tuple[float, ...] = ()
    name: str = ""

    @property
    def key(self) -> str:
        """The same for the same task."""
        return fingerprint_of(vars(self))


@dataclass(frozen=True)
class Trial:
    """A clustering as it was computed live.

    Attributes
    ----------
    rows : int64 array, shape (m,)
        The galaxies that were clustered: all, or a random sample.
    labels : int32 array, shape (m,)
        -1 for unclustered.
    membership, silhouettes : float32 array, shape (m,)
        Silhouettes in the space that was clustered in.
    about : dict
        ``method, space, params, scores, measures, notes, seed``, as the manifest has them, ``n_galaxies`` of the whole
        catalog, and ``fit_seconds``.
    """

    rows: np.ndarray
    labels: np.ndarray
    membership: np.ndarray
    silhouettes: np.ndarray
    about: dict

    @property
    def is_sample(self) -> bool:
        """Whether only some of the galaxies were clustered."""
        return len(self.rows) < self.about["n_galaxies"]

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.labels.max(initial=-1)) + 1

    def of_all(self, values: np.ndarray, missing) -> np.ndarray:
        """One value for every galaxy of the catalog; ``missing`` for those that were not clustered."""
        filled = np.full(self.about["n_galaxies"], missing, dtype=values.dtype)
        filled[self.rows] = values
        return filled


@dataclass(eq=False)
class Job:
    """A task on its way. Only this module changes it.

    Attributes
    ----------
    task : Task
    state : {"waiting", "running", "done", "failed", "cancelled"}
    stage, fraction : str, float
        What is being done, and how much of it all is.
    rows : list of dict
        Fits of a sweep so far, in the order of its values.
    trial : Trial or None
    error : str
        Why it failed, a sentence.
    seconds : float
        From the start of its process to its end.
    watchers : set of str
        Who waits for it.
    """

    task: Task
    state: str = WAITING
    stage: str = ""
    fraction: float = 0.0
    rows: list[dict] = field(default_factory=list)
    trial: Trial | None = None
    error: str = ""
    seconds: float = 0.0
    started: float = 0.0
    watchers: set[str] = field(default_factory=set)
    process: subprocess.Popen | None = None
    thread: threading.Thread | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in (DONE, FAILED, CANCELLED)


@dataclass(frozen=True)
class Laboratory:
    """All tasks of one app; made by `open_laboratory`."""

    folder: tempfile.TemporaryDirectory
    jobs: dict[str, Job] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))
    writing: threading.Lock = field(default_factory=threading.Lock)


def open_laboratory() -> Laboratory:
    """A laboratory without tasks; its folder of results is deleted with it."""
    return Laboratory(tempfile.TemporaryDirectory(prefix="galaxy-atlas-laboratory-", ignore_cleanup_errors=True))


def submit(laboratory: Laboratory, task: Task, watcher: str) -> Job:
    """Ask for a task; one that somebody else asked for is joined, and one that is done is taken from memory.

    ``watcher`` names who asks; the task goes on until everybody who asked cancels it.
    """
    with laboratory.lock:
        job = laboratory.jobs.get(task.key)
        is_change = task.kind in ("save", "remove")
        if job is None or job.state in (FAILED, CANCELLED) or (job.is_over and is_change):
            laboratory.jobs.pop(task.key, None)
            job = laboratory.jobs[task.key] = Job(task)
            job.thread = threading.Thread(target=_run, args=(laboratory, job), daemon=True)
            job.thread.start()
        else:
            laboratory.jobs[task.key] = laboratory.jobs.pop(task.key)  # the latest comes last
        job.watchers.add(watcher)
        _forget_old(laboratory)
    return job


def cancel(laboratory: Laboratory, job: Job, watcher: str) -> None:
    """Wait no longer for a task; it is stopped where nobody else waits for it. What was computed of a sweep is kept."""
    with laboratory.lock:
        job.watchers.discard(watcher)
        if job.watchers or job.is_over:
            return
        job.state = CANCELLED
        _stop(job)


def _forget_old(laboratory: Laboratory) -> None:
    over = [key for key, job in laboratory.jobs.items() if job.is_over]
    for key in over[: max(0, len(over) - REMEMBERED)]:
        del laboratory.jobs[key]
    with suppress(OSError):
        spaces = sorted(Path(laboratory.folder.name).glob("space-*.npy"), key=lambda path: path.stat().st_mtime)
        for path in spaces[:-SPACES_KEPT]:
            path.unlink(missing_ok=True)


def _run(laboratory: Laboratory, job: Job) -> None:
    """In a thread of its own: wait for a place, start the process, take what it reports."""
    alone = laboratory.writing if job.task.kind in ("save", "remove") else nullcontext()
    with alone, laboratory.places:
        _follow(laboratory, job)


def _follow(laboratory: Laboratory, job: Job) -> None:
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
    n_threads = str(max(1, (os.cpu_count() or 1) // AT_ONCE))
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
