"""``synthetic:N``: N simulated galaxies, nothing to download and every truth known."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from galaxy_core.catalogs.catalog import Catalog, ReadReport
from galaxy_core.errors import CatalogError
from galaxy_core.simulator import FIELD_IN_R90, simulate
from galaxy_core.simulator.parameters import draw_parameters
from galaxy_core.simulator.votes import ANSWER_COLUMNS, count_votes, vote_fractions

SIZE_PX = 128
MAX_GALAXIES = 10_000_000


def read(n: int | str) -> Catalog:
    """Catalog of ``n`` simulated galaxies; images are rendered when they are asked for.

    Parameters
    ----------
    n : int or str
        How many, or ``"N@seed"`` for other galaxies than those of seed 0.

    Examples
    --------
    >>> read("2@7").galaxy_ids.tolist()
    ['sim-7-000000', 'sim-7-000001']
    """
    number, seed = parse_number(n, "synthetic")
    rows = [_row(index, seed) for index in range(number)]
    return Catalog(
        table=pd.DataFrame(rows),
        load_image=lambda i: _load_image(i, number, seed),
        layout="synthetic",
        source=str(number) if seed == 0 else f"{number}@{seed}",
        report=ReadReport(n_rows=number, n_galaxies=number),
        answer_columns=ANSWER_COLUMNS,
        answer_kind="fraction",
    )


def parse_number(n: int | str, layout: str) -> tuple[int, int]:
    """Number and seed of ``"N"`` or ``"N@seed"``; raises `CatalogError` with the layout's name."""
    match = re.fullmatch(r"([0-9]{1,9})(?:@([0-9]{1,9}))?", str(n).strip(), re.ASCII)
    if match is None or not 1 <= int(match[1]) <= MAX_GALAXIES:
        raise CatalogError(
            f"{layout}:{n} is not a number of galaxies; give a whole number from 1 to {MAX_GALAXIES:,}, "
            f"as in {layout}:2000, or with a seed, as in {layout}:2000@1."
        )
    return int(match[1]), int(match[2] or 0)


def _row(index: int, seed: int) -> dict:
    parameters = draw_parameters(seed, index)
    known = parameters.to_dict() | {"pixel_scale_arcsec": FIELD_IN_R90 * parameters.r90_arcsec / SIZE_PX}
    galaxy_class = known.pop("galaxy_class")
    votes = vote_fractions(count_votes(parameters, seed, index))
    return {"galaxy_id": f"sim-{seed}-{index:06d}", "class": galaxy_class, **votes, **known}


def _load_image(i: int, number: int, seed: int) -> np.ndarray:
    i = int(i)
    if not 0 <= i < number:
        raise IndexError(f"row {i} of a catalog of {number} galaxies")
    return simulate(i, seed, SIZE_PX).image
