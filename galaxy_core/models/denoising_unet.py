"""The denoiser and the noise estimator: what maps a noisy image to a clean one, and what measures its noise."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galaxy_core.errors import ModelError


class ResidualConv(nn.Module):
    """Two 3x3 convolutions around a skip, without normalisation: a denoiser must keep absolute flux."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # in place: no gradient needs what a convolution gave, and memory is what these take
        return self.second(F.relu(self.first(x), inplace=True)).add_(x)


def blocks_of(images: Tensor) -> Tensor:
    """Blocks of 2 x 2 pixels as bands, (n, 4 bands, h / 2, w / 2): `F.pixel_unshuffle`, four times as fast on a CPU."""
    n, bands, height, width = images.shape
    rows = images.view(n, bands, height // 2, 2, width // 2, 2)
    return rows.permute(0, 1, 3, 5, 2, 4).reshape(n, 4 * bands, height // 2, width // 2)


def pixels_of(blocks: Tensor) -> Tensor:
    """What `blocks_of` was given: `F.pixel_shuffle`, twice as fast on a CPU."""
    n, bands, height, width = blocks.shape
    # the bands last, as a convolution leaves them
    rows = blocks.permute(0, 2, 3, 1).reshape(n, height, width, bands // 4, 2, 2)
    return rows.permute(0, 3, 1, 4, 2, 5).reshape(n, bands // 4, 2 * height, 2 * width)


class UpConv(nn.ConvTranspose2d):
    """A transposed convolution of 2x2 pixels and stride 2: each pixel becomes a block of four."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__(width_in, width, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda or x.dtype != torch.bfloat16:
            return super().forward(x)
        # blocks do not overlap, so it is a linear layer: twice as fast as torch's gradient in bf16, which has no kernel
        # of its own on a CPU
        n, width_in, height, width = x.shape
        weight = self.weight.permute(2, 3, 1, 0).reshape(-1, width_in)  # (row, column, band) of a block, bands of x
        blocks = F.linear(x.permute(0, 2, 3, 1), weight, self.bias.repeat(4))
        rows = blocks.view(n, height, width, 2, -1).transpose(2, 3)
        return rows.reshape(n, 2 * height, 2 * width, self.out_channels).permute(0, 3, 1, 2)


class DenoisingUNet(nn.Module):
    """Noisy image and noise map to clean image; predicts the correction on 2x2 pixel blocks."""

    def __init__(self, widths: tuple[int, ...], blocks: int, fine_blocks: int = 0) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ModelError(f"A denoiser has two widths or more; set model.denoiser_widths to as many, not {widths}.")

        def stage(width: int) -> nn.Sequential:
            return nn.Sequential(*(ResidualConv(width) for _ in range(blocks)))

        def fine() -> list[ResidualConv]:
            added = [ResidualConv(widths[0]) for _ in range(fine_blocks)]
            for block in added:  # the identity at first, so a trained network can be given more of them
                nn.init.zeros_(block.second.weight)
                nn.init.zeros_(block.second.bias)
            return added

        pairs = list(pairwise(widths))
        self.stem = nn.Conv2d(13, widths[0], 3, padding=1)
        self.down_stages = nn.ModuleList(stage(width) for width in widths)
        self.downs = nn.ModuleList(nn.Conv2d(narrow, wide, 2, stride=2) for narrow, wide in pairs)
        self.ups = nn.ModuleList(UpConv(wide, narrow) for narrow, wide in reversed(pairs))
        self.up_stages = nn.ModuleList(stage(narrow) for narrow, _ in reversed(pairs))
        self.down_stages[0].extend(fine())
        self.up_stages[-1].extend(fine())
        self.out = nn.Conv2d(widths[0], 12, 3, padding=1)
        self.multiple_px = 2 ** len(widths)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, images: Tensor, noise_sigma: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        pad_bottom, pad_right = -height % self.multiple_px, -width % self.multiple_px
        x = blocks_of(F.pad(images, (0, pad_right, 0, pad_bottom), mode="replicate"))  # (n, 12, h/2, w/2)
        # noise of 0.06 is the typical case: scaled so that the map is of order one
        noise_map = (16 * noise_sigma).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[-2:])
        x = self.stem(torch.cat([x, noise_map.to(x.dtype)], dim=1))
        skips = []
        for stage, down in zip(self.down_stages[:-1], self.downs, strict=True):
            x = stage(x)
            skips.append(x)
            x = down(F.relu(x))
        x = self.down_stages[-1](x)
        for up, stage in zip(self.ups, self.up_stages, strict=True):
            x = stage(up(F.relu(x, inplace=True)) + skips.pop())
        correction = pixels_of(self.out(F.relu(x, inplace=True)).float())
        return images + correction[..., :height, :width]


class NoiseEstimator(nn.Module):
    """Sky noise of an image, from the statistics of its fine structure: mean and spread of learned local features."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(12, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.head = nn.Sequential(nn.Linear(2 * width, 64), nn.ReLU(), nn.Linear(64, 1))
        self.typical_log_sigma = -2.8

    def forward(self, images: Tensor) -> Tensor:
        """Noise sigma in image units, float32 (n,), of images (n, 3, h, w)."""
        padded = F.pad(images, (0, images.shape[-1] % 2, 0, images.shape[-2] % 2), mode="replicate")
        features = self.features(blocks_of(padded)).float().flatten(2)
        mean = features.mean(dim=2, keepdim=True)
        # in two passes, five times as fast as torch's std; a shift of the mean does not change it, so has no gradient
        variance = (features - mean.detach()).square().mean(dim=2)
        pooled = torch.cat([mean.squeeze(2), variance.clamp(min=1e-30).sqrt()], dim=1)
        return torch.exp(self.typical_log_sigma + self.head(pooled).squeeze(1).float())
