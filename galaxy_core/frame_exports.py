"""A frame's catalogue as FITS, VOTable, CSV and Parquet with units and UCDs, its segmentation map, and DS9 regions."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.fits_images import add_history
from galaxy_core.frame_catalog import FrameCatalog
from galaxy_core.frame_headers import flux_unit, readable_coordinates
from galaxy_core.frame_measures import FLAG_NAMES
from galaxy_core.frame_seeing import BandSeeing
from galaxy_core.frame_table import ColumnMeaning, meaning_of
from galaxy_core.image_limits import shown_name

REGION_RADII = 3.0  # half axes of a region over the dispersions of the light
ROWS_AT_ONCE = 512
# Cards of the frame that would be wrong of its segmentation map: units, storage, what lies on a third axis.
NOT_OF_THE_MAP = (
    "BSCALE",
    "BZERO",
    "BLANK",
    "BUNIT",
    "CHECKSUM",
    "DATASUM",
    "ZDATASUM",
    "ZHECKSUM",
    "DATAMIN",
    "DATAMAX",
)
THIRD_AXIS = re.compile(r"(CTYPE|CRVAL|CRPIX|CDELT|CUNIT|CNAME|CROTA)[3-9]|(CD|PC)([3-9]_\d|\d_[3-9])|PV[3-9]_\d+")


def provenance_of(catalog: FrameCatalog) -> dict[str, str | int | float]:
    """What made a catalogue, as pairs that every format keeps."""
    return {
        "frame": catalog.name,
        "bands": ", ".join(catalog.band_names),
        "flux_of": catalog.band_names[0],
        "flux_unit": ", ".join(f"{name} {catalog.units.get(name) or 'not stated'}" for name in catalog.band_names),
        "light": "linear" if catalog.calibrated else "stretched, of a picture: fluxes are not calibrated",
        "zero_points": _said_zero_points(catalog),
        "method": catalog.config.method,
        "false_per_megapixel": catalog.config.false_per_megapixel,
        "threshold": catalog.threshold,
        "weights_sha256": catalog.weights_sha256,
        "separator_sha256": catalog.separator_sha256,
        "seeing": ", ".join(seeing_words(name, band) for name, band in catalog.seeing.items()) or "not measured",
        "galaxy_share": f"{catalog.config.galaxy_share:g} as given" if catalog.config.galaxy_share else "not given",
        "pixel_origin": "0 is the centre of the first pixel",
        "notes": " ".join(catalog.notes) or "none",
        "software": "Galaxy Atlas",
    }


def seeing_words(name: str, band: BandSeeing) -> str:
    """The seeing of a band in words.

    Examples
    --------
    >>> seeing_words("r", BandSeeing(3.214, n_stars=41)), seeing_words("r", BandSeeing(3.0))
    ('r 3.21 px of 41 stars', 'r 3.00 px as given')
    """
    return f"{name} {band.fwhm_px:.2f} px " + (f"of {band.n_stars} stars" if band.n_stars else "as given")


def meaning_in(catalog: FrameCatalog, column: str) -> ColumnMeaning:
    """What a column is; light has the unit of its band, where files know such a unit."""
    meaning = meaning_of(column)
    for name in (catalog.band_names[0], *catalog.band_names):
        if column in ("flux", "flux_err", f"flux_{name}", f"flux_err_{name}"):
            return replace(meaning, unit=flux_unit(catalog.units.get(name, "")))
    return meaning


def as_table(catalog: FrameCatalog):
    """The catalogue as `astropy.table.Table`: units, descriptions, UCDs in ``column.meta["ucd"]``, and provenance."""
    from astropy.table import Table

    table = Table({name: catalog.objects[name].to_numpy() for name in catalog.objects.columns})
    for name in table.colnames:
        meaning = meaning_in(catalog, name)
        table[name].unit = meaning.unit or None
        table[name].description = meaning.description
        table[name].meta["ucd"] = meaning.ucd
    table.meta.update(provenance_of(catalog))
    return table


def fits_bytes(catalog: FrameCatalog) -> bytes:
    """A FITS binary table with TUNIT, TUCD and TCOMM cards."""
    from astropy.io import fits

    table = as_table(catalog)
    codes = {"i2": "I", "i4": "J", "f8": "D"}
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column(
                name, codes[table[name].dtype.str[1:]], unit=meaning_in(catalog, name).unit or None, array=table[name]
            )
            for name in table.colnames
        ],
        name="CATALOG",
    )
    for place, name in enumerate(table.colnames, start=1):
        hdu.header[f"TUCD{place}"] = meaning_of(name).ucd
        hdu.header[f"TCOMM{place}"] = meaning_of(name).description
    for key, value in table.meta.items():
        add_history(hdu.header, shown_name(f"{key}: {value}", 400))
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out)
    return out.getvalue()


def votable_bytes(catalog: FrameCatalog) -> bytes:
    """VOTable with units, UCDs and descriptions; positions in ICRS."""
    from astropy.io.votable import from_table, tree

    table = as_table(catalog)
    said, table.meta = dict(table.meta), {}
    for name in table.colnames:
        table[name].meta.clear()
    file = from_table(table)
    only = file.get_first_table()
    file.coordinate_systems.append(tree.CooSys(ID="icrs", system="ICRS"))
    for field in only.fields:
        field.ucd = meaning_of(field.name).ucd
        if field.name.endswith(("ra_deg", "dec_deg")):
            field.ref = "icrs"
    for key, value in said.items():
        kind = {"datatype": "double"} if isinstance(value, float) else {"datatype": "unicodeChar", "arraysize": "*"}
        only.params.append(tree.Param(file, ID=key, name=key, value=value, **kind))
    out = io.BytesIO()
    file.to_xml(out, tabledata_format="binary2")
    return out.getvalue()


def csv_bytes(catalog: FrameCatalog) -> bytes:
    """Comma-separated text; lines of ``#`` before it say what made it, and the unit, UCD and meaning of each column."""
    lines = [f"# {key}: {value}" for key, value in provenance_of(catalog).items()]
    for name in catalog.objects.columns:
        meaning = meaning_in(catalog, name)
        lines.append(f"# column {name} [{meaning.unit or '-'}] {meaning.ucd}: {meaning.description}")
    head = "".join(" ".join(line.split()) + "\n" for line in lines)
    return (head + catalog.objects.to_csv(index=False, lineterminator="\n")).encode()


