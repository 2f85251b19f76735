"""Which stars and galaxies a survey like the SDSS finds brighter than r = 22: counts, sizes, shapes, colours, seeing.

These numbers fix how hard it is to tell the two apart, and they are frozen: gradient-boosted trees that know the
seeing, on all catalogue features of 20,000 objects (`galaxy_core.star_galaxy_baselines`), reach an AUC of 0.960 on the
test split and were to land between 0.93 and 0.97. Nothing here was tuned to a network. For that difficulty galaxies are
a little smaller, and their colours closer to those of stars, than a survey would find; the rest is as published.

References
----------
Counts: Yasuda et al. 2001, AJ 122, 1104 (galaxies: 0.4 to 0.5 dex a magnitude, flatter at the faint end); Chen et al.
2001, ApJ 553, 184 (stars at high latitude: near 0.1). Sizes: Shen et al. 2003, MNRAS 343, 978 (a log-normal of 0.3 to
0.5 in ln r50 at given magnitude). Stellar locus: Covey et al. 2007, AJ 134, 2398, table 3, rounded. Seeing: a median of
1.32 arcsec in r, Abazajian et al. 2009, ApJS 182, 543.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from galaxy_core.simulator.parameters import PARAMETER_STREAM, stream

BANDS = ("u", "g", "r", "i", "z")
FROZEN_VERSION = 1  # of the population: raise it, and measure everything again, if a number below ever changes


@dataclass(frozen=True)
class Population:
    """The frozen numbers. Magnitudes are total and in r; sizes are half-light radii along the major axis."""

    galaxy_share: float = 0.68
    r_brightest: float = 18.0
    r_faintest: float = 22.0
    star_slope: float = 0.12  # dex a magnitude
    galaxy_slope: float = 0.42
    r50_at_21_arcsec: float = 0.45
    r50_slope: float = -0.12  # dex a magnitude
    r50_scatter_dex: float = 0.25
    seeing_median_arcsec: float = 1.32  # of r, FWHM
    seeing_scatter: float = 0.14  # of its logarithm
    moffat_beta_low: float = 2.6
    moffat_beta_high: float = 3.6
    psf_ellipticity: float = 0.02  # standard deviation of either component
    psf_fwhm_error: float = 0.02  # relative, of the width that is known, in each band
    noise_scatter: float = 0.10  # of the logarithm of the noise, object to object


POPULATION = Population()
# g - i, then u - g, g - r, r - i, i - z along it
_LOCUS = np.array(
    [
        (0.25, 0.95, 0.19, 0.06, 0.01),
        (0.60, 1.15, 0.45, 0.15, 0.07),
        (1.00, 1.70, 0.74, 0.26, 0.13),
        (1.50, 2.30, 1.11, 0.39, 0.22),
        (2.00, 2.55, 1.36, 0.64, 0.37),
        (2.50, 2.60, 1.42, 1.08, 0.58),
        (3.00, 2.65, 1.45, 1.55, 0.83),
    ]
)


@dataclass(frozen=True)
class ObjectParameters:
    """Truth about one object. A star has no size; tuples are in the order of `BANDS`."""

    is_galaxy: bool
    r_mag: float
    fluxes_nmgy: tuple[float, ...]
    x_arcsec: float  # off the centre of the stamp
    y_arcsec: float
    bulge_fraction: float  # in r
    bulge_redder: float  # g - r of the bulge over that of the disc, and in proportion in the other colours
    disc_r50_arcsec: float
    bulge_r50_arcsec: float
    disc_axis_ratio: float
    bulge_axis_ratio: float
    bulge_index: float
    position_angle_deg: float
    seeing_fwhm_arcsec: tuple[float, ...]
    known_fwhm_arcsec: tuple[float, ...]
    moffat_beta: float
    psf_ellipticity: tuple[float, float]  # along x and along the diagonal
    noise_factor: float

    def to_dict(self) -> dict:
        """Every parameter, in the order declared."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


SEEING_IN_UGRIZ = (1.13, 1.07, 1.0, 0.97, 0.96)


