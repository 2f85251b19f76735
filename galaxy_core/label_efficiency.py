"""How right a method is with few labels: the file of results, its meaning, and reading it without torch.

A result is one training: a model, a way to use it, a share of the labels, a seed. A point is the mean over seeds of
results that are alike otherwise, with the number of seeds, since expensive ways are tried with fewer.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from galaxy_core import embedding
from galaxy_core.errors import ArtifactError
from galaxy_core.published_lookups import MOST

SCHEMA = 1
PATTERN = "few_labels*.json"
"""Files of results, under ``<artifacts>/models``: one for each set of classes."""
NO_MODEL = "random weights"
"""Stands for a model in results of training from scratch."""
FROZEN, FINE_TUNED, UNLABELLED, SCRATCH = "frozen", "fine_tuned", "fine_tuned_unlabelled", "scratch"
WAYS = {
    FROZEN: "logistic regression on the model's features, which stay as they are",
    FINE_TUNED: "that classifier and the encoder under it trained on",
    UNLABELLED: "the fine-tuned net trained on with all training images, labelled or not, by what it said of them",
    SCRATCH: "the encoder of the contrastive denoiser, from random weights",
}


@dataclass(frozen=True)
class Point:
    """Mean over seeds; intervals are None where there is one seed only.

    Attributes
    ----------
    share : float
        Of the training labels.
    n_labels : int
        Training labels used.
    accuracy_interval, macro_f1_interval : tuple of float or None
        95 % interval of the mean over seeds, by Student's t.
    """

    model: str
    way: str
    share: float
    n_labels: int
    n_seeds: int
    accuracy: float
    accuracy_interval: tuple[float, float] | None
    macro_f1: float
    macro_f1_interval: tuple[float, float] | None


@dataclass(frozen=True)
class LabelEfficiency:
    """A file of results that was read.

    Attributes
    ----------
    catalog : str
        What it was measured on, ``LAYOUT:NAME``.
    class_names : tuple of str
    n_train, n_test : int
        Training galaxies with a label, and test galaxies.
    points : tuple of Point
    passes : dict
        Passes over the galaxies in which the encoder of each model learned, where that is known.
    trained_px : int or None
        Size at which encoders were trained, where it is not the one they learned from.
    largest_class_share : float or None
        Share of the test galaxies in their largest class, where that is known: what is right without a look.
    """

    path: Path
    catalog: str
    class_names: tuple[str, ...]
    n_train: int
    n_test: int
    points: tuple[Point, ...]
    passes: dict[str, int] = field(default_factory=dict)
    trained_px: int | None = None
    largest_class_share: float | None = None


def summarise(results: Iterable[dict]) -> list[Point]:
    """Points of results, ordered by way, model and share."""
    groups: dict[tuple, dict[int, dict]] = {}
    for row in results:
        groups.setdefault((row["model"], row["way"], row["share"]), {})[row["seed"]] = row
    points = []
    for (model, way, share), rows in groups.items():
        accuracy, macro_f1 = (np.array([row[key] for row in rows.values()]) for key in ("accuracy", "macro_f1"))
        n_labels = round(float(np.mean([row["n_labels"] for row in rows.values()])))
        points.append(
            Point(
                *(model, way, share, n_labels, len(rows)),
                *(float(accuracy.mean()), t_interval(accuracy), float(macro_f1.mean()), t_interval(macro_f1)),
            )
        )
    return sorted(points, key=lambda point: (list(WAYS).index(point.way), point.model, point.share))


def t_interval(values: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the mean of normal values of unknown scatter (Student 1908, Biometrika 6, 1), cut to [0, 1].

    None for a single value, which tells no scatter.

    Examples
    --------
    >>> [round(bound, 4) for bound in t_interval(np.array([0.4, 0.5, 0.6]))]
    [0.2516, 0.7484]
    """
    from scipy.special import stdtrit

    if len(values) < 2:
        return None
    half = stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values))
    middle = float(np.mean(values))
    return max(0.0, middle - float(half)), min(1.0, middle + float(half))


def measure_command(path: Path) -> str:
    """The command that makes a file of results."""
    words = ["python", "scripts/evaluate.py", "few_labels", "LAYOUT:PATH", "--models", "contrastive_denoiser"]
    return shlex.join([*words, "--json", str(path)])


def find_results(root: str | Path) -> dict[str, Path]:
    """Name and path of every file of results under ``<root>/models``, and of those that are shipped."""
    found: dict[str, Path] = {}
    for folder in (Path(root) / "models", embedding._REPOSITORY_MODELS):
        for path in sorted(folder.glob(PATTERN)) if folder.is_dir() else ():
            found.setdefault(path.name, path)
    return found


def as_points(points: Sequence[Point]) -> list[dict]:
    """Points as plain values that JSON can hold."""
    return [asdict(point) for point in points]


def read_results(path: str | Path) -> LabelEfficiency:
    """Read and check a file of results; its points are made again from its results.

    Raises
    ------
    ArtifactError
        It is missing, damaged, of another version, or holds a number that cannot be.
    """
    path = Path(path)
    again = f"restore it or measure again with `{measure_command(path)}`"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["schema"] != SCHEMA:
            raise ArtifactError(f"{path} is of version {record['schema']}, and this reads version {SCHEMA}; {again}.")
        results = record["results"]
        if not isinstance(results, list) or not results:
            raise ValueError("no results")
        for row in results:
            _check(row)
        names, catalog = record["class_names"], record["catalog"]
        if not (isinstance(catalog, str) and isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError("no catalog")
        counts = int(record["n_train"]), int(record["n_test"])
        told = {name: about.get("passes") for name, about in record.get("models", {}).items()}
        passes = {name: int(number) for name, number in told.items() if number is not None}
        size = record.get("config", {}).get("training", {}).get("input_px")
        trained_px = None if size is None else int(size)
        of_classes = [int(number) for number in record.get("n_by_class", {}).values()]
        largest = max(of_classes) / sum(of_classes) if sum(of_classes) else None
    except FileNotFoundError as error:
        raise ArtifactError(f"There is no {path}; make it with `{measure_command(path)}`.") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise ArtifactError(f"{path} is damaged; {again}.") from error
    return LabelEfficiency(path, catalog, tuple(names), *counts, tuple(summarise(results)), passes, trained_px, largest)


def _check(row: dict) -> None:
    """Raise ValueError where a result is not whole."""
    shares = [row[key] for key in ("share", "accuracy", "macro_f1")]
    counts = [row[key] for key in ("n_labels", "n_test", "seed")]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in [*shares, *counts])
    if not numbers or not all(0 <= value <= 1 for value in shares) or row["share"] == 0:
        raise ValueError("a number that cannot be")
    if not 1 <= row["n_labels"] <= MOST:
        raise ValueError("a number of labels that cannot be")
    if not isinstance(row["model"], str) or row["way"] not in WAYS:
        raise ValueError("an unknown way")
