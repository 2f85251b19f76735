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
from galaxy_core.ranks import in_shares


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
        query, key = partial(project, self.query), partial(project, self.key)
        queries = torch.cat([in_shares(query, part) for part in first.chunk(n_groups)])
        with torch.no_grad():
            shuffled = torch.cat([in_shares(key, part) for part in second[order].chunk(n_groups)])
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


def project(network: nn.ModuleDict, images: Tensor) -> Tensor:
    """What the contrast compares, (n, projection_size), not yet of unit length."""
    features = network["encoder"].features(images.contiguous(memory_format=torch.channels_last))
    return network["projection"](features)
