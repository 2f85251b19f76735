"""What a map can be coloured by: classes, clusters, tags and the columns of a catalog, each as a `Colouring`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxy_core.artifacts import ColumnTable
from galaxy_core.artifacts.staging import fingerprint_of
from pages.views import cluster_labels, tagged, words
from pages.views.colours import Colouring
from pages.views.readers import Galaxies

MAX_CATEGORIES = 60
TAGS = "tags"
MOST_KEPT = 4  # colourings of very many galaxies that are kept


def colour_choices(galaxies: Galaxies) -> dict[str, str]:
    """Keys and names of everything a map of this catalog can be coloured by, the telling ones first."""
    choices = {}
    if _has_class(galaxies):
        choices["class"] = "Class"
    for name in sorted(galaxies.clustering_names, key=partial(_found_nothing, galaxies)):
        choices[f"{name}_label"] = f"Cluster, {words.name_of(name)}"
    if galaxies.has_anomaly:
        choices["anomaly"] = "Anomaly: how unusual"
    for name in galaxies.projection_names:
        if galaxies.has_trust(name):
            choices[f"{name}_trust"] = f"Trust in {words.name_of(name)}"
    if tagged.tag_names(galaxies):
        choices[TAGS] = "Tags"
    choices["split"] = "Split: training, validation, test"
    for name in galaxies.clustering_names:
        choices[f"{name}_membership"] = f"Membership, {words.name_of(name)}"
    return choices | {key: name for key, name in _catalog_columns(galaxies).items() if key not in choices}


def _found_nothing(galaxies: Galaxies, clustering: str) -> bool:
    """Whether a clustering has no cluster, so that a map by it is all of one grey."""
    return galaxies.manifest.clusterings.get(clustering, {}).get("scores", {}).get("n_clusters") == 0


def _has_class(galaxies: Galaxies) -> bool:
    if "has class" not in galaxies.memory:
        galaxies.memory["has class"] = "class" in galaxies.catalog and _has_values(galaxies.catalog, "class")
    return galaxies.memory["has class"]


def _catalog_columns(galaxies: Galaxies) -> dict[str, str]:
    """Names of the columns of numbers, then of those of a few different texts."""
    if "columns" in galaxies.memory:
        return galaxies.memory["columns"]
    table = galaxies.catalog
    columns = [column for column in table.columns if column not in ("galaxy_id", "class", "split", "split_group")]
    numbers = [column for column in columns if _holds_numbers(table, column) and _has_values(table, column)]
    texts = [column for column in columns if not _holds_numbers(table, column) and _is_category(table, column)]
    return galaxies.memory.setdefault("columns", {column: _name_of(table, column) for column in numbers + texts})


def _name_of(table: pd.DataFrame | ColumnTable, column: str) -> str:
    return words.column_name(column) + (" [MJD]" if _is_date(table, column) else "")


def colour_by(galaxies: Galaxies, key: str) -> Colouring:
    """The colouring of one of the `colour_choices`; made once for each, but for what people change: tags and names."""
    if key == TAGS:
        return by_tag(galaxies)
    if key.endswith("_label") and key.removesuffix("_label") in galaxies.clustering_names:
        return by_cluster(galaxies, key.removesuffix("_label"))
    if ("colouring", key) not in galaxies.memory:
        made = [name for name in galaxies.memory if name[0] == "colouring"]
        for name in made[: len(made) - MOST_KEPT + 1] if galaxies.are_many else ():
            galaxies.memory.pop(name, None)
        return galaxies.memory.setdefault(("colouring", key), replace(_colour_by(galaxies, key), key=key))
    return galaxies.memory["colouring", key]


def shows_numbers(galaxies: Galaxies, key: str) -> bool:
    """Whether one of the `colour_choices` is of numbers rather than groups; nothing is read for it."""
    if key in (TAGS, "class", "split") or key in [f"{name}_label" for name in galaxies.clustering_names]:
        return False
    return key not in galaxies.catalog or _holds_numbers(galaxies.catalog, key)


def _colour_by(galaxies: Galaxies, key: str) -> Colouring:
    stem, _, kind = key.rpartition("_")
    if stem in galaxies.clustering_names and kind == "membership":
        return Colouring(f"membership in {words.name_of(stem)} [0 to 1]", values=_numbers(galaxies.clusters[key]))
    if stem in galaxies.projection_names and kind == "trust" and galaxies.has_trust(stem):
        k = galaxies.manifest.projections.get(stem, {}).get("trust", {}).get("k", "")
        title = f"share of the {k} nearest galaxies kept by {words.name_of(stem)}".replace("  ", " ")
        return Colouring(title, values=galaxies.trust(stem), nothing="not on this map", whole_range=True)
    if key == "anomaly" and galaxies.has_anomaly:
        return Colouring("anomaly [0 usual, 1 most unusual]", values=galaxies.anomaly, nothing="not measured")
    if (values := galaxies.layer_groups(key)) is not None:
        title, late = words.column_name(key), partial(_numbers_among, galaxies, key, values)
        names, nothing = _called(values, title)
        return Colouring(title, late, names, nothing=nothing, layer=key)
    column = galaxies.catalog[key]
    if _holds_numbers(galaxies.catalog, key):
        unit = " [share of answers]" if key in galaxies.manifest.answer_columns else ""
        if unit and galaxies.manifest.answer_kind == "count":
            unit = " [number of answers]"
        return Colouring(_name_of(galaxies.catalog, key) + unit, values=_numbers(column), nothing="no value")
    return by_text(column, words.column_name(key))


def by_tag(galaxies: Galaxies) -> Colouring:
    """Colour by tag; a galaxy with several shows the one that is used least, which the others would hide."""
    names = tagged.tag_names(galaxies)
    codes, best = np.full(len(galaxies), -1, dtype=np.int32), np.full(len(galaxies), len(galaxies) + 1)
    for code, name in enumerate(names):
        has = tagged.tag_codes(galaxies, name)
        rarer = has & (has.sum() < best)
        codes[rarer], best[rarer] = code, has.sum()
    return Colouring("tag", codes, tuple(names), nothing="no tag", key=TAGS)


def by_cluster(galaxies: Galaxies, clustering: str) -> Colouring:
    """Colour by the clusters of one clustering, called by their names as they are now; cluster 0 is the largest."""
    layer = f"{clustering}_label"
    labels = galaxies.layer_groups(layer)
    if labels is None:
        labels, layer = _cluster_codes(galaxies, clustering)[1], ""
    return Colouring(
        f"cluster, {words.name_of(clustering)}",
        lambda: _cluster_codes(galaxies, clustering)[0],
        names=cluster_labels.texts_of(galaxies, clustering, labels),
        lasting_names=tuple(words.cluster_name(int(label)) for label in labels),
        nothing="unclustered",
        version=fingerprint_of(about)[:8] if (about := galaxies.manifest.clusterings.get(clustering)) else "",
        layer=layer,
        key=f"{clustering}_label",
    )


def _cluster_codes(galaxies: Galaxies, clustering: str) -> tuple[np.ndarray, np.ndarray]:
    """Place of each galaxy's cluster among the labels in use, -1 for none; and these labels."""
    if ("cluster codes", clustering) not in galaxies.memory:
        labels = galaxies.labels(clustering)
        present = np.unique(labels[labels >= 0])
        codes = np.where(labels < 0, -1, np.searchsorted(present, labels)).astype(np.int32)
        galaxies.memory["cluster codes", clustering] = codes, present
    return galaxies.memory["cluster codes", clustering]


