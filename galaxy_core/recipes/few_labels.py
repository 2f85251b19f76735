"""How right a class can be told from few labels: models that learned without any, beside training from scratch.

Labels are drawn from the training split alone, the same share of each class, and no way uses any other label: not of
validation galaxies either. How long and how fast encoders are fine-tuned is the same for all, and was chosen once on
the validation split of `gz_clean5`. Accuracy and macro-F1 are measured on the whole test split at its natural mix.

Every result is a line of a file as soon as it is there, so a run that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import nn

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ArtifactError, ModelError
from galaxy_core.label_efficiency import (
    FINE_TUNED,
    FROZEN,
    NO_MODEL,
    SCHEMA,
    SCRATCH,
    UNLABELLED,
    WAYS,
    as_points,
    summarise,
)
from galaxy_core.model_files import read_model_files
from galaxy_core.models import load_model, read_model_config
from galaxy_core.recipes import Report
from galaxy_core.recipes.few_labels_frozen import FrozenConfig, cached_features, soft_whitening
from galaxy_core.recipes.few_labels_task import Task, describe_task, make_task
from galaxy_core.recipes.few_labels_training import TrainingConfig
from galaxy_core.recipes.few_labels_ways import Subject, key_of, run_way
from galaxy_core.recipes.starting_weights import begun_with_labels
from galaxy_core.splits import TRAIN

ENCODER_PHASES = ("contrast", "redraw", "whole")

DEFINITIONS = {
    "split": "sha1(galaxy_id) mod 10: 0 test, 1 validation, 2-9 training",
    "labels": "the same share of each class of the training split, one galaxy of each at least; a draw a seed. "
    "With all labels seeds differ in the training alone",
    "accuracy": "share of all test galaxies, at their natural mix, that are given their class",
    "macro_f1": "mean of the F1 of the classes among the test galaxies",
    "interval": "95 % of the mean over seeds, Student's t; what the choice of test galaxies adds is not in it",
    FROZEN: "logistic regression on softly whitened features, mean of eight views; its penalty by five-fold "
    "cross-validation on the drawn labels alone; all labels are one draw, so they have one seed",
    FINE_TUNED: "begun with that classifier, trained on with the encoder for a length set before, without "
    "validation labels; prediction: mean of eight views",
    UNLABELLED: "the fine-tuned net trained on with all training images, towards what it said of them, sharpened, and "
    "the labels that were drawn",
    SCRATCH: "encoder of the contrastive denoiser with random weights and a linear layer, trained and judged likewise",
    "settings": "rate, length and learned statistics of fine-tuning: chosen on all validation galaxies, with the first "
    "draw of labels; the other settings of training were set beforehand",
}


@dataclass(frozen=True)
class Config:
    """How everything is trained; see the classes of its parts."""

    frozen: FrozenConfig = field(default_factory=FrozenConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


@dataclass(frozen=True)
class Plan:
    """Which results are wanted.

    Attributes
    ----------
    shares, n_seeds : tuple of float, int
        Of the training labels, and draws of each, for frozen features.
    trained_shares, n_trained_seeds : tuple of float, int
        The same for ways that train an encoder.
    ways : tuple of str
        Of `galaxy_core.label_efficiency.WAYS`.
    """

    shares: tuple[float, ...] = (0.01, 0.05, 0.1, 1.0)
    n_seeds: int = 5
    trained_shares: tuple[float, ...] = (0.01, 0.05, 0.1, 1.0)
    n_trained_seeds: int = 5
    ways: tuple[str, ...] = (FROZEN, FINE_TUNED, SCRATCH)

    def jobs(self, models: Sequence[str]) -> Iterator[tuple[str, str, float, int]]:
        """Model, way, share and seed of each result; cheap ones first, then seed after seed."""
        unknown = set(self.ways) - set(WAYS)
        if unknown or not self.ways:
            raise ModelError(f"There is no way '{', '.join(sorted(unknown))}'; choose among {', '.join(WAYS)}.")
        if FROZEN in self.ways:
            for model in models:
                for share in self.shares:
                    yield from ((model, FROZEN, share, seed) for seed in range(self.n_seeds if share < 1 else 1))
        for seed in range(self.n_trained_seeds):
            for share in self.trained_shares:
                yield from ((model, FINE_TUNED, share, seed) for model in models if FINE_TUNED in self.ways)
                yield from ((NO_MODEL, SCRATCH, share, seed) for _ in range(SCRATCH in self.ways))
                yield from ((model, UNLABELLED, share, seed) for model in models if UNLABELLED in self.ways)


def evaluate(
    folders: Sequence[str | Path],
    catalog: Catalog,
    lines: str | Path,
    work: str | Path,
    plan: Plan | None = None,
    config: Config | None = None,
    merges: Sequence[str] = (),
    device: str = "cpu",
    report: Report | None = None,
) -> dict:
    """Accuracy against number of labels, of several models and of none.

    Parameters
    ----------
    folders : sequence of path
        Of models that learned without labels and have an encoder.
    lines : path
        JSONL that results are added to; those that are there and were measured alike are not measured again.
    work : path
        Folder of decoded stamps, features and trainings under way; it may be deleted afterwards.
    merges : sequence of str
        Classes to count as one; see `galaxy_core.label_draws.merge_classes`.

    Returns
    -------
    dict
        What `galaxy_core.label_efficiency.read_results` reads.
    """
    plan, config, work, lines = plan or Plan(), config or Config(), Path(work), Path(lines)
    models = load_encoders(folders, device)
    checksums = {name: checksum_of(model.encoder) for name, model in models.items()}
    jobs = list(plan.jobs(list(models)))
    task = make_task(catalog, merges, work, report)
    keys = {job: key_of(checksums.get(job[0], job[0]), *job[1:], task, config) for job in jobs}
    done = read_lines(lines)
    wanted = [job for job in jobs if keys[job] not in done]
    subjects = {name: make_subject(name, models[name], checksums[name], task, config, report) for name in models}
    for number, job in enumerate(wanted):
        row = run_way(subjects.get(job[0]), *job[1:], task, config, device, report)
        done[keys[job]] = row | {"model": job[0], "key": keys[job]}
        append_line(lines, done[keys[job]])
        if report:
            report("results", number + 1, len(wanted))
    # others that were measured alike stand beside those of this plan
    known = [
        row
        for row in done.values()
        if row["key"] == key_of(checksums.get(row["model"], row["model"]), *job_of(row)[1:], task, config)
    ]
    about = {Path(folder).name: describe(folder, models, checksums) for folder in folders}
    return describe_task(catalog, task, merges) | {
        "schema": SCHEMA,
        "definitions": {"ways": WAYS, **DEFINITIONS},
        "config": asdict(config),
        "models": about,
        "points": as_points(summarise(known)),
        "results": sorted(known, key=lambda row: (row["way"], row["model"], row["share"], row["seed"])),
    }


def describe(folder: str | Path, models: dict[str, nn.Module], checksums: dict[str, str]) -> dict:
    """What a model learned from, and what is read from it."""
    record, model = read_model_config(folder), models[Path(folder).name]
    return {
        "recipe": record["about"].get("recipe", record["model"]),
        "catalogs": record["about"].get("catalogs", []),
        "encoder_sha256": checksums[Path(folder).name],
        "n_features": model.encoder.n_features,
        "input_px": model.config.embedding_input_px,
        "passes": passes_of(folder),
    }


def passes_of(folder: str | Path) -> int | None:
    """Passes over the galaxies in which a model's encoder learned, by its history; None where that was not kept."""
    return sum(row.get("phase") in ENCODER_PHASES for row in read_model_files(folder).history) or None


