"""Work in the background for all visitors: one queue, in turns, with progress, limits, and the results that are kept.

A visitor says what is wanted now, and what nobody wants any more is stopped. The same work for two visitors is done
once. Who gets the next place is told in `galaxy_core.work_turns`; how many places there are, in `Limits`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from galaxy_core.errors import GalaxyError
from galaxy_core.work_priority import stand_back
from galaxy_core.work_process import Processes
from galaxy_core.work_results import KeptResults
from galaxy_core.work_tasks import (
    DONE,
    FAILED,
    RUNNING,
    STOPPED,
    WAITING,
    Entry,
    Limits,
    Report,
    Standing,
    StoppedError,
    Task,
    Visitor,
)
from galaxy_core.work_turns import turns

GONE_S = 120.0  # a visitor whose browser is away for so long wants nothing
AWAY_S = 10.0  # and for so long, what runs if others wait for its place
SWEEP_S = 2.0  # between looks for visitors who left
LOG = logging.getLogger(__name__)


class WorkQueue:
    """The work of all visitors; every method may be called from any thread.

    ``is_here`` says whether a visitor's browser is connected.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        is_here: Callable[[str], bool] = lambda visitor: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self._change = threading.Condition(threading.RLock())
        self._entries: dict[str, Entry] = {}
        self._visitors: dict[str, Visitor] = {}
        self._refused: dict[str, str] = {}
        self._results = KeptResults(self.limits.max_bytes)
        self._places: dict[str, int] | None = None
        self._alive, self._starts, self._sweeper = 0, 0, None
        self._closing = threading.Event()
        self._is_here, self._clock = is_here, clock
        self._processes = Processes()

    def want(self, visitor: str, tasks: Sequence[Task], shown: Collection[str] = (), topic: str = "") -> None:
        """Say all that a visitor wants now of a topic, in order; what was wanted before and is not named is given up.

        ``shown`` are the keys whose results are looked at: they are made again where they are no longer kept. What
        went wrong is tried again where it was not wanted before, as by whoever loads the page anew after it.
        """
        with self._change:
            one = self._visitors.setdefault(visitor, Visitor())
            before = {task.key for task in tasks if one.wants(task.key)}
            one.wishes[topic], one.seen = dict.fromkeys(task.key for task in tasks), self._clock()
            one.asked.update(one.wishes[topic])
            waiting = {key for key, entry in self._entries.items() if entry.state == WAITING}
            own = {key for key in waiting if one.wants(key)}
            for task in tasks:
                if self._is_new(task.key, task.key in shown, task.key in before):
                    self._admit(task, waiting, own)
            self._give_up()
            self._changed()
            if self._sweeper is None or not self._sweeper.is_alive():
                self._sweeper = threading.Thread(target=self._sweep_on, name="queue", daemon=True)
                self._sweeper.start()

    def get_ready(self, visitor: str, job: Callable[[Report], Any]) -> None:
        """Start a process for what a visitor may want soon, unless there is one; see `Processes.get_ready`."""
        self.want(visitor, [], topic="ready")  # once nobody is left it is ended
        if not self._closing.is_set():
            self._processes.get_ready(job)

    def _is_new(self, key: str, is_shown: bool, was_wanted: bool) -> bool:
        """Whether a task has to be done, or done again."""
        entry = self._entries.get(key)
        if entry is not None and entry.state == FAILED:
            return not was_wanted
        lost = entry is not None and entry.state == DONE and key not in self._results
        return entry is None or entry.state == STOPPED or (lost and is_shown)

    def _admit(self, task: Task, waiting: set[str], own: set[str]) -> None:
        """Put a task into the queue unless that is full; ``waiting`` and ``own`` is what waits, of all and of one."""
        self._refused.pop(task.key, None)
        if len(waiting) >= self.limits.waiting:
            self._refused[task.key] = f"The queue is full: {len(waiting):,} jobs wait. Try again in a few minutes."
        elif len(own) >= self.limits.waiting_each:
            said = f"{len(own):,} of your files wait, the most for one visitor; add this one when some are done."
            self._refused[task.key] = said
        else:
            self._entries[task.key] = Entry(task)
            waiting.add(task.key)
            own.add(task.key)

    def standing(self, key: str) -> Standing:
        """How far a task is; one that nobody asked for is stopped."""
        with self._change:
            entry = self._entries.get(key)
            if entry is None:
                return Standing(FAILED, error=self._refused[key]) if key in self._refused else Standing(STOPPED)
            seconds = self._clock() - entry.started if entry.state == RUNNING else entry.seconds
            place = self._order().get(key, 0) if entry.state == WAITING else 0
            return Standing(entry.state, entry.fraction, seconds, entry.error, place)

    def result(self, key: str) -> Any | None:
        """What a task gave, None where it has not, or is no longer kept."""
        with self._change:
            return self._results.get(key)

    def wait(self, key: str, seconds: float) -> bool:
        """Wait until a task has ended, at most so long; whether it has."""
        with self._change:
            return self._change.wait_for(lambda: self._ended(key), seconds)

    def counts(self) -> dict[str, int]:
        """How many jobs run and wait, how many visitors there are, and how much is kept of results, in bytes."""
        with self._change:
            states = [entry.state for entry in self._entries.values()]
            numbers = {state: states.count(state) for state in (RUNNING, WAITING)}
            return numbers | {"visitors": len(self._visitors), "result_bytes": self._results.nbytes}

    def is_closing(self) -> bool:
        """Whether nothing more is started."""
        return self._closing.is_set()

    def sweep(self) -> None:
        """Forget visitors who left, and what only they wanted; start what can be started by now."""
        with self._change:
            for visitor in [one for one in self._visitors if not self._present(one)]:
                del self._visitors[visitor]
            asked = set().union(*(visitor.asked for visitor in self._visitors.values()))
            for key in [key for key in self._entries if key not in asked and self._entries[key].state != RUNNING]:
                del self._entries[key]
            self._results.keep_only(asked)
            self._refused = {key: said for key, said in self._refused.items() if key in asked}
            self._give_up()
            self._changed()
            nobody = not self._visitors
        if nobody:
            self._processes.end_waiting()

    def close(self, seconds: float) -> bool:
        """Start nothing more, stop what runs at its next report, after a tile or a file; whether all ended in time."""
        self._closing.set()
        with self._change:
            self._give_up()
            ended = self._change.wait_for(lambda: self._alive == 0, seconds)
        self._processes.end()
        return ended

    def _sweep_on(self) -> None:
        while not self._closing.wait(SWEEP_S):
            self.sweep()
            with self._change:
                if not self._visitors:
                    self._sweeper = None
                    return

    def _ended(self, key: str) -> bool:
        entry = self._entries.get(key)
        return entry is None or entry.state in (DONE, FAILED, STOPPED)

    def _present(self, visitor: str, patience: float = GONE_S) -> bool:
        one, now = self._visitors[visitor], self._clock()
        if self._is_here(visitor):
            one.seen = now
        return now - one.seen < patience

    def _is_ending(self) -> bool:
        return self._closing.is_set() or not threading.main_thread().is_alive()

    def _is_abandoned(self, task: Task) -> bool:
        """Whether a running task is to stop: nobody wants it, or the program ends."""
        if self._is_ending() or task.stays:
            return self._is_ending()
        patience = AWAY_S if self._is_waited_for() else GONE_S
        return not any(one.wants(task.key) and self._present(name, patience) for name, one in self._visitors.items())

    def _is_waited_for(self) -> bool:
        """Whether somebody whose browser is connected waits for a place."""
        waiting = [key for key, entry in self._entries.items() if entry.state == WAITING]
        return any(any(map(one.wants, waiting)) and self._is_here(name) for name, one in self._visitors.items())

    def _give_up(self) -> None:
        """Drop what is not wanted, and ask what runs so to stop."""
        wanted = {key for one in self._visitors.values() for keys in one.wishes.values() for key in keys}
        for key, entry in list(self._entries.items()):
            if entry.state == RUNNING:
                if entry.task.stop and self._is_abandoned(entry.task):
                    entry.task.stop()
            elif key not in self._results and (key not in wanted or self._closing.is_set()):
                del self._entries[key]

    def _changed(self) -> None:
        """Places are to be counted anew, and workers started for what can be begun."""
        self._places = None
        n_waiting = sum(entry.state == WAITING for entry in self._entries.values())
        for _ in range(min(self.limits.running - self._alive, n_waiting)):
            self._alive += 1
            threading.Thread(target=self._work, name="worker", daemon=True).start()
        self._change.notify_all()

    def _under_way(self) -> dict[str, int]:
        """How many jobs run for each visitor."""
        running = [key for key, entry in self._entries.items() if entry.state == RUNNING]
        return {name: sum(one.wants(key) for key in running) for name, one in self._visitors.items()}

    def _order(self) -> dict[str, int]:
        """Place in the queue of all that waits, from 1; counted once for each change."""
        if self._places is None:
            waiting = {}
            for name, one in self._visitors.items():
                wished = (key for keys in one.wishes.values() for key in keys if key in self._entries)
                waiting[name] = [key for key in wished if self._entries[key].state == WAITING]
            served = {name: one.served for name, one in self._visitors.items()}
            order = turns(waiting, self._under_way(), served)
            self._places = {key: place for place, key in enumerate(order, 1)}
        return self._places

    def _pick(self) -> Entry | None:
        """The entry to work on next; None where nothing may be begun."""
        under_way, each = self._under_way(), self.limits.running_each(len(self._visitors))
        busy = {entry.task.alone for entry in self._entries.values() if entry.state == RUNNING}
        for key in self._order():
            entry = self._entries[key]
            wishers = [name for name, one in self._visitors.items() if one.wants(key)]
            if entry.task.alone and entry.task.alone in busy:
                continue
            if any(under_way[name] < each and self._present(name) for name in wishers):
                self._starts += 1
                for name in wishers:
                    self._visitors[name].served = self._starts
                return entry
        return None

    def _work(self) -> None:
        stand_back()
        while True:
            with self._change:
                entry = None if self._closing.is_set() else self._pick()
                if entry is None:
                    self._alive -= 1
                    self._change.notify_all()
                    return
                entry.state, entry.started, self._places = RUNNING, self._clock(), None
            self._run(entry)

    def _run(self, entry: Entry) -> None:
        task = entry.task

        def report(fraction: float) -> None:
            entry.fraction = float(fraction)
            with self._change:
                if self._is_abandoned(task):
                    raise StoppedError

        state, error, result, size = DONE, "", None, 0
        try:
            report(0.0)
            result = self._processes.run(task.run, report, task.name) if task.apart else task.run(report)
            size = 0 if result is None else result.nbytes
        except StoppedError:
            state = STOPPED
        except GalaxyError as problem:
            state, error = FAILED, str(problem)
        except MemoryError:
            state = FAILED
            error = f"{task.name} does not fit into this computer's memory; cut out a smaller region first."
        except Exception as problem:  # a worker must outlive any mistake, and a page shows no traceback: the log has it
            error = f"{task.name} could not be worked on ({type(problem).__name__}); the log says more."
            state = STOPPED if self._is_ending() else FAILED  # at the end of the program no thread can be started
            if state == FAILED:
                LOG.exception("Work on %s failed", task.name)
        with self._change:
            self._end(entry, state, error, result, size)

    def _end(self, entry: Entry, state: str, error: str, result: Any, size: int) -> None:
        entry.state, entry.error, entry.seconds = state, error, self._clock() - entry.started
        key, entry.task = entry.task.key, None
        if state == DONE and result is not None:
            self._results.put(key, result, size)
        if state == STOPPED and self._entries.get(key) is entry:
            del self._entries[key]
        self._changed()
