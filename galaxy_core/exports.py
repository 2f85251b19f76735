"""A selection as a table that astronomers' tools open, with where it comes from written inside the file.

`selection_table` gathers what is known of the selected galaxies, `provenance` how they came to be selected, and
`export_selection` writes both as CSV, Parquet, VOTable or FITS; `galaxy_core.table_formats` does the writing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core import table_formats
from galaxy_core.artifacts import schemas
from galaxy_core.artifacts.files import cached_sha256
from galaxy_core.column_notes import DESCRIPTION, UNIT, WHOLE, notes_of, set_notes, with_own_id
from galaxy_core.errors import ExportError
from galaxy_core.table_formats import Column

FORMATS = {  # name of the format: how people call it, end of the file name, media type
    "csv": ("CSV", "csv", "text/csv"),
    "parquet": ("Parquet", "parquet", "application/vnd.apache.parquet"),
    "votable": ("VOTable", "vot", "application/x-votable+xml"),
    "fits": ("FITS table", "fits", "application/fits"),
}
WRITERS = {
    "csv": table_formats.csv_bytes,
    "parquet": table_formats.parquet_bytes,
    "votable": table_formats.votable_bytes,
    "fits": table_formats.fits_bytes,
}


def export_selection(frame: pd.DataFrame, provenance: Mapping[str, object], fmt: str) -> bytes:
    """A table as the content of a file.

    Parameters
    ----------
    frame : pandas.DataFrame
        As made by `selection_table`; any types. Where `galaxy_core.column_notes` tells how the owner of the table calls
        the ids, they are there under that name too, as numbers if they were. What a format cannot hold is written as
        text; where text is missing every format gets an empty one, and line breaks in it become spaces.
    provenance : dict of str to str or int
        Comment lines ``# key: value`` in CSV (``Table.read(..., format="ascii.csv", comment="#")``), key-value metadata
        in Parquet, PARAM elements in VOTable, header cards in FITS.
    fmt : {"csv", "parquet", "votable", "fits"}

    Returns
    -------
    bytes

    Raises
    ------
    ExportError
        The format cannot hold this table.
    """
    if fmt not in WRITERS:
        raise ValueError(f"no format {fmt!r}; there are {', '.join(WRITERS)}")
    names = [one_line(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise ExportError(
            "The table repeats a column name; rename the columns of the catalog and run the pipeline again."
        )
    frame, notes = with_own_id(frame), notes_of(frame)
    columns = []
    for place, name in enumerate(map(str, frame.columns)):
        unit, description = (one_line(notes.get(name, {}).get(key, "")) for key in (UNIT, DESCRIPTION))
        columns.append(replace(as_column(one_line(name), frame.iloc[:, place]), own_unit=unit, description=description))
    written = {str(k): value if isinstance(value, int) else one_line(value) for k, value in provenance.items()}
    return WRITERS[fmt](columns, written)


def as_column(name: str, values: pd.Series) -> Column:
    """A column of any type as numbers, yes or no, times (in UTC) or text; what but a float is missing is masked."""
    if values.dtype == object:
        values = values.convert_dtypes(convert_string=False)
    elif isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    missing = values.isna().to_numpy(dtype=bool)
    mask, kind = missing if missing.any() else None, pd.api.types
    if kind.is_bool_dtype(values.dtype):
        return Column(name, values.to_numpy(dtype=bool, na_value=False), mask)
    if kind.is_integer_dtype(values.dtype):
        numbers = values.to_numpy(dtype=getattr(values.dtype, "numpy_dtype", values.dtype), na_value=0)
        fitting = next((whole for whole in WHOLE if np.can_cast(numbers.dtype, whole)), None)
        if fitting or not len(numbers) or numbers.max() <= np.iinfo(np.int64).max:  # uint64 may not fit
            return Column(name, numbers.astype(fitting or np.int64, copy=False), mask)
    elif kind.is_float_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return Column(name, numbers if values.dtype.itemsize > 4 else numbers.astype(np.float32))
    elif kind.is_datetime64_any_dtype(values.dtype):
        moments = values.dt.tz_convert(None) if values.dt.tz else values
        texts = as_text(moments.map(lambda moment: moment.isoformat(), na_action="ignore"), missing)
        return Column(name, texts, moments=moments.to_numpy())
    return Column(name, as_text(values, missing))


def as_text(values: pd.Series, missing: np.ndarray) -> np.ndarray:
    """Values as text, shape (n,) of str objects; empty where missing, control characters as spaces."""
    texts = values.to_numpy(dtype=object, copy=True)
    texts[missing] = ""
    return np.array([one_line(text) for text in texts], dtype=object)


def one_line(value: object) -> str:
    """A value as text without line breaks and other control characters.

    Examples
    --------
    >>> one_line("two\\nlines"), one_line(3)
    ('two lines', '3')
    """
    text = value if type(value) is str else str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() or ord(c) > 159 else " " for c in text)


def provenance(
    root: str | Path,
    manifest: schemas.Manifest,
    n_selected: int,
    selection: str,
    now: datetime | None = None,
    cluster_names: Mapping[str, Mapping[int, str]] | None = None,
) -> dict[str, str | int]:
    """Where a selection comes from.

    Parameters
    ----------
    root : path
        Folder of the artifacts.
    manifest : Manifest
    n_selected : int
    selection : str
        How the galaxies were selected, in words.
    now : datetime.datetime, optional
        Time of the export; the present by default.
    cluster_names : dict of str to dict of int to str, optional
        Names that people gave to clusters, by clustering and label. They are written as JSON, and only where there are
        some: ``{"hdbscan": {"0": "edge on"}}``.
    """
    path = schemas.catalog_folder(root, manifest.name) / schemas.MANIFEST_FILE
    model = manifest.config.get("models", {}).get(manifest.model, {})
    about_clusters = {"cluster_names": names_as_json(cluster_names)} if cluster_names else {}
    return {
        "catalog": manifest.name,
        "source": f"{manifest.layout}:{manifest.source}" if manifest.layout else manifest.source,
        "model": manifest.model,
        "model_fingerprint": model.get("fingerprint", ""),
        "manifest_sha256": cached_sha256(path) if path.exists() else "",
        "n_galaxies": manifest.n_galaxies,
        "n_selected": n_selected,
        "selection": selection,
        **about_clusters,
        "date_utc": (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "schema_version": manifest.schema_version,
        "software": "Galaxy Atlas",
    }


def names_as_json(cluster_names: Mapping[str, Mapping[int, str]]) -> str:
    r"""Names of clusters as JSON, ``<``, ``>`` and ``&`` as escapes: headers in XML would else change them.

    Examples
    --------
    >>> print(names_as_json({"hdbscan": {0: "edge on", 2: "a<b"}}))
    {"hdbscan": {"0": "edge on", "2": "a\u003cb"}}
    """
    named = {clustering: {str(k): name for k, name in names.items()} for clustering, names in cluster_names.items()}
    text = json.dumps(named, ensure_ascii=False)
    return text.translate({ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"})


def selection_table(
    catalog: pd.DataFrame,
    clusters: pd.DataFrame,
    rows: np.ndarray,
    *,
    anomaly: np.ndarray | None = None,
    trust: Mapping[str, np.ndarray | None] | None = None,
    tags: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
    similarity: np.ndarray | None = None,
) -> pd.DataFrame:
    """Everything that is known of some galaxies, one row each.

    Parameters
    ----------
    catalog, clusters : pandas.DataFrame
        Of all galaxies, in the same order.
    rows : int array, shape (n_selected,)
    anomaly : float32 array, shape (n,), optional
        Written as ``anomaly_score``.
    trust : dict of str to float32 array, optional
        For each projection; written as ``trust_<projection>``.
    tags : dict of str to list of str, or series of str and shape (n,), optional
        Tags of each ``galaxy_id`` that has some, or the text for each row; written as ``tags``, separated by ``; ``.
    similarity : float array, shape (n_selected,), optional
        To the galaxy that these were selected to be like; written as ``similarity``.

    Returns
    -------
    pandas.DataFrame
        ``galaxy_id``, ``ra_deg`` and ``dec_deg`` first. A column of the catalog keeps its name; of the others, one that
        is taken already gets ``atlas_`` before it.
    """
    first = [name for name in ("galaxy_id", "ra_deg", "dec_deg") if name in catalog]
    table = catalog[first + [name for name in catalog if name not in first]].iloc[rows].reset_index(drop=True)
    more: dict[str, object] = {}
    for name in clusters.columns:
        if name.endswith(("_label", "_membership")):
            more[name] = clusters[name].to_numpy()[rows]
    if anomaly is not None:
        more["anomaly_score"] = anomaly[rows]
    for projection, values in (trust or {}).items():
        if values is not None:
            more[f"trust_{projection}"] = values[rows]
    if isinstance(tags, Mapping):
        more["tags"] = ["; ".join(tags.get(galaxy_id, ())) for galaxy_id in table["galaxy_id"]]
    elif tags is not None:
        more["tags"] = np.asarray(tags, dtype=object)[rows]
    if similarity is not None:
        more["similarity"] = similarity
    added = {(f"atlas_{name}" if name in table else name): values for name, values in more.items()}
    return set_notes(pd.concat([table, pd.DataFrame(added, index=table.index)], axis=1), notes_of(table))
