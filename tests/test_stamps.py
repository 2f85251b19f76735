"""Stamps on disk: decoded once, split by id, unreadable images left out."""

import dataclasses
import os

import numpy as np
import pytest
import torch
from PIL import Image

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.images import resize_square
from galaxy_core.masks import foreground
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser
from galaxy_core.models.resnet import GalaxyResNet
from galaxy_core.recipes import contrastive_denoiser, moco
from galaxy_core.shape import DESCRIPTORS
from galaxy_core.splits import TRAIN, VALIDATION, split_of
from galaxy_core.stamps import Stamps, make_stamps, some_of


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


def test_an_image_that_was_replaced_is_decoded_again(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 40), (50 * number, 10, 10)).save(folder / f"{number}.png")
    before = make_stamps([read_catalog(f"folder:{folder}")], 32, tmp_path / "state")
    Image.new("RGB", (40, 40), (10, 200, 10)).save(folder / "1.png")
    after = make_stamps([read_catalog(f"folder:{folder}")], 32, tmp_path / "state")
    assert tuple(after.pixels[1, :3, 0, 0]) == (10, 200, 10) != tuple(before.pixels[1, :3, 0, 0])
    seen = read_catalog(f"folder:{folder}")
    images = seen.load_image
    monkey = type("Images", (), {"states": images.states, "__call__": lambda self, row: pytest.fail("decoded again")})
    make_stamps([dataclasses.replace(seen, load_image=monkey())], 32, tmp_path / "state")


def test_a_training_that_was_stopped_does_not_go_on_with_other_images(tmp_path):
    folder, state = tmp_path / "images", tmp_path / "state"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (40, 40), (50 * number, 10, 10)).save(folder / f"{number}.png")
    make_stamps([read_catalog(f"folder:{folder}")], 32, state)
    (state / "whole.safetensors").touch()
    folder = folder.rename(tmp_path / "moved")
    os.utime(folder / "0.png", (1, 1))
    same = make_stamps([read_catalog(f"folder:{folder}")], 32, state)  # in another place, at another time
    assert len(list(state.glob("stamps-*.npy"))) == 1 and same.readable.all()
    Image.new("RGB", (40, 40), (10, 200, 10)).save(folder / "1.png")
    for _ in range(2):
        with pytest.raises(CatalogError, match="Images have changed since this training was stopped"):
            make_stamps([read_catalog(f"folder:{folder}")], 32, state)


def test_unreadable_images_are_never_learned_from(catalog, tmp_path):
    def load(row):
        if row in (2, 7):
            raise ImageError("torn file")
        return catalog.load_image(row)

    stamps = make_stamps([dataclasses.replace(catalog, load_image=load)], 32, tmp_path)
    assert list(np.flatnonzero(~stamps.readable)) == [2, 7]
    assert stamps.notes == ("Left out as their images could not be read: 2 of 12 galaxies.",)
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


def test_some_rows_are_drawn_from_all_of_them():
    rows = np.arange(100, 1100)
    drawn = some_of(rows, 50, 3)
    assert len(set(drawn.tolist())) == 50 and set(drawn.tolist()) <= set(rows.tolist()) and (np.diff(drawn) > 0).all()
    assert (
        400 < drawn.mean() < 800 and np.array_equal(drawn, some_of(rows, 50, 3)) and some_of(rows, 50, 4)[0] != drawn[0]
    )
    assert np.array_equal(some_of(rows[:4], 50, 3), rows[:4])


class Watched(Stamps):
    """Stamps that remember which were asked for."""

    def planes(self, indices):
        seen.append(indices)
        return super().planes(indices)


seen: list[np.ndarray] = []


@pytest.mark.parametrize("recipe", ["moco", "contrastive_denoiser"])
def test_a_model_is_judged_on_galaxies_of_all_catalogs(recipe):
    n = 200
    pixels = np.random.default_rng(0).integers(0, 256, (n, 4, 32, 32), dtype=np.uint8)
    shapes = np.zeros((n, len(DESCRIPTORS)), np.float32)
    stamps = Watched(pixels, np.arange(n), np.array([TRAIN] * 8 + [VALIDATION] * (n - 8)), np.ones(n, bool), shapes)
    if recipe == "moco":
        config = moco.Config(n_validation_max=16)
        phase = moco._phase(GalaxyResNet(config.model), stamps, config, "cpu")
    else:
        config = contrastive_denoiser.Config(n_validation_max=16)
        phase = contrastive_denoiser._phases(ContrastiveDenoiser(config.model), stamps, config, "cpu")[0]
    seen.clear()
    with torch.no_grad():
        phase.validate()
    assert len(seen[0]) == 16 and seen[0].max() > n / 2, "the first rows are of the first catalog"
