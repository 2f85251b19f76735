"""FITS in and out: plain, gzipped and tile-compressed images, with every limit checked before pixels are decoded."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from astropy.io import fits

from galaxy_core.counting import count
from galaxy_core.errors import ImageError
from galaxy_core.fits_layout import Extension, extensions, first_image, with_bands_first
from galaxy_core.fits_tiles import compressed_header, tile_strips
from galaxy_core.fits_units import note_of_magnitudes, stored_type, units_of
from galaxy_core.frame_headers import SHARED_CARDS
from galaxy_core.image_limits import check_size, inflate, reason, shown_name

MAX_UNZIPPED_BYTES = 420 * 10**6  # 50 megapixels of float64
_PRIMARY_BYTES = 2**18  # of a file, that hold its primary header
_MAX_CARD_CHARACTERS = 5_000  # of a value continued over many cards
_HISTORY_CHARACTERS = 72  # of a card
_STRIP_VALUES = 4 * 10**6
# Cards that describe how the old pixels were stored; the new ones are plain float32.
_STORAGE_CARDS = ("BSCALE", "BZERO", "BLANK", "BSOFTEN", "BOFFSET", "CHECKSUM", "DATASUM", "ZDATASUM", "ZHECKSUM",
                  "DATAMIN", "DATAMAX")  # fmt: skip


def decode_fits(
    data: bytes, name: str, hdu: int | str | None = None
) -> tuple[np.ndarray, fits.Header, int, tuple[str, ...]]:
    """Image of a FITS file: of the extension that is asked for, or else of the first that has one of the sky.

    Parameters
    ----------
    data : bytes
        The file, possibly gzipped.
    name : str
        What error messages call it.
    hdu : int or str, optional
        Number of the extension (0 is the primary one) or its EXTNAME, in any case.

    Returns
    -------
    pixels : ndarray of float32, shape (bands, height, width)
        In the file's units: BSCALE, BZERO and byte order are undone, BLANK is NaN, and the stretch of the stacks of
        Pan-STARRS is taken off. Axes of length 1 before the last two are dropped.
    header : astropy.io.fits.Header
        Without cards that cannot be read.
    bits : int
        Bits per value in the file.
    notes : tuple of str
        What a user ought to know, one sentence each.

    Raises
    ------
    ImageError
        Damaged, too large, no such extension, without an image, or without a finite pixel.
    """
    data = _unpacked(data, name)
    chosen = _choose(data, name, hdu)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # damage that astropy warns of and repairs is not the user's worry
            pixels = _pixels(data, chosen, name)
            header, n_dropped = header_of(data, chosen)
    except ImageError:
        raise
    except Exception as error:  # astropy raises nearly anything on a damaged file
        shown = shown_name(name)
        raise ImageError(f"{shown} is a damaged FITS file ({reason(error)}); fetch or save it again.") from None
    if not np.isfinite(pixels).any():
        raise ImageError(f"{shown_name(name)} has no finite pixel; nothing can be made of it.")
    notes = [f"Damaged cards of the header that were left out: {n_dropped}."] if n_dropped else []
    notes += note_of_magnitudes(header)
    if hdu is None:
        notes = [*which_image(data, name, chosen), *notes]
    return pixels, header, abs(chosen.cards.get("ZBITPIX", chosen.cards["BITPIX"])), tuple(notes)


def which_image(data: bytes, name: str, chosen: Extension) -> list[str]:
    """A note on what was taken where nothing was asked for; none where it is the one image, and the primary one."""
    found = _images(data, name)
    further = sum(not one.is_beside_an_image for one in found) - 1
    if chosen.index == 0 and further < 1:
        return []
    label = f" ({shown_name(chosen.name, 40)})" if chosen.name else ""
    passed = "" if found[0].index == chosen.index else " and no weights, errors or flags"
    are = count(further, "more is left out unless you ask for its", "more are left out unless you ask for their")
    others = f"; {are} extension" if further > 0 else ""
    return [f"Extension {chosen.index}{label} is shown, the first that holds an image{passed}{others}."]


def list_images(data: bytes, name: str) -> list[tuple[int, str, tuple[int, int, int]]]:
    """Extensions of a FITS file that hold images, without decoding a pixel.

    Returns
    -------
    list of (int, str, (int, int, int))
        Number, EXTNAME (or empty), and (bands, height, width); the one first that is read where none is asked for.

    Raises
    ------
    ImageError
        The first header is damaged. Damage behind an image only ends the list.
    """
    found = _images(_unpacked(data, name), name)
    read = next((extension for extension in found if not extension.is_beside_an_image), None)
    found.sort(key=lambda extension: extension is not read)
    return [(extension.index, extension.name, extension.image_shape) for extension in found]


def _images(data: bytes, name: str) -> list[Extension]:
    found: list[Extension] = []
    try:
        for extension in extensions(data, name):
            if extension.image_shape:
                found.append(extension)
    except ImageError:
        if not found:
            raise
    return found


def encode_fits(pixels: np.ndarray, header: fits.Header | None, history: list[str]) -> bytes:
    """FITS file of float32 pixels with the cards of ``header`` (WCS, units, ...) and HISTORY cards added.

    Parameters
    ----------
    pixels : ndarray, shape (bands, height, width) or (height, width)
        One band is written as a two-dimensional image.
    header : astropy.io.fits.Header or None
        Cards that describe how the old pixels were stored are left out.
    history : list of str
        One sentence a HISTORY entry.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _primary(np.asarray(pixels, dtype=np.float32), header, history).writeto(
            buffer, output_verify="silentfix+ignore"
        )
    return buffer.getvalue()


