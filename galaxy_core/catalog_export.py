"""A whole catalog of artifacts in a format that other programs open: HATS as a stream, tables in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from galaxy_core import artifacts
from galaxy_core.artifacts import atomic_path
from galaxy_core.artifacts.streaming import stream_columns
from galaxy_core.column_notes import notes_in, notes_of, set_notes, with_own_ids
from galaxy_core.errors import ExportError
from galaxy_core.exports import FORMATS, WRITERS, export_selection, provenance
from galaxy_core.hats_export import HatsReport, check_packages, write_hats

PARTS = ("projections", "clusters", "anomalies", "embedding", "images")
DEFAULT_PARTS = ("projections", "clusters")
ALL_FORMATS = ("hats", *FORMATS)


def groups_of(root: str | Path, name: str, parts: Sequence[str], model: str | None = None) -> list[str]:
    """What `stream_columns` calls the parts that are wanted.

    Raises
    ------
    ExportError
        The catalog does not have such a part.
    """
    manifest = artifacts.read_manifest(root, name)
    groups = []
    for part in parts:
        if part == "embedding":
            known, wanted = artifacts.list_embeddings(root, name), model or manifest.model
            if wanted not in known:
                raise ExportError(f"{name} has no embedding by {wanted}; it has {', '.join(known) or 'none'}.")
            groups.append(f"embedding/{wanted}")
        elif part == "images":
            groups.append("thumbnails")
        elif not artifacts.has_table(manifest, part):
            raise ExportError(f"{name} has no {part}; leave them out, or run the pipeline again.")
        else:
            groups.append(part)
    return groups


def export_hats(
    root: str | Path,
    name: str,
    out: str | Path,
    parts: Sequence[str] = DEFAULT_PARTS,
    model: str | None = None,
    partition_rows: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> HatsReport:
    """Write a catalog as a HATS collection into the folder ``out``; see `galaxy_core.hats_export.write_hats`.

    Parameters
    ----------
    parts : sequence of str
        Of `PARTS`: what goes along beside the catalog's own columns. Images are the thumbnails, as webp.
    model : str, optional
        Whose embedding; by default the one the maps were made from.
    """
    check_packages()
    groups = groups_of(root, name, parts, model)
    return write_hats(
        lambda: map(with_own_ids, stream_columns(root, name, groups)), out, name, partition_rows, report=report
    )


def export_table(
    root: str | Path, name: str, out: str | Path, fmt: str, parts: Sequence[str] = DEFAULT_PARTS
) -> tuple[Path, int]:
    """Write a catalog as one table: the file, and its number of rows.

    Raises
    ------
    ExportError
        Embeddings or images are asked for, which only HATS carries here, or the format cannot hold the table.
    """
    if fmt not in WRITERS:
        raise ExportError(f"There is no format '{fmt}'; choose among {', '.join(ALL_FORMATS)}.")
    if {"embedding", "images"} & set(parts):
        raise ExportError(f"Embeddings and images go along with hats alone, not with {fmt}; leave them out.")
    if Path(out).is_dir():
        raise ExportError(f"{out} is a folder; name the file to write, as in {Path(out) / name}.{FORMATS[fmt][1]}.")
    stream = stream_columns(root, name, groups_of(root, name, parts))
    tables = [set_notes(table.to_pandas(), notes_in(table.schema)) for table in stream]
    frame, notes = pd.concat(tables, ignore_index=True), notes_of(tables[0])
    first = [column for column in ("galaxy_id", "ra_deg", "dec_deg") if column in frame]
    frame = set_notes(frame[first + [column for column in frame if column not in first]], notes)
    told = provenance(root, artifacts.read_manifest(root, name), len(frame), "all galaxies")
    with atomic_path(Path(out)) as temporary:
        temporary.write_bytes(export_selection(frame, told, fmt))
    return Path(out), len(frame)
