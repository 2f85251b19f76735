"""Stars and galaxies in pictures whose bright pixels were cut off: a profile fitted to what is left.

Pictures made for the eye hold light between a floor and a ceiling only. A pixel at the ceiling says that the object is
at least as bright there, which a fit can use: a Moffat (beta 3) of free place, flux, width and direction is fitted by
least squares in which a cut pixel counts only where the model lies on the wrong side of its limit. What width a star
then gets depends on its brightness, as more of it is cut, and on the seeing of its frame; both are taken off: what is
left is compared with the other objects of the frame, most of which are stars. No label is looked at for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import exponnorm
from scipy.stats import t as student

HALF_PX, RIM_PX = 17, 22  # the fit looks so far from the middle, and the sky begins there
BETA = 3.0
FIRST_FWHM_PX, STEPS, BATCH = 5.0, 120, 128
REACH = 24.0  # squared misfit of a pixel in units of the noise from which on it is a neighbour's
STAR_QUANTILE = 0.45  # of objects by width: among these lie the stars
LEAST_STAMPS = 12  # of a frame that is compared with itself
MOST_TERMS, WEIGHINGS, ROUNDS = 4, 30, 6
LEAST_FREEDOM = 2.0
# mean and scatter of ln scatter of stars, ln tail of galaxies, ln degrees of freedom over 2, log odds of a galaxy
PRIORS = ((np.log(0.07), 0.5), (np.log(0.25), 0.5), (0.5, 1.0), (-1.2, 1.0))
AREAS_SIGMA = (0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
RINGS_PX = (0.0, 1.5, 2.5, 3.5, 4.5, 6.0, 8.0, 10.0, 13.0)


@dataclass(frozen=True)
class ClippedFit:
    """Profiles fitted to n stamps, float64 (n,): ln flux, ln FWHM in pixels, place, stretch, misfit, sky and noise."""

    log_flux: np.ndarray
    log_width: np.ndarray
    x: np.ndarray
    y: np.ndarray
    stretch_x: np.ndarray
    stretch_d: np.ndarray
    misfit: np.ndarray
    sky: np.ndarray
    noise: np.ndarray


def fit_clipped(
    stamps: np.ndarray,
    report: Callable[[int, int], None] | None = None,
    ceiling: np.ndarray | None = None,
    floor: np.ndarray | None = None,
) -> ClippedFit:
    """Fit a Moffat to the object in the middle of each stamp.

    Parameters
    ----------
    stamps : ndarray of float32, shape (n, size, size)
        One frame's counts or many's.
    ceiling, floor : ndarray of float32, shape (n,), optional
        Values of each stamp from which up, and from which down, a pixel counts as cut off. By default those of lossy
        pictures: near the highest and the lowest value of all.
    """
    stamps = np.asarray(stamps, np.float32)
    if ceiling is None:
        ceiling = np.full(len(stamps), stamps.max(initial=0) - 5)
    if floor is None:
        floor = np.full(len(stamps), stamps.min(initial=0) + 4)
    parts = []
    for start in range(0, len(stamps), BATCH):
        rows = slice(start, start + BATCH)
        above, below = stamps[rows] >= ceiling[rows, None, None], stamps[rows] <= floor[rows, None, None]
        parts.append(_fit(stamps[rows], above, below))
        if report:
            report(min(start + BATCH, len(stamps)), len(stamps))
    names = [item.name for item in fields(ClippedFit)]
    return ClippedFit(*(np.concatenate([part[name] for part in parts]).astype(np.float64) for name in names))


def _sky_and_noise(stamps: np.ndarray, cut: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clipped median and scatter around it, of the pixels far from the middle that were not cut."""
    middle = (stamps.shape[1] - 1) / 2
    away = np.arange(stamps.shape[1]) - middle
    rim = np.hypot(away[:, None], away) > RIM_PX
    values, free = stamps[:, rim], ~cut[:, rim]
    # a stamp that is cut all over has no sky of its own, and is taken as it is
    values = np.where(free | ~free.any(axis=1, keepdims=True), values, np.nan)
    sky = np.nanmedian(values, axis=1)
    for _ in range(3):
        noise = 1.4826 * np.nanmedian(np.abs(values - sky[:, None]), axis=1)
        sky = np.nanmedian(np.where(np.abs(values - sky[:, None]) <= 2.5 * noise[:, None], values, np.nan), axis=1)
    return sky, np.maximum(noise, 1e-3)


