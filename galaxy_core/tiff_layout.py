"""The first page of a TIFF file, and its tags, before it is decoded; also the orientation that a camera noted.

A page's list of tags may claim that each of 65,535 tags holds the whole file, and point to itself as the next page. So
only the tags that describe pixels are handed on, as a file of one page, after their sizes have been added up.

Source: TIFF revision 6.0 (1992), section 2; BigTIFF as libtiff has it.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

from galaxy_core.errors import ImageError
from galaxy_core.image_limits import check_size, shown_name

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MAX_TAG_BYTES = 2**22  # of all tags of a page: places and lengths of 260,000 strips
_ORIENTATION = 274
# Size, coding, colours, strips, tiles: all that pixels need. Not resolution, text, profiles, cameras, further pages.
_PIXEL_TAGS = frozenset(
    {
        254,
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        277,
        278,
        279,
        284,
        292,
        293,
        317,
        320,
        322,
        323,
        324,
        325,
        332,
        334,
        338,
        339,
    }
    | {347, 512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532}
)


@dataclass(frozen=True)
class TiffPage:
    """First page of a TIFF file.

    Attributes
    ----------
    file : io.BytesIO
        The file with one page, and without the tags that are not about pixels; close it once pixels are decoded.
    tags : dict of int to tuple of int
        Those that describe pixels and hold integers.
    strips : list of (int, int)
        First byte and number of bytes of every strip or tile.
    orientation : int
        1 to 8; 1 is upright.
    has_more : bool
        Whether the file has further pages.
    """

    file: io.BytesIO = field(repr=False)
    tags: dict[int, tuple[int, ...]]
    strips: list[tuple[int, int]] = field(repr=False)
    orientation: int
    has_more: bool


def read_tiff(data: bytes, name: str) -> TiffPage:
    """The first page and what it claims.

    Raises
    ------
    ImageError
        Damaged, or over the size limits.
    """
    damaged = ImageError(f"{shown_name(name)} is a damaged TIFF file; fetch or save it again.")
    try:
        order, big, entries, following = _entries(data)
        kept, tags, n_bytes = [], {}, 0
        for entry in entries:
            tag, size = _tag_size(entry, order, big)
            if tag not in _PIXEL_TAGS and tag != _ORIENTATION:
                continue
            n_bytes += size
            if n_bytes > _MAX_TAG_BYTES:
                raise ImageError(f"{shown_name(name)} is a TIFF file of too many strips or tiles; save it again.")
            tags.setdefault(tag, _tag_values(data, entry, order, big))
            if tag in _PIXEL_TAGS:
                kept.append(entry)
    except struct.error:
        raise damaged from None
    width, height, bands = (tags.get(tag, default)[:1] for tag, default in ((256, ()), (257, ()), (277, (1,))))
    if not (width and height and bands):
        raise damaged
    bits = max(tags.get(258, (1,)) or (1,))
    check_size(height[0], width[0], name, bands[0], -(-bits // 8))
    strips = list(zip(tags.get(324) or tags.get(273) or (), tags.get(325) or tags.get(279) or (), strict=False))
    if sum(n_bytes for _, n_bytes in strips) > 2 * len(data):
        raise damaged
    start = len(data) + len(data) % 2
    count = struct.pack(order + ("Q" if big else "H"), len(kept))
    table = count + b"".join(kept) + bytes(8 if big else 4)
    head = data[:8] + struct.pack(order + "Q", start) if big else data[:4] + struct.pack(order + "I", start)
    page = b"".join((head, memoryview(data)[len(head) :], bytes(start - len(data)), table))
    orientation = (tags.get(_ORIENTATION) or (1,))[0]
    return TiffPage(io.BytesIO(page), tags, strips, orientation if 1 <= orientation <= 8 else 1, following != 0)


def orientation_of(exif: bytes) -> int:
    """Orientation in the tags of a camera, 1 to 8; 1 (upright) where there is none or it cannot be read."""
    try:
        order, big, entries, _ = _entries(exif)
        found = next((e for e in entries if struct.unpack_from(order + "H", e)[0] == _ORIENTATION), None)
        values = _tag_values(exif, found, order, big) if found else ()
    except struct.error:
        return 1
    return values[0] if values and 1 <= values[0] <= 8 else 1


def _entries(data: bytes) -> tuple[str, bool, list[bytes], int]:
    """Byte order, whether it is a BigTIFF, the entries of the first list of tags, and where the next list is."""
    if not data.startswith(TIFF_STARTS):
        raise struct.error("no TIFF")
    order, big = ("<" if data.startswith(b"II") else ">"), data[2:4].strip(b"\0") == b"+"
    start = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    count_bytes, entry_bytes = (8, 20) if big else (2, 12)
    count = struct.unpack_from(order + ("Q" if big else "H"), data, min(start, len(data)))[0]
    first = start + count_bytes
    if count > 65_535 or first + count * entry_bytes > len(data):
        raise struct.error("a list of tags longer than the file")
    entries = [data[first + k * entry_bytes : first + (k + 1) * entry_bytes] for k in range(count)]
    end = first + count * entry_bytes
    following = data[end : end + (8 if big else 4)]
    return order, big, entries, int.from_bytes(following, "little" if order == "<" else "big")


def _tag_size(entry: bytes, order: str, big: bool) -> tuple[int, int]:
    """Number of a tag, and the bytes it claims to hold."""
    tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), entry)
    return tag, count * (_BYTES_OF_TYPE[kind] if kind < len(_BYTES_OF_TYPE) else 0)


def _tag_values(data: bytes, entry: bytes, order: str, big: bool) -> tuple[int, ...]:
    """Values of a tag of integers; nothing for other kinds, or where there are more than `_MAX_TAG_BYTES` of them."""
    _, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), entry)
    _, size = _tag_size(entry, order, big)
    if kind not in _INTEGERS or size > _MAX_TAG_BYTES:
        return ()
    inline = entry[12:] if big else entry[8:]
    if size > len(inline):
        place = struct.unpack(order + ("Q" if big else "I"), inline)[0]
        inline = data[place : place + size]
    return struct.unpack_from(f"{order}{count}{_INTEGERS[kind]}", inline)
