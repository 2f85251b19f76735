"""What a map can be coloured by, and the colours: safe for colour-blind eyes, unclustered in quiet grey."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pages.views import words
from pages.views.readers import Galaxies

# Okabe & Ito (2008). Black would vanish on the night sky and pale yellow on paper, so each theme replaces one.
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00", "#000000")
DARK = {"#000000": "#E8EAF0", "#0072B2": "#3C8FD4"}
LIGHT = {"#F0E442": "#B5A70A"}
GREY_DARK, GREY_LIGHT = "#5d6475", "#a9adb6"
MAX_CATEGORIES = 60


@dataclass(frozen=True)
class Colouring:
    """One way to colour every galaxy.

    Attributes
    ----------
    title : str
        What it shows, with its unit.
    codes : int32 array, shape (n,), or None
        Category of each galaxy, -1 for none; None for numbers.
    names : tuple of str
        Names of the categories.
    values : float array, shape (n,), or None
        The numbers; None for categories.
    nothing : str
        What galaxies of code -1, or without a number, are called.
    """

    title: str
    codes: np.ndarray | None = None
    names: tuple[str, ...] = ()
    values: np.ndarray | None = None
    nothing: str = "unknown"


def colour_choices(galaxies: Galaxies) -> dict[str, str]:
    """Keys and names of everything a map of this catalog can be coloured by, the telling ones first."""
    choices = {}
    if "class" in galaxies.catalog and galaxies.catalog["class"].notna().any():
        choices["class"] = "Class"
    for name in galaxies.clustering_names:
        choices[f"{name}_label"] = f"Cluster, {words.name_of(name)}"
    choices["split"] = "Split: training, validation, test"
    for name in galaxies.clustering_names:
        choices[f"{name}_membership"] = f"Membership, {words.name_of(name)}"
    for column in galaxies.catalog.columns:
        values = galaxies.catalog[column]
        if column not in ("galaxy_id", "class", "split") and _is_number(values) and values.notna().any():
            choices[column] = words.column_name(column)
    for column in galaxies.catalog.columns:
        values = galaxies.catalog[column]
        if column not in choices and column != "galaxy_id" and not _is_number(values) and _is_category(values):
            choices[column] = words.column_name(column)
    return choices


def colour_by(galaxies: Galaxies, key: str) -> Colouring:
    """The colouring of one of the `colour_choices`."""
    stem, _, kind = key.rpartition("_")
    if stem in galaxies.clustering_names and kind == "label":
        return by_cluster(galaxies, stem)
    if stem in galaxies.clustering_names and kind == "membership":
        return Colouring(f"membership in {words.name_of(stem)} [0 to 1]", values=_numbers(galaxies.clusters[key]))
    column = galaxies.catalog[key]
    if _is_number(column):
        unit = " [share of answers]" if key in galaxies.manifest.answer_columns else ""
        if unit and galaxies.manifest.answer_kind == "count":
            unit = " [number of answers]"
        return Colouring(words.column_name(key) + unit, values=_numbers(column), nothing="no value")
    return by_text(column, words.column_name(key))


def by_cluster(galaxies: Galaxies, clustering: str) -> Colouring:
    """Colour by the clusters of one clustering; cluster 0 is the largest."""
    labels = galaxies.labels(clustering)
    present, codes = np.unique(labels, return_inverse=True)
    n_unclustered = int((present < 0).sum())
    names = tuple(words.cluster_name(int(label)) for label in present[n_unclustered:])
    codes = np.maximum(codes.astype(np.int32) - n_unclustered, -1)
    return Colouring(f"cluster, {words.name_of(clustering)}", codes=codes, names=names, nothing="unclustered")


def by_text(column: pd.Series, title: str) -> Colouring:
    """Colour by the values of a text column, the most frequent first."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    sizes = np.bincount(codes[codes >= 0], minlength=len(values))
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(len(values) + 1, dtype=np.int32)
    rank[order], rank[-1] = np.arange(len(values)), -1
    names = tuple(str(values[k]).replace("_", " ") for k in order)
    return Colouring(title, codes=rank[codes], names=names, nothing=f"no {title}")


def category_colours(n: int, dark: bool) -> list[str]:
    """Colours of ``n`` categories: Okabe-Ito up to eight, Glasbey (colorcet) beyond.

    Examples
    --------
    >>> category_colours(2, dark=True), len(set(category_colours(40, dark=False)))
    (['#E69F00', '#56B4E9'], 40)
    """
    if n <= len(OKABE_ITO):
        return [(DARK if dark else LIGHT).get(colour, colour) for colour in OKABE_ITO[:n]]
    import colorcet

    glasbey = colorcet.glasbey_light if dark else colorcet.glasbey_dark
    return [glasbey[k % len(glasbey)] for k in range(n)]


def grey(dark: bool) -> str:
    """The colour of what has no category."""
    return GREY_DARK if dark else GREY_LIGHT


def _numbers(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=np.float32, na_value=np.nan)


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _is_category(values: pd.Series) -> bool:
    return 1 < values.head(2000).nunique() <= MAX_CATEGORIES
