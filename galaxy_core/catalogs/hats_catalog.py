"""`hats:PATH`: a HATS catalog or collection with an image of each galaxy: a survey partitioned by HEALPix.

Images are bytes of a picture or FITS file, or pixels in nested lists (height x width, with bands first or last),
alone or inside a struct beside what describes them, as the Multimodal Universe stores cutouts.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxy_core.addresses import told
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.galaxy_zoo_parquet import answer_columns
from galaxy_core.catalogs.nested_images import NestedImages, nested_image_of
from galaxy_core.catalogs.parquet_images import ParquetImages, has_image, image_column_of
from galaxy_core.catalogs.parquet_tables import joined_frame, read_flat, read_schema
from galaxy_core.catalogs.tables import (
    ID_COLUMNS,
    clean_answers,
    clean_text,
    constant_scale,
    find_column,
    select_rows,
)
from galaxy_core.errors import CatalogError, StorageError
from galaxy_core.places import Place, place_of

INDEX_COLUMN = "_healpix_29"
PARTITION_COLUMNS = ("Norder", "Dir", "Npix", INDEX_COLUMN)
PREFERRED = ("image", "cutout", "stamp", "rgb_image", "thumbnail", "picture")


def read(root: Path | str) -> Catalog:
    """Read a HATS catalog, or the primary catalog of a HATS collection.

    Parameters
    ----------
    root : path

    Returns
    -------
    Catalog
        Rows in the order of the sky's nested numbering. Without a column of ids, ``galaxy_id`` is the HEALPix pixel of
        order 29, with a number behind it where galaxies share one.

    Raises
    ------
    CatalogError
        The packages are missing, it is no HATS catalog, or it holds no images.
    """
    files, ra_column, dec_column = _files_of(root)
    try:
        schema = read_schema(files[0])
        table = joined_frame([read_flat(file) for file in files])
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise CatalogError(f"Cannot read the Parquet files of hats:{root} ({reason}); fetch them again.") from error
    nested, encoded = image_column(schema)
    if nested is None and encoded is None:
        raise CatalogError(
            f"hats:{root} has no column of images (bytes of a picture, or pixels in nested lists); "
            "add cutouts to it, since galaxies are compared by how they look."
        )
    table = table.rename(columns={ra_column: "ra_deg", dec_column: "dec_deg"})
    ids = _ids(table)
    table = table.drop(columns=[name for name in PARTITION_COLUMNS if name in table])
    answers, kind = answer_columns(table.columns)
    if kind == "count" and not (table[answers].max(numeric_only=True) > 1).any():
        kind = "fraction"
    table, notes = clean_answers(table, answers, kind)
    rows = pd.Series(np.arange(len(table)), dtype=object)
    if nested is None:
        rows = rows.where(has_image(files, encoded), None)
    table, chosen, report = select_rows(table, ids, rows, rows.dropna().tolist(), notes)
    chosen = np.array(chosen, dtype=np.int64)
    images = ParquetImages(files, encoded, chosen) if nested is None else NestedImages(files, nested, chosen)
    return Catalog(
        table=table,
        load_image=images,
        layout="hats",
        source=str(root),
        report=report,
        linear=nested is not None,
        answer_columns=tuple(answers),
        answer_kind=kind,
        pixel_scale_arcsec=constant_scale(table),
    )


def _files_of(root: Path | str) -> tuple[list[Path | Place], str, str]:
    """Parquet files in the order of the sky, and the columns of right ascension and declination."""
    try:
        import hats
        from hats.io import paths
        from upath import UPath
    except ImportError as error:
        from galaxy_core.hats_export import MISSING

        raise CatalogError(MISSING) from error
    place = place_of(root)
    try:
        with nullcontext() if isinstance(place, Path) else told(place.address):
            # a text would be read without the credentials of a store
            catalog = hats.read_hats(place if isinstance(place, Path) else UPath(place.address))
    except StorageError:
        raise
    except Exception as error:  # of this one call: hats, pydantic, mocpy and pandas each raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CatalogError(f"{place} is no HATS catalog ({reason}); give the folder of hats.properties.") from error
    catalog = getattr(catalog, "main_catalog", catalog)
    about = catalog.catalog_info
    suffix = about.npix_suffix
    files: list[Path | Place] = []
    for pixel in catalog.get_healpix_pixels():
        file = place_of(str(paths.pixel_catalog_file(catalog.catalog_base_dir, pixel, npix_suffix=suffix)))
        files += sorted(file.glob("*.parquet")) if suffix == "/" else [file]
    if not files:
        raise CatalogError(f"hats:{root} has no partition; it is empty, or was copied in part.")
    return files, about.ra_column or "ra", about.dec_column or "dec"


def image_column(schema: pa.Schema) -> tuple[tuple[str, ...] | None, str | None]:
    """Path of the column of images, as nested lists or else as encoded bytes; those called like images come first."""
    known = [name for wanted in PREFERRED for name in schema.names if wanted in name.lower()]
    for name in dict.fromkeys([*known, *schema.names]):
        column = pa.schema([schema.field(name)])
        nested, encoded = nested_image_of(column), image_column_of(column)
        if nested or encoded:
            return nested, None if nested else encoded
    return None, None


def _ids(table: pd.DataFrame) -> pd.Series:
    column = find_column(table.columns, ID_COLUMNS)
    if column is not None:
        return clean_text(table[column])
    if INDEX_COLUMN not in table:
        return pd.Series([f"{row:06d}" for row in range(len(table))], index=table.index)
    text = table[INDEX_COLUMN].astype("str").rename(None)
    repeats = table.groupby(INDEX_COLUMN).cumcount()
    return text.where(repeats == 0, text + "-" + repeats.astype("str"))
