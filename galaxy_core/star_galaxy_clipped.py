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
from scipy.stats import exponnorm, norm

HALF_PX, RIM_PX = 17, 22  # the fit looks so far from the middle, and the sky begins there
BETA = 3.0
FIRST_FWHM_PX, STEPS, BATCH = 5.0, 120, 128
REACH = 24.0  # squared misfit of a pixel in units of the noise from which on it is a neighbour's
NEAREST = 201  # objects of like brightness that a width is compared with
STAR_QUANTILE = 0.45  # of objects by width: among these lie the stars
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


def fit_clipped(stamps: np.ndarray, report: Callable[[int, int], None] | None = None) -> ClippedFit:
    """Fit a Moffat to the object in the middle of each stamp.

    Parameters
    ----------
    stamps : ndarray of float32, shape (n, size, size)
        One frame's counts or many's; the highest and lowest values of all are where they were cut.
    """
    stamps = np.asarray(stamps, np.float32)
    ceiling, floor = float(stamps.max(initial=0)) - 5, float(stamps.min(initial=0)) + 4
    parts = []
    for start in range(0, len(stamps), BATCH):
        parts.append(_fit(stamps[start : start + BATCH], ceiling, floor))
        if report:
            report(min(start + BATCH, len(stamps)), len(stamps))
    names = [item.name for item in fields(ClippedFit)]
    return ClippedFit(*(np.concatenate([part[name] for part in parts]).astype(np.float64) for name in names))


def _sky_and_noise(stamps: np.ndarray, ceiling: float, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Clipped median and scatter around it, of the pixels far from the middle that were not cut."""
    middle = (stamps.shape[1] - 1) / 2
    away = np.arange(stamps.shape[1]) - middle
    values = stamps[:, np.hypot(away[:, None], away) > RIM_PX]
    free = (values < ceiling) & (values > floor)
    # a stamp that is cut all over has no sky of its own, and is taken as it is
    values = np.where(free | ~free.any(axis=1, keepdims=True), values, np.nan)
    sky = np.nanmedian(values, axis=1)
    for _ in range(3):
        noise = 1.4826 * np.nanmedian(np.abs(values - sky[:, None]), axis=1)
        sky = np.nanmedian(np.where(np.abs(values - sky[:, None]) <= 2.5 * noise[:, None], values, np.nan), axis=1)
    return sky, np.maximum(noise, 1e-3)


def _fit(stamps: np.ndarray, ceiling: float, floor: float) -> dict[str, np.ndarray]:
    import torch

    sky, noise = _sky_and_noise(stamps, ceiling, floor)
    low = stamps.shape[1] // 2 - HALF_PX
    light = torch.from_numpy((stamps[:, low:-low, low:-low] - sky[:, None, None]) / noise[:, None, None])
    light = light.to(torch.float32)
    above = torch.from_numpy(stamps[:, low:-low, low:-low] >= ceiling)
    below = torch.from_numpy(stamps[:, low:-low, low:-low] <= floor)
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


def frame_excess(values: np.ndarray, log_flux: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Values over those of stars of the same brightness and frame, float64 (n,).

    Alternately the level of each frame, and the change with brightness that all frames share, both quantiles of what is
    left, four times.
    """
    frames, order = np.asarray(frames).astype(str), np.argsort(log_flux, kind="stable")
    level, trend = np.zeros(len(values)), np.zeros(len(values))
    members = [frames == frame for frame in np.unique(frames)]
    for _ in range(4):
        trend[order] = _running_quantile((values - level)[order])
        for inside in members:
            level[inside] = np.quantile((values - trend)[inside], STAR_QUANTILE)
    return values - level - trend


def _running_quantile(values: np.ndarray) -> np.ndarray:
    import pandas as pd

    least = min(30, max(len(values) // 2, 1))
    return pd.Series(values).rolling(NEAREST, center=True, min_periods=least).quantile(STAR_QUANTILE).bfill().ffill()


def unlabelled_probability(excess: np.ndarray, galaxy_share: float | None = None) -> np.ndarray:
    """Probability of a galaxy of the excess in ln width, float64 (n,), by a mixture fitted to it without labels.

    Stars scatter normally; galaxies have the same scatter and an exponential tail above, so that wider is always
    likelier a galaxy. ``galaxy_share`` is the proportion prior, as in the third system; fitted as well where absent.
    """
    excess = np.clip(excess, *np.quantile(excess, (0.005, 0.995)))

    def parts(given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        middle, scatter, tail = given[0], np.exp(given[1]), np.exp(given[2])
        galaxy = exponnorm.logpdf(excess, tail / scatter, middle, scatter)
        return norm.logpdf(excess, middle, scatter), np.nan_to_num(galaxy, nan=-700.0, neginf=-700.0)

    def odds(given: np.ndarray) -> float:
        return float(logit(galaxy_share) if galaxy_share is not None else np.clip(given[3], -4, 4))

    def cost(given: np.ndarray) -> float:
        star, galaxy = parts(given)
        return -np.logaddexp(star - np.logaddexp(0, odds(given)), galaxy - np.logaddexp(0, -odds(given))).sum()

    first = [float(np.median(excess)), np.log(0.15), np.log(0.4), -1.0][: 4 if galaxy_share is None else 3]
    found = minimize(cost, first, method="Nelder-Mead", options={"maxiter": 2000}).x
    star, galaxy = parts(found)
    return expit(galaxy - star + odds(found))


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