def _fit(stamps: np.ndarray, above: np.ndarray, below: np.ndarray) -> dict[str, np.ndarray]:
    import torch

    sky, noise = _sky_and_noise(stamps, above | below)
    low = stamps.shape[1] // 2 - HALF_PX
    light = torch.from_numpy((stamps[:, low:-low, low:-low] - sky[:, None, None]) / noise[:, None, None])
    light = light.to(torch.float32)
    above, below = (torch.from_numpy(cut[:, low:-low, low:-low]) for cut in (above, below))
    grid = torch.arange(light.shape[1], dtype=torch.float32) - (light.shape[1] - 1) / 2
    smooth = torch.nn.functional.avg_pool2d(light[:, None], 5, 1, 2)[:, 0]
    middle = slice(HALF_PX - 7, HALF_PX + 7)
    brightest = smooth[:, middle, middle].flatten(1).argmax(1)
    place = 0.7 * (torch.stack([brightest % 14, brightest // 14], 1).float() - 6.5)
    given = torch.cat([place, torch.full((len(light), 1), 5.5), torch.full((len(light), 1), np.log(FIRST_FWHM_PX)),
                       torch.zeros(len(light), 2)], 1).requires_grad_(True)  # fmt: skip
    optimiser = torch.optim.Adam([given], lr=0.08)
    for step in range(STEPS):
        if step == int(0.7 * STEPS):
            optimiser.param_groups[0]["lr"] = 0.02
        misfit = _misfit(given, light, above, below, grid)
        penalty = 20 * given[:, 4:].square().sum() + 0.02 * given[:, :2].square().sum()
        optimiser.zero_grad()
        (misfit.sum() + penalty).backward()
        optimiser.step()
    x, y, flux, width, stretch_x, stretch_d = given.detach().numpy().T
    made = {"log_flux": flux, "log_width": width, "x": x, "y": y, "stretch_x": stretch_x, "stretch_d": stretch_d}
    return made | {"misfit": misfit.detach().numpy(), "sky": sky, "noise": noise}


def _misfit(given, light, above, below, grid):
    """Half the sum of squares of what the model leaves, in units of the noise, of each stamp."""
    import torch

    x, y, flux, width, stretch_x, stretch_d = (part[:, None, None] for part in given.unbind(1))
    dx, dy = grid[None, None, :] - x, grid[None, :, None] - y
    squared = (1 + stretch_x) * dx * dx + (1 - stretch_x) * dy * dy + 2 * stretch_d * dx * dy
    core = torch.exp(2 * width) / (4 * (2 ** (1 / BETA) - 1))
    left = light - torch.exp(flux - 2 * width) / (1 + squared / core).pow(BETA)
    # a pixel at the ceiling is at least as bright, one at the floor at most
    left = torch.where(above, left.clamp(min=0), torch.where(below, left.clamp(max=0), left))
    squares = 0.5 * left.square()
    return (REACH / 2 * torch.tanh(squares / (REACH / 2))).sum((1, 2))


def frame_excess(
    values: np.ndarray, log_flux: np.ndarray, frames: np.ndarray, most_terms: int = MOST_TERMS
) -> np.ndarray:
    """Values over those of stars of the same brightness and frame, float64 (n,).

    Alternately the level of each frame and the change with brightness that all frames share, a polynomial of at most
    ``most_terms`` powers; both are quantiles of what is left. A frame of fewer than `LEAST_STAMPS` has the level of all
    frames together.
    """
    names, members = np.unique(np.asarray(frames).astype(str), return_inverse=True)
    level, left = np.zeros(len(names)), np.asarray(values, np.float64)
    own = np.flatnonzero(np.bincount(members) >= LEAST_STAMPS)
    for _ in range(ROUNDS):
        trend = _quantile_trend(values - level[members], log_flux, most_terms)
        left = values - trend
        for frame in own:
            level[frame] = np.quantile(left[members == frame], STAR_QUANTILE)
    return left - level[members]


def _quantile_trend(values: np.ndarray, log_flux: np.ndarray, most_terms: int) -> np.ndarray:
    """The polynomial in brightness with `STAR_QUANTILE` of the values below it, float64 (n,).

    Least squares with weights that make them absolute deviations, as Schlossmacher 1973, JASA 68, 857. Few objects bear
    no more than a line.
    """
    scatter = float(np.std(log_flux)) or 1.0
    place = np.clip((log_flux - np.median(log_flux)) / scatter, -3, 3)
    terms = np.vander(place, 1 + int(np.clip(len(values) // 10, 1, most_terms)))
    left, weights = values, np.ones(len(values))
    for _ in range(WEIGHINGS):
        fitted = terms @ np.linalg.lstsq(terms * weights[:, None], values * weights, rcond=None)[0]
        left = values - fitted
        softened = np.maximum(np.abs(left), 0.1 * np.median(np.abs(left)) + 1e-9)
        weights = np.sqrt(np.where(left > 0, STAR_QUANTILE, 1 - STAR_QUANTILE) / softened)
    return fitted


def unlabelled_probability(excess: np.ndarray, galaxy_share: float | None = None) -> np.ndarray:
    """Probability of a galaxy of the excess in ln width, float64 (n,), by a mixture fitted to it without labels.

    Stars follow Student's t, as some fits go astray; galaxies have the scatter of its core and an exponential tail
    above. Wider is never less likely a galaxy. ``galaxy_share`` is the proportion prior, as in the third system; fitted
    as well where absent. What is fitted has wide priors of its own (`PRIORS`), which matter where objects are few.
    """
    excess = np.clip(excess, *np.quantile(excess, (0.005, 0.995)))

    def parts(given: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        scatter, tail, freedom = np.exp(np.clip(given[1:4], -7, 3))
        galaxy = exponnorm.logpdf(excess, tail / scatter, given[0], scatter)
        odds = logit(galaxy_share) if galaxy_share is not None else np.clip(given[4], -4, 4)
        star = student.logpdf(excess, LEAST_FREEDOM + freedom, given[0], scatter)
        return star, np.nan_to_num(galaxy, nan=-700.0, neginf=-700.0), float(odds)

    def cost(given: np.ndarray) -> float:
        star, galaxy, odds = parts(given)
        prior = sum(((value - at) / wide) ** 2 / 2 for value, (at, wide) in zip(given[1:], PRIORS, strict=False))
        return prior - np.logaddexp(star - np.logaddexp(0, odds), galaxy - np.logaddexp(0, -odds)).sum()

    first = [float(np.median(excess)), *(at for at, _ in PRIORS)][: 5 if galaxy_share is None else 4]
    star, galaxy, odds = parts(minimize(cost, first, method="Nelder-Mead", options={"maxiter": 4000}).x)
    order, made = np.argsort(excess, kind="stable"), np.empty(len(excess))
    made[order] = np.maximum.accumulate(expit(galaxy - star + odds)[order])
    return made


def clipped_features(stamps: np.ndarray, fit: ClippedFit, frames: np.ndarray) -> np.ndarray:
    """What trees are shown, float64 (n, n_features): the fit, areas of isophotes, a profile, and their frame excess."""
    light = (np.asarray(stamps, np.float32) - fit.sky[:, None, None].astype(np.float32)) / fit.noise[:, None, None]
    size = light.shape[1]
    grid = np.arange(size) - (size - 1) / 2
    plain = {"stretch": np.hypot(fit.stretch_x, fit.stretch_d), "misfit": fit.misfit, "width": fit.log_width}
    rows = {**{f"area_{s}": [] for s in AREAS_SIGMA}, **{f"ring_{r}": [] for r in RINGS_PX[:-1]}}
    for stamp, x, y in zip(light, np.clip(fit.x, -8, 8), np.clip(fit.y, -8, 8), strict=True):
        away, smooth = np.hypot(grid[None, :] - x, grid[:, None] - y), ndimage.gaussian_filter(stamp, 1.2)
        for sigma in AREAS_SIGMA:
            rows[f"area_{sigma}"].append(np.log1p(((smooth > sigma) & (away < 16)).sum()))
        for first, last in pairwise(RINGS_PX):
            rows[f"ring_{first}"].append(np.median(stamp[(away >= first) & (away < last)]))
    measured = plain | {name: np.array(values) for name, values in rows.items()}
    compared = [frame_excess(values, fit.log_flux, frames) for values in measured.values()]
    return np.column_stack([fit.log_flux, *measured.values(), *compared])
