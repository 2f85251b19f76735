"""The bytes of a table as CSV, Parquet, VOTable or FITS, each as `astropy.table` reads it back.

Whole columns are written at once: a million galaxies take seconds, where a writer that goes row by row takes minutes.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from galaxy_core.column_notes import ascii_unit
from galaxy_core.errors import ExportError

UNITS = {"deg": "deg", "arcsec": "arcsec", "arcmin": "arcmin", "px": "pix", "mag": "mag", "kpc": "kpc", "mpc": "Mpc"}
UCDS = {
    "galaxy_id": "meta.id;meta.main",
    "ra_deg": "pos.eq.ra;meta.main",
    "dec_deg": "pos.eq.dec;meta.main",
    "class": "src.class",
    "redshift": "src.redshift",
}
# Of the columns of clusterings; a membership is no likelihood, and a probability by one method alone.
UCD_ENDINGS = {"_label": "meta.code.member", "_membership": "stat.value"}
VOTABLE_TYPES = {"b": "boolean", "u1": "unsignedByte", "i2": "short", "i4": "int", "i8": "long"}
VOTABLE_TYPES |= {"f4": "float", "f8": "double"}
FITS_MAX_COLUMNS = 999
FITS_MAX_NAME = 60
# Keywords of FITS have eight characters.
FITS_CARDS = {
    "catalog": ("CATALOG", "catalog of Galaxy Atlas"),
    "source": ("SOURCE", "layout:source of its images"),
    "model": ("MODEL", "model of the embedding"),
    "model_fingerprint": ("MODELFP", "fingerprint of the model"),
    "manifest_sha256": ("MANIFEST", "sha256 of the catalog's manifest.json"),
    "n_galaxies": ("NTOTAL", "galaxies of the catalog"),
    "n_selected": ("NSELECT", "galaxies of this table"),
    "selection": ("SELECT", "how they were selected"),
    "cluster_names": ("CLNAMES", "names people gave to clusters, as JSON"),
    "date_utc": ("DATE", "of this file, UTC"),
    "schema_version": ("SCHEMA", "version of Galaxy Atlas' artifacts"),
    "software": ("CREATOR", "program that wrote this file"),
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
    values : array, shape (n,)
        bool, uint8, int16, int32, int64, float32, float64, or object where each value is a str.
    mask : bool array, shape (n,), or None
        True where there is no value; a missing float is NaN and missing text is empty instead.
    own_unit, description : str
        As the table says that the column is from.
    moments : datetime64 array, shape (n,), or None
        What ``values`` are in ISO 8601, where that is a time in UTC.
    """

    name: str
    values: np.ndarray
    mask: np.ndarray | None = None
    own_unit: str = ""
    description: str = ""
    moments: np.ndarray | None = None

    @property
    def is_text(self) -> bool:
        """Whether the values are str."""
        return self.values.dtype == object

    @property
    def unit(self) -> str | None:
        """Its own, or else what the end of the name says."""
        if self.own_unit and self.values.dtype.kind in "fiu":
            return self.own_unit
        return UNITS.get(self.name.rpartition("_")[2]) if self.values.dtype.kind == "f" else None


def csv_bytes(columns: Sequence[Column], provenance: Mapping[str, str | int]) -> bytes:
    """Comment lines, names, rows; text is in quotes, so that an id that begins with ``#`` is no comment."""
    out = io.BytesIO()
    out.write("".join(f"# {key}: {value}\n" for key, value in provenance.items()).encode("utf-8"))
    arrays = [arrow_array(column, nan_is_null=True) for column in columns]
    table = pa.table(arrays, names=[column.name for column in columns])
    pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(quoting_style="needed"))
    return out.getvalue()


def parquet_bytes(columns: Sequence[Column], provenance: Mapping[str, str | int]) -> bytes:
    """Provenance as key-value metadata, units as astropy keeps them, and times as times."""
    from astropy.table.meta import get_yaml_from_table

    columns = [column if column.moments is None else replace(column, values=column.moments) for column in columns]
    header = empty_table(columns)
    header.meta.update(provenance)
    metadata = {key: str(value) for key, value in provenance.items()} | {
        "table_meta_yaml": "\n".join(get_yaml_from_table(header))
    }
    for column in columns:
        if column.is_text:
            metadata[f"table::len::{column.name}"] = str(max(map(len, column.values), default=1) or 1)
    table = pa.table([arrow_array(column) for column in columns], names=[column.name for column in columns])
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), out, compression="zstd")
    return out.getvalue()


