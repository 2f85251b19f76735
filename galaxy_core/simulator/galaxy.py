"""One galaxy from its parts, in the bands i, r and g that make its red, green and blue."""

from __future__ import annotations

import numpy as np

from galaxy_core.simulator.light import Frame, add_blob, edge_on_disc, ring, sersic, spiral_pattern
from galaxy_core.simulator.parameters import GalaxyParameters

BANDS = ("i", "r", "g")
_DUST_IN_BANDS = (0.75, 1.0, 1.4)  # optical depth in i, r and g over that in r, roughly the Milky Way's law
_YOUNG_G_R = 0.05
# contrast of the arms and size of the disc in i, r and g over their mean: young stars gather in arms and further out
_YOUTH_IN_BANDS = ((0.85, 0.95), (0.95, 0.99), (1.05, 1.06))


def band_fluxes(flux_r: float, g_r: float, r_i: float | None = None) -> np.ndarray:
    """Flux in i, r and g from that in r and the colours; r - i follows the galaxy locus where it is not given."""
    r_i = 0.12 + 0.34 * g_r if r_i is None else r_i
    return (flux_r * 10 ** (0.4 * np.array([r_i, 0.0, -g_r]))).astype(np.float32)


def render_galaxy(parameters: GalaxyParameters, frame: Frame, rng: np.random.Generator) -> np.ndarray:
    """Light of the galaxy before the atmosphere.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws where the clumps and the companion's details fall.

    Returns
    -------
    numpy.ndarray, float32, (3, n, n)
        Nanomaggies per pixel in i, r and g. Away from dust the sum over a large frame is that of `part_fluxes`.
    """
    p = parameters
    parts = part_fluxes(p)
    bulge = sersic(frame, p.bulge_r50_arcsec, p.sersic_index, p.bulge_axis_ratio, p.position_angle_deg)
    image = parts["bulge"][:, None, None] * bulge
    if p.disc_height_arcsec > 0:
        depths = tuple(p.dust_depth * share for share in _DUST_IN_BANDS) if p.dust_depth else (0.0,)
        disc = edge_on_disc(frame, p.disc_scale_arcsec, p.disc_height_arcsec, p.position_angle_deg, depths)
        image += parts["disc"][:, None, None] * disc
        thick = sersic(frame, 1.5 * p.disc_scale_arcsec, 0.8, p.thick_disc_axis_ratio, p.position_angle_deg)
        image += parts["thick disc"][:, None, None] * thick
    elif p.disc_scale_arcsec > 0:
        image += _face_on_disc(p, frame, parts, rng)
    if p.bar_fraction:
        bar = sersic(frame, p.bar_r50_arcsec, 0.6, p.bar_axis_ratio, p.bar_angle_deg)
        image += parts["bar"][:, None, None] * bar
    for fluxes, x, y, sigma in _clumps(p, parts["clumps"], rng) + _tails(p, parts["tails"]):
        add_blob(image, frame, fluxes, x, y, sigma)
    if p.companion_fraction:
        image += _companion(p, frame, parts["companion"], rng)
    return image


def part_fluxes(p: GalaxyParameters) -> dict[str, np.ndarray]:
    """Flux of each part in i, r and g, nanomaggies, float32 (3,); the fractions are of the flux in r."""
    disc_share = 1 - p.bulge_fraction - p.bar_fraction - p.ring_fraction - p.clump_fraction
    parts = {"bulge": (p.bulge_fraction, p.bulge_g_r)}
    if p.disc_scale_arcsec > 0:
        parts |= {
            "disc": (disc_share * (1 - p.thick_disc_fraction), p.disc_g_r),
            "thick disc": (disc_share * p.thick_disc_fraction, p.disc_g_r),
            "bar": (p.bar_fraction, 0.6 * p.bulge_g_r + 0.4 * p.disc_g_r),
            "ring": (p.ring_fraction, p.disc_g_r - 0.1),
        }
    parts["clumps"] = (p.clump_fraction, min(_YOUNG_G_R, p.disc_g_r - 0.25))
    stars = p.bulge_g_r if p.bulge_fraction == 1 else p.disc_g_r
    parts["tails"] = (p.tail_fraction, stars - 0.05)
    parts["companion"] = (p.companion_fraction, stars)
    return {
        name: band_fluxes(p.flux_r_nmgy * share, g_r, 0.12 + 0.34 * g_r + p.red_excess)
        for name, (share, g_r) in parts.items()
    }


