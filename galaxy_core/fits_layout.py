"""Where the extensions of a FITS file lie and what they claim, from a few header cards alone.

Nothing here trusts a header: sizes are whole numbers of any length, nothing is allocated by them, and what a damaged
header says wrongly becomes one sentence.

Source: FITS standard 4.0 (2018), sections 3.3, 4.4.1 and 10 (tile compression).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from galaxy_core.errors import ImageError
from galaxy_core.image_limits import shown_name

BLOCK = 2880  # bytes: headers and data are padded to multiples of it
CARD = 80
MAX_HEADER_BYTES = 1000 * BLOCK  # 36,000 cards
MAX_EXTENSIONS = 20_000
MOST_LAST_BANDS = 5  # of an array of (height, width, bands); no image is so narrow
_BITPIX = (8, 16, 32, 64, -32, -64)
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([ED][+-]?\d{1,4})?", re.IGNORECASE)
_WANTED = re.compile(
    rb"SIMPLE|XTENSION|Z?BITPIX|Z?NAXIS\d*|PCOUNT|GCOUNT|GROUPS|EXTNAME|EXTVER|ZIMAGE|ZTILE\d+|ZCMPTYPE|ZQUANTIZ|ZDITHER0"
    rb"|ZNAME\d+|ZVAL\d+|THEAP|TFIELDS|TTYPE\d+|TFORM\d+|BSCALE|BZERO|BLANK|BSOFTEN|BOFFSET"
    rb"|EXTTYPE|HDUCLAS2"
)
# What maps beside an image are called, by HST, JWST, DECam, DES, LSST, MUSE, SDSS, Euclid and astropy
_BESIDE_AN_IMAGE = re.compile(
    r"(WHT|WGT|WT|WEIGHTS?|ERR|ERRORS?|RMS|SIGMA|STD|STDDEV|UNC|UNCERT|UNCERTAINTY|VAR|VARIANCE|VAR_[A-Z]+|I?NVVAR|IVAR"
    r"|STAT|DQ|QUALITY|MASK|MSK|BPM|FLAGS?|FLG|CTX|CONTEXT|CON|EXP|EXPTIME|EXPOSURE|EXPMAP|AREA|SAMP|TIME|SEG|SEGM|SEGMAP)"
    r"[-_ ,]*\d*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Extension:
    """One header and data unit.

    Attributes
    ----------
    index : int
        0 is the primary one.
    name : str
        EXTNAME, or empty.
    cards : dict
        Of the keywords that say how data are stored: int, float, bool or str.
    header_start, data_start, data_end : int
        Bytes in the file; ``data_end`` may lie beyond the end of a file that was cut short.
    """

    index: int
    name: str
    cards: dict[str, int | float | bool | str]
    header_start: int
    data_start: int
    data_end: int

    @property
    def is_compressed(self) -> bool:
        """Whether it is a table of compressed tiles that stands for an image."""
        return self.cards.get("XTENSION") == "BINTABLE" and self.cards.get("ZIMAGE") is True

    @property
    def is_beside_an_image(self) -> bool:
        """Whether its name or type says that it holds weights, errors, exposures or flags of another's pixels."""
        said = (self.name, self.cards.get("EXTTYPE", ""), self.cards.get("HDUCLAS2", ""))
        return any(_BESIDE_AN_IMAGE.fullmatch(str(word).strip()) for word in said)

    @property
    def kind(self) -> str:
        """What it is, as a sentence says it."""
        if self.shape is not None and len(self.shape) > 4:
            return f"data of {len(self.shape)} axes"
        if self.shape is not None:
            return f"{' x '.join(str(side) for side in reversed(self.shape))} pixels"
        if self.cards.get("XTENSION", "IMAGE") != "IMAGE":
            return "a table" if "TABLE" in str(self.cards["XTENSION"]) else "of another kind"
        return "random groups" if self.cards.get("GROUPS") is True else "empty"

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Array shape (last axis fastest) as the header has it; None for tables, groups and headers without data."""
        if self.cards.get("XTENSION", "IMAGE") != "IMAGE" and not self.is_compressed:
            return None
        sides = _sides(self.cards, "Z" if self.is_compressed else "")
        return tuple(reversed(sides)) if sides and 0 not in sides else None

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(bands, height, width), or None where it holds no image; axes of length 1 before the last two are dropped."""
        shape = self.shape
        if shape is None or len(shape) < 2:
            return None
        bands = [side for side in shape[:-2] if side != 1]
        return (bands[0] if bands else 1, *shape[-2:]) if len(bands) < 2 else None