def ucd_of(name: str) -> str | None:
    """What a column is, in the IVOA's words (UCD1+ 1.5); None where its name does not tell.

    Examples
    --------
    >>> ucd_of("ra_deg"), ucd_of("hdbscan_label"), ucd_of("umap_x")
    ('pos.eq.ra;meta.main', 'meta.code.member', None)
    """
    return UCDS.get(name.lower()) or next((ucd for ending, ucd in UCD_ENDINGS.items() if name.endswith(ending)), None)


def arrow_array(column: Column, nan_is_null: bool = False) -> pa.Array:
    """A column for pyarrow."""
    kind = pa.string() if column.is_text else None
    return pa.array(column.values, type=kind, mask=column.mask, from_pandas=nan_is_null)


def votable_bytes(columns: Sequence[Column], provenance: Mapping[str, str | int]) -> bytes:
    """VOTable 1.4 in BINARY2, its header by astropy; positions are marked as such and in ICRS."""
    from astropy.io.votable import from_table, tree

    kinds, fields = zip(*map(votable_values, columns), strict=True)
    ids = votable_ids([column.name for column in columns])
    header = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that the standard does not know, as the table had them
        file = from_table(empty_table(columns, ids))
        table = file.get_first_table()
        for field, column, kind, values in zip(table.fields, columns, kinds, fields, strict=True):
            field.name, field.datatype, field.ucd = column.name, kind, ucd_of(column.name)
            width = values.dtype.itemsize // (2 if kind == "unicodeChar" else 1)
            field.arraysize = str(width) if column.is_text else None
            field.xtype = None if column.moments is None else "timestamp"
            if column.name in ("ra_deg", "dec_deg"):
                field.ref = "icrs"
        file.coordinate_systems.append(tree.CooSys(ID="icrs", system="ICRS"))
        for key, value in provenance.items():
            identity = votable_ids([f"provenance_{key}"])[0]
            kind = {"datatype": "long"} if isinstance(value, int) else {"datatype": "unicodeChar", "arraysize": "*"}
            table.params.append(tree.Param(file, ID=identity, name=key, value=value, **kind))
        file.to_xml(header)
    before, closing, after = header.getvalue().rpartition(b"</TABLE>")
    stream = base64.encodebytes(binary2_rows(columns, fields))
    data = b'<DATA><BINARY2><STREAM encoding="base64">\n' + stream + b"</STREAM></BINARY2></DATA>\n"
    return before + data + closing + after


def votable_ids(names: Sequence[str]) -> list[str]:
    """Names as XML and astropy allow them for identifiers, each once.

    Examples
    --------
    >>> votable_ids(["ra_deg", "größe", "2MASS J", "ra_deg"])
    ['ra_deg', 'gr__e', '_2MASS_J', 'ra_deg_4']
    """
    ids: list[str] = []
    for place, name in enumerate(names, start=1):
        identity = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        identity = identity if re.match(r"[A-Za-z_]", identity) else f"_{identity}"
        while identity in ids:
            identity = f"{identity}_{place}"
        ids.append(identity)
    return ids


def votable_values(column: Column) -> tuple[str, np.ndarray]:
    """Datatype of a column in VOTable, and its values as big-endian bytes of one width."""
    if not column.is_text:
        code = "b" if column.values.dtype.kind == "b" else column.values.dtype.str[1:]
        values = np.where(column.values, b"T", b"F") if code == "b" else column.values.astype(f">{code}")
        return VOTABLE_TYPES[code], values
    is_ascii = all(map(str.isascii, column.values))
    encoded = [text.encode("ascii" if is_ascii else "utf-16-be") for text in column.values]
    width = max(map(len, encoded), default=0) or (1 if is_ascii else 2)
    return ("char" if is_ascii else "unicodeChar"), np.array(encoded, dtype=f"S{width}")


def binary2_rows(columns: Sequence[Column], fields: Sequence[np.ndarray]) -> bytes:
    """Rows of BINARY2: a bit for each field that is null, the first one highest, then the values."""
    n, flags = len(fields[0]), np.zeros((len(fields[0]), len(fields)), dtype=bool)
    for place, column in enumerate(columns):
        if column.mask is not None:
            flags[:, place] = column.mask
    packed = np.packbits(flags, axis=1)
    layout = [("flags", "u1", (packed.shape[1],)), *((f"f{k}", values.dtype) for k, values in enumerate(fields))]
    rows = np.zeros(n, dtype=layout)
    rows["flags"] = packed
    for k, values in enumerate(fields):
        rows[f"f{k}"] = values
    return rows.tobytes()


