"""Shape measures of objects whose shape is known."""

import numpy as np
import pytest

from galaxy_core.shape import DESCRIPTORS, describe_shape

SIDE = 64


def stamp(light: np.ndarray, colors=(1.0, 1.0, 1.0)) -> np.ndarray:
    return np.stack([color * light for color in colors]).astype(np.float32)


def gaussian(
    axis_ratio: float, sigma: float = 7.0, angle: float = 0.4, x0: float = 31.5, y0: float = 31.5
) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    u = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
    v = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
    return 0.8 * np.exp(-0.5 * (u**2 + (v / axis_ratio) ** 2) / sigma**2)


def shape_of(image: np.ndarray, foreground: np.ndarray | None = None) -> dict[str, float]:
    foreground = image[0] > 0.001 if foreground is None else foreground
    return dict(zip(DESCRIPTORS, describe_shape(image, foreground), strict=True))


@pytest.mark.parametrize("axis_ratio", [0.3, 0.6, 1.0])
def test_axis_ratio_and_size_of_an_ellipse(axis_ratio):
    shape = shape_of(stamp(gaussian(axis_ratio, sigma=5.0)))
    assert shape["axis_ratio"] == pytest.approx(axis_ratio, abs=0.02)
    assert np.exp(shape["log_size_px"]) == pytest.approx(5.0, rel=0.03)


def test_axis_ratios_of_light_outline_and_core():
    """Of a round outline around a long galaxy with a longer core."""
    y, x = np.mgrid[:SIDE, :SIDE] - 31.5
    image = stamp(0.25 * gaussian(0.7, sigma=7) + gaussian(0.3, sigma=5))
    shape = shape_of(image, np.hypot(x, y) < 26)
    assert shape["axis_ratio_outline"] == pytest.approx(1, abs=0.01)
    assert 0.3 < shape["axis_ratio_core"] < shape["axis_ratio"] - 0.05 and shape["axis_ratio"] < 0.7


def test_the_sky_and_what_lies_below_it_are_no_light():
    image, inside = stamp(gaussian(0.5)), gaussian(0.5) > 0.01
    on_black, on_sky = shape_of(image, inside), shape_of(image + np.float32(0.15), inside)
    for name in DESCRIPTORS[:12]:
        assert on_sky[name] == pytest.approx(on_black[name], abs=0.02), name
    holed = image.copy()
    holed[:, 31:33, 10:14] = -0.3
    outline = inside.copy()
    outline[31:33, 10:14] = True
    assert shape_of(holed, outline)["log_size_px"] == pytest.approx(on_black["log_size_px"], abs=0.02)


def test_shapes_do_not_know_the_orientation():
    image = stamp(gaussian(0.5, x0=29.0, y0=33.0) + 0.3 * gaussian(0.8, sigma=3, x0=36, y0=30), (1.0, 0.8, 0.5))
    still, turned = shape_of(image), shape_of(np.rot90(image, 1, axes=(1, 2)).copy())
    for name in DESCRIPTORS:
        assert turned[name] == pytest.approx(still[name], abs=0.01), name


def test_concentration_of_a_gaussian():
    """Inside radius r a round Gaussian holds 1 - exp(-r^2 / 2 sigma^2) of its light."""
    shape = shape_of(stamp(gaussian(1.0, sigma=6.0)))
    radius = {share: np.sqrt(-2 * np.log(1 - share)) for share in (0.2, 0.5, 0.8)}
    assert shape["concentration_80_20"] == pytest.approx(radius[0.8] / radius[0.2], rel=0.02)
    assert shape["concentration_80_50"] == pytest.approx(radius[0.8] / radius[0.5], rel=0.02)
    # of a de Vaucouleurs profile within ten half-light radii, whose middle pixel holds more than a fifth of the light
    y, x = np.mgrid[: 81 * 9, : 81 * 9] / 9 - 0.5 + 1 / 18 - 40
    radius = np.hypot(x, y / 0.3)
    light = np.exp(-7.669 * (radius / 4) ** 0.25) * (radius < 40)
    light = light.reshape(81, 9, 81, 9).mean((1, 3))
    core = shape_of(stamp(light / light.max()), light > 0)
    assert core["concentration_80_20"] == pytest.approx(10.32, rel=0.15)


def test_gini_of_a_point_and_of_a_flat_disc():
    point = np.zeros((SIDE, SIDE))
    point[32, 32] = 1.0
    everywhere = np.zeros((SIDE, SIDE), dtype=bool)
    everywhere[20:44, 20:44] = True
    assert shape_of(stamp(point), everywhere)["gini"] == pytest.approx(1.0)
    flat = everywhere.astype(float) * 0.5
    assert shape_of(stamp(flat), everywhere)["gini"] == pytest.approx(0.0, abs=1e-6)


def test_gini_against_all_pairs():
    rng = np.random.default_rng(0)
    light = np.zeros((SIDE, SIDE))
    light[30:35, 30:35] = rng.random((5, 5)) + 0.1
    flux = light[30:35, 30:35].ravel().astype(np.float32).astype(float)
    naive = np.abs(flux[:, None] - flux[None]).sum() / (2 * flux.mean() * 25 * 24)
    assert shape_of(stamp(light), light > 0)["gini"] == pytest.approx(naive, rel=1e-4)


