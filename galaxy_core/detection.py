"""Find sources on a linear band with the algorithm of SExtractor, and pair the sources of two images.

The noise is the caller's: a denoised image is searched at a threshold set by the noise of its *input*, which is what
the user knows, so that what denoising takes away or invents shows as a difference in number.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial import cKDTree

from galaxy_core.errors import ImageError
from galaxy_core.linear_denoising import sky_map

KRON_FACTOR, KRON_RADIUS_MIN_PX = 2.5, 1.75  # as SExtractor's AUTO photometry
PIXEL_STACK_MAX = 10_000_000
SUB_OBJECTS_MAX = 16_384  # deblended parts of one island: a crowded field at a low threshold is one


@dataclass(frozen=True)
class Sources:
    """Sources of one band, as equally long arrays of float64, in the order `sep` finds them.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Barycentre, pixels; the first pixel's centre is at 0.
    flux : ndarray, shape (n,)
        In the Kron ellipse, the band's units; in a circle of 1.75 px where that is smaller.
    radius_px : ndarray, shape (n,)
        Of the circle that holds half of ``flux``.
    ellipticity : ndarray, shape (n,)
        One minus the axis ratio of the isophote's second moments.
    peak : ndarray, shape (n,)
        Brightest pixel over the sky.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    radius_px: np.ndarray
    ellipticity: np.ndarray
    peak: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray) -> Sources:
        """Sources of the given rows or boolean mask."""
        return Sources(*(getattr(self, item.name)[rows] for item in fields(self)))


def detect(
    band: np.ndarray,
    noise_sigma: float | np.ndarray,
    threshold: float = 5.0,
    min_area_px: int = 5,
    *,
    sky: float | np.ndarray | None = None,
    kernel: np.ndarray | None = None,
    photometry: bool = True,
) -> Sources:
    """Sources of a band: at least ``min_area_px`` connected pixels above ``threshold`` times the noise.

    Parameters
    ----------
    band : ndarray, shape (height, width)
        Linear light. NaN and infinities are masked, and so belong to no source.
    noise_sigma : float or ndarray of shape (height, width)
        Standard deviation of the noise of a pixel, in the band's units.
    threshold : float
        In units of the noise.
    min_area_px : int
    sky : float or ndarray, optional
        To subtract; estimated from the band where absent. Give the same for two versions of an image.
    kernel : ndarray, odd sides, optional
        Searched through this matched filter [2]_, in units of the filtered noise if that is white; then
        ``ellipticity`` is that of the filtered light. Unfiltered where absent.
    photometry : bool
        Whether to measure ``flux`` and ``radius_px``, which takes most of the time; NaN otherwise.

    Returns
    -------
    Sources
        None of them where the band has no usable pixel.

    Raises
    ------
    ImageError
        The band is not two-dimensional, or the noise is not positive.

    References
    ----------
    .. [1] E. Bertin and S. Arnouts, "SExtractor", A&AS 117, 393 (1996); K. Barbary, "SEP", JOSS 1, 58 (2016).
    .. [2] The filter of the highest signal to noise for sources of its profile, e.g. S. Zackay and E. O. Ofek, ApJ 836,
       187 (2017), equation 12.
    """
    band = np.asarray(band, dtype=np.float32)
    if band.ndim != 2 or band.size == 0:
        raise ImageError(f"Sources are looked for in one band of rows and columns, not in shape {band.shape}.")
    noise = np.broadcast_to(np.asarray(noise_sigma, dtype=np.float32), band.shape)
    unusable = ~np.isfinite(band) | ~np.isfinite(noise)
    if (noise[~unusable] <= 0).any():
        raise ImageError("The noise must be above zero at every pixel to look for sources; give one that is.")
    if unusable.all():
        return Sources(*np.zeros((len(fields(Sources)), 0)))
    sky = sky_map(band) if sky is None else np.asarray(sky, dtype=np.float32)
    light = np.ascontiguousarray(np.where(unusable, 0, band - sky), dtype=np.float32)
    noise = np.ascontiguousarray(np.where(unusable, 1, noise))
    if kernel is None:
        found = _extract(light, noise, unusable, threshold, min_area_px)
    else:
        found = _extract(_filtered(light, noise, unusable, kernel), 1.0, unusable, threshold, min_area_px)
    return _measure(light, unusable, found, photometry)


