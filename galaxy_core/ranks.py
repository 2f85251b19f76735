"""Many processes that train one model: `torchrun` starts them, one a GPU, and each is a rank.

Every rank draws the same global batch and puts its own share of it through the networks (`in_shares`). What comes out
is gathered from all ranks with its gradient, so that each rank computes the loss of the whole batch with the recipe's
own code: negatives of a contrast, means over pixels and whatever else mixes the galaxies of a batch are those of one
rank. `galaxy_core.rank_norm` does the same for batch statistics. The first rank alone finishes a model and writes it; a
recipe's `train` returns what the others have trained. Without `torchrun` nothing here does anything.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn

from galaxy_core.errors import ModelError

POLL_S = 0.02
RANK_PRIME = 15_485_863


@dataclass(frozen=True)
class Ranks:
    """Which rank this process is, of how many; ``own_views``: each rank draws the views of its own share."""

    rank: int = 0
    count: int = 1
    own_views: bool = False
    store: Any = None  # where ranks leave each other word, and wait for it without a limit: one may decode a survey


ALONE = Ranks()
_RANKS: ContextVar[Ranks] = ContextVar("ranks", default=ALONE)
_ON_SHARE: ContextVar[bool] = ContextVar("on_share", default=False)


def ranks() -> Ranks:
    """What this process is; one of one, unless `joined_ranks` says otherwise."""
    return _RANKS.get()


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_first() -> bool:
    """Whether this is the rank that writes files and messages."""
    return ranks().rank == 0


def on_share() -> bool:
    """Whether a network is being shown a share of a batch that the other ranks see the rest of."""
    return _ON_SHARE.get()


@contextmanager
def joined_ranks(device: str, own_views: bool = False) -> Iterator[None]:
    """Join the ranks that `torchrun` started, if it started this process and more than one.

    Parameters
    ----------
    device : str
        Ranks talk by NCCL on "cuda" and by Gloo elsewhere; on "cuda" each gets the GPU of its number.
    own_views : bool
        Each rank draws the random views of its own share, not those of the whole batch: faster, and equal to one rank
        in distribution only.

    Raises
    ------
    ModelError
        There are more ranks on this machine than GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    on_gpu = device.split(":")[0] == "cuda"
    if on_gpu:
        local, n_here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        if n_here > torch.cuda.device_count():
            raise ModelError(
                f"torchrun starts {n_here} ranks here, where there are {torch.cuda.device_count()} GPUs; give it "
                f"--nproc-per-node {torch.cuda.device_count()}, or --device cpu to this command."
            )
        torch.cuda.set_device(local)
    store, rank, count = next(dist.rendezvous("env://"))
    # a restart may be given the store of the attempt before, with addresses at which nobody listens any more
    store = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)} of {count} ranks", store)
    group_store = dist.PrefixStore("group", store)
    dist.init_process_group("nccl" if on_gpu else "gloo", store=group_store, rank=rank, world_size=count)
    token = _RANKS.set(Ranks(rank, count, own_views, dist.PrefixStore("word", store)))
    try:
        yield
        wait_for_all()  # the first may still be writing; who leaves earlier would close its connections
    finally:
        _RANKS.reset(token)
    dist.destroy_process_group()


def end_restarts() -> None:
    """Have `torchrun` end, if it would start all ranks again: for what fails the same way every time.

    It knows no exit status that says so, so it is asked as a user would, by SIGTERM.
    """
    tried, most = (int(os.environ.get(f"TORCHELASTIC_{name}", "0")) for name in ("RESTART_COUNT", "MAX_RESTARTS"))
    if tried < most and os.getppid() > 1:
        os.kill(os.getppid(), signal.SIGTERM)


def wait_for_all() -> None:
    """Return once every rank has come here."""
    here = ranks()
    if here.count > 1:
        meeting = here.store.add(f"meetings of {here.rank}", 1)
        here.store.add(f"met {meeting}", 1)
        while here.store.add(f"met {meeting}", 0) < here.count:
            time.sleep(POLL_S)


@contextmanager
def first_goes_first() -> Iterator[None]:
    """The first rank runs what is inside, then the others, who find the files it left."""
    if not is_first():
        wait_for_all()
    yield
    if is_first():
        wait_for_all()


def as_first_says(value):
    """The first rank's value, of any kind that can be pickled, on all ranks: decisions must not differ by rounding."""
    here = ranks()
    if here.count == 1:
        return value
    said = f"said {here.store.add(f'heard by {here.rank}', 1)}"
    if is_first():
        here.store.set(said, pickle.dumps(value))
    while not here.store.check([said]):
        time.sleep(POLL_S)
    return pickle.loads(here.store.get(said))


