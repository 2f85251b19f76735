"""How unlike the galaxies a network learned from an image is: a distance between features, 1 at the threshold.

The distance is that of Mahalanobis: features are whitened by the mean and covariance of training galaxies. Lee et al.
(2018) measure it from the mean of each class. Here one mean serves: with features of the contrastive denoiser, 533
images of six other surveys stand apart from 800 test galaxies of SDSS with an area under the ROC curve of 0.989 from
one mean, from five class means, and by the distance to the 10th nearest of 1,000 whitened galaxies alike. By that
between unit vectors (Sun et al. 2022) it is 0.89 to 0.95, with the softness of the whitening.

What is told apart is the picture, not the telescope alone: pictures of SDSS that show another part of the field, or odd
galaxies, are new as well, and against such ones, framed as those of the other surveys, that area is 0.87.

References
----------
Lee et al. 2018, A simple unified framework for detecting out-of-distribution samples, NeurIPS 31
Sun et al. 2022, Out-of-distribution detection with deep nearest neighbors, ICML, PMLR 162, 20827
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from galaxy_core.errors import ModelError

RIDGE = 0.01  # of the largest scatter, added to that of every axis: what hardly varies is not divided by nothing


class NoveltyGauge(nn.Module):
    """Features (n, n_features) to novelty (n,): a Mahalanobis distance over its threshold.

    Everything is a buffer, set once by `set_distance` and `set_threshold` after the training. For 384 features it is
    0.3 MB in a checkpoint, where matrices are of 16 bits.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.register_buffer("axes", torch.eye(n_features))
        self.register_buffer("gains", torch.ones(n_features))  # 0: no axis
        self.register_buffer("threshold", torch.ones(1))

    def distance(self, features: Tensor) -> Tensor:
        """Mahalanobis distance from the mean training galaxy, float32 (n,)."""
        standard = (features.float() - self.centre) / self.scale
        return ((standard @ self.axes.T) * self.gains).norm(dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Distance over its threshold, float32 (n,)."""
        return self.distance(features) / self.threshold

    @torch.no_grad()
    def set_distance(self, features: Tensor) -> None:
        """Set mean and covariance to those of training galaxies, float32 (n, n_features)."""
        if len(features) < 2 or not features.isfinite().all():
            raise ModelError("What is new is told from two or more training galaxies with finite features.")
        values = features.double()
        centre, scatter = values.mean(dim=0), values.std(dim=0)
        scale = scatter.clamp(min=max(1e-3 * float(scatter.max()), 1e-12))  # as in `GalaxyEncoder.spread`
        _, lengths, axes = torch.linalg.svd((values - centre) / scale, full_matrices=False)
        spread = lengths / (len(values) - 1) ** 0.5
        self.centre.copy_(centre)
        self.scale.copy_(scale)
        self.axes.zero_()
        self.gains.zero_()
        # rounded as a checkpoint stores them, so that the threshold fits what is loaded
        self.axes[: len(axes)] = axes.half().to(self.axes.dtype)
        self.gains[: len(axes)] = ((spread.square() + (RIDGE * spread[0]).square()).clamp(min=1e-12)).rsqrt().float()

    @torch.no_grad()
    def set_threshold(self, features: Tensor, flagged_share: float) -> None:
        """Set the threshold so that this share of held-out galaxies, float32 (n, n_features), lies beyond it."""
        if not 0 < flagged_share < 1 or not len(features):
            raise ModelError("A threshold takes held-out galaxies and a share of them to flag, between 0 and 1.")
        distances = self.distance(features).double()
        self.threshold.fill_(max(float(torch.quantile(distances, 1 - flagged_share)), 1e-6))
