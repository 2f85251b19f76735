"""The picture models see: the central part of the field, whatever the layout."""

import dataclasses

import numpy as np
import pytest

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.display import central_part, load_display
from galaxy_core.embedding import ImageSettings, decode_batch
from galaxy_core.images import resize_square
from galaxy_core.stamps import decode_stamp


@pytest.fixture(scope="module")
def half():
    return dataclasses.replace(read_catalog("synthetic:3"), field_fraction=0.5)


def test_the_central_half_is_what_everything_sees(half):
    centre = half.load_image(1)[:, 32:96, 32:96]
    np.testing.assert_array_equal(load_display(half, 1), centre)
    stamp = decode_stamp(half, 1, 64)
    np.testing.assert_allclose(stamp[:3] / 255, centre, atol=0.5 / 255 + 1e-6)
    batch = decode_batch(half, range(1, 2), 32, ImageSettings(), thumbnails=False)
    np.testing.assert_allclose(batch.images[0], resize_square(centre, 32), atol=1e-6)


@pytest.mark.parametrize("fraction", [1.0, 0.6, 1e-9])
def test_edges(fraction):
    image = np.random.default_rng(0).random((3, 5, 1))
    part = central_part(image, fraction)
    assert part.size and part.shape[0] == 3
    if fraction == 1:
        assert part.shape == image.shape


def test_whole_fields_of_galaxy_zoo_are_cut_and_stamps_are_not(tmp_path):
    from PIL import Image

    folder = tmp_path / "images_training_rev1"
    folder.mkdir()
    Image.new("RGB", (424, 424), (9, 9, 9)).save(folder / "100008.jpg")
    (tmp_path / "training_solutions_rev1.csv").write_text("GalaxyID,Class1.1,Class1.2,Class1.3\n100008,0.4,0.6,0\n")
    assert load_display(read_catalog(f"kaggle:{tmp_path}"), 0).shape == (3, 256, 256)
    assert load_display(read_catalog(f"folder:{folder}"), 0).shape == (3, 424, 424)
