"""Losses of the star-galaxy networks, with the equations they come from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from galaxy_core.models.star_galaxy import Evidence


def two_peak_bound(evidence: Evidence) -> Tensor:
    """Negative bound on ln p(x) under a prior of two peaks, mean over objects; a scalar.

    ln p(x) = ln [(1 - w) p(x | star) + w p(x | galaxy)], where p(x | galaxy) is the mean of p(x | z) p(z | galaxy) /
    q(z | x) over draws z of q, the encoder: Burda et al. 2016, ICLR, equation 8, within the joint mixture of Jiang et
    al. 2017 (VaDE), IJCAI, equation 7. With one draw and one peak this is the evidence lower bound of Kingma and
    Welling 2014: reconstruction less the divergence of q from the prior.
    """
    star = evidence.star + F.logsigmoid(-evidence.log_odds)
    galaxy = evidence.galaxy + F.logsigmoid(evidence.log_odds)
    return -torch.logaddexp(star, galaxy).mean()


def label_loss(logit: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy of log odds (n,) against 1 for a galaxy and 0 for a star, a scalar."""
    return F.binary_cross_entropy_with_logits(logit, truth.to(logit.dtype))
