"""Convolutions of maps of 2 x 2 pixels, as the last stage of a residual network gets them.

There a kernel of 3 x 3 pixels meets mostly what lies beyond the edge, and torch's own convolution in bf16 runs at a
third of what a CPU can multiply. As a linear layer from all four pixels to all four it does not meet the edge at all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PIXELS = ((0, 0), (0, 1), (1, 0), (1, 1))


class Conv3x3(nn.Conv2d):
    """A convolution of 3 x 3 pixels, of stride 1 and without bias, that keeps the size of the map."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__(width_in, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda or x.dtype != torch.bfloat16 or x.shape[2:] != (2, 2):
            return super().forward(x)
        return _OfFourPixels.apply(x, self.weight)


class _OfFourPixels(torch.autograd.Function):
    """The convolution of maps (n, width_in, 2, 2) with weights (width, width_in, 3, 3), and its gradients.

    The pixel in row r and column c of a map sees all four through the part of the kernel that begins at (1 - r, 1 - c).
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        (n, width_in), width = x.shape[:2], len(weight)
        kernel = weight.to(x.dtype).permute(0, 2, 3, 1)
        seen = [kernel[:, 1 - r : 3 - r, 1 - c : 3 - c] for r, c in PIXELS]
        dense = torch.stack(seen).view(4 * width, 4 * width_in)  # (pixel, band) of the result, of x
        flat = x.permute(0, 2, 3, 1).reshape(n, -1)
        ctx.save_for_backward(flat, dense)
        ctx.weight_type = weight.dtype
        return (flat @ dense.T).view(n, 2, 2, width).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        flat, dense = ctx.saved_tensors
        n, width, width_in = len(flat), gradient.shape[1], flat.shape[1] // 4
        gradient = gradient.permute(0, 2, 3, 1).reshape(n, -1)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = (gradient @ dense).view(n, 2, 2, width_in).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            kernel = torch.zeros(width, 3, 3, width_in, dtype=ctx.weight_type)
            parts = (gradient.T @ flat).view(4, width, 2, 2, width_in)
            for (r, c), part in zip(PIXELS, parts, strict=True):
                kernel[:, 1 - r : 3 - r, 1 - c : 3 - c] += part
            of_weight = kernel.permute(0, 3, 1, 2)
        return of_x, of_weight
