"""The eight ways to look at a square image: galaxies have no up and no handedness that matters here.

A mean over them does not change when the image is turned by 90 degrees or mirrored (Dieleman et al. 2015, MNRAS 450,
1441, averaged over them for the same reason).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def dihedral_views(images: Tensor) -> list[Tensor]:
    """The eight turned and mirrored views of square images (n, c, P, P), the image first, laid out channels last."""
    turned = [torch.rot90(images, turns, dims=(2, 3)) for turns in range(4)]
    views = [*turned, *(view.flip(3) for view in turned)]
    return [view.contiguous(memory_format=torch.channels_last) for view in views]


def view_features(encoder: nn.Module, images: Tensor) -> Tensor:
    """Features of the eight views, (8, n, n_features), of the dtype that the encoder gives."""
    return torch.stack([encoder.features(view) for view in dihedral_views(images)])
