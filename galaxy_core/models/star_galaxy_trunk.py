"""What looks at a stamp in the star-galaxy networks: four planes of the object, and numbers about it.

Convolutions learn in bf16, which is twice as fast; a model in use computes in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from galaxy_core.models.star_galaxy import StarGalaxyConfig


class Trunk(nn.Module):
    """Four planes of the object, and numbers about it, to ``n_out`` numbers."""

    def __init__(self, config: StarGalaxyConfig, n_told: int, n_out: int) -> None:
        super().__init__()
        self.seen_px = config.seen_px
        narrow, middle, wide = config.widths
        self.convolutions = nn.Sequential(
            nn.Conv2d(4, narrow, 3, padding=1), nn.SiLU(),
            nn.Conv2d(narrow, middle, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(middle, wide, 3, stride=2, padding=1), nn.SiLU(),
            nn.Conv2d(wide, wide, 3, stride=2, padding=1), nn.SiLU(),
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Linear(2 * wide + n_told, config.hidden_size), nn.SiLU(),
            nn.Linear(config.hidden_size, config.hidden_size), nn.SiLU(), nn.Linear(config.hidden_size, n_out),
        )  # fmt: skip
        nn.init.zeros_(self.head[-1].weight)
        nn.init.zeros_(self.head[-1].bias)

    def forward(self, planes: Tensor, told: Tensor) -> Tensor:
        seen = planes_seen(planes, self.seen_px)
        if self.training:
            with torch.autocast(seen.device.type, dtype=torch.bfloat16):
                maps = self.convolutions(seen.contiguous(memory_format=torch.channels_last)).float()
        else:
            maps = self.convolutions(seen)
        return self.head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3)), told], 1))


def planes_seen(planes: Tensor, size_px: int) -> Tensor:
    """Object and point source in units of noise, what is left between them, and the source over its peak.

    Float32 (n, 4, size_px, size_px); the first three through asinh, so that faint light is linear and bright light not.
    """
    middle = planes.shape[-1] // 2
    cut = slice(middle - size_px // 2, middle + size_px // 2)
    light, point = planes[:, :1, cut, cut], planes[:, 1:, cut, cut]
    peak = point.amax((2, 3), keepdim=True).clamp(min=1e-3)
    return torch.cat([torch.asinh(light), torch.asinh(point), torch.asinh(light - point), point / peak], 1)