def encode_header(shape: tuple[int, int, int], header: fits.Header | None, history: list[str]) -> bytes:
    """The header of the file that `encode_fits` makes of pixels of this shape (bands, height, width)."""
    empty = np.broadcast_to(np.float32(0), shape)  # of any size in four bytes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hdu = _primary(empty, header, history)
        hdu.verify("silentfix+ignore")
        return hdu.header.tostring().encode("ascii", "replace")


def add_history(header: fits.Header, sentence: str) -> None:
    """Add a sentence to HISTORY, parted between words: astropy parts it after 72 characters, wherever that is."""
    for line in textwrap.wrap(sentence.encode("ascii", "replace").decode(), _HISTORY_CHARACTERS):
        header.add_history(line)


def _primary(values: np.ndarray, header: fits.Header | None, history: list[str]) -> fits.PrimaryHDU:
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    kept = fits.Header() if header is None else header.copy(strip=True)
    for card in _STORAGE_CARDS:
        kept.remove(card, ignore_missing=True, remove_all=True)
    hdu = fits.PrimaryHDU(values, header=kept)
    for sentence in history:
        add_history(hdu.header, sentence)
    return hdu


def _choose(data: bytes, name: str, hdu: int | str | None) -> Extension:
    """The extension to read, within the limits of what is read into memory."""
    extension = find_extension(data, name, hdu)
    shape = extension.image_shape
    check_size(shape[1], shape[2], name, bands=shape[0], bytes_per_value=0)
    _check_length(extension, len(data), name)
    return extension


def find_extension(data: bytes, name: str, hdu: int | str | None = None) -> Extension:
    """The extension asked for, by number or EXTNAME, or else the first with an image; `ImageError` without one.

    Weights, errors and flags, where a file has them first, are passed over for the image that they belong to.

    Parameters
    ----------
    data : bytes
        Or anything that has a length, slices and ``startswith``, as a file read where it is looked at.
    """
    asked = str(hdu).strip()
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else None
    if hdu is None and (extension := first_image(data, name)):
        return with_bands_first(extension, name)
    seen = []
    for extension in extensions(data, name):
        if hdu is not None and (extension.name.upper() == asked.upper() or extension.index == number):
            break
        seen.append(f"{extension.index}{' ' + extension.name if extension.name else ''}: {extension.kind}")
    else:
        listed = shown_name("; ".join(seen), 110)
        if hdu is not None:
            raise ImageError(f"{shown_name(name)} has no extension {shown_name(asked, 40)!r}; choose one of: {listed}.")
        raise ImageError(
            f"{shown_name(name)} is a FITS file without an image of two or three axes ({listed}); choose another file."
        )
    shape = extension.image_shape
    if shape is None:
        raise ImageError(
            f"Extension {shown_name(asked, 40)} of {shown_name(name)} is {extension.kind}, not an image of two or three"
            " axes; choose another."
        )
    return with_bands_first(extension, name)


