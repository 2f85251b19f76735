"""One verb for all batch work: `map_shards` has a unit of work done for every shard, here or on many machines.

A shard is a piece of a survey small enough to be done whole: some rows of a catalog, one file. Its work puts whole
files in place (`galaxy_core.artifacts.files.atomic_path`), so that doing it twice leaves the same files, and the caller
asks for what is missing alone. That is all there is to resuming: nothing is remembered but the files.

Without an engine shards are done in this process, one after the other. `open_engine` gives one on Dask
(`galaxy_core.engine_dask`): processes of this machine, or whatever workers a Dask scheduler has.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from galaxy_core.errors import GalaxyError

TRIES = 3
_MAX_NAMED = 10
_log = logging.getLogger(__name__)


class EngineError(GalaxyError):
    """Work on many machines cannot be started, or cannot go on."""


class ShardError(GalaxyError):
    """Some shards could not be done; everything else is."""


@dataclass(frozen=True)
class Shard:
    """One piece of work.

    Attributes
    ----------
    name : str
        What an error calls it.
    data : object
        What it is; pickled where it goes to another process, so no more than its work needs.
    size : int
        Galaxies, files, ...: what progress counts.
    """

    name: str
    data: object
    size: int = 1


@dataclass(frozen=True)
class Outcome:
    """What became of a shard: the value of its work, or a sentence on why there is none after `TRIES` tries."""

    shard: Shard
    value: object = None
    problem: str = ""


Tell = Callable[[float], None]
"""Called by work with how much more of its shard is done, in the unit of `Shard.size`."""

Work = Callable[[object, Iterator[Shard], Tell], Iterator[object]]
"""``work(made, shards, tell)`` yields a value a shard, in order, after the files of that shard are whole.

