"""The segmenter: a small residual encoder-decoder that tells light from sky, one band at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galaxy_core.models.denoising_unet import ResidualConv, UpConv
from galaxy_core.tiles import Progress

TILE_PX, CONTEXT_PX = 1024, 48  # what is kept of a tile, and what around it the network sees
FILTER_BLOCKS, FILTER_SIGMA_PX = 9, (0.7, 4.0)  # side in blocks of 2 x 2 pixels; widths the filters begin with
CLIP_SIGMA, TYPICAL_SIGMA = (-6.0, 20.0), 4.0  # range of the input in which steps are linear, and its scale


@dataclass(frozen=True)
class SegmenterConfig:
    """Size of the network, and which of its two maps finds objects.

    Attributes
    ----------
    widths : tuple of int
        Channels at a half, a quarter, ... of the resolution.
    supervision : {"none", "simulated"}
        With "simulated" the detection map is the logit that a pixel lies above an isophote of the noiseless light;
        without labels it is the denoised light in units of the noise.
    filters : int
        Of the first layer: wide linear filters that begin as matched filters for point sources of as many widths; 0:
        none.
    """

    widths: tuple[int, ...] = (32, 64, 96)
    supervision: str = "simulated"
    filters: int = 6


class Segmenter(nn.Module):
    """Light in units of its noise to the light without its noise, and to the logit of belonging to an object.

    Skips between the levels and around every block are what the published system calls residual connections: the
    network predicts the correction to its input. It has no normalisation layers, so absolute flux is kept.
    """

    name = "segmenter"

    def __init__(self, config: SegmenterConfig | None = None) -> None:
        super().__init__()
        self.config = config or SegmenterConfig()
        widths = self.config.widths
        pairs = list(pairwise(widths))
        self.filters = None
        if self.config.filters:
            self.filters = nn.Conv2d(4, self.config.filters, FILTER_BLOCKS, padding=FILTER_BLOCKS // 2, bias=False)
            self.filters.weight.data = matched_filters(self.config.filters)
        self.stem = nn.Conv2d(8 + self.config.filters, widths[0], 3, padding=1)
        self.down_stages = nn.ModuleList(ResidualConv(width) for width in widths)
        self.downs = nn.ModuleList(nn.Conv2d(narrow, wide, 2, stride=2) for narrow, wide in pairs)
        self.ups = nn.ModuleList(UpConv(wide, narrow) for narrow, wide in reversed(pairs))
        self.up_stages = nn.ModuleList(ResidualConv(narrow) for narrow, _ in reversed(pairs))
        self.out = nn.Conv2d(widths[0], 8, 3, padding=1)
        self.multiple_px = 2 ** len(widths)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Denoised light and logit, float32 (n, 1, h, w) each, of light in units of its noise (n, 1, h, w)."""
        height, width = signal.shape[-2:]
        # sky, as the convolutions have it beyond the edges: rows repeated there are streaks, which are found as objects
        padded = F.pad(signal, (0, -width % self.multiple_px, 0, -height % self.multiple_px))
        # faint light linearly, and the range of the bright squeezed
        linear = F.pixel_unshuffle(padded.clamp(*CLIP_SIGMA) / TYPICAL_SIGMA, 2)  # (n, 4, h/2, w/2)
        squeezed = F.pixel_unshuffle(torch.asinh(padded), 2)
        x = torch.cat([linear, squeezed], dim=1)
        if self.filters is not None:
            x = torch.cat([x, self.filters(linear).to(x.dtype)], dim=1)
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for stage, down in zip(self.down_stages[:-1], self.downs, strict=True):
            x = stage(x)
            skips.append(x)
            x = down(F.relu(x))
        x = self.down_stages[-1](x)
        for up, stage in zip(self.ups, self.up_stages, strict=True):
            x = stage(up(F.relu(x)) + skips.pop())
        maps = F.pixel_shuffle(self.out(F.relu(x)).float(), 2)[..., :height, :width]
        return signal + maps[:, :1], maps[:, 1:]

    def detection_maps(
        self, signal: np.ndarray, unusable: np.ndarray, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Detection map and denoised light of a band of any size, float32 (height, width) each.

        The network works on tiles of 1024 pixels with 48 around them, which is more than it can see, so no seam shows.

        Parameters
        ----------
        signal : ndarray of float32, shape (height, width)
            Light over the sky in units of its noise.
        unusable : ndarray of bool, shape (height, width)
            Shown as sky.
        progress : callable, optional
            Called with the fraction done after each tile.
        """
        detection, light = np.empty(signal.shape, np.float32), np.empty(signal.shape, np.float32)
        tiles = list(tiles_of(signal.shape))
        for done, (seen, kept, inside) in enumerate(tiles, start=1):
            tile = torch.from_numpy(np.where(unusable[seen], np.float32(0), signal[seen]))
            denoised, logit = self.look(tile[None, None])
            light[kept] = denoised[0, 0].cpu().numpy()[inside]
            detection[kept] = logit[0, 0].cpu().numpy()[inside] if self._has_logit else light[kept]
            if progress:
                progress(done / len(tiles))
        return detection, light

    @property
    def _has_logit(self) -> bool:
        return self.config.supervision == "simulated"

    def look(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` as it is used: no gradients, in the precision the network was trained in."""
        device = self.out.weight.device
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16):
            return self(signal.to(device))


def matched_filters(number: int) -> Tensor:
    """Filters matched to Gaussians, float32 (number, 4, blocks, blocks): their output has the noise of a pixel.

    A block's four pixels are its channels, as `torch.nn.functional.pixel_unshuffle` orders them.
    """
    block = torch.arange(FILTER_BLOCKS) - FILTER_BLOCKS // 2
    within = torch.tensor([-0.5, 0.5])
    place = 2.0 * block + within[:, None]  # (pixel in block, block), from the middle of the central block
    widths = torch.from_numpy(np.geomspace(*FILTER_SIGMA_PX, number)).float()
    curve = torch.exp(-0.5 * (place / widths[:, None, None]) ** 2)  # (number, pixel in block, block)
    filters = curve[:, :, None, :, None] * curve[:, None, :, None, :]
    filters = filters.reshape(number, 4, FILTER_BLOCKS, FILTER_BLOCKS)
    return filters / filters.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()


def tiles_of(shape: tuple[int, int]) -> Iterator[tuple]:
    """Slices of what the network sees of each tile, of what is kept, and of where that lies in what it sees."""
    spans = [[(start, min(start + TILE_PX, side)) for start in range(0, side, TILE_PX)] for side in shape]
    for top, bottom in spans[0]:
        for left, right in spans[1]:
            first, begin = max(top - CONTEXT_PX, 0), max(left - CONTEXT_PX, 0)
            seen = (
                slice(first, min(bottom + CONTEXT_PX, shape[0])),
                slice(begin, min(right + CONTEXT_PX, shape[1])),
            )
            inside = slice(top - first, bottom - first), slice(left - begin, right - begin)
            yield seen, (slice(top, bottom), slice(left, right)), inside