def _check_length(extension: Extension, n_bytes: int, name: str) -> None:
    if extension.data_end > n_bytes:
        raise ImageError(f"{shown_name(name)} is a damaged FITS file (its data are cut short); fetch or save it again.")


def _pixels(data: bytes, extension: Extension, name: str) -> np.ndarray:
    """Pixels of one extension, float32 (bands, height, width), with BSCALE, BZERO and BLANK undone."""
    strips = tile_strips(data, extension, name) if extension.is_compressed else _plain_strips(data, extension)
    to_units = units_of(extension, name)
    pixels = np.empty(extension.shape, dtype=np.float32)
    for where, raw in strips:
        to_units(raw, pixels[where])
    return pixels.reshape(extension.image_shape)


def _plain_strips(data: bytes, extension: Extension) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """Values as stored, a few megapixels at a time, as views of the file's bytes."""
    shape = extension.shape
    raw = np.frombuffer(data, stored_type(extension), math.prod(shape), extension.data_start).reshape(shape)
    rows = max(_STRIP_VALUES // shape[-1], 1)
    for band in range(shape[0]):
        for top in range(0, shape[1], rows):
            where = (band, slice(top, min(top + rows, shape[1])))
            yield where, raw[where]


def header_of(data: bytes, extension: Extension) -> tuple[fits.Header, int]:
    """Header with every card that can be read, and how many could not.

    Filter, zero point, gain and exposure are taken from the primary header where the extension does not say.
    """
    if extension.is_compressed:
        found = compressed_header(data, extension)
    else:
        text = data[extension.header_start : extension.data_start].decode("ascii", "replace").replace("\ufffd", "?")
        found = fits.Header.fromstring(text)
    header, n_dropped = fits.Header(), 0
    for card in found.cards:
        try:
            keyword, value, comment = card.keyword, card.value, card.comment
            if isinstance(value, str) and len(value) > _MAX_CARD_CHARACTERS:
                raise ValueError("a value of many cards")
            kept = fits.Card(keyword, value, comment)
            kept.verify("exception")
            str(kept)
            header.append(kept, end=True)
        except Exception:  # astropy raises nearly anything on a card that is none; how many were left out is told
            n_dropped += 1
    if extension.index > 0:
        with suppress(Exception):  # a primary header that astropy cannot read is no harm to this one
            primary = fits.Header.fromstring(bytes(data[:_PRIMARY_BYTES]).decode("ascii", "replace"))
            header.extend((card for card in primary.cards if card.keyword in SHARED_CARDS), unique=True)
    return header, n_dropped


def _unpacked(data: bytes, name: str) -> bytes | bytearray:
    """The file without gzip, refused as soon as what is inside is no FITS file or passes the limit."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    unpacked = bytearray()
    try:
        for piece in inflate(data, 31):
            unpacked += piece
            if len(unpacked) >= 9 and not unpacked.startswith(b"SIMPLE  ="):
                break
            if len(unpacked) > MAX_UNZIPPED_BYTES:
                raise ImageError(
                    f"{shown_name(name)} unzips to more than {MAX_UNZIPPED_BYTES / 1e6:.0f} MB; cut out a smaller"
                    " region first."
                )
    except zlib.error:
        raise ImageError(f"{shown_name(name)} is a damaged gzip file; fetch it again.") from None
    except EOFError:
        raise ImageError(f"{shown_name(name)} is a gzip file cut short; fetch it again.") from None
    if not unpacked.startswith(b"SIMPLE  ="):
        raise ImageError(f"{shown_name(name)} is gzipped, but there is no FITS file inside; choose another file.")
    return unpacked
