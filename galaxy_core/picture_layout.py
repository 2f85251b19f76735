"""PNG, JPEG and WebP before they are decoded: what they claim, and only the parts that are pixels.

A decoder reads everything in a file, and metadata are where small files do great harm: text that unpacks to gigabytes,
colour profiles, millions of empty segments, camera tags that point into one another. So the pieces are counted and
measured here, and the decoder is given a file without all that.

Sources: PNG specification (W3C, third edition), ITU-T T.81 (JPEG) annex B, WebP container specification (RFC 9649).
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

from galaxy_core.errors import ImageError
from galaxy_core.image_limits import check_size, shown_name
from galaxy_core.tiff_layout import orientation_of

PNG_START = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 100_000  # an encoder that writes 8 KiB at a time makes 25,600 of 200 MiB
_MAX_SEGMENTS = 10_000  # of 64 KiB each
_MAX_TABLE_BYTES = 2**19  # a usual JPEG has 1 KiB of tables
MAX_SCAN_PIXELS = 1_000 * 10**6  # pixels times scans: a progressive picture is drawn anew by every scan
_FRAME_HEADERS = frozenset({0xC0, 0xC1, 0xC2})  # of the JPEG kinds that are in use
_OTHER_FRAMES = frozenset({0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
_BITS = {1: 1, 2: 2, 4: 4, 8: 8, 16: 16}


@dataclass(frozen=True)
class Picture:
    """A picture file, before it is decoded.

    Attributes
    ----------
    file : io.BytesIO
        The file without what is not pixels; close it once pixels are decoded, and its memory is free.
    width, height : int
    channels : int
    bits : int
        Per value: 1 to 16.
    orientation : int
        EXIF's, 1 to 8; 1 is upright.
    frames : int
        More than 1 for an animation.
    grey_alpha : bool
        16-bit grey with transparency, which is handed on as 8-bit RGBA: the bytes of both, most significant first.
    """

    file: io.BytesIO = field(repr=False)
    width: int
    height: int
    channels: int = 3
    bits: int = 8
    orientation: int = 1
    frames: int = 1
    grey_alpha: bool = False


def read_png(data: bytes, name: str) -> Picture:
    """Header, palette, transparency and pixels of a PNG; checksums of these are verified.

    Raises
    ------
    ImageError
    """
    damaged = f"{shown_name(name)} is a damaged PNG file"
    kept, orientation, frames, place, n_chunks, header = [PNG_START], 1, 1, 8, 0, None
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        n_chunks += 1
        if n_chunks > _MAX_CHUNKS:
            raise ImageError(f"{damaged} (of more than {_MAX_CHUNKS:,} pieces); save it again.")
        if end > len(data) or (header is None and kind != b"IHDR"):
            raise ImageError(
                f"{damaged} ({'cut short' if header else 'its header is missing'}); fetch or save it again."
            )
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            body = memoryview(data)[place:end]
            if zlib.crc32(body[4:-4]) != int.from_bytes(body[-4:], "big"):
                raise ImageError(f"{damaged} (a checksum is wrong); fetch or save it again.")
            if kind == b"IHDR":
                if header is not None:
                    raise ImageError(f"{damaged} (of two headers); fetch or save it again.")
                header = _png_header(bytes(body[8:-4]), name, damaged)
            kept.append(body)
        elif kind == b"eXIf" and length < 2**16:
            orientation = orientation_of(data[place + 8 : end - 4])
        elif kind == b"acTL" and length == 8:
            frames = struct.unpack_from(">I", data, place + 8)[0]
        place = end
        if kind == b"IEND":
            break
    if header is None or kept[-1][4:8] != b"IEND":
        raise ImageError(f"{damaged} (cut short); fetch or save it again.")
    width, height, bits, channels = header
    grey_alpha = bits == 16 and channels == 2
    if grey_alpha:
        changed = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 6, 0, 0, kept[1][20])
        kept[1] = struct.pack(">I", 13) + changed + struct.pack(">I", zlib.crc32(changed))
    return Picture(io.BytesIO(b"".join(kept)), width, height, channels, bits, orientation, frames, grey_alpha)


def _png_header(body: bytes, name: str, damaged: str) -> tuple[int, int, int, int]:
    """Width, height, bits and channels."""
    if len(body) != 13:
        raise ImageError(f"{damaged} (its header has another length); fetch or save it again.")
    width, height, bits, colour = struct.unpack_from(">IIBB", body)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour)
    if channels is None or bits not in _BITS or (bits < 8 and colour not in (0, 3)) or (bits == 16 and colour == 3):
        raise ImageError(f"{damaged} ({bits} bits of colour type {colour}); save it again.")
    check_size(height, width, name, min(channels, 3), bytes_per_value=1)
    return width, height, bits, channels


def read_jpeg(data: bytes, name: str) -> Picture:
    """Tables and scans of a JPEG, without what applications have added.

    Raises
    ------
    ImageError
    """
    damaged = f"{shown_name(name)} is a damaged JPEG file"
    kept, place, orientation, frame, n_bytes = [data[:2]], 2, 1, None, 0
    for _ in range(_MAX_SEGMENTS):
        if data[place : place + 1] != b"\xff" or place + 4 > len(data):
            what = "cut short" if place + 4 > len(data) else "rubbish between its parts"
            raise ImageError(f"{damaged} ({what}); fetch or save it again.")
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        if length < 2 or len(body) < length - 2:
            raise ImageError(f"{damaged} (cut short); fetch or save it again.")
        if marker in _OTHER_FRAMES:
            raise ImageError(f"{shown_name(name)} is a lossless or arithmetic JPEG, which is not read; save it as PNG.")
        if marker in _FRAME_HEADERS:
            frame = _jpeg_frame(body, name, damaged)
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = orientation_of(body[6:])
        if marker == 0xDA:
            break
        if not 0xE1 <= marker <= 0xED and marker not in (0xEF, 0xFE):  # JFIF and Adobe say what colours mean
            kept.append(data[place : place + 2 + length])
            n_bytes += length
        if n_bytes > _MAX_TABLE_BYTES:
            raise ImageError(f"{damaged} (its tables are too long); save it again.")
        place += 2 + length
    else:
        raise ImageError(f"{damaged} (of more than {_MAX_SEGMENTS:,} parts); save it again.")
    if frame is None:
        raise ImageError(f"{damaged} (its size is missing); fetch or save it again.")
    height, width, channels = frame
    n_scans = data.count(b"\xff\xda", place)
    if n_scans > 3 and n_scans * height * width > MAX_SCAN_PIXELS:
        raise ImageError(f"{shown_name(name)} is drawn in {n_scans} scans, too many for its size; save it again.")
    kept.append(memoryview(data)[place:])
    return Picture(io.BytesIO(b"".join(kept)), width, height, channels, 8, orientation)


def _jpeg_frame(body: bytes, name: str, damaged: str) -> tuple[int, int, int]:
    """Height, width and channels."""
    if len(body) < 6:
        raise ImageError(f"{damaged} (its size is missing); fetch or save it again.")
    bits, height, width, channels = struct.unpack_from(">BHHB", body)
    if bits != 8:
        raise ImageError(f"{shown_name(name)} is a JPEG of {bits} bits, which is not read; save it as PNG or TIFF.")
    if channels not in (1, 3, 4):
        raise ImageError(f"{damaged} ({channels} colours); save it again.")
    check_size(height, width, name, min(channels, 3), bytes_per_value=1)
    return height, width, channels


def read_webp(data: bytes, name: str) -> Picture:
    """Size and number of frames of a WebP; it is handed on as it is.

    Raises
    ------
    ImageError
    """
    damaged = ImageError(f"{shown_name(name)} is a damaged WebP file; fetch or save it again.")
    size, orientation, frames, place = None, 1, 0, 12
    for _ in range(_MAX_CHUNKS):
        if place + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, place)
        body = data[place + 8 : place + 8 + min(length, 30)]
        found = _webp_size(kind, body)
        if found and (kind != b"VP8X" or size is None):
            check_size(found[1], found[0], name, 3, bytes_per_value=1)
            size = size or found
        frames += kind == b"ANMF"
        if kind == b"EXIF" and length < 2**16:
            orientation = orientation_of(data[place + 8 : place + 8 + length].removeprefix(b"Exif\0\0"))
        place += 8 + length + length % 2
    else:
        raise damaged
    if size is None:
        raise damaged
    return Picture(io.BytesIO(data), *size, 3, 8, orientation, max(frames, 1))


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int] | None:
    """Width and height that a chunk of a WebP gives."""
    if kind == b"VP8X" and len(body) >= 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        packed = int.from_bytes(body[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    return None
