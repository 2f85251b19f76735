"""From pixel values to what a screen shows; for display only, never for measuring."""

from __future__ import annotations

import numpy as np

from galaxy_core.noise import estimate_sky

METHODS = ("asinh", "linear", "zscale", "lupton")
_WHITE_PERCENTILE = 99.8
_MIN_WHITE_SIGMA = 15.0  # an empty frame must not turn its noise into galaxies


def to_display(pixels: np.ndarray, linear: bool) -> np.ndarray:
    """What thumbnails show and models see: three bands in [0, 1].

    Display images pass through: grey is repeated, of more than three bands the first three are taken. Linear ones are
    sky-subtracted and stretched by `stretch_image`, Lupton for three bands or more and asinh for fewer.

    Parameters
    ----------
    pixels : ndarray, shape (bands, height, width)
    linear : bool

    Returns
    -------
    ndarray of float32, shape (3, height, width)
    """
    if linear:
        return stretch_image(pixels, "lupton" if pixels.shape[0] >= 3 else "asinh")
    shown = _three_bands(np.nan_to_num(np.asarray(pixels, dtype=np.float32), nan=0.0))
    return np.clip(shown, 0.0, 1.0)


def stretch_image(
    pixels: np.ndarray, method: str, contrast: float = 1.0, reference: np.ndarray | None = None
) -> np.ndarray:
    """Stretch linear pixels for a screen.

    Parameters
    ----------
    pixels : ndarray, shape (bands, height, width)
        Any units. NaN is shown black. Two bands are shown as blue and red with their mean between; of more than three
        the middle three, bands being in order of wavelength as surveys store them, reddest shown red.
    method : {"asinh", "linear", "zscale", "lupton"}
        "asinh": sky at 0, linear up to a few sigma of the sky, logarithmic above, each band by itself. "lupton": the
        same curve on the mean of the bands, so colours survive [1]_. "linear": sky to the 99.8th percentile. "zscale":
        the limits of IRAF's display.
    contrast : float
        Above 1 brightens: the value shown white is divided by it.
    reference : ndarray, shape of ``pixels``, optional
        Image whose sky and brightness set the limits, so that two images are shown alike; by default
        ``pixels``.

    Returns
    -------
    ndarray of float32, shape (3, height, width), in [0, 1]

    References
    ----------
    .. [1] R. Lupton et al., "Preparing Red-Green-Blue Images from CCD Data", PASP 116, 133 (2004).
    """
    if method not in METHODS:
        raise ValueError(f"unknown stretch {method!r}; choose one of {', '.join(METHODS)}")
    pixels = np.asarray(pixels, dtype=np.float32)
    bands = _choose_bands(pixels)
    references = bands if reference is None else _choose_bands(np.asarray(reference, dtype=np.float32))
    if method == "lupton" and bands.shape[0] > 1:
        return _lupton(bands, references, contrast)
    curve = "asinh" if method == "lupton" else method
    return _three_bands(
        np.stack([_stretch_band(*pair, curve, contrast) for pair in zip(bands, references, strict=True)])
    )


def residual_to_display(residual: np.ndarray, limit: float) -> np.ndarray:
    """Signed values as blue (below zero), black (zero) and orange (above), the mean over bands.

    Parameters
    ----------
    residual : ndarray, shape (bands, height, width)
    limit : float
        Value shown in full colour, and its negative; NaN is shown black.

    Returns
    -------
    ndarray of float32, shape (3, height, width), in [0, 1]
    """
    signed = np.nan_to_num(np.asarray(residual, dtype=np.float32).mean(axis=0) / max(limit, 1e-30), nan=0.0)
    above, below = np.clip(signed, 0, 1), np.clip(-signed, 0, 1)
    orange, blue = np.float32([1.0, 0.72, 0.3]), np.float32([0.35, 0.7, 1.0])
    return orange[:, None, None] * above + blue[:, None, None] * below


def _choose_bands(pixels: np.ndarray) -> np.ndarray:
    n_bands = pixels.shape[0]
    if n_bands < 3:
        return pixels[::-1]  # red first on the screen
    middle = n_bands // 2
    return pixels[[middle + 1, middle, middle - 1]]


def _three_bands(bands: np.ndarray) -> np.ndarray:
    if bands.shape[0] == 1:
        return np.repeat(bands, 3, axis=0)
    if bands.shape[0] == 2:
        return np.stack([bands[0], bands.mean(axis=0), bands[1]])
    return bands[:3]


def _limits(band: np.ndarray) -> tuple[float, float, float]:
    """Sky level, its sigma, and the value shown white, all in the band's units; white is above sky."""
    finite = band[np.isfinite(band)]
    if finite.size == 0:
        return 0.0, 1.0, 1.0
    sky = estimate_sky(finite)
    white = max(float(np.percentile(finite, _WHITE_PERCENTILE)), sky.level + _MIN_WHITE_SIGMA * sky.sigma)
    if white <= sky.level:
        white = float(finite.max())
    return (sky.level, sky.sigma, white) if white > sky.level else (sky.level, sky.sigma, sky.level + 1.0)


def _asinh(signal: np.ndarray, sigma: float, white: float) -> np.ndarray:
    """asinh curve: 0 at the sky, 1 at ``white`` above it, bending at 3 sigma of the sky."""
    bend = min(max(3 * sigma, 1e-3 * white), white)
    return np.arcsinh(signal / bend) / np.arcsinh(white / bend)


def _stretch_band(band: np.ndarray, reference: np.ndarray, method: str, contrast: float) -> np.ndarray:
    if method == "zscale":
        from astropy.visualization import ZScaleInterval

        known = reference[np.isfinite(reference)]
        low, high = ZScaleInterval().get_limits(known) if known.size else (0.0, 1.0)
        shown = (band - low) / max((high - low) / contrast, 1e-30)
    else:
        level, sigma, white = _limits(reference)
        signal, white = band - np.float32(level), (white - level) / contrast
        shown = signal / white if method == "linear" else _asinh(signal, sigma, white)
    return np.clip(np.nan_to_num(shown, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0).astype(np.float32)


def _lupton(bands: np.ndarray, references: np.ndarray, contrast: float) -> np.ndarray:
    bands, references = _three_bands(bands), _three_bands(references)
    limits = [_limits(reference) for reference in references]
    # bands of unlike zero points are brought to one white before they are added
    signal = np.stack([(band - level) / (white - level) for band, (level, _, white) in zip(bands, limits, strict=True)])
    signal = np.nan_to_num(signal, nan=0.0, posinf=1.0, neginf=0.0)
    sigma = float(np.sqrt(np.mean([(s / (white - level)) ** 2 for level, s, white in limits])) / np.sqrt(3))
    intensity = np.clip(signal.mean(axis=0), 1e-6, None)
    shown = np.clip(signal, 0, None) * (_asinh(intensity, sigma, 1.0 / contrast) / intensity)
    shown /= np.maximum(shown.max(axis=0), 1.0)  # too bright for the screen: keep the colour, lose the brightness
    return shown.astype(np.float32)
