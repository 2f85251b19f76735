"""The contrastive denoiser: one checkpoint that removes noise from an image and places its galaxy in a population.

Several networks share a checkpoint and a training loop. A U-Net (Ronneberger et al. 2015) maps a noisy image and its
noise level to a clean one; it works on 2x2 pixel blocks, told the noise level, as FFDNet does (Zhang, Zuo & Zhang
2018). A small network estimates that level when nobody says it, and another says how sure the result is (see
`galaxy_core.models.uncertainty_net`). A residual encoder (He et al. 2016) turns the galaxy into a vector that ignores
orientation, apparent size and noise, through a projection head used in training only (Chen et al. 2020).

The published system reads its embedding from the bottleneck of the denoiser. What a bottleneck must keep to redraw
every pixel is what an embedding must forget; so the encoder here is its own, and neither task costs the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galaxy_core.errors import ModelError
from galaxy_core.models.denoising_unet import DenoisingUNet, NoiseEstimator
from galaxy_core.models.uncertainty_net import UncertaintyNet


@dataclass(frozen=True)
class ContrastiveDenoiserConfig:
    """Sizes of the networks."""

    denoiser_widths: tuple[int, ...] = (32, 64, 96, 128)
    denoiser_blocks: int = 2
    encoder_widths: tuple[int, ...] = (32, 64, 128, 256)
    encoder_blocks: tuple[int, ...] = (1, 2, 2, 2)
    projection_size: int = 128
    embedding_size: int = 192
    embedding_input_px: int = 64
    contrast_size: int = 64
    uncertainty_widths: tuple[int, ...] = ()  # two widths; none: the model does not say how sure it is
    denoiser_fine_blocks: int = 0  # so many more blocks on either side at the finest scale


def check_input_px(size_px: int, name: str) -> None:
    """Raise `ModelError` where an encoder cannot take stamps of this size, which it reads in blocks of 2 x 2 pixels."""
    if size_px % 2:
        raise ModelError(
            f"Stamps of {size_px} px have no whole blocks of 2 x 2 pixels; set model.{name} to an even number."
        )


class ResidualBlock(nn.Module):
    """Basic ResNet block (He et al. 2016, fig. 2) with an optional halving of resolution."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.skip = nn.Identity()
        if stride > 1 or width_in != width:
            self.skip = nn.Sequential(nn.Conv2d(width_in, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.skip(x))


class GalaxyEncoder(nn.Module):
    """Galaxy stamp (n, 3, 64, 64) to features, and features to embedding.

    The features are the means over the stamp of the last two stages: the last knows what contrast asked for, the one
    before still holds detail such as arms. The embedding is a fixed linear readout of them, set by `spread` once the
    training is over. In training a layer of its own leads to the contrast head, and is not used afterwards: what stands
    before a projection head describes better than what comes out of it (Chen et al. 2020, section 4.2).
    """

    any_size = True  # takes stamps of another size than it learned from

    def __init__(self, config: ContrastiveDenoiserConfig) -> None:
        super().__init__()
        widths = config.encoder_widths
        if not 0 < len(widths) == len(config.encoder_blocks):
            raise ModelError(
                f"An encoder of widths {widths} with {config.encoder_blocks} blocks cannot be made; set"
                " model.encoder_widths and model.encoder_blocks to as many numbers."
            )
        self.stem = nn.Sequential(
            nn.Conv2d(12, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        stages: list[nn.Module] = []
        width_in = widths[0]
        for level, (width, count) in enumerate(zip(widths, config.encoder_blocks, strict=True)):
            blocks = []
            for index in range(count):
                blocks.append(ResidualBlock(width_in, width, stride=2 if level and not index else 1))
                width_in = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.to_projection = nn.Linear(width_in, config.projection_size)
        self.n_features = sum(widths[-2:])
        self.register_buffer("centre", torch.zeros(self.n_features))
        self.register_buffer("axes", torch.eye(config.embedding_size, self.n_features))

    def features(self, images: Tensor) -> Tensor:
        """Means of the last two stages, float32 (n, n_features)."""
        x = self.stem(F.pixel_unshuffle(images, 2))
        means = []
        for stage in self.stages:
            x = stage(x)
            means.append(x.float().mean(dim=(2, 3)))
        return torch.cat(means[-2:], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """What the contrast head is trained on, float32 (n, projection_size)."""
        return self.to_projection(self.features(images)[:, -self.to_projection.in_features :])

    def embedding(self, features: Tensor) -> Tensor:
        """Unit vectors, float32 (n, embedding_size), of features."""
        return F.normalize((features - self.centre) @ self.axes.T, dim=1)

    @torch.no_grad()
    def spread(self, features: Tensor, ridge: float = 0.1) -> None:
        """Set the readout so that the embedding is spread evenly over its axes: a softened whitening.

        A few directions (apparent shape, colour) hold most of the variance of the features, and cosine similarity would
        hear little else. Features are standardised; each principal axis of scatter s is divided by ``s + ridge *
        s_max``; the first ``embedding_size`` are kept.

        Parameters
        ----------
        features : Tensor, float32 (n, n_features)
            Of training galaxies.
        """
        centre = features.double().mean(dim=0)
        scatter = features.double().std(dim=0)
        scale = scatter.clamp(min=max(1e-3 * float(scatter.max()), 1e-12))  # a feature that never varies says nothing
        _, spread, axes = torch.linalg.svd((features.double() - centre) / scale, full_matrices=False)
        kept = min(len(self.axes), len(axes))
        gain = (1 + ridge) * spread[0] / (spread[:kept] + ridge * spread[0])
        readout = axes[:kept] * gain[:, None] / scale
        self.axes.zero_()
        # the length of an embedding is dropped; entries of at most one are safe to store in 16 bits
        self.axes[:kept] = (readout / readout.abs().max()).to(self.axes.dtype)
        self.centre.copy_(centre)


class ContrastiveDenoiser(nn.Module):
    """Denoiser, noise estimator and galaxy encoder in one checkpoint; see the module's docstring."""

    name = "contrastive_denoiser"

    def __init__(self, config: ContrastiveDenoiserConfig) -> None:
        super().__init__()
        check_input_px(config.embedding_input_px, "embedding_input_px")
        self.config = config
        self.denoiser = DenoisingUNet(config.denoiser_widths, config.denoiser_blocks, config.denoiser_fine_blocks)
        self.noise_estimator = NoiseEstimator()
        self.uncertainty_net = UncertaintyNet(config.uncertainty_widths) if config.uncertainty_widths else None
        self.encoder = GalaxyEncoder(config)
        self.contrast_head = nn.Sequential(
            nn.Linear(config.projection_size, config.projection_size),
            nn.BatchNorm1d(config.projection_size),
            nn.ReLU(),
            nn.Linear(config.projection_size, config.contrast_size),
        )

    def denoise(self, images: Tensor, noise_sigma: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Denoised images and the noise level used.

        Parameters
        ----------
        images : Tensor, float32 (n, 3, height, width)
            In [0, 1]; any height and width. Not clipped: linear images may scatter below zero.
        noise_sigma : Tensor, float32 (n,), optional
            Standard deviation of the sky noise in image units; estimated from the image when absent.

        Returns
        -------
        tuple of Tensor
            Denoised images, same shape, and noise sigma, float32 (n,).
        """
        sigma = self.noise_estimator(images) if noise_sigma is None else noise_sigma
        return self.denoiser(images, sigma).float(), sigma

    @property
    def uncertainty(self) -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
        """``uncertainty(images, denoised, noise_sigma)``: how sure the denoised pixels are. None if it was not learned.

        Takes what `denoise` took and gave, and returns one standard deviation, float32 (n, 3, height, width), in units
        of the images.
        """
        return self.uncertainty_net

    @property
    def interval_factors(self) -> tuple[float, float] | None:
        """Half widths of the 68 % and the 95 % interval in standard deviations, set on held-out galaxies."""
        return None if self.uncertainty_net is None else tuple(self.uncertainty_net.interval_factors.tolist())

    def embed(self, images: Tensor) -> Tensor:
        """Unit vectors, float32 (n, embedding_size), of stamps (n, 3, P, P), P = ``config.embedding_input_px``.

        The mean over the stamp and its mirror image at four position angles: the encoder is trained to ignore
        orientation, and the average makes it exact, so turning an image by 90 degrees cannot move its galaxy.
        """
        views = [torch.rot90(images, turns, dims=(2, 3)) for turns in range(4)]
        features = [self.encoder.features(view) + self.encoder.features(view.flip(3)) for view in views]
        return self.encoder.embedding(torch.stack(features).sum(dim=0) / 8)
