"""Galaxies with noise, as denoiser, noise estimator and uncertainty are trained on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from galaxy_core.augment import linear_noise, published_noise, random_crop, random_dihedral
from galaxy_core.losses import luminance
from galaxy_core.noise import PUBLISHED_SIGMA
from galaxy_core.stamps import Stamps, split_planes

if TYPE_CHECKING:
    from galaxy_core.recipes.contrastive_denoiser import Config


def noisy_batch(stamps: Stamps, indices, config: Config, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clean, noisy images (n, 3, crop, crop), foreground (n, 1, crop, crop) and noise sigma (n,).

    The first half of what is returned is grey, with the same noise in all bands; the rest is colour. A share of each is
    linear: neither clipped nor cut to whole counts. Galaxies are put in a random order first: batches come in the order
    of the catalogs, and half of the galaxies would always be grey.
    """
    order = torch.randperm(len(indices), generator=generator)
    planes = random_crop(stamps.planes(indices), config.crop_px, generator)[order]
    clean, foreground = split_planes(random_dihedral(planes, generator))
    n, n_grey = len(clean), len(clean) // 2
    level = torch.empty(n).uniform_(
        math.log(config.noise_level_min), math.log(config.noise_level_max), generator=generator
    )
    published = torch.rand(n, generator=generator) < config.published_level_share
    level = torch.where(published, torch.ones(n), level.exp())
    grey = luminance(clean[:n_grey])
    parts = [(grey, level[:n_grey]), (clean[n_grey:], level[n_grey:])]
    noisy = []
    for part, part_level in parts:
        is_linear = torch.rand(len(part), generator=generator) < config.linear_share
        made = torch.empty_like(part)
        for rows, add_noise in ((is_linear, linear_noise), (~is_linear, published_noise)):
            made[rows] = add_noise(part[rows], part_level[rows], generator)
        noisy.append(made.expand(-1, 3, -1, -1))
    clean = torch.cat([grey.expand(-1, 3, -1, -1), clean[n_grey:]])
    return clean, torch.cat(noisy), foreground, level * PUBLISHED_SIGMA
