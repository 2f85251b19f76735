"""FITS in and out: every type and packing, the right extension, hostile headers, and cards that survive."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from astropy.io import fits

from galaxy_core import fits_images
from galaxy_core.errors import ImageError
from galaxy_core.fits_images import encode_fits, list_images
from galaxy_core.frame_files import open_frame
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
    # stacks of Pan-STARRS: magnitudes of an inverse hyperbolic sine, and no more so once they are written again
    magnitudes = 2.5 / np.log(10) * np.arcsinh((FLUX - 3.0) / (2 * 0.4))
    stack = fits.PrimaryHDU(magnitudes.astype(np.float32), fits.Header({"BSOFTEN": 0.4, "BOFFSET": 3.0}))
    linear = decode_image(saved_fits(stack), "x")
    np.testing.assert_allclose(linear.pixels[0], FLUX, rtol=1e-5, atol=1e-5)
    again = decode_image(encode_fits(linear.pixels, linear.header, []), "x")
    np.testing.assert_array_equal(again.pixels, linear.pixels)
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


def several():
    table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0, 2.0])])
    rice = fits.CompImageHDU(np.rint(FLUX).astype(np.int32), name="PACKED")
    cube = np.stack([FLUX, -FLUX])
    return saved_fits(fits.PrimaryHDU(), table, fits.ImageHDU(FLUX, name="SCI"), fits.ImageHDU(cube, name="ERR"), rice)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_images_are_listed_and_chosen(pack):
    data = pack(several())
    assert list_images(data, "x") == [(2, "SCI", (1, 12, 17)), (3, "ERR", (2, 12, 17)), (4, "PACKED", (1, 12, 17))]
    first = decode_image(data, "x")
    np.testing.assert_array_equal(first.pixels[0], FLUX)
    left_out = "; 1 more is left out unless you ask for its extension."
    assert first.notes == (f"Extension 2 (SCI) is shown, the first that holds an image{left_out}",)
    for hdu in (3, "3", "ERR", "err "):
        chosen = decode_image(data, "x", hdu)
        np.testing.assert_array_equal(chosen.pixels, np.stack([FLUX, -FLUX]))
        assert chosen.header["EXTNAME"] == "ERR" and chosen.notes == ()
    np.testing.assert_array_equal(decode_image(data, "x", "PACKED").pixels[0], np.rint(FLUX))
    for hdu, words in (
        (1, "a table"),
        (0, "empty"),
        (9, "2 SCI: 17 x 12 pixels"),
        ("WHT", "choose one of"),
        (-1, "no"),
    ):
        with pytest.raises(ImageError, match=words):
            decode_image(data, "x", hdu)


@pytest.mark.parametrize(
    ("beside", "cards"),
    [
        (("WHT", "CTX"), {}),
        (("ERR", "DQ", "VAR_POISSON", "CON"), {}),
        (("MSK", "WGT"), {}),
        (("VARIANCE", "MASK"), {}),
        (("S29",), {"EXTTYPE": "WEIGHT"}),
        (("OBJECT.ERR",), {"HDUCLAS2": "ERROR"}),
        (("wht_1",), {}),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_weights_errors_and_flags_before_an_image_are_passed_over(beside, cards, pack, tmp_path):
    maps = [fits.ImageHDU(np.ones_like(FLUX), name=name, header=fits.Header(cards)) for name in beside]
    data = pack(saved_fits(fits.PrimaryHDU(), *maps, fits.ImageHDU(FLUX, name="SCI")))
    shown = decode_image(data, "x")
    np.testing.assert_array_equal(shown.pixels[0], FLUX)
    assert shown.notes == (
        f"Extension {len(maps) + 1} (SCI) is shown, the first that holds an image and no weights, errors or flags.",
    )
    listed = [index for index, _, _ in list_images(data, "x")]
    assert listed == [len(maps) + 1, *range(1, len(maps) + 1)]  # pages take the first for the one that is shown
    (tmp_path / "x.fits").write_bytes(data)
    frame = open_frame(tmp_path / "x.fits")
    assert frame is None if pack is gzip.compress else frame.extension.name == "SCI"
    assert not decode_image(data, "x", 1).notes and (decode_image(data, "x", 1).pixels == 1).all()


def test_a_file_of_weights_alone_is_read():
    weights = [fits.ImageHDU(FLUX, name="WHT"), fits.ImageHDU(-FLUX, name="ERR")]
    data = saved_fits(fits.PrimaryHDU(), *weights)
    for whole in (data, data[: data.index(b"EXTNAME = 'ERR")]):
        np.testing.assert_array_equal(decode_image(whole, "x").pixels[0], FLUX)
        assert list_images(whole, "x")[0][0] == 1


def test_a_list_ends_where_the_damage_begins():
    data = several()
    cut = data[: data.index(b"EXTNAME = 'ERR")]
    assert [index for index, _, _ in list_images(cut, "x")] == [2]
    np.testing.assert_array_equal(decode_image(cut, "x").pixels[0], FLUX)
    with pytest.raises(ImageError, match="no end"):
        decode_image(cut, "x", "ERR")
    with pytest.raises(ImageError, match="no end"):
        list_images(data[:300], "x")


def test_axes_of_length_one_are_dropped():
    cube = np.stack([FLUX, FLUX + 1])
    for shape in ((1, 1, 2, 12, 17), (2, 1, 12, 17), (1, 2, 1, 12, 17)):
        np.testing.assert_array_equal(decode_image(saved_fits(fits.PrimaryHDU(cube.reshape(shape))), "x").pixels, cube)
    with pytest.raises(ImageError, match="17 x 12 x 2 x 2 pixels"):
        decode_image(saved_fits(fits.PrimaryHDU(np.stack([cube, cube]))), "x")
    for asked in (None, 0):  # as pictures are: no strip of columns in twelve bands
        with pytest.raises(ImageError, match=r"x has 3 bands on its first axis \(NAXIS1\)"):
            decode_image(saved_fits(fits.PrimaryHDU(np.stack([FLUX] * 3, axis=-1))), "x", asked)


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "NOCOMPRESS"])
@pytest.mark.parametrize("dtype", ["i2", "u2", "i4", "f4", "f8"])
def test_compressed_images_are_what_astropy_reads(kind, dtype):
    values = RNG.normal(500, 30, (37, 50)).astype(dtype)
    if dtype[0] == "f":
        values[3, 4:9] = np.nan
    for tile in (None, (16, 50), (37, 50)):
        data = saved_fits(fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type=kind, tile_shape=tile))
        with fits.open(io.BytesIO(data)) as hdus:
            want = hdus[1].data.astype(np.float32)
        np.testing.assert_array_equal(decode_image(data, "x").pixels[0], want)


def test_an_hcompress_tile_is_never_read_behind_its_end():
    """Bytes behind the last tile are zeros of the reader's own, whatever its bit planes claim to need."""
    data = bytearray(
        saved_fits(fits.PrimaryHDU(), fits.CompImageHDU(BYTES.astype("i4"), compression_type="HCOMPRESS_1"))
    )
    place = data.index(b"\xdd\x99")
    data[place + 22 : place + 25] = b"\x3f\x3f\x3f"
    with pytest.raises(ImageError, match="damaged"):
        decode_image(bytes(data), "x")


