"""What the votes head of a network says, and how it is read: Dirichlet concentrations and expected shares."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from galaxy_core.vote_tree import N_ANSWERS, N_QUESTIONS, ORDER, PARENT, QUESTION_OF, SLICES

TYPICAL_STRENGTH = 16.0  # votes that an average prediction is worth
LOG_STRENGTH_RANGE = 3.5  # a strength is at most so many e-folds from the typical one
LEAST_SHARE = 1e-3  # of a question, spread over its answers: no answer is ever impossible


def concentrations_of(outputs: Tensor) -> Tensor:
    """Dirichlet concentrations, float32 (n, 37), of the votes head's outputs (n, 48): shares, then strengths."""
    logits, strengths = outputs.split([N_ANSWERS, N_QUESTIONS], dim=1)
    parts = []
    for part in SLICES:
        shares = logits[:, part].softmax(dim=1)
        parts.append((1 - LEAST_SHARE) * shares + LEAST_SHARE / shares.shape[1])
    log_strength = LOG_STRENGTH_RANGE * torch.tanh(strengths / LOG_STRENGTH_RANGE) + math.log(TYPICAL_STRENGTH)
    return torch.cat(parts, dim=1) * log_strength.exp()[:, QUESTION_OF]


def conditional_shares(concentrations: Tensor) -> Tensor:
    """Expected share of each answer among those asked, float32 (n, 37)."""
    return concentrations / sums_of_questions(concentrations)[:, QUESTION_OF]


def cumulative_shares(conditional: Tensor) -> Tensor:
    """Shares multiplied down the tree, float32 (n, 37): of all volunteers."""
    parts: dict[int, Tensor] = {}
    for q in ORDER:
        part, column = conditional[:, SLICES[q]], int(PARENT[q])
        if column >= 0:
            above = int(QUESTION_OF[column])
            part = part * parts[above][:, column - SLICES[above].start, None]
        parts[q] = part
    return torch.cat([parts[q] for q in range(N_QUESTIONS)], dim=1)


def combine_concentrations(members: Sequence[Tensor]) -> Tensor:
    """The Dirichlet with the mean and the total variance of an even mixture of Dirichlets, question by question.

    What members disagree about widens it: the variance of a mixture is the mean of the variances plus the variance of
    the means, and summed over the answers of a Dirichlet of strength A and means m it is ``(1 - sum m^2) / (A + 1)``.

    Parameters
    ----------
    members : sequence of Tensor, float32 (n, 37)
    """
    shares = [conditional_shares(member) for member in members]
    mean = torch.stack(shares).mean(dim=0)
    second = torch.stack(
        [
            sums_of_questions(share * (1 + member)) / (sums_of_questions(member) + 1)
            for share, member in zip(shares, members, strict=True)
        ]
    ).mean(dim=0)  # sum over answers of E[x^2]
    squares = sums_of_questions(mean.square())
    spread = (second - squares).clamp(min=1e-7)
    return mean * ((1 - squares) / spread - 1).clamp(min=1e-3)[:, QUESTION_OF]


def sums_of_questions(values: Tensor) -> Tensor:
    """Sums over the answers of each question, (n, 11), of values (n, 37)."""
    return torch.stack([values[:, part].sum(dim=1) for part in SLICES], dim=1)