def _face_on_disc(
    p: GalaxyParameters, frame: Frame, parts: dict[str, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Exponential disc with its arms and ring, tilted."""
    angle = np.radians(p.position_angle_deg)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x = frame.x_arcsec * cosine + frame.y_arcsec * sine
    y = (frame.y_arcsec * cosine - frame.x_arcsec * sine) / np.float32(p.axis_ratio)
    radius, theta = np.hypot(x, y) / np.float32(p.disc_scale_arcsec), np.arctan2(y, x)
    phases = rng.uniform(0, 2 * np.pi, 3)
    wobble = p.arm_wobble * (0.5 * np.sin(1.7 * radius + phases[0]) + 0.25 * np.sin(3.9 * radius + phases[1]))
    phase = np.float32(np.radians(p.arm_phase_deg)) + wobble.astype(np.float32) / np.float32(max(p.n_arms, 1))
    arms = spiral_pattern(radius, theta, p.n_arms, p.pitch_angle_deg, p.winding_sign, phase, p.arm_sharpness)
    floccules = spiral_pattern(
        radius, theta, p.n_arms + 3, 1.3 * p.pitch_angle_deg, p.winding_sign, np.float32(phases[2]), 1.0
    )
    # arms begin where the bulge or bar ends
    start = radius**4 / (radius**4 + np.float32(0.5 + (p.bar_r50_arcsec / p.disc_scale_arcsec) ** 4 * 0.5))
    strength = start * np.float32(p.arm_strength)
    contrast = strength * arms + (1 - strength) * np.float32(p.floccule_strength) * start * floccules
    lopsidedness = min(p.lopsidedness, 0.5)
    lopsided = np.float32(lopsidedness) * start * np.cos(theta - np.float32(phases[0]))
    # light can be moved only from where there is some
    deepest = _YOUTH_IN_BANDS[-1][0] * (p.arm_strength + (1 - p.arm_strength) * p.floccule_strength)
    contrast *= np.float32(min(1.0, (1 - lopsidedness) / max(deepest, 1e-6)))
    lane = spiral_pattern(radius, theta, p.n_arms, p.pitch_angle_deg, p.winding_sign, phase - np.float32(0.3), 3.0)
    lane = strength * np.maximum(lane, 0) / np.float32(3.0)
    image = np.empty((3, frame.size_px, frame.size_px), np.float32)
    for band, (blueness, size) in enumerate(_YOUTH_IN_BANDS):
        # 1.678 scale lengths hold half the light of an exponential disc
        r50 = 1.678347 * p.disc_scale_arcsec * size
        disc = sersic(frame, r50, 1.0, p.axis_ratio, p.position_angle_deg)
        disc *= 1 + np.float32(blueness) * contrast + lopsided
        image[band] = parts["disc"][band] * disc * np.exp(np.float32(-p.dust_depth * _DUST_IN_BANDS[band]) * lane)
    if p.ring_fraction:
        ring_radius = p.ring_radius_arcsec / p.disc_scale_arcsec
        area = frame.pixel_scale_arcsec**2 / (p.axis_ratio * p.disc_scale_arcsec**2)
        image += parts["ring"][:, None, None] * ring(radius, ring_radius, 0.14 * ring_radius) * np.float32(area)
    return image


def _clumps(p: GalaxyParameters, fluxes: np.ndarray, rng: np.random.Generator) -> list[tuple]:
    """Star-forming knots strung along the arms: (fluxes, x, y, sigma) each."""
    if not p.n_clumps:
        return []
    share = rng.pareto(1.6, p.n_clumps) + 0.3
    share = np.minimum(share, 3) / np.minimum(share, 3).sum()
    radius = p.disc_scale_arcsec * rng.gamma(4.0, 0.5, p.n_clumps).clip(0.6, 4.0)
    arm = rng.integers(0, max(p.n_arms, 1), p.n_clumps)
    winding = p.winding_sign * np.log(radius / p.disc_scale_arcsec) / np.tan(np.radians(p.pitch_angle_deg))
    theta = np.radians(p.arm_phase_deg) + winding + 2 * np.pi * arm / max(p.n_arms, 1) + rng.normal(0, 0.3, p.n_clumps)
    angle = np.radians(p.position_angle_deg)
    along, across = radius * np.cos(theta), radius * np.sin(theta) * p.axis_ratio
    x, y = along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)
    sigma = p.disc_scale_arcsec * rng.uniform(0.07, 0.24, p.n_clumps)
    return [(fluxes * share[k], x[k], y[k], sigma[k]) for k in range(p.n_clumps)]


def _tails(p: GalaxyParameters, fluxes: np.ndarray) -> list[tuple]:
    """Two tidal tails, curving opposite ways, fading and widening outwards."""
    if not p.tail_fraction:
        return []
    steps = np.linspace(0.15, 1.0, 16)
    share = (1.15 - steps) / (1.15 - steps).sum()
    blobs = []
    for side, part in ((0.0, 0.65), (np.pi, 0.35)):
        direction = np.radians(p.companion_angle_deg) + side + p.tail_curvature * steps
        distance = p.tail_length_arcsec * steps * (1.0 if part > 0.5 else 0.7)
        width = p.tail_length_arcsec * (0.05 + 0.07 * steps)
        points = zip(share, distance * np.cos(direction), distance * np.sin(direction), width, strict=True)
        blobs += [(fluxes * part * weight, x, y, sigma) for weight, x, y, sigma in points]
    return blobs


def _companion(p: GalaxyParameters, frame: Frame, fluxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The other galaxy of a merger, a plain Sersic body."""
    angle = np.radians(p.companion_angle_deg)
    body = sersic(
        frame,
        r50=p.r90_arcsec * float(rng.uniform(0.16, 0.3)),
        n=float(rng.uniform(1.0, 3.5)),
        axis_ratio=float(rng.uniform(0.5, 0.95)),
        angle_deg=float(rng.uniform(0, 180)),
        x0=p.companion_separation_arcsec * np.cos(angle),
        y0=p.companion_separation_arcsec * np.sin(angle),
    )
    return fluxes[:, None, None] * body
