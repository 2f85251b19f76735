"""The grid of the sky over a frame: lines lie where their coordinates say, whatever the projection."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from astropy.wcs import WCS

from galaxy_core import sky_grid as module
from galaxy_core.sky_grid import sky_grid, world_of

SHAPE = (300, 400)


def tangent(
    ra: float = 187.7, dec: float = 12.4, scale: float = 1e-4, turn: float = 0.0, kinds=("RA---TAN", "DEC--TAN")
):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = list(kinds)
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [200.5, 150.5]
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = scale * np.array([[-cosine, sine], [sine, cosine]])
    wcs.wcs.set()
    return wcs


@pytest.mark.parametrize(
    "wcs",
    [tangent(), tangent(ra=0.001), tangent(turn=137), tangent(dec=-89.99, scale=1e-3), tangent(scale=0.05)],
    ids=["plain", "around zero hours", "turned", "at the pole", "wide"],
)
def test_points_of_a_line_have_its_coordinate(wcs):
    lines = sky_grid(wcs, SHAPE)
    assert {line.axis for line in lines} == {"longitude", "latitude"} and 4 <= len(lines) <= 40
    for line in lines:
        known = np.isfinite(line.x)
        found = wcs.all_pix2world(np.column_stack([line.x, line.y])[known].astype(float), 0)
        value = found[:, 0 if line.axis == "longitude" else 1]
        off = (value - line.degrees + 180) % 360 - 180
        if line.axis == "longitude":  # a pixel is more degrees of it near the pole
            off = off * np.cos(np.radians(found[:, 1]))
        assert np.abs(off).max() < 1e-3 * abs(np.linalg.det(wcs.wcs.cd)) ** 0.5


def test_lines_are_within_the_frame_but_for_one_point_beyond():
    for line in sky_grid(tangent(turn=30), SHAPE):
        inside = (line.x > -0.5) & (line.x < 399.5) & (line.y > -0.5) & (line.y < 299.5)
        known = np.isfinite(line.x)
        assert inside.sum() >= 1 and (known & ~inside).sum() <= 2


def test_labels_are_hours_and_degrees_or_the_names_of_other_systems():
    labels = [line.label for line in sky_grid(tangent(), SHAPE)]
    assert "RA 12h30m48s" in labels or "RA 12h30m50s" in labels
    assert any(label.startswith("Dec +12°") for label in labels)
    galactic = sky_grid(tangent(kinds=("GLON-TAN", "GLAT-TAN")), SHAPE)
    assert any(line.label.startswith("GLON 187°") for line in galactic)


def test_neighbouring_lines_have_different_labels():
    for scale in (1e-7, 1e-6, 1e-5, 3e-4, 2e-3, 0.02):
        labels = [line.label for line in sky_grid(tangent(scale=scale), SHAPE)]
        assert len(set(labels)) == len(labels), scale


def test_swapped_axes():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["DEC--TAN", "RA---TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [12.4, 187.7], [200, 150]
    wcs.wcs.cdelt = [1e-4, -1e-4]
    wcs.wcs.set()
    longitude, latitude = world_of(wcs, np.array([199.0]), np.array([149.0]))
    assert longitude[0] == pytest.approx(187.7) and latitude[0] == pytest.approx(12.4)
    assert any(line.label.startswith("RA 12h30m") for line in sky_grid(wcs, SHAPE))


def test_no_sky_no_lines():
    """A frame that lies wholly beyond the edge of its projection."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---SIN", "DEC--SIN"], [10, 10]
    wcs.wcs.crpix, wcs.wcs.cdelt = [-9000, -9000], [-0.1, 0.1]
    wcs.wcs.set()
    assert sky_grid(wcs, SHAPE) == []


def test_examples():
    assert doctest.testmod(module).failed == 0
