"""Where galaxies come from: one layout a file, each ``read(root) -> Catalog``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from galaxy_core.addresses import without_secrets
from galaxy_core.catalogs.catalog import Catalog, ReadReport
from galaxy_core.errors import CatalogError


def _read(module: str, source: Path | str) -> Catalog:
    # imported on first use: a folder of JPEGs needs neither astropy nor pyarrow
    return import_module(f"galaxy_core.catalogs.{module}").read(source)


LAYOUTS: dict[str, Callable[[Path | str], Catalog]] = {
    "kaggle": partial(_read, "kaggle"),
    "gz2": partial(_read, "gz2"),
    "galaxy-zoo": partial(_read, "galaxy_zoo_parquet"),
    "folder": partial(_read, "image_folder"),
    "fits-stamps": partial(_read, "fits_stamps"),
    "synthetic": partial(_read, "synthetic"),
    "hats": partial(_read, "hats_catalog"),
    "star-galaxy": partial(_read, "star_galaxy"),
}


def read_catalog(spec: str) -> Catalog:
    """Read the catalog named ``LAYOUT:PATH``, for example ``gz2:/data/galaxy_zoo_2`` or ``synthetic:2000``.

    Raises
    ------
    CatalogError
        The layout is unknown, or the path does not hold it.

    Examples
    --------
    >>> read_catalog("kagle:here")
    Traceback (most recent call last):
    ...
    galaxy_core.errors.CatalogError: 'kagle:here' is not LAYOUT:PATH; ...
    """
    layout, colon, source = str(spec).partition(":")
    if not colon or not source or layout not in LAYOUTS:
        said = without_secrets(str(spec))
        raise CatalogError(
            f"'{said}' is not LAYOUT:PATH; the layouts are {', '.join(LAYOUTS)} (as in folder:my_images)."
        )
    try:
        source.encode()
    except UnicodeEncodeError:  # the manifest, which is written after all the work, could not name it
        raise CatalogError(f"{source!a} is no UTF-8; rename that folder in letters that are.") from None
    return LAYOUTS[layout](source)


__all__ = ["LAYOUTS", "Catalog", "ReadReport", "read_catalog"]
