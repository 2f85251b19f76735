"""The physical parameters of one simulated galaxy, and how they are drawn.

Sizes are in arcseconds, fluxes in nanomaggies (22.5 mag is one), angles in degrees. As in Galaxy Zoo the stamp shows a
fixed multiple of the galaxy's own size, so a small galaxy is seen with a wide point spread function and blotchy noise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

CLASSES = ("round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral", "merger")
CLASS_SHARES = (0.26, 0.26, 0.05, 0.14, 0.25, 0.04)
_R90_MEDIAN_ARCSEC = dict(zip(CLASSES, (6.0, 6.0, 6.6, 7.2, 7.6, 7.0), strict=True))
PARAMETER_STREAM, FIELD_STREAM, NOISE_STREAM, VOTE_STREAM = range(4)


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Random numbers of galaxy ``index`` for one purpose: the same whatever else is drawn, and in whatever order."""
    return np.random.default_rng([seed, index, purpose])


@dataclass(frozen=True)
class GalaxyParameters:
    """What one simulated galaxy is made of; a part it does not have has fraction 0."""

    galaxy_class: str
    r90_arcsec: float  # as the SDSS measures it: of Petrosian light 90 %, of all 62 to 93 %; sets the field of view
    flux_r_nmgy: float
    position_angle_deg: float
    axis_ratio: float  # of the main body on the sky: cos(inclination) for a thin disc
    sersic_index: float  # of the bulge, or of the whole galaxy where bulge_fraction is 1
    bulge_fraction: float
    bulge_r50_arcsec: float
    bulge_axis_ratio: float
    bulge_g_r: float
    disc_scale_arcsec: float
    disc_height_arcsec: float  # above 0: a disc seen edge-on
    disc_g_r: float
    thick_disc_fraction: float  # of an edge-on disc's light, in a thicker disc with blunt ends
    thick_disc_axis_ratio: float
    red_excess: float  # of r - i over the galaxy locus, magnitudes
    dust_depth: float  # optical depth in r of the lane of an edge-on disc, of the arms' inner edges in a spiral
    n_arms: int
    arm_strength: float
    arm_sharpness: float
    arm_phase_deg: float
    arm_wobble: float
    pitch_angle_deg: float
    winding_sign: int
    floccule_strength: float
    lopsidedness: float
    bar_fraction: float
    bar_r50_arcsec: float
    bar_axis_ratio: float
    bar_angle_deg: float  # in the plane of the sky
    ring_fraction: float
    ring_radius_arcsec: float
    n_clumps: int
    clump_fraction: float
    companion_fraction: float  # flux of a merging companion over that of the galaxy
    companion_separation_arcsec: float
    companion_angle_deg: float
    tail_fraction: float
    tail_length_arcsec: float
    tail_curvature: float
    seeing_fwhm_arcsec: float
    i_shift_x_arcsec: float  # registration errors between the bands; r is the reference
    i_shift_y_arcsec: float
    g_shift_x_arcsec: float
    g_shift_y_arcsec: float
    noise_factor: float  # of this part of the sky over the survey's typical noise
    sky_level: float  # display units the empty sky is shown at
    glow_level: float  # scattered light of a bright star outside the stamp, display units; 0 for nearly all
    glow_hue: float
    n_stars: int
    n_neighbours: int

    @property
    def band_shifts_arcsec(self) -> tuple[tuple[float, float], ...]:
        """(x, y) of the i, r and g images relative to r."""
        i = (self.i_shift_x_arcsec, self.i_shift_y_arcsec)
        return i, (0.0, 0.0), (self.g_shift_x_arcsec, self.g_shift_y_arcsec)

    def to_dict(self) -> dict[str, str | float | int]:
        """Every parameter, in the order declared."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def draw_parameters(seed: int, index: int) -> GalaxyParameters:
    """Parameters of galaxy ``index`` of catalog ``seed``: a function of the two alone."""
    rng = stream(seed, index, PARAMETER_STREAM)
    kind = CLASSES[int(np.searchsorted(np.cumsum(CLASS_SHARES), rng.random()))]
    values = _common(rng, kind)
    values |= _MAIN_BODY[kind](rng, values)
    return GalaxyParameters(**values)


def _common(rng: np.random.Generator, kind: str) -> dict:
    """What every galaxy has, with the parts only some have set to nothing."""
    r90 = float(np.clip(_R90_MEDIAN_ARCSEC[kind] * np.exp(0.36 * rng.normal()), 3.2, 30.0))
    area = (r90 / 5.5) ** 2  # of sky in the stamp, over that of a typical one
    numbers = {f.name: 0.0 for f in fields(GalaxyParameters)} | {"n_arms": 0, "n_clumps": 0, "winding_sign": 1}
    return numbers | {
        "galaxy_class": kind,
        "r90_arcsec": r90,
        "position_angle_deg": float(rng.uniform(0, 180)),
        "red_excess": float(rng.normal(0.0, 0.05)),
        **_shifts(rng),
        "glow_level": float(rng.uniform(0.03, 0.2)) if rng.random() < 0.012 else 0.0,
        "glow_hue": float(rng.random()),
        "seeing_fwhm_arcsec": float(np.clip(rng.normal(1.12, 0.12), 0.8, 1.7)),
        "noise_factor": float(np.exp(0.22 * rng.normal())),
        "sky_level": float(rng.uniform(-0.06, -0.015)),
        "n_stars": int(rng.poisson(min(1.3 * area, 8.0))),
        "n_neighbours": int(rng.poisson(min(2.3 * area * np.exp(0.7 * rng.normal()), 20.0))),
        "axis_ratio": 1.0,
        "bulge_axis_ratio": 1.0,
        "bar_axis_ratio": 1.0,
        "sersic_index": 1.0,
    }


def _shifts(rng: np.random.Generator) -> dict[str, float]:
    """Where the i and g images lie relative to r: mostly well aligned, some a good part of a pixel off."""
    sigma = min(0.015 + rng.exponential(0.036), 0.13)
    names = ("i_shift_x_arcsec", "i_shift_y_arcsec", "g_shift_x_arcsec", "g_shift_y_arcsec")
    return {name: float(shift) for name, shift in zip(names, rng.normal(0, sigma, 4), strict=True)}


def _flux(r50_arcsec: float, axis_ratio: float, surface_brightness: float) -> float:
    """Total flux of a galaxy whose half-light ellipse has this mean surface brightness, in mag per square arcsecond."""
    return float(2 * np.pi * r50_arcsec**2 * axis_ratio * 10 ** (0.4 * (22.5 - surface_brightness)))


def _smooth(rng: np.random.Generator, common: dict, axis_ratio: float, share_old: float) -> dict:
    """One Sersic body: an old red spheroid, or a smooth bluer disc-like one."""
    old = rng.random() < share_old
    n = float(np.clip(rng.normal(3.8, 0.9), 2.0, 6.0) if old else rng.uniform(0.8, 1.9))
    r90 = common["r90_arcsec"] * (1 + 0.35 * (1 - axis_ratio))
    r50 = 1.22 * r90 / (2.15 + 0.27 * n) * float(np.exp(0.1 * rng.normal()))
    brightness = rng.normal(19.9, 0.5) if old else rng.normal(20.05, 0.5)
    return {
        "axis_ratio": axis_ratio,
        "sersic_index": n,
        "bulge_fraction": 1.0,
        "bulge_r50_arcsec": r50,
        "bulge_axis_ratio": axis_ratio,
        "bulge_g_r": float(np.clip(rng.normal(0.88, 0.11) if old else rng.normal(0.48, 0.17), 0.0, 1.25)),
        "flux_r_nmgy": _flux(r50, axis_ratio, brightness),
    }


def _round(rng: np.random.Generator, common: dict) -> dict:
    return _smooth(rng, common, float(rng.uniform(0.80, 1.0)), share_old=0.85)


def _in_between(rng: np.random.Generator, common: dict) -> dict:
    return _smooth(rng, common, float(rng.uniform(0.42, 0.74)), share_old=0.6)


def _cigar(rng: np.random.Generator, common: dict) -> dict:
    body = _smooth(rng, common, float(rng.uniform(0.20, 0.34)), share_old=0.0)
    return body | {
        "sersic_index": float(rng.uniform(0.7, 2.4)),
        "flux_r_nmgy": 1.25 * body["flux_r_nmgy"],
        "bulge_g_r": float(rng.normal(0.62, 0.2)),
    }


def _edge_on(rng: np.random.Generator, common: dict) -> dict:
    scale = common["r90_arcsec"] * float(rng.uniform(0.36, 0.48))
    height = scale * float(rng.uniform(0.12, 0.30))
    bulge = float(np.clip(rng.beta(1.6, 6.0), 0.0, 0.6))
    brightness = rng.normal(19.85, 0.5)
    disc_g_r = float(np.clip(rng.normal(0.72, 0.17), 0.15, 1.1))
    return {
        "axis_ratio": height / scale,
        "sersic_index": float(rng.uniform(1.0, 3.5)),
        "bulge_fraction": bulge,
        "bulge_r50_arcsec": scale * float(rng.uniform(0.25, 0.6)),
        "bulge_axis_ratio": float(rng.uniform(0.55, 0.9)),
        "bulge_g_r": max(disc_g_r, float(rng.normal(0.88, 0.07))),
        "disc_scale_arcsec": scale,
        "disc_height_arcsec": height,
        "disc_g_r": disc_g_r,
        "thick_disc_fraction": float(rng.uniform(0.25, 0.75)),
        "thick_disc_axis_ratio": float(rng.uniform(0.14, 0.27)),
        "dust_depth": float(rng.uniform(0.4, 2.2)) if rng.random() < 0.6 else 0.0,
        "flux_r_nmgy": _flux(1.3 * scale, 0.35, brightness),
    }


def _spiral(rng: np.random.Generator, common: dict) -> dict:
    axis_ratio = float(rng.uniform(0.42, 1.0))
    r90 = common["r90_arcsec"] * (1 + 0.3 * (1 - axis_ratio))
    scale = r90 / float(rng.uniform(2.6, 3.5))
    disc_g_r = float(np.clip(rng.normal(0.52, 0.15), 0.05, 0.9))
    bulge = float(np.clip(rng.beta(1.4, 11.0), 0.005, 0.45))
    barred, ringed = rng.random() < 0.35, rng.random() < 0.15
    n_arms = int(rng.choice([1, 2, 3, 4, 5], p=[0.05, 0.63, 0.15, 0.10, 0.07]))
    return {
        "axis_ratio": axis_ratio,
        "sersic_index": float(rng.uniform(0.9, 3.0)),
        "bulge_fraction": bulge,
        "bulge_r50_arcsec": scale * float(rng.uniform(0.18, 0.5)),
        "bulge_axis_ratio": float(np.clip(axis_ratio + rng.uniform(0.1, 0.4), 0.5, 1.0)),
        "bulge_g_r": float(np.clip(max(disc_g_r + 0.1, rng.normal(0.82, 0.09)), 0.3, 1.1)),
        "disc_scale_arcsec": scale,
        "disc_g_r": disc_g_r,
        "dust_depth": float(rng.uniform(0.0, 0.5)),
        "n_arms": n_arms,
        "arm_strength": float(rng.uniform(0.25, 0.9)),
        "arm_sharpness": float(rng.uniform(0.7, 2.8)),
        "arm_phase_deg": float(rng.uniform(0, 360)),
        "arm_wobble": float(rng.uniform(0.0, 1.0)),
        "pitch_angle_deg": float(np.clip(rng.normal(20, 7), 8, 42)),
        "winding_sign": int(rng.choice([-1, 1])),
        "floccule_strength": float(rng.uniform(0.05, 0.5)),
        "lopsidedness": float(rng.exponential(0.12)),
        "bar_fraction": float(rng.uniform(0.06, 0.2)) if barred else 0.0,
        "bar_r50_arcsec": scale * float(rng.uniform(0.5, 0.95)),
        "bar_axis_ratio": float(rng.uniform(0.2, 0.4)),
        "bar_angle_deg": float(rng.uniform(0, 180)),
        "ring_fraction": float(rng.uniform(0.06, 0.2)) if ringed else 0.0,
        "ring_radius_arcsec": scale * float(rng.uniform(1.4, 2.4)),
        "n_clumps": int(rng.poisson(np.exp(rng.uniform(1.0, 3.6)))),
        "clump_fraction": float(rng.uniform(0.01, 0.08)),
        "flux_r_nmgy": _flux(1.68 * scale, axis_ratio, rng.normal(20.6, 0.45)),
    }


def _merger(rng: np.random.Generator, common: dict) -> dict:
    smooth = rng.random() < 0.45
    body = _smooth(rng, common, float(rng.uniform(0.5, 0.95)), 0.7) if smooth else _spiral(rng, common)
    shrunk = {name: 0.75 * value for name, value in body.items() if name.endswith("_arcsec")}
    return (
        body
        | shrunk
        | {
            "arm_wobble": 1.5 * body.get("arm_wobble", 0.0),
            "companion_fraction": float(rng.uniform(0.25, 0.9)),
            "companion_separation_arcsec": common["r90_arcsec"] * float(rng.uniform(0.5, 1.15)),
            "companion_angle_deg": float(rng.uniform(0, 360)),
            "tail_fraction": float(rng.uniform(0.06, 0.25)),
            "tail_length_arcsec": common["r90_arcsec"] * float(rng.uniform(1.1, 2.1)),
            "tail_curvature": float(rng.uniform(-2.2, 2.2)),
        }
    )


_MAIN_BODY = {
    "round_smooth": _round,
    "in_between_smooth": _in_between,
    "cigar_smooth": _cigar,
    "edge_on": _edge_on,
    "spiral": _spiral,
    "merger": _merger,
}
