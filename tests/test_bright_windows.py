"""The second look at bright pixels: every one in a window with room around it, and never dearer than the whole tile."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.bright_windows import CALL_PX, MARGIN_PX, bright_windows, run_where


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

    def run(tile, sigma):
        seen.append(tile.shape)
        return tile + 1, np.full_like(tile, sigma)

    tile = np.random.default_rng(0).random((256, 256), dtype=np.float32)
    correction, std = run_where(run, needed)(tile, 0.5)
    assert seen == [(48, 48), (48, 48)]
    inside = std > 0
    np.testing.assert_array_equal(correction[inside], tile[inside] + 1)
    assert inside[84:117, 84:117].all() and inside[:22, 234:].all() and not correction[~inside].any()
    assert run_where(lambda tile, sigma: (tile, None), needed)(tile, 0.5)[1] is None


def test_nothing_needed_and_everything_needed():
    def run(tile, sigma):
        return tile + 1, None

    tile = np.zeros((256, 256), np.float32)
    assert not run_where(run, np.zeros((256, 256), bool))(tile, 1.0)[0].any()
    assert run_where(run, np.ones((256, 256), bool)) is run
    crowded = np.zeros((256, 256), bool)
    crowded[::40, ::40] = True
    assert run_where(run, crowded) is run and 0 < CALL_PX < 256 * 256
