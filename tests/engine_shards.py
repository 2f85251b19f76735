"""Work for the engine's tests, importable by workers: each shard writes one small file, whole, and logs its start."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.engine import Shard


@dataclass(frozen=True)
class Task:
    """What one shard is to do, and how it is to fail."""

    number: int
    folder: Path
    seconds: float = 0.0
    fault: str = ""
    n_faults: int = 99


def shards(folder: Path, n: int, faults: dict[int, str] | None = None, **changes) -> list[Shard]:
    """``n`` shards that write to ``folder``; ``faults`` says which fail and how."""
    faults = faults or {}
    return [Shard(f"shard {k}", Task(k, Path(folder), fault=faults.get(k, ""), **changes)) for k in range(n)]


def load(folder: Path) -> str:
    """A setup that notes each of its calls, as a model that is loaded."""
    with open(folder / "loads", "a") as file:
        file.write(f"{os.getpid()}\n")
    return "model"


def write(made: object, task: Task, tell) -> int:
    """The work of one shard."""
    starts = task.folder / "starts" / str(task.number)
    starts.parent.mkdir(parents=True, exist_ok=True)
    with open(starts, "a") as file:
        file.write(f"{os.getpid()}\n")
    n_starts = len(starts.read_text().splitlines())
    if task.fault and n_starts <= task.n_faults:
        fail(task)
    tell(0.5)
    with atomic_path(task.folder / "out" / f"{task.number}.txt") as temporary, open(temporary, "w") as file:
        file.write(f"{made} {task.number} ")
        file.flush()
        time.sleep(task.seconds)
        file.write("whole\n")
    return task.number**2


def fail(task: Task) -> None:
    """Fail in the way asked for."""
    if task.fault == "exit":
        os._exit(7)
    if task.fault == "full":
        with atomic_path(task.folder / "out" / f"{task.number}.txt") as temporary:
            temporary.write_text("hal")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise ValueError(f"number {task.number} is unlucky")


def outputs(folder: Path) -> dict[str, str]:
    """Every file that was put in place."""
    return {path.name: path.read_text() for path in (Path(folder) / "out").glob("[!.]*")}


def expected(n: int, without: tuple[int, ...] = ()) -> dict[str, str]:
    """What ``outputs`` has to be."""
    return {f"{k}.txt": f"model {k} whole\n" for k in range(n) if k not in without}


def starts(folder: Path) -> dict[int, list[int]]:
    """Shard -> the processes that began it, in order."""
    return {int(path.name): [int(pid) for pid in path.read_text().split()] for path in (folder / "starts").iterdir()}


def running(folder: Path) -> tuple[int, int]:
    """A shard that is being worked on now, and by which process."""
    for _ in range(600):
        for number, pids in starts(folder).items():
            if not (folder / "out" / f"{number}.txt").exists():
                return number, pids[-1]
        time.sleep(0.01)
    raise AssertionError("nobody works")
