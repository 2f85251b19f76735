"""The same galaxy in two catalogs under two ids: found by its noise, and not learned from where it is held out."""

from __future__ import annotations

import dataclasses
import io
import json
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from galaxy_core import twins
from galaxy_core.catalogs import read_catalog
from galaxy_core.models.autoencoder import AutoencoderConfig
from galaxy_core.recipes import cae
from galaxy_core.splits import TEST, TRAIN, VALIDATION, split_of
from galaxy_core.stamps import TWIN, make_stamps
from galaxy_core.training import FitConfig

N = 30


def saved_again(image: np.ndarray) -> np.ndarray:
    """An image with its rim cut off, shrunk and saved as JPEG, as another release may have it."""
    picture = Image.fromarray(np.rint(255 * image.transpose(1, 2, 0)).astype(np.uint8))
    file = io.BytesIO()
    picture.resize((200, 200), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file), np.float32).transpose(2, 0, 1) / 255


@pytest.fixture(scope="module")
def one():
    made = read_catalog(f"synthetic:{N}@5")
    images = [made.load_image(row) for row in range(N)]
    return dataclasses.replace(made, load_image=images.__getitem__)


@pytest.fixture(scope="module")
def other(one):
    """The first half of the galaxies as another release has them, and as many others."""
    made = read_catalog(f"synthetic:{N}@6")
    images = [saved_again(one.load_image(row)) if row < N // 2 else made.load_image(row) for row in range(N)]
    table = made.table.assign(galaxy_id=[f"other-{row}" for row in range(N)])
    return dataclasses.replace(made, table=table, load_image=images.__getitem__, source="elsewhere")


def expected_twins(one, other, split: str = TRAIN, held: tuple[str, ...] = (TEST, VALIDATION)) -> set[int]:
    """Rows of both catalogs, one after the other, of galaxies of a split that are held out in the other."""
    splits = [[split_of(str(key)) for key in catalog.split_keys] for catalog in (one, other)]
    found = set()
    for row in range(N // 2):
        for here, there, start in ((0, 1, 0), (1, 0, N)):
            if splits[here][row] == split and splits[there][row] in held:
                found.add(start + row)
    return found


def test_what_is_held_out_under_another_id_is_not_learned_from(one, other, tmp_path):
    expected = expected_twins(one, other)
    assert len(expected) >= 3, "or this tests nothing"
    stamps = make_stamps([one, other], 128, tmp_path)
    assert set(np.flatnonzero(stamps.splits == TWIN)) == expected
    assert not expected & {row for split in (TRAIN, VALIDATION, TEST) for row in stamps.rows(split)}
    assert stamps.notes == (
        f"{len(expected)} training galaxies were left out: another catalog holds them out under another id.",
    )
    alone = make_stamps([one], 128, tmp_path)
    assert TWIN not in alone.splits and alone.notes == ()


def test_what_another_catalog_tests_chooses_nothing_as_a_validation_galaxy(one, other, tmp_path):
    key = {split_of(str(number)): str(number) for number in range(100)}
    here = [key[VALIDATION]] * 4 + [key[TRAIN]] * (N - 4)
    there = [key[TEST], key[TEST], key[VALIDATION]] + [key[TRAIN]] * (N - 3)
    images = [one.load_image(row) for row in range(N)]
    images[20] = saved_again(images[3])  # a training galaxy that its own catalog validates with is no matter of ids
    one = dataclasses.replace(one, load_image=images.__getitem__)
    one, other = (
        dataclasses.replace(made, table=made.table.assign(split_group=keys))
        for made, keys in ((one, here), (other, there))
    )
    training, validation = expected_twins(one, other), expected_twins(one, other, VALIDATION, (TEST,))
    assert (training, validation) == ({N + 3}, {0, 1})
    for _ in range(2):
        stamps = make_stamps([one, other], 128, tmp_path)
        assert set(np.flatnonzero(stamps.splits == TWIN)) == training | validation
        assert stamps.rows(VALIDATION).tolist() == [2, 3, N + 2], "validation galaxies of both stay"
        assert stamps.notes == (
            "1 training galaxies were left out: another catalog holds them out under another id.",
            "2 validation galaxies were left out: another catalog has them in its test split under another id.",
        )


def test_the_search_is_kept(one, other, tmp_path, monkeypatch):
    first = make_stamps([one, other], 64, tmp_path)
    monkeypatch.setattr("galaxy_core.stamps.held_twins", lambda *_: pytest.fail("searched again"))
    again = make_stamps([one, other], 64, tmp_path)
    assert (first.splits == again.splits).all() and first.notes == again.notes


def test_too_many_pairs_are_not_looked_at_and_that_is_told(one, other, tmp_path, monkeypatch):
    monkeypatch.setattr(twins, "MOST_PAIRS", 10)
    for _ in range(2):
        stamps = make_stamps([one, other], 64, tmp_path)
        assert TWIN not in stamps.splits and "not looked for" in stamps.notes[0]


def test_pairs_are_those_of_the_plain_rule(one, other, tmp_path, monkeypatch):
    """Every pair, one at a time, by the correlation of the noise of the sky; whatever the size of the batches."""
    stamps = make_stamps([one, other], 128, tmp_path)
    rows, others = np.arange(N), np.arange(N, 2 * N)

    @cache
    def fine(row: int) -> np.ndarray:
        grey = np.pad(stamps.pixels[row][:3].astype(float).mean(axis=0), 2, constant_values=np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(grey, (5, 5))
        return grey[2:-2, 2:-2] - np.nanmean(windows, axis=(2, 3))

    def alike(a: int, b: int) -> float:
        sky = (stamps.pixels[a][3] == 0) & (stamps.pixels[b][3] == 0)
        return float(np.corrcoef(fine(a)[sky], fine(b)[sky])[0, 1])

    table = np.array([[alike(a, b) for b in others[:20]] for a in rows[:20]])
    half = np.arange(N // 2)
    assert table[half, half].min() > twins.NOISE_ALIKE > 0.15 > np.delete(table.ravel(), half * 21).max()
    pairs = [(a, N + a) for a in half]
    assert twins.find_twins(stamps, rows, others).tolist() == [list(pair) for pair in pairs]
    monkeypatch.setattr(twins, "BATCH", 7)
    monkeypatch.setattr(twins, "CHECKED", 1)
    assert twins.find_twins(stamps, rows, others).tolist() == [list(pair) for pair in pairs]
    swapped = [[b, a] for a, b in pairs]
    assert twins.find_twins(stamps, others, rows).tolist() == swapped
    assert twins.find_twins(stamps, rows[:20], others).tolist() == [list(pair) for pair in pairs], "the fewer first"
    assert twins.find_twins(stamps, others, rows[:20]).tolist() == swapped
    assert twins.find_twins(stamps, rows[:0], others).shape == twins.find_twins(stamps, rows, rows[:0]).shape == (0, 2)
    told = twins.noise_alike(stamps.planes(rows[:3]), stamps.planes(others[:3]))
    np.testing.assert_allclose(told.numpy(), table[range(3), range(3)], atol=1e-4)


def test_galaxies_without_noise_or_sky_are_nobodys_twins():
    """Smooth galaxies that are alike, the same flat image, a stamp that is all galaxy, and a single pixel."""
    y, x = np.mgrid[:64, :64] - 31.5
    smooth = np.rint(200 * np.exp(-np.hypot(x, y) / 6)).astype(np.uint8)
    planes = torch.from_numpy(np.stack([smooth] * 3 + [np.hypot(x, y) < 18])[None].astype(np.uint8))
    noisy = torch.randint(0, 255, (1, 4, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    noisy[:, 3] = 1
    for stamp in (planes, torch.full_like(planes, 0), noisy, planes[..., :1, :1]):
        assert twins.noise_alike(stamp, stamp).tolist() == [0.0]
    noisy[:, 3, :10, :20] = 0
    assert twins.noise_alike(noisy, noisy).tolist() == [0.0], "a twentieth of the stamp is 205 pixels"
    noisy[:, 3, :11, :20] = 0
    assert twins.noise_alike(noisy, noisy).item() == pytest.approx(1, abs=1e-5)
    draw = np.random.default_rng(0).choice
    for scatter, told in ((0.4, 0.0), (0.6, 1.0)):  # of a grey level, on either side of a half
        rare = scatter**2 / 2
        grey = torch.from_numpy(draw([0, 1, 2], (64, 64), p=[rare, 1 - 2 * rare, rare]).astype(np.uint8))
        stamp = torch.stack([grey, grey, grey, 0 * grey])[None]
        assert twins.noise_alike(stamp, stamp).item() == pytest.approx(told, abs=1e-5)


def test_a_model_says_what_was_left_out(one, other, tmp_path):
    config = cae.Config(
        model=AutoencoderConfig(widths=(4, 4), code_size=4, input_px=16),
        redraw=FitConfig(1, 8, 1e-3),
        n_validation_max=8,
    )
    cae.train([one, other], tmp_path / "m", config)
    about = json.loads((tmp_path / "m" / "config.json").read_text())["about"]
    left = len(expected_twins(one, other))
    assert about["notes"][0].startswith(f"{left} training galaxies were left out")
    n_train = sum(split_of(str(key)) == TRAIN for catalog in (one, other) for key in catalog.split_keys)
    assert about["n_train"] == n_train - left
