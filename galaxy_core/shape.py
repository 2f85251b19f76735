"""Classical measures of a galaxy's shape, taken from the pixels of one clean stamp.

They need no label and no training. The contrastive recipe asks its embedding to predict them from any noisy, turned
view, so that what astronomers have measured for decades is easy to read off the map.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from galaxy_core.masks import luminance

DESCRIPTORS = (
    "axis_ratio",
    "axis_ratio_outline",
    "axis_ratio_core",
    "log_size_px",
    "concentration_80_20",
    "concentration_80_50",
    "gini",
    "asymmetry",
    "smoothness",
    "structure",
    "two_fold_inner",
    "two_fold_outer",
    "color_red_blue",
    "color_green_blue",
)


def describe_shape(image: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Shape and colour of the object nearest the centre, float32 ``(len(DESCRIPTORS),)``; NaN where there is none.

    Parameters
    ----------
    image : ndarray, float32 (3, height, width)
        Clean display image in [0, 1].
    foreground : ndarray of bool, (height, width)

    Returns
    -------
    ndarray
        In the order of `DESCRIPTORS`. ``axis_ratio`` (minor over major) from second moments weighted by light, by area
        and by squared light; ``log_size_px``, the natural logarithm of the light-weighted major-axis dispersion; ratios
        of the elliptical radii that hold 80, 50 and 20 % of the light [2]_; ``gini`` [1]_; ``asymmetry`` under half a
        turn and ``smoothness`` [2]_; ``structure``, the light that departs from the mean elliptical profile;
        ``two_fold``, the m = 2 Fourier amplitude in the galaxy's plane inside and outside the half-light radius; and
        logarithms of band ratios.

    References
    ----------
    .. [1] Lotz, Primack & Madau 2004, AJ 128, 163, eq. 6.
    .. [2] Conselice 2003, ApJS 147, 1, eqs. 2, 4 and 5, in spirit: the aperture is the foreground.
    """
    galaxy = _central_object(foreground)
    light = luminance(image).astype(np.float64)
    if galaxy is None:
        return np.full(len(DESCRIPTORS), np.nan, dtype=np.float32)
    sky = float(np.median(light[~galaxy])) if not galaxy.all() else 0.0
    light = light - sky
    weight = np.clip(light, 0, None) * galaxy
    if weight.sum() <= 0:
        return np.full(len(DESCRIPTORS), np.nan, dtype=np.float32)
    x0, y0, axis_ratio, size, angle = _moments(weight)
    rows, columns = np.nonzero(galaxy)
    flux = weight[galaxy]
    along = (columns - x0) * np.cos(angle) + (rows - y0) * np.sin(angle)
    across = (rows - y0) * np.cos(angle) - (columns - x0) * np.sin(angle)
    across = across / max(axis_ratio, 0.1)
    radius = np.hypot(along, across)
    r20, r50, r80 = (_light_radius(radius, flux, share, axis_ratio) for share in (0.2, 0.5, 0.8))
    values = (
        axis_ratio,
        _moments(galaxy.astype(np.float64))[2],
        _moments(weight**2)[2],
        np.log(size),
        r80 / r20,
        r80 / r50,
        _gini(flux),
        _asymmetry(light, galaxy, x0, y0),
        np.abs(light - ndimage.gaussian_filter(light, max(1.0, 0.25 * size)))[galaxy].sum() / flux.sum(),
        _departure_from_profile(radius / r80, flux),
        _two_fold(along, across, flux, radius < r50),
        _two_fold(along, across, flux, radius >= r50),
        *(np.log((image[band][galaxy].sum() + 1) / (image[2][galaxy].sum() + 1)) for band in (0, 1)),
    )
    return np.array(values, dtype=np.float32)


def _central_object(foreground: np.ndarray) -> np.ndarray | None:
    labels, count = ndimage.label(foreground)
    if count == 0:
        return None
    height, width = foreground.shape
    rows, columns = np.nonzero(labels)
    nearest = np.argmin((rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2)
    return labels == labels[rows[nearest], columns[nearest]]


def _moments(weight: np.ndarray) -> tuple[float, float, float, float, float]:
    """Centre x and y, axis ratio, major-axis dispersion (px) and position angle (rad) of a weight map."""
    total = weight.sum()
    along_x, along_y = weight.sum(axis=0), weight.sum(axis=1)
    x, y = np.arange(weight.shape[1]), np.arange(weight.shape[0])
    x0, y0 = (along_x @ x) / total, (along_y @ y) / total
    xx, yy = (along_x @ (x - x0) ** 2) / total, (along_y @ (y - y0) ** 2) / total
    xy = ((y - y0) @ weight @ (x - x0)) / total
    # a pixel is not a point: its own extent (variance 1/12) keeps a one-pixel object finite and round
    mean, half = (xx + yy) / 2 + 1 / 12, np.hypot((xx - yy) / 2, xy)
    return (
        x0,
        y0,
        float(np.sqrt((mean - half) / (mean + half))),
        float(np.sqrt(mean + half)),
        np.arctan2(2 * xy, xx - yy) / 2,
    )


def _light_radius(radius: np.ndarray, flux: np.ndarray, share: float, axis_ratio: float) -> float:
    """Semi-major axis, px, of the ellipse that is as large as the innermost pixels that hold a share of the light.

    Of its area, as a pixel's centre says nothing of a core within it: light is even within a pixel.
    """
    order = np.argsort(radius)
    growth = np.concatenate([[0.0], np.cumsum(flux[order]) / flux.sum()])
    return float(np.sqrt(np.interp(share, growth, np.arange(len(growth))) / (np.pi * axis_ratio)))


def _gini(flux: np.ndarray) -> float:
    n = len(flux)
    if n < 2:
        return 1.0  # all the light in one pixel
    rank = 2 * np.arange(1, n + 1) - n - 1
    return float(rank @ np.sort(flux) / (flux.mean() * n * (n - 1)))


def _asymmetry(light: np.ndarray, galaxy: np.ndarray, x0: float, y0: float) -> float:
    height, width = light.shape
    shift = ((height - 1) / 2 - y0, (width - 1) / 2 - x0)
    centred = ndimage.shift(light, shift, order=1)
    inside = ndimage.shift(galaxy.astype(np.float32), shift, order=0) > 0
    difference = np.abs(centred - centred[::-1, ::-1])[inside].sum()
    return float(difference / max(np.abs(centred[inside]).sum(), 1e-9))


def _departure_from_profile(radius: np.ndarray, flux: np.ndarray) -> float:
    ring = np.minimum((8 * radius).astype(int), 24)
    profile = np.bincount(ring, flux, 25) / np.maximum(np.bincount(ring, minlength=25), 1)
    return float(np.abs(flux - profile[ring]).sum() / flux.sum())


def _two_fold(along: np.ndarray, across: np.ndarray, flux: np.ndarray, where: np.ndarray) -> float:
    if flux[where].sum() <= 0:
        return 0.0
    phase = np.exp(2j * np.arctan2(across[where], along[where]))
    return float(np.abs((flux[where] * phase).sum()) / flux[where].sum())


def standardised_shapes(shapes: np.ndarray, train_rows: np.ndarray) -> np.ndarray:
    """Shapes in units of the training galaxies' scatter around their mean, float32; unknown ones count as the mean.

    Outliers are pulled in to 3 sigma, so that a few odd stamps do not rule the loss.
    """
    known = shapes[train_rows]
    mean, scatter = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
    standard = np.clip((shapes - mean) / np.maximum(scatter, 1e-6), -3, 3)
    return np.nan_to_num(standard, nan=0.0).astype(np.float32)
