"""Where among our own metrics the counterpart of a published number is: functions of a record to a number, or None."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from galaxy_core.model_files import section

Lookup = Callable[[dict], float | None]
VOTES = ("votes", "votes_elsewhere")  # parts of the metrics with votes as their catalog states them
MOST = 2**53  # of what is counted: up to here floats tell whole numbers apart


def is_number(value: object) -> bool:
    """Whether a value of a file is a finite number; a whole number that no float holds counts as infinite.

    Examples
    --------
    >>> is_number(0.6), is_number(10**400), is_number(float("nan")), is_number(True)
    (True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def at(*keys: str) -> Lookup:
    """Looks up one number.

    Examples
    --------
    >>> at("votes", "model", "r2")({"votes": {"model": {"r2": 0.6}}}), at("votes", "model", "r2")({"votes": []})
    (0.6, None)
    """

    def look_up(metrics: dict) -> float | None:
        value = section(metrics, *keys[:-1]).get(keys[-1])
        return float(value) if is_number(value) else None

    return look_up


def at_fresh(*keys: str) -> Lookup:
    """`at` among the scores on objects that nothing was decided on; where there are none, among those on test objects.

    Examples
    --------
    >>> at_fresh("n_test")({"n_test": 2, "fresh": {"n_test": 9}}), at_fresh("n_test")({"n_test": 2})
    (9.0, 2.0)
    """

    def look_up(metrics: dict) -> float | None:
        return at(*keys)(section(metrics, "fresh") or metrics)

    return look_up


def with_labels(model: str, way: str, share: float) -> Lookup:
    """Looks up the mean accuracy of a model that was given a share of the labels, in results with few labels.

    Examples
    --------
    >>> point = {"model": "moco", "way": "frozen", "share": 0.01, "accuracy": 0.8}
    >>> with_labels("moco", "frozen", 0.01)({"points": [point]}), with_labels("moco", "frozen", 0.01)({"points": []})
    (0.8, None)
    """

    def look_up(results: dict) -> float | None:
        for point in results.get("points", ()):
            if (point["model"], point["way"], point["share"]) == (model, way, share):
                return at("accuracy")(point)
        return None

    return look_up


def votes_of(form: str) -> Callable[[dict], str]:
    """Finds the part of the metrics with votes that their catalog stated in that form; empty where there is none.

    Examples
    --------
    >>> votes_of("cumulative")({"votes": {"form": "conditional"}, "votes_elsewhere": {"form": "cumulative"}})
    'votes_elsewhere'
    """
    return lambda metrics: next((part for part in VOTES if section(metrics, part).get("form") == form), "")


def of_form(form: str, *keys: str) -> Lookup:
    """Looks up one number of the votes in that form: numbers of two forms cannot be compared."""
    return lambda metrics: at(*keys)(section(metrics, votes_of(form)(metrics)))


def four_class_accuracy(metrics: dict) -> float | None:
    """Accuracy where cigars and edge-on disks are one class, from the confusion matrix of the five.

    Examples
    --------
    >>> names = ["round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral"]
    >>> confusion = np.diag([5, 5, 3, 4, 2])
    >>> confusion[2, 3] = 1  # a cigar taken for a disk on edge is right
    >>> four_class_accuracy({"classes": {"class_names": names, "confusion": confusion.tolist()}})
    1.0
    """
    names = ["round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral"]
    classes = section(metrics, "classes")
    try:
        confusion = np.array(classes["confusion"], dtype=np.float64)
        order = [classes["class_names"].index(name) for name in names]
        counts = confusion[np.ix_(order, order)]
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError):
        return None
    if len(classes["class_names"]) != 5 or not np.isfinite(counts).all() or not counts.sum():
        return None
    merged = np.trace(counts) + counts[2, 3] + counts[3, 2]
    return float(merged / counts.sum())
