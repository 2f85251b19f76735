"""Pictures that pillow decodes: PNG, JPEG, WebP and 8-bit TIFF; strip by strip, and with all 16 bits."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image

from galaxy_core.errors import ImageError
from galaxy_core.image_limits import check_size, not_an_image, reason, shown_name
from galaxy_core.picture_layout import PNG_START, Picture, read_jpeg, read_png, read_webp
from galaxy_core.tiff_images import decode_deep
from galaxy_core.tiff_layout import TIFF_STARTS, read_tiff

BLUE_FIRST = "Its colours are linear bands, in order of wavelength: blue, green, red."
_STRIP_PIXELS = 2**20
# Values that mean white, by pillow mode; modes not named here are linear.
_WHITE = {"L": 255.0, "LA": 255.0, "RGB": 255.0, "RGBA": 255.0, "I;16": 65535.0, "I;16B": 65535.0}
_TRANSPARENT = ("LA", "La", "RGBA", "RGBa", "PA")
# Raw modes of 16-bit colour of which pillow keeps the first byte, and the ones that make it keep the second.
_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if np.little_endian else "16L"}
_TURNS = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored and turned by 90 degrees",
    6: "turned by 90 degrees",
    7: "mirrored and turned by 270 degrees",
    8: "turned by 270 degrees",
}


def decode_picture(data: bytes, name: str) -> tuple[np.ndarray, bool, str, int, tuple[str, ...]]:
    """Decode a PNG, JPEG, TIFF or WebP file.

    Pixels stay where the detector put them: a camera's note that a picture should be turned is told, not followed,
    because a turned image no longer fits its catalog, its flat field, or the file that is written from it.

    Returns
    -------
    pixels : ndarray of float32, shape (bands, height, width)
    linear : bool
    file_format : {"PNG", "JPEG", "TIFF", "WEBP"}
    bits : int
    notes : tuple of str
        What a user ought to know, one sentence each.

    Raises
    ------
    ImageError
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the layouts refuse what pillow only warns of
        try:
            if data.startswith(TIFF_STARTS):
                return _decode_tiff(data, name)
            for start, file_format, read in (
                (PNG_START, "PNG", read_png),
                (b"\xff\xd8\xff", "JPEG", read_jpeg),
                (b"RIFF", "WEBP", read_webp),
            ):
                if data.startswith(start) and (file_format != "WEBP" or data[8:12] == b"WEBP"):
                    picture = read(data, name)
                    pixels, bits, notes = _picture_pixels(picture, file_format, name)
                    return pixels, False, file_format, bits, notes
        except ImageError:
            raise
        except Image.UnidentifiedImageError:
            raise ImageError(f"{shown_name(name)} is damaged or of an unusual kind; save it again as PNG.") from None
        except MemoryError:
            raise ImageError(f"{shown_name(name)} needs more memory than is free; cut out a smaller region.") from None
        except Exception as error:  # decoders raise nearly anything on damaged input: all of it means one thing
            raise ImageError(
                f"{shown_name(name)} is damaged or of an unusual kind ({reason(error)}); save it again."
            ) from None
    raise not_an_image(data, name)


def _decode_tiff(data: bytes, name: str) -> tuple[np.ndarray, bool, str, int, tuple[str, ...]]:
    page = read_tiff(data, name)
    notes = _notes(page.orientation, 1, "TIFF")
    if page.has_more:
        notes += ("The file has several pages; the first is shown.",)
    deep = decode_deep(page, name)
    if deep is not None:
        if not np.isfinite(deep[0]).any():
            raise ImageError(f"{shown_name(name)} has no finite pixel; nothing can be made of it.")
        if deep[1] and len(deep[0]) == 3 and page.tags.get(262) == (2,):
            notes += (BLUE_FIRST,)
        return deep[0], deep[1], "TIFF", deep[2], notes
    bits = max(page.tags.get(258) or (1,))
    if page.tags.get(338, ())[:1] == (1,):  # colours multiplied by alpha: pillow divides, which needs whole values
        bits = min(bits, 8)
    picture = Picture(page.file, page.tags[256][0], page.tags[257][0], page.tags.get(277, (1,))[0], bits)
    pixels, linear, bits, more = _load(picture, "TIFF", name)
    if linear and not np.isfinite(pixels).any():
        raise ImageError(f"{shown_name(name)} has no finite pixel; nothing can be made of it.")
    return pixels, linear, "TIFF", bits, notes + more


def _picture_pixels(picture: Picture, file_format: str, name: str) -> tuple[np.ndarray, int, tuple[str, ...]]:
    notes = _notes(picture.orientation, picture.frames, file_format)
    pixels, _, bits, more = _load(picture, file_format, name)
    return pixels, bits, notes + more


def _notes(orientation: int, frames: int, file_format: str) -> tuple[str, ...]:
    notes = []
    if orientation in _TURNS:
        notes.append(
            f"The camera noted that this picture is {_TURNS[orientation]}; pixels are left as they are stored."
        )
    if frames > 1:
        notes.append(f"Only the first of {frames} frames is shown.")
    return tuple(notes)


