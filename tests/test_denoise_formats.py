"""Denoised images in the format of their input: colours, profile, orientation and resolution are kept."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from astropy.io import fits
from denoiser_stand_ins import Identity, counts
from PIL import Image, ImageCms

from galaxy_core.denoising import denoise_image
from galaxy_core.images import decode_image
from galaxy_core.saved_images import encode_like

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def tiff_bytes(pixels, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def like(data: bytes, name: str = "a.tif") -> bytes:
    return encode_like(denoise_image(decode_image(data, name), Identity()), data)


def test_compressed_results_are_the_same_whenever_they_are_made(monkeypatch):
    """Astropy's gzipped tiles say when they were made."""
    packed = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(counts().astype(np.float32))]).writeto(packed)
    made = []
    for seconds in (1.7e9, 1.8e9):
        monkeypatch.setattr("time.time", lambda seconds=seconds: seconds)
        made.append(like(packed.getvalue(), "a.fits.fz"))
    assert made[0] == made[1]
    np.testing.assert_array_equal(decode_image(made[0], "a").pixels, decode_image(packed.getvalue(), "a").pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colours_of_a_tiff_stay_colours_with_their_profile_and_orientation(dtype):
    """Without them other programs show other colours, three grey planes, or the picture on its side."""
    tags = {"photometric": "rgb", "iccprofile": PROFILE, "extratags": [(274, "H", 1, 6, True)]}
    pixels = counts((40, 50, 3), np.uint16).astype(dtype)
    with tifffile.TiffFile(io.BytesIO(like(tiff_bytes(pixels, **tags)))) as file:
        page = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), pixels)
        assert page.photometric.name == "RGB" and page.dtype == dtype and page.shape == (40, 50, 3)
        assert page.tags.valueof(274) == 6 and page.tags.valueof(34675) == PROFILE


def test_a_deep_png_keeps_profile_and_orientation():
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[274] = 6
    Image.fromarray(counts(dtype=np.uint16)).save(buffer, "PNG", icc_profile=PROFILE, exif=exif)
    with Image.open(io.BytesIO(like(buffer.getvalue(), "a.png"))) as picture:
        assert picture.info["icc_profile"] == PROFILE and picture.getexif()[274] == 6 and picture.mode == "I;16"


def test_a_tiff_that_does_not_know_its_resolution_is_written():
    data = tiff_bytes(counts((40, 50, 3)), photometric="rgb", resolution=((7777, 1), (7777, 1)))
    data = like(data.replace(struct.pack("<II", 7777, 1), struct.pack("<II", 0, 0)))
    assert decode_image(data, "a.tif").pixels.shape == (3, 40, 50)