def fits_bytes(columns: Sequence[Column], provenance: Mapping[str, str | int]) -> bytes:
    """A FITS binary table; text is UTF-8, names and header are ASCII as the standard asks."""
    from astropy.io import fits

    if len(columns) > FITS_MAX_COLUMNS:
        raise ExportError(f"A FITS table holds {FITS_MAX_COLUMNS} columns, not {len(columns):,}; export it as Parquet.")
    names = fits_names([column.name for column in columns])
    hdu = fits.BinTableHDU.from_columns(
        [fits_column(c, n) for c, n in zip(columns, names, strict=True)], name="SELECTION"
    )
    for place, (column, name) in enumerate(zip(columns, names, strict=True), start=1):
        if said := [column.name] * (name != column.name) + [column.description] * bool(column.description):
            hdu.header[f"TCOMM{place}"] = fits_text(": ".join(said))
    taken = {keyword for keyword, _ in FITS_CARDS.values()}
    for key, value in provenance.items():
        keyword, comment = FITS_CARDS.get(key) or (fits_keyword(key, taken), fits_text(key))
        card = value if isinstance(value, int) else fits_text(value)
        hdu.header[keyword] = (card, comment) if len(str(card)) + len(comment) < 60 else card  # on one card
    out = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out)
    return out.getvalue()


def fits_column(column: Column, name: str):
    """One column of a FITS table: what is missing is a null number, as short ones for yes or no."""
    from astropy.io import fits

    values, mask = column.values, column.mask
    if column.is_text:
        encoded = [text.encode("utf-8") for text in values]
        width = max(map(len, encoded), default=1) or 1
        return fits.Column(name=name, format=f"{width}A", array=np.array(encoded, dtype=f"S{width}"))
    if values.dtype.kind == "b" and mask is None:
        return fits.Column(name=name, format="L", array=values)
    if mask is not None and values.dtype.itemsize == 1:  # astropy reads an undefined logical as False
        values = values.astype(np.int16)
    code = {"u1": "B", "i2": "I", "i4": "J", "i8": "K", "f4": "E", "f8": "D"}[values.dtype.str[1:]]
    null = None if mask is None else int(np.iinfo(values.dtype).min)
    values = values if mask is None else np.where(mask, values.dtype.type(null), values)
    return fits.Column(name=name, format=code, unit=ascii_unit(column.unit or "") or None, null=null, array=values)


def fits_names(names: Sequence[str]) -> list[str]:
    """Names that FITS allows: ASCII, not too long, and different also where capitals do not count.

    Examples
    --------
    >>> fits_names(["Größe", "ra", "RA", "число"])
    ['Groe', 'ra', 'RA_3', 'column_4']
    """
    allowed, taken = [], set()
    for place, name in enumerate(names, start=1):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().replace("'", "")
        plain = plain.strip()[:FITS_MAX_NAME] or f"column_{place}"
        while plain.lower() in taken:
            plain = f"{plain}_{place}"
        taken.add(plain.lower())
        allowed.append(plain)
    return allowed


def fits_keyword(key: str, taken: set[str]) -> str:
    """A free keyword of eight characters for a key that has none of its own."""
    stem = "".join(c for c in key.upper() if c.isascii() and c.isalnum())[:8] or "NOTE"
    keyword, n = stem, 1
    while keyword in taken:
        n += 1
        keyword = f"{stem[: 8 - len(str(n))]}{n}"
    taken.add(keyword)
    return keyword


def fits_text(text: str) -> str:
    r"""Text for a FITS header, which knows ASCII only: other letters as ``\u`` escapes."""
    return text.encode("ascii", "backslashreplace").decode()


def empty_table(columns: Sequence[Column], names: Sequence[str] | None = None):
    """An `astropy.table.Table` of no rows with these names, types and units."""
    from astropy.table import Table

    names = names or [column.name for column in columns]
    table = Table([np.zeros(0, dtype="U1" if c.is_text else c.values.dtype) for c in columns], names=names)
    for column, name in zip(columns, names, strict=True):
        table[name].unit, table[name].description = column.unit, column.description or None
    return table
