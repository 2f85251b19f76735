"""Work in processes of its own, so that the process that draws pages has its interpreter for itself.

One Python process runs one thread's Python at a time: pages that are drawn while images are worked on would wait for
each other. A process here takes one job after the other and keeps what it has loaded, such as a model. What kills it,
such as too little memory, fails one job and not the server. Arrays pass as they lie in memory (pickle protocol 5,
PEP 574). The executors of the standard library know no progress and no stopping, are broken for all jobs when one
process is killed, and run the page again as their main module.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from galaxy_core.errors import GalaxyError
from galaxy_core.work_pipe import receive, send
from galaxy_core.work_priority import let_others_run, stand_back
from galaxy_core.work_tasks import Report, StoppedError

POLL_S = 0.1  # between looks whether a job is still wanted
STOP_S = 20.0  # for a job to come to its next report once it is stopped; then its process is ended
END_S = 5.0
PATIENCE_S = 1.0  # for a process that works to be free, before another is started
START_S = 10.0  # for one that was started beforehand: another would be there no sooner
_AT, _STOP, _DONE, _FAILED, _BROKEN = "at", "stop", "done", "failed", "broken"


class ProcessError(Exception):
    """A mistake in a job, with the traceback it had in its own process."""


class Processes:
    """Processes that wait for work. As many are started as jobs run at once; a job takes one that waits."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._waiting: list[_Process] = []
        self._all: set[_Process] = set()
        self._starting: _Process | None = None
        self._ended = False

    def get_ready(self, job: Callable[[Report], Any]) -> None:
        """Start a process if there is none, before there is work for it, and have it do ``job(report)`` first.

        A process takes seconds to start and to load what work needs, such as a model. What goes wrong then is told by
        the work that needs it.
        """
        with self._change, suppress(OSError, RuntimeError):  # no memory for a process, or for a thread
            if self._all or self._ended:
                return
            process = _Process()
            threading.Thread(target=self._start, args=(process, job), name="starter", daemon=True).start()
            self._starting = process
            self._all.add(process)

    def _start(self, process: _Process, job: Callable[[Report], Any]) -> None:
        with suppress(GalaxyError, MemoryError, ProcessError, EOFError, OSError, ValueError):  # the last: a closed pipe
            self._run(process, job, lambda fraction: None)

    def run(self, job: Callable[[Report], Any], report: Report, name: str = "The job") -> Any:
        """Do ``job(report)`` in another process, and give what it returns.

        Parameters
        ----------
        job : callable
            Can be pickled, as can what it returns.
        report : callable
            Is called here with each fraction that the job reports, and between them with the last one.
        name : str
            Of what is worked on, for people.

        Raises
        ------
        StoppedError
            ``report`` raised it; the job was stopped.
        GalaxyError
            The job raised it, or its process was killed.
        MemoryError
        ProcessError
            For any other mistake in the job.
        """
        process = self._take(report)
        try:
            return self._run(process, job, report)
        except (EOFError, OSError):
            raise GalaxyError(
                f"{name} was given up: its process was ended from outside, perhaps for want of memory; try again, or"
                " cut out a smaller region first."
            ) from None

    def _run(self, process: _Process, job: Callable[[Report], Any], report: Report) -> Any:
        try:
            return process.run(job, report)
        except (EOFError, OSError):
            process.is_ready = False
            raise
        finally:
            with self._change:
                kept = process.is_ready and process in self._all
                if kept:
                    self._waiting.append(process)
                self._all -= set() if kept else {process}
                self._starting = None if self._starting is process else self._starting
                self._change.notify_all()
            if not kept:
                process.end()

    def _take(self, report: Report) -> _Process:
        """One that waits, or does so in a moment: most jobs take less time than a process does to start."""
        begun = time.monotonic()
        while True:
            with self._change:
                left = (START_S if self._starting else PATIENCE_S) - (time.monotonic() - begun)
                self._change.wait_for(lambda: self._waiting or not self._all, max(0.0, min(POLL_S, left)))
                if self._ended:
                    raise StoppedError
                if self._waiting:
                    return self._waiting.pop()
                if left <= 0 or not self._all:
                    process = _Process()
                    self._all.add(process)
                    return process
            report(0.0)  # whether it is still wanted

    def end_waiting(self) -> None:
        """End those that have no work to do, and give their memory back."""
        with self._change:
            ended, self._waiting = [*self._waiting, *({self._starting} - {None})], []
            self._all.difference_update(ended)
        for process in ended:
            process.end()

    def end(self) -> None:
        """End all; a job that still runs is lost."""
        with self._change:
            ended, self._waiting, self._all, self._ended = self._all, [], set(), True
            self._change.notify_all()
        for process in ended:
            process.end()

    def pids(self) -> list[int]:
        """Of all that live."""
        with self._change:
            return [process.popen.pid for process in self._all]


