"""Box filters by doubling give what general filters give, for any side and at every border."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from galaxy_core.box_filters import box_maximum, box_mean, box_sum


@pytest.mark.parametrize("shape", [(40, 33), (5, 60), (1, 9), (1, 1)])
@pytest.mark.parametrize("side", [1, 3, 5, 7, 9, 17, 33])
def test_boxes_agree_with_general_filters(shape, side):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mean = ndimage.uniform_filter(values.astype(float), side, mode="nearest")
    np.testing.assert_allclose(box_mean(values, side), mean, atol=1e-6)
    total = side**2 * ndimage.uniform_filter(values.astype(float), side, mode="constant")
    np.testing.assert_allclose(box_sum(values, side), total, atol=1e-4)
    np.testing.assert_array_equal(box_maximum(values, side), ndimage.maximum_filter(values, side, mode="nearest"))
    assert box_mean(values, side).dtype == np.float32


def test_maximum_of_truths_is_whether_any_is():
    lit = np.zeros((20, 20), bool)
    lit[3, 18] = True
    near = box_maximum(lit, 5)
    assert near.dtype == bool and near.sum() == 5 * 4 and near[1:6, 16:].all()