def by_text(column: pd.Series, title: str) -> Colouring:
    """Colour by the values of a text column, the most frequent first."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    sizes = np.bincount(codes[codes >= 0], minlength=len(values))
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(len(values) + 1, dtype=np.int32)
    rank[order], rank[-1] = np.arange(len(values)), -1
    names, nothing = _called([values[k] for k in order], title)
    return Colouring(title, rank[codes], names, nothing=nothing)


def _called(values: Sequence, title: str) -> tuple[tuple[str, ...], str]:
    """What different texts of a column are called, and what its galaxies without one: no two of them the same.

    Examples
    --------
    >>> _called(["weak_bar", "no_bar"], "bar"), _called(["a_b", "a b"], "kind")
    ((('weak bar', 'no bar'), 'no value'), (('a_b', 'a b'), 'no kind'))
    """
    names = tuple(str(value).replace("_", " ") for value in values)
    if len(set(names)) < len(names):
        names = tuple(map(str, values))
    return names, next(name for name in (f"no {title}", "no value", "without a value") if name not in names)


def _numbers_among(galaxies: Galaxies, key: str, values: list) -> np.ndarray:
    """Place of each galaxy's text among some, -1 for none."""
    column, place = galaxies.catalog[key].astype("category"), {value: k for k, value in enumerate(values)}
    return np.array([*(place.get(text, -1) for text in column.cat.categories), -1], np.int32)[column.cat.codes]


def _numbers(column: pd.Series) -> np.ndarray:
    """The numbers as precise as the catalog has them: in float32 a Julian date is known to six hours. Dates as MJD."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        universal = column if column.dt.tz is None else column.dt.tz_convert(None)
        column = (universal - pd.Timestamp("1858-11-17")) / pd.Timedelta(days=1)
    return column.to_numpy(dtype=np.float32 if column.dtype == np.float32 else np.float64, na_value=np.nan)


def _holds_numbers(table: pd.DataFrame | ColumnTable, column: str) -> bool:
    """Whether a column holds numbers, or dates; truth values are neither."""
    if isinstance(table, ColumnTable):
        return table.is_number(column) or _is_date(table, column)
    kind = table[column].dtype
    is_number = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
    return is_number or _is_date(table, column)


def _is_date(table: pd.DataFrame | ColumnTable, column: str) -> bool:
    if isinstance(table, ColumnTable):
        return pa.types.is_timestamp(table.file.schema_arrow.field(column).type)
    return pd.api.types.is_datetime64_any_dtype(table[column].dtype)


def _has_values(table: pd.DataFrame | ColumnTable, column: str) -> bool:
    return table.has_values(column) if isinstance(table, ColumnTable) else bool(table[column].notna().any())


def _is_category(table: pd.DataFrame | ColumnTable, column: str) -> bool:
    """Whether a column has a few different texts; all of its rows are asked, for tables may be sorted by it."""
    if not isinstance(table, ColumnTable):
        return 1 < table[column].nunique() <= MAX_CATEGORIES
    found: set = set()
    for _, texts in table.stream(column):
        found.update(texts.unique().drop_null().to_pylist())
        if len(found) > MAX_CATEGORIES:  # names, of which a million rows have as many
            return False
    return len(found) > 1