@pytest.mark.parametrize("card", ["BSCALE", "BZERO"])
@pytest.mark.parametrize("value", ["NaN", "'2'", "1E999"])
def test_a_scale_that_is_no_number_is_refused(card, value):
    with pytest.raises(ImageError, match=card):
        decode_image(
            fits_header(("SIMPLE", "T"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 5), ("NAXIS2", 5), (card, value)), "x"
        )


def test_extremes_of_scale_and_type():
    def read(values, **cards):
        data = bytearray(saved_fits(fits.PrimaryHDU(values)))
        place = data.index(b"END     ")
        text = "".join(f"{key:<8}= {value:>20}".ljust(80) for key, value in cards.items()) + "END".ljust(80)
        data[place : place + len(text)] = text.encode()
        return decode_image(bytes(data), "x").pixels[0]

    large = np.array([[2**62, -(2**62)], [0, 5]], dtype=">i8")
    np.testing.assert_array_equal(read(large), large.astype(np.float32))
    np.testing.assert_allclose(read(large, BZERO=2**63), large.astype(float) + 2.0**63, rtol=1e-6)
    blank = read(np.array([[1, 2], [3, 2]], dtype=">i8"), BLANK=2)
    np.testing.assert_array_equal(blank, [[1, np.nan], [3, np.nan]])
    np.testing.assert_allclose(
        read(np.array([[1, 2], [3, 4]], dtype=">i2"), BSCALE="1.5D-30"), [[1.5e-30, 3e-30], [4.5e-30, 6e-30]]
    )
    assert np.isinf(read(np.array([[1e300, 1.0]]))).tolist() == [[True, False]]


def test_cards_that_cannot_be_read_are_left_out():
    data = saved_fits(fits.PrimaryHDU(FLUX))
    end = data.index(b"END     ")
    bad = b"BUNIT   = adu per \xb5s".ljust(80) + b"END".ljust(80)
    image = decode_image(data[:end] + bad + data[end + len(bad) :], "x")
    assert "BUNIT" not in image.header and image.notes == ("Damaged cards of the header that were left out: 1.",)
    np.testing.assert_array_equal(decode_image(encode_fits(image.pixels, image.header, []), "x").pixels, image.pixels)
