"""What tests of work in processes of its own let them do; a module, as what is sent there is found by its name."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from galaxy_core.work_process import Processes

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