def load_encoders(folders: Sequence[str | Path], device: str) -> dict[str, nn.Module]:
    """Models by the name of their folder."""
    models = {Path(folder).name: load_encoder(folder, device) for folder in folders}
    if len(models) < len(folders):
        raise ModelError("Two of these models have folders of the same name; rename one.")
    return models


def load_encoder(folder: str | Path, device: str) -> nn.Module:
    """A model with an encoder that learned without labels, or an error that says why it cannot stand in this curve."""
    model = load_model(folder, device)
    name = Path(folder).name
    if getattr(model.config, "class_names", ()) or getattr(model.config, "votes", False) or hasattr(model, "members"):
        raise ModelError(f"{name} learned from labels already, so it has no place among those that are given few.")
    if begun_with_labels(read_model_config(folder)):
        raise ModelError(f"{name} was started from a model that learned from labels; name one that never was.")
    if not hasattr(getattr(model, "encoder", None), "features"):
        raise ModelError(f"{name} is a {model.name}, which has no encoder to read features from.")
    return model


def checksum_of(encoder: nn.Module) -> str:
    """sha256 of an encoder's weights: other parts of a model may change, and results stay those of this encoder.

    Zeros of either sign are the same weight, and an average of weights may change the sign.
    """
    digest = hashlib.sha256()
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode() + (value.cpu().numpy() + 0).tobytes())
    return digest.hexdigest()


def make_subject(
    name: str, model: nn.Module, checksum: str, task: Task, config: Config, report: Report | None
) -> Subject:
    """A model with its features of every galaxy, made once."""
    path = task.work / f"features-{checksum[:16]}-{task.catalog_key}.npy"
    progress = report and (lambda *done: report(f"features of {name}", *done))
    device = str(next(model.parameters()).device)
    features = cached_features(model, task.stamps, path, device, progress)
    unlabelled = task.stamps.rows(TRAIN)  # with a class or without
    return Subject(name, model, checksum, features, soft_whitening(features[unlabelled], config.frozen.softness))


def job_of(row: dict) -> tuple[str, str, float, int]:
    """The job a result is of."""
    return row["model"], row["way"], row["share"], row["seed"]


def read_lines(path: Path) -> dict[str, dict]:
    """Results by key; a last line that was cut by a kill is passed over, and what another version may have written."""
    found = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(text)
            if job_of(row)[1] in WAYS:
                found[row["key"]] = row
        except (ValueError, KeyError, TypeError):
            continue
    return found


def append_line(path: Path, row: dict) -> None:
    """Add a result to the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        cut = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
        with open(path, "a", encoding="utf-8") as file:
            file.write(("\n" if cut else "") + json.dumps(row, allow_nan=False) + "\n")
    except OSError as error:
        raise ArtifactError(
            f"Cannot write {path}: {error.strerror}; free some space or choose a folder you may write to."
        ) from error
