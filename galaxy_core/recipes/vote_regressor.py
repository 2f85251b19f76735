"""Recipe `vote_regressor`: what volunteers would say of a galaxy, and its class, from votes, classes or both.

The systems before it learned 37 free numbers from grey images, or classes from a table of clean cases. Here:

- Outputs obey the question tree by construction, and say how sure they are (`galaxy_core.models.morphology`).
- A batch mixes galaxies of which only the class is known with galaxies of which only votes are. Each counts in the
  losses it has labels for, and a sum over those is divided by the whole batch, so a galaxy weighs the same in any mix.
- Votes as they were cast and debiased ones are learned side by side where a release has both.
- Numbers of votes are learned by their likelihood. Where a release has only fractions, their squared error leads, in
  both forms; a likelihood of the votes that many volunteers would have given stands beside it and teaches strengths.
- A finished model may say what volunteers would say of galaxies without votes (`vote_regressor_teacher`).
- Colours stay: views differ in position angle, mirror image, apparent size, place and brightness, and little in colour.
- From a checkpoint of the contrastive denoiser the heads are trained first, with the encoder as it is, then the whole.
- At the end the embedding of the encoder is spread over its axes, as that of the contrastive denoiser is.
- Strengths are set last, on validation galaxies, so that 90 % intervals hold 90 % of what volunteers said; and a gauge
  of what is new to the model, so that it flags 5 % of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from galaxy_core.augment import LABEL_VIEWS, ViewConfig
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.models import read_model_config
from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet
from galaxy_core.ranks import first_goes_first, in_shares, is_first
from galaxy_core.recipes.stamp_views import features_of, shrink, training_views
from galaxy_core.recipes.starting_weights import origin_of
from galaxy_core.recipes.vote_regressor_novelty import add_gauge_to, set_gauge
from galaxy_core.recipes.vote_regressor_scores import evaluate
from galaxy_core.recipes.vote_regressor_start import labels_by_form, starting_model
from galaxy_core.recipes.vote_regressor_steps import (
    Lessons,
    balanced_rows,
    class_weights,
    morphology_losses,
    set_strengths,
    validation_scores,
)
from galaxy_core.recipes.vote_regressor_table import table_lines
from galaxy_core.recipes.vote_regressor_teacher import lessons_of
from galaxy_core.splits import TRAIN, VALIDATION
from galaxy_core.stamps import Stamps, make_stamps, some_of
from galaxy_core.training import FitConfig, Phase, Report, fit
from galaxy_core.training_state import begin_state, finish_training, state_of, training_record
from galaxy_core.vote_labels import Labels

STAMP_PX = 128
PHASES = ("heads", "whole", "novelty")
CLASS_NAMES = ("round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral")

__all__ = ["PHASES", "Config", "evaluate", "table_lines", "train"]


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run. Weights multiply the losses of the same name.

    Attributes
    ----------
    model : MorphologyConfig
        Of a new network; ``class_names`` are the classes to learn, and sizes of the encoder give way to those of the
        model that is started from. What no catalog has labels for is left out of the network.
    classes_beside_votes : bool
        Whether classes of a catalog that has votes too are learned: those of Galaxy Zoo 2 are cut from its votes.
    count_weight, assumed_count_weight : float
        Of the likelihood of votes (over the number of questions), where a release counts them and where it does not.
    class_weight_power : float
        A class of share s counts with ``s ** -power`` in the loss, scaled to a mean of 1; 0: all galaxies alike.
    balance : float
        How far classes are sampled evenly: galaxies of a class with n members are repeated ``(n_max / n) ** balance``
        times; 0: as they come, 1: classes alike.
    vote_repeats : int
        How often a galaxy with votes comes in an epoch.
    exact_share : float
        Share of a batch that is only turned and mirrored, as images are when the model is used.
    taught_by : str
        Folder of a finished morphology net or ensemble, which says what volunteers would say of training galaxies
        without votes, and of which class they are; see `galaxy_core.recipes.vote_regressor_teacher`. Empty: nobody.
    taught_votes_weight, taught_class_share : float
        What such votes count for, where those of volunteers count 1; and the share of a known class that gives way to
        what the teacher says of it.
    plateau_epochs : int
        See `galaxy_core.training.Phase`.
    flagged_share : float
        Of validation galaxies: as many are to be flagged as unlike those learned from.
    n_novelty_max : int
        Training galaxies, and validation galaxies, that the gauge is set on; each is seen in eight views.
    """

    seed: int = 0
    model: MorphologyConfig = field(default_factory=lambda: MorphologyConfig(class_names=CLASS_NAMES))
    views: ViewConfig = LABEL_VIEWS
    heads: FitConfig = field(default_factory=lambda: FitConfig(2, 128, 2e-3, 1e-3))
    whole: FitConfig = field(default_factory=lambda: FitConfig(12, 128, 1e-3, 2e-2))
    classes_beside_votes: bool = True
    count_weight: float = 1.0
    assumed_count_weight: float = 0.1
    cumulative_weight: float = 1.0
    conditional_weight: float = 0.3
    class_weight: float = 1.0
    class_weight_power: float = 0.0
    label_smoothing: float = 0.0
    balance: float = 0.5
    vote_repeats: int = 1
    exact_share: float = 0.25
    taught_by: str = ""
    taught_votes_weight: float = 0.3
    taught_class_share: float = 0.5
    plateau_epochs: int = 3
    n_validation_max: int = 4096
    n_spread_max: int = 8192
    flagged_share: float = 0.05
    n_novelty_max: int = 2048