def draw_object(seed: int, index: int, population: Population = POPULATION) -> ObjectParameters:
    """Parameters of object ``index`` of catalog ``seed``: a function of these alone."""
    rng = stream(seed, index, PARAMETER_STREAM)
    is_galaxy = bool(rng.random() < population.galaxy_share)
    slope = population.galaxy_slope if is_galaxy else population.star_slope
    r_mag = _magnitude(rng.random(), slope, population)
    colours = _galaxy_colours(rng, r_mag) if is_galaxy else _star_colours(rng, r_mag)
    magnitudes = r_mag + np.array([colours[0] + colours[1], colours[1], 0, -colours[2], -colours[2] - colours[3]])
    fwhm = population.seeing_median_arcsec * np.exp(population.seeing_scatter * rng.normal())
    fwhm = float(np.clip(fwhm, 0.9, 2.0)) * np.array(SEEING_IN_UGRIZ) * np.exp(0.02 * rng.normal(size=5))
    known = fwhm * np.exp(population.psf_fwhm_error * rng.normal(size=5))
    shape = _galaxy_shape(rng, r_mag, population) if is_galaxy else dict.fromkeys(_SHAPE_NAMES, 0.0)
    return ObjectParameters(
        is_galaxy=is_galaxy,
        r_mag=r_mag,
        fluxes_nmgy=tuple((10 ** (0.4 * (22.5 - magnitudes))).tolist()),
        x_arcsec=float(rng.uniform(-0.2, 0.2)),
        y_arcsec=float(rng.uniform(-0.2, 0.2)),
        **shape,
        position_angle_deg=float(rng.uniform(0, 180)),
        seeing_fwhm_arcsec=tuple(fwhm.tolist()),
        known_fwhm_arcsec=tuple(known.tolist()),
        moffat_beta=float(rng.uniform(population.moffat_beta_low, population.moffat_beta_high)),
        psf_ellipticity=tuple(rng.normal(0, population.psf_ellipticity, 2).tolist()),
        noise_factor=float(np.exp(population.noise_scatter * rng.normal())),
    )


def _magnitude(share: float, slope: float, population: Population) -> float:
    """Inverse of the cumulative counts, which are exponential in magnitude."""
    rate, span = slope * np.log(10), population.r_faintest - population.r_brightest
    return float(population.r_faintest + np.log(share + (1 - share) * np.exp(-rate * span)) / rate)


def _star_colours(rng: np.random.Generator, r_mag: float) -> np.ndarray:
    """u - g, g - r, r - i, i - z: turn-off stars of the halo, and red dwarfs that take over at the faint end."""
    dwarfs = np.clip(0.25 + 0.05 * (r_mag - 18), 0.2, 0.5)
    g_i = rng.normal(2.2, 0.45) if rng.random() < dwarfs else 0.35 + rng.gamma(2.0, 0.2)
    g_i = float(np.clip(g_i, _LOCUS[0, 0], _LOCUS[-1, 0]))
    colours = np.array([np.interp(g_i, _LOCUS[:, 0], _LOCUS[:, k]) for k in range(1, 5)])
    return colours + rng.normal(0, (0.08, 0.025, 0.025, 0.02))


def _galaxy_colours(rng: np.random.Generator, r_mag: float) -> np.ndarray:
    """u - g, g - r, r - i, i - z of the red sequence and of the blue cloud, redder as they are further off."""
    further = 0.25 * np.clip(r_mag - 18, 0, 3) / 3 + 0.12 * rng.normal()
    if rng.random() < 0.35:
        return (
            np.array([1.85, 1.10, 0.45, 0.28])
            + further * np.array([0.3, 1.0, 0.9, 0.3])
            + rng.normal(0, (0.25, 0.12, 0.09, 0.08))
        )
    return (
        np.array([1.15, 0.55, 0.24, 0.14])
        + further * np.array([0.2, 0.8, 0.6, 0.4])
        + rng.normal(0, (0.35, 0.22, 0.15, 0.12))
    )


_SHAPE_NAMES = (
    "bulge_fraction", "bulge_redder", "disc_r50_arcsec", "bulge_r50_arcsec", "disc_axis_ratio", "bulge_axis_ratio",
    "bulge_index",
)  # fmt: skip


def _galaxy_shape(rng: np.random.Generator, r_mag: float, population: Population) -> dict[str, float]:
    size = population.r50_at_21_arcsec * 10 ** (population.r50_slope * (r_mag - 21))
    r50 = float(np.clip(size * 10 ** (population.r50_scatter_dex * rng.normal()), 0.05, 6.0))
    early = rng.random() < 0.3
    bulge = float(rng.uniform(0.5, 1.0) if early else np.clip(rng.beta(1.2, 6.0), 0, 0.8))
    cosine = rng.random()
    thick = 0.5 if early else 0.2  # axis ratio of the disc seen edge-on
    return {
        "bulge_fraction": bulge,
        "bulge_redder": float(rng.uniform(0, 0.3)),
        "disc_r50_arcsec": r50 * 1.2,
        "bulge_r50_arcsec": r50 * (1.0 if early else float(rng.uniform(0.3, 0.6))),
        "disc_axis_ratio": float(np.sqrt(cosine**2 * (1 - thick**2) + thick**2)),
        "bulge_axis_ratio": float(rng.uniform(0.55, 1.0)),
        "bulge_index": float(np.clip(rng.normal(3.5, 0.7), 2.0, 5.0)),
    }
