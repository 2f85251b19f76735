"""Random views and random noise, on whole batches of tensors.

Images are float32 ``(n, 3, height, width)`` in [0, 1]; `random_view` alone takes stamps as they are stored, too. Every
function takes the generator it draws from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from galaxy_core.noise import PUBLISHED_SIGMA, READ_COUNTS, SKY_COUNTS
from galaxy_core.stamps import colours, few_at_a_time

FULL_SCALE_COUNTS = 255.0


@dataclass(frozen=True)
class ViewConfig:
    """How far two views of one galaxy may differ.

    Position angle, mirror image, apparent size, brightness, colour calibration and noise say nothing about what kind of
    galaxy it is, so views differ in them and the embedding learns to ignore them.
    """

    scale_min: float = 0.7
    scale_max: float = 1.15
    shift_max: float = 0.04  # of the stamp's half width
    brightness_log_sigma: float = 0.15
    channel_gain_log_sigma: float = 0.07
    grey_probability: float = 0.1
    noise_probability: float = 0.3
    noise_level_max: float = 0.6


LABEL_VIEWS = ViewConfig(
    scale_min=0.85,
    scale_max=1.15,
    brightness_log_sigma=0.1,
    channel_gain_log_sigma=0.04,
    grey_probability=0.0,
    noise_probability=0.2,
    noise_level_max=0.4,
)
"""Views to learn votes and classes from, which depend on size and colour: these differ less."""


def _uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def random_view(images: Tensor, size_px: int, config: ViewConfig, generator: Generator) -> Tensor:
    """One random view of each galaxy, float32 (n, 3, size_px, size_px); ``images`` may be stored planes, uint8.

    With no rotation and scale 1, bilinear sampling at half the input's resolution is exactly the 2x2 mean, which is
    what an embedding is later computed from, so training and use see the same pixels.
    """
    n = images.shape[0]
    angle = _uniform(n, 0, 2 * math.pi, generator)
    zoom = torch.exp(_uniform(n, math.log(config.scale_min), math.log(config.scale_max), generator))
    mirror = 1 - 2 * torch.randint(0, 2, (n,), generator=generator).float()
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift = _uniform(2 * n, -config.shift_max, config.shift_max, generator).view(n, 2)
    theta = torch.stack(
        [torch.stack([cos * mirror, -sin, shift[:, 0]], dim=1), torch.stack([sin * mirror, cos, shift[:, 1]], dim=1)],
        dim=1,
    )
    grid = _affine_grid(theta.to(images.device), size_px)
    return _random_photometry(_sampled(images, grid), config, generator)


def _sampled(images: Tensor, grid: Tensor) -> Tensor:
    """Float32 (n, 3, size_px, size_px) at the places of `_affine_grid`, between pixels and mirrored at the edge."""
    if images.dtype == torch.uint8:
        parts = zip(few_at_a_time(images), few_at_a_time(grid), strict=True)
        return torch.cat([_sampled(colours(few), places) for few, places in parts])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _affine_grid(theta: Tensor, size_px: int) -> Tensor:
    """Where to sample, float32 (n, size_px, size_px, 2): as `affine_grid` gives it, without corners aligned.

    One product of small matrices, with x and y in planes of their own: several times faster on a CPU.
    """
    steps = (2 * torch.arange(size_px, device=theta.device, dtype=theta.dtype) + 1) / size_px - 1
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    places = torch.stack([columns.flatten(), rows.flatten(), torch.ones_like(steps).repeat(size_px)])
    return (theta.view(-1, 3) @ places).view(-1, 2, size_px, size_px).permute(0, 2, 3, 1)


def _random_photometry(views: Tensor, config: ViewConfig, generator: Generator) -> Tensor:
    """Brightness, colours, grey and noise of views that nobody else holds: they are changed in place."""
    n = views.shape[0]
    log_gain = config.brightness_log_sigma * torch.randn(n, 1, generator=generator)
    log_gain = log_gain + config.channel_gain_log_sigma * torch.randn(n, 3, generator=generator)
    views.mul_(torch.exp(log_gain).to(views.device).view(n, 3, 1, 1))
    grey = torch.flatten(torch.nonzero(torch.rand(n, generator=generator) < config.grey_probability)).to(views.device)
    if len(grey):
        views[grey] = views[grey].mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    noisy = torch.flatten(torch.nonzero(torch.rand(n, generator=generator) < config.noise_probability))
    if len(noisy):  # deviates are drawn for these alone: they cost more than all the rest of a view
        sigma = config.noise_level_max * torch.rand(len(noisy), generator=generator) * PUBLISHED_SIGMA
        noise = torch.randn(len(noisy), *views.shape[1:], generator=generator).mul_(sigma.view(-1, 1, 1, 1))
        views.index_add_(0, noisy.to(views.device), noise.to(views.device))
    return views.clamp_(0, 1)


def random_dihedral(images: Tensor, generator: Generator) -> Tensor:
    """Each image turned by a random multiple of 90 degrees and perhaps mirrored: exact, no resampling."""
    symmetry = torch.randint(0, 8, (images.shape[0],), generator=generator)
    turned = torch.empty_like(images)
    for element in range(8):
        chosen = symmetry == element
        part = torch.rot90(images[chosen], element % 4, dims=(2, 3))
        turned[chosen] = part.flip(3) if element >= 4 else part
    return turned


def random_crop(images: Tensor, size_px: int, generator: Generator) -> Tensor:
    """One window of ``size_px``, the same for the whole batch, at a random place."""
    height, width = images.shape[-2:]
    top = int(torch.randint(0, height - size_px + 1, (1,), generator=generator))
    left = int(torch.randint(0, width - size_px + 1, (1,), generator=generator))
    return images[..., top : top + size_px, left : left + size_px]


def published_noise(images: Tensor, level: Tensor, generator: Generator) -> Tensor:
    """Poisson and Gaussian noise in 8-bit counts, clipped and truncated to whole counts as the published system does.

    ``c -> uint8(clip(c + level * (Poisson(c + 150) - 150 - c + N(0, 10)), 0, 255))`` with ``c = 255 * image``. At level
    1 this is the published noise; other levels scale its deviation. Poisson counts, here of 150 and more, are drawn
    from a normal deviate z as ``m + sqrt(m) z + (z^2 - 1) / 6`` (Cornish & Fisher 1937), whose mean and skewness are
    theirs and whose variance is 1 / (18 m) more; that they are whole the Gaussian hides. It is five times as fast.

    Parameters
    ----------
    images : Tensor, float32 (n, bands, height, width)
    level : Tensor, float32 (n,)
    """
    counts = images * FULL_SCALE_COUNTS
    deviate = torch.randn(counts.shape, generator=generator)
    noise = (counts + SKY_COUNTS).sqrt_().mul_(deviate).add_(deviate.square_(), alpha=1 / 6).sub_(1 / 6)
    noise.add_(torch.randn(counts.shape, generator=generator), alpha=READ_COUNTS)
    noisy = counts.addcmul_(noise, level.view(-1, 1, 1, 1))
    return noisy.clamp_(0, FULL_SCALE_COUNTS).floor_().div_(FULL_SCALE_COUNTS)


def linear_noise(images: Tensor, level: Tensor, generator: Generator) -> Tensor:
    """The same noise as a linear frame has it: no clipping, no whole counts, so the sky scatters below zero."""
    variance = images.clamp(min=0) / FULL_SCALE_COUNTS + PUBLISHED_SIGMA**2
    return images + level.view(-1, 1, 1, 1) * variance.sqrt() * torch.randn(images.shape, generator=generator)
