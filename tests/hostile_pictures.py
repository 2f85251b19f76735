"""Pictures that lie: bombs, floods of small pieces, loops, sizes beyond reason, kinds that are not what they say."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import tifffile
from PIL import Image

GREY = np.random.default_rng(9).integers(0, 256, (40, 50), dtype=np.uint8)
ROWS = b"".join(b"\0" + row.tobytes() for row in GREY)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_size(width: int, height: int, bits: int = 8, colour: int = 0, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced))


def png(*chunks: bytes, size: bytes | None = None, packed: bytes = zlib.compress(ROWS)) -> bytes:
    """A PNG of 50 x 40 grey pixels with chunks between its header and its pixels."""
    parts = (size or png_size(50, 40), *chunks, chunk(b"IDAT", packed), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def packed_zeros(n_bytes: int, as_gzip: bool = False) -> bytes:
    """A zlib stream of zeros, of one piece again and again: a gigabyte takes seconds to pack."""

    def piece(n: int) -> bytes:
        pack = zlib.compressobj(9, wbits=-15)
        return pack.compress(bytes(n)) + pack.flush(zlib.Z_FULL_FLUSH)

    whole, rest = divmod(n_bytes, 10**6)
    body = piece(10**6) * whole + piece(rest) + b"\x03\0"
    if as_gzip:
        return b"\x1f\x8b\x08" + bytes(6) + b"\x03" + body + struct.pack("<II", zlib.crc32(bytes(n_bytes)), n_bytes)
    return b"\x78\xda" + body + struct.pack(">I", (n_bytes % 65521) << 16 | 1)  # Adler's checksum of zeros


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def tiff(tags: dict[int, tuple[int, int, int]], body: bytes = b"", following: int = 0, order: str = "<") -> bytes:
    """A TIFF of one list of tags, each (type, count, value or place), with ``body`` at byte 8."""
    start = 8 + len(body) + len(body) % 2
    entries = b"".join(struct.pack(f"{order}HHII", tag, *tags[tag]) for tag in sorted(tags))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    count = struct.pack(f"{order}H", len(tags))
    return head + body.ljust(start - 8, b"\0") + count + entries + struct.pack(f"{order}I", following)


def grey_tiff(body: bytes = GREY.tobytes(), following: int = 0, **changes: tuple[int, int, int] | None) -> bytes:
    """An 8-bit grey TIFF of 50 x 40 pixels with tags ``t256`` and so on changed (left out where None)."""
    tags = {256: (3, 1, 50), 257: (3, 1, 40), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8)}
    tags |= {277: (3, 1, 1), 278: (3, 1, 40), 279: (4, 1, len(body))}
    tags |= {int(key[1:]): value for key, value in changes.items()}
    return tiff({tag: value for tag, value in tags.items() if value is not None}, body, following)


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def hostile_pictures() -> Iterator[tuple[str, bytes]]:
    """What each file is, and its bytes."""
    yield from _png()
    yield from _jpeg()
    yield from _tiff()
    yield from _webp()


def _png() -> Iterator[tuple[str, bytes]]:
    for width, height in (
        (0, 0),
        (0, 5),
        (5, 0),
        (100_000, 1),
        (12_000, 12_000),
        (10**5, 10**5),
        (2**31 - 1, 2**31 - 1),
    ):
        yield f"png of {width} x {height}", png(size=png_size(width, height))
    for bits, colour in ((3, 0), (16, 3), (1, 2), (0, 0), (64, 6), (8, 5), (8, 3), (4, 4)):
        yield f"png of {bits} bits and colour {colour}", png(size=png_size(50, 40, bits, colour))
    yield "png bomb behind a small size", png(packed=packed_zeros(3 * 10**8))
    yield "png of 63 megapixels of zeros", png(size=png_size(7900, 7900), packed=packed_zeros(7901 * 7900))
    yield "png of 63 megapixels without them", png(size=png_size(7900, 7900, 16, 6))
    yield "png interlaced of 60 megapixels, cut", png(size=png_size(7700, 7700, 16, 2, 1), packed=packed_zeros(10**6))
    bomb = packed_zeros(10**9)
    yield "png bomb of text", png(chunk(b"zTXt", b"Comment\0\0" + bomb))
    yield "png bomb of unicode text", png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + bomb))
    yield "png bomb of a colour profile", png(chunk(b"iCCP", b"icc\0\0" + bomb))
    yield "png of 50 bombs of text", png(*[chunk(b"zTXt", b"Comment\0\0" + bomb)] * 50)
    yield "png of 300,000 chunks", png(chunk(b"prVt", b"") * 300_000)
    yield "png of 90,000 empty pixel chunks", png(chunk(b"IDAT", b"") * 90_000)
    yield "png of two headers", png(png_size(10**5, 10**5))
    yield "png of a late header", b"\x89PNG\r\n\x1a\n" + chunk(b"gAMA", b"\0\0\0\1") + png()[8:]
    yield "png without pixels", b"\x89PNG\r\n\x1a\n" + png_size(5, 5) + chunk(b"IEND", b"")
    yield "png of a chunk past the end", png()[:40] + struct.pack(">I", 2**31) + b"IDAT" + bytes(50)
    yield "png of palette without one", png(size=png_size(50, 40, 8, 3))
    yield "png of a long palette", png(chunk(b"PLTE", bytes(3000)), size=png_size(50, 40, 8, 3))
    yield "png of long transparency", png(chunk(b"tRNS", bytes(3000)))
    yield "png animation that lies", png(chunk(b"acTL", struct.pack(">II", 2**31, 0)), chunk(b"fcTL", bytes(26)))
    yield "png of a camera's loop", png(chunk(b"eXIf", tiff({34665: (4, 1, 8)}, following=8)))
    for kind in (b"IHDR", b"IDAT", b"IEND"):
        good = bytearray(png())
        good[good.index(kind) + 4 + {b"IHDR": 13, b"IEND": 0}.get(kind, 5)] ^= 1
        yield f"png with a wrong checksum of {kind.decode()}", bytes(good)


def _jpeg() -> Iterator[tuple[str, bytes]]:
    good, progressive = jpeg(), jpeg(progressive=True)
    frame, scan = good.index(b"\xff\xc0"), good.index(b"\xff\xda")
    for height, width in ((0, 0), (0, 50), (65_500, 65_500), (65_535, 1), (7_900, 7_900), (41, 51), (65_501, 900)):
        yield f"jpeg of {width} x {height}", good[: frame + 5] + struct.pack(">HH", height, width) + good[frame + 9 :]
    for n_colours in (0, 2, 5, 255):
        yield f"jpeg of {n_colours} colours", good[: frame + 9] + bytes([n_colours]) + good[frame + 10 :]
    for bits in (0, 12, 16):
        yield f"jpeg of {bits} bits", good[: frame + 4] + bytes([bits]) + good[frame + 5 :]
    for marker in (0xC3, 0xC9, 0xCB, 0xF7):
        yield f"jpeg of kind {marker:x}", good[: frame + 1] + bytes([marker]) + good[frame + 2 :]
    start, first = good[:2], progressive.index(b"\xff\xda")
    last = progressive.rindex(b"\xff\xda")
    yield "jpeg start only", start
    yield "jpeg without a size", good[:frame] + good[scan:]
    yield "jpeg without an end", good[:-2]
    yield "jpeg of two sizes", good[:scan] + good[frame : frame + 13] + good[scan:]
    yield "jpeg of padding", start + b"\xff" * 5_000_000 + good[2:]
    yield "jpeg of zeros between", start + bytes(5_000_000) + good[2:]
    yield "jpeg of 2,000,000 comments", start + b"\xff\xfe\0\x02" * 2_000_000 + good[2:]
    yield "jpeg of 50 MB of tables", start + (b"\xff\xdb\xff\xff" + bytes(65_533)) * 760 + good[2:]
    yield "jpeg of long profiles", start + (b"\xff\xe2\xff\xffICC_PROFILE\0\x01\xff" + bytes(65_519)) * 400 + good[2:]
    wide = struct.pack(">HH", 7_900, 7_900)
    place = progressive.index(b"\xff\xc2")
    many = progressive[: place + 5] + wide + progressive[place + 9 : -2] + progressive[last:-2] * 3_000 + b"\xff\xd9"
    yield "jpeg of 3,000 scans of 62 megapixels", many
    yield "jpeg of 20,000 scans", progressive[:-2] + progressive[last:-2] * 20_000 + b"\xff\xd9"
    yield (
        "progressive jpeg of 62 megapixels, cut",
        progressive[: place + 5] + wide + progressive[place + 9 : first + 90],
    )
    entries = b"".join(struct.pack("<HHII", tag, 7, 60_000, 8) for tag in range(4_000))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 4_000) + entries
    yield "jpeg of a camera's bomb", start + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + good[2:]
    loop = b"Exif\0\0" + tiff({274: (3, 1, 6), 34665: (4, 1, 8)}, following=8)
    yield "jpeg of a camera's loop", start + b"\xff\xe1" + struct.pack(">H", len(loop) + 2) + loop + good[2:]


def _tiff() -> Iterator[tuple[str, bytes]]:
    for tag, values in {
        256: ((4, 1, 10**9), (4, 1, 0), (4, 2**32 - 1, 8), (2, 1, 50), (3, 1, 51), None),
        257: ((4, 1, 65_501), (4, 1, 0), (12, 1, 8), None),
        258: ((3, 1, 0), (3, 1, 7), (3, 1, 64), (3, 65_535, 8), (3, 1, 65_535), None),
        259: ((3, 1, 34_925), (3, 1, 5), (3, 1, 7), (3, 1, 8), (3, 1, 50_000), (3, 1, 65_535), (3, 1, 6)),
        262: ((3, 1, 0), (3, 1, 2), (3, 1, 3), (3, 1, 5), (3, 1, 8), (3, 1, 32_845), None),
        273: ((4, 1, 2**32 - 1), (4, 2**32 - 1, 8), (4, 500_000, 8), (4, 0, 0), None),
        277: ((3, 1, 0), (3, 1, 65_535), (3, 1, 4)),
        278: ((4, 1, 0), (4, 1, 2**32 - 1), (4, 1, 1)),
        279: ((4, 1, 2**32 - 1), (4, 1, 0), (4, 0, 0), None),
        284: ((3, 1, 2), (3, 1, 9)),
        317: ((3, 1, 2), (3, 1, 3), (3, 1, 99)),
        322: ((4, 1, 2**31), (4, 1, 0), (4, 1, 16)),
        338: ((3, 1, 1), (3, 60_000, 8)),
        339: ((3, 1, 5), (3, 1, 3), (3, 1, 77)),
    }.items():
        for value in values:
            yield f"tiff tag {tag} = {value}", grey_tiff(**{f"t{tag}": value})
    yield "tiff loop of pages", grey_tiff(following=2008)
    yield "tiff that begins in its own header", b"II*\0\x02\0\0\0" + bytes(50)
    yield "tiff of tags behind its end", b"II*\0\xff\xff\xff\xff" + bytes(50)
    body = bytes(10**6)
    everything = {tag: (7, len(body), 8) for tag in range(1_000, 61_000)}
    yield "tiff of 60,000 tags of the whole file", tiff(everything | {256: (3, 1, 50), 257: (3, 1, 40)}, body)
    sub = {f"t{tag}": (4, 1, 2008) for tag in (330, 34_665, 34_853, 40_965)}
    yield "tiff of tags in tags in a loop", grey_tiff(**sub)
    yield "tiff of a long profile", grey_tiff(GREY.tobytes() + body, t34675=(7, 10**6, 8), t700=(1, 10**6, 8))
    zeros = packed_zeros(3 * 10**8)
    yield "tiff bomb of one strip", grey_tiff(zeros, t259=(3, 1, 8))
    deep = {"t258": (3, 1, 32), "t339": (3, 1, 3), "t259": (3, 1, 8)}
    yield "tiff bomb of floats", grey_tiff(zeros, **deep)
    large = {"t256": (4, 1, 7_900), "t257": (4, 1, 7_900), "t278": (4, 1, 7_900)}
    yield "tiff bomb of 62 megapixels of floats", grey_tiff(zeros, **deep | large)
    yield "tiff of 60 bands of 62 megapixels", grey_tiff(b"", **large | {"t277": (3, 1, 60), "t279": (4, 1, 0)})
    yield "tiff of 62 megapixels, none there", grey_tiff(b"", **large | {"t258": (3, 1, 64), "t279": (4, 1, 0)})
    yield "tiff of 62 megapixels of LZW, cut", grey_tiff(**large | {"t259": (3, 1, 5)})
    places = np.full(7_900, 40_000, "<u4").tobytes() + np.full(7_900, 10**6, "<u4").tobytes()
    same = {"t273": (4, 7_900, 8), "t279": (4, 7_900, 8 + 31_600), "t278": (4, 1, 1), "t259": (3, 1, 8)}
    yield "tiff of strips in one place", grey_tiff(places.ljust(100_000, b"\0") + body, **large | same)
    values = np.ones((30, 40), np.complex64)
    for what, array, options in (
        ("complex values", values, {}),
        ("float16", values.real.astype(np.float16), {}),
        ("signed bytes", GREY.view(np.int8), {}),
        ("64-bit integers", GREY.astype(np.uint64) << 55, {}),
        ("80 bands", np.zeros((9, 9, 80), np.uint16), {"photometric": "minisblack", "planarconfig": "contig"}),
        ("all nan", np.full((9, 9), np.nan, np.float32), {}),
    ):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, array, **options)
        yield f"tiff of {what}", buffer.getvalue()
    yield "bigtiff of a place beyond reason", b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63) + bytes(50)
    yield "bigtiff of 2**62 tags", b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 2**62) + bytes(50)


def _webp() -> Iterator[tuple[str, bytes]]:
    huge = b"\x12\0\0\0" + (2**24 - 1).to_bytes(3, "little") * 2
    small = b"\x02\0\0\0" + (49).to_bytes(3, "little") + (39).to_bytes(3, "little")
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "WEBP", lossless=True)
    good = buffer.getvalue()
    pixels = good[20:]
    yield "webp of 2**24 x 2**24", webp((b"VP8X", huge), (b"VP8L", pixels))
    yield "webp of two sizes", webp((b"VP8X", small), (b"VP8L", b"\x2f" + b"\xff" * 4 + pixels[5:]))
    yield "webp of 16384 x 16384", good[:21] + b"\xff\xff\xff\x0f" + good[25:]
    yield "webp of 7,900 x 7,900, cut", webp((b"VP8L", b"\x2f" + struct.pack("<I", 7_899 | 7_899 << 14) + bytes(9)))
    yield "webp of no size", webp((b"VP8 ", bytes(30)))
    yield "webp without pixels", webp((b"VP8X", small))
    yield "webp start only", b"RIFF\xff\xff\xff\xffWEBP"
    yield "webp that gives a wrong length", good[:4] + b"\xff\xff\xff\xff" + good[8:]
    yield "webp of 200,000 chunks", webp((b"VP8X", small), *[(b"XMP ", b"")] * 200_000)
    frame = (b"ANMF", bytes(16) + b"VP8L" + struct.pack("<I", len(pixels)) + pixels)
    yield "webp of 5,000 frames", webp((b"VP8X", small), (b"ANIM", bytes(6)), *[frame] * 5_000)
    yield "wave file", b"RIFF\x24\0\0\0WAVEfmt " + bytes(60)
