"""Stamps as networks see them: shrunk, in views to learn from, and the features an encoder has of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from galaxy_core.augment import random_dihedral, random_view
from galaxy_core.stamps import Stamps, colours, few_at_a_time

BATCH = 256


def shrink(images: Tensor, size_px: int) -> Tensor:
    """Stamps as the model sees them in use: means over pixels."""
    while images.shape[-1] % (2 * size_px) == 0:  # means over 2 x 2 pixels are six times as fast by slices
        rows = images[..., ::2, :] + images[..., 1::2, :]
        images = (rows[..., ::2] + rows[..., 1::2]).mul_(0.25)
    return images if images.shape[-1] == size_px else F.interpolate(images, size=size_px, mode="area")


def training_views(planes: Tensor, config, size_px: int, generator: Generator) -> Tensor:
    """One view of each galaxy, float32 (n, 3, size_px, size_px): a random share exact, the others resampled.

    ``planes``, uint8 (n, 4, size, size), are stamps as they are stored; ``config`` says ``exact_share`` and ``views``.
    """
    # a batch comes in the order of the catalogs: its first galaxies are always of the first of them
    order = torch.randperm(len(planes), generator=generator).to(planes.device)
    exact, resampled = order.tensor_split([round(config.exact_share * len(planes))])
    views = torch.empty(len(planes), 3, size_px, size_px, device=planes.device)
    if len(exact):
        small = torch.cat([shrink(colours(few), size_px) for few in few_at_a_time(planes[exact])])
        views[exact] = random_dihedral(small, generator)
    if len(resampled):
        views[resampled] = random_view(planes[resampled], size_px, config.views, generator)
    return views


def features_of(
    encode: Callable[[Tensor], Tensor], stamps: Stamps, rows: np.ndarray, config, input_px: int, device: str
) -> Tensor:
    """Features (n, n_features) that ``encode`` gives of at most ``config.n_spread_max`` stamps, shrunk to a size."""
    rows = np.sort(np.random.default_rng(config.seed).permutation(rows)[: config.n_spread_max])
    features = []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            images = shrink(stamps.batch(rows[start : start + BATCH])[0].to(device), input_px)
            features.append(encode(images.contiguous(memory_format=torch.channels_last)))
    return torch.cat(features)
