"""Losses of votes and classes, one value a galaxy (and question), so that a batch may mix what is known of each."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from galaxy_core.vote_tree import SLICES


def dirichlet_multinomial_loss(counts: Tensor, concentrations: Tensor) -> Tensor:
    """Negative logarithm of the probability of the votes, if the share of each answer is drawn from a Dirichlet.

    .. math:: -\\ln P(k | \\alpha) = -\\ln \\frac{n! \\, \\Gamma(A)}{\\Gamma(n + A)}
        \\prod_i \\frac{\\Gamma(k_i + \\alpha_i)}{k_i! \\, \\Gamma(\\alpha_i)}

    with n the sum of k and A that of alpha: Walmsley et al. 2022, MNRAS 509, 3966, eqs. 2 to 4 [1]_.

    Parameters
    ----------
    counts : Tensor, float32 (n, 37)
        Numbers of votes, whole or not; 0 throughout a question that nobody was asked.
    concentrations : Tensor, float32 (n, 37)

    Returns
    -------
    Tensor, float32 (n, 11)
        0 for a question without votes.

    References
    ----------
    .. [1] M. Walmsley et al., "Galaxy Zoo DECaLS", MNRAS 509 (2022).
    """
    answers = torch.lgamma(counts + concentrations) - torch.lgamma(concentrations) - torch.lgamma(counts + 1)  # (n, 37)
    losses = []
    for part in SLICES:
        n_votes, total = counts[:, part].sum(dim=1), concentrations[:, part].sum(dim=1)
        whole = torch.lgamma(n_votes + 1) + torch.lgamma(total) - torch.lgamma(n_votes + total)
        losses.append(-(whole + answers[:, part].sum(dim=1)))
    return torch.stack(losses, dim=1)


def fraction_loss(predicted: Tensor, fractions: Tensor) -> Tensor:
    """Squared error of vote fractions, summed over the answers that are known.

    Parameters
    ----------
    predicted, fractions : Tensor, float32 (n, 37)
        In the same form, cumulative or conditional; ``fractions`` is NaN where it is not known.

    Returns
    -------
    Tensor, float32 (n,)
        Over 37, it is the square of the challenge's error for a galaxy of which all is known.
    """
    known = fractions.isfinite()
    error = torch.where(known, predicted - fractions, 0.0)
    return error.square().sum(dim=1)


def class_loss(
    logits: Tensor,
    classes: Tensor,
    weights: Tensor | None = None,
    smoothing: float = 0.0,
    told: Tensor | None = None,
    told_share: float = 0.0,
) -> Tensor:
    """Cross entropy of each galaxy times the weight of its class.

    Parameters
    ----------
    logits : Tensor, float32 (n, n_classes)
    classes : Tensor, int64 (n,)
        Number of the class; below 0 where it is not known, which counts as 0 loss.
    weights : Tensor, float32 (n_classes,), optional
    smoothing : float
        Share of the truth that is spread evenly over all classes (Szegedy et al. 2016, section 7).
    told : Tensor, float32 (n, n_classes), optional
        Probability of each class by another model; NaN where it was not asked.
    told_share : float
        Of the truth, where ``told`` is known, that is taken from it.

    Returns
    -------
    Tensor, float32 (n,)
    """
    known = classes >= 0
    chosen = classes.clamp(min=0)
    wanted = F.one_hot(chosen, logits.shape[1]).to(logits.dtype)
    if told is not None:
        wanted = torch.where(told.isfinite(), torch.lerp(wanted, told.nan_to_num(), told_share), wanted)
    loss = F.cross_entropy(logits, wanted, reduction="none", label_smoothing=smoothing)
    if weights is not None:
        loss = loss * weights[chosen]
    return torch.where(known, loss, 0.0)