It may read ahead: in this process it gets all shards in a row, elsewhere one at a time. ``made`` comes from ``setup``.
"""

Backend = Callable[[Work, Callable[[], object], Iterable[Shard], Tell], Iterator[Outcome]]


@dataclass(frozen=True)
class Engine:
    """Where shards are done.

    Attributes
    ----------
    run : callable
    name : str
    threads : int or None
        Threads that the work on one shard may use; None for those of the machine.
    elsewhere : bool
        Whether the work is done where the current folder may be another.
    """

    run: Backend = field(repr=False)
    name: str = "this process"
    threads: int | None = None
    elsewhere: bool = False

    def path(self, path: Path) -> Path:
        """A path as who works understands it; files lie where all machines see them."""
        return path.absolute() if self.elsewhere else path


@dataclass(frozen=True)
class Loaded:
    """A setup whose value is there already, such as a model; pickled, it is the call that loads it again.

    So no weights are sent: ``again``, a `functools.partial` of a function of a module, is called once in every other
    process.
    """

    value: object
    again: Callable[[], object]

    def __call__(self) -> object:
        return self.value

    def __reduce__(self):
        return _load_again, (self.again,)


def _load_again(again: Callable[[], object]) -> Loaded:
    return Loaded(again(), again)


@dataclass
class Suspects:
    """Shards whose work failed, and how often; both backends are as patient.

    A shard that kills its worker takes along what else is there, so the last try of a shard is made when all others are
    done, alone: no shard is given up for another's fault.
    """

    again: deque[Shard] = field(default_factory=deque)
    last: deque[Shard] = field(default_factory=deque)
    failures: dict[str, int] = field(default_factory=dict)

    def note(self, shard: Shard, reason: str, times: int = 1) -> Outcome | None:
        """Count a failure; the outcome where it was the last that is borne."""
        failed = self.failures[shard.name] = self.failures.get(shard.name, 0) + times
        if failed >= TRIES:
            return Outcome(shard, problem=f"{shard.name} was given up after {failed} tries: {reason}")
        (self.last if failed == TRIES - 1 else self.again).append(shard)
        return None


def map_shards(
    work: Work,
    shards: Iterable[Shard],
    setup: Callable[[], object] = lambda: None,
    engine: Engine | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Outcome]:
    """Have ``work`` done for every shard.

    Parameters
    ----------
    work : callable
        See `Work`; `each` makes one of a function of one shard. Like ``setup`` it is pickled, so a function of a module
        or a `functools.partial` of one.
    shards : iterable of Shard
        Taken as they are needed, so that memory does not grow with their number. Names must differ.
    setup : callable
        Makes what all shards need, a model for example: once in every process that works.
    engine : Engine, optional
        This process unless given.
    progress : callable, optional
        Called with the sum of the sizes that are done.

    Yields
    ------
    Outcome
        One a shard, in the order they are finished; a failing shard is tried `TRIES` times. Leaving the loop, or
        Ctrl-C in it, cancels what is not done.

    Raises
    ------
    GalaxyError
        As raised by ``work``: it is the user's to mend, so nothing is tried again and no other shard is begun.
    EngineError
        The scheduler was lost, or there is nobody to work.
    """
    done = partly = 0.0

    def tell(n: float) -> None:
        nonlocal partly
        partly += n
        if progress:
            progress(done + partly)

    for outcome in (engine or HERE).run(work, setup, shards, tell):
        done, partly = done + outcome.shard.size, 0.0
        if progress:
            progress(done)
        yield outcome


def each(function: Callable[[object, object, Tell], object], made: object, shards: Iterator[Shard], tell: Tell):
    """Work that does one shard after the other: ``functools.partial(each, function)``.

    ``function(made, data, tell)`` gets the data of a shard.
    """
    for shard in shards:
        yield function(made, shard.data, tell)


def tell_of_share(tell: Tell) -> Callable[[float], None]:
    """A function that is called with the share of one shard that is done, and tells what is new of it."""
    told = 0.0

    def show(share: float) -> None:
        nonlocal told
        tell(share - told)
        told = share

    return show


def check_whole(outcomes: Iterable[Outcome], n_shards: int) -> None:
    """Raise `ShardError` that names the shards that were given up."""
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    if problems:
        named = " ".join(f"{problem.rstrip('.')}." for problem in problems[:_MAX_NAMED])
        more = f" And {len(problems) - _MAX_NAMED:,} more." if len(problems) > _MAX_NAMED else ""
        raise ShardError(
            f"{named}{more} {n_shards - len(problems):,} of {n_shards:,} shards are done and stay; mend the cause and"
            " run the same command again."
        )


def reason_of(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def _run_here(work: Work, setup: Callable[[], object], shards: Iterable[Shard], tell: Tell) -> Iterator[Outcome]:
    made, suspects = setup(), Suspects()
    waiting = iter(shards)
    given: deque[Shard] = deque()  # taken by the work and not done yet: it may read ahead

    def feed() -> Iterator[Shard]:
        yield from tuple(given)
        for shard in waiting:
            given.append(shard)
            yield shard

    while True:
        try:
            for value in work(made, feed(), tell):
                yield Outcome(given.popleft(), value)
        except GalaxyError:
            raise
        except Exception as error:  # a shard may fail in any way, and the others go on; the log has how
            if not given:  # no shard's fault
                raise
            _log.warning("%s failed", given[0].name, exc_info=True)
            outcome = suspects.note(given.popleft(), reason_of(error))
            if outcome:
                yield outcome
        else:
            if not suspects.again and not suspects.last:
                return
            waiting = iter((*suspects.again, *suspects.last))
            suspects.again.clear()
            suspects.last.clear()


HERE = Engine(_run_here)


@contextmanager
def open_engine(workers: int = 0, scheduler: str = "") -> Iterator[Engine]:
    """The engine asked for, stopped on leaving.

    Parameters
    ----------
    workers : int
        Processes of this machine to work in; 0 for this process itself, where no Dask is imported.
    scheduler : str
        Address of a running Dask scheduler instead, such as ``tcp://host:8786``.
    """
    if not workers and not scheduler:
        yield HERE
        return
    from galaxy_core.engine_dask import open_cluster

    with open_cluster(workers, scheduler) as run:
        threads = max(1, (os.cpu_count() or 2) // workers) if workers else None
        name = f"the Dask scheduler {scheduler}" if scheduler else f"{workers} processes of this machine"
        yield Engine(run, name, threads, elsewhere=bool(scheduler))
