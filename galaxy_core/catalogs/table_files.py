"""The table beside images: CSV, or what astronomers' programs write: FITS, VOTable and Parquet."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core.catalogs.tables import read_csv, strip_names
from galaxy_core.errors import CatalogError, GalaxyError
from galaxy_core.places import Place

CSV = (".csv", ".csv.gz")
ENDINGS = (*CSV, ".fits", ".vot", ".parquet")


def find_table(folder: Path | Place, stems: Sequence[str], images: str = "") -> Path | Place | None:
    """The first table in a folder that is called like one of these, with any of `ENDINGS`, but for a file of images."""
    names = (stem + ending for stem in stems for ending in ENDINGS)
    return next((folder / name for name in names if name != images and (folder / name).is_file()), None)


def read_table(path: Path | Place) -> tuple[pd.DataFrame, list[str]]:
    """A table with ids as text, and sentences on what could not be read; columns of arrays are left out.

    Raises
    ------
    CatalogError
    """
    if path.name.endswith(CSV):
        return read_csv(path)
    # imported here, since a table in CSV takes neither pyarrow nor astropy
    from galaxy_core.catalogs.parquet_tables import joined_frame, read_flat

    try:
        part = read_flat(path) if path.suffix == ".parquet" else _read_astropy(path)
        return strip_names(joined_frame([part])), []
    except GalaxyError:
        raise
    except Exception as error:  # of these calls: pyarrow, astropy and the reader of XML each raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise CatalogError(f"Cannot read {path} as a table ({reason}); check that the file is complete.") from error


def _read_astropy(path: Path | Place):
    """The first table of a FITS or VOTable file, as a `pyarrow.Table`; what is masked is null."""
    import pyarrow as pa
    from astropy.table import Table

    form = {"format": "fits"} if path.suffix == ".fits" else {"format": "votable", "use_names_over_ids": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that no standard knows, and of more tables in the file
        table = Table.read(io.BytesIO(path.read_bytes()), **form)
        table.convert_bytestring_to_unicode()
        flat = [name for name in table.colnames if table[name].ndim == 1 and not _holds_arrays(table[name])]
        return pa.Table.from_pandas(table[flat].to_pandas(index=False), preserve_index=False)


def _holds_arrays(column) -> bool:
    return column.dtype.kind == "O" and any(isinstance(value, np.ndarray | list | tuple) for value in column)
