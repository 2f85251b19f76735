"""What a step of the recipe `vote_regressor` does (which galaxies, which losses), and its validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from galaxy_core.models.morphology import MorphologyNet
from galaxy_core.models.vote_outputs import conditional_shares, cumulative_shares
from galaxy_core.recipes.stamp_views import shrink
from galaxy_core.stamps import Stamps
from galaxy_core.vote_intervals import asked_enough, expected_asked, fit_strength_factors
from galaxy_core.vote_labels import Labels
from galaxy_core.vote_losses import class_loss, dirichlet_multinomial_loss, fraction_loss
from galaxy_core.vote_tree import N_ANSWERS, N_QUESTIONS, QUESTION_OF

if TYPE_CHECKING:
    from galaxy_core.recipes.vote_regressor import Config

TYPICAL_VARIANCE = 0.04  # of a vote fraction, so that the squared error of a useless prediction is about 1
BATCH = 256


@dataclass(frozen=True)
class Lessons:
    """What galaxies are to be called.

    Attributes
    ----------
    labels : dict of Labels
        By form of votes.
    weights : ndarray of float32, shape (n,), or None
        What the votes of each galaxy count for in the loss; None: all alike.
    classes : ndarray of float32, shape (n, n_classes), or None
        Probabilities by another model, beside the known class; NaN where it was not asked.
    """

    labels: dict[str, Labels]
    weights: np.ndarray | None = None
    classes: np.ndarray | None = None


def balanced_rows(rows: np.ndarray, labels: Labels, config: Config) -> np.ndarray:
    """Training rows of an epoch, int64, in which galaxies of rare classes, and those with votes, come repeatedly."""
    classes = labels.classes[rows]
    counts = np.bincount(classes[classes >= 0], minlength=1)
    repeats = np.ones(len(rows))
    if config.balance and counts.max() > 0:
        gains = (counts.max() / np.maximum(counts, 1)) ** config.balance
        repeats = np.where(classes >= 0, gains[np.maximum(classes, 0)], 1.0)
    repeats = np.where(labels.has_votes[rows], np.maximum(repeats, config.vote_repeats), repeats)
    chance = np.random.default_rng([config.seed, 7]).random(len(rows))
    return np.repeat(rows, np.floor(repeats + chance).astype(np.int64))


def class_weights(classes: np.ndarray, n_classes: int, power: float) -> np.ndarray:
    """Weight of each class in the loss, float32, such that the mean over galaxies is 1."""
    counts = np.bincount(classes[classes >= 0], minlength=n_classes).astype(np.float64)
    weights = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0.0)
    return (weights * counts.sum() / max((weights * counts).sum(), 1e-12)).astype(np.float32)


def morphology_losses(
    votes: dict[str, Tensor],
    logits: Tensor | None,
    lessons: Lessons,
    rows: np.ndarray,
    config: Config,
    weights: Tensor | None,
) -> dict[str, Tensor]:
    """The parts of the loss, each a sum over the galaxies with that label over all of the batch, and their sum.

    Parameters
    ----------
    votes : dict
        Concentrations, float32 (n, 37), by form; see `MorphologyNet.from_features`.
    lessons : Lessons
        The classes are those of "cast".
    rows : ndarray of int64, shape (n,)
    """
    parts: dict[str, Tensor] = {}
    for form, concentrations in votes.items():
        made = vote_losses(concentrations, lessons.labels[form], rows, config, lessons.weights)
        parts |= made if form == "cast" else {f"{form}_{name}": value for name, value in made.items()}
    if logits is not None:
        classes = torch.from_numpy(lessons.labels["cast"].classes[rows]).to(logits.device)
        told = None if lessons.classes is None else torch.from_numpy(lessons.classes[rows]).to(logits.device)
        loss = class_loss(logits, classes, weights, config.label_smoothing, told, config.taught_class_share)
        parts["class"] = config.class_weight * loss.mean()
    return {"loss": sum(parts.values()), **parts}


def vote_losses(
    concentrations: Tensor, labels: Labels, rows: np.ndarray, config: Config, weights: np.ndarray | None = None
) -> dict[str, Tensor]:
    """The parts of the loss of one form of votes: likelihood where votes were counted, squared errors elsewhere.

    ``weights``, float32 (n,), are those of all galaxies, as in `Lessons`.
    """
    counts, conditional, cumulative, counted = (
        torch.from_numpy(values[rows]).to(concentrations.device)
        for values in (labels.counts, labels.conditional, labels.cumulative, labels.counted)
    )
    likelihood = dirichlet_multinomial_loss(counts, concentrations).sum(dim=1) / N_QUESTIONS
    shares = conditional_shares(concentrations)
    weight = torch.ones_like(likelihood) if weights is None else torch.from_numpy(weights[rows]).to(likelihood)
    likelihood, scale = likelihood * weight, weight * ~counted / (TYPICAL_VARIANCE * N_ANSWERS)
    squared = fraction_loss(cumulative_shares(shares), cumulative), fraction_loss(shares, conditional)
    return {
        "count": config.count_weight * (likelihood * counted).mean(),
        "assumed_count": config.assumed_count_weight * (likelihood * ~counted).mean(),
        "cumulative": config.cumulative_weight * (scale * squared[0]).mean(),
        "conditional": config.conditional_weight * (scale * squared[1]).mean(),
    }


def validation_scores(
    outputs: Callable[[Tensor], tuple[dict[str, Tensor], Tensor | None]],
    stamps: Stamps,
    labels: dict[str, Labels],
    rows: np.ndarray,
    config: Config,
    weights: Tensor | None,
) -> dict[str, float]:
    """The losses of galaxies as the model sees them in use, one view each, with accuracy and RMSE where known.

    Parameters
    ----------
    outputs : callable
        Stamps, float32 (n, 3, size, size), to concentrations by form and logits.
    """
    totals: dict[str, float] = {}
    right: list[np.ndarray] = []
    squared: dict[str, list[np.ndarray]] = {form: [] for form in labels}
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        votes, logits = outputs(stamps.batch(batch)[0])
        for name, value in morphology_losses(votes, logits, Lessons(labels), batch, config, weights).items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch) / len(rows)
        if logits is not None:
            truth = labels["cast"].classes[batch]
            right.append((logits.argmax(dim=1).cpu().numpy() == truth)[truth >= 0])
        for form, concentrations in votes.items():
            shares = cumulative_shares(conditional_shares(concentrations)).cpu().numpy()
            error = shares - labels[form].cumulative[batch]
            squared[form].append(error[np.isfinite(error)] ** 2)
    scores = {"score": totals["loss"], **totals}
    errors = [
        ("cumulative_rmse" if form == "cast" else f"{form}_rmse", values, np.sqrt) for form, values in squared.items()
    ]
    for name, values, finish in (("accuracy", right, float), *errors):
        if sum(len(part) for part in values):
            scores[name] = float(finish(np.concatenate(values).mean()))
    return scores


def set_strengths(
    model: MorphologyNet, stamps: Stamps, labels: dict[str, Labels], rows: np.ndarray, device: str
) -> None:
    """Set what the model multiplies strengths by on held-out galaxies with votes; see `fit_strength_factors`."""
    made: dict[str, list[np.ndarray]] = {form: [] for form in model.factors()}
    rows = rows[np.any([labels[form].has_votes[rows] for form in made], axis=0)]
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            images = stamps.batch(rows[start : start + BATCH])[0].to(device)
            for form, concentrations in model.tell_forms(shrink(images, model.config.input_px))[0].items():
                made[form].append(concentrations.cpu().numpy())
    for form, factors in model.factors().items():
        known = labels[form].has_votes[rows]
        if made[form] and known.any():
            observed = asked_enough(labels[form].conditional[rows[known]], labels[form].counts[rows[known]])
            asked = expected_asked(np.concatenate(made["cast"])[known])
            learned = np.concatenate(made[form])[known] / factors.cpu().numpy()[QUESTION_OF]
            factors.copy_(torch.from_numpy(fit_strength_factors(learned, asked, observed)))
