"""What few labels are to tell: galaxies with their classes and splits, and keys of what is learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galaxy_core.artifacts.staging import fingerprint_of
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.parts import states_of
from galaxy_core.errors import CatalogError
from galaxy_core.image_steps import catalog_fingerprint
from galaxy_core.label_draws import merge_classes
from galaxy_core.recipes import Report
from galaxy_core.splits import TEST, TRAIN, VALIDATION
from galaxy_core.stamps import Stamps, decode_stamp, make_stamps
from galaxy_core.vectors import has_class

STAMP_PX = 128


@dataclass(frozen=True)
class Task:
    """What is to be told of which galaxies.

    Attributes
    ----------
    classes : int64 array, shape (n,)
        Place in ``class_names``; -1 without a class.
    train, validation, test : int64 array
        Rows with a class whose image can be read.
    catalog_key, key : str
        Change with the ids and the stamps of all galaxies, and with their classes, too.
    work : path
    """

    stamps: Stamps
    classes: np.ndarray
    class_names: tuple[str, ...]
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    catalog_key: str
    key: str
    work: Path


def make_task(catalog: Catalog, merges: Sequence[str], work: Path, report: Report | None) -> Task:
    """Stamps, classes and splits of a catalog."""
    if "class" not in catalog.table:
        raise CatalogError(f"{catalog.layout}:{catalog.source} has no classes; name a catalog that has.")
    names = catalog.table["class"].to_numpy(dtype=object)
    known = has_class(names)
    codes = np.full(len(catalog), -1, np.int64)
    class_names, codes[known] = np.unique(merge_classes(names[known], merges).astype(str), return_inverse=True)
    decoded = work / f"stamps-{stamps_key(catalog)}"
    stamps = make_stamps([catalog], STAMP_PX, decoded, report and (lambda *done: report("decode", *done)))
    parts = [np.intersect1d(stamps.rows(split), np.flatnonzero(known)) for split in (TRAIN, VALIDATION, TEST)]
    if len(class_names) < 2 or not all(map(len, parts)):
        raise CatalogError(
            f"{catalog.layout}:{catalog.source} has {len(class_names)} classes and {len(parts[0])} training,"
            f" {len(parts[1])} validation and {len(parts[2])} test galaxies with one; name a larger catalog."
        )
    learned = hashlib.sha1("|".join(map(str, catalog.galaxy_ids)).encode())
    learned.update(stamps.pixels)  # two seconds for 26,000 galaxies
    catalog_key = learned.hexdigest()[:16]
    learned.update("|".join(class_names).encode() + codes.tobytes())
    return Task(stamps, codes, tuple(class_names.tolist()), *parts, catalog_key, learned.hexdigest()[:16], work)


def stamps_key(catalog: Catalog) -> str:
    """Changes with the files of the images, and with three of the stamps should they be made in another way."""
    states = states_of(catalog.load_image, np.arange(len(catalog)))
    if states is None:
        states = catalog_fingerprint(catalog)
    some = (0, len(catalog) // 2, len(catalog) - 1)
    made = [hashlib.sha1(decode_stamp(catalog, row, STAMP_PX)).hexdigest() for row in some]
    return fingerprint_of(catalog.linear, catalog.field_fraction, states, made)[:16]


def describe_task(catalog: Catalog, task: Task, merges: Sequence[str]) -> dict:
    """What is told of how many galaxies."""
    n_by_class = np.bincount(task.classes[task.test], minlength=len(task.class_names)).tolist()
    return {
        "catalog": f"{catalog.layout}:{Path(catalog.source).name}",
        "class_names": list(task.class_names),
        "merged": list(merges),
        "n_galaxies": len(catalog),
        "n_train": len(task.train),
        "n_validation": len(task.validation),
        "n_test": len(task.test),
        "n_by_class": dict(zip(task.class_names, n_by_class, strict=True)),
    }
