"""Galaxies of a frame as a catalog of its own: their stamps, and what was measured.

It is a folder in the layout ``fits-stamps``: ``stamps.fits`` with an extension a galaxy, and ``catalog.csv``, so the
pipeline and every page understand it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.errors import CatalogError
from galaxy_core.fits_layout import BLOCK
from galaxy_core.frame_bands import SkyFrame
from galaxy_core.frame_filters import by_wavelength
from galaxy_core.frame_measures import EDGE, SATURATED
from galaxy_core.frame_stamps import corner_of, cut_stamp, pixel_scale_of, stamp_side
from galaxy_core.frame_table import OF_A_BAND
from galaxy_core.image_limits import safe_name

if TYPE_CHECKING:
    from astropy.wcs import WCS

STAMPS, TABLE = "stamps.fits", "catalog.csv"
FIRST_BYTES = 4 * BLOCK  # of a file of stamps, that hold the first one's header
# Columns of the frame's catalogue that go along, by their names in the new one.
KEPT = {
    "x": "x_px",
    "y": "y_px",
    "magnitude": "magnitude",
    "flux": "flux",
    "flux_err": "flux_err",
    "snr": "snr",
    "half_light_radius": "half_light_radius_px",
    "ellipticity": "ellipticity",
    "position_angle_deg": "position_angle_deg",
    "p_galaxy": "p_galaxy",
    "flags": "flags",
}


def galaxy_rows(
    objects: pd.DataFrame, min_snr: float = 10.0, whole: bool = True, min_probability: float = 0.5
) -> np.ndarray:
    """Row numbers, int64, of the objects of a catalogue that are worth a stamp.

    Parameters
    ----------
    min_snr : float
        In the first band.
    whole : bool
        Leave out what is cut by the frame's edge, and what is saturated.
    min_probability : float
        Of being a galaxy; objects of which that is not known are kept.
    """
    probability = objects["p_galaxy"].to_numpy()
    keep = (objects["snr"].to_numpy() >= min_snr) & ~(probability < min_probability)
    if whole:
        keep &= (objects["flags"].to_numpy() & (EDGE | SATURATED)) == 0
    return np.flatnonzero(keep)


def write_stamp_catalog(
    frame: SkyFrame,
    objects: pd.DataFrame,
    rows: Sequence[int],
    folder: Path,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Write objects of a frame as a catalog in the layout ``fits-stamps``; each file appears when it is whole.

    Parameters
    ----------
    frame : SkyFrame
    objects : pandas.DataFrame
        The frame's catalogue.
    rows : sequence of int
        Of ``objects``.
    folder : path
        Made where it is missing; ``stamps.fits`` and ``catalog.csv`` in it are replaced if they are such stamps.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    CatalogError
        No objects, the folder cannot be written, or it holds stamps or a catalog of another origin.
    """
    if len(rows) == 0:
        raise CatalogError("No object of the frame was chosen, so there is no catalog to write; lower the limits.")
    _check_replaced(folder)
    scale, lines = pixel_scale_of(frame), []
    stem = safe_name(frame.name) or "frame"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / STAMPS) as temporary, temporary.open("wb") as file:
            file.write(_extension(None, {}))
            for done, number in enumerate(rows):
                row = objects.iloc[int(number)]
                galaxy_id = f"{stem}_{int(row['number']):05d}"
                side = stamp_side(row["half_light_radius"], row["semi_major"])
                stamp = cut_stamp(frame, row["x"], row["y"], side)
                file.write(_extension(stamp, _stamp_cards(frame, row, side, galaxy_id)))
                line = {"galaxy_id": galaxy_id, "hdu": done + 1, "ra_deg": row["ra_deg"], "dec_deg": row["dec_deg"]}
                line |= {"split_group": stem, "pixel_scale_arcsec": np.nan if scale is None else scale}
                lines.append(line | {new: row[old] for old, new in KEPT.items()} | _of_bands(row, frame))
                if progress:
                    progress((done + 1) / len(rows))
        table = pd.DataFrame(lines).dropna(axis="columns", how="all")
        with atomic_path(folder / TABLE) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    except OSError as error:
        raise CatalogError(f"Cannot write to {folder}: {error.strerror}; choose another folder.") from None
    return folder


