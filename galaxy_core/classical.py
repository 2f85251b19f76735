"""Classical denoisers, to stand beside the learned one: each is told the noise and nothing else.

All work in units of the noise, so they treat linear frames and pictures alike. Non-local means and total variation see
all bands together, wavelets and BM3D one at a time. Strengths were chosen on galaxies of the training split at the
published noise, for the highest structural similarity inside the galaxies, and scale with the noise from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from galaxy_core.errors import ImageError

NL_PATCH_PX, NL_REACH_PX = 5, 6  # compared patches of 5 x 5 pixels, up to 6 pixels away
NL_STRENGTH = 1.0  # of the noise sigma
TV_STRENGTH = 1.6  # weight of total variation against squared error, in noise sigma
WAVELET_LEVELS_MAX = 4

Noise = float | Sequence[float]
Denoise = Callable[[np.ndarray, Noise], np.ndarray]


def denoise_wavelet(image: np.ndarray, noise_sigma: Noise) -> np.ndarray:
    """Soft thresholding of Haar wavelets, each subband at its own BayesShrink threshold [1]_.

    Parameters
    ----------
    image : ndarray of float32, shape (bands, height, width)
        NaN and infinities stay as they are and count as the band's median.
    noise_sigma : float or sequence of float
        Standard deviation of the noise, in the image's units: one for all bands, or one each. Bands without noise stay
        as they are.

    Returns
    -------
    ndarray of float32, same shape

    References
    ----------
    .. [1] S. G. Chang, B. Yu and M. Vetterli, "Adaptive Wavelet Thresholding for Image Denoising and Compression",
       IEEE Trans. Image Processing 9, 1532 (2000), equations 14 and 17.
    """
    return _in_sigmas(image, noise_sigma, lambda bands: np.stack([_shrink_wavelets(band) for band in bands]))


def denoise_non_local(image: np.ndarray, noise_sigma: Noise) -> np.ndarray:
    """Non-local means: pixels averaged over patches that look alike [1]_. Arguments as of `denoise_wavelet`.

    References
    ----------
    .. [1] A. Buades, B. Coll and J.-M. Morel, "A non-local algorithm for image denoising", CVPR 2005.
    """

    def denoise(bands: np.ndarray) -> np.ndarray:
        options = {"patch_size": NL_PATCH_PX, "patch_distance": NL_REACH_PX, "h": NL_STRENGTH, "sigma": 1.0}
        if len(bands) == 1:  # of a single channel scikit-image would lose the axis
            return denoise_nl_means(bands[0], **options)[None]
        return denoise_nl_means(bands, channel_axis=0, **options)

    return _in_sigmas(image, noise_sigma, denoise)


def denoise_total_variation(image: np.ndarray, noise_sigma: Noise) -> np.ndarray:
    """Total variation, minimised by Chambolle's projections [1]_. Arguments as of `denoise_wavelet`.

    References
    ----------
    .. [1] A. Chambolle, "An algorithm for total variation minimization and applications", JMIV 20, 89 (2004).
    """
    return _in_sigmas(image, noise_sigma, lambda bands: denoise_tv_chambolle(bands, weight=TV_STRENGTH, channel_axis=0))


def denoise_bm3d(image: np.ndarray, noise_sigma: Noise) -> np.ndarray:
    """Block matching and 3-D filtering [1]_, where the package `bm3d` is installed. Arguments as of `denoise_wavelet`.

    References
    ----------
    .. [1] K. Dabov et al., "Image denoising by sparse 3-D transform-domain collaborative filtering", IEEE Trans. Image
       Processing 16, 2080 (2007).
    """
    from bm3d import bm3d

    def denoise(bands: np.ndarray) -> np.ndarray:
        # its transforms expect pictures of a range near one
        return np.stack([np.asarray(bm3d(band * 0.05, 0.05)).reshape(band.shape) / 0.05 for band in bands])

    return _in_sigmas(image, noise_sigma, denoise)


TITLES: dict[str, str] = {
    "wavelet": "Wavelets (BayesShrink)",
    "nl_means": "Non-local means",
    "total_variation": "Total variation",
    "bm3d": "BM3D",
}
METHODS: dict[str, Denoise] = {
    "wavelet": denoise_wavelet,
    "nl_means": denoise_non_local,
    "total_variation": denoise_total_variation,
}
if find_spec("bm3d") is not None:
    METHODS["bm3d"] = denoise_bm3d


def _in_sigmas(image: np.ndarray, noise_sigma: Noise, denoise: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply ``denoise`` to an image without gaps, in units of its noise, and put units and gaps back."""
    image = np.asarray(image, dtype=np.float32)
    if image.ndim != 3 or 0 in image.shape:
        raise ImageError(f"A denoiser needs an image of bands, rows and columns, not one of shape {image.shape}.")
    sigmas = np.broadcast_to(np.asarray(noise_sigma, dtype=np.float64), len(image))
    if not (np.isfinite(sigmas) & (sigmas >= 0)).all():
        raise ImageError(f"The noise must be a number of zero or more, not {noise_sigma}.")
    noisy = sigmas > 0
    if not noisy.all():
        made = image.copy()
        if noisy.any():
            made[noisy] = _in_sigmas(image[noisy], sigmas[noisy], denoise)
        return made
    finite, units = np.isfinite(image), sigmas[:, None, None]
    levels = [np.median(band[good]) if good.any() else 0.0 for band, good in zip(image, finite, strict=True)]
    levels = np.array(levels, dtype=np.float64)[:, None, None]
    scaled = np.where(finite, image - levels, 0.0) / units
    restored = levels + units * np.asarray(denoise(scaled), dtype=np.float64)
    return np.where(finite, restored, image).astype(np.float32)


def _shrink_wavelets(band: np.ndarray) -> np.ndarray:
    """A band in units of its noise, denoised; sides are padded by reflection to what the levels need."""
    height, width = band.shape
    levels = min(WAVELET_LEVELS_MAX, int(np.log2(max(min(height, width), 1))))
    step = 2**levels
    padded = np.pad(band, ((0, -height % step), (0, -width % step)), mode="symmetric")
    details = []
    for _ in range(levels):
        padded, *detail = _haar(padded)
        details.append([_soft(part, _bayes_threshold(part)) for part in detail])
    for detail in reversed(details):
        padded = _inverse_haar(padded, *detail)
    return padded[:height, :width]


def _haar(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Approximation and horizontal, vertical and diagonal details, each of half the size; orthonormal."""
    a, b, c, d = values[::2, ::2], values[::2, 1::2], values[1::2, ::2], values[1::2, 1::2]
    return (a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2


def _inverse_haar(mean: np.ndarray, across: np.ndarray, down: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    values = np.empty((2 * mean.shape[0], 2 * mean.shape[1]))
    values[::2, ::2], values[::2, 1::2] = mean + across + down + diagonal, mean - across + down - diagonal
    values[1::2, ::2], values[1::2, 1::2] = mean + across - down - diagonal, mean - across - down + diagonal
    return values / 2


def _bayes_threshold(detail: np.ndarray) -> float:
    """Noise variance (one) over the standard deviation of the signal; above everything where there is no signal."""
    signal = np.sqrt(max(np.mean(detail**2) - 1.0, 0.0))
    return 1.0 / signal if signal > 0 else np.inf


def _soft(values: np.ndarray, threshold: float) -> np.ndarray:
    return np.zeros_like(values) if threshold == np.inf else np.sign(values) * np.maximum(np.abs(values) - threshold, 0)