def in_shares(network: Callable, *batch):
    """``network(*batch)``, of which each rank computes its share of the rows and is given all of them.

    The gradient that reaches a share is that of the whole loss times the number of ranks, since gradients are averaged
    over ranks (`loss_step_of`), not added. That holds for parameters on both sides of the gathering: every rank must
    compute the same loss from what it is given.

    Parameters
    ----------
    network : callable
        Returns a tensor, or tensors in a tuple, dict or dataclass, with one row for each row of ``batch``.
    *batch
        Tensors of n rows, dataclasses of such, or None. With fewer rows than ranks each rank computes all.
    """
    here = ranks()
    n = _n_rows(batch)
    if n < here.count or here.count == 1:
        return network(*batch)
    places = share_bounds(n, here.count)
    start, stop = places[here.rank]
    token = _ON_SHARE.set(True)
    try:
        made = network(*_each(batch, lambda part: part[start:stop]))
    finally:
        _ON_SHARE.reset(token)
    return _each(made, lambda part: _Gather.apply(part, places, here.rank))


def share_bounds(n: int, count: int) -> list[tuple[int, int]]:
    """First row of each rank's share and first beyond it; sizes differ by one at most.

    Examples
    --------
    >>> share_bounds(8, 3)
    [(0, 2), (2, 5), (5, 8)]
    """
    return [(rank * n // count, (rank + 1) * n // count) for rank in range(count)]


def prepare_batch(prepare: Callable, indices: np.ndarray, generator: Generator):
    """``prepare(indices, generator)``; with own views, each rank prepares its share and all are put together."""
    here = ranks()
    if here.count == 1 or not here.own_views or len(indices) < here.count:
        return prepare(indices, generator)
    places = share_bounds(len(indices), here.count)
    start, stop = places[here.rank]
    drawn = int(torch.randint(0, 2**48, (1,), generator=generator))
    made = prepare(indices[start:stop], Generator().manual_seed(drawn + RANK_PRIME * here.rank))
    return _each(made, lambda part: _Gather.apply(part, places, here.rank))


def loss_step_of(module: nn.Module, loss_step: Callable) -> Callable:
    """``loss_step`` as it is on one rank; on many, with gradients of ``module`` that are means over ranks (DDP)."""
    if ranks().count == 1:
        return loss_step
    step = _Step(module, loss_step)
    # static: some parameters of a module may have no part in a loss, always the same ones
    return nn.parallel.DistributedDataParallel(step, forward_sync_buffers=False, static_graph=True)


class _Step(nn.Module):
    """A loss as a module, since DDP wraps modules: recipes call parts of theirs in their own order."""

    def __init__(self, module: nn.Module, loss_step: Callable) -> None:
        super().__init__()
        self.module, self.loss_step = module, loss_step

    def forward(self, batch, generator: Generator) -> dict[str, Tensor]:
        return self.loss_step(batch, generator)


class _Gather(torch.autograd.Function):
    """Rows of all ranks in order; backwards, the own rows times the number of ranks (see `in_shares`)."""

    @staticmethod
    def forward(ctx, own: Tensor, places: list[tuple[int, int]], rank: int) -> Tensor:
        ctx.places, ctx.rank = places, rank
        sizes = [stop - start for start, stop in places]
        if len(own) != sizes[rank]:
            raise ValueError(f"{len(own)} rows came from a share of {sizes[rank]}")
        sent = own.to(torch.uint8) if own.dtype == torch.bool else own
        sent = sent.cuda() if dist.get_backend() == "nccl" else sent  # NCCL carries nothing else
        padded = sent.new_zeros((max(sizes), *own.shape[1:]))
        padded[: len(own)] = sent
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]).to(own.device, own.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        start, stop = ctx.places[ctx.rank]
        return gradient[start:stop] * len(ctx.places), None, None


def _n_rows(value) -> int:
    rows: list[int] = []
    _each(value, lambda part: rows.append(len(part)))
    return rows[0]


def _each(value, change: Callable[[Tensor], Any]):
    """The same structure with every tensor (or array) in it changed; anything else stays."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, np.ndarray):
        changed = change(torch.from_numpy(value))
        return changed.numpy() if isinstance(changed, Tensor) else changed
    if isinstance(value, (tuple, list)):
        return type(value)(_each(part, change) for part in value)
    if isinstance(value, dict):
        return {key: _each(part, change) for key, part in value.items()}
    if is_dataclass(value):
        return replace(value, **{item.name: _each(getattr(value, item.name), change) for item in fields(value)})
    return value