def train(
    catalogs: Sequence[Catalog],
    folder: str | Path,
    config: Config | None = None,
    device: str = "cpu",
    report: Report | None = None,
    report_decoding: Callable[[int, int], None] | None = None,
    phases: Collection[str] = PHASES,
    start_from: str | Path | None = None,
) -> MorphologyNet | None:
    """Train on the training split of ``catalogs`` and write the model's folder; resumes a run that was stopped.

    Parameters
    ----------
    catalogs : sequence of Catalog
        With votes, with classes, or with both. Validation galaxies choose the epoch, the learning rate and how wide
        intervals are; those of the test split are not touched.
    phases : collection of str
        Which of `PHASES` to train. Without ``start_from`` the heads are not trained alone: there is nothing to keep.
        "novelty" alone trains nothing: it sets the gauge of a finished model, which is kept as it is otherwise. Every
        training ends with it, since a gauge fits one encoder only.
    start_from : path, optional
        Folder of a contrastive denoiser, whose encoder is taken over, or of a morphology net; the first of an ensemble.
    """
    config = config or Config()
    folder = Path(folder)
    state_folder, history_path = state_of(folder)
    if set(phases) - set(PHASES) or not phases:
        raise ModelError(f"There is no such phase among {', '.join(phases) or 'none'}; choose among {PHASES}.")
    if not 0 < config.flagged_share < 1:  # the gauge is set at the end of a training, which would be lost
        raise ModelError(f"A share of {config.flagged_share:g} cannot be flagged; set flagged_share between 0 and 1.")
    if set(phases) == {"novelty"}:  # nothing to learn, so no labels are needed, and no second rank
        return add_gauge_to(start_from, catalogs, folder, config, device, report_decoding) if is_first() else None
    if start_from is None and "whole" not in phases:
        raise ModelError("The heads alone are for a model that exists; name its folder with --start-from.")
    labels, notes = labels_by_form(catalogs, config)
    cast = labels["cast"]
    torch.manual_seed(config.seed)
    model = starting_model(config, labels, start_from).to(device, memory_format=torch.channels_last).eval()
    with first_goes_first():
        known = [getattr(part, item.name) for part in labels.values() for item in fields(part)]
        known += [np.array(str(read_model_config(config.taught_by).get("weights_sha256")))] if config.taught_by else []
        begin_state(folder, "vote_regressor", config, catalogs, phases, start_from, lessons=known)
        stamps = make_stamps(catalogs, STAMP_PX, state_folder, report_decoding)
    labelled = np.flatnonzero(cast.has_votes | (cast.classes >= 0))
    train_rows, validation_rows = (np.intersect1d(stamps.rows(split), labelled) for split in (TRAIN, VALIDATION))
    if len(validation_rows) < 2:
        raise ModelError("Too few labelled galaxies to hold any out for validation; train on a hundred or more.")
    validation_rows = some_of(validation_rows, config.n_validation_max, config.seed)
    with first_goes_first():
        asked = report and (lambda done, total: report("teacher", done, total, {}))
        lessons = lessons_of(labels, stamps, train_rows, config, state_folder, device, asked)
    for phase in _phases(model, stamps, labels, lessons, (train_rows, validation_rows), config, device):
        if phase.name in phases and (phase.name == "whole" or start_from is not None):
            fit(phase, state_folder, history_path, config.seed, report)
    model.eval()
    if not is_first():
        return model
    size = model.config.input_px
    model.encoder.spread(features_of(model.encoder.features, stamps, train_rows, config, size, device))
    if model.config.votes:
        set_strengths(model, stamps, labels, validation_rows, device)

    def load(rows: np.ndarray) -> Tensor:
        return shrink(stamps.batch(rows)[0], model.config.input_px)

    novelty = set_gauge(model, load, (train_rows, validation_rows), config)
    about = training_record(
        *("vote_regressor", config, catalogs),
        phases=sorted(phases, key=PHASES.index),
        notes=[*notes, *stamps.notes],
        n_train=len(train_rows),
        n_train_with_votes=int(cast.has_votes[train_rows].sum()),
        n_train_with_class=int((cast.classes[train_rows] >= 0).sum()),
        n_validation=len(validation_rows),
        novelty=novelty,
    )
    if config.taught_by:
        teacher = read_model_config(config.taught_by)
        about["taught_by"] = {key: teacher.get(key) for key in ("model", "weights_sha256", "about")}
        about["training"]["taught_by"] = Path(config.taught_by).name  # where it lay is nobody's concern
    return finish_training(folder, model, about | origin_of(start_from), device)


