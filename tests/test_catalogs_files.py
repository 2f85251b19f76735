"""Files of a catalog: which of them a row means, what it is called, and linear flux and pictures in one folder."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import tifffile
from astropy.io import fits

from galaxy_core.catalogs import image_files, read_catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.catalogs.image_files import find_images, image_ids
from galaxy_core.errors import ImageError
from galaxy_core.images import encode_png
from galaxy_core.stretch import to_display
from tests.catalog_files import png, put, value_of

FLUX = np.random.default_rng(1).normal(100, 5, (12, 14)).astype(np.float32)
GREY = encode_png(np.full((1, 6, 6), 0.2, dtype=np.float32))

# ---- linear flux and pictures


def test_linear_files_among_pictures_are_stretched(tmp_path):
    put(tmp_path / "a.png", png(51))
    put(tmp_path / "b.png", GREY)
    put(tmp_path / "c.png", png(51))
    fits.writeto(tmp_path / "d.fits", np.stack([FLUX] * 3))
    tifffile.imwrite(tmp_path / "e.tif", FLUX)
    catalog = read_catalog(f"folder:{tmp_path}")
    assert not catalog.linear
    assert [catalog.load_image(row).shape[0] for row in range(5)] == [3, 1, 3, 3, 1]  # grey stays grey
    assert value_of(catalog, 0) == 51
    np.testing.assert_array_equal(catalog.load_image(3), to_display(np.stack([FLUX] * 3), True))
    np.testing.assert_array_equal(load_display(catalog, 4), to_display(FLUX[None], True))
    assert 0 < catalog.load_image(4).mean() < 0.5


@pytest.mark.parametrize("first", [b"", b"II*\0 damaged"])
def test_tiffs_of_floats_make_a_linear_catalog_and_one_is_decoded(tmp_path, monkeypatch, first):
    put(tmp_path / "0.tif", first)
    for name in ("1.tif", "2.TIFF", "3.tif"):
        tifffile.imwrite(tmp_path / name, FLUX)
    decoded, read_image = [], image_files.read_image

    def counted(path):
        image = read_image(path)
        decoded.append(path.name)
        return image

    monkeypatch.setattr(image_files, "read_image", counted)
    catalog = read_catalog(f"folder:{tmp_path}")
    assert decoded == ["1.tif"]
    assert catalog.linear
    np.testing.assert_array_equal(catalog.load_image(2), FLUX[None])


def test_tiffs_of_bytes_are_pictures_and_are_decoded_only_where_they_decide(tmp_path, monkeypatch):
    for name in ("1.tif", "2.tif", "3.tif"):
        tifffile.imwrite(tmp_path / name, np.full((6, 7, 3), 51, dtype=np.uint8))
    fits.writeto(tmp_path / "4.fits", FLUX)
    catalog = read_catalog(f"folder:{tmp_path}")
    assert not catalog.linear and value_of(catalog, 0) == 51
    for k in range(4):
        put(tmp_path / f"{k}.png", png(k))
    fits.append(tmp_path / "4.fits", FLUX)
    decoded, read_image = [], image_files.read_image
    monkeypatch.setattr(image_files, "read_image", lambda path: (decoded.append(path.name), read_image(path))[1])
    catalog = read_catalog(f"folder:{tmp_path}")
    assert not catalog.linear and decoded == ["4.fits"]  # to tell what is read of it
    (said,) = catalog.report.notes
    assert said.startswith("4.fits: Extension 0 is shown, the first that holds an image; 1 more is left out")


def test_a_picture_among_linear_images_is_one_sentence(tmp_path):
    for name in ("1.fits", "2.fits"):
        fits.writeto(tmp_path / name, FLUX)
    put(tmp_path / "preview.png", png(9))
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.linear
    for images, row in ((catalog.load_image, 2), (pickle.loads(pickle.dumps(catalog.load_image.take([2]))), 0)):
        with pytest.raises(ImageError, match=r"preview\.png .*put stretched pictures into a catalog of their own\.$"):
            images(row)
    np.testing.assert_array_equal(catalog.load_image.take([1])(0), FLUX[None])


# ---- names


def test_rows_of_one_file_name_mean_the_image_in_their_folder(tmp_path):
    put(tmp_path / "imgs/spiral/1.png", png(1))
    put(tmp_path / "imgs/round/1.png", png(2))
    put(tmp_path / "labels.csv", "id,file,class\nA,spiral/1.png,spiral\nB,round/1.png,round\nC,odd/1.png,odd\n")
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["A", "B"]
    assert [value_of(catalog, row) for row in range(2)] == [1, 2]
    assert catalog.report.n_rows_without_image == 1


NAMES = sorted(["a/spiral/1.jpg", "b/spiral/1.jpg", "b/round/1.jpg", "b/round/2.png", "1.fits", "x.jpg.png", "c/x.jpg"])


@pytest.mark.parametrize(
    ("key", "image"),
    [
        ("a/spiral/1.jpg", "a/spiral/1.jpg"),
        ("/data/b/spiral/1", "b/spiral/1.jpg"),
        ("D:\\data\\round\\1.jpeg", "b/round/1.jpg"),
        ("spiral/1.jpg", "a/spiral/1.jpg"),  # the first that fits a whole key
        ("1.jpg", "a/spiral/1.jpg"),
        ("1", "1.fits"),
        ("c/spiral/1.jpg", None),
        ("odd/1.jpg", None),
        ("odd/2.jpg", "b/round/2.png"),  # the only one of that name
        ("odd/1.fits", "1.fits"),
        ("q/x.jpg", "c/x.jpg"),
        ("x.jpg", "x.jpg.png"),
        ("3.jpg", None),
        ("", None),
    ],
)
def test_the_image_meant_shares_most_folders_with_its_key(key, image):
    assert find_images(pd.Series([key]), NAMES).tolist() == [image]


def test_many_images_of_one_file_name_are_matched_in_one_pass():
    names = sorted(f"{k}/image.fits" for k in range(20_000))
    assert find_images(pd.Series([f"/data/{name}" for name in names]), names).tolist() == names


def test_no_two_images_have_one_id(tmp_path):
    for name in ("x.jpg", "x.png", "x.jpg.png", "x.jpg.png.tif", "y.png"):
        put(tmp_path / name, png(1))
    catalog = read_catalog(f"folder:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["x", "x.jpg.png", "x.jpg.png.tif", "x.png", "y"]
    assert image_ids(["a/x.jpg", "a/x.jpg"]) == ["a/x.jpg", "a/x.jpg"]  # the same file


def test_a_picture_beside_another_of_its_name_does_not_take_its_id(tmp_path):
    put(tmp_path / "b.jpg", png(1))
    assert read_catalog(f"folder:{tmp_path}").galaxy_ids.tolist() == ["b"]
    put(tmp_path / "b.png", png(2))
    assert read_catalog(f"folder:{tmp_path}").galaxy_ids.tolist() == ["b", "b.png"]
