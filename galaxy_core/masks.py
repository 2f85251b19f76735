"""Foreground of a stamp: which pixels belong to the galaxy rather than to the sky."""

from __future__ import annotations

import numpy as np
import scipy

LUMINANCE_WEIGHTS = (0.299, 0.587, 0.114)  # red, green, blue: ITU-R BT.601


def luminance(image: np.ndarray) -> np.ndarray:
    """Luminance of an image: 0.299 R + 0.587 G + 0.114 B for three bands, the mean over bands otherwise.

    Parameters
    ----------
    image : ndarray, shape (bands, height, width)

    Returns
    -------
    ndarray of float32, shape (height, width)
    """
    image = np.asarray(image, dtype=np.float32)
    if image.shape[0] == 1:
        return image[0]
    if image.shape[0] != 3:
        return image.mean(axis=0)
    red, green, blue = (np.float32(weight) for weight in LUMINANCE_WEIGHTS)
    return red * image[0] + green * image[1] + blue * image[2]


def foreground(image: np.ndarray) -> np.ndarray:
    """Pixels of the galaxy in a clean stamp.

    Luminance above its Otsu threshold [1]_, then binary opening once, closing twice and dilation four times with the
    3 x 3 cross. Pixels outside the frame count as sky, so the closing can pull an object back from the very edge.

    Parameters
    ----------
    image : ndarray, shape (bands, height, width)
        NaN counts as the faintest pixel.

    Returns
    -------
    ndarray of bool, shape (height, width)
        True on the galaxy; False everywhere for a constant image.

    References
    ----------
    .. [1] N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Trans. SMC 9, 62 (1979).
    """
    light = luminance(image)
    finite = np.isfinite(light)
    if not finite.all():
        if not finite.any():
            return np.zeros(light.shape, dtype=bool)
        light = np.where(finite, light, light[finite].min())
    low, high = light.min(), light.max()
    # rounding makes an image of one colour a little uneven: 256 levels, as the threshold wants them, must differ
    if high - low <= 256 * np.finfo(np.float32).eps * max(abs(low), abs(high)):
        return np.zeros(light.shape, dtype=bool)
    from skimage.filters import threshold_otsu

    galaxy = light > threshold_otsu(light)
    galaxy = scipy.ndimage.binary_opening(galaxy)
    galaxy = scipy.ndimage.binary_closing(galaxy, iterations=2)
    return scipy.ndimage.binary_dilation(galaxy, iterations=4)
