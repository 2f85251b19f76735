"""Batch normalisation whose statistics are those of all ranks' shares together, on CPUs and GPUs alike.

torch's own `SyncBatchNorm` runs on GPUs alone, and knows no difference between a share of a batch and a whole one that
every rank holds; here only shares are joined (`galaxy_core.ranks.on_share`). The other way round, parts of one rank's
batch can each have statistics of their own (`statistics_of_groups`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from galaxy_core.ranks import on_share, ranks


@contextmanager
def joined_statistics(module: nn.Module) -> Iterator[None]:
    """Within, the batch normalisations of ``module`` take statistics over all ranks wherever they see a share."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)] if ranks().count > 1 else []
    for norm in norms:
        norm.forward = partial(_forward, norm)
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


@contextmanager
def statistics_of_groups(module: nn.Module, n_groups: int) -> Iterator[None]:
    """Within, the batch normalisations of ``module`` take statistics over each of ``n_groups`` parts of a batch."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    for norm in norms:
        norm.forward = partial(_grouped, norm, n_groups)
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _grouped(norm: _BatchNorm, n_groups: int, values: Tensor) -> Tensor:
    return torch.cat([type(norm).forward(norm, part) for part in values.chunk(n_groups)])


def _forward(norm: _BatchNorm, values: Tensor) -> Tensor:
    if not (norm.training and on_share()):
        return type(norm).forward(norm, values)
    normalised, mean, variance, n = _Normalise.apply(values, norm.weight, norm.bias, norm.eps)
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (n / (n - 1)), norm.momentum)
    return normalised


class _Normalise(torch.autograd.Function):
    """Ioffe & Szegedy 2015, algorithm 1, over the rows of all ranks; (values, mean, variance, number) of one channel.

    Each rank sends its number, mean and variance; sums of squares about means add up without loss of digits (Chan,
    Golub & LeVeque 1983, eq. 2.1). Gradients of sums over all rows are sums over ranks.
    """

    @staticmethod
    def forward(ctx, values: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        x = values.to(torch.promote_types(values.dtype, torch.float32))  # bf16 has too few digits for a mean
        axes = [axis for axis in range(x.ndim) if axis != 1]
        variance, mean = torch.var_mean(x, dim=axes, correction=0)
        own = torch.stack([torch.full_like(mean, x.numel() / x.shape[1]), mean, variance])
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        numbers, means, variances = torch.stack(parts, dim=1).double()
        n = numbers.sum(dim=0)
        mean = (numbers * means).sum(dim=0) / n
        variance = (numbers * (variances + (means - mean).square())).sum(dim=0) / n
        mean, variance, scale = (part.to(x.dtype) for part in (mean, variance, torch.rsqrt(variance + eps)))
        shape = [1, -1, *[1] * (x.ndim - 2)]
        ctx.save_for_backward(values, weight, mean, scale, n)
        ctx.axes, ctx.shape = axes, shape
        normalised = (x - mean.view(shape)) * (scale * weight).view(shape) + bias.view(shape)
        ctx.mark_non_differentiable(mean, variance)
        return normalised.to(values.dtype), mean, variance, float(n[0])

    @staticmethod
    def backward(ctx, gradient: Tensor, *_) -> tuple[Tensor | None, ...]:
        values, weight, mean, scale, n = ctx.saved_tensors
        g = gradient.to(mean.dtype)
        standard = (values.to(mean.dtype) - mean.view(ctx.shape)) * scale.view(ctx.shape)
        of_bias, of_weight = g.sum(dim=ctx.axes), (g * standard).sum(dim=ctx.axes)
        sums = torch.stack([of_bias, of_weight])
        dist.all_reduce(sums)
        average = (sums / n).to(mean.dtype)
        inner = g - average[0].view(ctx.shape) - standard * average[1].view(ctx.shape)
        return (inner * (scale * weight).view(ctx.shape)).to(values.dtype), of_weight, of_bias, None
