"""FITS in and out: every type and packing, the right extension, hostile headers, and cards that survive."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits

from galaxy_core import fits_images
from galaxy_core.errors import ImageError
from galaxy_core.fits_images import encode_fits
from galaxy_core.images import decode_image

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (12, 17), dtype=np.uint16)
BYTES = RNG.integers(0, 256, (12, 17), dtype=np.uint8)
FLUX = RNG.normal(5, 100, (12, 17)).astype(np.float32)


def saved_fits(*hdus):
    buffer = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "i2", "i4", "u1"])
def test_fits_types(pack, dtype):
    values = FLUX.astype(dtype) if dtype != "u1" else BYTES
    image = decode_image(pack(saved_fits(fits.PrimaryHDU(values))), "x.png")  # the name is not trusted
    np.testing.assert_array_equal(image.pixels[0], values.astype(np.float32))
    assert image.linear and image.file_format == "FITS" and image.header["NAXIS"] == 2


def test_fits_scaling_blank_and_nan():
    unsigned = fits.PrimaryHDU(DEEP)  # stored as int16 with BZERO = 32768
    assert unsigned.header["BZERO"] == 32768
    np.testing.assert_array_equal(decode_image(saved_fits(unsigned), "x").pixels[0], DEEP.astype(np.float32))
    scaled = fits.PrimaryHDU(np.arange(12, dtype=np.int16).reshape(3, 4))
    scaled.header["BSCALE"], scaled.header["BZERO"], scaled.header["BLANK"] = 0.5, 100.0, 7
    data = saved_fits(scaled)
    got = decode_image(data, "x").pixels[0]
    raw = np.frombuffer(data[2880 : 2880 + 24], ">i2").reshape(3, 4)
    want = 100 + 0.5 * raw
    want[raw == 7] = np.nan
    np.testing.assert_array_equal(got, want)
    holes = FLUX.copy()
    holes[3, 4] = np.nan
    np.testing.assert_array_equal(decode_image(saved_fits(fits.PrimaryHDU(holes)), "x").pixels[0], holes)


def test_fits_takes_the_first_image_and_its_header():
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0, 2.0])])
    second = fits.ImageHDU(FLUX, name="SCI")
    second.header["BUNIT"] = "nJy"
    rice = fits.CompImageHDU(np.rint(FLUX).astype(np.int32), compression_type="RICE_1")
    image = decode_image(saved_fits(fits.PrimaryHDU(), table, second, fits.ImageHDU(FLUX * 2)), "x.fits")
    np.testing.assert_array_equal(image.pixels[0], FLUX)
    assert image.header["BUNIT"] == "nJy"
    np.testing.assert_array_equal(decode_image(saved_fits(fits.PrimaryHDU(), rice), "x").pixels[0], np.rint(FLUX))
    cube = np.stack([FLUX, FLUX + 1, FLUX + 2, FLUX + 3, FLUX + 4])
    np.testing.assert_array_equal(decode_image(saved_fits(fits.PrimaryHDU(cube)), "x").pixels, cube)
    np.testing.assert_array_equal(decode_image(saved_fits(fits.PrimaryHDU(cube[None, :1])), "x").pixels, cube[:1])


def fits_header(*cards):
    """A FITS header block and 2,880 bytes of zeros after it."""
    text = "".join(f"{key:<8}= {value:>20}".ljust(80) for key, value in cards) + "END".ljust(80)
    return text.encode().ljust(2880) + bytes(2880)


BIG_FITS = (("SIMPLE", "T"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 100_000), ("NAXIS2", 100_000))
TABLE = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])])
HOSTILE = {
    "fits with a table only": (saved_fits(fits.PrimaryHDU(), TABLE), "without an image"),
    "fits without data": (saved_fits(fits.PrimaryHDU()), "without an image"),
    "fits of one dimension": (saved_fits(fits.PrimaryHDU(np.arange(5.0))), "without an image"),
    "fits all nan": (saved_fits(fits.PrimaryHDU(FLUX * np.nan)), "no finite pixel"),
    "fits cut": (saved_fits(fits.PrimaryHDU(np.zeros((90, 90))))[:5000], "damaged"),
    "fits bomb": (fits_header(*BIG_FITS), "over the limit"),
    "fits header without end": (fits_header(*BIG_FITS)[:400] + (b"COMMENT " + b"x" * 72) * 50_000, "no end"),
    "fits start only": (b"SIMPLE  =", "."),
    "gzip of text": (gzip.compress(b"hello" * 1000), "no FITS"),
    "gzip cut": (gzip.compress(saved_fits(fits.PrimaryHDU(FLUX)))[:-200], "."),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_give_one_sentence(kind):
    data, words = HOSTILE[kind]
    with pytest.raises(ImageError, match=words) as caught:
        decode_image(data, "upload.fits")
    message = str(caught.value)
    assert "upload.fits" in message and "\n" not in message and len(message) < 400


def test_gzip_bomb_stops_at_the_limit(monkeypatch):
    """Zeros behind a good header, unzipped no further than the limit."""
    bomb = gzip.compress(fits_header(*BIG_FITS) + bytes(30 * 10**6))
    assert len(bomb) < 10**5
    monkeypatch.setattr(fits_images, "MAX_UNZIPPED_BYTES", 10**6)
    with pytest.raises(ImageError, match="unzips to more"):
        decode_image(bomb, "bomb.fits.gz")


def test_flipped_bits_never_crash():
    """Each damaged file gives an image or an `ImageError`, nothing else."""
    rng = np.random.default_rng(1)
    files = [
        saved_fits(fits.PrimaryHDU(FLUX)),
        saved_fits(fits.PrimaryHDU(), fits.CompImageHDU(DEEP.astype(np.int32))),
        gzip.compress(saved_fits(fits.PrimaryHDU(FLUX))),
    ]
    refused = 0
    for number in range(90):
        data = bytearray(files[number % len(files)])
        for place in rng.integers(0, min(len(data), 3000), 1 + number % 5):
            data[place] ^= 1 << int(rng.integers(8))
        try:
            assert decode_image(bytes(data), "x").pixels.ndim == 3
        except ImageError:
            refused += 1
    assert refused > 10


def test_fits_round_trip_keeps_cards_and_drops_storage():
    header = fits.Header({"CRPIX1": 8.5, "BUNIT": "nJy", "BSCALE": 2.0, "BZERO": 5.0, "BLANK": -1, "CHECKSUM": "x"})
    image = decode_image(encode_fits(FLUX[None], header, ["first sentence", "second: 5 µJy"]), "x")
    np.testing.assert_array_equal(image.pixels[0], FLUX)
    assert image.header["CRPIX1"] == 8.5 and "BSCALE" not in image.header and "BLANK" not in image.header
    assert image.header["HISTORY"][0] == "first sentence" and len(image.header["HISTORY"]) == 2
    cube = np.stack([FLUX] * 3)
    np.testing.assert_array_equal(decode_image(encode_fits(cube, None, []), "x").pixels, cube)
