"""A catalog as a HATS collection, which LSDB opens and cross-matches: rows partitioned by HEALPix, and their margins.

Rows come as a stream and are cut into one file for each pixel in two passes, as the importers of large surveys do: what
is in memory is one batch, or one partition, never the catalog. Positions alone are held whole.

    <out>/collection.properties
         /<name>/hats.properties, partition_info.csv, skymap.fits, dataset/Norder=*/Dir=*/Npix=*.parquet
         /<name>_<margin>arcs/...
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core.errors import ExportError
from galaxy_core.hats_partition import INDEX_ORDER, Partition, make_partition, margin_rows

INDEX_COLUMN = "_healpix_29"
PARTITION_BYTES = 256 * 2**20
MOST_ROWS = 1_000_000
MARGIN_ARCSEC = 10
SKYMAP_ORDER = 8
MISSING = "HATS needs packages of its own; install them with `pip install -r scripts/requirements-cluster.txt`."


@dataclass(frozen=True)
class HatsReport:
    """What was written: rows, partitions, galaxies left out because they have no position."""

    folder: Path
    n_rows: int
    n_partitions: int
    n_without_position: int
    n_margin_rows: int


def check_packages() -> None:
    """Raise `ExportError`, saying what to install, where HATS cannot be written."""
    try:
        import hats  # noqa: F401
    except ImportError as error:
        raise ExportError(MISSING) from error


def write_hats(
    stream: Callable[[], Iterable[pa.Table]],
    folder: str | Path,
    name: str,
    partition_rows: int | None = None,
    margin_arcsec: float = MARGIN_ARCSEC,
    report: Callable[[int, int], None] | None = None,
) -> HatsReport:
    """Write a HATS collection.

    Parameters
    ----------
    stream : callable
        ``stream()`` gives the rows as tables with ``ra_deg`` and ``dec_deg``; called twice.
    folder : path
        Of the collection; must not exist, or be empty.
    name : str
        Of the catalog in it.
    partition_rows : int, optional
        At most so many rows a partition; by default what takes about 256 MiB in memory.
    margin_arcsec : float
        Galaxies so near a border are told to the partition beyond it too, for cross-matches at that radius or less.
    report : callable, optional
        ``report(rows done, rows)``.

    Raises
    ------
    ExportError
        The packages are missing, the catalog has no positions, or the folder holds something or cannot be written.
    """
    check_packages()
    if partition_rows is not None and partition_rows < 1:
        raise ExportError(f"A partition holds at least 1 row, not {partition_rows:,}; ask for more rows a partition.")
    folder = Path(folder).absolute()  # since "." has no name
    partial = folder.parent / f".{folder.name}.partial"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ExportError(f"{folder} holds something already; give another folder, or remove it first.")
        ra, dec, row_bytes = _positions(stream)
        placed = np.isfinite(ra) & np.isfinite(dec)
        if not placed.any():
            raise ExportError("This catalog has no positions (ra_deg, dec_deg), by which HATS is cut; choose votable.")
        rows = partition_rows or int(np.clip(PARTITION_BYTES / max(row_bytes, 1), 1, MOST_ROWS))
        partition = make_partition(ra[placed], dec[placed], rows)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        n_margin = _write_all(stream, partial, name, placed, partition, margin_arcsec, report)
        folder.rmdir() if folder.exists() else None
        partial.rename(folder)
    except OSError as error:
        reason = error.strerror or error
        raise ExportError(
            f"Cannot write {folder}: {reason}; free some space or choose a folder you may write to."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return HatsReport(folder, int(placed.sum()), len(partition.pixels), int((~placed).sum()), n_margin)


def _positions(stream: Callable[[], Iterable[pa.Table]]) -> tuple[np.ndarray, np.ndarray, float]:
    """Right ascension and declination of every row, and the mean bytes of a row."""
    ra, dec, n_bytes, n_rows = [], [], 0, 0
    for table in stream():
        if not {"ra_deg", "dec_deg"} <= set(table.column_names):
            raise ExportError("This catalog has no positions (ra_deg, dec_deg), by which HATS is cut; choose votable.")
        ra.append(table["ra_deg"].to_numpy().astype(np.float64))
        dec.append(table["dec_deg"].to_numpy().astype(np.float64))
        n_bytes, n_rows = n_bytes + table.nbytes, n_rows + len(table)
    return np.concatenate(ra), np.concatenate(dec), n_bytes / max(n_rows, 1)


def _write_all(stream, folder: Path, name: str, placed, partition: Partition, margin_arcsec: float, report) -> int:
    from hats.catalog import Catalog, CollectionProperties, TableProperties

    margin_name = f"{name}_{margin_arcsec:g}arcs"
    places = ("ra_deg", "dec_deg")
    own = {"ra_column": places[0], "dec_column": places[1], "total_rows": len(partition.index)}
    own |= {"healpix_column": INDEX_COLUMN, "healpix_order": INDEX_ORDER, "hats_builder": "Galaxy Atlas"}
    about = TableProperties(catalog_name=name, catalog_type="object", skymap_order=SKYMAP_ORDER, **own)
    beyond = partition.pixels + Catalog(about, partition.pixels).generate_negative_tree_pixels()
    rows, borders = margin_rows(partition, beyond, margin_arcsec)
    spool = folder / ".spool"
    _spool(stream, spool, placed, partition, rows, borders, report)
    main = [(pixel, spool / f"main{k}") for k, pixel in enumerate(partition.pixels)]
    kept = sorted(set(borders.tolist()))
    schema = _write_table(folder / name, about, main, partition)
    margin = own | {"total_rows": len(rows), "primary_catalog": name, "margin_threshold": margin_arcsec}
    told = TableProperties(catalog_name=margin_name, catalog_type="margin", **margin)
    _write_table(folder / margin_name, told, [(beyond[k], spool / f"margin{k}") for k in kept], None, schema)
    collection = {"obs_collection": name, "hats_primary_table_url": name}
    collection |= {"all_margins": margin_name, "default_margin": margin_name}
    CollectionProperties(**collection).to_properties_file(folder)
    shutil.rmtree(spool)
    return len(rows)


def _spool(stream, spool: Path, placed, partition: Partition, rows, borders, report) -> None:
    """First pass: the rows of every batch, put down by the partition they belong to."""
    start = taken = 0
    order = np.argsort(rows, kind="stable")
    rows, borders = rows[order], borders[order]
    for number, table in enumerate(stream()):
        keep = placed[start : start + len(table)]
        start += len(table)
        table = table.filter(pa.array(keep))
        stop = taken + len(table)
        table = table.add_column(0, INDEX_COLUMN, pa.array(partition.index[taken:stop]))
        _put(table, np.arange(len(table)), partition.place[taken:stop], spool, "main", number)
        low, high = np.searchsorted(rows, [taken, stop])
        _put(table, rows[low:high] - taken, borders[low:high], spool, "margin", number)
        taken = stop
        if report:
            report(taken, len(partition.index))


def _put(table: pa.Table, rows: np.ndarray, places: np.ndarray, spool: Path, kind: str, number: int) -> None:
    for place in np.unique(places):
        folder = spool / f"{kind}{place}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.take(rows[places == place]), folder / f"{number:06d}.parquet", compression="lz4")


def _write_table(
    folder: Path, about, parts: Sequence[tuple], partition: Partition | None, schema: pa.Schema | None = None
) -> pa.Schema:
    """Second pass: one file a partition, sorted along the sky, and the files that describe them all; their schema."""
    from hats.catalog import PartitionInfo
    from hats.io import paths, write_parquet_metadata
    from hats.io.file_io.file_io import get_parquet_write_table_kwargs
    from hats.io.skymap import write_skymap

    most = 0
    for pixel, fragments in parts:
        table = pa.concat_tables(_read(fragments)).sort_by(INDEX_COLUMN)
        options = get_parquet_write_table_kwargs(table.schema) | {"row_group_size": _row_group(table)}
        pq.write_table(table, str(paths.new_pixel_catalog_file(folder, pixel)), **options)
        shutil.rmtree(fragments)  # a survey need not lie on the disk twice
        most, schema = max(most, len(table)), table.schema
    if parts:
        write_parquet_metadata(folder, create_metadata=True)
    else:  # a margin that no galaxy lies in is said to be empty, since one that is missing means unknown
        (folder / "dataset").mkdir(parents=True)
        for file_name in ("_metadata", "_common_metadata"):
            pq.write_metadata(schema, folder / "dataset" / file_name)
    info = PartitionInfo([pixel for pixel, _ in parts])
    info.write_to_file(catalog_path=folder)
    if partition is not None:
        fine = partition.index >> (2 * (INDEX_ORDER - SKYMAP_ORDER))
        counts = np.bincount(fine, minlength=12 * 4**SKYMAP_ORDER)
        write_skymap(counts, folder)
    told = {"hats_max_rows": most, "hats_order": info.get_highest_order() if parts else None}
    told |= {"moc_sky_fraction": float(info.calculate_fractional_coverage())}
    about.copy_and_update(**told).to_properties_file(folder)
    return schema


def _read(folder: Path) -> Iterator[pa.Table]:
    return (pq.read_table(path) for path in sorted(folder.iterdir()))


def _row_group(table: pa.Table) -> int:
    """Rows of about 8 MiB: pictures are read one at a time, numbers many."""
    return int(np.clip(8 * 2**20 / max(table.nbytes / max(len(table), 1), 1), 64, 131_072))
