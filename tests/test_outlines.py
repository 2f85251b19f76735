"""Outlines on a map: what lies inside, fewer corners, and the way into a link and back."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import points_in_poly

from galaxy_core.map_layers import Extent
from pages.views import outlines

EXTENT = Extent(-3.0, 5.0, 10.0, 14.0)


def test_polygon_against_scikit_image():
    rng = np.random.default_rng(3)
    points, corners = rng.uniform(-1, 1, (3000, 2)), rng.uniform(-1, 1, (9, 2))
    ours = outlines.inside_polygon(points[:, 0], points[:, 1], corners[:, 0], corners[:, 1])
    assert np.array_equal(ours, points_in_poly(points, corners)) and ours.any() and not ours.all()


def test_polygon_edges():
    x, y = np.array([0.5, np.nan, 2.0]), np.array([0.5, 0.5, 0.5])
    square = np.array([0.0, 1, 1, 0]), np.array([0.0, 0, 1, 1])
    assert outlines.inside_polygon(x, y, *square).tolist() == [True, False, False]
    assert not outlines.inside_polygon(x, y, square[0][:2], square[1][:2]).any()


def test_corners_come_back_where_they_were():
    x, y = np.array([-3.0, 5.0, 6.5, 1.0]), np.array([10.0, 14.0, 9.0, 12.0])
    kept = outlines.keep_corners(x, y, EXTENT)
    assert all(isinstance(value, int) and 0 <= value <= 65_535 for value in kept)
    back = outlines.corners_of(kept, EXTENT)
    assert np.abs(back[0] - x).max() < 16 / 65_535 and np.abs(back[1] - y).max() < 8 / 65_535


def test_a_shaky_lasso_keeps_its_shape_with_few_corners():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 2 * np.pi, 700)
    x, y = 1 + 2 * np.cos(t) + rng.normal(0, 0.002, 700), 12 + np.sin(t) + rng.normal(0, 0.002, 700)
    kept = outlines.keep_corners(x, y, EXTENT)
    assert len(kept) // 2 <= outlines.MAX_CORNERS
    points = rng.uniform((-3, 10), (5, 14), (20_000, 2))
    before = outlines.inside_polygon(points[:, 0], points[:, 1], x, y)
    after = outlines.inside_polygon(points[:, 0], points[:, 1], *outlines.corners_of(kept, EXTENT))
    assert (before != after).sum() < 0.01 * before.sum()


@pytest.mark.parametrize("n", [3, 5, 50])
def test_a_lasso_of_no_width_is_no_error(n):
    kept = outlines.keep_corners(np.full(n, 1.0), np.linspace(11, 12, n), EXTENT)
    assert len(kept) >= 6
    kept = outlines.keep_corners(np.full(n, 1.0), np.full(n, 11.0), EXTENT)
    assert not outlines.inside_polygon(np.array([1.0]), np.array([11.0]), *outlines.corners_of(kept, EXTENT)).any()


def test_links_of_any_content_and_none():
    for value in ([], {"a": [1.5, "ü 'x'"]}, [["n", "umap", list(range(100))]]):
        letters = outlines.to_link(value)
        assert outlines.from_link(letters) == value
        assert letters.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("letters", ["", "%%%", "abc", "eJ", "eNpLTEpOSQUABc4B8Q"[:9], "ä"])
def test_a_link_cut_short_is_a_value_error(letters):
    with pytest.raises(ValueError):
        outlines.from_link(letters)


def test_a_link_that_unpacks_to_too_much_is_refused():
    with pytest.raises(ValueError):
        outlines.from_link(outlines.to_link("a" * (outlines.MAX_LINK_BYTES + 10)))


def test_steps_without_anything_before():
    rows = np.array([5, 3, 5])
    assert outlines.combine(None, rows, "add").tolist() == [3, 5]
    assert outlines.combine(None, rows, "subtract").tolist() == []
    assert outlines.combine(None, rows, "intersect").tolist() == []
    assert outlines.combine(np.array([1, 3]), rows, "add").dtype == np.int32
