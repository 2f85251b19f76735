"""Stamps on disk: decoded once, split by id, unreadable images left out."""

import dataclasses

import numpy as np
import pytest
import torch

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.images import resize_square
from galaxy_core.masks import foreground
from galaxy_core.splits import split_of
from galaxy_core.stamps import make_stamps


@pytest.fixture(scope="module")
def catalog():
    return read_catalog("synthetic:12")


def test_stamps_are_the_images_of_the_catalog(catalog, tmp_path):
    stamps = make_stamps([catalog], 64, tmp_path)
    images, masks = stamps.batch(np.array([0, 5]))
    image = resize_square(catalog.load_image(5), 64)
    assert images.dtype == torch.float32 and images.shape == (2, 3, 64, 64)
    np.testing.assert_allclose(images[1].numpy(), image, atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(masks[1, 0].numpy(), foreground(image))
    assert list(stamps.splits) == [split_of(key) for key in catalog.galaxy_ids]
    assert set(stamps.rows("train")) | set(stamps.rows("validation")) | set(stamps.rows("test")) == set(range(12))
    assert np.isfinite(stamps.shapes).all()


def test_a_second_call_decodes_nothing(catalog, tmp_path):
    make_stamps([catalog], 32, tmp_path)
    broken = dataclasses.replace(catalog, load_image=lambda row: pytest.fail("decoded again"))
    assert len(make_stamps([broken], 32, tmp_path).galaxy_ids) == 12


def test_unreadable_images_are_never_learned_from(catalog, tmp_path):
    def load(row):
        if row in (2, 7):
            raise ImageError("torn file")
        return catalog.load_image(row)

    stamps = make_stamps([dataclasses.replace(catalog, load_image=load)], 32, tmp_path)
    assert list(np.flatnonzero(~stamps.readable)) == [2, 7]
    assert not {2, 7} & {row for split in ("train", "validation", "test") for row in stamps.rows(split)}


def test_no_readable_image_is_an_error(catalog, tmp_path):
    def load(row):
        raise ImageError("torn file")

    with pytest.raises(CatalogError, match="None of the 12 images"):
        make_stamps([dataclasses.replace(catalog, load_image=load)], 32, tmp_path)
    assert make_stamps([catalog], 32, tmp_path).readable.all()  # the disk they lie on is there again


def test_stamps_of_one_frame_share_its_split(catalog, tmp_path):
    table = catalog.table.assign(split_group="frame-1")
    stamps = make_stamps([dataclasses.replace(catalog, table=table)], 16, tmp_path)
    assert set(stamps.splits) == {split_of("frame-1")}
