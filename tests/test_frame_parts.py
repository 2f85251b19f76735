"""How islands are parted at their saddles, and where the parts lie."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.frame_parts import RISE_SHARE, RISE_SIGMA, part
from galaxy_core.frame_segments import find_in_maps, find_with_sep
from galaxy_core.frame_shapes import WIDEST, measure_parts


def bump(shape, x, y, height, width):
    rows, columns = np.indices(shape)
    return height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2 / width**2)


def naive_saddles(light, lit):
    """Saddles of the peaks that are kept, by adding pixels one at a time from the brightest down."""
    order = sorted(zip(*np.nonzero(lit), strict=True), key=lambda p: (light[p], p[0] * light.shape[1] + p[1]))[::-1]
    above, peak, saddles = {}, {}, []

    def top(p):
        while above[p] != p:
            p = above[p]
        return p

    for p in order:
        above[p] = p
        peak[p] = light[p]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                q = (p[0] + dy, p[1] + dx)
                if q not in above or top(q) == top(p):
                    continue
                low, high = sorted((top(p), top(q)), key=lambda r: peak[r])
                if peak[low] - light[p] >= max(RISE_SIGMA, RISE_SHARE * light[p]):
                    saddles.append(float(light[p]))
                above[low] = high
    return sorted(saddles), len({top(p) for p in above})


@pytest.mark.parametrize("seed", range(6))
def test_parts_are_those_of_pixels_added_one_at_a_time(seed):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, (37, 29)), 1.2)
    light = (6 * noise / noise.std()).astype(np.float32)
    lit = light > 1
    parts = part(light, lit, 0.0, 1)
    saddles, n_islands = naive_saddles(light, lit)
    assert sorted(parts.saddle[np.isfinite(parts.saddle)]) == pytest.approx(saddles) and len(saddles) > 3
    assert n_islands == ndimage.label(lit, np.ones((3, 3)))[1] == (~np.isfinite(parts.saddle)).sum()
    assert set(parts.number) == set(range(len(parts.saddle)))


def test_a_source_in_a_halo_is_parted_at_any_height():
    """SExtractor's levels are a third apart at this height; the source stands a fifth above the halo."""
    light = (bump((121, 121), 60, 60, 1000, 40) + bump((121, 121), 92, 60, 150, 1.5)).astype(np.float32)
    nothing = np.zeros(light.shape, dtype=bool)
    ours, seps = find_in_maps(light, light, nothing, 5.0), find_with_sep(light, nothing, 5.0, 0.0)
    assert len(ours) == 2 and np.hypot(ours.x - 92, ours.y - 60).min() < 1 and ours.blended.all()
    assert np.hypot(seps.x - 92, seps.y - 60).min() > 3


def test_a_source_on_the_border_is_parted_from_light_along_it():
    light = bump((40, 30), 0, 10, 5, 1.2) + bump((40, 30), 0, 16, 4, 1.2)
    light[:, 0] += 0.9
    found = find_in_maps(*[light.astype(np.float32)] * 2, np.zeros(light.shape, dtype=bool), 2.0)
    assert sorted(np.rint(found.y)) == [10, 16] and found.x.max() < 1


def test_what_hardly_rises_is_no_part():
    light = (bump((30, 50), 18, 15, 10, 4) + bump((30, 50), 30, 15, 10.0, 4)).astype(np.float32)
    lit = light > 0.5
    assert len(part(light, lit, 0.0, 3).saddle) == 2
    assert len(part(light / 20, lit, 0.0, 3).saddle) == 1  # half of the noise of a pixel
    assert len(part(light, lit, 0.5, 3).saddle) == 1  # a small share of the island's light
    assert len(part(light, lit, 0.0, 10_000).saddle) == 1  # too small


def test_plateaus_single_pixels_and_nothing():
    flat = np.zeros((9, 9), dtype=np.float32)
    assert len(part(flat, flat > 0, 0.0, 3).saddle) == 0 and len(find_in_maps(flat, flat, flat > 0, 1.0)) == 0
    flat[2:7, 2:7] = 1
    parts = part(flat, flat > 0, 0.0, 3)
    assert len(parts.saddle) == 1 and len(parts.number) == 25
    one = np.ones((1, 1), dtype=np.float32)
    assert list(part(one, one > 0, 0.0, 3).number) == [0]
    assert len(find_in_maps(one, one, one < 0, 0.5)) == 0  # smaller than an object


def test_moments_of_a_tilted_gaussian():
    rows, columns = np.indices((81, 91))
    u, v = (columns - 44.3) * 0.8 + (rows - 39.6) * 0.6, -(columns - 44.3) * 0.6 + (rows - 39.6) * 0.8
    light = 100 * np.exp(-((u / 5) ** 2 + (v / 3) ** 2) / 2)
    lit = light > 0.01
    found, _ = measure_parts(lit, light[lit], part(light.astype(np.float32), lit, 0.0, 3))
    values = [float(found[name][0]) for name in ("x", "y", "a", "b", "theta")]
    assert values == pytest.approx([44.3, 39.6, 5, 3, np.arctan2(0.6, 0.8)], rel=0.01)
    assert [int(found[name][0]) for name in ("ymin", "ymax")] == [np.nonzero(lit)[0].min(), np.nonzero(lit)[0].max()]


def test_a_line_of_pixels_has_the_width_of_one():
    light = np.zeros((5, 9), dtype=np.float32)
    light[2, 2:7] = 1
    found, _ = measure_parts(light > 0, light[light > 0].astype(float), part(light, light > 0, 0.0, 3))
    assert found["a"][0] == pytest.approx(np.sqrt(2 + 1 / 12)) and found["b"][0] == pytest.approx(12**-0.5)


def test_positions_are_those_of_the_core():
    """Light of a neighbour that does not part pulls a barycentre, and not this position."""
    light = bump((60, 60), 25, 30, 10, 2) + bump((60, 60), 37, 30, 1.2, 6)
    found = find_in_maps(*[light.astype(np.float32)] * 2, np.zeros(light.shape, dtype=bool), 5.0)
    lit, columns = light > 0.5, np.indices(light.shape)[1]
    assert abs(found.x[0] - 25) < 0.2 and abs((columns[lit] * light[lit]).sum() / light[lit].sum() - 25) > 2


def test_a_halo_behind_a_small_source_stays_the_galaxys():
    light = (bump((101, 141), 50, 50, 500, 14) + bump((101, 141), 88, 50, 60, 1.5)).astype(np.float32)
    found = find_in_maps(light, light, np.zeros(light.shape, dtype=bool), 5.0)
    small = np.hypot(found.x - 88, found.y - 50).argmin()
    rows, columns = np.nonzero(found.segmentation == small + 1)
    assert np.hypot(columns - 88, rows - 50).max() < 1.5 * WIDEST * 1.5
    behind = found.segmentation[50, 99]
    assert behind and behind != small + 1


def test_in_a_crowded_field_islands_are_parted_all_the_same():
    """One island of thousands of sources: each is compared with its neighbour, not with the light of all."""
    from scipy import ndimage

    light = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (600, 600)), 1.5)
    light = (3 * light / light.std() + 12).astype(np.float32)
    found = find_in_maps(light, light, np.zeros(light.shape, dtype=bool), 14.0)
    assert len(found) > 3000
