"""What every reader returns: a table of galaxies and a way to load the image of row ``i``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from galaxy_core.counting import count
from galaxy_core.errors import CatalogError
from galaxy_core.image_limits import shown_name

MOST_NAMED, LONGEST_NAME = 3, 40  # of rows and images that were left out


@dataclass(frozen=True)
class ReadReport:
    """What a reader met: counts of the rows and images it could not use, so nothing is dropped in silence.

    ``named`` has, by count, how some of these are called: ids of rows, and files of images.
    """

    n_rows: int
    n_galaxies: int
    n_rows_without_image: int = 0
    n_images_without_row: int = 0
    n_duplicate_rows: int = 0
    n_null_rows: int = 0
    notes: tuple[str, ...] = ()
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """The report as sentences a person reads; counts of zero are left out."""
        counts = (
            ("n_rows_without_image", "row has", "rows have", "no image and {} left out"),
            ("n_images_without_row", "image has", "images have", "no row in the table and {} left out"),
            ("n_duplicate_rows", "row repeats", "rows repeat", "a galaxy_id; the first of each was kept"),
            ("n_null_rows", "row has", "rows have", "no galaxy_id or nothing but nulls and {} left out"),
        )
        told = [f"{count(self.n_galaxies)} from {count(self.n_rows, 'row', 'rows')}"]
        for which, one, many, rest in counts:
            if n := getattr(self, which):
                names = [shown_name(name, LONGEST_NAME) for name in self.named.get(which, ())]
                shown = f" ({', '.join(names) + (', ...' if n > len(names) else '')})" if names else ""
                told.append(f"{count(n, one, many)} {rest.format('was' if n == 1 else 'were')}{shown}")
        return [*told, *self.notes]


@dataclass(frozen=True)
class Catalog:
    """A set of galaxies, with images loaded one at a time.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a galaxy, ``RangeIndex``. ``galaxy_id`` (str, unique) is the first column; ``ra_deg`` and ``dec_deg``
        (float64, degrees, ICRS), ``class`` (str or null) and ``split_group`` (str: stamps of one frame share it) where
        the release has them; then the answer columns and any other metadata.
    load_image : callable
        ``load_image(i)`` returns row ``i`` as float32 ``(bands, height, width)``: in [0, 1] for display images (8-bit
        values over 255), in the file's own units for linear ones. Raises `galaxy_core.errors.ImageError`.
    layout, source : str
        The reader's name and the path or count it was given: ``f"{layout}:{source}"`` reads it again.
    report : ReadReport
    linear : bool
        True where pixels are linear flux (FITS, TIFF of floats), False for display-stretched colour images. All images
        are of one kind: linear ones among the latter come stretched, and the latter among linear ones are refused.
    answer_columns : tuple of str
        Columns of ``table`` that hold votes.
    answer_kind : {"", "fraction", "count"}
        What ``answer_columns`` hold: vote fractions in [0, 1] or numbers of votes.
    pixel_scale_arcsec : float or None
        Arcseconds per pixel where one scale holds for the whole catalog.
    field_fraction : float
        Central share of each side of the images that holds the galaxy; the rest is sky and neighbours.
    """

    table: pd.DataFrame
    load_image: Callable[[int], np.ndarray] = field(repr=False)
    layout: str
    source: str
    report: ReadReport
    linear: bool = False
    answer_columns: tuple[str, ...] = ()
    answer_kind: str = ""
    pixel_scale_arcsec: float | None = None
    field_fraction: float = 1.0

    def __post_init__(self) -> None:
        if len(self.table) == 0:
            said = self.report.sentences()[1:] or ["check that the path holds this layout"]
            if self.report.n_rows_without_image and self.report.n_images_without_row:
                said.append("call each image like the id of its row, or name it in a column called file")
            raise CatalogError("; ".join([f"No usable galaxy in {self.layout}:{self.source}", *said]) + ".")
        if self.table["galaxy_id"].duplicated().any():
            raise CatalogError(f"{self.layout}:{self.source} repeats a galaxy_id; ids must be unique.")

    def __len__(self) -> int:
        return len(self.table)

    @property
    def galaxy_ids(self) -> np.ndarray:
        """Array of str, shape (n,)."""
        return self.table["galaxy_id"].to_numpy(dtype=object)

    @property
    def split_keys(self) -> np.ndarray:
        """Array of str, shape (n,): what the split hashes, the frame for stamps of a frame and else the galaxy."""
        column = "split_group" if "split_group" in self.table else "galaxy_id"
        return self.table[column].to_numpy(dtype=object)