class _Process:
    """One of them, from the side of who has the work; used by one thread at a time."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        let_others_run(environment)
        self.popen = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self.said: queue.SimpleQueue = queue.SimpleQueue()
        self.is_ready, self.number = True, 0
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                self.said.put(receive(self.popen.stdout))
        except (EOFError, OSError, ValueError):  # it has ended, or was; the last where the pipe is closed
            pass
        finally:
            self.said.put(None)

    def run(self, job: Callable[[Report], Any], report: Report) -> Any:
        self.number, fraction = self.number + 1, 0.0
        send(self.popen.stdin, (self.number, job))
        self.is_ready = False
        try:
            while True:
                said = self._hear(POLL_S)
                if said and said[0] != _AT:
                    break
                fraction = said[1] if said else fraction
                report(fraction)
        except StoppedError:
            with suppress(EOFError, OSError, ValueError):  # the last where its pipe was closed meanwhile
                self._stop()
            raise
        self.is_ready = True
        kind, value = said
        if kind == _DONE:
            return value
        raise value if kind == _FAILED else ProcessError(value)

    def _hear(self, seconds: float) -> tuple[str, Any] | None:
        """What the process says next; None where it says nothing for so long. Raises EOFError where it has ended."""
        try:
            said = self.said.get(timeout=seconds)
        except queue.Empty:
            return None
        if said is None:
            raise EOFError
        return said

    def _stop(self) -> None:
        """Have the job end at its next report."""
        send(self.popen.stdin, (self.number, _STOP))
        end = time.monotonic() + STOP_S
        while not self.is_ready and time.monotonic() < end:
            said = self._hear(STOP_S)
            self.is_ready = said is not None and said[0] != _AT

    def end(self) -> None:
        """It ends as soon as nobody is at the other end."""
        with suppress(OSError):
            self.popen.stdin.close()
        try:
            self.popen.wait(END_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.popen.stdout.close()


class _Server:
    """The other side: one job after the other, until nobody is there any more."""

    def __init__(self, orders: BinaryIO, answers: BinaryIO) -> None:
        self.orders, self.answers = orders, answers
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self.stopped = 0  # the last job that is to stop

    def serve(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            number, job = self.jobs.get()
            self._answer(*self._outcome(number, job))

    def _listen(self) -> None:
        while True:
            try:
                number, order = receive(self.orders)
            except EOFError:
                os._exit(0)  # whoever wanted the work is gone
            except Exception:  # a job that cannot be unpickled
                self._answer(_BROKEN, traceback.format_exc())
                continue
            if order == _STOP:
                self.stopped = number
            else:
                self.jobs.put((number, order))

    def _outcome(self, number: int, job: Callable[[Report], Any]) -> tuple[str, Any]:
        def report(fraction: float) -> None:
            if self.stopped == number:
                raise StoppedError
            self._answer(_AT, float(fraction))

        try:
            return _DONE, job(report)
        except (StoppedError, GalaxyError, MemoryError) as problem:
            return _FAILED, problem
        except Exception:
            return _BROKEN, traceback.format_exc()

    def _answer(self, kind: str, value: Any) -> None:
        try:
            send(self.answers, (kind, value))
        except (pickle.PicklingError, AttributeError, TypeError, MemoryError):
            send(self.answers, (_BROKEN, traceback.format_exc()))


def main() -> None:
    """Serve whoever started this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends its processes
    stand_back()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    _Server(sys.stdin.buffer, answers).serve()


if __name__ == "__main__":
    main()
