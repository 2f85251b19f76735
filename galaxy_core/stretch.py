"""From pixel values to what a screen shows; for display only, never for measuring."""

from __future__ import annotations

import numpy as np

from galaxy_core.noise import estimate_sky

METHODS = ("asinh", "linear", "zscale", "lupton")
Limits = tuple[float, float, float]
_WHITE_PERCENTILE = 99.8
_STEP_SAMPLES = 2**14
_SMALLEST = float(np.finfo(np.float32).tiny)
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
    _check_method(method)
    bands = _choose_bands(np.asarray(pixels, dtype=np.float32))
    references = bands if reference is None else _choose_bands(np.asarray(reference, dtype=np.float32))
    if method == "lupton" and len(bands) == 2:
        bands, references = _three_bands(bands), _three_bands(references)
    return _stretch_bands(bands, [_limits(band, method) for band in references], method, contrast)


def stretch_display(pixels: np.ndarray, method: str, contrast: float = 1.0) -> np.ndarray:
    """Stretch an image that a survey has stretched already, such as an 8-bit JPEG, once more.

    The curves are those of `stretch_image`, with one sky and one white for all bands: the survey has balanced them.

    Parameters
    ----------
    pixels : ndarray, shape (bands, height, width)
        In [0, 1], red first; of more than three bands the first three are shown.
    method, contrast : str, float

    Returns
    -------
    ndarray of float32, shape (3, height, width), in [0, 1]
    """
    _check_method(method)
    bands = np.asarray(pixels, dtype=np.float32)[:3]
    return _stretch_bands(bands, [_limits(bands, method)] * len(bands), method, contrast)


def brighten(display: np.ndarray, contrast: float) -> np.ndarray:
    """A display image with the value shown white divided by ``contrast``; float32 in [0, 1]."""
    return np.clip(np.asarray(display, dtype=np.float32) * np.float32(contrast), 0.0, 1.0)


def display_limits(pixels: np.ndarray, method: str) -> Limits:
    """Sky level, its sigma (0 for "zscale"), and the value shown white by `stretch_image`, in the image's units."""
    _check_method(method)
    return _limits(np.asarray(pixels, dtype=np.float32), method)


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
    signed = np.nan_to_num(np.asarray(residual, dtype=np.float32).mean(axis=0) / max(limit, _SMALLEST), nan=0.0)
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


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"unknown stretch {method!r}; choose one of {', '.join(METHODS)}")


def _limits(pixels: np.ndarray, method: str) -> Limits:
    """Sky level, its sigma, and the value shown white, all in the image's units; white is above sky.

    Sigma is at least one step of the values: where an 8-bit sky is all zeros, one count is no signal.
    """
    finite = pixels[np.isfinite(pixels)]
    if finite.size == 0:
        return 0.0, 1.0, 1.0
    if finite.min() == finite.max():
        return float(finite[0]), 0.0, float(finite[0]) + 1.0
    if method == "zscale":
        from astropy.visualization import ZScaleInterval

        low, high = (float(limit) for limit in ZScaleInterval().get_limits(finite))
        high = high if high > low else float(finite.max())  # all but a few pixels have one value
        return low, 0.0, high if high > low else low + 1.0
    sky = estimate_sky(finite)
    white = max(float(np.percentile(finite, _WHITE_PERCENTILE)), sky.level + _MIN_WHITE_SIGMA * sky.sigma)
    if white <= sky.level:
        white = float(finite.max())
    sigma = max(sky.sigma, _step(finite))
    return (sky.level, sigma, white) if white > sky.level else (sky.level, sigma, sky.level + 1.0)


def _step(values: np.ndarray) -> float:
    """Smallest difference between the values of an image: one count where they are quantised, next to 0 elsewhere."""
    some = np.unique(values[:: max(1, values.size // _STEP_SAMPLES)])
    return float(np.diff(some).min()) if some.size > 1 else 0.0


def _asinh(signal: np.ndarray, sigma: float, white: float) -> np.ndarray:
    """asinh curve: 0 at the sky, 1 at ``white`` above it, bending at 3 sigma of the sky."""
    bend = min(max(3 * sigma, 1e-3 * white), white)
    return np.arcsinh(signal / bend) / np.arcsinh(white / bend)


def _stretch_bands(bands: np.ndarray, limits: list[Limits], method: str, contrast: float) -> np.ndarray:
    """Three bands for the screen, given the limits of each."""
    if method == "lupton" and len(bands) == 3:
        return _lupton(bands, limits, contrast)
    shown = [_stretch_band(band, *limit, method, contrast) for band, limit in zip(bands, limits, strict=True)]
    return _three_bands(np.stack(shown))


def _stretch_band(
    band: np.ndarray, level: float, sigma: float, white: float, method: str, contrast: float
) -> np.ndarray:
    signal, white = band - np.float32(level), (white - level) / contrast
    shown = signal / white if method in ("linear", "zscale") else _asinh(signal, sigma, white)
    return np.clip(np.nan_to_num(shown, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0).astype(np.float32)


def _lupton(bands: np.ndarray, limits: list[Limits], contrast: float) -> np.ndarray:
    # bands of unlike zero points are brought to one white before they are added
    signal = np.stack([(band - level) / (white - level) for band, (level, _, white) in zip(bands, limits, strict=True)])
    signal = np.nan_to_num(signal, nan=0.0, posinf=1.0, neginf=0.0)
    sigma = float(np.sqrt(np.mean([(s / (white - level)) ** 2 for level, s, white in limits])) / np.sqrt(3))
    intensity = np.clip(signal.mean(axis=0), 1e-6, None)
    shown = np.clip(signal, 0, None) * (_asinh(intensity, sigma, 1.0 / contrast) / intensity)
    shown /= np.maximum(shown.max(axis=0), 1.0)  # too bright for the screen: keep the colour, lose the brightness
    return shown.astype(np.float32)
