"""The second look at bright pixels: every one in a window with room around it, and never dearer than the whole tile."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.bright_windows import MARGIN_PX, MOST_PX, boxes_around, bright_windows, run_where


@pytest.mark.parametrize("shape", [(256, 256), (256, 40), (20, 256), (3, 3), (1, 1)])
def test_windows_hold_every_needed_pixel_and_its_margin(shape):
    needed = np.random.default_rng(0).random(shape) < 4 / np.prod(shape)
    needed[-1, -1] = True
    covered = np.zeros(shape, bool)
    for rows, columns in bright_windows(needed):
        assert 0 <= rows.start < rows.stop and 0 <= columns.start < columns.stop
        covered[rows, columns] = True
    for row, column in np.argwhere(needed):
        top, left = max(row - MARGIN_PX, 0), max(column - MARGIN_PX, 0)
        assert covered[top : row + MARGIN_PX + 1, left : column + MARGIN_PX + 1].all()


def test_only_windows_are_worked_on_and_the_rest_is_zero():
    needed = np.zeros((256, 256), bool)
    needed[100, 100], needed[5, 250] = True, True
    seen = []

    def run(tiles, sigma):
        seen.append(tiles.shape)
        return tiles + 1, np.full_like(tiles, sigma)

    tile = np.random.default_rng(0).random((256, 256), dtype=np.float32)
    ((correction, std),) = run_where(run, [tile], [needed], 0.5)
    assert seen == [(2, 48, 48)]  # one call for windows of one size
    inside = std > 0
    np.testing.assert_array_equal(correction[inside], tile[inside] + 1)
    assert inside[88:113, 88:113].all() and inside[:18, 238:].all() and not correction[~inside].any()
    assert run_where(lambda tiles, sigma: (tiles, None), [tile], [needed], 0.5)[0][1] is None


def test_windows_of_several_tiles_share_a_call_up_to_a_limit():
    tiles = [np.full((256, 256), index, np.float32) for index in range(40)]
    needed = np.zeros((256, 256), bool)
    needed[100, 100] = True
    seen = []

    def run(windows, sigma):
        seen.append(len(windows))
        return windows + 1, None

    made = run_where(run, tiles, [needed] * 40, 1.0)
    at_once = MOST_PX // 48**2
    assert seen == [at_once, 40 - at_once]
    assert [correction[100, 100] for correction, _ in made] == [index + 1 for index in range(40)]


def test_nothing_needed_and_everything_needed():
    seen = []

    def run(tiles, sigma):
        seen.append(tiles.shape)
        return tiles + 1, None

    tile = np.zeros((256, 256), np.float32)
    assert run_where(run, [], [], 1.0) == []
    assert not run_where(run, [tile], [np.zeros((256, 256), bool)], 1.0)[0][0].any() and not seen
    crowded = np.zeros((256, 256), bool)
    crowded[::40, ::40] = True
    for where in (np.ones((256, 256), bool), crowded):
        assert (run_where(run, [tile], [where], 1.0)[0][0] == 1).all() and seen.pop() == (1, 256, 256)


def test_boxes_fit_tightly_and_pixels_that_share_a_margin_share_one():
    needed = np.zeros((200, 90), bool)
    assert boxes_around(needed, 10) == []
    needed[50, 40], needed[53, 45], needed[150, 89] = True, True, True
    assert boxes_around(needed, 10) == [(slice(40, 64), slice(30, 56)), (slice(140, 161), slice(79, 90))]
    needed[65, 52] = True
    assert len(boxes_around(needed, 10)) == 2