def test_asymmetry_rises_with_a_companion_blended_in():
    lone = gaussian(1.0, sigma=6)
    blended = lone + 0.5 * gaussian(1.0, sigma=2, x0=40, y0=31.5)
    assert shape_of(stamp(lone))["asymmetry"] < 0.01 < 0.1 < shape_of(stamp(blended))["asymmetry"]


def test_asymmetry_structure_and_smoothness_in_closed_form():
    """Of light a part ``a cos(3 theta)`` changes sign under half a turn: the mean of ``|2 a cos|`` is ``4 a / pi``."""
    y, x = np.mgrid[:SIDE, :SIDE] - 31.5
    inside, a = np.hypot(x, y) < 26, 0.5
    lobed = 0.6 * np.exp(-np.hypot(x, y) / 7) * (1 + a * np.cos(3 * np.arctan2(y, x)))
    shape = shape_of(stamp(lobed * inside), inside)
    assert shape["asymmetry"] == pytest.approx(4 * a / np.pi, rel=0.03)
    assert shape["structure"] == pytest.approx(2 * a / np.pi, rel=0.1)
    # a Gaussian blurred by a quarter of its width: both hold their light inside r but for exp(-r^2 / 2 sigma^2)
    before, after = 36.0, 36 * (1 + 0.25**2)
    crossing = np.log(after / before) / (1 / before - 1 / after)
    expected = 2 * (np.exp(-crossing / after) - np.exp(-crossing / before))
    assert shape_of(stamp(gaussian(1.0, sigma=6)))["smoothness"] == pytest.approx(expected, rel=0.03)


def test_two_arms_show_in_the_two_fold_amplitude():
    y, x = np.mgrid[:SIDE, :SIDE] - 31.5
    disc = np.exp(-np.hypot(x, y) / 7)
    armed = disc * (1 + 0.8 * np.cos(2 * np.arctan2(y, x) - 0.35 * np.hypot(x, y)))
    inside = np.hypot(x, y) < 26
    plain, spiral = shape_of(stamp(disc), inside), shape_of(stamp(armed), inside)
    assert spiral["structure"] > 3 * plain["structure"]
    assert spiral["two_fold_inner"] > plain["two_fold_inner"] + 0.05
    outside = shape_of(stamp(np.where(np.hypot(x, y) > 13, armed, disc)), inside)
    assert outside["two_fold_inner"] < 0.05 < 0.08 < outside["two_fold_outer"]


def test_light_is_measured_in_the_galaxys_own_plane():
    """The same arms face on and inclined."""
    y, x = np.mgrid[:96, :96] - 47.5
    face_on, inclined = (
        shape_of(stamp(np.exp(-r / 9) * (1 + 0.8 * np.cos(2 * angle - 0.5 * r) * (r < 12)) * (r < 36)), r < 36)
        for r, angle in ((np.hypot(x, y / q), np.arctan2(y / q, x)) for q in (1.0, 0.4))
    )
    assert inclined["axis_ratio"] == pytest.approx(0.4, abs=0.02) and face_on["axis_ratio"] > 0.95
    for name in ("structure", "two_fold_inner", "two_fold_outer", "gini", "concentration_80_20", "concentration_80_50"):
        assert inclined[name] == pytest.approx(face_on[name], rel=0.02, abs=0.02), name


def test_colors_are_ratios_of_bands():
    inside = gaussian(1.0) > 0.01
    red, blue = (shape_of(stamp(gaussian(1.0), colors), inside) for colors in ((1.0, 0.8, 0.4), (0.4, 0.8, 1.0)))
    assert red["color_red_blue"] == pytest.approx(-blue["color_red_blue"], abs=1e-5)
    assert red["color_red_blue"] == pytest.approx(np.log(1 / 0.4), abs=0.02)
    assert red["color_green_blue"] == pytest.approx(np.log(0.8 / 0.4), abs=0.02)


def test_the_object_nearest_the_centre_is_described():
    for x0, y0 in ((8, 8), (8, 55), (55, 8), (55, 55)):
        image = stamp(gaussian(1.0, sigma=3) + gaussian(0.3, sigma=6, x0=x0, y0=y0))
        assert shape_of(image, image[0] > 0.05)["axis_ratio"] == pytest.approx(1.0, abs=0.05)


def test_empty_sky_one_pixel_and_full_frames():
    empty = describe_shape(np.zeros((3, 8, 8), np.float32), np.zeros((8, 8), bool))
    assert np.isnan(empty).all() and empty.shape == (len(DESCRIPTORS),)
    dark = describe_shape(np.zeros((3, 8, 8), np.float32), np.ones((8, 8), bool))
    assert np.isnan(dark).all()
    assert np.isfinite(describe_shape(np.full((3, 1, 1), 0.5, np.float32), np.ones((1, 1), bool))).all()
    assert np.isfinite(describe_shape(np.full((3, 8, 8), 0.5, np.float32), np.ones((8, 8), bool))).all()
