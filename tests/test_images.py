"""Decoding and encoding: every format astronomers upload, every trick a hostile file plays, and the one resize."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from galaxy_core.errors import ImageError
from galaxy_core.images import (
    as_counts,
    decode_image,
    encode_png,
    fit_screen,
    read_image,
    resize_square,
)
from galaxy_core.stretch import to_display

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (12, 17), dtype=np.uint16)
FLUX = RNG.normal(5, 100, (12, 17)).astype(np.float32)


def saved(picture, file_format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def saved_tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def expected(counts, white=255):
    counts = counts[..., None] if counts.ndim == 2 else counts
    return np.moveaxis(counts, -1, 0).astype(np.float32) / np.float32(white)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("counts", [COLOUR, COLOUR[..., 0]], ids=["colour", "grey"])
def test_lossless_pictures_come_back_exactly(file_format, counts):
    image = decode_image(saved(Image.fromarray(counts), file_format, lossless=True), "x")
    got = image.pixels if counts.ndim == 3 or file_format != "WEBP" else image.pixels[:1]  # WebP knows no grey
    np.testing.assert_array_equal(got, expected(counts))
    assert (image.file_format, image.linear, image.bits, image.header) == (file_format, False, 8, None)
    assert image.pixels.dtype == np.float32 and image.pixels.flags.c_contiguous


def test_jpeg_is_close_and_cmyk_becomes_colour():
    smooth = np.full((16, 16, 3), (200, 120, 40), np.uint8)
    image = decode_image(saved(Image.fromarray(smooth), "JPEG", quality=95), "x.jpg")
    np.testing.assert_allclose(image.pixels, expected(smooth), atol=0.02)
    cmyk = decode_image(saved(Image.fromarray(smooth).convert("CMYK"), "JPEG", quality=95), "x.jpg")
    assert cmyk.pixels.shape == (3, 16, 16)
    np.testing.assert_allclose(cmyk.pixels, expected(smooth), atol=0.05)


def test_sixteen_bits_stay_sixteen_bits():
    for data in (
        saved(Image.fromarray(DEEP), "PNG"),
        saved(Image.fromarray(DEEP), "TIFF"),
        saved_tiff(DEEP.astype(">u2"), byteorder=">"),
        saved_tiff(DEEP, compression="zlib"),
    ):
        image = decode_image(data, "x")
        np.testing.assert_array_equal(image.pixels, expected(DEEP, 65535))
        assert image.bits == 16 and not image.linear
    colour = RNG.integers(0, 65536, (9, 8, 3), dtype=np.uint16)
    image = decode_image(saved_tiff(colour, photometric="rgb"), "x")
    np.testing.assert_array_equal(image.pixels, expected(colour, 65535))
    planes = np.moveaxis(colour, -1, 0)
    image = decode_image(saved_tiff(planes, photometric="rgb", planarconfig="separate"), "x")
    np.testing.assert_array_equal(image.pixels, expected(colour, 65535))


@pytest.mark.parametrize("options", [{}, {"planarconfig": "separate"}, {"extrasamples": ["unassalpha"]}])
def test_what_is_red_in_a_tiff_of_floats_is_shown_red(options):
    """Linear bands are in order of wavelength; their transparency is none of them."""
    values = np.random.default_rng(0).normal(0, 0.01, (40, 50, 4 if "extrasamples" in options else 3))
    values[15:25, 20:30, 0] += 1
    values = np.moveaxis(values, -1, 0) if "planarconfig" in options else values
    image = decode_image(saved_tiff(values.astype(np.float32), photometric="rgb", **options), "x.tif")
    red, green, blue = to_display(image.pixels, image.linear)[:, 20, 25]
    assert red > 0.9 and max(green, blue) < 0.3
    assert image.linear and len(image.pixels) == 3 and "blue, green, red" in image.notes[0]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i2", "<i4", "<u4"])
def test_tiff_of_floats_and_integers_is_linear(dtype):
    values = (FLUX * (1 if "f" in dtype else 10)).clip(0 if "u" in dtype else None).astype(dtype)
    image = decode_image(saved_tiff(values, byteorder=dtype[0]), "x.tif")
    np.testing.assert_allclose(image.pixels[0], values.astype(np.float32))
    assert image.linear and image.file_format == "TIFF"


def test_palette_alpha_and_bilevel():
    palette = Image.fromarray(COLOUR).quantize(256)
    np.testing.assert_array_equal(
        decode_image(saved(palette, "PNG"), "x").pixels, expected(np.asarray(palette.convert("RGB")))
    )
    opaque = np.dstack([COLOUR, np.full((12, 17), 255, np.uint8)])
    np.testing.assert_array_equal(decode_image(saved(Image.fromarray(opaque), "PNG"), "x").pixels, expected(COLOUR))
    hidden = np.dstack([COLOUR, np.zeros((12, 17), np.uint8)])
    assert not decode_image(saved(Image.fromarray(hidden), "PNG"), "x").pixels.any(), "transparent is black sky"
    bits = Image.fromarray(COLOUR[..., 0]).convert("1")
    assert set(np.unique(decode_image(saved(bits, "PNG"), "x").pixels)) <= {0.0, 1.0}


def test_one_pixel_and_animation_and_orientation():
    assert decode_image(saved(Image.new("L", (1, 1), 255), "PNG"), "x").pixels.tolist() == [[[1.0]]]
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    for file_format, more in (("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})):
        data = saved(frames[0], file_format, save_all=True, append_images=frames[1:], **more)
        np.testing.assert_array_equal(decode_image(data, "x").pixels, expected(COLOUR))
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me by 90 degrees"
    image = decode_image(saved(Image.fromarray(COLOUR), "JPEG", exif=exif), "x.jpg")
    assert image.pixels.shape == (3, 12, 17), "pixels stay where the detector put them"


def png_header(width, height):
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return start + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


JPEG = saved(Image.fromarray(np.tile(COLOUR, (9, 9, 1))), "JPEG")
HOSTILE = {
    "empty": (b"", "is empty"),
    "text renamed": (b"Dear astronomer,\nthis is no image.\n", "not an image"),
    "png bomb": (png_header(100_000, 100_000), "pixels"),
    "png bomb below pillow's limit": (png_header(12_000, 12_000), "over the limit"),
    "png thread": (png_header(100_000, 1), "over the limit"),
    "png without pixels": (png_header(0, 5), "."),
    "png cut": (saved(Image.fromarray(COLOUR), "PNG")[:200], "damaged"),
    "jpeg cut": (JPEG[: len(JPEG) // 2], "damaged"),
    "jpeg start only": (JPEG[:20], "."),
    "tiff cut": (saved_tiff(FLUX)[:300], "."),
    "tiff start only": (b"II*\0\x08\0\0\0", "."),
    "gif": (saved(Image.fromarray(COLOUR), "GIF"), "not an image"),
    "float tiff all nan": (saved_tiff(FLUX * np.nan), "no finite pixel"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_give_one_sentence(kind):
    data, words = HOSTILE[kind]
    started = time.thread_time()
    with pytest.raises(ImageError, match=words) as caught:
        decode_image(data, "upload.png")
    message = str(caught.value)
    assert "upload.png" in message and "\n" not in message and len(message) < 400
    assert time.thread_time() - started < 5


def test_flipped_bits_never_crash():
    """Each damaged file gives an image or an `ImageError`, nothing else."""
    rng = np.random.default_rng(1)
    files = [
        JPEG,
        saved(Image.fromarray(COLOUR), "PNG"),
        saved_tiff(DEEP),
        saved(Image.fromarray(COLOUR), "TIFF", compression="tiff_lzw"),
        saved(Image.fromarray(COLOUR), "WEBP"),
    ]
    refused = 0
    for number in range(200):
        data = bytearray(files[number % len(files)])
        for place in rng.integers(0, min(len(data), 3000), 1 + number % 5):
            data[place] ^= 1 << int(rng.integers(8))
        try:
            assert decode_image(bytes(data), "x").pixels.ndim == 3
        except ImageError:
            refused += 1
    assert refused > 20


def test_read_image_names_what_is_missing(tmp_path):
    with pytest.raises(ImageError, match="nowhere"):
        read_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="Cannot read"):
        read_image(tmp_path)
    (tmp_path / "a.png").write_bytes(saved(Image.fromarray(COLOUR), "PNG"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, expected(COLOUR))


def test_png_round_trips_and_repeats():
    pixels = expected(COLOUR)
    assert encode_png(pixels) == encode_png(pixels.copy())
    np.testing.assert_array_equal(decode_image(encode_png(pixels), "x").pixels, pixels)
    np.testing.assert_array_equal(decode_image(encode_png(pixels[:1]), "x").pixels, pixels[:1])
    for bad in (np.zeros((2, 4, 4)), np.zeros((4, 4))):
        with pytest.raises(ImageError, match="bands"):
            encode_png(bad)


def test_counts_are_clipped_and_rounded():
    values = np.array([-1.0, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 7.0, np.nan, np.inf])
    np.testing.assert_array_equal(as_counts(values), [0, 0, 0, 1, 255, 255, 0, 255])


def naive_resize(band, size):
    """Each old pixel split into size x size equal parts, each new one the mean of side x side of them."""
    side = len(band)
    sampled = np.kron(band, np.ones((size, size)))
    return sampled.reshape(size, side, size, side).mean(axis=(1, 3))


@pytest.mark.parametrize(("side", "size"), [(12, 6), (12, 4), (15, 7), (21, 20), (17, 1), (9, 9)])
def test_resize_shrinks_by_exact_area(side, size):
    image = RNG.random((2, side, side)).astype(np.float32)
    want = np.stack([naive_resize(band.astype(float), size) for band in image])
    np.testing.assert_allclose(resize_square(image, size), want, atol=2e-6)
    assert resize_square(image, size).mean() == pytest.approx(image.mean(), rel=1e-5)


def test_resize_halves_by_the_mean_of_four():
    image = RNG.integers(0, 256, (3, 128, 128)).astype(np.float32)
    want = (image[:, ::2, ::2] + image[:, 1::2, ::2] + image[:, ::2, 1::2] + image[:, 1::2, 1::2]) / 4
    np.testing.assert_array_equal(resize_square(image, 64), want)


def test_resize_crops_the_centre_and_grows_linearly():
    wide = np.zeros((1, 4, 10), np.float32)
    wide[:, :, 3:7] = 1
    np.testing.assert_array_equal(resize_square(wide, 4), np.ones((1, 4, 4)))
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32), (1, 8, 8))
    grown = resize_square(ramp, 32)[0, 5]
    np.testing.assert_allclose(grown[2:-2], ((np.arange(32) + 0.5) / 4 - 0.5)[2:-2], atol=1e-5)
    assert resize_square(np.full((3, 1, 1), 0.25, np.float32), 5).tolist() == np.full((3, 5, 5), 0.25).tolist()


def test_resize_nan_stays_local():
    image = np.ones((1, 20, 20), np.float32)
    image[0, 0, 0] = np.nan
    for size in (5, 7, 30):
        resized = resize_square(image, size)
        assert np.isnan(resized[0, 0, 0]) and np.isnan(resized).mean() < 0.05
        assert np.nanmax(np.abs(resized - 1)) < 1e-6


def test_fit_screen_keeps_pixels_square_and_sharp():
    small = RNG.random((3, 20, 30)).astype(np.float32)
    shown = fit_screen(small, 100)
    assert shown.shape == (3, 60, 90)
    np.testing.assert_array_equal(shown[:, ::3, ::3], small)
    assert fit_screen(np.ones((1, 1000, 400), np.float32), 256).shape == (1, 250, 100)
    assert fit_screen(np.ones((1, 2, 4000), np.float32), 256).shape == (1, 1, 2000)


@pytest.mark.skipif(not DATA.exists(), reason="needs the real images at ../shared/data")
def test_real_frames_and_stamps():
    shapes = {
        "frames/profound_gama_multiband/r.fits": (1, 2600, 2600),
        "frames/photutils_datasets/M6707HH.fits": (1, 1059, 1059),
        "frames/hst_abell2744_petrofit/abell_2744_cd_galaxy_f105w.fits.gz": (1, 400, 400),
        "frames/hsc_hst_scarlet/Cut_HSC1.fits": (5, 50, 50),
        "hst_cosmos/stamps.fits": (1, 92, 92),
    }
    for name, shape in shapes.items():
        image = read_image(DATA / name)
        assert image.pixels.shape == shape and image.linear and np.isfinite(image.pixels).mean() > 0.9
    jpeg = next((DATA / "gz_clean5" / "images").glob("*.jpg"))
    assert read_image(jpeg).pixels.shape == (3, 128, 128)
