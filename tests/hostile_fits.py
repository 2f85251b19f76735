"""FITS files that lie: about their size, their tiles, their packing, and their header."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Iterator

import numpy as np
from astropy.io import fits
from hostile_pictures import packed_zeros

FLUX = np.random.default_rng(8).normal(5, 100, (40, 50)).astype(np.float32)
PIXELS = FLUX.astype(">f4").tobytes()
GOOD = {"SIMPLE": "T", "BITPIX": -32, "NAXIS": 2, "NAXIS1": 50, "NAXIS2": 40}


def header(cards: dict[str, object], extra: bytes = b"", end: bytes = b"END") -> bytes:
    """Header blocks of cards as they are given, right or wrong."""
    text = b"".join(f"{key:<8}= {value:>20}".encode().ljust(80)[:80] for key, value in cards.items())
    text += extra + end.ljust(80)
    return text.ljust(-(-len(text) // 2880) * 2880)


def plain(extra: bytes = b"", **changes: object) -> bytes:
    """A float32 image with some cards changed (left out where None)."""
    cards = {key: value for key, value in (GOOD | changes).items() if value is not None}
    return header(cards, extra) + PIXELS.ljust(-(-len(PIXELS) // 2880) * 2880, b"\0")


def card(text: str) -> bytes:
    return text.encode("latin-1", "replace").ljust(80)[:80]


def compressed(kind: str = "RICE_1", values: np.ndarray = FLUX, **changes: object) -> bytes:
    """A tile-compressed image with cards of its table changed."""
    buffer = io.BytesIO()
    hdu = fits.CompImageHDU(np.rint(values).astype(np.int32), compression_type=kind, tile_shape=(10, 50))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
    data = bytearray(buffer.getvalue())
    for key, value in changes.items():
        place = data.find(f"{key:<8}= ".encode(), 2880)
        if place < 0:
            place = data.index(b"EXTNAME = ", 2880)
        data[place : place + 80] = f"{key:<8}= {value:>20}".encode().ljust(80)[:80]
    return bytes(data)


def tile_table(data: bytes, change: object, heap: bytes = b"") -> bytes:
    """A compressed image with the descriptors of its four tiles, int32 (4, 2), changed, and its heap replaced."""
    with fits.open(io.BytesIO(data), disable_image_compression=True) as hdus:
        start, row, n_rows = hdus[1]._data_offset, hdus[1].header["NAXIS1"], hdus[1].header["NAXIS2"]
    table = np.frombuffer(data, ">i4", row * n_rows // 4, start).reshape(n_rows, -1).copy()
    change(table)
    if not heap:
        return data[:start] + table.tobytes() + data[start + row * n_rows :]
    place = data.index(b"PCOUNT  = ", 2880) + 10
    return data[:place] + b"%20d" % len(heap) + data[place + 20 : start] + table.tobytes() + heap


def hostile_fits() -> Iterator[tuple[str, bytes]]:
    """What each file is, and its bytes."""
    yield from _headers()
    yield from _tiles()
    yield from _packed()


def _headers() -> Iterator[tuple[str, bytes]]:
    for key, values in {
        "NAXIS1": (-1, 0, 10**9, 10**30, 65_501, 2.5, "'many'", None),
        "NAXIS2": (-(10**12), 39, 41, 10**9),
        "NAXIS": (-5, 0, 1, 3, 999, 1000, 10**20, "'two'", "2.0", None),
        "BITPIX": (0, 7, 12, -16, 128, 64, -64, "-32.0", "T", None),
        "SIMPLE": ("F", 7, "'T'"),
        "BSCALE": ("1E300", "'abc'", "NaN", "1E400", 0, "-1", "1D-300"),
        "BZERO": ("1E308", "-1E400", "'zero'"),
        "BLANK": ("'none'", 10**30, 1.5),
        "GROUPS": ("T",),
        "PCOUNT": (-1, 10**18, "'x'"),
        "GCOUNT": (-1, 10**18, 0),
        "BUNIT": ("'unclosed", "adu", "1 2 3", "\u00e5ngstr\u00f6m"),
    }.items():
        for value in values:
            yield f"fits {key} = {value}", plain(**{key: value})
    yield "fits without end", plain().replace(b"END     ", b"EEND    ")
    yield "fits of end only", b"SIMPLE  =                    T".ljust(80) + b"END".ljust(80)
    yield "fits start only", b"SIMPLE  ="
    yield "fits of odd characters", plain(card("OBJECT  = 'Ångström \x00\x1b[31m'") + bytes(range(128, 208)))
    yield "fits of lower case and lines", plain(card("object  = 'M31'") + card("WCSAXES = \n\n2") + b"\n" * 80)
    flood = card("LONGSTR = 'start&'") + card("CONTINUE  'more and more of it, without an end&'") * 30_000
    yield "fits flood of CONTINUE", plain(flood)
    yield "fits flood of HISTORY", plain(card("HISTORY did something") * 35_000)
    yield "fits flood of HIERARCH", plain(b"".join(card(f"HIERARCH ESO DET K{k} = {k}") for k in range(20_000)))
    yield "fits header of 200,000 cards", plain(card("COMMENT " + "x" * 70) * 200_000)
    yield "fits same card 30,000 times", plain(card("EXPTIME =                  1.0") * 30_000)
    yield "fits all nan", header(GOOD) + np.full(2000, np.nan, ">f4").tobytes()
    yield "fits all infinite", header(GOOD) + np.full(2000, np.inf, ">f4").tobytes()
    yield "fits beyond float32", header(GOOD | {"BITPIX": -64}) + np.full(2000, 1e300, ">f8").tobytes()
    yield "fits all blank", header(GOOD | {"BITPIX": 16, "BLANK": 3}) + np.full(2000, 3, ">i2").tobytes()
    yield "fits bytes of the other order", header(GOOD) + FLUX.astype("<f4").tobytes()
    yield "fits thread", header(GOOD | {"NAXIS1": 1, "NAXIS2": 2000}) + bytes(8000)
    sides = {f"NAXIS{k}": 1 for k in range(1, 1000)}
    yield "fits of 999 axes of 1", header({"SIMPLE": "T", "BITPIX": 8, "NAXIS": 999} | sides) + bytes(2880)
    yield "fits of 999 long axes", header({"SIMPLE": "T", "BITPIX": 8, "NAXIS": 999} | dict.fromkeys(sides, 10**9))
    four = {"NAXIS": 4, "NAXIS1": 5, "NAXIS2": 5, "NAXIS3": 8, "NAXIS4": 10}
    yield "fits of four axes", plain(**four)
    yield "fits of 2000 bands", plain(NAXIS=3, NAXIS1=1, NAXIS2=1, NAXIS3=2000)
    empty = header({"SIMPLE": "T", "BITPIX": 8, "NAXIS": 0})
    table = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.TableHDU.from_columns([fits.Column("a", "I5", array=[1])])]).writeto(table)
    yield "fits of a text table", table.getvalue()
    extension = header({"XTENSION": "'IMAGE   '", "BITPIX": 8, "NAXIS": 0, "PCOUNT": 0, "GCOUNT": 1})
    yield "fits of 25,000 empty extensions", empty + extension * 25_000
    yield "fits extension without primary", extension
    huge = {"XTENSION": "'BINTABLE'", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 10**9, "NAXIS2": 10**9, "PCOUNT": 0}
    yield "fits of a table past its end", empty + header(huge) + plain()


def _tiles() -> Iterator[tuple[str, bytes]]:
    for key, values in {
        "ZCMPTYPE": ("'NONSENSE'", "'PLIO_1'", "7", "''"),
        "ZTILE1": (0, -1, 10**9, "'x'", 1.5),
        "ZTILE2": (0, -7, 1, 10**30),
        "ZNAXIS1": (-1, 0, 60_000, 10**9),
        "ZNAXIS2": (0, 10**6, 39),
        "ZNAXIS": (0, 1, 3, 999, -1),
        "ZBITPIX": (0, 64, -32, 8),
        "ZVAL1": (0, -1, 10**9, "'x'"),
        "ZVAL2": (0, 3, 8, -4),
        "TFIELDS": (0, 999, -1),
        "PCOUNT": (-1, 0, 10**18),
        "NAXIS2": (0, 3, 5, 10**12),
        "NAXIS1": (0, 7, 9),
        "TFORM1": ("'1PB'", "'99PB'", "'1E'", "'1QB(9)'", "'PX'", "''"),
        "THEAP": (-1, 0, 10**9, 33),
        "ZQUANTIZ": ("'SUBTRACTIVE_DITHER_1'", "'OTHER'"),
        "ZIMAGE": ("F", "'T'"),
    }.items():
        for value in values:
            yield f"tiles {key} = {value}", compressed(**{key: value})
    for kind in ("RICE_1", "GZIP_1", "HCOMPRESS_1"):
        good = compressed(kind)
        for what, place, value in (
            ("offset behind the end", (2, 1), 2**31 - 1),
            ("offset below zero", (2, 1), -5),
            ("no bytes", (1, 0), 0),
            ("one byte", (1, 0), 1),
            ("bytes below zero", (0, 0), -1),
            ("two thousand million bytes", (3, 0), 2**31 - 1),
        ):

            def change(table: np.ndarray, place: tuple[int, int] = place, value: int = value) -> None:
                table[place] = value

            yield f"{kind} tile: {what}", tile_table(good, change)
        yield f"{kind} heap of zeros", tile_table(good, lambda table: None, bytes(20_000))
        yield f"{kind} heap of ones", tile_table(good, lambda table: None, b"\xff" * 20_000)
        yield f"{kind} heap of noise", tile_table(good, lambda table: None, np.random.default_rng(1).bytes(20_000))
    good = compressed("HCOMPRESS_1")
    place = good.index(b"\xdd\x99")
    for sides in ((0, 0), (11, 50), (10, 51), (50, 10), (-1, 50), (2**31 - 1, 2**31 - 1), (4000, 4000)):
        yield f"hcompress tile of {sides}", good[: place + 2] + struct.pack(">ii", *sides) + good[place + 10 :]
    for planes in (b"\xff\xff\xff", b"\0\0\0", b"\x40\x40\x40"):
        yield f"hcompress {planes[0]} bit planes", good[: place + 22] + planes + good[place + 25 :]
    for sides in ((50, 40), (65_000, 900)):  # a table of one-pixel tiles, and far more tiles than rows
        yield f"one-pixel tiles of {sides}", compressed(ZTILE1=1, ZTILE2=1, ZNAXIS1=sides[0], ZNAXIS2=sides[1])


def _packed() -> Iterator[tuple[str, bytes]]:
    bomb = gzip.compress(bytes(10**7), mtime=0)
    yield "gzip bomb of 6 GB", gzip.compress(header(GOOD), mtime=0) + bomb * 600
    yield "gzip bomb in a table", gzip.compress(header({"SIMPLE": "T", "BITPIX": 8, "NAXIS": 0}), mtime=0) + bomb * 100
    yield "gzip bomb of text", bomb * 600
    yield "gzip of gzip", gzip.compress(gzip.compress(plain(), mtime=0), mtime=0)
    yield "gzip of nothing", gzip.compress(b"", mtime=0)
    yield "gzip of a png", gzip.compress(b"\x89PNG\r\n\x1a\n" + bytes(99), mtime=0)
    yield "gzip start only", b"\x1f\x8b"
    yield "gzip of a bomb of one header", gzip.compress(b"SIMPLE  =".ljust(50 * 10**6), mtime=0)
    packed = bytearray(gzip.compress(plain(), mtime=0))
    packed[-6] ^= 1
    yield "gzip with a wrong checksum", bytes(packed)
    yield "gzip with rubbish behind", gzip.compress(plain(), mtime=0) + bytes(range(256)) * 9
    yield "gzip of empty blocks", b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\0\0\0\xff\xff" * 10**6
    huge = GOOD | {"NAXIS1": 60_000, "NAXIS2": 60_000}
    yield "gzip of a header of 60,000 x 60,000", gzip.compress(header(huge), mtime=0) + bomb * 100
    good = compressed("GZIP_1")
    tile = packed_zeros(3 * 10**8, as_gzip=True)

    def to_bomb(table: np.ndarray) -> None:
        table[:, 0], table[:, 1] = len(tile), 0

    yield (
        "gzip tile of 300 MB",
        tile_table(good, lambda table: table.__setitem__((0, slice(None)), (len(tile), 0)), tile),
    )
    yield "gzip tiles that overlap", tile_table(good, to_bomb, tile)
