"""What is worked on in the background: tasks, how far each is, and the limits of it all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

WAITING, RUNNING, DONE, FAILED, STOPPED = "waiting", "running", "done", "failed", "stopped"

Report = Callable[[float], None]


@dataclass(frozen=True)
class Limits:
    """How much is done at once, and how much may wait.

    Attributes
    ----------
    running : int
        Jobs at the same time, of all visitors; half the processors, at least two.
    waiting_each, waiting : int
        Jobs of one visitor, and of all, that may wait; more are refused.
    max_bytes : int
        Of results in memory, 1.5 GiB.
    """

    running: int = max(2, (os.cpu_count() or 1) // 2)
    waiting_each: int = 500
    waiting: int = 5_000
    max_bytes: int = 3 * 2**29

    def running_each(self, n_visitors: int) -> int:
        """Jobs of one visitor at the same time: all places for who is alone; else one is left for the others."""
        return self.running if n_visitors < 2 else max(1, self.running - 1)


class StoppedError(Exception):
    """Raised inside work that nobody wants any more."""


@dataclass(frozen=True)
class Task:
    """Something to do.

    Attributes
    ----------
    key, name : str
        The same key is the same work; the name is for people.
    run : callable
        ``run(report)`` gives a result with its size in memory as ``nbytes``, or None. It calls ``report(fraction)``
        now and then, which raises `StoppedError` when nobody wants it any more.
    stop : callable, optional
        Called when nobody wants it any more, for work that cannot report.
    alone : str
        Tasks with the same word here never run at the same time.
    stays : bool
        Once it runs it is finished, even if its visitor is gone by then.
    apart : bool
        It runs in a process of its own, see `work_process`; ``run`` and its result can be pickled.
    """

    key: str
    name: str
    run: Callable[[Report], Any]
    stop: Callable[[], None] | None = None
    alone: str = ""
    stays: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Standing:
    """How far a task is: its state, the fraction done, the seconds it took or takes, and what went wrong.

    ``place`` is its place in the queue while it waits: 1 is next.
    """

    state: str
    fraction: float = 0.0
    seconds: float = 0.0
    error: str = ""
    place: int = 0


@dataclass(eq=False)
class Entry:
    """A task in the queue, and how far it is."""

    task: Task
    state: str = WAITING
    fraction: float = 0.0
    error: str = ""
    started: float = 0.0
    seconds: float = 0.0


@dataclass(eq=False)
class Visitor:
    """What a visitor wants, by topic; when something of it was last started, and when the visitor was last there."""

    wishes: dict[str, dict[str, None]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    served: int = -1
    seen: float = 0.0

    def wants(self, key: str) -> bool:
        return any(key in keys for keys in self.wishes.values())
