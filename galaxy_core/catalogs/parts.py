"""Consecutive rows of a catalog, and how they go to another process: with no more than these rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from galaxy_core.catalogs.catalog import Catalog, ReadReport

LoadImage = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class SomeImages:
    """``load_image`` of some rows of a catalog: ``images(i)`` is that of row ``rows[i]``."""

    load_image: LoadImage = field(repr=False)
    rows: np.ndarray

    def __call__(self, i: int) -> np.ndarray:
        return self.load_image(int(self.rows[i]))

    def states(self, rows: np.ndarray) -> list[str] | None:
        """See `states_of`."""
        return states_of(self.load_image, self.rows[rows])

    def take(self, rows: Sequence[int]) -> LoadImage:
        """The images of some rows of these."""
        return take_images(self.load_image, self.rows[rows])


def take_images(load_image: LoadImage, rows: np.ndarray) -> LoadImage:
    """``load_image`` of some rows; one that names a file a row keeps no more than the names of these."""
    return load_image.take(rows) if hasattr(load_image, "take") else SomeImages(load_image, rows)


def states_of(load_image: LoadImage, rows: np.ndarray) -> list[str] | None:
    """A text for the image of each row that changes when its file does; None where images do not tell."""
    return load_image.states(rows) if hasattr(load_image, "states") else None


def ids_and_images(catalog: Catalog, rows: np.ndarray) -> Catalog:
    """A catalog of some rows, at least one, with their ids and images alone."""
    table = catalog.table[["galaxy_id"]].iloc[rows].reset_index(drop=True)
    images, report = take_images(catalog.load_image, rows), ReadReport(len(rows), len(rows))
    return replace(catalog, table=table, load_image=images, report=report, answer_columns=())


@dataclass(frozen=True)
class CatalogPart:
    """Rows ``start`` to ``stop`` of a catalog.

    A copy that is pickled has a catalog of these rows alone, with their ids and images, so that what is sent to a
    worker does not grow with the survey.
    """

    number: int
    catalog: Catalog = field(repr=False)
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def ids(self, rows: np.ndarray) -> np.ndarray:
        """Ids of rows of ``catalog``."""
        return self.catalog.table["galaxy_id"].iloc[rows].to_numpy(dtype=object)

    def __reduce__(self):
        if self.start == 0 and self.stop == len(self.catalog):
            return CatalogPart, (self.number, self.catalog, self.start, self.stop)
        few = ids_and_images(self.catalog, np.arange(self.start, self.stop))
        return CatalogPart, (self.number, few, 0, len(few))
