"""The last phase of the recipe `contrastive_denoiser`: learn how large the denoiser's errors are, and set the scale."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor

from galaxy_core.calibration import interval_factor
from galaxy_core.losses import masked_mean
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser
from galaxy_core.models.uncertainty_net import CALIBRATED_LEVELS, COVERAGES, N_SIGMAS, interval_loss
from galaxy_core.ranks import in_shares
from galaxy_core.recipes.noisy_galaxies import noisy_batch
from galaxy_core.stamps import Stamps

if TYPE_CHECKING:
    from galaxy_core.recipes.contrastive_denoiser import Config

BATCH = 32
PIXELS_PER_GALAXY = 4096  # that calibration looks at


def uncertainty_losses(model: ContrastiveDenoiser, batch: tuple[Tensor, ...], device: str) -> dict[str, Tensor]:
    """Loss of the uncertainty network on a batch of `noisy_batch`; the denoiser is not trained.

    Galaxies cover a small part of a stamp and count as much as all of it together.
    """
    clean, noisy, foreground, sigma = (part.to(device) for part in batch)
    with torch.autocast(device, dtype=torch.bfloat16):
        with torch.no_grad():
            denoised = in_shares(model.denoiser, noisy, sigma).float()
        log_scale = in_shares(model.uncertainty_net.log_scale, noisy, denoised, sigma).float()
    losses = interval_loss(denoised - clean, log_scale)
    everywhere, galaxy = losses.mean(), masked_mean(losses, foreground)
    return {"loss": (everywhere + galaxy) / 2, "everywhere": everywhere, "galaxy": galaxy}


def calibrate(model: ContrastiveDenoiser, stamps: Stamps, rows: np.ndarray, config: Config, device: str) -> None:
    """Set the scale of the standard deviation and the factors of its intervals on galaxies not learned from.

    At each calibrated noise level the scale makes the 68 % interval as many per cent too wide as the 95 % one is too
    narrow, if a standard deviation cannot do both; the factors then make each exact over all levels together.
    """
    net = model.uncertainty_net
    net.calibration.fill_(1.0)
    ratios = [error_ratios(model, stamps, rows, level, config, device) for level in CALIBRATED_LEVELS]
    for index, of_level in enumerate(ratios):
        factors = [interval_factor(of_level, share) / n for share, n in zip(COVERAGES, N_SIGMAS, strict=True)]
        net.calibration[index] = math.sqrt(math.prod(factors))
        of_level /= float(net.calibration[index])
    together = np.concatenate(ratios)
    net.interval_factors.copy_(torch.tensor([interval_factor(together, share) for share in COVERAGES]))


@torch.inference_mode()
def error_ratios(
    model: ContrastiveDenoiser, stamps: Stamps, rows: np.ndarray, level: float, config: Config, device: str
) -> np.ndarray:
    """Absolute errors over standard deviations, float32 (n,), of evenly drawn pixels of whole stamps at one level."""
    at_level = replace(
        config,
        crop_px=stamps.pixels.shape[-1],
        noise_level_min=level,
        noise_level_max=level,
        published_level_share=0.0,
    )
    generator = Generator().manual_seed(config.seed + 2)
    ratios = []
    for start in range(0, len(rows), BATCH):
        batch = noisy_batch(stamps, rows[start : start + BATCH], at_level, generator)
        clean, noisy, _, sigma = (part.to(device) for part in batch)
        denoised, _ = model.denoise(noisy, sigma)
        ratio = ((denoised - clean).abs() / model.uncertainty(noisy, denoised, sigma)).cpu().flatten(1)
        pixels = torch.randint(0, ratio.shape[1], (PIXELS_PER_GALAXY,), generator=generator)
        ratios.append(ratio[:, pixels].flatten().numpy())
    return np.concatenate(ratios)