def _load(picture: Picture, file_format: str, name: str) -> tuple[np.ndarray, bool, int, tuple[str, ...]]:
    """Pixels, whether they are linear, bits per value, and notes."""
    loaded = _open(picture.file, file_format, name, (picture.width, picture.height))
    if picture.grey_alpha:
        return _from_bytes(loaded), False, 16, ("Transparent pixels are shown on black.",)
    low = None
    deep = picture.bits == 16 and loaded.mode in ("RGB", "RGBA", "CMYK") and file_format in ("PNG", "TIFF")
    if deep:
        low = _open(picture.file, file_format, name, (picture.width, picture.height), other_byte=True)
    picture.file.close()
    notes = ()
    if picture.bits == 16 and loaded.info.pop("transparency", None) is not None:  # 8 bits of it would hit other colours
        notes = ("The colour that the file declares transparent is shown as it is.",)
    elif "transparency" in loaded.info or (loaded.mode in _TRANSPARENT and loaded.getextrema()[-1][0] < 255):
        notes = ("Transparent pixels are shown on black.",)
    linear = loaded.mode in ("F", "I") or loaded.mode in ("I;16S", "I;16BS", "I;32S")
    first = _strip(loaded, low, 0, 1)
    pixels = np.empty((first.shape[2], picture.height, picture.width), dtype=np.float32)
    rows = max(_STRIP_PIXELS // picture.width, 1)
    for top in range(0, picture.height, rows):  # strip by strip: no second copy of a large image
        bottom = min(top + rows, picture.height)
        pixels[:, top:bottom] = np.moveaxis(_strip(loaded, low, top, bottom), -1, 0)
    return pixels, linear, (16 if deep or loaded.mode.startswith("I;16") else 32 if linear else 8), notes


def _open(
    file: io.BytesIO, file_format: str, name: str, size: tuple[int, int], other_byte: bool = False
) -> Image.Image:
    """The picture, decoded by pillow."""
    file.seek(0)
    with Image.open(file, formats=(file_format,)) as picture:
        check_size(picture.height, picture.width, name)
        if picture.size != size:
            raise ImageError(f"{shown_name(name)} is damaged (it gives two sizes); fetch or save it again.")
        if other_byte:
            picture.tile = [_swapped(tile) for tile in picture.tile]
        picture.load()
        return picture.copy() if file_format == "WEBP" else picture  # an animation's decoder keeps three copies


def _swapped(tile: object) -> object:
    """A tile of 16-bit colour, of which pillow is to keep the byte that it would drop."""
    args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    kind, _, order = args[0].rpartition(";")
    changed = (f"{kind};{_OTHER_BYTE[order]}", *args[1:])
    return tile._replace(args=changed if isinstance(tile.args, tuple) else changed[0])


def _strip(picture: Image.Image, low: Image.Image | None, top: int, bottom: int) -> np.ndarray:
    """Rows of a picture as display values (linear ones as they are), float32 (rows, width, bands), on black."""
    part = picture.crop((0, top, picture.width, bottom))
    if low is None and "transparency" in picture.info and part.mode in ("1", "L", "RGB", "P"):
        part.info["transparency"] = picture.info["transparency"]
        part = part.convert("RGBA")
    elif part.mode in ("La", "RGBa", "PA"):
        part = part.convert("LA" if part.mode == "La" else "RGBA")
    elif part.mode == "1":
        part = part.convert("L")
    elif low is None and part.mode not in ("L", "LA", "RGB", "RGBA", "F") and not part.mode.startswith("I"):
        part = part.convert("RGB")
    values = np.asarray(part)
    values = values[..., None] if values.ndim == 2 else values
    if low is None:
        light = values.astype(np.float32) / np.float32(_WHITE.get(part.mode, 1.0))
    else:
        both = values.astype(np.uint16) * np.uint16(256) + np.asarray(low.crop((0, top, low.width, bottom)))
        light = both.astype(np.float32) / np.float32(65535)
    if part.mode == "CMYK":
        return (1 - light[..., :3]) * (1 - light[..., 3:])
    return light[..., :-1] * light[..., -1:] if part.mode in ("LA", "RGBA") else light


def _from_bytes(picture: Image.Image) -> np.ndarray:
    """Grey on black from the bytes of 16-bit grey and its transparency, float32 (1, height, width)."""
    pixels = np.empty((1, picture.height, picture.width), dtype=np.float32)
    rows = max(_STRIP_PIXELS // picture.width, 1)
    for top in range(0, picture.height, rows):
        part = np.asarray(picture.crop((0, top, picture.width, min(top + rows, picture.height))))
        counts = np.ascontiguousarray(part).view(">u2").astype(np.float32) / np.float32(65535)
        pixels[0, top : top + rows] = counts[..., 0] * counts[..., 1]
    return pixels