def _check_replaced(folder: Path) -> None:
    """`CatalogError` if a file that would be replaced was not written by `write_stamp_catalog`."""
    for name, sign in ((STAMPS, b"FRAMEX  ="), (TABLE, b"galaxy_id,hdu,")):
        try:
            with (folder / name).open("rb") as file:
                own = sign in file.read(FIRST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            own = False
        if not own:
            raise CatalogError(f"{folder / name} holds no stamps of a frame and stays; choose another folder.")


def _of_bands(row: pd.Series, frame: SkyFrame) -> dict[str, float]:
    """What was measured in each band, where there are several, and colours of neighbours that have a zero point."""
    if len(frame.bands) == 1:
        return {}
    own = [(kind, f"{kind}_{band.name}") for band in frame.bands for kind in OF_A_BAND if kind in KEPT]
    values = {KEPT[kind].replace(kind, name): row[name] for kind, name in own}  # with the unit at the end
    names = by_wavelength([band.name for band in frame.bands if np.isfinite(band.zero_point_mag)])
    for blue, red in pairwise(names):
        values[f"{blue}_minus_{red}_mag"] = row[f"magnitude_{blue}"] - row[f"magnitude_{red}"]
    return values


def _stamp_cards(frame: SkyFrame, row: pd.Series, side: int, galaxy_id: str) -> dict[str, object]:
    """Header cards of a stamp: its name, its place in the frame, and its coordinates."""
    top, left = corner_of(row["x"], row["y"], side)
    cards: dict[str, object] = {"EXTNAME": galaxy_id[:60], "FRAME": frame.name[:60], "FRAMEX": left, "FRAMEY": top}
    unit = (frame.header or {}).get("BUNIT")
    if isinstance(unit, str) and unit.strip():
        cards["BUNIT"] = unit.strip()
    if frame.wcs is not None:
        middle = (side - 1) / 2
        cards |= _local_cards(frame.wcs, left + middle, top + middle, middle + 1)
    return cards


def _local_cards(wcs: WCS, x: float, y: float, crpix: float) -> dict[str, object]:
    """Cards of the plane that touches the sky at a place of the frame, pixel ``crpix`` of both axes of a stamp.

    So a stamp needs none of the frame's distortions; none where the frame's projection has no such place.
    """
    from astropy.wcs import WCS

    world = wcs.all_pix2world([[x, y], [x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]], 0)
    if not np.isfinite(world).all():
        return {}
    plane = WCS(naxis=2)
    plane.wcs.ctype = [f"{kind[:5]}TAN" for kind in wcs.wcs.ctype]
    plane.wcs.radesys, plane.wcs.equinox = wcs.wcs.radesys, wcs.wcs.equinox
    plane.wcs.crval = world[0]
    there = plane.wcs_world2pix(world, 1)  # with a pixel of one degree
    plane.wcs.cd = np.column_stack([there[2] - there[1], there[4] - there[3]])
    plane.wcs.crpix = [crpix, crpix]
    return {card.keyword: card.value for card in plane.to_header().cards}


def _extension(stamp: np.ndarray | None, cards: dict[str, object]) -> bytes:
    """One block of a FITS file: an empty primary one, or a stamp of float32 and its cards."""
    from astropy.io import fits

    if stamp is None:
        return fits.PrimaryHDU().header.tostring().encode("ascii")
    header = fits.ImageHDU(stamp if len(stamp) > 1 else stamp[0]).header
    for keyword, value in cards.items():
        header[keyword] = value.encode("ascii", "replace").decode() if isinstance(value, str) else value
    data = stamp.astype(">f4").tobytes()
    return header.tostring().encode("ascii") + data + bytes(-len(data) % BLOCK)
