"""Small simulated frames of the sky as FITS files, and what else may be dropped in their place."""

from __future__ import annotations

import io

import numpy as np
from astropy.io import fits
from PIL import Image

SIDE = (160, 200)  # height, width
SKY, NOISE = 100.0, 2.0
# x, y, flux, dispersion along the major axis, axis ratio, angle
SOURCES = (
    (40.0, 30.0, 30_000.0, 4.0, 0.5, 0.5),
    (150.0, 40.0, 8_000.0, 1.6, 1.0, 0.0),
    (60.0, 110.0, 12_000.0, 3.0, 0.7, 1.2),
    (120.0, 120.0, 4_000.0, 1.6, 1.0, 0.0),
    (95.0, 70.0, 6_000.0, 2.5, 0.8, 2.4),
    (180.0, 140.0, 9_000.0, 3.0, 0.6, 0.1),
    (25.0, 75.0, 5_000.0, 1.6, 1.0, 0.0),
)
WCS_CARDS = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 187.7,
    "CRVAL2": 12.39,
    "CRPIX1": 100.0,
    "CRPIX2": 80.0,
    "CD1_1": -1e-4,
    "CD1_2": 0.0,
    "CD2_1": 0.0,
    "CD2_2": 1e-4,
}
CALIBRATION = {"MAGZERO": 27.0, "BUNIT": "adu"}


def sky_pixels(seed: int = 0, gain: float = 1.0, sources=SOURCES, shape=SIDE) -> np.ndarray:
    """Gaussian sources on noise, float32 (height, width)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    pixels = np.random.default_rng(seed).normal(SKY, NOISE, shape)
    for x0, y0, flux, width, ratio, angle in sources:
        u = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
        v = (-(x - x0) * np.sin(angle) + (y - y0) * np.cos(angle)) / ratio
        pixels += gain * flux / (2 * np.pi * width**2 * ratio) * np.exp(-(u**2 + v**2) / (2 * width**2))
    return pixels.astype(np.float32)


def fits_bytes(pixels: np.ndarray, **cards: object) -> bytes:
    """A FITS file of one image."""
    hdu = fits.PrimaryHDU(pixels)
    for keyword, value in cards.items():
        hdu.header[keyword] = value
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    return buffer.getvalue()


def band_bytes(name: str = "r", gain: float = 1.0, seed: int = 0) -> bytes:
    """One band of the frame with coordinates and a zero point."""
    return fits_bytes(sky_pixels(seed, gain), FILTER=name, **WCS_CARDS, **CALIBRATION)


def jpeg_bytes() -> bytes:
    """The frame as a colour picture."""
    shown = np.clip((sky_pixels() - SKY + 10) * 2, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.stack([shown, shown // 2, shown // 3], axis=-1)).save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()


def with_gaps() -> np.ndarray:
    """The frame with borders that were never measured."""
    pixels = sky_pixels()
    pixels[:12], pixels[:, -9:] = np.nan, np.nan
    return pixels
