"""Sixteen bits of colour, transparency, inks, orientation: pictures read value by value as formats define them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from galaxy_core.errors import ImageError
from galaxy_core.images import decode_image

RNG = np.random.default_rng(4)
DEEP = RNG.integers(0, 65536, (11, 13, 4), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (11, 13, 3), dtype=np.uint8)
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))  # Adam7


def paeth(left, above, corner):
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def filtered(values):
    """Rows of big-endian 16-bit pixels as a PNG stores them, each row by another of the five filters, naively."""
    height, width, channels = values.shape
    step, rows = 2 * channels, []
    before = [0] * (step * width)
    for y in range(height):
        row, kind, out = list(values[y].astype(">u2").tobytes()), y % 5, []
        for k, byte in enumerate(row):
            left = row[k - step] if k >= step else 0
            corner = before[k - step] if k >= step else 0
            guess = (0, left, before[k], (left + before[k]) // 2, paeth(left, before[k], corner))[kind]
            out.append((byte - guess) % 256)
        rows.append(bytes([kind, *out]))
        before = row
    return b"".join(rows)


def deep_png(values, interlaced=False):
    height, width, channels = values.shape
    parts = [values[top::down, left::right] for top, left, down, right in PASSES] if interlaced else [values]
    rows = b"".join(filtered(part) for part in parts if part.size)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    size = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def on_black(values):
    """Bands of 16-bit values, the last of 2 or 4 being how opaque a pixel is."""
    light = np.moveaxis(values, -1, 0) / 65535
    return light[:-1] * light[-1:] if len(light) in (2, 4) else light


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_sixteen_bits(channels, interlaced):
    image = decode_image(deep_png(DEEP[..., :channels], interlaced), "x.png")
    np.testing.assert_allclose(image.pixels, on_black(DEEP[..., :channels]), atol=1e-6)
    assert image.bits == 16 and not image.linear
    assert bool(image.notes) == (channels in (2, 4))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_of_sixteen_bits_with_alpha_inks_and_inverted(order, compression):
    options = {"byteorder": order, "compression": compression}

    def read(values, **more):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values.astype(order + "u2"), **options, **more)
        return decode_image(buffer.getvalue(), "x.tif").pixels

    for planes in ("contig", "separate"):
        values = DEEP[..., :3] if planes == "contig" else np.moveaxis(DEEP[..., :3], -1, 0)
        got = read(values, photometric="rgb", planarconfig=planes)
        np.testing.assert_allclose(got, on_black(DEEP[..., :3]), atol=1e-6)
    straight = read(DEEP, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_allclose(straight, on_black(DEEP), atol=1e-6)
    multiplied = read(DEEP, photometric="rgb", extrasamples=["assocalpha"])
    np.testing.assert_allclose(multiplied, on_black(DEEP[..., :3]), atol=1e-6)
    inverted = read(DEEP[..., 0], photometric="miniswhite")
    np.testing.assert_allclose(inverted[0], 1 - DEEP[..., 0] / 65535, atol=1e-6)
    inks = read(DEEP, photometric="separated")
    light = 1 - DEEP / 65535
    np.testing.assert_allclose(inks, np.moveaxis(light[..., :3] * light[..., 3:], -1, 0), atol=1e-6)


def test_tiff_of_sixteen_bits_in_lzw_keeps_the_lower_byte():
    """pillow writes no such file, so an uncompressed one is packed by hand: LZW of 9-bit codes, cleared every 200."""
    values = DEEP[..., :3]
    codes = []
    for k, byte in enumerate(values.astype("<u2").tobytes()):
        codes += [256] * (k % 200 == 0) + [byte]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    packed = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    tags = {256: (3, 1, 13), 257: (3, 1, 11), 258: (3, 3, 8), 259: (3, 1, 5), 262: (3, 1, 2), 273: (4, 1, 14)}
    tags |= {277: (3, 1, 3), 278: (3, 1, 11), 279: (4, 1, len(packed))}
    body = struct.pack("<HHH", 16, 16, 16) + packed
    entries = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    start = 8 + len(body) + len(body) % 2
    data = b"II*\0" + struct.pack("<I", start) + body.ljust(start - 8, b"\0") + struct.pack("<H", len(tags)) + entries
    image = decode_image(data + bytes(4), "x.tif")
    np.testing.assert_allclose(image.pixels, on_black(values), atol=1e-6)
    assert image.bits == 16


def saved(picture, file_format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format=file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_half_transparent_pixels_are_half_as_bright(file_format):
    alpha = RNG.integers(0, 256, (11, 13), dtype=np.uint8)
    data = saved(Image.fromarray(np.dstack([COLOUR, alpha])), file_format, **({"lossless": True, "exact": True}))
    image = decode_image(data, "x")
    np.testing.assert_allclose(image.pixels, np.moveaxis(COLOUR / 255 * alpha[..., None] / 255, -1, 0), atol=1e-6)
    assert image.notes == ("Transparent pixels are shown on black.",)
    opaque = saved(Image.fromarray(np.dstack([COLOUR, np.full_like(alpha, 255)])), file_format)
    assert decode_image(opaque, "x").notes == (), "no pixel of it is transparent"
    grey = Image.merge("LA", [Image.fromarray(COLOUR[..., 0]), Image.fromarray(alpha)])
    pixels = decode_image(saved(grey, "PNG"), "x").pixels
    np.testing.assert_allclose(pixels[0], COLOUR[..., 0] / 255 * alpha / 255, atol=1e-6)
    assert len(pixels) == 1, "grey stays grey"


def test_the_colour_that_is_declared_transparent_is_black():
    counts = COLOUR.copy()
    counts[2, 3] = (9, 8, 7)
    pixels = decode_image(saved(Image.fromarray(counts), "PNG", transparency=(9, 8, 7)), "x").pixels
    assert not pixels[:, 2, 3].any() and pixels[:, 2, 4] == pytest.approx(counts[2, 4] / 255)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_orientation_is_told_and_not_followed(file_format, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    image = decode_image(saved(Image.fromarray(COLOUR), file_format, exif=exif), "x")
    upright = decode_image(saved(Image.fromarray(COLOUR), file_format), "x")
    np.testing.assert_array_equal(image.pixels, upright.pixels)
    assert len(image.notes) == (turn != 1) and all("camera" in note for note in image.notes)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_animations_and_pages_show_the_first_and_say_so(file_format):
    frames = [Image.fromarray(np.uint8(255 - COLOUR)) for _ in range(2)]
    image = decode_image(saved(Image.fromarray(COLOUR), file_format, save_all=True, append_images=frames), "x")
    assert len(image.notes) == 1 and "first" in image.notes[0]


def test_an_extension_of_a_picture_is_refused():
    data = saved(Image.fromarray(COLOUR), "PNG")
    assert decode_image(data, "x", 0).pixels.shape == (3, 11, 13)
    with pytest.raises(ImageError, match="no FITS file"):
        decode_image(data, "x", "SCI")
