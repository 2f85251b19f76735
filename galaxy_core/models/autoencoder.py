"""The convolutional autoencoder: a galaxy stamp to 128 numbers, and back to the stamp.

The published system (Amordia, "Galaxy Morphology Classification using Convolutional AutoEncoders", GitHub) learns to
redraw its input from a code of 128 numbers, without labels, and classifies the code. So does this one, in colour. What
a code must keep is what the sum of squared errors of pixels asks for: brightness, size and position angle before arms.
Stages of 3x3 convolutions halve the resolution down to 4x4 pixels; a linear layer makes the code of them (Masci et al.
2011, ICANN, LNCS 6791, 52). On the way back pixels are repeated and then convolved, which leaves no checkerboard as
transposed convolutions do (Odena et al. 2016, Distill).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galaxy_core.errors import ModelError
from galaxy_core.models.contrastive_denoiser import GalaxyEncoder
from galaxy_core.models.dihedral import view_features


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of the network.

    Attributes
    ----------
    widths : tuple of int
        Channels of each stage; the first works at half the resolution of the input, each next at half of the last.
    code_size : int
        Numbers a stamp is told in.
    input_px : int
        Side of the stamps, a multiple of ``2 ** len(widths)``.
    """

    widths: tuple[int, ...] = (32, 64, 128, 128)
    code_size: int = 128
    input_px: int = 64

    @property
    def smallest_px(self) -> int:
        """Side of what the code is made of."""
        return self.input_px // 2 ** len(self.widths)

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        return self.code_size

    @property
    def embedding_input_px(self) -> int:
        """What `galaxy_core.embedding` asks every model for."""
        return self.input_px


def _convolution(width_in: int, width: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(width_in, width, 3, stride=stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]


class CodeEncoder(nn.Module):
    """Galaxy stamps (n, 3, P, P) to codes, and codes to embedding."""

    any_size = False  # each place of the stamp has weights of its own
    # the readout of the contrastive denoiser's encoder: its buffers are the same, and so is what is done with them
    embedding = GalaxyEncoder.embedding
    spread = GalaxyEncoder.spread

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        if config.smallest_px < 1 or config.input_px % 2 ** len(config.widths):
            raise ModelError(
                f"Stamps of {config.input_px} px cannot be halved {len(config.widths)} times; set model.input_px to a"
                f" multiple of {2 ** len(config.widths)}."
            )
        self.n_features = config.code_size
        layers = _convolution(12, config.widths[0])
        for narrow, wide in pairwise(config.widths):
            layers += _convolution(narrow, wide, stride=2)
        self.stages = nn.Sequential(*layers)
        self.to_code = nn.Linear(config.widths[-1] * config.smallest_px**2, config.code_size)
        self.register_buffer("centre", torch.zeros(config.code_size))
        self.register_buffer("axes", torch.eye(config.code_size))

    def features(self, images: Tensor) -> Tensor:
        """The codes, float32 (n, code_size)."""
        return self.to_code(self.stages(F.pixel_unshuffle(images, 2)).flatten(1)).float()


class CodeDecoder(nn.Module):
    """Codes (n, code_size) to stamps (n, 3, P, P)."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.shape = (config.widths[-1], config.smallest_px, config.smallest_px)
        self.from_code = nn.Linear(config.code_size, self.shape[0] * config.smallest_px**2)
        layers: list[nn.Module] = [nn.BatchNorm2d(self.shape[0]), nn.ReLU()]
        for wide, narrow in pairwise(config.widths[::-1]):
            layers += [*_convolution(wide, narrow), nn.Upsample(scale_factor=2)]
        self.stages = nn.Sequential(*layers, nn.Conv2d(config.widths[0], 12, 3, padding=1))

    def forward(self, codes: Tensor) -> Tensor:
        x = self.from_code(codes).unflatten(1, self.shape)
        return F.pixel_shuffle(self.stages(x).float(), 2)


class GalaxyAutoencoder(nn.Module):
    """Encoder and decoder."""

    name = "autoencoder"

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = CodeEncoder(config)
        self.decoder = CodeDecoder(config)

    @property
    def n_features(self) -> int:
        """Length of what ``encoder.features`` gives."""
        return self.config.code_size

    def forward(self, images: Tensor) -> Tensor:
        """Stamps redrawn from their codes, float32 (n, 3, P, P); not clipped to [0, 1]."""
        return self.decoder(self.encoder.features(images))

    def embed(self, images: Tensor) -> Tensor:
        """Unit vectors, float32 (n, code_size), of stamps (n, 3, P, P), P = ``config.input_px``.

        Read from the mean code of the eight turned and mirrored views: a code tells the position angle, its mean over
        quarter turns and mirror images does not change with either.
        """
        return self.encoder.embedding(view_features(self.encoder, images).mean(dim=0))
