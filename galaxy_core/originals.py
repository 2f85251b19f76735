"""The image a galaxy of the artifacts was made from: its catalog read again, and the galaxy found in it by id.

Artifacts keep a thumbnail of 8 bits and at most 128 px, compressed with loss. The pixels that models saw, in full depth
and size, are still where the catalog was read from, as long as nobody moved or changed them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from galaxy_core.addresses import is_address
from galaxy_core.artifacts import Manifest
from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.display import central_part
from galaxy_core.embedding import ImageSettings, encode_thumbnail
from galaxy_core.errors import CatalogError, GalaxyError, ImageError
from galaxy_core.images import decode_image, resize_square
from galaxy_core.stretch import to_display

PROJECT = Path(__file__).resolve().parents[1]
# Root mean square difference of two thumbnails over the scatter of one: 0 for one image encoded alike, up to 0.25 for
# one encoded at quality 85 and 90, from 0.26 for two galaxies (200 each of Galaxy Zoo 2, twice, and simulated).
SAME = 0.2
SIMULATED_PX = 128  # as `catalogs.synthetic.SIZE_PX`, which is slow to import


@dataclass(frozen=True)
class Originals:
    """The images of a catalog that was read again.

    Attributes
    ----------
    row_of : callable
        Row of a ``galaxy_id`` in the catalog, None where it has none of that id.
    load_image : callable
        As in `galaxy_core.catalogs.Catalog`.
    linear, field_fraction : bool, float
        As in `galaxy_core.catalogs.Catalog`.
    where : str
        The catalog as ``LAYOUT:PATH``.
    thumbnail_quality : int
        With which thumbnails were encoded.
    """

    row_of: Callable[[str], int | None] = field(repr=False)
    load_image: Callable[[int], np.ndarray] = field(repr=False)
    linear: bool
    field_fraction: float
    where: str
    thumbnail_quality: int


@dataclass(frozen=True)
class Original:
    """One galaxy's image as its catalog has it.

    Attributes
    ----------
    pixels : ndarray of float32, shape (bands, height, width)
        Central part of the field, in [0, 1] for display images and in the file's units for linear ones.
    display : ndarray of float32, shape (3, height, width)
        The same as models and thumbnails see it, in [0, 1].
    linear : bool
    """

    pixels: np.ndarray = field(repr=False)
    display: np.ndarray = field(repr=False)
    linear: bool


def open_originals(manifest: Manifest) -> Originals:
    """Read the catalog that a manifest names once more; simulated galaxies are drawn again one by one instead.

    A relative path is looked for in the working directory and then in the project's folder, where pipelines run.

    Raises
    ------
    CatalogError
        The manifest names no catalog, or it cannot be read any more.
    """
    if not manifest.layout or not manifest.source:
        raise CatalogError(f"{manifest.name} does not say where its images are; only its thumbnails can be shown.")
    where = f"{manifest.layout}:{manifest.source}"
    settings = {**asdict(ImageSettings()), **manifest.config.get("images", {})}
    quality = int(settings["thumbnail_quality"])
    if manifest.layout == "synthetic":
        return _simulated(manifest.source, where, quality)
    catalog = read_catalog(f"{manifest.layout}:{source_path(manifest.source)}")
    rows = {str(galaxy_id): row for row, galaxy_id in enumerate(catalog.galaxy_ids)}
    return Originals(rows.get, catalog.load_image, catalog.linear, catalog.field_fraction, where, quality)


def source_path(source: str) -> Path | str:
    """Where a catalog's source is now: as it was given, or under the project's folder."""
    if is_address(source):
        return source
    path = Path(source).expanduser()
    return path if path.is_absolute() or path.exists() or not (PROJECT / path).exists() else PROJECT / path


def _simulated(source: str, where: str, quality: int) -> Originals:
    from galaxy_core.catalogs.synthetic import SIZE_PX
    from galaxy_core.simulator import simulate

    match = re.fullmatch(r"(\d+)(?:@(\d+))?", source.strip(), re.ASCII)
    if match is None:
        raise CatalogError(f"{where} is no number of galaxies, so they cannot be drawn again.")
    number, seed = int(match[1]), int(match[2] or 0)

    def row_of(galaxy_id: str) -> int | None:
        found = re.fullmatch(rf"sim-{seed}-(\d{{6,}})", galaxy_id, re.ASCII)
        return int(found[1]) if found and int(found[1]) < number else None

    return Originals(row_of, lambda row: simulate(row, seed, SIZE_PX).image, False, 1.0, where, quality)


def thumbnail_scale(manifest: Manifest, side_px: int) -> float | None:
    """Pixels of the catalog's image in each pixel of a thumbnail, as far as that is known without the image.

    Images no larger than thumbnails are kept pixel for pixel, and simulated ones have one size.
    """
    if manifest.layout == "synthetic":
        return SIMULATED_PX / side_px
    settings = {**asdict(ImageSettings()), **manifest.config.get("images", {})}
    return 1.0 if side_px < settings["thumbnail_px"] else None


def find_original(originals: Originals, galaxy_id: str, thumbnail: bytes = b"") -> tuple[Original | None, str]:
    """The image of one galaxy, or why there is none.

    Parameters
    ----------
    originals : Originals
    galaxy_id : str
    thumbnail : bytes, optional
        The stored picture; an image that looks different from it has changed since and is not shown.

    Returns
    -------
    Original or None
    str
        Empty, or one sentence for where the image would be.
    """
    row = originals.row_of(galaxy_id)
    if row is None:
        return None, f"{originals.where} no longer has a galaxy {galaxy_id}."
    try:
        whole = originals.load_image(row)
    except (GalaxyError, OSError, ValueError) as error:
        return None, f"The image of {galaxy_id} cannot be read from {originals.where}: {_sentence(error)}"
    display = central_part(to_display(whole, originals.linear), originals.field_fraction)
    if thumbnail and not looks_alike(display, thumbnail, originals.thumbnail_quality):
        return None, f"The image of {galaxy_id} in {originals.where} has changed since the thumbnail was made."
    return Original(central_part(whole, originals.field_fraction), display, originals.linear), ""


def looks_alike(display: np.ndarray, thumbnail: bytes, quality: int) -> bool:
    """Whether a display image, made a thumbnail again, is the stored one; True where that cannot be read."""
    try:
        stored = decode_image(thumbnail, "thumbnail").pixels
    except ImageError:
        return True
    if stored.shape[1] != stored.shape[2]:
        return True
    again = decode_image(encode_thumbnail(resize_square(display, stored.shape[1]), quality), "thumbnail").pixels
    difference = float(np.sqrt(np.mean((again - stored) ** 2)))
    return difference <= max(SAME * float(stored.std()), 1 / 255)


def _sentence(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text if text.endswith(".") else f"{text}."
