"""Residual networks of 18 and 34 layers for galaxy stamps (He et al. 2016, CVPR, table 1).

Parameters are called as torchvision and timm call them, so that weights of theirs fit. Those networks were made for
images of 224 pixels and shrink them fourfold before the first block; a galaxy of 64 pixels would be left with 2 x 2 at
the end. The stem is therefore a choice: a smaller kernel, a smaller stride, no pooling.

One network serves two recipes: with a classifier it is that of `feature_classifier`, with a projection head that of
`moco`; the features between are what is mapped and clustered.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galaxy_core.errors import ModelError
from galaxy_core.models.contrastive_denoiser import GalaxyEncoder
from galaxy_core.models.dihedral import view_features
from galaxy_core.models.small_maps import Conv3x3

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
N_STAGES = 4
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ResNetConfig:
    """Sizes of the network, and what its outputs are called.

    Attributes
    ----------
    depth : {18, 34}
    width : int
        Channels of the first stage, doubled at each of the other three; 64 as published.
    stem_kernel_px, stem_stride, stem_pool : int, int, bool
        Of the first convolution, and whether a maximum over 3 x 3 pixels halves its result. 7, 2, True as published.
    class_names : tuple of str
        What the classifier tells; none: there is no classifier.
    projection_size : int
        Length of what the projection head gives; 0: there is no such head.
    embedding_size : int
        Length of an embedding, at most ``n_features``.
    input_px : int
        Side of the stamps it is trained on and embeds.
    """

    depth: int = 34
    width: int = 64
    stem_kernel_px: int = 7
    stem_stride: int = 2
    stem_pool: bool = True
    class_names: tuple[str, ...] = ()
    projection_size: int = 0
    embedding_size: int = 512
    input_px: int = 64

    @property
    def n_features(self) -> int:
        """How many features an image has: 512 as published."""
        return self.width * 2 ** (N_STAGES - 1)

    @property
    def embedding_input_px(self) -> int:
        """What `galaxy_core.embedding` asks every model for."""
        return self.input_px


class Shortcut(nn.Conv2d):
    """A convolution of single pixels, those that a stride leaves."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__(width_in, width, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        step = self.stride[0]
        if self.in_channels >= 16 or step == 1:
            return super().forward(x)
        # torch 2.13 ends on a CPU with several threads, its gradient of so few channels writing where it may not
        return F.conv2d(x[:, :, ::step, ::step], self.weight)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al. 2016, fig. 2); the first may halve the resolution."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        if stride > 1:
            self.conv1 = nn.Conv2d(width_in, width, 3, stride=stride, padding=1, bias=False)
        else:
            self.conv1 = Conv3x3(width_in, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = Conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride > 1 or width_in != width:
            self.downsample = nn.Sequential(Shortcut(width_in, width, stride), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        # in place: no gradient needs what a normalisation gave, and memory is what these take
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return F.relu(y + shortcut, inplace=True)


class ResNetEncoder(nn.Module):
    """Galaxy stamps (n, 3, height, width) in [0, 1] to features, and features to embedding.

    Names of parameters are torchvision's, but for ``centre`` and ``axes``: the linear readout of the features that is
    the embedding. At first it takes the features as they are.
    """

    any_size = True  # as the contrastive denoiser's encoder, whose readout this is: its buffers are the same, too
    embedding = GalaxyEncoder.embedding
    spread = GalaxyEncoder.spread

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        if config.depth not in BLOCKS:
            raise ModelError(f"There is no residual network of {config.depth} layers here; choose among 18 and 34.")
        if not 1 <= config.embedding_size <= config.n_features:
            raise ModelError(
                f"An embedding of {config.embedding_size} numbers cannot be read from {config.n_features} features;"
                f" set model.embedding_size to {config.n_features} or less."
            )
        self.n_features = config.n_features
        kernel = config.stem_kernel_px
        self.conv1 = nn.Conv2d(3, config.width, kernel, config.stem_stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(config.width)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if config.stem_pool else nn.Identity()
        width_in = config.width
        for level, count in enumerate(BLOCKS[config.depth]):
            width, blocks = config.width * 2**level, []
            for index in range(count):
                blocks.append(BasicBlock(width_in, width, stride=2 if level and not index else 1))
                width_in = width
            setattr(self, f"layer{level + 1}", nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, section 2.2
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("centre", torch.zeros(config.n_features))
        self.register_buffer("axes", torch.eye(config.embedding_size, config.n_features))

    def features(self, images: Tensor) -> Tensor:
        """Mean of the last stage over the stamp, float32 (n, n_features)."""
        # channels last only now: a number for each channel is applied several times faster to whole planes
        x = ((images.contiguous() - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (n, width, P / stride, P / stride)
        x = self.pool(x)  # halved, or as it is
        for level in range(N_STAGES):
            x = getattr(self, f"layer{level + 1}")(x)
        return x.float().mean(dim=(2, 3))


class GalaxyResNet(nn.Module):
    """A residual encoder with a classifier, a projection head, both or none of them."""

    name = "resnet"

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config, n_features = config, config.n_features
        self.encoder = ResNetEncoder(config)
        self.classifier = nn.Linear(n_features, len(config.class_names)) if config.class_names else None
        self.projection = None
        if config.projection_size:
            # of two layers, as MoCo v2 took over from SimCLR (Chen et al. 2020, arXiv:2003.04297, section 2)
            self.projection = nn.Sequential(
                nn.Linear(n_features, n_features), nn.ReLU(), nn.Linear(n_features, config.projection_size)
            )

    @property
    def n_features(self) -> int:
        """Length of what ``encoder.features`` gives."""
        return self.config.n_features

    def predict(self, images: Tensor) -> Tensor:
        """Probability of each class, float32 (n, n_classes): the mean over the eight turned and mirrored views."""
        if self.classifier is None:
            raise ModelError(
                "This network was trained without classes and tells none; train one with"
                " `python scripts/train.py feature_classifier LAYOUT:PATH`."
            )
        features = view_features(self.encoder, images)
        views = [self.classifier(view).float().softmax(dim=1) for view in features]
        return torch.stack(views).mean(dim=0)

    def embed(self, images: Tensor) -> Tensor:
        """Unit vectors, float32 (n, embedding_size), of stamps (n, 3, P, P), P = ``config.embedding_input_px``.

        Read from the mean features of the eight views, so that turning an image by 90 degrees moves no galaxy.
        """
        return self.encoder.embedding(view_features(self.encoder, images).mean(dim=0))
