"""What an image file may be: its size, its name, and how an error speaks of it.

Every limit is checked against what a file claims before a pixel is decoded. Together they keep the largest file that is
read within 1.5 GiB of memory: the file (`MAX_BYTES`), what its decoder makes of it and the float32 pixels
(`MAX_DECODED_BYTES`), and 0.15 GiB of libraries.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterator

from galaxy_core.errors import ImageError

MAX_BYTES = 200 * 2**20  # of a file: 50 megapixels of float32, and what browsers are told is the most
MAX_PIXELS = 64 * 10**6  # height x width
MAX_SIDE_PX = 65_500
MAX_BANDS = 64
MAX_VALUES = 3 * MAX_PIXELS  # bands x height x width
MAX_DECODED_BYTES = 1_150 * 10**6  # of the decoder's pixels and the float32 ones
MAX_NAME = 150  # characters of a file name: with what a download appends, below the 255 bytes of file systems
READABLE = "PNG, JPEG, TIFF, WebP or FITS"

_PIECE = 2**18  # bytes of packed data taken at a time
_FORBIDDEN = frozenset('<>:"|?*')  # in file names, by Windows; separators are cut at first
# How files begin that are often dropped here by mistake.
_OTHER_KINDS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"\xfd7zXZ\0", "an xz file; unpack it first"),
    (b"GIF8", "a GIF picture of 256 colours"),
    (b"BM", "a BMP picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\x89HDF", "an HDF5 file"),
    (b"XTENSION=", "an extension of a FITS file without its beginning"),
)


def check_size(height: int, width: int, name: str, bands: int = 1, bytes_per_value: int = 4) -> None:
    """Raise `ImageError` for an image of no pixels or of more than the limits, before anything is decoded.

    Parameters
    ----------
    height, width : int
    name : str
    bands : int, optional
    bytes_per_value : int, optional
        In the decoder's own pixels, which are held beside the float32 ones.
    """
    name = shown_name(name)
    if height < 1 or width < 1 or bands < 1:
        raise ImageError(f"{name} has no pixels ({width} x {height}).")
    if height * width > MAX_PIXELS or max(height, width) > MAX_SIDE_PX:
        raise ImageError(
            f"{name} is {_plain(width)} x {_plain(height)} pixels, over the limit of {MAX_PIXELS // 10**6} megapixels"
            f" and {MAX_SIDE_PX:,} pixels a side; cut out a smaller region first."
        )
    if bands > MAX_BANDS:
        raise ImageError(f"{name} has {_plain(bands)} bands, over the limit of {MAX_BANDS}; save fewer of them.")
    values = bands * height * width
    if values > MAX_VALUES or values * (4 + bytes_per_value) > MAX_DECODED_BYTES:
        raise ImageError(
            f"{name} is {bands} bands of {width} x {height} pixels, which take too much memory; cut out a smaller"
            " region first."
        )


def check_bytes(n_bytes: int, name: str) -> None:
    """Raise `ImageError` for a file of more bytes than are read."""
    if n_bytes > MAX_BYTES:
        raise ImageError(f"{shown_name(name)} is larger than {MAX_BYTES // 2**20} MiB; cut out a smaller region first.")


def safe_name(name: str) -> str:
    """File name that any system can save and any page can show: one line, no path, no markup, at most 150 characters.

    >>> safe_name("../../etc/M31<b>.fits")
    'M31_b_.fits'
    """
    last = unicodedata.normalize("NFC", str(name)).replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = "".join("_" if _is_unsafe(c) or c in _FORBIDDEN else c for c in last).strip(" .")
    if len(kept.encode()) > MAX_NAME:
        stem, dot, suffix = kept.rpartition(".")
        suffix = dot + suffix if stem and len(suffix.encode()) <= 10 else ""
        kept = kept.encode()[: MAX_NAME - len(suffix.encode())].decode(errors="ignore") + suffix
    return kept or "image"


def shown_name(name: str, longest: int = 80) -> str:
    """Name of a file as a sentence has it: on one line, and the middle of a long one left out."""
    text = "".join("_" if _is_unsafe(c) else c for c in str(name)[:2000]).strip() or "image"
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[-longest // 2 + 1 :]}"


def reason(error: Exception) -> str:
    """What a decoder said about a damaged file, in one short line."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    line = next(iter(str(error).strip().splitlines()), "")
    return "".join(" " if _is_unsafe(c) else c for c in line[:100]).strip(" .") or type(error).__name__


def not_an_image(data: bytes, name: str) -> ImageError:
    """The error for a file of none of the kinds that are read, saying what it is where that can be seen."""
    start = data[:512].lstrip().lower()
    kind = next((kind for magic, kind in _OTHER_KINDS if data.startswith(magic)), "")
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        kind = "a web page or drawing"
    elif data[4:8] == b"ftyp":
        kind = "a HEIC, AVIF or video file"
    elif (
        not kind and len(start) > 8 and start.isascii() and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start)
    ):
        kind = "text"
    what, _, advice = kind.partition("; ")
    said = f" ({what})" if what else ""
    return ImageError(
        f"{shown_name(name)} is not an image this can read{said}; {advice or f'choose a {READABLE} file'}."
    )


def inflate(packed: bytes | memoryview, wbits: int) -> Iterator[bytes]:
    """Unpacked pieces of zlib (``wbits`` 15) or gzip (31) data, of all gzip members; the caller may stop at any time.

    Raises
    ------
    zlib.error
        Where the data are damaged.
    EOFError
        Where they are cut short.
    """
    unzip, view = zlib.decompressobj(wbits=wbits), memoryview(packed)
    for start in range(0, len(view), _PIECE):
        waiting = bytes(view[start : start + _PIECE])
        while waiting:
            if unzip.eof:
                if wbits != 31 or not waiting.startswith(b"\x1f"):
                    return  # padding or rubbish behind the end
                unzip = zlib.decompressobj(wbits=wbits)
            yield unzip.decompress(waiting, _PIECE * 16)
            waiting = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
    while not unzip.eof:
        rest = unzip.decompress(b"", _PIECE * 16)
        if not rest and not unzip.eof:
            raise EOFError("the packed data are cut short")
        yield rest


def inflates_within(packed: bytes | memoryview, limit: int, wbits: int) -> bool:
    """Whether packed data unpack to at most ``limit`` bytes; see `inflate`."""
    n_bytes = 0
    for piece in inflate(packed, wbits):
        n_bytes += len(piece)
        if n_bytes > limit:
            return False
    return True


def _is_unsafe(character: str) -> bool:
    """Whether a character breaks a line, is invisible, or turns the direction of writing."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _plain(number: int) -> str:
    """A size in full, or its power of ten where a damaged header claims the absurd."""
    return str(number) if abs(number) < 10**12 else f"1e{len(str(abs(number))) - 1}"
