"""What a catalogue says of a star or galaxy: the numbers SExtractor measures on a stamp, for the baselines.

Shapes are measured in one band, colours in fixed circles. No network, and nothing that a survey's catalogue lacks.
"""

from __future__ import annotations

import numpy as np

from galaxy_core.detection import KRON_FACTOR, KRON_RADIUS_MIN_PX
from galaxy_core.errors import ImageError

SHAPE_FEATURES = (
    "magnitude", "snr", "half_light_radius_px", "concentration", "ellipticity", "fwhm_px", "peak_over_flux",
    "core_magnitude", "psf_fwhm_px",
)  # fmt: skip
DETECTION_SIGMA = 1.5
COLOUR_RADIUS_FWHM = 1.0  # of the circle colours are measured in, in units of the seeing


def measure_features(image: np.ndarray, noise_sigma: np.ndarray, psf_fwhm_px: np.ndarray, band: int) -> np.ndarray:
    """Catalogue features of the object in the middle of a stamp: `SHAPE_FEATURES`, then colours of neighbouring bands.

    Parameters
    ----------
    image : ndarray of float32, shape (bands, size, size)
        Linear and sky-subtracted.
    noise_sigma, psf_fwhm_px : ndarray, shape (bands,)
        Noise of a pixel of sky in the units of ``image``, and the seeing as it is known.
    band : int
        Whose shape is measured.

    Returns
    -------
    ndarray of float32, shape (bands + 8,)

    Notes
    -----
    Magnitudes have no zero point: -2.5 lg of the flux over the noise of a pixel; asinh takes the place of the logarithm
    where a flux is lost in the noise (Lupton et al. 1999, AJ 118, 1406). Concentration: 5 lg(r80 / r20), Kent 1985.
    """
    import sep

    if image.ndim != 3 or len(noise_sigma) != len(image) or not (np.asarray(noise_sigma) > 0).all():
        raise ImageError(f"A stamp of shape {image.shape} needs a noise above zero for each of its bands.")
    light = np.ascontiguousarray(np.nan_to_num(image[band] / noise_sigma[band]), dtype=np.float32)
    x, y, major, minor, theta = _ellipse(light, psf_fwhm_px[band])
    kron, _ = sep.kron_radius(light, [x], [y], [major], [minor], [theta], 6.0)
    kron = float(np.clip(np.nan_to_num(kron[0]), 0.0, 6.0)) * KRON_FACTOR
    if kron * np.sqrt(major * minor) < KRON_RADIUS_MIN_PX:
        kron = KRON_RADIUS_MIN_PX / np.sqrt(major * minor)
    flux = float(sep.sum_ellipse(light, [x], [y], [major], [minor], [theta], kron, subpix=5)[0][0])
    flux = max(flux, 1.0)
    radii, _ = sep.flux_radius(light, [x], [y], [6.0 * major], [0.2, 0.5, 0.8], normflux=[flux], subpix=5)
    r20, r50, r80 = np.maximum(np.nan_to_num(radii[0]), 0.1)
    core = float(sep.sum_circle(light, [x], [y], 0.5 * psf_fwhm_px[band], subpix=5)[0][0])
    area = np.pi * kron**2 * major * minor
    shape = (
        -2.5 * np.log10(flux), flux / np.sqrt(area), r50, 5 * np.log10(r80 / r20), 1 - minor / major,
        2.3548 * np.sqrt((major**2 + minor**2) / 2), light[_pixel(y, light), _pixel(x, light)] / flux,
        _asinh_magnitude(core, psf_fwhm_px[band]), psf_fwhm_px[band],
    )  # fmt: skip
    return np.array([*shape, *_colours(image / noise_sigma[:, None, None], noise_sigma, psf_fwhm_px, x, y)], np.float32)


def _ellipse(light: np.ndarray, fwhm_px: float) -> tuple[float, float, float, float, float]:
    """Centre, axes (one standard deviation) and angle of the source nearest to the middle; else a point in it."""
    import sep

    middle = (light.shape[1] - 1) / 2, (light.shape[0] - 1) / 2
    found = sep.extract(light, DETECTION_SIGMA, err=1.0, minarea=3, deblend_cont=1.0)
    if len(found):
        best = found[np.argmin(np.hypot(found["x"] - middle[0], found["y"] - middle[1]))]
        if np.hypot(best["x"] - middle[0], best["y"] - middle[1]) < max(2 * fwhm_px, 4.0):
            axes = [max(float(np.nan_to_num(best[name])), 12**-0.5) for name in ("a", "b")]
            return float(best["x"]), float(best["y"]), *axes, float(np.clip(best["theta"], -np.pi / 2, np.pi / 2))
    return *middle, fwhm_px / 2.3548, fwhm_px / 2.3548, 0.0


def _pixel(at: float, light: np.ndarray) -> int:
    return int(np.clip(round(at), 0, light.shape[0] - 1))


def _asinh_magnitude(flux, radius_px: float):
    """-2.5 lg of a flux in units of a pixel's noise, linear where it is below the noise of its circle."""
    softening = np.sqrt(np.pi) * radius_px
    return -2.5 / np.log(10) * (np.arcsinh(flux / (2 * softening)) + np.log(softening))


def _colours(light: np.ndarray, noise_sigma: np.ndarray, fwhm_px: np.ndarray, x: float, y: float) -> np.ndarray:
    """Differences of magnitudes of neighbouring bands, (bands - 1,)."""
    import sep

    magnitudes = []
    for plane, sigma, width in zip(light, noise_sigma, fwhm_px, strict=True):
        radius = COLOUR_RADIUS_FWHM * float(width)
        plane = np.ascontiguousarray(np.nan_to_num(plane), dtype=np.float32)
        flux = float(sep.sum_circle(plane, [x], [y], radius, subpix=5)[0][0])
        magnitudes.append(_asinh_magnitude(flux, radius) - 2.5 * np.log10(sigma))
    return -np.diff(magnitudes)
