"""Many files denoised by an engine, a file a shard: what the denoising command does from its options to its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_core.artifacts.files import is_full
from galaxy_core.denoise_jobs import Job, Ledger, claim, describe, remove_leftovers
from galaxy_core.denoise_run import denoise_job
from galaxy_core.denoiser_calls import says_how_sure
from galaxy_core.embedding import find_model
from galaxy_core.engine import HERE, Engine, Loaded, Shard, Tell, each, map_shards, tell_of_share
from galaxy_core.errors import GalaxyError, ModelError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class DenoiseOptions:
    """What is wanted of every file; see `galaxy_core.denoise_run.denoise_job`."""

    noise: float | None = None
    hdu: int | str | None = None
    as_fits: bool = False
    extras: tuple[str, ...] = ()


def load_denoiser(model: str, root: Path, device: str = "auto", uncertainty: bool = False) -> nn.Module:
    """The model that denoises, or a `ModelError` if it cannot do what is asked for."""
    from galaxy_core.models import load_model, resolve_device

    loaded = load_model(find_model(model, root)).to(resolve_device(device))
    if not hasattr(loaded, "denoise"):
        raise ModelError(f"The model {model} does not denoise; name a contrastive denoiser with --model.")
    if uncertainty and not says_how_sure(loaded):
        raise ModelError(f"The model {model} does not say how sure it is; leave out --uncertainty.")
    return loaded


def denoise_files(
    jobs: Sequence[Job],
    options: DenoiseOptions,
    model: Loaded,
    ledger: Ledger,
    engine: Engine = HERE,
    progress: Callable[[float], None] | None = None,
) -> Iterator[tuple[int, dict]]:
    """Denoise the files whose results are not there already, and note each result that is whole in the ledger.

    Parameters
    ----------
    model : Loaded
        Of `load_denoiser`.
    progress : callable, optional
        Called with how many files are done, parts of a file included.

    Yields
    ------
    int, dict
        Number of a job, once each, and what JSON says of it: its report with ``up_to_date``, or an ``error`` that is a
        sentence. In the order of the jobs where all is done in this process.

    Raises
    ------
    ArtifactError
        Nothing more can be written: the disk is full or read-only. What was made stays.
    """
    settled: list[tuple[int, dict]] = []
    n_settled, claimed = 0, {}

    def todo() -> Iterator[Shard]:
        nonlocal n_settled
        for number, job in enumerate(jobs):
            try:
                claim(job, list(options.extras), claimed)
                for path in (job.target, *(job.extra(what) for what in options.extras)):
                    remove_leftovers(path)
                kept = ledger.find(job)
            except (GalaxyError, OSError) as error:
                settled.append((number, _failed(job, " ".join(str(error).split()))))
            else:
                if kept is None:
                    there = Job(engine.path(job.source), engine.path(job.folder), engine.path(job.target))
                    yield Shard(f"{job.source} -> {job.target}", (number, there, options))
                    continue
                settled.append((number, {**kept, "up_to_date": True}))
            n_settled += 1

    def tell(done: float) -> None:
        if progress:
            progress(done + n_settled)

    for outcome in map_shards(partial(each, denoise_one), todo(), model, engine, tell):
        number, job = outcome.shard.data[0], jobs[outcome.shard.data[0]]
        yield from _taken(settled, number)
        said = outcome.problem or outcome.value["error"]
        yield number, _failed(job, said) if said else _finished(job, outcome.value, ledger)
    yield from settled


def denoise_one(model: nn.Module, task: tuple[int, Job, DenoiseOptions], tell: Tell) -> dict:
    """The engine's work on one file: what the ledger is to note, or ``error``, a sentence."""
    _, job, options = task
    try:
        source = describe(job.source)
        wanted = options.noise, options.hdu, options.as_fits, list(options.extras)
        report, written = denoise_job(job, model, *wanted, tell_of_share(tell))
    except (GalaxyError, OSError, MemoryError) as error:
        if is_full(error):  # `atomic_path` says so: no other file could be written
            raise
        return {"error": " ".join(str(error).split()) or f"{job.source} does not fit in memory."}
    return {"error": "", "source": source, "written": written, "report": report}


def _finished(job: Job, made: dict, ledger: Ledger) -> dict:
    written = [job.target.with_name(path.name) for path in made["written"]]
    report = {**made["report"], "input": str(job.source), "outputs": [str(path) for path in written]}
    ledger.add(job, made["source"], written, report)
    return {**report, "up_to_date": False}


def _failed(job: Job, said: str) -> dict:
    return {"input": str(job.source), "error": said}


def _taken(settled: list[tuple[int, dict]], number: int) -> list[tuple[int, dict]]:
    """Take what was settled before a job out of the list: the work may have looked at later ones already."""
    before = [one for one in settled if one[0] < number]
    settled[:] = [one for one in settled if one[0] > number]
    return before
