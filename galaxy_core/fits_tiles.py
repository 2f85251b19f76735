"""Tile-compressed FITS images: checked tile by tile, then decoded in strips by astropy.

The decoders behind astropy are C that believes the file: a tile that unpacks to gigabytes fills the memory, a table
that points every tile at the same bytes takes hours, and an HCOMPRESS_1 tile of another size than the table says is
written outside its memory. So all that is checked first. PLIO_1, which is for masks, is not read.

HCOMPRESS_1 is decoded by one thread at a time: its decoder keeps its place in the bits in C variables that all threads
share, and lets other threads run meanwhile, so two images read at once spoiled each other. Dithered images, too: who
comes first fills the one table of random numbers, and others would use it half full.
"""

from __future__ import annotations

import io
import math
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
from astropy.io import fits

from galaxy_core.errors import ImageError
from galaxy_core.fits_layout import BLOCK, Extension, extensions
from galaxy_core.image_limits import inflates_within, shown_name

READ_KINDS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NOCOMPRESS")
MAX_TILES = 100_000  # astropy takes about 30 us a tile
_MAX_PADDING = 128 * 10**6  # bytes behind the last tile
_STRIP_VALUES = 4 * 10**6  # decoded at a time
_EMPTY_PRIMARY = b"".join(
    text.ljust(80)
    for text in (
        b"SIMPLE  =                    T",
        b"BITPIX  =                    8",
        b"NAXIS   =                    0",
    )
)
EMPTY_PRIMARY = (_EMPTY_PRIMARY + b"EXTEND  =                    T".ljust(80) + b"END".ljust(80)).ljust(BLOCK)
_FORMAT = re.compile(r"(\d*)([LXBIJKAEDCMPQ])([BIJKED]?)")
_WIDTH = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "E": 4, "K": 8, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
_ONE_AT_A_TIME = threading.Lock()
_PACKED_COLUMNS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")