def _phases(
    model: MorphologyNet,
    stamps: Stamps,
    labels: dict[str, Labels],
    lessons: Lessons,
    rows: tuple[np.ndarray, np.ndarray],
    config: Config,
    device: str,
) -> list[Phase]:
    items = balanced_rows(rows[0], labels["cast"], config)
    size, weights = model.config.input_px, None
    if model.config.class_names:
        table = class_weights(labels["cast"].classes[items], len(model.config.class_names), config.class_weight_power)
        weights = torch.from_numpy(table).to(device)

    def features(images: Tensor) -> Tensor:
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
            return in_shares(model.encoder.features, images.contiguous(memory_format=torch.channels_last))

    def outputs(images: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        return model.from_features(features(shrink(images.to(device), size)))

    def prepare(indices, generator: Generator) -> tuple[Tensor, np.ndarray]:
        return training_views(stamps.planes(indices).to(device), config, size, generator), indices

    def losses(batch, generator: Generator, learn_encoder: bool) -> dict[str, Tensor]:
        views, indices = batch
        # dropout draws from torch's own generator: seeded here, a resumed run drops the same
        torch.manual_seed(int(torch.randint(0, 2**31, (1,), generator=generator)))
        with torch.set_grad_enabled(learn_encoder):
            known = features(views)
        return morphology_losses(*model.from_features(known), lessons, indices, config, weights)

    def validate() -> dict[str, float]:
        return validation_scores(outputs, stamps, labels, rows[1], config, weights)

    return [
        Phase("heads", model.heads, items, lambda b, g: losses(b, g, False), validate, config.heads, 0, prepare),
        Phase(
            "whole",
            model,
            items,
            lambda b, g: losses(b, g, True),
            validate,
            config.whole,
            config.plateau_epochs,
            prepare,
        ),
    ]