def _filtered(light: np.ndarray, noise: np.ndarray, unusable: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Signal to noise of the brightness of a source of profile ``kernel`` at every pixel, in noise that is white.

    Not left to `sep`, whose own matched filter misses bright sources.
    """
    from scipy.signal import fftconvolve

    weight = np.where(unusable, 0, 1 / noise.astype(np.float64) ** 2)
    kernel = np.asarray(kernel, dtype=np.float64)[::-1, ::-1]
    signal = fftconvolve(light * weight, kernel, mode="same")
    scatter = np.sqrt(np.maximum(fftconvolve(weight, kernel**2, mode="same"), 1e-12 * np.max(weight)))
    return np.ascontiguousarray(signal / scatter, dtype=np.float32)


def _extract(light, noise, unusable, threshold: float, min_area_px: int) -> np.ndarray:
    """Record array of `sep.extract`."""
    import sep

    # sep keeps these limits for the process; they are only ever raised, so calls side by side do not disturb each other
    wanted = min(max(light.size, 300_000), PIXEL_STACK_MAX)
    if sep.get_extract_pixstack() < wanted:
        sep.set_extract_pixstack(wanted)
    if sep.get_sub_object_limit() < SUB_OBJECTS_MAX:
        sep.set_sub_object_limit(SUB_OBJECTS_MAX)
    return sep.extract(light, threshold, err=noise, mask=unusable, minarea=min_area_px, filter_kernel=None)


def _measure(light: np.ndarray, unusable: np.ndarray, found: np.ndarray, photometry: bool) -> Sources:
    """Detections with their shapes and, in the manner of SExtractor's AUTO and FLUX_RADIUS, their photometry."""
    if len(found) == 0:
        return Sources(*np.zeros((len(fields(Sources)), 0)))
    x, y, theta = (found[name].astype(np.float64) for name in ("x", "y", "theta"))
    theta = np.clip(theta, -np.pi / 2, np.pi / 2)
    # one lit pixel has no moments: it is as wide as a pixel
    major, minor = (np.maximum(np.nan_to_num(found[name].astype(np.float64)), 12**-0.5) for name in ("a", "b"))
    flux = radius = np.full(len(x), np.nan)
    if photometry:
        flux, radius = _photometry(light, unusable, x, y, major, minor, theta)
    return Sources(x, y, flux, radius, 1 - minor / major, light[found["ypeak"], found["xpeak"]].astype(np.float64))


def _photometry(light, unusable, x, y, major, minor, theta) -> tuple[np.ndarray, np.ndarray]:
    """Flux in Kron ellipses, and the radius that holds half of it, float64 (n,)."""
    import sep

    ellipse = (x, y, major, minor, theta)
    kron, _ = sep.kron_radius(light, *ellipse, 6.0, mask=unusable)
    kron = np.where(np.isfinite(kron) & (kron > 0), np.minimum(kron, 6.0), 0.0)
    small = KRON_FACTOR * kron * np.sqrt(major * minor) < KRON_RADIUS_MIN_PX
    flux, _, _ = sep.sum_ellipse(light, *ellipse, np.where(small, 1.0, KRON_FACTOR * kron), mask=unusable, subpix=5)
    circle, _, _ = sep.sum_circle(light, x, y, KRON_RADIUS_MIN_PX, mask=unusable, subpix=5)
    flux = np.where(small, circle, flux)
    radius, _ = sep.flux_radius(light, x, y, 6.0 * major, 0.5, normflux=flux, subpix=5, mask=unusable)
    return flux, np.asarray(radius, dtype=np.float64)


def aperture_flux(band: np.ndarray, x: np.ndarray, y: np.ndarray, radius_px: float | np.ndarray) -> np.ndarray:
    """Light in circles, float64 (n,); NaN counts as none, so leave out circles that hold any."""
    import sep

    light = np.ascontiguousarray(np.nan_to_num(band, nan=0, posinf=0, neginf=0), dtype=np.float32)
    if len(x) == 0:
        return np.zeros(0)
    return np.asarray(sep.sum_circle(light, x, y, radius_px, subpix=0)[0], dtype=np.float64)


def match(first: Sources, second: Sources, radius_px: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of sources that are each other's nearest, at most ``radius_px`` apart.

    Returns
    -------
    rows_of_first, rows_of_second : ndarray of int64, shape (n_pairs,)
        In the order of ``first``.
    """
    if len(first) == 0 or len(second) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    one, two = (np.column_stack([sources.x, sources.y]) for sources in (first, second))
    distance, nearest = cKDTree(two).query(one)
    _, back = cKDTree(one).query(two)
    rows = np.arange(len(one))
    paired = (distance <= radius_px) & (back[nearest] == rows)
    return rows[paired].astype(np.int64), nearest[paired].astype(np.int64)
