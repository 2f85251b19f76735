"""The engine of `galaxy_core.engine` on Dask: what is sent, how many at a time, and what is done when something dies.

- A worker has as many shards as threads and none in waiting: the death of a worker throws suspicion on what it had.
- A cluster of our own reports every death at once (``allowed_failures=0``), and `Suspects` counts. A scheduler of
  others has its own patience (``distributed.scheduler.allowed-failures``, four tries by default), which is respected.
- Work and setup are sent with every shard, as they are small; what setup makes is kept by the worker until other work
  comes. Nothing else is kept there: no result, no scattered data, nothing that dies with a worker.
- The scheduler's death cancels all; what is done lies in files, and the command run again goes on.
"""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial

from galaxy_core.engine import Backend, EngineError, Outcome, Shard, Suspects, Tell, Work, reason_of
from galaxy_core.errors import GalaxyError

PATIENCE_S = 60.0
"""How long to wait for a scheduler, and for its first worker."""

LONELY_S = 600.0
"""How long to wait for a worker when all have died."""

POLL_S = 1.0
"""How often to look for new workers while nothing is finished."""

INSTALL = "pip install -r scripts/requirements-cluster.txt"
# a worker is not to stop at part of its memory, nor to write results, of which it has none, to disk: it dies at the
# limit, and its shard is tried elsewhere
_WORKERS = {f"distributed.worker.memory.{name}": False for name in ("target", "spill", "pause")} | {
    "distributed.worker.memory.terminate": 0.95,
    "distributed.deploy.lost-worker-timeout": "10 minutes",  # to be started anew in, which takes long on a busy machine
}
# Dask keeps the last messages of every connection, here whole shards: the driver would grow with them
_DRIVER = {"distributed.admin.low-level-log-length": 10}


@contextmanager
def open_cluster(workers: int, scheduler: str) -> Iterator[Backend]:
    """Connect to a scheduler, or start one with ``workers`` processes of one thread each, which end with it."""
    try:
        import dask
        from distributed import Client, LocalCluster
        from distributed.system import MEMORY_LIMIT
    except ImportError as error:
        raise EngineError(
            f"Working in several processes needs Dask, which is not installed ({error}); install it with `{INSTALL}`."
        ) from None
    if scheduler:
        try:
            with dask.config.set(_DRIVER):
                client = Client(scheduler, timeout=PATIENCE_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise EngineError(
                f"No Dask scheduler answers at {scheduler} ({reason_of(error)}); start one with `dask scheduler`, or"
                " work on this machine with --workers."
            ) from None
        with _closing(client):
            yield partial(_run, client, scheduler)
        return
    quiet = logging.CRITICAL  # a death is told by the shard it cost
    with (
        dask.config.set(_WORKERS | _DRIVER),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=int(MEMORY_LIMIT / workers),
            dashboard_address="127.0.0.1:0",
            silence_logs=quiet,
            scheduler_kwargs={"allowed_failures": 0},
        ) as cluster,
        _closing(Client(cluster, set_as_default=False)) as client,
    ):
        yield partial(_run, client, "of this machine")


@contextmanager
def _closing(client) -> Iterator[object]:
    """The client, closed on leaving even where nobody answers any more."""
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=10)


def _run(
    client, scheduler: str, work: Work, setup: Callable[[], object], shards: Iterable[Shard], tell: Tell
) -> Iterator[Outcome]:
    """The backend; see `galaxy_core.engine.map_shards`."""
    from distributed import CancelledError

    sent = _pickled((work, setup))
    waiting, suspects, flying = iter(shards), Suspects(), {}
    _await_worker(client, scheduler)
    seen = time.monotonic()

    def submit(shard: Shard) -> None:
        flying[client.submit(work_on, sent, _pickled(shard), pure=False, retries=0)] = shard

    def send() -> bool:
        """Give work to every idle thread, of workers that have just come too; whether anything is being done."""
        if client.status != "running":
            raise _lost(scheduler)
        nonlocal seen
        threads = sum(client.nthreads().values())
        seen = time.monotonic() if threads else seen
        if time.monotonic() - seen > LONELY_S:
            raise EngineError(f"All workers of {scheduler} are gone; what is done stays, and the same command goes on.")
        room = max(1, threads)
        while len(flying) < room:
            shard = next(waiting, None) or (suspects.again.popleft() if suspects.again else None)
            if shard is not None:
                submit(shard)
                continue
            if suspects.last and not flying:
                submit(suspects.last.popleft())
            break
        return bool(flying)

    try:
        while send():
            outcomes = []
            for future in _finished(client, flying):
                with suppress(TimeoutError):  # of a worker that stands still before it was asked what it has found
                    outcomes.append(_outcome(future, flying[future], suspects, scheduler))
                    del flying[future]
            if outcomes:
                send()  # first, so that nobody waits for what the caller does with the outcomes
            yield from filter(None, outcomes)
    except (OSError, CancelledError) as error:  # in the midst of a question to the scheduler
        raise _lost(scheduler) from error
    finally:
        with suppress(OSError, TimeoutError):
            client.cancel(list(flying), force=True)


def _finished(client, flying: dict) -> list:
    """Those futures of which something is known now; waits a little for the first."""
    from distributed import CancelledError, wait

    with client.as_current(), suppress(TimeoutError, CancelledError):
        wait(list(flying), timeout=POLL_S, return_when="FIRST_COMPLETED")
    return [future for future in flying if future.status != "pending"]


def _outcome(future, shard: Shard, suspects: Suspects, scheduler: str) -> Outcome | None:
    """What a finished future says, as far as its worker answers in time; None where its shard is to be tried again."""
    from distributed import KilledWorker

    if future.cancelled():
        raise _lost(scheduler)
    error = future.exception()
    if error is None:
        value, stopped = future.result(timeout=POLL_S)
        if stopped is not None:
            raise stopped
        return Outcome(shard, value)
    if isinstance(error, KilledWorker):
        why = "its worker died, killed by the system, by its own code or for want of memory"
        return suspects.note(shard, why, error.allowed_failures + 1)
    if isinstance(error, ModuleNotFoundError) and "galaxy_core" in str(error):
        raise EngineError(
            f"The workers of {scheduler} cannot import galaxy_core; start them in the folder of this program, or with"
            " it in their PYTHONPATH."
        )
    return suspects.note(shard, reason_of(error))


def _lost(scheduler: str) -> EngineError:
    return EngineError(
        f"The Dask scheduler {scheduler} was lost; what is done stays, and the same command goes on once a scheduler"
        " runs again."
    )


def _await_worker(client, scheduler: str) -> None:
    """Return once there is a worker."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE_S)
    except TimeoutError:
        raise EngineError(
            f"The Dask scheduler {scheduler} has no worker; start some with `dask worker {scheduler} --nthreads 1`."
        ) from None


def _pickled(value: object) -> bytes:
    """Bytes of functions and data; cloudpickle's where pickle cannot, as for a function within a function."""
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        import cloudpickle

        return cloudpickle.dumps(value)


@lru_cache(maxsize=1)
def _prepared(sent: bytes) -> tuple[Work, object]:
    """The work, and what its setup makes: once in a process."""
    work, setup = pickle.loads(sent)
    return work, setup()


def work_on(sent: bytes, shard: bytes) -> tuple[object, GalaxyError | None]:
    """In a worker: the value of a shard, or the error that a user has to mend."""
    try:
        work, made = _prepared(sent)
        return next(iter(work(made, iter([pickle.loads(shard)]), lambda n: None))), None
    except GalaxyError as error:
        return None, error
