"""Work in the background for all visitors: who waits for what, in turns, with progress, and the results that are kept.

Nothing of streamlit here. A visitor says what is wanted now; what nobody wants any more is stopped. The same work for
two visitors is done once, and what is kept of it is bounded by its size in memory.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from galaxy_core.errors import GalaxyError

WAITING, RUNNING, DONE, FAILED, STOPPED = "waiting", "running", "done", "failed", "stopped"
WORKERS = 2
MAX_BYTES = 3 * 2**29  # of results in memory, 1.5 GiB
GONE_S = 120.0  # a visitor whose browser is away for so long wants nothing
LOG = logging.getLogger(__name__)

Report = Callable[[float], None]


class StoppedError(Exception):
    """Raised inside work that nobody wants any more."""


@dataclass(frozen=True)
class Task:
    """Something to do: ``run(report)`` gives a result with its size in memory as ``nbytes``."""

    key: str
    name: str
    run: Callable[[Report], Any]


@dataclass(frozen=True)
class Standing:
    """How far a task is: its state, the fraction done, the seconds it took or takes, and what went wrong."""

    state: str
    fraction: float = 0.0
    seconds: float = 0.0
    error: str = ""


@dataclass(eq=False)
class _Entry:
    number: int
    task: Task | None
    state: str = WAITING
    fraction: float = 0.0
    error: str = ""
    started: float = 0.0
    seconds: float = 0.0


class Desk:
    """The work of all visitors; every method may be called from any thread."""

    def __init__(
        self,
        workers: int = WORKERS,
        max_bytes: int = MAX_BYTES,
        is_here: Callable[[str], bool] = lambda visitor: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._change = threading.Condition()
        self._entries: dict[str, _Entry] = {}
        self._wanted: dict[str, list[str]] = {}
        self._seen: dict[str, float] = {}
        self._results: OrderedDict[str, Any] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._workers, self._alive, self._number = workers, 0, 0
        self._max_bytes, self._is_here, self._clock = max_bytes, is_here, clock

    def want(self, visitor: str, tasks: Sequence[Task], shown: Collection[str] = ()) -> None:
        """Say all that a visitor wants now, in order; what was wanted before and is not named is given up.

        ``shown`` are the keys whose results are looked at: they are made again where they are no longer kept.
        """
        with self._change:
            self._wanted[visitor] = [task.key for task in tasks]
            self._seen[visitor] = self._clock()
            for task in tasks:
                entry = self._entries.get(task.key)
                lost = entry is not None and entry.state == DONE and task.key not in self._results
                if entry is None or entry.state == STOPPED or (lost and task.key in shown):
                    self._number += 1
                    self._entries[task.key] = _Entry(self._number, task)
            self._forget_unwanted()
            n_waiting = sum(entry.state == WAITING for entry in self._entries.values())
            for _ in range(min(self._workers - self._alive, n_waiting)):
                self._alive += 1
                threading.Thread(target=self._work, name="denoise", daemon=True).start()

    def standing(self, key: str) -> Standing:
        """How far a task is; one that nobody asked for is stopped."""
        with self._change:
            entry = self._entries.get(key)
            if entry is None:
                return Standing(STOPPED)
            running = entry.state == RUNNING
            seconds = self._clock() - entry.started if running else entry.seconds
            return Standing(entry.state, entry.fraction, seconds, entry.error)

    def result(self, key: str) -> Any | None:
        """What a task gave, None where it has not, or is no longer kept."""
        with self._change:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def wait(self, key: str, seconds: float) -> bool:
        """Wait until a task has ended, at most so long; whether it has."""
        with self._change:
            return self._change.wait_for(lambda: self._ended(key), seconds)

    def _ended(self, key: str) -> bool:
        entry = self._entries.get(key)
        return entry is None or entry.state in (DONE, FAILED, STOPPED)

    def _forget_unwanted(self) -> None:
        wanted = {key for keys in self._wanted.values() for key in keys}
        for key, entry in list(self._entries.items()):
            if key not in wanted and entry.state != RUNNING and key not in self._results:
                del self._entries[key]

    def _present(self, visitor: str) -> bool:
        now = self._clock()
        if self._is_here(visitor):
            self._seen[visitor] = now
        return now - self._seen.get(visitor, now) < GONE_S

    def _pick(self) -> _Entry | None:
        """The entry to work on next: of the visitor with the least under way, in the order of their wishes."""
        best, best_rank = None, None
        for visitor, keys in list(self._wanted.items()):
            entries = [(place, self._entries[key]) for place, key in enumerate(keys) if key in self._entries]
            waiting = [(place, entry) for place, entry in entries if entry.state == WAITING]
            if not waiting or not self._present(visitor):
                continue
            under_way = sum(entry.state == RUNNING for _, entry in entries)
            place, entry = waiting[0]
            rank = (under_way, place, entry.number)
            if best_rank is None or rank < best_rank:
                best, best_rank = entry, rank
        return best

    def _work(self) -> None:
        while True:
            with self._change:
                entry = self._pick()
                if entry is None:
                    self._alive -= 1
                    return
                entry.state, entry.started = RUNNING, self._clock()
                task = entry.task
            self._run(entry, task)

    def _run(self, entry: _Entry, task: Task) -> None:
        def report(fraction: float) -> None:
            entry.fraction = float(fraction)
            with self._change:
                if not any(task.key in keys and self._present(v) for v, keys in list(self._wanted.items())):
                    raise StoppedError

        state, error, result, size = DONE, "", None, 0
        try:
            report(0.0)
            result = task.run(report)
            size = result.nbytes
        except StoppedError:
            state = STOPPED
        except GalaxyError as problem:
            state, error = FAILED, str(problem)
        except MemoryError:
            state = FAILED
            error = f"{task.name} does not fit into this computer's memory; cut out a smaller region first."
        except Exception as problem:  # a worker must outlive any mistake, and a page shows no traceback: the log has it
            LOG.exception("Work on %s failed", task.name)
            state, error = FAILED, f"{task.name} could not be worked on ({type(problem).__name__}); the log says more."
        with self._change:
            entry.state, entry.error, entry.task = state, error, None
            entry.seconds = self._clock() - entry.started
            if state == DONE:
                self._keep(task.key, result, size)
            if state == STOPPED and self._entries.get(task.key) is entry:
                del self._entries[task.key]
            self._change.notify_all()

    def _keep(self, key: str, result: Any, size: int) -> None:
        self._results[key], self._sizes[key] = result, size
        self._results.move_to_end(key)
        while len(self._results) > 1 and sum(self._sizes.values()) > self._max_bytes:
            del self._sizes[self._results.popitem(last=False)[0]]