def tile_strips(data: bytes, extension: Extension, name: str) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Unscaled values of a tile-compressed image, a few megapixels at a time.

    Parameters
    ----------
    data : bytes
        The whole file.
    extension : Extension
    name : str

    Yields
    ------
    tuple of slice
        Where the strip lies in the array of ``extension.shape``.
    ndarray
        Integers as stored (BSCALE, BZERO and BLANK not applied), or floats with quantisation undone.

    Raises
    ------
    ImageError
    """
    packed = check_tiles(data, extension, name)
    dithered = str(extension.cards.get("ZQUANTIZ", "")).startswith("SUBTRACTIVE")
    hcompress = extension.cards.get("ZCMPTYPE") == "HCOMPRESS_1"
    if hcompress:
        one = _padded(data, extension, packed, name)
    else:
        one = EMPTY_PRIMARY + data[extension.header_start : extension.data_end]
    shape, tile = extension.shape, _tile_shape(extension.cards)
    with fits.open(io.BytesIO(one), memmap=False, do_not_scale_image_data=True) as hdus:
        section = hdus[1].section
        for where in _strips(shape, tile):
            # not held while the caller works on the strip
            with _ONE_AT_A_TIME if hcompress or dithered else nullcontext():
                strip = section[where]
            yield where, strip


def compressed_header(data: bytes, extension: Extension) -> fits.Header:
    """Header of the image that a table of compressed tiles stands for."""
    one = EMPTY_PRIMARY + data[extension.header_start : extension.data_start]
    with fits.open(io.BytesIO(one), memmap=False) as hdus:
        return hdus[1].header.copy()


def without_times(file: bytes, name: str) -> bytes:
    """A file with one tile-compressed image whose gzipped tiles do not say when they were made: equal ones are equal.

    Source: RFC 1952, section 2.3; a gzip member begins with 0x1f8b, and its bytes 4 to 7 are the time.
    """
    data = bytearray(file)
    image = next(extension for extension in extensions(file, name) if extension.is_compressed)
    heap, packed = _packed_tiles(data, image, image.cards["NAXIS2"], name)
    for offset, size in packed["COMPRESSED_DATA"]:
        if size and heap[offset : offset + 2] == b"\x1f\x8b":
            heap[offset + 4 : offset + 8] = bytes(4)
    return bytes(data)


def check_tiles(data: bytes, extension: Extension, name: str) -> dict[str, np.ndarray]:
    """Raise `ImageError` unless every tile lies in the file and unpacks to its own size.

    Returns
    -------
    dict of str to ndarray of int64, shape (tiles, 2)
        Of each column of packed tiles, where in the heap they begin and the bytes they take.
    """
    cards, shown = extension.cards, shown_name(name)
    kind = cards.get("ZCMPTYPE")
    if kind not in READ_KINDS:
        raise ImageError(
            f"{shown} is compressed by {str(kind)[:20].strip()!r}, which is not read (GZIP, RICE and HCOMPRESS are);"
            " run funpack on it first."
        )
    damaged = f"{shown} is a damaged FITS file (extension {extension.index}:"
    sides, tile = extension.shape, _tile_shape(cards)
    if not all(type(side) is int and 0 < side < 2**31 for side in tile):
        raise ImageError(f"{damaged} tiles without a size); fetch or save it again.")
    n_tiles = math.prod(-(-side // step) for side, step in zip(sides, tile, strict=True))
    if n_tiles > MAX_TILES:
        raise ImageError(
            f"{shown} is compressed in {n_tiles:,} tiles, over the limit of {MAX_TILES:,}; run funpack on it."
        )
    settings = {str(cards.get(f"ZNAME{k}", "")).upper(): cards.get(f"ZVAL{k}") for k in range(1, 10)}
    if settings.get("BYTEPIX", 4) not in (1, 2, 4) or settings.get("BLOCKSIZE", 32) not in (8, 16, 32, 64):
        raise ImageError(f"{damaged} impossible BYTEPIX or BLOCKSIZE); fetch or save it again.")
    dithered = str(cards.get("ZQUANTIZ", "")).startswith("SUBTRACTIVE")
    if dithered and not (type(cards.get("ZDITHER0", 1)) is int and 1 <= cards.get("ZDITHER0", 1) <= 10_000):
        raise ImageError(f"{damaged} ZDITHER0 is no number from 1 to 10000); fetch or save it again.")
    heap, packed = _packed_tiles(data, extension, n_tiles, damaged)
    limit = 8 * math.prod(min(side, step) for side, step in zip(sides, tile, strict=True))
    total = sum(int(places[:, 1].sum()) for places in packed.values())
    if total > 2 * len(heap) + BLOCK:
        raise ImageError(f"{damaged} its tiles overlap); fetch or save it again.")
    for column, places in packed.items():
        if column == "GZIP_COMPRESSED_DATA" or (column == "COMPRESSED_DATA" and kind.startswith("GZIP")):
            for offset, size in places[places[:, 1] > 0]:
                if not inflates_within(heap[offset : offset + size], limit, 31):
                    raise ImageError(f"{damaged} a tile unpacks to more than its pixels); fetch or save it again.")
    return packed


def _packed_tiles(
    data: bytes, extension: Extension, n_tiles: int, damaged: str
) -> tuple[memoryview, dict[str, np.ndarray]]:
    """The heap of packed tiles, and for each column where in it its tiles lie: int64 (tiles, 2), offset and bytes."""
    cards = extension.cards
    row_bytes, n_rows, n_bytes = cards["NAXIS1"], cards.get("NAXIS2", 0), extension.data_end - extension.data_start
    columns, place = _columns(cards, damaged)
    if cards["NAXIS"] != 2 or place != row_bytes or n_rows != n_tiles or "COMPRESSED_DATA" not in columns:
        raise ImageError(f"{damaged} its table does not fit its tiles); fetch or save it again.")
    if extension.data_end > len(data):
        raise ImageError(f"{damaged} its data are cut short); fetch or save it again.")
    start = cards.get("THEAP", row_bytes * n_rows)
    if type(start) is not int or not row_bytes * n_rows <= start <= n_bytes:
        raise ImageError(f"{damaged} THEAP lies outside its data); fetch or save it again.")
    heap = memoryview(data)[extension.data_start + start : extension.data_end]
    packed = {}
    for column, (at, kind, width) in columns.items():
        layout = {"names": ["at"], "formats": [(kind, (2,))], "offsets": [at], "itemsize": row_bytes}
        found = np.frombuffer(data, np.dtype(layout), n_rows, extension.data_start)["at"].astype(np.int64)
        if (found < 0).any() or (found > len(heap)).any() or (found[:, 1] + width * found[:, 0] > len(heap)).any():
            raise ImageError(f"{damaged} a tile lies outside the file); fetch or save it again.")
        packed[column] = np.stack([found[:, 1], width * found[:, 0]], axis=1)
    return heap, packed


def _padded(data: bytes, extension: Extension, packed: dict[str, np.ndarray], name: str) -> bytearray:
    """The extension of an HCOMPRESS_1 image as a file of its own, checked, and safe from reading behind a tile's end.

    The decoder takes the size of the image from the tile and stops where all its bit planes are read, not where the
    tile ends. So both sizes must be equal, and every tile is given as many bytes as its bit planes could need: what
    follows it in the heap, and zeros at the end.

    Source: White 1992, "High-performance compression of astronomical images"; a tile begins with 0xDD99, two sizes and
    a scale of 4 bytes each, a sum of 8, and the number of bit planes of three quadrants.
    """
    damaged = ImageError(f"{shown_name(name)} is a damaged FITS file (an HCOMPRESS tile); fetch or save it again.")
    row_bytes, rows = extension.cards["NAXIS1"], packed["COMPRESSED_DATA"]
    heap = extension.data_start + extension.cards.get("THEAP", row_bytes * len(rows))
    longest = 0
    for (offset, size), sides in zip(rows, _tile_sides(extension), strict=True):
        start = bytes(data[heap + offset : heap + offset + min(size, 25)])
        if size and (len(start) < 25 or start[:2] != b"\xdd\x99" or struct.unpack_from(">ii", start, 2) != sides):
            raise damaged
        planes = start[22:25] or b"\0"
        if max(planes) > 64:
            raise damaged
        longest = max(longest, int(math.prod(sides) * (sum(planes) + max(planes) + 1)) // 8 + 4096)
    if longest > _MAX_PADDING:
        raise ImageError(
            f"{shown_name(name)} is compressed by HCOMPRESS in pieces that are too large; run funpack on it."
        )
    at, kind, width = _columns(extension.cards, "")[0]["COMPRESSED_DATA"]
    one = bytearray(EMPTY_PRIMARY + data[extension.header_start : extension.data_end] + bytes(longest))
    n_bytes = extension.data_end - heap + longest
    card = one.index(b"PCOUNT  =", BLOCK)
    one[card + 10 : card + 30] = b"%20d" % (extension.cards["PCOUNT"] + longest)
    layout = np.dtype({"names": ["n"], "formats": [kind], "offsets": [at], "itemsize": row_bytes})
    table = np.frombuffer(one, layout, len(rows), BLOCK + extension.data_start - extension.header_start)
    table["n"][...] = np.where(rows[:, 1] > 0, np.minimum(longest, n_bytes - rows[:, 0]) // width, 0)
    return one


def _tile_sides(extension: Extension) -> Iterator[tuple[int, ...]]:
    """Sides of every tile in the order of the table, without those of length 1; at the edges tiles are smaller."""
    shape, tile = extension.shape, _tile_shape(extension.cards)
    for place in np.ndindex(*(-(-side // step) for side, step in zip(shape, tile, strict=True))):
        sides = (min(step, side - k * step) for k, step, side in zip(place, tile, shape, strict=True))
        yield tuple(side for side in sides if side != 1)


def _columns(cards: dict, damaged: str) -> tuple[dict[str, tuple[int, str, int]], int]:
    """Columns of packed tiles: first byte in the row, type of the descriptor, bytes a value; and the bytes of a row."""
    columns, place = {}, 0
    for field in range(1, min(int(cards.get("TFIELDS", 0)), 50) + 1):
        parts = _FORMAT.match(str(cards.get(f"TFORM{field}", "")))
        if parts is None:
            raise ImageError(f"{damaged} a column without a format); fetch or save it again.")
        repeat, label = int(parts[1] or 1), str(cards.get(f"TTYPE{field}", ""))
        if parts[2] in "PQ" and label in _PACKED_COLUMNS:
            if repeat != 1 or not parts[3]:
                raise ImageError(f"{damaged} a column of tiles of another format); fetch or save it again.")
            columns[label] = (place, ">i4" if parts[2] == "P" else ">i8", _WIDTH[parts[3]])
        place += -(-repeat // 8) if parts[2] == "X" else repeat * _WIDTH[parts[2]]
    return columns, place


def _tile_shape(cards: dict) -> tuple[int, ...]:
    """Shape of a tile, last axis fastest; a row of the image where the header has none."""
    n_axes = cards["ZNAXIS"]
    default = [cards["ZNAXIS1"]] + [1] * (n_axes - 1)
    return tuple(reversed([cards.get(f"ZTILE{axis + 1}", default[axis]) for axis in range(n_axes)]))


def _strips(shape: tuple[int, ...], tile: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Slices of whole tile rows that cover an array, each of few values where the tiles allow it."""
    steps = [min(side, step) for side, step in zip(shape, tile, strict=True)]
    steps[-1] = shape[-1]
    free = max(_STRIP_VALUES // math.prod(steps), 1)
    steps[-2] = min(steps[-2] * free, shape[-2])
    counts = [-(-side // step) for side, step in zip(shape, steps, strict=True)]
    for place in np.ndindex(*counts):
        yield tuple(
            slice(k * step, min((k + 1) * step, side)) for k, step, side in zip(place, steps, shape, strict=True)
        )
