"""The factor of an interval: its definition, new pixels, and the edges."""

import math

import numpy as np
import pytest

from galaxy_core.calibration import interval_factor


@pytest.mark.parametrize("n", [1, 2, 10, 999])
@pytest.mark.parametrize("share", [0.1, 0.68, 0.95])
def test_the_factor_is_the_conformal_quantile(n, share):
    values = np.random.default_rng(n).exponential(size=n)
    rank = min(math.ceil((n + 1) * share), n)
    assert interval_factor(values, share) == sorted(values)[rank - 1]


def test_new_pixels_are_covered_by_the_factor_of_old_ones():
    rng = np.random.default_rng(3)
    factors = [interval_factor(np.abs(rng.standard_t(3, size=200)), 0.68) for _ in range(300)]
    inside = [np.mean(np.abs(rng.standard_t(3, size=2000)) <= factor) for factor in factors]
    assert 0.677 < np.mean(inside) < 0.70


def test_a_factor_without_a_pixel_is_an_error():
    with pytest.raises(ValueError, match="without a pixel"):
        interval_factor(np.zeros(0), 0.68)