def extensions(data: bytes, name: str) -> Iterator[Extension]:
    """Header and data units of a FITS file, one after the other.

    Raises
    ------
    ImageError
        At the first header that is damaged. Rubbish behind the last unit ends the file without an error.
    """
    start, index = 0, 0
    while start < len(data):
        if index and not data.startswith(b"XTENSION", start):
            return
        if index >= MAX_EXTENSIONS:
            raise ImageError(f"{shown_name(name)} has more than {MAX_EXTENSIONS:,} extensions; split the file first.")
        cards, data_start = _read_cards(data, start, name)
        _check_cards(cards, index, name)
        n_bytes = _data_bytes(cards)
        label = str(cards.get("EXTNAME", "")).strip()
        yield Extension(index, label, cards, start, data_start, data_start + n_bytes)
        start, index = data_start + -(-n_bytes // BLOCK) * BLOCK, index + 1


def first_image(data: bytes, name: str) -> Extension | None:
    """The first image that is none of weights, errors or flags; the first of all where a file has only such."""
    beside = None
    try:
        for extension in extensions(data, name):
            if extension.image_shape and not extension.is_beside_an_image:
                return extension
            beside = beside or (extension if extension.image_shape else None)
    except ImageError:
        if beside is None:
            raise
    return beside


def with_bands_first(extension: Extension, name: str) -> Extension:
    """The same image; `ImageError` where its bands are the last axis of the array, as those of pictures are."""
    bands, height, width = extension.image_shape
    if width <= MOST_LAST_BANDS < min(bands, height):
        has = "an axis of length 1" if width == 1 else f"{width} bands"
        raise ImageError(
            f"{shown_name(name)} has {has} on its first axis (NAXIS1), where FITS has the width; save the array as"
            " (bands, height, width), with np.moveaxis(pixels, -1, 0)."
        )
    return extension


def _read_cards(data: bytes, start: int, name: str) -> tuple[dict[str, int | float | bool | str], int]:
    """Wanted cards of the header at ``start``, and where its data begin."""
    cards: dict[str, int | float | bool | str] = {}
    for place in range(start, min(len(data), start + MAX_HEADER_BYTES), CARD):
        keyword = data[place : place + 8].rstrip()
        if keyword == b"END":
            blocks = -(-(place + CARD - start) // BLOCK)
            return cards, start + blocks * BLOCK
        if data[place + 8 : place + 9] == b"=" and _WANTED.fullmatch(keyword):
            value = _value(data[place + 9 : place + CARD])
            if value is not None:
                cards.setdefault(keyword.decode("ascii"), value)
    if len(data) - start > MAX_HEADER_BYTES:
        limit = MAX_HEADER_BYTES // CARD
        raise ImageError(
            f"{shown_name(name)} has a FITS header of more than {limit:,} cards or with no end; shorten it."
        )
    raise ImageError(f"{shown_name(name)} is a damaged FITS file (its header has no end); fetch or save it again.")


def _value(text: bytes) -> int | float | bool | str | None:
    """Value of a card from what follows ``=``: as written where it cannot be read, None where there is none."""
    text = text.strip()
    if text.startswith(b"'"):
        end = re.match(rb"'((?:[^']|'')*)'", text)
        return (end[1].replace(b"''", b"'") if end else text[1:]).decode("ascii", "replace").rstrip()
    text = text.partition(b"/")[0].strip()
    if text in (b"T", b"F"):
        return text == b"T"
    if not _NUMBER.fullmatch(text):
        return text.decode("ascii", "replace") or None
    digits = text.upper().replace(b"D", b"E")
    return int(digits) if digits.lstrip(b"+-").isdigit() else float(digits)


def _sides(cards: dict, prefix: str = "") -> list[int]:
    """NAXIS1, NAXIS2, ... as the header has them, 0 where one is missing."""
    return [cards.get(f"{prefix}NAXIS{axis}", 0) for axis in range(1, cards.get(f"{prefix}NAXIS", 0) + 1)]


def _check_cards(cards: dict, index: int, name: str) -> None:
    """Raise `ImageError` where the cards that say how long the data are make no sense."""
    name = shown_name(name)
    for prefix in ("", "Z") if cards.get("ZIMAGE") is True else ("",):
        what = f"{name} is a damaged FITS file (extension {index}:"
        if cards.get(f"{prefix}BITPIX") not in _BITPIX or isinstance(cards[f"{prefix}BITPIX"], float):
            raise ImageError(f"{what} {prefix}BITPIX is none of {', '.join(map(str, _BITPIX))}); save it again.")
        n_axes = cards.get(f"{prefix}NAXIS")
        if type(n_axes) is not int or not 0 <= n_axes <= 999:
            raise ImageError(f"{what} {prefix}NAXIS is no number from 0 to 999); save it again.")
        for axis in range(1, n_axes + 1):
            side = cards.get(f"{prefix}NAXIS{axis}")
            if type(side) is not int or side < 0:
                raise ImageError(f"{what} {prefix}NAXIS{axis} is missing or no length); save it again.")
    for keyword in ("PCOUNT", "GCOUNT"):
        if type(cards.get(keyword, 0)) is not int or cards.get(keyword, 0) < 0:
            raise ImageError(
                f"{name} is a damaged FITS file (extension {index}: {keyword} is no number); save it again."
            )


def _data_bytes(cards: dict) -> int:
    """Bytes of data behind a header (FITS standard 4.0, equations 1, 2 and 4)."""
    sides = _sides(cards)
    grouped = cards.get("GROUPS") is True and sides[:1] == [0]
    if not sides:
        return 0
    values = math.prod(sides[1:] if grouped else sides)
    if grouped or "XTENSION" in cards:
        values = cards.get("GCOUNT", 1) * (cards.get("PCOUNT", 0) + values)
    return abs(cards["BITPIX"]) // 8 * values
