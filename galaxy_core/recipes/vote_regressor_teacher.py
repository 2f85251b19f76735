"""What a finished model says of training galaxies without votes, for another to learn from beside the labels.

A noisy student (Xie et al. 2020, CVPR): the teacher looks at eight exact views of an image, the student learns to say
the same of one disturbed view. A few hundred galaxies with votes are soon known by heart; twenty thousand others for
which only a class is known then hold the votes back from that, and soft classes say which galaxies lie near a cut,
which a label does not (Hinton et al. 2015, arXiv:1503.02531).

Votes are drawn from what the teacher says, as forty volunteers would cast them, so that their likelihood teaches
strengths that are as unsure as the teacher is; where squared errors lead, expected shares are learned from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model
from galaxy_core.models.morphology import net_config
from galaxy_core.recipes.stamp_views import shrink
from galaxy_core.recipes.vote_regressor_steps import BATCH, Lessons
from galaxy_core.stamps import Stamps
from galaxy_core.vote_chance import draw_votes
from galaxy_core.vote_labels import N_VOLUNTEERS, Labels
from galaxy_core.vote_tree import QUESTION_OF, asked_share, question_sums, to_cumulative

if TYPE_CHECKING:
    from galaxy_core.recipes.vote_regressor import Config


@dataclass(frozen=True)
class Told:
    """What a teacher says of some rows.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
    concentrations : dict of ndarray of float32, shape (n, 37)
        By form of votes.
    probabilities : ndarray of float32, shape (n, n_classes), or None
    """

    rows: np.ndarray
    concentrations: dict[str, np.ndarray]
    probabilities: np.ndarray | None


def lessons_of(
    labels: dict[str, Labels],
    stamps: Stamps,
    rows: np.ndarray,
    config: Config,
    folder: Path,
    device: str,
    report: Callable[[int, int], None] | None = None,
) -> Lessons:
    """What is learned from: the labels, and beside them what the teacher of ``config`` says, if there is one.

    Parameters
    ----------
    rows : ndarray of int64
        Training galaxies; nothing is asked of others.
    folder : path
        What the teacher says is kept there, so that a training taken up again need not ask it again.
    """
    if not config.taught_by:
        return Lessons(labels)
    teacher = load_model(config.taught_by, device)
    if net_config(teacher).class_names not in ((), config.model.class_names):
        raise ModelError(f"{config.taught_by} tells other classes than {', '.join(config.model.class_names)}.")
    rows = rows[~labels["cast"].has_votes[rows]]
    # a training taken up with other catalogs, or another teacher, asks again
    key = hashlib.sha1("|".join([teacher.weights_sha256, *stamps.galaxy_ids[rows]]).encode()).hexdigest()[:16]
    told = ask(teacher, stamps, rows, folder / f"told-{key}.npz", device, report)
    return taught(labels, told, config)


def ask(
    teacher: nn.Module,
    stamps: Stamps,
    rows: np.ndarray,
    path: Path,
    device: str,
    report: Callable[[int, int], None] | None = None,
) -> Told:
    """What a teacher says of some rows, or said before, if ``path`` is there."""
    if not path.exists():
        size, made, classes = net_config(teacher).input_px, {}, []
        for number, start in enumerate(range(0, len(rows), BATCH), 1):
            images = shrink(stamps.batch(rows[start : start + BATCH])[0].to(device), size)
            with torch.inference_mode(), torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
                votes, probabilities, _ = teacher.tell_forms(images)
            for form, concentrations in votes.items():
                made.setdefault(form, []).append(concentrations.float().cpu().numpy())
            classes += [] if probabilities is None else [probabilities.float().cpu().numpy()]
            if report:
                report(number, -(-len(rows) // BATCH))
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            parts = {form: np.concatenate(values) for form, values in made.items()}
            np.savez(file, rows=rows, **parts, **({"classes": np.concatenate(classes)} if classes else {}))
    with np.load(path) as kept:
        parts = {name: kept[name] for name in kept.files}
    return Told(parts.pop("rows"), {k: v for k, v in parts.items() if k != "classes"}, parts.get("classes"))


def taught(labels: dict[str, Labels], told: Told, config: Config) -> Lessons:
    """Labels, with votes of a teacher where there are none, and its classes beside those that are known.

    Parameters
    ----------
    told : Told
        Of galaxies without votes.
    """
    n, generator = len(labels["cast"].classes), np.random.default_rng([config.seed, 13])
    weights = np.ones(n, np.float32)
    if "cast" in told.concentrations:
        weights[told.rows] = config.taught_votes_weight
        cast = draw_votes(told.concentrations["cast"], np.full(len(told.rows), N_VOLUNTEERS), generator)
        labels = labels | {"cast": _filled(labels["cast"], told.rows, told.concentrations["cast"], cast, True)}
        if "debiased" in told.concentrations and "debiased" in labels:
            asked = question_sums(cast).astype(np.int64)  # debiasing moves shares, not people
            moved = draw_votes(told.concentrations["debiased"], None, generator, asked)
            own = _filled(labels["debiased"], told.rows, told.concentrations["debiased"], moved, False)
            labels = labels | {"debiased": own}
    classes = None
    if told.probabilities is not None and config.taught_class_share:
        classes = np.full((n, told.probabilities.shape[1]), np.nan, np.float32)
        classes[told.rows] = told.probabilities
    return Lessons(labels, weights, classes)


def _filled(labels: Labels, rows: np.ndarray, concentrations: np.ndarray, counts: np.ndarray, counted: bool) -> Labels:
    """Labels with what was told of some rows; shares of questions that nobody would be asked stay unknown."""
    expected = concentrations / question_sums(concentrations)[:, QUESTION_OF]
    cumulative = to_cumulative(expected)
    asked = (asked_share(cumulative) * N_VOLUNTEERS >= 1)[:, QUESTION_OF]
    changed = {
        "conditional": np.where(asked, expected, np.nan),
        "cumulative": cumulative,
        "counts": counts,
        "counted": np.full(len(rows), counted),
    }
    made = {name: getattr(labels, name).copy() for name in changed}
    for name, values in changed.items():
        made[name][rows] = values
    return replace(labels, **made)
