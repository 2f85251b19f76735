"""What is trained in momentum contrast: a network of queries, one of keys that follows it, and a queue of keys.

He et al. 2020 (MoCo, CVPR, algorithm 1). All of it is one module, so that the loop which trains it also saves it: the
networks of keys and the queue are state that a resumed run needs, though no gradient reaches them. The finished model
keeps the network of queries alone.
"""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from galaxy_core.losses import momentum_contrast_loss
from galaxy_core.models.resnet import GalaxyResNet
from galaxy_core.rank_norm import statistics_of_groups
from galaxy_core.ranks import in_shares, ranks


class MomentumContrast(nn.Module):
    """Query network, key network and queue around the encoder and the projection head of a model.

    Attributes
    ----------
    queue : Tensor, float32 (projection_size, n_queue)
        Keys of unit length, the oldest replaced first.
    queue_rows : Tensor, int64 (n_queue,)
        Whose key it is; -1 where there is none yet.
    place : Tensor, int64 ()
        Where the next key goes.
    """

    def __init__(self, model: GalaxyResNet, n_queue: int) -> None:
        super().__init__()
        self.query = nn.ModuleDict({"encoder": model.encoder, "projection": model.projection})
        self.key = copy.deepcopy(self.query).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(model.config.projection_size, n_queue))
        self.register_buffer("queue_rows", torch.full((n_queue,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def follow(self, momentum: float) -> None:
        """Move the keys' parameters towards the queries': ``k = m k + (1 - m) q``, eq. 2 of He et al. 2020."""
        for key, query in zip(self.key.parameters(), self.query.parameters(), strict=True):
            key.lerp_(query, 1 - momentum)

    def contrast(
        self, first: Tensor, second: Tensor, rows: Tensor, temperature: float, n_groups: int, generator: Generator
    ) -> Tensor:
        """Loss of a batch, whose keys are then put into the queue.

        Parameters
        ----------
        first, second : Tensor, float32 (n, 3, P, P)
            Two views of each galaxy: the first makes the query, the second the key.
        rows : Tensor, int64 (n,)
            Which galaxy it is: a galaxy's earlier keys do not count against its query.
        n_groups : int
            Batch statistics are taken over so many parts of a batch. Keys are shuffled before they are parted: a query
            and its key would otherwise share statistics, which tells them apart from the queue without a look at the
            galaxy (He et al. 2020, section 3.3).
        """
        n = len(first)
        n_groups = max(1, min(n_groups, n // 2))
        order = torch.randperm(n, generator=generator).to(first.device)
        queries = projected_in_groups(self.query, first, n_groups)
        with torch.no_grad():
            shuffled = projected_in_groups(self.key, second[order], n_groups)
            keys = F.normalize(shuffled[order.argsort()].float(), dim=1)
        excluded = (self.queue_rows < 0) | (self.queue_rows == rows[:, None])
        with torch.autocast(first.device.type, enabled=False):  # cosines over a temperature need more than 8 bits
            loss = momentum_contrast_loss(queries, keys, self.queue, temperature, excluded)
        self.enqueue(keys, rows)
        return loss

    @torch.no_grad()
    def enqueue(self, keys: Tensor, rows: Tensor) -> None:
        """Put keys, float32 (n, projection_size), in place of the oldest."""
        n_queue = self.queue.shape[1]
        keys, rows = keys[-n_queue:], rows[-n_queue:]
        places = (self.place + torch.arange(len(keys), device=keys.device)) % n_queue
        # a new tensor, since the loss still needs the old one for its gradient
        self.queue = self.queue.index_copy(1, places, keys.T)
        self.queue_rows = self.queue_rows.index_copy(0, places, rows)
        self.place = (self.place + len(keys)) % n_queue


def projected_in_groups(network: nn.ModuleDict, images: Tensor, n_groups: int) -> Tensor:
    """`project` of ``n_groups`` parts of a batch, each with batch statistics of its own."""
    if ranks().count == 1 and torch.is_autocast_enabled(images.device.type):
        with statistics_of_groups(network, n_groups):  # in one go: weights are rounded, and gradients added, once
            return project(network, images)
    # each part is shared by the ranks; in float32 a batch does not fit into a processor's cache, and parts are faster
    return torch.cat([in_shares(partial(project, network), part) for part in images.chunk(n_groups)])


def project(network: nn.ModuleDict, images: Tensor) -> Tensor:
    """What the contrast compares, (n, projection_size), not yet of unit length."""
    return network["projection"](network["encoder"].features(images))