def parquet_bytes(catalog: FrameCatalog) -> bytes:
    """Parquet with unit, UCD and description as metadata of each column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays, fields = [], []
    for name in catalog.objects.columns:
        array = pa.array(catalog.objects[name].to_numpy())
        meaning = meaning_in(catalog, name)
        about = {"unit": meaning.unit, "ucd": meaning.ucd, "description": meaning.description}
        fields.append(pa.field(name, array.type, metadata=about))
        arrays.append(array)
    schema = pa.schema(fields, metadata={"provenance": json.dumps(provenance_of(catalog))})
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out)
    return out.getvalue()


def region_bytes(catalog: FrameCatalog) -> bytes:
    """DS9 regions: an ellipse an object, in pixels of the image (DS9 counts from 1), with the object's number."""
    lines = [
        "# Region file format: DS9 version 4.1",
        'global color=green dashlist=8 3 width=1 font="helvetica 10"',
        "image",
    ]
    rows = catalog.objects
    minor = rows["semi_major"] * (1 - rows["ellipticity"])
    for number, x, y, major, least, angle in zip(
        rows["number"], rows["x"], rows["y"], rows["semi_major"], minor, rows["theta_deg"], strict=True
    ):
        axes = f"{REGION_RADII * major:.2f},{REGION_RADII * least:.2f}"
        lines.append(f"ellipse({x + 1:.3f},{y + 1:.3f},{axes},{angle:.1f}) # text={{{number}}}")
    return ("\n".join(lines) + "\n").encode()


WRITERS: dict[str, Callable[[FrameCatalog], bytes]] = {
    "fits": fits_bytes,
    "votable": votable_bytes,
    "csv": csv_bytes,
    "parquet": parquet_bytes,
    "regions": region_bytes,
}


def segmentation_header(catalog: FrameCatalog):
    """Header of the segmentation map: int32 pixels, and the cards of the frame, so its coordinates."""
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cards that break a rule and are kept
        kept = fits.Header() if catalog.header is None else readable_coordinates(catalog.header.copy(strip=True))
        for keyword in {card.keyword for card in kept.cards}:
            if keyword in NOT_OF_THE_MAP or THIRD_AXIS.fullmatch(keyword):
                kept.remove(keyword, remove_all=True)
        if "WCSAXES" in kept:
            kept["WCSAXES"] = 2
        empty = np.broadcast_to(np.int32(0), catalog.shape)  # of any size in four bytes
        header = fits.PrimaryHDU(empty, header=kept).header
        for key, value in provenance_of(catalog).items():
            add_history(header, shown_name(f"{key}: {value}", 400))
        header.add_history("0 is sky, elsewhere the column number of the catalogue")
    return header


def write_segmentation(catalog: FrameCatalog, path: str | Path) -> Path:
    """The segmentation map as a FITS file with the frame's coordinates, written in strips, whole or not at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = segmentation_header(catalog).tostring().encode("ascii", "replace")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(head)
        for top in range(0, catalog.shape[0], ROWS_AT_ONCE):
            file.write(np.asarray(catalog.segmentation[top : top + ROWS_AT_ONCE]).astype(">i4").tobytes())
        file.write(bytes(-file.tell() % 2880))
    return Path(path)


def write_catalog(catalog: FrameCatalog, path: str | Path, form: str = "fits") -> Path:
    """The catalogue in one of `WRITERS`' forms, whole or not at all."""
    data = WRITERS[form](catalog)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def report_of(catalog: FrameCatalog) -> dict:
    """The numbers of a catalogue that fit in a report."""
    flags, p_galaxy = catalog.objects["flags"].to_numpy(), catalog.objects["p_galaxy"].to_numpy()
    told = np.isfinite(p_galaxy)
    return {
        "frame": catalog.name,
        "shape": list(catalog.shape),
        "bands": list(catalog.band_names),
        "calibrated": catalog.calibrated,
        "zero_points": {name: value if np.isfinite(value) else None for name, value in catalog.zero_points.items()},
        "n_objects": len(catalog.objects),
        "n_flagged": {said: int(np.sum((flags & bit) > 0)) for bit, said in FLAG_NAMES.items()},
        "method": catalog.config.method,
        "false_per_megapixel": catalog.config.false_per_megapixel,
        "n_told": int(told.sum()),
        "n_stars": int((p_galaxy[told] < 0.5).sum()),
        "n_galaxies": int((p_galaxy[told] >= 0.5).sum()),
        "seeing": {name: asdict(band) for name, band in catalog.seeing.items()},
        "threshold": catalog.threshold if np.isfinite(catalog.threshold) else None,
        "seconds": {name: round(value, 3) for name, value in catalog.seconds.items()},
        "notes": list(catalog.notes),
    }


def _said_zero_points(catalog: FrameCatalog) -> str:
    by = "given" if catalog.config.zero_points else "by its header"
    said = {name: f"{value:.7g} mag {by}" for name, value in catalog.zero_points.items() if np.isfinite(value)}
    return ", ".join(f"{name} {said.get(name, 'not known')}" for name in catalog.band_names)
